"""Feed-forward networks with direct input, their weights, thresholds and leaks trained: DIET-SNN."""

from __future__ import annotations

import sys
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from hrsnn.lab import main, study
from hrsnn.metrics import paired
from hrsnn.models import DiscreteLIF
from hrsnn.studies import _images

#: Input and trained parameters of section 5.6's networks; "converted" is not trained.
VARIANTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "converted": ("direct", ()),
    "poisson": ("poisson", ()),
    "weights": ("direct", ()),
    "threshold": ("direct", ("v_thresh",)),
    "diet": ("direct", ("v_thresh", "leak")),
}
VALUES = ("accuracy", "spikes", "energy_ratio", "energy_ratio_arriving")


@study(quick=dict(n_train=2000, n_test=500, ann_epochs=6, n_epochs=2, seeds=[0], curve=[5, 25], n_curve=100))
def diet_snn(
    run,
    data="mnist",
    layers="small",
    n_train=60000,
    n_test=10000,
    variants=("converted", "weights", "diet"),
    n_steps=(5,),
    seeds=(0, 1, 2),
    ann_epochs=8,
    ann_rate=2e-3,
    n_epochs=1,
    n_tuned=30000,
    learning_rate=2e-3,
    curve=(5, 10, 25, 75, 100, 250),
    n_curve=500,
    n_compared=20,
    tolerance=0.001,
    backend="auto",
):
    """Train a network without spikes, convert it, and train weights, thresholds and leaks of the spiking network.

    Rathi, chapter 5: pixels are currents of the first layer for 5 time steps, thresholds start at the 95th percentile
    of what arrives at a layer, leaks at one. Published on CIFAR-10, T = 5: VGG6 90.80 % without spikes, 86.19 %
    converted, 89.24 % with only weights trained, 89.42 % DIET-SNN, at 18 times less energy; VGG16 93.72, 73.52, 91.68,
    92.70 % at 12.4. Steps and spikes a neuron at equal accuracy (section 5.6): Poisson input 150 (26), direct input 25
    (1.94), with trained thresholds 15 (1.47), and leaks 5 (0.39): variants poisson, weights, threshold and diet.

    n_tuned: training images of the spiking networks. curve: time steps at which the converted network is tested, on
    n_curve images. n_compared: test images whose spikes come from Brian2 too, by which energy is counted. reaching:
    the fewest steps of n_steps with an accuracy within `tolerance` of the best mean.
    spikes_different: spikes that Brian2 gives differently in double precision; spikes_different_single: from single.
    """
    task = _images.task(data, n_train, n_test)
    run.declare(neuron=DiscreteLIF())
    if unknown := set(variants) - set(VARIANTS):
        raise ValueError(f"variants must be among {', '.join(VARIANTS)}, got {sorted(unknown)[0]!r}.")
    make = partial(_images.without_spikes, task, layers, ann_epochs, ann_rate)
    first = {
        f"ann_{seed}": partial(_converted, make, task, seed, run.checkpoint(f"ann_{seed}"), curve, n_curve)
        for seed in seeds
    }
    plain = list(run.results(first, label="without spikes"))
    run.table(
        "without_spikes", [{"seed": seed, "accuracy": row["accuracy"]} for seed, row in zip(seeds, plain, strict=True)]
    )
    settings = dict(n_epochs=n_epochs, learning_rate=learning_rate)
    jobs: dict[str, Any] = {}
    named: list[dict[str, Any]] = []
    for variant, n, seed in product(variants, n_steps, seeds):
        key = f"{variant}_{n}_{seed}"
        files = run.checkpoint(f"ann_{seed}"), run.checkpoint(key)
        jobs[key] = partial(_spiking, make, task, variant, n, seed, n_tuned, settings, n_compared, backend, files)
        named.append({"variant": variant, "n_steps": n, "seed": seed})
    rows: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for what, result in zip(named, run.results(jobs, label="spiking networks"), strict=True):
        found.append({**what, **result})
        rows.append({key: value for key, value in found[-1].items() if not isinstance(value, (dict, list))})
        run.table("networks", rows)
    means = paired.means(rows, ("variant", "n_steps"), VALUES)
    run.table("means", means)
    best = max(row["accuracy"] for row in means)
    reaching: dict[str, Any] = {}
    for row in sorted(means, key=lambda row: row["n_steps"]):
        if row["accuracy"] >= best - tolerance:
            reaching.setdefault(row["variant"], row)
    run.table("reaching", list(reaching.values()))
    for row in means:
        if row["n_steps"] == n_steps[0]:
            run.save(**{f"accuracy_{row['variant']}": row["accuracy"], f"spikes_{row['variant']}": row["spikes"]})
            run.save(**{f"energy_ratio_{row['variant']}": row["energy_ratio"]})
    run.save(
        accuracy_ann=float(np.mean([row["accuracy"] for row in plain])),
        spikes_different=int(sum(row["spikes_different"] for row in rows)),
        spikes_different_single=int(sum(row["spikes_different_single"] for row in rows)),
    )
    line = np.mean([row["curve"] for row in plain], axis=0)
    run.table("curve", [{"n_steps": n, "accuracy": value} for n, value in zip(curve, line, strict=True)])
    run.figure("accuracy", _images.drawn_curve({"converted": (curve, line)}, rows, run.metrics["accuracy_ann"]))
    shown = {f"{row['variant']}, {row['n_steps']} steps": row["layers"] for row in found if row["seed"] == seeds[0]}
    run.figure("spikes", _images.drawn_layers(shown, "spikes of a neuron an image"))
    for row in found:
        if row["variant"] == "diet" and row["seed"] == seeds[0] and row["n_steps"] == n_steps[0]:
            run.figure("parameters", _images.drawn_parameters(row["before"], row["after"]))
            after = row["after"]
            run.table("parameters", [{"layer": k + 1, **{f"{key}_before": row["before"][key][k] for key in after},
                                      **{key: after[key][k] for key in after}}
                                     for k in range(len(after["leak"]))])  # fmt: skip


def _converted(make: Any, task: _images.Task, seed: int, file: Path, curve: Any, n_curve: int) -> dict[str, Any]:
    """Return what a network answers without spikes, and converted after each number of time steps."""
    ann = make(seed, file)
    spiking = ann.converted(task.part(100, 1)[0], n_steps=max(curve))
    found = _images.curve(spiking, task, n_curve, curve)
    return {"accuracy": float(ann.score(task.X_test, task.y_test)), "curve": found}


def _spiking(
    make: Any,
    task: _images.Task,
    variant: str,
    n_steps: int,
    seed: int,
    n_tuned: int,
    settings: dict[str, Any],
    n_compared: int,
    backend: str,
    files: tuple[Path, Path],
) -> dict[str, Any]:
    """Return what a spiking network answers and costs, and its thresholds and leaks before and after the training."""
    encoding, train = VARIANTS[variant]
    network = make(seed, files[0]).converted(
        task.part(100, 1)[0], n_steps=n_steps, encoding=encoding, train=train, checkpoint=files[1], **settings
    )
    before = _parameters(network)
    if variant != "converted":
        network.partial_fit(*task.part(n_tuned))
    return {**_images.judged(network, task, n_compared, backend), "before": before, "after": _parameters(network)}


def _parameters(network: Any) -> dict[str, list[float]]:
    return {key: [float(value) for value in network.weights_[key]] for key in ("v_thresh", "leak")}


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
