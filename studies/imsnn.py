"""Networks whose synapses are modulated by interspike intervals, beside ordinary ones: accuracy, and spikes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from brian2 import Network, SpikeGeneratorGroup, SpikeMonitor, ms

from hrsnn import plots
from hrsnn.lab import main, study
from hrsnn.metrics import paired
from hrsnn.models import DeltaLIF, IntervalModulated, Static
from hrsnn.simulation.model import SynapseModel
from hrsnn.studies import _stdp

#: What tells the networks apart: the synapse, and which derivatives by intervals are suppressed.
NETWORKS: dict[str, dict[str, Any]] = {
    "IMSNN": dict(suppress="positive"),
    "SNN": dict(synapse=Static()),
    "IMSNNc": dict(suppress="negative"),
    "IMSNN plain": dict(suppress=None),
}
PAIRS = {"intervals": ("IMSNN", "SNN"), "suppression": ("IMSNN", "IMSNN plain")}
VALUES = ("accuracy", "accuracy_train", "spikes")
N_HELD_OUT = 5000
AT_ONCE = 1000  # images whose spikes are in memory


@study(quick=dict(n_train=4000, n_test=1000, n_epochs=3, hidden=[100], seeds=[0]))
def imsnn(
    run,
    data="mnist",
    hidden=(500,),
    networks=("IMSNN", "SNN"),
    n_train=60_000,
    n_test=10_000,
    n_epochs=20,
    learning_rate=3e-3,
    batch_size=128,
    seeds=(0, 1, 2, 3, 4),
    held_out=False,
    n_compared=10,
    backend="auto",
):
    """Train feed-forward spiking networks on images, with synapses that are modulated by intervals and without.

    Adams et al. (2024), tables 1 to 3: on MNIST, 784-500-10, SNN 97.43 % with 1.19 spikes of a hidden neuron an image,
    IMSNN 97.45 % with 0.17, the control IMSNN^c 36.88; 784-500-500-10, SNN 97.66 % with 0.90 and 1.03, IMSNN 97.40 %
    with 0.07 and 0.34. There Adam at 1e-4, 20 epochs, five seeds. "IMSNN plain" has the synapses of the IMSNN, and
    ordinary derivatives.

    spikes: of a hidden neuron in a test image, summed over the hidden layers. seconds: of a processor for an epoch.
    spikes_different: spikes of n_compared test images that Brian2 gives differently from JAX in double precision;
    spikes_different_single: from JAX in the precision of the training. held_out: judge on 5,000 training images, left
    out of the training, instead of the test images, to choose by.

    The figure ``synapse`` is that of section 4.1: one neuron, input spikes every 10 ms, a fixed weight of 0.6 and
    heights of 0.6 around 10 and 15 ms.
    """
    images = _stdp.digit_images(run, data, n_train, n_test)
    X, X_test, y, y_test = images.X_train / 255, images.X_test / 255, images.y_train, images.y_test
    if held_out:
        order = np.random.default_rng(0).permutation(len(X))
        out, rest = order[:N_HELD_OUT], order[N_HELD_OUT:]
        X, X_test, y, y_test = X[rest], X[out], y[rest], y[out]
    split = [X.astype(np.float32), X_test.astype(np.float32), y, y_test]
    run.figure("synapse", _one_synapse())
    settings: dict[str, Any] = dict(n_epochs=n_epochs, learning_rate=learning_rate, batch_size=batch_size)
    cases = list(product(seeds, networks))
    jobs = {}
    for seed, name in cases:
        key = f"{_word(name)}_{seed}"
        own = dict(settings, hidden=tuple(hidden), seed=seed, checkpoint=run.checkpoint(key), **NETWORKS[name])
        jobs[key] = partial(_trained, split, own, n_compared, backend)
    rows: list[dict[str, Any]] = []
    courses: dict[str, Any] = {}
    for (seed, name), found in zip(cases, run.results(jobs, label="networks"), strict=True):
        course = found.pop("course")
        layers = {f"spikes_{k}": value for k, value in enumerate(found.pop("layers"))}
        rows.append({"variant": name, "seed": seed, **found, **layers})
        courses.setdefault(name, course)
        run.table("networks", rows)
    table = paired.means(rows, ("variant",), VALUES)
    run.table("means", table)
    pairs = {what: pair for what, pair in PAIRS.items() if set(pair) <= set(networks)}
    if len(seeds) > 1 and pairs:
        run.table("tests", paired.compare(rows, VALUES, pairs))
    run.save(data=images.name)
    for row in table:
        word = _word(row["variant"]).lower()
        run.save(**{f"accuracy_{word}": row["accuracy"], f"spikes_{word}": row["spikes"]})
        run.save(**{f"seconds_{word}": float(np.mean([r["seconds"] for r in rows if r["variant"] == row["variant"]]))})
    for key in ("spikes_different", "spikes_different_single"):
        run.save(**{key: sum(row[key] for row in rows)})
    run.figure("training", _course(courses))


def _trained(split: Sequence[np.ndarray], settings: dict[str, Any], n_compared: int, backend: str) -> dict[str, Any]:
    """Return what a trained network answers, its spikes by layer, and how they compare with Brian2's."""
    from hrsnn.gradient import IMSNNClassifier

    X, X_test, y, y_test = split
    is_whole, start = not Path(settings["checkpoint"]).exists(), process_time()
    classifier = IMSNNClassifier(**settings).fit(X, y)
    seconds = (process_time() - start) / settings["n_epochs"] if is_whole else np.nan
    parts = [X_test[first : first + AT_ONCE] for first in range(0, len(X_test), AT_ONCE)]
    totals = sum(np.array([layer.sum() for layer in classifier.spikes(part)]) for part in parts)
    layers = np.asarray(totals) / len(X_test) / np.array(settings["hidden"])
    some = X_test[:n_compared]
    brian2, double, single = classifier.simulate(some, backend), classifier.spikes(some, True), classifier.spikes(some)
    return {
        "accuracy": float(classifier.score(X_test, y_test)),
        "accuracy_train": classifier.history_[-1]["accuracy"],
        "spikes": float(layers.sum()),
        "seconds": seconds,
        "spikes_different": sum(int((a != b).sum()) for a, b in zip(double, brian2, strict=True)),
        "spikes_different_single": sum(int((a != b).sum()) for a, b in zip(single, brian2, strict=True)),
        "layers": layers.tolist(),
        "course": {name: [line[name] for line in classifier.history_] for name in ("loss", "accuracy", "spikes_0")},
    }


