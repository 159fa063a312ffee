"""Rate reduction of a LIF network around its operating point: the flow whose Lyapunov exponents are taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.linalg import ArpackError, eigs
from scipy.special import expit

from hrsnn.pruning.graphs import Edges, edges_of, node_values, seconds

__all__ = ["RateNetwork", "spectral_radius"]

RADIUS = 0.9


@dataclass(frozen=True)
class RateNetwork:
    """Firing rates of leaky integrate-and-fire neurons, driven to a common rate.

    ``tau_i dr_i/dt = -r_i + phi_i(h_i)`` with ``h_i = sum_j w_ij tau_syn_j r_j + b_i + noise``. ``phi`` is the
    current-to-rate curve of the neuron, its threshold softened by a softplus of width ``0.1 v_thresh``. The drive b
    makes `rate` a fixed point of all neurons. One step is exact in the leak (exponential Euler), so the time
    constants may be shorter than `dt`.

    Parameters
    ----------
    weights : sparse array of shape (n, n)
        ``weights[i, j]`` from j to i; a spike adds it to a synaptic current, in units of the threshold.
    tau_m, tau_syn : array of shape (n,)
        Membrane time constant of each neuron and time constant of its synapses onto others, in seconds.
    rate : float
        Operating point in Hz.
    t_ref : float
        Refractory period in seconds.
    v_thresh : float
        Threshold above rest.
    noise : float
        Standard deviation of the input noise in one millisecond, in units of the threshold.
    dt : float
        Step in seconds.
    gain : float, optional
        Factor on all weights. None takes the one that gives the coupling ``phi'_i w_ij tau_syn_j`` at the operating
        point a spectral radius of 0.9, close below the critical point, so that the network really sits there (1 if
        the graph has no cycle).

    Raises
    ------
    ValueError
        If the rate cannot be reached (not positive, or 1/rate below the refractory period).

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, section V, eq. 14.
    """

    weights: sparse.csr_array
    tau_m: NDArray[np.float64]
    tau_syn: NDArray[np.float64]
    rate: float = 15.0
    t_ref: float = 0.003
    v_thresh: float = 1.0
    noise: float = 0.05
    dt: float = 0.001
    gain: float | None = None
    coupling: sparse.csr_array = field(init=False)
    bias: NDArray[np.float64] = field(init=False)
    decay: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1 / self.t_ref:
            raise ValueError(f"rate must be in (0, {1 / self.t_ref:.4g}) Hz (1 / t_ref), got {self.rate!r}.")
        if not self.dt > 0:
            raise ValueError(f"dt must be positive, got {self.dt!r} s.")
        coupling = sparse.csr_array(self.weights @ sparse.diags_array(self.tau_syn))
        if self.gain is None:
            slope = self.rate_of(self.inverse_rate(self.rate))[1]
            radius = spectral_radius(sparse.csr_array(sparse.diags_array(slope) @ coupling))
            object.__setattr__(self, "gain", RADIUS / radius if radius > 0 else 1.0)
        coupling *= self.gain
        object.__setattr__(self, "coupling", coupling)
        object.__setattr__(self, "bias", self.inverse_rate(self.rate) - self.rate * coupling.sum(axis=1))
        object.__setattr__(self, "decay", np.exp(-self.dt / self.tau_m))

    @classmethod
    def from_edges(cls, edges: Edges, tau_m: NDArray, tau_syn: NDArray, **options: Any) -> RateNetwork:
        """Build the network of an edge list; options as in `from_graph`, time constants of nodes not needed."""
        times = {name: seconds(options[name], name) for name in ("dt", "t_ref") if name in options}
        others = {name: value for name, value in options.items() if name not in ("tau_m", "tau_syn")}
        return cls(edges.matrix(), tau_m, tau_syn, **(others | times))

    @classmethod
    def from_graph(cls, graph: nx.DiGraph, tau_m: Any = 0.020, tau_syn: Any = 0.003, **options: Any) -> RateNetwork:
        """Build the network of a graph.

        Parameters
        ----------
        graph : networkx.DiGraph
            Edges run pre -> post with ``weight``; nodes may carry ``tau_m`` and ``tau_syn``.
        tau_m, tau_syn : Quantity (second) or float
            Values of nodes that carry none.
        **options
            rate, t_ref, v_thresh, noise, dt and gain of `RateNetwork`; dt and t_ref may be Quantities (second).

        Returns
        -------
        RateNetwork
            Neurons in the order of the graph's nodes.
        """
        tau = [node_values(graph, name, value) for name, value in (("tau_m", tau_m), ("tau_syn", tau_syn))]
        return cls.from_edges(edges_of(graph)[1], *tau, **options)

    def rate_of(self, current: ArrayLike) -> tuple[NDArray, NDArray]:
        """Rate (Hz) and its derivative at an input current, both of the current's shape (n,)."""
        width = 0.1 * self.v_thresh
        x = (np.asarray(current, dtype=float) - self.v_thresh) / width
        y = np.maximum(width * np.logaddexp(0, x), np.finfo(float).tiny)
        rate = 1 / (self.t_ref + self.tau_m * np.log1p(self.v_thresh / y))
        ratio = np.where(x < -30, 1 / width, expit(x) / y)  # d ln(y) / d current, whose limit is 1 / width
        return rate, rate**2 * self.tau_m * self.v_thresh * ratio / (y + self.v_thresh)

    def inverse_rate(self, rate: float | NDArray) -> NDArray[np.float64]:
        """Input current of shape (n,) at which each neuron fires at a rate (Hz)."""
        width = 0.1 * self.v_thresh
        # More than 700 time constants between spikes is beyond floating point; so slow is silent.
        y = self.v_thresh / np.expm1(np.minimum((1 / rate - self.t_ref) / self.tau_m, 700.0))
        x = y / width
        return self.v_thresh + width * (x + np.log(-np.expm1(-x)))

    def step(self, rates: NDArray, rng: np.random.Generator | None = None) -> tuple[NDArray, NDArray]:
        """Advance the rates by dt.

        Parameters
        ----------
        rates : array of shape (n,)
            Rates in Hz.
        rng : numpy.random.Generator, optional
            Source of the input noise; none if None.

        Returns
        -------
        rates : array of shape (n,)
            Rates one step later.
        slope : array of shape (n,)
            Derivative of phi at the inputs of this step, as `tangent` needs it.
        """
        current = self.coupling @ rates + self.bias
        if rng is not None:
            current += self.noise * np.sqrt(0.001 / self.dt) * rng.standard_normal(len(rates))
        target, slope = self.rate_of(current)
        return self.decay * rates + (1 - self.decay) * target, slope

    def tangent(self, slope: NDArray, vectors: NDArray) -> NDArray:
        """Jacobian of one step times tangent vectors of shape (n, k)."""
        pushed = self.coupling @ vectors
        pushed *= ((1 - self.decay) * slope)[:, None]
        pushed += self.decay[:, None] * vectors
        return pushed


def spectral_radius(matrix: sparse.csr_array) -> float:
    """Largest magnitude of the eigenvalues of a square sparse matrix; 0 if they are zero to rounding."""
    n = matrix.shape[0]
    largest = float(abs(matrix).max()) if matrix.nnz else 0.0
    if n > 100:
        try:
            radius = float(np.abs(eigs(matrix, k=6, v0=np.ones(n), return_eigenvectors=False)).max())
        except ArpackError:
            radius = float(np.abs(np.linalg.eigvals(matrix.toarray())).max())
    else:
        radius = float(np.abs(np.linalg.eigvals(matrix.toarray())).max())
    return radius if radius > 1e-6 * largest else 0.0
