"""A layer of competing neurons made from an estimator's settings: models, parameter draws, initial weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Quantity, ms
from brian2.units.fundamentalunits import fail_for_dimension_mismatch

from hrsnn.checks import check_integer, check_kind, check_seed
from hrsnn.inputs.encoders import Encoder, PoissonEncoder
from hrsnn.models import AdaptiveConductanceLIF, ConductanceLIF, PowerLawSTDP
from hrsnn.simulation import backends
from hrsnn.simulation.model import NeuronModel, SynapseModel
from hrsnn.stdp import dense_kernel
from hrsnn.stdp.presentation import PresentationNetwork
from hrsnn.streams import Learning, stream

__all__ = ["CompetitiveLayer"]

DT = 0.5 * ms
W_TOTAL_PER_INPUT = 0.1  # normalisation: 78.4 for the 784 pixels of Diehl & Cook
W_INITIAL = 0.3  # largest initial weight, nearly


class CompetitiveLayer:
    """Inputs and competing neurons of given settings, not compiled.

    The settings are those of ``STDPClassifier``, where they are described; ``prefix`` is what the names of the Brian2
    objects begin with.

    Attributes
    ----------
    n_inputs : int
    neuron, synapse, encoder
        The models in use.

    Raises
    ------
    ValueError
        If a setting is out of range.
    DimensionMismatchError
        If dt is not a time.
    """

    def __init__(
        self,
        n_features: int,
        *,
        n_neurons: int,
        neuron: NeuronModel | None,
        synapse: SynapseModel | None,
        encoder: Encoder | None,
        w_total: float | None,
        inhibition: bool | str,
        g_inh: float,
        homeostasis: bool,
        min_spikes: int,
        max_retries: int,
        batch_size: int,
        dt: Quantity | None,
        dense_kernel: bool | None,
        backend: str | None,
        seed: int,
        prefix: str = "",
    ):
        for name, value, kind in (
            ("neuron", neuron, NeuronModel),
            ("synapse", synapse, SynapseModel),
            ("encoder", encoder, Encoder),
        ):
            check_kind(name, value, kind, optional=True)
        self.encoder = PoissonEncoder() if encoder is None else encoder
        self.neuron = AdaptiveConductanceLIF() if neuron is None else neuron
        self.synapse = PowerLawSTDP(eta=0.02, offset=0.1) if synapse is None else synapse
        dt = DT if dt is None else dt
        fail_for_dimension_mismatch(dt, ms, "dt must be a time")
        if not 0 < float(dt) <= float(self.encoder.duration):
            raise ValueError(f"dt must be positive and at most the duration of a sample, got {dt}.")
        if inhibition not in (True, False, "layer"):
            raise ValueError(f"inhibition must be True, False or 'layer', got {inhibition!r}.")
        if w_total is not None and not 0 < w_total < np.inf:
            raise ValueError(f"w_total must be positive, got {w_total!r}.")
        if not 0 <= g_inh < np.inf:
            raise ValueError(f"g_inh must not be negative, got {g_inh!r}.")
        check_integer("n_neurons", n_neurons, 1)
        check_seed(seed)
        self.n_inputs = self.encoder.n_inputs(n_features)
        self.n_neurons, self.seed, self.backend, self.dense_kernel = n_neurons, seed, backend, dense_kernel
        self.prefix = prefix
        self.inhibitory = ConductanceLIF() if inhibition == "layer" else None
        self._settings = {
            "n_on": round(float(self.encoder.duration / dt)),
            "n_rest": round(float(self.encoder.rest / dt)),
            "dt": dt,
            "batch_size": batch_size,
            "inhibition": bool(inhibition),
            "min_spikes": min_spikes,
            "max_retries": max_retries,
        }
        rng = stream(seed, Learning.PARAMETERS)
        self._neuron_values = self.neuron.draw(n_neurons, rng)
        if not homeostasis and "theta_plus" in self._neuron_values:
            self._neuron_values["theta_plus"] = 0 * self._neuron_values["theta_plus"]
        self._synapse_values = self.synapse.draw(self.n_inputs * n_neurons, rng)
        self._values = {
            "exc.w_total": np.full(n_neurons, W_TOTAL_PER_INPUT * self.n_inputs if w_total is None else float(w_total)),
            "control.min_spikes": min_spikes,
            "control.g_inh" if self.inhibitory is None else "inh_to_exc.g_inh": g_inh,
        }

    def part(
        self, connections: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[PresentationNetwork, dict[str, Any]]:
        """Return the network and the values of its parameters.

        Parameters
        ----------
        connections : (array of int, array of int), optional
            Input and neuron of each synapse; all to all if None.
        """
        able = (
            connections is None
            and self.inhibitory is None
            and backends.resolve(self.backend) == "cpp"
            and dense_kernel.supports(self.neuron, self.synapse, self.encoder.encoding)
        )
        if self.dense_kernel and not able:
            raise ValueError(
                "dense_kernel=True needs backend 'cpp', all synapses present, a synapse model that changes w alone at "
                "postsynaptic spikes, without laws, a neuron with conductances g_e and g_i, and inhibition other than "
                "'layer'. Leave it at None to use it where it can."
            )
        network = PresentationNetwork(
            n_input=self.n_inputs,
            n_neurons=self.n_neurons,
            neuron=self.neuron,
            synapse=self.synapse,
            encoding=self.encoder.encoding,
            connections=connections,
            dense=able and self.dense_kernel is not False,
            inhibitory=self.inhibitory,
            prefix=self.prefix,
            **self._settings,
        )
        kept = slice(None) if connections is None else connections[0] * self.n_neurons + connections[1]
        drawn = {key: value[kept] if np.ndim(value) else value for key, value in self._synapse_values.items()}
        values = {f"exc.{name}": value for name, value in self._neuron_values.items()}
        values |= {f"input_to_exc.{name}": value for name, value in drawn.items()}
        values |= {**self._values, "input.seed_": self.seed}
        return network, {f"{self.prefix}{name}": value for name, value in values.items()}

    def initial_weights(self, connections: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
        """Return the uniform random weights that learning starts from, one for each synapse."""
        rng = stream(self.seed, Learning.WEIGHTS)
        weights = W_INITIAL * (rng.random((self.n_inputs, self.n_neurons)) + 0.01)
        return weights.ravel() if connections is None else weights[connections]
