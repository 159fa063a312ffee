"""Ridge regressions of one set of data with many penalties."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.linear_model import Ridge

__all__ = ["RidgePath"]


class RidgePath:
    """Ridge regressions of the same data with several penalties: the large matrix product is done once.

    Parameters
    ----------
    F : array of shape (n_samples, n_inputs)
        Inputs; centred, not scaled: an input that hardly varies in training is not blown up.
    goals : array of shape (n_samples, n_outputs)

    Raises
    ------
    ValueError
        If the numbers of samples differ, or a value is not finite.
    """

    def __init__(self, F: ArrayLike, goals: ArrayLike):
        inputs, outputs = _finite(F, "F"), _finite(goals, "goals")
        if len(inputs) != len(outputs):
            raise ValueError(f"F and goals must have one row a sample, got {len(inputs)} and {len(outputs)} rows.")
        self.n, self.centre, self.bias = len(inputs), inputs.mean(axis=0), outputs.mean(axis=0)
        centred = inputs - self.centre
        self.gram, self.product = centred.T @ centred, centred.T @ (outputs - self.bias)
        self.unit = self.n * float(np.median(centred.var(axis=0)))

    def solve(self, alpha: float) -> Ridge:
        """Return the fitted regression of one penalty.

        Parameters
        ----------
        alpha : float
            Penalty in units of the number of samples and the median variance of the inputs.
        """
        penalty = max(alpha * self.unit, 1e-14 * float(np.trace(self.gram)))  # else rounding decides
        factor = cho_factor(self.gram + penalty * np.eye(len(self.gram)), overwrite_a=True)
        ridge = Ridge(penalty)
        ridge.coef_ = cho_solve(factor, self.product).T
        ridge.intercept_ = self.bias - ridge.coef_ @ self.centre
        ridge.n_features_in_ = len(self.centre)
        return ridge


def _finite(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=float)
    if array.ndim != 2 or not array.size or not np.isfinite(array).all():
        raise ValueError(f"{name} must be a matrix of finite numbers, a row a sample, got shape {array.shape}.")
    return array
