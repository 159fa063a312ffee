"""Encoders: rates, spike times and receptive fields by value; every wrong sample and setting refused."""

import copy
import pickle

import numpy as np
import pytest
from brian2 import Hz, kHz, ms, mV, second
from brian2.units.fundamentalunits import DimensionMismatchError
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn import FrameEncoder, LatencyEncoder, PoissonEncoder, PopulationEncoder
from hrsnn.inputs.encoders import unit_range


def test_integers_are_divided_by_255_and_floats_taken_as_they_are():
    assert_array_equal(unit_range(np.array([[0, 51, 255]], dtype=np.uint8)), [[0, 0.2, 1]])
    assert_array_equal(unit_range([[0, 51, 255]]), [[0, 0.2, 1]])
    assert_array_equal(unit_range([[0.0, 0.3, 1.0]]), [[0, 0.3, 1]])
    assert_array_equal(unit_range(np.array([[False, True]])), [[0, 1]])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([0.1, 0.2], r"shape \(n_samples, n_features\) and not be empty, got \(2,\)"),
        (np.zeros((2, 3, 3)), r"got \(2, 3, 3\)"),
        (np.zeros((0, 784)), r"not be empty, got \(0, 784\)"),
        ([["a", "b"]], "must hold numbers, got <U1"),
        (np.array([[None]]), "must hold numbers, got object"),
        ([[1j]], "Complex data not supported"),
        ([[0.5, np.nan]], "NaN or infinite values. Fill or drop them"),
        ([[0.5, np.inf]], "NaN or infinite values"),
        ([[0.5, 1.01]], r"floats in \[0, 1\], got values from 0.5 to 1.01. Scale X first"),
        ([[-0.1, 0.5]], r"floats in \[0, 1\], got values from -0.1 to 0.5"),
        ([[0, 256]], "integers in 0..255, got values from 0 to 256"),
        ([[-1, 3]], "integers in 0..255, got values from -1 to 3"),
    ],
)
def test_samples_out_of_range_are_refused(X, message):
    for encode in (unit_range, PoissonEncoder().encode, LatencyEncoder().encode, PopulationEncoder().encode):
        with pytest.raises(ValueError, match=message):
            encode(X)


def test_poisson_rates_are_shares_of_the_largest():
    encoder = PoissonEncoder(rate_max=63.75 * Hz)
    assert_allclose(encoder.encode(np.array([[0, 8, 255]], dtype=np.uint8)), [[0, 2, 63.75]], rtol=1e-14)
    assert_allclose(PoissonEncoder(rate_max=0.1 * kHz).encode([[0.25]]), [[25]], rtol=1e-14)
    assert encoder.n_inputs(784) == 784


def test_all_samples_send_the_same_number_of_spikes():
    X = np.random.default_rng(0).random((20, 50)) * np.linspace(0.01, 1, 20)[:, None]
    encoder = PoissonEncoder(n_spikes=100)
    rates = encoder.encode(X)
    assert_allclose(rates.sum(axis=1) * 0.35, 100)
    assert_allclose(rates / rates.sum(axis=1, keepdims=True), X / X.sum(axis=1, keepdims=True))
    frames = FrameEncoder(5, n_spikes=100)
    assert_allclose(frames.encode(X).sum(axis=1) * 0.35 / 5, 100)
    assert "n_spikes=100" in repr(frames)
    assert "n_spikes" not in repr(PoissonEncoder())
    assert PoissonEncoder() != encoder


def test_no_input_is_driven_above_four_times_the_largest_rate():
    X = np.array([[1, 0.1, 0.1, 0], [0, 0, 0, 0], [0, 0, 0, 0.5]])
    rates = PoissonEncoder(rate_max=100 * Hz, duration=100 * ms, n_spikes=60).encode(X)
    assert_allclose(rates, [[400, 100, 100, 0], [0, 0, 0, 0], [0, 0, 0, 400]])  # the others take over, if there are any


def test_encoders_of_older_files_are_as_they_were():
    old = pickle.loads(pickle.dumps(PoissonEncoder()))
    del old.__dict__["n_spikes"]
    assert old == PoissonEncoder()
    assert_array_equal(old.encode([[0.5]]), PoissonEncoder().encode([[0.5]]))


def test_frames_share_the_inputs():
    encoder = FrameEncoder(3, rate_max=100 * Hz)
    assert encoder.n_inputs(12) == 4
    assert encoder.encoding.n_frames == 3
    assert_allclose(encoder.encode(np.full((2, 12), 0.5)), np.full((2, 12), 50.0))
    assert FrameEncoder(3) != FrameEncoder(4)
    assert repr(FrameEncoder(3)).startswith("FrameEncoder(rate_max=63.75 Hz")


