"""What all tests share: tests are skipped where they cannot run, linear algebra takes one thread, draws are fixed."""

import atexit
import os
import shutil
import tempfile

import pytest
from hypothesis import settings

# Set before NumPy is imported: two test workers share two cores, so each computes in one thread.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# JAX compiles a program of a shape once a test worker, not once a fit. Of this run alone: a kill may leave half a file.
_programs = tempfile.mkdtemp(prefix="hrsnn-jax-")
atexit.register(shutil.rmtree, _programs, ignore_errors=True)
os.environ |= {"JAX_COMPILATION_CACHE_DIR": _programs, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

# The same examples in every run, so that a test fails for a change only; --hypothesis-profile=default draws new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")

_NEEDS = {
    "cpp": (lambda: shutil.which(os.environ.get("CXX", "g++")), "no C++ compiler (install g++, or set CXX)"),
    "cuda": (lambda: shutil.which("nvcc"), "no nvcc on PATH"),
    "network": (lambda: os.environ.get("HRSNN_NETWORK"), "the internet is used only if HRSNN_NETWORK is set"),
}


def pytest_collection_modifyitems(items):
    for marker, (is_there, reason) in _NEEDS.items():
        if not is_there():
            for item in items:
                if item.get_closest_marker(marker):
                    item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def interpreted(monkeypatch):
    """Let Brian2 run NumPy code: a network of few steps is over before Cython has compiled it."""
    from brian2 import prefs

    monkeypatch.setitem(prefs, "codegen.target", "numpy")
