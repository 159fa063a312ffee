"""Lyapunov noise pruning of recurrent networks, and networks of equal size beside it."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import networkx as nx
import numpy as np
from scipy import stats

from hrsnn import plots, pruning
from hrsnn.lab import main, study
from hrsnn.metrics import paired
from hrsnn.studies import _pruning

MEASURES = (("vpt", "valid prediction time (steps)"), ("rmse", "error (deviations)"))
EQUAL = ("activity", "activity filled", "random", "magnitude", "uniform", "uncoupled")


@study(
    quick=dict(
        n_neurons=60,
        keep_neurons=0.3,
        keep_synapses=0.2,
        n_iterations=5,
        n_activity=1,
        networks=["HRSNN"],
        series=["lorenz"],
        methods=["activity", "random"],
        checkpoints=[],
        seeds=[0, 1],
        n_train=400,
        n_tuning=2,
        n_test=3,
    ),
)
def pruning_lnp(
    run,
    n_neurons=500,
    keep_neurons=0.1,
    keep_synapses=0.05,
    n_iterations=100,
    n_steps=500,
    n_activity=4,
    networks=("HRSNN", "CHRSNN"),
    series=("lorenz", "roessler", "stock", "wind"),
    methods=EQUAL,
    checkpoints=(34, 67),
    seeds=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    n_train=1500,
    n_tuning=6,
    n_test=30,
    threshold=0.4,
    input_weight=0.12,
    strength="lyapunov",
    rescale=True,
    diagonal="original",
    schedule="total",
    tune_timescales=True,
    learning="stdp",
    n_epochs=60,
    backend="auto",
):
    """Prune heterogeneous recurrent networks without a task, then train them to forecast four series.

    Chakraborty & Mukhopadhyay, section VI-F, figure 10 and table V. All networks of a seed come from the same
    unpruned one and are trained alike: STDP, then a ridge readout of all neurons, its penalty chosen by the mean
    valid prediction time from n_tuning starts. Inputs are drawn anew for each, equally many on average. Beside LNP:

    activity: each of n_activity iterations trains and removes the least active neurons; synapses are what is left.
    activity filled: the same neurons with as many random synapses as LNP has.
    random: as many random neurons and synapses as LNP has, with weights of the unpruned network.
    magnitude, uniform: the iterations of LNP with the weakest, or any, synapses removed in step I.
    uncoupled: the neurons of LNP with synapses too weak to matter.

    vpt is the mean valid prediction time over n_test starts, in steps of the series; rmse the error of the forecast
    in standard deviations; sops the synaptic operations in the training series, sops_ratio those of the unpruned
    network over those of LNP. The table "tests" holds the differences LNP minus another, with Wilcoxon's paired test
    over the seeds, and the ratio of the variances with Levene's test. Networks of LNP at the iterations of
    checkpoints, and random ones of their sizes, are measured on the first series too.

    learning=gradient: the networks (still pruned without a task, or by their activity under STDP) are trained by
    surrogate gradients in n_epochs, all synapses and time constants, the source's rows of backpropagation; a frame of
    the series lasts 5 ms instead of 20, and their readout sees filtered spikes alone.
    """
    if learning not in ("stdp", "gradient"):
        raise ValueError(f"learning must be 'stdp' or 'gradient', got {learning!r}.")
    settings = {"input_weight": input_weight, "backend": backend}
    rows: list[dict[str, Any]] = []
    sources = {name: _pruning.series(name, n_train, n_tuning, n_test) for name in series}

    def pruned(kind: str, seed: int) -> dict[str, Any]:
        pruner = pruning.LyapunovNoisePruning(
            keep_synapses,
            keep_neurons,
            n_iterations,
            schedule=schedule,
            n_steps=n_steps,
            strength=strength,
            diagonal=diagonal,
            rescale=rescale,
            tune_timescales=tune_timescales,
            seed=seed,
        )
        return _pruned(pruner, _pruning.network(kind, n_neurons, seed), checkpoints)

    pairs = [(kind, seed) for kind in networks for seed in seeds]
    found = run.results({f"lnp_{kind}_{seed}": partial(pruned, kind, seed) for kind, seed in pairs}, "pruning")
    stored = dict(zip(pairs, found, strict=True))
    histories = {kind: [stored[kind, seed]["history"] for seed in seeds] for kind in networks}

    def measured(name: str, kind: str, seed: int, method: str, own: dict[str, Any]) -> dict[str, Any]:
        dense, data = _pruning.network(kind, n_neurons, seed), sources[name]
        graphs = {step: _pruning.unpacked(dense, packed) for step, packed in own["graphs"].items()}
        graph = _graph(method, dense, graphs, own["history"], data.train, keep_neurons, n_activity, seed, settings)
        if learning == "gradient":
            return _pruning.measure_trained(graph, data, seed, threshold, n_epochs)
        return _pruning.measure(graph, data, seed, threshold, **settings)

    points = []
    for name in series:
        for kind, seed in pairs:
            kept = stored[kind, seed]["graphs"]
            steps = [str(step) for step in checkpoints if name == series[0] and str(step) in kept]
            wanted = [
                "unpruned",
                "LNP",
                *methods,
                *(f"{method} {step}" for step in steps for method in ("LNP", "random")),
            ]
            points += [(name, kind, seed, method, method == wanted[-1]) for method in wanted]
    jobs = {
        f"{name}_{kind}_{seed}_{method}".replace(" ", "_"): partial(
            measured, name, kind, seed, method, stored[kind, seed]
        )
        for name, kind, seed, method, _ in points
    }
    for (name, kind, seed, method, last), row in zip(points, run.results(jobs, "networks"), strict=True):
        rows.append({"series": name, "network": kind, "method": method, "seed": seed, **row})
        run.table("networks", rows)
        if last:
            run.table("methods", _summary(rows))
            if seed != seeds[0]:
                run.table("tests", _tests(rows))
    run.table("sizes", _sizes(histories))
    run.save(**_headline(rows))
    run.figure("sizes", _size_figure(histories))
    run.figure("methods", _method_figure(rows, series[0]))
    if checkpoints:
        run.figure("iterations", _iteration_figure(rows, series[0], n_neurons))


def _pruned(pruner: pruning.LyapunovNoisePruning, dense: nx.DiGraph, checkpoints: Any) -> dict[str, Any]:
    """Prune, and return the records, the graphs at the checkpoints and the last one."""
    graphs = {}
    for graph in pruner.iterate(dense):
        records = pruner.history_
        if "step" not in records[-1] and records[-1]["iteration"] in checkpoints:
            graphs[str(records[-1]["iteration"])] = _pruning.packed(graph)
    kept = ("iteration", "step", "n_neurons", "n_synapses", "n_sampled", "sops")
    history = [{key: record[key] for key in kept if key in record} for record in pruner.history_]
    return {"graphs": {**graphs, "last": _pruning.packed(graph)}, "history": history}


def _graph(
    method: str,
    dense: nx.DiGraph,
    graphs: dict[str, nx.DiGraph],
    history: Any,
    X: np.ndarray,
    keep: float,
    n_activity: int,
    seed: int,
    settings: dict[str, Any],
) -> nx.DiGraph:
    """Return the network of a method; "LNP 34" is that of iteration 34."""
    name, _, step = method.partition(" ")
    sparse = graphs.get(step, graphs["last"])
    n, m = len(sparse), sparse.number_of_edges()
    if name == "unpruned":
        return dense
    if name == "LNP":
        return sparse
    if name == "uncoupled":
        return _pruning.uncoupled(sparse)
    if name == "random":
        return pruning.random_graph(dense, n, m, seed=seed)
    if name in ("magnitude", "uniform"):
        return _pruning.thinned_alike(dense, history, name, seed)
    if name == "activity":
        pruned = _pruning.least_active_pruned(dense, X, keep, n_activity, seed, **settings)
        if step == "filled":
            pruned = pruning.random_graph(dense.subgraph(pruned).copy(), len(pruned), m, weights_of=dense, seed=seed)
        return pruned
    raise ValueError(f"A method is one of {', '.join(EQUAL)}, got {method!r}.")


def _summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return mean and standard deviation over the seeds."""
    table = []
    for key in dict.fromkeys((row["series"], row["network"], row["method"]) for row in rows):
        own = [row for row in rows if (row["series"], row["network"], row["method"]) == key]
        entry: dict[str, Any] = dict(zip(("series", "network", "method"), key, strict=True)) | {"n": len(own)}
        for name in ("n_neurons", "n_synapses", "sops", "rate_hz"):
            entry[name] = float(np.mean([row[name] for row in own]))
        for name in ("vpt", "rmse"):
            values = [row[name] for row in own]
            entry |= {name: float(np.mean(values)), f"{name}_std": float(np.std(values, ddof=len(own) > 1))}
        table.append(entry)
    return table


