"""What is drawn of a search is what its reports say, in the units of the space."""

import csv

import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_allclose
from PIL import Image

from hrsnn import optimize, plots, search_plots
from hrsnn.laws import Gamma, Normal, Uniform


@pytest.fixture(scope="module")
def search():
    space = {"tau": Gamma(mean=(5 * ms, 100 * ms), shape=(1, 20)), "k": (0, 1), "rule": ["a", "b"]}
    search = optimize.Search(space, n_initial=8)
    for number in range(10):
        point = search.ask()
        value = np.log(float(point["tau"].mean) / 0.02) ** 2 + 0.5 * (point["rule"] == "b") + 1
        search.tell(point, value if number != 2 else np.nan, message="")
    return search


@pytest.fixture
def axes():
    return plots.figure()[1]


def test_convergence_shows_values_the_best_and_failures(axes, search):
    assert search_plots.convergence(axes, search, "error") is axes
    dots, best, failed = axes.lines[:3]
    values = np.array([e.value for e in search.evaluations])
    assert_allclose(dots.get_xydata(), np.column_stack([np.arange(1, 11), values]))
    assert_allclose(best.get_ydata(), np.fmin.accumulate(values))
    assert failed.get_xdata().tolist() == [3]
    assert axes.get_ylabel() == "error"


@pytest.mark.parametrize(
    "law", [Gamma(20 * ms, 3), Gamma(20 * ms, 1, high=50 * ms), Uniform(5 * ms, 15 * ms)], ids=["gamma", "cut", "flat"]
)
def test_law_is_drawn_as_its_density_in_its_unit(axes, law):
    search_plots.law_before_and_after(axes, Gamma(10 * ms, 2), law, "tau")
    x, y = axes.lines[1].get_xydata().T
    assert_allclose(np.trapezoid(y, x), 1, atol=0.01)  # the tails hold a thousandth
    u = np.array([0.2, 0.5, 0.8])
    places = np.asarray(law.quantile(u) / ms)
    exact = 2e-4 / np.asarray((law.quantile(u + 1e-4) - law.quantile(u - 1e-4)) / ms)
    assert_allclose(np.interp(places, x, y), exact, rtol=0.01)
    assert axes.get_xlabel() == "tau (ms)"


def test_law_without_unit_has_none_in_its_label(axes):
    search_plots.law_before_and_after(axes, Normal(0, 1), Normal(1, 2), "drive")
    assert axes.get_xlabel() == "drive"


def test_length_scales_stand_in_order(axes, search):
    search_plots.length_scales(axes, search)
    names = [text.get_text() for text in axes.get_yticklabels()]
    lengths = optimize.length_scales(search)
    assert names == sorted(lengths, key=lengths.get, reverse=True)
    dots = axes.lines[-1]
    assert_allclose(dots.get_xdata(), [lengths[name] for name in names])


def test_partial_dependence_is_in_units_of_the_objective(axes, search):
    search_plots.partial_dependence(axes, search, "tau.mean", 15)
    means, predicted, _ = optimize.partial_dependence(search, "tau.mean", 15)
    assert_allclose(axes.lines[0].get_xdata(), means / ms)
    assert_allclose(axes.lines[0].get_ydata(), search.warp.inverse(predicted))
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "tau.mean (ms)"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["5", "10", "20", "50", "100"]
    tried = axes.lines[-1].get_xdata()
    assert_allclose(tried, [e.vector[0] * 1e3 for e in search.evaluations])


def test_choices_are_drawn_by_name(axes, search):
    search_plots.partial_dependence(axes, search, "rule")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match="There is no coordinate 'tau'"):
        search_plots.partial_dependence(axes, search, "tau")


def test_report_saves_every_figure_the_table_and_the_code(search, tmp_path):
    paths = search_plots.save_report(search, tmp_path / "report")
    assert {path.name for path in paths} == {
        "convergence.png", "laws.png", "length_scales.png", "partial_dependence.png", "points.csv", "best.py",
    }  # fmt: skip
    for path in paths:
        if path.suffix == ".png":
            assert np.asarray(Image.open(path).convert("L")).std() > 5, path
    with (tmp_path / "report" / "points.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 10
    names = {}
    exec((tmp_path / "report" / "best.py").read_text(), names)
    assert names["tau"] == search.x["tau"]
