"""Lyapunov noise pruning as a whole."""

import sys

import networkx as nx
import numpy as np
import pytest
from brian2 import ms

from hrsnn.pruning import LyapunovNoisePruning, lyapunov_noise_pruning
from hrsnn.pruning.betweenness import edge_list_betweenness

QUICK = {"n_iterations": 8, "n_steps": 20, "n_exponents": 10, "keep_synapses": 0.2, "keep_neurons": 0.5}


def contents(graph):
    return dict(graph.nodes(data=True)), {(u, v): d for u, v, d in graph.edges(data=True)}


def test_sizes_follow_the_schedule(network):
    pruning = LyapunovNoisePruning(add_edges=False, tune_timescales=False, **QUICK)
    graphs = list(pruning.iterate(network))
    assert len(graphs) == 8
    assert [h["iteration"] for h in pruning.history_] == list(range(9))
    assert [h["n_neurons"] for h in pruning.history_] == [60] + [g.number_of_nodes() for g in graphs]
    assert [h["n_synapses"] for h in pruning.history_[1:]] == [g.number_of_edges() for g in graphs]
    m = network.number_of_edges()
    for t, graph in enumerate(graphs, start=1):
        assert graph.number_of_nodes() <= round(60 * 0.5 ** (t / 8))
        goal = m * 0.2 ** (t / 8)
        assert 0.75 * goal < graph.number_of_edges() < 1.25 * goal  # five standard deviations of the draw at the end
        assert set(graph) <= set(network)
        assert set(graph.edges) <= set(network.edges)


def test_schedule_of_sampled_synapses(network):
    """Step I keeps its own fraction whatever goes with the neurons, so far fewer synapses remain in the end."""
    options = {**QUICK, "keep_synapses": 0.3, "add_edges": False, "tune_timescales": False}
    pruning = LyapunovNoisePruning(schedule="sampled", **options)
    pruning.prune(network)
    sizes = [h["n_synapses"] for h in pruning.history_]
    sampled = np.array([h["n_sampled"] for h in pruning.history_[1:]])
    expected = np.array(sizes[:-1]) * (1 - 0.3 ** (1 / 8))
    assert np.all(np.abs(sampled - expected) < 5 * np.sqrt(expected))
    assert sizes[-1] < 0.6 * 0.3 * sizes[0]


def test_step_one_rests_where_neurons_take_enough(network):
    options = {**QUICK, "keep_synapses": 0.9, "add_edges": False, "tune_timescales": False}
    pruning = LyapunovNoisePruning(**options)
    pruned = pruning.prune(network)
    assert [h["n_sampled"] for h in pruning.history_[2:]] == [0] * 7
    assert contents(pruned) == contents(network.subgraph(pruned))


def test_original_and_attributes_are_untouched(network):
    before = contents(network.copy())
    pruned = LyapunovNoisePruning(add_edges=False, tune_timescales=False, **QUICK).prune(network)
    assert contents(network) == before
    assert all(pruned.nodes[v] == network.nodes[v] for v in pruned)
    for u, v, data in pruned.edges(data=True):
        assert data["delay"] == network.edges[u, v]["delay"]
        assert np.sign(data["weight"]) == np.sign(network.edges[u, v]["weight"])
        assert abs(data["weight"]) >= abs(network.edges[u, v]["weight"])


def test_rescaled_weights_stay_below_the_cap(network):
    largest = max(abs(w) for *_, w in network.edges(data="weight"))
    pruned = LyapunovNoisePruning(add_edges=False, tune_timescales=False, **{**QUICK, "keep_synapses": 0.03}).prune(
        network
    )
    assert max(abs(w) for *_, w in pruned.edges(data="weight")) <= 5 * largest


