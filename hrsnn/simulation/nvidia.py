"""What CUDA programs need: brian2cuda, nvcc, curand and a GPU; found on this machine, or named with what to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

__all__ = ["BackendUnavailable", "Tools", "curand", "gpus", "nvcc", "tools"]

PYTHON = (3, 12)  # brian2cuda needs this very Brian2, and that this Python
WHEELS = ("nvidia-curand", "nvidia-curand-cu13", "nvidia-curand-cu12")
NEEDS = "Backend 'cuda' needs"
OR_CPP = "or use backend='cpp'"


class BackendUnavailable(RuntimeError):
    """A back end cannot run here; the message says what is missing and what to install."""


@dataclass(frozen=True)
class Tools:
    """What CUDA programs are compiled with.

    Attributes
    ----------
    nvcc : str
        Path of the compiler.
    release : str
        Its release, such as ``"13.0"``.
    architecture : int
        Compute capability to compile for, without its point: 90.
    include, link : tuple of str
        What nvcc takes to find curand.
    """

    nvcc: str
    release: str
    architecture: int
    include: tuple[str, ...]
    link: tuple[str, ...]


def tools(gpu: bool = True) -> Tools:
    """Return what CUDA programs are compiled with here.

    Parameters
    ----------
    gpu : bool
        Whether programs are to run here as well.

    Raises
    ------
    BackendUnavailable
        If something is missing: the first of brian2cuda, nvcc, curand, a GPU.
    """
    _brian2cuda()
    path, release = nvcc()
    include, link = curand(path)
    found = gpus()
    if gpu and not found:
        raise BackendUnavailable(
            f"{NEEDS} an NVIDIA GPU, and nvidia-smi finds none. Install the driver of your GPU, {OR_CPP}; "
            "without a GPU programs can be built (hrsnn run ... --build-only), but not run."
        )
    return Tools(path, release, _architecture(path, found), include, link)


def nvcc() -> tuple[str, str]:
    """Return path and release of the CUDA compiler: ``NVCC`` if set, else ``nvcc`` on the PATH.

    Raises
    ------
    BackendUnavailable
        If there is none, or it does not run.
    """
    name = os.environ.get("NVCC", "nvcc")
    path = shutil.which(name)
    if path is None:
        raise BackendUnavailable(
            f"{NEEDS} NVIDIA's compiler, and {name!r} is not on the PATH. Install the CUDA toolkit "
            f"(https://developer.nvidia.com/cuda-downloads), set NVCC, {OR_CPP}."
        )
    match = re.search(r"release (\d+\.\d+)", _say(path, "--version"))
    if match is None:
        raise BackendUnavailable(f"The CUDA compiler {path} does not tell its release. Install it again, {OR_CPP}.")
    return path, match[1]


def curand(nvcc: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what nvcc takes to compile and to link with curand: of the CUDA toolkit, else of NVIDIA's wheel.

    Parameters
    ----------
    nvcc : str
        Path of the compiler.

    Raises
    ------
    BackendUnavailable
        If it is in neither.
    """
    toolkit = Path(nvcc).resolve().parent.parent
    if any(next(folder.glob("curand.h"), None) for folder in (toolkit / "include", *toolkit.glob("targets/*/include"))):
        return (), ("-lcurand",)
    for name in WHEELS:
        try:
            files = [Path(str(file.locate())) for file in distribution(name).files or ()]
        except PackageNotFoundError:
            continue
        header = next((path for path in files if path.name == "curand.h"), None)
        library = next((path for path in files if path.name.startswith("libcurand.so")), None)
        if header and library:
            folder = library.resolve().parent
            link = (f"-L{folder}", f"-l:{library.name}", "-Xlinker", f"-rpath={folder}")
            return (f"-I{header.resolve().parent}",), link
    raise BackendUnavailable(
        f"{NEEDS} curand, which is neither in the CUDA toolkit of {nvcc} nor a Python package. "
        f"Install it (pip install nvidia-curand), {OR_CPP}."
    )


@cache
def gpus() -> tuple[tuple[str, int], ...]:
    """Return name and compute capability (without its point: 90) of the visible GPUs; empty where there is none."""
    path = shutil.which("nvidia-smi")
    if path is None:
        return ()
    command = [path, "--query-gpu=name,compute_cap", "--format=csv,noheader"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        command += ["-i", visible]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ()
    rows = re.findall(r"^(.+), (\d+)\.(\d)$", done.stdout, flags=re.MULTILINE)
    return tuple((name, 10 * int(major) + int(minor)) for name, major, minor in rows)


def _architecture(nvcc: str, gpus: Sequence[tuple[str, int]]) -> int:
    """Return ``HRSNN_CUDA_ARCH`` if set, else that of the first GPU, else the lowest that nvcc knows."""
    text = os.environ.get("HRSNN_CUDA_ARCH", "")
    if text:
        match = re.fullmatch(r"(?:sm_)?(\d+)\.?(\d)", text)
        if match is None:
            raise BackendUnavailable(
                f"HRSNN_CUDA_ARCH must be a compute capability like 9.0, got {text!r}. Correct or unset it."
            )
        return int(match[1] + match[2])
    if gpus:
        return gpus[0][1]
    known = re.findall(r"compute_(\d+)\b", _say(nvcc, "--list-gpu-arch"))
    if not known:
        raise BackendUnavailable(f"{nvcc} names no GPU that it compiles for. Set HRSNN_CUDA_ARCH (for example 9.0).")
    return min(map(int, known))


def _brian2cuda() -> None:
    try:
        distribution("brian2cuda")
    except PackageNotFoundError:
        here, right = sys.version_info[:2], ".".join(map(str, PYTHON))
        install = "pip install 'hrsnn[cuda]'"
        advice = f"Install it ({install})"
        if here != PYTHON:
            own = ".".join(map(str, here))
            advice = f"It needs Python {right}, and this is {own}: make a {right} environment and {install}"
        raise BackendUnavailable(f"{NEEDS} brian2cuda, which is not installed. {advice}, {OR_CPP}.") from None


@cache
def _say(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = " ".join(str(getattr(error, "stderr", "") or error).split())
        raise BackendUnavailable(
            f"The CUDA compiler {command[0]} does not run: {reason}. Install the CUDA toolkit, set NVCC, {OR_CPP}."
        ) from error
    return done.stdout
