"""SAGE values: how much each feature contributes to the predictive power of a model, exactly or by sampling."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import comb

import numpy as np

__all__ = ["sage", "sampled_sage"]

MAX_FEATURES = 6  # 64 subsets


def sage(
    predict: Callable[[np.ndarray], np.ndarray], X: np.ndarray, y: np.ndarray, background: np.ndarray | None = None
) -> np.ndarray:
    """Return the exact SAGE value of each feature for the squared loss.

    v(S) = E[(E[f] - y)^2] - E[(E[f(X) | X_S] - y)^2] is the loss that knowing the features S saves, where the
    features outside S are drawn from the background (marginal imputer); the value of a feature is its mean
    contribution to v over all orders. The values add up to v of all features.

    Parameters
    ----------
    predict : callable
        Takes an array of shape (n, n_features), returns n predictions: for example the ``predict`` of a random
        forest fitted to simulated networks.
    X : array of shape (n_samples, n_features)
        Features, such as the dispersion of each parameter. At most 6 features: all 64 subsets are evaluated.
    y : array of shape (n_samples,)
        What is predicted, such as memory capacity or spike count.
    background : array of shape (n_background, n_features), optional
        Rows that stand in for unknown features; X if None.

    Returns
    -------
    array of shape (n_features,)
        SAGE values, in squared units of y.

    Raises
    ------
    ValueError
        If the shapes do not fit, a value is not finite, or there are more than 6 features.

    References
    ----------
    .. [1] Covert, Lundberg & Lee (2020), Understanding global feature contributions with additive importance
       measures, NeurIPS.
    """
    X, y, background = _checked(X, y, background)
    d = X.shape[1]
    if d > MAX_FEATURES:
        raise ValueError(f"X has {d} features; the exact values need at most {MAX_FEATURES} (64 subsets).")
    subsets = [frozenset(s) for size in range(d + 1) for s in combinations(range(d), size)]
    loss = {s: _loss(predict, X, y, background, s) for s in subsets}
    return np.array(
        [
            sum((loss[s] - loss[s | {i}]) / comb(d - 1, len(s)) for s in subsets if i not in s) / d  # v(S + i) - v(S)
            for i in range(d)
        ]
    )


def sampled_sage(
    predict: Callable[[np.ndarray], np.ndarray],
    X: np.ndarray,
    y: np.ndarray,
    background: np.ndarray | None = None,
    n_permutations: int = 4096,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate SAGE values from sampled orders by the package ``sage-importance``, to check those of ``sage``.

    Parameters
    ----------
    predict, X, y, background
        As in ``sage``, with any number of features.
    n_permutations : int
        Number of samples, each with an order of its own.
    seed : int
        Seed of the samples.

    Returns
    -------
    values, std : array of shape (n_features,)
        Estimates and their standard deviations.

    Raises
    ------
    ImportError
        If ``sage-importance`` is not installed.
    ValueError
        If the shapes do not fit, or a value is not finite.

    References
    ----------
    .. [1] Covert, Lundberg & Lee (2020), Understanding global feature contributions with additive importance
       measures, NeurIPS.
    """
    try:
        from sage import MarginalImputer, PermutationEstimator
    except ImportError:
        raise ImportError("sampled_sage needs sage-importance: pip install 'hrsnn[importance]'.") from None
    X, y, background = _checked(X, y, background)
    imputer = MarginalImputer(lambda rows: np.asarray(predict(rows), dtype=float)[:, None], background)
    estimator = PermutationEstimator(imputer, "mse", random_state=seed)
    found = estimator(X, y[:, None], n_permutations=n_permutations, detect_convergence=False, bar=False)
    return found.values, found.std


def _checked(X: np.ndarray, y: np.ndarray, background: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    background = X if background is None else np.asarray(background, dtype=float)
    if X.ndim != 2 or y.shape != X.shape[:1] or background.ndim != 2 or background.shape[1] != X.shape[1]:
        raise ValueError(
            f"X must be (n, d), y (n,) and background (m, d), got {X.shape}, {y.shape} and {background.shape}."
        )
    if not all(np.isfinite(a).all() for a in (X, y, background)):
        raise ValueError("X, y and background must be finite: drop the failed networks first.")
    return X, y, background


def _loss(
    predict: Callable[[np.ndarray], np.ndarray], X: np.ndarray, y: np.ndarray, background: np.ndarray, known: frozenset
) -> float:
    """Return the squared loss when only some features are known."""
    rows = np.tile(background, (len(X), 1))
    columns = sorted(known)
    rows[:, columns] = np.repeat(X[:, columns], len(background), axis=0)
    expected = np.asarray(predict(rows), dtype=float).reshape(len(X), len(background)).mean(axis=1)
    return float(np.mean((expected - y) ** 2))
