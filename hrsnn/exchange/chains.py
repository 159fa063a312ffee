"""A graph of NIR read as a chain of spiking layers, each with weights and its own recurrence, and a readout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from hrsnn.exchange._library import nir

__all__ = ["Chain", "Stage", "chain"]

NEURONS = (nir.CubaLIF, nir.LIF, nir.IF)
BETWEEN = (nir.Linear, nir.Affine, nir.Scale, nir.Delay, nir.Flatten)
READ = (*NEURONS, *BETWEEN, nir.LI, nir.Input, nir.Output, nir.NIRGraph)


@dataclass
class Stage:
    """A spiking layer: its node, weights of shape (n_from, n_neurons), bias, and delay in seconds."""

    name: str
    node: nir.NIRNode
    w: np.ndarray
    bias: np.ndarray
    recurrent: np.ndarray | None = None
    delay: float = 0.0


class Chain(NamedTuple):
    """Spiking layers, and what is read from the last: ``filter`` is its LI, ``before`` and ``after`` the affine maps.

    ``filter`` is None where the output is that of the last layer itself.
    """

    stages: list[Stage]
    filter: nir.LI | None
    before: tuple[np.ndarray, np.ndarray] | None
    after: tuple[np.ndarray, np.ndarray] | None


@dataclass
class _Input:
    """What a node gets: a matrix (from, to) and a delay for each source, and a bias; None stands for the identity."""

    terms: dict[str, tuple[np.ndarray | None, float]] = field(default_factory=dict)
    bias: np.ndarray | float = 0.0


def chain(graph: nir.NIRGraph) -> Chain:
    """Return the chain of layers of a graph.

    Parameters
    ----------
    graph : nir.NIRGraph
        Graphs within it are taken as parts of it.

    Raises
    ------
    ValueError
        If it has a node of another type, or is no chain of recurrent layers.
    """
    nodes, edges = _flat(graph)
    for name, node in nodes.items():
        if not isinstance(node, READ):
            known = ", ".join(kind.__name__ for kind in READ)
            raise ValueError(f"Node {name!r} is a {type(node).__name__}, which cannot be read. These can: {known}.")
    return _Reader(nodes, edges).chain()


class _Reader:
    """Follows edges back from each spiking layer to what drives it."""

    def __init__(self, nodes: dict[str, nir.NIRNode], edges: list[tuple[str, str]]):
        self.nodes = nodes
        self.before: dict[str, list[str]] = {name: [] for name in nodes}
        for source, target in edges:
            self.before[target].append(source)

    def chain(self) -> Chain:
        neurons = self._named(*NEURONS)
        inputs, outputs = self._named(nir.Input), self._named(nir.Output)
        if not neurons or len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(
                f"The graph has {len(neurons)} spiking layers, {len(inputs)} inputs and {len(outputs)} outputs; "
                "one input, one output and at least one layer can be read."
            )
        found = {name: self._gathered(name) for name in neurons}
        stages, source = [], inputs[0]
        for _ in neurons:
            after = [name for name in neurons if source in found[name].terms and name != source]
            if len(after) != 1:
                raise ValueError(
                    f"{source!r} drives {after or 'no spiking layer'}: only a chain of layers can be read."
                )
            stages.append(self._stage(after[0], source, found[after[0]]))
            source = after[0]
        return Chain(stages, *self._readout(outputs[0], source))

    def _named(self, *kinds: type) -> list[str]:
        return [name for name, node in self.nodes.items() if isinstance(node, kinds)]

    def _stage(self, name: str, source: str, gathered: _Input) -> Stage:
        terms = dict(gathered.terms)
        w, delay = terms.pop(source)
        own, own_delay = terms.pop(name, (None, None))
        if terms:
            raise ValueError(f"{name!r} gets input from {sorted(gathered.terms)}: only a chain of layers can be read.")
        if source in self._named(nir.Input) and delay:
            raise ValueError(f"The input of {name!r} is delayed by {delay:g} s: delay the samples instead.")
        if own_delay is not None and source not in self._named(nir.Input) and own_delay != delay:
            raise ValueError(
                f"{name!r} gets its own spikes after {own_delay:g} s, those of {source!r} after {delay:g} s: "
                "a layer has one delay."
            )
        n = max([np.size(getattr(self.nodes[name], key)) for key in ("r", "v_threshold")])
        n = n if w is None else w.shape[1]
        w = np.eye(n) if w is None else w
        recurrent = None
        if own_delay is not None:
            recurrent = np.eye(n) if own is None else own
        for what, matrix in (("input", w), ("own spikes", recurrent)):
            if matrix is not None and (matrix.shape[1] != n or (matrix is recurrent and matrix.shape[0] != n)):
                raise ValueError(f"{name!r}: the weights of its {what} have shape {matrix.shape}, for {n} neurons.")
        bias = np.broadcast_to(np.asarray(gathered.bias, float), (n,))
        return Stage(name, self.nodes[name], w, bias, recurrent, own_delay or delay)

    def _readout(self, output: str, last: str) -> tuple[nir.LI | None, tuple | None, tuple | None]:
        gathered = self._gathered(output)
        if list(gathered.terms) == [last]:
            matrix, delay = gathered.terms[last]
            if matrix is None and not delay and not np.any(gathered.bias):
                return None, None, None
            raise ValueError(
                f"The output weighs the spikes of {last!r} without a filter: put an LI before or behind it."
            )
        (name, (after, delay)), *more = gathered.terms.items()
        if more or not isinstance(self.nodes[name], nir.LI):
            raise ValueError(f"The output comes from {sorted(gathered.terms)}, not from the last layer {last!r}.")
        inner = self._gathered(name)
        if list(inner.terms) != [last] or delay or inner.terms[last][1]:
            raise ValueError(f"{name!r} must get the spikes of the last layer {last!r} alone, without delay.")
        before = inner.terms[last][0]
        n = np.size(self.nodes[name].tau)
        before = np.eye(n) if before is None else before
        after = np.eye(before.shape[1]) if after is None else after
        return self.nodes[name], (before, _row(inner.bias, before)), (after, _row(gathered.bias, after))

    def _gathered(self, name: str, path: tuple[str, ...] = ()) -> _Input:
        """Return the input of a node, as sums over the sources that spike or hold a state."""
        total = _Input()
        for source in self.before[name]:
            node = self.nodes[source]
            if isinstance(node, (*NEURONS, nir.LI, nir.Input)):
                part = _Input({source: (None, 0.0)})
            elif source in path:
                raise ValueError(f"{source!r} feeds itself without a neuron between.")
            else:
                part = _through(source, node, self._gathered(source, (*path, source)))
            for key, (matrix, delay) in part.terms.items():
                if key in total.terms:
                    raise ValueError(f"{name!r} gets {key!r} by two ways, by {source!r} too: join them to one matrix.")
                total.terms[key] = (matrix, delay)
            total.bias = total.bias + part.bias
        return total


def _through(name: str, node: nir.NIRNode, part: _Input) -> _Input:
    """Return what a node without a state makes of its input."""
    if isinstance(node, nir.Flatten):
        return part
    if isinstance(node, nir.Delay):
        delays = np.unique(np.asarray(node.delay, float))
        if len(delays) > 1:
            raise ValueError(f"{name!r} has delays of {delays.min():g} to {delays.max():g} s: a layer has one delay.")
        return _Input({key: (m, d + float(delays[0])) for key, (m, d) in part.terms.items()}, part.bias)
    scale = isinstance(node, nir.Scale)
    weight = np.diag(np.ravel(node.scale)) if scale else np.asarray(node.weight, float)
    if weight.ndim != 2:
        raise ValueError(f"{name!r} has weights of shape {weight.shape}: matrices can be read.")
    bias: np.ndarray | float = np.asarray(node.bias, float) if isinstance(node, nir.Affine) else 0.0
    if np.any(part.bias):
        bias = bias + weight @ part.bias
    terms = {key: (weight.T if m is None else m @ weight.T, d) for key, (m, d) in part.terms.items()}
    return _Input(terms, bias)


def _row(bias: np.ndarray | float, matrix: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.asarray(bias, float), (matrix.shape[1],))


def _flat(graph: nir.NIRGraph, prefix: str = "") -> tuple[dict[str, nir.NIRNode], list[tuple[str, str]]]:
    """Return nodes and edges with the graphs within it put in their places, their inputs and outputs left out."""
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    enter: dict[str, list[str]] = {}
    leave: dict[str, list[str]] = {}
    for name, node in graph.nodes.items():
        full = f"{prefix}{name}"
        if not isinstance(node, nir.NIRGraph):
            nodes[full], enter[name], leave[name] = node, [full], [full]
            continue
        inside, between = _flat(node, f"{full}.")
        doors = {key for key, part in inside.items() if isinstance(part, (nir.Input, nir.Output))}
        firsts = [target for source, target in between if isinstance(inside[source], nir.Input)]
        lasts = [source for source, target in between if isinstance(inside[target], nir.Output)]
        enter[name], leave[name] = firsts, lasts
        nodes |= {key: part for key, part in inside.items() if key not in doors}
        edges += [edge for edge in between if not doors & set(edge)]
    edges += [(a, b) for source, target in graph.edges for a in leave[source] for b in enter[target]]
    return nodes, edges
