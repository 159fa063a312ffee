"""How pruning of an STDP network acts: against its threshold, the size of the network, and the time of pruning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brian2 import Quantity, mV

from hrsnn import STDPPruning, datasets, plots
from hrsnn.lab import study
from hrsnn.lab.runs import Run
from hrsnn.studies import _stdp

# The source's batches for digits and for photographs.
DIGITS = {"n_batches": 12, "warm_up": 3}
PHOTOGRAPHS = {"n_batches": 20, "warm_up": 10}
SMALL = {"n_train": 3000, "n_test": 500, "n_neurons": 50}


@study(quick=dict(SMALL, thresholds=[0.05, 0.085], levels=[0, 2]))
def stdp_threshold(
    run,
    data="mnist",
    thresholds=(0.03, 0.06, 0.09, 0.12, 0.15, 0.2),
    levels=(0, 2, 3),
    n_neurons=100,
    n_train=60_000,
    n_test=10_000,
    recipe: str | None = None,
    backend="auto",
    n_jobs=1,
    seed=0,
):
    """Measure connectivity and accuracy against the pruning threshold, with continuous and with shared weights.

    Rathi (2021), figures 2.6 a to d. levels: numbers of shared weights, zero included; 0 for continuous weights.
    data: a set of mnist_stdp, or caltech101, there with 20 batches of which 10 are warm-up and another recipe.
    """
    images, batches = _images(run, data, n_train, n_test)
    settings = dict(n_neurons=n_neurons, backend=backend, n_jobs=n_jobs, seed=seed)
    constants = _constants(recipe, data, n_neurons)
    baseline = _stdp.train(run, "baseline", images, constants, None, **settings)
    rows = [_row(baseline, baseline, threshold=0.0, levels="baseline")]
    for level, threshold in run.progress([(k, t) for k in levels for t in thresholds], label="networks"):
        schedule = STDPPruning(threshold, level or None, **batches)
        network = _stdp.train(run, f"levels{level}_threshold{threshold}", images, constants, schedule, **settings)
        rows.append(_row(network, baseline, threshold=threshold, levels=_levels_name(level)))
        run.table("thresholds", rows)
    compressed = [row for row in rows[1:] if row["levels"] != _levels_name(0)]
    best = max(compressed or rows, key=lambda row: row["accuracy"])
    run.save(data=images.name, accuracy_baseline=baseline["accuracy"], connectivity_baseline=baseline["connectivity"])
    run.save(**{f"{key}_best": best[key] for key in ("accuracy", "connectivity", "energy_gain", "threshold", "levels")})
    run.figure("connectivity_against_threshold", _lines(rows, "levels", "threshold", "connectivity"))
    run.figure("accuracy_against_connectivity", _lines(rows, "levels", "connectivity", "accuracy"))


@study(quick=dict(n_train=2000, n_test=500, sizes=[25, 100], threshold=0.085))
def stdp_size(
    run,
    data="mnist",
    sizes=(100, 400, 1600, 6400),
    compress=True,
    threshold=0.15,
    levels=3,
    connectivity: float | None = None,
    n_settle=1,
    w_total: float | None = None,
    n_train=60_000,
    n_test=10_000,
    n_epochs=1,
    recipe: str | None = None,
    backend="auto",
    n_jobs=1,
    seeds=(0,),
):
    """Measure accuracy against the number of neurons, of full and of compressed networks.

    Rathi (2021), figures 2.6 e and f: 81.6 % with 100 neurons, 93.2 % with 6,400; pruned at threshold 0.15 (0.1 for
    Caltech-101) with 3 levels 91.5 % at 8 % of the synapses. compress=no leaves out the compressed networks. With
    several seeds the line is their mean and the band one standard deviation. data as in stdp_threshold.

    connectivity: instead of pruning at a threshold while the network learns, thin every neuron evenly when it has
    learnt, to that share of its inputs. n_settle: batches on which thresholds settle on the pruned weights.
    w_total: sum of a neuron's weights; that of the recipe if None.
    """
    images, batches = _images(run, data, n_train, n_test)
    schedule = _stdp.schedule(threshold, levels, **batches, connectivity=connectivity, n_settle=n_settle)
    w_per_input = None if w_total is None else w_total / images.X_train.shape[1]
    networks = {"baseline": None, "compressed": schedule} if compress else {"baseline": None}
    rows: list[dict[str, Any]] = []
    scores: dict[str, list[list[float]]] = {name: [] for name in networks}
    for seed in seeds:
        for name in scores:
            scores[name].append([])
        for size in run.progress(sizes, label=f"seed {seed}"):
            settings = dict(n_neurons=size, n_epochs=n_epochs, backend=backend, n_jobs=n_jobs, seed=seed)
            constants, pair = _constants(recipe, data, size, w_per_input=w_per_input), {}
            for name, pruned in networks.items():
                settings["trained_as"] = f"{name if connectivity is None else 'baseline'}_{size}_seed{seed}"
                pair[name] = _stdp.train(run, f"{name}_{size}_seed{seed}", images, constants, pruned, **settings)
                scores[name][-1].append(pair[name]["accuracy"])
                rows.append(_row(pair[name], pair["baseline"], n_neurons=size, network=name, seed=seed))
            run.table("sizes", rows)
    run.save(data=images.name, **_means(rows, "n_neurons"))
    figure, axes = plots.figure()
    plots.accuracy(axes, sizes, scores, "excitatory neurons", log=True)
    run.figure("accuracy_against_size", figure)


@study(quick=dict(SMALL, threshold=0.085, seeds=[0]))
def stdp_spikes(
    run,
    data="mnist",
    n_neurons=100,
    threshold=0.15,
    levels=3,
    theta_plus: Quantity = 0.11 * mV,
    eta=0.035,
    g_inh=500.0,
    min_spikes=2,
    min_votes=1,
    n_train=60_000,
    n_test=10_000,
    recipe: str | None = None,
    backend="auto",
    n_jobs=1,
    seeds=(0, 1, 2),
):
    """Measure the spikes that an answer costs, in full and compressed networks, fired as usual and sparingly.

    Rathi (2021), table 2.2: compression saves 2.4 to 3.1 times the excitatory spikes at the test. Here homeostasis and
    normalisation hold the rate whatever is pruned, so a network saves spikes by other means: a threshold that rises
    faster (theta_plus, with a larger eta because there are fewer spikes to learn from), inhibition so strong that one
    neuron answers (g_inh), and no second look at a sample that has drawn a spike (min_spikes while learning,
    min_votes at the test). energy_gain compares the spikes of all presentations of a sample with those of the full
    network, fired as usual, of the same seed.
    """
    images, batches = _images(run, data, n_train, n_test)
    usual: dict[str, Any] = {}
    sparing = {"g_inh": g_inh, "min_spikes": min_spikes, "min_votes": min_votes}
    rows: list[dict[str, Any]] = []
    for seed in run.progress(seeds, label="seeds"):
        trained: dict[str, dict[str, Any]] = {}
        for network, schedule in {"full": None, "compressed": STDPPruning(threshold, levels, **batches)}.items():
            for firing, own in {"usual": usual, "sparing": sparing}.items():
                changes = {"theta_plus": theta_plus, "eta": eta} if own else {}
                settings = dict(n_neurons=n_neurons, backend=backend, n_jobs=n_jobs, seed=seed, **own)
                name, constants = f"{network}_{firing}_seed{seed}", _constants(recipe, data, n_neurons, **changes)
                trained[name] = _stdp.train(run, name, images, constants, schedule, **settings)
                baseline = trained[f"full_usual_seed{seed}"]
                rows.append(_row(trained[name], baseline, network=network, firing=firing, seed=seed))
                run.table("networks", rows)
    run.save(
        data=images.name, **_means(rows, "firing", ("accuracy", "connectivity", "spikes_per_image", "energy_gain"))
    )
    figure, axes = plots.figure()
    for (network, firing), marker in zip(dict.fromkeys((r["network"], r["firing"]) for r in rows), "oDsv", strict=True):
        own = [row for row in rows if (row["network"], row["firing"]) == (network, firing)]
        x, y = [row["spikes_per_image"] for row in own], [100 * row["accuracy"] for row in own]
        axes.plot(x, y, marker, label=f"{network}, {firing}")
    axes.set(xlabel="spikes an image", ylabel="accuracy (%)", xlim=(0, None))
    axes.legend(frameon=False, fontsize=8.5)
    run.figure("accuracy_against_spikes", figure)


@study(quick=dict(SMALL, thresholds=[0.085]))
def stdp_regimes(
    run,
    data="mnist",
    thresholds=(0.03, 0.06, 0.09, 0.12, 0.15, 0.2),
    n_neurons=100,
    n_train=60_000,
    n_test=10_000,
    recipe: str | None = None,
    backend="auto",
    n_jobs=1,
    seed=0,
):
    """Compare pruning while, before and after training at equal connectivity, with continuous weights.

    Rathi (2021), figure 2.7. Each threshold gives the connectivity of one network pruned while it learns; a network
    thinned at random before, and one cut to its largest weights after training get as many synapses (the latter
    fewer, if STDP has left it fewer that are not zero). data as in stdp_threshold.
    """
    images, batches = _images(run, data, n_train, n_test)
    settings = dict(n_neurons=n_neurons, backend=backend, n_jobs=n_jobs, seed=seed)
    constants = _constants(recipe, data, n_neurons)
    baseline = _stdp.train(run, "baseline", images, constants, None, **settings)
    rows = []
    for threshold in run.progress(thresholds, label="thresholds"):
        name = f"while_{threshold}"
        pruned = _stdp.train(run, name, images, constants, STDPPruning(threshold, **batches), **settings)
        rows.append(_row(pruned, baseline, regime="while", threshold=threshold))
        for regime in ("before", "after"):
            schedule = STDPPruning(regime=regime, connectivity=pruned["connectivity"], **batches)
            own = dict(settings, trained_as="baseline") if regime == "after" else settings
            network = _stdp.train(run, f"{regime}_{threshold}", images, constants, schedule, **own)
            rows.append(_row(network, baseline, regime=regime, threshold=threshold))
        run.table("regimes", rows)
    run.save(data=images.name, accuracy_baseline=baseline["accuracy"], connectivity_baseline=baseline["connectivity"])
    run.save(**_means(rows, "regime"))
    run.figure("accuracy_against_connectivity", _lines(rows, "regime", "connectivity", "accuracy"))


def _images(run: Run, data: str, n_train: int, n_test: int) -> tuple[_stdp.Images, dict[str, int]]:
    """Return the images and the source's batches for them."""
    if data != "caltech101":
        return _stdp.digit_images(run, data, n_train, n_test), DIGITS
    split = datasets.caltech101(view="orientations")
    return _stdp.drawn("Caltech-101", split, n_train, n_test, 0, datasets.CALTECH_CATEGORIES), PHOTOGRAPHS


