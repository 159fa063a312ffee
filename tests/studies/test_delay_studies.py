"""The studies of delays on small networks: the tables hold what the question asks."""

import csv

import numpy as np
import pytest

from hrsnn.lab.studies import list_studies
from hrsnn.studies import delays

pytestmark = [pytest.mark.slow, pytest.mark.cpp]


def rows(run, name):
    with (run.folder / "tables" / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_delays_hold_five_times_what_neurons_alone_hold(tmp_path):
    changes = dict(sizes=[100], n_steps=1200, n_narma=600, tau_max=40, quadratic_max=3, narma_span="1000 ms")
    run = list_studies()["memory_capacity"](folder=tmp_path, quick=True, **changes)
    found = {row["network"]: row for row in rows(run, "means")}
    assert list(found) == list(delays.NETWORKS)
    capacity = {name: float(row["capacity"]) for name, row in found.items()}
    assert capacity["delays"] > 5 * capacity["uncoupled"] > 5
    assert capacity["echo state"] > capacity["delays"]
    assert all(0 < float(row["narma10"]) < 2 for row in found.values())
    assert run.metrics["capacity_delays"] == pytest.approx(capacity["delays"])


def test_narma_error_is_that_of_the_best_states():
    rng = np.random.default_rng(0)
    y = rng.random(400)
    good, bad = np.stack([y + 0.1 * rng.standard_normal(400), rng.random(400)], axis=1), rng.random((400, 2))
    error = delays.narma_error([bad, good], y, (1e-6,))
    slope = y.var() / (y.var() + 0.01)  # shrinks the noisy value to the mean
    assert error == pytest.approx(np.sqrt(1 - slope), rel=0.15)  # 100 test steps
