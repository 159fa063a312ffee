"""Reports: numbers that follow from the evaluations, and code that pastes."""

import csv

import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_allclose

from hrsnn.laws import Gamma
from hrsnn.optimize import (
    Search,
    convergence,
    laws_before_and_after,
    length_scales,
    partial_dependence,
    paste,
    write_csv,
)


@pytest.fixture(scope="module")
def search():
    search = Search({"tau": Gamma(mean=(5 * ms, 100 * ms), shape=3), "k": (0, 1), "rule": ["a", "b"]}, n_initial=12)
    for _ in range(16):
        point = search.ask()
        value = np.log(float(point["tau"].mean) / 0.02) ** 2 + 0.5 * (point["rule"] == "b")
        search.tell(point, value if search.n_pending + len(search.evaluations) != 3 else np.nan, message="")
    return search


def test_convergence_is_the_running_minimum(search):
    values = [np.inf if e.failed else e.value for e in search.evaluations]
    assert sum(e.failed for e in search.evaluations) == 1
    assert_allclose(convergence(search), [min(values[: i + 1]) for i in range(len(values))])


def test_shortest_length_belongs_to_what_matters(search):
    lengths = length_scales(search)
    assert list(lengths) == ["tau", "k", "rule"]
    assert lengths["tau"] < lengths["k"]


def test_partial_dependence_has_its_minimum_at_the_optimum(search):
    means, predicted, std = partial_dependence(search, "tau.mean", 21)
    assert 14 * ms < means[np.argmin(predicted)] < 28 * ms
    assert (std > 0).all()
    rules, predicted, _ = partial_dependence(search, "rule")
    assert rules == ["a", "b"]
    assert predicted[0] < predicted[1]
    with pytest.raises(ValueError, match=r"There is no coordinate 'tau'. The coordinates are: tau.mean, k, rule"):
        partial_dependence(search, "tau")


def test_table_holds_every_point(search, tmp_path):
    write_csv(search, tmp_path / "points.csv")
    with (tmp_path / "points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    for row, e in zip(rows, search.evaluations, strict=True):
        assert tuple(float(row[name]) for name in ("tau.mean", "k", "rule")) == e.vector
        assert_allclose(float(row["value"]), e.value)
    assert rows[2]["message"] == "the objective returned nan"


def test_best_point_is_code_to_paste(search):
    names = {}
    exec(paste(search), names)
    assert {name: names[name] for name in ("tau", "k", "rule")} == search.x


def test_laws_before_and_after(search):
    before, after = laws_before_and_after(search)["tau"]
    assert before == search.space.decode(search.evaluations[0].vector)["tau"]
    assert after == search.x["tau"]
    assert list(laws_before_and_after(search)) == ["tau"]
