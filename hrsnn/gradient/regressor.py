"""SpikingRegressor: a declared network trained by gradients to give numbers for every frame."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from brian2 import Hz, Quantity, ms
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags

from hrsnn.checks import check_integer
from hrsnn.gradient.estimators import SpikingEstimator
from hrsnn.gradient.network import Layer
from hrsnn.gradient.samples import are_sequences, check_finite, frames

__all__ = ["SpikingRegressor"]


class SpikingRegressor(RegressorMixin, SpikingEstimator):
    """A network of declared spiking neurons, trained by surrogate gradients to give numbers for every frame.

    The filtered spikes of the last layer at the end of a frame go through an affine readout. Parameters and
    attributes are those of ``SpikingClassifier``; ``washout`` frames at the start of a sequence do not count in the
    loss. Targets are scaled to a spread of one within ``fit``.
    """

    def __sklearn_tags__(self) -> Tags:
        """Say that a sample may have several targets."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def __init__(
        self,
        layers: Sequence[Layer | int] = (100,),
        step: Quantity = 5 * ms,
        dt: Quantity = 1 * ms,
        tau_out: Quantity = 20 * ms,
        rate: Quantity = 50 * Hz,
        washout: int = 0,
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
        self.checkpoint, self.seed, self.washout = checkpoint, seed, washout

    def fit(self, X: Any, y: Any) -> Self:
        """Train from the start, or go on from the checkpoint.

        Parameters
        ----------
        X : array of shape (n_samples, n_features) or (n_samples, n_frames, n_features), or list of 2-D arrays
        y : array of shape (n_samples, n_frames, n_outputs), (n_samples, n_outputs) or (n_samples,), or list
            A target of every frame; where frames are one a sample, the axis of frames may be left out.

        Raises
        ------
        ValueError
            If samples and targets do not fit each other, or a setting is out of range.
        Diverged
            If the loss becomes NaN.
        """
        check_integer("washout", self.washout, 0)
        samples, lengths = self._samples(X, reset=True)
        if samples.shape[1] <= self.washout:
            raise ValueError(f"washout={self.washout} leaves nothing of {samples.shape[1]} frames.")
        targets, target_lengths = self._targets(y)
        if len(samples) != len(targets) or not np.array_equal(lengths, target_lengths):
            raise ValueError(f"X has frames of shape {samples.shape[:2]}, y has targets of shape {targets.shape[:2]}.")
        real = np.arange(targets.shape[1]) < lengths[:, None]
        self.y_mean_, self.y_spread_ = (f(targets[real], axis=0, dtype=float) for f in (np.mean, np.std))
        self.y_spread_ += 1e-12
        data = {"X": samples, "length": lengths, "y": np.asarray((targets - self.y_mean_) / self.y_spread_, np.float32)}
        data["mask"] = np.ones(len(samples), np.float32)
        self._train(data, targets.shape[2], None)
        return self

    def _targets(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return targets as sequences, and their lengths; note whether a sample has one number."""
        if y is None:
            raise ValueError(f"This {type(self).__name__} requires y to be passed, but the target y is None.")
        if are_sequences(y):
            self.y_shape_: tuple[int, ...] = (1,)
            return frames(y, "y")
        targets = np.asarray(y, dtype=np.float32)
        if targets.ndim not in (1, 2) or targets.size == 0:
            raise ValueError(
                "y must have shape (n_samples, n_frames, n_outputs), (n_samples, n_outputs) or (n_samples,), and not "
                f"be empty, got {targets.shape}."
            )
        check_finite(targets, "y")
        self.y_shape_ = () if targets.ndim == 1 else (1,)
        return targets.reshape(len(targets), 1, -1), np.ones(len(targets), int)

    def _outputs(self, weights: Any, traces: Any, lengths: Any) -> Any:
        return jnp.swapaxes(traces, 0, 1) @ weights["w"] + weights["b"]

    def _loss(self, outputs: Any, batch: Any) -> tuple[Any, dict[str, Any]]:
        k = jnp.arange(outputs.shape[1])
        counted = (k >= self.washout) & (k < batch["length"][:, None])
        weights = counted * batch["mask"][:, None]
        each = jnp.mean(jnp.square(outputs - batch["y"]), axis=2)
        return jnp.sum(each * weights) / jnp.sum(weights), {}

    def predict(self, X: Any) -> Any:
        """Return the outputs.

        Parameters
        ----------
        X : array or list of arrays
            As in ``fit``.

        Returns
        -------
        array or list of arrays
            Of rows: shape (n_samples, n_outputs), or (n_samples,) if the targets were. Of an array of sequences: shape
            (n_samples, n_frames, n_outputs). Of a list: an array of shape (n_frames, n_outputs) for each sequence.
        """
        samples, lengths = self._samples(X)
        outputs = self._respond(samples, lengths) * self.y_spread_ + self.y_mean_
        if isinstance(X, (list, tuple)) and are_sequences(X):
            return [output[:length] for output, length in zip(outputs, lengths, strict=True)]
        if are_sequences(X):
            return outputs
        return outputs[:, 0, 0] if self.y_shape_ == () else outputs[:, 0]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination, R^2; of sequences, over all frames behind the washout."""
        if not are_sequences(X):
            return super().score(X, y, sample_weight)
        if sample_weight is not None:
            raise ValueError("The frames of sequences count alike: sample_weight must be None.")
        made, goals = ([values[self.washout :] for values in rows] for rows in (self.predict(X), y))
        return float(r2_score(np.concatenate(goals), np.concatenate(made)))
