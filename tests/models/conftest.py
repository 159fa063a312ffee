"""The models run inside Python, with NumPy: no compilation."""

import pytest
from brian2 import prefs


@pytest.fixture(autouse=True)
def _numpy_target():
    before = prefs.codegen.target
    prefs.codegen.target = "numpy"
    yield
    prefs.codegen.target = before
