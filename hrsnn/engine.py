"""The engine: compile a network once, run it block after block, the state in and out as arrays."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2 import Network, Quantity, TimedArray
from brian2.core.variables import ArrayVariable
from brian2.devices.device import get_device, reset_device, runtime_device, set_device

from hrsnn import backends

__all__ = ["Blueprint", "Engine", "engine"]

NO_SPACE = "If the disk is full, free space, or set TMPDIR to a folder with more."
# What Brian2's loop over the clocks says, and the same without a set of those that are due.
DUE = {
    "curclocks.find(obj_clock) != curclocks.end()": "fabs(obj_clock->t[0] - t) <= Clock_epsilon",
    "i=curclocks.begin(); i!=curclocks.end(); i++)\n            (*i)->tick();": (
        "i=clocks.begin(); i!=clocks.end(); i++)\n            if (fabs((*i)->t[0] - t) <= Clock_epsilon) (*i)->tick();"
    ),
    "curclocks.insert(clock);": ";",
}

State = Mapping[str, Any]
Arrays = dict[str, np.ndarray]


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
    """

    build: Callable[[], Network]
    duration: Quantity
    signature: str
    sizes: Mapping[str, int]


class Engine:
    """A network ready to run. Every run starts from the network's initial state, overwritten by ``state``.

    State and results are plain arrays in SI units under the name ``group.variable``.
    """

    def run(self, state: State, outputs: Sequence[str]) -> Arrays:
        """Run once.

        Parameters
        ----------
        state : mapping of str to array
            Initial values that replace those of the network, e.g. ``{"input_to_exc.w": w}``.
        outputs : sequence of str
            Names of the variables to return; those of monitors are 1-D (``spikes.i``, ``spikes.t``).

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
        """
        raise NotImplementedError

    def run_many(self, states: Sequence[State], outputs: Sequence[str], n_jobs: int = 1) -> list[Arrays]:
        """Run once for each of ``states``, ``n_jobs`` at a time where the back end can; same order as ``states``."""
        return [self.run(state, outputs) for state in states]


def engine(blueprint: Blueprint, backend: str | None = None) -> Engine:
    """Return the engine of a network; compiles it if this was not done before.

    Parameters
    ----------
    blueprint : Blueprint
    backend : {"auto", "runtime", "cpp"}, optional
        The choice of ``hrsnn.use_backend`` if None.

    Raises
    ------
    BackendUnavailable
        If the back end cannot run here.
    RuntimeError
        If the program does not compile.
    """
    return RuntimeEngine(blueprint) if backends.resolve(backend) == "runtime" else CppEngine(blueprint)


class RuntimeEngine(Engine):
    """Runs inside this Python process, with the target of Brian2's preference ``codegen.target``."""

    def __init__(self, blueprint: Blueprint):
        if get_device() is not runtime_device:
            raise RuntimeError("Backend 'runtime' needs Brian2's runtime device: call brian2.set_device('runtime').")
        self.network = blueprint.build()
        self._duration = blueprint.duration
        self._variables = _variables(self.network)
        self._tables = {f"{table.name}.values": table for table in _timed_arrays(self.network)}
        self.network.store("start")

    def run(self, state: State, outputs: Sequence[str]) -> Arrays:
        _check_names((*state, *outputs), {**self._variables, **self._tables})
        self.network.restore("start")
        for name, value in state.items():
            if name in self._tables:
                values = self._tables[name].values
                values[...] = _converted(name, value, values.dtype, values.size).reshape(values.shape)
                continue
            variable = self._variables[name]
            array = _converted(name, value, variable.dtype, len(np.atleast_1d(variable.get_value())))
            variable.set_value(array if not variable.scalar else array[0])
        self.network.run(self._duration, namespace={})
        return {name: np.array(self._variables[name].get_value(), ndmin=1) for name in outputs}


