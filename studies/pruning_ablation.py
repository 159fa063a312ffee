"""Steps and open choices of Lyapunov noise pruning, one by one."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import networkx as nx
import numpy as np

from hrsnn import plots, pruning
from hrsnn.lab import main, study
from hrsnn.metrics import paired
from hrsnn.studies import _pruning

#: The points of the figure, and the steps that led there.
POINTS = {"A": "none", "B": "I, II", "C": "I, II, III", "D": "I, II, III, IV", "E": "I, II, IV", "I": "I", "II": "II"}
#: Lines of the figure: from, to, place of the colour, style.
LINES = (("A", "B", 0, "-"), ("B", "C", 1, "-"), ("C", "D", 2, "-"), ("B", "E", 2, ":"))
MEASURES = (("vpt", "valid prediction time (steps)"), ("rmse", "error (deviations)"))
CHOICES: dict[str, dict[str, Any]] = {
    "strength weight": {"strength": "weight"},
    "strength product": {"strength": "product"},
    "diagonal matched": {"diagonal": "matched"},
    "not rescaled": {"rescale": False},
    "fewer synapses": {"keep_synapses": 0.02},
}


@study(
    quick=dict(
        n_neurons=60,
        keep_neurons=0.3,
        keep_synapses=0.2,
        n_iterations=5,
        choices=["not rescaled"],
        seeds=[0, 1],
        n_train=400,
        n_tuning=2,
        n_test=3,
    )
)
def pruning_ablation(
    run,
    n_neurons=500,
    keep_neurons=0.1,
    keep_synapses=0.05,
    n_iterations=100,
    n_steps=500,
    network="HRSNN",
    series="lorenz",
    choices=tuple(CHOICES),
    seeds=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    n_train=1500,
    n_tuning=6,
    n_test=30,
    threshold=0.4,
    input_weight=0.12,
    backend="auto",
):
    """Measure what each step of Lyapunov noise pruning does to forecasts and synaptic operations.

    Chakraborty & Mukhopadhyay, figure 12, here on a series in place of images. A is the unpruned network; B after
    the iterations of steps I (synapses) and II (neurons); C with the edges of step III; D with the time constants of
    step IV: the whole method; E leaves step III out. I and II alone remove synapses and neurons alone, so these
    networks are larger. The choices that the source leaves open are measured at D: the strength of an edge, the
    diagonal, rescaling, and a smaller share of synapses.

    vpt, rmse and sops are those of `pruning_lnp`; p is Wilcoxon's paired test against D over the seeds.
    """
    unknown = set(choices) - set(CHOICES)
    if unknown:
        raise ValueError(f"choices are {', '.join(CHOICES)}, got {sorted(unknown)[0]!r}.")
    data = _pruning.series(series, n_train, n_tuning, n_test)
    rows: list[dict[str, Any]] = []
    options: dict[str, Any] = dict(
        keep_synapses=keep_synapses, keep_neurons=keep_neurons, n_iterations=n_iterations, n_steps=n_steps
    )

    def pruned(seed: int, choice: str) -> dict[str, Any]:
        dense, given = _pruning.network(network, n_neurons, seed), {**options, "seed": seed}
        if choice == "steps":
            return _steps(dense, given)
        return _pruning.packed(pruning.LyapunovNoisePruning(**{**given, **CHOICES[choice]}).prune(dense))

    def measured(seed: int, packed: Any) -> dict[str, Any]:
        dense = _pruning.network(network, n_neurons, seed)
        graph = dense if packed is None else _pruning.unpacked(dense, packed)
        return _pruning.measure(graph, data, seed, threshold, input_weight, backend)

    pairs = [(seed, choice) for seed in seeds for choice in ("steps", *choices)]
    jobs = {f"{choice}_{seed}".replace(" ", "_"): partial(pruned, seed, choice) for seed, choice in pairs}
    made = dict(zip(pairs, run.results(jobs, "pruning"), strict=True))
    graphs = {(seed, choice): made[seed, choice] for seed in seeds for choice in choices}
    graphs |= {(seed, point): packed for seed in seeds for point, packed in made[seed, "steps"].items()}
    points = [(seed, point) for seed in seeds for point in (*POINTS, *choices)]
    jobs = {
        f"measured_{point}_{seed}".replace(" ", "_"): partial(measured, seed, graphs.get((seed, point)))
        for seed, point in points
    }
    for (seed, point), row in zip(points, run.results(jobs, "networks"), strict=True):
        rows.append({"point": point, "steps": POINTS.get(point, "all"), "seed": seed, **row})
        run.table("networks", rows)
    summary = _summary(rows)
    run.table("points", summary)
    metrics = {f"{key}_{entry['point']}".replace(" ", "_"): entry[key] for entry in summary for key in ("vpt", "rmse")}
    run.save(**metrics)
    run.figure("steps", _figure(summary))


def _steps(dense: nx.DiGraph, options: dict[str, Any]) -> dict[str, Any]:
    """Return the graphs of all points but A, packed."""

    def iterated(**switches: bool) -> tuple[nx.DiGraph, float | None]:
        settings: dict[str, Any] = {**options, "add_edges": False, "tune_timescales": False, **switches}
        pruner = pruning.LyapunovNoisePruning(**settings)
        return pruner.prune(dense), pruner.gain_

    seed = options["seed"]
    B, gain = iterated()
    C = pruning.delocalize(B, dense, seed=seed)
    shared = {"n_steps": options["n_steps"], "seed": seed, "gain": gain}
    reference = pruning.lyapunov_spectrum(dense, **shared)
    D, E = (pruning.optimize_timescales(graph, reference, **shared).graph for graph in (C, B))
    alone = {"I": iterated(prune_neurons=False)[0], "II": iterated(prune_synapses=False)[0]}
    return {name: _pruning.packed(graph) for name, graph in {"B": B, "C": C, "D": D, "E": E, **alone}.items()}


def _summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and standard deviation over the seeds, and the paired test against D."""
    table = []
    of = {(row["point"], row["seed"]): row for row in rows}
    for point in dict.fromkeys(row["point"] for row in rows):
        own = [row for row in rows if row["point"] == point]
        entry: dict[str, Any] = {"point": point, "steps": own[0]["steps"], "n": len(own)}
        for name in ("n_neurons", "n_synapses", "sops"):
            entry[name] = float(np.mean([row[name] for row in own]))
        for name in ("vpt", "rmse"):
            values = np.array([row[name] for row in own])
            whole = np.array([of["D", row["seed"]][name] for row in own if ("D", row["seed"]) in of])
            comparable = len(whole) == len(values) > 1 and np.any(values != whole)
            entry |= {name: float(values.mean()), f"{name}_std": float(values.std(ddof=len(own) > 1))}
            entry[f"{name}_p"] = paired.wilcoxon(values, whole) if comparable else np.nan
        table.append(entry)
    return table


