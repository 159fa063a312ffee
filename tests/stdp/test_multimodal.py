"""MultimodalClassifier: what it learns, that it leaks no labels, missing modalities, files, resume, clear errors."""

import re
from dataclasses import replace

import numpy as np
import pytest
from brian2 import Hz, ms, mV, prefs
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hrsnn import Ensemble, FrameEncoder, MultimodalClassifier, PoissonEncoder, STDPClassifier, STDPPruning
from hrsnn.datasets import digits
from hrsnn.models import AdaptiveConductanceLIF, CrossModalSTDP, PowerLawSTDP
from hrsnn.simulation import backends
from hrsnn.simulation import statefile as files
from hrsnn.stdp.ensembles import Ensembles
from hrsnn.stdp.presenter import Response

ENCODER = PoissonEncoder(rate_max=250 * Hz, duration=100 * ms, rest=50 * ms)
SETTINGS = dict(
    neuron=AdaptiveConductanceLIF(theta_plus=0.05 * mV), synapse=PowerLawSTDP(eta=0.05, offset=0.1), encoder=ENCODER
)
HALF = Ensemble(20, **SETTINGS, w_total=8.0)
CROSS = CrossModalSTDP(eta=0.01, offset=0.05, gain=4.0)
MANUAL = dict(coupling="manual", n_alone=200, fraction=0.5, synapse=CrossModalSTDP(gain=200.0))
N_TRAIN, N_TEST = 600, 150
CHANCE = 0.1
pytestmark = pytest.mark.cpp


def multimodal(**settings):
    common = dict(synapse=CROSS, fraction=0.18, batch_size=100, seed=1)
    return MultimodalClassifier({"top": HALF, "bottom": HALF}, **(common | settings))


def halves(X):
    """The upper and the lower half of an image: two modalities of one thing."""
    return {"top": X[:, :32], "bottom": X[:, 32:]}


@pytest.fixture(scope="module")
def data():
    if backends.resolve("auto") != "cpp":
        pytest.skip("no C++ compiler")
    X_train, X_test, y_train, y_test = digits(size=8)
    return halves(X_train[:N_TRAIN]), halves(X_test[:N_TEST]), y_train[:N_TRAIN], y_test[:N_TEST]


@pytest.fixture(scope="module")
def fitted(data):
    return multimodal().fit(data[0], data[2])


@pytest.fixture(scope="module")
def manual(data):
    return multimodal(**MANUAL).fit(data[0], data[2])


def first(X, n):
    return {name: samples[:n] for name, samples in X.items()}


def test_it_learns_from_both_modalities(fitted, data):
    _, X_test, _, y_test = data
    both = fitted.score(X_test, y_test)
    assert both > 4 * CHANCE
    assert both > max(fitted.score({name: samples}, y_test) for name, samples in X_test.items())
    assert {name: w.shape for name, w in fitted.weights_.items()} == {
        "top": (32, 20), "bottom": (32, 20), "top_to_bottom": (20, 20), "bottom_to_top": (20, 20),
    }  # fmt: skip
    assert all(len(labels) == 20 for labels in fitted.labels_.values())


def test_every_neuron_is_sender_receiver_or_neither(fitted):
    there, back = fitted.connections_["top_to_bottom"], fitted.connections_["bottom_to_top"]
    assert len(there[0]) == len(back[0]) == 36  # half of 18 % of 400
    assert not set(there[0]) & set(back[1])
    assert not set(there[1]) & set(back[0])
    w = fitted.weights_["top_to_bottom"]
    assert np.count_nonzero(np.delete(w.ravel(), there[0] * 20 + there[1])) == 0
    assert 0 <= w.min() <= w.max() <= 1


def test_missing_modality_equals_blank_input(fitted, data):
    X = data[1]
    blank = {**X, "bottom": np.zeros_like(X["bottom"])}
    expected = fitted.transform(blank)
    assert expected[:, :20].sum() > 100
    assert_array_equal(fitted.transform({"top": X["top"]}), expected)
    assert_array_equal(fitted.transform({"top": X["top"], "bottom": None}), expected)


def test_an_ensemble_without_input_hears_the_other(manual, data):
    answers = manual.transform({"top": data[1]["top"]})
    receivers = manual.connections_["top_to_bottom"][1]
    assert answers[:, 20:].sum() > 20
    assert set(np.flatnonzero(answers[:, 20:].any(axis=0))) <= set(receivers)


