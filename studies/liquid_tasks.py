"""Reservoirs that classify: spoken digits, camera events, and how size, training data and connections act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from brian2 import Hz, Quantity

from hrsnn import plots
from hrsnn.lab import study
from hrsnn.lab.runs import Run
from hrsnn.metrics import paired
from hrsnn.studies import _classify, _liquid

SMALL: dict[str, Any] = dict(n_train=60, n_test=30, n_learn=5, seeds=[0])
VALUES = ("accuracy", "spikes", "rate_hz", "active", "efficiency")
EARS: dict[str, Any] = {"input_fraction": 0.5, "input_probability": 0.2}  # of 64 channels
PIXELS: dict[str, Any] = {"input_fraction": 0.5, "input_probability": 0.05}  # of some 600 squares
ENDS = ("HoNHoS", "HeNHeS")  # the two that the source compares against size and connections
LABELS = {"accuracy": "accuracy", "spikes": "spikes of a neuron a sample"}


@study(quick=dict(SMALL, n_neurons=100))
def spoken_digits(
    run,
    n_neurons=1000,
    n_train=2700,
    n_test=300,
    test_speaker="",
    n_learn=100,
    seeds=(0, 1, 2, 3, 4, 5),
    n_windows=4,
    w_scale=0.5,
    input_weight=0.6,
    rate_max: Quantity = 200 * Hz,
    backend="auto",
):
    """Classify spoken digits, heard by Lyon's ear, by the states of the four variants.

    Chakraborty & Mukhopadhyay, table III, there with the Spiking Heidelberg Digits: heterogeneous neurons give the
    better accuracy, heterogeneous STDP the fewer spikes. Here the Free Spoken Digit Dataset: takes 0 to 4 of each
    speaker test, or all takes of test_speaker, the others train. STDP learns from n_learn sounds without labels; a
    logistic regression reads the states, averaged over n_windows windows. Baselines in the same run: the same
    regression on the ear's channels averaged likewise, and on an echo-state network of as many units.

    spikes: mean number of a neuron a test sound; efficiency: accuracy over spikes. The tests are Wilcoxon's over seeds.
    """
    task = _task(run, _classify.spoken_digits, n_train, n_test, test_speaker)
    settings = dict(w_scale=w_scale, input_weight=input_weight, rate_max=rate_max, n_windows=n_windows, backend=backend)
    _compare(run, task, n_neurons, seeds, n_learn, settings | EARS)


@study(quick=dict(SMALL, n_neurons=100, n_test=20))
def nmnist(
    run,
    n_neurons=1000,
    n_train=500,
    n_test=100,
    n_learn=100,
    seeds=(0, 1, 2, 3, 4, 5),
    n_windows=3,
    w_scale=0.5,
    input_weight=0.6,
    rate_max: Quantity = 200 * Hz,
    backend="auto",
):
    """Classify the recordings of an event camera, N-MNIST or else synthetic gestures, by the four variants.

    As spoken_digits, which see; the inputs are the events of squares of 2 x 2 pixels in steps of 20 ms.
    """
    task = _task(run, _classify.camera, n_train, n_test)
    settings = dict(w_scale=w_scale, input_weight=input_weight, rate_max=rate_max, n_windows=n_windows, backend=backend)
    _compare(run, task, n_neurons, seeds, n_learn, settings | PIXELS)


@study(quick=dict(SMALL, sizes=[50, 100]))
def network_size(
    run,
    sizes=(100, 200, 500, 1000, 2000, 5000),
    n_train=600,
    n_test=300,
    n_learn=100,
    seeds=(0, 1, 2, 3, 4, 5),
    n_windows=4,
    w_scale=0.5,
    input_weight=0.6,
    rate_max: Quantity = 200 * Hz,
    backend="auto",
):
    """Measure accuracy on spoken digits against the number of neurons, homogeneous and heterogeneous.

    Chakraborty & Mukhopadhyay, figure 5 (there KTH and DVS128 gestures, 100 to 2000 neurons): the fewer the neurons,
    the larger the lead of heterogeneous networks. Sounds, readout and baselines as in spoken_digits.
    """
    task = _task(run, _classify.spoken_digits, n_train, n_test)
    settings = dict(w_scale=w_scale, input_weight=input_weight, rate_max=rate_max, n_windows=n_windows, backend=backend)
    rows: list[dict[str, Any]] = []
    jobs: dict[str, Callable[[], Any]] = {}
    for n in sizes:
        points = [(variant, seed) for variant in ENDS for seed in seeds]
        jobs |= _jobs(
            task, [(variant, n, "", seed, {}) for variant, seed in points], n_learn=n_learn, **settings, **EARS
        )
        jobs[f"baselines_{n}"] = partial(_classify.baselines, task, n, seeds, n_windows)
    for name, found in zip(jobs, run.results(jobs, "networks"), strict=True):
        n = int(name.split("_")[1])
        rows += [{"n_neurons": n, **_blank(), **row} for row in (found if isinstance(found, list) else [found])]
        run.table("networks", rows)
    _finish(run, task, rows, "n_neurons")
    run.figure("accuracy_against_size", _liquid.drawn(rows, "n_neurons", LABELS, "neurons", log="x"))


@study(quick=dict(SMALL, n_neurons=100, fractions=[0.5, 1.0]))
def limited_data(
    run,
    n_neurons=500,
    fractions=(0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    n_train=1000,
    n_test=300,
    n_learn=20,
    seeds=(0, 1, 2, 3, 4, 5),
    n_windows=4,
    w_scale=0.5,
    input_weight=0.6,
    rate_max: Quantity = 200 * Hz,
    backend="auto",
):
    """Measure accuracy on spoken digits against the share of the training sounds.

    Chakraborty & Mukhopadhyay, figure 8 (there KTH): heterogeneous networks need fewer training samples. STDP learns
    from n_learn sounds, which are in the smallest share too; the readout from the share. Sounds, readout and
    baselines as in spoken_digits.
    """
    task = _task(run, _classify.spoken_digits, n_train, n_test)
    settings = dict(w_scale=w_scale, input_weight=input_weight, rate_max=rate_max, n_windows=n_windows, backend=backend)
    parts = {fraction: task.share(fraction) for fraction in fractions}
    rows: list[dict[str, Any]] = []

    def scores(states: dict[str, Any]) -> dict[str, float]:
        return {
            str(fraction): _classify.accuracy(
                states["train"][: len(part.y_train)], part.y_train, states["test"], part.y_test
            )
            for fraction, part in parts.items()
        }

    def spiking(variant: str, seed: int) -> dict[str, Any]:
        states = _classify.spiking(task, variant, n_neurons, seed, n_learn=n_learn, **settings, **EARS)
        return {"accuracies": scores(states), "spikes": states["spikes"], "rate_hz": states["rate_hz"]}

    jobs = [(variant, seed) for seed in seeds for variant in _liquid.VARIANTS]
    named = {f"{variant}_{seed}": partial(spiking, variant, seed) for variant, seed in jobs}
    for (variant, seed), found in zip(jobs, run.results(named, "reservoirs"), strict=True):
        for fraction, part in parts.items():
            row = {"variant": variant, "seed": seed, "accuracy": found["accuracies"][str(fraction)]}
            rows.append({"n_samples": len(part.y_train), **_blank(), **row, "spikes": found["spikes"]})
    plain_jobs = {
        f"baselines_{len(part.y_train)}": partial(_classify.baselines, part, n_neurons, seeds, n_windows)
        for part in parts.values()
    }
    for part, plain in zip(parts.values(), run.results(plain_jobs, "baselines"), strict=True):
        n = len(part.y_train)
        rows += [{"n_samples": n, **_blank(), **row} for row in plain]
    run.table("networks", rows)
    _finish(run, task, rows, "n_samples")
    accuracies = {"accuracy": "accuracy"}
    run.figure("accuracy_against_data", _liquid.drawn(rows, "n_samples", accuracies, "training sounds", log="x"))


@study(quick=dict(SMALL, n_neurons=60, lambdas=[1.0, 3.0], w_scales=[0.3, 1.0]))
def sparse_connections(
    run,
    n_neurons=500,
    lambdas=(1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0),
    w_scales=(0.1, 0.18, 0.32, 0.56, 1.0, 1.8, 3.2, 5.6, 10.0),
    n_train=300,
    n_test=150,
    n_learn=20,
    seeds=(0, 1, 2, 3, 4),
    n_windows=4,
    input_weight=0.6,
    rate_max: Quantity = 200 * Hz,
    backend="auto",
):
    """Measure active neurons and accuracy on spoken digits over the range and the scale of the connections.

    Chakraborty & Mukhopadhyay, figure 7: 9 x 9 points of lambda (linear) and W_scale (logarithmic), means of five
    networks; active neurons fire at least once in the test. The source finds the best accuracy of heterogeneous
    networks at fewer synapses than that of homogeneous ones. Sounds and readout as in spoken_digits.
    """
    task = _task(run, _classify.spoken_digits, n_train, n_test)
    settings = dict(input_weight=input_weight, rate_max=rate_max, n_windows=n_windows, backend=backend)
    rows: list[dict[str, Any]] = []
    jobs = [(lam, w, variant, seed) for lam in lambdas for w in w_scales for variant in ENDS for seed in seeds]
    points = [(v, n_neurons, f"{lam}_{w}", seed, {"lambda_": lam, "w_scale": w}) for lam, w, v, seed in jobs]
    named = _jobs(task, points, n_learn=n_learn, **settings, **EARS)
    for (lam, w, *_), measured in zip(jobs, run.results(named, "networks"), strict=True):
        rows.append({"lambda": lam, "w_scale": w, **measured})
        run.table("networks", rows)
    table = paired.means(rows, ("lambda", "w_scale", "variant"), (*VALUES, "n_synapses"))
    run.table("points", table)
    tests = paired.compare(
        [{**r, "point": (r["lambda"], r["w_scale"])} for r in rows], ("accuracy", "spikes"), _liquid.PAIRS, "point"
    )
    run.table("tests", [{**row, "group": str(row["group"])} for row in tests])
    run.save(data=task.name, **paired.headline(tests))
    for variant in ENDS:
        best = max((row for row in table if row["variant"] == variant), key=lambda row: row["accuracy"])
        run.save(
            **{f"best_{key}_{variant}": best[key] for key in ("accuracy", "lambda", "w_scale", "n_synapses", "active")}
        )
    figure, grid = plots.figure(2, 2)
    for column, variant in enumerate(ENDS):
        for axes, key in zip(grid[:, column], ("active", "accuracy"), strict=True):
            own = {(row["lambda"], row["w_scale"]): row[key] for row in table if row["variant"] == variant}
            values = 100 * np.array([[own[lam, w] for lam in lambdas] for w in w_scales])
            top = max(row[key] for row in table)
            names = ("lambda", "W_scale", {"active": "active neurons (%)", "accuracy": "accuracy (%)"}[key])
            plots.heat_map(axes, values, lambdas, w_scales, *names, limits=(0, 100 * top))
            axes.set_title(variant, fontsize=10)
    run.figure("active_and_accuracy", figure)


def _task(run: Run, make: Callable[..., _classify.Task], *sizes: Any) -> _classify.Task:
    """Return a task, made once in a run."""
    return _classify.Task(**run.cached("task", lambda: vars(make(*sizes))))


def _compare(
    run: Run, task: _classify.Task, n: int, seeds: Sequence[int], n_learn: int, settings: dict[str, Any]
) -> None:
    """Measure all variants of one size and the baselines on a task."""
    rows: list[dict[str, Any]] = []
    jobs = [(variant, seed) for seed in seeds for variant in (*_liquid.VARIANTS, "HoN", "HeN")]
    named = _jobs(task, [(variant, n, "", seed, {}) for variant, seed in jobs], n_learn=n_learn, **settings)
    for row in run.results(named, "reservoirs"):
        rows.append(row)
        run.table("networks", rows)
    plain = run.cached("baselines", lambda: _classify.baselines(task, n, seeds, settings["n_windows"]))
    rows += [{**_blank(), **row} for row in plain]
    run.table("networks", rows)
    _finish(run, task, rows)
    figure, axes = plots.figure()
    own = {row["variant"]: row for row in paired.means(rows, ("variant",), ("accuracy", "spikes"))}
    points = {name: ([row["spikes"]], [100 * row["accuracy"]]) for name, row in own.items() if row["spikes"] > 0}
    plots.curves(axes, points, "spikes of a neuron a sample", "accuracy (%)")
    for name, shade in (("inputs alone", plots.GREY), ("echo state", plots.COLOURS[6])):
        axes.axhline(100 * own[name]["accuracy"], color=shade, linestyle=":", linewidth=1)
        axes.annotate(
            name,
            (1, 100 * own[name]["accuracy"]),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
        )
    run.figure("accuracy_against_spikes", figure)


def _jobs(
    task: _classify.Task, points: Sequence[tuple[str, int, str, int, dict[str, Any]]], *, n_learn: int, **settings: Any
) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return the jobs that make the row of one reservoir each, of (variant, size, name, seed, own settings)."""

    def measure(variant: str, n: int, seed: int, own: dict[str, Any]) -> dict[str, Any]:
        found = _classify.spiking(task, variant, n, seed, n_learn=n_learn, **settings, **own)
        score = _classify.accuracy(found["train"], task.y_train, found["test"], task.y_test)
        efficiency = score / found["spikes"] if found["spikes"] else np.nan
        numbers = {key: found[key] for key in ("spikes", "rate_hz", "active", "n_synapses")}
        return {**_blank(), **numbers, "variant": variant, "seed": seed, "accuracy": score, "efficiency": efficiency}

    return {
        "_".join(filter(None, (variant, str(n), name, str(seed)))): partial(measure, variant, n, seed, own)
        for variant, n, name, seed, own in points
    }


def _blank() -> dict[str, Any]:
    return dict.fromkeys(
        ("variant", "seed", "accuracy", "spikes", "rate_hz", "active", "efficiency", "n_synapses"), np.nan
    )


def _finish(run: Run, task: _classify.Task, rows: list[dict[str, Any]], by: str | None = None) -> None:
    """Write means and tests, and save the differences."""
    run.table("means", paired.means(rows, ("variant", *([by] if by else [])), VALUES))
    tests = paired.compare(rows, ("accuracy", "spikes", "efficiency"), _liquid.PAIRS, by)
    run.table("tests", tests)
    run.save(data=task.name, n_train=len(task.y_train), n_test=len(task.y_test), **paired.headline(tests))
    for row in paired.means(rows, ("variant",), ("accuracy",)) if by is None else []:
        run.save(**{f"accuracy_{row['variant'].replace(' ', '_')}": row["accuracy"]})
