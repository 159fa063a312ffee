"""Neurons of NIR and of this package: the same differential equations, and what carries a weight from one to the other.

A node of NIR gets S = W s + b, where s are spikes. As an ordinary differential equation it takes a spike as an impulse
of area one: that of CubaLIF, tau_syn dI/dt = -I + w_in S, makes I jump by w_in W/tau_syn, and r I moves the potential
as i_e does here. A program of Euler steps takes a spike as a pulse of height one that lasts a step, and therefore of
area ``euler``: I' = (1 - euler/tau_syn) I + euler/tau_syn w_in S.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import get_dimensions

from hrsnn.exchange._library import nir
from hrsnn.exchange.values import PerNeuron
from hrsnn.models import IF, LIF, BiasedLIF, DeltaLIF
from hrsnn.simulation.model import NeuronModel

__all__ = ["Clock", "LossyExport", "from_node", "to_node"]

KNOWN = (LIF, BiasedLIF, DeltaLIF, IF)


class LossyExport(UserWarning):
    """NIR cannot say a part of the network; the message says which."""


@dataclass(frozen=True)
class Clock:
    """Time here and there.

    Parameters
    ----------
    dt : float
        Time step of this package, which takes exact steps of its linear equations (seconds).
    euler : float, optional
        Euler step of the other program (seconds); None where the file is meant as differential equations.
    """

    dt: float
    euler: float | None = None

    @property
    def pulse(self) -> float:
        """Area of a spike."""
        return self.euler or 1.0

    def decay(self, tau: np.ndarray) -> np.ndarray:
        """Return the share that is lost in a time step."""
        return -np.expm1(-self.dt / tau)

    def outer(self, tau: Any) -> np.ndarray:
        """Return the time constant of the file: that whose Euler step loses the same share, if it takes such."""
        tau = np.asarray(tau, float)
        return tau if self.euler is None else self.euler / self.decay(tau)

    def inner(self, name: str, tau: np.ndarray) -> np.ndarray:
        """Return the time constant here of one of the file."""
        if self.euler is None:
            return tau
        if not np.all(tau > self.euler):
            raise ValueError(
                f"{name}: a time constant of {tau.min():g} s is not above the Euler step, {self.euler:g} s. "
                "Give the step of the program that wrote the file as euler=."
            )
        return -self.dt / np.log1p(-self.euler / tau)

    def spread(self, tau: np.ndarray) -> Any:
        """Return what makes of a jump, that an Euler step takes whole, one that decays over the step it enters."""
        return 1.0 if self.euler is None else self.dt / (tau * self.decay(tau))


def to_node(
    title: str, model: NeuronModel, target: str | None, values: Mapping[str, Any], n: int, clock: Clock
) -> tuple[nir.NIRNode, np.ndarray, np.ndarray]:
    """Return the node of a layer, what weights to each neuron are multiplied by, and the bias that belongs to them.

    Parameters
    ----------
    title : str
        What errors call the layer.
    model : NeuronModel
    target : str
        Variable that synapses add to.
    values : mapping of str to array
        Parameters in SI units, of shape (n,) or ().
    n : int
    clock : Clock

    Raises
    ------
    ValueError
        If NIR has no such neuron.

    Warns
    -----
    LossyExport
        If the neuron has a refractory period, or does not start where NIR's do.
    """
    kind = _kind(title, model, target)
    p = {key: np.broadcast_to(np.asarray(value, float), (n,)).copy() for key, value in values.items()}
    ones, pulse = np.ones(n), clock.pulse
    potentials = {"v_threshold": p["v_thresh"], "v_reset": p["v_reset"]}
    metadata = _beyond(title, p)
    if kind is IF:
        bias = p["drive"] * (1 if clock.euler is None else clock.dt)
        return nir.IF(r=ones / pulse, **potentials, metadata=metadata), ones, bias
    tau_m = clock.outer(p["tau_m"])
    potentials["v_leak"] = p["v_rest"] + p["drive"]
    if kind is DeltaLIF:
        node = nir.LIF(tau=tau_m, r=tau_m / pulse, **potentials, metadata=metadata)
        return node, ones / clock.spread(p["tau_m"]), 0 * ones
    tau_syn = clock.outer(p["tau_e"])
    r = ones if clock.euler is None else tau_m / clock.euler
    w_in = tau_syn / pulse
    node = nir.CubaLIF(tau_syn=tau_syn, tau_mem=tau_m, r=r, w_in=w_in, **potentials, metadata=metadata)
    return node, 1 / r, p.get("bias", 0 * ones) / (r * w_in)


def from_node(title: str, node: nir.NIRNode, bias: np.ndarray, n: int, clock: Clock) -> tuple[NeuronModel, np.ndarray]:
    """Return the model of a node, and what weights to each neuron are multiplied by.

    Parameters
    ----------
    title : str
        What errors call the node.
    node : nir.CubaLIF, nir.LIF or nir.IF
    bias : array of shape (n,)
        What an affine map adds to its weighted spikes.
    n : int
    clock : Clock

    Raises
    ------
    ValueError
        If a parameter has another number of values, or is out of range.
    """

    def value(name: str) -> np.ndarray:
        found = np.asarray(getattr(node, name), float).ravel()
        if found.size not in (1, n):
            raise ValueError(f"{title}: {name} has {found.size} values, but {n} neurons get input.")
        return np.broadcast_to(found, (n,))

    extra = node.metadata or {}
    r, pulse = value("r"), clock.pulse
    settings = {"v_thresh": value("v_threshold"), "v_reset": value("v_reset")}
    if isinstance(node, nir.IF):
        settings["v_rest"] = np.broadcast_to(extra.get("v_start", 0.0), (n,))
        settings["drive"] = bias * r * (1 if clock.euler is None else pulse / clock.dt)
        return _model(title, IF, settings), r * pulse
    leak = value("v_leak")
    settings["v_rest"] = np.broadcast_to(extra.get("v_start", leak), (n,))
    settings["drive"] = leak - settings["v_rest"]
    if isinstance(node, nir.LIF):
        tau = value("tau")
        settings["tau_m"] = clock.inner(title, tau)
        settings["drive"] = settings["drive"] + r * bias
        return _model(title, DeltaLIF, settings), r * pulse / tau * clock.spread(settings["tau_m"])
    tau_syn, w_in = value("tau_syn"), value("w_in")
    settings["tau_m"], settings["tau_e"] = clock.inner(title, value("tau_mem")), clock.inner(title, tau_syn)
    settings["t_ref"] = np.broadcast_to(extra.get("t_ref", 0.0), (n,))
    if np.any(bias):
        settings["bias"] = r * w_in * bias
    return _model(title, BiasedLIF if np.any(bias) else LIF, settings), r * (w_in * pulse / tau_syn)


def _kind(title: str, model: NeuronModel, target: str | None) -> type[NeuronModel]:
    """Return which of the known neurons a model is: variants may have other defaults."""
    for kind in KNOWN:
        if all(getattr(model, part) == getattr(kind, part) for part in ("equations", "threshold", "reset")):
            if target != "i_e":
                raise ValueError(f"{title}: NIR has one input a neuron, i_e; its synapses add to {target}.")
            return kind
    raise ValueError(
        f"{title}: NIR has no node for {type(model).__name__}. It has those of "
        f"{', '.join(kind.__name__ for kind in KNOWN)} and of models with their equations."
    )


def _beyond(title: str, p: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what only this package reads, and warn of it."""
    found = {}
    if np.any(p.get("t_ref", 0)):
        found["t_ref"] = p["t_ref"]
    leak = p["v_rest"] + p["drive"] if "tau_m" in p else 0
    if np.any(p["v_rest"] != leak):
        found["v_start"] = p["v_rest"]
    said = {
        "t_ref": "no refractory period",
        "v_start": "no potential at the start, which is v_rest without its drive",
    }
    for key in found:
        warnings.warn(
            f"{title}: NIR has {said[key]}. hrsnn reads it back; other programs do without, and spikes will differ.",
            LossyExport,
            stacklevel=4,
        )
    return found


def _model(title: str, kind: type[NeuronModel], settings: Mapping[str, np.ndarray]) -> NeuronModel:
    """Return a model of SI values: a number where all neurons share it."""
    parameters: dict[str, Any] = {}
    for key, values in settings.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{title}: its {key} is not finite.")
        quantity = Quantity(values, dim=get_dimensions(kind.defaults[key]))
        parameters[key] = quantity[0] if np.all(values == values[0]) else PerNeuron(quantity)
        if get_dimensions(kind.defaults[key]) is get_dimensions(1) and not isinstance(parameters[key], PerNeuron):
            parameters[key] = float(values[0])
    try:
        return kind(**parameters)
    except ValueError as error:
        raise ValueError(f"{title}: {error}") from error
