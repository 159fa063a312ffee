"""Feed-forward networks of interval-modulated or fixed synapses, layer by layer over all time.

A layer's spikes do not depend on those of later layers, so each layer is run through all time steps before the next:
what arrives at it is one call, whose cost is that of the spikes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from brian2 import Quantity

from hrsnn.gradient.intervals import through_intervals
from hrsnn.gradient.network import Activity, Layer
from hrsnn.gradient.translation import Translation
from hrsnn.models import DeltaLIF, IntervalModulated
from hrsnn.simulation.brian2_hooks import never_run
from hrsnn.simulation.model import SynapseModel
from hrsnn.streams import Gradients, stream

__all__ = ["IntervalNetwork"]

SPREAD = 0.05  # standard deviation of the initial heights
UNREACHED = 1e9  # threshold of the outputs, which do not fire


class IntervalNetwork:
    """Layers of leaky integrate-and-fire neurons, of which the last integrates what arrives and does not fire.

    Inputs fire regularly: one of value x > 0 for the first time after 1/rate, then at that interval, to the nearest
    time step, with the rate ``rates[0] + x (rates[1] - rates[0])``; one of value 0 is silent. A spike acts on the next
    layer in the following time step.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden neurons of each layer, outputs.
    synapse : IntervalModulated or Static
        Parameters that are laws differ from synapse to synapse.
    tau_m : Quantity (second)
        Membrane time constant.
    rates : (Quantity, Quantity)
        Rates of the inputs for values near 0 and of 1.
    duration, dt : Quantity (second)
        How long a sample is shown, and the time step.
    suppress : {"positive", "negative", None}
        See ``through_intervals``.
    seed : int
        Seed of initial weights and of the parameters of the synapses.

    Attributes
    ----------
    layers : tuple of Layer
        Hidden layers and the output.
    constants : list of dict
        Parameters of the synapses to each layer in SI units, arrays of shape (from, to).
    trained : str
        The variable of a synapse that is trained.

    References
    ----------
    .. [1] Adams et al. (2024), Synaptic modulation using interspike intervals, sections 3 and 4.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        synapse: SynapseModel,
        tau_m: Quantity,
        rates: tuple[Quantity, Quantity],
        duration: Quantity,
        dt: Quantity,
        suppress: str | None,
        seed: int,
    ):
        self.sizes, self.synapse, self.rates, self.dt, self.suppress = tuple(sizes), synapse, rates, dt, suppress
        self.seed = seed
        self.n_inputs, self.n_steps = sizes[0], round(float(duration) / float(dt))
        self.trained = "h" if isinstance(synapse, IntervalModulated) else "w"
        neuron = DeltaLIF(tau_m=tau_m)
        outputs = DeltaLIF(tau_m=tau_m, v_thresh=UNREACHED)
        self.layers = (*(Layer(n, neuron) for n in sizes[1:-1]), Layer(sizes[-1], outputs))
        self.projections = [(k - 1, k, "w", 0) for k in range(1, len(self.layers))]
        self.translations, self.constants = [], []
        for k, layer in enumerate(self.layers):
            group = never_run(layer.neuron.build(layer.n_neurons, name=f"layer_{k}", dt=dt))
            self.translations.append(Translation(group, "DeltaLIF"))
            shape = sizes[k : k + 2]
            drawn = synapse.draw(shape[0] * shape[1], stream(seed, Gradients.SYNAPSES, k))
            whole = {key: np.broadcast_to(np.asarray(value), shape[0] * shape[1]) for key, value in drawn.items()}
            self.constants.append({key: value.reshape(shape) for key, value in whole.items()})

    def weights(self) -> list[Any]:
        """Return the initial heights, or weights, of the synapses to each layer: arrays of shape (from, to).

        They are normal, with a spread of 0.05.
        """
        drawn = [
            stream(self.seed, Gradients.WEIGHTS, k).standard_normal(self.sizes[k : k + 2])
            for k in range(len(self.layers))
        ]
        return [jnp.asarray(SPREAD * values, jnp.result_type(float)) for values in drawn]

    def encode(self, X: Any) -> Any:
        """Return the spikes of the inputs, array of shape (n_steps, n_samples, n_inputs), for values in [0, 1]."""
        low, high = (float(rate * self.dt) for rate in self.rates)
        interval = jnp.where(X > 0, jnp.floor(1 / (low + X * (high - low)) + 0.5), jnp.inf)
        middle = jnp.arange(self.n_steps, dtype=X.dtype)[:, None, None] + 0.5  # far from where rounding could matter
        return jnp.floor((middle + 1) / interval) - jnp.floor(middle / interval)

    def run(self, weights: Sequence[Any], X: Any, record: bool = False, lengths: Any = None) -> Activity:
        """Show samples, from rest.

        Parameters
        ----------
        weights : list of array
            As ``weights`` returns it.
        X : array of shape (n_samples, 1, n_inputs)
            Values in [0, 1].
        record : bool
            Whether to return every spike.
        lengths : array of shape (n_samples,), optional
            All one: samples are no sequences.

        Returns
        -------
        Activity
            Whose ``traces`` are the potentials of the outputs at the end, shape (n_samples, n_outputs); counts and
            spikes are those of the hidden layers.
        """
        X = jnp.asarray(X, weights[0].dtype)
        spikes, fired = self.encode(X[:, 0]), []
        for k, trained in enumerate(weights):
            potentials, spikes = self._neurons(k, self._arriving(k, spikes, trained))
            fired.append(spikes)
        counts = [jnp.sum(spikes, axis=0) for spikes in fired[:-1]]
        return Activity(potentials, counts, fired[:-1] if record else None)

    def _arriving(self, k: int, spikes: Any, trained: Any) -> Any:
        """Return what arrives at a layer, array of shape (n_steps, n_samples, n_neurons).

        A fixed weight is a height whose Gaussian is infinitely wide; behind hidden neurons, a matrix.
        """
        if k and not isinstance(self.synapse, IntervalModulated):
            return spikes @ trained
        fixed = {"mu": np.zeros(trained.shape), "sigma": np.full(trained.shape, np.inf)}
        constants = {**fixed, **self.constants[k]}
        mu, sigma = (jnp.asarray(constants[key] / float(self.dt), spikes.dtype) for key in ("mu", "sigma"))
        return through_intervals(spikes, trained, mu, sigma, self.suppress, first=k == 0)

    def _neurons(self, number: int, arriving: Any) -> Any:
        """Return the potentials after the last time step, and the spikes of all steps."""
        layer, cell = self.layers[number], self.translations[number]
        constants = cell.constants({})
        rest = {**cell.initial(), **cell.values(layer.neuron.rest, constants)}
        start = {key: jnp.broadcast_to(value, arriving.shape[1:]) for key, value in rest.items()}
        scale = constants["v_thresh"]

        def step(state: Any, given: Any) -> Any:
            k, value = given
            state = cell.advance(state, constants, k)
            spikes = cell.spikes(state, constants, k, layer.surrogate, scale, None)
            state = cell.receive(cell.fired(state, k, spikes), str(layer.target), value)
            return cell.reset(state, constants, k, spikes), spikes

        state, spikes = jax.lax.scan(step, start, (jnp.arange(len(arriving)), arriving))
        return state["v"], spikes