def test_learnt_synapses_come_when_the_ensembles_have_learnt_alone(data):
    X, y = first(data[0], 300), data[2][:300]
    silent = CrossModalSTDP(gain=0.0)
    alone = multimodal(coupling="none", n_epochs=2).fit(X, y)
    late = multimodal(synapse=silent, n_alone=599, n_epochs=2).fit(X, y)
    for name in ("top", "bottom"):  # one of 600 presentations was common
        assert np.corrcoef(late.weights_[name].ravel(), alone.weights_[name].ravel())[0, 1] > 0.999
    drawn = {name: late.state_[f"{name}.w"] for name in late.connections_}
    assert all(0 < w.min() < w.max() < 0.11 for w in drawn.values())  # as drawn, but for one presentation
    early = multimodal(synapse=CROSS.replace(eta=0.05), n_alone=0).fit(X, y)
    assert any(early.state_[f"{name}.w"].max() > 0.11 for name in early.connections_)


def test_manual_synapses_join_neurons_that_had_one_label(manual):
    w = manual.weights_["top_to_bottom"]
    assert set(np.unique(w)) == {0, 0.5}
    assert not set(manual.connections_["top_to_bottom"][0]) & set(manual.connections_["bottom_to_top"][1])


def test_uncoupled_ensembles_equal_independent_classifiers(data):
    X_train, X_test, y_train, _ = data
    X = first(X_train, 300)
    together = multimodal(coupling="none", anneal=False).partial_fit(X, y_train[:300])
    counts = together.transform(X_test)
    seeds = {name: layer.seed for name, layer in together.ensembles_.layers.items()}
    for k, name in enumerate(("top", "bottom")):
        alone = STDPClassifier(20, **SETTINGS, w_total=8.0, batch_size=100, anneal=False, seed=seeds[name])
        alone.set_params(normalise="sum", thresholds="own")
        alone.partial_fit(X[name])
        assert_array_equal(together.weights_[name], alone.weights_)
        assert_array_equal(together.theta_[name], alone.theta_)
        assert_array_equal(counts[:, 20 * k : 20 * (k + 1)], alone.transform(X_test[name]))
    assert counts.sum() > 100


def test_labels_only_name_the_neurons(fitted, data):
    X_train, X_test, y_train, _ = data
    shuffled = clone(fitted).fit(X_train, np.random.default_rng(0).permutation(y_train))
    for name, weights in fitted.weights_.items():
        assert_array_equal(shuffled.weights_[name], weights)
    assert_array_equal(shuffled.transform(X_test), fitted.transform(X_test))
    with pytest.raises(NotFittedError, match="has no labels"):
        clone(fitted).fit(first(X_train, 100)).predict(X_test)


def test_balanced_ensembles_have_the_same_say(fitted, data):
    counts, X = np.zeros((3, 40)), first(data[1], 3)
    counts[0, [2, 30]] = 9, 1
    counts[1, [2, 5, 31]] = 1, 3, 8
    counts[2, 35] = 2  # the upper ensemble did not fire
    shares = np.zeros((3, 40))
    shares[0, [2, 30]] = 1, 1
    shares[1, [2, 5, 31]] = 0.25, 0.75, 1
    shares[2, 35] = 1
    assert_array_equal(fitted.ensembles_.balance(counts, X), shares)
    X["bottom"] = X["bottom"] * [[1], [0], [1]]
    shares[1, 20:] = 0  # a blank part is a missing part
    assert_array_equal(fitted.ensembles_.balance(counts, X), shares)
    shares[:, 20:] = 0
    assert_array_equal(fitted.ensembles_.balance(counts, {"top": X["top"]}), shares)


def test_an_ensemble_that_fires_much_does_not_outvote_the_other(fitted, data, monkeypatch):
    """The upper ensemble is torn between two labels; the lower one, which fires less, has a clear answer."""
    named = [fitted.classes_[fitted.labels_[name]] for name in ("top", "bottom")]
    loud, quiet = np.intersect1d(*named)[:2]
    votes = lambda k, label: (named[k] == label) / np.mean(named[k] == label)  # noqa: E731
    counts = np.hstack([3 * votes(0, loud) + 2 * votes(0, quiet), 0.5 * votes(1, quiet)])[None, :]
    monkeypatch.setattr(fitted, "_respond", lambda X, what: Response(counts, counts.sum(axis=1), np.ones(1)))
    X = first(data[1], 1)
    assert fitted.predict(X)[0] == quiet
    assert fitted.predict({"top": X["top"]})[0] == loud  # the lower one only echoes the upper one
    monkeypatch.setattr(fitted, "balanced", False)
    assert fitted.predict(X)[0] == loud


