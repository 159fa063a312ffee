"""Feed-forward networks: neurons step by step, gradients, conversion, training, the same spikes in Brian2 and NIR."""

import copy
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn.exchange import LossyExport, from_nir, read, to_nir, write
from hrsnn.gradient import (
    ARCHITECTURES,
    Convolution,
    Dense,
    Dropout,
    FeedForward,
    ImageClassifier,
    Pooling,
    Residual,
    SpikeTime,
    SpikingImageClassifier,
    Triangle,
    normalised,
)
from hrsnn.gradient.architectures import architecture, wired
from hrsnn.gradient.conversion import balanced, poisson
from hrsnn.gradient.image_estimator import augmented
from hrsnn.gradient.image_simulation import ImageSimulation, matrix
from hrsnn.models import LIF, DiscreteIF, DiscreteLIF

LAYERS = (Convolution(3, stride=2), Pooling(2), Dropout(0.1), Convolution(4), Dense(6))
N_IMAGES = 80


@pytest.fixture(scope="module")
def images():
    """Bars of one direction or the other, at random places, in noise."""
    rng = np.random.default_rng(0)
    y = np.arange(N_IMAGES) % 2
    X = 0.3 * rng.random((N_IMAGES, 9, 10, 1))
    for k, place in enumerate(rng.integers(1, 8, N_IMAGES)):
        X[k, place if y[k] else slice(None), slice(None) if y[k] else place] = 1
    return X.astype(np.float32), np.array(["upright", "flat"])[y]


@pytest.fixture(scope="module")
def ann(images):
    return ImageClassifier(LAYERS, n_epochs=30, batch_size=20, learning_rate=1e-2).fit(*images)


@pytest.fixture(scope="module")
def diet(ann, images):
    network = ann.converted(images[0], n_steps=4, n_epochs=8, learning_rate=1e-2)
    return network.partial_fit(*images)


# Layers


@pytest.mark.parametrize(("name", "share"), [("VGG6", 0.029), ("VGG16", 0.005)])
def test_first_layers_make_the_published_share_of_the_operations(name, share):
    operations = [population.operations for population in wired(architecture(name), (32, 32, 3), 10)]
    assert operations[0] == 3 * 3 * 3 * 64 * 32 * 32  # eq. 5.18
    assert operations[-1] == 10 * (256 if name == "VGG6" else 4096)  # eq. 5.19
    assert operations[0] / sum(operations) == pytest.approx(share, abs=0.0005)  # table 5.3 rounds to a thousandth


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "small"])
def test_numbers_of_architectures_count_layers_with_weights(name):
    populations = wired(architecture(name), (32, 32, 3), 100)
    assert len(populations) == int("".join(letter for letter in name if letter.isdigit()))
    if name.startswith("ResNet"):
        assert [population.in_block for population in populations[:4]] == [False] * 3 + [True]
        assert {entry.source for entry in populations[4].inputs} == {2, 3}


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([Dense(4), Pooling(2)], "Pooling.*is behind a Dense layer"),
        ([Pooling(2)], "at least one layer of neurons"),
        ([Convolution(2, stride=8), Pooling(2)], r"does not fit into the 2 x 2|does not fit into the 1 x 1"),
        (["conv"], "may be Convolution, Dense"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layers, said):
    with pytest.raises((ValueError, TypeError), match=said):
        wired(layers, (8, 8, 1), 2)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Convolution(2, kernel=4), "kernel must be odd"),
        (lambda: Dropout(1.0), "rate must be in"),
        (lambda: architecture("VGG7"), "must be one of small, VGG5"),
    ],
)
def test_values_out_of_range_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_lists_of_synapses_are_the_maps_of_jax():
    layers = [Convolution(3, kernel=5, stride=2), Pooling(2), Dropout(0.5), Convolution(4, stride=2), Dense(5)]
    network = FeedForward(layers, (11, 9, 2), 3)
    weights = network.weights(0)
    rng = np.random.default_rng(0)
    for population in network.populations:
        entry = population.inputs[0]
        before = entry.steps[0].before
        value = rng.random((2, *before)).astype(np.float32)
        expected = network._mapped(weights, entry.steps, jnp.asarray(value), None)
        found = value.reshape(2, -1) @ matrix(entry.steps, weights["w"], before)
        assert_allclose(found, np.asarray(expected).reshape(2, -1), atol=1e-5)  # single precision
    first = network.populations[0]
    assert matrix(first.inputs[0].steps, weights["w"], (11, 9, 2)).nnz < first.operations  # the border has none


