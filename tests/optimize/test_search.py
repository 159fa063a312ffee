"""Ask and tell: determinism, batches, noise, failures, the warp; the search finds known optima."""

import math
import time

import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_allclose
from scipy import stats

from hrsnn.laws import Gamma
from hrsnn.optimize import Search, Space, wasserstein
from hrsnn.optimize.warp import Warp

SPACE = {"tau": Gamma(mean=(5 * ms, 100 * ms), shape=(1, 20)), "lambda_": (1, 6)}
TARGET = Gamma(20 * ms, 3)


def objective(tau, lambda_):
    return float(wasserstein(tau, TARGET) / (20 * ms)) ** 2 + (lambda_ - 3) ** 2 / 9


def run(search, n):
    for _ in range(n):
        point = search.ask()
        search.tell(point, objective(**point))
    return search


def test_search_finds_the_law_it_is_asked_for():
    search = run(Search(SPACE, seed=1), 25)
    rng, space = np.random.default_rng(1), Search(SPACE).space
    by_chance = [min(objective(**space.decode(v)) for v in space.from_unit(rng.random((25, 3)))) for _ in range(20)]
    assert search.fun < 0.2 * np.median(by_chance)
    assert wasserstein(search.x["tau"], TARGET) < 4 * ms
    assert abs(search.x["lambda_"] - 3) < 0.5


def test_points_depend_on_the_seed_and_the_values_told_alone():
    whole = run(Search(SPACE, seed=3, n_initial=5), 9)
    half = run(Search(SPACE, seed=3, n_initial=5), 7)
    again = Search(SPACE, seed=3, n_initial=5)
    for evaluation in half.evaluations:
        again.record(evaluation)
    assert [e.vector for e in run(again, 2).evaluations] == [e.vector for e in whole.evaluations]
    other = run(Search(SPACE, seed=4, n_initial=5), 5)
    assert not {e.vector for e in other.evaluations} & {e.vector for e in whole.evaluations}


def test_first_points_are_tried_first():
    published = {"tau": Gamma(20 * ms, 3), "lambda_": 3.0}
    search = Search(SPACE, first=[published], n_initial=4)
    point = search.ask()
    assert point == published
    assert len({tuple(search.ask_vector()[1]) for _ in range(3)}) == 3  # the rest of the design
    with pytest.raises(ValueError, match="lambda_ is searched from 1 to 6"):
        Search(SPACE, first=[published | {"lambda_": 9}])


@pytest.mark.parametrize("batch", ["believer", "liar"])
def test_points_of_a_batch_differ(batch):
    search = run(Search(SPACE, seed=0, n_initial=6, batch=batch), 8)
    points = [search.ask() for _ in range(4)]
    rows = search.space.to_unit([search.space.encode(point) for point in points])
    gaps = np.linalg.norm(rows[:, None] - rows, axis=2)[np.triu_indices(4, 1)]
    assert gaps.min() > 1e-3  # of the unit cube: nothing is evaluated twice
    assert search.n_pending == 4
    for point in points:
        search.tell(point, objective(**point))
    assert search.n_pending == 0
    assert [e.number for e in search.evaluations] == list(range(12))


def test_told_values_may_come_in_any_order_and_from_outside():
    search = Search(SPACE, n_initial=3)
    points = [search.ask() for _ in range(3)]
    search.tell(points[2], 2.0)
    search.tell(points[0], 0.5)
    outside = {"tau": Gamma(30 * ms, 5), "lambda_": 2.0}
    search.tell(outside, 0.1)
    assert [(e.number, e.value) for e in search.evaluations] == [(0, 0.5), (2, 2.0), (3, 0.1)]
    assert search.x == outside
    assert search.fun == 0.1


def test_failures_are_recorded_and_avoided():
    search = Search({"x": (0, 1)}, n_initial=6)
    for _ in range(16):
        point = search.ask()
        if point["x"] > 0.6:
            search.tell(point, math.nan, message="too large")
        else:
            search.tell(point, -point["x"])
    failures = [e for e in search.evaluations if e.failed]
    assert failures
    assert all(e.message == "too large" for e in failures)
    later = search.evaluations[6:]
    assert sum(e.failed for e in later) < len(later) / 2
    assert 0.5 < search.x["x"] <= 0.6


