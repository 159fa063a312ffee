"""Reservoir: a recurrent spiking network that learns by STDP without labels, as a scikit-learn transformer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
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
from hrsnn.inputs.codes import CurrentCode, PopulationCode, SeriesCode
from hrsnn.laws import Gamma, Law, Normal, Uniform
from hrsnn.models import LIF
from hrsnn.reservoirs.liquid import Liquid, Response
from hrsnn.reservoirs.topology import balanced
from hrsnn.simulation.engine import RuntimeEngine
from hrsnn.simulation.model import NeuronModel, SynapseModel

__all__ = ["FarFromRange", "Reservoir", "homogeneous", "samples_of"]

FEATURES = ("spikes", "membrane", "current")
STEPS = 4000  # of samples that are answered together
FAR = 0.25  # of the fitted range beyond its ends: what lies further out is warned of

Series = NDArray[np.float64]


class FarFromRange(UserWarning):
    """Values, or a forecast, outside the range to which a reservoir was fitted."""


def samples_of(X: Any) -> list[Series]:
    """Return the series in an array of one, in an array of several, or in a list of several, as a list."""
    return [X] if isinstance(X, np.ndarray) and X.ndim == 2 else list(X)


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
    ``filters``), then its membrane potential (with ``membrane``), then its synaptic current (if among ``features``),
    then the squares of all of these (``squares``).

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
    features : sequence of {"spikes", "membrane", "current"}, optional
        What the features are made of: filtered spikes, membrane potential, synaptic current (excitation minus
        inhibition, as filtered by the synapses); in this order. If None, spikes, and the potential with ``membrane``.
    delay : Quantity (second), Law or array of shape (n_edges,), optional
        Time from a spike to the current that it makes, of each synapse between neurons; one draw a synapse of a law, an
        array in the order of ``graph.edges``. The edges' own attribute ``delay`` (in seconds) goes before it. None: no
        delay. Each is rounded to a multiple of ``dt``; STDP sees spikes when they are fired (a delay of the dendrite).
    input_delay : Quantity (second), Law or array of shape (n_input_synapses,), optional
        Likewise of the inputs' synapses.
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
        The graph with learnt weights, each neuron's ``tau_m`` and, if there are any, each edge's ``delay`` in seconds.
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
        features: Sequence[str] | None = None,
        delay: Any = None,
        input_delay: Any = None,
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
        self.features = features
        self.delay = delay
        self.input_delay = input_delay
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

    @classmethod
    def memory(cls, n_neurons: int = 500, *, span: Quantity = 1000 * ms, seed: int = 0, **settings: Any) -> Reservoir:
        """Return a reservoir made to remember: for series whose next value depends on many before it.

        What it has, and why: synapses with delays of their own, uniform up to ``span``, which are the memory (without
        them 500 neurons hold 3 past values, with them 30 to 50); 50 synapses a neuron, inhibition in balance with
        excitation, of a strength between too few spikes and chaos (`hrsnn.topology.balanced`); currents as input, so
        that no noise enters; membranes and synaptic currents as features, for the currents hold the sums of what the
        network said before with least noise; neurons of very different membrane time constants.

        Parameters
        ----------
        n_neurons : int
        span : Quantity (second)
            Longest delay. A step of the series lasts 20 ms, so that 1 s reaches 50 steps back.
        seed : int
            Seed of the graph and of all draws.
        **settings
            Of the reservoir, in place of those of this preset; for example ``graph``.

        Returns
        -------
        Reservoir
            Not fitted.
        """
        neuron = LIF(
            tau_m=Gamma(mean=20 * ms, shape=3, low=3 * ms, high=200 * ms), t_ref=2 * ms, tau_e=20 * ms, tau_i=20 * ms
        )
        preset: dict[str, Any] = dict(
            neuron=neuron,
            code=CurrentCode(gain=Normal(0.0, 0.5), bias=Normal(1.2, 0.3), step=20 * ms),
            features=("membrane", "current"),
            delay=Uniform(0 * ms, span),
            dt=1 * ms,
            seed=seed,
        )
        if "graph" not in settings:
            preset["graph"] = balanced(n_neurons, min(50, n_neurons - 1), seed=seed)
        return cls(**{**preset, **settings})

    def fit(self, X: Any, y: Any = None) -> Reservoir:
        """Learn the range of a series, and the weights by STDP, from the beginning.

        Parameters
        ----------
        X : array of shape (n_steps, n_features) or (n_samples, n_steps, n_features), or list of arrays
            A series, or several, shown one after another; a list of arrays of shape (n_steps, n_features) where they
            differ in length.
        y : None
            Not used.

        Raises
        ------
        ValueError
            If X has NaN, no steps, or a constant feature, or a setting is out of range.
        """
        X = self._checked(X, reset=True)
        self._last: dict[str, NDArray[np.int64]] = {}
        together = np.concatenate(samples_of(X))
        self.low_, self.high_ = self._range(together)
        self.liquid_ = self._liquid(self.n_features_in_)
        state = self.liquid_.start()
        if self.liquid_.learns:
            table = self.scaled(together)[: self.n_learn]
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
        X : array of shape (n_steps, n_features) or (n_samples, n_steps, n_features), or list of arrays
            A list holds samples of shape (n_steps, n_features), which may differ in length: each starts from rest, so
            the result is that of each alone.

        Returns
        -------
        array of shape (n_steps, n_state), (n_samples, n_state) or (n_samples, n_windows * n_state)
        """
        check_is_fitted(self, "weights_")
        X = self._checked(X)
        self._warn_of_far(X)
        if isinstance(X, np.ndarray) and X.ndim == 2:
            response = self._respond(X)
            self._last["spike_counts"] = self._counts(response)
            return response.features
        n_jobs = check_n_jobs(self.n_jobs)
        if isinstance(self.liquid_.frozen_engine, RuntimeEngine):  # compiles, if need be, before the threads start
            n_jobs = 1
        # A few samples at a time: the states of all their steps take much memory.
        shortest = min(len(sample) for sample in X)
        if self.n_windows is not None and (
            not isinstance(self.n_windows, (int, np.integer)) or not 1 <= self.n_windows <= shortest
        ):
            raise ValueError(
                f"n_windows must be None or an integer from 1 to {shortest}, the steps of the shortest sample, "
                f"got {self.n_windows!r}."
            )
        size = min(-(-len(X) // n_jobs), max(1, STEPS // max(len(sample) for sample in X)))
        parts = [list(X[k : k + size]) for k in range(0, len(X), size)]
        with ThreadPoolExecutor(min(n_jobs, len(parts))) as pool:
            found = list(pool.map(self._pooled, parts))
        self._last["spike_counts"] = np.sum([counts for _, counts in found], axis=0)
        return np.concatenate([features for features, _ in found])

    def _pooled(self, samples: list[Series]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return the features of each sample, and the spikes of each neuron."""
        response = self._respond(samples)
        states = np.split(response.features, np.cumsum([len(sample) for sample in samples])[:-1])
        if self.n_windows is None:
            return np.stack([own[-1] for own in states]), self._counts(response)
        windows = [[window.mean(axis=0) for window in np.array_split(own, self.n_windows)] for own in states]
        return np.stack([np.concatenate(own) for own in windows]), self._counts(response)

    def respond(self, X: Any) -> Response:
        """Return all that the frozen network does from rest, driven by one series or by several after another.

        Parameters
        ----------
        X : array of shape (n_steps, n_features) or (n_samples, n_steps, n_features), or list of arrays

        Returns
        -------
        hrsnn.reservoirs.liquid.Response
            Of all steps, one series behind the other.
        """
        check_is_fitted(self, "weights_")
        X = self._checked(X)
        self._warn_of_far(X)
        return self._respond(X)

    def _respond(self, X: Series | list[Series]) -> Response:
        return self.liquid_.run(self.scaled(np.concatenate(samples_of(X))), self.rest(), fresh=self._fresh(X))

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
            chosen, delays = self.liquid_.edge_of[name].tolist(), self.liquid_.delays[name].tolist()
            for k, w, delay in zip(chosen, self.weights_[name].tolist(), delays, strict=True):
                graph.edges[edges[k]]["weight"] = sign * w
                if self.liquid_.plastic.slots:
                    graph.edges[edges[k]]["delay"] = delay
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
        kinds = self._kinds()
        code = PopulationCode() if self.code is None else self.code
        if abs(float(code.step / dt) - round(float(code.step / dt))) > 1e-6 or code.step < dt:
            raise ValueError(f"dt must divide the step of the code, {code.step}, got {dt}.")
        if self.n_learn is not None and (not isinstance(self.n_learn, (int, np.integer)) or self.n_learn < 1):
            raise ValueError(f"n_learn must be None or an integer of at least 1, got {self.n_learn!r}.")
        spikes = "spikes" in kinds
        if not len(self.filters) and kinds == {"spikes"}:
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
            filters=[float(tau) for tau in self.filters] if spikes else [],
            smooth=self.smooth,
            membrane="membrane" in kinds,
            squares=self.squares,
            current="current" in kinds,
            delay=self.delay,
            input_delay=self.input_delay,
            plastic_inhibition=self.plastic_inhibition,
            dt=dt,
            block=self.block,
            backend=self.backend,
            seed=self.seed,
        )

    def _kinds(self) -> set[str]:
        """Return what the features are made of."""
        if self.features is None:
            return {"spikes", "membrane"} if self.membrane else {"spikes"}
        kinds = {self.features} if isinstance(self.features, str) else set(self.features)
        if not kinds or not kinds <= set(FEATURES):
            raise ValueError(f"features must be some of {', '.join(FEATURES)}, got {self.features!r}.")
        return kinds

    def _fresh(self, X: Series | list[Series]) -> NDArray[np.bool_]:
        """Tell the first step of each series."""
        return np.concatenate([np.arange(len(sample)) == 0 for sample in samples_of(X)])

    def _warn_of_far(self, X: Series | list[Series]) -> None:
        """Warn of columns with values that count as the ends of the range, though they are far from them."""
        span = (np.concatenate(samples_of(X)) - self.low_) / (self.high_ - self.low_)
        beyond = FAR + self.margin / (1 - 2 * self.margin)
        share = ((span < -beyond) | (span > 1 + beyond)).mean(axis=0)
        if share.any():
            told = [
                f"column {k}: {share[k]:.3g} of the values, fitted to {self.low_[k]:g} .. {self.high_[k]:g}"
                for k in np.flatnonzero(share)
            ]
            more = f"; and {len(told) - 5} columns more" if len(told) > 5 else ""
            warnings.warn(
                f"X is far outside the range to which this Reservoir was fitted, and counts as its ends "
                f"({'; '.join(told[:5])}{more}). Fit it to series of this range, or set limits.",
                FarFromRange,
                stacklevel=3,
            )

    def _checked(self, X: Any, reset: bool = False) -> Any:
        """Return X as an array of one series or of several of one length, or else as a list of arrays."""
        if isinstance(X, (list, tuple)) and X and all(np.ndim(sample) == 2 for sample in X):
            samples = [np.asarray(sample, dtype=float) for sample in X]
            widths = {sample.shape[1] for sample in samples}
            if len(widths) > 1 or not all(len(sample) for sample in samples):
                shapes = ", ".join(str(sample.shape) for sample in samples[:5])
                raise ValueError(f"All series of X must have steps, and the same number of columns, got {shapes}.")
            X = np.stack(samples) if len({len(sample) for sample in samples}) == 1 else samples
        else:
            X = validate_data(
                self, X, reset=reset, dtype=float, allow_nd=True, ensure_2d=False, ensure_all_finite=False, order="C"
            )
            if X.ndim not in (2, 3) or X.size == 0:
                raise ValueError(
                    f"X must have shape (n_steps, n_features) or (n_samples, n_steps, n_features) and not be empty, "
                    f"got {X.shape}. Reshape your data: a single series of numbers is X[:, None]; series of different "
                    "lengths are a list."
                )
        samples = samples_of(X)
        if not all(np.isfinite(sample).all() for sample in samples):
            raise ValueError("X has NaN or infinite values. Fill or drop them.")
        width = samples[0].shape[-1]
        if reset:
            self.n_features_in_ = width
        elif width != self.n_features_in_:
            name, expected = type(self).__name__, self.n_features_in_
            raise ValueError(f"X has {width} features, but {name} is expecting {expected} features as input.")
        return X
