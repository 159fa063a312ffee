"""What the classifiers by STDP share: training, pruning, labelling, responding, files."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable, Collection, Mapping
from typing import Any, Self

import numpy as np
from brian2 import Network
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from hrsnn.checks import check_integer, check_kind, check_n_jobs, check_seed
from hrsnn.pruning import STDPPruning, connectivity
from hrsnn.simulation import backends, statefile
from hrsnn.simulation.engine import RuntimeEngine
from hrsnn.stdp.course import batches, settling_rows, silence_lost
from hrsnn.stdp.ensembles import Ensembles
from hrsnn.stdp.health import Health, Watch
from hrsnn.stdp.presenter import Response
from hrsnn.stdp.vote import NeuronVote
from hrsnn.streams import Learning, stream

__all__ = ["STDPEstimator"]

Samples = Mapping[str, np.ndarray]

#: Where modules of version 0.1, whose classes are settings, are now.
MOVED = {
    "hrsnn.distributions": "hrsnn.laws",
    "hrsnn.encoders": "hrsnn.inputs.encoders",
    "hrsnn.ensembles": "hrsnn.stdp.ensembles",
}

#: Settings that have no say in what is learnt.
FREE = ("backend", "n_jobs", "checkpoint", "vote", "n_label_samples", "min_votes")

#: What settings that a file lacks were when it was written.
FORMER = {"normalise": "sum", "thresholds": "own"}


class STDPEstimator(ClassNamePrefixFeaturesOutMixin, ClassifierMixin, TransformerMixin, BaseEstimator):
    """One or several ensembles of competing neurons, trained batch by batch; labels only name the neurons.

    A subclass makes ``ensembles_`` and ``state_`` in ``_start``, and has the settings named below. Samples are a
    mapping of ensemble to array of shape (n_samples, n_features); a single ensemble has the name "".
    """

    pruning: STDPPruning | None
    n_epochs: int | None
    anneal: bool
    min_votes: int | None
    n_label_samples: int
    vote: str
    batch_size: int
    backend: str | None
    n_jobs: int
    seed: int

    ensembles_: Ensembles
    state_: dict[str, np.ndarray]
    chosen_: dict[str, Any]
    health_: dict[str, Health]

    def __sklearn_tags__(self) -> Tags:
        """Say what samples and labels may be: in [0, 1] or 0..255, dense; labels may be left out.

        A handful of neurons that see two features tell clouds of points poorly apart.
        """
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        tags.transformer_tags.preserves_dtype = []
        tags.input_tags.positive_only = True
        tags.target_tags.required = False
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.readout_.labels_) if hasattr(self, "readout_") else self.ensembles_.n_neurons

    def _start(self) -> None:
        raise NotImplementedError

    def _check_settings(self) -> None:
        if self.n_epochs is not None:
            check_integer("n_epochs", self.n_epochs, 1)
        check_integer("n_label_samples", self.n_label_samples, 1)
        check_seed(self.seed)
        check_n_jobs(self.n_jobs)
        check_kind("pruning", self.pruning, STDPPruning, optional=True)
        if self.min_votes is not None:
            check_integer("min_votes", self.min_votes, 0)
        NeuronVote(self.vote)  # refuses a wrong name before the training, not after it

    def settings(self) -> dict[str, Any]:
        """Return all settings as they are used: those given, and for the others what was chosen by the samples."""
        given = self.get_params(deep=False)
        return given | {name: value for name, value in getattr(self, "chosen_", {}).items() if given[name] is None}

    # Learning

    def _train(
        self, X: Samples, done: int, batch_learnt: Callable[[int], None], boundaries: Collection[int] = ()
    ) -> None:
        """Show the samples of all epochs batch by batch, and prune between batches.

        Parameters
        ----------
        X : mapping of str to array
        done : int
            Presentations that a former run has done.
        batch_learnt : callable
            Called with the presentations done, after each batch.
        boundaries : collection of int
            Presentations at which a batch must end.
        """
        n, schedule, n_epochs = n_samples(X), self._while_learning(), self.settings()["n_epochs"]
        total = n * n_epochs
        edges = [] if schedule is None else schedule.edges(total)
        watch = Watch(total)
        for chosen, start, stop in batches(n, n_epochs, self.batch_size, [*edges, *boundaries], self.seed, done):
            rate = 1 - start / total if self.anneal else 1.0
            self.state_ = self.ensembles_.learn(rows(X, chosen), self.state_, rate)
            for name, counts in self.ensembles_.answers.items():
                weights = self.ensembles_.networks[name].matrix(self.state_[self.ensembles_.weight_of(name)])
                watch.see(name, counts, weights, stop)
            self.health_ = watch.health
            if schedule is not None and stop in edges[1:-1] and schedule.is_due(edges.index(stop)):
                for name in self.ensembles_.layers:
                    self._set_weights(name, schedule.apply(self.state_[self.ensembles_.weight_of(name)]))
            batch_learnt(stop)

    def _while_learning(self) -> STDPPruning | None:
        """Return the pruning if learning depends on it; what comes after shares the checkpoint of a full network."""
        return None if self.pruning is None or self.pruning.regime in ("after", "thin") else self.pruning

    def _remove_pruned(self, X: Samples) -> None:
        """Remove the pruned synapses for good, and let the thresholds adapt to what is left."""
        if self.pruning is None:
            return
        for name, network in self.ensembles_.networks.items():
            weights, mask = self.pruning.final(network.matrix(self.state_[self.ensembles_.weight_of(name)]))
            i, j = np.nonzero(mask)
            self._set_weights(name, weights[mask])
            self.ensembles_.inputs[name] = i, j
            if (theta := f"{network.prefix}exc.theta") in self.state_:
                self.state_[theta] = silence_lost(self.state_[theta], j)
        self.ensembles_.connect()
        if self.ensembles_.homeostasis:
            chosen = settling_rows(self.pruning, n_samples(X), self.settings()["n_epochs"], self.seed)
            self._show(rows(X, chosen), self.ensembles_.settle, "settling")

    def _show(self, X: Samples, present: Callable[..., dict[str, np.ndarray]], what: str) -> None:
        """Show samples once, in the given order."""
        for start in tqdm(range(0, n_samples(X), self.batch_size), what, unit="batch", disable=None):
            self.state_ = present(rows(X, slice(start, start + self.batch_size)), self.state_)

    def _set_weights(self, name: str, weights: np.ndarray) -> None:
        """Replace input weights between batches; every column is normalised at the next presentation."""
        layer = self.ensembles_.layers[name]
        self.state_ = {**self.state_, self.ensembles_.weight_of(name): weights}
        if (changed := f"{layer.prefix}exc.changed") in self.state_:
            self.state_[changed] = np.ones(layer.n_neurons)

    def _assign(self, X: Samples, y: np.ndarray | None, classes: Any = ()) -> None:
        """Name the neurons by the labels of training samples; ``classes`` are further labels."""
        if y is None:
            return
        chosen = np.sort(stream(self.seed, Learning.LABELLING).permutation(len(y))[: self.n_label_samples])
        counts = self._respond(rows(X, chosen), "labelling").counts
        self.readout_ = NeuronVote(self.vote).fit(counts, y[chosen], classes)
        self.classes_ = self.readout_.classes_

    # Responding

    @property
    def n_silent_(self) -> int:
        """Samples of the last ``predict`` that drew no spike of a neuron with a label; their labels are guesses."""
        check_is_fitted(self, "readout_")
        return self.readout_.n_silent_

    def _known(self, y: np.ndarray | None, classes: Any) -> Any:
        """Return the labels known before ``partial_fit`` with labels ``y``: those of earlier calls, and ``classes``."""
        if classes is not None and y is not None and (others := np.setdiff1d(y, classes)).size:
            raise ValueError(f"y has the label {others[0]!r}, which is not in classes, {np.unique(classes)!r}.")
        earlier = getattr(self, "classes_", ()) if y is not None else ()
        return [*earlier, *(() if classes is None else classes)]

    def _respond(self, X: Samples, what: str) -> Response:
        n_jobs = check_n_jobs(self.n_jobs)
        chunk = self.batch_size * n_jobs
        starts = tqdm(range(0, n_samples(X), chunk), what, unit="batch", disable=None)
        blocks = (rows(X, slice(start, start + chunk)) for start in starts)
        return Response.join(self.ensembles_.respond(block, self.state_, n_jobs, self.min_votes) for block in blocks)

    # What was learnt

    @property
    def connectivity_(self) -> float:  # noqa: D102
        check_is_fitted(self, "state_")
        weights = [self.state_[self.ensembles_.weight_of(name)] for name in self.ensembles_.layers]
        return connectivity(np.concatenate(weights), self.ensembles_.n_inputs)

    @property
    def network_(self) -> Network:
        """The Brian2 network, in runtime mode."""
        check_is_fitted(self, "state_")
        machine = self.ensembles_.presenters[0][1].engine
        if not isinstance(machine, RuntimeEngine) or len(self.ensembles_.presenters) > 1:
            raise AttributeError(
                "network_ exists in Python only with backend='runtime', of ensembles that are coupled."
            )
        return machine.network

    # Files

    def _write(self, path: str | os.PathLike[str] | None, key: str, done: int) -> None:
        """Write a checkpoint, if one is wanted."""
        if path is not None:
            statefile.write(path, {**self.state_, **self.ensembles_.wiring()}, {"key": key, "done": done})

    def _key(self, others: Collection[str], X: Samples) -> str:
        """Return a hash of what decides a training: all settings but those that are free, and ``others``; samples."""
        settings = self.settings()
        decisive = {name: value for name, value in settings.items() if name not in {*FREE, *others}}
        decisive["pruning"] = self._while_learning()
        return self.ensembles_.fingerprint([decisive, backends.resolve(self.backend)], X)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted classifier to an HDF5 file."""
        arrays = self._arrays()
        for name, settings in (("parameters", self.get_params(deep=False)), ("chosen", getattr(self, "chosen_", {}))):
            arrays[name] = np.asarray(np.void(pickle.dumps(settings)))
        statefile.write(path, arrays, {"n_features": self.n_features_in_})

    @classmethod
    def load(cls, path: str | os.PathLike[str], **changes: Any) -> Self:
        """Read a classifier that ``save`` wrote; ``changes`` are settings to take instead of its own (``backend``).

        Load only files you trust: the settings are a pickle.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is damaged, or ``changes`` has another number of neurons.
        """
        arrays, settings = statefile.read(path)
        own, chosen = (
            _Settings(io.BytesIO(arrays.pop(name).tobytes())).load() if name in arrays else {}
            for name in ("parameters", "chosen")
        )
        own = {name: value for name, value in FORMER.items() if name in cls._get_param_names()} | own
        return cls._restored(own, chosen, changes, arrays, settings["n_features"], f"in {path}")

    def with_settings(self, **changes: Any) -> Self:
        """Return this fitted classifier with other settings, such as ``inhibition=False``: what it learnt stays.

        Raises
        ------
        ValueError
            If the number of neurons would change.
        """
        arrays = self._arrays()
        chosen = getattr(self, "chosen_", {})
        return self._restored(self.get_params(deep=False), chosen, changes, arrays, self.n_features_in_, "here")

    def _arrays(self) -> dict[str, np.ndarray]:
        """Return all that was learnt."""
        check_is_fitted(self, "state_")
        arrays = {**self.state_, **self.ensembles_.wiring()}
        if hasattr(self, "readout_"):
            readout = self.readout_
            classes = self.classes_.astype(str) if self.classes_.dtype.kind == "O" else self.classes_
            arrays |= {"classes": classes, "responses": readout.responses_, "frequency": readout.frequency_}
        if hasattr(self, "feature_names_in_"):
            arrays["feature_names"] = self.feature_names_in_.astype(str)
        return arrays

    @classmethod
    def _restored(
        cls,
        own: dict[str, Any],
        chosen: dict[str, Any],
        changes: dict[str, Any],
        arrays: dict[str, np.ndarray],
        n_features: Any,
        where: str,
    ) -> Self:
        new = cls(**{**own, **changes})
        new.chosen_ = {name: value for name, value in chosen.items() if name not in changes}
        sizes = [n_neurons(parameters) for parameters in (own, new.get_params(deep=False))]
        if sizes[0] != sizes[1]:
            raise ValueError(f"The network {where} has n_neurons={sizes[0]}, got {sizes[1]}. Train another for that.")
        new.n_features_in_ = n_features
        if (names := arrays.pop("feature_names", None)) is not None:
            new.feature_names_in_ = names.astype(object)
        classes, responses, frequency = (arrays.pop(name, None) for name in ("classes", "responses", "frequency"))
        if classes is not None and responses is not None:
            new.readout_ = NeuronVote.from_responses(classes, responses, new.vote, frequency)
            new.classes_ = classes
        new._start()
        new.state_ = new.ensembles_.rewire(arrays)
        new.ensembles_.connect()
        return new


class _Settings(pickle.Unpickler):
    """Reads settings, also those of a file of version 0.1, where these classes had other homes."""

    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(MOVED.get(module, module), name)


def n_neurons(parameters: Mapping[str, Any]) -> Any:
    """Return the number of neurons in the settings of a classifier: one, or one by ensemble."""
    if "ensembles" in parameters:
        return {name: ensemble.n_neurons for name, ensemble in parameters["ensembles"].items()}
    return parameters["n_neurons"]


def n_samples(X: Samples) -> int:
    """Return the number of samples."""
    return len(next(iter(X.values())))


def rows(X: Samples, chosen: Any) -> dict[str, np.ndarray]:
    """Return some samples, of all modalities."""
    return {name: samples[chosen] for name, samples in X.items()}
