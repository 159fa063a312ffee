"""Delays of synapses: equal to a NumPy loop on every back end, kept by what handles networks, refused where wrong."""

import pickle

import networkx as nx
import numpy as np
import pytest
from brian2 import ms, mV, second
from brian2.units.fundamentalunits import DimensionMismatchError
from numpy.testing import assert_allclose, assert_array_equal
from recurrent_loop import Loop
from test_reservoir import (
    BACKENDS,
    BLOCK,
    FORCED,
    FRESH,
    HETEROGENEOUS,
    INHIBITORY,
    N_STEPS,
    NEURON,
    READOUT,
    TABLE,
    N,
    compare,
    few_objects_to_collect,  # noqa: F401
    numpy_target,  # noqa: F401
)

from hrsnn import pruning, topology
from hrsnn.inputs.codes import CurrentCode, PopulationCode
from hrsnn.laws import Gamma, Normal, Uniform
from hrsnn.models import STDP, ShortTerm
from hrsnn.reservoirs.delays import edge_delays
from hrsnn.reservoirs.in_flight import n_slots
from hrsnn.reservoirs.liquid import Liquid, Readout
from hrsnn.reservoirs.reservoir import Reservoir

LAW = Uniform(0 * ms, 60 * ms)


def delayed(backend="runtime", seed=0, block=BLOCK, **settings):
    common = dict(
        neuron=NEURON, inhibitory=INHIBITORY, synapse=STDP(**HETEROGENEOUS), filters=[0.03], membrane=True,
        code=PopulationCode(n_fields=8, step=10 * ms), inputs={"weight": 1.5, "fraction": 0.5, "probability": 0.5},
        squares=False, current=True, plastic_inhibition=True, dt=0.5 * ms, delay=LAW,
        input_delay=Uniform(0 * ms, 10 * ms),
    )  # fmt: skip
    graph = topology.random(N, 0.25, w_scale=2, seed=seed)
    return Liquid(graph, 2, backend=backend, seed=seed, block=block, **{**common, **settings})


@pytest.mark.parametrize("backend", BACKENDS)
def test_delayed_networks_equal_the_numpy_loop(backend):
    network = delayed(backend)
    loop, readout = Loop(network), Readout(READOUT.state[: 3 * N], READOUT.values, READOUT.bias)
    assert np.ptp(loop.synapses["excitation"]["lag"]) > 100
    assert np.ptp(loop.synapses["inputs"]["lag"]) > 15
    expected = loop.run(TABLE, np.ones(N_STEPS, bool), np.zeros(N_STEPS, bool), learn=True)
    learnt = network.run(TABLE, network.start(), learn=True)  # two blocks: what flies at the end of one arrives
    compare(learnt, *expected)
    weights = network.weights(learnt.state)
    for name, w in weights.items():
        assert_allclose(w, loop.synapses[name]["w"], atol=1e-9)
    loop.rest()
    expected = loop.run(TABLE, FORCED, FRESH, learn=False, readout=readout)
    response = network.run(TABLE, network.start(weights), forced=FORCED, fresh=FRESH, readout=readout)
    compare(response, *expected)  # a fresh series meets no current of the one before
    assert response.features[:, 2 * N :].std() > 0.05


def test_short_term_synapses_with_delays_equal_the_numpy_loop():
    short = ShortTerm(U=Uniform(0.1, 0.6), tau_rec=Gamma(mean=100 * ms, shape=3, low=9 * ms), tau_facil=60 * ms)
    settings = dict(synapse=short, inputs={"weight": 4.0, "fraction": 0.5, "probability": 0.5}, current=False)
    network = delayed(**settings)
    expected = Loop(network).run(TABLE, np.ones(N_STEPS, bool), FRESH, learn=False)
    compare(network.run(TABLE, network.start(), fresh=FRESH), *expected)


def test_a_spike_arrives_after_its_delay():
    graph = nx.DiGraph()
    graph.add_nodes_from(range(3), type="E")
    graph.add_edge(0, 1, weight=0.5, delay=0.0)
    graph.add_edge(0, 2, weight=0.5, delay=7 * ms)
    code = CurrentCode(gain=0.0, bias=Normal(0, 1), step=1 * ms)
    network = Liquid(
        graph, 1, neuron=INHIBITORY, inhibitory=INHIBITORY, synapse=None, code=code, inputs={}, filters=[],
        membrane=False, current=True, squares=False, plastic_inhibition=True, dt=1 * ms, block=60, backend="runtime",
        seed=0,
    )  # fmt: skip
    network.values["neurons.bias"] = np.array([1.5, 0, 0, 0])
    response = network.run(np.full((50, 1), 0.5), network.start())
    first = round(response.t[0] * 1e3)
    assert set(response.i) == {0}
    current = response.features.reshape(50, 3)
    assert np.flatnonzero(current[:, 1])[0] == first
    assert np.flatnonzero(current[:, 2])[0] == first + 7
    assert_allclose(current[first : first + 20, 1], current[first + 7 : first + 27, 2], atol=1e-12)


