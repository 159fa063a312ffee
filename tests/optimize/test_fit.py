"""The fit of the kernel: the likelihood is scikit-learn's, the gradient is right, the prior holds few values back."""

import numpy as np
from numpy.testing import assert_allclose
from scipy import optimize, stats
from skopt.learning import GaussianProcessRegressor
from skopt.learning.gaussian_process.kernels import ConstantKernel, WhiteKernel

from hrsnn.laws import Gamma
from hrsnn.optimize import Search, Space, WassersteinMatern, fit
from hrsnn.optimize.distance import squared_distances

SPACE = Space({"p": Gamma(mean=(5.0, 100.0), shape=(1, 20)), "x": (0.0, 1.0)})
ROWS = np.random.default_rng(0).random((15, 3))
Y = stats.zscore(np.sin(3 * ROWS[:, 0]) + ROWS[:, 2] ** 2)
ALPHA = np.linspace(1e-4, 1e-2, 15)
BOUNDS = np.log([(0.05, 1000), *[(0.05, 100)] * 3, (1e-6, 1)])


def losses(monkeypatch):
    """The function that is minimised, as the minimiser gets it."""
    found = {}
    monkeypatch.setattr(
        fit, "minimize", lambda loss, start, **_: found.update(loss=loss) or optimize.OptimizeResult(x=start, fun=0.0)
    )
    fit.posterior_optimizer(squared_distances(SPACE, "quantile", ROWS, ROWS), Y, ALPHA, 2.5)(None, np.zeros(5), BOUNDS)
    return found["loss"]


def test_loss_is_scikit_learns_likelihood_and_the_prior(monkeypatch):
    loss = losses(monkeypatch)
    kernel = ConstantKernel(1.0) * WassersteinMatern(SPACE, np.ones(3)) + WhiteKernel(1e-3)
    process = GaussianProcessRegressor(kernel, alpha=ALPHA, optimizer=None).fit(ROWS, Y)
    for theta in (np.array([0.2, 0.1, -0.5, 1.0, -4.0]), np.array([-0.3, 2.0, 0.0, 0.5, -7.0])):
        prior = 0.5 * np.sum(((theta[1:-1] - np.log(2)) / 1.0) ** 2)
        assert_allclose(loss(theta)[0], prior - process.log_marginal_likelihood(theta), rtol=1e-6)
        steps = [optimize.approx_fprime(theta, lambda t, f=loss: f(t)[0], 1e-6)]
        assert_allclose(loss(theta)[1], steps[0], rtol=1e-3, atol=1e-4)  # differences of 1e-6


def test_fit_finds_the_largest_posterior(monkeypatch):
    loss = losses(monkeypatch)
    monkeypatch.undo()
    optimizer = fit.posterior_optimizer(squared_distances(SPACE, "quantile", ROWS, ROWS), Y, ALPHA, 2.5)
    theta, value = optimizer(None, np.array([0.0, 0.0, 0.0, 0.0, np.log(1e-3)]), BOUNDS)
    assert_allclose(value, loss(theta)[0])
    rng = np.random.default_rng(0)
    others = [loss(rng.uniform(*BOUNDS.T))[0] for _ in range(300)]
    assert value < min(others)


def test_prior_keeps_the_lengths_of_few_values_moderate():
    search = Search(SPACE, n_initial=3)
    for _ in range(3):
        search.tell(search.ask(), 1.0)
    lengths = search.model().kernel_.get_params()["k1__k2__length_scale"]
    assert min(lengths) > 2
    assert max(lengths) < 8  # equal values ask for long lengths; the bound is at 100
