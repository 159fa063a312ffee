"""The course of a training: which samples come when, and which ones thresholds settle on after a pruning."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator

import numpy as np
from brian2 import volt
from tqdm import tqdm

from hrsnn.pruning import STDPPruning
from hrsnn.streams import Learning, stream

__all__ = ["batches", "epoch_order", "settling_rows", "silence_lost"]

UNREACHABLE = 1.0 * volt  # threshold of a neuron that is never to fire


def epoch_order(n: int, epoch: int, seed: int) -> np.ndarray:
    """Return the random order in which an epoch shows n samples."""
    return stream(seed, Learning.ORDER, epoch).permutation(n)


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
    return stream(seed, Learning.SETTLING).permutation(max(count, n))[:count] % n


def silence_lost(theta: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return thresholds with which neurons that pruning has left without synapses never fire, and warn of them.

    The threshold of a silent neuron falls until it lies below rest; the neuron would then fire without input, and
    inhibit those that have learnt.

    Parameters
    ----------
    theta : array of shape (n_neurons,)
    targets : int array
        Neuron of each synapse that is left.
    """
    lost = np.bincount(targets, minlength=len(theta)) == 0
    if lost.any():
        warnings.warn(
            f"{lost.sum()} of {len(theta)} neurons lost all synapses and are silent from now on: they had learnt "
            "too little when pruning began. Raise warm_up of the pruning or lower its threshold.",
            stacklevel=2,
        )
    return np.where(lost, float(UNREACHABLE), theta)
