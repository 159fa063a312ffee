"""Interval-modulated synapses: two forms against each other and by hand, against Brian2, and as a classifier."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brian2 import Hz, Network, SpikeGeneratorGroup, SpikeMonitor, StateMonitor, ms, prefs

from hrsnn import Uniform, datasets
from hrsnn.exchange import nir
from hrsnn.gradient import IMSNNClassifier, IntervalNetwork, intervals
from hrsnn.gradient.interval_kernel import is_compiled
from hrsnn.gradient.interval_simulation import IntervalSimulation
from hrsnn.models import DeltaLIF, IntervalModulated, Static

FORMS = [intervals.dense, pytest.param(intervals.sparse, marks=pytest.mark.cpp)]
N_STEPS, N_SAMPLES, N_PRE, N_POST = 24, 3, 11, 5


def drawn(dtype=float, share=0.15):
    """Spikes, heights, intervals, widths, and slopes of a loss by what arrives."""
    rng = np.random.default_rng(0)
    shape = (N_PRE, N_POST)
    spikes = rng.random((N_STEPS, N_SAMPLES, N_PRE)) < share
    values = (spikes, rng.normal(size=shape), rng.uniform(3, 9, shape), rng.uniform(2, 5, shape))
    return [value.astype(dtype) for value in (*values, rng.normal(size=(N_STEPS, N_SAMPLES, N_POST)))]


def by_hand(sign, spikes, h, mu, sigma, delta):
    """Equations 4, 5, and 7 to 10 as loops: what arrives, and the derivatives by heights and spikes."""
    out, by_h, by_s = np.zeros_like(delta), np.zeros_like(h), np.zeros_like(spikes)
    for b in range(N_SAMPLES):
        for i in range(N_PRE):
            phi, last = [], -1
            for t in range(N_STEPS):
                phi.append(t - last)
                last = t if spikes[t, b, i] else last
            for t in range(N_STEPS):
                gauss = np.exp(-((phi[t] - mu[i]) ** 2) / (2 * sigma[i] ** 2))
                by_s[t, b, i] += (h[i] * gauss) @ delta[t, b]
                if not spikes[t, b, i]:
                    continue
                out[t, b] += h[i] * gauss
                by_h[i] += gauss * delta[t, b]
                slope = (-h[i] * gauss * (phi[t] - mu[i]) / sigma[i] ** 2) @ delta[t, b]
                if sign * slope < 0 or not sign:
                    # phi(t) = 1 + phi(n) (1 - s(n)) + ... : only steps since the last spike reach it
                    for n in range(t - phi[t] if phi[t] <= t else 0, t):
                        by_s[n, b, i] -= phi[n] * slope
    return out, by_h, by_s


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sign", [1, -1, 0])
def test_both_forms_are_the_equations(form, sign):
    with jax.enable_x64(True):
        *arrays, delta = drawn()

        def total(spikes, h):
            out = form(sign, False, spikes, h, *arrays[2:])
            return jnp.sum(out * delta), out

        (_, out), (by_s, by_h) = jax.jit(jax.value_and_grad(total, (0, 1), has_aux=True))(*arrays[:2])
    expected = by_hand(sign, *arrays, delta)
    assert np.abs(expected[2]).max() > 1
    for found, right in zip((out, by_h, by_s), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-10, atol=1e-12)


@pytest.mark.cpp
def test_single_precision_and_fixed_weights():
    """An infinitely wide Gaussian is a fixed weight: a matrix product."""
    spikes, h, *_, delta = drawn(np.float32)
    wide = np.full(h.shape, np.inf, np.float32)
    for form in (intervals.dense, intervals.sparse):
        slopes = jax.grad(lambda s, h, form=form: jnp.sum(form(1, False, s, h, 0 * h, wide) * delta), (0, 1))
        by_s, by_h = slopes(spikes, h)
        np.testing.assert_allclose(by_s, delta @ h.T, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(by_h, np.einsum("tbi,tbj->ij", spikes, delta), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(form(1, True, spikes, h, 0 * h, wide), spikes @ h, rtol=1e-5, atol=1e-5)


def test_a_synapse_at_its_own_interval_is_a_fixed_weight():
    """Section 4.1: input spikes every 10 ms, a weight of 0.6 and a height of 0.6 around 10 ms; then around 15 ms."""
    times = np.arange(10, 200, 10) * ms
    found = {}
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    try:
        for name, model in (
            ("w", Static()),
            ("h", IntervalModulated(mu=10 * ms, sigma=5 * ms)),
            ("far", IntervalModulated(mu=15 * ms, sigma=5 * ms)),
        ):
            source = SpikeGeneratorGroup(1, np.zeros(len(times), int), times, dt=1 * ms)
            target = DeltaLIF(tau_m=100 * ms).build(1, name="target", dt=1 * ms)
            synapses = model.build(source, target, variable="i_e", name="synapse", dt=1 * ms)
            synapses.connect()
            model.initialise(synapses, 1, np.random.default_rng(0))
            setattr(synapses, "w" if name == "w" else "h", 0.6)
            fired, arrived = SpikeMonitor(target), StateMonitor(target, "i_e", record=True, when="after_synapses")
            Network(source, target, synapses, fired, arrived).run(200 * ms, namespace={})
            found[name] = np.rint(fired.t / ms), arrived.i_e[0][np.rint(times / ms).astype(int)]
    finally:
        prefs.codegen.target = before
    assert len(found["w"][0]) == 9
    np.testing.assert_array_equal(found["h"][0], found["w"][0])
    np.testing.assert_allclose(found["far"][1], 0.6 * np.exp(-0.5), rtol=1e-9)  # one sigma away
    assert len(found["far"][0]) == 4


def test_inputs_fire_at_whole_intervals():
    network = IntervalNetwork((4, 3, 2), IntervalModulated(), 100 * ms, (25 * Hz, 100 * Hz), 90 * ms, 1 * ms, None, 0)
    spikes = np.asarray(network.encode(jnp.array([[0, 1e-9, 0.5, 1]])))[:, 0]
    assert [np.flatnonzero(row).tolist() for row in spikes.T] == [
        [], [39, 79], [15, 31, 47, 63, 79], list(range(9, 90, 10))
    ]  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    X_train, X_test, y_train, y_test = datasets.digits()
    return X_train[:400] / 255, X_test[:200] / 255, y_train[:400], y_test[:200]


def small(**settings):
    defaults = dict(hidden=(30,), n_epochs=6, learning_rate=0.02, batch_size=50)
    return IMSNNClassifier(**{**defaults, **settings})


@pytest.fixture(scope="module")
def trained(digits):
    X, _, y, _ = digits
    return small().fit(X, y)


def test_digits_are_learnt_with_fewer_spikes_than_by_fixed_weights(digits, trained):
    X, X_test, y, y_test = digits
    assert trained.score(X_test, y_test) > 0.75
    fixed = small(synapse=Static()).fit(X, y)
    assert fixed.score(X_test, y_test) > 0.75
    assert 0 < trained.spikes(X_test)[0].sum() < 0.5 * fixed.spikes(X_test)[0].sum()


def test_every_spike_is_that_of_brian2(digits, trained):
    X = digits[1][:5].astype(np.float32)
    synapse = IntervalModulated(mu=Uniform(10 * ms, 50 * ms), sigma=20 * ms)
    rates = (28.5 * Hz, 100 * Hz)
    deep = IntervalNetwork((64, 20, 12, 3), synapse, 50 * ms, rates, 60 * ms, 1 * ms, "positive", 3)
    before, prefs.codegen.target = prefs.codegen.target, "numpy"
    try:
        with jax.enable_x64(True):
            weights = [8 * heights for heights in deep.weights()]
            run = deep.run(weights, X[:, None], record=True)
            ours = [np.swapaxes(np.asarray(layer) > 0, 0, 1) for layer in run.spikes]
        pairs = list(zip(ours, IntervalSimulation(deep, weights, "runtime").run(X[:, None])[:-1], strict=True))
        pairs += zip(trained.spikes(X, double=True), trained.simulate(X, "runtime"), strict=True)
    finally:
        prefs.codegen.target = before
    assert len(pairs) == 3
    for a, b in pairs:
        assert a.sum() > 20
        np.testing.assert_array_equal(a, b)


def test_a_training_that_was_killed_goes_on_to_the_same_weights(
    digits, tmp_path, trained, killed_at_the_second_checkpoint
):
    X, _, y, _ = digits
    with pytest.raises(KeyboardInterrupt):
        small(checkpoint=tmp_path / "training.h5").fit(X, y)
    killed_at_the_second_checkpoint()
    resumed = small(checkpoint=tmp_path / "training.h5").fit(X, y)
    assert resumed.history_ == trained.history_
    for a, b in zip(resumed.weights_["layers"], trained.weights_["layers"], strict=True):
        np.testing.assert_array_equal(a, b)


def test_saved_networks_answer_alike(digits, trained, tmp_path):
    X_test = digits[1]
    trained.save(tmp_path / "network.h5")
    read = IMSNNClassifier.load(tmp_path / "network.h5")
    with pytest.raises(TypeError, match="NIR has no synapses that depend on intervals"):
        nir.write(tmp_path / "network.nir", read)
    np.testing.assert_array_equal(read.predict_proba(X_test), trained.predict_proba(X_test))


def test_without_a_compiler_the_same_is_computed_slowly(digits, trained, monkeypatch):
    X_test = digits[1][:50]
    expected = trained.predict_proba(X_test)
    monkeypatch.setattr(intervals, "is_compiled", lambda: False)
    read = small()
    read.__setstate__(trained.__getstate__())
    np.testing.assert_allclose(read.predict_proba(X_test), expected, rtol=1e-3, atol=1e-5)


def test_a_batch_of_the_published_network_fits_the_memory():
    network = IntervalNetwork(
        (784, 500, 10), IntervalModulated(), 100 * ms, (28 * Hz, 100 * Hz), 100 * ms, 1 * ms, "positive", 0
    )
    X = jax.ShapeDtypeStruct((128, 1, 784), jnp.float32)
    slopes = jax.jit(jax.grad(lambda weights, X: jnp.sum(network.run(weights, X).traces)))
    used = slopes.lower(network.weights(), X).compile().memory_analysis()
    assert used.temp_size_in_bytes < (1e9 if is_compiled() else 4e9)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(suppress="both"), "suppress must be 'positive', 'negative' or None, got 'both'"),
        (dict(hidden=(0,)), "must be an integer of at least 1, got 0"),
        (dict(rate_min=200 * Hz), "rise from rate_min to rate_max"),
        (dict(duration=2.5 * ms), "whole multiple of dt"),
        (dict(tau_m=0 * ms), "tau_m must be positive"),
    ],
)
def test_settings_out_of_range_are_refused(digits, settings, said):
    X, _, y, _ = digits
    with pytest.raises(ValueError, match=said):
        small(**settings).fit(X, y)


def test_samples_and_synapses_that_do_not_fit_are_refused(digits, trained):
    X, _, y, _ = digits
    with pytest.raises(ValueError, match=r"values in \[0, 1\], got 0 to 255. Scale X first"):
        small().fit(X * 255, y)
    with pytest.raises(ValueError, match=r"X must have shape \(n_samples, n_features\), got \(400, 1, 64\)"):
        small().fit(X[:, None], y)
    with pytest.raises(TypeError, match="synapse must be an IntervalModulated, a Static or None"):
        small(synapse=DeltaLIF()).fit(X, y)
    with pytest.raises(ValueError, match="10 features, but IMSNNClassifier is expecting 64"):
        trained.predict(X[:, :10])


@pytest.mark.cpp
def test_the_kernel_leaves_the_arithmetic_of_the_process_alone():
    spikes, h = np.ones((3, 1, 2), np.float32), np.ones((2, 1), np.float32)
    jax.block_until_ready(intervals.through_intervals(spikes, h, h, h, None))
    assert np.float64(5e-324) / 1 > 0
    assert np.float32(1e-45) * np.float32(1) > 0
