"""Reservoir: a recurrent spiking network that learns by STDP without labels, as a scikit-learn transformer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import networkx as nx
import numpy as np
from brian2 import Network, Quantity, ms, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from hrsnn.checks import check_kind, check_n_jobs, check_seed
from hrsnn.inputs.codes import PopulationCode, SeriesCode
from hrsnn.laws import Law
from hrsnn.models import LIF
from hrsnn.reservoirs.liquid import Liquid, Response
from hrsnn.simulation.engine import RuntimeEngine
from hrsnn.simulation.model import NeuronModel, SynapseModel

__all__ = ["Reservoir", "homogeneous"]

STEPS = 4000  # of samples that are answered together


def homogeneous(model: Any) -> Any:
    """Return a model whose laws are replaced by their means, so that only the dispersion differs.

    Parameters
    ----------
    model : NeuronModel or SynapseModel
    """
    return type(model)(**{k: v.mean if isinstance(v, Law) else v for k, v in model.parameters.items()})


class Reservoir(TransformerMixin, BaseEstimator):
    """A recurrent network of spiking neurons whose state, driven by a series, makes features for a readout.

    ``fit`` learns the range of the series and, with a plastic ``synapse``, adapts the weights by STDP. Then all is
    frozen. ``transform`` starts from rest: its result is a function of the series and the seed alone. The features
    are each neuron's exponentially filtered spikes at the end of each step of the series (for every one of
    ``filters``), then its membrane potential (with ``membrane``), then the squares of all of these (``squares``).

    Parameters
    ----------
    graph : networkx.DiGraph
        Edges run pre -> post with ``weight``; nodes have ``type`` "E" or "I" (see ``hrsnn.topology``) and may have
        their own ``tau_m``. Only the size of a weight counts, its sign follows from the type.
    neuron : NeuronModel, optional
        Excitatory neurons; ``LIF()`` if None.
    inhibitory : NeuronModel, optional
        Inhibitory neurons; by default ``neuron``, and for ``neuron=None`` with tau_m 10 ms and t_ref 2 ms.
    synapse : SynapseModel, optional
        Plastic synapses, for example ``STDP()``; A_plus, A_minus, w_min and w_max are in units of four times the
        mean initial weight of the projection (inputs, excitation, inhibition). Or ``ShortTerm()``, whose short-term
        dynamics stay when nothing learns. Fixed weights if None.
    code : SeriesCode, optional
        How a value becomes spikes; ``PopulationCode()`` if None.
    input_weight, input_fraction, input_probability : float
        Mean weight of the inputs' synapses, share of the neurons that may receive input, and probability of each
        synapse (see ``hrsnn.topology.project_inputs``).
    plastic_inhibition : bool
        Whether ``synapse`` is the model of inhibitory neurons' synapses too; else their weights are fixed.
    n_epochs : int
        Passes of STDP through the series.
    n_learn : int, optional
        Steps of the series from which STDP learns, the first ones; all if None.
    filters : sequence of Quantity (second)
        Time constants of the filtered spikes; may be empty with ``membrane``.
    smooth : bool
        Whether each time constant filters twice, so that a spike enters the features gradually: less noise.
    membrane, squares : bool
        Further features.
    n_windows : int, optional
        Windows of equal length (or nearly) over which the states of each of several samples are averaged; the
        features of a sample are those of all its windows. If None, they are those of its end.
    limits : (float, float), optional
        Range of every feature; if None, that of each in the fitted series. With limits a feature may be constant.
    margin : float
        Share of the unit interval left free on both sides of the range, for values beyond it.
    dt : Quantity (second), optional
        Time step of the simulation; 0.5 ms if None.
    block : int
        Steps of the series in one run of the compiled network.
    backend : {"auto", "runtime", "cpp", "cuda"}, optional
        The choice of ``hrsnn.use_backend`` if None.
    n_jobs : int
        Processes side by side that respond to several series; -1 for one a core.
    seed : int
        Seed of the parameter draws, the input's synapses and Poisson spikes.

    Attributes
    ----------
    graph_ : networkx.DiGraph
        The graph with learnt weights, and each neuron's ``tau_m`` in seconds.
    weights_ : dict of str to array
        Weights of the inputs, of excitation and of inhibition.
    low_, high_ : array of shape (n_features_in_,)
        Range of the fitted series.
    spike_counts_ : array of shape (n_neurons,)
        Spikes of each neuron in the last ``transform``.
    n_features_in_ : int

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Exploiting Heterogeneity in Timescales, sections III and IV.
    .. [2] Maass, Natschlaeger & Markram (2002), Real-time computing without stable states.

    Examples
    --------
    >>> from hrsnn import Reservoir, topology
    >>> from hrsnn.models import STDP
    >>> graph = topology.distance_dependent(500, seed=0)
    >>> states = Reservoir(graph, synapse=STDP()).fit_transform(X)  # doctest: +SKIP
    """

    def __init__(
        self,
        graph: nx.DiGraph,
        neuron: NeuronModel | None = None,
        inhibitory: NeuronModel | None = None,
        synapse: SynapseModel | None = None,
        code: SeriesCode | None = None,
        input_weight: float = 1.0,
        input_fraction: float = 0.3,
        input_probability: float = 0.05,
        plastic_inhibition: bool = True,
        n_epochs: int = 1,
        n_learn: int | None = None,
        filters: Any = (30 * ms,),
        smooth: bool = False,
        membrane: bool = False,
        squares: bool = False,
        n_windows: int | None = None,
        limits: tuple[float, float] | None = None,
        margin: float = 0.1,
        dt: Quantity | None = None,
        block: int = 500,
        backend: str | None = None,
        n_jobs: int = 1,
        seed: int = 0,
    ):
        self.graph = graph
        self.neuron = neuron
        self.inhibitory = inhibitory
        self.synapse = synapse
        self.code = code
        self.input_weight = input_weight
        self.input_fraction = input_fraction
        self.input_probability = input_probability
        self.plastic_inhibition = plastic_inhibition
        self.n_epochs = n_epochs
        self.n_learn = n_learn
        self.filters = filters
        self.smooth = smooth
        self.membrane = membrane
        self.squares = squares
        self.n_windows = n_windows
        self.limits = limits
        self.margin = margin
        self.dt = dt
        self.block = block
        self.backend = backend
        self.n_jobs = n_jobs
        self.seed = seed

    def __sklearn_tags__(self) -> Tags:
        """Say that states are floats of 64 bits, whatever the series is, and that several series have three axes."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64"]
        tags.input_tags.three_d_array = True
        return tags

    def fit(self, X: Any, y: Any = None) -> Reservoir:
        """Learn the range of a series, and the weights by STDP, from the beginning.

        Parameters
        ----------
        X : array of shape (n_steps, n_features) or (n_samples, n_steps, n_features)
            A series, or several, shown one after another.
        y : None
            Not used.

        Raises
        ------
        ValueError
            If X has NaN, no steps, or a constant feature, or a setting is out of range.
        """
        X = self._checked(X, reset=True)
        self._last: dict[str, NDArray[np.int64]] = {}
        self.low_, self.high_ = self._range(X.reshape(-1, X.shape[-1]))
        self.liquid_ = self._liquid(X.shape[-1])
        state = self.liquid_.start()
        if self.liquid_.learns:
            table = self.scaled(X).reshape(-1, X.shape[-1])[: self.n_learn]
            fresh = self._fresh(X)[: self.n_learn]
            for _ in range(self.n_epochs):
                state = self.liquid_.run(
                    table, self.liquid_.start(self.liquid_.weights(state)), fresh=fresh, learn=True
                ).state
        self.weights_ = self.liquid_.weights(state)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Return the features of the state: at the end of each step of a series, or of each of several samples.

        Parameters
        ----------
        X : array of shape (n_steps, n_features) or (n_samples, n_steps, n_features)

        Returns
        -------
        array of shape (n_steps, n_state), (n_samples, n_state) or (n_samples, n_windows * n_state)
        """
        check_is_fitted(self, "weights_")
        X = self._checked(X)
        if X.ndim == 2:
            response = self.respond(X)
            self._last["spike_counts"] = self._counts(response)
            return response.features
        n_jobs = check_n_jobs(self.n_jobs)
        if isinstance(self.liquid_.frozen_engine, RuntimeEngine):  # compiles, if need be, before the threads start
            n_jobs = 1
        # A few samples at a time: the states of all their steps take much memory.
        size = min(-(-len(X) // n_jobs), max(1, STEPS // X.shape[1]))
        parts = [X[k : k + size] for k in range(0, len(X), size)]
        with ThreadPoolExecutor(min(n_jobs, len(parts))) as pool:
            found = list(pool.map(self._pooled, parts))
        self._last["spike_counts"] = np.sum([counts for _, counts in found], axis=0)
        return np.concatenate([features for features, _ in found])

    def _pooled(self, X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the features of each sample, and the spikes of each neuron."""
        response = self.respond(X)
        states = response.features.reshape(*X.shape[:2], -1)
        if self.n_windows is None:
            return states[:, -1], self._counts(response)
        if not isinstance(self.n_windows, (int, np.integer)) or not 1 <= self.n_windows <= X.shape[1]:
            raise ValueError(
                f"n_windows must be None or an integer from 1 to {X.shape[1]}, the steps of a sample, "
                f"got {self.n_windows!r}."
            )
        windows = np.array_split(states, self.n_windows, axis=1)
        return np.concatenate([window.mean(axis=1) for window in windows], axis=1), self._counts(response)

    def respond(self, X: NDArray[np.float64]) -> Response:
        """Return all that the frozen network does from rest, driven by one series or by several after another.

        Parameters
        ----------
        X : array of shape (n_steps, n_features) or (n_samples, n_steps, n_features)

        Returns
        -------
        hrsnn.reservoirs.liquid.Response
        """
        check_is_fitted(self, "weights_")
        X = self._checked(X)
        table = self.scaled(X).reshape(-1, X.shape[-1])
        return self.liquid_.run(table, self.rest(), fresh=self._fresh(X))

    def rest(self) -> dict[str, np.ndarray]:
        """Return the state of the rested network with its learnt weights."""
        check_is_fitted(self, "weights_")
        return self.liquid_.start(self.weights_)

    def scaled(self, X: Any) -> NDArray[np.float64]:
        """Return values in [0, 1]: the fitted range between the margins; values beyond the margins are clipped."""
        span = (np.asarray(X, dtype=float) - self.low_) / (self.high_ - self.low_)
        return np.clip(self.margin + (1 - 2 * self.margin) * span, 0, 1)

    def unscaled(self, u: Any) -> NDArray[np.float64]:
        """Return values in units of the series: the inverse of ``scaled``."""
        return self.low_ + (np.asarray(u) - self.margin) / (1 - 2 * self.margin) * (self.high_ - self.low_)

    @property
    def spike_counts_(self) -> NDArray[np.int64]:  # noqa: D102
        check_is_fitted(self, "weights_")
        if "spike_counts" not in self._last:
            raise AttributeError("spike_counts_ are those of the last transform: call transform first.")
        return self._last["spike_counts"]

    @property
    def graph_(self) -> nx.DiGraph:  # noqa: D102
        check_is_fitted(self, "weights_")
        graph = self.graph.copy()
        for node, tau_m in zip(self.liquid_.nodes, self.liquid_.values.get("neurons.tau_m", ()), strict=False):
            graph.nodes[node].setdefault("tau_m", float(tau_m))  # so that a part of the graph keeps its neurons
        edges = list(graph.edges)
        for name, sign in (("excitation", 1.0), ("inhibition", -1.0)):
            for k, w in zip(self.liquid_.edge_of[name].tolist(), self.weights_[name].tolist(), strict=True):
                graph.edges[edges[k]]["weight"] = sign * w
        return graph

    @property
    def network_(self) -> Network:
        """The Brian2 network that does not learn, in runtime mode."""
        check_is_fitted(self, "weights_")
        return self.liquid_.network

    def _range(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the values of each feature that stand for the ends of the unit interval, but for the margins."""
        if self.limits is not None:
            low, high = np.asarray(self.limits, dtype=float)
            if not -np.inf < low < high < np.inf:
                raise ValueError(f"limits must be two ascending numbers, got {self.limits!r}.")
            return np.full(values.shape[1], low), np.full(values.shape[1], high)
        if len(values) == 1:
            raise ValueError("X has 1 sample, which has no range. Pass a series of several steps, or set limits.")
        lows, highs = values.min(axis=0), values.max(axis=0)
        with np.errstate(over="ignore"):
            flat = ~(highs - lows > 1e-12 * np.abs(highs)) | ~np.isfinite(highs - lows)
        if flat.any():
            column = int(np.argmax(flat))
            raise ValueError(
                f"Column {column} of X runs from {lows[column]:g} to {highs[column]:g}: it is constant or "
                "too wide for floats. Drop or rescale it, or set limits."
            )
        return lows, highs

    def _counts(self, response: Response) -> NDArray[np.int64]:
        return np.bincount(response.i, minlength=len(self.liquid_.nodes))

    def _liquid(self, n_features: int) -> Liquid:
        check_seed(self.seed)
        for name, kind in (("neuron", NeuronModel), ("inhibitory", NeuronModel), ("synapse", SynapseModel)):
            check_kind(name, getattr(self, name), kind, optional=True)
        check_kind("code", self.code, SeriesCode, optional=True)
        if np.ndim(self.filters) != 1:
            raise TypeError(f"filters must be a sequence of times, such as (30*ms,), got {self.filters!r}.")
        dt = 0.5 * ms if self.dt is None else self.dt
        neuron = LIF() if self.neuron is None else self.neuron
        inhibitory = self.inhibitory
        if inhibitory is None:
            inhibitory = LIF(tau_m=10 * ms, t_ref=2 * ms) if self.neuron is None else neuron
        for name, value in (("dt", dt), *((f"filters[{k}]", tau) for k, tau in enumerate(self.filters))):
            fail_for_dimension_mismatch(value, second, f"{name} must be a time")
            if not 0 < float(value) < np.inf:
                raise ValueError(f"{name} must be positive, got {value}.")
        for name, low in (("block", 1), ("n_epochs", 1)):
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < low:
                raise ValueError(f"{name} must be an integer of at least {low}, got {value!r}.")
        code = PopulationCode() if self.code is None else self.code
        if abs(float(code.step / dt) - round(float(code.step / dt))) > 1e-6 or code.step < dt:
            raise ValueError(f"dt must divide the step of the code, {code.step}, got {dt}.")
        if self.n_learn is not None and (not isinstance(self.n_learn, (int, np.integer)) or self.n_learn < 1):
            raise ValueError(f"n_learn must be None or an integer of at least 1, got {self.n_learn!r}.")
        if not len(self.filters) and not self.membrane:
            raise ValueError("filters must hold at least one time constant, unless membrane=True.")
        if not 0 <= self.margin < 0.5:
            raise ValueError(f"margin must be in [0, 0.5), got {self.margin!r}.")
        return Liquid(
            self.graph,
            n_features,
            neuron=neuron,
            inhibitory=inhibitory,
            synapse=self.synapse,
            code=code,
            inputs={
                "weight": self.input_weight,
                "fraction": self.input_fraction,
                "probability": self.input_probability,
            },
            filters=[float(tau) for tau in self.filters],
            smooth=self.smooth,
            membrane=self.membrane,
            squares=self.squares,
            plastic_inhibition=self.plastic_inhibition,
            dt=dt,
            block=self.block,
            backend=self.backend,
            seed=self.seed,
        )

    def _fresh(self, X: NDArray) -> NDArray[np.bool_]:
        """Tell the first step of each series."""
        n_steps = X.shape[-2]
        return np.arange(X.size // X.shape[-1]) % n_steps == 0

    def _checked(self, X: Any, reset: bool = False) -> NDArray[np.float64]:
        X = validate_data(
            self, X, reset=reset, dtype=float, allow_nd=True, ensure_2d=False, ensure_all_finite=False, order="C"
        )
        if X.ndim not in (2, 3) or X.size == 0:
            raise ValueError(
                f"X must have shape (n_steps, n_features) or (n_samples, n_steps, n_features) and not be empty, "
                f"got {X.shape}. Reshape your data: a single series of numbers is X[:, None]."
            )
        if not np.isfinite(X).all():
            raise ValueError("X has NaN or infinite values. Fill or drop them.")
        if reset:
            self.n_features_in_ = X.shape[-1]
        elif X.shape[-1] != self.n_features_in_:
            name, expected = type(self).__name__, self.n_features_in_
            raise ValueError(f"X has {X.shape[-1]} features, but {name} is expecting {expected} features as input.")
        return X
