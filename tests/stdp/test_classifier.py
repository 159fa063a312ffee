"""STDPClassifier: what it learns, that it leaks no labels, pruning, files, kill and resume, clear errors."""

import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace

import h5py
import numpy as np
import pytest
from brian2 import Hz, ms, mV, prefs
from brian2.units.fundamentalunits import DimensionMismatchError
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hrsnn import Gamma, PoissonEncoder, STDPClassifier, STDPPruning
from hrsnn.datasets import digits
from hrsnn.models import STDP, AdaptiveConductanceLIF, PowerLawSTDP
from hrsnn.simulation import backends
from hrsnn.stdp import estimator

ENCODER = PoissonEncoder(rate_max=250 * Hz, duration=100 * ms, rest=50 * ms)
NEURON = AdaptiveConductanceLIF(theta_plus=0.2 * mV)
N_TRAIN = 600
CHANCE = 0.1
cpp = pytest.mark.cpp
# These networks are small and see little: they are silent on many samples.
pytestmark = pytest.mark.filterwarnings("ignore:.* samples drew no spike:UserWarning")


def classifier(**settings):
    common = dict(n_neurons=20, neuron=NEURON, encoder=ENCODER, w_total=8.0, anneal=True, batch_size=100, seed=1)
    common |= dict(n_epochs=1, normalise="sum", thresholds="own")
    return STDPClassifier(**(common | settings))


@pytest.fixture(scope="module")
def data():
    X_train, X_test, y_train, y_test = digits(size=8)
    return X_train[:N_TRAIN], X_test[:150], y_train[:N_TRAIN], y_test[:150]


@pytest.fixture(scope="module")
def fitted(data):
    if backends.resolve("auto") != "cpp":
        pytest.skip("no C++ compiler")
    return classifier(synapse=PowerLawSTDP(eta=0.05, offset=0.1)).fit(data[0], data[2])


@pytest.fixture
def numpy_target():
    previous, prefs.codegen.target = prefs.codegen.target, "numpy"  # Cython would compile for a minute
    yield
    prefs.codegen.target = previous


@cpp
def test_it_learns_digits(fitted, data):
    assert fitted.score(data[1], data[3]) > 4 * CHANCE
    assert set(fitted.classes_) == set(range(10))
    assert len(set(fitted.labels_) - {-1}) >= 6


@cpp
def test_silent_samples_are_told_and_do_not_get_the_first_class(fitted, data):
    names = np.array(list("jabcdefghi"))[data[2]]  # the same training, in which 0 has the last name
    other = clone(fitted).fit(data[0], names)
    blank = np.zeros((2, 64), dtype=np.uint8)
    with pytest.warns(UserWarning, match="2 of 2 samples drew no spike of a neuron with a label"):
        answers = fitted.predict(blank)
    weakest = fitted.classes_[(fitted.readout_.responses_**2).sum(axis=1).argmin()]
    assert_array_equal(answers, weakest)
    assert fitted.n_silent_ == 2
    mixed = np.concatenate([blank, data[1]])
    assert_array_equal(np.array(list("jabcdefghi"))[fitted.predict(mixed)], other.predict(mixed))
    assert fitted.n_silent_ == (~fitted.transform(mixed)[:, fitted.labels_ >= 0].any(axis=1)).sum() > 2


@cpp
def test_weights_are_normalised_and_bounded(fitted):
    assert fitted.weights_.shape == (64, 20)
    assert fitted.weights_.min() >= 0
    changed = fitted.state_["exc.changed"] > 0.5  # not normalised since they last learnt
    assert_allclose(fitted.weights_.sum(axis=0)[~changed], 8.0, rtol=1e-6)


@cpp
def test_prediction_is_a_function_of_the_sample(fitted, data):
    X = data[1]
    order = np.random.default_rng(0).permutation(len(X))
    expected = fitted.transform(X)
    assert expected.sum() > 100
    assert_array_equal(fitted.transform(X[order]), expected[order])
    assert_array_equal(fitted.transform(X[7:8]), expected[7:8])
    fitted.n_jobs = 2
    assert_array_equal(fitted.transform(X), expected)
    fitted.n_jobs = 1


