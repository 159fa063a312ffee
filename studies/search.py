"""What the laws become when memory, spikes, their ratio or a task is what the search looks at."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numpy as np

from hrsnn import optimize, plots, search_plots
from hrsnn.lab import main, study
from hrsnn.studies import _search

MEASURES = ("capacity", "spikes", "efficiency", "lorenz", "digits")
LABELS = {
    "capacity": "minus memory capacity",
    "spikes": "spikes of a neuron in 100 steps",
    "efficiency": "minus capacity over spikes",
    "lorenz": "Lorenz error, ten steps ahead",
    "digits": "share of digits misread",
}


@study(quick=dict(objectives=["capacity"], tasks=["memory"], n_calls=8, n_initial=5, n_draws=1, n_test=1))
def search(
    run,
    objectives=MEASURES,
    tasks=("memory", "lorenz", "digits"),
    n_calls=40,
    n_initial=10,
    n_draws=2,
    n_test=3,
    n_neurons=100,
    n_workers=1,
    membrane=False,
    backend="auto",
    seed=0,
):
    """Search the laws of neurons and STDP for memory capacity C, spikes S, C / S, and the tasks themselves.

    Chakraborty & Mukhopadhyay, figure 9 and section V: of C, S and C / S as what the search maximises or minimises,
    C / S gives the best accuracy with the fewest spikes. objectives: capacity, spikes, efficiency, lorenz (error of
    forecasts ten steps ahead), digits (share of images misread, shown row by row). membrane: whether readouts see
    membrane potentials besides filtered spikes; with them a silent network has memory, and C / S no bound.

    Each search starts from published laws, evaluates n_calls points on the networks of n_draws seeds, and can be
    resumed. Then every best point, the published laws ("first") and these without dispersion ("homogeneous") are
    measured in the tasks on n_test networks that no search has seen; Y_of_X is measure Y of the best point for
    objective X. best_X is that point as code.
    """
    for what, names, right in (("objectives", objectives, MEASURES), ("tasks", tasks, _search.TASKS)):
        if unknown := [name for name in names if name not in right]:
            raise ValueError(f"{what} must be of {', '.join(right)}, got {unknown[0]!r}.")
    setting = _search.Setting(n_neurons=n_neurons, membrane=membrane, backend=backend)
    candidates: dict[str, Any] = {"first": _search.FIRST, "homogeneous": _search.without_dispersion(_search.FIRST)}
    for name in run.progress(objectives, label="searches"):
        found = optimize.minimize(
            _search.Objective(name, setting),
            _search.SPACE,
            n_calls,
            seed=seed,
            n_initial=n_initial,
            first=[_search.FIRST],
            n_draws=n_draws,
            n_workers=run.workers or n_workers,
            scheduler=run.scheduler,
            folder=run.folder / "searches" / name,
        )
        candidates[name] = found.x
        run.save(**{f"best_{name}": optimize.paste(found)})
        print(f"# {LABELS[name]}\n{optimize.paste(found)}")
        for kind, figure in search_plots.figures(found, LABELS[name]).items():
            run.figure(f"{name}_{kind}", figure)
    rows = []
    tests = range(n_draws, n_draws + n_test)  # no search has seen these networks
    jobs = {
        (name, k): partial(_search.measure_all, laws, setting, k, tasks)
        for name, laws in candidates.items()
        for k in tests
    }
    measurements = run.results({f"{name}_{k}": job for (name, k), job in jobs.items()}, "tests")
    for (name, k), measured in zip(jobs, measurements, strict=True):
        rows.append({"laws": name, "network": k, **measured})
        run.table("networks", rows)
    measures = [measure for measure in MEASURES if measure in rows[0]]
    summary = [_mean(name, [row for row in rows if row["laws"] == name], measures) for name in candidates]
    run.table("measures", summary)
    run.save(**{f"{measure}_of_{row['laws']}": row[measure] for row in summary for measure in measures})
    if "memory" in tasks:
        run.figure(
            "measures_against_spikes", _figure(summary, [m for m in measures if m not in ("spikes", "efficiency")])
        )


def _mean(name: str, rows: list[dict[str, Any]], measures: list[str]) -> dict[str, Any]:
    means = {measure: float(np.mean([row[measure] for row in rows])) for measure in measures}
    return {"laws": name, **means, **{f"{m}_std": float(np.std([row[m] for row in rows])) for m in measures}}


def _figure(summary: list[dict[str, Any]], measures: list[str]) -> Any:
    """Draw capacity and task scores of every best point against its spikes."""
    figure, grid = plots.figure(1, len(measures))
    grid = np.atleast_1d(grid)
    for axes, measure in zip(grid, measures, strict=True):
        for row, colour in zip(summary, plots.COLOURS * 2, strict=False):
            axes.errorbar(
                row["spikes"],
                row[measure],
                xerr=row["spikes_std"],
                yerr=row[f"{measure}_std"],
                fmt="o",
                color=colour,
                label=row["laws"],
                linewidth=1,
            )
        axes.set(xlabel=LABELS["spikes"], ylabel=LABELS[measure].removeprefix("minus "))
    grid[0].legend(frameon=False, fontsize=8, title="laws found for", title_fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