def test_switches_run_single_steps(network):
    steps = ("prune_synapses", "prune_neurons", "add_edges", "tune_timescales")

    def run(*on, **options):
        pruning = LyapunovNoisePruning(**{**QUICK, **{step: step in on for step in steps}, **options})
        return pruning.prune(network), pruning.history_

    synapses, _ = run("prune_synapses")
    assert synapses.number_of_nodes() == 60
    assert synapses.number_of_edges() < 0.3 * network.number_of_edges()
    neurons, _ = run("prune_neurons", rescale=False)
    assert neurons.number_of_nodes() <= 30
    assert contents(neurons) == contents(network.subgraph(neurons))
    grown, history = run("prune_neurons", "add_edges")
    assert history[-1]["step"] == "delocalize"
    assert grown.number_of_edges() == history[-2]["n_synapses"] + round(0.01 * history[-2]["n_synapses"])
    tuned, history = run("prune_neurons", "tune_timescales", optimizer=fixed_laws)
    assert history[-1]["step"] == "timescales"
    assert history[-1]["laws"]["excitatory"] == {"mean": 0.03, "shape": 9.0}
    assert set(tuned.edges) == set(neurons.edges)
    assert any(tuned.nodes[v]["tau_m"] != network.nodes[v]["tau_m"] for v in tuned)
    nothing, history = run()
    assert contents(nothing) == contents(network)
    assert len(history) == 6  # stops after five idle iterations


def fixed_laws(objective, space, n_calls, seed):
    class Result:
        x = {kind: {"mean": 0.03, "shape": 9.0} for kind in space}  # noqa: RUF012
        fun = -1.0

    return Result


@pytest.mark.parametrize("diagonal", ["original", "matched"])
def test_diagonal(network, diagonal):
    pruning = LyapunovNoisePruning(diagonal=diagonal, add_edges=False, tune_timescales=False, **QUICK)
    pruned = pruning.prune(network)
    changed = [pruned.nodes[v]["tau_m"] != network.nodes[v]["tau_m"] for v in pruned]
    assert any(changed) == (diagonal == "matched")
    assert all(0.002 <= pruned.nodes[v]["tau_m"] <= 0.1 for v in pruned)
    recorded = pruning.history_[-1]["tau_m_excitatory"]["mean"]
    inhibitory = {u for u, _, w in pruned.edges(data="weight") if w < 0}
    assert recorded == pytest.approx(np.mean([pruned.nodes[v]["tau_m"] for v in pruned if v not in inhibitory]))


def test_matched_diagonal_keeps_units(network):
    for v in network:
        network.nodes[v]["tau_m"] = network.nodes[v]["tau_m"] * 1000 * ms
    pruned = LyapunovNoisePruning(diagonal="matched", add_edges=False, tune_timescales=False, **QUICK).prune(network)
    assert all(0.002 <= float(pruned.nodes[v]["tau_m"] / (1000 * ms)) <= 0.1 for v in pruned)


def test_record_counts_synaptic_operations(network):
    pruning = LyapunovNoisePruning(
        add_edges=False, tune_timescales=False, network={"noise": 0.0, "gain": 0.01}, **QUICK
    )
    pruning.prune(network)
    for entry in pruning.history_:  # without noise all neurons fire at the operating point, 15 Hz
        assert entry["sops"] == pytest.approx(15 * entry["n_synapses"], rel=1e-6)
    first = pruning.history_[0]
    weights = np.array([w for *_, w in network.edges(data="weight") if w > 0])
    assert first["weight_excitatory"] == pytest.approx(
        {"mean": weights.mean(), "shape": weights.mean() ** 2 / weights.var()}
    )
    assert len(first["exponents"]) == 10


def test_same_seed_same_result(network):
    a, b, c = (LyapunovNoisePruning(seed=s, tune_timescales=False, **QUICK).prune(network) for s in (1, 1, 2))
    assert contents(a) == contents(b) != contents(c)