@cpp
def test_labels_only_name_the_neurons(fitted, data):
    X_train, X_test, y_train, _ = data
    unlabelled = clone(fitted).fit(X_train)
    assert_array_equal(unlabelled.weights_, fitted.weights_)
    shuffled = clone(fitted).fit(X_train, np.random.default_rng(0).permutation(y_train))
    assert_array_equal(shuffled.transform(X_test), fitted.transform(X_test))
    with pytest.raises(NotFittedError, match="has no labels"):
        unlabelled.predict(X_test)


@cpp
def test_testing_changes_nothing(fitted, data):
    before = {name: value.copy() for name, value in fitted.state_.items()}
    fitted.predict(data[1])
    for name, value in before.items():
        assert_array_equal(fitted.state_[name], value, err_msg=name)


@cpp
def test_seed_decides_everything(fitted, data):
    again = clone(fitted).fit(data[0], data[2])
    assert_array_equal(again.weights_, fitted.weights_)
    other = clone(fitted).set_params(seed=2).fit(data[0], data[2])
    assert np.abs(other.weights_ - fitted.weights_).max() > 0.1


@cpp
def test_declared_synapses_learn_as_the_dense_kernel(fitted, data):
    X = data[0][:100]
    dense = clone(fitted).fit(X)
    declared = clone(fitted).set_params(dense_kernel=False).fit(X)
    assert_allclose(declared.weights_, dense.weights_, atol=1e-9)  # rounding of some thousand updates
    assert_allclose(declared.theta_, dense.theta_, rtol=1e-9)


@cpp
def test_save_and_load_keep_the_classifier(fitted, data, tmp_path):
    fitted.save(tmp_path / "digits.h5")
    loaded = STDPClassifier.load(tmp_path / "digits.h5")
    assert_array_equal(loaded.predict(data[1]), fitted.predict(data[1]))
    assert_array_equal(loaded.weights_, fitted.weights_)
    assert loaded.get_params()["n_neurons"] == 20
    here = STDPClassifier.load(tmp_path / "digits.h5", backend="runtime")
    assert_array_equal(here.transform(data[1][:3]), fitted.transform(data[1][:3]))
    free = STDPClassifier.load(tmp_path / "digits.h5", inhibition=False)
    assert free.transform(data[1][:20]).sum() > 1.5 * fitted.transform(data[1][:20]).sum()
    assert_array_equal(free.weights_, fitted.weights_)
    with pytest.raises(ValueError, match=r"has n_neurons=20, got 30\. Train another"):
        STDPClassifier.load(tmp_path / "digits.h5", n_neurons=30)


def test_settings_of_version_0_1_are_read():
    neuron = AdaptiveConductanceLIF(tau_m=Gamma(mean=20 * ms, shape=3))
    settings = {"encoder": PoissonEncoder(rate_max=30 * Hz), "neuron": neuron}
    text = pickle.dumps(settings, protocol=0)
    old = text.replace(b"hrsnn.inputs.encoders", b"hrsnn.encoders").replace(b"hrsnn.laws", b"hrsnn.distributions")
    assert b"hrsnn.encoders" in old
    assert b"hrsnn.distributions" in old
    assert estimator._Settings(io.BytesIO(old)).load() == settings


@cpp
def test_partial_fit_continues(fitted, data):
    X, y = data[0][:200], data[2][:200]
    parts = clone(fitted).partial_fit(X[:100]).partial_fit(X[100:], y[100:])
    whole = clone(fitted).partial_fit(X)
    assert_array_equal(parts.weights_, whole.weights_)
    assert len(parts.classes_) == len(set(y[100:]))


@cpp
def test_graph_holds_the_weights(fitted):
    graph = fitted.graph_
    i, j = np.unravel_index(fitted.weights_.argmax(), fitted.weights_.shape)
    assert graph.edges[int(i), 64 + int(j)]["weight"] == fitted.weights_.max()
    assert graph.number_of_edges() == np.count_nonzero(fitted.weights_)
    assert [graph.nodes[node]["layer"] for node in (0, 63, 64, 83)] == ["input", "input", "exc", "exc"]


