"""Weight sharing against brute force, and its storage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose

from hrsnn.pruning import codebook, quantize, storage_bits

# Few distinct values make ties frequent.
WEIGHTS = hnp.arrays(
    float, hnp.array_shapes(max_dims=2, max_side=9), elements=st.integers(0, 12).map(lambda i: i / 16)
).filter(np.any)


def brute_force(weights, levels):
    """Each weight against the quantiles of the non-zero weights, one by one."""
    values = [w for w in weights.ravel().tolist() if w > 0]
    edges = [np.quantile(values, j / (levels - 1)) for j in range(1, levels - 1)]
    group = {w: sum(w > edge + 1e-12 for edge in edges) for w in values}
    mean = {g: np.mean([w for w in values if group[w] == g]) for g in set(group.values())}
    return np.array([mean[group[w]] if w > 0 else 0 for w in weights.ravel().tolist()]).reshape(weights.shape)


@given(WEIGHTS, st.integers(2, 9))
def test_quantize_matches_brute_force(weights, levels):
    assert_allclose(quantize(weights, levels), brute_force(weights, levels), rtol=1e-12)


@given(WEIGHTS, st.integers(2, 9))
def test_quantize_keeps_zeros_mean_and_order(weights, levels):
    shared = quantize(weights, levels)
    assert np.array_equal(shared == 0, weights == 0)
    assert_allclose(shared.sum(), weights.sum(), rtol=1e-12)
    assert len(np.unique(shared[shared > 0])) <= levels - 1
    order = np.argsort(weights, axis=None, kind="stable")
    assert np.all(np.diff(shared.flat[order]) >= 0)
    for value in np.unique(weights):
        assert len(np.unique(shared[weights == value])) == 1


@given(WEIGHTS, st.integers(2, 9))
def test_quantize_is_idempotent(weights, levels):
    shared = quantize(weights, levels)
    assert np.array_equal(quantize(shared, levels), shared)


def test_two_levels_share_the_mean():
    assert quantize([0, 0.2, 0.4, 0.9], 2).tolist() == [0, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([0.2, 0.0, 0.4, 0.9], [0.3, 0.0, 0.3, 0.9]),  # odd count: the median belongs to the low group
        ([0.2, 0.4, 0.6, 1.0], [0.3, 0.3, 0.8, 0.8]),
        ([0.2, 0.5, 0.5, 0.5, 1.0], [0.425, 0.425, 0.425, 0.425, 1.0]),  # ties at the median stay together
        ([0.7, 0.7, 0.7], [0.7, 0.7, 0.7]),  # nothing above the median
        ([0.4], [0.4]),
    ],
)
def test_three_levels_split_at_the_median(weights, expected):
    assert_allclose(quantize(weights, 3), expected, rtol=1e-15)


def test_groups_have_equal_counts_without_ties():
    weights = np.random.default_rng(0).permutation(np.arange(1, 21) / 20)
    _, counts = np.unique(quantize(weights, 6), return_counts=True)
    assert counts.tolist() == [4, 4, 4, 4, 4]


def test_enough_levels_change_nothing():
    weights = np.random.default_rng(1).uniform(0.1, 1, 30)
    assert np.array_equal(quantize(weights, 31), weights)


@given(WEIGHTS, st.integers(2, 6))
def test_codebook_lists_the_values_in_use(weights, levels):
    book = codebook(weights, levels)
    assert book[0] == 0
    assert np.array_equal(book[1:], np.unique(quantize(weights[weights > 0], levels)))


def test_float32_stays_float32():
    weights = np.array([0.1, 0.7, 0.7], dtype=np.float32)
    assert quantize(weights, 3).dtype == codebook(weights, 3).dtype == np.float32


def test_storage_bits_by_hand():
    weights = np.zeros((784, 100))
    weights[:, :25] = 0.5
    assert storage_bits(weights) == 78_400 * 32
    assert storage_bits(weights, n_bits=5) == 78_400 * 5
    assert storage_bits(weights, levels=2) == 78_400 + 32
    assert storage_bits(weights, levels=3) == 78_400 * 2 + 2 * 32
    assert storage_bits(weights, sparse=True) == 19_600 * (17 + 32)  # 2**17 > 78400
    assert storage_bits(weights, levels=2, sparse=True) == 19_600 * 17 + 32
    assert storage_bits(weights, levels=5, sparse=True) == 19_600 * (17 + 2) + 4 * 32


@pytest.mark.parametrize("levels", [1, 0, -3, 2.5, True])
def test_too_few_levels(levels):
    with pytest.raises(ValueError, match="levels must be an integer of at least 2"):
        quantize([0.5], levels)
    with pytest.raises(ValueError, match="levels must be an integer of at least 2"):
        storage_bits([0.5], levels)


def test_bad_weights():
    with pytest.raises(ValueError, match="nothing to share"):
        quantize([0.0, 0.0], 2)
    with pytest.raises(ValueError, match=r"must not be negative, got -0\.5"):
        quantize([0.5, -0.5], 2)
    with pytest.raises(ValueError, match="1 NaN or infinite"):
        quantize([0.5, np.inf], 2)
    with pytest.raises(ValueError, match="n_bits must be at least 1"):
        storage_bits([0.5], n_bits=0)
