"""Networks of layers: gradients against finite differences, order and delays against Brian2, memory, units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brian2 import ms, mV, prefs

from hrsnn import Gamma
from hrsnn.gradient import FastSigmoid, Layer, SpikingNetwork, Triangle, surrogates, translation
from hrsnn.gradient.brian2_network import Simulation
from hrsnn.models import LIF, AdaptiveConductanceLIF, AdaptiveLIF, ConductanceLIF


@pytest.fixture
def soft_spikes(monkeypatch):
    """Spikes that are smooth, with the derivative that the hard ones are given: differences can check it."""

    def smooth(surrogate, inclusive, u, theta, scale, age):
        z = u / theta - 1 if surrogate.relative else (u - theta) / scale
        if isinstance(surrogate, FastSigmoid):
            return z / (1 + surrogate.k * jnp.abs(z))
        return surrogate.gamma * jnp.sign(z) * (0.5 - jnp.square(jnp.maximum(0, 1 - jnp.abs(z))) / 2)

    soft = jax.custom_jvp(smooth, nondiff_argnums=(0, 1))
    soft.defjvp(surrogates._spike_jvp)
    monkeypatch.setattr(surrogates, "spike", soft)
    monkeypatch.setattr(translation, "spike", soft)


@pytest.mark.parametrize("surrogate", [FastSigmoid(2), Triangle(0.3)])
@pytest.mark.parametrize("reset_gradient", [False, True])
def test_gradients_are_those_of_finite_differences(soft_spikes, surrogate, reset_gradient):
    neuron = AdaptiveLIF(tau_m=Gamma(5 * ms, 3, low=1 * ms), v_rest=0.1, drive=0.3, t_ref=0 * ms)
    train = ("tau_m", "tau_e", "v_thresh", "v_rest", "theta_plus", "tau_theta", "drive", "v_reset")
    layer = Layer(3, neuron, recurrent=True, train=train, surrogate=surrogate, reset_gradient=reset_gradient)
    with jax.enable_x64(True):
        network = SpikingNetwork([layer, Layer(2, LIF(), surrogate=surrogate)], 4, step=2 * ms)
        rng = np.random.default_rng(0)
        X, goal = rng.random((3, 2, 4)), rng.random((2, 3, 2))
        weights = network.weights()

        def loss(weights):
            return jnp.sum((network.run(weights, X).traces - goal) ** 2)

        slopes = jax.jit(jax.grad(loss))(weights)
        value = jax.jit(loss)
        leaves, structure = jax.tree.flatten(weights)
        checked = 0
        for number, leaf in enumerate(leaves):
            for place in list(np.ndindex(leaf.shape))[:4]:
                around = []
                for change in (1e-6, -1e-6):
                    moved = [*leaves[:number], leaf.at[place].add(change), *leaves[number + 1 :]]
                    around.append(float(value(jax.tree.unflatten(structure, moved))))
                expected = (around[0] - around[1]) / 2e-6
                found = float(jax.tree.leaves(slopes)[number][place])
                assert found == pytest.approx(expected, rel=1e-5, abs=1e-8)
                checked += found != 0
        assert checked > 15


def test_time_constants_are_trained_as_the_logit_of_their_leak():
    network = SpikingNetwork([Layer(4, LIF(tau_m=Gamma(20 * ms, 3)), train=("tau_m", "v_thresh"))], 2)
    weights = network.weights()
    found = network.parameters(weights)[0]
    drawn = network.translations[0].parameters["tau_m"]
    np.testing.assert_allclose(found["tau_m"], drawn, rtol=1e-4)
    np.testing.assert_allclose(jax.nn.sigmoid(weights[0]["free"]["tau_m"]), np.exp(-1e-3 / drawn), rtol=1e-5)
    assert found["v_thresh"] == 1
    assert np.ndim(found["v_thresh"]) == 0


def test_laws_draw_the_values_that_other_back_ends_draw():
    law = Gamma(20 * ms, 3)
    network = SpikingNetwork([Layer(5, LIF(tau_m=law))], 2, seed=3)
    expected = law.sample(5, np.random.default_rng([3, 0, 0]))
    np.testing.assert_allclose(network.translations[0].parameters["tau_m"], np.asarray(expected))


def test_the_unit_of_a_weight_holds_a_neuron_at_its_threshold():
    network = SpikingNetwork([Layer(1, LIF(t_ref=0 * ms))], 1)
    assert network.units == [pytest.approx(1 - np.exp(-1 / 3), rel=1e-6)]  # of i_e, which decays with 3 ms
    weights = network.weights()
    for factor, fires in ((0.99, False), (1.01, True)):
        weights[0]["w"] = jnp.full((1, 1), factor)
        assert bool(network.run(weights, np.ones((1, 40, 1))).counts[0].sum() > 0) is fires


NETWORKS = {
    "recurrent": [Layer(12, LIF(tau_m=Gamma(20 * ms, 3, low=2 * ms)), recurrent=True, train=("tau_m", "v_thresh"))],
    "delayed": [Layer(10, LIF(), recurrent=True, delay=3 * ms), Layer(6, LIF(t_ref=0 * ms), delay=7 * ms)],
    "deep": [Layer(10, AdaptiveLIF()), Layer(8, ConductanceLIF()), Layer(6, LIF(tau_m=Gamma(10 * ms, 3)))],
    "adaptive": [Layer(10, AdaptiveConductanceLIF(theta_plus=1 * mV, tau_theta=50 * ms), recurrent=True)],
}


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *((name, "runtime") for name in NETWORKS),
        *(pytest.param(name, "cpp", marks=pytest.mark.cpp) for name in ("delayed", "adaptive")),
    ],
)
def test_every_spike_is_that_of_brian2(name, backend):
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    try:
        network = SpikingNetwork(NETWORKS[name], 5, step=4 * ms)
        X = np.random.default_rng(0).random((3, 12, 5)) * (np.random.default_rng(1).random((3, 12, 5)) < 0.7)
        with jax.enable_x64(True):
            weights = network.calibrated(network.weights(), X, 0.06)
            expected = [np.swapaxes(np.asarray(layer) > 0, 0, 1) for layer in network.run(weights, X, True).spikes]
        found = Simulation(network, weights, backend).run(X)
    finally:
        prefs.codegen.target = before
    for layer, (ours, theirs) in enumerate(zip(expected, found, strict=True)):
        assert ours.sum() > 30, layer
        assert np.array_equal(ours, theirs), layer


def test_states_of_a_long_run_are_computed_twice_rather_than_kept():
    network = SpikingNetwork([Layer(1000, LIF(t_ref=0 * ms), recurrent=True)], 64, step=1 * ms)
    weights = network.weights()
    X = jax.ShapeDtypeStruct((64, 1000, 64), jnp.float32)
    slopes = jax.jit(jax.grad(lambda weights, X: jnp.sum(network.run(weights, X).traces.mean(0) ** 2)))
    used = slopes.lower(weights, X).compile().memory_analysis()
    assert used.temp_size_in_bytes < 4e9


def test_segments_change_nothing(monkeypatch):
    network = SpikingNetwork([Layer(8, LIF(), recurrent=True, train=("tau_m",))], 3, step=2 * ms)
    X = np.random.default_rng(0).random((2, 11, 3))
    weights = network.calibrated(network.weights(), X, 0.05)

    def slopes():
        return jax.jit(jax.grad(lambda weights: jnp.sum(network.run(weights, X).traces ** 2)))(weights)

    whole = slopes()
    monkeypatch.setattr("hrsnn.gradient.network.MEMORY", 0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), whole, slopes())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(train=("tau_x",)), "no parameter 'tau_x'"),
        (dict(train=("t_ref",)), "whole time steps"),
        (dict(delay=-1 * ms), "must not be negative"),
        (dict(target="g"), "no variable 'g'"),
    ],
)
def test_layers_refuse_what_they_cannot_be(settings, said):
    with pytest.raises(ValueError, match=said):
        Layer(3, LIF(), **settings)


def test_durations_must_be_whole_time_steps():
    with pytest.raises(ValueError, match="step must be a positive whole multiple"):
        SpikingNetwork([Layer(3)], 2, step=1.5 * ms)
    with pytest.raises(ValueError, match="delay must be a whole multiple"):
        SpikingNetwork([Layer(3, delay=0.5 * ms)], 2)


def test_samples_without_input_cannot_be_calibrated():
    network = SpikingNetwork([Layer(3)], 2)
    with pytest.raises(ValueError, match="check that samples are not zero"):
        network.calibrated(network.weights(), np.zeros((2, 3, 2)), 0.05)
