"""When and how an STDP network is pruned during its training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hrsnn.checks import check_integer
from hrsnn.pruning.quantize import check_levels, quantize
from hrsnn.pruning.threshold import as_weights, check_connectivity, check_threshold, prune, prune_to, random_mask, thin

__all__ = ["STDPPruning"]

REGIMES = ("while", "before", "after", "thin")


@dataclass(frozen=True)
class STDPPruning:
    """Prune and share the weights of an STDP network between training batches.

    The training set is split into `n_batches`. In the regime "while", pruning starts after `warm_up` batches and is
    repeated after each further one: weights at or below `threshold` become zero but their synapses stay plastic and
    may regrow. After the last batch the non-critical synapses go for good. The regime "before" trains a randomly
    thinned network, "after" prunes once when training is over; both serve as controls. "thin", our own, thins every
    neuron evenly when training is over (see `thin`): on MNIST it loses least at a tenth of the synapses.

    Parameters
    ----------
    threshold : float
        Weights above it are critical; in units of the weights (w_max = 1).
    levels : int, optional
        Number of shared weight values, zero included; None keeps weights continuous.
    n_batches : int
        Number of batches the training set is split into.
    warm_up : int
        Batches trained before the first pruning, 0 <= warm_up <= n_batches.
    regime : {"while", "before", "after", "thin"}
        When synapses are removed.
    connectivity : float, optional
        Fraction of synapses left, in (0, 1]. Needed by "before" and "thin". With "after" it replaces the threshold:
        the largest weights stay. Not used by "while", where the threshold decides.
    n_settle : float
        Batches shown after the last pruning to settle the thresholds; 0 as in the source, which loses accuracy.

    Raises
    ------
    ValueError
        If an argument is out of range or the connectivity does not fit the regime.

    References
    ----------
    .. [1] Rathi (2021), dissertation, chapter 2, sections 2.3 and 2.5.3.

    Examples
    --------
    >>> STDPPruning(threshold=0.2, levels=2).apply([0.1, 0.3, 0.5]).tolist()
    [0.0, 0.4, 0.4]
    """

    threshold: float = 0.15
    levels: int | None = None
    n_batches: int = 12
    warm_up: int = 3
    regime: str = "while"
    connectivity: float | None = None
    n_settle: float = 1

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        if self.levels is not None:
            check_levels(self.levels)
        check_integer("n_batches", self.n_batches, 1)
        if not self.n_settle >= 0:
            raise ValueError(f"n_settle must not be negative, got {self.n_settle!r}.")
        check_integer("warm_up", self.warm_up, 0)
        if self.warm_up > self.n_batches:
            raise ValueError(f"warm_up must be in [0, n_batches={self.n_batches}], got {self.warm_up!r}.")
        if self.regime not in REGIMES:
            raise ValueError(f"regime must be one of {', '.join(REGIMES)}, got {self.regime!r}.")
        if self.connectivity is not None:
            check_connectivity(self.connectivity)
        if self.regime in ("before", "thin") and self.connectivity is None:
            raise ValueError(f"regime {self.regime!r} needs connectivity, the fraction of synapses left, in (0, 1].")
        if self.regime == "while" and self.connectivity is not None:
            raise ValueError(
                f"regime 'while' finds its connectivity from the threshold, got connectivity={self.connectivity!r}. "
                "Leave it out, or use regime 'before' or 'after'."
            )

    def edges(self, n_samples: int) -> list[int]:
        """Return the first sample of each batch, and the end: ``n_batches + 1`` numbers.

        Parameters
        ----------
        n_samples : int
            Samples of the whole training.
        """
        return [round(k * n_samples / self.n_batches) for k in range(self.n_batches + 1)]

    def is_due(self, n_trained: int) -> bool:
        """Whether `apply` belongs between two batches.

        Parameters
        ----------
        n_trained : int
            Batches trained so far.

        Returns
        -------
        bool
            True in regime "while" from the end of the warm-up to the end of the last batch but one (after the last
            one, `final` follows).
        """
        return self.regime == "while" and self.warm_up <= n_trained < self.n_batches

    def apply(self, weights: ArrayLike) -> NDArray:
        """Prune, and share if levels are set; the synapses themselves stay.

        Parameters
        ----------
        weights : array of any shape
            Learnt weights of all existing synapses, in [0, w_max].

        Returns
        -------
        array, shape of `weights`
            New weights: zero where not critical.

        Raises
        ------
        ValueError
            If no weight is critical, or a weight is not finite or negative.
        """
        return self._share(prune(weights, self.threshold))

    def final(self, weights: ArrayLike) -> tuple[NDArray, NDArray[np.bool_]]:
        """Prune for good after the last batch.

        Parameters
        ----------
        weights : array of any shape
            Learnt weights, in [0, w_max]; in regime "before" zero where no synapse was drawn; in regime "thin" of
            shape (n_inputs, n_neurons).

        Returns
        -------
        weights : array, shape of `weights`
            Pruned and, if levels are set, shared weights.
        mask : bool array, shape of `weights`
            True for the synapses that remain.

        Raises
        ------
        ValueError
            If no synapse would remain, or a weight is not finite or negative.
        """
        if self.regime == "before":
            pruned = as_weights(weights)
            if not pruned.any():
                raise ValueError("All weights are zero after training. Check the learning rate and the input.")
        elif self.connectivity is not None:
            pruned = (thin if self.regime == "thin" else prune_to)(weights, self.connectivity)
        else:
            pruned = prune(weights, self.threshold)
        shared = self._share(pruned)
        return shared, shared != 0

    def random_mask(
        self, shape: int | tuple[int, ...], connectivity: float | None, rng: np.random.Generator
    ) -> NDArray[np.bool_]:
        """Draw the synapses of a randomly thinned network (regime "before").

        Parameters
        ----------
        shape : int or tuple of int
            Shape of the weights.
        connectivity : float or None
            Fraction kept, in (0, 1]; None takes this schedule's own.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        bool array of shape `shape`
            Exactly ``round(connectivity * size)`` entries are True, at least one.

        Raises
        ------
        ValueError
            If no connectivity is known or it is out of range.
        """
        fraction = self.connectivity if connectivity is None else connectivity
        if fraction is None:
            raise ValueError("connectivity is not set in this schedule. Pass a fraction in (0, 1].")
        return random_mask(shape, fraction, rng)

    def _share(self, weights: NDArray) -> NDArray:
        return weights.copy() if self.levels is None else quantize(weights, self.levels)
