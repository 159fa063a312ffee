"""Lyapunov exponents: spectrum by the QR method, exponents of single nodes, twin trajectories as a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from hrsnn.checks import check_integer
from hrsnn.pruning.graphs import seconds
from hrsnn.pruning.rates import RateNetwork

__all__ = [
    "LyapunovSpectrum",
    "lyapunov_spectrum",
    "node_exponents",
    "qr_spectrum",
    "rate_spectrum",
    "twin_exponent",
]


class LyapunovSpectrum(NamedTuple):
    """Leading Lyapunov exponents of a flow and where they live.

    Attributes
    ----------
    exponents : array of shape (k,)
        Exponents in 1/s, in the order of the directions (descending up to their accuracy).
    participation : array of shape (n, k)
        ``P[i, k]``: mean squared component of direction k at node i. Columns sum to 1; for a full spectrum rows too.
    rates : array of shape (n,)
        Mean state along the trajectory (rates in Hz for a rate network).
    """

    exponents: NDArray[np.float64]
    participation: NDArray[np.float64]
    rates: NDArray[np.float64]


def qr_spectrum(
    propagate: Callable[[NDArray], NDArray],
    vectors: NDArray,
    n_steps: int,
    dt: float,
    warm_up: int = 0,
    n_orth: int = 5,
) -> tuple[NDArray, NDArray]:
    """Take Lyapunov exponents of any flow by repeated QR decomposition.

    Parameters
    ----------
    propagate : callable
        ``propagate(Q)`` advances the state by one step and returns the step's Jacobian times Q.
    vectors : array of shape (n, k)
        Initial tangent vectors, orthonormal; k = n gives the full spectrum.
    n_steps : int
        Steps averaged over, a multiple of `n_orth`.
    dt : float
        Step in seconds.
    warm_up : int
        Steps before, that only align the directions.
    n_orth : int
        Steps between two decompositions.

    Returns
    -------
    exponents : array of shape (k,)
        ``<ln R_kk> / dt`` in 1/s.
    participation : array of shape (n, k)
        ``<Q_ik^2>``.

    Raises
    ------
    ValueError
        If `n_steps` holds no whole block of `n_orth` steps, or the tangent vectors overflow.

    References
    ----------
    .. [1] Vogt, Puelma Touzel, Shlizerman & Lajoie (2022), On Lyapunov exponents for RNNs.
    """
    check_integer("n_orth", n_orth, 1)
    check_integer("n_steps", n_steps, 1)
    if n_steps < n_orth:
        raise ValueError(f"n_steps must be at least n_orth >= 1, got n_steps={n_steps!r} and n_orth={n_orth!r}.")
    n_skipped, n_blocks = -(-warm_up // n_orth), n_steps // n_orth
    growth = np.zeros(vectors.shape[1])
    participation = np.zeros(vectors.shape)
    for block in range(n_skipped + n_blocks):
        for _ in range(n_orth):
            vectors = propagate(vectors)
        if not np.isfinite(vectors).all():
            raise ValueError(
                "The tangent vectors overflow: the dynamics is not finite. Lower the gain of the topology."
            )
        vectors, upper = linalg.qr(vectors, mode="economic", overwrite_a=True, check_finite=False)
        if block >= n_skipped:
            growth += np.log(np.maximum(np.abs(np.diag(upper)), np.finfo(float).tiny))
            participation += vectors**2
    return growth / (n_blocks * n_orth * dt), participation / n_blocks


def rate_spectrum(
    network: RateNetwork,
    n_exponents: int | None = None,
    n_steps: int = 2000,
    warm_up: int = 500,
    seed: int | list[int] | None = None,
) -> LyapunovSpectrum:
    """Take the Lyapunov spectrum of a rate network under noise (see `lyapunov_spectrum`)."""
    n = len(network.tau_m)
    k = (n if n <= 1000 else 128) if n_exponents is None else min(n_exponents, n)
    if k < 1:
        raise ValueError(f"n_exponents must be at least 1, got {n_exponents!r}.")
    rng = np.random.default_rng(seed)
    rates = np.full(n, float(network.rate))
    for _ in range(warm_up):
        rates, _ = network.step(rates, rng)
    vectors = np.linalg.qr(rng.standard_normal((n, k)))[0]
    total, n_seen = np.zeros(n), 0

    def propagate(vectors: NDArray) -> NDArray:
        nonlocal rates, total, n_seen
        rates, slope = network.step(rates, rng)
        total += rates
        n_seen += 1
        return network.tangent(slope, vectors)

    exponents, participation = qr_spectrum(propagate, vectors, n_steps, network.dt, warm_up=warm_up // 5)
    return LyapunovSpectrum(exponents, participation, total / n_seen)


def lyapunov_spectrum(
    graph: nx.DiGraph,
    n_exponents: int | None = None,
    n_steps: int = 2000,
    warm_up: int = 500,
    seed: int | None = None,
    **network: Any,
) -> LyapunovSpectrum:
    """Take the Lyapunov spectrum of a graph's rate-linearised LIF network.

    Parameters
    ----------
    graph : networkx.DiGraph
        Edges run pre -> post with ``weight``; nodes may carry ``tau_m`` and ``tau_syn`` (Quantity or seconds).
    n_exponents : int, optional
        Number of leading exponents. None takes all up to 1000 neurons and 128 above.
    n_steps, warm_up : int
        Steps averaged over, and steps before; the directions are aligned in the last fifth as many again.
    seed : int, optional
        Seed of the noise and of the initial directions; fresh entropy if None.
    **network
        tau_m, tau_syn, rate, t_ref, v_thresh, noise, dt and gain of `RateNetwork.from_graph`.

    Returns
    -------
    LyapunovSpectrum
        Exponents in 1/s, participation of the nodes in the graph's order, mean rates in Hz.

    Raises
    ------
    ValueError
        If the graph has no edge or bad weights, or the dynamics overflows.

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section V.
    .. [2] Vogt, Puelma Touzel, Shlizerman & Lajoie (2022), On Lyapunov exponents for RNNs.
    """
    return rate_spectrum(RateNetwork.from_graph(graph, **network), n_exponents, n_steps, warm_up, seed)


def node_exponents(spectrum: LyapunovSpectrum, tau_m: NDArray | None = None) -> NDArray[np.float64]:
    """Share the exponents out among the nodes by their participation.

    ``lambda_i = sum_k P_ik lambda_k``; of a full spectrum, the sum over nodes is the sum over exponents. Of a leading
    part, what a node lacks to a participation of 1 counts with its leak, -1/tau_m.

    Parameters
    ----------
    spectrum : LyapunovSpectrum
        Of n nodes and k exponents.
    tau_m : array of shape (n,), optional
        Membrane time constants in seconds; needed for a leading part.

    Returns
    -------
    array of shape (n,)
        Exponents in 1/s.

    Raises
    ------
    ValueError
        If the spectrum is a leading part and `tau_m` is missing.
    """
    n, k = spectrum.participation.shape
    values = spectrum.participation @ spectrum.exponents
    if k == n:
        return values
    if tau_m is None:
        raise ValueError(f"The spectrum holds {k} of {n} exponents. Pass tau_m to fill in the rest.")
    return values - (1 - spectrum.participation.sum(axis=1)) / tau_m


def twin_exponent(
    advance: Callable[[NDArray, int], NDArray],
    state: NDArray,
    duration: Any,
    n_blocks: int,
    epsilon: float = 1e-6,
    warm_up: int = 0,
    seed: int | None = None,
) -> float:
    """Take the largest Lyapunov exponent from two trajectories under the same noise.

    After each block the twin is pulled back to the distance `epsilon` along their difference (Benettin). Works on
    anything that can be run from a state, such as a spiking network with frozen noise.

    Parameters
    ----------
    advance : callable
        ``advance(state, block)`` runs one block and returns the new state. The noise must depend on `block` alone.
    state : array of shape (n,)
        Initial state, in units that make its components comparable.
    duration : Quantity (second) or float
        Length of a block.
    n_blocks : int
        Blocks averaged over.
    epsilon : float
        Distance of the twins at the start of a block.
    warm_up : int
        Blocks before, that align the difference.
    seed : int, optional
        Seed of the first difference; fresh entropy if None.

    Returns
    -------
    float
        Exponent in 1/s; -inf if the twins become equal.

    Raises
    ------
    ValueError
        If `n_blocks` is below 1 or a state is not finite.

    References
    ----------
    .. [1] Benettin, Galgani, Giorgilli & Strelcyn (1980), Lyapunov characteristic exponents, Meccanica 15.
    """
    if n_blocks < 1:
        raise ValueError(f"n_blocks must be at least 1, got {n_blocks!r}.")
    state = np.asarray(state, dtype=float)
    difference = np.random.default_rng(seed).standard_normal(state.shape)
    difference *= epsilon / np.linalg.norm(difference)
    growth = 0.0
    for block in range(warm_up + n_blocks):
        twin = np.asarray(advance(state + difference, block), dtype=float)
        state = np.asarray(advance(state, block), dtype=float)
        with np.errstate(over="ignore", invalid="ignore"):  # reported below
            distance = float(np.linalg.norm(twin - state))
        if not np.isfinite(distance):
            raise ValueError(f"The state is not finite after block {block}. Shorten the steps of advance.")
        if distance == 0:
            return -np.inf
        if block >= warm_up:
            growth += np.log(distance / epsilon)
        difference = (twin - state) * (epsilon / distance)
    return growth / (n_blocks * seconds(duration, "duration"))
