"""What the states of a reservoir hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hrsnn.checks import check_integer
from hrsnn.metrics._checks import Array, finite, matrix

__all__ = [
    "effective_rank",
    "generalisation_rank",
    "heterogeneity",
    "inverse_participation_ratio",
    "mean_correlation",
    "memory_capacity",
    "quadratic_capacity",
]


def memory_capacity(
    states: ArrayLike,
    u: ArrayLike,
    tau_max: int = 100,
    train_fraction: float = 2 / 3,
    alpha: float = 1e-6,
    level: float = 0.95,
) -> tuple[float, Array]:
    """Return how much of its past input a reservoir holds: the sum over delays of the squared correlation.

    C_tau is the squared correlation, on steps not trained on, of u(t - tau) with its best linear estimate from
    ``states[t]`` (ridge regression; a state beyond its range in training counts as at its edge). A C_tau that
    unrelated series would exceed with probability 1 - level counts as 0: for n test steps n C_tau has approximately
    the chi-squared law of one degree of freedom.

    Parameters
    ----------
    states : array of shape (n_steps, n_features)
        State after each input; leave the wash-out out.
    u : array of shape (n_steps,)
        The input, best independent and uniform.
    tau_max : int
        Longest delay; delays run from 1.
    train_fraction : float
        Share of the steps, the first ones, on which the estimates are trained.
    alpha : float
        Ridge penalty, for states of variance 1 and as a share of the number of training steps.
    level : float
        Probability below which chance is discarded; 0 for no correction.

    Returns
    -------
    capacity : float
    profile : array of shape (tau_max,)
        C_1 ... C_tau_max.

    Raises
    ------
    ValueError
        If shapes do not fit, values are not finite, or there are too few steps.

    References
    ----------
    .. [1] Jaeger (2001), Short term memory in echo state networks.
    .. [2] Dambre et al. (2012), Information processing capacity of dynamical systems (chance correction).
    """
    X, past = _delayed(states, u, tau_max, train_fraction)
    profile = _capacities(X, past, train_fraction, alpha, level)
    return float(profile.sum()), profile


def quadratic_capacity(
    states: ArrayLike,
    u: ArrayLike,
    tau_max: int = 20,
    train_fraction: float = 2 / 3,
    alpha: float = 1e-6,
    level: float = 0.999,
) -> tuple[float, Array]:
    """Return how much a reservoir holds of squares and products of its past inputs: what a delay line has none of.

    The targets are the polynomials of degree two that are uncorrelated for independent uniform input: with z the
    input mapped to [-1, 1], (3 z(t - a)^2 - 1) / 2 for each delay, and z(t - a) z(t - b) for each pair of delays. Each
    capacity is measured as in `memory_capacity`. For independent uniform input the sum of this, of the linear and of
    all higher capacities is at most the number of features.

    Parameters
    ----------
    states : array of shape (n_steps, n_features)
    u : array of shape (n_steps,)
        The input, independent and uniform; its smallest and largest value stand for -1 and 1.
    tau_max : int
        Longest delay; delays run from 1, so that there are tau_max (tau_max + 1) / 2 targets.
    train_fraction, alpha, level
        As in `memory_capacity`; the level is higher, since there are many targets.

    Returns
    -------
    capacity : float
    profile : array of shape (tau_max, tau_max)
        Entry [a - 1, b - 1] for the product of delays a <= b, the squares on the diagonal; zero below it.

    Raises
    ------
    ValueError
        As in `memory_capacity`, or if u is constant.

    References
    ----------
    .. [1] Dambre, Verstraeten, Schrauwen & Massar (2012), Information processing capacity of dynamical systems.
    """
    X, past = _delayed(states, u, tau_max, train_fraction)
    low, high = np.min(u), np.max(u)
    if not high > low:
        raise ValueError(f"u must vary, got {low:g} at every step.")
    z = 2 * (past - low) / (high - low) - 1
    first, second = np.triu_indices(tau_max)
    targets = np.where(first == second, 1.5 * z[:, first] ** 2 - 0.5, z[:, first] * z[:, second])
    profile = np.zeros((tau_max, tau_max))
    profile[first, second] = _capacities(X, targets, train_fraction, alpha, level)
    return float(profile.sum()), profile


def effective_rank(states: ArrayLike, share: float = 0.99) -> int:
    """Return how many singular values hold a share of their sum: the separation of the states.

    Parameters
    ----------
    states : array of shape (n_stimuli, n_features)
        Final state of each stimulus, not centred.
    share : float
        Share of the sum of singular values, in (0, 1].

    Returns
    -------
    int
        0 if all states are 0.

    Raises
    ------
    ValueError
        If states is not a finite matrix, or share is out of range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share!r}.")
    values = np.linalg.svd(matrix(states, "states"), compute_uv=False)
    held = np.cumsum(values)
    # A share of 1 is reached but for rounding.
    return int(np.searchsorted(held, share * held[-1] * (1 - 1e-12)) + 1) if held[-1] > 0 else 0


def generalisation_rank(states: ArrayLike, share: float = 0.99) -> int:
    """Return the effective rank of the states of noisy versions of one stimulus: the lower, the better it generalises.

    Parameters
    ----------
    states : array of shape (n_versions, n_features)
        Final state of each version.
    share : float
        As in `effective_rank`.

    References
    ----------
    .. [1] Legenstein & Maass (2007), Edge of chaos and prediction of computational performance.
    """
    return effective_rank(states, share)


