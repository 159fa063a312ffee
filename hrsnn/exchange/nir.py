"""Trained networks as graphs of NIR, the neuromorphic intermediate representation, and graphs as networks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from brian2 import Quantity, ms, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from sklearn.utils.validation import check_is_fitted

from hrsnn.exchange._library import nir
from hrsnn.exchange.chains import Chain, chain
from hrsnn.exchange.competition import competing_layer
from hrsnn.exchange.images import classes_of, graph_of_images, images_of_graph, is_of_images, storable
from hrsnn.exchange.neurons import Clock, from_node, to_node
from hrsnn.gradient.brian2_network import Simulation
from hrsnn.gradient.estimators import SpikingClassifier
from hrsnn.gradient.images import SpikingImageClassifier
from hrsnn.gradient.network import Layer, SpikingNetwork
from hrsnn.gradient.regressor import SpikingRegressor
from hrsnn.models import LIF
from hrsnn.stdp.classifier import STDPClassifier

__all__ = ["from_nir", "read", "to_nir", "write"]

Estimator: TypeAlias = SpikingClassifier | SpikingRegressor | SpikingImageClassifier


def to_nir(
    trained: Estimator | SpikingNetwork | STDPClassifier,
    weights: Sequence[Any] | None = None,
    euler: Quantity | None = None,
    readout: bool = True,
    linearise: Quantity | None = None,
) -> nir.NIRGraph:
    """Return a trained network as a graph of NIR.

    A layer k becomes ``w_k`` (Linear) and ``layer_k`` (CubaLIF, LIF or IF), recurrence is a cycle through
    ``recurrent_k``, and delays are Delay nodes. The readout of an estimator is ``filter`` (LI), which filters the
    spikes of the last layer, and ``readout`` (Affine): its output at the end of a frame is that of a
    ``SpikingRegressor``; that of a ``SpikingClassifier`` are logits, to be averaged over frames. A network of images
    becomes a chain of Conv2d, AvgPool2d, Flatten and Linear between its neurons, with an I (integrator) at its end.

    Of an ``STDPClassifier`` the graph is the frozen network that responds to input spikes: the learnt weights, neurons
    with the thresholds that they have reached, inhibition as negative weights to all others after a Delay of one time
    step, and the vote of the neurons for labels as the readout. Not in it: the encoder that makes spikes of a sample,
    and that a sample which draws few spikes is shown again.

    Parameters
    ----------
    trained : SpikingClassifier, SpikingRegressor, SpikingImageClassifier, SpikingNetwork or STDPClassifier
        Fitted; layers of the models ``LIF``, ``BiasedLIF``, ``DeltaLIF`` or ``IF``, and of an ``STDPClassifier``
        ``AdaptiveCurrentLIF``.
    weights : list of dict, optional
        Those of a ``SpikingNetwork``, as its ``weights`` returns them.
    euler : Quantity (second), optional
        NIR is defined by differential equations, in which a spike is an impulse of area one: the graph says exactly
        what is simulated here, in the limit of small steps. Many programs take Euler steps instead, in which a spike is
        a pulse of height one that lasts a step. If ``euler`` is given, their step (0.0001 s in snnTorch, which has no
        other), the graph is the one whose Euler steps are the exact steps of ``dt`` here.
    readout : bool
        Whether the readout is a part of the graph; else its output is the spikes of the last layer.
    linearise : Quantity (volt), optional
        For an ``STDPClassifier`` whose neurons have conductances, which NIR has not: the potential at which driving
        forces are taken, such as -60*mV. An approximation.

    Returns
    -------
    nir.NIRGraph

    Raises
    ------
    ValueError
        If NIR has no node for a neuron, or the weights of a network are missing.
    TypeError
        If it is something else that is to be written.
    NotFittedError
        If the estimator is not fitted.

    Warns
    -----
    LossyExport
        If something can be read back by this package alone, such as a refractory period.
    """
    if isinstance(trained, STDPClassifier):
        check_is_fitted(trained, "state_")
        return _competing(trained, _euler(euler), readout, linearise)
    if linearise is not None:
        raise ValueError("linearise is for the conductances of an STDPClassifier. Leave it out.")
    if isinstance(trained, SpikingImageClassifier):
        return graph_of_images(trained, _euler(euler))
    network: Any
    estimator: Estimator | None
    if isinstance(trained, SpikingNetwork):
        if weights is None:
            raise ValueError("to_nir needs the weights of a SpikingNetwork, or an estimator that has them.")
        network, found, estimator = trained, weights, None
    else:
        if not isinstance(trained, (SpikingClassifier, SpikingRegressor)):
            raise TypeError(
                "to_nir takes a SpikingClassifier, SpikingRegressor, SpikingImageClassifier, SpikingNetwork or "
                f"STDPClassifier, got {type(trained).__name__}."
            )
        check_is_fitted(trained, "weights_")
        if not isinstance(trained.network_, SpikingNetwork):
            raise TypeError(
                f"NIR has no synapses that depend on intervals: {type(trained).__name__} cannot be written."
            )
        network, found, estimator = trained.network_, trained.weights_["layers"], trained
    clock = Clock(float(network.dt), _euler(euler))
    nodes, edges = _layers(network, Simulation(network, found).state, clock)
    last = f"layer_{len(network.layers) - 1}"
    metadata: dict[str, Any] = {"program": "hrsnn", "dt": clock.dt, "step": float(network.step)}
    metadata |= {"euler": clock.euler or 0.0, "tau_out": float(network.tau_out)}
    n_outputs = network.translations[-1].n
    if estimator is not None:
        metadata["estimator"] = type(estimator).__name__
        if isinstance(estimator, SpikingClassifier):
            metadata["classes"] = storable(estimator.classes_)
        if readout:
            w, b = _readout(estimator)
            n_outputs = len(b)
            last = _read_by(nodes, edges, last, w, b, float(network.tau_out), clock)
    nodes["output"] = nir.Output(output_type={"output": np.array([n_outputs])})
    return nir.NIRGraph(nodes=nodes, edges=[*edges, (last, "output")], metadata=metadata)


def _competing(
    classifier: STDPClassifier, euler: float | None, readout: bool, linearise: Quantity | None
) -> nir.NIRGraph:
    """Return the frozen network of a classifier that learnt by STDP."""
    layer = competing_layer(classifier, linearise)
    clock, (n_inputs, n) = Clock(layer.dt, euler), layer.w.shape
    node, factor, _ = to_node("STDPClassifier", LIF(), "i_e", layer.values, n, clock)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(input_type={"input": np.array([n_inputs])}), "layer_0": node}
    nodes["w_0"] = nir.Linear(weight=np.ascontiguousarray((layer.w * factor).T))
    edges, last = [("input", "w_0"), ("w_0", "layer_0")], "layer_0"
    if layer.lateral is not None:
        nodes["delay_recurrent_0"] = nir.Delay(delay=np.full(n, clock.euler or clock.dt))
        nodes["recurrent_0"] = nir.Linear(weight=np.ascontiguousarray((layer.lateral * factor).T))
        edges += [("layer_0", "delay_recurrent_0"), ("delay_recurrent_0", "recurrent_0"), ("recurrent_0", "layer_0")]
    metadata: dict[str, Any] = {"program": "hrsnn", "dt": clock.dt, "step": clock.dt, "euler": clock.euler or 0.0}
    metadata |= {"tau_out": clock.dt, "estimator": "STDPClassifier"}
    n_outputs = n
    if hasattr(classifier, "readout_"):
        metadata["classes"] = storable(classifier.classes_)
        if readout:
            votes = classifier.readout_.scores(np.eye(n))
            n_outputs = votes.shape[1]
            last = _read_by(nodes, edges, last, votes, np.zeros(n_outputs), clock.dt, clock)
    nodes["output"] = nir.Output(output_type={"output": np.array([n_outputs])})
    return nir.NIRGraph(nodes=nodes, edges=[*edges, (last, "output")], metadata=metadata)


def _read_by(
    nodes: dict[str, nir.NIRNode],
    edges: list[tuple[str, str]],
    last: str,
    w: np.ndarray,
    b: np.ndarray,
    tau_out: float,
    clock: Clock,
) -> str:
    """Add a filter and an affine map behind a layer, and return the name of the last node."""
    tau = np.full(len(w), clock.outer(tau_out))
    nodes["filter"] = nir.LI(tau=tau, r=tau / clock.pulse, v_leak=0 * tau)
    nodes["readout"] = nir.Affine(weight=np.ascontiguousarray(w.T), bias=b)
    edges += [(last, "filter"), ("filter", "readout")]
    return "readout"


def from_nir(
    graph: nir.NIRGraph,
    dt: Quantity | None = None,
    step: Quantity | None = None,
    euler: Quantity | None = None,
    tau_out: Quantity = 20 * ms,
) -> Estimator:
    """Return a graph of NIR as an estimator that is already fitted: to predict, simulate, or train on.

    Nodes may be CubaLIF, LIF and IF, in a chain; Linear, Affine, Scale and Delay between them; a cycle, or a graph
    within the graph, for recurrence; and an LI with affine maps before or behind it as the readout. Without a readout
    each neuron of the last layer stands for a class, and the most active one wins. Convolutions in a chain of neurons
    whose reset subtracts the threshold, as ``to_nir`` writes them, make a ``SpikingImageClassifier``.

    Parameters
    ----------
    graph : nir.NIRGraph
    dt, step : Quantity (second), optional
        Time step, and how long a frame of a sample lasts. Those that the graph was written with, if this package wrote
        it; else 1 ms, and ``dt``.
    euler : Quantity (second), optional
        Step of the program that wrote the graph, if it takes Euler steps (see ``to_nir``): a step of ``dt`` here is
        then one of its steps. That the graph was written with, if this package wrote it.
    tau_out : Quantity (second)
        Time constant of the filter of the last layer's spikes, where the graph has none.

    Returns
    -------
    SpikingClassifier, SpikingRegressor or SpikingImageClassifier
        What was written.

    Raises
    ------
    ValueError
        If the graph has nodes of other types, or is no chain of layers.
    """
    said = graph.metadata if graph.metadata.get("program") == "hrsnn" else {}
    dt = float(said.get("dt", 1e-3)) * second if dt is None else dt
    step = (float(said["step"]) * second if "step" in said else dt) if step is None else step
    clock = Clock(float(dt), _euler(euler) if euler is not None else float(said.get("euler", 0)) or None)
    if is_of_images(graph):
        return images_of_graph(graph, clock)
    found = chain(graph)
    layers, synapses = _read_layers(found, clock, dt)
    tau_out, w, b = _read_readout(found, layers[-1].n_neurons, clock, said.get("tau_out", float(tau_out)))
    kind = SpikingRegressor if said.get("estimator") == "SpikingRegressor" else SpikingClassifier
    estimator = kind(layers, step=step, dt=dt, tau_out=tau_out * second, validation=0)
    n_inputs = len(synapses[0]["w"])
    network = SpikingNetwork(layers, n_inputs, step, dt, tau_out * second, estimator.seed)
    weights = [
        {**{key: value / unit for key, value in layer.items()}, "free": {}}
        for layer, unit in zip(synapses, network.units, strict=True)
    ]
    estimator.n_features_in_, estimator.network_, estimator.history_ = n_inputs, network, []
    estimator.weights_ = {"layers": weights, "readout": {"w": w, "b": b}}
    if isinstance(estimator, SpikingRegressor):
        estimator.y_shape_, estimator.y_mean_, estimator.y_spread_ = (1,), np.zeros(len(b)), np.ones(len(b))
    else:
        estimator.classes_ = classes_of(said.get("classes"), len(b))
    return estimator


def write(path: str | os.PathLike[str], trained: Any, **settings: Any) -> None:
    """Write a trained network to a file of NIR (HDF5); ``settings`` are those of ``to_nir``."""
    nir.write(os.fspath(path), to_nir(trained, **settings))


def read(path: str | os.PathLike[str], **settings: Any) -> Estimator:
    """Read a network from a file of NIR (HDF5); ``settings`` are those of ``from_nir``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the graph cannot be read.
    """
    return from_nir(nir.read(os.fspath(path), type_check=False), **settings)


def _layers(
    network: SpikingNetwork, state: dict[str, np.ndarray], clock: Clock
) -> tuple[dict[str, nir.NIRNode], list[tuple[str, str]]]:
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(input_type={"input": np.array([network.n_inputs])})}
    edges: list[tuple[str, str]] = []

    def connect(source: str, name: str, k: int, w: np.ndarray, bias: np.ndarray, delay: float) -> None:
        if delay:
            nodes[f"delay_{name}"] = nir.Delay(delay=np.full(len(w), delay))
            edges.append((source, f"delay_{name}"))
            source = f"delay_{name}"
        matrix = np.ascontiguousarray(w.T)
        nodes[name] = nir.Affine(weight=matrix, bias=bias) if np.any(bias) else nir.Linear(weight=matrix)
        edges.extend([(source, name), (name, f"layer_{k}")])

    for k, layer in enumerate(network.layers):
        prefix = f"layer_{k}."
        values = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        node, factor, bias = to_node(f"Layer {k}", layer.neuron, layer.target, values, layer.n_neurons, clock)
        delay = float(layer.delay) * (clock.euler / clock.dt if clock.euler else 1)
        source = f"layer_{k - 1}" if k else "input"
        connect(source, f"w_{k}", k, state[f"w_{k}.w"] * factor, bias, delay if k else 0.0)
        nodes[f"layer_{k}"] = node
        if layer.recurrent:
            w = state[f"recurrent_{k}.w"] * factor
            connect(f"layer_{k}", f"recurrent_{k}", k, w, np.zeros(len(w)), delay)
    return nodes, edges


def _read_layers(found: Chain, clock: Clock, dt: Quantity) -> tuple[list[Layer], list[dict[str, np.ndarray]]]:
    layers, synapses = [], []
    for stage in found.stages:
        n = stage.w.shape[1]
        neuron, factor = from_node(f"Node {stage.name!r}", stage.node, stage.bias, n, clock)
        steps = stage.delay / (clock.euler or clock.dt)
        if abs(steps - round(steps)) > 1e-6:
            raise ValueError(f"Node {stage.name!r} gets spikes after {stage.delay:g} s, no whole steps of dt = {dt}.")
        recurrent = stage.recurrent is not None
        for matrix in (stage.w, stage.recurrent):
            if matrix is not None and not np.isfinite(matrix).all():
                raise ValueError(f"Node {stage.name!r} gets weights that are NaN or infinite.")
        layers.append(Layer(n, neuron, recurrent=recurrent, delay=round(steps) * dt))
        synapses.append({"w": stage.w * factor, **({"recurrent": stage.recurrent * factor} if recurrent else {})})
    return layers, synapses


def _readout(estimator: SpikingClassifier | SpikingRegressor) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (from, to) and bias of the readout, in the units of the targets."""
    w, b = (np.asarray(estimator.weights_["readout"][key], dtype=float) for key in "wb")
    if isinstance(estimator, SpikingRegressor):
        return w * estimator.y_spread_, b * estimator.y_spread_ + estimator.y_mean_
    return w, b


def _read_readout(found: Chain, n: int, clock: Clock, tau_out: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the time constant of the filter, weights and bias; the identity where the graph ends with spikes."""
    if found.filter is None or found.before is None or found.after is None:
        return float(tau_out), np.eye(n), np.zeros(n)
    tau = np.unique(np.asarray(found.filter.tau, float))
    if len(tau) > 1:
        raise ValueError(
            f"The LI of the output has time constants of {tau.min():g} to {tau.max():g} s: one can be read."
        )
    r, leak = (np.ravel(np.asarray(getattr(found.filter, key), float)) for key in ("r", "v_leak"))
    (before, inner), (after, outer) = found.before, found.after
    held = leak + r * inner  # of the filter, without spikes
    return (
        float(clock.inner("The LI of the output", tau)[0]),
        before * (r * clock.pulse / tau) @ after,
        (held @ after + outer),
    )


def _euler(euler: Quantity | None) -> float | None:
    if euler is None:
        return None
    fail_for_dimension_mismatch(euler, second, "euler must be a time")
    if not 0 < float(euler) < np.inf:
        raise ValueError(f"euler must be positive and finite, or None, got {euler}.")
    return float(euler)