# Neurons


def test_spikes_are_those_of_the_printed_equations():
    with jax.enable_x64(True):
        network = FeedForward([Dense(7), Dense(5)], (1, 1, 6), 3)
        rng = np.random.default_rng(0)
        W = [rng.normal(0.3, 0.6, shape) for shape in ((6, 7), (7, 5), (5, 3))]
        v, leak, X = [0.8, 1.1], [0.9, 0.6], rng.random((4, 1, 1, 6))
        response = network.run({"w": W, "v_thresh": v, "leak": leak}, jnp.asarray(X), 12, record=True)
        u, o = [np.zeros((4, n)) for n in (7, 5)], [np.zeros((4, n)) for n in (7, 5)]
        output = np.zeros((4, 3))
        total = 0
        for t in range(12):
            arriving = X.reshape(4, 6)
            for k in range(2):
                u[k] = leak[k] * u[k] + arriving @ W[k] - v[k] * o[k]  # eq. 5.9
                o[k] = (u[k] / v[k] - 1 > 0).astype(float)  # eq. 5.10
                assert_array_equal(response.spikes[k][t], o[k])
                arriving = o[k]
                total += o[k].sum()
            output += arriving @ W[2]  # eq. 5.3
        assert total > 50
        assert_allclose(response.potentials, output, rtol=1e-12)


def test_a_run_in_parts_is_the_run(images):
    network = FeedForward(LAYERS, (9, 10, 1), 2, surrogate=SpikeTime())
    weights = {**network.weights(0), "v_thresh": [0.3] * 3, "leak": [0.9] * 3}
    X = jnp.asarray(images[0][:3])
    run = jax.jit(network.run, static_argnames=("n_steps", "record"))
    whole = run(weights, X, n_steps=5, record=True)
    first = run(weights, X, n_steps=2, record=True)
    second = run(weights, X, n_steps=3, state=first.state, record=True)
    for a, b, c in zip(whole.spikes, first.spikes, second.spikes, strict=True):
        assert_array_equal(a, jnp.concatenate([b, c]))
        assert a.sum() > 0
    assert_allclose(whole.potentials, second.potentials, atol=1e-5)


def test_gradients_are_the_printed_ones():
    """Two steps of one neuron behind two constant inputs, and an output that weights its spikes (eqs. 5.11-5.17)."""
    gamma, v, leak, out = 0.3, 1.0, 0.8, 0.7
    w, x = np.array([0.9, 0.5]), np.array([0.6, 1.2])
    with jax.enable_x64(True):
        network = FeedForward([Dense(1)], (1, 1, 2), 1, surrogate=Triangle(gamma))

        def output(weights):
            return network.run(weights, jnp.asarray(x.reshape(1, 1, 1, 2)), 2).potentials[0, 0]

        weights = {"w": [w.reshape(2, 1), np.array([[out]])], "v_thresh": [v], "leak": [leak]}
        slopes = jax.grad(output)(jax.tree.map(jnp.asarray, weights))
    u1 = w @ x
    o1 = float(u1 > v)
    u2 = leak * u1 + w @ x - v * o1
    assert o1 == 1
    do_dz = [gamma * max(0.0, 1 - abs(u / v - 1)) for u in (u1, u2)]  # eq. 5.12
    assert min(do_dz) > 0
    dL_do = out  # eq. 5.8
    d_v = dL_do * (do_dz[0] * (-u1) / v**2 + do_dz[1] * (-v * o1 - u2) / v**2)  # eq. 5.15
    d_leak = dL_do * do_dz[1] / v * u1  # eq. 5.17
    # eq. 5.11 takes the potential of the step before as given; back-propagation through time goes through it too
    d_w = dL_do * (do_dz[0] / v * x + do_dz[1] / v * (x + leak * x))
    assert_allclose(slopes["v_thresh"][0], d_v, rtol=1e-12)
    assert_allclose(slopes["leak"][0], d_leak, rtol=1e-12)
    assert_allclose(slopes["w"][0][:, 0], d_w, rtol=1e-12)


