"""MultimodalClassifier: STDP ensembles, one a modality, that learn the same things and each other's answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import networkx as nx
import numpy as np
from brian2 import Network, Quantity, ms
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from hrsnn import pruning
from hrsnn.simulation import statefile
from hrsnn.simulation.engine import RuntimeEngine
from hrsnn.simulation.model import SynapseModel
from hrsnn.stdp import estimator
from hrsnn.stdp.coupling import cross_modal
from hrsnn.stdp.course import batches, epoch_order, joined_at, settling_rows, silence_lost
from hrsnn.stdp.ensembles import Ensemble, Ensembles, check_modalities, check_settings, training_keys
from hrsnn.stdp.presenter import Response
from hrsnn.stdp.vote import NeuronVote

__all__ = ["Ensemble", "MultimodalClassifier"]


class MultimodalClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):
    """Ensembles of competing neurons, each of which perceives one modality, with synapses from one to another.

    Every ensemble is the network of an ``STDPClassifier``. The parts of a sample (the image of a digit and the word)
    are shown to all at once. In each ensemble one half of the neurons may send to the other ensembles and the other
    half may receive, never both; so for two ensembles half of the synapses between them run either way. Neurons of
    all ensembles take labels, and vote, together. A sample may lack a modality: the ensemble then hears nothing but
    the others.

    Parameters
    ----------
    ensembles : mapping of str to Ensemble
        The modalities by name, for example ``{"image": Ensemble(50), "audio": Ensemble(50)}``.
    coupling : {"learned", "manual", "none"}
        The ensembles first learn alone, ``n_alone`` samples. Then ``learned``: random synapses join them, which learn
        by STDP. ``manual``: neurons with the same label are joined by synapses of the fixed weight ``w_manual``.
        ``none``: the ensembles learn alone, each as an STDPClassifier, and share the vote.
    synapse : SynapseModel, optional
        Synapse between ensembles; if None ``hrsnn.stdp.coupling.cross_modal`` of the size of the largest ensemble.
    fraction : float
        Share of the pairs of neurons of two ensembles (with "manual", of the pairs with the same label) that are
        joined, in (0, 0.5]: more would make a neuron sender and receiver.
    w_manual : float
        Weight of the synapses of "manual".
    n_alone : int, optional
        Samples that the ensembles learn alone first; three quarters of all if None: what excites a neuron before it has
        learnt spoils what it learns. In the source 0 of "learned" and 5000 of "manual".
    checkpoint_alone : path, optional
        File for what the ensembles have learnt after ``n_alone`` samples. Classifiers that differ only in how they are
        joined share it: the first that trains writes it, the others start from it. Of "none" only if ``n_alone`` is
        given.
    pruning : hrsnn.pruning.STDPPruning, optional
        Prune, and share, the input weights of each ensemble between batches of the training.
    balanced : bool
        Whether all ensembles that perceive a sample have the same say in its vote, so that one that fires more does not
        outvote the others. False: all spikes count alike, as in the source.
    n_epochs, anneal, max_retries, min_votes, n_label_samples, vote
        As in ``STDPClassifier``. A sample is shown again to an ensemble that drew fewer than its ``min_spikes``
        spikes, while the others wait without input.
    batch_size, dt, dense_kernel, backend, n_jobs, checkpoint, seed
        As in ``STDPClassifier``.

    Attributes
    ----------
    weights_ : dict of str to array
        Input weights by ensemble, (n_inputs, n_neurons), and those between ensembles ("image_to_audio"),
        (n_source, n_target); zero where there is no synapse.
    connections_ : dict of str to (array of int, array of int)
        Source and target neuron of the synapses between ensembles ("image_to_audio").
    theta_ : dict of str to array
        Adapted thresholds in volt by ensemble.
    labels_ : dict of str to array
        Label of each neuron by ensemble, as an index into ``classes_``; -1 if it never fired.
    classes_ : array of shape (n_classes,)
    connectivity_ : float
        Share of the possible input synapses that are left.
    n_features_in_ : dict of str to int

    References
    ----------
    .. [1] Rathi (2021), chapter 3.

    Examples
    --------
    >>> from hrsnn import Ensemble, MultimodalClassifier
    >>> classifier = MultimodalClassifier({"image": Ensemble(50), "audio": Ensemble(50)}, coupling="learned", seed=0)
    >>> classifier.fit({"image": X_image, "audio": X_audio}, y)  # doctest: +SKIP
    >>> classifier.predict({"audio": X_audio_test})  # doctest: +SKIP
    """

    def __init__(
        self,
        ensembles: Mapping[str, Ensemble],
        coupling: str = "learned",
        synapse: SynapseModel | None = None,
        fraction: float = 0.5,
        w_manual: float = 0.5,
        n_alone: int | None = None,
        checkpoint_alone: str | os.PathLike[str] | None = None,
        pruning: pruning.STDPPruning | None = None,
        n_epochs: int = 1,
        anneal: bool = True,
        max_retries: int = 3,
        min_votes: int | None = None,
        n_label_samples: int = 10_000,
        vote: str = "mean",
        balanced: bool = True,
        batch_size: int = 1000,
        dt: Quantity = 0.5 * ms,
        dense_kernel: bool | None = None,
        backend: str | None = None,
        n_jobs: int = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ):
        self.ensembles = ensembles
        self.coupling = coupling
        self.synapse = synapse
        self.fraction = fraction
        self.w_manual = w_manual
        self.n_alone = n_alone
        self.checkpoint_alone = checkpoint_alone
        self.pruning = pruning
        self.n_epochs = n_epochs
        self.anneal = anneal
        self.max_retries = max_retries
        self.min_votes = min_votes
        self.n_label_samples = n_label_samples
        self.vote = vote
        self.balanced = balanced
        self.batch_size = batch_size
        self.dt = dt
        self.dense_kernel = dense_kernel
        self.backend = backend
        self.n_jobs = n_jobs
        self.checkpoint = checkpoint
        self.seed = seed

    # Learning

    def fit(self, X: Mapping[str, Any], y: Any = None) -> MultimodalClassifier:
        """Learn from samples, from the beginning; with ``checkpoint``, go on where the last call was stopped.

        Parameters
        ----------
        X : mapping of str to array of shape (n_samples, n_features)
            The modalities, row by row of the same thing: integers in 0..255 or floats in [0, 1]. To pair separate
            sets by label, see ``hrsnn.datasets.match_labels``.
        y : array of shape (n_samples,), optional
            Labels; without them the network can ``transform`` but not ``predict``.

        Raises
        ------
        ValueError, RuntimeError
            As in ``STDPClassifier.fit``.
        """
        X, y = self._validated(X, y, learning=True, reset=True)
        if self.coupling == "manual" and y is None:
            raise ValueError("coupling='manual' joins neurons of the same label: pass y, or take coupling='learned'.")
        self._start()
        n_alone = joined_at(self.coupling, self.n_alone, self.n_epochs * len(next(iter(X.values()))))
        keys = training_keys(self, X, y, n_alone)
        done = 0
        if stopped := statefile.resume(self.checkpoint, keys[1]) or statefile.resume(self.checkpoint_alone, keys[0]):
            self.state_, done = self.ensembles_.rewire(stopped[0]), stopped[1]["done"]
        if done == n_alone and not self.ensembles_.connections:
            self._couple(X, y, n_alone)
        else:
            self.ensembles_.connect()
        self._train(X, y, n_alone, done, keys)
        if self.pruning is not None:
            self._remove_pruned(self.pruning)
            rows = settling_rows(self.pruning, len(next(iter(X.values()))), self.n_epochs, self.seed)
            self._show(_rows(X, rows), self.ensembles_.settle, "settling")
        self._assign(X, y)
        return self

    def partial_fit(self, X: Mapping[str, Any], y: Any = None) -> MultimodalClassifier:
        """Learn on from the present state: one pass through what ``fit`` takes in the given order, without pruning.

        With ``y`` the neurons take their labels anew from these samples.
        """
        first = not hasattr(self, "state_")
        X, y = self._validated(X, y, learning=True, reset=first)
        if first:
            if self.coupling == "manual":
                raise ValueError("coupling='manual' joins the ensembles in fit. Call fit first, then partial_fit.")
            self._start()
            if self.coupling == "learned":
                self.state_ |= self.ensembles_.couple(self.fraction)
            self.ensembles_.connect()
        self._show(X, self.ensembles_.learn, "training")
        self._assign(X, y)
        return self

    def _train(
        self, X: dict[str, np.ndarray], y: np.ndarray | None, n_alone: int, done: int, keys: tuple[str, str]
    ) -> None:
        n, schedule = len(next(iter(X.values()))), self._while_learning()
        total = n * self.n_epochs
        edges = [] if schedule is None else schedule.edges(total)
        for rows, start, stop in batches(n, self.n_epochs, self.batch_size, [*edges, n_alone], self.seed, done):
            rate = 1 - start / total if self.anneal else 1.0
            self.state_ = self.ensembles_.learn(_rows(X, rows), self.state_, rate)
            if schedule is not None and stop in edges[1:-1] and schedule.is_due(edges.index(stop)):
                for name in self.ensembles:
                    self._set_weights(name, schedule.apply(self.state_[f"{name}_input_to_exc.w"]))
            if stop == n_alone:
                self._write(self.checkpoint_alone, keys[0], stop)
                self._couple(X, y, n_alone)
            self._write(self.checkpoint, keys[1], stop)

    def _while_learning(self) -> pruning.STDPPruning | None:
        """Return the pruning if learning depends on it; what comes after shares the checkpoint of a full network."""
        return None if self.pruning is None or self.pruning.regime in ("after", "thin") else self.pruning

    def _write(self, path: str | os.PathLike[str] | None, key: str, done: int) -> None:
        if path is not None:
            statefile.write(path, {**self.state_, **self.ensembles_.wiring()}, {"key": key, "done": done})

    def _couple(self, X: dict[str, np.ndarray], y: np.ndarray | None, n_alone: int) -> None:
        """Join the ensembles; "manual" by the labels that they alone give to samples that they have learnt."""
        if self.coupling == "learned":
            self.state_ |= self.ensembles_.couple(self.fraction)
        elif self.coupling == "manual" and y is not None:
            self.ensembles_.connect()
            seen = epoch_order(len(y), 0, self.seed)[:n_alone]
            seen = seen[np.random.default_rng([self.seed, 6]).permutation(len(seen))[: self.n_label_samples]]
            readout = NeuronVote().fit(self._respond(_rows(X, seen), "labelling").counts, y[seen])
            weights = self.ensembles_.couple(self.fraction, self.ensembles_.split(readout.labels_))
            self.state_ |= {name: np.full_like(drawn, self.w_manual) for name, drawn in weights.items()}
        self.ensembles_.connect()

    def _remove_pruned(self, schedule: pruning.STDPPruning) -> None:
        for name, network in self.ensembles_.networks.items():
            weights, mask = schedule.final(network.matrix(self.state_[f"{name}_input_to_exc.w"]))
            i, j = np.nonzero(mask)
            self._set_weights(name, weights[mask])
            self.ensembles_.inputs[name] = i, j
            if (theta := f"{name}_exc.theta") in self.state_:
                self.state_[theta] = silence_lost(self.state_[theta], j)
        self.ensembles_.connect()

    def _show(self, X: dict[str, np.ndarray], present: Callable[..., dict[str, np.ndarray]], what: str) -> None:
        for start in tqdm(range(0, len(next(iter(X.values()))), self.batch_size), what, unit="batch", disable=None):
            self.state_ = present(_rows(X, slice(start, start + self.batch_size)), self.state_)

    def _assign(self, X: dict[str, np.ndarray], y: np.ndarray | None) -> None:
        if y is None:
            return
        chosen = np.sort(np.random.default_rng([self.seed, 2]).permutation(len(y))[: self.n_label_samples])
        counts = self._respond(_rows(X, chosen), "labelling").counts
        self.readout_ = NeuronVote(self.vote).fit(counts, y[chosen])
        self.classes_ = self.readout_.classes_

    def _set_weights(self, name: str, weights: np.ndarray) -> None:
        """Replace input weights between batches; every column is normalised at the next presentation."""
        self.state_ = {**self.state_, f"{name}_input_to_exc.w": weights}
        if f"{name}_exc.changed" in self.state_:
            self.state_[f"{name}_exc.changed"] = np.ones(self.ensembles[name].n_neurons)

    # Responding

    def transform(self, X: Mapping[str, Any]) -> np.ndarray:
        """Return the spike counts of the frozen network, array of shape (n_samples, n_neurons of all ensembles).

        Parameters
        ----------
        X : mapping of str to array of shape (n_samples, n_features)
            A modality that is missing, or None, is silence, and so is a row that draws no spike from its encoder.
        """
        return self.respond(X).counts

    def respond(self, X: Mapping[str, Any]) -> Response:
        """Return the response of the frozen network to what ``transform`` takes: counts, and what they cost."""
        check_is_fitted(self, "state_")
        return self._respond(self._validated(X, None)[0], "responding")

    def predict(self, X: Mapping[str, Any]) -> np.ndarray:
        """Return the predicted labels, array of shape (n_samples,), for what ``transform`` takes."""
        check_is_fitted(self, "readout_", msg="This MultimodalClassifier has no labels: call fit(X, y) with y.")
        given = self._validated(X, None)[0]
        counts = self._respond(given, "responding").counts
        return self.readout_.predict(self.ensembles_.balance(counts, given) if self.balanced else counts)

    def _respond(self, X: dict[str, np.ndarray], what: str) -> Response:
        n_jobs = os.cpu_count() or 1 if self.n_jobs == -1 else self.n_jobs
        if n_jobs < 1:
            raise ValueError(f"n_jobs must be at least 1, or -1 for one a core, got {self.n_jobs!r}.")
        n, chunk = len(next(iter(X.values()))), self.batch_size * n_jobs
        starts = tqdm(range(0, n, chunk), what, unit="batch", disable=None)
        blocks = (_rows(X, slice(start, start + chunk)) for start in starts)
        return Response.join(self.ensembles_.respond(block, self.state_, n_jobs, self.min_votes) for block in blocks)

    # What was learnt

    @property
    def weights_(self) -> dict[str, np.ndarray]:  # noqa: D102
        check_is_fitted(self, "state_")
        return self.ensembles_.weights(self.state_)

    @property
    def connections_(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:  # noqa: D102
        check_is_fitted(self, "state_")
        return self.ensembles_.connections

    @property
    def theta_(self) -> dict[str, np.ndarray]:  # noqa: D102
        check_is_fitted(self, "state_")
        return {name: self.state_[key] for name in self.ensembles if (key := f"{name}_exc.theta") in self.state_}

    @property
    def labels_(self) -> dict[str, np.ndarray]:  # noqa: D102
        check_is_fitted(self, "readout_")
        return self.ensembles_.split(self.readout_.labels_)

    @property
    def connectivity_(self) -> float:  # noqa: D102
        check_is_fitted(self, "state_")
        weights = [self.state_[f"{name}_input_to_exc.w"] for name in self.ensembles]
        return pruning.connectivity(np.concatenate(weights), self.ensembles_.n_inputs)

    @property
    def graph_(self) -> nx.DiGraph:
        """The learnt network: nodes are (ensemble, "input" or "exc", index), edges carry ``weight``."""
        check_is_fitted(self, "state_")
        return self.ensembles_.graph(self.state_)

    @property
    def network_(self) -> Network:
        """The Brian2 network of coupled ensembles, in runtime mode."""
        check_is_fitted(self, "state_")
        engine = self.ensembles_.presenters[0][1].engine
        if not isinstance(engine, RuntimeEngine) or len(self.ensembles_.presenters) > 1:
            raise AttributeError("network_ exists in Python only with backend='runtime' and coupled ensembles.")
        return engine.network

    # Settings and samples

    def _start(self) -> None:
        check_settings(self)
        NeuronVote(self.vote)  # refuses a wrong name before the training, not after it
        largest = max(ensemble.n_neurons for ensemble in self.ensembles.values())
        synapse = cross_modal(largest) if self.synapse is None else self.synapse
        if self.coupling == "manual":
            synapse = synapse.replace(**synapse.frozen)
        common = ("max_retries", "batch_size", "dt", "dense_kernel", "backend", "seed")
        settings = {name: getattr(self, name) for name in common}
        self.ensembles_ = Ensembles(self.ensembles, self.n_features_in_, synapse, **settings)
        if self.pruning is not None and self.pruning.regime == "before":
            self.ensembles_.thin(self.pruning)
        self.state_ = self.ensembles_.initial_weights()
        if self.coupling == "learned":
            self.ensembles_.couple(self.fraction)  # refuses a wrong fraction before the training, not after it
            self.ensembles_.connections = {}

    def _validated(
        self, X: Any, y: Any, learning: bool = False, reset: bool = False
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        given, y = check_modalities(X, y, self.ensembles, learning)
        widths = {name: samples.shape[1] for name, samples in given.items()}
        if reset:
            self.n_features_in_ = widths
        for name, width in widths.items():
            if width != self.n_features_in_[name]:
                raise ValueError(f"{name} has {width} columns, but it had {self.n_features_in_[name]} in training.")
        return given, y

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier to an HDF5 file."""
        check_is_fitted(self, "state_")
        estimator.save(path, self, {**self.state_, **self.ensembles_.wiring()})

    @classmethod
    def load(cls, path: str | os.PathLike[str], **changes: Any) -> MultimodalClassifier:
        """Read a classifier that ``save`` wrote; ``changes`` are settings to take instead of its own (``backend``).

        Load only files you trust: the settings are a pickle.
        """
        classifier, arrays = estimator.load(path, cls, changes)
        classifier._start()
        classifier.state_ = classifier.ensembles_.rewire(arrays)
        classifier.ensembles_.connect()
        return classifier


def _rows(X: Mapping[str, np.ndarray], rows: Any) -> dict[str, np.ndarray]:
    return {name: samples[rows] for name, samples in X.items()}
