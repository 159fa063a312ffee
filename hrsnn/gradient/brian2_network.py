"""A trained network as a Brian2 network: the same models, run by every back end."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from brian2 import Clock, Network, NeuronGroup, Quantity, SpikeMonitor, Synapses, TimedArray, linked_var, second
from brian2.units.fundamentalunits import get_dimensions

from hrsnn.laws import Law, Uniform
from hrsnn.simulation.engine import Blueprint, engine
from hrsnn.simulation.functions import FUNCTIONS

__all__ = ["Simulation", "law"]

BLOCK = 4096  # frames of a run, at most
INPUT = -1  # the source of a projection that the values of a sample drive


class Simulation:
    """Runs a trained network in Brian2, sample after sample, each from rest.

    Between two samples a gap of frames without input, in which neurons are held at rest, lets delayed spikes pass.

    Parameters
    ----------
    network : SpikingNetwork
        Or what has the same ``layers`` (of neurons), ``n_inputs``, ``n_steps`` and ``dt``.
    weights : list of dict
        As ``SpikingNetwork.weights`` returns it.
    backend : {"auto", "runtime", "cpp", "cuda"}, optional
        The choice of ``hrsnn.use_backend`` if None.
    projections : sequence of (int, int, str, int), optional
        Source (-1 for the input) and target layer, name of the weights and delay of all synapses, if they are not the
        network's own.
    """

    variables: Sequence[str] = ("w",)  # of a synapse
    fires = "u != 0"  # when an input fires, by its value u and the time step of its frame

    def __init__(
        self,
        network: Any,
        weights: Any,
        backend: str | None = None,
        projections: Sequence[tuple[int, int, str, int]] = (),
    ):
        for layer in network.layers:
            text = "\n".join(layer.neuron.text().values())
            if re.search(r"\bt\b", text):
                name = type(layer.neuron).__name__
                raise ValueError(
                    f"{name} reads the time t, which goes on from sample to sample: it cannot be simulated."
                )
        self.network, self.backend = network, backend
        self.projections = projections or [(INPUT, 0, "w", 0), *network.projections]
        longest = max(delay for *_, delay in self.projections)
        self.gap = max(1, -(-longest // network.n_steps))
        self.state = self._state(weights)

    def run(self, X: np.ndarray) -> list[np.ndarray]:
        """Return the spikes of each layer, bool arrays of shape (n_samples, n_steps, n_neurons).

        Parameters
        ----------
        X : array of shape (n_samples, n_frames, n_inputs)
        """
        n_samples, n_frames, _ = X.shape
        each = self.gap + n_frames
        per_run = min(n_samples, max(1, BLOCK // each))
        block = 1 << (per_run * each - 1).bit_length()
        program = engine(self.blueprint(block), self.backend)
        outputs = [f"spikes_{k}.{end}" for k in range(len(self.network.layers)) for end in "it"]
        found = [
            np.zeros((n_samples, n_frames * self.network.n_steps, layer.n_neurons), bool)
            for layer in self.network.layers
        ]
        for start in range(0, n_samples, per_run):
            part = X[start : start + per_run]
            result = program.run({**self.state, **self._input(part, block)}, outputs)
            for k, spikes in enumerate(found):
                self._place(spikes[start : start + per_run], result[f"spikes_{k}.i"], result[f"spikes_{k}.t"], each)
        return found

    def blueprint(self, block: int) -> Blueprint:
        """Return what the engine builds, for ``block`` frames."""
        network = self.network
        layers = [(layer.neuron.code(), sorted(layer.own), layer.n_neurons, layer.target) for layer in network.layers]
        settings = (layers, self.projections, network.n_inputs, network.n_steps, str(network.dt), block, self.text())
        sizes: dict[str, int] = {}
        for name, size in self._synapses():
            sizes |= {f"{name}.{key}": size for key in ("_synaptic_pre", "_synaptic_post", *self.variables)}
        return Blueprint(
            build=lambda: self.build(block),
            duration=block * network.n_steps * network.dt,
            signature=repr(settings),
            sizes=sizes,
            sources=tuple(sys.modules[kind.__module__] for kind in type(self).__mro__[:-1]),
        )

    def text(self) -> str:
        """Return the text of inputs and synapses, which decides the program."""
        return self.fires

    def build(self, block: int) -> Network:
        """Return the Brian2 network: ``input``, ``layer_0``..., synapses ``w_0``, ``recurrent_0``..."""
        network = self.network
        framing = Clock(network.n_steps * network.dt, name="framing")
        values = TimedArray(np.zeros((block, network.n_inputs)), dt=1 * second, name="samples")
        rests = TimedArray(np.zeros((block, 2)), dt=1 * second, name="schedule")
        control = self._control(rests)
        source = NeuronGroup(
            network.n_inputs,
            "u : 1\nk : integer (linked)\nstep : integer (linked)",
            threshold=self.fires,
            reset="",
            namespace={**FUNCTIONS, "samples": values},
            dt=network.dt,
            name="input",
        )
        source.k, source.step = linked_var(control, "k"), linked_var(control, "step")
        source.run_regularly("u = samples(k*second, i)", clock=framing, when="before_groups")
        objects: list[Any] = [control, source]
        groups = []
        for number, layer in enumerate(network.layers):
            names = {*layer.neuron.heterogeneous, *layer.own}
            laws = {key: law(layer.neuron.parameters[key]) for key in sorted(names)}
            model = type(layer.neuron)(**{**layer.neuron.parameters, **laws})
            group = model.build(
                layer.n_neurons,
                name=f"layer_{number}",
                dt=network.dt,
                rng=np.random.default_rng(0),
                extra="resting : integer (linked)\nawake : integer",
            )
            group.resting = linked_var(control, "resting")
            start = [f"{key} = {key}*awake + ({value})*(1 - awake)" for key, value in model.start.items()]
            statements = ["awake = 1 - resting", *model.at_rest_unless("awake"), *start]
            group.run_regularly("\n".join(statements), dt=network.dt, when="end")
            groups.append(group)
            objects += [group, SpikeMonitor(group, name=f"spikes_{number}")]
        for before, after, name, delay in self.projections:
            start, added = (groups[before], "w") if before >= 0 else (source, "w*u_pre")
            objects.append(self._projection(f"{name}_{after}", start, groups[after], added, delay))
        return Network(*objects)

    def _projection(self, name: str, source: NeuronGroup, target: NeuronGroup, added: str, delay: int) -> Synapses:
        """Return synapses all to all that add a value at each spike, ``delay`` time steps later."""
        layer = self.network.layers[int(target.name.removeprefix("layer_"))]
        dt = self.network.dt
        on_pre = f"{layer.target}_post += {added}"
        synapses = Synapses(source, target, "w : 1", on_pre=on_pre, delay=delay * dt, dt=dt, name=name)
        synapses.connect()
        return synapses

    def _control(self, schedule: TimedArray) -> NeuronGroup:
        """Return what counts frames, tells of each whether neurons rest, and ends the run after the last."""
        control = NeuronGroup(
            1,
            "step : integer\nk : integer\nresting : integer\nresult : integer",
            namespace={**FUNCTIONS, "n_total": self.network.n_steps, "schedule": schedule},
            dt=self.network.dt,
            name="control",
        )
        control.run_regularly("resting = int(schedule(k*second, 0) > 0.5)", dt=self.network.dt, when="start")
        control.run_regularly(
            """
            step += 1
            k += int(step >= n_total)
            step = int(step < n_total)*step
            result = stop_if(int(schedule(k*second, 1) > 0.5))""",
            dt=self.network.dt,
            when="end",
        )
        return control

    def _synapses(self) -> list[tuple[str, int]]:
        """Return the name of each projection, and its number of synapses."""
        sizes = [layer.n_neurons for layer in self.network.layers]
        return [
            (f"{name}_{after}", (sizes[before] if before >= 0 else self.network.n_inputs) * sizes[after])
            for before, after, name, _ in self.projections
        ]

    def _state(self, weights: Any) -> dict[str, np.ndarray]:
        """Return weights and parameters in double precision, as the engine takes them."""
        state: dict[str, np.ndarray] = {}
        with jax.enable_x64(True):
            weights = jax.tree.map(lambda value: np.asarray(value, np.float64), list(weights))
            trained = self.network.parameters(weights)
            for k, layer in enumerate(self.network.synapses(weights)):
                state |= {f"{name}_{k}.w": np.asarray(value) for name, value in layer.items()}
                values = {**self.network.translations[k].parameters, **trained[k]}
                state |= {f"layer_{k}.{name}": np.asarray(value, float) for name, value in values.items()}
        return state

    def _input(self, X: np.ndarray, block: int) -> dict[str, np.ndarray]:
        """Return the tables of a run: samples one after another, each behind its gap."""
        n_samples, n_frames, n_inputs = X.shape
        each = self.gap + n_frames
        values = np.zeros((n_samples, each, n_inputs))
        values[:, self.gap :] = X
        schedule = np.zeros((block, 2))
        schedule[: n_samples * each, 0] = np.arange(n_samples * each) % each < self.gap
        schedule[n_samples * each :, 1] = 1
        table = np.zeros((block, n_inputs))
        table[: n_samples * each] = values.reshape(-1, n_inputs)
        return {"samples.values": table, "schedule.values": schedule}

    def _place(self, spikes: np.ndarray, i: np.ndarray, t: np.ndarray, each: int) -> None:
        """Write the spikes of a run into the array of its samples."""
        steps = np.round(t / float(self.network.dt)).astype(int)
        sample, step = np.divmod(steps, each * self.network.n_steps)
        step -= self.gap * self.network.n_steps
        real = step >= 0
        spikes[sample[real], step[real], i[real]] = True


def law(value: Any) -> Law:
    """Return the law itself, or one with the unit of a number: the values are state."""
    return value if isinstance(value, Law) else Uniform(value, value + Quantity(1, dim=get_dimensions(value)))
