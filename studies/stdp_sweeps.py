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
    settings = dict(n_neurons=n_neurons, backend=backend, n_jobs=n_jobs, seed=seed)
    constants = _constants(recipe, data, n_neurons)
    schedules: dict[str, STDPPruning | None] = {"baseline": None}
    points = {f"levels{level}_threshold{threshold}": (level, threshold) for level in levels for threshold in thresholds}
    schedules |= {name: STDPPruning(value, level or None, **_batches(data)) for name, (level, value) in points.items()}
    _stdp.check(constants, None, **settings)
    images = _images(run, data, n_train, n_test)
    jobs = {name: _stdp.job(run, name, images, constants, own, **settings) for name, own in schedules.items()}
    rows = []
    for name, network in _stdp.results(run, jobs):
        if name == "baseline":
            baseline = network
        level, threshold = points.get(name, (None, 0.0))
        what = "baseline" if level is None else _levels_name(level)
        rows.append(_row(network, baseline, threshold=threshold, levels=what))
        run.table("thresholds", rows)
    compressed = [row for row in rows[1:] if row["levels"] != _levels_name(0)]
    best = max(compressed or rows, key=lambda row: row["accuracy"])
    run.save(data=images.name, accuracy_baseline=baseline["accuracy"], connectivity_baseline=baseline["connectivity"])
    run.save(**{f"{key}_best": best[key] for key in ("accuracy", "connectivity", "energy_gain", "threshold", "levels")})
    run.figure("connectivity_against_threshold", _lines(rows, "levels", "threshold", "connectivity"))
    run.figure("accuracy_against_connectivity", _lines(rows, "levels", "connectivity", "accuracy"))


@study(quick=dict(n_train=2000, n_test=500, sizes=[25, 100], threshold=0.085), least=dict(n_settle=0))
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
    schedule = _stdp.schedule(threshold, levels, **_batches(data), connectivity=connectivity, n_settle=n_settle)
    networks = {"baseline": None, "compressed": schedule} if compress else {"baseline": None}
    points = {
        f"{network}_{size}_seed{seed}": (network, size, seed)
        for seed in seeds
        for size in sizes
        for network in networks
    }
    settings: dict[str, Any] = dict(n_epochs=n_epochs, backend=backend, n_jobs=n_jobs)
    for network, size, seed in points.values():
        _stdp.check(_constants(recipe, data, size), networks[network], n_neurons=size, seed=seed, **settings)
    images = _images(run, data, n_train, n_test)
    w_per_input = None if w_total is None else w_total / images.X_train.shape[1]
    jobs = {}
    for name, (network, size, seed) in points.items():
        own = dict(settings, n_neurons=size, seed=seed)
        own["trained_as"] = name if connectivity is None else f"baseline_{size}_seed{seed}"
        constants = _constants(recipe, data, size, w_per_input=w_per_input)
        jobs[name] = _stdp.job(run, name, images, constants, networks[network], **own)
    found: dict[str, dict[str, Any]] = {}
    for name, result in _stdp.results(run, jobs, after_baseline=connectivity is not None):
        found[name] = result
        rows = [
            _row(found[name], found[f"baseline_{size}_seed{seed}"], n_neurons=size, network=network, seed=seed)
            for name, (network, size, seed) in points.items()
            if name in found
        ]
        run.table("sizes", rows)
    scores = {
        network: [[found[f"{network}_{size}_seed{seed}"]["accuracy"] for size in sizes] for seed in seeds]
        for network in networks
    }
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
    sparing: dict[str, Any] = {"g_inh": g_inh, "min_spikes": min_spikes, "min_votes": min_votes}
    networks = {"full": None, "compressed": STDPPruning(threshold, levels, **_batches(data))}
    points = {
        f"{network}_{firing}_seed{seed}": (network, firing, seed)
        for seed in seeds
        for network in networks
        for firing in ("usual", "sparing")
    }
    settings: dict[str, Any] = dict(n_neurons=n_neurons, backend=backend, n_jobs=n_jobs)
    changes: dict[str, Any] = {"theta_plus": theta_plus, "eta": eta}
    how: dict[str, dict[str, Any]] = {"usual": {}, "sparing": sparing}
    constants = {
        "usual": _constants(recipe, data, n_neurons),
        "sparing": _constants(recipe, data, n_neurons, **changes),
    }
    for network, firing, seed in points.values():
        _stdp.check(constants[firing], networks[network], seed=seed, **settings, **how[firing])
    images = _images(run, data, n_train, n_test)
    jobs = {
        name: _stdp.job(run, name, images, constants[firing], networks[network], seed=seed, **settings, **how[firing])
        for name, (network, firing, seed) in points.items()
    }
    rows: list[dict[str, Any]] = []
    trained: dict[str, dict[str, Any]] = {}
    for name, result in _stdp.results(run, jobs):
        network, firing, seed = points[name]
        trained[name] = result
        rows.append(_row(result, trained[f"full_usual_seed{seed}"], network=network, firing=firing, seed=seed))
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
    settings: dict[str, Any] = dict(n_neurons=n_neurons, backend=backend, n_jobs=n_jobs, seed=seed)
    constants, batches = _constants(recipe, data, n_neurons), _batches(data)
    schedules = {"baseline": None, **{f"while_{value}": STDPPruning(value, **batches) for value in thresholds}}
    _stdp.check(constants, None, **settings)
    images = _images(run, data, n_train, n_test)
    jobs = {name: _stdp.job(run, name, images, constants, own, **settings) for name, own in schedules.items()}
    found = dict(_stdp.results(run, jobs))
    jobs = {}
    for threshold in thresholds:  # as many synapses as are left by the network pruned while it learns
        for regime in ("before", "after"):
            schedule = STDPPruning(regime=regime, connectivity=found[f"while_{threshold}"]["connectivity"], **batches)
            own = dict(settings, trained_as="baseline") if regime == "after" else settings
            name = f"{regime}_{threshold}"
            jobs[name] = _stdp.job(run, name, images, constants, schedule, **own)
    found |= dict(_stdp.results(run, jobs))
    baseline = found["baseline"]
    rows = [
        _row(found[f"{regime}_{threshold}"], baseline, regime=regime, threshold=threshold)
        for threshold in thresholds
        for regime in ("while", "before", "after")
    ]
    run.table("regimes", rows)
    run.save(data=images.name, accuracy_baseline=baseline["accuracy"], connectivity_baseline=baseline["connectivity"])
    run.save(**_means(rows, "regime"))
    run.figure("accuracy_against_connectivity", _lines(rows, "regime", "connectivity", "accuracy"))


def _batches(data: str) -> dict[str, int]:
    """Return the source's batches for a set of images."""
    return PHOTOGRAPHS if data == "caltech101" else DIGITS


def _images(run: Run, data: str, n_train: int, n_test: int) -> _stdp.Images:
    if data != "caltech101":
        return _stdp.digit_images(run, data, n_train, n_test)
    split = datasets.caltech101(view="orientations")
    return _stdp.drawn("Caltech-101", split, n_train, n_test, 0, datasets.CALTECH_CATEGORIES)


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
