"""Networks converted from rectified units and trained on with Poisson input: spike-timing-dependent backpropagation."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hrsnn.lab import main, study
from hrsnn.metrics import paired
from hrsnn.models import DiscreteIF
from hrsnn.studies import _images

VALUES = ("accuracy", "spikes")


@study(
    quick=dict(n_train=2000, n_test=300, n_tuned=600, ann_epochs=6, n_epochs=1, seeds=[0], curve=[10, 25], n_curve=100)
)
def stdb(
    run,
    data="mnist",
    layers="small",
    n_train=60000,
    n_test=10000,
    n_tuned=10000,
    n_steps=25,
    truncation=25,
    scales=(1.0, 0.8, 0.6, 0.4),
    n_validation=500,
    seeds=(0, 1, 2),
    ann_epochs=8,
    ann_rate=2e-3,
    n_epochs=2,
    learning_rate=2e-4,
    curve=(5, 10, 25, 75, 100, 250),
    n_curve=500,
    n_compared=10,
    backend="auto",
):
    """Train a network without spikes, convert it for Poisson input, and train its weights by the time of spikes.

    Rathi, chapter 4: thresholds are the largest input of a layer, scaled down for few time steps by the scale that
    answers best on n_validation training images; weights are then trained for fewer than 20 epochs with the surrogate
    alpha exp(-beta dt) of the time since a neuron's last spike, in segments of `truncation` steps whose gradients are
    added. Published on CIFAR-10: VGG5 87.88 % without spikes, 87.64 % converted with 2,500 steps, 84.56 % with 75,
    86.91 % trained with 75; VGG16 92.81, 92.48, 90.2 and 91.13 % with 100, at 1.5 times fewer spikes.

    n_tuned: training images of the spiking network. curve: time steps at which the converted network with thresholds
    of scale one is tested, on n_curve images. n_compared: test images whose spikes come from Brian2 too.
    """
    task = _images.task(data, n_train, n_test)
    run.declare(neuron=DiscreteIF())
    make = partial(_images.without_spikes, task, layers, ann_epochs, ann_rate)
    spiking = dict(n_steps=n_steps, truncation=truncation, n_epochs=n_epochs, learning_rate=learning_rate)
    jobs = {
        f"seed_{seed}": partial(
            _trained, make, task, seed, n_tuned, spiking, scales, n_validation, curve, n_curve, n_compared, backend,
            (run.checkpoint(f"ann_{seed}"), run.checkpoint(f"stdb_{seed}")),
        )
        for seed in seeds
    }  # fmt: skip
    rows: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for seed, result in zip(seeds, run.results(jobs, label="networks"), strict=True):
        found.append(result)
        for name in ("converted", "stdb"):
            plain = {key: value for key, value in result[name].items() if np.ndim(value) == 0}
            rows.append({"seed": seed, "variant": name, "n_steps": n_steps, "scale": result["scale"], **plain})
        run.table("networks", rows)
    means = {row["variant"]: row for row in paired.means(rows, ("variant",), VALUES)}
    run.table("means", list(means.values()))
    line = np.mean([result["curve"] for result in found], axis=0)
    run.table("curve", [{"n_steps": n, "accuracy": value} for n, value in zip(curve, line, strict=True)])
    run.save(
        accuracy_ann=float(np.mean([result["accuracy"] for result in found])),
        **{f"accuracy_{name}": row["accuracy"] for name, row in means.items()},
        **{f"spikes_{name}": row["spikes"] for name, row in means.items()},
        spikes_saved=means["converted"]["spikes"] / means["stdb"]["spikes"],
        energy_ratio=float(np.mean([result["stdb"]["energy_ratio"] for result in found])),
        spikes_different=int(sum(row["spikes_different"] for row in rows)),
        spikes_different_single=int(sum(row["spikes_different_single"] for row in rows)),
    )
    lines = {"converted, scale 1": (curve, line)}
    run.figure("accuracy", _images.drawn_curve(lines, rows, run.metrics["accuracy_ann"]))
    shown = {name: found[0][name]["layers"] for name in ("converted", "stdb")}
    run.figure("spikes", _images.drawn_layers(shown, f"spikes of a neuron in {n_steps} steps"))


def _trained(
    make: Any,
    task: _images.Task,
    seed: int,
    n_tuned: int,
    settings: dict[str, Any],
    scales: Any,
    n_validation: int,
    curve: Any,
    n_curve: int,
    n_compared: int,
    backend: str,
    files: tuple[Path, Path],
) -> dict[str, Any]:
    """Return what a network answers without spikes, converted, and trained."""
    from hrsnn.gradient import SpikeTime

    ann = make(seed, files[0])
    few, _ = task.part(100, 1)
    convert = partial(ann.converted, few, encoding="poisson", neuron=DiscreteIF(), surrogate=SpikeTime(), train=())
    held = task.part(n_validation, 2)
    converted = {scale: convert(scale=scale, checkpoint=files[1], **settings) for scale in scales}
    scale = max(scales, key=lambda scale: converted[scale].score(*held))
    network = converted[scale]
    before = _images.judged(network, task, n_compared, backend)
    network.partial_fit(*task.part(n_tuned))
    return {
        "accuracy": float(ann.score(task.X_test, task.y_test)),
        "scale": float(scale),
        "curve": _images.curve(convert(n_steps=max(curve)), task, n_curve, curve),
        "converted": before,
        "stdb": _images.judged(network, task, n_compared, backend),
    }


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
