"""Sets of different kinds as rows of grey values, all loaded alike: images, sounds, events and plain vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from brian2 import kHz, ms
from sklearn.model_selection import train_test_split

from hrsnn import datasets
from hrsnn.inputs import Contrast, LyonEar, cochleagrams, event_series

RATE = 8 * kHz  # of the ear: 64 channels


@dataclass(frozen=True)
class Samples:
    """Samples to learn from and to be tested on.

    Attributes
    ----------
    X_train, X_test : uint8 array of shape (n_samples, n_features)
    y_train, y_test : array of shape (n_samples,)
    """

    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray

    def at_most(self, n_train: int, n_test: int) -> Samples:
        """Return the first samples of both parts, at most so many."""
        return Samples(self.X_train[:n_train], self.X_test[:n_test], self.y_train[:n_train], self.y_test[:n_test])

    def held_out(self) -> Samples:
        """Return the training samples alone, a quarter of them (at most 5,000) in place of the test samples."""
        n = min(len(self.y_train) // 4, 5000)
        order = np.random.default_rng(0).permutation(len(self.y_train))
        test, train = order[:n], order[n:]
        return Samples(self.X_train[train], self.X_train[test], self.y_train[train], self.y_train[test])

    def few(self, n: int, seed: int) -> Samples:
        """Return the set with n training samples of each class, or all there are."""
        order = np.random.default_rng([seed, 11]).permutation(len(self.y_train))
        chosen = np.concatenate([order[self.y_train[order] == label][:n] for label in np.unique(self.y_train)])
        return replace(self, X_train=self.X_train[chosen], y_train=self.y_train[chosen])


def _shuffled(split: datasets.images.Split) -> Samples:
    """Put the training samples into random order: files are often sorted."""
    order = np.random.default_rng(0).permutation(len(split[2]))
    return Samples(split[0][order], split[1], split[2][order], split[3])


def _vectors() -> Samples:
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0, stratify=y)
    view = Contrast().fit(X_train)
    return Samples(view.transform(X_train), view.transform(X_test), y_train, y_test)


def _spoken() -> Samples:
    X_train, X_test, y_train, y_test = datasets.fsdd(rate=RATE)
    ear = LyonEar(RATE)
    train, test = cochleagrams(X_train, ear), cochleagrams(X_test, ear)
    view = Contrast().fit(train)
    return _shuffled((view.transform(train), view.transform(test), y_train, y_test))


def _frames() -> Samples:
    X_train, X_test, y_train, y_test = datasets.nmnist()

    def counted(recordings: list[np.ndarray]) -> np.ndarray:
        counts = event_series(recordings, datasets.NMNIST_SHAPE, step=320 * ms, n_steps=1, full=8)[:, 0]
        return np.rint(255 * counts).astype(np.uint8)

    return _shuffled((counted(X_train), counted(X_test), y_train, y_test))


def _photographs(view: str) -> Callable[[], Samples]:
    return lambda: _shuffled(datasets.caltech101(view=view, oversample=None))


SETS: dict[str, Callable[[], Samples]] = {
    "digits": lambda: _shuffled(datasets.digits()),
    "cancer": _vectors,
    "mnist": lambda: _shuffled(datasets.mnist()),
    "fashion_mnist": lambda: _shuffled(datasets.fashion_mnist()),
    "caltech_grey": _photographs("grey"),
    "caltech_orientations": _photographs("orientations"),
    "fsdd": _spoken,
    "nmnist": _frames,
    "cifar": lambda: _shuffled(datasets.cifar10_files()),
}


def load(name: str) -> Samples:
    """Return a set by its name.

    Raises
    ------
    ValueError
        If the name is unknown.
    FileNotFoundError
        If its files are not here.
    """
    if name not in SETS:
        raise ValueError(f"sets must be among {', '.join(SETS)}, got {name!r}.")
    return SETS[name]()