def test_spikes_of_stdb_have_the_largest_derivative_when_they_happen():
    """Figure 4.1: alpha at a spike, then alpha exp(-beta dt); nothing before the first."""
    alpha, beta = 0.3, 0.5
    network = FeedForward([Dense(1)], (1, 1, 1), 1, DiscreteIF(), SpikeTime(alpha, beta))
    weights = {"w": [jnp.ones((1, 1)), jnp.ones((1, 1))], "v_thresh": [jnp.asarray(1.0)]}
    values = jnp.asarray([0.6, 0.6, 0.2, 0.2]).reshape(4, 1, 1, 1, 1)  # u = 0.6, 1.2, then 0.4, 0.6

    def spikes(values):
        return network.run(weights, values, 4, record=True).spikes[0][:, 0, 0]

    slopes = np.asarray(jax.jacobian(spikes)(values)).reshape(4, 4)
    assert_array_equal(spikes(values), [0, 1, 0, 0])
    for t, expected in enumerate([0, alpha, alpha * math.exp(-beta), alpha * math.exp(-2 * beta)]):
        assert_allclose(slopes[t, : t + 1], expected, rtol=1e-5, atol=1e-30)


def test_truncated_gradients_are_added_over_segments():
    def made(truncation):
        estimator = SpikingImageClassifier([Dense(5)], n_steps=4, truncation=truncation)
        estimator.classes_, estimator.shape_ = np.arange(2), (1, 3, 2)
        estimator._build()
        return estimator

    cut, whole = made(2), made(None)
    X, y = jnp.asarray(np.random.default_rng(0).random((8, 1, 3, 2)), jnp.float32), jnp.arange(8) % 2
    weights = {**cut.network_.weights(0), "v_thresh": [jnp.asarray(0.5)], "leak": [jnp.asarray(0.9)]}
    mask, key = jnp.full(8, 1 / 8), jax.random.key(0)

    def part(weights, state):
        response = cut.network_.run(weights, X, 2, state)
        each = -jax.nn.log_softmax(response.potentials)[jnp.arange(8), y]
        return jnp.mean(each), response.state

    half = jax.jit(jax.value_and_grad(part, has_aux=True))
    (first, state), one = half(weights, cut.network_.start(8))
    (second, _), two = half(weights, state)
    slope = lambda made: jax.jit(jax.value_and_grad(lambda w: made._loss(w, X, y, mask, key)[0]))(weights)  # noqa: E731
    value, slopes = slope(cut)
    assert_allclose(value, first + second, rtol=1e-5)
    jax.tree.map(lambda a, b, c: assert_allclose(a + b, c, rtol=1e-3, atol=1e-6), one, two, slopes)
    assert not np.allclose(slope(whole)[1]["w"][0], slopes["w"][0], rtol=0.01)


def test_dropout_is_one_mask_for_all_time_steps():
    network = FeedForward([Dense(400), Dropout(0.5)], (1, 1, 400), 400)
    weights = {"w": [jnp.eye(400), jnp.eye(400)], "v_thresh": [0.5], "leak": [1.0]}
    X = jnp.ones((2, 1, 1, 400))
    run = jax.jit(network.run, static_argnames="n_steps")
    potentials = run(weights, X, n_steps=3, random=jax.random.key(0)).potentials
    values, counts = np.unique(potentials, return_counts=True)
    assert_allclose(values, [0, 6])  # three spikes, raised by 1 / (1 - rate), or none
    assert abs(counts[0] - 400) < 80  # five deviations of 800 draws
    assert not np.array_equal(potentials[0], potentials[1])
    assert_array_equal(run(weights, X, n_steps=3).potentials, 3)


