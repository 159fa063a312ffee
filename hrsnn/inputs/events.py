"""Event recordings as samples: counts a step and place, in the unit interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from brian2 import Quantity, ms

from hrsnn.checks import check_integer
from hrsnn.datasets import bin_events, pool_events

__all__ = ["event_series"]


def event_series(
    recordings: Sequence[np.ndarray],
    shape: tuple[int, int, int] | int,
    step: Quantity = 20 * ms,
    n_steps: int = 15,
    pool: int = 1,
    full: float = 4,
) -> np.ndarray:
    """Count the events of recordings in each step and place: samples for a reservoir.

    Parameters
    ----------
    recordings : sequence of structured array
        With fields ``t`` (seconds from the start) and ``unit``, as `hrsnn.datasets.make_events` makes them of your
        own times and places.
    shape : tuple of int, or int
        Polarities, height and width of a camera, whose units count through (polarity, y, x); or the number of units.
    step : Quantity (second)
    n_steps : int
        Later events are left out.
    pool : int
        Side of the squares of pixels that are counted together, of a camera.
    full : float
        Events in a step and place that become 1, as do more.

    Returns
    -------
    array of shape (n_recordings, n_steps, n_units)
        Values in [0, 1]; of a camera n_units is polarities * ceil(height / pool) * ceil(width / pool).

    Raises
    ------
    ValueError
        If there are no recordings, a unit lies outside the shape, or an argument is out of range.
    brian2.DimensionMismatchError
        If step is no time.

    Examples
    --------
    >>> from hrsnn.datasets import make_events
    >>> events = make_events(t=[0.001, 0.002, 0.025], unit=[0, 0, 1])
    >>> event_series([events], 2, n_steps=2)
    array([[[0.5 , 0.  ],
            [0.  , 0.25]]])
    """
    check_integer("n_steps", n_steps, 1)
    check_integer("pool", pool, 1)
    if not 0 < full < np.inf:
        raise ValueError(f"full must be positive and finite, got {full!r}.")
    if not len(recordings):
        raise ValueError("recordings is empty: there is nothing to count.")
    if isinstance(shape, (int, np.integer)):
        n_units, camera = int(shape), None
        if pool != 1:
            raise ValueError(f"pool needs a camera's shape (polarities, height, width), got {shape!r}.")
    elif len(shape) != 3:
        raise ValueError(f"shape must be (polarities, height, width) or the number of units, got {shape!r}.")
    else:
        camera = (shape[0], shape[1], shape[2])
        n_units = prod((shape[0], -(-shape[1] // pool), -(-shape[2] // pool)))
    places = recordings if camera is None else [pool_events(events, camera, pool) for events in recordings]
    counts = [bin_events(events, n_units, n_steps, n_steps * step) for events in places]
    return np.minimum(np.array(counts) / full, 1)