def test_latency_is_early_for_large_values_and_never_for_zero():
    times = LatencyEncoder(duration=40 * ms).encode([[1.0, 0.75, 0.25, 0.0]])
    assert_allclose(times, [[0, 0.010, 0.030, 1000]], rtol=1e-14)


def test_population_fields_are_gaussian_with_even_centres():
    encoder = PopulationEncoder(n_fields=5, rate_max=80 * Hz)
    assert encoder.n_inputs(3) == 15
    x = np.array([[0.0, 0.25, 0.6]])
    expected = [80 * np.exp(-((value - centre) ** 2) / (2 * 0.25**2)) for value in x[0] for centre in np.arange(5) / 4]
    assert_allclose(encoder.encode(x)[0], expected, rtol=1e-12)
    at_centres = encoder.encode(np.linspace(0, 1, 5)[:, None])
    assert_allclose(np.diag(at_centres), 80, rtol=1e-12)
    assert_allclose(np.diag(at_centres, 1), 80 * np.exp(-0.5), rtol=1e-12)


def test_population_rate_is_the_same_for_all_values_away_from_the_ends():
    total = PopulationEncoder(n_fields=20, rate_max=100 * Hz).encode(np.linspace(0.25, 0.75, 101)[:, None]).sum(axis=1)
    assert_allclose(total, 100 * np.sqrt(2 * np.pi), rtol=1e-4)  # the sum is nearly an integral


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PoissonEncoder(rate_max=0 * Hz), "PoissonEncoder: rate_max must be positive and finite, got 0. Hz"),
        (lambda: PoissonEncoder(rate_max=np.nan * Hz), "PoissonEncoder: rate_max must be positive"),
        (lambda: PopulationEncoder(rate_max=-5 * Hz), "PopulationEncoder: rate_max must be positive"),
        (lambda: PopulationEncoder(rate_max=np.inf * Hz), "PopulationEncoder: rate_max must be positive"),
        (lambda: PoissonEncoder(duration=0 * ms), "PoissonEncoder: duration must be positive and finite, got 0. s"),
        (lambda: LatencyEncoder(duration=np.inf * second), "LatencyEncoder: duration must be positive"),
        (lambda: LatencyEncoder(rest=-1 * ms), "LatencyEncoder: rest must not be negative"),
        (lambda: PopulationEncoder(rest=np.nan * ms), "PopulationEncoder: rest must not be negative"),
        (lambda: PoissonEncoder(n_spikes=0), "PoissonEncoder: n_spikes must be positive and finite, or None, got 0"),
        (lambda: FrameEncoder(2, n_spikes="9"), "PoissonEncoder: n_spikes must be positive and finite, or None"),
        (lambda: FrameEncoder(0), "FrameEncoder: n_frames must be an integer of at least 1, got 0"),
        (lambda: FrameEncoder(4).n_inputs(30), "FrameEncoder: 30 columns are not 4 frames of equal size"),
        (lambda: PopulationEncoder(n_fields=1), "n_fields must be an integer of at least 2, got 1"),
        (lambda: PopulationEncoder(n_fields=2.5), "n_fields must be an integer of at least 2, got 2.5"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PoissonEncoder(rate_max=63.75), "PoissonEncoder: rate_max must be a rate"),
        (lambda: PopulationEncoder(rate_max=5 * ms), "PopulationEncoder: rate_max must be a rate"),
        (lambda: PoissonEncoder(duration=350), "PoissonEncoder: duration must be a time"),
        (lambda: LatencyEncoder(rest=3 * mV), "LatencyEncoder: rest must be a time"),
    ],
)
def test_settings_of_a_wrong_unit_are_refused(make, message):
    with pytest.raises(DimensionMismatchError, match=message):
        make()


@pytest.mark.parametrize(
    "encoder", [PoissonEncoder(), LatencyEncoder(), PopulationEncoder(n_fields=7), FrameEncoder(3)]
)
def test_encoders_are_values(encoder):
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder)), type(encoder)(**vars(encoder))):
        assert other == encoder
        assert hash(other) == hash(encoder)
    changed = type(encoder)(**{**vars(encoder), "duration": 351 * ms})
    assert changed != encoder
    assert len({PoissonEncoder(), LatencyEncoder(), PopulationEncoder()}) == 3
    assert "duration=0.351 s" in repr(changed)