def _constants(recipe: str | None, data: str, n_neurons: int, **changes: Any) -> dict[str, Any]:
    return _stdp.recipe(recipe or ("photographs" if data == "caltech101" else "tuned"), n_neurons, **changes)


def _row(trained: Mapping[str, Any], baseline: Mapping[str, Any], **what: Any) -> dict[str, Any]:
    return {**what, **_stdp.numbers({**trained, "energy_gain": _stdp.energy_gain(baseline, trained)})}


def _means(
    rows: list[dict[str, Any]], key: str, metrics: tuple[str, ...] = ("accuracy", "connectivity")
) -> dict[str, float]:
    """Return means over the rows with the same key, and network if they have one."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault("_".join(str(row[k]) for k in ("network", key) if k in row), []).append(row)
    return {
        f"{metric}_{name}": sum(row[metric] for row in members) / len(members)
        for metric in metrics
        for name, members in groups.items()
    }


def _levels_name(levels: int) -> str:
    return f"{levels} levels" if levels else "continuous"


def _lines(rows: list[dict[str, Any]], group: str, x: str, y: str) -> Any:
    labels = {"accuracy": "accuracy (%)", "connectivity": "connectivity (%)", "threshold": "pruning threshold"}
    lines: dict[str, tuple[list[float], list[float]]] = {}
    for row in rows:
        values = [row[key] * (100 if "%" in labels[key] else 1) for key in (x, y)]
        for axis, value in zip(lines.setdefault(str(row[group]), ([], [])), values, strict=True):
            axis.append(value)
    figure, axes = plots.figure()
    plots.curves(axes, lines, labels[x], labels[y])
    return figure
