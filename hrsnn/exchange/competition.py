"""What STDP has trained, in the terms of NIR: currents, fixed thresholds, and inhibition as recurrence.

A competing neuron of ``STDPClassifier`` has conductances, a threshold of its own that no longer moves once it is
trained, and inhibits all others a time step after its spike. NIR has currents alone.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from brian2 import Quantity, volt
from brian2.units.fundamentalunits import fail_for_dimension_mismatch

from hrsnn.exchange.neurons import LossyExport
from hrsnn.models import AdaptiveConductanceLIF, AdaptiveCurrentLIF, ConductanceLIF
from hrsnn.stdp.classifier import STDPClassifier

__all__ = ["CompetingLayer", "competing_layer"]

CONDUCTANCES = (ConductanceLIF.equations, AdaptiveConductanceLIF.equations)


class CompetingLayer(NamedTuple):
    """A frozen layer of competing neurons as one of ``LIF``, in SI units.

    ``w`` : array of shape (n_inputs, n_neurons). ``lateral`` : array of shape (n_neurons, n_neurons), from and to, or
    None without inhibition; it arrives a time step later. ``values`` : parameters of ``LIF``.
    """

    w: np.ndarray
    lateral: np.ndarray | None
    values: dict[str, np.ndarray]
    dt: float


def competing_layer(classifier: STDPClassifier, linearise: Quantity | None) -> CompetingLayer:
    """Return the frozen network of a trained classifier with currents for synapses.

    Parameters
    ----------
    classifier : STDPClassifier
        Fitted.
    linearise : Quantity (volt), optional
        Potential whose driving forces stand for those of all potentials, where synapses are conductances; then the
        inhibitory current also takes the time constant of the excitatory one, and keeps its charge.

    Raises
    ------
    ValueError
        If NIR cannot say it: conductances without ``linearise``, two synaptic time constants, other equations.

    Warns
    -----
    LossyExport
        If it is an approximation.
    """
    own, settings = classifier.ensembles_.layers[""], classifier.settings()
    presenter = classifier.ensembles_.presenters[0][1]
    name, n = type(own.neuron).__name__, own.n_neurons
    given = {key: np.asarray(value) for key, value in own.neuron.values() if f"exc.{key}" not in presenter.values}
    given |= {key: presenter.values[f"exc.{key}"] for key in own.neuron.parameters if f"exc.{key}" in presenter.values}
    given |= {key: np.asarray(float(value)) for key, value in own.neuron.frozen.items()}  # as it reads
    p = {key: np.broadcast_to(np.asarray(value, float), (n,)) for key, value in given.items()}
    if own.neuron.equations in CONDUCTANCES:
        if linearise is None:
            raise ValueError(
                f"NIR has no conductances, and {name} has: the drive of its synapses depends on its potential. Train "
                "with neuron=AdaptiveCurrentLIF(), or give the potential that stands for all, linearise=-60*mV."
            )
        fail_for_dimension_mismatch(linearise, volt, "linearise must be a potential")
        excitation, inhibition = p["E_e"] - float(linearise), float(linearise) - p["E_i"]
        inhibition = inhibition * p["tau_gi"] / p["tau_ge"]
        warnings.warn(
            f"{name}: NIR has no conductances. Currents with the driving forces at {linearise} stand for them, with "
            "one time constant: spikes will differ.",
            LossyExport,
            stacklevel=4,
        )
    elif own.neuron.equations == AdaptiveCurrentLIF.equations:
        if linearise is not None:
            raise ValueError(f"{name} has currents: there is nothing to linearise. Leave linearise out.")
        excitation, inhibition = p["J_e"], p["J_i"]
        if settings["inhibition"] and not np.array_equal(p["tau_ge"], p["tau_gi"]):
            raise ValueError(
                "NIR has one synaptic time constant a neuron, and tau_ge and tau_gi differ. Make them equal and train."
            )
    else:
        raise ValueError(
            f"NIR has no node for {name}: hrsnn exports AdaptiveCurrentLIF, and with linearise= ConductanceLIF and "
            "AdaptiveConductanceLIF, and models with their equations."
        )
    lateral = None
    if settings["inhibition"]:
        lateral = -settings["g_inh"] * inhibition * (1 - np.eye(n))
    threshold = p["v_thresh"] + _theta(classifier.state_, settings, n)
    values: dict[str, Any] = {key: p[key] for key in ("tau_m", "v_rest", "v_reset", "t_ref")}
    values |= {"tau_e": p["tau_ge"], "v_thresh": threshold, "drive": np.zeros(n)}
    return CompetingLayer(classifier.weights_ * excitation, lateral, values, float(presenter.network.dt))


def _theta(state: dict[str, np.ndarray], settings: dict[str, Any], n: int) -> np.ndarray:
    """Return what the thresholds have learnt, as the frozen network has it."""
    theta = np.asarray(state.get("exc.theta", np.zeros(n)), float)
    return np.full(n, theta.mean()) if settings["thresholds"] == "mean" else theta
