"""The presentation network: the same spikes and weights as a NumPy loop, on every back end and in every form."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from brian2 import Hz, ms, prefs
from loop import present
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn.inputs.encoders import LatencyEncoder, PoissonEncoder
from hrsnn.laws import Uniform
from hrsnn.models import LIF, STDP, AdaptiveConductanceLIF, ConductanceLIF, PowerLawSTDP
from hrsnn.stdp import dense_kernel
from hrsnn.stdp.presentation import PresentationNetwork
from hrsnn.stdp.presenter import Presenter

N_IN, N, N_SAMPLES = 40, 6, 8
N_ON, N_REST = 120, 30
SEED = 3
FORMS = [
    pytest.param("runtime", {}, id="runtime"),
    pytest.param("cpp", {}, id="cpp", marks=pytest.mark.cpp),
    pytest.param("cpp", {"dense": True}, id="cpp-dense", marks=pytest.mark.cpp),
]


@pytest.fixture(autouse=True)
def numpy_target():
    previous, prefs.codegen.target = prefs.codegen.target, "numpy"
    yield
    prefs.codegen.target = previous


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    return np.where(rng.random((N_SAMPLES, N_IN)) < 0.6, rng.random((N_SAMPLES, N_IN)), 0.0)


@pytest.fixture(scope="module")
def weights():
    return 0.3 * np.random.default_rng(1).random((N_IN, N)) + 0.1


@cache
def presenter(backend, latency=False, w_total=12.0, neuron=None, **form):
    encoder = LatencyEncoder(duration=40 * ms) if latency else PoissonEncoder(rate_max=150 * Hz)
    neuron = AdaptiveConductanceLIF(theta_plus=0.5e-3 * VOLT) if neuron is None else neuron
    synapse = PowerLawSTDP(eta=0.05, offset=0.2)
    network = PresentationNetwork(
        n_input=N_IN, n_neurons=N, neuron=neuron, synapse=synapse, encoding=encoder.encoding, n_on=N_ON, n_rest=N_REST,
        dt=0.5 * ms, batch_size=N_SAMPLES, max_retries=3, **form,
    )  # fmt: skip
    values = {f"exc.{key}": value for key, value in neuron.parameters.items() if key not in neuron.heterogeneous}
    values |= {f"input_to_exc.{key}": value for key, value in synapse.parameters.items()}
    values |= {
        "exc.w_total": np.full(N, w_total),
        "inh_to_exc.g_inh" if "inhibitory" in form else "control.g_inh": 17.0,
    }
    return Presenter(network, values, SEED, backend)


class Wiring(tuple):
    """Index arrays that a cache takes as a key."""

    __slots__ = ()
    __hash__ = object.__hash__


VOLT = AdaptiveConductanceLIF.defaults["v_rest"] / -0.065
EXPECTED = dict(n_on=N_ON, n_rest=N_REST, seed=SEED, eta=0.05, offset=0.2, w_total=12.0, theta_plus=0.5)


def counts_of(spikes, n_presentations):
    counts = np.zeros((n_presentations, N), dtype=int)
    for step, j in spikes:
        counts[step // (N_ON + N_REST), j] += 1
    return counts


def run(network, samples, weights, learning=1, outputs=("spikes.i", "spikes.t")):
    state = {**network._inputs(samples, learning), "input_to_exc.w": weights.ravel()}
    return network.engine.run(state, (*outputs, "input_to_exc.w", "exc.theta", "control.n_presentations"))


@pytest.mark.parametrize(("backend", "form"), FORMS)
def test_poisson_training_equals_the_numpy_loop(backend, form, samples, weights):
    encoded = samples * 150
    spikes, w, theta, n_presentations = present(encoded * 0.5e-3, weights, rates=True, **EXPECTED)
    assert len(spikes) > 60
    assert n_presentations > N_SAMPLES  # some samples were shown again
    result = run(presenter(backend, **form), encoded, weights)
    assert result["control.n_presentations"] == n_presentations
    steps = np.round(result["spikes.t"] / 0.5e-3).astype(int)
    assert list(zip(steps, result["spikes.i"], strict=True)) == spikes
    assert_allclose(result["input_to_exc.w"].reshape(N_IN, N), w, atol=1e-10)  # some 100 updates of rounding
    assert_allclose(result["exc.theta"] * 1e3, theta, rtol=1e-10)


@pytest.mark.parametrize(("backend", "form"), FORMS)
def test_latency_training_equals_the_numpy_loop(backend, form, samples, weights):
    encoded = LatencyEncoder(duration=40 * ms).encode(samples)
    steps = np.minimum(np.round(encoded / 0.5e-3), 1 << 29).astype(int)
    spikes, w, _, n_presentations = present(steps, weights * 3, rates=False, **(EXPECTED | {"w_total": 30.0}))
    assert len(spikes) > 20
    result = run(presenter(backend, latency=True, w_total=30.0, **form), encoded, weights * 3)
    assert result["control.n_presentations"] == n_presentations
    assert list(zip(np.round(result["spikes.t"] / 0.5e-3).astype(int), result["spikes.i"], strict=True)) == spikes
    assert_allclose(result["input_to_exc.w"].reshape(N_IN, N), w, atol=1e-10)


@pytest.mark.parametrize(("backend", "form"), FORMS)
def test_frozen_network_equals_the_numpy_loop_and_learns_nothing(backend, form, samples, weights):
    encoded = samples * 150
    weights = weights * (12.0 / weights.sum(axis=0))
    frozen = EXPECTED | {"learning": False, "theta": 21.0}
    spikes, _, _, n_presentations = present(encoded * 0.5e-3, weights, rates=True, **frozen)
    assert len(spikes) > 60
    state = {"input_to_exc.w": weights.ravel(), "exc.theta": np.full(N, 21e-3)}
    response = presenter(backend, **form).respond(encoded, state)
    by_presentation = counts_of(spikes, n_presentations)
    last, retries = [], 0
    for k, total in enumerate(by_presentation.sum(axis=1)):
        retries = retries + 1 if total < 5 and retries < 3 else 0
        if retries == 0:
            last.append(k)
    assert_array_equal(response.counts, by_presentation[last])
    assert_array_equal(np.cumsum(response.presentations) - 1, last)
    assert response.presentations.max() > 1
    assert response.spikes.sum() == len(spikes)
    assert response.spikes[0] == by_presentation[: last[0] + 1].sum()


@pytest.mark.cpp
def test_kernel_runs_neurons_that_differ(samples, weights):
    neuron = AdaptiveConductanceLIF(tau_m=Uniform(60 * ms, 140 * ms), t_ref=Uniform(3 * ms, 8 * ms))
    own = neuron.draw(N, np.random.default_rng(6))
    spikes = []
    for backend, form in (("runtime", {}), ("cpp", {"dense": True})):
        compiled = presenter(backend, neuron=neuron, **form)
        compiled.values.update({f"exc.{name}": np.asarray(value) for name, value in own.items()})
        result = compiled.engine.run(
            {**compiled._inputs(samples * 150, 1), **compiled.initial(), "input_to_exc.w": weights.ravel()},
            ("spikes.i", "spikes.t", "exc.v"),
        )
        spikes.append((result["spikes.i"], np.round(result["spikes.t"] / 0.5e-3), result["exc.v"]))
    assert len(spikes[0][0]) > 60
    assert_array_equal(spikes[0][:2], spikes[1][:2])
    assert_allclose(spikes[0][2], spikes[1][2], rtol=1e-9)


class Quadratic(ConductanceLIF):
    """A neuron with a power, which the kernel leaves to Brian2."""

    reset = "v = v_reset - 0.001*v**2/volt"


def test_kernel_takes_models_that_it_knows_only():
    neuron, synapse, encoding = AdaptiveConductanceLIF(), PowerLawSTDP(), PoissonEncoder().encoding
    assert dense_kernel.supports(neuron, synapse, encoding)
    assert not dense_kernel.supports(Quadratic(), synapse, encoding)
    assert not dense_kernel.supports(LIF(), synapse, encoding)  # it has no conductances
    assert not dense_kernel.supports(neuron, STDP(), encoding)
    assert not dense_kernel.supports(neuron, synapse.replace(eta=Uniform(0.1, 0.2)), encoding)
    assert not dense_kernel.supports(neuron, synapse, replace(encoding, drive="rand()"))


@pytest.mark.cpp
def test_two_blocks_equal_one(samples, weights):
    network = presenter("cpp", dense=True)
    encoded = samples * 150
    start = {"input_to_exc.w": weights.ravel()}
    whole, counts = network.learn(encoded, start)
    first, counts_first = network.learn(encoded[:3], start)
    second, counts_second = network.learn(encoded[3:], first)
    assert_array_equal(np.concatenate([counts_first, counts_second]), counts)
    for name in network.carried:
        assert_array_equal(second[name], whole[name], err_msg=name)


def test_response_depends_on_the_sample_alone(samples, weights):
    network = presenter("runtime")
    state = {"input_to_exc.w": weights.ravel(), "exc.theta": np.full(N, 20e-3)}
    order = np.random.default_rng(5).permutation(N_SAMPLES)
    counts = network.respond(samples * 150, state).counts
    assert counts.sum() > 20
    assert_array_equal(network.respond(samples[order] * 150, state).counts, counts[order])


@pytest.mark.cpp
def test_cached_program_starts_from_the_present_parameters(samples, weights):
    def first_theta(backend, theta_init):
        compiled = presenter(backend, dense=backend == "cpp")
        values = {**compiled.values, "exc.theta_init": theta_init * 1e-3, "exc.theta_plus": 0.0}
        again = Presenter(compiled.network, values, SEED, backend)
        state, _ = again.learn(samples[:1] * 150, {"input_to_exc.w": weights.ravel()})
        return state["exc.theta"] * 1e3

    for theta_init in (20, 25):
        assert_allclose(first_theta("cpp", theta_init), theta_init, rtol=1e-4)  # it decays with tau_theta
        assert_allclose(first_theta("runtime", theta_init), theta_init, rtol=1e-4)


def test_inhibitory_layer_equals_collapsed_inhibition(samples, weights):
    encoded = samples * 150
    collapsed = run(presenter("runtime"), encoded, weights)
    layer = run(presenter("runtime", inhibitory=ConductanceLIF()), encoded, weights)
    assert len(collapsed["spikes.i"]) > 60
    assert_array_equal(layer["spikes.i"], collapsed["spikes.i"])
    assert_allclose(layer["spikes.t"], collapsed["spikes.t"])
    assert_allclose(layer["input_to_exc.w"], collapsed["input_to_exc.w"], atol=1e-12)


def test_without_inhibition_all_neurons_fire_in_a_presentation(samples, weights):
    def neurons_firing_together(**form):
        result = run(presenter("runtime", **form), samples[:2] * 150, weights)
        presentation = (result["spikes.t"] / 0.5e-3 // (N_ON + N_REST)).astype(int)
        return [len(set(result["spikes.i"][presentation == k])) for k in range(result["control.n_presentations"][0])]

    assert max(neurons_firing_together(inhibition=False)) == N
    assert max(neurons_firing_together()) < N


@pytest.mark.cpp
def test_sparse_synapses_equal_dense_with_zeros(samples, weights):
    kept = np.random.default_rng(2).random((N_IN, N)) < 0.5
    i, j = np.nonzero(kept)
    state = {"exc.theta": np.full(N, 20e-3)}
    with_zeros = {**state, "input_to_exc.w": (2 * weights * kept).ravel()}
    dense = presenter("cpp", dense=True).respond(samples * 150, with_zeros).counts
    without = {**state, "input_to_exc.w": 2 * weights[kept]}
    sparse = presenter("cpp", connections=Wiring((i, j))).respond(samples * 150, without).counts
    assert dense.sum() > 20
    assert_array_equal(sparse, dense)


def test_signature_ignores_values_and_follows_code():
    def key(**changes):
        neuron = AdaptiveConductanceLIF(**changes.pop("neuron", {}))
        form = dict(n_on=N_ON, n_rest=N_REST, dt=0.5 * ms, batch_size=9) | changes
        encoding = PoissonEncoder().encoding
        network = PresentationNetwork(N_IN, N, neuron, PowerLawSTDP(), encoding, **form)
        return network.blueprint().signature

    assert key() == key(neuron={"tau_m": 50 * ms})
    assert len({key(), key(batch_size=8), key(n_on=5), key(inhibition=False), key(dense=True), key(dt=1 * ms)}) == 6


@pytest.mark.parametrize(
    ("setting", "message"), [({"n_neurons": 0}, "n_neurons must be"), ({"max_retries": -1}, "max_retries must be")]
)
def test_bad_settings_are_refused(setting, message):
    form = dict(n_neurons=N, n_on=5, n_rest=5, dt=0.5 * ms, batch_size=9, max_retries=1) | setting
    with pytest.raises(ValueError, match=message):
        PresentationNetwork(
            n_input=3,
            neuron=AdaptiveConductanceLIF(),
            synapse=PowerLawSTDP(),
            encoding=PoissonEncoder().encoding,
            **form,
        )


def test_engine_refuses_unknown_names_and_wrong_lengths():
    network = presenter("runtime")
    with pytest.raises(KeyError, match=r"no variable 'exc\.nothing'"):
        network.engine.run({"exc.nothing": 1}, [])
    with pytest.raises(ValueError, match=r"input_to_exc\.w has 240 values, got 7"):
        network.engine.run({"input_to_exc.w": np.zeros(7)}, [])
