"""The Matern kernel on Wasserstein distances, for scikit-optimize's Gaussian processes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.gaussian_process.kernels import Hyperparameter, NormalizedKernelMixin, StationaryKernelMixin
from skopt.learning.gaussian_process.kernels import Kernel

from hrsnn.optimize.distance import METRICS, squared_distances
from hrsnn.optimize.space import Space

__all__ = ["IndefiniteKernelWarning", "WassersteinMatern"]


class IndefiniteKernelWarning(UserWarning):
    """A Gram matrix had negative eigenvalues and was projected on the positive semi-definite matrices."""


class WassersteinMatern(StationaryKernelMixin, NormalizedKernelMixin, Kernel):
    """Matern kernel of the Wasserstein distance between the laws of two points.

    k(P, Q) = M_nu(r) with r^2 = sum_k W_2^2(P_k, Q_k) / l_k^2 over the variables k; M_nu(r) is exp(-r),
    (1 + sqrt(3) r) exp(-sqrt(3) r) or (1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r).

    W_2^2 of a law is the squared difference of the means plus W_2^2 of the centred laws. Where a law has two
    searched arguments or more, each of the two parts has a length of its own: networks may care for the dispersion
    of a parameter and not for its mean, or the other way round.

    The default metric is that of independent variables, embedded by their quantile functions: a Hilbert space,
    so every Gram matrix is positive semi-definite. "log_quantile" is the same for the logarithms of variables
    whose mean is searched on a log scale. "sliced" compares joint laws along fixed directions, positive
    definite too. "sinkhorn" is the metric of the source; its kernel may be indefinite: each Gram matrix is
    checked, and projected with an IndefiniteKernelWarning if need be; it is also hundreds of times slower.

    Parameters
    ----------
    space : Space
        What the coordinates of the unit cube mean.
    length_scale : float or array of shape (n_groups,)
        Lengths l_k in units of the typical distance of two points of the space, for each name of
        ``distance.group_names(space, metric)``. One for all if a float.
    length_scale_bounds : pair of float or "fixed"
        Range of the fit.
    nu : {0.5, 1.5, 2.5}
        Smoothness.
    metric : {"quantile", "log_quantile", "sliced", "sinkhorn", "parameters"}
        Kind of distance. "sliced" and "sinkhorn" have one length. "parameters" does not see laws: it compares the
        searched numbers, as ordinary Bayesian optimisation does, one length each.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting heterogeneity in timescales for sparse recurrent spiking
       neural networks, eq 6.
    .. [2] Bachoc et al. (2018), IEEE Trans. Inf. Theory 64, doi:10.1109/TIT.2017.2762322.
    """

    def __init__(
        self,
        space: Space,
        length_scale: Any = 1.0,
        length_scale_bounds: Any = (0.05, 100.0),
        nu: float = 2.5,
        metric: str = "quantile",
    ):
        self.space = space
        self.length_scale = length_scale
        self.length_scale_bounds = length_scale_bounds
        self.nu = nu
        self.metric = metric

    @property
    def anisotropic(self) -> bool:
        """Whether each part of the distance has a length of its own."""
        return np.ndim(self.length_scale) > 0

    @property
    def hyperparameter_length_scale(self) -> Hyperparameter:
        """The lengths, as scikit-learn describes what it fits."""
        bounds = self.length_scale_bounds
        if self.anisotropic:
            return Hyperparameter("length_scale", "numeric", bounds, len(self.length_scale))
        return Hyperparameter("length_scale", "numeric", bounds)

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """Return the kernel between rows of the unit cube, and its gradient.

        Parameters
        ----------
        X, Y : array of shape (n, n_coordinates), (m, n_coordinates)
            Points. Y is X if None.
        eval_gradient : bool
            Also return the gradient with respect to the logarithm of each length; only if Y is None.

        Returns
        -------
        K : array of shape (n, m)
            Kernel.
        gradient : array of shape (n, n, n_lengths)
            If asked for.
        """
        if eval_gradient and Y is not None:
            raise ValueError("The gradient can only be evaluated for Y=None.")
        parts = self._parts(X, X if Y is None else Y)
        K, slope = matern(parts.sum(axis=0), self.nu)
        if Y is None:
            np.fill_diagonal(K, 1.0)
            K = projected(K) if self.metric == "sinkhorn" else K
        if not eval_gradient:
            return K
        if self.hyperparameter_length_scale.fixed:
            return K, np.empty((*K.shape, 0))
        lengths = parts if self.anisotropic else parts.sum(axis=0, keepdims=True)
        return K, np.moveaxis(-2 * slope * lengths, 0, -1)  # r^2 = sum parts, and parts fall as l^-2

    def gradient_x(self, x: Any, X_train: Any) -> np.ndarray:
        """Return the gradient of k(x, X_train) with respect to x, by central differences of the distances.

        Parameters
        ----------
        x : array of shape (n_coordinates,)
            One point of the unit cube.
        X_train : array of shape (n, n_coordinates)
            Other points.

        Returns
        -------
        array of shape (n, n_coordinates)
            Zero along integers and choices.
        """
        x = np.asarray(x, dtype=float)
        step = 1e-5
        low, high = np.clip(x - step, 0, 1), np.clip(x + step, 0, 1)
        stencil = np.tile(x, (2 * len(x), 1))
        index = np.arange(len(x))
        stencil[index, index], stencil[len(x) + index, index] = high, low
        r2 = self._parts(stencil, X_train).sum(axis=0)
        slope = matern(self._parts(x[None], X_train).sum(axis=0)[0], self.nu)[1]
        return (slope * (r2[: len(x)] - r2[len(x) :]) / (high - low)[:, None]).T

    def _parts(self, X: Any, Y: Any) -> np.ndarray:
        """Return the terms of r^2, of shape (n_groups, n, m)."""
        if self.metric not in METRICS:
            raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {self.metric!r}.")
        distances = squared_distances(self.space, self.metric, np.atleast_2d(X), np.atleast_2d(Y))
        lengths = np.atleast_1d(np.asarray(self.length_scale, dtype=float))
        if len(lengths) not in (1, len(distances)):
            raise ValueError(f"The {self.metric} metric has {len(distances)} lengths, got {len(lengths)}.")
        return distances / lengths[:, None, None] ** 2

    def __repr__(self) -> str:
        lengths = ", ".join(f"{length:.3g}" for length in np.atleast_1d(self.length_scale))
        return f"WassersteinMatern(length_scale=[{lengths}], nu={self.nu}, metric={self.metric!r})"


def matern(r2: np.ndarray, nu: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the Matern function of r^2 and its derivative with respect to r^2."""
    r = np.sqrt(r2)
    if nu == 0.5:
        e = np.exp(-r)
        return e, -e / np.maximum(2 * r, 1e-12)  # not differentiable at r = 0
    if nu == 1.5:
        e = np.exp(-np.sqrt(3) * r)
        return (1 + np.sqrt(3) * r) * e, -1.5 * e
    if nu == 2.5:
        e = np.exp(-np.sqrt(5) * r)
        return (1 + np.sqrt(5) * r + 5 / 3 * r2) * e, -5 / 6 * (1 + np.sqrt(5) * r) * e
    raise ValueError(f"nu must be 0.5, 1.5 or 2.5, got {nu!r}.")


def projected(K: np.ndarray) -> np.ndarray:
    """Return a Gram matrix, projected on the positive semi-definite ones of unit diagonal if it is not one.

    Parameters
    ----------
    K : array of shape (n, n)
        Symmetric.

    Returns
    -------
    array of shape (n, n)
        K itself if its smallest eigenvalue is above -1e-8 times the largest; a warning comes otherwise.
    """
    values, vectors = np.linalg.eigh(K)
    if values[0] >= -1e-8 * values[-1]:
        return K
    warnings.warn(
        f"A Gram matrix has the eigenvalue {values[0]:.3g} and was projected. "
        'The metrics "quantile" and "sliced" are positive definite.',
        IndefiniteKernelWarning,
        stacklevel=2,
    )
    K = (vectors * np.maximum(values, 0)) @ vectors.T
    deviation = np.sqrt(np.diag(K))
    return K / np.outer(deviation, deviation)
