"""Searches to compare with: evenly at random, and scikit-optimize on the numbers of the laws."""

import numpy as np
import pytest
from brian2 import ms
from scipy import stats

from hrsnn.laws import Gamma
from hrsnn.optimize import Integer, Search, parameter_search, random_search

SPACE = {"tau": Gamma(mean=(5 * ms, 100 * ms), shape=(1, 20)), "n": Integer(1, 9), "rule": ["a", "b"]}


def objective(tau, n, rule):
    return np.log(float(tau.mean) / 0.02) ** 2 + np.log(tau.arguments["shape"] / 4) ** 2 + 0.01 * n + (rule == "b")


def test_random_points_are_even_over_the_cube():
    search = random_search(objective, SPACE, 300, seed=3)
    rows = search.space.to_unit([e.vector for e in search.evaluations])
    for column in (0, 1):
        assert stats.kstest(rows[:, column], "uniform").pvalue > 0.01
    assert search.fun == min(objective(**search.space.decode(e.vector)) for e in search.evaluations)
    counts = np.bincount([int(e.vector[2]) for e in search.evaluations])[1:]
    assert stats.chisquare(counts).pvalue > 0.01


def test_parameter_search_starts_as_a_search_does_and_finds_more_than_chance():
    found = parameter_search(objective, SPACE, 22, seed=1, n_initial=8, acquisition="EI")
    start = Search(SPACE, seed=1, n_initial=8)
    for evaluation in found.evaluations[:8]:
        assert evaluation.vector == tuple(start.ask_vector()[1])
    by_chance = np.median([random_search(objective, SPACE, 22, seed=seed).fun for seed in range(20)])
    assert found.fun < by_chance
    assert len(found.evaluations) == 22
    assert {e.vector for e in found.evaluations} == {e.vector for e in found.successes}


def test_failed_points_are_told_as_the_worst():
    search = parameter_search(lambda x: np.nan if x > 0.5 else -x, {"x": (0.0, 1.0)}, 9, n_initial=5)
    assert any(e.failed for e in search.evaluations)
    assert search.fun == pytest.approx(-max(e.vector[0] for e in search.successes))
