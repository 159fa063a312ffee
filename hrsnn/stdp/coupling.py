"""Ensembles that see the same samples, each in a modality of its own, and the synapses between them."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from brian2 import Network, Quantity, Synapses, linked_var, ms

from hrsnn.models import CrossModalSTDP
from hrsnn.simulation.engine import Blueprint
from hrsnn.simulation.model import SynapseModel
from hrsnn.stdp.presentation import PresentationNetwork

__all__ = ["CoupledNetwork", "Coupling", "cross_modal", "wire"]

COMMON = ("n_on", "n_rest", "dt", "batch_size", "max_retries")


@dataclass(frozen=True)
class Coupling:
    """Synapses from the neurons of one ensemble to those of another.

    Parameters
    ----------
    source, target : str
        Names of the ensembles.
    synapse : SynapseModel
        Their model, with the weight ``w`` as only variable.
    connections : (array of int, array of int)
        Source and target neuron of each synapse.
    """

    source: str
    target: str
    synapse: SynapseModel
    connections: tuple[np.ndarray, np.ndarray] = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Name of the Brian2 object."""
        return f"{self.source}_to_{self.target}"

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return len(self.connections[0])


@dataclass(frozen=True)
class CoupledNetwork:
    """Ensembles that are shown the parts of a sample at the same time, with synapses between them.

    A sample is shown again, brighter, to an ensemble that drew fewer than ``min_spikes`` spikes, while the others wait
    without input.

    Parameters
    ----------
    parts : tuple of PresentationNetwork
        The ensembles; the prefix of each is its name and an underscore.
    couplings : tuple of Coupling
        Synapses between them, none or one for each direction.

    Raises
    ------
    ValueError
        If the ensembles differ in the time of a presentation, the time step or the size of a batch.
    """

    parts: tuple[PresentationNetwork, ...]
    couplings: tuple[Coupling, ...] = ()

    def __post_init__(self) -> None:
        first = self.parts[0]
        for name in COMMON:
            values = {part.name: getattr(part, name) for part in self.parts}
            if any(value != getattr(first, name) for value in values.values()):
                raise ValueError(f"All ensembles must have the same {name}, got {values}.")
        sources = {coupling.source for coupling in self.couplings}
        parts = tuple(replace(part, sends=part.name in sources) for part in self.parts)
        object.__setattr__(self, "parts", parts)

    @property
    def n_total(self) -> int:
        """Steps of a presentation."""
        return self.parts[0].n_total

    @property
    def dt(self) -> Quantity:
        """Time step."""
        return self.parts[0].dt

    @property
    def batch_size(self) -> int:
        """Most samples in a run."""
        return self.parts[0].batch_size

    @property
    def max_retries(self) -> int:
        """How often a sample is shown again at most."""
        return self.parts[0].max_retries

    @property
    def carried(self) -> tuple[str, ...]:
        """Names of the variables that a batch hands to the next."""
        own = [name for part in self.parts for name in part.carried]
        return (*(f"{coupling.name}.w" for coupling in self.couplings), *own)

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of the variables that tell the response."""
        return tuple(name for part in self.parts for name in part.recorded)

    def blueprint(self) -> Blueprint:
        """Return what the engine builds."""
        own = [part.blueprint() for part in self.parts]
        sizes = {name: size for each in own for name, size in each.sizes.items()}
        wiring = []
        for coupling in self.couplings:
            bits = b"".join(np.asarray(index, "i4").tobytes() for index in coupling.connections)
            wiring += [coupling.name, coupling.synapse.code(), hashlib.sha256(bits).hexdigest()]
            sizes[f"{coupling.name}.w"] = coupling.n_synapses
        signature = "\n".join([*(each.signature for each in own), *wiring])
        return Blueprint(self.build, own[0].duration, signature, sizes, (sys.modules[__name__], *own[0].sources))

    def build(self) -> Network:
        """Return the Brian2 network; the objects of an ensemble begin with its name, synapses are ``a_to_b``."""
        names = [part.name for part in self.parts]
        objects = [
            found for part, own in zip(self.parts, names, strict=True)
            for found in part.objects([name for name in names if name != own])
        ]  # fmt: skip
        by_name = {found.name: found for found in objects}
        for own in names:
            for other in names:
                if other != own:
                    quiet = linked_var(by_name[f"{other}_control"], "quiet")
                    setattr(by_name[f"{own}_control"], f"quiet_{other}", quiet)
        return Network(*objects, *(self._synapses(coupling, by_name) for coupling in self.couplings))

    def _synapses(self, coupling: Coupling, objects: dict[str, Any]) -> Synapses:
        synapses = coupling.synapse.build(
            objects[f"{coupling.source}_exc"],
            objects[f"{coupling.target}_exc"],
            variable="g_e",
            name=coupling.name,
            dt=self.dt,
        )
        synapses.connect(i=coupling.connections[0], j=coupling.connections[1])
        coupling.synapse.initialise(synapses, coupling.n_synapses, np.random.default_rng(0))
        synapses.post.order, synapses.pre.order = 0, 1
        return synapses


def cross_modal(n_neurons: int) -> CrossModalSTDP:
    """Return the synapse between ensembles of some size, with constants found on images and speech of digits.

    Larger ensembles draw more spikes from a sample: the gain falls with the root of the size, from 15 with 50 neurons.
    """
    gain = round(15 * (50 / max(n_neurons, 50)) ** 0.5, 6)
    return CrossModalSTDP(eta=0.2, offset=0.02, tau=100 * ms, gain=gain)


def wire(
    senders: np.ndarray,
    receivers: np.ndarray,
    n_possible: int,
    fraction: float,
    rng: np.random.Generator,
    labels: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the synapses of one direction: half of ``fraction * n_possible``, or all that can be.

    Parameters
    ----------
    senders, receivers : array of int
        Neurons that may send, and those that may receive.
    n_possible : int
        Pairs of neurons that the fraction refers to; a pair is joined in one direction at most.
    fraction : float
        Share of these pairs that are joined in either direction.
    rng : numpy.random.Generator
    labels : (array of int, array of int), optional
        Labels of all source and all target neurons; only neurons of the same label (not -1) are joined.

    Returns
    -------
    source, target : array of int
        In ascending order.
    """
    source, target = (index.ravel() for index in np.meshgrid(np.sort(senders), np.sort(receivers), indexing="ij"))
    if labels is not None:
        same = (labels[0][source] == labels[1][target]) & (labels[0][source] >= 0)
        source, target = source[same], target[same]
    n = min(round(fraction / 2 * n_possible), len(source))
    chosen = np.sort(rng.permutation(len(source))[:n])
    return source[chosen], target[chosen]
