"""The course of a training: which samples come when, and which ones thresholds settle on after a pruning."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from tqdm import tqdm

from hrsnn.pruning import STDPPruning

__all__ = ["batches", "epoch_order", "settling_rows"]


def epoch_order(n: int, epoch: int, seed: int) -> np.ndarray:
    """Return the random order in which an epoch shows n samples."""
    return np.random.default_rng([seed, 1, epoch]).permutation(n)


def batches(
    n: int, n_epochs: int, size: int, edges: Collection[int], seed: int, done: int = 0
) -> Iterator[tuple[np.ndarray, int, int]]:
    """Yield the batches of a training, with a progress bar; none crosses the end of an epoch or an edge.

    Parameters
    ----------
    n : int
        Training samples.
    n_epochs : int
    size : int
        Samples of a batch, at most.
    edges : collection of int
        Presentations after which something else happens.
    seed : int
        Of the order.
    done : int
        Presentations that a former run has done.

    Yields
    ------
    rows : int array
        Samples of the batch.
    start, stop : int
        Presentations before and after it, in all epochs.
    """
    total = n * n_epochs
    with tqdm(total=total, initial=done, desc="training", unit="sample", disable=None) as bar:
        while done < total:
            epoch, first = divmod(done, n)
            stop = min(done + size, (epoch + 1) * n, *(edge for edge in edges if edge > done))
            yield epoch_order(n, epoch, seed)[first : first + stop - done], done, stop
            bar.update(stop - done)
            done = stop


def settling_rows(schedule: STDPPruning, n: int, n_epochs: int, seed: int) -> np.ndarray:
    """Return the samples that thresholds settle on after the last pruning: ``n_settle`` batches of the schedule."""
    count = round(schedule.n_settle * n * n_epochs / schedule.n_batches)
    return np.random.default_rng([seed, 6]).permutation(max(count, n))[:count] % n
