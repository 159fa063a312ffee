"""Functions inside a simulation: random numbers by counting, geometric gaps, fast exp and pow, in NumPy and C++."""

import ctypes
import subprocess

import numpy as np
import pytest
from brian2.core.network import Network
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from hrsnn.simulation import backends, functions
from hrsnn.simulation.functions import GOLDEN, NEVER, fast_math, fast_pow, poisson_gap, stop_if, uniform

N_DRAWS = 20_000
MASK = 2**64 - 1
SEEDS = (0, 7, -3, 2**31 - 1, -(2**31))


def mix(z):
    """Splitmix64's output function in big integers."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


@given(seed=st.integers(-(2**31), 2**31 - 1), i=st.integers(0, 10**6), n=st.integers(0, 2**31 - 1))
@settings(max_examples=200)
def test_uniform_equals_splitmix64_in_big_integers(seed, i, n):
    key = mix((seed * GOLDEN + i + 1) & MASK)
    z = mix((key + (n + 1) * GOLDEN) & MASK)
    assert uniform(seed, i, n) == ((z >> 11) + 0.5) * 2.0**-53


def test_mix_gives_the_published_splitmix64_sequence():
    state = [np.uint64((1234567 + k * GOLDEN) & MASK) for k in (1, 2, 3)]
    with np.errstate(over="ignore"):
        outputs = [int(functions._mix(z)) for z in state]
    assert outputs == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("seed", SEEDS)
def test_uniform_is_uniform_along_streams_and_across_them(seed):
    k = np.arange(N_DRAWS)
    for draws in (uniform(seed, 5, k), uniform(seed, k, 5)):
        assert stats.kstest(draws, "uniform").pvalue > 1e-3
        assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 4 / np.sqrt(N_DRAWS)
    assert abs(np.corrcoef(uniform(seed, 0, k), uniform(seed, 1, k))[0, 1]) < 4 / np.sqrt(N_DRAWS)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("p", [0.005, 0.03, 0.4, 0.9])
def test_poisson_gap_follows_the_geometric_law(p, seed):
    gaps = poisson_gap.pyfunc(p, seed, 3, np.arange(N_DRAWS))
    assert gaps.dtype == np.int32
    assert gaps.min() == 1
    edges = np.unique(stats.geom.ppf(np.linspace(0, 1, 21)[1:-1], p))  # a gap of at most edge k
    observed = np.diff([0, *[(gaps <= edge).sum() for edge in edges], N_DRAWS])
    expected = np.diff([0, *stats.geom.cdf(edges, p), 1]) * N_DRAWS
    observed, expected = observed[expected > 5], expected[expected > 5]
    assert len(expected) >= 2
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3


def test_poisson_gap_at_the_ends_of_its_range():
    draws = np.arange(1000)
    assert_array_equal(poisson_gap.pyfunc(0.0, 1, 0, draws), NEVER)
    assert_array_equal(poisson_gap.pyfunc(-0.5, 1, 0, draws), NEVER)
    assert_array_equal(poisson_gap.pyfunc(np.nan, 1, 0, draws), NEVER)
    assert_array_equal(poisson_gap.pyfunc(1e-12, 1, 0, draws), NEVER)  # gaps of 1e12 steps: longer than any run
    assert_array_equal(poisson_gap.pyfunc(1.0, 1, 0, draws), 1)
    assert_array_equal(poisson_gap.pyfunc(1.7, 1, 0, draws), 1)
    mixed = poisson_gap.pyfunc(np.array([0.0, 1.0]), 1, np.array([0, 1]), 0)
    assert_array_equal(mixed, [NEVER, 1])


def test_fast_pow_is_zero_beyond_the_bound_of_a_weight():
    x, y = np.array([-0.5, 0.0, 0.0, 0.25, 0.25]), np.array([0.9, 0.9, 0.0, 0.5, 0.0])
    assert_array_equal(fast_pow.pyfunc(x, y), [0, 0, 1, 0.5, 1])
    assert fast_pow.pyfunc(-1.0, 0) == 1


def test_stop_if_stops_only_if_its_condition_holds(monkeypatch):
    monkeypatch.setattr(Network, "_globally_stopped", False)
    assert_array_equal(stop_if.pyfunc(np.array([0])), [0])
    assert Network._globally_stopped is False
    assert_array_equal(stop_if.pyfunc(np.array([1])), [1])
    assert Network._globally_stopped is True


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("w = exp(x)", "w = fast_exp(x)"),
        ("w += exp(-exp(x)/tau)", "w += fast_exp(-fast_exp(x) / tau)"),
        ("w = (w_max - w)**mu", "w = fast_pow(w_max - w, mu)"),
        ("w = x**2 + y**-1 + z**0.5", "w = x ** 2 + y ** (-1) + z ** 0.5"),
        ("w = a**(2*b)", "w = fast_pow(a, 2 * b)"),
        ("w = a**b**2\nx += 1", "w = fast_pow(a, b ** 2)\nx += 1"),
        ("w = expit(x) + log(exp_)", "w = expit(x) + log(exp_)"),
        ("", ""),
    ],
)
def test_fast_math_rewrites_exp_and_variable_powers_alone(before, after):
    assert fast_math(before) == after


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The C++ twins as arrays in, arrays out, with the flags that networks are compiled with."""
    folder = tmp_path_factory.mktemp("twins")
    source = (
        "\n".join(["#include <cmath>\n#include <cstdint>", functions._EXP_CPP, functions._POW_CPP, functions._GAP_CPP])
        + """
    extern "C" void exps(const double* x, double* out, int n) { for (int k = 0; k < n; k++) out[k] = _fast_exp(x[k]); }
    extern "C" void pows(const double* x, double y, double* out, int n)
    { for (int k = 0; k < n; k++) out[k] = _fast_pow(x[k], y); }
    extern "C" void gaps(double p, int seed, int i, int* out, int n)
    { for (int k = 0; k < n; k++) out[k] = _poisson_gap(p, seed, i, k); }
    """
    )
    (folder / "twins.cpp").write_text(source)
    path, _ = backends.compiler()
    command = [path, *backends.compile_flags(), "-shared", "-fPIC", "twins.cpp", "-o", "twins.so"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "twins.so"))


