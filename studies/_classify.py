"""Recordings as samples of a reservoir, and how all classifiers of them are trained and judged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from brian2 import ms
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from hrsnn import RateCode, datasets
from hrsnn.baselines import echo_states
from hrsnn.inputs import event_series, sound_series
from hrsnn.studies import _liquid

STEP = 20 * ms
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # inverse strengths, of which each classifier takes its best
ECHO = {"leak": 0.3, "gain": 0.5, "bias": 0.2}


@dataclass(frozen=True)
class Task:
    """Samples to learn from and to be tested on.

    Attributes
    ----------
    name : str
        Where they come from, for the report.
    X_train, X_test : array of shape (n_samples, n_steps, n_features)
        Values in [0, 1], a step every 20 ms.
    y_train, y_test : array of shape (n_samples,)
    """

    name: str
    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray

    def share(self, fraction: float) -> Task:
        """Return the task with the first share of its training samples."""
        n = max(2 * len(np.unique(self.y_train)), round(fraction * len(self.y_train)))
        return replace(self, X_train=self.X_train[:n], y_train=self.y_train[:n])


def spoken_digits(n_train: int, n_test: int, test_speaker: str = "", n_steps: int = 32) -> Task:
    """Return digits of the Free Spoken Digit Dataset as heard by Lyon's ear, 64 channels.

    Full scale is the 99.5th percentile of the training sounds. Takes 0 to 4 of each speaker test, or all of one
    speaker; no take is in both parts.
    """
    speakers = [test_speaker] if test_speaker else None
    X_train, X_test, y_train, y_test = datasets.fsdd(test_speakers=speakers)
    first, second = _draw(y_train, n_train), _draw(y_test, n_test)
    train, test = (
        sound_series([X[k] for k in chosen], n_steps=n_steps, step=STEP)
        for X, chosen in ((X_train, first), (X_test, second))
    )
    top = np.percentile(train, 99.5)
    name = f"FSDD, {'speaker ' + test_speaker if test_speaker else 'takes 0 to 4'} for the test"
    return Task(name, np.minimum(train / top, 1), np.minimum(test / top, 1), y_train[first], y_test[second])


def camera(n_train: int, n_test: int, n_steps: int = 15, pool: int = 2, full: int = 4) -> Task:
    """Return N-MNIST recordings, or synthetic gestures where there are none: counts a step and square of pixels.

    ``full`` events in a square and step count as 1, as do more.
    """
    try:
        split, shape, name = datasets.nmnist(), datasets.events.NMNIST_SHAPE, "N-MNIST"
    except FileNotFoundError:
        split, shape = datasets.synthetic_gestures(max(n_train, 7), max(n_test, 7)), (2, 32, 32)
        name = "synthetic gestures: N-MNIST was not found"
    X_train, X_test, y_train, y_test = split
    first, second = _draw(y_train, n_train), _draw(y_test, n_test)
    train, test = (
        event_series([X[k] for k in chosen], shape, STEP, n_steps, pool, full)
        for X, chosen in ((X_train, first), (X_test, second))
    )
    return Task(name, train, test, y_train[first], y_test[second])


def spiking(
    task: Task, variant: str, n: int, seed: int, *, n_windows: int, n_learn: int, rate_max: Any, **settings: Any
) -> dict[str, Any]:
    """Return what a reservoir makes of a task: states of all samples, and its spikes.

    STDP learns from the first n_learn training samples. Settings are those of `_liquid.reservoir`.

    Returns
    -------
    dict
        train, test (states, float32), rate_hz (mean over neurons in the test), spikes (mean of a neuron a test
        sample), active (share of neurons with a spike in the test), n_synapses (between neurons).
    """
    n_steps = task.X_train.shape[1]
    reservoir = _liquid.reservoir(
        variant,
        n,
        seed,
        code=RateCode(1, rate_max=rate_max, step=STEP),
        limits=(0.0, 1.0),
        margin=0.0,
        n_windows=n_windows,
        n_learn=n_learn * n_steps,
        block=1000,
        **settings,
    )
    reservoir.fit(task.X_train[:n_learn])
    train = reservoir.transform(task.X_train)
    test = reservoir.transform(task.X_test)
    counts = reservoir.spike_counts_
    spikes = float(counts.mean()) / len(task.X_test)
    return {
        "train": train.astype(np.float32),
        "test": test.astype(np.float32),
        "rate_hz": spikes / (n_steps * float(STEP)),
        "spikes": spikes,
        "active": float((counts > 0).mean()),
        "n_synapses": reservoir.graph.number_of_edges(),
    }


def pooled(X: np.ndarray, n_windows: int) -> np.ndarray:
    """Return means over windows of series (n_samples, n_steps, n_features), as `hrsnn.Reservoir` does of its states."""
    return np.concatenate([part.mean(axis=1) for part in np.array_split(X, n_windows, axis=1)], axis=1)


def accuracy(train: np.ndarray, y_train: np.ndarray, test: np.ndarray, y_test: np.ndarray) -> float:
    """Return the test accuracy of logistic regression, its penalty chosen on every fifth training sample.

    Features are scaled to the range of the training samples, and clipped to it: a neuron that is almost silent in
    training must not rule the test.
    """
    held = np.arange(len(y_train)) % 5 == 4
    scores = [_readout(C).fit(train[~held], y_train[~held]).score(train[held], y_train[held]) for C in PENALTIES]
    return float(_readout(PENALTIES[int(np.argmax(scores))]).fit(train, y_train).score(test, y_test))


def baselines(task: Task, n: int, seeds: Any, n_windows: int) -> list[dict[str, Any]]:
    """Return accuracies without spikes: logistic regression on the inputs, and an echo-state network of n units."""
    pair = [pooled(X, n_windows) for X in (task.X_train, task.X_test)]
    rows = [
        {"variant": "inputs alone", "seed": seeds[0], "accuracy": accuracy(pair[0], task.y_train, pair[1], task.y_test)}
    ]
    for seed in seeds:
        states = [pooled(echo_states(X, n, seed, **ECHO), n_windows) for X in (task.X_train, task.X_test)]
        score = accuracy(states[0], task.y_train, states[1], task.y_test)
        rows.append({"variant": "echo state", "seed": seed, "accuracy": score})
    return rows


def _readout(C: float) -> Any:
    return make_pipeline(MinMaxScaler(clip=True), LogisticRegression(C=C, max_iter=2000))


def _draw(y: np.ndarray, n: int) -> np.ndarray:
    """Return n indices in random order, with the classes taking turns as far as they reach."""
    order = np.random.default_rng(0).permutation(len(y))
    turn = np.empty(len(y), dtype=int)
    for label in np.unique(y):
        own = order[y[order] == label]
        turn[own] = np.arange(len(own))
    return order[np.argsort(turn[order], kind="stable")][:n]
