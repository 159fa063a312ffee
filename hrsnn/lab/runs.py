"""One run of a study: its folder with configuration, metrics, figures, provenance and report."""

import csv
import fcntl
import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from hrsnn.files import atomic
from hrsnn.lab import provenance, report, values
from hrsnn.lab.jobs import Pool, alone
from hrsnn.simulation import backends
from hrsnn.simulation.backends import BuildOnly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")
RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"


class Run:
    """What a study function gets as its first argument; a context that records how it ends.

    Parameters
    ----------
    folder : Path
        Folder of this run; holds ``config.json``.

    Attributes
    ----------
    folder : Path
        Folder of this run.
    config : dict
        Content of ``config.json``: study, source, question, quick, settings (quantities as text).
    metrics : dict
        All that `save` was given.
    resumed : bool
        Whether an earlier attempt at this run ended before it was done.
    workers : int or None
        Jobs that `results` computes at once, each in a process of its own; None for one after another, here.
    scheduler : str or None
        Address of the Dask scheduler whose workers compute them; None for workers on this machine.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.config: dict[str, Any] = _read_json(folder / "config.json")
        self.metrics: dict[str, Any] = _read_json(folder / "metrics.json", {})
        self._record: dict[str, Any] = _read_json(folder / "provenance.json", {"attempts": []})
        self.resumed = bool(self._record["attempts"])
        self._lock: IO | None = None
        self.workers: int | None = None
        self.scheduler: str | None = None
        self._pool: Pool | None = None
        self._used_workers = False

    @classmethod
    def create(cls, root: Path, config: Mapping[str, Any]) -> "Run":
        """Make the folder ``<root>/<study>/<time>`` with its ``config.json``."""
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        for suffix in ("", *(f"-{k}" for k in range(2, 1000))):
            folder = root / config["study"] / f"{stamp}{suffix}"
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise OSError(
                    f"The folder of runs, {root}, cannot be written ({error}). Choose another: --folder, or folder=."
                ) from None
            values.write_json(folder / "config.json", config)
            return cls(folder)
        raise RuntimeError(f"{root / config['study']} has a thousand runs of this second.")

    # What a study uses ----------------------------------------------------------------------------

    def save(self, **metrics: Any) -> None:
        """Add numbers, texts or lists of them to ``metrics.json``; a name given again is replaced."""
        self.metrics = {**self.metrics, **values.to_json(metrics)}
        values.write_json(self.folder / "metrics.json", self.metrics)

    def figure(self, name: str, figure: "Figure") -> Path:
        """Write a figure to ``figures/<name>.png`` and return its path."""
        path = self.folder / "figures" / f"{name}.png"
        with atomic(path) as temporary:
            figure.savefig(temporary, dpi=150, bbox_inches="tight")
        return path

    def table(self, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
        """Write rows, dicts with the same keys, to ``tables/<name>.csv`` and return its path."""
        rows = [values.to_json(dict(row)) for row in rows]
        if not rows or any(row.keys() != rows[0].keys() for row in rows):
            raise ValueError(f"table {name!r} needs rows, each with the same columns; got {rows[:2]}.")
        path = self.folder / "tables" / f"{name}.csv"
        with atomic(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    def cached(self, name: str, function: Callable[[], T]) -> T:
        """Return ``function()``, computed once in this run: a resumed run reads it from the folder.

        The result is numbers, text and arrays in any nesting of dicts, lists and tuples.
        """
        path = self.folder / "cached" / f"{name}.npz"
        if not path.is_file():
            values.save(path, function())
        return values.load(path)

    def results(self, jobs: Mapping[str, Callable[[], T]], label: str = "") -> Iterator[T]:
        """Yield the results of independent jobs, in their order, each computed once in this run.

        They are computed here, one after another, or on the workers of the run (``--workers``, ``--scheduler``), to the
        same bits: linear algebra takes one thread. Each result is stored as it comes, as by `cached`, so a resumed run
        computes only what is left. What a worker does that dies is done again.

        Parameters
        ----------
        jobs : mapping of str to callable
            Each job by its name; a ``functools.partial``, for example. It must not use this run, nor what is open
            in this process.
        label : str
            Of the bar of progress.

        Yields
        ------
        object
            Numbers, text and arrays in any nesting of dicts, lists and tuples.
        """
        self._used_workers = True
        path = {name: self.folder / "cached" / f"{name}.npz" for name in jobs}
        left = {name: job for name, job in jobs.items() if not path[name].is_file()}
        here = (self.workers is None and self.scheduler is None) or backends.is_build_only()
        if left and not here and self._pool is None:
            self._pool = Pool(self.workers, self.scheduler)
        done = iter(()) if self._pool is None else self._pool.results(left)
        for name, job in self.progress(jobs.items(), label=label):
            while self._pool is not None and not path[name].is_file():
                other, result = next(done)
                values.save(path[other], result)
            yield self.cached(name, partial(alone, job))

    def checkpoint(self, name: str = "checkpoint") -> Path:
        """Return an absolute path in this folder for an estimator's own checkpoint; it survives a kill."""
        folder = self.folder.absolute() / "checkpoints"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.h5"

    def progress(self, iterable: Iterable[T], total: int | None = None, label: str = "") -> Iterator[T]:
        """Iterate with a bar and the time left; quiet where standard error is not a terminal."""
        return iter(tqdm(iterable, total=total, desc=label, disable=None))

    def declare(self, **models: Any) -> None:
        """Record the equations of models, as ``print(model)`` shows them, for the provenance."""
        self._record.setdefault("equations", {}).update({name: str(model) for name, model in models.items()})
        self._write_record()

    # What runs a study ----------------------------------------------------------------------------

    def __enter__(self) -> "Run":
        self._lock = _locked(self.folder)
        if self._lock is None:
            raise RuntimeError(f"{self.folder} is still running; wait, or end that process first.")
        self._start = time.perf_counter()
        settings = self.config["settings"]
        self._record["attempts"].append({"started": datetime.now().isoformat(" ", "seconds"), "status": RUNNING})
        self._record.update(
            command=sys.argv,
            seeds={name: value for name, value in settings.items() if name.startswith("seed")},
            versions=provenance.versions(),
            git=provenance.git_commit(Path(__file__).parent),
            machine=provenance.machine(),
        )
        self._write_record()
        (self.folder / "error.txt").unlink(missing_ok=True)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        elif error is None and (self.workers or self.scheduler) and not self._used_workers:
            warnings.warn(f"{self.config['study']} has no jobs for workers: it ran in one process.", stacklevel=2)
        attempt = self._record["attempts"][-1]
        attempt["seconds"] = round(time.perf_counter() - self._start, 3)
        failed = isinstance(error, Exception) and not isinstance(error, BuildOnly)
        attempt["status"] = DONE if error is None else FAILED if failed else INTERRUPTED
        if failed and error is not None:
            (self.folder / "error.txt").write_text("".join(traceback.format_exception(error)))
            error.add_note(f"(traceback in {self.folder / 'error.txt'})")
        self._write_record()
        with atomic(self.folder / "report.html") as temporary:
            page = report.page(self.folder, self.config, self.metrics, self._record, self.status, self.seconds)
            temporary.write_text(page)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _write_record(self) -> None:
        values.write_json(self.folder / "provenance.json", self._record)

    # What a reader asks ---------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """One of running, done, failed, interrupted; a killed run is interrupted."""
        attempts = self._record["attempts"]
        status = attempts[-1]["status"] if attempts else INTERRUPTED
        if status != RUNNING or self._lock is not None:
            return status
        lock = _locked(self.folder)
        if lock is None:
            return RUNNING
        lock.close()
        return INTERRUPTED

    @property
    def seconds(self) -> float:
        """Time of all attempts that ended; that of a killed one is not known."""
        return sum(attempt.get("seconds", 0.0) for attempt in self._record["attempts"])

    @property
    def provenance(self) -> dict[str, Any]:
        """Content of ``provenance.json``."""
        return self._record

    @property
    def name(self) -> str:
        """Name of this run below the root of all runs: ``mnist_stdp/20260131-120000``."""
        return f"{self.folder.parent.name}/{self.folder.name}"


def find_run(text: str, root: Path) -> Run:
    """Return a run by its folder, by ``study/time``, or the last run of a study by the study's name.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    for folder in (Path(text), root / text):
        if (folder / "config.json").is_file():
            return Run(folder)
    runs = list_runs(root / text)
    if runs:
        return runs[-1]
    known = ", ".join(run.name for run in list_runs(root)[-5:]) or "none"
    raise FileNotFoundError(f"There is no run {text!r} in {root}. The last runs there: {known}.")


def list_runs(root: Path) -> list[Run]:
    """Return all runs below a folder, oldest first; folders with a broken ``config.json`` are left out."""
    runs = []
    for path in [*root.glob("*/config.json"), *root.glob("*/*/config.json")]:
        try:
            runs.append(Run(path.parent))
        except (ValueError, KeyError):
            continue
    return sorted(runs, key=lambda run: run.folder.name)


def _read_json(path: Path, default: Any = None) -> Any:
    if default is not None and not path.is_file():
        return default
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON ({error}). Repair or remove this run's folder.") from None


def _locked(folder: Path) -> IO | None:
    """Return the open lock file of a run, or None if another process holds it; a dead process holds none."""
    file = (folder / ".lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
