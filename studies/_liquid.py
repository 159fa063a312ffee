"""What the studies of reservoirs share: the four variants, their means, and lines with their spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hrsnn import Reservoir, plots, topology
from hrsnn.metrics import paired
from hrsnn.reservoirs.reservoir import homogeneous
from hrsnn.studies._networks import INHIBITORY, NEURON, SYNAPSE, VARIANTS, narrow

#: Which variants the source compares: what the first has that the second has not.
PAIRS = {
    "neurons": ("HeNHoS", "HoNHoS"),
    "synapses": ("HoNHeS", "HoNHoS"),
    "both": ("HeNHeS", "HoNHoS"),
    "synapses of HeN": ("HeNHeS", "HeNHoS"),
}
Row = Mapping[str, Any]


def reservoir(
    variant: str, n: int, seed: int, w_scale: float, lambda_: float | None = None, **settings: Any
) -> Reservoir:
    """Return a reservoir of homogeneous (Ho) or heterogeneous (He) neurons (N) and STDP (S).

    Variants of one size and seed have the same graph, initial weights and mean parameters. A variant without S, as
    "HeN", does not learn.

    Parameters
    ----------
    variant : str
        HoNHoS, HeNHoS, HoNHeS, HeNHeS, HoN or HeN.
    n, seed : int
    w_scale, lambda_ : float
        Of `hrsnn.topology.distance_dependent`.
    **settings
        Of `hrsnn.Reservoir`.
    """
    known = (*VARIANTS, "HoN", "HeN")
    if variant not in known:
        raise ValueError(f"variant must be one of {', '.join(known)}, got {variant!r}.")
    neurons = (NEURON, INHIBITORY) if variant.startswith("HeN") else (homogeneous(NEURON), homogeneous(INHIBITORY))
    synapse = None if len(variant) == 3 else SYNAPSE if variant.endswith("HeS") else narrow(SYNAPSE)
    graph = topology.distance_dependent(n, lambda_, w_scale, seed=seed)
    return Reservoir(graph, *neurons, synapse, seed=seed, **settings)


def drawn(
    rows: Sequence[Row], x: str, panels: Mapping[str, str], x_label: str, log: str = "", line: str = "variant"
) -> Any:
    """Return a figure with a panel for each value, lines of means over seeds against ``x``, bands of one deviation.

    Parameters
    ----------
    rows : sequence of mapping
    x : str
    panels : mapping of str to str
        Label of each value.
    x_label, log : str
        As in `hrsnn.plots.curves`.
    line : str
        What makes a line.
    """
    figure, grid = plots.figure(1, len(panels))
    for axes, (key, label) in zip(np.atleast_1d(grid), panels.items(), strict=True):
        lines: dict[str, tuple[list[float], list[float]]] = {}
        deviations: dict[str, list[float]] = {}
        for row in paired.means(rows, (line, x), [key]):
            points = lines.setdefault(str(row[line]), ([], []))
            points[0].append(row[x])
            points[1].append(row[key])
            deviations.setdefault(str(row[line]), []).append(row[f"{key}_std"])
        plots.curves(axes, lines, x_label, label, log=log)
        if "x" in log:
            ticks = sorted({row[x] for row in rows if x in row})
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        for k, (name, (at, mean)) in enumerate(lines.items()):
            low, high = np.array(mean) - deviations[name], np.array(mean) + deviations[name]
            colour = plots.COLOURS[k % len(plots.COLOURS)]
            order = np.argsort(at)
            axes.fill_between(np.array(at)[order], low[order], high[order], color=colour, alpha=0.12, linewidth=0)
    return figure
