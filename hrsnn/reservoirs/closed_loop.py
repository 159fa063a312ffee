"""The readout inside the simulation: the neurons' state and the present values make the next values of the series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import Clock, NeuronGroup, Quantity, Synapses

from hrsnn.simulation.brian2_hooks import at

__all__ = ["at", "feedback", "weight_sizes"]


def feedback(
    neurons: NeuronGroup,
    series: NeuronGroup,
    powers: Sequence[tuple[str, int]],
    n_hidden: int,
    clock: Clock,
    orders: Sequence[int],
    dt: Quantity,
) -> list[Any]:
    """Return the objects that set ``y_state``, ``y_input`` and, with hidden units, ``y_hidden`` of the series.

    The first two are sums over features of the state and over the present values. A hidden unit is the tanh of two
    such sums of its own and its bias; ``y_hidden`` is a sum over these units. All weights are run arguments.

    Parameters
    ----------
    neurons, series : brian2.NeuronGroup
        The last of the neurons is spare and left out.
    powers : sequence of (str, int)
        Variable and exponent of each feature of a neuron.
    n_hidden : int
        Hidden units; none if 0.
    clock : brian2.Clock
        When a step of the series begins.
    orders : sequence of int
        Order in which sums, hidden units, and sums over these are found, before the groups advance.
    dt : Quantity (second)
        Time step of the objects.
    """
    n_neurons, n_features = neurons.N - 1, series.N
    values = [("u", 1)]
    sums = [
        _weighted("readout", neurons, series, n_neurons, powers, "y_state", dt),
        _weighted("passthrough", series, series, n_features, values, "y_input", dt),
    ]
    others: list[Any] = []
    if n_hidden:
        hidden = NeuronGroup(n_hidden, "h : 1\nbias : 1\ny_state : 1\ny_input : 1", dt=dt, name="hidden")
        hidden.run_regularly("h = tanh(bias + y_state + y_input)", clock=clock, when="before_groups", order=orders[1])
        sums.append(_weighted("state_to_hidden", neurons, hidden, n_neurons, powers, "y_state", dt))
        sums.append(_weighted("values_to_hidden", series, hidden, n_features, values, "y_input", dt))
        out = _weighted("hidden_to_series", hidden, series, n_hidden, [("h", 1)], "y_hidden", dt)
        at(out.summed_updaters["y_hidden_post"], clock, orders[2])
        others = [hidden, out]
    for synapses in sums:
        at(next(iter(synapses.summed_updaters.values())), clock, orders[0])
    return [*sums, *others]


def weight_sizes(n_neurons: int, n_features: int, n_powers: int, n_hidden: int) -> dict[str, int]:
    """Return the numbers of weights, by the names of their variables."""
    sizes = {f"readout.w_{k}": n_neurons * n_features for k in range(n_powers)} | {"passthrough.w_0": n_features**2}
    if n_hidden:
        sizes |= {f"state_to_hidden.w_{k}": n_neurons * n_hidden for k in range(n_powers)}
        sizes |= {"values_to_hidden.w_0": n_features * n_hidden, "hidden_to_series.w_0": n_hidden * n_features}
    return sizes


def _weighted(
    name: str,
    source: NeuronGroup,
    target: NeuronGroup,
    n: int,
    powers: Sequence[tuple[str, int]],
    variable: str,
    dt: Quantity,
) -> Synapses:
    """Return synapses from the first ``n`` of a group to all of another, a weight for each feature."""
    terms = [f"w_{k}*{feature}_pre" + (f"**{power}" if power > 1 else "") for k, (feature, power) in enumerate(powers)]
    weights = "\n".join(f"w_{k} : 1 (constant)" for k in range(len(terms)))
    equations = f"{weights}\n{variable}_post = {' + '.join(terms)} : 1 (summed)"
    synapses = Synapses(source, target, equations, dt=dt, name=name)
    i, j = np.divmod(np.arange(n * target.N), target.N)
    synapses.connect(i=i, j=j)
    return synapses