# Conversion


@pytest.mark.parametrize("percentile", [100.0, 95.0])
def test_thresholds_are_set_in_order_by_what_arrives(images, percentile):
    network = FeedForward([Dense(7), Dense(5)], (9, 10, 1), 2)
    weights, X = network.weights(1), images[0][:6]
    found = balanced(network, weights, X, 10, percentile, scale=0.5)
    W = [np.asarray(w, np.float64) for w in weights["w"]]
    drive = X.reshape(6, -1) @ W[0]
    v1 = 0.5 * np.percentile([drive] * 10, percentile)
    u, o = np.zeros((6, 7)), np.zeros((6, 7))
    arrived = []
    for _ in range(10):
        u = u + drive - v1 * o
        o = (u > v1).astype(float)
        arrived.append(o @ W[1])
    assert_allclose(found["v_thresh"], [v1, 0.5 * np.percentile(arrived, percentile)], rtol=1e-5)
    assert_array_equal(found["leak"], [1, 1])


def test_unit_thresholds_in_residual_blocks_and_errors_of_the_balance(images):
    network = FeedForward([Convolution(2), Residual(2), Residual(3, 2)], (9, 10, 1), 2)
    weights, X = network.weights(0), images[0][:4]
    thresholds = np.array(balanced(network, weights, X, 5)["v_thresh"])
    assert_array_equal(thresholds[1:], 1)
    assert thresholds[0] != 1
    assert (np.array(balanced(network, weights, X, 5, 95.0)["v_thresh"]) != 1).all()
    with pytest.raises(ValueError, match="identity have no weights to divide"):
        normalised(network, {**weights, "v_thresh": list(thresholds)})
    with pytest.raises(ValueError, match="Layer 0 would get a threshold of 0"):
        balanced(network, weights, 0 * X, 5)
    with pytest.raises(ValueError, match=r"percentile must be in \(0, 100\]"):
        balanced(network, weights, X, 5, 0.0)


def test_normalised_weights_give_the_same_spikes(ann, images):
    network = ann.converted(images[0][:40], n_steps=12, encoding="poisson")
    spikes = network.spikes(images[0][:10], double=True)
    network.weights_ = normalised(network.network_, network.weights_)
    assert set(map(float, network.weights_["v_thresh"])) == {1.0}
    same = network.spikes(images[0][:10], double=True)
    assert sum(layer.sum() for layer in spikes) > 200
    # divided in single precision: a potential within rounding of its threshold may fall on either side
    assert sum((a != b).sum() for a, b in zip(spikes, same, strict=True)) <= 2


def test_poisson_trains_follow_the_pixels_and_may_be_drawn_in_parts():
    X = jnp.broadcast_to(jnp.asarray([0.0, 0.3, 1.0]), (50, 1, 1, 3))
    whole = poisson(jax.random.key(0), X, 40)
    assert_array_equal(whole[15:], poisson(jax.random.key(0), X, 25, 15))
    mean = np.asarray(whole.mean(axis=(0, 1, 2, 3)))
    assert mean[0] == 0
    assert mean[2] == 1
    assert mean[1] == pytest.approx(0.3, abs=5 * math.sqrt(0.3 * 0.7 / 2000))


# Estimators


def test_training_conversion_and_diet(ann, diet, images):
    X, y = images
    assert ann.score(X, y) > 0.95
    assert ann.converted(X, n_steps=40, percentile=100.0).score(X, y) > 0.9
    assert diet.score(X, y) > max(0.9, ann.converted(X, n_steps=4).score(X, y))
    assert len(diet.history_) == 8
    assert set(diet.history_[0]) == {"epoch", "loss", "accuracy", "spikes_0", "spikes_1", "spikes_2"}
    assert all(0 < float(leak) <= 1 for leak in diet.weights_["leak"])
    counts = diet.spike_counts(X[:10])
    for layer, spikes in zip(counts, diet.spikes(X[:10]), strict=True):
        assert_allclose(layer, spikes.sum(axis=1).mean(axis=0), rtol=1e-6)
    assert min(map(float, diet.weights_["leak"])) < 1
    staged = diet.staged_predict(X, every=2)
    assert staged.shape == (2, N_IMAGES)
    assert_array_equal(staged[-1], diet.predict(X))


