"""Distances and kernel: closed forms, POT as the oracle, positive definiteness, gradients, skopt takes it."""

import time
import warnings
from itertools import combinations_with_replacement

import numpy as np
import ot
import pytest
import skopt
from brian2 import ms, mV
from brian2.units.fundamentalunits import DimensionMismatchError
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process.kernels import Matern
from skopt.acquisition import gaussian_ei
from skopt.learning import GaussianProcessRegressor

from hrsnn.laws import Gamma, LogNormal, Normal, Uniform
from hrsnn.optimize import IndefiniteKernelWarning, Integer, Space, WassersteinMatern, quantile_embedding, wasserstein
from hrsnn.optimize.distance import group_names, squared_distances, typical
from hrsnn.optimize.kernel import matern, projected

SPACE = Space(
    {
        "tau": Gamma(mean=(5 * ms, 100 * ms), shape=(1, 20)),
        "A": LogNormal(mean=(0.001, 0.05), std=(0.001, 0.05)),
        "u": Uniform(low=(0, 1), high=(2, 3)),
        "lambda_": (1, 6),
        "n": Integer(1, 9),
        "rule": ["a", "b", "c"],
    }
)
ROWS = SPACE.latin_hypercube(30, np.random.default_rng(1))


@pytest.mark.parametrize("shape", [1, 3, 20])
def test_w2_of_gammas_is_the_closed_form(shape):
    """Oracle O1: |a - b| sqrt(k (k + 1)) for scales a and b."""
    distance = wasserstein(Gamma(shape * 7 * ms, shape), Gamma(shape * 2 * ms, shape))
    assert_allclose(distance / ms, 5 * np.sqrt(shape * (shape + 1)), rtol=1e-3)  # 64 nodes; worst at shape 1


def test_w2_of_normals_is_the_closed_form():
    p, q = [Normal(1, 2), Normal(0, 1)], [Normal(4, 6), Normal(0, 1)]
    assert_allclose(wasserstein(p, q), [5, 0], rtol=1e-3)


def test_w2_agrees_with_pot_and_takes_under_a_millisecond_a_pair():
    n_pairs, rng = 2000, np.random.default_rng(0)
    p = [Gamma(rng.uniform(5, 100) * ms, rng.uniform(1, 20)) for _ in range(n_pairs)]
    q = [LogNormal(rng.uniform(5, 100) * ms, rng.uniform(1, 20) * ms) for _ in range(n_pairs)]
    start = time.process_time()
    distances = wasserstein(p, q)
    assert (time.process_time() - start) / n_pairs < 1e-3
    u = (np.arange(4000) + 0.5) / 4000
    for i in range(0, n_pairs, 200):
        exact = np.sqrt(ot.wasserstein_1d(np.asarray(p[i].quantile(u)), np.asarray(q[i].quantile(u)), p=2))
        assert_allclose(distances[i] / ms * 1e-3, exact, rtol=0.01)  # 4000 midpoints lose some of the tails


def test_distances_refuse_what_has_none():
    with pytest.raises(DimensionMismatchError, match="Laws of different units have no distance"):
        wasserstein(Gamma(20 * ms, 3), Normal(0 * mV, 1 * mV))
    with pytest.raises(ValueError, match="is a search space"):
        quantile_embedding([Gamma((1, 2), 3)])
    with pytest.raises(ValueError, match="pair by pair: got 1 and 2 laws"):
        wasserstein([Normal(0, 1)], [Normal(0, 1)] * 2)


