"""LabelledKMeans: clusters named by their members, found without labels, and bad input."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from hrsnn.baselines import LabelledKMeans
from hrsnn.datasets import digits


@pytest.fixture
def blobs():
    """Six blobs far apart, two of each label."""
    rng = np.random.default_rng(0)
    place = rng.integers(0, 6, 300)
    return np.eye(6)[place] * 20 + rng.normal(size=(300, 6)), np.array(["a", "b", "c"])[place % 3], place


def test_each_blob_is_a_cluster_with_the_label_of_its_members(blobs):
    X, y, place = blobs
    model = LabelledKMeans(6, n_init=10).fit(X, y)
    assert_array_equal(model.predict(X), y)
    assert model.score(X, y) == 1
    assert_array_equal(model.classes_, ["a", "b", "c"])
    own = model.kmeans_.predict(X)
    assert all(len(set(own[place == k])) == 1 for k in range(6))
    assert_array_equal(model.labels_[own], y)


def test_labels_only_name_what_is_found(blobs):
    X, y, _ = blobs
    right, shuffled = (clone(LabelledKMeans(6)).fit(X, labels) for labels in (y, np.roll(y, 7)))
    assert_array_equal(right.kmeans_.cluster_centers_, shuffled.kmeans_.cluster_centers_)


def test_the_majority_names_a_cluster_and_ties_take_the_first(blobs):
    X, y, place = blobs
    y = np.where(np.arange(300) % 3 == 0, "b", y)  # a third are wrong
    assert (LabelledKMeans(6, n_init=10).fit(X, y).predict(X)[place == 0] == "a").all()


def test_a_cluster_without_a_label_takes_the_nearest_that_has_one():
    X = np.concatenate([np.zeros((20, 1)), np.full((20, 1), 10.0), np.full((20, 1), 13.0)])
    X += np.random.default_rng(0).normal(size=X.shape) * 0.01
    y = np.repeat([0, 1, 1], 20)
    model = LabelledKMeans(3, n_label_samples=40, n_init=10).fit(X, y)  # none at 13
    assert_array_equal(model.predict([[0.0], [10.0], [13.0]]), [0, 1, 1])


def test_digits_are_recognised_as_well_as_k_means_can():
    X_train, X_test, y_train, y_test = digits()
    assert 0.9 < LabelledKMeans(100).fit(X_train, y_train).score(X_test, y_test) < 0.98


def test_bad_input_is_named(blobs):
    X, y, _ = blobs
    with pytest.raises(ValueError, match=r"fewer than n_clusters=301. Lower n_clusters"):
        LabelledKMeans(301).fit(X, y)
    with pytest.raises(ValueError, match="n_clusters must be an integer of at least 1, got 0"):
        LabelledKMeans(0).fit(X, y)
    with pytest.raises(ValueError, match="n_label_samples must be an integer of at least 1 or None, got 0"):
        LabelledKMeans(5, n_label_samples=0).fit(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LabelledKMeans(5).fit(X, y[:-1])
    with pytest.raises(ValueError, match="NaN"):
        LabelledKMeans(5).fit(np.full_like(X, np.nan), y)
    with pytest.raises(ValueError, match="Unknown label type"):
        LabelledKMeans(5).fit(X, np.linspace(0, 1, 300))
    with pytest.raises(ValueError, match="X has 5 features, but LabelledKMeans is expecting 6"):
        LabelledKMeans(6).fit(X, y).predict(X[:, :5])
    with pytest.raises(NotFittedError):
        LabelledKMeans(6).predict(X)
