"""Comparisons of methods over pairs of measurements that share a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

__all__ = ["compare", "headline", "t_test", "wilcoxon"]

Row = Mapping[str, Any]


def wilcoxon(a: Any, b: Any) -> float:
    """Return p of Wilcoxon's signed-rank test, two-sided, of two arrays of shape (n_pairs,); 1 if they are equal."""
    return float(stats.wilcoxon(a, b).pvalue) if np.any(np.subtract(a, b)) else 1.0


def t_test(a: Any, b: Any) -> float:
    """Return p of the paired t-test, two-sided, of two arrays of shape (n_pairs,); nan where no difference varies.

    For few pairs, about normal in their differences: of five, Wilcoxon's test has no p below 1/16.
    """
    return float(stats.ttest_rel(a, b).pvalue) if np.ptp(np.subtract(a, b)) > 0 else np.nan


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
        comparison, group, value, difference (mean of first minus second), n_pairs, n_higher, p.
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
    """Return differences and p values of the tests over all groups as metrics."""
    found: dict[str, float] = {}
    for row in tests:
        if row["group"] == "all":
            key = f"{row['value']} {row['comparison'].split(': ')[1].replace(' - ', ' minus ')}".replace(",", "")
            key = key.replace(" ", "_")
            found |= {key: row["difference"], f"{key}_p": row["p"]}
    return found
