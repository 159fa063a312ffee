"""Where a result comes from: versions, git commit, machine."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hrsnn.simulation import nvidia

_PACKAGES = ("hrsnn", "brian2", "brian2cuda", "numpy", "scipy", "networkx", "scikit-learn", "scikit-optimize", "pot")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_commit(folder: Path) -> dict[str, Any]:
    """Return commit and state of the git checkout that holds a folder.

    Returns
    -------
    dict
        ``commit`` (None outside a checkout) and ``changed`` (whether tracked files differ from it).
    """
    commit = _output("git", "-C", str(folder), "rev-parse", "HEAD")
    changes = _output("git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit or None, "changed": bool(changes)}


def machine() -> dict[str, Any]:
    """Return name of the processor, number of cores, memory in GiB, system, C++ compiler and GPUs."""
    try:
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        memory = None
    compiler = _output(os.environ.get("CXX", "g++"), "--version")
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gib": memory,
        "system": platform.platform(),
        "compiler": compiler.splitlines()[0] if compiler else None,
        "gpu": ", ".join(name for name, _ in nvidia.gpus()) or None,
    }


def processor() -> str:
    """Return the name of the processor."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _output(*command: str) -> str:
    """Return what a command prints; empty if it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
