"""Every metric against a case whose value is known."""

import numpy as np
import pytest
from brian2 import ms, second
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn import metrics

RNG_SEED = 0


def test_nrmse_of_the_mean_is_one_and_of_a_shift_is_its_size():
    y = np.random.default_rng(RNG_SEED).normal(size=(400, 3)) * [1, 5, 0.1]
    assert_allclose(metrics.nrmse(y, np.broadcast_to(y.mean(axis=0), y.shape)), 1, rtol=1e-12)
    assert_allclose(metrics.nrmse(y[:, 0], y[:, 0] + 2 * y[:, 0].std()), 2, rtol=1e-12)
    assert metrics.nrmse(y, y) == 0


def test_forecast_error_is_the_mean_over_features_in_their_own_scale():
    y = np.zeros((2, 2))
    assert_allclose(metrics.forecast_error(y, [[3, 8], [0, 4]], scale=[1, 2]), [np.sqrt(12.5), np.sqrt(2)])


def test_valid_prediction_time_is_where_an_exponential_crosses():
    t = np.arange(200)
    truth = np.sin(t / 7)
    forecast = truth + 1e-3 * np.exp(0.05 * t)
    crossing = np.log(0.4 / 1e-3) / 0.05  # 119.8: steps 0 .. 119 are below
    assert metrics.valid_prediction_time(truth, forecast, scale=1.0) == np.ceil(crossing)
    times = metrics.valid_prediction_time(truth, forecast, scale=1.0, dt=0.02, lyapunov_exponent=0.906)
    assert_allclose(times, np.ceil(crossing) * 0.02 * 0.906)


def test_valid_prediction_time_ends_at_nan_and_never_recovers():
    truth, forecast = np.zeros(10), np.zeros(10)
    assert metrics.valid_prediction_time(truth, forecast, scale=1) == 10
    forecast[4] = np.nan
    assert metrics.valid_prediction_time(truth, forecast, scale=1) == 4
    forecast[0] = 1
    assert metrics.valid_prediction_time(truth, forecast, scale=1) == 0


def delay_line(n_steps, n_taps, seed=RNG_SEED):
    u = np.random.default_rng(seed).random(n_steps)
    return np.stack([np.concatenate([np.zeros(tau), u[:-tau]]) for tau in range(1, n_taps + 1)], axis=1), u


@pytest.mark.parametrize("n_taps", [1, 7, 20])
def test_memory_capacity_of_a_delay_line_is_its_length(n_taps):
    states, u = delay_line(3000, n_taps)
    capacity, profile = metrics.memory_capacity(states, u, tau_max=40, level=0.9999)
    assert_allclose(capacity, n_taps, atol=1e-6)
    assert_allclose(profile[:n_taps], 1, atol=1e-6)
    assert_array_equal(profile[n_taps:], 0)


def test_memory_capacity_of_noise_is_chance_and_corrected():
    rng = np.random.default_rng(RNG_SEED)
    states, u = rng.normal(size=(3000, 20)), rng.random(3000)
    raw, _ = metrics.memory_capacity(states, u, tau_max=100, level=0)
    n_test = 2900 - int(2900 * 2 / 3)
    assert_allclose(raw, 100 / n_test, rtol=0.3)  # each C_tau has mean 1/n_test and relative deviation sqrt(2)
    corrected, kept = metrics.memory_capacity(states, u, tau_max=100, level=0.95)
    assert corrected < raw
    assert 0 < (kept > 0).sum() < 15  # 5 expected of 100


def test_memory_capacity_of_a_noisy_tap_is_its_squared_correlation():
    states, u = delay_line(30_000, 1)
    noisy = states + np.random.default_rng(1).normal(size=states.shape) * u.std()
    _, profile = metrics.memory_capacity(noisy, u, tau_max=3)
    assert_allclose(profile[0], 0.5, atol=0.02)  # signal and noise of one variance