def test_squared_distances_add_up_to_w2_of_each_variable():
    parts = squared_distances(SPACE, "quantile", ROWS, ROWS) * typical(SPACE, "quantile")[:, None, None]
    names = group_names(SPACE, "quantile")
    assert names == ["tau mean", "tau form", "A mean", "A form", "u mean", "u form", "lambda_", "n", "rule"]
    points = [SPACE.decode(vector) for vector in SPACE.from_unit(ROWS)]
    for k, name in enumerate(["tau", "A", "u"]):
        laws = [point[name] for point in points]
        expected = np.array([np.asarray(wasserstein([law] * len(laws), laws)) for law in laws]) ** 2
        assert_allclose(parts[2 * k] + parts[2 * k + 1], expected, rtol=1e-6, atol=1e-9 * expected.max())
        means = np.array([float(law.mean) for law in laws])
        of_means = (means[:, None] - means) ** 2
        assert_allclose(parts[2 * k], of_means, atol=0.02 * of_means.max())  # 64 nodes lose some of A's heavy tail
        assert parts[2 * k + 1].max() > 1e-2 * of_means.max()
    lambdas = np.array([point["lambda_"] for point in points])
    assert_allclose(parts[6], (lambdas[:, None] - lambdas) ** 2, rtol=1e-6, atol=1e-9)
    rules = np.array([point["rule"] for point in points])
    assert_allclose(parts[8], rules[:, None] != rules, atol=1e-12)


def test_parts_are_in_units_of_their_typical_size():
    rows = SPACE.latin_hypercube(32, np.random.default_rng(0))  # those that define the unit
    assert_allclose(squared_distances(SPACE, "quantile", rows, rows).mean(axis=(1, 2)), 1)


def test_parameters_are_compared_as_numbers():
    parts = squared_distances(SPACE, "parameters", ROWS, ROWS) * typical(SPACE, "parameters")[:, None, None]
    assert group_names(SPACE, "parameters") == [c.name for c in SPACE.coordinates]
    rows = SPACE.to_unit(SPACE.from_unit(ROWS))
    for k, c in enumerate(SPACE.coordinates):
        gaps = (rows[:, k, None] - rows[:, k]) ** 2
        assert_allclose(parts[k], gaps > 0 if c.argument == "choice" else gaps, atol=1e-12)


def test_law_with_one_interval_is_not_split():
    space = Space({"x": Gamma(mean=(5 * ms, 100 * ms), shape=3)})
    assert group_names(space, "quantile") == ["x"]
    assert squared_distances(space, "quantile", np.array([[0.2]]), np.array([[0.9]])).shape == (1, 1, 1)


def test_log_quantiles_compare_logarithms():
    space = Space({"A": LogNormal(mean=(0.001, 0.05), std=0.01)})
    rows = np.array([[0.0], [1.0]])
    raw = squared_distances(space, "log_quantile", rows, rows)[0, 0, 1]
    half = squared_distances(space, "log_quantile", rows, np.array([[0.5]]))[0, 0, 0]

    def parameters(mean):
        variance = np.log1p((0.01 / mean) ** 2)
        return np.array([np.log(mean) - variance / 2, np.sqrt(variance)])  # W2 of normals is Euclidean in these

    low, middle, high = (parameters(m) for m in (0.001, np.sqrt(0.001 * 0.05), 0.05))
    assert_allclose(half / raw, np.sum((low - middle) ** 2) / np.sum((low - high) ** 2), rtol=1e-3)  # 64 nodes


def test_sliced_distance_of_certain_numbers_is_euclidean():
    space = Space({"x": (0, 1), "y": (0, 1)})
    rows = np.random.default_rng(0).random((20, 2))
    sliced = squared_distances(space, "sliced", rows, rows)[0]
    euclidean = squared_distances(space, "quantile", rows, rows).sum(axis=0)
    keep = euclidean > 1e-6
    assert_allclose(sliced[keep] / euclidean[keep], 0.5, atol=0.1)  # mean of cos^2 over 128 directions, normalised


