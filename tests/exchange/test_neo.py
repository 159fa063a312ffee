"""Responses of reservoirs as Neo objects and back, and graphs of trained networks through networkx's own formats."""

import json
import sys

import networkx as nx
import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn import CurrentCode, Gamma, Reservoir, topology
from hrsnn.exchange import from_neo, to_neo
from hrsnn.models import LIF, STDP

pytestmark = pytest.mark.cpp

N, STEPS, PERIOD = 12, 40, 0.01


@pytest.fixture(scope="module")
def fitted():
    X = np.random.default_rng(0).standard_normal((STEPS, 2))
    graph = topology.random(N, 0.3, w_scale=2, seed=0)
    neuron = LIF(tau_m=Gamma(mean=20 * ms, shape=5, low=5 * ms))
    reservoir = Reservoir(graph, neuron=neuron, synapse=STDP(), code=CurrentCode(step=10 * ms), dt=0.5 * ms)
    return reservoir.fit(X), X


def test_a_response_goes_to_neo_and_comes_back(fitted):
    pytest.importorskip("neo")
    reservoir, X = fitted
    response = reservoir.respond(X)
    assert len(response.i) > 50
    block = to_neo(response, reservoir)
    (segment,) = block.segments
    assert len(segment.spiketrains) == N
    assert [len(train) for train in segment.spiketrains] == np.bincount(response.i, minlength=N).tolist()
    assert float(segment.spiketrains[0].t_stop.rescale("s")) == pytest.approx(STEPS * PERIOD)
    for train, (_, own) in zip(segment.spiketrains, reservoir.graph_.nodes(data=True), strict=True):
        assert (train.annotations["type"], train.annotations["tau_m"]) == (own["type"], own["tau_m"])
    states, series = segment.analogsignals
    assert float(states.sampling_period.rescale("s")) == pytest.approx(PERIOD)
    assert_allclose(series.magnitude, X, atol=1e-12)  # rounding of the scaling, there and back
    back = from_neo(segment)
    order = np.lexsort((response.i, response.t))
    assert_array_equal(back["i"], response.i[order])
    assert_array_equal(back["t"], response.t[order])
    assert_array_equal(back["states"], response.features)


def test_without_neo_one_line_says_what_to_install(fitted, monkeypatch):
    reservoir, X = fitted
    monkeypatch.setitem(sys.modules, "neo", None)
    with pytest.raises(ImportError, match=r"This needs Neo .*pip install 'hrsnn\[neo\]'"):
        to_neo(reservoir.respond(X), reservoir)


def test_the_graph_of_a_trained_network_survives_json(fitted):
    """Weights, types and time constants are all that a graph says of a network: another made of it does the same."""
    reservoir, X = fitted
    text = json.dumps(nx.node_link_data(reservoir.graph_, edges="edges"))
    graph = nx.node_link_graph(json.loads(text), edges="edges")
    again = reservoir.get_params() | {"graph": graph, "synapse": None}
    expected = Reservoir(**reservoir.get_params() | {"graph": reservoir.graph_, "synapse": None}).fit(X).transform(X)
    assert_array_equal(Reservoir(**again).fit(X).transform(X), expected)
    learnt = reservoir.weights_["excitation"]
    assert not np.array_equal(learnt, reservoir.liquid_.initial["excitation"])
    assert sorted(w for *_, w in graph.edges(data="weight") if w > 0) == pytest.approx(sorted(learnt[learnt > 0]))
