"""The engine: compile a network once, run it block after block, the state in and out as arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from brian2 import prefs
from brian2.devices.device import get_device, runtime_device

from hrsnn.simulation import backends
from hrsnn.simulation.cuda import CudaEngine
from hrsnn.simulation.program import (
    Arrays,
    Blueprint,
    Engine,
    Manifest,
    ProgramEngine,
    State,
    check_names,
    compile_all,
    converted,
    generate,
    standalone,
    timed_arrays,
    variables,
)

__all__ = ["Blueprint", "CppEngine", "Engine", "RuntimeEngine", "engine"]

#: Source of a program that is not Brian2's.
SOURCE = "program.cpp"

#: In the source of a function: turns of a loop that calls it may write to the same place.
SHARED = "// hrsnn: turns may meet"

# What Brian2's loop over the clocks says, and the same without a set of those that are due.
DUE = {
    "curclocks.find(obj_clock) != curclocks.end()": "fabs(obj_clock->t[0] - t) <= Clock_epsilon",
    "i=curclocks.begin(); i!=curclocks.end(); i++)\n            (*i)->tick();": (
        "i=clocks.begin(); i!=clocks.end(); i++)\n            if (fabs((*i)->t[0] - t) <= Clock_epsilon) (*i)->tick();"
    ),
    "curclocks.insert(clock);": ";",
}


def engine(blueprint: Blueprint, backend: str | None = None) -> Engine:
    """Return the engine of a network; compiles it if this was not done before.

    Parameters
    ----------
    blueprint : Blueprint
    backend : {"auto", "runtime", "cpp", "cuda"}, optional
        The choice of ``hrsnn.use_backend`` if None.

    Raises
    ------
    BackendUnavailable
        If the back end cannot run here.
    RuntimeError
        If the program does not compile.
    """
    kinds: dict[str, type] = {"runtime": RuntimeEngine, "cpp": CppEngine, "cuda": CudaEngine}
    return kinds[backends.resolve(backend)](blueprint)


class RuntimeEngine(Engine):
    """Runs inside this Python process, with the target of Brian2's preference ``codegen.target``.

    Where that is "auto" and there is no compiler, it is NumPy.
    """

    def __init__(self, blueprint: Blueprint):
        if get_device() is not runtime_device:
            raise RuntimeError("Backend 'runtime' needs Brian2's runtime device: call brian2.set_device('runtime').")
        with _target():
            self.network = blueprint.build()
        self._duration = blueprint.duration
        self._variables = variables(self.network)
        self._tables = {f"{table.name}.values": table for table in timed_arrays(self.network)}
        self.network.store("start")

    def run(self, state: State, outputs: Sequence[str]) -> Arrays:
        """Run once, as ``Engine.run`` describes."""
        check_names((*state, *outputs), {**self._variables, **self._tables})
        self.network.restore("start")
        for name, value in state.items():
            if name in self._tables:
                values = self._tables[name].values
                values[...] = converted(name, value, values.dtype, values.size).reshape(values.shape)
                continue
            variable = self._variables[name]
            array = converted(name, value, variable.dtype, len(np.atleast_1d(variable.get_value())))
            variable.set_value(array if not variable.scalar else array[0])
        with _target():
            self.network.run(self._duration, namespace={})
        return {name: np.array(self._variables[name].get_value(), ndmin=1) for name in outputs}


@contextmanager
def _target() -> Iterator[None]:
    """Let Brian2 run what it can here for a while."""
    before = prefs.codegen.target
    prefs.codegen.target = backends.runtime_target()
    try:
        yield
    finally:
        prefs.codegen.target = before


class CppEngine(ProgramEngine):
    """A C++ program."""

    backend = "cpp"

    def environment(self) -> str:
        """Return all that decides, beside its source, how a program is compiled."""
        return backends.build_environment()

    def generate(self, blueprint: Blueprint, work: Path) -> Manifest:
        """Write the source of a network to a folder; return where each variable is found."""
        if blueprint.program is None:
            with standalone("cpp_standalone") as device:
                return generate(blueprint, device, work)[1]
        program = blueprint.program()
        (work / SOURCE).write_text(program.source)
        for name, array in program.files.items():
            array.tofile(work / name)
        return program.manifest

    def compile(self, work: Path) -> None:
        """Compile the source in a folder to ``main``."""
        compiler, _ = backends.compiler()
        flags = backends.compile_flags()
        header = ("-include", str(backends.precompiled_header()))
        if (work / SOURCE).exists():
            compile_all([(compiler, *flags, *header, SOURCE, "-o", "main")], work)
            return
        # Of Brian2's source all code objects become one unit, which takes a fraction of the time of each.
        loop = work / "network.cpp"
        # Brian2's loop asks for the processor's clock at every step: a system call slower than a small network.
        head, clock, tail = loop.read_text().rpartition("current = std::clock();")
        text = f"{head}current = start;{tail}" if clock else tail
        # It also fills a set with the clocks that are due, object by object and step by step: compare their times.
        for old, new in DUE.items():
            text = text.replace(old, new)
        loop.write_text(text)
        # What makes, reads and writes arrays runs once: to optimise it takes half of the time of a build.
        arrays = work / "objects.cpp"
        arrays.write_text(f'#pragma GCC optimize ("O1")\n{arrays.read_text()}')
        # Each file keeps its helper functions in an anonymous namespace: name it, and use it in the file's functions.
        units = []
        for k, path in enumerate(sorted((work / "code_objects").glob("*.cpp"))):
            text = _by_blocks(_independent(path.read_text()))
            text = re.sub(r"^namespace \{", f"namespace unit_{k} {{", text, count=1, flags=re.MULTILINE)
            units.append(text.replace("using namespace brian;", f"using namespace brian; using namespace unit_{k};"))
        (work / "code_objects.cpp").write_text("\n".join(units))
        # Since Brian2 2.10 the spike queues have a source of their own in brianlib.
        sources = sorted([*work.glob("*.cpp"), *work.glob("brianlib/*.cpp")], key=lambda path: -path.stat().st_size)
        compile_all(
            [(compiler, "-c", *flags, *header, "-I.", str(path), "-o", f"{path.stem}.o") for path in sources], work
        )
        compile_all([(compiler, *flags, *(f"{path.stem}.o" for path in sources), "-o", "main")], work)


def _independent(code: str) -> str:
    """Tell the compiler of a loop over neurons or synapses that its turns are independent, where they are.

    They are if arrays that are written are read and written at the loop's own element only. The compiler would have
    to compare the addresses of all arrays to find out, and with many arrays it does not vectorise the loop. A function
    that writes to places of its own says so with ``SHARED``.
    """
    accesses = re.findall(r"(_ptr\w+)\[([^\]]*)\](\s*[-+*/]?=(?!=))?", code)
    written = {array for array, _, write in accesses if write}
    if SHARED in code or not written or any(index != "_idx" for array, index, _ in accesses if array in written):
        return code
    return re.sub(
        r"^( *)(for\(int _(?:idx|spiking_synapse_idx)=0;)", r"#pragma GCC ivdep\n\1\2", code, flags=re.MULTILINE
    )


_SEARCH = re.compile(
    r"^    for\(size_t _idx=0; _idx<N; _idx\+\+\)\n    \{\n"
    r"(?P<reads>.*?)        const char _cond = (?P<condition>[^;]*);\n"
    r"(?P<found>\s*if\(_cond\) \{.*?\n        \}\n)    \}\n",
    flags=re.MULTILINE | re.DOTALL,
)
_SEARCH_BY_BLOCKS = """    for(size_t _start=0; _start<N; _start+=64)
    {{
        const size_t _stop = _start + 64 < N ? _start + 64 : N;
        int _any = 0;
        for(size_t _idx=_start; _idx<_stop; _idx++)
        {{
{reads}            _any |= {conditions};
        }}
        if(!_any) continue;
        for(size_t _idx=_start; _idx<_stop; _idx++)
        {{
{reads}        const char _cond = {condition};
{found}        }}
    }}
"""


def _by_blocks(code: str) -> str:
    """Let a search for neurons above their threshold look at 64 of them at a time, and pass over those without one.

    Few neurons fire in a step. Whether any of a block does is a loop that vectorises, as long as its condition calls no
    function; which of them do is not.
    """

    def blocks(match: re.Match[str]) -> str:
        parts = match.groupdict()
        if re.search(r"\w\(", parts["reads"] + parts["condition"]):
            return match[0]
        return _SEARCH_BY_BLOCKS.format(**parts, conditions=parts["condition"].replace("&&", "&").replace("||", "|"))

    return _SEARCH.sub(blocks, code)