def test_prediction_is_a_function_of_the_sample(fitted, data):
    X = data[1]
    order = np.random.default_rng(0).permutation(N_TEST)
    expected = fitted.predict(X)
    assert_array_equal(fitted.predict({name: samples[order] for name, samples in X.items()}), expected[order])


def test_declared_synapses_learn_as_the_dense_kernel(fitted, data):
    X = first(data[0], 100)
    dense = clone(fitted).fit(X)
    declared = clone(fitted).set_params(dense_kernel=False).fit(X)
    for name, weights in dense.weights_.items():
        assert_allclose(declared.weights_[name], weights, atol=1e-9, err_msg=name)  # rounding of some thousand updates


def test_save_and_load_keep_the_classifier(manual, data, tmp_path):
    manual.save(tmp_path / "pairs.h5")
    loaded = MultimodalClassifier.load(tmp_path / "pairs.h5")
    assert_array_equal(loaded.predict(data[1]), manual.predict(data[1]))
    assert loaded.ensembles == manual.ensembles
    for name, weights in manual.weights_.items():
        assert_array_equal(loaded.weights_[name], weights)


@pytest.mark.parametrize("settings", [{}, MANUAL])
def test_training_resumes_from_its_checkpoint(settings, fitted, manual, data, tmp_path, monkeypatch):
    X, _, y, _ = data
    path, write = tmp_path / "state.h5", files.write

    def write_some(path, arrays, state):
        if state.get("done", 0) > 550:
            raise KeyboardInterrupt("stop")
        write(path, arrays, state)

    monkeypatch.setattr(files, "write", write_some)
    with pytest.raises(KeyboardInterrupt, match=r"^stop$"):
        multimodal(**settings, checkpoint=path).fit(X, y)
    monkeypatch.setattr(files, "write", write)
    assert files.read(path)[1]["done"] == (500 if settings else 550)  # joined after 200, after 450
    resumed = multimodal(**{"n_alone": 450, **settings}, checkpoint=path).fit(X, y)  # 450 is the default
    whole = manual if settings else fitted
    for name, value in whole.state_.items():
        assert_array_equal(resumed.state_[name], value, err_msg=name)
    assert_array_equal(resumed.labels_["top"], whole.labels_["top"])
    with pytest.raises(ValueError, match="belongs to a training with other settings"):
        multimodal(**settings, checkpoint=path, seed=2).fit(X, y)


def test_networks_share_what_their_ensembles_learn_alone(fitted, data, tmp_path, monkeypatch):
    X, _, y, _ = data
    alone = tmp_path / "alone.h5"
    uncoupled = multimodal(coupling="none", n_alone=450, checkpoint_alone=alone).fit(X, y)
    assert files.read(alone)[1]["done"] == 450
    seen = []
    learn = Ensembles.learn
    monkeypatch.setattr(Ensembles, "learn", lambda own, X, *rest: seen.append(len(X["top"])) or learn(own, X, *rest))
    coupled = multimodal(checkpoint_alone=alone).fit(X, y)
    assert sum(seen) == 150
    assert list(uncoupled.state_) != list(coupled.state_)
    for name, value in fitted.state_.items():
        assert_array_equal(coupled.state_[name], value, err_msg=name)
    again = multimodal(coupling="none", n_alone=450, checkpoint_alone=alone).fit(X, y)
    for name, value in uncoupled.state_.items():
        assert_array_equal(again.state_[name], value, err_msg=name)
    for other in (dict(seed=2), dict(n_alone=400)):
        with pytest.raises(ValueError, match="belongs to a training with other settings"):
            multimodal(checkpoint_alone=alone, **other).fit(X, y)


def test_manual_synapses_start_from_what_was_learnt_alone(manual, data, tmp_path):
    X, _, y, _ = data
    for _ in range(2):  # writes it, starts from it
        classifier = multimodal(**MANUAL, checkpoint_alone=tmp_path / "alone.h5").fit(X, y)
        for name, value in manual.state_.items():
            assert_array_equal(classifier.state_[name], value, err_msg=name)
    path = tmp_path / "whole.h5"
    multimodal(**MANUAL, checkpoint=path, checkpoint_alone=tmp_path / "alone.h5").fit(X, y)
    with pytest.raises(ValueError, match="belongs to a training with other settings"):  # other labels join others
        multimodal(**MANUAL, checkpoint=path, n_label_samples=50).fit(X, y)


