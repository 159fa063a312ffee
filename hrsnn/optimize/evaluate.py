"""Evaluate one point: the part of a search that workers import, so it imports little."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """One evaluated point.

    Attributes
    ----------
    number : int
        Place in the order of asking.
    vector : tuple of float
        The point, as Space.encode gives it.
    value : float
        Value of the objective; NaN if the evaluation failed.
    variance : float
        Variance of the value.
    message : str
        Why the evaluation failed; empty otherwise.
    seconds : float
        Time it took.
    """

    number: int
    vector: tuple[float, ...]
    value: float
    variance: float = 0.0
    message: str = ""
    seconds: float = math.nan

    @property
    def failed(self) -> bool:
        """Whether there is no value."""
        return not math.isfinite(self.value)


def evaluate(
    objective: Callable[..., float], point: Mapping[str, Any], n_draws: int | None, seed: int
) -> tuple[float, float, str, float]:
    """Return value, variance of the value, message and seconds; an objective that fails gives NaN and a message."""
    start = time.perf_counter()
    try:
        if n_draws is None:
            values = [float(objective(**point))]
        else:
            values = [float(objective(**point, seed=seed + draw)) for draw in range(n_draws)]
        value = float(np.mean(values))
        variance = float(np.var(values, ddof=1) / len(values)) if len(values) > 1 else 0.0
        message = "" if math.isfinite(value) else f"the objective returned {value}"
    except (Exception, SystemExit) as error:  # whatever the objective raises is recorded
        value, variance, message = math.nan, 0.0, f"{type(error).__name__}: {error}"
    if message:
        value, variance = math.nan, 0.0
    return value, variance, message, time.perf_counter() - start