@cpp
def test_pruned_network_is_sparse_shared_and_survives_files(fitted, data, tmp_path):
    X_train, X_test, y_train, y_test = data
    pruning = STDPPruning(threshold=0.15, levels=3, n_batches=6, warm_up=2)
    pruned = clone(fitted).set_params(pruning=pruning).fit(X_train, y_train)
    values = np.unique(pruned.weights_)
    assert len(values) == 3
    assert values[0] == 0
    assert 0.05 < pruned.connectivity_ < 0.7
    assert len(pruned.state_["input_to_exc.w"]) == np.count_nonzero(pruned.weights_)
    assert pruned.score(X_test, y_test) > 3 * CHANCE
    pruned.save(tmp_path / "pruned.h5")
    loaded = STDPClassifier.load(tmp_path / "pruned.h5")
    assert loaded.connectivity_ == pruned.connectivity_
    assert_array_equal(loaded.transform(X_test[:20]), pruned.transform(X_test[:20]))


@cpp
def test_thresholds_settle_on_pruned_weights(fitted, data, tmp_path):
    X = data[0][:200]
    schedule = STDPPruning(threshold=0.15, levels=2, n_batches=4, warm_up=1, n_settle=0)
    pruned = clone(fitted).set_params(pruning=schedule).fit(X)
    settings = dict(pruning=replace(schedule, n_settle=2), checkpoint=tmp_path / "training.h5")
    settled = clone(fitted).set_params(**settings).fit(X)
    again = clone(settled).fit(X)  # from the last batch, as after a kill while thresholds settle
    assert_array_equal(again.theta_, settled.theta_)
    assert_array_equal(settled.weights_, pruned.weights_)  # exactly: shared values stay shared
    # Thresholds gained a whole number of increments from the spikes of 100 samples, less a slow decay.
    gained = (settled.theta_ - pruned.theta_) / float(NEURON.parameters["theta_plus"])
    assert gained.min() > 5
    assert (np.ceil(gained) - gained < 0.3).all()
    flat = clone(fitted).set_params(pruning=replace(schedule, n_settle=2), homeostasis=False).fit(X)
    assert_allclose(flat.theta_, 20e-3, rtol=1e-2)


@cpp
def test_pruning_before_training_keeps_the_random_synapses(fitted, data):
    pruning = STDPPruning(regime="before", connectivity=0.3, n_batches=2, warm_up=0)
    pruned = clone(fitted).set_params(pruning=pruning).fit(data[0][:100])
    assert pruned.connectivity_ <= 0.3
    assert pruned.connectivity_ == pytest.approx(0.3, abs=0.05)  # learning may bring a few weights to zero


@cpp
def test_ablations_change_the_network(fitted, data):
    X = data[0][:100]
    free = clone(fitted).set_params(homeostasis=False).fit(X)
    assert_allclose(free.theta_, 20e-3, rtol=1e-2)  # it decays with tau_theta
    crowd = clone(fitted).set_params(inhibition=False).fit(X)
    active = (crowd.transform(X) > 0).sum(axis=1).mean()
    assert active > 2 * (fitted.transform(X) > 0).sum(axis=1).mean()


@cpp
def test_heterogeneous_neurons_keep_their_draws(fitted, data):
    neuron = AdaptiveConductanceLIF(theta_plus=0.2 * mV, tau_m=Gamma(mean=100 * ms, shape=5))
    mixed = clone(fitted).set_params(neuron=neuron).fit(data[0][:100])
    drawn = mixed.ensembles_.presenters[0][1].values["exc.tau_m"]
    assert drawn.shape == (20,)
    assert drawn.std() > 0.02
    assert_array_equal(clone(mixed).fit(data[0][:100]).weights_, mixed.weights_)


