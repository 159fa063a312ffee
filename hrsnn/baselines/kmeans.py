"""K-means whose clusters are named by the labels of their members: unsupervised learning without spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y

from hrsnn.checks import check_integer, check_seed

__all__ = ["LabelledKMeans"]


class LabelledKMeans(ClassifierMixin, BaseEstimator):
    """Find clusters without labels, name each by the label of most of its members, and classify by the nearest.

    This is what ``STDPClassifier`` does with neurons in place of centres: labels only name what was found.

    Parameters
    ----------
    n_clusters : int
        As many as the network to compare with has neurons.
    n_label_samples : int, optional
        Name the clusters by so many first samples; by all if None.
    batch_size, n_init : int
        Of `sklearn.cluster.MiniBatchKMeans`.
    seed : int

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
    kmeans_ : sklearn.cluster.MiniBatchKMeans
    labels_ : array of shape (n_clusters,)
        Label of each cluster. One without members takes that of the nearest cluster that has some.

    References
    ----------
    .. [1] Sculley (2010), Web-scale k-means clustering, WWW.
    """

    def __init__(
        self,
        n_clusters: int = 100,
        n_label_samples: int | None = None,
        batch_size: int = 1024,
        n_init: int = 3,
        seed: int = 0,
    ):
        self.n_clusters = n_clusters
        self.n_label_samples = n_label_samples
        self.batch_size = batch_size
        self.n_init = n_init
        self.seed = seed

    def fit(self, X: Any, y: Any) -> LabelledKMeans:
        """Find clusters of X, and name them by y.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        y : array of shape (n_samples,)
            Labels.

        Raises
        ------
        ValueError
            If X or y do not fit, hold NaN, or there are fewer samples than clusters.
        """
        X, y = check_X_y(X, y, dtype=[np.float64, np.float32])
        check_classification_targets(y)
        for name in ("n_clusters", "batch_size", "n_init"):
            check_integer(name, getattr(self, name), 1)
        if self.n_label_samples is not None:
            check_integer("n_label_samples", self.n_label_samples, 1, " or None")
        check_seed(self.seed)
        if len(X) < self.n_clusters:
            raise ValueError(f"X has n_samples={len(X)}, fewer than n_clusters={self.n_clusters}. Lower n_clusters.")
        self.n_features_in_ = X.shape[1]
        self.classes_, index = np.unique(y, return_inverse=True)
        self.kmeans_ = MiniBatchKMeans(
            self.n_clusters, batch_size=self.batch_size, n_init=self.n_init, random_state=self.seed
        ).fit(X)
        named = slice(self.n_label_samples)
        votes = np.zeros((self.n_clusters, len(self.classes_)))
        np.add.at(votes, (self.kmeans_.predict(X[named]), index[named]), 1)
        found = votes.argmax(axis=1)
        known, centres = np.flatnonzero(votes.any(axis=1)), self.kmeans_.cluster_centers_
        for k in np.flatnonzero(~votes.any(axis=1)):
            found[k] = found[known[((centres[known] - centres[k]) ** 2).sum(axis=1).argmin()]]
        self.labels_ = self.classes_[found]
        return self

    def predict(self, X: Any) -> Any:
        """Return the label of the nearest cluster of each sample.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,)

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If ``fit`` was not called.
        ValueError
            If X has other features than in ``fit``, or holds NaN.
        """
        check_is_fitted(self, "kmeans_")
        X = check_array(X, dtype=[np.float64, np.float32])
        if X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} features "
                "as input, those it was fitted with."
            )
        return self.labels_[self.kmeans_.predict(X)]
