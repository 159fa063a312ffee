"""SpikingClassifier, and what estimators of declared networks trained by gradients share."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from brian2 import Hz, Quantity, ms
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from hrsnn.checks import check_seed
from hrsnn.gradient.brian2_network import Simulation
from hrsnn.gradient.network import Layer, SpikingNetwork
from hrsnn.gradient.samples import are_sequences, check_finite, filled, frames
from hrsnn.gradient.training import Training
from hrsnn.simulation import statefile
from hrsnn.streams import Gradients, stream

__all__ = ["SpikingClassifier", "SpikingEstimator"]


class SpikingEstimator(BaseEstimator):
    """What the estimators share: a network, an affine readout of its filtered spikes, and their training.

    A subclass gives the loss of the readout and the number of its outputs.
    """

    layers: Sequence[Any]
    step: Quantity
    dt: Quantity
    tau_out: Quantity
    rate: Quantity
    n_epochs: int
    batch_size: int
    learning_rate: float
    schedule: str
    clip: float | None
    validation: float
    patience: int | None
    checkpoint: str | os.PathLike[str] | None
    seed: int

    network_: SpikingNetwork
    weights_: dict[str, Any]
    history_: list[dict[str, float]]
    n_features_in_: int

    def __sklearn_tags__(self) -> Tags:
        """Say that samples may be rows, or sequences of rows."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # For subclasses

    def _loss(self, outputs: Any, batch: Any) -> tuple[Any, dict[str, Any]]:
        raise NotImplementedError

    def _outputs(self, weights: Any, traces: Any, lengths: Any) -> Any:
        raise NotImplementedError

    # Learning

    def _train(self, data: dict[str, np.ndarray], n_outputs: int, stratify: Any, weights: Any = None) -> None:
        training = self._training()
        if weights is None:
            weights = self._start(data, n_outputs)
        held_out = None
        if self.validation:
            held_in, held_out = self._split(data, stratify)
            data = held_in
        weights, self.history_ = training.fit(self._mean_loss, weights, data, held_out, self._key())
        self.weights_ = jax.tree.map(np.asarray, weights)

    def _key(self) -> str:
        """Return what decides the result beside samples, initial weights, and the settings of the training itself.

        Graphs are told by what they bring: edges by the weights, time constants of nodes among the neurons' parameters.
        """
        others = ("checkpoint", "n_epochs", "layers")
        decisive = {name: value for name, value in self.get_params(deep=False).items() if name not in others}
        layers = [replace(layer, recurrent=bool(layer.recurrent)) for layer in self.network_.layers]
        neurons = [
            {name: np.asarray(values).tolist() for name, values in cell.parameters.items()}
            for cell in self.network_.translations
        ]
        return repr([sorted(decisive.items()), layers, neurons])

    def _start(self, data: dict[str, np.ndarray], n_outputs: int) -> dict[str, Any]:
        """Build the network, and return its weights before the training."""
        fail_for_dimension_mismatch(self.rate, Hz, "rate must be a rate")
        if not 0 < float(self.rate * self.dt) < 0.5:
            raise ValueError(f"rate must be positive, and below a spike in two time steps, got {self.rate}.")
        self._build()
        rows = stream(self.seed, Gradients.WEIGHTS).permutation(len(data["X"]))[: self.batch_size]
        first = filled(data["X"][rows], data["length"][rows])
        layers = self.network_.calibrated(self.network_.weights(), first, float(self.rate * self.dt))
        return {"layers": layers, "readout": self._readout(n_outputs)}

    def _training(self) -> Training:
        check_seed(self.seed)
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation must be a share in [0, 1), got {self.validation!r}.")
        if self.patience is not None and not self.validation:
            raise ValueError("patience needs samples that are held out: set validation to their share.")
        settings = ("n_epochs", "batch_size", "learning_rate", "schedule", "clip", "patience", "checkpoint", "seed")
        return Training(**{name: getattr(self, name) for name in settings})

    def _build(self) -> None:
        layers = [layer if isinstance(layer, Layer) else Layer(layer) for layer in self.layers]
        self.network_ = SpikingNetwork(layers, self.n_features_in_, self.step, self.dt, self.tau_out, self.seed)
        self._compiled = jax.jit(self._answer)

    def _readout(self, n_outputs: int) -> dict[str, Any]:
        n = self.network_.layers[-1].n_neurons
        rng = stream(self.seed, Gradients.WEIGHTS, len(self.network_.layers))
        return {
            "w": jnp.asarray(rng.standard_normal((n, n_outputs)) / np.sqrt(n), jnp.float32),
            "b": jnp.zeros(n_outputs, jnp.float32),
        }

    def _split(self, data: dict[str, np.ndarray], stratify: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return training samples and those that are held out; classes keep their shares where that can be."""
        n = len(data["mask"])
        if stratify is not None and np.bincount(stratify).min() < 2:
            stratify = None
        state = int(stream(self.seed, Gradients.VALIDATION).integers(2**31))
        n_out = max(1, round(self.validation * n))
        if stratify is not None and n_out < len(np.unique(stratify)):
            stratify = None
        if n - n_out < 1:
            raise ValueError(f"validation={self.validation} leaves nothing of n_samples={n} to train on.")
        rows = train_test_split(np.arange(n), test_size=n_out, random_state=state, stratify=stratify)
        first, second = ({name: values[chosen] for name, values in data.items()} for chosen in rows)
        return first, second

    def _mean_loss(self, weights: Any, batch: Any, random: Any) -> tuple[Any, dict[str, Any]]:
        activity = self.network_.run(weights["layers"], batch["X"], lengths=batch["length"])
        value, means = self._loss(self._outputs(weights["readout"], activity.traces, batch["length"]), batch)
        n_steps = jnp.sum(batch["length"] * batch["mask"]) * self.network_.n_steps
        for k, counts in enumerate(activity.counts):
            means[f"spikes_{k}"] = jnp.sum(counts * batch["mask"][:, None]) / (n_steps * counts.shape[1])
        return value, means

    # Responding

    def _respond(self, samples: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the outputs of the readout, batch by batch; all batches are of one size, for one compiled program."""
        n, size = len(samples), self.batch_size
        if not hasattr(self, "_compiled"):  # read from a file of another program, not trained here
            self._compiled = jax.jit(self._answer)
        parts = []
        for start in range(0, n, size):
            rows = np.minimum(np.arange(start, start + size), n - 1)
            parts.append(self._compiled(self.weights_, samples[rows], lengths[rows]))
        return np.concatenate(parts)[:n]

    def _answer(self, weights: Any, X: Any, lengths: Any) -> Any:
        return self._outputs(weights["readout"], self.network_.run(weights["layers"], X).traces, lengths)

    def _samples(self, X: Any, reset: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Return samples as sequences of frames, and their lengths; ``reset`` takes the features as they are."""
        if not reset:
            check_is_fitted(self, "weights_")
        if not are_sequences(X):
            samples = validate_data(self, X, reset=reset, dtype=np.float32, ensure_all_finite=False)
            check_finite(samples)
            return samples[:, None, :], np.ones(len(samples), int)
        samples, lengths = frames(X)
        if reset:
            self.__dict__.pop("feature_names_in_", None)
            self.n_features_in_ = samples.shape[2]
        elif samples.shape[2] != self.n_features_in_:
            raise ValueError(
                f"X has {samples.shape[2]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input."
            )
        return samples, lengths

    def spikes(self, X: Any, double: bool = False) -> list[np.ndarray]:
        """Return the spikes of each layer, as bool arrays of shape (n_samples, n_steps, n_neurons).

        A sequence that is shorter than others has no spikes behind its end.

        Parameters
        ----------
        X : array or list of arrays
            As in ``fit``.
        double : bool
            In double precision, in which spikes are those of the other back ends; else in single, as in training.
        """
        samples, lengths = self._samples(X)
        with jax.enable_x64(double):
            dtype = np.float64 if double else np.float32
            weights = jax.tree.map(lambda value: np.asarray(value, dtype), self.weights_["layers"])
            run = jax.jit(lambda weights, X: self.network_.run(weights, X, record=True).spikes)
            found = [
                [
                    np.asarray(layer) > 0
                    for layer in run(weights, samples[start : start + self.batch_size].astype(dtype))
                ]
                for start in range(0, len(samples), self.batch_size)
            ]
        whole = [np.concatenate([np.swapaxes(part[k], 0, 1) for part in found]) for k in range(len(found[0]))]
        return self._ended(whole, lengths)

    def simulate(self, X: Any, backend: str | None = None) -> list[np.ndarray]:
        """Return the spikes of the trained network run by Brian2, as ``spikes`` returns them.

        Parameters
        ----------
        X : array or list of arrays
            As in ``fit``.
        backend : {"auto", "runtime", "cpp", "cuda"}, optional
            The choice of ``hrsnn.use_backend`` if None.
        """
        samples, lengths = self._samples(X)
        return self._ended(Simulation(self.network_, self.weights_["layers"], backend).run(samples), lengths)

    def _ended(self, spikes: list[np.ndarray], lengths: np.ndarray) -> list[np.ndarray]:
        """Return spikes without those of the frames that fill up a sequence."""
        steps = np.arange(spikes[0].shape[1])
        real = steps < lengths[:, None] * self.network_.n_steps
        return [layer & real[:, :, None] for layer in spikes]

    @property
    def parameters_(self) -> list[dict[str, np.ndarray]]:
        """Trained parameters of each layer, in SI units."""
        check_is_fitted(self, "weights_")
        found = self.network_.parameters(self.weights_["layers"])
        return [{key: np.asarray(value) for key, value in layer.items()} for layer in found]

    # Files

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("network_", None)  # it is built again from the settings
        state.pop("_compiled", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "weights_"):
            self._build()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to an HDF5 file."""
        check_is_fitted(self, "weights_")
        arrays = {f"weights_{k}": leaf for k, leaf in enumerate(jax.tree.leaves(self.weights_))}
        own = {
            name: value
            for name, value in vars(self).items()
            if name.endswith("_") and name not in ("weights_", "network_")
        }
        kept = pickle.dumps((self.get_params(deep=False), own, len(jax.tree.leaves(self.weights_))))
        arrays["estimator"] = np.asarray(np.void(kept))
        statefile.write(path, arrays, {"kind": type(self).__name__})

    @classmethod
    def load(cls, path: str | os.PathLike[str], **changes: Any) -> Self:
        """Read an estimator that ``save`` wrote; ``changes`` are settings to take instead of its own.

        Load only files you trust: the settings are a pickle.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is damaged, or holds another kind of estimator.
        """
        arrays, settings = statefile.read(path)
        if settings.get("kind") != cls.__name__:
            raise ValueError(f"{path} does not hold a {cls.__name__}, but a {settings.get('kind', 'network of STDP')}.")
        parameters, own, n_leaves = pickle.loads(arrays["estimator"].tobytes())
        new = cls(**{**parameters, **changes})
        new.__dict__.update(own)
        new._build()
        like = {"layers": new.network_.weights(), "readout": new._readout(1)}
        leaves = [arrays[f"weights_{k}"] for k in range(n_leaves)]
        new.weights_ = jax.tree.unflatten(jax.tree.structure(like), leaves)
        return new


class SpikingClassifier(ClassifierMixin, SpikingEstimator):
    """A network of declared spiking neurons, trained by surrogate gradients to name sequences.

    The frames of a sample drive the first layer; the mean over the frames of the last layer's filtered spikes goes
    through an affine readout and a softmax. The network that is trained is that of the models' own equations:
    ``simulate`` runs it in Brian2.

    Parameters
    ----------
    layers : sequence of Layer or int
        An integer stands for a layer of so many LIF neurons without recurrence.
    step : Quantity (second)
        How long a frame lasts.
    dt : Quantity (second)
        Time step.
    tau_out : Quantity (second)
        Time constant of the filter of the last layer's spikes.
    rate : Quantity (hertz)
        Mean rate of each layer at the start, to which the initial weights are scaled.
    n_epochs, batch_size, learning_rate, schedule, clip, patience, checkpoint
        See ``hrsnn.gradient.Training``.
    validation : float
        Share of the training samples that is held out: the weights of the epoch with the lowest loss there are kept.
    seed : int
        Seed of weights, parameters, held-out samples and order.

    Attributes
    ----------
    network_ : SpikingNetwork
    weights_ : dict
        Pytree of arrays: ``layers`` (see ``SpikingNetwork.weights``) and ``readout``.
    parameters_ : list of dict
        Trained parameters of each layer, in SI units.
    history_ : list of dict
        Loss, accuracy and spikes of each epoch.
    classes_ : array of shape (n_classes,)
    n_features_in_ : int

    References
    ----------
    .. [1] Chakraborty & Mukhopadhyay, Heterogeneous recurrent spiking neural network (HoNB, HeNB).
    .. [2] Neftci, Mostafa & Zenke (2019), Surrogate gradient learning in spiking neural networks.

    Examples
    --------
    >>> from hrsnn import datasets
    >>> from hrsnn.gradient import Layer, SpikingClassifier
    >>> X_train, X_test, y_train, y_test = datasets.digits()
    >>> classifier = SpikingClassifier([Layer(100)], step=25 * ms).fit(X_train / 255, y_train)  # doctest: +SKIP
    """

    def __init__(
        self,
        layers: Sequence[Layer | int] = (100,),
        step: Quantity = 5 * ms,
        dt: Quantity = 1 * ms,
        tau_out: Quantity = 20 * ms,
        rate: Quantity = 50 * Hz,
        n_epochs: int = 20,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
        schedule: str = "cosine",
        clip: float | None = 1.0,
        validation: float = 0.1,
        patience: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ):
        self.layers, self.step, self.dt, self.tau_out, self.rate = layers, step, dt, tau_out, rate
        self.n_epochs, self.batch_size, self.learning_rate = n_epochs, batch_size, learning_rate
        self.schedule, self.clip, self.validation, self.patience = schedule, clip, validation, patience
        self.checkpoint, self.seed = checkpoint, seed

    def fit(self, X: Any, y: Any) -> Self:
        """Train from the start, or go on from the checkpoint.

        Parameters
        ----------
        X : array of shape (n_samples, n_features) or (n_samples, n_frames, n_features), or list of 2-D arrays
            Values near 0 to 1; sequences in a list may differ in length.
        y : array of shape (n_samples,)
            Labels.

        Raises
        ------
        ValueError
            If samples and labels do not fit each other, or a setting is out of range.
        Diverged
            If the loss becomes NaN.
        """
        data = self._data(X, y, reset=True)
        self.classes_, numbers = np.unique(data["y"], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has 1 class, {self.classes_.tolist()[0]!r}; training needs at least two classes.")
        self._train({**data, "y": numbers}, len(self.classes_), numbers)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:
        """Train on for ``n_epochs`` from the present weights; ``classes`` names all labels in the first call."""
        start = jax.tree.map(jnp.asarray, self.weights_) if hasattr(self, "weights_") else None
        data = self._data(X, y, reset=start is None)
        if start is None:
            if classes is None:
                raise ValueError("The first call of partial_fit needs classes, all labels that will ever come.")
            self.classes_ = np.unique(classes)
        unknown = np.setdiff1d(data["y"], self.classes_)
        if unknown.size:
            raise ValueError(f"y has labels that are not in classes: {unknown[:5].tolist()}.")
        numbers = np.searchsorted(self.classes_, data["y"])
        self._train({**data, "y": numbers}, len(self.classes_), None, start)
        return self

    def _data(self, X: Any, y: Any, reset: bool) -> dict[str, np.ndarray]:
        samples, lengths = self._samples(X, reset)
        labels = column_or_1d(y, warn=True)
        if labels.dtype.kind == "f":
            check_finite(labels, "y")
        check_classification_targets(labels)
        if len(samples) != len(labels):
            raise ValueError(f"X has {len(samples)} samples, y has {len(labels)} labels.")
        return {"X": samples, "length": lengths, "y": labels, "mask": np.ones(len(samples), np.float32)}

    def _outputs(self, weights: Any, traces: Any, lengths: Any) -> Any:
        real = jnp.arange(len(traces))[:, None] < lengths[None, :]
        mean = jnp.sum(traces * real[:, :, None], axis=0) / lengths[:, None]
        return mean @ weights["w"] + weights["b"]

    def _loss(self, outputs: Any, batch: Any) -> tuple[Any, dict[str, Any]]:
        mask = batch["mask"] / jnp.sum(batch["mask"])
        each = optax.softmax_cross_entropy_with_integer_labels(outputs, batch["y"])
        right = jnp.argmax(outputs, axis=1) == batch["y"]
        return jnp.sum(each * mask), {"accuracy": jnp.sum(right * mask)}

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, array of shape (n_samples, n_classes)."""
        return np.asarray(jax.nn.softmax(self._respond(*self._samples(X)), axis=1))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each sample."""
        best = np.argmax(self._respond(*self._samples(X)), axis=1)
        return self.classes_[best]
