"""Programs: a network compiled once and kept in the cache; a run is a process with state and results in files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import brian2
import numpy as np
from brian2 import Network, Quantity, TimedArray
from brian2.core.variables import ArrayVariable
from brian2.devices.device import get_device, reset_device, runtime_device, set_device

from hrsnn.simulation import backends

__all__ = ["Blueprint", "Engine", "Program", "ProgramEngine", "check_names", "converted", "timed_arrays", "variables"]

NO_SPACE = "If the disk is full, free space, or set TMPDIR to a folder with more."

State = Mapping[str, Any]
Arrays = dict[str, np.ndarray]
#: Of each variable: ``file`` with its values after a run, ``dtype``, ``size`` (None if it varies); and, where a back
#: end needs them, ``static``, the file that a program reads it from, and ``records``, its monitor's times and indices.
Manifest = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Program:
    """A C++ program that does what a network does, state and results in the same files.

    Parameters
    ----------
    source : str
        C++ source, one file.
    manifest : Manifest
        Where each variable is found.
    files : mapping of str to array
        What it reads beside its state, by the name of the file in its own folder.
    """

    source: str
    manifest: Manifest
    files: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Blueprint:
    """A network that can be built at any time, on any back end.

    Parameters
    ----------
    build : callable
        Returns the brian2.Network; its objects have lower-case names.
    duration : Quantity (second)
        Simulated time of one run, at most; the network may stop itself before.
    signature : str
        All that decides the generated code (equations, sizes, time step): the key of the binary cache.
    sizes : mapping of str to int
        Lengths of the synaptic variables, which Brian2 knows only once the program runs.
    sources : tuple of module
        What assembles the network: a change of their text compiles it anew, as does one of this package.
    program : callable, optional
        Returns a C++ program that takes the place of the one that Brian2 would generate.
    """

    build: Callable[[], Network]
    duration: Quantity
    signature: str
    sizes: Mapping[str, int]
    sources: tuple[ModuleType, ...] = ()
    program: Callable[[], Program] | None = None


class Engine(ABC):
    """A network ready to run. Every run starts from the network's initial state, overwritten by ``state``.

    State and results are plain arrays in SI units under the name ``group.variable``.
    """

    @abstractmethod
    def run(self, state: State, outputs: Sequence[str]) -> Arrays:
        """Run once.

        Parameters
        ----------
        state : mapping of str to array
            Initial values that replace those of the network, e.g. ``{"input_to_exc.w": w}``.
        outputs : sequence of str
            Names of the variables to return; those of monitors are 1-D (``spikes.i``, ``spikes.t``), in the order of
            time and index.

        Returns
        -------
        dict of str to array

        Raises
        ------
        KeyError
            If a name is unknown.
        ValueError
            If an array has the wrong length.
        RuntimeError
            If the simulation fails; the message holds what the program said.
        BuildOnly
            If programs are only built (see ``hrsnn.use_backend``).
        """

    def run_many(self, states: Sequence[State], outputs: Sequence[str], n_jobs: int = 1) -> list[Arrays]:
        """Run once for each of ``states``, ``n_jobs`` at a time where the back end can; same order as ``states``."""
        return [self.run(state, outputs) for state in states]


class ProgramEngine(Engine):
    """A compiled program in the binary cache; each run is a process of its own, in a folder of its own.

    A back end says how its source is generated and compiled.
    """

    backend = ""

    def __init__(self, blueprint: Blueprint):
        key = "\n".join([blueprint.signature, repr(blueprint.duration), _sources(blueprint), self.environment()])
        self.folder = backends.cache_folder() / "programs" / hashlib.sha256(key.encode()).hexdigest()[:24]
        manifest = self.folder / "manifest.json"
        if not manifest.exists():
            self._build(blueprint, key)
        self._variables: Manifest = json.loads(manifest.read_text())

    @abstractmethod
    def environment(self) -> str:
        """Return all that decides, beside its source, how a program is compiled."""

    @abstractmethod
    def generate(self, blueprint: Blueprint, work: Path) -> Manifest:
        """Write the source of a network to a folder; return where each variable is found."""

    @abstractmethod
    def compile(self, work: Path) -> None:
        """Compile the source in a folder to ``main``."""

    def run(self, state: State, outputs: Sequence[str]) -> Arrays:
        """Run once, as ``Engine.run`` describes."""
        check_names((*state, *outputs), self._variables)
        if backends.is_build_only():
            raise backends.BuildOnly(f"The program is built, and not run: {self.folder}")
        with tempfile.TemporaryDirectory(prefix="hrsnn-") as name:
            folder = Path(name)
            try:
                arguments = [text for key, value in state.items() for text in self._argument(key, value, folder)]
            except OSError as error:
                raise OSError(f"The state could not be written to {folder} ({error}). {NO_SPACE}") from error
            results = folder / "results"
            results.mkdir()
            for file in self._unread(outputs):
                (results / file).symlink_to(os.devnull)  # the program writes all its variables
            done = subprocess.run(
                [str(self.folder / "main"), "--results_dir", f"{results}/", *arguments],
                cwd=self._working_folder(folder),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode or done.stderr:
                said = (done.stderr or done.stdout).strip()[-2000:]
                raise RuntimeError(
                    f"The simulation stopped with status {done.returncode}. {said or _reason(done.returncode)}"
                )
            return {key: self._result(key, results) for key in outputs}

    def run_many(self, states: Sequence[State], outputs: Sequence[str], n_jobs: int = 1) -> list[Arrays]:
        """Run once for each of ``states``, ``n_jobs`` processes at a time."""
        if n_jobs == 1 or len(states) < 2:
            return [self.run(state, outputs) for state in states]
        with ThreadPoolExecutor(n_jobs) as pool:
            return list(pool.map(lambda state: self.run(state, outputs), states))

    def _unread(self, outputs: Sequence[str]) -> set[str]:
        """Return the files of the variables that are not in ``outputs``."""
        read = {self._variables[name]["file"] for name in outputs}
        return {variable["file"] for variable in self._variables.values()} - read - {""}

    def _working_folder(self, folder: Path) -> Path:
        """Return the folder that a program starts in; ``folder`` is that of the run."""
        return self.folder

    def _argument(self, name: str, value: Any, folder: Path) -> list[str]:
        """Return the command line that sets a variable; an array is written to a file."""
        variable = self._variables[name]
        array = converted(name, value, np.dtype(variable["dtype"]), variable["size"])
        if array.size == 1:
            return [f"{name}={array.item()!r}"]
        path = folder / f"{len(list(folder.iterdir()))}.dat"
        path.write_bytes(array.data)
        return [f"{name}={path}"]

    def _result(self, name: str, results: Path) -> np.ndarray:
        variable = self._variables[name]
        path = results / variable["file"]
        array = np.fromfile(path, dtype=variable["dtype"]) if path.exists() else np.empty(0)
        if not path.exists() or (variable["size"] is not None and array.size != variable["size"]):
            raise RuntimeError(
                f"The simulation wrote {array.size} of {variable['size']} values of {name} to {results}. {NO_SPACE}"
            )
        return array

    def _build(self, blueprint: Blueprint, key: str) -> None:
        """Generate and compile beside the cache, then move it in: the cache holds complete programs only."""
        backends.make_cache(self.folder.parent)
        work = Path(tempfile.mkdtemp(prefix="build-", dir=self.folder.parent))
        try:
            manifest = self.generate(blueprint, work)
            self.compile(work)
            sources = [path for pattern in ("*.cpp", "*.cu", "*.[ho]") for path in work.glob(pattern)]
            for path in (work / "code_objects", work / "brianlib"):
                shutil.rmtree(path, ignore_errors=True)
            for path in sources:
                path.unlink()
            (work / "key.txt").write_text(key)
            (work / "manifest.json").write_text(json.dumps(manifest, indent=1))
            try:
                os.replace(work, self.folder)
            except OSError:  # another process was faster
                if not (self.folder / "manifest.json").exists():
                    raise
        finally:
            shutil.rmtree(work, ignore_errors=True)


def check_names(names: Sequence[str], known: Mapping[str, Any]) -> None:
    """Raise KeyError if one of ``names`` is not among the ``known``."""
    for name in names:
        if name not in known:
            raise KeyError(f"The network has no variable {name!r}.")


def converted(name: str, value: Any, dtype: np.dtype, size: int | None) -> np.ndarray:
    """Return a value as a 1-D array of a type and, if given, a size."""
    array = np.atleast_1d(np.asarray(value)).ravel()
    if size is not None and array.size != size:
        raise ValueError(f"{name} has {size} values, got {array.size}.")
    return np.ascontiguousarray(array, dtype=dtype)


def variables(network: Network) -> dict[str, ArrayVariable]:
    """Return all arrays of a network's objects under ``group.variable``."""
    found = {}
    for obj in network.objects:
        for key, variable in getattr(obj, "variables", {}).items():
            if isinstance(variable, ArrayVariable) and getattr(variable.owner, "name", None) == obj.name:
                found[f"{obj.name}.{key}"] = variable
    return found