def test_stdb_trains_the_weights_alone(images):
    X, y = images
    settings = dict(encoding="poisson", neuron=DiscreteIF(), surrogate=SpikeTime(), train=(), learning_rate=1e-2)
    network = SpikingImageClassifier([Dense(8)], n_steps=6, truncation=3, n_epochs=8, batch_size=20, **settings)
    network.fit(X, y)
    start = network._first(X)
    assert_array_equal(network.weights_["v_thresh"], start["v_thresh"])
    assert "leak" not in network.weights_
    assert not np.array_equal(network.weights_["w"][0], start["w"][0])
    assert network.history_[-1]["loss"] < 0.8 * network.history_[0]["loss"]
    with pytest.raises(ValueError, match="values from 0 to 1, got 0 to 2"):
        network.predict(2 * np.floor(X))


@pytest.mark.usefixtures("interpreted")
def test_brian2_gives_the_same_spikes(diet, images):
    double, brian2 = diet.spikes(images[0][:4], double=True), diet.simulate(images[0][:4], backend="runtime")
    for a, b in zip(double, brian2, strict=True):
        assert a.any()
        assert_array_equal(a, b)


@pytest.mark.usefixtures("interpreted")
def test_brian2_gives_the_same_spikes_of_residual_blocks_and_spikes_as_input():
    """A shortcut passes two layers by, and arrives with what went through them."""
    rng = np.random.default_rng(0)
    network = FeedForward([Convolution(2, stride=3), Residual(3, 2)], (9, 10, 1), 2)
    weights = {**jax.tree.map(np.asarray, network.weights(0)), "v_thresh": [0.71, 0.43, 0.52], "leak": [1.0, 0.9, 0.8]}
    shown = rng.random((2, 8, 90)) < 0.4
    with jax.enable_x64(True):
        double = jax.tree.map(lambda value: np.asarray(value, np.float64), weights)
        X = np.swapaxes(shown, 0, 1).reshape(8, 2, 9, 10, 1).astype(np.float64)
        response = jax.jit(lambda w, X: network.run(w, X, 8, record=True).spikes)(double, X)
    brian2 = ImageSimulation(network, weights, "runtime").run(shown.astype(float))
    for a, b in zip(map(np.asarray, response), brian2, strict=True):
        assert 10 < a.sum() < 0.9 * a.size
        assert_array_equal(np.swapaxes(a > 0, 0, 1).reshape(b.shape), b)


