"""Delays of synapses: a number, a law, an array or the edges' own, checked and turned into time steps."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
from brian2 import Quantity, second
from brian2.units.fundamentalunits import DimensionMismatchError, fail_for_dimension_mismatch
from numpy.typing import NDArray

from hrsnn.laws import Law

__all__ = ["LIMIT_MB", "check_memory", "drawn_delays", "edge_delays", "time_steps"]

LIMIT_MB = 1024  # of currents on their way, in all


def drawn_delays(name: str, value: Any, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the delays of ``n`` synapses in seconds.

    Parameters
    ----------
    name : str
        Of the setting, for errors.
    value : Quantity (second), Law or None
        A number, a law, an array of shape (n,), or None for none.
    n : int
    rng : numpy.random.Generator

    Returns
    -------
    array of shape (n,)

    Raises
    ------
    DimensionMismatchError
        If the value is no time.
    ValueError
        If an array has another length, or a delay is negative or not finite.
    """
    if value is None:
        return np.zeros(n)
    if isinstance(value, Law):
        if value.dimensions is not second.dim:
            raise DimensionMismatchError(f"{name} must be a law of times", value.dimensions, second.dim)
        found = np.asarray(value.sample(n, rng), dtype=float)
    else:
        fail_for_dimension_mismatch(value, second, f"{name} must be a time, a law of times or an array of times")
        found = np.array(value, dtype=float)
    if found.ndim and found.shape != (n,):
        raise ValueError(f"{name} must have one value for each of the {n} synapses, got {found.shape}.")
    return _checked(name, np.broadcast_to(found, n), isinstance(value, Law))


def edge_delays(graph: nx.DiGraph) -> NDArray[np.float64] | None:
    """Return the attribute ``delay`` of the edges in seconds, in their order; None if no edge has one.

    Parameters
    ----------
    graph : networkx.DiGraph
        ``delay`` is a Quantity (second) or a plain number of seconds.

    Returns
    -------
    array of shape (n_edges,)

    Raises
    ------
    ValueError
        If some edges have a delay and others have none, or one is negative, not finite or no time.
    """
    edges = list(graph.edges(data="delay"))
    missing = [(u, v) for u, v, delay in edges if delay is None]
    if len(missing) == len(edges):
        return None
    if missing:
        (u, v), some = missing[0], len(edges) - len(missing)
        raise ValueError(
            f"{some} of {len(edges)} edges have the attribute 'delay', but not {u!r} -> {v!r}. Give all of them one, "
            "for example with networkx.set_edge_attributes, or none."
        )
    found = np.empty(len(edges))
    for k, (u, v, delay) in enumerate(edges):
        if isinstance(delay, Quantity) and delay.dim is not second.dim:
            raise DimensionMismatchError(f"delay of edge {u!r} -> {v!r} must be a time", delay.dim, second.dim)
        found[k] = float(np.asarray(delay))
    return _checked("delay of an edge", found, False)


def time_steps(seconds: NDArray[np.float64], dt: float) -> NDArray[np.int32]:
    """Return delays in time steps, each rounded to the nearest."""
    return np.round(seconds / dt).astype(np.int32)


def check_memory(longest: float, dt: float, n_neurons: int) -> None:
    """Refuse delays whose currents on their way need more than ``LIMIT_MB``.

    Parameters
    ----------
    longest, dt : float
        Longest delay and time step in seconds.
    n_neurons : int

    Raises
    ------
    ValueError
        With the memory that they would need, and the longest delay that this network can have.
    """
    needed = 2 * 8 * n_neurons * (longest / dt + 1) / 2**20
    if needed > LIMIT_MB:
        right = (LIMIT_MB * 2**20 / (2 * 8 * n_neurons) - 1) * dt
        raise ValueError(
            f"A delay of {longest:g} s needs {needed:.0f} MB for currents on their way to {n_neurons} neurons at "
            f"dt = {1e3 * dt:g} ms; the bound is {LIMIT_MB} MB, a delay of {right:.3g} s. "
            "Shorten the delays, or raise dt."
        )


def _checked(name: str, values: NDArray[np.float64], is_law: bool) -> NDArray[np.float64]:
    right = np.isfinite(values) & (values >= 0)
    if not right.all():
        bad = values[~right][0]
        remedy = " A law takes a lower bound: low=0*ms." if is_law else ""
        raise ValueError(f"{name} must be finite and not negative, got {bad:g} s.{remedy}")
    return np.ascontiguousarray(values)
