"""Present samples to a network: block after block, learning or frozen, the state carried as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from hrsnn.build import PresentationNetwork
from hrsnn.engine import Engine, engine
from hrsnn.functions import NEVER

__all__ = ["Presenter", "Response"]

FEWEST_TO_JUDGE = 10  # samples without a spike that show a silent network, not a blank sample
RECORDED = ("spikes.i", "spikes.t", "control.n_presentations")


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


class Presenter:
    """A compiled network with its parameter values, ready to learn from samples or to respond to them.

    Parameters
    ----------
    network : PresentationNetwork
    values : mapping of str to number, Quantity or array
        Parameters under ``group.variable``; they do not belong to the compiled code.
    seed : int
        Seed of the input spikes.
    backend : str, optional
        Back end, as in ``hrsnn.engine.engine``.
    """

    def __init__(self, network: PresentationNetwork, values: Mapping[str, Any], seed: int, backend: str | None = None):
        self.network = network
        self.values = {name: np.asarray(value) for name, value in values.items()}
        self.seed = seed
        self.engine: Engine = engine(network.blueprint(), backend)

    @property
    def carried(self) -> tuple[str, ...]:
        """Names of the variables that a block hands to the next."""
        neuron = self.network.neuron
        names = [*neuron.rest, *neuron.start, *(["refractory_left"] if neuron.refractory else []), "changed", "spiked"]
        carried = [f"exc.{name}" for name in names]
        if self.network.inhibitory is not None:
            carried += [f"inh.{name}" for name in (*self.network.inhibitory.rest, "refractory_left")]
        return ("input_to_exc.w", *carried, "input.last_step", "input.draw", "control.n_recent")

    def initial(self) -> dict[str, np.ndarray]:
        """Return the first values of the neurons' variables, from the parameter values.

        A program in the cache holds those of the values that it was first compiled with.
        """
        groups = [("exc", self.network.neuron)]
        if self.network.inhibitory is not None:
            groups.append(("inh", self.network.inhibitory))
        first = {}
        for group, model in groups:
            known = {name: self.values.get(f"{group}.{name}", value) for name, value in model.parameters.items()}
            for variable, text in {**model.rest, **model.start}.items():
                value = known[text] if text in known else float(text)
                first[f"{group}.{variable}"] = np.full(self.network.n_neurons, np.asarray(value, dtype=float))
        return first

    def learn(self, samples: np.ndarray, state: Mapping[str, np.ndarray], **values: Any) -> tuple[dict, np.ndarray]:
        """Show samples with plasticity and homeostasis on.

        Parameters
        ----------
        samples : array of shape (n_samples, n_inputs)
            Encoded samples, at most ``network.batch_size``.
        state : mapping of str to array
            State to start from: the last block's, or just ``input_to_exc.w``; what is missing is at its start.
        **values
            Parameters of the synapses for this block, e.g. ``eta``.

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
        inputs = {**self._inputs(samples, learning=1), **self.initial(), **state}
        inputs |= {f"input_to_exc.{name}": value for name, value in values.items()}
        result = self.engine.run(inputs, (*self.carried, *RECORDED))
        counts = self._response(result, len(samples), self.network.min_spikes).counts
        n_steps = int(result["control.n_presentations"][0]) * self.network.n_total
        new = {name: result[name] for name in self.carried}
        new["input.last_step"] = np.maximum(new["input.last_step"] - n_steps, -NEVER)
        self._check_health(new, result, len(samples))
        return new, counts

    def respond(
        self, samples: np.ndarray, state: Mapping[str, np.ndarray], n_jobs: int = 1, min_spikes: int | None = None
    ) -> Response:
        """Show samples to the frozen network. The response to a sample does not depend on the others.

        Parameters
        ----------
        samples : array of shape (n_samples, n_inputs)
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
        """
        least = self.network.min_spikes if min_spikes is None else min_spikes
        slow = [f"exc.{name}" for name in self.network.neuron.start]
        frozen = {**self.initial(), **{name: state[name] for name in ("input_to_exc.w", *slow) if name in state}}
        for group, model in (("exc", self.network.neuron), ("input_to_exc", self.network.synapse)):
            for name, value in model.frozen.items():
                frozen[f"{group}.{name}"] = np.full_like(self.values[f"{group}.{name}"], float(value), dtype=float)
        size = self.network.batch_size
        blocks = [samples[start : start + size] for start in range(0, len(samples), size)]
        frozen["control.min_spikes"] = np.asarray(least)
        states = [{**self._inputs(block, learning=0), **frozen} for block in blocks]
        results = self.engine.run_many(states, RECORDED, n_jobs)
        return Response.join(
            self._response(result, len(block), least) for result, block in zip(results, blocks, strict=True)
        )

    def _inputs(self, samples: np.ndarray, learning: int) -> dict[str, Any]:
        table = np.zeros((self.network.batch_size, self.network.n_input))
        table[: len(samples)] = samples
        groups = ("input", "exc", "control", *(["inh"] if self.network.inhibitory is not None else []))
        flags = {f"{group}.learning": learning for group in groups}
        own = {"samples.values": table, "control.n_samples": len(samples), "input.seed_": self.seed}
        return {**self.values, **flags, **own}

    def _response(self, result: Mapping[str, np.ndarray], n_samples: int, min_spikes: int) -> Response:
        """Sort the spikes by sample; which presentation was a sample's last follows from the counts themselves."""
        network = self.network
        n_presentations = int(result["control.n_presentations"][0])
        width = network.n_total * float(network.dt)
        presentation = np.floor(result["spikes.t"] / width + 0.5 / network.n_total).astype(int)
        flat = np.bincount(
            presentation * network.n_neurons + result["spikes.i"], minlength=n_presentations * network.n_neurons
        )
        counts = flat.reshape(n_presentations, network.n_neurons)
        last, retries = [], 0
        for k, total in enumerate(counts.sum(axis=1)):
            retries = retries + 1 if total < min_spikes and retries < network.max_retries else 0
            if not retries:
                last.append(k)
        if len(last) != n_samples:
            raise RuntimeError(
                f"The run ended after {len(last)} of {n_samples} samples. This is a bug: please report it."
            )
        shown = np.diff(last, prepend=-1)
        spikes = np.add.reduceat(counts.sum(axis=1), np.array(last) - shown + 1)
        return Response(counts[last].astype(np.uint16), spikes, shown)

    def _check_health(self, state: Mapping[str, np.ndarray], result: Mapping[str, np.ndarray], n_samples: int) -> None:
        n_presentations = int(result["control.n_presentations"][0])
        spikes = len(result["spikes.i"]) / n_presentations
        if not np.isfinite(state["input_to_exc.w"]).all():
            raise RuntimeError("Weights have become NaN. Lower the learning rate of the synapse, or check its bounds.")
        if spikes == 0 and n_samples >= FEWEST_TO_JUDGE:
            raise RuntimeError(
                f"The network is silent: no spike in {n_presentations} presentations. Raise the rate of the encoder or "
                "w_total, lower the threshold of the neuron, and check that the samples are not all near zero."
            )
        neuron, network = self.network.neuron, self.network
        held = float(np.mean(self.values["exc." + neuron.refractory])) if neuron.refractory else 0.0
        most = network.n_neurons * network.n_total * float(network.dt) / (held + float(network.dt))
        if spikes > 0.5 * most:
            raise RuntimeError(
                f"The network fires without end: {spikes:.0f} spikes a presentation, at most {most:.0f} are possible. "
                "Check lateral inhibition, lower w_total or the rate of the encoder, or raise theta_plus."
            )
