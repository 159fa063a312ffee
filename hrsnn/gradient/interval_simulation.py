"""A trained network of interval-modulated synapses as a Brian2 network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import NeuronGroup, Synapses

from hrsnn.gradient.brian2_network import Simulation, law
from hrsnn.gradient.interval_network import IntervalNetwork
from hrsnn.simulation.model import SynapseModel

__all__ = ["IntervalSimulation"]


class IntervalSimulation(Simulation):
    """Runs a trained ``IntervalNetwork`` in Brian2: regular inputs, and synapses of its declared model.

    Parameters
    ----------
    network : IntervalNetwork
    weights : list of array
        As ``IntervalNetwork.weights`` returns it.
    backend : {"auto", "runtime", "cpp", "cuda"}, optional
        The choice of ``hrsnn.use_backend`` if None.
    """

    network: IntervalNetwork

    def __init__(self, network: IntervalNetwork, weights: Sequence[Any], backend: str | None = None):
        low, high = (float(rate * network.dt) for rate in network.rates)
        self.fires = f"u > 0 and (step + 1) % int(1/({low!r} + u*{high - low!r}) + 0.5) == 0"
        self.model: SynapseModel = network.synapse.replace(
            **{key: law(value) for key, value in network.synapse.parameters.items()}
        )  # type: ignore[assignment]
        self.variables = (network.trained, *network.synapse.parameters, *self.model.rest)
        super().__init__(network, weights, backend)

    def text(self) -> str:
        """Return the text of inputs and synapses, which decides the program."""
        return "\n".join([self.fires, self.model.code()])

    def _projection(self, name: str, source: NeuronGroup, target: NeuronGroup, added: str, delay: int) -> Synapses:
        dt = self.network.dt
        synapses = self.model.build(source, target, variable="i_e", name=name, dt=dt)
        synapses.connect()
        self.model.initialise(synapses, len(source) * len(target), np.random.default_rng(0))
        if self.model.rest:
            lines = [f"{key} = {key}*awake_post + ({value})*(1 - awake_post)" for key, value in self.model.rest.items()]
            synapses.run_regularly("\n".join(lines), dt=dt, when="end", order=1)
        return synapses

    def _state(self, weights: Sequence[Any]) -> dict[str, np.ndarray]:
        state: dict[str, np.ndarray] = {}
        for k, (heights, constants) in enumerate(zip(weights, self.network.constants, strict=True)):
            synapses = {self.network.trained: heights, **constants}
            state |= {f"w_{k}.{key}": np.asarray(value, float) for key, value in synapses.items()}
            values = self.network.translations[k].parameters
            state |= {f"layer_{k}.{key}": np.asarray(value, float) for key, value in values.items()}
        return state