TRAINING = """
import sys
from tests_classifier import N_TRAIN, PowerLawSTDP, classifier, digits
X = digits(size=8)[0][:N_TRAIN]
classifier(synapse=PowerLawSTDP(eta=0.05, offset=0.1), batch_size=20, checkpoint=sys.argv[1]).fit(X)
"""


@cpp
def test_killed_training_resumes_bit_for_bit(data, tmp_path):
    X = data[0]
    path = tmp_path / "state.h5"
    settings = dict(synapse=PowerLawSTDP(eta=0.05, offset=0.1), batch_size=20, anneal=True)
    whole = classifier(**settings).fit(X)
    script = TRAINING.replace("tests_classifier", __name__)
    environment = os.environ | {"PYTHONPATH": os.path.dirname(__file__)}
    process = subprocess.Popen([sys.executable, "-c", script, str(path)], env=environment)
    done = 0
    while done < 60 and process.poll() is None:
        time.sleep(0.05)
        if path.exists():
            with h5py.File(path) as file:
                done = json.loads(file.attrs["settings"])["done"]
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the training ended before it could be killed"
    assert 0 < done < len(X)
    resumed = classifier(**settings, checkpoint=path).fit(X)
    for name, value in whole.state_.items():
        assert_array_equal(resumed.state_[name], value, err_msg=name)
    assert_array_equal(resumed.transform(data[1][:50]), whole.transform(data[1][:50]))
    with pytest.raises(ValueError, match="belongs to a training with other settings"):
        classifier(**settings, checkpoint=path, w_total=9.0).fit(X)


@cpp
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_neurons": 0}, ValueError, "n_neurons must be an integer of at least 1, got 0"),
        ({"neuron": 3}, TypeError, "neuron must be a NeuronModel or None, got 3"),
        ({"synapse": AdaptiveConductanceLIF()}, TypeError, "synapse must be a SynapseModel or None, got Adaptive"),
        ({"encoder": "poisson"}, TypeError, "encoder must be an Encoder or None, got 'poisson'"),
        ({"pruning": 0.3}, TypeError, "pruning must be a STDPPruning or None, got 0.3"),
        ({"n_jobs": 2.5}, ValueError, "n_jobs must be at least 1, or -1 for one a core, got 2.5"),
        ({"n_neurons": 2.5}, ValueError, "n_neurons must be an integer of at least 1, got 2.5"),
        ({"n_epochs": 0}, ValueError, "n_epochs must be an integer of at least 1, got 0"),
        ({"batch_size": 2.5}, ValueError, "batch_size must be an integer"),
        ({"w_total": -1.0}, ValueError, "w_total must be positive"),
        ({"g_inh": -1.0}, ValueError, "g_inh must not be negative"),
        ({"seed": -1}, ValueError, r"seed must be an integer in 0\.\.2\*\*31 - 1, got -1"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be at least 1, or -1"),
        ({"inhibition": "some"}, ValueError, "inhibition must be True, False or 'layer'"),
        ({"dt": 1 * mV}, DimensionMismatchError, "dt must be a time"),
        ({"dt": 0 * ms}, ValueError, "dt must be positive"),
        ({"vote": "majority"}, ValueError, "vote must be one of"),
        ({"min_votes": -1}, ValueError, "min_votes must be an integer of at least 0"),
        ({"backend": "gpu"}, ValueError, "backend must be 'auto' or one of"),
        ({"synapse": STDP()}, ValueError, "STDP has further variables"),
        ({"dense_kernel": True, "backend": "runtime"}, ValueError, "dense_kernel=True needs backend 'cpp'"),
        ({"neuron": AdaptiveConductanceLIF(v_thresh=500 * mV)}, RuntimeError, "The network is silent"),
    ],
)
def test_wrong_settings_are_named(settings, error, message, data):
    with pytest.raises(error, match=message):
        classifier(**({"max_retries": 0} | settings)).fit(data[0][:20], data[2][:20])