def doubles(array):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))


@pytest.mark.cpp
def test_cpp_exp_is_accurate_to_1e_12(library):
    x = np.concatenate([np.linspace(-700, 0, 70_001), np.linspace(0, 700, 7001), -np.logspace(-300, 0, 500)])
    out = np.empty_like(x)
    library.exps(doubles(x), doubles(out), len(x))
    assert_allclose(out, np.exp(x), rtol=1e-12)
    far = np.array([-1e9, -np.inf])
    out = np.empty_like(far)
    library.exps(doubles(far), doubles(out), len(far))
    assert (out < 1e-300).all()
    assert (out >= 0).all()


@pytest.mark.cpp
@pytest.mark.parametrize("y", [0.0, 0.2, 0.9, 1.0, 2.0])
def test_cpp_pow_is_accurate_to_1e_12(library, y):
    x = np.concatenate([np.logspace(-12, 0, 20_001), np.linspace(0.4, 1, 5001)])
    out = np.empty_like(x)
    library.pows(doubles(x), ctypes.c_double(y), doubles(out), len(x))
    assert_allclose(out, x**y, rtol=1e-12)
    edge = np.array([0.0, -0.3])
    out = np.empty_like(edge)
    library.pows(doubles(edge), ctypes.c_double(y), doubles(out), len(edge))
    assert_array_equal(out, fast_pow.pyfunc(edge, y))


@pytest.mark.cpp
@pytest.mark.parametrize("p", [-1.0, 0.0, 1e-12, 1e-7, 0.005, 0.5, 1.0, 2.0, np.nan])
def test_cpp_gaps_equal_those_of_numpy(library, p):
    for seed, i in zip(SEEDS, (0, 1, 783, 5, 2**31 - 1), strict=True):
        out = np.empty(N_DRAWS, dtype=np.int32)
        pointer = out.ctypes.data_as(ctypes.POINTER(ctypes.c_int))
        library.gaps(ctypes.c_double(p), seed, i, pointer, N_DRAWS)
        assert_array_equal(out, poisson_gap.pyfunc(p, seed, i, np.arange(N_DRAWS)))
