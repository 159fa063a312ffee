"""Present samples to a network: block after block, learning or frozen, the state carried as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from hrsnn.simulation.engine import Engine, engine
from hrsnn.simulation.functions import NEVER
from hrsnn.simulation.model import Model, SynapseModel
from hrsnn.stdp import dense_kernel, dense_program
from hrsnn.stdp.coupling import CoupledNetwork
from hrsnn.stdp.presentation import PresentationNetwork

__all__ = ["Presenter", "Response", "UnhealthyNetwork", "has_input"]

FEWEST_TO_JUDGE = 10  # samples without a spike that show a silent network, not a blank sample

Samples = np.ndarray | Sequence[np.ndarray]


class UnhealthyNetwork(RuntimeError):
    """A network is silent, fires without end, or has weights that are NaN."""


class Response(NamedTuple):
    """What a network answers to samples.

    Attributes
    ----------
    counts : array of shape (n_samples, n_neurons)
        Spike counts of each sample's last presentation: what is read out.
    spikes : array of shape (n_samples,)
        Spikes of all neurons in all presentations of a sample: what it costs.
    presentations : array of shape (n_samples,)
        How often each sample was shown.
    """

    counts: np.ndarray
    spikes: np.ndarray
    presentations: np.ndarray

    @classmethod
    def join(cls, parts: Iterable[Response]) -> Response:
        """Return the response to all samples from those to blocks of them."""
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    @classmethod
    def beside(cls, groups: Sequence[Response]) -> Response:
        """Return the response of networks side by side: all their neurons, and the most presentations."""
        counts, spikes, presentations = zip(*groups, strict=True)
        return cls(np.hstack(counts), np.sum(spikes, axis=0), np.max(presentations, axis=0))


class Presenter:
    """A compiled network with its parameter values, ready to learn from samples or to respond to them.

    Samples are arrays of shape (n_samples, n_inputs), encoded; for several ensembles a sequence of such arrays.

    Parameters
    ----------
    network : PresentationNetwork or CoupledNetwork
    values : mapping of str to number, Quantity or array
        Parameters under ``group.variable``; they do not belong to the compiled code.
    seed : int
        Seed of the input spikes, unless ``values`` has one for each ensemble.
    backend : str, optional
        Back end, as in ``hrsnn.simulation.engine.engine``.
    """

    def __init__(
        self,
        network: PresentationNetwork | CoupledNetwork,
        values: Mapping[str, Any],
        seed: int = 0,
        backend: str | None = None,
    ):
        self.network = network
        self.values = {name: np.asarray(value) for name, value in values.items()}
        self.seed = seed
        blueprint = network.blueprint()
        if dense_kernel.runs(network):
            sources = (*blueprint.sources, dense_kernel, dense_program)
            blueprint = replace(blueprint, sources=sources, program=partial(dense_kernel.program, network))
        self.engine: Engine = engine(blueprint, backend)

    @property
    def carried(self) -> tuple[str, ...]:
        """Names of the variables that a block hands to the next."""
        return self.network.carried

    def initial(self) -> dict[str, np.ndarray]:
        """Return the first values of the neurons' variables, from the parameter values.

        A program in the cache holds those of the values that it was first compiled with.
        """
        first = {}
        for part in self.network.parts:
            groups = [("exc", part.neuron), *([("inh", part.inhibitory)] if part.inhibitory is not None else [])]
            for group, model in groups:
                group = part.prefix + group
                known = {name: self.values.get(f"{group}.{name}", value) for name, value in model.parameters.items()}
                for variable, text in {**model.rest, **model.start}.items():
                    value = known[text] if text in known else float(text)
                    first[f"{group}.{variable}"] = np.full(part.n_neurons, np.asarray(value, dtype=float))
        return first

    def learn(
        self, samples: Samples, state: Mapping[str, np.ndarray], values: Mapping[str, Any] | None = None
    ) -> tuple[dict, np.ndarray]:
        """Show samples with plasticity and homeostasis on.

        Parameters
        ----------
        samples : array of shape (n_samples, n_inputs), or a sequence of them
            Encoded samples, at most ``network.batch_size``.
        state : mapping of str to array
            State to start from: the last block's, or just ``input_to_exc.w``; what is missing is at its start.
        values : mapping of str to number or array, optional
            Parameters for this block alone, e.g. ``input_to_exc.eta``.

        Returns
        -------
        state : dict of str to array
        counts : array of shape (n_samples, n_neurons)
            Spike counts of each sample's last presentation.

        Raises
        ------
        RuntimeError
            If the weights become NaN, or the network is silent or fires without end.
        """
        blocks = _each(samples)
        inputs = {**self._inputs(samples, learning=1), **self.initial(), **state, **(values or {})}
        return self._learn(inputs, blocks)

    def settle(self, samples: Samples, state: Mapping[str, np.ndarray]) -> tuple[dict, np.ndarray]:
        """Show samples with homeostasis on and the weights fixed, so that thresholds adapt to them.

        Parameters
        ----------
        samples, state
            As in ``learn``.

        Returns
        -------
        state, counts
            As from ``learn``; the weights are those given.
        """
        inputs = {**self._inputs(samples, learning=1), **self.initial(), **state}
        for part in self.network.parts:
            totals = part.matrix(np.asarray(state[f"{part.prefix}input_to_exc.w"])).sum(axis=0)
            inputs[f"{part.prefix}exc.w_total"] = totals  # what the weights have: normalisation leaves them
        new, counts = self._learn(inputs | self._frozen(self._synapses()), _each(samples))
        return {**new, **{f"{name}.w": state[f"{name}.w"] for name in self._synapses()}}, counts

    def _learn(
        self, inputs: Mapping[str, np.ndarray], blocks: Sequence[np.ndarray]
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        result = self.engine.run(inputs, (*self.carried, *self.network.recorded))
        counts = self._response(result, len(blocks[0])).counts
        new = {name: result[name] for name in self.carried}
        for part, block in zip(self.network.parts, blocks, strict=True):
            n_steps = int(result[f"{part.prefix}control.n_presentations"][0]) * self.network.n_total
            for name in (f"{part.prefix}input.last_step", f"{part.prefix}exc.last_step"):
                if name in new:
                    new[name] = np.maximum(new[name] - n_steps, -NEVER)
            self._check_health(part, result, len(block))
        if not all(np.isfinite(value).all() for name, value in new.items() if name.endswith(".w")):
            raise UnhealthyNetwork(
                "Weights have become NaN. Lower the learning rate of the synapse, or check its bounds."
            )
        return new, counts

    def respond(
        self, samples: Samples, state: Mapping[str, np.ndarray], n_jobs: int = 1, min_spikes: int | None = None
    ) -> Response:
        """Show samples to the frozen network. The response to a sample does not depend on the others.

        Parameters
        ----------
        samples : array of shape (n_samples, n_inputs), or a sequence of them
            Encoded samples, any number.
        state : mapping of str to array
            Weights and thresholds; neurons start each sample at rest.
        n_jobs : int
            Processes side by side, where the back end has processes.
        min_spikes : int, optional
            A sample that draws fewer is shown again; as the network was declared if None.

        Returns
        -------
        Response
            The neurons of several ensembles stand one after another.
        """
        neurons = {f"{part.prefix}exc": part.neuron for part in self.network.parts}
        kept = [f"{group}.{name}" for group, neuron in neurons.items() for name in neuron.start]
        kept += [f"{name}.w" for name in self._synapses()]
        frozen = {**self.initial(), **{name: state[name] for name in kept if name in state}}
        frozen |= self._frozen({**neurons, **self._synapses()})
        least = {part.prefix: part.min_spikes if min_spikes is None else min_spikes for part in self.network.parts}
        frozen |= {f"{prefix}control.min_spikes": np.asarray(value) for prefix, value in least.items()}
        arrays, size = _each(samples), self.network.batch_size
        starts = range(0, len(arrays[0]), size)
        blocks = [[array[start : start + size] for array in arrays] for start in starts]
        states = [{**self._inputs(block, learning=0), **frozen} for block in blocks]
        results = self.engine.run_many(states, self.network.recorded, n_jobs)
        sizes = [len(block[0]) for block in blocks]
        return Response.join(self._response(*pair) for pair in zip(results, sizes, strict=True))

    def _synapses(self) -> dict[str, SynapseModel]:
        """Return the plastic projections and their models."""
        inputs = {f"{part.prefix}input_to_exc": part.synapse for part in self.network.parts}
        return inputs | {coupling.name: coupling.synapse for coupling in self.network.couplings}

    def _frozen(self, models: Mapping[str, Model]) -> dict[str, np.ndarray]:
        """Return the parameters that stop models from changing."""
        still = {f"{group}.{name}": value for group, model in models.items() for name, value in model.frozen.items()}
        return {name: np.full_like(self.values[name], float(value), dtype=float) for name, value in still.items()}

    def _inputs(self, samples: Samples, learning: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        for part, block in zip(self.network.parts, _each(samples), strict=True):
            table = np.zeros((part.batch_size, part.n_frames * part.n_input))
            table[: len(block)] = block
            shown = np.zeros(part.batch_size + 1)
            shown[: len(block)] = has_input(part, block)
            groups = ("input", "exc", "control", *(["inh"] if part.inhibitory is not None else []))
            values: dict[str, Any] = {f"{group}.learning": learning for group in groups}
            values |= {"samples.values": table, "shown.values": shown, "control.n_samples": len(block)}
            own |= {f"{part.prefix}{name}": value for name, value in values.items()}
        seeds = {f"{part.prefix}input.seed_": self.seed for part in self.network.parts}
        return {**seeds, **self.values, **own}

    def _response(self, result: Mapping[str, np.ndarray], n_samples: int) -> Response:
        """Sort the spikes by sample: an ensemble's answer is that to the last presentation in which it had input."""
        shown = [self._shown(part, result) for part in self.network.parts]
        sample = shown[0][0]  # the same for all ensembles
        if not np.array_equal(np.unique(sample), np.arange(n_samples)):
            raise RuntimeError(
                f"The run showed {len(np.unique(sample))} of {n_samples} samples. This is a bug: please report it."
            )
        counts = [self._counts(part, result) for part in self.network.parts]
        answers = []
        for each, (_, intensity) in zip(counts, shown, strict=True):
            last = np.zeros(n_samples, dtype=int)
            perceived = np.flatnonzero(intensity > 0)
            last[sample[perceived]] = perceived
            answers.append(each[last])
        spikes = np.bincount(sample, np.sum([each.sum(axis=1) for each in counts], axis=0))
        return Response(np.hstack(answers).astype(np.uint16), spikes.astype(int), np.bincount(sample))

    @staticmethod
    def _shown(part: PresentationNetwork, result: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the sample and the intensity of each presentation."""
        n_presentations = int(result[f"{part.prefix}control.n_presentations"][0])
        sample = result[f"{part.prefix}presentations.sample"][:n_presentations].astype(int)
        return sample, result[f"{part.prefix}presentations.intensity"][:n_presentations]

    def _counts(self, part: PresentationNetwork, result: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the spikes of each neuron in each presentation, array of shape (n_presentations, n_neurons)."""
        n_presentations = int(result[f"{part.prefix}control.n_presentations"][0])
        width = part.n_total * float(part.dt)
        presentation = np.floor(result[f"{part.prefix}spikes.t"] / width + 0.5 / part.n_total).astype(int)
        index = presentation * part.n_neurons + result[f"{part.prefix}spikes.i"]
        return np.bincount(index, minlength=n_presentations * part.n_neurons).reshape(n_presentations, part.n_neurons)

    def _check_health(self, part: PresentationNetwork, result: Mapping[str, np.ndarray], n: int) -> None:
        who = f"The ensemble {part.name!r}" if part.name else "The network"
        n_presentations = int(result[f"{part.prefix}control.n_presentations"][0])
        spikes = len(result[f"{part.prefix}spikes.i"]) / n_presentations
        if spikes == 0 and n >= FEWEST_TO_JUDGE:
            raise UnhealthyNetwork(
                f"{who} is silent: no spike in {n_presentations} presentations. Raise the rate of the encoder or "
                "w_total, lower the threshold of the neuron, and check that the samples are not all near zero."
            )
        neuron = part.neuron
        held = float(np.mean(self.values[f"{part.prefix}exc.{neuron.refractory}"])) if neuron.refractory else 0.0
        most = part.n_neurons * part.n_total * float(part.dt) / (held + float(part.dt))
        if spikes > 0.5 * most:
            raise UnhealthyNetwork(
                f"{who} fires without end: {spikes:.0f} spikes a presentation, at most {most:.0f} are possible. "
                "Check lateral inhibition, lower w_total or the rate of the encoder, or raise theta_plus."
            )


def _each(samples: Samples) -> Sequence[np.ndarray]:
    return (samples,) if isinstance(samples, np.ndarray) else samples


def has_input(part: PresentationNetwork, block: np.ndarray) -> np.ndarray:
    """Tell which encoded samples have input: one without is not shown again, however few spikes it draws."""
    return (block != part.encoding.silent).any(axis=1)
