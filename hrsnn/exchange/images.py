"""Networks of images as graphs of NIR: a chain of convolutions, poolings and neurons whose reset subtracts."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from hrsnn.exchange._library import nir
from hrsnn.exchange.neurons import Clock, LossyExport
from hrsnn.gradient.architectures import Convolution, Dense, Dropout, Layer, Pooling, Step
from hrsnn.gradient.images import SpikingImageClassifier
from hrsnn.models import DiscreteLIF

__all__ = ["classes_of", "graph_of_images", "images_of_graph", "is_of_images", "storable"]

DT = 1e-3  # seconds that a time step stands for


def graph_of_images(trained: SpikingImageClassifier, euler: float | None) -> nir.NIRGraph:
    """Return a fitted network of images as a graph; dropout, which acts in training alone, is left out.

    Raises
    ------
    ValueError
        If it has shortcuts, or a neuron that NIR has no node for.

    Warns
    -----
    LossyExport
        That NIR knows no reset that subtracts.
    """
    check_is_fitted(trained, "weights_")
    network, clock = trained.network_, Clock(DT, euler)
    if not isinstance(network.neuron, DiscreteLIF):
        raise ValueError(f"NIR has no node for {type(network.neuron).__name__}: DiscreteLIF and DiscreteIF have one.")
    if any(len(population.inputs) > 1 for population in network.populations):
        raise ValueError("A graph of images is a chain of layers; this network has shortcuts between them.")
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(input_type={"input": np.array(_channels_first(network.shape))})}
    parameters = network.parameters(trained.weights_)
    for k, population in enumerate(network.populations):
        for step in population.inputs[0].steps:
            _add_step(nodes, k, step, trained.weights_["w"])
        shape = _channels_first(population.shape)
        if k < len(parameters):
            nodes[f"layer_{k}"] = _neuron(k, parameters[k], shape, clock)
    nodes["readout"] = nir.I(r=np.full(shape, 1 / clock.pulse))
    nodes["output"] = nir.Output(output_type={"output": np.array(shape)})
    warnings.warn(
        "NIR resets neurons to a value; these subtract their threshold, which only their metadata says. hrsnn reads "
        "it; of other programs only those whose neurons subtract give the same spikes.",
        LossyExport,
        stacklevel=4,
    )
    names = list(nodes)
    metadata: dict[str, Any] = {"program": "hrsnn", "dt": DT, "step": DT, "euler": euler or 0.0}
    metadata |= {"estimator": "SpikingImageClassifier", "classes": storable(trained.classes_)}
    metadata |= {"n_steps": trained.n_steps, "encoding": trained.encoding, "seed": trained.seed}
    return nir.NIRGraph(nodes=nodes, edges=list(pairwise(names)), metadata=metadata)


def is_of_images(graph: nir.NIRGraph) -> bool:
    """Tell whether a graph is one of images: by its convolutions, or by what it says of itself."""
    said = graph.metadata.get("estimator") == "SpikingImageClassifier"
    return said or any(isinstance(node, nir.Conv2d) for node in graph.nodes.values())


def images_of_graph(graph: nir.NIRGraph, clock: Clock) -> SpikingImageClassifier:
    """Return a chain of convolutions, poolings and neurons as a network of images that is already fitted.

    Raises
    ------
    ValueError
        If it is no such chain, or has what networks of images here have not: bias, dilation, groups, other borders
        than half a kernel, neurons of one layer that differ, or a reset to a value.
    """
    layers: list[Layer] = []
    weights: list[np.ndarray] = []
    values: dict[str, list[Any]] = {"v_thresh": [], "leak": []}
    chain = _chain(graph)
    shape = tuple(int(n) for n in np.ravel(chain[0][1].input_type["input"]))
    if len(shape) != 3:
        raise ValueError(f"The input has the shape {shape}; images have channels, height and width.")
    now: tuple[int, ...] = shape
    for name, node in chain[1:]:
        if isinstance(node, nir.Conv2d):
            layer = _convolution(name, node)
            layers.append(layer)
            weights.append(np.transpose(node.weight, (2, 3, 1, 0)))
            now = (layer.channels, *(-(-n // layer.stride) for n in now[1:]))
        elif isinstance(node, nir.AvgPool2d):
            size = int(np.ravel(node.kernel_size)[0])
            if {size} != {int(n) for n in (*np.ravel(node.kernel_size), *np.ravel(node.stride))} or np.any(
                node.padding
            ):
                raise ValueError(f"Node {name!r}: pooling must be over squares side by side, without a border.")
            layers.append(Pooling(size))
            now = (now[0], *(n // size for n in now[1:]))
        elif isinstance(node, nir.Linear):
            w = np.asarray(node.weight).T
            if len(now) == 3:
                w = w.reshape(*now, -1).transpose(1, 2, 0, 3).reshape(w.shape)
            layers.append(Dense(w.shape[1]))
            weights.append(w)
            now = (w.shape[1],)
        elif isinstance(node, (nir.IF, nir.LIF)):
            found = _parameters(name, node, clock)
            for key, value in found.items():
                values[key].append(np.float32(value))
        elif not isinstance(node, (nir.Flatten, nir.I, nir.Output)):
            raise ValueError(f"Node {name!r} is a {type(node).__name__}, which a network of images cannot have.")
    spiking = [layer for layer in layers if not isinstance(layer, Pooling)]
    if not spiking or not isinstance(layers[-1], Dense) or len(values["v_thresh"]) != len(spiking) - 1:
        raise ValueError("A network of images needs neurons behind each layer of weights but the last, a Linear.")
    said = graph.metadata
    estimator = SpikingImageClassifier(
        layers[:-1],
        n_steps=int(said.get("n_steps", 5)),
        encoding=str(said.get("encoding", "direct")),
        seed=int(said.get("seed", 0)),
    )
    estimator.classes_ = classes_of(said.get("classes"), len(weights[-1][0]))
    estimator.shape_ = (*shape[1:], shape[0])
    estimator.n_features_in_, estimator.history_ = int(np.prod(shape)), []
    estimator.weights_ = {"w": [np.ascontiguousarray(w, np.float32) for w in weights], **values}
    estimator._build()
    return estimator


def storable(classes: np.ndarray) -> np.ndarray:
    """Return labels as HDF5 keeps them."""
    return np.char.encode(classes, "utf-8") if classes.dtype.kind == "U" else classes


def classes_of(classes: Any, n: int) -> np.ndarray:
    """Return labels as they were before HDF5 kept them; numbers if there are not ``n`` of them."""
    if classes is None:
        return np.arange(n)
    found = np.asarray(classes)
    found = np.char.decode(found, "utf-8") if found.dtype.kind == "S" else found
    return found if len(found) == n else np.arange(n)


def _add_step(nodes: dict[str, nir.NIRNode], k: int, step: Step, weights: Any) -> None:
    layer = step.layer
    before = _channels_first(step.before)
    if isinstance(layer, Dropout):
        return
    if isinstance(layer, Pooling):
        square, none = np.array([layer.size] * 2), np.array([0, 0])
        nodes[f"pool_{k}"] = nir.AvgPool2d(kernel_size=square, stride=square, padding=none)
        return
    w = np.asarray(weights[step.weights or 0])
    if isinstance(layer, Convolution):
        nodes[f"w_{k}"] = nir.Conv2d(
            input_shape=(before[1], before[2]),
            weight=np.ascontiguousarray(w.transpose(3, 2, 0, 1)),
            stride=layer.stride,
            padding=layer.kernel // 2,
            dilation=1,
            groups=1,
            bias=np.zeros(layer.channels),
        )
        return
    if len(before) == 3:
        nodes[f"flatten_{k}"] = nir.Flatten(input_type={"input": np.array(before)}, start_dim=0, end_dim=-1)
        w = w.reshape(*step.before, -1).transpose(2, 0, 1, 3).reshape(w.shape)
    nodes[f"w_{k}"] = nir.Linear(weight=np.ascontiguousarray(w.T))


def _neuron(k: int, values: Any, shape: tuple[int, ...], clock: Clock) -> nir.NIRNode:
    """Return the node of a layer: an IF without a leak, else a LIF that keeps as much in a time step."""
    leak = float(values.get("leak", 1.0))
    ones, extra = np.ones(shape), {"reset": "subtract"}
    potentials = {"v_threshold": float(values["v_thresh"]) * ones, "v_reset": 0 * ones}
    if leak == 1:
        return nir.IF(r=ones / clock.pulse, **potentials, metadata=extra)
    if leak <= 0:
        raise ValueError(f"Layer {k} keeps nothing from one time step to the next: NIR has no such neuron.")
    tau = clock.outer(np.asarray(-DT / np.log(leak))) * ones
    return nir.LIF(tau=tau, r=tau / clock.pulse, v_leak=0 * ones, **potentials, metadata=extra)


def _parameters(name: str, node: Any, clock: Clock) -> dict[str, float]:
    if (node.metadata or {}).get("reset") != "subtract":
        raise ValueError(
            f"Node {name!r} is reset to {np.ravel(node.v_reset)[0]:g}; neurons of networks of images subtract their "
            "threshold. If those of the program that wrote it do, set the node's metadata to {'reset': 'subtract'}."
        )

    def one(key: str) -> float:
        found = np.unique(np.asarray(getattr(node, key), float))
        if len(found) != 1:
            raise ValueError(f"Node {name!r}: {key} must be one value for the layer, got {len(found)}.")
        return float(found[0])

    if isinstance(node, nir.IF):
        gain, leak = one("r") * clock.pulse, 1.0
    else:
        if one("v_leak") != 0:
            raise ValueError(f"Node {name!r} leaks to {one('v_leak'):g}; neurons of networks of images leak to 0.")
        tau = one("tau")
        gain = one("r") * clock.pulse / tau
        leak = float(np.exp(-clock.dt / clock.inner(f"Node {name!r}", np.array([tau]))[0]))
    return {"v_thresh": one("v_threshold") / gain, "leak": leak}


def _convolution(name: str, node: nir.Conv2d) -> Convolution:
    height, width = node.weight.shape[2:]
    stride, border = np.unique(np.ravel(node.stride)), np.ravel(node.padding)
    right = height == width and height % 2 == 1 and len(stride) == 1
    if not right or np.any(np.asarray(border) != height // 2) or np.any(np.ravel(node.dilation) != 1):
        raise ValueError(
            f"Node {name!r}: a convolution must have an odd square kernel, one stride, a border of half a kernel and "
            f"no dilation; got a kernel of {height} x {width}, stride {node.stride}, padding {node.padding}, "
            f"dilation {node.dilation}."
        )
    if node.groups != 1 or np.any(node.bias):
        raise ValueError(f"Node {name!r}: a convolution must have no bias and one group, got {node.groups} groups.")
    return Convolution(len(node.weight), height, int(stride[0]))


def _chain(graph: nir.NIRGraph) -> list[tuple[str, Any]]:
    """Return the nodes from the input to the output."""
    after: dict[str, list[str]] = {}
    for source, target in graph.edges:
        after.setdefault(source, []).append(target)
    name = next((key for key, node in graph.nodes.items() if isinstance(node, nir.Input)), None)
    found: list[tuple[str, Any]] = []
    while name is not None:
        if len(after.get(name, [])) > 1 or len(found) >= len(graph.nodes):
            raise ValueError(f"A graph of images is a chain of layers, but node {name!r} branches or is in a cycle.")
        found.append((name, graph.nodes[name]))
        name = next(iter(after.get(name, [])), None)
    if not found:
        raise ValueError("The graph has no Input node.")
    return found


def _channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[2], *shape[:2]) if len(shape) == 3 else shape
