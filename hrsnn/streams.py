"""Random streams: what is drawn for one purpose depends on the seed and on nothing else that is drawn.

Every purpose has a number of its own, so that a new draw somewhere changes no other. The numbers are part of the
results: to change one is to draw anew.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = ["Gradients", "Learning", "Reservoirs", "Searching", "stream"]


class Learning(IntEnum):
    """What networks that learn by STDP draw."""

    PARAMETERS = 0  # of neurons and synapses with laws
    ORDER = 1  # of the samples of an epoch
    LABELLING = 2  # samples that name the neurons
    THINNING = 3  # synapses of a network pruned before training
    WEIGHTS = 4  # initial weights
    COUPLING = 5  # synapses between ensembles
    SETTLING = 6  # samples that thresholds settle on
    CROSS_MODAL = 7  # parameters of the synapses between ensembles


class Reservoirs(IntEnum):
    """What reservoirs draw."""

    EXCITATORY = 0  # parameters of excitatory neurons
    INHIBITORY = 1  # and of inhibitory ones
    SYNAPSES = 2  # parameters of each projection
    CODE = 3  # gains and biases of a current code


class Gradients(IntEnum):
    """What networks trained by gradients draw."""

    PARAMETERS = 0  # of the neurons of each layer
    WEIGHTS = 1  # initial weights
    VALIDATION = 2  # samples that are held out of training
    ORDER = 3  # of the samples of an epoch
    SYNAPSES = 4  # parameters of the synapses to each layer


class Searching(IntEnum):
    """What searches draw."""

    DESIGN = 0  # first points
    PROPOSAL = 1  # candidates of each further point
    RANDOM = 2  # points of a random search


def stream(seed: int, *numbers: int) -> np.random.Generator:
    """Return the generator of a purpose: its number, and what tells apart several of its kind.

    Parameters
    ----------
    seed : int
    *numbers : int
        The purpose, then for example the number of the epoch.
    """
    return np.random.default_rng([seed, *map(int, numbers)])
