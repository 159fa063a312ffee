"""Stationary covariance of a linear network driven by independent noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, sparse

__all__ = ["covariance", "sampled_covariance"]

N_DENSE = 200  # below, LAPACK is faster than the iteration


def covariance(dynamics: Any, sigma: float = 1.0, rtol: float = 1e-7) -> NDArray[np.float64]:
    """Solve the Lyapunov equation ``A C + C A^T + sigma^2 I = 0``.

    Small matrices, and matrices without diagonal dominance, go to LAPACK (Bartels-Stewart, O(n^3) with a large
    constant). A strictly dominant A = -D + L is iterated, ``C <- (sigma^2 I + L C + C L^T) / (D_i + D_j)``: each
    round costs one product with L, and the error shrinks in every round by at least the dominance ratio.

    Parameters
    ----------
    dynamics : array or sparse array of shape (n, n)
        A, ``A[i, j]`` from j to i, all eigenvalues with negative real part.
    sigma : float
        Standard deviation of the noise, positive.
    rtol : float
        Largest error of the iteration, relative to the largest covariance.

    Returns
    -------
    array of shape (n, n)
        Covariance C, symmetric.

    Raises
    ------
    ValueError
        If A is not square or not finite, or the network is not stable or too close to it for floating point.

    References
    ----------
    .. [1] Moore & Chaudhuri (2020), Using noise to probe recurrent neural network structure and prune synapses.
    """
    matrix = _square(dynamics)
    n = matrix.shape[0]
    leak = -matrix.diagonal()
    coupling = sparse.csr_array(matrix + sparse.diags_array(leak))
    coupling.eliminate_zeros()
    load = np.asarray(abs(coupling).sum(axis=1)).ravel()
    if n <= N_DENSE or not (load < leak).all():
        return _dense(matrix.toarray(), sigma)
    return _iterate(leak, coupling, sigma, rtol, float((load / leak).max()))


def sampled_covariance(
    dynamics: Any, rng: np.random.Generator, sigma: float = 1.0, dt: float = 0.005, n_steps: int = 10_000
) -> NDArray[np.float64]:
    """Estimate the covariance from a simulated trajectory (Euler-Maruyama), as a cross-check of `covariance`.

    Parameters
    ----------
    dynamics : array or sparse array of shape (n, n)
        A, stable.
    rng : numpy.random.Generator
        Source of the noise.
    sigma : float
        Standard deviation of the noise.
    dt : float
        Step, in the unit of time of A; well below 1 / max |A_ii|.
    n_steps : int
        Steps averaged over, after a tenth as many to forget the start.

    Returns
    -------
    array of shape (n, n)
        Covariance; its error falls with ``1 / sqrt(n_steps dt)``.

    Raises
    ------
    ValueError
        If A is not square or not finite, or the trajectory diverges.
    """
    step = sparse.csr_array(_square(dynamics) * dt)
    n = step.shape[0]
    x = np.zeros(n)
    total = np.zeros((n, n))
    block = 256
    for start in range(-(n_steps // 10 // block + 1) * block, n_steps, block):
        samples = np.empty((min(block, n_steps - start) if start >= 0 else block, n))
        kicks = sigma * np.sqrt(dt) * rng.standard_normal(samples.shape)
        for row, kick in zip(samples, kicks, strict=True):
            x = x + step @ x + kick
            row[:] = x
        if not np.isfinite(x).all() or np.abs(x).max() > 1e100:
            raise ValueError("The trajectory diverges. Check that the network is stable, or take a smaller dt.")
        if start >= 0:
            total += samples.T @ samples
    return total / n_steps


def _square(dynamics: ArrayLike | Any) -> sparse.csr_array:
    matrix = sparse.csr_array(dynamics, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"The dynamics must be a square matrix, got shape {matrix.shape}.")
    if not np.isfinite(matrix.data).all():
        raise ValueError("The dynamics holds NaN or infinite values. Check the weights and exponents.")
    return matrix


def _dense(matrix: NDArray, sigma: float) -> NDArray:
    largest = float(linalg.eigvals(matrix).real.max())
    if largest >= 0:
        raise ValueError(
            f"The network is not stable (largest eigenvalue {largest:.3g}). "
            "Lower the gain of the topology, or raise the leak (delta)."
        )
    c = linalg.solve_continuous_lyapunov(matrix, -(sigma**2) * np.eye(len(matrix)))
    residual = np.abs(matrix @ c + c @ matrix.T + sigma**2 * np.eye(len(matrix))).max()
    if not residual <= 1e-6 * (np.abs(matrix).max() * np.abs(c).max() + sigma**2):
        raise ValueError("The covariance is too large for floating point: the network amplifies noise without bound.")
    return (c + c.T) / 2


def _iterate(leak: NDArray, coupling: sparse.csr_array, sigma: float, rtol: float, ratio: float) -> NDArray:
    n = len(leak)
    dense = coupling.nnz > 0.5 * n * n
    left = coupling.toarray() if dense else coupling
    c = np.diag(sigma**2 / (2 * leak))
    diagonal = np.arange(n)
    last, rate = np.ones(n), 0.0
    # A round contracts in the largest-entry norm by `ratio` < 1: the loop ends, and the last change bounds the error.
    for _ in range(10_000):
        new = left @ c
        new += new.T.copy()
        new[diagonal, diagonal] += sigma**2
        new /= leak[:, None] + leak[None, :]
        change = np.subtract(new, c, out=c)
        size = max(-float(change.min()), float(change.max()))
        if size * ratio / (1 - ratio) <= rtol * float(new[diagonal, diagonal].max()):
            return new
        step = change[diagonal, diagonal]
        earlier, rate = rate, float(step @ last / (last @ last))
        if abs(rate) <= ratio and abs(rate - earlier) < 0.05 * (1 - abs(rate)):  # one mode is left: jump along it
            new += change * (rate / (1 - rate))
            last, rate = np.ones(n), 0.0
        else:
            last = step
        c = new
    raise ValueError(f"The covariance did not converge (dominance ratio {ratio:.6g}). Raise the leak (delta).")
