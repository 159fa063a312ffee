"""What the estimators of images share: samples, their augmentation, training, answers, and files."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted

from hrsnn.checks import check_integer, check_seed
from hrsnn.gradient.architectures import Layer, architecture
from hrsnn.gradient.convolution import FeedForward
from hrsnn.gradient.training import Training
from hrsnn.simulation import statefile
from hrsnn.streams import Gradients, stream

__all__ = ["ImageEstimator", "augmented", "entropy"]


class ImageEstimator(ClassifierMixin, BaseEstimator):
    """What both share: samples, training, answers, and files."""

    layers: Sequence[Layer] | str
    shape: tuple[int, ...] | None
    shift: int
    flip: bool
    n_epochs: int
    batch_size: int
    validation: float
    seed: int

    network_: FeedForward
    weights_: dict[str, Any]
    history_: list[dict[str, float]]
    classes_: np.ndarray
    shape_: tuple[int, ...]
    n_features_in_: int

    # For subclasses

    def _loss(self, weights: Any, X: Any, y: Any, mask: Any, random: Any) -> tuple[Any, dict[str, Any]]:
        raise NotImplementedError

    def _outputs(self, weights: Any, X: Any, random: Any) -> Any:
        raise NotImplementedError

    def _build(self) -> None:
        raise NotImplementedError

    def _first(self, samples: np.ndarray) -> dict[str, Any]:
        raise NotImplementedError

    # Learning

    def fit(self, X: Any, y: Any) -> Self:
        """Train from the start, or go on from the checkpoint.

        Parameters
        ----------
        X : array of shape (n_samples, height, width, channels), (n_samples, height, width) or (n_samples, n_features)
            Values near 0 to 1. Rows hold the pixels line by line, channels last; they need ``shape``.
        y : array of shape (n_samples,)
            Labels.

        Raises
        ------
        ValueError
            If samples and labels do not fit each other, or a setting is out of range.
        Diverged
            If the loss becomes NaN.
        """
        for name in ("weights_", "network_"):
            self.__dict__.pop(name, None)
        samples, labels = self._samples(X), np.asarray(y)
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ValueError(f"Training needs at least two classes, got {len(self.classes_)}.")
        self.shape_, self.n_features_in_ = samples.shape[1:], int(np.prod(samples.shape[1:]))
        self._build()
        self._train(samples, labels, self._first(samples))
        return self

    def _train(self, samples: np.ndarray, labels: np.ndarray, weights: dict[str, Any]) -> None:
        check_seed(self.seed)
        check_integer("shift", self.shift, 0)
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation must be a share in [0, 1), got {self.validation!r}.")
        if labels.shape != (len(samples),):
            raise ValueError(f"X has {len(samples)} samples, but y has the shape {labels.shape}: give one label each.")
        if unknown := sorted(set(np.unique(labels).tolist()) - set(self.classes_.tolist())):
            raise ValueError(f"y has labels that are not in classes_: {unknown[:5]}.")
        settings = ("n_epochs", "batch_size", "learning_rate", "schedule", "clip", "checkpoint", "seed")
        training = Training(**{name: getattr(self, name) for name in settings})
        numbers = np.searchsorted(self.classes_, labels)
        data: dict[str, np.ndarray] = {"X": samples, "y": numbers, "mask": np.ones(len(samples), np.float32)}
        held_out = None
        if self.validation:
            state = int(stream(self.seed, Gradients.VALIDATION).integers(2**31))
            rows = train_test_split(np.arange(len(samples)), test_size=self.validation, random_state=state)
            data, held_out = ({key: values[part] for key, values in data.items()} for part in rows)
            held_out["held_out"] = np.ones(len(held_out["y"]), np.float32)
            data["held_out"] = np.zeros(len(data["y"]), np.float32)
        decisive = {k: v for k, v in self.get_params(deep=False).items() if k not in ("checkpoint", "n_epochs")}
        weights = {key: [jnp.asarray(value) for value in values] for key, values in weights.items()}
        weights, self.history_ = training.fit(self._mean_loss, weights, data, held_out, repr(sorted(decisive.items())))
        self.weights_ = jax.tree.map(np.asarray, weights)

    def _mean_loss(self, weights: Any, batch: Any, random: Any) -> tuple[Any, dict[str, Any]]:
        moved, dropped = jax.random.split(random)
        X = batch["X"]
        if self.shift or self.flip:
            changed = augmented(X, moved, self.shift, self.flip)
            X = jnp.where(batch["held_out"][:, None, None, None] > 0, X, changed) if "held_out" in batch else changed
        mask = batch["mask"] / jnp.sum(batch["mask"])
        return self._loss(weights, X, batch["y"], mask, dropped)

    # Answering

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the outputs before the softmax, array of shape (n_samples, n_classes)."""
        check_is_fitted(self, "weights_")
        run = self._jitted("_outputs")
        parts = [np.asarray(run(self.weights_, part, random))[:n] for n, part, random in self._batches(X)]
        return np.concatenate(parts)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, array of shape (n_samples, n_classes)."""
        return np.asarray(jax.nn.softmax(self.decision_function(X), axis=1))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable label of each sample."""
        return self.classes_[np.argmax(self.decision_function(X), axis=1)]

    def _jitted(self, name: str, *fixed: Any) -> Any:
        """Return a method as a compiled function, compiled once."""
        compiled = self.__dict__.setdefault("_compiled", {})
        if (name, fixed) not in compiled:
            compiled[name, fixed] = jax.jit(partial(getattr(self, name), *fixed))
        return compiled[name, fixed]

    def _batches(self, X: Any) -> Any:
        """Yield batches of one size: how many of its samples are real, the samples, and a random key."""
        samples = self._samples(X)
        if samples.shape[1:] != self.shape_:
            raise ValueError(
                f"X has images of shape {samples.shape[1:]}, but {type(self).__name__} was trained with {self.shape_}."
            )
        for start in range(0, len(samples), self.batch_size):
            part = samples[start : start + self.batch_size]
            filled = np.zeros((min(self.batch_size, len(samples)), *self.shape_), np.float32)
            filled[: len(part)] = part
            yield len(part), filled, jax.random.fold_in(jax.random.key(self.seed), start)

    def _samples(self, X: Any) -> np.ndarray:
        samples = np.asarray(X, np.float32)
        if samples.ndim == 2 and self.shape is not None:
            if samples.shape[1] != np.prod(self.shape):
                raise ValueError(
                    f"X has {samples.shape[1]} features, but shape={self.shape} has {np.prod(self.shape)}."
                )
            samples = samples.reshape(len(samples), *self.shape)
        if samples.ndim == 3:
            samples = samples[..., None]
        if samples.ndim != 4 or not samples.size:
            raise ValueError(
                f"X must hold images, (n_samples, height, width, channels), and not be empty, got {np.shape(X)}. "
                "For rows of pixels, give shape=(height, width, channels)."
            )
        if not np.isfinite(samples).all():
            raise ValueError("X has NaN or infinite values. Fill or drop them.")
        return samples

    def _layers(self) -> Sequence[Layer]:
        return architecture(self.layers) if isinstance(self.layers, str) else self.layers

    # Files

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        return {key: value for key, value in state.items() if key not in ("network_", "_compiled")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "weights_"):
            self._build()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to an HDF5 file."""
        check_is_fitted(self, "weights_")
        kept = np.asarray(np.void(pickle.dumps(self)))
        statefile.write(path, {"estimator": kept}, {"kind": type(self).__name__})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read an estimator that ``save`` wrote. Load only files you trust: it is a pickle.

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
        return pickle.loads(arrays["estimator"].tobytes())


def entropy(outputs: Any, y: Any, mask: Any) -> tuple[Any, dict[str, Any]]:
    """Return the mean cross-entropy of the softmax of outputs, and the accuracy; ``mask`` weights the samples."""
    each = optax.softmax_cross_entropy_with_integer_labels(outputs, y)
    return jnp.sum(each * mask), {"accuracy": jnp.sum((jnp.argmax(outputs, axis=1) == y) * mask)}


def augmented(X: Any, random: Any, shift: int, flip: bool) -> Any:
    """Return images moved by up to ``shift`` pixels, zeros at the border, and mirrored or not."""
    moved, mirrored = jax.random.split(random)
    if shift:
        padded = jnp.pad(X, ((0, 0), (shift, shift), (shift, shift), (0, 0)))
        corners = jax.random.randint(moved, (len(X), 2), 0, 2 * shift + 1)
        X = jax.vmap(lambda x, at: jax.lax.dynamic_slice(x, (at[0], at[1], 0), X.shape[1:]))(padded, corners)
    if flip:
        chosen = jax.random.bernoulli(mirrored, 0.5, (len(X), 1, 1, 1))
        X = jnp.where(chosen, X[:, :, ::-1], X)
    return X
