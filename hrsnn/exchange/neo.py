"""What a reservoir did as Neo objects, for Elephant, NIX, and whatever else reads recordings of neurons; and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hrsnn.reservoirs.liquid import Response
from hrsnn.reservoirs.reservoir import Reservoir

if TYPE_CHECKING:
    import neo

__all__ = ["from_neo", "to_neo"]

STATES, SERIES = "states", "series"


def to_neo(response: Response, reservoir: Reservoir) -> neo.Block:
    """Return a response of a reservoir as a Block of one Segment.

    The segment holds a SpikeTrain of each neuron, in the order of the graph, annotated with its ``node`` and ``type``
    (and ``tau_m`` in seconds); an AnalogSignal "states", the features at the end of each step, if they were kept; and
    one "series", the values of each step in units of the series.

    Parameters
    ----------
    response : Response
        What ``reservoir.respond(X)`` returns.
    reservoir : Reservoir
        The fitted reservoir.

    Returns
    -------
    neo.Block

    Raises
    ------
    ImportError
        If Neo is not installed.
    """
    neo, pq = _neo()
    graph, period = reservoir.graph_, reservoir.liquid_.frozen.n_total * float(reservoir.liquid_.frozen.dt)
    segment = neo.Segment(name="response")
    order = np.lexsort((response.t, response.i))
    i, t = response.i[order], response.t[order]
    edges = np.searchsorted(i, np.arange(len(graph) + 1))
    for k, (node, own) in enumerate(graph.nodes(data=True)):
        notes = {"node": str(node), "type": own.get("type", "E")} | ({"tau_m": own["tau_m"]} if "tau_m" in own else {})
        times = t[edges[k] : edges[k + 1]]
        train = neo.SpikeTrain(times * pq.s, t_stop=len(response.u) * period * pq.s, name=f"neuron {k}", **notes)
        segment.spiketrains.append(train)
    for name, values in ((STATES, response.features), (SERIES, reservoir.unscaled(response.u))):
        if len(values):
            signal = neo.AnalogSignal(values, units=pq.dimensionless, sampling_period=period * pq.s, name=name)
            segment.analogsignals.append(signal)
    block = neo.Block(name=type(reservoir).__name__, n_neurons=len(graph), seed=int(reservoir.seed))
    block.segments.append(segment)
    return block


def from_neo(segment: neo.Segment) -> dict[str, np.ndarray]:
    """Return the arrays of a Segment.

    Parameters
    ----------
    segment : neo.Segment
        Of ``to_neo``, or of any recording.

    Returns
    -------
    dict of str to array
        ``i`` and ``t``, number and time (seconds) of each spike, in the order of time; and each AnalogSignal by its
        name, array of shape (n_steps, n_channels).
    """
    times = [np.asarray(train.rescale("s").magnitude, dtype=float) for train in segment.spiketrains]
    i = np.repeat(np.arange(len(times)), [len(train) for train in times])
    t = np.concatenate(times) if times else np.zeros(0)
    order = np.lexsort((i, t))
    signals = {str(signal.name): np.asarray(signal.magnitude) for signal in segment.analogsignals}
    return {"i": i[order], "t": t[order], **signals}


def _neo() -> tuple[Any, Any]:
    try:
        import neo
        import quantities
    except ImportError as error:
        raise ImportError(f"This needs Neo ({error}). Run: pip install 'hrsnn[neo]'") from None
    return neo, quantities
