"""Lateral inhibition: each spike of a neuron inhibits all other neurons of its layer, one step later."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Clock, NeuronGroup, Quantity, Synapses, second

from hrsnn.simulation.model import NeuronModel

__all__ = ["lateral_inhibition"]

G_EXC = 10.4  # weight of the one-to-one synapses onto the inhibitory layer (Diehl & Cook)


def lateral_inhibition(
    control: NeuronGroup,
    exc: NeuronGroup,
    presentation: Clock,
    dt: Quantity,
    inhibition: bool = True,
    inhibitory: NeuronModel | None = None,
    prefix: str = "",
) -> list[Any]:
    """Return the objects that count the spikes of a layer, and that inhibit.

    Inhibition is the sum over all neurons minus the neuron's own share.

    Parameters
    ----------
    control : NeuronGroup
        One neuron with ``n_recent``, ``n_spikes`` and ``g_inh``.
    exc : NeuronGroup
        The layer, with ``spiked`` and ``g_i``.
    presentation : Clock
        Ticks at the start of each presentation.
    dt : Quantity (second)
        Time step.
    inhibition : bool
        Whether the layer inhibits itself; spikes are counted in any case.
    inhibitory : NeuronModel, optional
        Simulate the inhibition by an explicit layer of such neurons: same result, slower.
    prefix : str
        What the names of the objects begin with.
    """
    zeros, each = np.zeros(exc.N, dtype=int), np.arange(exc.N)
    common = dict(delay=0 * second, dt=dt)
    count = Synapses(exc, control, on_pre="n_recent_post += 1\nn_spikes_post += 1", name=f"{prefix}count", **common)
    count.connect(i=each, j=zeros)
    count.pre.order = 3
    reset = control.resetter["spike"]
    reset.when, reset.order = "synapses", 2
    if not inhibition:
        return [count]
    if inhibitory is not None:
        return [count, *_layer(exc, inhibitory, presentation, prefix, dt)]
    lateral = Synapses(
        control,
        exc,
        on_pre="g_i_post += g_inh_pre*(n_recent_pre - spiked_post)\nspiked_post = 0",
        name=f"{prefix}lateral",
        **common,
    )
    lateral.connect(i=zeros, j=each)
    lateral.pre.order = 1
    return [count, lateral]


def _layer(exc: NeuronGroup, inhibitory: NeuronModel, presentation: Clock, prefix: str, dt: Quantity) -> list[Any]:
    extra = "learning : integer (shared, constant)"
    inh = inhibitory.build(exc.N, name=f"{prefix}inh", dt=dt, extra=extra)
    inh.learning = 1
    at_rest = "\n".join(inhibitory.at_rest_unless("learning"))
    inh.run_regularly(at_rest, clock=presentation, when="before_groups", order=-2)
    common = dict(delay=0 * second, dt=dt)
    to_inh = Synapses(
        exc, inh, on_pre="g_e_post += g_exc", namespace={"g_exc": G_EXC}, name=f"{prefix}exc_to_inh", **common
    )
    to_inh.connect(j="i")
    to_exc = Synapses(
        inh, exc, "g_inh : 1 (shared, constant)", on_pre="g_i_post += g_inh", name=f"{prefix}inh_to_exc", **common
    )
    to_exc.connect(condition="i != j")
    return [inh, to_inh, to_exc]
