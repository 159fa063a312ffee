"""Small recurrent networks for the pruning tests."""

import networkx as nx
import numpy as np
import pytest


def _make_network(n=60, density=0.15, inhibitory=0.2, seed=0):
    rng = np.random.default_rng(seed)
    negative = np.arange(n) < round(inhibitory * n)
    tau_m = np.clip(rng.gamma(3, 0.02 / 3, n), 0.003, 0.1)
    graph = nx.DiGraph()
    graph.add_nodes_from((i, {"tau_m": float(tau_m[i]), "colour": i % 3}) for i in range(n))
    for i, j in np.argwhere(rng.random((n, n)) < density).tolist():
        if i != j:
            graph.add_edge(i, j, weight=float(rng.gamma(2, 0.5) * (-1 if negative[i] else 1)), delay=j)
    return graph


@pytest.fixture
def make_network():
    """Random excitatory and inhibitory network with gamma weights and time constants."""
    return _make_network


@pytest.fixture
def network():
    return _make_network()
