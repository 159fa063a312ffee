"""The laws of the source's heterogeneous networks, and laws of the same means without width."""

from __future__ import annotations

from typing import Any

from brian2 import ms

from hrsnn import Gamma
from hrsnn.laws import Law
from hrsnn.models import LIF, STDP

__all__ = ["INHIBITORY", "NEURON", "SYNAPSE", "TAU_M", "VARIANTS", "narrow"]

#: Membrane time constants of excitatory and inhibitory neurons.
TAU_M = {
    "E": Gamma(mean=20 * ms, shape=3, low=3 * ms, high=100 * ms),
    "I": Gamma(mean=10 * ms, shape=3, low=2 * ms, high=60 * ms),
}
NEURON, INHIBITORY = LIF(tau_m=TAU_M["E"]), LIF(tau_m=TAU_M["I"], t_ref=2 * ms)
SYNAPSE = STDP(
    A_plus=Gamma(mean=0.01, shape=4),
    A_minus=Gamma(mean=0.0105, shape=4),
    tau_plus=Gamma(mean=20 * ms, shape=3, low=2 * ms, high=100 * ms),
    tau_minus=Gamma(mean=20 * ms, shape=3, low=2 * ms, high=100 * ms),
)
#: Homogeneous (Ho) or heterogeneous (He) neurons (N) and STDP (S).
VARIANTS = ("HoNHoS", "HeNHoS", "HoNHeS", "HeNHeS")


def narrow(model: Any) -> Any:
    """Return a model with laws of the same means and next to no width: it shares the compiled program of the first.

    The coefficient of variation is 1e-6, which no spike of these networks notices.
    """
    laws = {key: value for key, value in model.parameters.items() if isinstance(value, Law)}
    return type(model)(**{**model.parameters, **{k: Gamma(mean=law.mean, shape=1e12) for k, law in laws.items()}})
