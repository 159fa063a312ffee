"""The studies of recurrent pruning: networks of equal size, series, tests; and one end to end."""

import csv
import json

import networkx as nx
import numpy as np
import pytest
from scipy import stats

from hrsnn import metrics, pruning, topology
from hrsnn.lab.cli import main
from hrsnn.lab.runs import list_runs
from hrsnn.studies import _pruning, pruning_ablation, pruning_lnp


def dense(n=60, seed=0):
    graph = topology.distance_dependent(n, seed=seed)
    _pruning.draw_time_constants(graph, seed)
    return graph


def weights(graph):
    return {(u, v): w for u, v, w in graph.edges(data="weight")}


def pruned_with_history(graph):
    pruner = pruning.LyapunovNoisePruning(
        0.15, 0.4, 6, n_steps=20, n_exponents=10, add_edges=False, tune_timescales=False
    )
    return pruner.prune(graph), pruner.history_


def test_networks_carry_time_constants_by_type():
    graph = _pruning.network("HRSNN", 400, 1)
    for kind, mean in (("E", 0.020), ("I", 0.010)):
        tau = np.array([data["tau_m"] for data in graph.nodes.values() if data["type"] == kind])
        assert abs(tau.mean() - mean) < 4 * mean / np.sqrt(3 * len(tau))  # of a gamma law of shape 3
        assert stats.kstest(tau, stats.gamma(3, scale=mean / 3).cdf).pvalue > 0.001
    clusters = _pruning.network("CHRSNN", 40, 1)
    assert {data["cluster"] for data in clusters.nodes.values()} == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="A network is HRSNN or CHRSNN, got 'SNN'"):
        _pruning.network("SNN", 40, 1)


@pytest.mark.parametrize("choice", ["magnitude", "uniform"])
def test_controls_have_the_size_of_the_pruning(choice):
    graph = dense()
    sparse, history = pruned_with_history(graph)
    control = _pruning.thinned_alike(graph, history, choice, seed=0)
    assert len(control) == len(sparse)
    assert 0.75 * sparse.number_of_edges() < control.number_of_edges() < 1.25 * sparse.number_of_edges()
    before, after = weights(graph), weights(control)
    assert set(after) <= set(before)
    if choice == "magnitude":
        assert control.number_of_edges() <= sparse.number_of_edges()
        assert all(after[edge] == before[edge] for edge in after)
        within = [abs(w) for edge, w in before.items() if set(edge) <= set(control)]
        assert np.mean(np.abs(list(after.values()))) > np.mean(within)
    else:
        ratio = [after[edge] / before[edge] for edge in after]
        assert min(ratio) > 1  # rescaled, all alike
        assert np.ptp(ratio) < 1e-9


def test_packed_graphs_return(tmp_path):
    graph = dense()
    sparse, _ = pruned_with_history(graph)
    again = _pruning.unpacked(graph, _pruning.packed(sparse))
    assert dict(again.nodes(data=True)) == dict(sparse.nodes(data=True))
    assert weights(again) == weights(sparse)
    assert list(again) == list(sparse)
    silent = _pruning.uncoupled(sparse)
    assert max(abs(w) for w in weights(silent).values()) < 1e-5
    assert weights(again) == weights(sparse)


def test_series_leave_the_starts_they_can(monkeypatch):
    X = np.linspace(1, 2, 1277)[:, None]
    monkeypatch.setattr(_pruning.datasets, "google_stock", lambda: (X, X))
    stock = _pruning.series("stock", 5000, 10, 50)
    assert len(stock.train) == 1000
    assert stock.tuning[0].shape == (3, 15, 1)
    assert stock.test[1].shape == (6, 15, 1)
    np.testing.assert_array_equal(stock.tuning[0][0], X[1000:1015])
    lorenz = _pruning.series("lorenz", 100, 2, 3)
    assert lorenz.test[1].shape == (3, 150, 3)
    with pytest.raises(ValueError, match="A series is one of lorenz, roessler, stock, wind, got 'sea'"):
        _pruning.series("sea", 100, 2, 3)


