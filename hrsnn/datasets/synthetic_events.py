"""Synthetic event recordings for use where the real ones are not at hand: moving shapes, spoken-digit-like sounds."""

from typing import Any

import numpy as np

from hrsnn.datasets.events import SHD_UNITS, EventSplit, make_events, to_seconds

SYNTHETIC_GESTURES = (
    "wave left and right",
    "wave up and down",
    "circle clockwise",
    "circle counter-clockwise",
    "wave along the falling diagonal",
    "wave along the rising diagonal",
    "approach and withdraw",
)


def synthetic_gestures(
    n_train: int = 140,
    n_test: int = 70,
    size: int = 32,
    duration: Any = None,
    noise: float = 0.1,
    seed: int = 0,
) -> EventSplit:
    """Generate recordings of a bright disc that moves in one of seven ways before an event camera.

    The camera is the ideal one: a pixel sends an event of polarity 1 (0) whenever the logarithm of its
    brightness has risen (fallen) by 0.3, looked at every millisecond. Place, size, speed, phase and extent
    of the movement differ between recordings. A stand-in for gesture recordings, not a model of them.

    Parameters
    ----------
    n_train, n_test : int
        Number of recordings; the classes take turns.
    size : int
        Height and width of the camera, at least 8.
    duration : Quantity (second), optional
        Length of each recording; 0.5 second if None.
    noise : float
        Events at random places and times, per pixel and second.
    seed : int
        Seed of all recordings.

    Returns
    -------
    X_train, X_test : list of structured array
        Recordings, units of the shape ``(2, size, size)``.
    y_train, y_test : int array
        Position of the movement in ``SYNTHETIC_GESTURES``.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    seconds = 0.5 if duration is None else to_seconds(duration)
    if size < 8 or seconds < 0.002 or not noise >= 0:
        raise ValueError(
            f"size must be at least 8, duration 2 ms and noise 0, got {size!r}, {duration!r} and {noise!r}."
        )
    return _split(n_train, n_test, len(SYNTHETIC_GESTURES), seed, lambda k, rng: _gesture(k, size, seconds, noise, rng))


def _gesture(kind: int, size: int, seconds: float, noise: float, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(0, seconds, 1e-3)
    phase = 2 * np.pi * (rng.uniform(2, 4) * t + rng.uniform())
    reach, radius = rng.uniform(0.15, 0.25), rng.uniform(0.1, 0.15)
    s, c = reach * np.sin(phase), reach * np.cos(phase)
    zero = np.zeros_like(t)
    # y points down, so a clockwise circle on the screen turns from +x to +y
    dx, dy, growth = (
        (s, zero, zero),
        (zero, s, zero),
        (c, s, zero),
        (c, -s, zero),
        (s, s, zero),
        (s, -s, zero),
        (zero, zero, s),
    )[kind]
    x, y = rng.uniform(0.4, 0.6, 2)
    pixel = (np.arange(size) + 0.5) / size
    squared = (pixel[:, None] - y - dy[:, None, None]) ** 2 + (pixel - x - dx[:, None, None]) ** 2
    edge = (radius * np.exp(2 * growth)[:, None, None] - np.sqrt(squared)) * size  # pixels inside the edge
    level = np.floor(np.log(0.2 + 0.8 / (1 + np.exp(-2 * edge.clip(-20, 20)))) / 0.3).astype(int)
    change = np.diff(level, axis=0)
    step, row, column = np.nonzero(change)
    change = change[step, row, column]
    unit = ((change > 0) * size + row) * size + column
    count = np.abs(change)
    n_noise = rng.poisson(noise * size**2 * seconds)
    times = np.concatenate([np.repeat(t[step + 1], count), rng.uniform(0, seconds, n_noise)])
    return make_events(times, np.concatenate([np.repeat(unit, count), rng.integers(0, 2 * size**2, n_noise)]))


def synthetic_shd(n_train: int = 200, n_test: int = 100, n_classes: int = 20, seed: int = 0) -> EventSplit:
    """Generate recordings with the format of the Spiking Heidelberg Digits: 700 units, under 1.4 s.

    Each class is a fixed set of three bands of activity that glide over the units (as formants do over a
    cochlea); recordings differ in length, in a shift of the units (the speaker's voice) and in their
    Poisson spikes. A stand-in for the real set, not a model of speech.

    Parameters
    ----------
    n_train, n_test : int
        Number of recordings; the classes take turns.
    n_classes : int
        Number of classes. The bands of a class depend on its number only, not on `seed`.
    seed : int
        Seed of the recordings.

    Returns
    -------
    X_train, X_test : list of structured array
        Recordings of 700 units. `write_shd` writes them in the layout of the real set.
    y_train, y_test : int array
        The classes.

    Raises
    ------
    ValueError
        If a number is below 1.
    """
    if n_classes < 1:
        raise ValueError(f"n_classes must be at least 1, got {n_classes!r}.")
    return _split(n_train, n_test, n_classes, seed, _word)


def _word(kind: int, rng: np.random.Generator) -> np.ndarray:
    law = np.random.default_rng([7, kind])  # of the class
    knots = law.uniform(0.1, 0.9, (3, 4))
    loudness = law.uniform(0.3, 1.0, (3, 4))
    length, shift, pace = rng.uniform(0.5, 1.2), rng.uniform(-0.05, 0.05), rng.uniform(0.85, 1.15)
    times, units = [], []
    for band, loud in zip(knots, loudness, strict=True):
        t = np.sort(rng.uniform(0, length, rng.poisson(2500 * length)))
        place = 3 * (t / length) ** pace
        heard = rng.uniform(size=len(t)) < np.interp(place, range(4), loud)
        t, place = t[heard], place[heard]
        centre = np.interp(place, range(4), band) + shift + 0.02 * rng.standard_normal(len(t))
        units.append(np.floor(SHD_UNITS * centre).astype(int).clip(0, SHD_UNITS - 1))
        times.append(t)
    return make_events(np.concatenate(times), np.concatenate(units))


def _split(n_train: int, n_test: int, n_classes: int, seed: int, make: Any) -> EventSplit:
    if n_train < 1 or n_test < 1:
        raise ValueError(f"n_train and n_test must be at least 1, got {n_train!r} and {n_test!r}.")
    parts = []
    for n, stream in zip((n_train, n_test), np.random.SeedSequence(seed).spawn(2), strict=True):
        y = np.arange(n) % n_classes
        rng = np.random.default_rng(stream)
        rng.shuffle(y)
        parts.append(([make(int(k), rng) for k in y], y))
    (X_train, y_train), (X_test, y_test) = parts
    return X_train, X_test, y_train, y_test