def test_numbering_of_the_nodes_does_not_matter_for_names(network):
    named = nx.relabel_nodes(network, {v: f"n{v}" for v in network})
    a = LyapunovNoisePruning(tune_timescales=False, **QUICK).prune(network)
    b = LyapunovNoisePruning(tune_timescales=False, **QUICK).prune(named)
    assert {f"n{v}" for v in a} == set(b)
    assert {(f"n{u}", f"n{v}"): w for u, v, w in a.edges(data="weight")} == {
        (u, v): w for u, v, w in b.edges(data="weight")
    }


@pytest.mark.parametrize("n_done", [1, 5, 8])
def test_interrupted_and_resumed_is_the_same(network, tmp_path, n_done):
    options = {"tune_timescales": False, "diagonal": "matched", **QUICK}
    whole = LyapunovNoisePruning(**options)
    expected = list(whole.iterate(network))
    file = tmp_path / "pruning.npz"
    steps = LyapunovNoisePruning(**options).iterate(network, checkpoint=file)
    for _ in range(n_done):
        next(steps)
    steps.close()  # as an interruption between two iterations does
    resumed = LyapunovNoisePruning(**options)
    rest = list(resumed.iterate(network, checkpoint=file))
    assert len(rest) == 9 - n_done
    assert [contents(g) for g in rest] == [contents(g) for g in expected[n_done:]]
    assert resumed.history_ == whole.history_
    assert not list(tmp_path.glob("*.part"))


def test_an_interrupt_inside_an_iteration_costs_that_iteration_alone(network, tmp_path, monkeypatch):
    options = {"tune_timescales": False, **QUICK}
    expected = contents(LyapunovNoisePruning(**options).prune(network))
    calls = []

    def interrupted(*args, **kwargs):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt("stop")
        return edge_list_betweenness(*args, **kwargs)

    monkeypatch.setattr(sys.modules[LyapunovNoisePruning.__module__], "edge_list_betweenness", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        LyapunovNoisePruning(**options).prune(network, checkpoint=tmp_path / "c.npz")
    assert contents(LyapunovNoisePruning(**options).prune(network, checkpoint=tmp_path / "c.npz")) == expected
    assert len(calls) == 4 + 5  # iterations 4 to 8 again


def test_checkpoint_of_another_run_is_refused(network, tmp_path):
    file = tmp_path / "pruning.npz"
    next(LyapunovNoisePruning(seed=1, **QUICK).iterate(network, checkpoint=file))
    with pytest.raises(ValueError, match=r"pruning\.npz belongs to another pruning: seed differ"):
        next(LyapunovNoisePruning(seed=2, **QUICK).iterate(network, checkpoint=file))
    network.edges[next(iter(network.edges))]["weight"] *= 2
    with pytest.raises(ValueError, match="belongs to another pruning: graph differ"):
        next(LyapunovNoisePruning(seed=1, **QUICK).iterate(network, checkpoint=file))
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="is not a readable pruning checkpoint"):
        next(LyapunovNoisePruning(seed=1, **QUICK).iterate(network, checkpoint=file))
    file.write_text("nonsense")
    with pytest.raises(ValueError, match="is not a readable pruning checkpoint"):
        next(LyapunovNoisePruning(seed=1, **QUICK).iterate(network, checkpoint=file))


def test_input_and_readout_survive(network):
    quick = {**QUICK, "keep_neurons": 0.1}
    plain = LyapunovNoisePruning(add_edges=False, tune_timescales=False, **quick).prune(network)
    lost = sorted(set(network) - set(plain))[:2]
    kept = LyapunovNoisePruning(
        inputs=lost[:1], readouts=lost[1:], add_edges=False, tune_timescales=False, **quick
    ).prune(network)
    assert set(lost) <= set(kept)


