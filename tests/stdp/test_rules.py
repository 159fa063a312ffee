"""Constants that follow from the samples: by value where samples are simple, alike for all scales, kept by files."""

import pickle

import numpy as np
import pytest
from brian2 import ms, mV
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn import FrameEncoder, LatencyEncoder, PoissonEncoder, STDPClassifier
from hrsnn.models import AdaptiveConductanceLIF, CompetingLIF, PowerLawSTDP
from hrsnn.simulation import statefile
from hrsnn.stdp import rules
from hrsnn.stdp.ensembles import equal_norms

RNG = np.random.default_rng(0)


def bars(n=200, n_inputs=400, active=60, dark=0.0):
    """Samples with equal active inputs in different numbers and, if dark, of different brightness."""
    X = np.zeros((n, n_inputs))
    for row in X:
        size = RNG.integers(active // 2, 3 * active // 2 + 1)
        row[RNG.permutation(n_inputs)[:size]] = 1 - dark * RNG.random()
    return X


def test_active_inputs_are_counted_whatever_their_brightness():
    X = np.zeros((3, 10))
    X[0, :4], X[1, :8], X[2, :6] = 1, 0.2, 0.5
    drive = rules.look(X)
    assert_allclose(drive.active, 6)
    assert_allclose(drive.total, (4 + 1.6 + 3) / 3)
    assert_allclose(drive.unevenness, np.std([1, 0.2, 0.5]) / np.mean([1, 0.2, 0.5]))


def test_samples_that_differ_in_area_alone_keep_the_difference():
    X = bars()
    encoder = rules.chosen_encoder(X)
    assert encoder.n_spikes is None
    sent = encoder.encode(X).sum(axis=1) * float(encoder.duration)
    assert_allclose(sent.mean(), rules.N_SPIKES, rtol=1e-3)  # the rate is rounded to 0.01 Hz
    assert sent.std() > 0.2 * sent.mean()


def test_samples_of_different_brightness_send_as_many_spikes():
    X = bars(dark=0.9)
    encoder = rules.chosen_encoder(X)
    assert encoder.n_spikes == rules.N_SPIKES
    assert_allclose(encoder.encode(X).sum(axis=1) * float(encoder.duration), rules.N_SPIKES)


@pytest.mark.parametrize("scale", [0.05, 0.5])
def test_the_scale_of_all_samples_changes_nothing(scale):
    for X in (bars(), bars(dark=0.9)):
        rates, scaled = (rules.chosen_encoder(values).encode(values) for values in (X, scale * X))
        assert_allclose(scaled, rates, rtol=2e-3)  # of rounding rate_max to 0.01 Hz


def test_few_inputs_are_not_driven_above_250_hz():
    X = np.zeros((5, 6))
    X[:, :2] = 0.1
    assert_allclose(rules.chosen_encoder(X).encode(X).max(), 250, rtol=1e-3)


def test_the_sum_of_weights_follows_the_active_inputs():
    X = bars(dark=0.5)
    active = rules.look(X).active
    for encoder, values in ((PoissonEncoder(), X), (FrameEncoder(2), np.hstack([X, X]))):
        found, rate = rules.seen(encoder, values)
        assert_allclose(found, active)
        assert_allclose(rate, (encoder.encode(values).sum(axis=1).mean() / encoder.encoding.n_frames) / active)
        assert_allclose(rules.chosen_w_total(400, found), rules.SHARE * active, atol=0.01)
    assert rules.seen(LatencyEncoder(), X) is None
    assert rules.chosen_w_total(400, None) == 40
    assert rules.chosen_w_total(400, 300) == rules.SHARE * 100  # the others are fewer
    assert_allclose(rules.chosen_w_total(400, 399), rules.SHARE * rules.LEAST * 400)
    assert [rules.chosen_thresholds(400, active) for active in (100, 300, None)] == ["mean", "own", "own"]


def test_rates_of_learning_follow_the_samples_a_neuron_wins():
    assert [rules.chosen_epochs(100, n) for n in (100_000, 60_000, 5000, 500, 20)] == [1, 1, 2, 20, 30]
    assert rules.chosen_epochs(1600, 20_000) == 4
    long, short, endless = (rules.chosen_synapse(100, n, 50.0).parameters for n in (10**6, 5000, None))
    assert long["eta"] == endless["eta"] == rules.ETA[0] < short["eta"] <= rules.ETA[1]
    assert rules.chosen_neuron(100, 60_000).parameters["theta_plus"] == 0.05 * mV
    assert_allclose(float(rules.chosen_neuron(6400, 60_000).parameters["theta_plus"]), 0.213e-3)
    assert rules.chosen_neuron(100, None).parameters["theta_plus"] == 0.05 * mV
    kinds = [type(rules.chosen_neuron(100, None, thresholds)) for thresholds in ("mean", "own")]
    assert kinds == [CompetingLIF, AdaptiveConductanceLIF]


def test_the_trace_of_an_active_input_is_the_same_at_all_rates():
    for rate in (55, 100, 250):
        assert_allclose(float(rules.chosen_synapse(100, 5000, rate).parameters["tau"]) * rate, rules.TRACE, rtol=0.02)
    assert rules.chosen_synapse(100, 5000, 0.5).parameters["tau"] == 20 * ms


def test_samples_of_zeros_are_refused():
    with pytest.raises(ValueError, match="All samples are zero: there is nothing to learn"):
        rules.chosen_encoder(np.zeros((3, 4)))


def test_what_is_given_is_not_chosen():
    given = {"n_neurons": 5, "encoder": PoissonEncoder(), "w_total": 3.0, "n_epochs": 2, "thresholds": "own"}
    given |= {"synapse": PowerLawSTDP(), "neuron": AdaptiveConductanceLIF()}
    assert rules.choose(given, bars()) == {}
    assert set(rules.choose({**given, "w_total": None, "neuron": None}, bars())) == {"w_total", "neuron"}


def test_columns_of_equal_squares():
    weights = RNG.random((30, 8)) ** RNG.uniform(0.2, 4, 8)
    sums = equal_norms(weights)
    assert_allclose(sums.mean(), 1)
    norms = np.linalg.norm(weights * sums / weights.sum(axis=0), axis=0)
    assert_allclose(norms, norms[0])
    assert np.ptp(sums) > 0.1


SMALL = dict(
    n_neurons=4,
    n_epochs=2,
    neuron=AdaptiveConductanceLIF(theta_plus=0.2 * mV),
    synapse=PowerLawSTDP(eta=0.05, offset=0.1),
    batch_size=20,
    max_retries=1,
    seed=1,
)


@pytest.fixture(scope="module")
def fitted():
    X = bars(n=40, n_inputs=36, active=10, dark=0.8)
    with_log = STDPClassifier(**SMALL)
    return with_log.fit(X, np.arange(40) % 2), X


@pytest.mark.cpp
def test_a_classifier_keeps_what_was_chosen(fitted, tmp_path):
    made, X = fitted
    assert set(made.chosen_) == {"encoder", "w_total", "thresholds"}
    assert made.settings()["encoder"].n_spikes == made.chosen_["encoder"].n_spikes is not None
    made.save(tmp_path / "made.h5")
    loaded = STDPClassifier.load(tmp_path / "made.h5")
    assert loaded.chosen_ == made.chosen_
    assert made.transform(X).sum() > 40
    assert_array_equal(loaded.transform(X), made.transform(X))
    other = made.with_settings(encoder=PoissonEncoder())
    assert other.ensembles_.layers[""].encoder == PoissonEncoder()


@pytest.mark.cpp
def test_a_file_of_an_older_version_answers_as_it_did(fitted, tmp_path):
    made, X = fitted
    made.save(tmp_path / "old.h5")
    arrays, settings = statefile.read(tmp_path / "old.h5")
    parameters = pickle.loads(arrays["parameters"].tobytes())
    for name in ("normalise", "thresholds"):
        del parameters[name]
    arrays["parameters"] = np.asarray(np.void(pickle.dumps(parameters)))
    del arrays["chosen"]
    statefile.write(tmp_path / "old.h5", arrays, settings)
    old = STDPClassifier.load(tmp_path / "old.h5")
    assert (old.normalise, old.thresholds) == ("sum", "own")
    assert old.ensembles_.layers[""].encoder == PoissonEncoder()
    explicit = made.with_settings(encoder=PoissonEncoder(), w_total=3.6, normalise="sum", thresholds="own")
    assert_array_equal(old.transform(X), explicit.transform(X))


@pytest.mark.cpp
def test_one_threshold_when_read_and_own_ones_in_learning(fitted):
    made, X = fitted
    assert np.ptp(made.theta_) > 0
    other = made.with_settings()
    other.state_ = {**made.state_, "exc.theta": np.full(4, made.theta_.mean())}
    assert_array_equal(made.transform(X), other.with_settings(thresholds="own").transform(X))
    assert (made.transform(X) != made.with_settings(thresholds="own").transform(X)).any()
    norms = np.linalg.norm(made.weights_, axis=0)
    assert norms.max() < 1.5 * norms.min()  # equal at the start of the last batch


def test_unknown_ways_are_refused():
    with pytest.raises(ValueError, match="normalise must be 'sum' or 'squares', got 'cubes'"):
        STDPClassifier(normalise="cubes").fit(np.ones((3, 4)))
    with pytest.raises(ValueError, match="thresholds must be 'own' or 'mean', got 'none'"):
        STDPClassifier(thresholds="none").fit(np.ones((3, 4)))