def test_search_goes_on_when_all_fails():
    search = Search({"x": (0, 1)}, n_initial=2)
    for _ in range(4):
        search.tell(search.ask(), math.inf)
    assert [e.message for e in search.evaluations] == ["the objective returned inf"] * 4
    with pytest.raises(ValueError, match="The search has no value yet"):
        search.fun  # noqa: B018


def test_noisy_values_are_smoothed_by_their_variance():
    """Values of large variance must not draw the prediction; the same values without variance must."""
    predictions = {}
    for variance in (0.0, 4.0):
        search = Search({"x": (0, 1)}, n_initial=2)
        for x in np.linspace(0, 1, 9):
            search.tell({"x": float(x)}, float((x - 0.3) ** 2))
        for x in np.linspace(0.79, 0.81, 5):
            search.tell({"x": float(x)}, -1.0, variance=variance)
        model, row = search.model(), search.space.to_unit([[0.8]])
        predictions[variance] = search.warp.inverse(model.predict(row))[0]
    assert predictions[0.0] < -0.4
    assert abs(predictions[4.0] - 0.25) < 0.15


def test_warp_is_monotone_and_inverts():
    values = np.concatenate([np.linspace(0, 1, 30), [500.0]])
    warp = Warp.fit(values)
    assert_allclose(warp(values).mean(), 0, atol=1e-12)
    assert_allclose(warp(values).std(), 1)
    assert (np.diff(warp(values)) > 0).all()
    assert_allclose(warp.inverse(warp(values)), values, rtol=1e-9, atol=1e-12)
    assert_allclose(warp.slope(values[:-1]), (warp(values[:-1] + 1e-6) - warp(values[:-1] - 1e-6)) / 2e-6, rtol=1e-6)
    assert Warp.fit(np.ones(5))(np.ones(5)).tolist() == [0] * 5


@pytest.mark.filterwarnings("ignore::hrsnn.optimize.IndefiniteKernelWarning")  # what the metric is flagged for
def test_sinkhorn_search_runs():
    search = Search({"tau": Gamma(mean=(5 * ms, 100 * ms), shape=3)}, n_initial=4, metric="sinkhorn")
    for _ in range(5):
        point = search.ask()
        search.tell(point, float(wasserstein(point["tau"], TARGET) / ms))
    model = search.model()
    assert model.kernel_.get_params()["k1__k2__metric"] == "sinkhorn"
    rows = search.space.to_unit([e.vector for e in search.evaluations])
    values = [e.value for e in search.evaluations]
    assert stats.spearmanr(model.predict(rows), values).statistic > 0.8


def test_asking_takes_under_a_second_at_100_points_in_8_laws():
    space = Space({f"tau_{k}": Gamma(mean=(5 * ms, 100 * ms), shape=(1, 20)) for k in range(8)})
    search, rng = Search(space), np.random.default_rng(0)
    for vector in space.from_unit(rng.random((100, 16))):
        search.tell(space.decode(vector), float(np.sum(np.log(vector[::2] / 0.02) ** 2)))
    search.ask()  # the candidates are embedded once
    start = time.process_time()
    search.tell(search.ask(), 1.0)
    assert time.process_time() - start < 1.0


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"metric": "euclid"}, "metric must be one of 'auto', 'quantile', .* got 'euclid'"),
        ({"batch": "none"}, "batch must be one of 'believer', 'liar', got 'none'"),
        ({"nu": 2}, "nu must be one of 0.5, 1.5, 2.5, got 2"),
        ({"n_initial": 1}, "n_initial must be an integer of at least 2, got 1"),
    ],
)
def test_bad_searches_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        Search(SPACE, **arguments)


def test_bad_variance_is_refused():
    search = Search(SPACE)
    with pytest.raises(ValueError, match="variance must be at least 0, got -1"):
        search.tell(search.ask(), 1.0, variance=-1)
