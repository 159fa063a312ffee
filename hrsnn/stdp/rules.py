"""Rules by which the constants of learning follow from the samples, the size of the network and the training.

They give ``STDPClassifier`` its settings where none are given; docs/stdp_anywhere.md tells their reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Hz, ms, mV

from hrsnn.checks import check_kind
from hrsnn.inputs.encoders import Encoder, PoissonEncoder, unit_range
from hrsnn.models import AdaptiveConductanceLIF, CompetingLIF, PowerLawSTDP
from hrsnn.simulation.model import NeuronModel, SynapseModel

__all__ = [
    "Drive",
    "choose",
    "chosen_encoder",
    "chosen_epochs",
    "chosen_neuron",
    "chosen_synapse",
    "chosen_thresholds",
    "chosen_w_total",
    "look",
    "seen",
]

N_SPIKES = 2290  # input spikes a sample: those of MNIST's images at 63.75 Hz and 350 ms
FASTEST = 250.0  # Hz: mean rate of an active input, at most
LEAST = 0.05  # of all inputs that count as active, or as others, at least
SHARE = 0.375  # of the active inputs a neuron holds with full weight: 45 of MNIST's 120
EVEN = 0.15  # samples differ in area alone where the brightness of their active inputs varies by less
PRESENTATIONS = 10_000  # of a training, at least
MOST_EPOCHS = 30
A_NEURON = 50  # presentations for each neuron, at least
ETA = (0.006, 0.03)
W_MAX = 4.0
TRACE = 1.08  # rate times tau: an active input's trace is 0.52 on average, five times the offset
THETA_PLUS = 0.05  # mV, at least
N_LOOKED_AT = 2000  # samples


@dataclass(frozen=True)
class Drive:
    """What the samples of a training set are like, as inputs.

    Attributes
    ----------
    total : float
        Mean sum of a sample's values.
    active : float
        Mean number of active inputs of a sample, (sum x)^2 / sum x^2: that of equal inputs which would have the same
        sum and the same sum of squares.
    unevenness : float
        Coefficient of variation over samples of the brightness of active inputs, sum x^2 / sum x. It is small where
        samples differ in their number of active inputs alone, like thin and bold digits.
    """

    total: float
    active: float
    unevenness: float


def look(X: np.ndarray) -> Drive:
    """Return what samples are like, from at most 2,000 of them, evenly spaced.

    Parameters
    ----------
    X : array of shape (n_samples, n_inputs)
        Not negative, on any scale.

    Raises
    ------
    ValueError
        If all values are zero.
    """
    x = np.asarray(X[:: -(-len(X) // N_LOOKED_AT)], dtype=float)
    x = x[x.any(axis=1)]
    if not len(x):
        raise ValueError("All samples are zero: there is nothing to learn. Check how X was scaled.")
    total, squares = x.sum(axis=1), (x**2).sum(axis=1)
    brightness = squares / total
    return Drive(float(total.mean()), float((total / brightness).mean()), float(brightness.std() / brightness.mean()))


def chosen_encoder(X: np.ndarray) -> PoissonEncoder:
    """Return the encoder by which a sample sends 2,290 spikes on average, fewer if inputs would be above 250 Hz.

    Where samples differ in brightness (an unevenness above 0.15) each sends as many; where they differ in their number
    of active inputs alone, one scale for all keeps that difference.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Integers in 0..255 or floats in [0, 1].
    """
    encoder = PoissonEncoder()
    drive = look(unit_range(X[:: -(-len(X) // N_LOOKED_AT)]))
    n_spikes = min(N_SPIKES, FASTEST * float(encoder.duration) * drive.active)
    if drive.unevenness > EVEN:
        return PoissonEncoder(n_spikes=float(round(n_spikes)))
    return PoissonEncoder(rate_max=round(n_spikes / float(encoder.duration) / drive.total, 2) * Hz)


def seen(encoder: Encoder, X: np.ndarray) -> tuple[float, float] | None:
    """Return the mean number of active inputs and their mean rate in hertz; None if inputs do not fire by rates.

    Parameters
    ----------
    encoder : Encoder
    X : array of shape (n_samples, n_features)
    """
    coding = encoder.encoding
    if coding.silent:  # times, not rates
        return None
    rates = encoder.encode(X[:: -(-len(X) // N_LOOKED_AT)])
    drive = look(rates.reshape(len(rates), coding.n_frames, -1).mean(axis=1))
    return drive.active, drive.total / drive.active


def chosen_w_total(n_inputs: int, active: float | None) -> float:
    """Return the sum of a neuron's weights: three eighths of the active inputs, or of the others where these are fewer.

    Inputs that are active in every sample tell nothing, but drive. A tenth of all inputs if ``active`` is None.
    """
    return 0.1 * n_inputs if active is None else round(SHARE * max(min(active, n_inputs - active), LEAST * n_inputs), 2)


def chosen_thresholds(n_inputs: int, active: float | None) -> str:
    """Return "mean" where at most half of the inputs are active, else "own".

    Where nearly all inputs are active, all neurons are driven nearly alike, and their thresholds belong to what they
    have learnt.
    """
    return "own" if active is None or active > n_inputs / 2 else "mean"


def chosen_epochs(n_neurons: int, n_samples: int) -> int:
    """Return passes through the samples: 10,000 presentations, or 50 for each neuron if that is more; at most 30."""
    return int(np.clip(round(max(PRESENTATIONS, A_NEURON * n_neurons) / n_samples), 1, MOST_EPOCHS))


def chosen_synapse(n_neurons: int, n_presentations: int | None, rate: float | None) -> SynapseModel:
    """Return the plastic synapse.

    It learns the faster the fewer samples a neuron wins: eta = 0.08 sqrt(n_neurons / n_presentations), from 0.006 to
    0.03; 0.006 if the training has no end. Its trace is the shorter the faster the inputs: tau = 1.08 / rate, from 2
    to 20 ms; 20 ms if they do not fire by rates. Its bound of 4 lies above what weights reach, so that they become
    means of the samples won rather than maps of the active inputs.

    Parameters
    ----------
    n_neurons : int
    n_presentations : int or None
    rate : float or None
        Mean rate of an active input in hertz.
    """
    eta = ETA[0]
    if n_presentations is not None:
        eta = round(float(np.clip(0.08 * (n_neurons / n_presentations) ** 0.5, *ETA)), 4)
    tau = 20.0 if rate is None else round(float(np.clip(1000 * TRACE / rate, 2, 20)), 1)
    return PowerLawSTDP(eta=eta, offset=0.1, tau=tau * ms, w_max=W_MAX)


def chosen_neuron(n_neurons: int, n_presentations: int | None, thresholds: str = "mean") -> NeuronModel:
    """Return the neuron, whose threshold rises the faster the fewer spikes there are for it to settle.

    theta_plus = 2 mV n_neurons / n_presentations, at least 0.05 mV; 0.05 mV if the training has no end. Its inhibition
    lasts 10 ms in learning where the drive alone decides ("mean" thresholds), else the 2 ms of the source: where all
    neurons are driven nearly alike, too few would learn.
    """
    theta_plus = THETA_PLUS
    if n_presentations is not None:
        theta_plus = max(THETA_PLUS, round(2 * n_neurons / n_presentations, 3))
    kind = CompetingLIF if thresholds == "mean" else AdaptiveConductanceLIF
    return kind(theta_plus=theta_plus * mV)


def choose(given: Mapping[str, Any], X: np.ndarray, endless: bool = False) -> dict[str, Any]:
    """Return those settings that are None, as they follow from the samples and the others.

    Parameters
    ----------
    given : mapping
        ``n_neurons``, and ``encoder``, ``w_total``, ``thresholds``, ``n_epochs``, ``synapse`` and ``neuron``, or None.
    X : array of shape (n_samples, n_features)
        Training samples.
    endless : bool
        Whether more samples may follow, as in ``partial_fit``.
    """
    check_kind("encoder", given["encoder"], Encoder, optional=True)
    n_neurons: int = given["n_neurons"]
    chosen: dict[str, Any] = {}
    if given["encoder"] is None:
        chosen["encoder"] = chosen_encoder(X)
    encoder = given["encoder"] or chosen["encoder"]
    active, rate = seen(encoder, X) or (None, None)
    if given["w_total"] is None:
        chosen["w_total"] = chosen_w_total(encoder.n_inputs(X.shape[1]), active)
    if given["thresholds"] is None:
        chosen["thresholds"] = chosen_thresholds(encoder.n_inputs(X.shape[1]), active)
    if given["n_epochs"] is None:
        chosen["n_epochs"] = 1 if endless else chosen_epochs(n_neurons, len(X))
    shown = None if endless else len(X) * (given["n_epochs"] or chosen["n_epochs"])
    if given["synapse"] is None:
        chosen["synapse"] = chosen_synapse(n_neurons, shown, rate)
    if given["neuron"] is None:
        chosen["neuron"] = chosen_neuron(n_neurons, shown, given["thresholds"] or chosen["thresholds"])
    return chosen