def test_sinkhorn_divergence_approaches_w2():
    space = Space({"x": Normal(mean=(0, 5), std=(0.5, 2))})
    rows = np.random.default_rng(0).random((6, 2))
    sinkhorn = squared_distances(space, "sinkhorn", rows, rows)[0]
    exact = np.tensordot(typical(space, "quantile"), squared_distances(space, "quantile", rows, rows), 1)
    assert_allclose(sinkhorn, sinkhorn.T)
    assert_allclose(np.diag(sinkhorn), 0)
    pairs = np.triu_indices(6, 1)
    assert stats.pearsonr(sinkhorn[pairs], exact[pairs]).statistic > 0.999


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
@pytest.mark.parametrize("metric", ["quantile", "log_quantile", "sliced", "parameters"])
@pytest.mark.parametrize("length", [0.2, 1.0, 10.0])
def test_gram_matrices_are_positive_semidefinite(nu, metric, length):
    """Oracle O2, first half: the quantile embedding is Hilbertian, and so is the sliced distance."""
    lengths = np.full(9, length) if metric != "sliced" else length
    K = WassersteinMatern(SPACE, lengths, nu=nu, metric=metric)(ROWS)
    assert_allclose(np.diag(K), 1)
    assert np.linalg.eigvalsh(K)[0] > -1e-12 * np.linalg.eigvalsh(K)[-1]


def test_exact_w2_in_two_dimensions_is_indefinite():
    """Oracle O2, second half: masses 1/2 on two corners of the unit square (equations.md 2.3)."""
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], dtype=float)
    measures = [corners[list(pair)] for pair in combinations_with_replacement(range(4), 2)]
    cost = [[ot.dist(p, q) for q in measures] for p in measures]
    w2 = np.array([[min(np.trace(c), np.trace(c[::-1])) / 2 for c in row] for row in cost])
    assert len(measures) == 10
    assert_allclose(np.linalg.eigvalsh(matern(w2 / 4, 1.5)[0])[0], -0.042, atol=5e-4)
    assert_allclose(np.linalg.eigvalsh(matern(w2 / 4, 2.5)[0])[0], -0.052, atol=5e-4)
    assert_allclose(np.linalg.eigvalsh(np.exp(-w2 / 2))[0], -0.105, atol=5e-4)
    for length in 2.0 ** np.arange(-2, 5):
        assert np.linalg.eigvalsh(matern(w2 / length**2, 0.5)[0])[0] > 0
    with pytest.warns(IndefiniteKernelWarning, match=r"eigenvalue -0.0\d+ and was projected"):
        K = projected(matern(w2 / 4, 2.5)[0])
    assert_allclose(np.diag(K), 1)
    assert np.linalg.eigvalsh(K)[0] > -1e-12
    two_corners = [i for i, m in enumerate(measures) if not np.array_equal(m[0], m[1])]
    J = np.eye(6) - 1 / 6
    assert_allclose(np.linalg.eigvalsh(-J @ w2[np.ix_(two_corners, two_corners)] @ J / 2)[0], -1 / 6)


