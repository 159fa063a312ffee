"""The studies of the search: benchmark functions against quadrature, small runs end to end with their numbers."""

import csv
import itertools

import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_allclose
from PIL import Image
from scipy import integrate, optimize, stats

from hrsnn.lab.cli import main
from hrsnn.lab.runs import list_runs
from hrsnn.laws import Gamma, LogNormal, Normal
from hrsnn.optimize import Space, wasserstein
from hrsnn.studies import _law_functions as functions
from hrsnn.studies import _search

FEATURES = {"tau_m", "v_thresh", "A_plus", "A_minus", "tau_plus", "tau_minus"}
RNG = np.random.default_rng(0)


def some_gammas():
    return [Gamma(float(RNG.uniform(5, 100)), float(RNG.uniform(1, 20))) for _ in range(3)]


def named(laws):
    return {f"p{k}": law for k, law in enumerate(laws)}


def density(law):
    mean, shape = law.arguments["mean"], law.arguments["shape"]
    return stats.gamma(shape, scale=mean / shape)


def mean_of(law, f):
    frozen = density(law)
    return integrate.quad(lambda x: f(x) * frozen.pdf(x), 0, np.inf, limit=500)[0]


@pytest.mark.parametrize("name", [name for name, f in functions.FUNCTIONS.items() if f.lowest == 0])
def test_lowest_value_is_reached_and_not_passed(name):
    space, function, _ = functions.FUNCTIONS[name]
    rng, box = np.random.default_rng(1), Space(space)

    def at(row):
        return function(**box.decode(box.from_unit(row)[0]))

    start = min(rng.random((300, len(box.coordinates))), key=at)
    options = {"maxfev": 6000, "maxiter": 6000}
    found = optimize.minimize(at, start, method="Nelder-Mead", bounds=[(0, 1)] * len(start), options=options).fun
    assert -1e-12 <= found < 0.02 * at(start)


def test_lowest_value_of_ripples_is_that_of_each_law():
    _, function, lowest = functions.FUNCTIONS["ripples"]
    grid = [function(p=Gamma(m, k)) for m in np.linspace(5, 100, 191) for k in np.linspace(1, 20, 20)]
    refined = optimize.minimize_scalar(lambda m: function(p=Gamma(m, 20)), bounds=(36, 44), method="bounded").fun
    assert_allclose(lowest, 3 * refined, atol=1e-6)
    assert lowest / 3 <= min(grid) < lowest / 3 + 0.01


def test_transport_is_w2_to_its_goals():
    laws = [Normal(20.0, 5.0), Normal(60.0, 9.0), Normal(80.0, 25.0)]
    goals = [Normal(30.0, 10.0), Normal(70.0, 4.0), Normal(50.0, 20.0)]
    expected = np.sum(wasserstein(laws, goals) ** 2 / np.array([10.0, 4.0, 20.0]) ** 2)
    assert_allclose(functions.transport(**named(laws)), expected, rtol=1e-3)  # 64 nodes


def test_divergence_is_the_integral():
    laws = some_gammas()
    expected = 0.0
    for law, goal in zip(laws, [(20.0, 3.0), (40.0, 8.0), (12.0, 2.0)], strict=True):
        p, q = density(law), density(Gamma(*goal))
        expected += mean_of(law, lambda x, p=p, q=q: p.logpdf(x) - q.logpdf(x))
    assert_allclose(functions.divergence(**named(laws)), expected, rtol=1e-6)


def test_forgetting_tails_and_ripples_are_means_over_the_laws():
    laws = some_gammas()
    t = np.geomspace(0.05, 20, 12)
    goals = [(1 + t) ** -1.0, (1 + t) ** -2.0, (1 + t / 2) ** -4.0]
    curves = [[mean_of(law, lambda x, s=s: np.exp(-x / 20 * s)) for s in t] for law in laws]
    expected = sum(np.mean((np.array(c) - g) ** 2) for c, g in zip(curves, goals, strict=True))
    assert_allclose(functions.forgetting(**named(laws)), expected, rtol=1e-5)
    pairs = zip(laws, [Gamma(20.0, 3.0), Gamma(50.0, 5.0), Gamma(35.0, 1.5)], strict=True)
    expected = sum((density(p).sf(x) - density(q).sf(x)) ** 2 for p, q in pairs for x in (15, 60))
    assert_allclose(functions.tails(**named(laws)), expected, rtol=1e-9)
    expected = sum(mean_of(law, lambda x: ((x - 40) / 20) ** 2 + 1 - np.cos((x - 40) / 5)) for law in laws)
    assert_allclose(functions.ripples(**named(laws)), expected, rtol=1e-5)


def test_valley_is_zero_at_its_bottom_alone():
    means = 20 * np.exp([0, 0.4, 0.8])
    bottom = [LogNormal(m, m * v) for m, v in zip(means, 0.5 + 0.25 * np.array([0.8, 0, 0.4]), strict=True)]
    assert_allclose(functions.valley(**named(bottom)), 0, atol=1e-12)
    assert functions.valley(**named([LogNormal(m, 0.5 * m) for m in means])) > 0.1