def _figure(summary: list[dict[str, Any]]) -> Any:
    """Draw the points over their synaptic operations, joined by the steps; choices are crosses."""
    figure, axes = plots.figure(1, 2, width=4.8)
    of = {entry["point"]: entry for entry in summary}
    for ax, (key, label) in zip(axes, MEASURES, strict=True):
        for start, end, colour, style in LINES:
            ends = [of[start], of[end]]
            ax.plot(
                [e["sops"] for e in ends], [e[key] for e in ends], style, color=plots.COLOURS[colour], linewidth=1.8
            )
        for point in POINTS:
            entry = of[point]
            error = entry[f"{key}_std"] / np.sqrt(entry["n"])
            ax.errorbar(entry["sops"], entry[key], error, fmt="o", color="black", markersize=4, capsize=2)
            ax.annotate(point, (entry["sops"], entry[key]), xytext=(5, 5), textcoords="offset points", fontsize=9)
        for k, point in enumerate(name for name in of if name not in POINTS):
            ax.plot(of[point]["sops"], of[point][key], "x", color=plots.COLOURS[k % 7], label=point)
        ax.set(xlabel="synaptic operations in the training series", ylabel=label, xscale="log")
    axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle("blue: steps I and II, orange: III, green: IV; dotted: without III", fontsize=9)
    return figure


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