@pytest.mark.parametrize("case", ["inhibitory", "excitatory", "disconnected", "acyclic", "strong"])
def test_unusual_networks(make_network, case):
    graph = make_network(n=40, density=0.2)
    if case == "disconnected":
        graph = nx.disjoint_union(graph, make_network(n=30, density=0.3, seed=1))
    for u, v, data in list(graph.edges(data=True)):
        if case == "inhibitory":
            data["weight"] = -abs(data["weight"])
        elif case == "excitatory":
            data["weight"] = abs(data["weight"])
        elif case == "acyclic" and u > v:
            graph.remove_edge(u, v)
    network = {"gain": 50.0} if case == "strong" else None  # an unstable operating point has positive exponents
    pruning = LyapunovNoisePruning(network=network, tune_timescales=False, **QUICK)
    pruned = pruning.prune(graph)
    assert 0 < pruned.number_of_edges() < 0.5 * graph.number_of_edges()
    assert all(np.isfinite(w) for *_, w in pruned.edges(data="weight"))
    assert all(np.isfinite(h["exponents"]).all() for h in pruning.history_)


def test_a_bipartite_network_keeps_inputs_and_neurons():
    """The graph of a classifier: all edges run from inputs to neurons, no node lies between others."""
    rng = np.random.default_rng(0)
    graph = nx.DiGraph()
    graph.add_edges_from(
        ((f"x{i}", f"e{j}", {"weight": float(rng.uniform())}) for i in range(30) for j in range(10)), kind="input"
    )
    inputs, readouts = [f"x{i}" for i in range(30)], [f"e{j}" for j in range(10)]
    pruned = LyapunovNoisePruning(inputs=inputs, readouts=readouts, tune_timescales=False, **QUICK).prune(graph)
    assert set(inputs) & set(pruned)
    assert set(readouts) & set(pruned)
    assert pruned.number_of_edges() > 0


def test_stops_before_the_last_synapse_is_gone():
    graph = nx.DiGraph()
    graph.add_edges_from([(0, 1), (1, 0)], weight=1.0)
    pruned = LyapunovNoisePruning(keep_neurons=0.01, n_iterations=5, n_steps=20, tune_timescales=False).prune(graph)
    assert pruned.number_of_edges() >= 1


def test_function_is_the_class(network):
    options = {k: v for k, v in QUICK.items() if not k.startswith("keep")}
    a = lyapunov_noise_pruning(network, keep=0.2, keep_neurons=0.5, seed=3, tune_timescales=False, **options)
    b = LyapunovNoisePruning(seed=3, tune_timescales=False, **QUICK).prune(network)
    assert contents(a) == contents(b)


def test_repr_shows_what_was_set():
    assert repr(LyapunovNoisePruning(keep_neurons=0.1, strength="weight")) == (
        "LyapunovNoisePruning(keep_neurons=0.1, strength='weight')"
    )


def test_errors(network):
    with pytest.raises(ValueError, match=r"keep_synapses must be in \(0, 1\], got 0"):
        LyapunovNoisePruning(keep_synapses=0)
    with pytest.raises(ValueError, match=r"keep_neurons must be in \(0, 1\], got 2"):
        LyapunovNoisePruning(keep_neurons=2)
    with pytest.raises(ValueError, match="n_iterations must be an integer of at least 1"):
        LyapunovNoisePruning(n_iterations=0)
    with pytest.raises(ValueError, match="strength must be one of lyapunov, weight, product"):
        LyapunovNoisePruning(strength="none")
    with pytest.raises(ValueError, match="schedule must be total or sampled, got 'both'"):
        LyapunovNoisePruning(schedule="both")
    with pytest.raises(ValueError, match="diagonal must be original or matched, got 'new'"):
        LyapunovNoisePruning(diagonal="new")
    with pytest.raises(ValueError, match="inputs holds 'x', which is not a node"):
        LyapunovNoisePruning(inputs=["x"]).prune(network)
    single = nx.DiGraph()
    single.add_node(0)
    with pytest.raises(ValueError, match="1 nodes and no edge, so there is nothing to prune"):
        LyapunovNoisePruning().prune(single)
    nx.set_edge_attributes(network, 0.0, "weight")
    with pytest.raises(ValueError, match="All weights between different neurons are zero"):
        LyapunovNoisePruning().prune(network)