@pytest.mark.parametrize("euler", [None, 0.1 * ms])
def test_nir_gives_the_network_back(diet, images, tmp_path, euler):
    with pytest.warns(LossyExport, match="subtract their threshold"):
        write(tmp_path / "network.nir", diet, euler=euler)
    same = read(tmp_path / "network.nir")
    assert_array_equal(same.classes_, diet.classes_)
    assert_array_equal(same.predict(images[0]), diet.predict(images[0]))
    for a, b in zip(diet.spikes(images[0][:10], double=True), same.spikes(images[0][:10], double=True), strict=True):
        assert_array_equal(a, b)
    for key in ("v_thresh", "leak"):
        assert_allclose(same.weights_[key], diet.weights_[key], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:NIR resets")
def test_graphs_that_are_no_networks_of_images_are_refused(diet):
    nir = pytest.importorskip("nir")
    leaky = copy.copy(diet)
    leaky.weights_ = {**diet.weights_, "leak": [np.float32(0.9)] * 3}
    graph = to_nir(leaky)
    kinds = [type(node) for node in graph.nodes.values()]
    assert kinds[1:6] == [nir.Conv2d, nir.LIF, nir.AvgPool2d, nir.Conv2d, nir.LIF]
    graph.nodes["w_1"].bias = np.ones(4)
    with pytest.raises(ValueError, match="'w_1': a convolution must have no bias"):
        from_nir(graph)
    graph = to_nir(diet)
    graph.nodes["layer_0"].metadata = {}
    with pytest.raises(ValueError, match="'layer_0' is reset to 0; neurons of networks of images subtract"):
        from_nir(graph)


def test_saved_estimators_answer_alike(ann, diet, images, tmp_path):
    for estimator in (ann, diet):
        estimator.save(tmp_path / "network.h5")
        assert_array_equal(type(estimator).load(tmp_path / "network.h5").predict_proba(images[0]),
                           estimator.predict_proba(images[0]))  # fmt: skip
    with pytest.raises(ValueError, match="does not hold a ImageClassifier, but a SpikingImageClassifier"):
        ImageClassifier.load(tmp_path / "network.h5")


def test_augmentation_moves_and_mirrors_in_training_alone(images):
    X = jnp.zeros((300, 7, 7, 1)).at[:, 3, 2].set(1)
    changed = np.asarray(augmented(X, jax.random.key(0), 1, True))
    places = {tuple(place[1:3]) for place in np.argwhere(changed)}
    assert places == {(row, column) for row in (2, 3, 4) for column in (1, 2, 3, 4, 5)}
    assert changed.sum() == 300
    moved, still = (ImageClassifier([Dense(5)], shift=shift, flip=bool(shift)) for shift in (2, 0))
    moved.network_ = still.network_ = FeedForward([Dense(5)], (9, 10, 1), 2)
    weights = still.network_.weights(0)
    batch = {"X": jnp.asarray(images[0]), "y": jnp.arange(N_IMAGES) % 2, "mask": jnp.ones(N_IMAGES)}
    held_out = {**batch, "held_out": jnp.ones(N_IMAGES)}
    key = jax.random.key(0)
    expected = still._mean_loss(weights, batch, key)[0]
    assert moved._mean_loss(weights, held_out, key)[0] == expected
    assert abs(moved._mean_loss(weights, batch, key)[0] - expected) > 1e-3
    rows = ImageClassifier(LAYERS, shape=(9, 10, 1))
    assert_array_equal(rows._samples(images[0].reshape(N_IMAGES, -1)), images[0])


@pytest.mark.parametrize(
    ("settings", "X", "said"),
    [
        ({}, np.ones((4, 90)), r"give shape=\(height, width, channels\)"),
        ({"shape": (3, 3, 1)}, np.ones((4, 90)), "90 features, but shape"),
        ({}, np.full((4, 9, 10), np.nan), "NaN or infinite"),
        ({"n_steps": 0}, np.ones((4, 9, 10)), "n_steps must be an integer of at least 1"),
        ({"encoding": "rate"}, np.ones((4, 9, 10)), "encoding must be 'direct' or 'poisson'"),
        ({"train": ("tau_m",)}, np.ones((4, 9, 10)), "train has 'tau_m', which is no parameter"),
        ({"neuron": LIF()}, np.ones((4, 9, 10)), "which LIF has not: use DiscreteLIF"),
    ],
)
def test_settings_and_samples_that_are_wrong_are_refused(settings, X, said):
    with pytest.raises(ValueError, match=said):
        SpikingImageClassifier([Dense(3)], **settings).fit(X, [0, 1, 0, 1])


def test_images_of_another_shape_and_unknown_labels_are_refused(ann, diet, images):
    with pytest.raises(ValueError, match=r"shape \(9, 9, 1\), but ImageClassifier was trained with \(9, 10, 1\)"):
        ann.predict(images[0][:, :, :9])
    with pytest.raises(ValueError, match="labels that are not in classes_: \\['round'\\]"):
        diet.partial_fit(images[0][:2], ["flat", "round"])


def test_leaks_stay_in_their_range_with_a_derivative():
    network = FeedForward([Dense(2)], (1, 1, 2), 2, DiscreteLIF())
    value = lambda leak: network.parameters({"w": [], "leak": [leak]})[0]["leak"]  # noqa: E731
    assert [float(value(jnp.asarray(leak))) for leak in (-0.2, 0.4, 1.3)] == pytest.approx([0, 0.4, 1])
    assert jax.grad(value)(1.3) == 1
