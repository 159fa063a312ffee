"""Threshold pruning against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hrsnn.pruning import connectivity, critical, prune, prune_to, random_mask, thin

WEIGHTS = hnp.arrays(float, hnp.array_shapes(max_dims=3, max_side=7), elements=st.floats(0, 1, width=16))


@given(WEIGHTS, st.floats(0, 0.99))
def test_critical_is_strictly_above_threshold(weights, threshold):
    expected = [w > threshold for w in weights.ravel().tolist()]
    assert critical(weights, threshold).ravel().tolist() == expected


def test_a_weight_on_the_threshold_is_not_critical():
    assert critical([0.15, np.nextafter(0.15, 1)], 0.15).tolist() == [False, True]


@given(WEIGHTS, st.floats(0, 0.5))
def test_prune_zeroes_the_rest_and_is_idempotent(weights, threshold):
    if not (weights > threshold).any():
        with pytest.raises(ValueError, match="No weight is above the pruning threshold"):
            prune(weights, threshold)
        return
    before = weights.copy()
    pruned = prune(weights, threshold)
    assert pruned.ravel().tolist() == [w if w > threshold else 0.0 for w in weights.ravel().tolist()]
    assert np.array_equal(prune(pruned, threshold), pruned)
    assert np.array_equal(weights, before)


@given(WEIGHTS, st.floats(0.01, 1))
def test_prune_to_keeps_the_largest(weights, fraction):
    if not weights.any():
        with pytest.raises(ValueError, match="nothing to keep"):
            prune_to(weights, fraction)
        return
    pruned = prune_to(weights, fraction).ravel()
    n_kept = max(1, round(fraction * weights.size))
    assert sorted(pruned[pruned > 0]) == sorted(w for w in sorted(weights.ravel())[-n_kept:] if w > 0)
    kept = pruned > 0
    assert np.array_equal(pruned[kept], weights.ravel()[kept])


def test_prune_keeps_float32():
    assert prune(np.array([0.1, 0.9], dtype=np.float32), 0.5).dtype == np.float32


@given(st.integers(1, 60), st.integers(1, 20), st.floats(0.01, 1), st.integers(0, 9))
def test_random_mask_has_the_exact_count(n_rows, n_columns, fraction, seed):
    mask = random_mask((n_rows, n_columns), fraction, np.random.default_rng(seed))
    assert mask.shape == (n_rows, n_columns)
    assert mask.sum() == max(1, round(fraction * n_rows * n_columns))
    assert np.array_equal(mask, random_mask((n_rows, n_columns), fraction, np.random.default_rng(seed)))


def test_random_mask_is_uniform():
    n_draws = 2000
    rng = np.random.default_rng(3)
    counts = sum(random_mask(20, 0.25, rng).astype(int) for _ in range(n_draws))
    assert np.all(np.abs(counts - n_draws / 4) < 5 * np.sqrt(n_draws * 0.25 * 0.75))  # five standard deviations


def test_connectivity_counts_nonzero_weights():
    assert connectivity([[0, 0.2], [0.5, 0]]) == 0.5
    assert connectivity([0.2, 0.5, 0.0], n_possible=10) == 0.2


@pytest.mark.parametrize("threshold", [-0.1, np.nan, np.inf])
def test_threshold_out_of_range(threshold):
    with pytest.raises(ValueError, match="threshold must be a finite number of at least 0"):
        critical([0.5], threshold)


@pytest.mark.parametrize(
    "function", [lambda w: critical(w, 0.1), lambda w: prune_to(w, 0.5), lambda w: thin(w, 0.5), connectivity]
)
def test_bad_weights(function):
    with pytest.raises(ValueError, match="1 NaN or infinite values of 2"):
        function([0.3, np.nan])
    with pytest.raises(ValueError, match="weights is empty"):
        function([])


@pytest.mark.parametrize("fraction", [0, -0.2, 1.01, np.nan])
def test_connectivity_out_of_range(fraction):
    with pytest.raises(ValueError, match=r"connectivity must be in \(0, 1\]"):
        prune_to([0.5], fraction)
    with pytest.raises(ValueError, match=r"connectivity must be in \(0, 1\]"):
        random_mask(4, fraction, np.random.default_rng(0))


def test_more_weights_than_possible_synapses():
    with pytest.raises(ValueError, match="n_possible must be at least the number of weights"):
        connectivity([1.0, 1.0], n_possible=1)
    with pytest.raises(ValueError, match="at least one synapse"):
        random_mask(0, 0.5, np.random.default_rng(0))


def test_thin_refuses_a_list_of_synapses():
    with pytest.raises(ValueError, match=r"must have shape \(n_inputs, n_neurons\), got \(2,\)"):
        thin([0.5, 0.2], 0.5)


def test_thin_by_hand():
    # Two of four: 0.6 is sure, the others share one: 0.25, 0.25, 0.5. Summed 0.25, 1.25, 1.5, 2: steps at 1 and 2.
    weights = np.array([[0.1, 0.0], [0.6, 0.0], [0.1, 0.0], [0.2, 0.0]])
    expected = np.array([[0.0, 0.0], [0.6, 0.0], [0.0, 0.0], [0.4, 0.0]])  # scaled to a sum of 1, but none above 0.6
    np.testing.assert_allclose(thin(weights, 0.5), expected, rtol=1e-12)
    np.testing.assert_allclose(thin([[0.3], [0.1]], 0.5), [[0.0], [0.3]])  # a sum of 0.4 is out of reach


def test_thin_keeps_in_proportion_to_the_weights_and_evenly():
    weights = np.tile(np.linspace(0.2, 1.0, 200)[:, None], (1, 500))
    pruned = thin(weights, 0.2)
    kept = pruned > 0
    assert (kept.sum(axis=0) == 40).all()
    np.testing.assert_allclose(kept.mean(axis=1), 40 * weights[:, 0] / weights[:, 0].sum(), atol=3 / 500)
    assert pruned.max() == 1.0
    np.testing.assert_allclose(thin(weights * 0.1, 0.2).max(), 0.1)
    wide = thin(np.vstack([weights, np.full((1, 500), 9.0)]), 0.2)
    np.testing.assert_allclose(wide.sum(axis=0), weights[:, 0].sum() + 9)
    gaps = np.diff(np.flatnonzero(kept[:, 7]))
    expected = weights[:, 0].sum() / 40 / weights[np.flatnonzero(kept[:, 7])[1:], 0]
    assert np.abs(gaps - expected).max() < 1.6  # at every equal step of the summed weights