def test_good_gram_matrices_are_left_alone():
    K = np.array([[1, 0.5], [0.5, 1]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert projected(K) is K


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
def test_kernel_of_plain_numbers_is_the_euclidean_matern(nu):
    space = Space({"x": (0, 1), "y": (0, 1)})
    rows = np.random.default_rng(0).random((20, 2))
    unit = np.sqrt([squared_distances(space, "quantile", np.zeros((1, 2)), np.ones((1, 2)))[k, 0, 0] for k in (0, 1)])
    K, gradient = WassersteinMatern(space, [0.5, 2.0], nu=nu)(rows, eval_gradient=True)
    reference, reference_gradient = Matern(np.array([0.5, 2.0]) / unit, nu=nu)(rows, eval_gradient=True)
    assert_allclose(K, reference, rtol=1e-8)
    assert_allclose(gradient, reference_gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
@pytest.mark.parametrize(
    ("metric", "n_lengths"), [("quantile", 9), ("log_quantile", 9), ("sliced", 0), ("parameters", 9)]
)
def test_gradients_agree_with_differences(nu, metric, n_lengths):
    kernel = WassersteinMatern(SPACE, np.linspace(0.5, 2, n_lengths) if n_lengths else 0.7, nu=nu, metric=metric)
    _, gradient = kernel(ROWS, eval_gradient=True)
    for i, step in enumerate(1e-5 * np.eye(max(n_lengths, 1))):
        up, down = (kernel.clone_with_theta(kernel.theta + s)(ROWS) for s in (step, -step))
        assert_allclose(gradient[:, :, i], (up - down) / 2e-5, atol=1e-8)
    x, others = ROWS[0], ROWS[1:]
    by_x = kernel.gradient_x(x, others)
    for i in range(len(x)):
        up, down = (kernel((x + s * 1e-4 * np.eye(len(x))[i])[None], others)[0] for s in (1, -1))
        assert_allclose(by_x[:, i], (up - down) / 2e-4, atol=1e-5)  # the larger step bends more


def test_lengths_are_found_by_likelihood():
    kernel = WassersteinMatern(SPACE, np.ones(9))
    values = np.array([float(SPACE.decode(v)["lambda_"]) for v in SPACE.from_unit(ROWS)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # lengths at their bound are right here
        process = GaussianProcessRegressor(kernel, normalize_y=True, alpha=1e-6).fit(ROWS, values)
    lengths = process.kernel_.length_scale
    assert lengths[6] * 5 < min(np.delete(lengths, 6))  # only lambda_ matters
    assert process.log_marginal_likelihood_value_ > process.log_marginal_likelihood(kernel.theta)


def test_kernel_survives_cloning():
    kernel = WassersteinMatern(SPACE, np.arange(1.0, 10), nu=1.5)
    again = clone(kernel)
    assert again == kernel
    assert np.array_equal(again(ROWS), kernel(ROWS))


def test_skopt_optimizer_takes_the_kernel():
    space = Space({"tau": Gamma(mean=(5 * ms, 100 * ms), shape=(1, 20))})
    process = GaussianProcessRegressor(WassersteinMatern(space, [1.0]), alpha=1e-6, normalize_y=True)
    optimizer = skopt.Optimizer(
        [(0.0, 1.0)] * 2, process, n_initial_points=6, acq_func="EI", acq_optimizer="lbfgs", random_state=0
    )
    target = Gamma(20 * ms, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(15):
            row = optimizer.ask()
            optimizer.tell(row, float(wasserstein(space.decode(space.from_unit(row)[0])["tau"], target) / ms))
    values = np.array(optimizer.yi)
    assert values[6:].min() < 0.5 * values[:6].min()


def test_expected_improvement_is_positive_and_has_its_limit():
    """Oracle O14: EI >= 0, and EI -> max(0, f_best - mu) as sigma -> 0."""
    space = Space({"x": (0, 1)})
    rows = np.linspace(0, 1, 8)[:, None]
    process = GaussianProcessRegressor(WassersteinMatern(space, [1.0]), alpha=1e-12, optimizer=None)
    process.fit(rows, np.sin(6 * rows[:, 0]))
    everywhere = gaussian_ei(np.linspace(0, 1, 200)[:, None], process, y_opt=0.0, xi=0.0)
    assert (everywhere >= 0).all()
    assert everywhere.max() > 0
    at_data = gaussian_ei(rows, process, y_opt=0.0, xi=0.0)
    assert_allclose(at_data, np.maximum(0, -np.sin(6 * rows[:, 0])), atol=1e-4)  # sigma is 1e-6 there


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"nu": 2}, "nu must be 0.5, 1.5 or 2.5, got 2"),
        ({"metric": "euclid"}, "metric must be one of quantile, .*, sinkhorn, parameters, got 'euclid'"),
        ({"length_scale": [1.0, 2.0]}, "The quantile metric has 9 lengths, got 2"),
    ],
)
def test_bad_kernels_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        WassersteinMatern(SPACE, **arguments)(ROWS)


def test_kernel_gradient_needs_one_set_of_points():
    with pytest.raises(ValueError, match="only be evaluated for Y=None"):
        WassersteinMatern(SPACE)(ROWS, ROWS, eval_gradient=True)
