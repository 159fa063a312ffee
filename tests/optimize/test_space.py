"""Spaces: exact encoding, even coverage, the table, and bad spaces refused."""

import copy
import pickle

import numpy as np
import pytest
from brian2 import ms, mV
from brian2.units.fundamentalunits import DimensionMismatchError
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from hrsnn.laws import Gamma, LogNormal, Normal, Uniform
from hrsnn.optimize import Integer, Space

SPACE = Space(
    {
        "tau_m": Gamma(mean=(5 * ms, 100 * ms), shape=(1, 20), low=1 * ms),
        "A_plus": LogNormal(mean=(0.001, 0.05), std=0.01),
        "v_thresh": Uniform(low=(0.2, 0.5), high=(1, 1.5)),
        "noise": Normal(mean=0 * mV, std=(1 * mV, 5 * mV, "linear")),
        "tau_ref": (1 * ms, 5 * ms, "log"),
        "lambda_": (1, 6),
        "n_blocks": Integer(1, 100, "log"),
        "rule": ["pair", "power_law", "none"],
    }
)
N_ROWS = 3000


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=10, max_size=10))
def test_encoding_is_exact(row):
    vector = SPACE.from_unit(row)[0]
    point = SPACE.decode(vector)
    assert np.array_equal(SPACE.encode(point), vector)
    again = SPACE.decode(SPACE.encode(point))
    assert all(bool(again[name] == point[name]) for name in SPACE.variables)


def test_decoded_values_are_what_the_names_say():
    point = SPACE.decode([0.02, 3, 0.002, 0.3, 1.2, 0.002, 0.004, 2.5, 7, 1])
    assert point["tau_m"] == Gamma(mean=20 * ms, shape=3, low=1 * ms)
    assert point["A_plus"] == LogNormal(mean=0.002, std=0.01)
    assert point["v_thresh"] == Uniform(0.3, 1.2)
    assert point["noise"] == Normal(mean=0 * mV, std=2 * mV)
    assert point["tau_ref"] == 4 * ms
    assert (point["lambda_"], point["n_blocks"], point["rule"]) == (2.5, 7, "power_law")
    assert type(point["n_blocks"]) is int


def test_unit_cube_covers_each_scale_evenly():
    rows = SPACE.latin_hypercube(N_ROWS, np.random.default_rng(0))
    for column in rows.T:  # one row in each stratum
        assert_allclose(np.sort(np.floor(column * N_ROWS)), np.arange(N_ROWS))
    vectors = SPACE.from_unit(rows)
    column = {c.name: x for c, x in zip(SPACE.coordinates, vectors.T, strict=True)}
    assert (
        stats.kstest(column["tau_m.mean"], stats.loguniform(0.005, 0.1).cdf).pvalue > 0.9
    )  # even, so better than chance
    assert stats.kstest(column["lambda_"], stats.uniform(1, 5).cdf).pvalue > 0.9
    assert_allclose(np.bincount(column["rule"].astype(int)), N_ROWS / 3, atol=1)
    assert set(np.unique(column["n_blocks"])) >= set(range(1, 10))
    assert_allclose(np.mean(column["n_blocks"] <= 10), np.log(10.5 / 0.5) / np.log(100.5 / 0.5), atol=0.01)
    assert_allclose(SPACE.from_unit(SPACE.to_unit(vectors)), vectors, rtol=1e-12)


def test_ends_are_reached_and_never_passed():
    lows, highs = np.array([(c.low, c.high) for c in SPACE.coordinates]).T
    assert_allclose(SPACE.from_unit(np.zeros(10))[0], lows, rtol=1e-15)
    assert_allclose(SPACE.from_unit(np.ones(10))[0], highs, rtol=1e-15)
    assert np.array_equal(SPACE.from_unit(np.full(10, 7.0)), SPACE.from_unit(np.ones(10)))


def test_space_prints_as_a_table():
    lines = str(Space({"tau_m": Gamma(mean=(5 * ms, 100 * ms), shape=(1, 20)), "rule": ["pair", "none"]})).splitlines()
    assert [line.split() for line in lines] == [
        ["variable", "law", "argument", "low", "high", "scale"],
        [8 * "-", 6 * "-", 8 * "-", 6 * "-", 6 * "-", 9 * "-"],
        ["tau_m", "Gamma", "mean", "5*ms", "100*ms", "log"],
        ["tau_m", "Gamma", "shape", "1", "20", "log"],
        ["rule", "choice", '"pair"', '"none"', "2", "choices"],
    ]


def test_space_is_a_value():
    again = Space(dict(SPACE.variables))
    assert again == SPACE
    assert hash(again) == hash(SPACE)
    assert copy.deepcopy(SPACE) == pickle.loads(pickle.dumps(SPACE)) == SPACE
    assert Space({"lambda_": (1, 6)}) != Space({"lambda_": (1, 7)})
    names = {"Space": Space, "Gamma": Gamma, "LogNormal": LogNormal, "Uniform": Uniform, "Normal": Normal}
    assert eval(repr(SPACE), names | {"Integer": Integer, "ms": ms, "mV": mV}) == SPACE


@pytest.mark.parametrize(
    ("variables", "error", "match"),
    [
        ({"x": (2, 1)}, ValueError, r"x: Interval: value needs low < high in its interval, got \(2, 1\)"),
        ({"x": (0, 1, "log")}, ValueError, "x: .*low must be positive"),
        ({"x": (1 * ms, 2 * mV)}, DimensionMismatchError, "ends of the interval have different units"),
        ({"x": Gamma(mean=20 * ms, shape=3)}, ValueError, "has no interval to search"),
        ({"x": stats.gamma(3)}, TypeError, "x must be a law with intervals"),
        ({"x": 20 * ms}, TypeError, "x must be a law with intervals"),
        ({"x": ["only"]}, ValueError, "x needs at least two choices"),
        ({}, TypeError, "A space is a dict of names"),
        (["x"], TypeError, "A space is a dict of names"),
    ],
)
def test_bad_spaces_are_refused(variables, error, match):
    with pytest.raises(error, match=match):
        Space(variables)


def test_bad_integers_are_refused():
    with pytest.raises(ValueError, match=r"Integer needs two integers, got 1\.5 and 3"):
        Integer(1.5, 3)
    with pytest.raises(ValueError, match="low < high"):
        Integer(3, 3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"lambda_": 7}, "lambda_ is searched from 1 to 6"),
        ({"tau_m": Gamma(mean=200 * ms, shape=3, low=1 * ms)}, "tau_m.mean is searched from 0.005 to 0.1"),
        ({"tau_m": Gamma(mean=20 * ms, shape=3)}, "tau_m is searched as Gamma"),
        ({"tau_m": 20 * ms}, "tau_m is searched as Gamma"),
        ({"tau_m": LogNormal(mean=20 * ms, std=3 * ms)}, "tau_m is searched as Gamma"),
        ({"n_blocks": 2.5}, "n_blocks is searched as Integer"),
        ({"rule": "other"}, "rule is searched as .*'other' is not in it"),
        ({"unknown": 1}, "A point of this space names tau_m, A_plus"),
    ],
)
def test_points_outside_the_space_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        SPACE.encode(SPACE.decode(SPACE.from_unit(np.full(10, 0.5))[0]) | change)
