"""The health of a network that learns: too few spikes, too many, neurons that are alike, and what to change."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

__all__ = ["Health", "HealthWarning", "Watch", "examine"]

WINS = 20  # samples for each neuron over which a silent one is judged
ALIKE = 0.999  # cosine of two neurons' weights from which they are the same
MANY = 0.5  # share of the neurons that is too many


class HealthWarning(UserWarning):
    """A network learns, but most of its neurons are silent, fire for everything or have learnt the same."""


class Health(NamedTuple):
    """How a network answered to samples.

    Attributes
    ----------
    spikes : float
        Mean spikes of all neurons in the last presentation of a sample.
    active : float
        Mean share of the neurons that fire for a sample.
    silent : float
        Share of the neurons without a spike.
    alike : float
        Share of the neurons whose weights are those of another one, but for a factor (cosine above 0.999).
    """

    spikes: float
    active: float
    silent: float
    alike: float

    def __str__(self) -> str:
        return f"{self.spikes:.1f} spikes, {self.silent:.0%} silent, {self.alike:.0%} alike"

    def advice(self) -> str:
        """Return what is wrong and what to change; empty if all is well."""
        if self.silent > MANY:
            return (
                f"{self.silent:.0%} of the neurons were silent ({self.spikes:.1f} spikes a sample). Raise theta_plus "
                "of the neuron so that others get their turn, or n_epochs; lower n_neurons if there are few samples; "
                "if there are hardly any spikes, raise n_spikes of the encoder or w_total."
            )
        if self.active > MANY:
            return (
                f"{self.active:.0%} of the neurons fired for each sample ({self.spikes:.1f} spikes): they do not "
                "compete. Lower w_total or n_spikes of the encoder, raise theta_plus of the neuron or g_inh, and check "
                "that inhibition is on."
            )
        if self.alike > MANY:
            return (
                f"{self.alike:.0%} of the neurons have learnt the same as another one. Raise n_epochs or eta of the "
                "synapse, lower w_total, or show the samples in a view of more contrast (hrsnn.inputs.OnOffView, "
                "OrientationView, Contrast)."
            )
        return ""


def examine(counts: np.ndarray, weights: np.ndarray) -> Health:
    """Return the health of a network from its answers to samples and its weights.

    Parameters
    ----------
    counts : array of shape (n_samples, n_neurons)
        Spikes of each sample's last presentation.
    weights : array of shape (n_inputs, n_neurons)
    """
    return Health(
        float(counts.sum(axis=1).mean()),
        float((counts > 0).mean()),
        float((counts.sum(axis=0) == 0).mean()),
        _alike(weights),
    )


def _alike(weights: np.ndarray, block: int = 1000) -> float:
    norms = np.linalg.norm(weights, axis=0)
    unit = (weights / np.where(norms > 0, norms, 1)).astype(np.float32)
    n, found = unit.shape[1], 0
    for start in range(0, n, block):
        cosines = unit[:, start : start + block].T @ unit
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = 0
        found += int((cosines.max(axis=1) > ALIKE).sum())
    return found / n


class Watch:
    """Looks after the ensembles of a training, and warns once of each in bad health.

    Parameters
    ----------
    total : int
        Presentations of the training. What neurons have learnt alike is judged in its second half alone.

    Attributes
    ----------
    health : dict of str to Health
        Of each ensemble, over its last samples: 20 for each neuron, or as many as there were.
    """

    def __init__(self, total: int):
        self.total = total
        self.health: dict[str, Health] = {}
        self._recent: dict[str, list[np.ndarray]] = {}
        self._warned: set[str] = set()

    def see(self, name: str, counts: np.ndarray, weights: np.ndarray, done: int) -> None:
        """Look at the answers of an ensemble to a batch, after which ``done`` presentations are over."""
        recent, n = [*self._recent.get(name, []), counts], counts.shape[1]
        while len(recent) > 1 and sum(map(len, recent[1:])) >= WINS * n:
            recent = recent[1:]
        self._recent[name] = recent
        together = np.concatenate(recent)
        self.health[name] = health = examine(together, weights)
        enough = len(together) >= WINS * n and done >= self.total / 2
        if enough and name not in self._warned and (advice := health.advice()):
            self._warned.add(name)
            who = f"The ensemble {name!r}" if name else "The network"
            warnings.warn(f"{who} after {done} of {self.total} presentations: {advice}", HealthWarning, stacklevel=2)
