"""Samples of separate sets put together by their labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from hrsnn.checks import check_integer

__all__ = ["match_labels"]


def match_labels(*labels: Any, n_samples: int | None = None, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Draw rows of several sets such that each drawn sample has one label in all of them.

    The labels are drawn from the first set, whose rows come in random order; rows of the others are drawn at random
    among those with the same label. A set that is too small is repeated, each of its rows as often as the others of
    its label, give or take one.

    Parameters
    ----------
    *labels : array of shape (n_rows,)
        Labels of each set.
    n_samples : int, optional
        Samples to draw; as many as the first set has rows if None.
    seed : int

    Returns
    -------
    tuple of int array of shape (n_samples,)
        Rows of each set.

    Raises
    ------
    ValueError
        If there are less than two sets, a set is empty, or they differ in their classes.

    References
    ----------
    .. [1] Rathi (2021), section 3.6: 40,000 pairs of images and 1,600 utterances, repeated.

    Examples
    --------
    >>> images, sounds = match_labels([7, 7, 8], [8, 7], n_samples=6)
    >>> np.array([7, 7, 8])[images].tolist() == np.array([8, 7])[sounds].tolist()
    True
    """
    sets = [np.asarray(each) for each in labels]
    if len(sets) < 2:
        raise ValueError(f"match_labels takes the labels of at least two sets, got {len(sets)}.")
    for k, each in enumerate(sets):
        if each.ndim != 1 or not len(each):
            raise ValueError(f"Labels of set {k} must have shape (n_rows,) and not be empty, got {each.shape}.")
    classes = np.unique(sets[0])
    for k, each in enumerate(sets):
        other = np.unique(each)
        if not np.array_equal(other, classes):
            raise ValueError(
                f"All sets must have the same classes: set 0 has {classes.tolist()}, set {k} has {other.tolist()}. "
                "Drop the rows of other classes."
            )
    n = len(sets[0]) if n_samples is None else n_samples
    check_integer("n_samples", n, 1)
    rng = np.random.default_rng(seed)
    first = _repeated(len(sets[0]), n, rng)
    rows = [first]
    for each in sets[1:]:
        found = np.empty(n, dtype=int)
        for label in classes:
            wanted = np.flatnonzero(sets[0][first] == label)
            there = np.flatnonzero(each == label)
            found[wanted] = there[_repeated(len(there), len(wanted), rng)]
        rows.append(found)
    return tuple(rows)


def _repeated(n_rows: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return n of the rows 0 .. n_rows - 1 in random order, all once before any twice."""
    rounds = [rng.permutation(n_rows) for _ in range(-(-n // n_rows))]
    return np.concatenate(rounds)[:n] if rounds else np.empty(0, dtype=int)
