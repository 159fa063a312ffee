"""Tables over seeds: means and spread of each method, and comparisons over pairs of rows that share a seed.

A row is a mapping (of a CSV file, say) with a column ``seed``, one that names the method, and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["compare", "headline", "means", "t_test", "wilcoxon"]

Row = Mapping[str, Any]


def wilcoxon(a: Any, b: Any) -> float:
    """Return p of Wilcoxon's signed-rank test, two-sided; 1 if all pairs are equal.

    Parameters
    ----------
    a, b : array of shape (n_pairs,)

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    a, b = _pairs(a, b)
    return float(stats.wilcoxon(a, b).pvalue) if np.any(np.subtract(a, b)) else 1.0


def t_test(a: Any, b: Any) -> float:
    """Return p of the paired t-test, two-sided; nan where all differences are equal.

    For few pairs, about normal in their differences: of five, Wilcoxon's test has no p below 1/16.

    Parameters
    ----------
    a, b : array of shape (n_pairs,)

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    a, b = _pairs(a, b)
    return float(stats.ttest_rel(a, b).pvalue) if np.ptp(np.subtract(a, b)) > 0 else np.nan


def _pairs(a: Any, b: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or a.ndim != 1 or not len(a):
        raise ValueError(f"a and b must be of one length, pair by pair, got shapes {a.shape} and {b.shape}.")
    return a, b


def means(rows: Sequence[Row], by: Sequence[str], values: Sequence[str]) -> list[dict[str, Any]]:
    """Return mean and standard deviation (of the population) over the rows, one a seed, of each group.

    Parameters
    ----------
    rows : sequence of mapping
    by : sequence of str
        Columns whose values make a group.
    values : sequence of str
        Columns of numbers.

    Returns
    -------
    list of dict
        The columns of ``by``, n_seeds, and for each value its mean under its own name and ``_std`` behind it.

    Raises
    ------
    KeyError
        If a row lacks a column.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in by), []).append(row)
    table = []
    for group, own in groups.items():
        entry: dict[str, Any] = {**dict(zip(by, group, strict=True)), "n_seeds": len(own)}
        for key in values:
            numbers = [row[key] for row in own]
            entry |= {key: float(np.mean(numbers)), f"{key}_std": float(np.std(numbers))}
        table.append(entry)
    return table


def compare(
    rows: Sequence[Row],
    values: Iterable[str],
    pairs: Mapping[str, tuple[str, str]],
    by: str | None = None,
    of: str = "variant",
    test: Callable[[Any, Any], float] = wilcoxon,
) -> list[dict[str, Any]]:
    """Compare methods over pairs of rows of one seed and group.

    Parameters
    ----------
    rows : sequence of mapping
        With ``of``, ``seed``, ``by`` and the values.
    values : iterable of str
    pairs : mapping of str to (str, str)
        The methods to compare, by a name for what they differ in. Those that have no rows are left out.
    by : str, optional
        A test for each of its values, and one over all of them.
    of : str
        Column that holds the method.
    test : callable
        Of the two methods' values, for p.

    Returns
    -------
    list of dict
        comparison, group ("all" for the test over all), value, difference (mean of first minus second), n_pairs,
        n_higher (pairs in which the first is above the second), p. Pairs with a value that is not finite do not count.
    """
    table = []
    groups = [None] if by is None else [*dict.fromkeys(row[by] for row in rows), None]
    for value in values:
        for group in groups:
            chosen = [row for row in rows if group is None or row.get(str(by)) == group]
            for name, (first, second) in pairs.items():
                a, b = (
                    {(row["seed"], row.get(str(by))): row[value] for row in chosen if row[of] == method}
                    for method in (first, second)
                )
                found = np.array([(a[key], b[key]) for key in a if np.isfinite(a[key] - b.get(key, np.nan))])
                if not len(found):
                    continue
                difference = found[:, 0] - found[:, 1]
                table.append(
                    {
                        "comparison": f"{name}: {first} - {second}",
                        "group": "all" if group is None else group,
                        "value": value,
                        "difference": float(difference.mean()),
                        "n_pairs": len(difference),
                        "n_higher": int((difference > 0).sum()),
                        "p": test(*found.T),
                    }
                )
    return table


def headline(tests: Sequence[Row]) -> dict[str, float]:
    """Return differences and p values of the tests over all groups, by names such as ``x_a_minus_b`` and ``..._p``.

    Parameters
    ----------
    tests : sequence of mapping
        As `compare` returns them.
    """
    found: dict[str, float] = {}
    for row in tests:
        if row["group"] == "all":
            key = f"{row['value']} {row['comparison'].split(': ')[1].replace(' - ', ' minus ')}".replace(",", "")
            key = key.replace(" ", "_")
            found |= {key: row["difference"], f"{key}_p": row["p"]}
    return found
