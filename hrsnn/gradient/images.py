"""ImageClassifier and SpikingImageClassifier: a network of rectified units, and the spiking one made of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.utils.validation import check_is_fitted

from hrsnn.checks import check_integer
from hrsnn.gradient.architectures import Layer
from hrsnn.gradient.conversion import balanced, poisson
from hrsnn.gradient.convolution import FeedForward
from hrsnn.gradient.image_estimator import ImageEstimator, entropy
from hrsnn.gradient.image_simulation import ImageSimulation
from hrsnn.gradient.surrogates import Surrogate, Triangle
from hrsnn.simulation.model import NeuronModel
from hrsnn.streams import Gradients, stream

__all__ = ["ImageClassifier", "SpikingImageClassifier"]

SEGMENT = 25  # time steps that are held at once where no gradient is wanted
N_BALANCE = 100  # samples by which thresholds are set where the caller gives none


class ImageClassifier(ImageEstimator):
    """A feed-forward network of rectified linear units for images, made to become a spiking one.

    No bias and no normalisation, which spiking neurons would not have; dropout, and means for pooling.

    Parameters
    ----------
    layers : sequence of layers, or str
        ``Convolution``, ``Dense``, ``Pooling``, ``Dropout`` and ``Residual`` of hrsnn.gradient, without the output; or
        the name of an architecture: "small", "VGG5", "VGG6", "VGG9", "VGG11", "VGG16", "ResNet8", "ResNet20".
    shape : tuple of int, optional
        Height, width and channels, where X are rows.
    shift : int
        Pixels by which an image of the training is moved at most, in each direction.
    flip : bool
        Whether images of the training are mirrored at random.
    n_epochs, batch_size, learning_rate, schedule, clip, checkpoint
        See ``hrsnn.gradient.Training``.
    validation : float
        Share of the training samples that is held out: the weights of the epoch with the lowest loss there are kept.
    seed : int
        Seed of weights, held-out samples, order, dropout and augmentation.

    Attributes
    ----------
    network_ : FeedForward
    weights_ : dict
        ``w``: list of arrays, (height, width, from, to) of a convolution, (from, to) of a dense layer.
    history_ : list of dict
        Loss and accuracy of each epoch.
    classes_ : array of shape (n_classes,)
    n_features_in_ : int

    References
    ----------
    .. [1] Rathi (2021), section 4.3.

    Examples
    --------
    >>> from hrsnn import datasets
    >>> from hrsnn.gradient import ImageClassifier
    >>> X_train, X_test, y_train, y_test = datasets.mnist()  # doctest: +SKIP
    >>> ann = ImageClassifier("small", shape=(28, 28, 1)).fit(X_train / 255, y_train)  # doctest: +SKIP
    >>> snn = ann.converted(X_train[:100] / 255, n_steps=5)  # doctest: +SKIP
    >>> snn.partial_fit(X_train / 255, y_train)  # doctest: +SKIP
    """

    def __init__(
        self,
        layers: Sequence[Layer] | str = "small",
        shape: tuple[int, ...] | None = None,
        shift: int = 0,
        flip: bool = False,
        n_epochs: int = 10,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        schedule: str = "cosine",
        clip: float | None = None,
        validation: float = 0.0,
        checkpoint: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ):
        self.layers, self.shape, self.shift, self.flip = layers, shape, shift, flip
        self.n_epochs, self.batch_size, self.learning_rate = n_epochs, batch_size, learning_rate
        self.schedule, self.clip, self.validation = schedule, clip, validation
        self.checkpoint, self.seed = checkpoint, seed

    def converted(
        self,
        X: Any,
        n_steps: int = 5,
        encoding: str = "direct",
        percentile: float | None = None,
        scale: float = 1.0,
        **settings: Any,
    ) -> SpikingImageClassifier:
        """Return the spiking network with these weights, its thresholds set by some training samples.

        Parameters
        ----------
        X : array
            As in ``fit``; a hundred samples are enough, and all their spikes are held at once.
        n_steps, encoding
            As in ``SpikingImageClassifier``.
        percentile : float, optional
            See ``balanced``; 95 for direct input and 100, the maximum, for Poisson input, if None.
        scale : float
            What all thresholds are multiplied by.
        **settings
            Further ones of ``SpikingImageClassifier``.
        """
        check_is_fitted(self, "weights_")
        own = {key: getattr(self, key) for key in ("layers", "shape", "shift", "flip", "batch_size", "seed")}
        spiking = SpikingImageClassifier(
            **{**own, "n_steps": n_steps, "encoding": encoding, "percentile": percentile, **settings}
        )
        spiking.classes_, spiking.shape_, spiking.n_features_in_ = self.classes_, self.shape_, self.n_features_in_
        spiking._build()
        spiking.weights_ = jax.tree.map(np.asarray, spiking._balanced(self.weights_, self._samples(X), scale))
        spiking.history_ = []
        return spiking

    def _build(self) -> None:
        self.network_ = FeedForward(self._layers(), self.shape_, len(self.classes_))

    def _first(self, samples: np.ndarray) -> dict[str, Any]:
        return self.network_.weights(self.seed)

    def _loss(self, weights: Any, X: Any, y: Any, mask: Any, random: Any) -> tuple[Any, dict[str, Any]]:
        return entropy(self.network_.rectified(weights, X, random), y, mask)

    def _outputs(self, weights: Any, X: Any, random: Any) -> Any:
        return self.network_.rectified(weights, X)


class SpikingImageClassifier(ImageEstimator):
    """A feed-forward network of spiking neurons for images, trained with one leak and one threshold a layer (DIET-SNN).

    ``ImageClassifier.converted`` makes one of a trained network without spikes, and ``partial_fit`` trains it on: with
    the defaults as DIET-SNN; with Poisson input, ``train=()`` and ``surrogate=SpikeTime()`` as STDB. ``fit`` starts
    from random weights. The neurons are a declared model: ``simulate`` runs the network in Brian2.

    Parameters
    ----------
    layers, shape, shift, flip, batch_size, seed
        As in ``ImageClassifier``.
    n_steps : int
        Time steps an image is shown.
    encoding : {"direct", "poisson"}
        Pixels are currents of the first layer, the same in each time step; or probabilities of an input spike.
    neuron : NeuronModel, optional
        ``DiscreteLIF()`` if None. Thresholds are found by the conversion, leaks start at one.
    surrogate : Surrogate
        Derivative of the spikes.
    train : tuple of str
        Parameters of the neurons that are trained beside the weights, one of each layer.
    truncation : int, optional
        Time steps after which the backward pass ends: the loss is taken there too, and the gradients of all parts are
        added (section 4.2.2). The whole time if None.
    percentile : float, optional
        As in ``ImageClassifier.converted``.
    n_epochs, learning_rate, schedule, clip, checkpoint, validation
        As in ``ImageClassifier``.

    Attributes
    ----------
    network_ : FeedForward
    weights_ : dict
        ``w`` as in ``ImageClassifier``; ``v_thresh`` and ``leak``: a value of each spiking layer.
    history_ : list of dict
        Loss, accuracy, and spikes of a neuron and time step of each layer, of each epoch.
    classes_ : array of shape (n_classes,)
    n_features_in_ : int

    References
    ----------
    .. [1] Rathi (2021), chapter 5 (DIET-SNN) and chapter 4 (STDB).
    """

    def __init__(
        self,
        layers: Sequence[Layer] | str = "small",
        shape: tuple[int, ...] | None = None,
        n_steps: int = 5,
        encoding: str = "direct",
        neuron: NeuronModel | None = None,
        surrogate: Surrogate = Triangle(),  # noqa: B008 - a frozen value
        train: tuple[str, ...] = ("v_thresh", "leak"),
        truncation: int | None = None,
        percentile: float | None = None,
        shift: int = 0,
        flip: bool = False,
        n_epochs: int = 5,
        batch_size: int = 64,
        learning_rate: float = 5e-4,
        schedule: str = "cosine",
        clip: float | None = 1.0,
        validation: float = 0.0,
        checkpoint: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ):
        self.layers, self.shape, self.n_steps, self.encoding, self.neuron = layers, shape, n_steps, encoding, neuron
        self.surrogate, self.train, self.truncation, self.percentile = surrogate, train, truncation, percentile
        self.shift, self.flip, self.n_epochs, self.batch_size = shift, flip, n_epochs, batch_size
        self.learning_rate, self.schedule, self.clip, self.validation = learning_rate, schedule, clip, validation
        self.checkpoint, self.seed = checkpoint, seed

    def partial_fit(self, X: Any, y: Any) -> Self:
        """Train on for ``n_epochs`` from the present weights, as ``fit`` does from random ones."""
        check_is_fitted(self, "weights_")
        self._train(self._samples(X), np.asarray(y), self.weights_)
        return self

    def _train(self, samples: np.ndarray, labels: np.ndarray, weights: dict[str, Any]) -> None:
        super()._train(samples, labels, weights)
        found = self.network_.parameters(self.weights_)
        for key in set(self.weights_) - {"w"}:  # within their ranges
            self.weights_[key] = [np.asarray(values[key]) for values in found]

    def _build(self) -> None:
        self.__dict__.pop("_compiled", None)
        check_integer("n_steps", self.n_steps, 1)
        if self.truncation is not None:
            check_integer("truncation", self.truncation, 1)
        if self.encoding not in ("direct", "poisson"):
            raise ValueError(f"encoding must be 'direct' or 'poisson', got {self.encoding!r}.")
        self.network_ = FeedForward(self._layers(), self.shape_, len(self.classes_), self.neuron, self.surrogate)
        known = self.network_.cell.parameters
        if unknown := sorted(set(self.train) - set(known)):
            raise ValueError(f"train has {unknown[0]!r}, which is no parameter of the neurons: {', '.join(known)}.")

    def _first(self, samples: np.ndarray) -> dict[str, Any]:
        rows = stream(self.seed, Gradients.WEIGHTS).permutation(len(samples))[:N_BALANCE]
        return self._balanced(self.network_.weights(self.seed), samples[rows], 1.0)

    def _balanced(self, weights: Any, samples: np.ndarray, scale: float) -> dict[str, Any]:
        percentile = self.percentile or {"direct": 95.0, "poisson": 100.0}[self.encoding]
        random = jax.random.key(self.seed) if self.encoding == "poisson" else None
        self._check_probabilities(samples)
        found = balanced(self.network_, weights, samples, self.n_steps, percentile, scale, random)
        for key in set(self.train) - set(found):
            found[key] = [jnp.asarray(self.network_.cell.parameters[key], jnp.float32) for _ in found["v_thresh"]]
        return found

    def _samples(self, X: Any) -> np.ndarray:
        samples = super()._samples(X)
        self._check_probabilities(samples)
        return samples

    def _check_probabilities(self, samples: np.ndarray) -> None:
        if self.encoding == "poisson" and not (samples.min() >= 0 and samples.max() <= 1):
            raise ValueError(
                f"Poisson input needs values from 0 to 1, got {samples.min():g} to {samples.max():g}: scale X."
            )

    def _values(self, X: Any, random: Any, n_steps: int, first: Any = 0) -> Any:
        return X if self.encoding == "direct" else poisson(random, X, n_steps, first)

    def _loss(self, weights: Any, X: Any, y: Any, mask: Any, random: Any) -> tuple[Any, dict[str, Any]]:
        weights = {key: v if key in ("w", *self.train) else jax.lax.stop_gradient(v) for key, v in weights.items()}
        drawn, dropped = jax.random.split(random)

        def part(state: Any, n_steps: int) -> Any:
            values = self._values(X, drawn, n_steps, state["k"])
            response = self.network_.run(weights, values, n_steps, state, dropped)
            value, means = entropy(response.potentials, y, mask)
            spikes = [jnp.sum(jnp.mean(_rows(c), axis=1) * mask) / self.n_steps for c in response.counts]
            return jax.lax.stop_gradient(response.state), (value, {**means, "spikes": spikes})

        results = _in_parts(part, self.network_.start(len(X)), self.n_steps, self.truncation or self.n_steps, True)[1]
        total, means = jax.tree.map(lambda *values: jnp.stack(values), *results)
        spikes = {f"spikes_{k}": jnp.sum(values) for k, values in enumerate(means.pop("spikes"))}
        return jnp.sum(total), {"accuracy": means["accuracy"][-1], **spikes}

    # Answering

    def _staged(self, every: int, weights: Any, X: Any, random: Any) -> Any:
        def part(state: Any, n_steps: int) -> Any:
            values = self._values(X, random, n_steps, state["k"])
            response = self.network_.run(weights, values, n_steps, state)
            return response.state, (response.potentials, response.counts)

        _, results = _in_parts(part, self.network_.start(len(X)), self.n_steps, min(every, self.n_steps))
        potentials, counts = jax.tree.map(lambda *values: jnp.stack(values), *results)
        return potentials, [jnp.sum(values, axis=0) for values in counts]

    def _outputs(self, weights: Any, X: Any, random: Any) -> Any:
        return self._staged(SEGMENT, weights, X, random)[0][-1]

    def staged_predict(self, X: Any, every: int = 1) -> np.ndarray:
        """Return the labels that the network gives after each part of the time, shape (n_stages, n_samples).

        Parameters
        ----------
        X : array
            As in ``fit``.
        every : int
            Time steps of a part; the last may be shorter.
        """
        run = self._jitted("_staged", every)
        parts = [np.asarray(run(self.weights_, part, random)[0])[:, :n] for n, part, random in self._batches(X)]
        return self.classes_[np.argmax(np.concatenate(parts, axis=1), axis=2)]

    def spike_counts(self, X: Any) -> list[np.ndarray]:
        """Return the mean spikes of each neuron a sample, an array of shape (n_neurons,) for each layer."""
        check_is_fitted(self, "weights_")
        run = self._jitted("_staged", SEGMENT)
        total, n_samples = None, 0
        for n, part, random in self._batches(X):
            counts = [np.asarray(values)[:n].sum(axis=0).ravel() for values in run(self.weights_, part, random)[1]]
            total = counts if total is None else [a + b for a, b in zip(total, counts, strict=True)]
            n_samples += n
        return [values / n_samples for values in total or []]

    def spikes(self, X: Any, double: bool = False) -> list[np.ndarray]:
        """Return the spikes of each layer, as bool arrays of shape (n_samples, n_steps, n_neurons).

        Parameters
        ----------
        X : array
            As in ``fit``.
        double : bool
            In double precision, in which spikes are those of Brian2; else in single, as in training.
        """
        check_is_fitted(self, "weights_")
        with jax.enable_x64(double):
            dtype = np.float64 if double else np.float32
            weights = jax.tree.map(lambda value: np.asarray(value, dtype), self.weights_)
            run = self._jitted("_recorded")
            found = [run(weights, values.astype(dtype)) for values in self._inputs(X)]
        layers = zip(*found, strict=True)
        return [
            np.concatenate([np.swapaxes(np.asarray(part) > 0, 0, 1) for part in parts]).reshape(
                -1, self.n_steps, int(np.prod(parts[0].shape[2:]))
            )
            for parts in layers
        ]

    def _recorded(self, weights: Any, X: Any) -> Any:
        return self.network_.run(weights, X, self.n_steps, record=True).spikes

    def _inputs(self, X: Any) -> list[np.ndarray]:
        """Return what the first layer gets of each batch, as ``FeedForward.run`` takes it."""
        return [
            np.asarray(self._values(jnp.asarray(part), random, self.n_steps))[..., :n, :, :, :]
            for n, part, random in self._batches(X)
        ]

    def simulate(self, X: Any, backend: str | None = None) -> list[np.ndarray]:
        """Return the spikes of the network run by Brian2, as ``spikes`` returns them.

        Parameters
        ----------
        X : array
            As in ``fit``.
        backend : {"auto", "runtime", "cpp", "cuda"}, optional
            The choice of ``hrsnn.use_backend`` if None.
        """
        check_is_fitted(self, "weights_")
        shown = [
            np.broadcast_to(part, (self.n_steps, *part.shape)) if part.ndim == 4 else part for part in self._inputs(X)
        ]
        frames = np.concatenate([np.swapaxes(part, 0, 1).reshape(part.shape[1], self.n_steps, -1) for part in shown])
        return ImageSimulation(self.network_, self.weights_, backend).run(frames)


def _in_parts(part: Any, state: Any, n_steps: int, length: int, again: bool = False) -> tuple[Any, list[Any]]:
    """Return the last state, and what each part of the time gives; ``again`` computes parts anew going backward."""
    results = []
    run = jax.checkpoint(part, static_argnums=1) if again and length < n_steps else part
    for start in range(0, n_steps, length):
        state, result = run(state, min(length, n_steps - start))
        results.append(result)
    return state, results


def _rows(values: Any) -> Any:
    return values.reshape(len(values), -1)