@pytest.mark.cpp
def test_another_draw_and_another_law_run_the_same_program():
    first, second_ = delayed("cpp"), delayed("cpp", delay=Normal(30 * ms, 30 * ms, low=1 * ms, high=60 * ms))
    assert first.frozen_engine.folder == second_.frozen_engine.folder
    spikes = [network.run(TABLE, network.start()) for network in (first, second_)]
    assert not np.array_equal(spikes[0].t, spikes[1].t)


def test_blocks_do_not_matter():
    whole, parts = delayed(block=N_STEPS), delayed(block=3)
    one, other = (network.run(TABLE, network.start()) for network in (whole, parts))
    assert len(one.i) > 25
    assert_array_equal(one.i, other.i)
    assert_allclose(one.features, other.features, atol=1e-12)


def test_slots_hold_the_longest_delay_with_little_waste():
    longest = np.arange(1, 5000)
    slots = np.array([n_slots(int(k)) for k in longest])
    assert (slots > longest).all()
    assert (slots <= np.maximum(longest * 1.26, longest + 17)).all()
    assert len(set(slots)) < 50


def small(graph, **settings):
    settings = {**dict(code=PopulationCode(n_fields=8, step=10 * ms), input_probability=0.5, dt=1 * ms), **settings}
    return Reservoir(graph, NEURON, INHIBITORY, input_fraction=0.8, backend="runtime", block=60, **settings)


def test_delays_are_kept_by_pickles_graphs_and_pruning():
    X = np.random.default_rng(0).random((30, 1))
    graph = topology.random(N, 0.25, w_scale=1, seed=0)
    reservoir = small(graph, delay=LAW, features=["membrane", "current"]).fit(X)
    states = reservoir.transform(X)
    assert np.abs(states - small(graph, features=["membrane", "current"]).fit(X).transform(X)).max() > 0.1
    assert_array_equal(pickle.loads(pickle.dumps(reservoir)).transform(X), states)
    learnt = reservoir.graph_
    delays = edge_delays(learnt)
    assert 0 <= delays.min() < 0.01 < 0.05 < delays.max() <= 0.06
    # The edges' own delays go before the law, so another seed keeps them.
    again = small(learnt, delay=Uniform(0 * ms, 1 * ms), seed=1).fit(X)
    assert_allclose(edge_delays(again.graph_), delays)
    array = small(graph, delay=delays * second, features=["membrane", "current"]).fit(X)
    assert_array_equal(array.transform(X), states)
    pruned = pruning.lyapunov_noise(learnt, keep=0.5, seed=0)
    assert 0 < pruned.number_of_edges() < learnt.number_of_edges()
    for u, v, delay in pruned.edges(data="delay"):
        assert delay == learnt.edges[u, v]["delay"]
    known = set(delays.tolist())
    for grown in (
        pruning.delocalize(pruned, learnt, fraction=0.1, seed=0),
        pruning.random_graph(learnt, 20, 60, seed=0),
    ):
        drawn = [delay for _, _, delay in grown.edges(data="delay")]
        assert set(drawn) <= known
        assert len(set(drawn)) > 10


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (dict(delay=-1 * ms), ValueError, r"delay must be finite and not negative, got -0.001 s"),
        (dict(delay=Normal(1 * ms, 3 * ms)), ValueError, r"not negative, .* A law takes a lower bound: low=0\*ms"),
        (dict(delay=3.0), DimensionMismatchError, "delay must be a time"),
        (dict(delay=Uniform(0 * mV, 1 * mV)), DimensionMismatchError, "delay must be a law of times"),
        (dict(delay=np.ones(3) * ms), ValueError, r"one value for each of the \d+ synapses, got \(3,\)"),
        (dict(input_delay=np.inf * ms), ValueError, "input_delay must be finite"),
        (
            dict(delay=5000 * second),
            ValueError,
            r"5000 s needs 3052 MB .* 40 neurons .* the bound is 1024 MB, a delay of",
        ),
        (dict(features=["weights"]), ValueError, "features must be some of spikes, membrane, current"),
    ],
)
def test_wrong_delays_and_features_are_named(settings, error, message):
    graph = topology.random(N, 0.25, seed=0)
    with pytest.raises(error, match=message):
        small(graph, **settings).fit(np.random.default_rng(0).random((30, 1)))


def test_edges_without_delay_among_others_are_named():
    graph = topology.random(N, 0.25, seed=0)
    edges = list(graph.edges)
    graph.edges[edges[0]]["delay"] = 0.003
    with pytest.raises(ValueError, match=rf"1 of {len(edges)} edges have the attribute 'delay', but not"):
        small(graph).fit(np.random.default_rng(0).random((30, 1)))
    for edge in edges:
        graph.edges[edge]["delay"] = 3 * mV
    with pytest.raises(DimensionMismatchError, match="delay of edge"):
        small(graph).fit(np.random.default_rng(0).random((30, 1)))
