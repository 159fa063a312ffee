"""Reading the response of a network: neurons vote for the labels they answer to."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["NeuronVote"]

VOTES = ("mean", "weighted")


class NeuronVote:
    """Name each neuron after the label it responds to most, and let the neurons vote.

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
    labels_ : array of shape (n_neurons,)
        Index into ``classes_`` of each neuron's label; -1 if it never fired. Ties go to the first label.

    References
    ----------
    .. [1] Diehl & Cook (2015), Unsupervised learning of digit recognition using STDP.
    """

    def __init__(self, vote: str = "mean"):
        if vote not in VOTES:
            raise ValueError(f"vote must be one of {', '.join(map(repr, VOTES))}, got {vote!r}.")
        self.vote = vote

    def fit(self, counts: np.ndarray, y: Any) -> NeuronVote:
        """Name the neurons.

        Parameters
        ----------
        counts : array of shape (n_samples, n_neurons)
            Spike counts.
        y : array of shape (n_samples,)
            Labels.

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
        self.classes_, index = np.unique(y, return_inverse=True)
        member = (index[None, :] == np.arange(len(self.classes_))[:, None]).astype(float)
        return self._named(member @ counts / member.sum(axis=1, keepdims=True))

    @classmethod
    def from_responses(cls, classes: np.ndarray, responses: np.ndarray, vote: str = "mean") -> NeuronVote:
        """Return a fitted vote from its ``classes_`` and ``responses_``."""
        fitted = cls(vote)
        fitted.classes_ = classes
        return fitted._named(responses)

    def _named(self, responses: np.ndarray) -> NeuronVote:
        self.responses_ = responses
        self.labels_ = np.where(responses.any(axis=0), responses.argmax(axis=0), -1)
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
        member = (self.labels_[None, :] == np.arange(len(self.classes_))[:, None]).astype(float)
        if self.vote == "weighted":
            total = self.responses_.sum(axis=0)
            member = self.responses_ / np.where(total > 0, total, 1)
        size = member.sum(axis=1, keepdims=True)
        return counts @ (member / np.where(size > 0, size, 1)).T

    def predict(self, counts: np.ndarray) -> np.ndarray:
        """Return the label with most votes for each sample, array of shape (n_samples,); ties go to the first.

        Parameters
        ----------
        counts : array of shape (n_samples, n_neurons)
        """
        return self.classes_[self.scores(counts).argmax(axis=1)]
