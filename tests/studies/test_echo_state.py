"""The echo-state network that spiking reservoirs are measured against: as reservoirpy's, state by state."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from reservoirpy.nodes import Reservoir

from hrsnn.datasets import lorenz63
from hrsnn.studies._forecast import EchoState


@pytest.mark.parametrize("settings", [{}, {"leak": 0.3, "radius": 1.2, "gain": 0.5, "density": 0.5}], ids=str)
def test_states_are_those_of_reservoirpy(settings):
    X = np.random.default_rng(0).standard_normal((300, 3))
    network = EchoState(50, seed=1, **settings)
    network.draw(X.shape[1])
    states = network.features(X[None])[0]
    peer = Reservoir(W=network.recurrent.T, Win=network.inputs.T, bias=network.offset, lr=network.leak)
    assert_allclose(states[:, :50], peer.run(X), rtol=0, atol=1e-13)
    assert_allclose(states[:, 50:], X)
    assert np.abs(np.linalg.eigvals(network.recurrent)).max() == pytest.approx(settings.get("radius", 0.9))


def test_the_closed_loop_feeds_forecasts_back():
    _, X = lorenz63(1600, dt=0.02)
    network = EchoState(100, seed=0)
    network.respond(X[:1500])
    network.train(1e-8)
    forecast = network.forecast(20, X[None, 1400:1500])[0]
    state, now = network.start((X[None, 1400:1500] - network.mean) / network.deviation), X[None, 1499]
    for k in range(20):
        u = (now - network.mean) / network.deviation
        u = u + network.read(state, u) @ network.W + network.bias
        state, now = network.advance(state, u), u * network.deviation + network.mean
        assert_allclose(forecast[k], now[0], rtol=1e-9)
    assert np.abs((forecast - X[1500:1520]) / network.deviation).max() < 0.1
