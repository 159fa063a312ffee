"""What all tests share: tests are skipped where they cannot run, linear algebra takes one thread, draws are fixed."""

import os
import shutil

import pytest
from hypothesis import settings

# Set before NumPy is imported: two test workers share two cores, so each computes in one thread.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

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
