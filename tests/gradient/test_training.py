"""The training loop: resumed to the same weights, stopped at NaN, early, and warned of layers that are dead."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from brian2 import Hz, ms

from hrsnn import datasets
from hrsnn.gradient import Diverged, Layer, SpikingClassifier, SpikingRegressor, Training
from hrsnn.gradient.training import UnhealthyLayer
from hrsnn.models import LIF


@pytest.fixture(scope="module")
def digits():
    X_train, X_test, y_train, y_test = datasets.digits()
    return X_train[:300] / 255, X_test[:200] / 255, y_train[:300], y_test[:200]


def small(**settings):
    defaults = dict(layers=[Layer(30, LIF(t_ref=0 * ms))], step=10 * ms, n_epochs=4, learning_rate=3e-2, batch_size=50)
    return SpikingClassifier(**{**defaults, **settings})


def equal(first, second):
    leaves = [jax.tree.leaves(one.weights_) for one in (first, second)]
    return all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))


def test_digits_are_learnt(digits):
    X, X_test, y, y_test = digits
    classifier = small(n_epochs=20).fit(X, y)
    assert classifier.score(X_test, y_test) > 0.8
    probabilities = classifier.predict_proba(X_test)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert np.array_equal(classifier.classes_[probabilities.argmax(1)], classifier.predict(X_test))
    losses = [line["loss"] for line in classifier.history_]
    assert losses[-1] < 0.5 * losses[0]
    assert len(losses) == 20


def test_labels_may_be_text_and_classes_keep_their_names(digits):
    X, _, y, _ = digits
    names = np.array([f"digit {k}" for k in y])
    classifier, numbers = small(n_epochs=2).fit(X, names), small(n_epochs=2).fit(X, y)
    assert [f"digit {k}" for k in numbers.predict(X)] == classifier.predict(X).tolist()


def test_a_training_that_was_killed_goes_on_to_the_same_weights(digits, tmp_path, killed_at_the_second_checkpoint):
    X, _, y, _ = digits
    whole = small().fit(X, y)
    path = tmp_path / "training.h5"
    with pytest.raises(KeyboardInterrupt):
        small(checkpoint=path).fit(X, y)
    killed_at_the_second_checkpoint()
    resumed = small(checkpoint=path).fit(X, y)
    assert equal(whole, resumed)
    assert resumed.history_ == whole.history_
    with pytest.raises(ValueError, match="belongs to a training with other settings"):
        small(checkpoint=path, learning_rate=1e-2).fit(X, y)


def test_a_loss_that_is_no_number_stops_the_training_and_keeps_the_last_epoch(digits, tmp_path, monkeypatch):
    X, _, y, _ = digits
    path = tmp_path / "training.h5"
    loss = SpikingClassifier._loss

    def poisoned(self, outputs, batch):
        value, means = loss(self, outputs, batch)
        return value / (batch["X"].max() < 1.5), means

    monkeypatch.setattr(SpikingClassifier, "_loss", poisoned)
    far = X.copy()
    far[::30] = 2.0  # some batch of the first epoch holds one
    with pytest.raises(Diverged, match=r"epoch 1, batch \d+ of 6.*Lower learning_rate"):
        small(checkpoint=path).fit(far, y)
    assert not path.exists()


def test_training_ends_when_held_out_samples_gain_no_more(digits):
    X, _, y, _ = digits
    classifier = small(n_epochs=60, patience=2, validation=0.2).fit(X, np.random.default_rng(0).permutation(y))
    losses = [line["held_out_loss"] for line in classifier.history_]
    assert len(losses) == int(np.argmin(losses)) + 3 < 60


@pytest.mark.parametrize(("spikes", "said"), [(0.0, "layer 0 does not fire"), (0.7, "layer 0 fires in more than half")])
def test_a_layer_that_is_dead_or_saturated_is_told_once(spikes, said):
    def loss(weights, batch, random):
        return jnp.sum(weights**2), {"spikes_0": jnp.asarray(spikes), "spikes_1": jnp.asarray(0.05)}

    data = {"mask": np.ones(5, np.float32)}
    with pytest.warns(UnhealthyLayer, match=said) as warned:
        Training(n_epochs=3, batch_size=2).fit(loss, jnp.ones(2), data)
    assert len(warned) == 1


def test_partial_fit_trains_on(digits):
    X, _, y, _ = digits
    classifier = small(n_epochs=3)
    with pytest.raises(ValueError, match="needs classes"):
        classifier.partial_fit(X, y)
    classifier.partial_fit(X, y, classes=range(10))
    before = classifier.history_[-1]["loss"]
    classifier.partial_fit(X, y)
    assert classifier.history_[-1]["loss"] < before
    with pytest.raises(ValueError, match="not in classes"):
        classifier.partial_fit(X[:2], [11, 12])


def test_saved_estimators_answer_alike(digits, tmp_path):
    X, X_test, y, _ = digits
    layer = Layer(10, LIF(), recurrent=True, train=("tau_m",))
    classifier = small(layers=[layer, 8], n_epochs=1).fit(X, y)
    classifier.save(tmp_path / "network.h5")
    read = SpikingClassifier.load(tmp_path / "network.h5")
    assert np.array_equal(read.predict_proba(X_test), classifier.predict_proba(X_test))
    np.testing.assert_array_equal(read.parameters_[0]["tau_m"], classifier.parameters_[0]["tau_m"])
    with pytest.raises(ValueError, match="does not hold a SpikingRegressor"):
        SpikingRegressor.load(tmp_path / "network.h5")


@pytest.mark.usefixtures("interpreted")
def test_padding_changes_nothing(digits):
    rng = np.random.default_rng(0)
    X = [rng.random((int(n), 4)) for n in rng.integers(3, 9, 40)]
    y = np.array([int(x[0, 0] > 0.5) for x in X])
    classifier = SpikingClassifier([Layer(10, recurrent=True)], n_epochs=1, batch_size=20).fit(X, y)
    together = classifier.predict_proba(X)
    alone = np.concatenate([classifier.predict_proba([x]) for x in X[:5]])
    np.testing.assert_allclose(together[:5], alone, rtol=2e-5)
    (jax_spikes,), (brian2_spikes,) = classifier.spikes(X, double=True), classifier.simulate(X, "runtime")
    assert np.array_equal(jax_spikes, brian2_spikes)
    for x, spikes in zip(X[:5], jax_spikes, strict=False):
        n_steps = 5 * len(x)
        assert np.array_equal(spikes[:n_steps], classifier.spikes([x], double=True)[0][0])
        assert spikes[:n_steps].sum() > 0
        assert not spikes[n_steps:].any()
    # Spikes behind the end of a sequence count neither for the health of a layer nor where its weights start.
    repeated = [np.concatenate([x] * 4)[: 9 - k % 5] for k, x in enumerate(X)]
    mixed = SpikingClassifier([Layer(10)], n_epochs=1, batch_size=40, validation=0, learning_rate=1e-9).fit(repeated, y)
    (spikes,) = mixed.spikes(repeated)
    n_steps = 5 * sum(map(len, repeated))
    assert mixed.history_[0]["spikes_0"] == pytest.approx(spikes.sum() / (10 * n_steps), rel=1e-4)


def test_a_regressor_learns_a_filter_of_its_input():
    rng = np.random.default_rng(0)
    X = rng.random((60, 30, 1))
    y = np.zeros_like(X)
    for k in range(1, 30):
        y[:, k] = 0.8 * y[:, k - 1] + 0.2 * X[:, k - 1]
    regressor = SpikingRegressor([Layer(60, recurrent=True)], n_epochs=40, learning_rate=1e-2, washout=5, batch_size=20)
    regressor.fit(X[:50], y[:50])
    found = regressor.predict(X[50:])
    assert found.shape == (10, 30, 1)
    assert np.corrcoef(found[:, 5:].ravel(), y[50:, 5:].ravel())[0, 1] > 0.8
    residual, spread = found[:, 5:] - y[50:, 5:], y[50:, 5:] - y[50:, 5:].mean()
    assert regressor.score(X[50:], y[50:]) == pytest.approx(1 - (residual**2).sum() / (spread**2).sum())
    shorter = [X[50, :20], X[51]]
    answers = regressor.predict(shorter)
    assert [answer.shape for answer in answers] == [(20, 1), (30, 1)]
    np.testing.assert_allclose(answers[0], found[0, :20], rtol=1e-5)
    np.testing.assert_allclose(answers[1], found[1], rtol=1e-5)


def test_padding_has_no_part_in_the_scale_of_targets():
    rng = np.random.default_rng(0)
    X = [rng.random((n, 1)) for n in (3, 20)]
    y = [100 + 10 * x for x in X]
    regressor = SpikingRegressor([5], n_epochs=1, validation=0).fit(X, y)
    assert regressor.y_mean_ == pytest.approx(np.concatenate(y).mean(0))
    assert regressor.y_spread_ == pytest.approx(np.concatenate(y).std(0))


def test_a_checkpoint_knows_the_time_constants_of_a_graph(tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.random((20, 3)), np.arange(20) % 2

    def trained(tau_m):
        graph = nx.DiGraph([(0, 1, {"weight": 1.0}), (1, 0, {"weight": 1.0})])
        nx.set_node_attributes(graph, {0: 0.02, 1: tau_m}, "tau_m")
        layer = Layer.of_graph(graph)
        return SpikingClassifier([layer], n_epochs=1, validation=0, checkpoint=tmp_path / "state.h5").fit(X, y)

    assert equal(trained(0.03), trained(0.03))  # the second one is the checkpoint of the first
    with pytest.raises(ValueError, match=r"state.h5 belongs to a training with other settings, samples, neurons"):
        trained(0.031)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(n_epochs=0), "n_epochs must be an integer of at least 1"),
        (dict(learning_rate=-1), "learning_rate must be positive"),
        (dict(schedule="step"), "schedule must be"),
        (dict(validation=1.0), "validation must be a share"),
        (dict(patience=3, validation=0), "patience needs samples"),
        (dict(rate=600 * Hz), "rate must be positive, and below"),
        (dict(clip=0), "clip must be positive"),
    ],
)
def test_settings_out_of_range_are_refused(digits, settings, said):
    X, _, y, _ = digits
    with pytest.raises(ValueError, match=said):
        small(**settings).fit(X, y)


@pytest.mark.parametrize(
    ("X", "y", "said"),
    [
        (np.full((4, 3), np.nan), [0, 1, 0, 1], "NaN or infinite values, first in sample 0"),
        (np.ones((4, 3)), [0, 1, 0], "4 samples, y has 3 labels"),
        (np.ones((4, 3)), [0.5, 1, 0, 1], "Unknown label type: continuous"),
        (np.ones((4, 3)), [1, 1, 1, 1], "y has 1 class, 1; training needs at least two classes"),
        (np.ones(4), [0, 1, 0, 1], "Expected 2D array, got 1D array"),
        ([np.ones((3, 2)), np.ones((3, 4))], [0, 1], "same features"),
        ([np.ones((3, 2)), np.ones((0, 2))], [0, 1], "Sequence 1 of X has no frames"),
    ],
)
def test_samples_that_are_none_are_refused(X, y, said):
    with pytest.raises(ValueError, match=said):
        small().fit(X, y)


def test_other_features_than_in_training_are_refused(digits):
    X, _, y, _ = digits
    classifier = small(n_epochs=1).fit(X, y)
    with pytest.raises(ValueError, match="10 features, but SpikingClassifier is expecting 64 features"):
        classifier.predict(X[:, :10])