def rows_of(values):
    common = {"series": "lorenz", "network": "HRSNN", "n_neurons": 5, "n_synapses": 9, "sops": 10, "rate_hz": 3.0}
    return [
        {**common, "method": method, "seed": seed, "vpt": vpt, "rmse": 1 / vpt}
        for method, own in values.items()
        for seed, vpt in enumerate(own)
    ]


def test_differences_are_paired_by_seed():
    a, b = np.array([5.0, 6, 7, 8, 9.5]), np.array([4.0, 5.5, 6.7, 7.9, 9.3])
    rows = rows_of({"LNP": a, "random": b, "LNP 34": a, "random 34": b})
    (entry,) = pruning_lnp._tests(rows[::-1])
    assert entry["method"] == "random"
    assert entry["vpt_difference"] == pytest.approx((a - b).mean())
    assert entry["vpt_p"] == pytest.approx(2 / 2**5)  # all five differences of one sign, exact
    assert entry["vpt_variance_ratio"] == pytest.approx(a.var() / b.var())
    summary = {row["method"]: row for row in pruning_lnp._summary(rows)}
    assert summary["random"]["vpt_std"] == pytest.approx(b.std(ddof=1))
    assert summary["random"]["n"] == 5


def test_ablation_compares_with_the_whole_method():
    values = {"D": [5.0, 6, 7, 8, 9], "B": [4.5, 5.2, 6.9, 7.7, 8.4]}
    rows = [{**row, "point": row.pop("method"), "steps": ""} for row in rows_of(values)]
    summary = {entry["point"]: entry for entry in pruning_ablation._summary(rows)}
    assert summary["B"]["vpt_p"] == pytest.approx(2 / 2**5)
    assert np.isnan(summary["D"]["vpt_p"])
    steps = pruning_ablation._steps(
        dense(40), dict(keep_synapses=0.3, keep_neurons=0.5, n_iterations=3, n_steps=20, n_exponents=10, seed=0)
    )
    B, C, D, E = (_pruning.unpacked(dense(40), steps[point]) for point in "BCDE")
    assert set(B.edges) < set(C.edges) == set(D.edges)
    assert set(B.edges) == set(E.edges)
    assert weights(C) == weights(D)
    taus = [nx.get_node_attributes(graph, "tau_m") for graph in (B, C, D, E)]
    assert taus[0] == taus[1] != taus[2]
    assert len(steps["I"]["nodes"]) == 40
    assert len(steps["II"]["nodes"]) == len(B)


@pytest.mark.slow
@pytest.mark.cpp
def test_pruning_lnp_end_to_end(tmp_path):
    """The numbers of a quick run, recomputed: synaptic operations of one network, the paired test from the table."""
    settings = ["seeds=0, 1", "--folder", str(tmp_path)]
    assert main(["run", "pruning_lnp", "--quick", *settings]) == 0
    run = list_runs(tmp_path / "pruning_lnp")[-1]
    with (run.folder / "tables" / "networks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["unpruned", "LNP", "activity", "random"] * 2
    sizes = {row["n_neurons"] for row in rows if row["method"] != "unpruned"}
    assert len(sizes) == 1
    own = {row["method"]: [float(r["vpt"]) for r in rows if r["method"] == row["method"]] for row in rows}
    assert run.metrics["vpt_HRSNN_LNP_minus_random"] == pytest.approx(np.mean(own["LNP"]) - np.mean(own["random"]))
    model = _pruning.Spiking(_pruning.reservoir(_pruning.network("HRSNN", 60, 0), 3, 0, 0.12, "auto"))
    data = _pruning.series("lorenz", 400, 2, 3)
    model.respond(data.train)
    graph = model.reservoir.graph
    spikes = model.forecaster.response_.i
    assert float(rows[0]["sops"]) == sum(graph.out_degree(int(i)) for i in spikes)
    assert float(rows[0]["sops"]) == metrics.sops(np.bincount(spikes, minlength=60), [d for _, d in graph.out_degree])
    assert {path.stem for path in run.folder.glob("figures/*.png")} == {"sizes", "methods"}
    assert json.loads((run.folder / "metrics.json").read_text())["sops_ratio_HRSNN"] > 1
