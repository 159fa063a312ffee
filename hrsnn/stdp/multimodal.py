"""MultimodalClassifier: STDP ensembles, one a modality, that learn the same things and each other's answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import networkx as nx
import numpy as np
from brian2 import Quantity
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from hrsnn import pruning
from hrsnn.checks import check_integer
from hrsnn.simulation import statefile
from hrsnn.simulation.model import SynapseModel
from hrsnn.stdp.coupling import cross_modal
from hrsnn.stdp.course import epoch_order
from hrsnn.stdp.ensembles import COMMON, Ensemble, Ensembles, check_modalities
from hrsnn.stdp.estimator import STDPEstimator, n_samples, rows
from hrsnn.stdp.presenter import Response
from hrsnn.stdp.vote import NeuronVote
from hrsnn.streams import Learning, stream

__all__ = ["Ensemble", "MultimodalClassifier"]


COUPLINGS = ("learned", "manual", "none")
# Settings that have no say in what the ensembles learn alone, and those with none in the training.
JOINING = ("coupling", "synapse", "fraction", "w_manual", "n_alone")
FREE = ("checkpoint_alone", "balanced")


class MultimodalClassifier(STDPEstimator):
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
        dt: Quantity | None = None,
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

    def __sklearn_tags__(self) -> Tags:
        """Say that X is a mapping of modality to samples."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.dict = False, True
        return tags

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
        n_alone, done = self._joined_at(n_samples(X)), 0
        keys = self._keys(X, y, n_alone)
        if stopped := statefile.resume(self.checkpoint, keys[1]) or statefile.resume(self.checkpoint_alone, keys[0]):
            self.state_, done = self.ensembles_.rewire(stopped[0]), stopped[1]["done"]
        if done == n_alone and not self.ensembles_.connections:
            self._couple(X, y, n_alone)
        else:
            self.ensembles_.connect()

        def learnt(stop: int) -> None:
            if stop == n_alone:
                self._write(self.checkpoint_alone, keys[0], stop)
                self._couple(X, y, n_alone)
            self._write(self.checkpoint, keys[1], stop)

        self._train(X, done, learnt, [n_alone])
        self._remove_pruned(X)
        self._assign(X, y)
        return self

    def partial_fit(self, X: Mapping[str, Any], y: Any = None, classes: Any = None) -> MultimodalClassifier:
        """Learn on from the present state: one pass through what ``fit`` takes in the given order, without pruning.

        With ``y`` the neurons take their labels anew from these samples; ``classes`` as in ``STDPClassifier``.
        """
        first = not hasattr(self, "state_")
        X, y = self._validated(X, y, learning=True, reset=first)
        known = self._known(y, classes)
        if first:
            if self.coupling == "manual":
                raise ValueError("coupling='manual' joins the ensembles in fit. Call fit first, then partial_fit.")
            self._start()
            if self.coupling == "learned":
                self.state_ |= self.ensembles_.couple(self.fraction)
            self.ensembles_.connect()
        self._show(X, self.ensembles_.learn, "training")
        self._assign(X, y, known)
        return self

    def _couple(self, X: dict[str, np.ndarray], y: np.ndarray | None, n_alone: int) -> None:
        """Join the ensembles; "manual" by the labels that they alone give to samples that they have learnt."""
        if self.coupling == "learned":
            self.state_ |= self.ensembles_.couple(self.fraction)
        elif self.coupling == "manual" and y is not None:
            self.ensembles_.connect()
            seen = epoch_order(len(y), 0, self.seed)[:n_alone]
            seen = seen[stream(self.seed, Learning.SETTLING).permutation(len(seen))[: self.n_label_samples]]
            readout = NeuronVote().fit(self._respond(rows(X, seen), "labelling").counts, y[seen])
            weights = self.ensembles_.couple(self.fraction, self.ensembles_.split(readout.labels_))
            self.state_ |= {name: np.full_like(drawn, self.w_manual) for name, drawn in weights.items()}
        self.ensembles_.connect()

    def _joined_at(self, n: int) -> int:
        """Return after how many samples, of all epochs, the ensembles are joined; -1 if they are not."""
        total = n * self.settings()["n_epochs"]
        if self.n_alone is None:
            return -1 if self.coupling == "none" else 3 * total // 4
        if self.coupling == "learned" and self.n_alone >= total:
            raise ValueError(f"n_alone={self.n_alone} of {total} samples leaves none to be learnt together.")
        return min(self.n_alone, total)

    def _keys(self, X: Mapping[str, np.ndarray], y: np.ndarray | None, n_alone: int) -> tuple[str, str]:
        """Return hashes of what decides what the ensembles learn alone, and of what decides the whole training."""
        alone = statefile.fingerprint([self._key(("ensembles", *JOINING, *FREE), X), n_alone], np.empty(0))
        synapse = self.ensembles_.synapse
        assert synapse is not None
        joining = [self.coupling, self.fraction, self.w_manual, synapse.code(), synapse.values()]
        if self.coupling != "manual" or y is None:
            return alone, statefile.fingerprint([alone, joining], np.empty(0))
        joining += [self.n_label_samples, self.min_votes]  # the labels decide what is joined
        return alone, statefile.fingerprint([alone, joining], y)

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
    def graph_(self) -> nx.DiGraph:
        """The learnt network: nodes are (ensemble, "input" or "exc", index), edges carry ``weight``."""
        check_is_fitted(self, "state_")
        return self.ensembles_.graph(self.state_)

    # Settings and samples

    def _start(self) -> None:
        self._check_settings()
        largest = max(ensemble.n_neurons for ensemble in self.ensembles.values())
        synapse = cross_modal(largest) if self.synapse is None else self.synapse
        if self.coupling == "manual":
            synapse = synapse.replace(**synapse.frozen)
        settings = {name: getattr(self, name) for name in COMMON}
        self.ensembles_ = Ensembles(self.ensembles, self.n_features_in_, synapse, **settings)
        if self.coupling == "learned":
            self.ensembles_.check_fraction(self.fraction)
        if self.pruning is not None and self.pruning.regime == "before":
            self.ensembles_.thin(self.pruning)
        self.state_ = self.ensembles_.initial_weights()

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.n_alone is not None:
            check_integer("n_alone", self.n_alone, int(self.coupling == "manual"))  # labels come from what was seen
        if self.coupling not in COUPLINGS:
            raise ValueError(f"coupling must be one of {', '.join(map(repr, COUPLINGS))}, got {self.coupling!r}.")
        if not 0 < self.fraction <= 0.5:
            raise ValueError(f"fraction must be in (0, 0.5], got {self.fraction!r}.")
        if not 0 < self.w_manual < np.inf:
            raise ValueError(f"w_manual must be positive, got {self.w_manual!r}.")
        if self.coupling != "none" and len(self.ensembles) < 2:
            raise ValueError("One ensemble has nothing to couple with: add another, or take coupling='none'.")

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
