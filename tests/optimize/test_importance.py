"""SAGE values: closed forms on full factorial designs, where the marginal imputer is exact."""

import sys
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hrsnn.optimize import sage, sampled_sage

DESIGN = np.array(list(product([-1.0, 1.0], repeat=4)))  # independent columns of variance 1


def test_linear_model_gives_squared_coefficients():
    beta = np.array([3.0, 1.0, 0.0, -2.0])
    assert_allclose(sage(lambda X: X @ beta + 7, DESIGN, DESIGN @ beta + 7), beta**2, atol=1e-12)


def test_interaction_is_shared():
    def model(X):
        return 2 * X[:, 0] * X[:, 1] + X[:, 2]

    assert_allclose(sage(model, DESIGN, model(DESIGN)), [2, 2, 1, 0], atol=1e-12)  # the 4 of the product, halved


def test_values_add_up_to_the_power_of_the_model():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    model = lambda X: np.tanh(X[:, 0] + X[:, 1] * X[:, 2])  # noqa: E731
    total = np.mean((model(X).mean() - y) ** 2) - np.mean((model(X) - y) ** 2)
    assert_allclose(sage(model, X, y).sum(), total)


def test_useless_model_has_negative_importance():
    assert_allclose(sage(lambda X: X[:, 0], DESIGN, -DESIGN[:, 0]), [-3, 0, 0, 0], atol=1e-12)  # 1 - (1 + 1)^2


@pytest.mark.parametrize(
    ("X", "y", "match"),
    [
        (np.ones((5, 7)), np.ones(5), "X has 7 features; the exact values need at most 6"),
        (np.ones((5, 2)), np.ones(4), r"X must be \(n, d\), y \(n,\)"),
        (np.full((5, 2), np.nan), np.ones(5), "must be finite: drop the failed networks"),
    ],
)
def test_bad_samples_are_refused(X, y, match):
    with pytest.raises(ValueError, match=match):
        sage(lambda X: X[:, 0], X, y)


def test_sampled_values_agree_with_the_exact_ones():
    pytest.importorskip("sage")
    rng = np.random.default_rng(2)
    X = rng.normal(size=(80, 4))
    model = lambda X: 2 * X[:, 0] + X[:, 1] * X[:, 2] + 0.3 * X[:, 3]  # noqa: E731
    y, background = model(X) + 0.1 * rng.normal(size=80), rng.normal(size=(40, 4))
    values, std = sampled_sage(model, X, y, background)
    assert (std < 0.3).all()
    assert (np.abs(values - sage(model, X, y, background)) < 4 * std + 1e-9).all()


def test_missing_sage_is_one_clear_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "sage", None)
    with pytest.raises(ImportError, match=r"sampled_sage needs sage-importance: pip install 'hrsnn\[importance\]'"):
        sampled_sage(lambda X: X[:, 0], DESIGN, DESIGN[:, 0])