def test_load_refuses_another_number_of_neurons(manual, tmp_path):
    manual.save(tmp_path / "pairs.h5")
    larger = {name: Ensemble(30, **SETTINGS) for name in ("top", "bottom")}
    with pytest.raises(ValueError, match=r"has n_neurons=\{'top': 20, 'bottom': 20\}, got \{'top': 30, 'bottom': 30\}"):
        MultimodalClassifier.load(tmp_path / "pairs.h5", ensembles=larger)


def test_pruned_ensembles_are_sparse_and_survive_files(fitted, data, tmp_path):
    X_train, X_test, y_train, _ = data
    schedule = STDPPruning(threshold=0.1, levels=3, n_batches=6, warm_up=2)
    pruned = clone(fitted).set_params(pruning=schedule).fit(X_train, y_train)
    unsettled = clone(fitted).set_params(pruning=replace(schedule, n_settle=0)).fit(X_train, y_train)
    assert 0.05 < pruned.connectivity_ < 0.8
    for name in ("top", "bottom"):
        assert_array_equal(pruned.weights_[name], unsettled.weights_[name])  # only thresholds settle
        # A silent neuron decays: 100 samples of 0.15 s, each shown up to 4 times, and a time constant of 10,000 s.
        assert (pruned.theta_[name] >= np.exp(-60 / 1e4) * unsettled.theta_[name]).all()
        assert pruned.theta_[name].mean() > unsettled.theta_[name].mean()
        assert len(np.unique(pruned.weights_[name])) == 3
        assert len(pruned.state_[f"{name}_input_to_exc.w"]) == np.count_nonzero(pruned.weights_[name])
    pruned.save(tmp_path / "pruned.h5")
    loaded = MultimodalClassifier.load(tmp_path / "pruned.h5")
    assert loaded.connectivity_ == pruned.connectivity_
    assert_array_equal(loaded.transform(first(X_test, 20)), pruned.transform(first(X_test, 20)))


@pytest.mark.parametrize("regime", ["after", "thin"])
def test_pruning_after_training_trains_the_full_network(regime, fitted, data, tmp_path):
    schedule = STDPPruning(regime=regime, connectivity=0.3, levels=3, n_batches=6, n_settle=0)
    full = clone(fitted).set_params(coupling="none", checkpoint=tmp_path / "full.h5").fit(data[0])
    pruned = clone(full).set_params(pruning=schedule, checkpoint=tmp_path / "pruned.h5").fit(data[0])
    assert pruned.connectivity_ < 0.32  # ten of 32 inputs
    (learnt, key), (before_the_cut, same) = (files.read(tmp_path / f"{name}.h5") for name in ("full", "pruned"))
    assert key == same
    for name, array in learnt.items():
        assert_array_equal(array, before_the_cut[name])


def test_graph_holds_all_weights(fitted):
    graph = fitted.graph_
    weights = fitted.weights_
    assert graph.number_of_nodes() == 2 * (32 + 20)
    assert graph.number_of_edges() == sum(np.count_nonzero(w) for w in weights.values())
    i, j = np.unravel_index(weights["top_to_bottom"].argmax(), (20, 20))
    assert graph.edges[("top", "exc", int(i)), ("bottom", "exc", int(j))]["weight"] == weights["top_to_bottom"].max()


def test_print_shows_the_settings(fitted):
    text = re.sub(r"\s+", " ", str(fitted))
    assert "MultimodalClassifier(" in text
    assert "'bottom': Ensemble(n_neurons=20" in text