def _tests(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare LNP with every other method, seed by seed."""
    table = []
    for name, kind in dict.fromkeys((row["series"], row["network"]) for row in rows):
        own = [row for row in rows if (row["series"], row["network"]) == (name, kind)]
        by: dict[str, dict[int, dict[str, Any]]] = {}
        for row in own:
            by.setdefault(row["method"], {})[row["seed"]] = row
        for method, others in by.items():
            seeds = [seed for seed in others if seed in by["LNP"]]
            if method.startswith("LNP") or method[-1].isdigit() or len(seeds) < 2:
                continue
            entry: dict[str, Any] = {"series": name, "network": kind, "method": method, "n": len(seeds)}
            for key in ("vpt", "rmse"):
                a, b = (np.array([rows_of[seed][key] for seed in seeds]) for rows_of in (by["LNP"], others))
                entry[f"{key}_difference"] = float(np.mean(a - b))
                entry[f"{key}_p"] = paired.wilcoxon(a, b)
                entry[f"{key}_variance_ratio"] = float(a.var() / b.var()) if b.var() > 0 else np.nan
                entry[f"{key}_variance_p"] = _levene(a, b)
            table.append(entry)
    return table


def _levene(a: np.ndarray, b: np.ndarray) -> float:
    """Return Levene's p; nan where all distances to the median are equal, as for two seeds."""
    spread = [np.ptp(np.abs(values - np.median(values))) for values in (a, b)]
    return float(stats.levene(a, b).pvalue) if max(spread) > 0 else np.nan


def _headline(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the first series' numbers, the paired tests and the saving of synaptic operations."""
    found: dict[str, float] = {}
    summary = [entry for entry in _summary(rows) if entry["series"] == rows[0]["series"]]
    by = {(entry["network"], entry["method"]): entry for entry in summary}
    for (kind, method), entry in by.items():
        name = f"{kind}_{method}".replace(" ", "_")
        found |= {f"{key}_{name}": entry[key] for key in ("vpt", "rmse", "n_synapses")}
        if method == "LNP":
            found[f"sops_ratio_{kind}"] = by[kind, "unpruned"]["sops"] / max(entry["sops"], 1.0)
    for entry in _tests([row for row in rows if row["series"] == rows[0]["series"]]):
        name = f"{entry['network']}_LNP_minus_{entry['method']}".replace(" ", "_")
        found |= {f"vpt_{name}": entry["vpt_difference"], f"vpt_{name}_p": entry["vpt_p"]}
    return found


def _sizes(histories: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return mean and spread of the sizes after each iteration."""
    table = []
    for kind, runs in histories.items():
        for step in range(min(len(history) for history in runs)):
            entry: dict[str, Any] = {"network": kind, "iteration": step}
            for key in ("n_neurons", "n_synapses"):
                values = [history[step][key] for history in runs]
                entry |= {key: float(np.mean(values)), f"{key}_std": float(np.std(values))}
            if all("step" not in history[step] for history in runs):
                table.append(entry)
    return table


def _size_figure(histories: dict[str, list[Any]]) -> Any:
    figure, axes = plots.figure(1, 2)
    sizes = _sizes(histories)
    for ax, key, label in zip(axes, ("n_synapses", "n_neurons"), ("synapses", "neurons"), strict=True):
        for kind, colour in zip(histories, plots.COLOURS, strict=False):
            own = [entry for entry in sizes if entry["network"] == kind]
            x = [entry["iteration"] for entry in own]
            mean, std = (np.array([entry[name] for entry in own]) for name in (key, f"{key}_std"))
            ax.plot(x, mean, color=colour, label=f"{kind}, mean and deviation of {len(histories[kind])}")
            ax.fill_between(x, mean - std, mean + std, color=colour, alpha=0.25, linewidth=0)
        ax.set(xlabel="iteration", ylabel=label, yscale="log")
    axes[0].legend(frameon=False, fontsize=8)
    return figure


def _method_figure(rows: list[dict[str, Any]], name: str) -> Any:
    """Draw every repeat: valid prediction time and error of each method."""
    own = [row for row in rows if row["series"] == name and not row["method"][-1].isdigit()]
    kinds, methods = (list(dict.fromkeys(row[key] for row in own)) for key in ("network", "method"))
    figure, axes = plots.figure(1, 2, width=5.2, height=3.8)
    for ax, (key, label) in zip(axes, MEASURES, strict=True):
        for shift, (kind, colour) in enumerate(zip(kinds, plots.COLOURS, strict=False)):
            for place, method in enumerate(methods):
                values = [row[key] for row in own if row["network"] == kind and row["method"] == method]
                x = place + 0.25 * (shift - (len(kinds) - 1) / 2)
                ax.plot(np.full(len(values), x), values, ".", color=colour, alpha=0.5, markersize=5)
                ax.plot(x, np.mean(values), "_", color=colour, markersize=14, markeredgewidth=2.2,
                        label=kind if place == 0 else None)  # fmt: skip
        ax.set_xticks(range(len(methods)), methods, rotation=40, ha="right")
        ax.set(ylabel=label, title=name)
    axes[0].legend(frameon=False, fontsize=8.5)
    return figure


def _iteration_figure(rows: list[dict[str, Any]], name: str, n_neurons: int) -> Any:
    """Draw the forecasts against the neurons left."""
    own = [row for row in rows if row["series"] == name]
    kinds = list(dict.fromkeys(row["network"] for row in own))
    figure, axes = plots.figure(1, 2)
    for ax, (key, label) in zip(axes, MEASURES, strict=True):
        for kind, style in zip(kinds, ("-", "--"), strict=False):
            for start, colour in zip(("LNP", "random"), plots.COLOURS, strict=False):
                names = [m for m in dict.fromkeys(row["method"] for row in own) if m.split()[0] in (start, "unpruned")]
                groups = [[row for row in own if row["network"] == kind and row["method"] == m] for m in names]
                points = sorted(
                    (np.mean([r["n_neurons"] for r in g]), np.mean([r[key] for r in g]), np.std([r[key] for r in g]))
                    for g in groups
                    if g
                )
                x, mean, std = np.array(points).T
                ax.errorbar(x, mean, std, color=colour, linestyle=style, marker="o", markersize=4, capsize=2,
                            label=f"{start}, {kind}")  # fmt: skip
        ax.set(xlabel=f"neurons left of {n_neurons}", ylabel=label, xscale="log", title=name)
        ax.set_xticks(x, [f"{n:.0f}" for n in x])
        ax.minorticks_off()
        ax.invert_xaxis()
    axes[0].legend(frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