class CppEngine(Engine):
    """A compiled program in the binary cache; each run is a process of its own, in a folder of its own."""

    def __init__(self, blueprint: Blueprint):
        key = "\n".join([blueprint.signature, repr(blueprint.duration), _sources(), backends.build_environment()])
        self.folder = backends.cache_folder() / "programs" / hashlib.sha256(key.encode()).hexdigest()[:24]
        manifest = self.folder / "manifest.json"
        if not manifest.exists():
            _build(blueprint, self.folder, key)
        self._variables = json.loads(manifest.read_text())

    def run(self, state: State, outputs: Sequence[str]) -> Arrays:
        _check_names((*state, *outputs), self._variables)
        with tempfile.TemporaryDirectory(prefix="hrsnn-") as folder:
            try:
                arguments = [self._argument(name, value, Path(folder)) for name, value in state.items()]
            except OSError as error:
                raise OSError(f"The state could not be written to {folder} ({error}). {NO_SPACE}") from error
            results = Path(folder) / "results"
            results.mkdir()
            done = subprocess.run(
                [str(self.folder / "main"), "--results_dir", f"{results}/", *arguments],
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode or done.stderr:
                said = (done.stderr or done.stdout).strip()[-2000:]
                raise RuntimeError(
                    f"The simulation stopped with status {done.returncode}. {said or _reason(done.returncode)}"
                )
            return {name: self._result(name, results) for name in outputs}

    def run_many(self, states: Sequence[State], outputs: Sequence[str], n_jobs: int = 1) -> list[Arrays]:
        if n_jobs == 1 or len(states) < 2:
            return [self.run(state, outputs) for state in states]
        with ThreadPoolExecutor(n_jobs) as pool:
            return list(pool.map(lambda state: self.run(state, outputs), states))

    def _argument(self, name: str, value: Any, folder: Path) -> str:
        variable = self._variables[name]
        array = _converted(name, value, np.dtype(variable["dtype"]), variable["size"])
        if array.size == 1:
            return f"{name}={array.item()!r}"
        path = folder / f"{len(list(folder.iterdir()))}.dat"
        path.write_bytes(array.data)
        return f"{name}={path}"

    def _result(self, name: str, results: Path) -> np.ndarray:
        variable = self._variables[name]
        path = results / variable["file"]
        array = np.fromfile(path, dtype=variable["dtype"]) if path.exists() else np.empty(0)
        if not path.exists() or (variable["size"] is not None and array.size != variable["size"]):
            raise RuntimeError(
                f"The simulation wrote {array.size} of {variable['size']} values of {name} to {results}. {NO_SPACE}"
            )
        return array


def _check_names(names: Sequence[str], known: Mapping[str, Any]) -> None:
    for name in names:
        if name not in known:
            raise KeyError(f"The network has no variable {name!r}.")


def _converted(name: str, value: Any, dtype: np.dtype, size: int | None) -> np.ndarray:
    array = np.atleast_1d(np.asarray(value)).ravel()
    if size is not None and array.size != size:
        raise ValueError(f"{name} has {size} values, got {array.size}.")
    return np.ascontiguousarray(array, dtype=dtype)


def _variables(network: Network) -> dict[str, ArrayVariable]:
    """All arrays of a network's objects under ``group.variable``."""
    found = {}
    for obj in network.objects:
        for key, variable in getattr(obj, "variables", {}).items():
            if isinstance(variable, ArrayVariable) and getattr(variable.owner, "name", None) == obj.name:
                found[f"{obj.name}.{key}"] = variable
    return found


def _timed_arrays(network: Network) -> set[TimedArray]:
    """Find the TimedArrays in the namespaces of a network's objects; their values are ``name.values``."""
    spaces = [getattr(obj, "namespace", {}) for obj in network.objects]
    return {value for space in spaces for value in space.values() if isinstance(value, TimedArray)}


def _sources() -> str:
    """Versions and source of what turns a blueprint into code."""
    own = ("build.py", "coupling.py", "encoders.py", "engine.py", "functions.py", "kernel.py", "lateral.py", "spec.py")
    files = [Path(__file__).with_name(name).read_bytes() for name in own]
    versions = f"{sys.version_info[:2]} {brian2.__version__} {np.__version__}"
    return versions + hashlib.sha256(b"".join(files)).hexdigest()


def _reason(status: int) -> str:
    if status == -signal.SIGKILL:
        return "It was killed, by hand or for too little memory: use fewer neurons or a smaller batch_size."
    if status == -signal.SIGXFSZ:
        return f"A file became too large. {NO_SPACE}"
    return "It said nothing."


def _build(blueprint: Blueprint, folder: Path, key: str) -> None:
    """Generate and compile a program beside the cache, then move it in: the cache holds complete programs only."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="build-", dir=folder.parent))
    try:
        variables = _generate(blueprint, work)
        _compile(work)
        for path in [work / "code_objects", work / "brianlib", *work.glob("*.cpp"), *work.glob("*.[ho]")]:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        (work / "key.txt").write_text(key)
        (work / "manifest.json").write_text(json.dumps(variables, indent=1))
        try:
            os.replace(work, folder)
        except OSError:  # another process was faster
            if not (folder / "manifest.json").exists():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _generate(blueprint: Blueprint, work: Path) -> dict[str, Any]:
    """Write the C++ source of a network; return where each variable's values are found after a run."""
    if get_device() is not runtime_device:
        raise RuntimeError("Compiling a network needs Brian2's device for itself: call brian2.set_device('runtime').")
    set_device("cpp_standalone", build_on_run=False)
    device = get_device()
    try:
        device.reinit()
        device.activate(build_on_run=False)
        network = blueprint.build()
        network.run(blueprint.duration, namespace={})
        device.build(directory=str(work), compile=False, run=False, with_output=False)
        variables = {}
        for name, variable in _variables(network).items():
            size = blueprint.sizes.get(name) if variable in device.dynamic_arrays else int(variable.size)
            file = device.get_array_filename(variable)
            variables[name] = {"file": file, "dtype": np.dtype(variable.dtype).str, "size": size}
        for table in _timed_arrays(network):
            variables[f"{table.name}.values"] = {"file": "", "dtype": "<f8", "size": table.values.size}
        return variables
    finally:
        device.reinit()
        reset_device()


def _compile(work: Path) -> None:
    """Compile Brian2's source to ``main``: all code objects as one unit, which takes a fraction of the time of each."""
    loop = work / "network.cpp"
    # Brian2's loop asks for the processor's clock at every step: a system call that costs more than a small network.
    head, clock, tail = loop.read_text().rpartition("current = std::clock();")
    text = f"{head}current = start;{tail}" if clock else tail
    # It also fills a set with the clocks that are due, object by object and step by step: compare their times instead.
    for old, new in DUE.items():
        text = text.replace(old, new)
    loop.write_text(text)
    # Each file keeps its helper functions in an anonymous namespace: name it, and use it in the file's functions.
    units = []
    for k, path in enumerate(sorted((work / "code_objects").glob("*.cpp"))):
        text = _independent(path.read_text())
        text = re.sub(r"^namespace \{", f"namespace unit_{k} {{", text, count=1, flags=re.MULTILINE)
        units.append(text.replace("using namespace brian;", f"using namespace brian; using namespace unit_{k};"))
    (work / "code_objects.cpp").write_text("\n".join(units))
    compiler, _ = backends.compiler()
    flags = backends.compile_flags()
    header = ("-include", str(backends.precompiled_header()))
    sources = sorted(work.glob("*.cpp"), key=lambda path: -path.stat().st_size)
    commands = [(compiler, "-c", *flags, *header, "-I.", path.name, "-o", f"{path.stem}.o") for path in sources]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = list(pool.map(lambda command: _call(command, work), commands))
    if all(result.returncode == 0 for result in done):
        done = [_call((compiler, *flags, *(f"{path.stem}.o" for path in sources), "-o", "main"), work)]
    failed = [result for result in done if result.returncode]
    if failed:
        log = Path(tempfile.gettempdir()) / f"hrsnn-build-{os.getpid()}.log"
        log.write_text("\n".join(result.stderr for result in failed))
        errors = [line for line in failed[0].stderr.splitlines() if "error" in line] or [failed[0].stderr[-500:]]
        raise RuntimeError(
            f"The network does not compile with {compiler}: {errors[0]} (all messages: {log}). "
            "Check the free disk space and the compiler, or use backend='runtime'."
        )


def _independent(code: str) -> str:
    """Tell the compiler of a loop over neurons or synapses that its turns are independent, where they are.

    They are if arrays that are written are read and written at the loop's own element only. The compiler would have
    to compare the addresses of all arrays to find out, and with many arrays it does not vectorise the loop.
    """
    accesses = re.findall(r"(_ptr\w+)\[([^\]]*)\](\s*[-+*/]?=(?!=))?", code)
    written = {array for array, _, write in accesses if write}
    if not written or any(index != "_idx" for array, index, _ in accesses if array in written):
        return code
    return re.sub(
        r"^( *)(for\(int _(?:idx|spiking_synapse_idx)=0;)", r"#pragma GCC ivdep\n\1\2", code, flags=re.MULTILINE
    )


def _call(command: Sequence[str], work: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
