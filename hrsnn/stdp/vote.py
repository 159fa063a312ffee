"""Reading the response of a network: neurons vote for the labels they answer to."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

__all__ = ["NeuronVote", "check_labels"]

VOTES = ("mean", "weighted")


def check_labels(y: Any, n: int) -> np.ndarray:
    """Return labels as an array of shape (n,), checked to be classes, not numbers on a scale.

    Raises
    ------
    ValueError
        If they are not one a sample, or continuous, or NaN.
    """
    y = column_or_1d(y, warn=True)
    if len(y) != n:
        raise ValueError(f"y must have shape ({n},), one label a sample, got {y.shape}.")
    if (y.dtype.kind == "f" and np.isnan(y).any()) or (y.dtype.kind == "O" and any(label is None for label in y)):
        raise ValueError("y has NaN or None. Drop the samples without a label.")
    check_classification_targets(y)
    return y


class NeuronVote:
    """Name each neuron after the label it responds to most, and let the neurons vote.

    No answer depends on the order of the labels. Of labels with equally many votes a sample gets the one whose neurons
    fire most in total, then the one whose mean response on the training samples is nearest to its own, then the most
    frequent one. A sample that draws no vote gets the label that draws the weakest response, for that is nearest.

    Parameters
    ----------
    vote : {"mean", "weighted"}
        ``mean``: the label whose neurons have the highest mean spike count (Diehl & Cook; Rathi 2021).
        ``weighted``: every neuron votes for every label, in proportion to its mean response to it; a label's score
        is the mean of the spike counts with these weights.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        Labels in ascending order.
    responses_ : array of shape (n_classes, n_neurons)
        Mean spike count of each neuron for each label.
    frequency_ : array of shape (n_classes,)
        Number of training samples of each label.
    labels_ : array of shape (n_neurons,)
        Index into ``classes_`` of each neuron's label; -1 if it never fired. Of labels to which it responds equally,
        the one that draws the weakest response of all neurons: the neuron tells most about that one.
    n_silent_ : int
        Samples of the last ``predict`` that drew no vote.

    References
    ----------
    .. [1] Diehl & Cook (2015), Unsupervised learning of digit recognition using STDP.
    """

    def __init__(self, vote: str = "mean"):
        if vote not in VOTES:
            raise ValueError(f"vote must be one of {', '.join(map(repr, VOTES))}, got {vote!r}.")
        self.vote = vote

    def fit(self, counts: np.ndarray, y: Any, classes: Any = ()) -> NeuronVote:
        """Name the neurons.

        Parameters
        ----------
        counts : array of shape (n_samples, n_neurons)
            Spike counts.
        y : array of shape (n_samples,)
            Labels.
        classes : array of shape (n,)
            Further labels, of which there are no samples: no neuron can be named after them.

        Raises
        ------
        ValueError
            If the shapes do not fit, there are no samples, or a label is NaN.
        """
        y = np.asarray(y)
        if np.ndim(counts) != 2 or np.size(counts) == 0:
            raise ValueError(f"counts must have shape (n_samples, n_neurons), not empty, got {np.shape(counts)}.")
        if y.ndim != 1 or len(y) != len(counts):
            raise ValueError(f"y must have shape ({len(counts)},), one label a sample, got {y.shape}.")
        if y.dtype.kind == "f" and np.isnan(y).any():
            raise ValueError("y has NaN. Drop the samples without a label.")
        self.classes_ = np.unique(np.concatenate([y, np.asarray(classes)]) if len(classes) else y)
        index = np.searchsorted(self.classes_, y)
        member = (index[None, :] == np.arange(len(self.classes_))[:, None]).astype(float)
        frequency = member.sum(axis=1)
        return self._named(member @ counts / np.maximum(frequency, 1)[:, None], frequency)

    @classmethod
    def from_responses(
        cls, classes: np.ndarray, responses: np.ndarray, vote: str = "mean", frequency: np.ndarray | None = None
    ) -> NeuronVote:
        """Return a fitted vote from its ``classes_``, ``responses_`` and ``frequency_`` (equal if None)."""
        fitted = cls(vote)
        fitted.classes_ = classes
        return fitted._named(responses, np.ones(len(classes)) if frequency is None else frequency)

    def _named(self, responses: np.ndarray, frequency: np.ndarray) -> NeuronVote:
        self.responses_, self.frequency_ = responses, frequency
        self.labels_ = np.where(responses.any(axis=0), _largest(responses.T, -responses.sum(axis=1), frequency), -1)
        self.n_silent_ = 0
        return self

    def scores(self, counts: np.ndarray) -> np.ndarray:
        """Return the votes for each label, array of shape (n_samples, n_classes).

        Parameters
        ----------
        counts : array of shape (n_samples, n_neurons)
        """
        if np.ndim(counts) != 2 or np.shape(counts)[1] != len(self.labels_):
            raise ValueError(
                f"counts must have shape (n_samples, {len(self.labels_)}), one column a neuron, got {np.shape(counts)}."
            )
        return self._totals(counts) / self._sizes()

    def predict(self, counts: np.ndarray) -> np.ndarray:
        """Return the label with most votes for each sample, array of shape (n_samples,).

        A warning tells how many samples drew no vote.

        Parameters
        ----------
        counts : array of shape (n_samples, n_neurons)
        """
        scores = self.scores(counts)
        self.n_silent_ = int((~scores.any(axis=1)).sum())
        if self.n_silent_:
            warnings.warn(
                f"{self.n_silent_} of {len(scores)} samples drew no spike of a neuron with a label. Their answer is "
                "a guess: the label that draws the weakest response. Raise the rate of the encoder or max_retries.",
                stacklevel=2,
            )
        # |counts - response|^2 without |counts|^2, which is the same for all labels.
        nearness = 2 * counts @ self.responses_.T - (self.responses_**2).sum(axis=1)
        nearness = np.where(self.frequency_ > 0, nearness, -np.inf)  # no response is known of labels without a sample
        return self.classes_[_largest(scores, self._totals(counts), nearness, self.frequency_)]

    def _member(self) -> np.ndarray:
        """Return the weight of each neuron's vote for each label, array of shape (n_classes, n_neurons)."""
        if self.vote == "weighted":
            total = self.responses_.sum(axis=0)
            return self.responses_ / np.where(total > 0, total, 1)
        return (self.labels_[None, :] == np.arange(len(self.classes_))[:, None]).astype(float)

    def _totals(self, counts: np.ndarray) -> np.ndarray:
        return counts @ self._member().T

    def _sizes(self) -> np.ndarray:
        sizes = self._member().sum(axis=1)
        return np.where(sizes > 0, sizes, 1)


def _largest(*keys: np.ndarray) -> np.ndarray:
    """Return the column of the largest first key in each row; of equal ones that of the largest second key, and so on.

    Parameters
    ----------
    *keys : array of shape (n_rows, n_columns), or (n_columns,) for a key that is the same in all rows
    """
    left = np.ones(keys[0].shape, dtype=bool)
    for key in keys:
        among = np.where(left, key, -np.inf)
        left = among == among.max(axis=1, keepdims=True)
    return left.argmax(axis=1)
