"""Networks assembled from models: the STDP classifier's, as a blueprint for the engine."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np
from brian2 import (
    Clock,
    Equations,
    EventMonitor,
    Network,
    NeuronGroup,
    Quantity,
    SpikeMonitor,
    Synapses,
    TimedArray,
    linked_var,
    second,
)

from hrsnn.checks import check_integer
from hrsnn.inputs import encoders
from hrsnn.inputs.encoders import Encoding
from hrsnn.simulation.brian2_hooks import at
from hrsnn.simulation.engine import Blueprint
from hrsnn.simulation.functions import FUNCTIONS, NEVER
from hrsnn.simulation.model import NeuronModel, SynapseModel
from hrsnn.stdp import inhibition
from hrsnn.stdp.inhibition import lateral_inhibition

__all__ = ["PresentationNetwork"]


@dataclass(frozen=True)
class PresentationNetwork:
    """Inputs, plastic synapses and competing neurons, to which samples are presented one after another.

    A presentation lasts ``n_on`` steps with input and ``n_rest`` without. A sample that draws fewer than
    ``min_spikes`` spikes is shown again, ``intensity`` higher by half of the first each time, at most
    ``max_retries`` times. The run ends after the last sample, on the boundary of a presentation, so that the
    state of the network at the end of a block is its state at the start of the next.

    Parameters
    ----------
    n_input, n_neurons : int
        Sizes of the two layers.
    neuron, synapse : NeuronModel, SynapseModel
        Models of the competing neurons and of their plastic inputs.
    encoding : Encoding
        Brian2 expressions of the inputs' spikes (see ``hrsnn.inputs.encoders``).
    n_on, n_rest : int
        Steps of a presentation with and without input.
    dt : Quantity (second)
        Time step.
    batch_size : int
        Most samples in a run.
    inhibition : bool
        Whether a spike inhibits all other neurons, one step later.
    min_spikes, max_retries : int
        When and how often a sample is shown again.
    connections : (array of int, array of int), optional
        Pre and post indices of the synapses; all to all if None.
    dense : bool
        Whether C++ runs the network in the dense kernel, or as Brian2 generates it.
    inhibitory : NeuronModel, optional
        Simulate the inhibition by an explicit layer of such neurons: same result, slower.
    prefix : str
        What the names of the objects begin with, where several such networks stand side by side.
    sends : bool
        Whether the neurons remember their last spike (``t_last``), as sources of plastic synapses must.
    """

    n_input: int
    n_neurons: int
    neuron: NeuronModel
    synapse: SynapseModel
    encoding: Encoding
    n_on: int
    n_rest: int
    dt: Quantity
    batch_size: int
    inhibition: bool = True
    min_spikes: int = 5
    max_retries: int = 5
    connections: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False, compare=False)
    dense: bool = False
    inhibitory: NeuronModel | None = None
    prefix: str = ""
    sends: bool = False

    def __post_init__(self) -> None:
        for name, low in (("n_neurons", 1), ("batch_size", 1), ("min_spikes", 0), ("max_retries", 0)):
            check_integer(name, getattr(self, name), low)
        if self.n_on % self.n_frames or (self.n_frames > 1 and self.n_rest % (self.n_on // self.n_frames)):
            raise ValueError(
                f"A sample of {self.n_frames} frames takes {self.n_on} steps and {self.n_rest} of rest: both must be "
                "whole multiples of a frame. Change n_frames, duration or rest of the encoder."
            )
        if set(Equations(self.synapse.equations).names) != {"w"}:
            raise ValueError(
                f"Only the weight w of a plastic input synapse is carried from batch to batch, and "
                f"{type(self.synapse).__name__} has further variables. Use PowerLawSTDP."
            )

    @property
    def parts(self) -> tuple[PresentationNetwork, ...]:
        """The ensembles of this network: itself."""
        return (self,)

    @property
    def couplings(self) -> tuple[Any, ...]:
        """Synapses between ensembles: none."""
        return ()

    @property
    def name(self) -> str:
        """Name of the ensemble: the prefix without its underscore."""
        return self.prefix.removesuffix("_")

    @property
    def n_frames(self) -> int:
        """Frames of a sample, shown one after another."""
        return self.encoding.n_frames

    @property
    def n_total(self) -> int:
        """Steps of a presentation."""
        return self.n_on + self.n_rest

    @property
    def n_synapses(self) -> int:
        """Number of plastic synapses."""
        return self.n_input * self.n_neurons if self.connections is None else len(self.connections[0])

    @property
    def carried(self) -> tuple[str, ...]:
        """Names of the variables that a batch hands to the next."""
        names = [*self.neuron.rest, *self.neuron.start, *(["refractory_left"] if self.neuron.refractory else [])]
        names += ["changed", "spiked", *(["last_step"] if self.sends else [])]
        carried = ["input_to_exc.w", *(f"exc.{name}" for name in names)]
        if self.inhibitory is not None:
            carried += [f"inh.{name}" for name in (*self.inhibitory.rest, "refractory_left")]
        return tuple(self.prefix + name for name in (*carried, "input.last_step", "input.draw", "control.n_recent"))

    @property
    def recorded(self) -> tuple[str, ...]:
        """Names of the variables that tell the response: the spikes, and what each presentation showed."""
        names = ("spikes.i", "spikes.t", "presentations.sample", "presentations.intensity", "control.n_presentations")
        return tuple(self.prefix + name for name in names)

    def indices(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the input and the neuron of every plastic synapse."""
        if self.connections is not None:
            return self.connections
        i, j = np.divmod(np.arange(self.n_synapses), self.n_neurons)
        return i, j

    def matrix(self, weights: np.ndarray) -> np.ndarray:
        """Return weights as an array of shape (n_input, n_neurons), zero where there is no synapse."""
        matrix = np.zeros((self.n_input, self.n_neurons))
        matrix[self.indices()] = weights
        return matrix

    def graph(self, weights: np.ndarray) -> nx.DiGraph:
        """Return positive weights as a graph: inputs are nodes 0 .. n_input - 1, neurons follow."""
        graph = nx.DiGraph()
        graph.add_nodes_from(range(self.n_input), layer="input")
        graph.add_nodes_from(range(self.n_input, self.n_input + self.n_neurons), layer="exc")
        i, j = (index[weights > 0] for index in self.indices())
        edges = zip(i.tolist(), (self.n_input + j).tolist(), weights[weights > 0].tolist(), strict=True)
        graph.add_weighted_edges_from(edges)
        return graph

    def blueprint(self) -> Blueprint:
        """Return what the engine builds."""
        models = [model.code() for model in (self.neuron, self.synapse, self.inhibitory) if model is not None]
        wiring = b"" if self.connections is None else b"".join(np.asarray(a, "i4").tobytes() for a in self.connections)
        settings = (
            self.n_input, self.n_neurons, self.encoding, self.n_on, self.n_rest, self.dt, self.batch_size,
            self.inhibition, self.max_retries, self.dense, self.prefix, self.sends, hashlib.sha256(wiring).hexdigest(),
        )  # fmt: skip
        return Blueprint(
            build=self.build,
            duration=self.batch_size * (1 + self.max_retries) * self.n_total * self.dt,
            signature="\n".join([*models, *map(repr, settings)]),
            sizes={f"{self.prefix}input_to_exc.w": self.n_synapses},
            sources=(sys.modules[__name__], encoders, inhibition),
        )

    def build(self) -> Network:
        """Return the Brian2 network, with objects ``input``, ``exc``, ``control``, ``input_to_exc``, ``spikes``."""
        return Network(*self.objects())

    def objects(self, others: Sequence[str] = ()) -> list[Any]:
        """Return the objects of the network.

        Parameters
        ----------
        others : sequence of str
            Names of further ensembles that are shown the same samples: if one of them asks for a sample again, this
            one waits without input. Link the variable ``quiet_<name>`` of ``control`` to their ``quiet``.
        """
        presentation = Clock(self.n_total * self.dt, name=f"{self.prefix}presentation")
        control = self._control(others)
        inputs = self._input(control, presentation)
        sends = "last_step : integer\nt_last = last_step*dt : second" if self.sends else ""
        exc = self.neuron.build(
            self.n_neurons,
            name=f"{self.prefix}exc",
            dt=self.dt,
            rng=np.random.default_rng(0),
            extra=f"""
            learning : integer (shared, constant)
            w_total : 1 (constant)
            w_sum : 1
            changed : 1
            renormalise : 1
            spiked : 1
            {sends}""",
            extra_reset="changed = 1\nspiked = 1" + ("\nlast_step = t_in_timesteps" if self.sends else ""),
            events={"renormalise": "renormalise > 0.5"},
        )
        exc.learning = 1
        exc.changed = 1
        if self.sends:
            exc.last_step = -NEVER
        exc.run_regularly(self._fresh_presentation(), clock=presentation, when="before_groups", order=-2)
        shown = EventMonitor(control, "presentation", ["sample", "intensity"], name=f"{self.prefix}presentations")
        at(control.thresholder["presentation"], presentation, -4)
        objects = [control, inputs, exc, SpikeMonitor(exc, name=f"{self.prefix}spikes"), at(shown, presentation, -3)]
        objects += self._declared(inputs, exc, presentation)
        objects += lateral_inhibition(
            control, exc, presentation, self.dt, self.inhibition, self.inhibitory, self.prefix
        )
        return objects

    def _control(self, others: Sequence[str]) -> NeuronGroup:
        shown = TimedArray(np.zeros(self.batch_size + 1), dt=1 * second, name=f"{self.prefix}shown")
        control = NeuronGroup(
            1,
            """
            sample : integer
            n_samples : integer
            retries : integer
            step : integer
            n_presentations : integer
            n_spikes : integer
            n_recent : integer
            intensity : 1
            finished : integer
            quiet : integer
            again : integer
            result : integer
            learning : integer (shared, constant)
            g_inh : 1 (shared, constant)
            min_spikes : integer (shared, constant)
            """
            + "\n".join(f"quiet_{name} : integer (linked)" for name in others),
            threshold="n_recent > 0",
            reset="n_recent = 0",
            events={"presentation": "i >= 0"},
            namespace={**FUNCTIONS, "n_total": self.n_total, "max_retries": self.max_retries, "shown": shown},
            dt=self.dt,
            name=f"{self.prefix}control",
        )
        control.intensity = 1
        control.learning = 1
        control.min_spikes = self.min_spikes
        count = """
            step += 1
            finished = int(step >= n_total)
            quiet = finished*int(n_spikes < min_spikes*shown(sample*second))*int(retries < max_retries)
            quiet = quiet*int(intensity > 0)"""
        advance = f"""
            again = int({" + ".join(["quiet", *(f"quiet_{name}" for name in others)])} > 0)
            retries = (1 - finished)*retries + again*(retries + 1)
            sample += finished*(1 - again)
            intensity = (1 - finished)*intensity + finished*(1 - again + quiet*(intensity + 0.5))
            n_presentations += finished
            n_spikes = (1 - finished)*n_spikes
            n_recent = (1 - finished*(1 - learning))*n_recent
            step = (1 - finished)*step
            result = stop_if(int(sample >= n_samples))"""
        for order, statements in enumerate([count, advance] if others else [count + advance]):
            control.run_regularly(statements, dt=self.dt, when="end", order=order)
        return control

    def _input(self, control: NeuronGroup, presentation: Clock) -> NeuronGroup:
        table = np.zeros((self.batch_size * self.n_frames, self.n_input))
        samples = TimedArray(table, dt=1 * second, name=f"{self.prefix}samples")
        next_step = re.sub(r"\bstep\b", "t_in_timesteps", self.encoding.next_step)
        n_frame = self.n_on // self.n_frames
        frames = presentation if self.n_frames == 1 else Clock(n_frame * self.dt, name=f"{self.prefix}frames")
        inputs = NeuronGroup(
            self.n_input,
            """
            drive : 1
            next_step : integer
            last_step : integer
            draw : integer
            seed_ : integer (shared, constant)
            learning : integer (shared, constant)
            frame : integer (shared)
            end_step : integer (shared)
            start_step : integer (shared)
            t_last = last_step*dt : second
            sample : integer (linked)
            intensity : 1 (linked)""",
            threshold="next_step == t_in_timesteps",
            reset=f"""
            next_step = {next_step}
            next_step = int(next_step < end_step)*next_step + int(next_step >= end_step)*never
            draw += 1
            last_step = t_in_timesteps""",
            namespace={
                **FUNCTIONS,
                "samples": samples,
                "n_frames": self.n_frames,
                "n_frame": n_frame,
                "n_total": self.n_total,
                "step_width": float(self.dt),
                "never": NEVER,
            },
            dt=self.dt,
            name=f"{self.prefix}input",
        )
        inputs.sample = linked_var(control, "sample")
        inputs.intensity = linked_var(control, "intensity")
        inputs.learning = 1
        inputs.last_step = -NEVER
        inputs.next_step = -NEVER
        inputs.run_regularly(
            f"""
            start_step = int(t/second/step_width + 0.5)
            frame = start_step % n_total // n_frame
            end_step = start_step + n_frame*int(frame < n_frames)
            draw = draw*(1 - (1 - learning)*int(frame == 0))
            drive = {self.encoding.drive}
            next_step = {self.encoding.first_step}
            next_step = int(next_step < end_step)*next_step + int(next_step >= end_step)*never
            draw += 1""",
            clock=frames,
            when="before_groups",
            order=-2,
        )
        return inputs

    def _fresh_presentation(self) -> str:
        """Mark the columns to normalise; at inference put the neurons to rest, so that each sample stands alone."""
        lines = ["renormalise = changed*learning", "changed = 0", "w_sum = 0", "spiked = spiked*learning"]
        lines += self.neuron.at_rest_unless("learning")
        return "\n".join(lines)

    def _declared(self, inputs: NeuronGroup, exc: NeuronGroup, presentation: Clock) -> list[Any]:
        """Plastic synapses as Brian2 Synapses; two more pathways normalise the columns that changed."""
        synapses = self.synapse.build(
            inputs,
            exc,
            variable="g_e",
            name=f"{self.prefix}input_to_exc",
            dt=self.dt,
            on_event={
                "total": ("renormalise", "w_sum_post += w"),
                "scale": ("renormalise", "w = w*w_total_post/clip(w_sum_post, 1e-12, inf)"),
            },
        )
        self._connect(synapses)
        synapses.post.order, synapses.pre.order = 0, 1
        threshold = exc.thresholder["renormalise"]
        for order, runner in enumerate((threshold, synapses.total, synapses.scale), start=-1):
            at(runner, presentation, order)
        return [synapses]

    def _connect(self, synapses: Synapses) -> None:
        if self.connections is None:
            synapses.connect()
        else:
            synapses.connect(i=self.connections[0], j=self.connections[1])
        self.synapse.initialise(synapses, self.n_synapses, np.random.default_rng(0))
