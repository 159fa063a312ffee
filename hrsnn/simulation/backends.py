"""Back ends: where a network runs, and what that needs on this machine."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from functools import cache
from pathlib import Path

from brian2 import BrianLogger, prefs

from hrsnn.simulation import nvidia
from hrsnn.simulation.nvidia import BackendUnavailable

__all__ = [
    "BACKENDS",
    "BackendUnavailable",
    "BuildOnly",
    "build_environment",
    "cache_folder",
    "compile_flags",
    "compiler",
    "is_build_only",
    "is_strict",
    "make_cache",
    "precompiled_header",
    "resolve",
    "runtime_target",
    "use_backend",
]

#: ``runtime`` runs inside Python (Brian2's NumPy or Cython target), ``cpp`` as a compiled C++ program, ``cuda`` as one
#: for a GPU.
BACKENDS = ("runtime", "cpp", "cuda")

FAST_FLAGS = ("-ffast-math", "-fno-finite-math-only")
STRICT_FLAGS = ("-ffp-contract=off",)
_HEADERS = "algorithm assert.h climits cmath cstdint cstring ctime fstream iostream map queue random set string vector"

_default = "auto"
_build_only = False


class BuildOnly(Exception):
    """A program is built, and was to run where programs are only built (see ``use_backend``)."""


def use_backend(name: str, build_only: bool = False) -> None:
    """Choose the back end of every network that does not name its own.

    Parameters
    ----------
    name : {"auto", "runtime", "cpp", "cuda"}
        ``auto`` takes ``cpp`` where a C++ compiler is found, else ``runtime``.
    build_only : bool
        Generate and compile programs, and raise ``BuildOnly`` where the first would run. This needs no GPU.

    Raises
    ------
    ValueError
        If the name is unknown, or ``runtime`` is only to be built.
    BackendUnavailable
        If the back end cannot run here.
    """
    global _default, _build_only
    before = _default, _build_only
    _default, _build_only = name, build_only
    try:
        if resolve() == "runtime" and build_only:
            raise ValueError("Backend 'runtime' builds no programs. Use build_only with backend 'cpp' or 'cuda'.")
    except (ValueError, BackendUnavailable):
        _default, _build_only = before
        raise


def is_build_only() -> bool:
    """Tell whether programs are built and not run."""
    return _build_only


def resolve(name: str | None = None) -> str:
    """Return the back end that ``name`` stands for here: "runtime", "cpp" or "cuda".

    Parameters
    ----------
    name : {"auto", "runtime", "cpp", "cuda"}, optional
        The choice of ``use_backend`` if None.

    Raises
    ------
    ValueError
        If the name is unknown.
    BackendUnavailable
        If the back end was asked for by name and cannot run here.
    """
    name = _default if name is None else name
    if name not in ("auto", *BACKENDS):
        raise ValueError(f"backend must be 'auto' or one of {', '.join(map(repr, BACKENDS))}, got {name!r}.")
    if name == "auto":
        try:
            compiler()
        except BackendUnavailable:
            return "runtime"
        return "cpp"
    if name == "cpp":
        compiler()
    if name == "cuda":
        compiler()
        nvidia.tools(gpu=not _build_only)
    return name


@cache
def _version(path: str) -> str:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "").strip() or error
        raise BackendUnavailable(
            f"The C++ compiler {path} does not run: {reason}. Install g++, set CXX, or use backend='runtime'."
        ) from error
    return done.stdout.partition("\n")[0]


def compiler() -> tuple[str, str]:
    """Return the path and the version line of the C++ compiler: ``CXX`` if set, else ``g++``.

    Raises
    ------
    BackendUnavailable
        If there is none.
    """
    name = os.environ.get("CXX", "g++")
    path = shutil.which(name)
    if path is None:
        raise BackendUnavailable(
            f"Backend 'cpp' needs a C++ compiler, and {name!r} is not on the PATH. "
            "Install g++ (Debian: apt install g++), set CXX, or use backend='runtime'."
        )
    return path, _version(path)


def is_strict() -> bool:
    """Tell whether programs keep to IEEE arithmetic: ``HRSNN_STRICT=1``."""
    return os.environ.get("HRSNN_STRICT", "0") not in ("", "0")


def compile_flags() -> tuple[str, ...]:
    """Return the compiler flags. ``HRSNN_STRICT=1`` keeps to IEEE arithmetic: no reordering, no fused products."""
    strict = is_strict()
    wide = ("-mprefer-vector-width=512",) if platform.machine() in ("x86_64", "AMD64") else ()
    return ("-O3", "-march=native", *wide, "-std=c++17", "-w", *(STRICT_FLAGS if strict else FAST_FLAGS))


def build_environment() -> str:
    """Return all that decides, beside its source, how a program is compiled: part of the key of the binary cache."""
    path, version = compiler()
    return "\n".join([path, version, *compile_flags(), platform.machine(), platform.node()])


def cache_folder() -> Path:
    """Return the folder of compiled programs: ``HRSNN_CACHE``, else ``$XDG_CACHE_HOME/hrsnn``, ``~/.cache/hrsnn``."""
    if folder := os.environ.get("HRSNN_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hrsnn"


def make_cache(folder: Path) -> None:
    """Make a folder in the cache of compiled programs.

    Raises
    ------
    OSError
        If it cannot be made or written, with the variable that names another.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        variable = "HRSNN_CACHE is set to it" if os.environ.get("HRSNN_CACHE") else "HRSNN_CACHE is not set"
        raise OSError(
            f"The cache of compiled programs, {cache_folder()}, cannot be written ({error}; {variable}). "
            "Set HRSNN_CACHE to a folder that can, on a disk with some space."
        ) from error


@cache
def _warn_of_numpy(reason: str) -> None:
    BrianLogger.suppress_hierarchy("brian2.codegen.generators.numpy_generator")  # that it is slow is said here
    warnings.warn(
        f"{reason} Without one networks run in NumPy, step by step, which is tens to hundreds of times slower.",
        stacklevel=2,
    )


def runtime_target() -> str:
    """Return the target of Brian2 for networks that run inside Python: that of its preference ``codegen.target``.

    Its choice "auto" asks for Cython, and so for a compiler; without one it is "numpy", and a warning says so once.
    """
    if prefs.codegen.target != "auto":
        return prefs.codegen.target
    try:
        compiler()
    except BackendUnavailable as error:
        _warn_of_numpy(str(error).replace(", set CXX, or use backend='runtime'", " or set CXX"))
        return "numpy"
    return "auto"


def precompiled_header() -> Path:
    """Return the path of the standard library's precompiled header, compiled once for each compiler and flags.

    It halves the time to build a program. The path is what ``-include`` takes.

    Raises
    ------
    RuntimeError
        If the compiler fails.
    """
    path, _ = compiler()
    key = hashlib.sha256((build_environment() + _HEADERS).encode()).hexdigest()[:16]
    header = cache_folder() / "headers" / key / "standard.h"
    binary = header.with_suffix(".h.gch")
    if not binary.exists():
        make_cache(header.parent)
        header.write_text("".join(f"#include <{name}>\n" for name in _HEADERS.split()))
        partial = binary.with_name(f"{os.getpid()}.gch")
        command = [path, *compile_flags(), "-x", "c++-header", str(header), "-o", str(partial)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            partial.unlink(missing_ok=True)
            raise RuntimeError(
                f"{path} does not compile the standard headers: {done.stderr.strip()[-500:]}. "
                f"Check the compiler and the free disk space in {cache_folder()}, or use backend='runtime'."
            )
        os.replace(partial, binary)
    return header
