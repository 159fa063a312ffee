"""Milliseconds an image of every back end and form, against a hand-written C++ program and the usual script."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from threading import Event, Thread
from time import perf_counter
from typing import Any

import numpy as np
from brian2 import Hz, ms

from hrsnn import Ensemble, MultimodalClassifier, PopulationCode, Reservoir, STDPClassifier, plots, topology
from hrsnn.lab import main, study
from hrsnn.models import STDP, AdaptiveConductanceLIF, PowerLawSTDP
from hrsnn.simulation import backends
from hrsnn.studies import _stdp
from hrsnn.studies._script import script

REFERENCE = Path(__file__).parent.parent / "tests" / "reference" / "stdp_network.cpp"
FORMS: dict[str, dict[str, Any]] = {"dense": {"backend": "cpp"}, "declared": {"backend": "cpp", "dense_kernel": False}}
GPU_FORMS: dict[str, dict[str, Any]] = {"cuda": {"backend": "cuda"}, "dense": {"backend": "cpp"}}
OUT_DEGREE = 50  # synapses of a reservoir's neuron
MAX_RETRIES = 3
WALL, CPU = 0, 1


@study(quick=dict(data="digits", sizes=[100], n_images=200, n_script=0, reservoirs=[500]), least=dict(n_script=0))
def speed(
    run,
    data="mnist",
    sizes=(100, 400, 1600, 6400),
    n_images=500,
    n_script=10,
    repeats=3,
    backend="auto",
    reservoirs=(1000, 10_000, 100_000),
    seed=0,
):
    """Measure milliseconds an image in training and test, compilation, start and memory, by size and form.

    Forms: dense, the compiled network with the C++ kernel; declared, the same with Brian2's Synapses throughout;
    runtime, inside Python with Brian2's code generation target; script, the usual Brian2 script with two runs an
    image; reference, a C++ program written by hand (only in a checkout, where its source is). All have the same
    equations, constants, images and number of retries. n_script images go through script and runtime, 0 leaves them
    out. pair: two ensembles of half the neurons each, the last quarter of the training joined by synapses that learn;
    both see the images, which are as many inputs, and as active, as speech. reference pair: the hand-written program
    twice, with half of the neurons each and nothing between them; the ratios of pair are to it.

    Training and test take turns over the forms, ``repeats`` times. Times are medians, ratios to the reference are
    medians of ratios within a turn. Each stands twice: wall time, and processor time of this process and its
    children (cpu), which says more on a busy machine. Compilation starts from an empty cache in which only the
    precompiled header is ready; start is the time of a run over one image with a compiled program.

    backend=cuda measures the program for the GPU beside the dense form on the same machine, and reservoirs of these
    sizes on both: wall seconds a simulated second, learning by STDP and frozen, with 50 synapses a neuron. On a GPU
    the start of a program is long; it stands in a column of its own and is not part of the seconds a second.
    """
    if backend not in ("auto", "cpp", "cuda"):
        raise ValueError(f"backend must be 'cpp' or 'cuda', got {backend!r}.")
    forms = GPU_FORMS if backend == "cuda" else FORMS
    images = _stdp.digit_images(run, data, max(n_images, n_script, 2), n_images)
    rows = []
    with tempfile.TemporaryDirectory(prefix="hrsnn-speed-") as folder, _cache(Path(folder)):
        work = Path(folder)
        header_wall, header_cpu = timed(backends.precompiled_header)
        run.save(data=images.name, header_seconds=header_wall, header_cpu_seconds=header_cpu)
        reference = _compile_reference(work)
        if reference is None:
            run.save(reference=f"left out: {REFERENCE.name} is not here, run this study in a checkout")
        for size in run.progress(sizes, label="sizes"):
            measure = partial(_size, images, size, forms, n_images, n_script, repeats, seed, reference, work)
            rows += run.cached(f"size_{size}", measure)
            run.table("speed", rows)
            run.save(**_headline(rows))
        run.figure("milliseconds", _figure(rows))
        table: list[dict[str, Any]] = []
        for size in run.progress(reservoirs if backend == "cuda" else (), label="reservoirs"):
            table += run.cached(f"reservoir_{size}", partial(_reservoir, size, repeats, seed))
            run.table("reservoirs", table)
            run.figure("reservoirs", _reservoir_figure(table))
            run.save(**{f"{row['form']}_learning_{row['n_neurons']}": row["learning"] for row in table})


def _size(
    images: _stdp.Images,
    size: int,
    forms: dict[str, dict[str, Any]],
    n_images: int,
    n_script: int,
    repeats: int,
    seed: int,
    reference: Path | None,
    work: Path,
) -> list[dict[str, Any]]:
    """Return one row a form for networks of one size."""
    built, times = {}, {}
    X, X_test = images.X_train[:n_images], images.X_test
    for form, settings in forms.items():
        new = _factory(size, seed, X.shape[1], **settings)
        build, start = (timed(partial(_once, new, X[:1])) for _ in range(2))
        built[form] = {"build_s": build[WALL], "build_cpu_s": build[CPU], "start_s": start[WALL]}
        times[form] = _form(new, X, X_test, built[form])
    if "declared" in forms:
        built["pair"] = {}
        times["pair"] = _pair(size, seed, X, X_test)
    if reference is not None:
        built["reference"] = {}
        times["reference"] = _reference(reference, work, X, X_test, size, seed, built["reference"])
        if "pair" in times:
            half, facts = size // 2, built.setdefault("reference pair", {})
            own = [_reference(reference, work, X, X_test, half, seed + k, facts) for k in range(2)]
            times["reference pair"] = lambda: _sum([measure() for measure in own])
    turns = [{form: measure() for form, measure in times.items()} for _ in range(repeats)]
    rows = [_row(form, size, built[form], turns) for form in times]
    if n_script:
        rows += _slow(images, size, n_script, seed)
    return rows


def _factory(size: int, seed: int, n_inputs: int, **settings: Any) -> Callable[[], STDPClassifier]:
    synapse = PowerLawSTDP(eta=0.01, offset=0.1)  # constants of the reference program and of the script
    fixed = _stdp.FIXED | {"w_total": 0.1 * n_inputs, "n_epochs": 1, "anneal": False, "max_retries": MAX_RETRIES}
    return lambda: STDPClassifier(size, AdaptiveConductanceLIF(), synapse, **fixed, seed=seed, **settings)


def _once(new: Callable[[], STDPClassifier], X: np.ndarray) -> None:
    new().fit(X)


def _form(
    new: Callable[[], STDPClassifier], X: np.ndarray, X_test: np.ndarray, facts: dict[str, Any]
) -> Callable[[], dict[str, tuple[float, float]]]:
    """Return what measures training and test of one form once; memory and presentations go to `facts`."""

    def measure() -> dict[str, tuple[float, float]]:
        classifier = new()
        with _PeakMemory() as memory:
            train = timed(lambda: classifier.fit(X))
            test = timed(lambda: classifier.transform(X_test))
        draws = classifier.state_["input.draw"][~X.any(axis=0)]  # an input that never fires draws once a presentation
        facts["presentations_per_image"] = round(float(draws.max()) / len(X), 3) if draws.size else None
        facts["memory_mb"] = memory.megabytes
        return {"train": _per_image(train, len(X)), "test": _per_image(test, len(X_test))}

    return measure


def _pair(size: int, seed: int, X: np.ndarray, X_test: np.ndarray) -> Callable[[], dict[str, tuple[float, float]]]:
    """Return what measures training and test of two coupled ensembles once; it compiles them first."""
    half = Ensemble(size // 2, synapse=PowerLawSTDP(eta=0.01, offset=0.1))

    def learn() -> MultimodalClassifier:
        return MultimodalClassifier({"image": half, "audio": half}, anneal=False, seed=seed).fit(
            {"image": X, "audio": X}
        )

    def measure() -> dict[str, tuple[float, float]]:
        train = timed(learn)
        test = timed(lambda: learnt.transform({"image": X_test, "audio": X_test}))
        return {"train": _per_image(train, len(X)), "test": _per_image(test, len(X_test))}

    learnt = learn()
    learnt.transform({"image": X_test[:1], "audio": X_test[:1]})
    return measure


def _reference(
    program: Path, work: Path, X: np.ndarray, X_test: np.ndarray, size: int, seed: int, facts: dict[str, Any]
) -> Callable[[], dict[str, tuple[float, float]]]:
    """Return what measures training and test of the hand-written program once, from weights of the same law."""
    work = work / f"reference_{size}_{seed}"
    work.mkdir(exist_ok=True)
    weights = 0.3 * (np.random.default_rng(seed).random((X.shape[1], size)) + 0.01)
    files = {"train": X, "test": X_test, "w": weights.astype("<f4")}
    for name, array in files.items():
        array.tofile(work / f"{name}.bin")
    common = [f"N={size}", f"n_in={X.shape[1]}", f"max_tries={MAX_RETRIES + 1}", f"seed={seed}"]

    def call(mode: str, *arguments: str) -> tuple[float, float]:
        def program_run() -> None:
            command = [str(program), f"mode={mode}", f"images={work / mode}.bin", f"out={work}/{mode}_"]
            done = subprocess.run([*command, *common, *arguments], capture_output=True, text=True, check=True)
            said.update(json.loads(done.stdout))

        said: dict[str, Any] = {}
        elapsed = timed(program_run)
        if mode == "train":
            facts["presentations_per_image"] = round(said["presentations"] / said["images"], 3)
        return _per_image(elapsed, said["images"])

    def measure() -> dict[str, tuple[float, float]]:
        with _PeakMemory() as memory:
            train = call("train", f"w={work}/w.bin")
            test = call("test", f"w={work}/train_w.bin", f"theta={work}/train_theta.bin")
        facts["memory_mb"] = memory.megabytes
        return {"train": train, "test": test}

    return measure


def _sum(parts: list[dict[str, tuple[float, float]]]) -> dict[str, tuple[float, float]]:
    """Return the times of programs that run one after another."""
    return {
        task: (sum(each[task][WALL] for each in parts), sum(each[task][CPU] for each in parts)) for task in parts[0]
    }


def _slow(images: _stdp.Images, size: int, n_script: int, seed: int) -> list[dict[str, Any]]:
    """Return rows of the forms inside Python, from few images."""
    X = images.X_train[:n_script]
    classifier = _factory(size, seed, X.shape[1], backend="runtime", batch_size=n_script)().fit(X[:1])
    train = timed(lambda: classifier.fit(X))
    test = timed(lambda: classifier.transform(X))
    seconds, target = script(images.X_train[: n_script + 1], size, seed)
    empty = dict.fromkeys(_row("", size, {}, []), None)
    runtime = {"train_ms": _per_image(train, len(X))[WALL], "test_ms": _per_image(test, len(X))[WALL]}
    return [
        {**empty, "n_neurons": size, "form": f"runtime ({target})", **_rounded(runtime)},
        {**empty, "n_neurons": size, "form": f"script ({target})", "train_ms": round(1000 * seconds, 1)},
    ]


def _reservoir(size: int, repeats: int, seed: int, n_steps: int = 101) -> list[dict[str, Any]]:
    """Return one row a form for reservoirs of one size: times of runs of one step and of many tell start from pace."""
    graph = topology.random(size, min(OUT_DEGREE / (size - 1), 1.0), w_scale=0.3, seed=seed)
    X = np.sin(np.arange(n_steps) / 3)[:, None]
    code = PopulationCode(n_fields=20, rate_max=1000 * Hz, step=20 * ms)
    inputs = {"input_weight": 0.25, "input_fraction": 1.0, "input_probability": 0.1}
    rows = []
    for form, settings in GPU_FORMS.items():
        reservoir = Reservoir(graph, synapse=STDP(), code=code, block=n_steps, seed=seed, **inputs, **settings)
        build = timed(partial(reservoir.fit, X))
        reservoir.transform(X)  # compiles the network that does not learn
        step = float(reservoir.liquid_.plastic.code.step)
        row = {"n_neurons": size, "n_synapses": graph.number_of_edges(), "form": form}
        liquid, table = reservoir.liquid_, reservoir.scaled(X)
        for name, learn in (("learning", True), ("frozen", False)):
            runs = {n: partial(liquid.run, table[:n], liquid.start(), learn=learn) for n in (1, n_steps)}
            one, many = (median(timed(runs[n])[WALL] for _ in range(repeats)) for n in runs)
            row |= {name: (many - one) / ((n_steps - 1) * step), f"{name}_start_s": one}
        rate = reservoir.spike_counts_.mean() / (n_steps * step)
        rows.append(_rounded({**row, "rate_hz": float(rate), "first_fit_s": build[WALL]}))
    return rows


def _reservoir_figure(rows: list[dict[str, Any]]) -> Any:
    figure, axes = plots.figure()
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        for name in ("learning", "frozen"):
            points = lines.setdefault(f"{row['form']}, {name}", ([], []))
            points[0].append(row["n_neurons"])
            points[1].append(row[name])
    plots.curves(axes, lines, "neurons", "seconds a simulated second", log="xy")
    return figure


def _row(form: str, size: int, facts: dict[str, Any], turns: list[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {"n_neurons": size, "form": form}
    for task in ("train", "test"):
        for unit, kind in (("ms", WALL), ("cpu_ms", CPU)):
            own = [turn[form][task][kind] for turn in turns]
            reference = "reference pair" if "pair" in form else "reference"
            base = [turn[reference][task][kind] for turn in turns if reference in turn]
            row[f"{task}_{unit}"] = median(own) if own else None
            ratios = [a / b for a, b in zip(own, base, strict=False)]
            row[f"{task}_{unit}_ratio"] = median(ratios) if ratios else None
    names = ("presentations_per_image", "build_s", "build_cpu_s", "start_s", "memory_mb")
    return _rounded({**row, **{name: facts.get(name) for name in names}})


def _headline(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return time and ratio of training by size and form, and how much faster dense is than the script."""
    short = [(f"{row['form'].split(' (')[0].replace(' ', '_')}_{row['n_neurons']}", row) for row in rows]
    found = {f"train_ms_{name}": row["train_ms"] for name, row in short}
    found |= {f"train_cpu_ratio_{name}": row["train_cpu_ms_ratio"] for name, row in short if row["train_cpu_ms_ratio"]}
    found |= {f"build_s_{name}": row["build_s"] for name, row in short if row["build_s"]}
    own = {row["n_neurons"]: row["train_ms"] for name, row in short if name.startswith("dense")}
    scripts = {row["n_neurons"]: row["train_ms"] for name, row in short if name.startswith("script")}
    on_gpu = {row["n_neurons"]: row["train_ms"] for name, row in short if name.startswith("cuda")}
    found |= {f"cuda_faster_than_dense_{size}": round(own[size] / ms, 2) for size, ms in on_gpu.items()}
    return found | {f"faster_than_script_{size}": round(ms / own[size], 1) for size, ms in scripts.items()}


