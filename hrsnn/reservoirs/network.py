"""The recurrent network: a coded series drives spiking neurons; their state may drive the next step of the series.

One compiled program serves every network of its size: parameters, weights and the wiring itself come from files.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import (
    Clock,
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
from brian2.core.functions import Function
from brian2.equations.equations import Equations
from brian2.units.fundamentalunits import get_dimensions

from hrsnn.inputs import codes
from hrsnn.inputs.codes import SeriesCode
from hrsnn.laws import Law, Uniform
from hrsnn.reservoirs import closed_loop, in_flight
from hrsnn.reservoirs.closed_loop import at, feedback, weight_sizes
from hrsnn.reservoirs.in_flight import Ring, send_later
from hrsnn.simulation.brian2_hooks import pathways
from hrsnn.simulation.engine import Blueprint
from hrsnn.simulation.functions import FUNCTIONS, NEVER
from hrsnn.simulation.model import NeuronModel, SynapseModel

__all__ = ["RecurrentNetwork", "capacity"]

PROJECTIONS = ("inputs", "excitation", "inhibition")
# What happens at the start of a step of the series, in this order, before the first time step of the simulation.
SAMPLE, RECORD, SUM, HIDDEN, OUTPUT, ADVANCE, FRESH, ENCODE, DRIVE = range(-13, -4)


_REWIRE = """
static int _rewire(int k)
{{   // Brian2 fills the spike queues before the wiring is read from its file: fill them again.
    if (k == 0)
    {{
        double delay = 0;
        {calls}
    }}
    return k;
}}
"""
_REWIRE_ONE = "brian::{0}.prepare({1}, {2}, &delay, 1, brian::{0}.sources.data(), brian::{0}.sources.size(), {3!r});"


def capacity(n: int) -> int:
    """Return the room for ``n`` synapses: 1024, or up to a half more, so that few programs serve many networks."""
    quantum = 1 << max(0, int(n).bit_length() - 2)  # two sizes an octave: seeds differ by some percent
    return max(1024, -(-n // quantum) * quantum)


@dataclass(frozen=True)
class RecurrentNetwork:
    """Input neurons with a `SeriesCode`, recurrent neurons, and a readout that can close the loop.

    A step of the series lasts ``n_total`` time steps. At its start the value ``u`` of each feature is taken from the
    table (forced) or from the readout of the neurons' state (free), and the inputs take the rates of ``u``. Features
    of the state are ``filters`` exponentially filtered spike trains of each neuron (filtered twice if ``smooth``), then
    its membrane potential (``membrane``), its synaptic current (``current``), then the squares of all of these
    (``squares``). With ``slots`` every synapse has a delay, ``lag`` time steps of the simulation (see `in_flight`).

    The last neuron and the last input are spare: they never fire, and synapses in excess of the wiring join them.

    Parameters
    ----------
    n_features, n_neurons : int
        Features of the series, and neurons without the spare one.
    neuron : NeuronModel
        Model of the neurons.
    own : tuple of str
        Parameters of which each neuron has its own value.
    synapse : SynapseModel
        Model of the synapses; ``plastic_inhibition`` tells whether also of those from inhibitory neurons.
    static : SynapseModel
        Model of the synapses that do not learn.
    code : SeriesCode
    sizes : (int, int, int)
        Room for synapses from inputs, from excitatory and from inhibitory neurons (see `capacity`).
    dt : Quantity (second)
        Time step.
    block : int
        Steps of the series in one run, at most.
    hidden : int
        Units of tanh between the state and the series, beside the affine readout.
    slots : int
        Time steps that currents on their way can wait, 0 if no synapse has a delay.
    """

    n_features: int
    n_neurons: int
    neuron: NeuronModel
    own: tuple[str, ...]
    synapse: SynapseModel
    static: SynapseModel
    code: SeriesCode
    sizes: tuple[int, int, int]
    dt: Quantity
    block: int
    filters: int = 1
    smooth: bool = False
    membrane: bool = False
    squares: bool = False
    plastic_inhibition: bool = True
    hidden: int = 0
    current: bool = False
    slots: int = 0

    @property
    def n_total(self) -> int:
        """Time steps of a step of the series."""
        return round(float(self.code.step / self.dt))

    @property
    def n_inputs(self) -> int:
        """Input neurons without the spare one."""
        return self.n_features * self.code.inputs_per_feature

    @property
    def recorded(self) -> tuple[str, ...]:
        """Variables of the neurons of which the features are made."""
        filtered = "y" if self.smooth else "x"
        further = [*(["v"] if self.membrane else []), *(["i_syn"] if self.current else [])]
        return (*(f"{filtered}_{k}" for k in range(self.filters)), *further)

    @property
    def traces(self) -> tuple[str, ...]:
        """Variables that filter the spikes: ``x_k`` once, ``y_k`` twice."""
        return tuple(f"{name}_{k}" for name in ("xy" if self.smooth else "x") for k in range(self.filters))

    @property
    def powers(self) -> tuple[tuple[str, int], ...]:
        """Variable and exponent of each feature of a neuron, in their order."""
        return tuple((name, power) for power in ((1, 2) if self.squares else (1,)) for name in self.recorded)

    def models(self) -> dict[str, SynapseModel]:
        """Return the synapse model of each projection."""
        inhibition = self.synapse if self.plastic_inhibition else self.static
        return {"inputs": self.synapse, "excitation": self.synapse, "inhibition": inhibition}

    def target(self, sign: str) -> str:
        """Return the neurons' variable that excitation ("e") or inhibition ("i") drives."""
        names = Equations(self.neuron.equations).names
        return f"i_{sign}" if f"i_{sign}" in names else f"g_{sign}"

    def carried(self) -> tuple[str, ...]:
        """Names of the variables that a block hands to the next."""
        neuron = [*self.neuron.rest, *self.neuron.start, *(["refractory_left"] if self.neuron.refractory else [])]
        names = [f"neurons.{name}" for name in (*neuron, *self.traces)]
        for projection, model in self.models().items():
            names += [f"{projection}.{name}" for name in Equations(model.equations).names]
            names += [f"{projection}.lastupdate"] if _event_driven(model) else []
        names += [f"neurons.{name}" for name in self.flying]
        return (*names, "input.phase", "input.draw", "series.u")

    @property
    def flying(self) -> tuple[str, ...]:
        """Variables of the neurons that hold currents on their way, of shape (slots, n_neurons + 1)."""
        return ("arriving_e", "arriving_i") if self.slots else ()

    def blueprint(self) -> Blueprint:
        """Return what the engine builds."""
        settings = (
            self.n_features, self.n_neurons, self.own, self.code.program(), self.sizes, self.dt, self.block,
            self.filters, self.smooth, self.membrane, self.squares, self.plastic_inhibition, self.hidden,
            self.current, self.slots,
        )  # fmt: skip
        models = (self._declared(), self.synapse, self.static)
        sizes: dict[str, int] = {}
        for (projection, model), size in zip(self.models().items(), self.sizes, strict=True):
            names = ["_synaptic_pre", "_synaptic_post", *Equations(model.equations).names, *model.heterogeneous]
            names += ["lastupdate"] if _event_driven(model) else []
            names += ["lag"] if self.slots else []
            sizes |= {f"{projection}.{name}": size for name in names}
        weights = weight_sizes(self.n_neurons, self.n_features, len(self.powers), self.hidden)
        if self.code.current:
            weights["currents.w_0"] = self.n_features * self.n_neurons
        return Blueprint(
            build=self.build,
            duration=self.block * self.n_total * self.dt,
            signature="\n".join([*(model.code() for model in models), *map(repr, settings)]),
            sizes={**sizes, **weights},
            sources=(sys.modules[__name__], codes, closed_loop, in_flight),
        )

    def build(self) -> Network:
        """Return the Brian2 network, with ``control``, ``series``, ``input``, ``neurons`` and the projections."""
        sampling = Clock(self.n_total * self.dt, name="sampling")
        control = self._control()
        schedule = TimedArray(np.zeros((self.block, 2)), dt=1 * second, name="schedule")
        series = self._series(control, schedule, sampling)
        inputs = self._input(series, control, schedule, sampling)
        neurons = self._neurons(control, schedule, sampling)
        flight = self._flight(neurons, sampling)
        objects = [control, series, inputs, neurons, SpikeMonitor(neurons, name="spikes")]
        for (projection, model), size in zip(self.models().items(), self.sizes, strict=True):
            source = inputs if projection == "inputs" else neurons
            sign = "i" if projection == "inhibition" else "e"
            delayed: dict[str, Any] = {}
            if self.slots:
                delayed = {"extra": "lag : integer (constant)", "on_pre": send_later(model.on_pre, sign)}
            synapses = model.build(source, neurons, variable=self.target(sign), name=projection, dt=self.dt, **delayed)
            synapses.namespace = {**synapses.namespace, **flight}
            synapses.connect(i=np.full(size, source.N - 1), j=np.full(size, self.n_neurons))
            model.initialise(synapses, size, np.random.default_rng(0))
            if model.rest:
                code = [
                    f"{name} = {name}*(1 - fresh_post) + ({value})*fresh_post" for name, value in model.rest.items()
                ]
                synapses.run_regularly("\n".join(code), clock=sampling, when="before_groups", order=DRIVE)
            for end in ("_synaptic_pre", "_synaptic_post"):  # the wiring is state too
                synapses.variables[end].read_only = False
            objects.append(synapses)
        if self.code.current:
            objects.append(self._currents(series, neurons, sampling))
        orders = (SUM, HIDDEN, OUTPUT)
        objects += feedback(neurons, series, self.powers, self.hidden, sampling, orders, self.dt)
        control.namespace["rewire"] = self._rewire(objects)
        control.run_regularly("result = rewire(k)", clock=sampling, when="before_groups", order=SAMPLE)
        objects.append(at(EventMonitor(neurons, "sample", self.recorded, name="states"), sampling, RECORD))
        objects.append(at(EventMonitor(series, "sample", ["u"], name="values"), sampling, ENCODE))
        return Network(*objects)

    def _control(self) -> NeuronGroup:
        control = NeuronGroup(
            1,
            "step : integer\nk : integer\nn_samples : integer\nresult : integer",
            namespace={**FUNCTIONS, "n_total": self.n_total},
            dt=self.dt,
            name="control",
        )
        control.run_regularly(
            """
            step += 1
            k += int(step >= n_total)
            step = int(step < n_total)*step
            result = stop_if(int(k >= n_samples))""",
            dt=self.dt,
            when="end",
        )
        return control

    def _series(self, control: NeuronGroup, schedule: TimedArray, sampling: Clock) -> NeuronGroup:
        """Return the values of the series; ``schedule`` tells of each step whether it is forced, and fresh."""
        table = TimedArray(np.zeros((self.block, self.n_features)), dt=1 * second, name="samples")
        series = NeuronGroup(
            self.n_features,
            "u : 1\nbias : 1\ny_state : 1\ny_input : 1\ny_hidden : 1\nforced : 1\nk : integer (linked)",
            events={"sample": "i >= 0"},
            namespace={**FUNCTIONS, "schedule": schedule, "samples": table},
            dt=self.dt,
            name="series",
        )
        series.k = linked_var(control, "k")
        at(series.thresholder["sample"], sampling, SAMPLE)
        advance = """
            forced = schedule(k*second, 0)
            u = forced*samples(k*second, i) + (1 - forced)*clip(bias + y_state + y_input + y_hidden, 0, 1)"""
        series.run_regularly(advance, clock=sampling, when="before_groups", order=ADVANCE)
        return series

    def _input(self, series: NeuronGroup, control: NeuronGroup, schedule: TimedArray, sampling: Clock) -> NeuronGroup:
        constants = self.code.constants(self.n_features)
        names = [name for name in constants if name != "feature"]
        regular = self.code.spikes == "regular"
        firing = (
            dict(threshold="phase >= 1", reset="phase -= 1")
            if regular
            else dict(
                threshold="next_step == t_in_timesteps",
                reset="next_step = t_in_timesteps + poisson_gap(drive, seed_, i, draw)\ndraw += 1",
            )
        )
        inputs = NeuronGroup(
            self.n_inputs + 1,
            "\n".join(
                [
                    "drive : 1\nphase : 1\nnext_step : integer\ndraw : integer\nseed_ : integer (shared, constant)",
                    "u : 1 (linked)\nk : integer (linked)\nfresh : integer",
                    *(f"{name} : 1 (constant)" for name in names),
                ]
            ),
            **firing,
            namespace={**FUNCTIONS, "schedule": schedule, "step_width": float(self.dt)},
            dt=self.dt,
            name="input",
        )
        inputs.u = linked_var(series, "u", index=np.append(constants["feature"], 0))
        inputs.k = linked_var(control, "k")
        for name in names:
            spare = 0.0 if name == "peak" else 1.0
            setattr(inputs, name, np.append(constants[name], spare))
        inputs.phase = "phase_start"
        inputs.next_step = NEVER
        gap = "next_step = int(t/second/step_width + 0.5) + poisson_gap(drive, seed_, i, draw) - 1\ndraw += 1"
        inputs.run_regularly(
            f"""
            fresh = int(schedule(k*second, 1) > 0.5)
            phase = fresh*phase_start + (1 - fresh)*phase
            draw = (1 - fresh)*draw
            drive = step_width*{self.code.rate}
            {"" if regular else gap}""",
            clock=sampling,
            when="before_groups",
            order=ENCODE,
        )
        if regular:
            inputs.run_regularly("phase += drive", dt=self.dt, when="groups")
        return inputs

    def _declared(self) -> NeuronModel:
        """Return the neurons' model with a law, whichever, for every parameter that each neuron has for itself.

        The values are state: homogeneous and heterogeneous neurons share the program.
        """
        laws = {name: _any_law(self.neuron.parameters[name]) for name in self.own}
        return type(self.neuron)(**{**self.neuron.parameters, **laws})

    def _neurons(self, control: NeuronGroup, schedule: TimedArray, sampling: Clock) -> NeuronGroup:
        filters = range(self.filters)
        model = self._declared()
        neurons = model.build(
            self.n_neurons + 1,
            name="neurons",
            dt=self.dt,
            rng=np.random.default_rng(0),
            extra="\n".join(
                [
                    *(f"dx_{k}/dt = -x_{k}/tau_x_{k} : 1\ntau_x_{k} : second (shared, constant)" for k in filters),
                    *(f"dy_{k}/dt = (x_{k} - y_{k})/tau_x_{k} : 1" for k in filters if self.smooth),
                    "fresh : integer\nk : integer (linked)",
                    *(["bias : 1 (constant)\ncurrent : 1"] if self.code.current else []),
                    *(["i_syn = i_e - i_i : 1"] if self.current else []),
                ]
            ),
            varying=("drive",) if self.code.current else (),
            extra_reset="\n".join(f"x_{k} += 1" for k in filters),
            events={"sample": "i >= 0"},
        )
        neurons.k = linked_var(control, "k")
        for k in filters:
            setattr(neurons, f"tau_x_{k}", 1 * second)
        neurons.namespace = {**neurons.namespace, "schedule": schedule}  # not into the one that all groups share
        at(neurons.thresholder["sample"], sampling, SAMPLE)
        rest = {**self.neuron.rest, **self.neuron.start, **dict.fromkeys(self.traces, "0")}
        lines = ["fresh = int(schedule(k*second, 1) > 0.5)"]
        lines += [f"{name} = {name}*(1 - fresh) + ({value})*fresh" for name, value in rest.items()]
        if self.neuron.refractory:
            lines.append("refractory_left = refractory_left*(1 - fresh)")
        neurons.run_regularly("\n".join(lines), clock=sampling, when="before_groups", order=FRESH)
        return neurons

    def _flight(self, neurons: NeuronGroup, sampling: Clock) -> dict[str, Function]:
        """Let the neurons take the currents that arrive; return the functions of the synapses."""
        if not self.slots:
            return {}
        functions = Ring(neurons, self.slots).functions()
        neurons.namespace = {**neurons.namespace, **functions}
        take = [f"{self.target(sign)} += take_{sign}(t_in_timesteps, i)" for sign in "ei"]
        neurons.run_regularly("\n".join(take), dt=self.dt, when="synapses", order=1)
        drop = [f"dropped_{sign} = drop_{sign}(fresh, i)" for sign in "ei"]
        neurons.run_regularly("\n".join(drop), clock=sampling, when="before_groups", order=DRIVE)
        return functions

    def _rewire(self, objects: list[Any]) -> Function:
        """Return the function that fills the spike queues of the projections: only in C++ are they filled too early."""
        paths = [path for obj in objects if obj.name in PROJECTIONS for path in pathways(obj)]
        calls = [_REWIRE_ONE.format(path.name, path.source.N, path.target.N, float(self.dt)) for path in paths]
        rewire = Function(
            _same, arg_units=[1], return_unit=1, return_type="integer", arg_types=["integer"], stateless=False
        )
        code = _REWIRE.format(calls="\n        ".join(calls))
        rewire.implementations.add_implementation("cpp", code, name="_rewire")
        same = "static inline __device__ int _rewire(int k) { return k; }"  # a CUDA program reads its wiring in time
        rewire.implementations.add_implementation("cuda", same, name="_rewire")
        rewire.implementations.add_implementation("cython", "cdef int _rewire(int k):\n    return k", name="_rewire")
        return rewire

    def _currents(self, series: NeuronGroup, neurons: NeuronGroup, sampling: Clock) -> Synapses:
        """Return the sums of the values, centred, that drive each neuron during a step beside its bias."""
        currents = Synapses(
            series,
            neurons,
            "w_0 : 1 (constant)\ncurrent_post = w_0*(2*u_pre - 1) : 1 (summed)",
            dt=self.dt,
            name="currents",
        )
        i, j = np.divmod(np.arange(self.n_features * self.n_neurons), self.n_neurons)
        currents.connect(i=i, j=j)
        at(currents.summed_updaters["current_post"], sampling, ENCODE)
        neurons.run_regularly("drive = bias + current", clock=sampling, when="before_groups", order=DRIVE)
        return currents


def _same(k: int) -> int:
    return k


def _any_law(value: Any) -> Law:
    """Return the law itself, or one of the same unit as a number."""
    return value if isinstance(value, Law) else Uniform(value, value + Quantity(1, dim=get_dimensions(value)))


def _event_driven(model: SynapseModel) -> bool:
    return "event-driven" in model.equations
