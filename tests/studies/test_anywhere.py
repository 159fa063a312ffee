"""STDP on any data: sets are loaded alike, nothing of a test set is chosen by, and the study compares what it says."""

import csv

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn.lab.cli import main
from hrsnn.lab.runs import list_runs
from hrsnn.studies import _anywhere, stdp_anywhere


@pytest.mark.parametrize(("name", "n_inputs", "n_classes"), [("digits", 64, 10), ("cancer", 60, 2)])
def test_bundled_sets_are_rows_of_grey_values(name, n_inputs, n_classes):
    samples = _anywhere.load(name)
    assert samples.X_train.dtype == samples.X_test.dtype == np.uint8
    assert samples.X_train.shape[1] == samples.X_test.shape[1] == n_inputs
    assert len(set(samples.y_train)) == n_classes
    assert len(samples.y_train) > 2 * len(samples.y_test)
    known = {row.tobytes() for row in samples.X_train}
    assert np.mean([row.tobytes() in known for row in samples.X_test]) < 0.01


def test_an_unknown_set_is_refused():
    with pytest.raises(ValueError, match=r"sets must be among digits, cancer, .*, got 'nothing'"):
        _anywhere.load("nothing")


def test_parts_of_a_set():
    X = np.arange(40, dtype=np.uint8)[:, None]
    whole = _anywhere.Samples(X, X[:3] + 100, np.arange(40) % 4, np.arange(3))
    held = whole.held_out()
    assert sorted([*held.X_train[:, 0], *held.X_test[:, 0]]) == list(range(40))
    assert len(held.y_test) == 10
    assert_array_equal(held.X_test[:, 0] % 4, held.y_test)
    few = whole.few(2, seed=0)
    assert_array_equal(np.bincount(few.y_train), [2, 2, 2, 2])
    assert_array_equal(few.X_train[:, 0] % 4, few.y_train)
    assert_array_equal(few.X_test, whole.X_test)


def test_equal_squares_read_by_the_angle_and_equal_sums_do_not():
    broad, narrow = np.array([1.0, 0.8, 0.5, 0.5]), np.array([1.0, 0.9, 0, 0])
    X = np.round(255 * np.stack([broad, narrow]) / 2).astype(np.uint8)
    samples = _anywhere.Samples(X, X, np.arange(2), np.arange(2))
    centres = np.stack([broad, narrow])
    assert stdp_anywhere._driven(samples, centres, "squares") == 1
    assert stdp_anywhere._driven(samples, centres, "sum") == 0.5  # the narrow one is driven most by both


@pytest.mark.cpp
def test_the_study_compares_networks_with_k_means(tmp_path):
    words = ["--quick", "sets=cancer", "sizes=20, 5000", "n_epochs=2", "--folder", str(tmp_path)]
    assert main(["run", "stdp_anywhere", *words]) == 0
    run = list_runs(tmp_path / "stdp_anywhere")[-1]
    metrics = run.metrics
    assert metrics["n_train_cancer"] == 426
    for name in ("stdp_cancer_20", "kmeans_cancer_20", "linear_cancer_20", "nearest_cancer", "raw_linear_cancer"):
        assert 0.8 < metrics[name] <= 1, name  # 63 % are of one class
    assert "stdp_cancer_5000" not in metrics  # more neurons than samples
    assert metrics["at_least_kmeans"] == (metrics["stdp_cancer_20"] >= metrics["kmeans_cancer_20"])
    with (run.folder / "tables" / "runs.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert_allclose(float(row["stdp"]), metrics["stdp_cancer_20"])
    assert row["n_epochs"] == "2"
    assert "n_spikes=" in row["encoder"]
    assert {path.stem for path in run.folder.glob("figures/*.png")} == {"accuracy", "rules"}
