"""CUDA programs without a GPU: brian2cuda's source, compiled by the C++ compiler against ``cuda_emulator.h``."""

import hashlib
import re
from pathlib import Path

from hrsnn.simulation import backends
from hrsnn.simulation.cuda import CudaEngine
from hrsnn.simulation.nvidia import Tools
from hrsnn.simulation.program import compile_all

HEADER = Path(__file__).with_name("cuda_emulator.h")
TOOLS = Tools("nvcc", "13.0", 80, (), ())
_NVIDIA = re.compile(r'^\s*#\s*include\s*[<"](thrust/|curand|cuda_profiler_api|cuda\.h).*$', re.MULTILINE)
_LAUNCH = re.compile(r"(\w+)<<<(.*?)>>>\s*\(", re.DOTALL)


class EmulatedEngine(CudaEngine):
    """The CUDA engine, with programs that run on the processor."""

    def environment(self):
        source = HEADER.read_bytes() + Path(__file__).read_bytes()
        return super().environment() + hashlib.sha256(source).hexdigest() + backends.build_environment()

    def compile(self, work):
        for path in [*work.glob("*.cu"), *work.rglob("*.h")]:
            path.write_text(emulated(path.read_text()))
        compiler, _ = backends.compiler()
        flags = ("-x", "c++", "-std=c++17", "-O0", "-w", "-include", str(HEADER), "-I.")
        names = sorted(path.stem for path in work.glob("*.cu"))
        compile_all([(compiler, "-c", *flags, f"{name}.cu", "-o", f"{name}.o") for name in names], work)
        compile_all([(compiler, *(f"{name}.o" for name in names), "-o", "main")], work)


def emulated(source):
    """C++ of a CUDA source: no headers of NVIDIA, and a launch of a kernel is a loop."""
    source = _NVIDIA.sub("", source)
    parts, rest = [], source
    while match := _LAUNCH.search(rest):
        end = _closing(rest, match.end())
        shape = match[2].split(",")
        extra = f", {shape[2]}" if len(shape) > 2 else ""
        call = f"{match[1]}({rest[match.end() : end]})"
        parts += [rest[: match.start()], f"emulate_launch({shape[0]}, {shape[1]}, [&] {{ {call}; }}{extra})"]
        rest = rest[end + 1 :]
    return "".join([*parts, rest])


def _closing(text, start):
    """Position of the parenthesis that closes the one before ``start``."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position
    raise ValueError("a kernel's arguments do not end")
