"""IMSNNClassifier: networks whose synapses weigh a spike by the interval before it, and learn to fire less."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import Hz, Quantity, ms, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch

from hrsnn.checks import check_integer
from hrsnn.gradient.estimators import SpikingClassifier
from hrsnn.gradient.interval_network import IntervalNetwork
from hrsnn.gradient.interval_simulation import IntervalSimulation
from hrsnn.gradient.intervals import SIGNS
from hrsnn.gradient.samples import are_sequences
from hrsnn.laws import Uniform
from hrsnn.models import IntervalModulated, Static
from hrsnn.simulation.model import SynapseModel

__all__ = ["IMSNNClassifier"]


class IMSNNClassifier(SpikingClassifier):
    """A feed-forward spiking network whose synapses are modulated by interspike intervals, for vectors such as images.

    A value is the rate of a regular input neuron. Hidden neurons are leaky integrate-and-fire neurons with threshold 1,
    outputs integrate without firing, and the softmax of their potentials at the end names the class. Heights
    h of the synapses are trained; the intervals mu at which they are strongest, and the widths sigma, stay as drawn.
    The derivative of the loss by a neuron's interval tells whether learning would shorten it, and so add
    spikes: such derivatives are not propagated.

    Parameters
    ----------
    hidden : sequence of int
        Neurons of each hidden layer.
    synapse : IntervalModulated or Static, optional
        ``Static()`` gives the ordinary spiking network. With mu uniform in 10 to 35 ms and sigma in 5 to 15 ms if None.
    suppress : {"positive", "negative", None}
        Derivatives by intervals that are not propagated: those that are positive (IMSNN: fewer spikes), negative
        (the control IMSNN^c: more spikes), or none.
    tau_m : Quantity (second)
        Membrane time constant of all neurons.
    rate_min, rate_max : Quantity (hertz)
        Rates of the inputs for values just above 0, and of 1. A value of 0 is silent.
    duration, dt : Quantity (second)
        How long a sample is shown, and the time step.
    n_epochs, batch_size, learning_rate, schedule, clip, patience, checkpoint
        See ``hrsnn.gradient.Training``.
    validation : float
        Share of the training samples that is held out: the weights of the epoch with the lowest loss there are kept.
    seed : int
        Seed of weights, parameters of the synapses, held-out samples and order.

    Attributes
    ----------
    network_ : IntervalNetwork
    weights_ : dict
        ``layers``: the heights, or weights, of the synapses to each layer, arrays of shape (from, to).
    history_ : list of dict
        Loss, accuracy and spikes of a neuron in a time step, of each epoch.
    classes_ : array of shape (n_classes,)
    n_features_in_ : int

    References
    ----------
    .. [1] Adams, Zajaczkowska, Anjum, Soltoggio & Dora (2024), Synaptic modulation using interspike intervals
       increases energy efficiency of spiking neural networks.

    Examples
    --------
    >>> from hrsnn import datasets
    >>> from hrsnn.gradient import IMSNNClassifier
    >>> X_train, X_test, y_train, y_test = datasets.digits()
    >>> classifier = IMSNNClassifier((100,)).fit(X_train / 255, y_train)  # doctest: +SKIP
    """

    def __init__(
        self,
        hidden: Sequence[int] = (500,),
        synapse: SynapseModel | None = None,
        suppress: str | None = "positive",
        tau_m: Quantity = 100 * ms,
        rate_min: Quantity = 28.5 * Hz,
        rate_max: Quantity = 100 * Hz,
        duration: Quantity = 100 * ms,
        dt: Quantity = 1 * ms,
        n_epochs: int = 20,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        schedule: str = "cosine",
        clip: float | None = None,
        validation: float = 0.0,
        patience: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        seed: int = 0,
    ):
        self.hidden, self.synapse, self.suppress, self.tau_m = hidden, synapse, suppress, tau_m
        self.rate_min, self.rate_max, self.duration, self.dt = rate_min, rate_max, duration, dt
        self.n_epochs, self.batch_size, self.learning_rate = n_epochs, batch_size, learning_rate
        self.schedule, self.clip, self.validation, self.patience = schedule, clip, validation, patience
        self.checkpoint, self.seed = checkpoint, seed

    def _start(self, data: dict[str, np.ndarray], n_outputs: int) -> dict[str, Any]:
        self._check()
        self._build()
        return {"layers": self.network_.weights(), "readout": self._readout(n_outputs)}

    def _check(self) -> None:
        for n in self.hidden:
            check_integer("hidden: neurons of a layer", n, 1)
        if self.suppress not in SIGNS:
            raise ValueError(f"suppress must be 'positive', 'negative' or None, got {self.suppress!r}.")
        if not isinstance(self.synapse, (IntervalModulated, Static, type(None))):
            raise TypeError(f"synapse must be an IntervalModulated, a Static or None, got {self.synapse!r}.")
        for name in ("rate_min", "rate_max"):
            fail_for_dimension_mismatch(getattr(self, name), Hz, f"{name} must be a rate")
        for name in ("duration", "dt", "tau_m"):
            fail_for_dimension_mismatch(getattr(self, name), second, f"{name} must be a time")
            if not 0 < float(getattr(self, name)) < np.inf:
                raise ValueError(f"{name} must be positive and finite, got {getattr(self, name)}.")
        if not 0 < float(self.rate_min) <= float(self.rate_max) <= 1 / float(self.dt):
            raise ValueError(
                f"Rates must be positive, rise from rate_min to rate_max and be at most 1/dt = {1 / self.dt}, "
                f"got {self.rate_min} and {self.rate_max}."
            )
        steps = float(self.duration / self.dt)
        if abs(steps - round(steps)) > 1e-6:
            raise ValueError(f"duration must be a whole multiple of dt = {self.dt}, got {self.duration}.")

    def _build(self) -> None:
        self.network_: Any = IntervalNetwork(
            (self.n_features_in_, *self.hidden, len(self.classes_)),
            self.synapse or IntervalModulated(mu=Uniform(10 * ms, 35 * ms), sigma=Uniform(5 * ms, 15 * ms)),
            self.tau_m,
            (self.rate_min, self.rate_max),
            self.duration,
            self.dt,
            self.suppress,
            self.seed,
        )

    def _key(self) -> str:
        others = ("checkpoint", "n_epochs")
        return repr(sorted((k, v) for k, v in self.get_params(deep=False).items() if k not in others))

    def _readout(self, n_outputs: int) -> dict[str, Any]:
        return {}  # the outputs are a layer

    def _outputs(self, weights: Any, traces: Any, lengths: Any) -> Any:
        return traces

    def _samples(self, X: Any, reset: bool = False) -> tuple[np.ndarray, np.ndarray]:
        if are_sequences(X):
            raise ValueError(f"X must have shape (n_samples, n_features), got {np.shape(X)}: one row for each sample.")
        samples, lengths = super()._samples(X, reset)
        _check_values(samples)
        return samples, lengths

    def simulate(self, X: Any, backend: str | None = None) -> list[np.ndarray]:
        """Return the spikes of the hidden layers in Brian2, as ``spikes`` returns them.

        Parameters
        ----------
        X : array of shape (n_samples, n_features)
        backend : {"auto", "runtime", "cpp", "cuda"}, optional
            The choice of ``hrsnn.use_backend`` if None.
        """
        samples, _ = self._samples(X)
        return IntervalSimulation(self.network_, self.weights_["layers"], backend).run(samples)[:-1]


def _check_values(samples: np.ndarray) -> None:
    """Refuse values outside [0, 1]."""
    low, high = float(np.min(samples, initial=0)), float(np.max(samples, initial=0))
    if low < 0 or high > 1:
        raise ValueError(f"X must hold values in [0, 1], got {low:g} to {high:g}. Scale X first: divide images by 255.")
