"""Pairs of samples with the same label."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hrsnn.datasets import match_labels


def test_pairs_have_one_label_and_repeat_rows_evenly():
    rng = np.random.default_rng(0)
    images, sounds, smells = rng.integers(0, 10, 4000), np.repeat(np.arange(10), 16), np.tile(np.arange(10), 30)
    rows = match_labels(images, sounds, smells, n_samples=6000, seed=3)
    assert_array_equal(images[rows[0]], sounds[rows[1]])
    assert_array_equal(images[rows[0]], smells[rows[2]])
    assert set(np.bincount(rows[0], minlength=4000)) == {1, 2}
    for label in range(10):
        used = np.bincount(rows[1], minlength=160)[sounds == label]
        assert used.max() - used.min() <= 1
    assert_array_equal(match_labels(images, sounds, smells, n_samples=6000, seed=3)[1], rows[1])
    assert (match_labels(images, sounds, seed=4)[0] != match_labels(images, sounds, seed=3)[0]).any()
    assert sorted(match_labels(images, sounds)[0]) == list(range(4000))


@pytest.mark.parametrize(
    ("sets", "n", "message"),
    [
        (([1, 2],), None, "at least two sets, got 1"),
        (([1, 2], []), None, "set 1 must have shape"),
        (([1, 2], [1, 3]), None, r"set 0 has \[1, 2\], set 1 has \[1, 3\]"),
        (([1, 2], [2, 1]), 0, "n_samples must be an integer of at least 1, got 0"),
    ],
)
def test_sets_that_do_not_match_are_refused(sets, n, message):
    with pytest.raises(ValueError, match=message):
        match_labels(*sets, n_samples=n)
