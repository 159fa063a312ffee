"""Event recordings as counts a step and square of pixels."""

import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_array_equal

from hrsnn.datasets import make_events
from hrsnn.inputs import event_series


def test_events_become_counts_of_squares():
    places = np.ravel_multi_index(([1, 1, 0, 0], [2, 3, 33, 0], [5, 4, 33, 0]), (2, 34, 34))
    events = make_events([0.001, 0.002, 0.041, 0.5], places)
    X = event_series([events], (2, 34, 34), n_steps=4, pool=2)[0].reshape(4, 2, 17, 17)
    assert X[0, 1, 1, 2] == 0.5  # two of four events
    assert X[2, 0, 16, 16] == 0.25
    assert X.sum() == 0.75  # the last event comes too late
    fine = event_series([events], (2, 34, 34), n_steps=4, full=1)[0].reshape(4, 2, 34, 34)
    assert fine[0, 1, 2, 5] == fine[0, 1, 3, 4] == 1


def test_units_without_a_picture_are_counted_one_by_one():
    events = make_events([0.001, 0.006, 0.012, 0.013, 0.014], [2, 0, 1, 1, 1])
    found = event_series([events, events[:0]], 3, 10 * ms, n_steps=2, full=2)
    assert_array_equal(found, [[[0.5, 0, 0.5], [0, 1, 0]], np.zeros((2, 3))])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(shape=3, pool=2), r"pool needs a camera's shape \(polarities, height, width\), got 3"),
        (dict(shape=(3, 4)), r"shape must be \(polarities, height, width\) or the number of units, got \(3, 4\)"),
        (dict(shape=2), "unit 2 does not exist among n_units=2"),
        (dict(shape=3, full=0), "full must be positive and finite, got 0"),
        (dict(shape=3, n_steps=0), "n_steps must be an integer of at least 1, got 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        event_series([make_events([0.001], [2])], **arguments)
    with pytest.raises(ValueError, match="recordings is empty"):
        event_series([], 3)