def test_three_modalities_and_frames_learn_in_runtime_mode(data):
    X = {**first(data[0], 4), "both": np.hstack([data[0]["top"], data[0]["bottom"]])[:4]}
    small = Ensemble(4, **SETTINGS, w_total=4.0)
    frames = FrameEncoder(2, rate_max=250 * Hz, duration=100 * ms, rest=50 * ms)
    ensembles = {"top": small, "bottom": small, "both": Ensemble(4, encoder=frames, w_total=4.0)}
    previous, prefs.codegen.target = prefs.codegen.target, "numpy"  # Cython would compile for a minute
    settings = dict(coupling="learned", fraction=0.5, batch_size=4, max_retries=1)
    runtime = MultimodalClassifier(ensembles, backend="runtime", **settings).fit(X)
    prefs.codegen.target = previous
    assert {"both_to_top", "top_to_both", "bottom_to_both"} <= set(runtime.connections_)
    assert {"both_exc", "top_exc", "top_to_bottom"} <= {obj.name for obj in runtime.network_.objects}
    compiled = MultimodalClassifier(ensembles, backend="cpp", **settings).fit(X)
    assert compiled.weights_["both"].shape == (32, 4)
    for name, weights in compiled.weights_.items():
        assert_allclose(runtime.weights_[name], weights, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"ensembles": {}}, TypeError, "ensembles must be a mapping of modality to Ensemble"),
        ({"ensembles": {"top": 20, "bottom": HALF}}, TypeError, r"ensembles\['top'\] must be an Ensemble, got int"),
        ({"ensembles": {"Top": HALF, "bottom": HALF}}, ValueError, "must be a word in lower case"),
        ({"coupling": "some"}, ValueError, "coupling must be one of 'learned', 'manual', 'none', got 'some'"),
        ({"fraction": 0.6}, ValueError, r"fraction must be in \(0, 0.5\], got 0.6"),
        ({"fraction": 1e-4}, ValueError, "fraction=0.0001 of the pairs of neurons is no synapse"),
        ({"w_manual": 0.0}, ValueError, "w_manual must be positive"),
        ({"n_alone": -1}, ValueError, "n_alone must be an integer of at least 0, got -1"),
        ({"n_alone": 0, "coupling": "manual"}, ValueError, "n_alone must be an integer of at least 1"),
        ({"n_alone": 20}, ValueError, "n_alone=20 of 20 samples leaves none to be learnt together"),
        ({"n_epochs": 0}, ValueError, "n_epochs must be an integer of at least 1"),
        ({"seed": -1}, ValueError, r"seed must be an integer in 0\.\.2\*\*31 - 1"),
        ({"min_votes": -1}, ValueError, "min_votes must be an integer of at least 0"),
        ({"vote": "majority"}, ValueError, "vote must be one of"),
    ],
)
def test_wrong_settings_are_named(settings, error, message, data):
    with pytest.raises(error, match=message):
        multimodal().set_params(**settings).fit(first(data[0], 20), data[2][:20])


def test_wrong_samples_are_named(fitted, data):
    X, _, y, _ = data
    few = first(X, 20)
    with pytest.raises(TypeError, match=r"X must be a mapping of modality to samples \(top, bottom\), got ndarray"):
        multimodal().fit(X["top"], y)
    with pytest.raises(ValueError, match=r"X has a modality 'smell', but the ensembles are: top, bottom"):
        fitted.predict({**few, "smell": few["top"]})
    with pytest.raises(ValueError, match=r"X lacks bottom\. Learning needs all of top, bottom"):
        multimodal().fit({"top": few["top"]}, y[:20])
    with pytest.raises(ValueError, match="X lacks top, bottom"):
        fitted.predict({"top": None})
    with pytest.raises(ValueError, match=r"numbers of rows differ: \{'top': 20, 'bottom': 19\}"):
        multimodal().fit({**few, "bottom": few["bottom"][:19]}, y[:20])
    with pytest.raises(ValueError, match=r"y must have shape \(20,\), one label a sample, got \(19,\)"):
        multimodal().fit(few, y[:19])
    with pytest.raises(ValueError, match="top has 30 columns, but it had 32 in training"):
        fitted.predict({"top": few["top"][:, :30]})
    with pytest.raises(ValueError, match="coupling='manual' joins neurons of the same label: pass y"):
        multimodal(coupling="manual").fit(few)
    with pytest.raises(ValueError, match="joins the ensembles in fit"):
        multimodal(coupling="manual").partial_fit(few, y[:20])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        multimodal().transform(few)


def test_ensembles_must_be_shown_a_sample_for_the_same_time(data):
    longer = Ensemble(20, encoder=PoissonEncoder(duration=200 * ms, rest=50 * ms))
    with pytest.raises(ValueError, match=r"must have the same n_on, got \{'top': 200, 'bottom': 400\}"):
        multimodal().set_params(ensembles={"top": HALF, "bottom": longer}).fit(first(data[0], 20))
