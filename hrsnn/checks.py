"""Checks of settings: one clear error that names the setting, what it must be, and what it is."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

__all__ = ["check_integer", "check_kind", "check_n_jobs", "check_seed"]


def check_integer(name: str, value: Any, low: int, note: str = "") -> None:
    """Refuse what is no integer of at least ``low``.

    Raises
    ------
    ValueError
        With ``note`` behind the range.
    """
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name} must be an integer of at least {low}{note}, got {value!r}.")


def check_kind(name: str, value: Any, kind: type, optional: bool = False) -> None:
    """Refuse what is not of a class; None passes if it is ``optional``.

    Raises
    ------
    TypeError
    """
    if not isinstance(value, kind) and not (optional and value is None):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        also = " or None" if optional else ""
        raise TypeError(f"{name} must be {article} {kind.__name__}{also}, got {value!r}.")


def check_seed(seed: Any) -> None:
    """Refuse what is no seed: an integer that fits 31 bits, as compiled programs hold it.

    Raises
    ------
    ValueError
    """
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ValueError(f"seed must be an integer in 0..2**31 - 1, got {seed!r}.")


def check_n_jobs(n_jobs: Any) -> int:
    """Return the number of processes that ``n_jobs`` stands for: -1 is one a core.

    Raises
    ------
    ValueError
        If it is below 1 and not -1.
    """
    if not isinstance(n_jobs, (int, np.integer)) or isinstance(n_jobs, bool) or (n_jobs < 1 and n_jobs != -1):
        raise ValueError(f"n_jobs must be at least 1, or -1 for one a core, got {n_jobs!r}.")
    return os.cpu_count() or 1 if n_jobs == -1 else int(n_jobs)