@cpp
def test_one_vote_is_enough_for_a_frozen_network(fitted, data):
    X = data[1][:30]
    settled = classifier(synapse=fitted.synapse).partial_fit(data[0][:1])
    settled.state_ = {**fitted.state_, "exc.theta": 0.5 * fitted.theta_}
    frugal = clone(settled).set_params(min_votes=1).partial_fit(data[0][:1])
    frugal.state_ = settled.state_
    five, one = settled.respond(X), frugal.respond(X)
    once = five.presentations == 1
    assert 0 < once.sum() < len(X)
    assert_array_equal(one.counts[once], five.counts[once])
    assert (one.counts.sum(axis=1) > 0).all()
    assert (one.presentations[~once] < five.presentations[~once]).any()


@cpp
def test_nan_weights_stop_the_training(data):
    broken = classifier().partial_fit(data[0][:20])
    broken.state_["input_to_exc.w"][5] = np.nan
    with pytest.raises(RuntimeError, match=r"Weights have become NaN\. Lower the learning rate"):
        broken.partial_fit(data[0][20:40])


@cpp
def test_wrong_samples_are_named(fitted, data):
    X, _, y, _ = data
    with pytest.raises(ValueError, match=r"y must have shape \(20,\), one label a sample, got \(19,\)"):
        classifier().fit(X[:20], y[:19])
    with pytest.raises(ValueError, match="X has 60 features, but STDPClassifier is expecting 64 features"):
        fitted.predict(X[:, :60])
    with pytest.raises(ValueError, match="X has NaN"):
        classifier().fit(np.full((3, 64), np.nan))
    with pytest.raises(ValueError, match=r"floats in \[0, 1\], got values from 0 to 7"):
        classifier().fit(np.eye(8) * 7)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        classifier().transform(X)


def test_runtime_backend_learns_the_same(data, numpy_target):
    X = data[0][:6]
    settings = dict(n_neurons=4, synapse=PowerLawSTDP(eta=0.05, offset=0.1), batch_size=6, max_retries=1)
    runtime = classifier(backend="runtime", **settings).fit(X)
    assert "exc" in {obj.name for obj in runtime.network_.objects}
    if backends.resolve("auto") == "cpp":
        compiled = classifier(backend="cpp", **settings).fit(X)
        assert_allclose(runtime.weights_, compiled.weights_, atol=1e-10)
        assert_array_equal(runtime.transform(X), compiled.transform(X))


@cpp
def test_neurons_without_synapses_stay_silent(fitted, data):
    X, X_test = data[0][:100], data[1][:20]
    schedule = STDPPruning(threshold=0.25, n_batches=4, warm_up=1)
    with pytest.warns(UserWarning, match=r"of \d+ neurons lost all synapses .* Raise warm_up"):
        pruned = clone(fitted).set_params(pruning=schedule).fit(X)
    lost = ~pruned.weights_.any(axis=0)
    assert 0 < lost.sum() < len(lost)
    assert not pruned.transform(X_test)[:, lost].any()
    pruned.state_["exc.theta"] = np.where(lost, 0.0, pruned.theta_)  # as if their thresholds had gone on falling
    assert (pruned.transform(X_test)[:, lost] > 0).all()  # below rest: what silence_lost is for


@cpp
def test_pruning_after_training_takes_over_a_trained_network(data, tmp_path):
    X = data[0][:100]
    settings = dict(checkpoint=tmp_path / "trained.h5", batch_size=30)
    full = classifier(**settings).fit(X)
    written = settings["checkpoint"].stat().st_mtime_ns
    schedule = STDPPruning(regime="thin", connectivity=0.25, n_batches=3, n_settle=0)
    pruned = classifier(**settings, pruning=schedule).fit(X)
    assert settings["checkpoint"].stat().st_mtime_ns == written  # nothing was learnt again
    assert_array_equal(pruned.weights_, schedule.final(full.weights_)[0])
    alone = classifier(batch_size=30, pruning=schedule).fit(X)
    assert_array_equal(alone.weights_, pruned.weights_)
    with pytest.raises(ValueError, match="checkpoint"):
        classifier(**settings, pruning=STDPPruning(threshold=0.1)).fit(X)
