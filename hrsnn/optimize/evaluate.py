"""Evaluate one point: the part of a search that workers import."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["evaluate"]


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
