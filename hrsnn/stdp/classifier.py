"""STDPClassifier: unsupervised STDP learning with a vote of labelled neurons, as a scikit-learn estimator."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
from brian2 import Network, Quantity, ms
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from hrsnn import pruning
from hrsnn.inputs.encoders import check_samples
from hrsnn.simulation import backends, statefile
from hrsnn.simulation.engine import RuntimeEngine
from hrsnn.simulation.model import NeuronModel, SynapseModel
from hrsnn.stdp import estimator
from hrsnn.stdp.course import batches, settling_rows, silence_lost
from hrsnn.stdp.layer import CompetitiveLayer
from hrsnn.stdp.presenter import Response
from hrsnn.stdp.vote import NeuronVote

__all__ = ["STDPClassifier"]

MUTABLE = ("backend", "n_jobs", "checkpoint", "vote", "n_label_samples", "min_votes", "neuron", "synapse", "encoder")


class STDPClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):
    """A layer of competing neurons that learns its inputs by STDP; labels only name the neurons afterwards.

    Inputs are all-to-all connected to ``n_neurons`` excitatory neurons by plastic synapses. Each neuron's weights
    are normalised to a constant sum before a presentation, each spike inhibits all other neurons one step later
    and raises the neuron's own threshold. A sample that draws fewer than ``min_spikes`` spikes is shown again,
    brighter. After training, weights and thresholds are frozen; each neuron takes the label it responds to most on
    training samples, and a sample gets the label whose neurons fire most. A response is a function of the sample
    and the seed alone: neither the order nor the company of samples matters.

    Parameters
    ----------
    n_neurons : int
        Number of excitatory neurons.
    neuron : NeuronModel, optional
        Excitatory neuron; ``AdaptiveConductanceLIF()`` if None.
    synapse : SynapseModel, optional
        Plastic synapse; ``PowerLawSTDP(eta=0.02, offset=0.1)`` if None.
    encoder : PoissonEncoder, LatencyEncoder or PopulationEncoder, optional
        ``PoissonEncoder()`` if None.
    pruning : hrsnn.pruning.STDPPruning, optional
        Prune, and share weights, between batches of the training.
    n_epochs : int
        Passes through the training samples, in a new random order each.
    anneal : bool
        Whether the learning rate falls linearly to zero over the training.
    w_total : float, optional
        Sum of a neuron's weights after normalisation; 0.1 for each input if None.
    inhibition : bool or "layer"
        Lateral inhibition; "layer" simulates the inhibitory neurons one by one, with the same result.
    g_inh : float
        Conductance that a spike adds to all other neurons, in units of the leak.
    homeostasis : bool
        Whether thresholds adapt.
    min_spikes, max_retries : int
        Show a sample again if it draws fewer spikes, at most so many times.
    min_votes : int, optional
        ``min_spikes`` of the frozen network, whose spikes are votes; as in learning if None. 1 saves spikes.
    n_label_samples : int
        Training samples, drawn at random, from whose responses neurons take their labels.
    vote : {"mean", "weighted"}
        See ``hrsnn.stdp.vote.NeuronVote``.
    batch_size : int
        Samples of one run of the compiled network; a kill loses at most one batch.
    dt : Quantity (second)
        Time step.
    dense_kernel : bool, optional
        Run the plastic synapses in the dense C++ kernel rather than as declared Synapses: same result, faster.
        Where it can if None.
    backend : {"auto", "runtime", "cpp", "cuda"}, optional
        The choice of ``hrsnn.use_backend`` if None.
    n_jobs : int
        Processes that respond to samples side by side; -1 for one a core. Learning is sequential.
    checkpoint : path, optional
        HDF5 file that keeps the state after every batch. ``fit`` with the same settings and samples goes on from
        it, to the same result as if never interrupted.
    seed : int
        Seed of the initial weights, parameter draws, sample order and input spikes.

    Attributes
    ----------
    weights_ : array of shape (n_inputs, n_neurons)
        Learnt weights, zero where there is no synapse.
    theta_ : array of shape (n_neurons,)
        Adapted thresholds in volt.
    labels_ : array of shape (n_neurons,)
        Label of each neuron as an index into ``classes_``; -1 if it never fired.
    classes_ : array of shape (n_classes,)
    connectivity_ : float
        Share of the possible synapses that are left.
    n_features_in_ : int

    References
    ----------
    .. [1] Rathi (2021), chapter 2.
    .. [2] Diehl & Cook (2015), Unsupervised learning of digit recognition using STDP.

    Examples
    --------
    >>> from hrsnn import STDPClassifier, datasets
    >>> X_train, X_test, y_train, y_test = datasets.digits(size=28)
    >>> classifier = STDPClassifier(n_neurons=50, seed=0).fit(X_train, y_train)  # doctest: +SKIP
    >>> classifier.score(X_test, y_test)  # doctest: +SKIP
    """

    def __init__(
        self,
        n_neurons: int = 100,
        neuron: NeuronModel | None = None,
        synapse: SynapseModel | None = None,
        encoder: Any = None,
        pruning: pruning.STDPPruning | None = None,
        n_epochs: int = 1,
        anneal: bool = True,
        w_total: float | None = None,
        inhibition: bool | str = True,
        g_inh: float = 17.0,
        homeostasis: bool = True,
        min_spikes: int = 5,
        max_retries: int = 3,
        min_votes: int | None = None,
        n_label_samples: int = 10_000,
        vote: str = "mean",
        batch_size: int = 1000,
        dt: Quantity = 0.5 * ms,
        dense_kernel: bool | None = None,
        backend: str | None = None,
        n_jobs: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ):
        self.n_neurons = n_neurons
        self.neuron = neuron
        self.synapse = synapse
        self.encoder = encoder
        self.pruning = pruning
        self.n_epochs = n_epochs
        self.anneal = anneal
        self.w_total = w_total
        self.inhibition = inhibition
        self.g_inh = g_inh
        self.homeostasis = homeostasis
        self.min_spikes = min_spikes
        self.max_retries = max_retries
        self.min_votes = min_votes
        self.n_label_samples = n_label_samples
        self.vote = vote
        self.batch_size = batch_size
        self.dt = dt
        self.dense_kernel = dense_kernel
        self.backend = backend
        self.n_jobs = n_jobs
        self.checkpoint = checkpoint
        self.seed = seed

    # Learning

    def fit(self, X: Any, y: Any = None) -> STDPClassifier:
        """Learn from samples, from the beginning; with ``checkpoint``, go on where the last call was stopped.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
            Integers in 0..255 or floats in [0, 1].
        y : array of shape (n_samples,), optional
            Labels; without them the network can ``transform`` but not ``predict``.

        Raises
        ------
        ValueError
            If the samples or a setting is out of range, or the checkpoint belongs to another training.
        RuntimeError
            If the network falls silent, fires without end, or its weights become NaN.
        """
        X, y = self._validated(X, y, reset=True)
        self._start(X.shape[1])
        decisive = {name: value for name, value in self.get_params(deep=False).items() if name not in MUTABLE}
        decisive["pruning"] = self._while_learning()
        key = statefile.fingerprint([decisive, *self.layer_.models(), backends.resolve(self.backend)], X)
        if stopped := statefile.resume(self.checkpoint, key):
            self.state_ = stopped[0]
        self._train(X, stopped[1]["done"] if stopped else 0, key)
        self._finish(X, y)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> STDPClassifier:
        """Learn on from the present state: one pass through the samples in the given order, without pruning.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,), optional
            Labels; the neurons take their labels anew from these samples.
        """
        first = not hasattr(self, "state_")
        X, y = self._validated(X, y, reset=first)
        if first:
            self._start(X.shape[1])
        self._show(X, self.layer_.presenter.learn, "training")
        self._assign(X, y)
        return self

    def _train(self, X: np.ndarray, done: int, key: str) -> None:
        n, total, schedule = len(X), len(X) * self.n_epochs, self._while_learning()
        edges = [] if schedule is None else schedule.edges(total)
        eta = self.layer_.presenter.values.get("input_to_exc.eta")
        for rows, start, stop in batches(n, self.n_epochs, self.batch_size, edges, self.seed, done):
            annealed = {"eta": eta * (1 - start / total)} if self.anneal and eta is not None else {}
            self.state_, _ = self.layer_.presenter.learn(self.layer_.encoder.encode(X[rows]), self.state_, **annealed)
            if schedule is not None and stop in edges[1:-1] and schedule.is_due(edges.index(stop)):
                self._set_weights(schedule.apply(self.state_["input_to_exc.w"]))
            if self.checkpoint is not None:
                statefile.write(self.checkpoint, self.state_, {"key": key, "done": stop})

    def _while_learning(self) -> pruning.STDPPruning | None:
        """Return the pruning if learning depends on it; what comes after shares the checkpoint of a full network."""
        return None if self.pruning is None or self.pruning.regime in ("after", "thin") else self.pruning

    def _finish(self, X: np.ndarray, y: np.ndarray | None) -> None:
        """Remove the pruned synapses for good, let the thresholds adapt to what is left, and name the neurons."""
        if self.pruning is not None:
            weights, mask = self.pruning.final(self.weights_)
            i, j = np.nonzero(mask)
            self._set_weights(weights[mask])
            self.layer_.connect((i, j))
            if "exc.theta" in self.state_:
                self.state_["exc.theta"] = silence_lost(self.state_["exc.theta"], j)
            if self.homeostasis:
                rows = settling_rows(self.pruning, len(X), self.n_epochs, self.seed)
                self._show(X[rows], self.layer_.presenter.settle, "settling")
        self._assign(X, y)

    def _show(self, X: np.ndarray, present: Callable[..., tuple[dict, np.ndarray]], what: str) -> None:
        for start in tqdm(range(0, len(X), self.batch_size), what, unit="batch", disable=None):
            self.state_, _ = present(self.layer_.encoder.encode(X[start : start + self.batch_size]), self.state_)

    def _assign(self, X: np.ndarray, y: np.ndarray | None) -> None:
        if y is None:
            return
        rng = np.random.default_rng([self.seed, 2])
        chosen = np.sort(rng.permutation(len(X))[: self.n_label_samples])
        self.readout_ = NeuronVote(self.vote).fit(self._respond(X[chosen], "labelling").counts, y[chosen])
        self.classes_ = self.readout_.classes_

    def _set_weights(self, weights: np.ndarray) -> None:
        """Replace the weights between batches; every column is normalised at the next presentation."""
        self.state_ = {**self.state_, "input_to_exc.w": weights}
        if "exc.changed" in self.state_:
            self.state_["exc.changed"] = np.ones(self.n_neurons)

    # Responding

    def transform(self, X: Any) -> np.ndarray:
        """Return the spike counts of the frozen network, array of shape (n_samples, n_neurons).

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        """
        return self.respond(X).counts

    def respond(self, X: Any) -> Response:
        """Return the response of the frozen network: counts, and what they cost in spikes and presentations.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        """
        check_is_fitted(self, "state_")
        return self._respond(self._validated(X, None, reset=False)[0], "responding")

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted labels, array of shape (n_samples,).

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        """
        check_is_fitted(self, "readout_", msg="This STDPClassifier has no labels: call fit(X, y) with y.")
        return self.readout_.predict(self.transform(X))

    def _respond(self, X: np.ndarray, what: str) -> Response:
        n_jobs = os.cpu_count() or 1 if self.n_jobs == -1 else self.n_jobs
        if n_jobs < 1:
            raise ValueError(f"n_jobs must be at least 1, or -1 for one a core, got {self.n_jobs!r}.")
        chunk = self.batch_size * n_jobs
        starts = tqdm(range(0, len(X), chunk), what, unit="batch", disable=None)
        encode, respond = self.layer_.encoder.encode, self.layer_.presenter.respond
        return Response.join(respond(encode(X[k : k + chunk]), self.state_, n_jobs, self.min_votes) for k in starts)

    # What was learnt

    @property
    def weights_(self) -> np.ndarray:  # noqa: D102
        check_is_fitted(self, "state_")
        return self.layer_.network.matrix(self.state_["input_to_exc.w"])

    @property
    def theta_(self) -> np.ndarray:  # noqa: D102
        check_is_fitted(self, "state_")
        if "exc.theta" not in self.state_:
            raise AttributeError(f"{self.layer_.neuron!r} has no adaptive threshold.")
        return self.state_["exc.theta"]

    @property
    def labels_(self) -> np.ndarray:  # noqa: D102
        check_is_fitted(self, "readout_")
        return self.readout_.labels_

    @property
    def connectivity_(self) -> float:  # noqa: D102
        check_is_fitted(self, "state_")
        return pruning.connectivity(self.state_["input_to_exc.w"], self.layer_.n_inputs * self.n_neurons)

    @property
    def graph_(self) -> nx.DiGraph:
        """The learnt network: inputs are nodes 0 .. n_inputs - 1, neurons follow; edges carry ``weight``."""
        check_is_fitted(self, "state_")
        return self.layer_.network.graph(self.state_["input_to_exc.w"])

    @property
    def network_(self) -> Network:
        """The Brian2 network, in runtime mode."""
        check_is_fitted(self, "state_")
        if not isinstance(self.layer_.presenter.engine, RuntimeEngine):
            raise AttributeError("network_ exists in Python only with backend='runtime'.")
        return self.layer_.presenter.engine.network

    def _start(self, n_features: int, connections: tuple[np.ndarray, np.ndarray] | None = None) -> None:
        if not isinstance(self.n_epochs, (int, np.integer)) or self.n_epochs < 1:
            raise ValueError(f"n_epochs must be an integer of at least 1, got {self.n_epochs!r}.")
        if self.min_votes is not None and not self.min_votes >= 0:
            raise ValueError(f"min_votes must not be negative, or None, got {self.min_votes!r}.")
        NeuronVote(self.vote)  # refuses a wrong name before the training, not after it
        settings = {
            name: getattr(self, name) for name in inspect.signature(CompetitiveLayer).parameters if name != "n_features"
        }
        self.layer_ = CompetitiveLayer(n_features, **settings)
        if connections is None and self.pruning is not None and self.pruning.regime == "before":
            shape = (self.layer_.n_inputs, self.n_neurons)
            i, j = np.nonzero(self.pruning.random_mask(shape, None, np.random.default_rng([self.seed, 3])))
            connections = i, j
        self.layer_.connect(connections)
        self.state_ = {"input_to_exc.w": self.layer_.initial_weights(connections)}

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[np.ndarray, np.ndarray | None]:
        X = check_samples(X)
        if reset:
            self.n_features_in_ = X.shape[1]
        elif X.shape[1] != self.n_features_in_:
            raise ValueError(f"X has {X.shape[1]} columns, but this STDPClassifier learnt from {self.n_features_in_}.")
        if y is not None:
            y = np.asarray(y)
            if y.shape != (len(X),):
                raise ValueError(f"y must have shape ({len(X)},), one label a sample, got {y.shape}.")
        return X, y

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier to an HDF5 file."""
        check_is_fitted(self, "state_")
        arrays = dict(self.state_)
        if self.layer_.network.connections is not None:
            arrays["connections"] = np.stack(self.layer_.network.connections)
        estimator.save(path, self, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **changes: Any) -> STDPClassifier:
        """Read a classifier that ``save`` wrote; ``changes`` are settings to take instead of its own (``backend``).

        Load only files you trust: the settings are a pickle.
        """
        classifier, arrays = estimator.load(path, cls, changes)
        connections = arrays.pop("connections", None)
        classifier._start(classifier.n_features_in_, None if connections is None else tuple(connections))
        classifier.state_ = arrays
        return classifier