def test_objectives_are_minimised_measures(monkeypatch):
    monkeypatch.setitem(_search.OBJECTIVES, "capacity", (lambda laws, setting, seed: {"capacity": 2.0 + seed}, -1))
    setting = _search.Setting()
    assert _search.Objective("capacity", setting)(seed=1) == -3.0
    assert _search.mean_of_draws("capacity", setting, 3)() == -3.0


def test_space_holds_the_first_laws_and_keeps_means_without_dispersion():
    space = Space(_search.SPACE)
    assert space.decode(space.encode(_search.FIRST)) == _search.FIRST
    still = _search.without_dispersion(_search.FIRST)
    for name, law in still.items():
        assert_allclose(float(law.std / law.mean), 1e-3, rtol=1e-2)
        assert law.arguments["mean"] == _search.FIRST[name].arguments["mean"]


def study(folder, name, *arguments):
    assert main(["run", name, "--quick", *arguments, "--folder", str(folder)]) == 0
    return list_runs(folder / name)[-1]


def table(run, name):
    with (run.folder / "tables" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def drawn(run):
    for path in run.folder.glob("figures/*.png"):
        assert np.asarray(Image.open(path).convert("L")).std() > 5, path
    return {path.stem for path in run.folder.glob("figures/*.png")}


def test_baselines_count_who_is_ahead(tmp_path):
    run = study(tmp_path, "search_baselines", "reservoirs=", "functions=divergence")
    (row,) = table(run, "best_values")
    assert row["problem"] == "divergence"
    assert run.metrics["best_Wasserstein_divergence"] == float(row["best Wasserstein"]) > 0
    ahead = run.metrics["problems_ahead_of_random"]
    assert ahead == (float(row["best Wasserstein"]) < float(row["best random"]))
    assert drawn(run) == {"convergence"}
    assert len(list(run.folder.glob("cached/*.npz"))) == 2 * 4  # seeds and methods: a resumed run reads them


def fake_memory(laws, setting, seed):
    """Capacity that the dispersion of tau_m raises, spikes that the dispersion of A_plus and tau_plus lowers."""
    variation = {name: float(law.arguments["shape"]) ** -0.5 for name, law in laws.items()}
    spikes = 10 - 4 * variation.get("A_plus", 0) - 3 * variation.get("tau_plus", 0)
    capacity = 1 + 2 * variation["tau_m"] + 0.01 * seed
    return {"capacity": capacity, "spikes": spikes, "efficiency": capacity / spikes}


def test_importance_finds_what_was_put_in(tmp_path, monkeypatch):
    monkeypatch.setattr(_search, "memory", fake_memory)
    run = study(tmp_path, "importance", "n_points=80")
    m = run.metrics
    assert m["r2_capacity"] > 0.7
    assert m["sage_capacity_tau_m"] > 0.7
    assert m["sage_spikes_A_plus"] > m["sage_spikes_tau_plus"] > 0.1
    for target, causes in {"capacity": {"tau_m"}, "spikes": {"A_plus", "tau_plus"}}.items():
        for name in FEATURES - causes:
            assert abs(m[f"sage_{target}_{name}"]) < 0.1
        assert_allclose(sum(m[f"sage_{target}_{name}"] for name in FEATURES), m[f"r2_{target}"])
    assert drawn(run) == {"sage"}


def test_search_resumes_and_writes_the_best_laws_as_code(tmp_path, monkeypatch):
    calls = itertools.count()

    def fake(laws, setting, seed):
        next(calls)
        return fake_memory(laws, setting, seed)

    monkeypatch.setitem(_search.OBJECTIVES, "capacity", (fake_memory, -1))
    monkeypatch.setitem(_search.TASKS, "memory", fake)
    run = study(tmp_path, "search", "n_calls=7")
    names = {}
    exec(run.metrics["best_capacity"], names)
    assert {name: names[name] for name in _search.SPACE}.keys() == _search.SPACE.keys()
    assert isinstance(names["tau_m"], Gamma)
    rows = {row["laws"]: row for row in table(run, "measures")}
    assert list(rows) == ["first", "homogeneous", "capacity"]
    assert (
        float(rows["homogeneous"]["capacity"]) < float(rows["first"]["capacity"]) <= float(rows["capacity"]["capacity"])
    )
    assert (run.folder / "searches" / "capacity" / "search.sqlite").is_file()
    assert {"capacity_convergence", "capacity_laws", "measures_against_spikes"} <= drawn(run)
    assert next(calls) == 3


@pytest.mark.cpp
@pytest.mark.slow
def test_reservoir_of_known_laws_has_memory_and_spikes():
    measured = _search.memory({"tau_m": Gamma(30 * ms, 3, low=3 * ms)}, _search.Setting(n_memory=600), seed=0)
    assert 0.5 < measured["capacity"] < 10
    assert 1 < measured["spikes"] < 200
    assert measured["efficiency"] == measured["capacity"] / measured["spikes"]