def heterogeneity(parameters: ArrayLike, scale: ArrayLike | None = None) -> float:
    """Return the log determinant of the covariance of parameters over neurons or synapses.

    Parameters
    ----------
    parameters : array of shape (n, n_parameters)
        One row a neuron (or synapse).
    scale : array of shape (n_parameters,), optional
        Unit of each parameter, e.g. the width of its search interval; 1 if None.

    Returns
    -------
    float
        Minus infinity if a parameter does not vary or depends on others.

    Raises
    ------
    ValueError
        If there are fewer than two rows, or a scale is not positive.
    """
    values = np.atleast_2d(finite(parameters, "parameters"))
    values = values.T if np.ndim(parameters) == 1 else values
    if len(values) < 2:
        raise ValueError(f"parameters needs at least two rows, got {len(values)}.")
    unit = np.ones(values.shape[1]) if scale is None else finite(scale, "scale")
    if not (unit > 0).all():
        raise ValueError(f"scale must be positive, got {unit}.")
    sign, log_det = np.linalg.slogdet(np.atleast_2d(np.cov(values / unit, rowvar=False)))
    return float(log_det) if sign > 0 else -np.inf


def mean_correlation(states: ArrayLike) -> float:
    """Return the mean correlation between two features over time, of all pairs of features that vary.

    Parameters
    ----------
    states : array of shape (n_steps, n_features)
        For example filtered spikes, or counts in bins.

    Raises
    ------
    ValueError
        If fewer than two features vary.
    """
    X = matrix(states, "states")
    X = X[:, X.std(axis=0) > 0]
    n = X.shape[1]
    if n < 2:
        raise ValueError(f"Correlation needs at least two features that vary, got {n}.")
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    return float(((Z.sum(axis=1) ** 2).mean() - n) / (n * (n - 1)))  # the sum over pairs, without all the pairs


def inverse_participation_ratio(vectors: ArrayLike) -> Array:
    """Return sum |v|^4 / (sum |v|^2)^2 of each vector: 1 if on one node, 1/n if spread evenly over n.

    Parameters
    ----------
    vectors : array of shape (n_nodes,) or (n_nodes, n_vectors)
        One vector a column, for example eigenvectors (real or complex).

    Returns
    -------
    array of shape (n_vectors,)

    Raises
    ------
    ValueError
        If a vector is zero.
    """
    power = np.abs(np.asarray(vectors)) ** 2
    power = power[:, None] if power.ndim == 1 else power
    total = power.sum(axis=0)
    if not (total > 0).all():
        raise ValueError("A vector is zero: its participation ratio is not defined.")
    return (power**2).sum(axis=0) / total**2


def _delayed(states: ArrayLike, u: ArrayLike, tau_max: int, train_fraction: float) -> tuple[Array, Array]:
    """Return the states from step tau_max on, and the inputs 1 to tau_max steps before each."""
    X, signal = finite(states, "states"), finite(u, "u")
    if X.ndim != 2 or signal.shape != (len(X),):
        raise ValueError(
            f"states must have shape (n_steps, n_features) and u (n_steps,), got {X.shape}, {signal.shape}."
        )
    check_integer("tau_max", tau_max, 1)
    if not 0 < train_fraction < 1:
        raise ValueError(f"train_fraction must be in (0, 1), got {train_fraction!r}.")
    n_train, n = int(train_fraction * (len(X) - tau_max)), len(X) - tau_max
    if n_train < 10 or n - n_train < 10:
        raise ValueError(
            f"{len(X)} steps are too few for delays up to {tau_max}: 10 must be left to train and to test."
        )
    past = [signal[tau_max - tau : len(X) - tau] for tau in range(1, tau_max + 1)]
    return X[tau_max:], np.stack(past, axis=1)


def _capacities(X: Array, targets: Array, train_fraction: float, alpha: float, level: float) -> Array:
    """Return the squared correlation of each target with its linear estimate, 0 where chance would give as much."""
    from scipy.stats import chi2

    if not 0 <= level < 1 or alpha < 0:
        raise ValueError(f"level must be in [0, 1) and alpha not negative, got {level!r} and {alpha!r}.")
    n, n_train = len(X), int(train_fraction * len(X))
    estimate = _ridge(X[:n_train], targets[:n_train], X[n_train:], alpha)
    found = _squared_correlation(targets[n_train:], estimate)
    found[found < chi2.ppf(level, 1) / (n - n_train)] = 0.0
    return found


def _ridge(X: Array, Y: Array, X_new: Array, alpha: float) -> Array:
    from scipy.linalg import cho_factor, cho_solve

    mean, deviation = X.mean(axis=0), X.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    Z = (X - mean) / deviation
    mean_y = Y.mean(axis=0)
    if alpha >= 1e-8:  # the squares of Z lose nothing that the penalty does not
        gram = Z.T @ Z
        gram.flat[:: len(gram) + 1] += alpha * len(X)
        W = cho_solve(cho_factor(gram, overwrite_a=True), Z.T @ (Y - mean_y))
    else:
        U, s, Vt = np.linalg.svd(Z, full_matrices=False)
        kept = s > s.max(initial=0.0) * 1e-12
        gain = np.where(kept, s, 0) / np.where(kept, s**2 + alpha * len(X), 1)
        W = Vt.T @ (gain[:, None] * (U.T @ (Y - mean_y)))
    # A neuron that is silent in training varies by next to nothing there; its first spike later must not count as a
    # million of its deviations.
    X_new = np.clip(X_new, X.min(axis=0), X.max(axis=0))
    return (X_new - mean) / deviation @ W + mean_y


def _squared_correlation(A: Array, B: Array) -> Array:
    A, B = A - A.mean(axis=0), B - B.mean(axis=0)
    power = (A**2).sum(axis=0) * (B**2).sum(axis=0)
    return np.where(power > 0, (A * B).sum(axis=0) ** 2 / np.where(power > 0, power, 1), 0.0)