def _figure(rows: list[dict[str, Any]]) -> Any:
    figure, grid = plots.figure(1, 2)
    for axes, task in zip(grid, ("train", "test"), strict=True):
        lines: dict[str, tuple[list[float], list[float]]] = {}
        for row in rows:
            if row[f"{task}_ms"] is not None:
                points = lines.setdefault(row["form"], ([], []))
                points[0].append(row["n_neurons"])
                points[1].append(row[f"{task}_ms"])
        plots.curves(axes, lines, "excitatory neurons", "ms an image", log="xy")
        sizes = sorted({row["n_neurons"] for row in rows})
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xticks([], minor=True)
        axes.set_title({"train": "training", "test": "test"}[task], fontsize=10)
    return figure


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in row.items()}


# Measuring ----------------------------------------------------------------------------------------


def timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Return wall and processor seconds of a call, children included."""
    wall, cpu = perf_counter(), _cpu()
    function()
    return round(perf_counter() - wall, 4), round(_cpu() - cpu, 4)


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _per_image(elapsed: tuple[float, float], n_images: int) -> tuple[float, float]:
    return 1000 * elapsed[WALL] / n_images, 1000 * elapsed[CPU] / n_images


class _PeakMemory:
    """Watch the children of this process; ``megabytes`` is the most that one of them held (None without /proc)."""

    megabytes: float | None = None

    def __enter__(self) -> _PeakMemory:
        self._done = Event()
        self._thread = Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.02):
            for pid in _children():
                if peak := _peak_megabytes(pid):
                    self.megabytes = max(self.megabytes or 0.0, peak)


def _children() -> set[str]:
    found: set[str] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            found.update(path.read_text().split())
        except OSError:  # the thread has ended
            continue
    return found


def _peak_megabytes(pid: str) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        own = Path(f"/proc/{pid}/exe").readlink() == Path("/proc/self/exe").readlink()
    except OSError:  # the process has ended
        return None
    if own:  # forked, but not yet the program
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), None)


@contextmanager
def _cache(folder: Path) -> Iterator[None]:
    """Compile into an empty folder for a while."""
    before = os.environ.get("HRSNN_CACHE")
    os.environ["HRSNN_CACHE"] = str(folder / "cache")
    try:
        yield
    finally:
        os.environ.pop("HRSNN_CACHE")
        if before is not None:
            os.environ["HRSNN_CACHE"] = before


def _compile_reference(work: Path) -> Path | None:
    if not REFERENCE.is_file():
        return None
    compiler, _ = backends.compiler()
    program = work / "stdp_network"
    # Its own, fastest flags: without -ffinite-math-only, as Brian2's code needs it, it is four times slower.
    flags = [flag for flag in backends.compile_flags() if flag != "-fno-finite-math-only"]
    subprocess.run([compiler, *flags, str(REFERENCE), "-o", str(program)], check=True)
    return program


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
