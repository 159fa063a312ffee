"""Sounds as samples: what an ear makes of clips, as images of few segments or as series of steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import Quantity, ms, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from hrsnn.checks import check_integer
from hrsnn.inputs.cochlea import LyonEar

__all__ = ["Contrast", "cochleagrams", "sound_series"]

_BLOCK = 64  # clips of similar length heard together


def cochleagrams(
    sounds: Sequence[np.ndarray], ear: LyonEar | None = None, n_segments: int = 12, n_bands: int = 32
) -> np.ndarray:
    """Return what an ear makes of clips, each stretched to the same number of segments: an image for a classifier.

    Parameters
    ----------
    sounds : sequence of float array of shape (n_samples,)
        Full scale is -1 to 1, at the rate of the ear. Lengths may differ.
    ear : LyonEar, optional
        ``LyonEar()``, for sounds of 8 kHz, if None.
    n_segments : int
        Equal shares of a clip's duration.
    n_bands : int
        Groups of neighbouring channels.

    Returns
    -------
    array of shape (n_sounds, n_segments * n_bands)
        Square root of the mean activity in each segment and band, segment after segment.

    Raises
    ------
    ValueError
        If there are no sounds, one is not as `LyonEar` takes it, or the ear has fewer channels than n_bands.
    """
    ear = LyonEar() if ear is None else ear
    check_integer("n_segments", n_segments, 1)
    check_integer("n_bands", n_bands, 1)
    if n_bands > ear.n_channels:
        raise ValueError(f"n_bands must be at most the ear's {ear.n_channels} channels, got {n_bands}.")
    _check_list(sounds)
    found = np.empty((len(sounds), n_segments * n_bands))
    lengths = np.array([max(len(sound) // ear.decimation, n_segments) for sound in sounds])
    order = np.argsort(lengths)
    for block in np.array_split(order, -(-len(order) // _BLOCK)):
        heard = ear.transform([sounds[k] for k in block], n_frames=lengths[block].max())
        for k, frames in zip(block, heard, strict=True):
            edges = np.linspace(0, lengths[k], n_segments + 1).astype(int)
            segments = np.add.reduceat(frames[: lengths[k]], edges[:-1], axis=0) / np.diff(edges)[:, None]
            bands = np.array_split(segments, n_bands, axis=1)
            found[k] = np.sqrt(np.stack([band.mean(axis=1) for band in bands], axis=1)).ravel()
    return found


class Contrast(TransformerMixin, BaseEstimator):
    """Show by how much values are above the mean of the training samples, and then by how much below, as grey values.

    The gain control of the ear leaves no channel silent: raw, all clips drive all neurons. Above and below the mean
    of the training clips, one input in eight is active, as one pixel in eight is.

    Parameters
    ----------
    full : float
        Deviation from the mean, in standard deviations, that is shown as 255.

    Attributes
    ----------
    mean_, deviation_ : array of shape (n_values,)
        Of the training samples.
    """

    def __init__(self, full: float = 3.0):
        self.full = full

    def fit(self, X: Any, y: Any = None) -> Contrast:
        """Take mean and standard deviation of the samples.

        Parameters
        ----------
        X : array of shape (n_samples, n_values)
        y : ignored

        Raises
        ------
        ValueError
            If X is no matrix of finite numbers, or full is not positive.
        """
        if not 0 < self.full < np.inf:
            raise ValueError(f"full must be positive and finite, got {self.full!r}.")
        X = check_array(X, dtype=np.float64)
        self.n_features_in_ = X.shape[1]
        self.mean_, self.deviation_ = X.mean(axis=0), X.std(axis=0)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Show samples.

        Parameters
        ----------
        X : array of shape (n_samples, n_values)

        Returns
        -------
        uint8 array of shape (n_samples, 2 * n_values)
            0 at the mean, 255 from ``full`` standard deviations on; first above, then below.

        Raises
        ------
        ValueError
            If X has another number of values than in ``fit``, or is not finite.
        """
        check_is_fitted(self, "mean_")
        X = check_array(X, dtype=np.float64)
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} values a sample, but this Contrast was fitted with {self.n_features_in_}."
            )
        z = (X - self.mean_) / np.maximum(self.deviation_, 1e-12) / self.full
        return np.round(255 * np.clip(np.hstack([z, -z]), 0, 1)).astype(np.uint8)


def sound_series(
    sounds: Sequence[np.ndarray],
    ear: LyonEar | None = None,
    n_steps: int = 32,
    step: Quantity = 20 * ms,
    full: float | None = None,
) -> np.ndarray:
    """Return what an ear makes of clips, step by step: samples for a reservoir.

    Parameters
    ----------
    sounds : sequence of float array of shape (n_samples,)
        Full scale is -1 to 1, at the rate of the ear. Longer ones are cut after n_steps, in shorter ones the ear
        rings out.
    ear : LyonEar, optional
        ``LyonEar(decimation=40)``, frames of 5 ms of sounds of 8 kHz, if None.
    n_steps : int
    step : Quantity (second)
        A whole number of the ear's frames, of which the mean is taken.
    full : float, optional
        Activity that becomes 1, as does more: take a high percentile of the training sounds' series. As the ear has
        it if None.

    Returns
    -------
    array of shape (n_sounds, n_steps, n_channels)

    Raises
    ------
    ValueError
        If there are no sounds, one is not as `LyonEar` takes it, or an argument is out of range.
    brian2.DimensionMismatchError
        If step is no time.
    """
    ear = LyonEar(decimation=40) if ear is None else ear
    check_integer("n_steps", n_steps, 1)
    fail_for_dimension_mismatch(step, second, "step must be a time, for example 20*ms")
    ratio = float(step / ear.frame)
    per_step = round(ratio)
    if per_step < 1 or abs(ratio - per_step) > 1e-6 * ratio:
        raise ValueError(f"step must be a whole number of the ear's frames of {ear.frame}, got {step}.")
    if full is not None and not 0 < full < np.inf:
        raise ValueError(f"full must be positive and finite or None, got {full!r}.")
    _check_list(sounds)
    frames = ear.transform(sounds, n_steps * per_step)
    series = frames.reshape(len(frames), n_steps, per_step, -1).mean(axis=2, dtype=float)
    return series if full is None else np.minimum(series / full, 1)


def _check_list(sounds: Any) -> None:
    if isinstance(sounds, np.ndarray) and sounds.ndim == 1 and sounds.dtype != object:
        raise ValueError("sounds must be a list of sounds, got one sound. Pass [sound].")
    if not len(sounds):
        raise ValueError("sounds is empty: there is nothing to hear.")