def test_quadratic_capacity_is_the_number_of_products_that_the_states_hold():
    states, u = delay_line(6000, 3)
    capacity, _ = metrics.quadratic_capacity(states, u, tau_max=4, level=0.9999)
    assert capacity == 0  # a delay line holds no product
    z = 2 * states - 1
    products = np.stack([z[:, a] * z[:, b] for a in range(3) for b in range(a, 3)], axis=1)
    capacity, profile = metrics.quadratic_capacity(products, u, tau_max=4, level=0.9999)
    assert_allclose(capacity, 6, atol=1e-3)  # the range of u is that of 6000 draws
    assert_allclose(profile[:3, :3], np.triu(np.ones((3, 3))), atol=1e-3)
    linear, _ = metrics.memory_capacity(products, u, tau_max=4, level=0.9999)
    assert linear == 0
    mixed, profile = metrics.quadratic_capacity((z[:, :1] + z[:, 1:2]) ** 2, u, tau_max=4, level=0.9999)
    # (x + y)^2 = x^2 + y^2 + 2xy: variances 4/45, 4/45 and 4/9 for uniform x and y, so shares 1/7, 1/7 and 5/7.
    assert_allclose(profile[[0, 1, 0], [0, 1, 1]], [1 / 7, 1 / 7, 5 / 7], atol=0.04)  # 2000 test steps
    assert_allclose(mixed, 1, atol=0.05)


def test_memory_capacity_bears_a_neuron_that_first_fires_in_the_test():
    states, u = delay_line(3000, 3)
    late = 1e-9 * np.exp(-np.arange(3000.0))  # what is left of a trace
    late[2900] = 5.0
    capacity, _ = metrics.memory_capacity(np.column_stack([states, late]), u, tau_max=10, level=0.9999)
    assert_allclose(capacity, 3, atol=1e-6)


def test_effective_rank_counts_the_singular_values_that_hold_the_sum():
    rng = np.random.default_rng(RNG_SEED)
    U, _ = np.linalg.qr(rng.normal(size=(30, 10)))
    V, _ = np.linalg.qr(rng.normal(size=(50, 10)))
    states = U @ np.diag([10.0, 5, 3, 1.9, 0.1 + 1e-9, 0, 0, 0, 0, 0]) @ V.T
    assert metrics.effective_rank(states, 0.89) == 3  # 18 of 20
    assert metrics.effective_rank(states, 0.99) == 4  # 19.9 of 20
    assert metrics.effective_rank(np.eye(12), 1) == 12
    assert metrics.effective_rank(np.zeros((3, 4))) == 0
    assert metrics.generalisation_rank(np.ones((20, 5))) == 1


def test_heterogeneity_is_the_log_determinant():
    rng = np.random.default_rng(RNG_SEED)
    values = rng.normal(size=(1000, 2)) * [2, 3]
    expected = np.log(np.linalg.det(np.cov((values / [10, 20]).T)))
    assert_allclose(metrics.heterogeneity(values, scale=[10, 20]), expected)
    assert_allclose(metrics.heterogeneity(values[:, 0]), np.log(values[:, 0].var(ddof=1)))
    assert metrics.heterogeneity(np.ones((5, 2))) == -np.inf


def test_spike_counts_make_efficiency_activation_and_operations():
    counts = [0, 4, 8]
    assert metrics.spike_efficiency(12.0, counts) == 3.0
    assert metrics.average_activation(counts) == 4
    assert metrics.average_activation(counts, n_steps=100) == 0.04
    assert metrics.sops(counts, [5, 1, 2]) == 20
    assert_allclose(metrics.energy(20), 18e-12)


@pytest.mark.parametrize(
    ("rate", "first", "ratio", "digits"), [(0.14, 0.029, 18.0, 0), (0.39, 0.005, 12.4, 1), (0.41, 0.006, 11.7, 1),
                                           (0.76, 0.013, 6.3, 1), (0.72, 0.013, 6.6, 1)]
)  # fmt: skip
def test_energy_ratio_is_that_of_the_published_table(rate, first, ratio, digits):
    found = metrics.energy_ratio([first, 0.4 * (1 - first), 0.6 * (1 - first)], [99, rate, rate])
    assert found == pytest.approx(ratio, abs=0.6 * 10**-digits)  # printed so; its factors are rounded too


def test_energy_ratio_by_hand():
    operations, rates = [10, 100, 5], [3, 0.5, 2]
    assert_allclose(metrics.energy_ratio(operations, rates), 115 * 4.6 / (10 * 4.6 + (100 * 0.5 + 5 * 2) * 0.9))
    assert_allclose(metrics.energy_ratio(operations, rates, direct=False), 115 * 4.6 / ((30 + 50 + 10) * 0.9))
    with pytest.raises(ValueError, match=r"must have one shape, got \(3,\) and \(2,\)"):
        metrics.energy_ratio(operations, rates[:2])
    with pytest.raises(ValueError, match="No layer makes an operation"):
        metrics.energy_ratio([0, 0], [1, 1])