def _one_synapse() -> Any:
    """Return the figure of one neuron behind one synapse, in three forms."""
    times = np.arange(10, 200, 10) * ms
    forms: dict[str, tuple[SynapseModel, str]] = {
        "input": (Static(), ""),
        "weight 0.6": (Static(), "w"),
        "mu 10 ms": (IntervalModulated(mu=10 * ms, sigma=5 * ms), "h"),
        "mu 15 ms": (IntervalModulated(mu=15 * ms, sigma=5 * ms), "h"),
    }
    figure, axes = plots.figure(height=2.2)
    for number, (model, trained) in enumerate(forms.values()):
        spikes = times
        if trained:
            source = SpikeGeneratorGroup(1, np.zeros(len(times), int), times, dt=1 * ms)
            target = DeltaLIF(tau_m=100 * ms).build(1, name="target", dt=1 * ms)
            synapses = model.build(source, target, variable="i_e", name="synapse", dt=1 * ms)
            synapses.connect()
            model.initialise(synapses, 1, np.random.default_rng(0))
            setattr(synapses, trained, 0.6)
            monitor = SpikeMonitor(target)
            Network(source, target, synapses, monitor).run(200 * ms, namespace={})
            spikes = monitor.t
        axes.eventplot(spikes / ms, lineoffsets=-number, linelengths=0.7, colors=plots.COLOURS[number])
    axes.set_yticks([-number for number in range(len(forms))], list(forms))
    axes.set_xlabel("time (ms)")
    return figure


def _course(courses: dict[str, dict[str, list[float]]]) -> Any:
    """Return the figure of loss and spikes by epoch, of the first seed."""
    figure, (loss, spikes) = plots.figure(1, 2)
    for axes, key, label, scale in (
        (loss, "loss", "loss", 1),
        (spikes, "spikes_0", "spikes of a neuron an image", 100),
    ):
        lines = {
            name: (np.arange(1, len(course[key]) + 1), scale * np.array(course[key]))
            for name, course in courses.items()
        }
        plots.curves(axes, lines, "epoch", label, log="y")
    return figure


def _word(name: str) -> str:
    return name.replace(" ", "_")


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
