"""The pruning schedule between training batches."""

import copy
import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

from hrsnn.pruning import STDPPruning, connectivity, prune, quantize, thin

WEIGHTS = np.random.default_rng(5).uniform(0, 1, (28, 10))


def test_while_prunes_from_the_end_of_the_warm_up():
    pruning = STDPPruning(n_batches=6, warm_up=2)
    assert [n for n in range(8) if pruning.is_due(n)] == [2, 3, 4, 5]
    assert not any(STDPPruning(regime="after", n_batches=6).is_due(n) for n in range(8))
    assert not any(STDPPruning(regime="before", connectivity=0.1).is_due(n) for n in range(13))
    assert STDPPruning(n_batches=3, warm_up=0).is_due(0)


def test_apply_is_prune_then_quantize():
    assert np.array_equal(STDPPruning(threshold=0.6).apply(WEIGHTS), prune(WEIGHTS, 0.6))
    shared = STDPPruning(threshold=0.6, levels=3).apply(WEIGHTS)
    assert np.array_equal(shared, quantize(prune(WEIGHTS, 0.6), 3))
    assert len(np.unique(shared)) == 3


def test_final_mask_marks_what_remains():
    weights, mask = STDPPruning(threshold=0.6, levels=2).final(WEIGHTS)
    assert np.array_equal(mask, WEIGHTS > 0.6)
    assert_allclose(weights[mask], WEIGHTS[mask].mean(), rtol=1e-14)
    assert not weights[~mask].any()


def test_after_reaches_the_connectivity_asked_for():
    weights, mask = STDPPruning(regime="after", connectivity=0.25).final(WEIGHTS)
    assert connectivity(weights) == 0.25
    assert weights[mask].min() > WEIGHTS[~mask].max()


def test_thin_is_the_function_of_that_name():
    schedule = STDPPruning(regime="thin", connectivity=0.25)
    weights, mask = schedule.final(WEIGHTS)
    assert np.array_equal(weights, thin(WEIGHTS, 0.25))
    assert (mask.sum(axis=0) == 7).all()
    assert len(np.unique(dataclasses.replace(schedule, levels=3, connectivity=0.75).final(WEIGHTS)[0])) == 3
    assert not any(schedule.is_due(n) for n in range(13))


def test_before_trains_a_random_network_and_keeps_it():
    pruning = STDPPruning(regime="before", connectivity=0.25)
    mask = pruning.random_mask(WEIGHTS.shape, None, np.random.default_rng(0))
    assert mask.mean() == 0.25
    weights, final_mask = pruning.final(WEIGHTS * mask)
    assert np.array_equal(final_mask, mask)
    assert np.array_equal(weights, WEIGHTS * mask)


def test_the_three_regimes_can_share_one_connectivity():
    while_weights, mask = STDPPruning(threshold=0.6).final(WEIGHTS)
    c = float(mask.mean())
    after = STDPPruning(regime="after", connectivity=c).final(WEIGHTS)[0]
    before = STDPPruning(regime="before", connectivity=c).random_mask(WEIGHTS.shape, c, np.random.default_rng(0))
    assert np.array_equal(after, while_weights)
    assert before.sum() == mask.sum()


def test_sparse_values_work_as_a_matrix_does():
    pruning = STDPPruning(threshold=0.3, levels=4)
    assert np.array_equal(pruning.apply(WEIGHTS.ravel()), pruning.apply(WEIGHTS).ravel())


def test_is_a_value():
    pruning = STDPPruning(threshold=0.2, levels=3)
    assert pruning == STDPPruning(threshold=0.2, levels=3) == copy.deepcopy(pruning) != STDPPruning(threshold=0.2)
    assert hash(pruning) == hash(copy.deepcopy(pruning))
    assert repr(pruning) == (
        "STDPPruning(threshold=0.2, levels=3, n_batches=12, warm_up=3, regime='while', connectivity=None, n_settle=1)"
    )
    with pytest.raises(dataclasses.FrozenInstanceError, match="threshold"):
        pruning.threshold = 0.5


def test_returns_copies():
    weights = WEIGHTS.copy()
    for pruning in (STDPPruning(), STDPPruning(regime="before", connectivity=1.0)):
        pruning.final(weights)[0][:] = 7
    assert np.array_equal(weights, WEIGHTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(threshold=-0.1), "threshold must be a finite number of at least 0, got -0.1"),
        (dict(levels=1), "levels must be an integer of at least 2"),
        (dict(n_batches=0), "n_batches must be an integer of at least 1"),
        (dict(warm_up=13), r"warm_up must be in \[0, n_batches=12\], got 13"),
        (dict(n_settle=-1), "n_settle must not be negative, got -1"),
        (dict(regime="during"), "regime must be one of while, before, after, thin, got 'during'"),
        (dict(regime="before"), "regime 'before' needs connectivity"),
        (dict(regime="after", connectivity=1.5), r"connectivity must be in \(0, 1\], got 1.5"),
        (dict(regime="thin"), "regime 'thin' needs connectivity"),
        (dict(connectivity=0.2), "regime 'while' finds its connectivity from the threshold"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        STDPPruning(**arguments)


def test_nothing_left():
    with pytest.raises(ValueError, match=r"threshold 0.15 \(the largest is 0.1\). Lower the threshold"):
        STDPPruning().final([0.1, 0.05])
    with pytest.raises(ValueError, match="All weights are zero after training"):
        STDPPruning(regime="before", connectivity=0.5).final([0.0, 0.0])
    with pytest.raises(ValueError, match="connectivity is not set in this schedule"):
        STDPPruning().random_mask(5, None, np.random.default_rng(0))
