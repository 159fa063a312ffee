"""Forecasters without spikes: the echo-state network as reservoirpy's state by state, the closed loop, bad input."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reservoirpy.nodes import Reservoir
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hrsnn.baselines import EchoState, NextGeneration, Persistence, echo_states
from hrsnn.datasets import lorenz63

SETTINGS = [{}, {"leak": 0.3, "radius": 1.2, "gain": 0.5, "density": 0.5}]
ALL = [EchoState(60), NextGeneration(), Persistence()]


@pytest.fixture(scope="module")
def series():
    _, X = lorenz63(1600, dt=0.02)
    return X


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_states_are_those_of_reservoirpy(settings):
    X = np.random.default_rng(0).standard_normal((300, 3))
    network = EchoState(50, seed=1, **settings)
    network.draw(X.shape[1])
    states = network.features(X[None])[0]
    peer = Reservoir(W=network.recurrent_.T, Win=network.inputs_.T, bias=network.offset_, lr=network.leak)
    assert_allclose(states[:, :50], peer.run(X), rtol=0, atol=1e-13)
    assert_allclose(states[:, 50:], X)
    assert np.abs(np.linalg.eigvals(network.recurrent_)).max() == pytest.approx(settings.get("radius", 0.9))
    several = echo_states(np.stack([X, -X]), 50, 1, **settings)
    assert_allclose(several[0], states, atol=1e-13)
    assert np.abs(several[1] - states).max() > 0.1


def test_transform_starts_from_rest_on_standardised_values(series):
    network = EchoState(40, seed=2).fit(series[:1500])
    u = (series[:80] - series[:1500].mean(axis=0)) / series[:1500].std(axis=0)
    assert_allclose(network.transform(series[:80]), echo_states(u[None], 40, 2)[0], atol=1e-13)


def test_the_closed_loop_feeds_forecasts_back(series):
    network = EchoState(100, seed=0).fit(series[:1500])
    forecast = network.forecast(20, series[1400:1500])
    state = network.start((series[None, 1400:1500] - network.mean_) / network.deviation_)
    now = series[None, 1499]
    for k in range(20):
        u = (now - network.mean_) / network.deviation_
        u = u + network.read(state, u) @ network.coef_ + network.intercept_
        state, now = network.advance(state, u), u * network.deviation_ + network.mean_
        assert_allclose(forecast[k], now[0], rtol=1e-9)
    assert np.abs((forecast - series[1500:1520]) / network.deviation_).max() < 0.1


@pytest.mark.parametrize("model", ALL, ids=lambda model: type(model).__name__)
def test_a_free_run_starts_with_the_forecast_one_step_ahead(model, series):
    fitted = clone(model).fit(series[:1500])
    warm = series[1300:1500]
    ahead = fitted.predict(warm)
    assert ahead.shape == warm.shape
    assert_allclose(fitted.forecast(5, warm)[0], ahead[-1], rtol=1e-9)
    starts = np.stack([warm[:100], warm[100:]])
    assert_allclose(fitted.forecast(5, starts)[1], fitted.forecast(5, warm[100:]), rtol=1e-9)
    assert_allclose(fitted.forecast(5), fitted.forecast(5, series[:1500]), rtol=1e-9)


def test_forecasts_beat_persistence(series):
    def error(model):
        return np.abs(model.fit(series[:1500]).forecast(25) - series[1500:1525]).mean()

    bound = error(Persistence())
    assert error(EchoState(100)) < 0.1 * bound
    assert error(NextGeneration()) < 0.1 * bound


def test_penalties_are_tried_on_one_response(series):
    model = EchoState(40)
    model.respond(series[:1500])
    for alpha in (1e-2, 1e-8):
        model.train(alpha)
        expected = EchoState(40, alpha=alpha).fit(series[:1500])
        assert_array_equal(model.forecast(3), expected.forecast(3))


def test_score_is_the_share_of_the_variance_one_step_ahead(series):
    model, X = NextGeneration().fit(series[:1500]), series[1500:]
    error = ((model.predict(X)[:-1] - X[1:]) ** 2).sum(axis=0) / ((X[1:] - X[1:].mean(axis=0)) ** 2).sum(axis=0)
    assert model.score(X) == pytest.approx(1 - error.mean())
    assert model.score(X[:-1], X[1:]) == pytest.approx(model.score(X))
    assert model.score(X) > 0.99


def test_persistence_repeats_the_last_value(series):
    model = Persistence().fit(series[:20])
    assert_array_equal(model.forecast(3), np.repeat(series[None, 19], 3, axis=0))
    assert_array_equal(model.predict(series[:5]), series[:5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda X: EchoState().fit(X[:, 0]),
            r"must have shape \(n_steps, n_features\), got \(1600,\). One",
        ),
        (lambda X: EchoState().fit(X[:50]), r"X has 50 steps, too few: 50 are the wash-out"),
        (lambda X: EchoState().fit(np.full((100, 2), np.nan)), "X must be finite numbers"),
        (lambda X: NextGeneration().fit(np.column_stack([X, np.ones(len(X))])), "constant feature: column 3"),
        (lambda X: EchoState(n_units=0).fit(X), "n_units must be an integer of at least 1, got 0"),
        (lambda X: EchoState(leak=0).fit(X), r"leak must be in \(0, 1\], got 0"),
        (lambda X: EchoState(20, density=1e-9).fit(X), "No loop is left among n_units=20"),
        (lambda X: NextGeneration(alpha=-1).fit(X), "alpha must not be negative, got -1"),
        (lambda X: NextGeneration().fit(X).forecast(0), "n_steps must be an integer of at least 1, got 0"),
        (lambda X: NextGeneration().fit(X).forecast(5, X[:, :2]), "X has 2 features, but .* fitted with 3"),
        (lambda X: Persistence().fit(X).forecast(5, X[0]), r"\(n_starts, n_warm, n_features\), got \(3,\)"),
        (lambda X: echo_states(X, 10), r"\(n_series, n_steps, n_features\), got \(1600, 3\). One is X\[None\]"),
    ],
)
def test_bad_input_is_named(series, call, message):
    with pytest.raises(ValueError, match=message):
        call(series)


@pytest.mark.parametrize("model", ALL, ids=lambda model: type(model).__name__)
def test_forecasts_need_a_fit(model, series):
    with pytest.raises(NotFittedError):
        clone(model).forecast(3, series)