def timed_arrays(network: Network) -> set[TimedArray]:
    """Find the TimedArrays in the namespaces of a network's objects; their values are ``name.values``."""
    spaces = [getattr(obj, "namespace", {}) for obj in network.objects]
    return {value for space in spaces for value in space.values() if isinstance(value, TimedArray)}


@contextmanager
def standalone(name: str) -> Iterator[Any]:
    """Make a standalone device Brian2's device for a while; the runtime device comes back."""
    if get_device() is not runtime_device:
        raise RuntimeError("Compiling a network needs Brian2's device for itself: call brian2.set_device('runtime').")
    set_device(name, build_on_run=False)
    device = get_device()
    try:
        device.reinit()
        device.activate(build_on_run=False)
        yield device
    finally:
        device.reinit()
        reset_device()


def generate(
    blueprint: Blueprint, device: Any, work: Path, prepare: Callable[[Network], None] | None = None
) -> tuple[Network, Manifest]:
    """Write the source of a network with a standalone device; return the network and where its variables are found.

    ``prepare`` is called with the network before its source is written.
    """
    network = blueprint.build()
    network.run(blueprint.duration, namespace={})
    if prepare is not None:
        prepare(network)
    device.build(directory=str(work), compile=False, run=False, with_output=False)
    manifest: Manifest = {}
    for name, variable in variables(network).items():
        size = blueprint.sizes.get(name) if variable in device.dynamic_arrays else int(variable.size)
        file = device.get_array_filename(variable)
        manifest[name] = {"file": file, "dtype": np.dtype(variable.dtype).str, "size": size}
    for table in timed_arrays(network):
        manifest[f"{table.name}.values"] = {"file": "", "dtype": "<f8", "size": table.values.size}
    return network, manifest