def test_mean_correlation_equals_the_mean_over_pairs():
    rng = np.random.default_rng(RNG_SEED)
    X = rng.normal(size=(500, 6)) + 0.7 * rng.normal(size=(500, 1))
    pairs = np.corrcoef(X.T)[np.triu_indices(6, 1)]
    assert_allclose(metrics.mean_correlation(np.column_stack([X, np.ones(500)])), pairs.mean())


def test_inverse_participation_ratio_of_one_node_and_of_all():
    vectors = np.column_stack([np.eye(8)[2], np.full(8, 0.3), np.exp(1j * np.arange(8))])
    assert_allclose(metrics.inverse_participation_ratio(vectors), [1, 1 / 8, 1 / 8])


def test_spike_statistics_of_a_clock_and_of_a_poisson_process():
    duration, rate = 2000.0, 20.0
    rng = np.random.default_rng(RNG_SEED)
    n = rng.poisson(rate * duration)
    clock = np.arange(0.05, duration, 0.1)
    i = np.concatenate([np.zeros(len(clock), int), np.ones(n, int)])
    t = np.concatenate([clock, rng.random(n) * duration]) * second
    result = metrics.spike_statistics(i, t, 3, duration * second, window=200 * ms)
    assert_allclose(result["rate"], [10, rate, 0], rtol=0.02)  # 40,000 spikes: 0.5 % deviation
    assert_allclose(result["cv"][:2], [0, 1], atol=0.02)
    assert_allclose(result["fano"][:2], [0, 1], atol=0.05)  # 10,000 windows: 1.4 % deviation
    assert np.isnan(result["cv"][2])
    assert np.isnan(result["fano"][2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.nrmse(np.ones(5), np.ones(5)), "y_true is constant"),
        (lambda: metrics.nrmse(np.arange(5), np.arange(4)), "must have one shape"),
        (lambda: metrics.nrmse([1, np.nan], [1, 2]), "y_true must be finite"),
        (lambda: metrics.forecast_error(np.ones(4), np.ones(4)), "scale must be positive"),
        (lambda: metrics.valid_prediction_time([1, 2], [1, 2], threshold=0), "threshold must be positive"),
        (lambda: metrics.valid_prediction_time([1, 2], [1, 2], dt=0.1), "need both dt and lyapunov_exponent"),
        (lambda: metrics.memory_capacity(np.ones((50, 2)), np.ones(50), tau_max=40), "too few for delays up to 40"),
        (lambda: metrics.memory_capacity(np.ones((50, 2)), np.ones(49)), r"got \(50, 2\), \(49,\)"),
        (lambda: metrics.quadratic_capacity(np.ones((50, 2)), np.ones(50), tau_max=4), "u must vary, got 1"),
        (lambda: metrics.quadratic_capacity(np.ones((50, 2)), np.arange(50), 4, level=1), r"level must be in \[0, 1\)"),
        (lambda: metrics.effective_rank(np.ones(3)), "must be a matrix"),
        (lambda: metrics.effective_rank(np.eye(3), 1.5), r"share must be in \(0, 1\], got 1.5"),
        (lambda: metrics.heterogeneity([[1, 2]]), "at least two rows"),
        (lambda: metrics.spike_efficiency(1, [0, 0]), "No neuron fired"),
        (lambda: metrics.sops([1, 2], [1]), "must have one shape"),
        (lambda: metrics.average_activation([-1]), "not negative"),
        (lambda: metrics.mean_correlation(np.ones((5, 3))), "at least two features that vary"),
        (lambda: metrics.inverse_participation_ratio(np.zeros(3)), "A vector is zero"),
        (lambda: metrics.spike_statistics([3], [0.1], 2, 1.0), r"i must be in 0..1"),
        (lambda: metrics.spike_statistics([1], [1.1], 2, 1.0), r"t must be in 0..1.0 s"),
        (lambda: metrics.spike_statistics([1], [0.1], 2, 0.05, window=0.1), "t must be in|window must be"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