def compile_all(commands: Sequence[Sequence[str]], work: Path, n_jobs: int | None = None) -> None:
    """Run compilers side by side in a folder.

    Parameters
    ----------
    commands : sequence of (sequence of str)
        The first word of each is the compiler.
    work : Path
    n_jobs : int, optional
        How many at a time; one a core if None.

    Raises
    ------
    RuntimeError
        If one fails; the message has its first error, and names a file with all messages.
    """

    def call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor(n_jobs or os.cpu_count()) as pool:
        failed = [done for done in pool.map(call, commands) if done.returncode]
    if failed:
        log = Path(tempfile.gettempdir()) / f"hrsnn-build-{os.getpid()}.log"
        log.write_text("\n".join(done.stdout + done.stderr for done in failed))
        said = failed[0].stderr or failed[0].stdout
        errors = [line for line in said.splitlines() if "error" in line] or [said[-500:]]
        raise RuntimeError(
            f"The network does not compile with {commands[0][0]}: {errors[0]} (all messages: {log}). "
            "Check the free disk space and the compiler, or use backend='runtime'."
        )


def _sources(blueprint: Blueprint) -> str:
    """Versions and source of what turns a blueprint into code."""
    paths = [*sorted(Path(__file__).parent.glob("*.py")), *(Path(str(module.__file__)) for module in blueprint.sources)]
    files = [path.read_bytes() for path in paths]
    versions = f"{sys.version_info[:2]} {brian2.__version__} {np.__version__}"
    return versions + hashlib.sha256(b"".join(files)).hexdigest()


def _reason(status: int) -> str:
    if status == -signal.SIGKILL:
        return "It was killed, by hand or for too little memory: use fewer neurons or a smaller batch_size."
    if status == -signal.SIGXFSZ:
        return f"A file became too large. {NO_SPACE}"
    if status < 0:
        return f"The signal {signal.Signals(-status).name} ended it."
    return "It said nothing."
