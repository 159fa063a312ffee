"""Images and speech of digits: STDP ensembles that learn together, with noise, with a modality missing, uncoupled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from hrsnn import plots
from hrsnn.lab import study
from hrsnn.lab.runs import Run
from hrsnn.metrics import paired
from hrsnn.stdp.presenter import UnhealthyNetwork
from hrsnn.studies import _multimodal, _stdp

QUICK = dict(n_train=600, n_test=200, n_clips=300, n_label_samples=300, seeds=[0])
NOISES = {"white noise": {"snr": 9.5}, "low contrast and noise": {"snr": 12.0, "contrast": 0.5}}
SCORES = ("accuracy", "accuracy_weighted", "spikes")
PAIR_SCORES = (*SCORES, "accuracy_summed", "by_image", "by_audio")
ABLATIONS = {"both": (True, True), "homeostasis only": (False, True), "neither": (False, False)}
COUPLINGS = {"uncoupled": "none", "silent": "silent", "coupled": "learned", "manual": "manual"}
NO_SYNAPSES = {"n_correct": 0, "n_wrong": 0, "w_correct": np.nan, "w_wrong": np.nan}
LESIONS = ("inhibition", "thresholds")
#: What is compared over the seeds, and what it tells.
PAIRS = {
    "two modalities": ("uncoupled", "image"),
    "two modalities, of sounds": ("uncoupled", "audio"),
    "joined": ("coupled", "uncoupled"),
    "synapses": ("coupled", "silent"),
    "waiting": ("silent", "uncoupled"),
    "synapses at the test": ("coupled", "coupled, cut at the test"),
    "joined by labels": ("manual", "uncoupled"),
    "synapses by labels": ("manual", "silent"),
    "synapses by labels at the test": ("manual", "manual, cut at the test"),
}
MISSING = {"images": ("image alone", "image"), "sounds": ("audio alone", "audio")}


@study(quick=dict(QUICK, sizes=[40]))
def multimodal(
    run,
    images="mnist",
    sounds="fsdd",
    sizes=(100, 400, 1600, 6400),
    networks=("image", "audio", *COUPLINGS),
    n_train=40_000,
    n_test=10_000,
    n_clips: int | None = None,
    fraction=0.5,
    n_label_samples=10_000,
    backend="auto",
    seeds=(0, 1, 2, 3, 4),
):
    """Measure whether two coupled ensembles recognise digits better than one, or two alone, of as many neurons.

    Rathi (2021), figure 3.7: with 100 neurons in all 85 % coupled and 82.3 % uncoupled; with 6,400 neurons 98.0 %
    coupled, 94.6 % uncoupled, 93.2 % on images and 96.0 % on speech. The source hears TI46 (16 speakers, split by
    session); FSDD has 6 speakers, all of whom are in training and test. sizes counts the neurons of all ensembles.
    networks may leave some out: "coupled" has synapses that learn, "manual" fixed ones between neurons of the same
    label. "silent" is the control: joined as "coupled", but its synapses do nothing. While one ensemble is shown a
    sample again the other waits, and its thresholds fall, which uncoupled ensembles are spared. In the vote of accuracy
    and accuracy_weighted both ensembles have the same say; in accuracy_summed, the source's, all spikes count alike.
    "Cut at the test" are the networks with their synapses between the ensembles silenced: what these do at the test,
    without the chance of another training. by_image and by_audio count the vote of one ensemble alone while the other
    perceives its own modality. The table "tests" compares networks over the seeds (paired t-test). sounds is fsdd,
    ti46, speech_commands or synthetic; images as in mnist_stdp.
    """
    known = ("image", "audio", *COUPLINGS)
    if unknown := [network for network in networks if network not in known]:
        raise ValueError(f"networks must be among {', '.join(known)}, got {unknown[0]!r}.")
    shared = dict(n_label_samples=n_label_samples, backend=backend)
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        pairs = _multimodal.digit_pairs(run, images, sounds, n_train, n_test, n_clips, seed)
        points = {f"{network}_{size}_seed{seed}": (network, size) for size in sizes for network in networks}
        jobs, settings = {}, dict(shared, seed=seed)
        for name, (network, size) in points.items():
            if network in ("image", "audio"):
                jobs[name] = _multimodal.one(run, name, pairs, network, size, **settings)
            else:
                how: dict[str, Any] = dict(coupling=COUPLINGS[network], fraction=fraction)
                how |= dict(n_alone=_n_alone(n_train), start=f"alone_{size}_seed{seed}")
                how["cut"] = network in ("coupled", "manual")
                jobs[name] = _multimodal.pair(run, name, pairs, size, **how, **settings)
        for (network, size), result in zip(points.values(), run.results(jobs, f"seed {seed}"), strict=True):
            if network in ("coupled", "manual"):
                what = {"network": f"{network}, cut at the test", "n_neurons": size, "seed": seed}
                rows.append({**what, **{key: result[f"{key}_cut"] for key in PAIR_SCORES}})
            rows.append({"network": network, "n_neurons": size, "seed": seed, **_scores(result)})
            run.table("networks", rows)
    run.save(**_means(rows, "n_neurons"))
    _compare(run, rows, PAIRS, "n_neurons")
    figure, axes = plots.figure()
    scores = {name: _grid(rows, name, "n_neurons", sizes, seeds) for name in networks}
    plots.accuracy(axes, sizes, scores, "excitatory neurons in all", log=True)
    run.figure("accuracy_against_size", figure)


@study(quick=dict(QUICK, n_neurons=40, noises=["white noise"]))
def multimodal_noise(
    run,
    images="mnist",
    sounds="fsdd",
    n_neurons=100,
    noises=tuple(NOISES),
    n_train=40_000,
    n_test=10_000,
    n_clips: int | None = None,
    n_label_samples=10_000,
    backend="auto",
    seeds=(0, 1, 2, 3, 4),
):
    """Measure how much speech helps to recognise noisy images, with and without synapses between the ensembles.

    Rathi (2021), figure 3.9: for white noise 86.2 % on images alone, 90.2 % uncoupled, 93.2 % coupled; for reduced
    contrast and noise 51.8, 73.4 and 82.8 %. The images are noisy in training and test, the sounds are clean.
    "Silent" is the control of `multimodal`, and its tests are those of that study.
    """
    unknown = [name for name in noises if name not in NOISES]
    if unknown:
        raise ValueError(f"noises must be among {', '.join(map(repr, NOISES))}, got {unknown[0]!r}.")
    shared = dict(n_label_samples=n_label_samples, backend=backend)
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        clean = _multimodal.digit_pairs(run, images, sounds, n_train, n_test, n_clips, seed)
        for k, noise in enumerate(noises):
            pairs, settings = clean.with_images(NOISES[noise], seed), dict(shared, seed=seed)
            name = f"image_{k}_seed{seed}"
            jobs = {name: _multimodal.one(run, name, pairs, "image", n_neurons, **settings)}
            for network in ("uncoupled", "silent", "coupled"):
                name, how = f"{network}_{k}_seed{seed}", dict(settings, start=f"alone_{k}_seed{seed}")
                how["n_alone"] = _n_alone(n_train)
                jobs[name] = _multimodal.pair(run, name, pairs, n_neurons, COUPLINGS[network], **how)
            results = run.results(jobs, f"seed {seed}, {noise}")
            found = dict(zip(("image", "uncoupled", "silent", "coupled"), results, strict=True))
            rows += [{"network": name, "noise": noise, "seed": seed, **_scores(own)} for name, own in found.items()]
            run.table("networks", rows)
    run.save(**_means(rows, "noise"))
    _compare(run, rows, PAIRS, "noise")
    figure, axes = plots.figure()
    _multimodal.bars(axes, list(noises), {name: _grid(rows, name, "noise", noises, seeds) for name in found})
    run.figure("accuracy_by_noise", figure)


@study(quick=dict(QUICK, sizes=[40]))
def missing_modality(
    run,
    images="mnist",
    sounds="fsdd",
    sizes=(100, 400, 1600, 6400),
    n_train=40_000,
    n_test=10_000,
    n_clips: int | None = None,
    n_label_samples=10_000,
    backend="auto",
    seeds=(0, 1, 2, 3, 4),
):
    """Test networks that have learnt images and speech on one of them alone.

    Rathi (2021), figure 3.10: with 6,400 neurons 96.8 % without the image and 93.9 % without the sound, not worse
    than networks of one modality with as many neurons (96.0 and 93.2 %). Rows "image" and "audio" are such networks,
    "image alone" and "audio alone" the coupled network with the other modality missing.
    """
    shared = dict(n_label_samples=n_label_samples, backend=backend)
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        pairs = _multimodal.digit_pairs(run, images, sounds, n_train, n_test, n_clips, seed)
        jobs, settings = {}, dict(shared, seed=seed)
        for size in sizes:
            name = f"coupled_{size}_seed{seed}"
            jobs[name] = _multimodal.pair(run, name, pairs, size, missing=True, **settings)
            for modality in ("image", "audio"):
                name = f"{modality}_{size}_seed{seed}"
                jobs[name] = _multimodal.one(run, name, pairs, modality, size, **settings)
        results = run.results(jobs, f"seed {seed}")
        for size in sizes:
            what = {"n_neurons": size, "seed": seed}
            coupled = next(results)
            rows.append({"network": "coupled", **what, **_scores(coupled)})
            for modality in ("image", "audio"):
                alone = {key: coupled[f"{key}_{modality}"] for key in ("accuracy", "accuracy_weighted")}
                own = next(results)
                rows.append({"network": f"{modality} alone", **what, **_scores(alone)})
                rows.append({"network": modality, **what, **_scores(own)})
            run.table("networks", rows)
    run.save(**_means(rows, "n_neurons"))
    _compare(run, rows, MISSING, "n_neurons")
    names = dict.fromkeys(row["network"] for row in rows)
    figure, axes = plots.figure()
    scores = {name: _grid(rows, name, "n_neurons", sizes, seeds) for name in names}
    plots.accuracy(axes, sizes, scores, "excitatory neurons in all", log=True)
    run.figure("accuracy_against_size", figure)


@study(quick=dict(QUICK, n_neurons=40, fractions=[0.18, 0.4], n_alone=300))
def crossmodal_fraction(
    run,
    images="mnist",
    sounds="fsdd",
    n_neurons=100,
    fractions=(0.02, 0.06, 0.1, 0.18, 0.26, 0.34, 0.5),
    couplings=("learned", "manual"),
    n_alone: int | None = None,
    n_train=40_000,
    n_test=10_000,
    n_clips: int | None = None,
    n_label_samples=10_000,
    backend="auto",
    seeds=(0, 1, 2, 3, 4),
):
    """Measure accuracy against the share of joined pairs of neurons, for learnt and for manual synapses.

    Rathi (2021), figure 3.11: best at 18 % for learnt (85 %) and at 26 % for manual synapses (87.6 %), 82.3 % without.
    The source does not say of what these are shares: here of all pairs of neurons (learned) and of the pairs with the
    same label (manual), half of them in either direction. n_alone is how many pairs the ensembles learn before labels
    join them: three quarters if not given, as of learnt synapses; 5000 in the source. At 0 stand ensembles that are
    joined by synapses that do nothing ("silent" in multimodal). The second figure counts the synapses that join neurons
    of the same label (figure 3.12) and gives their mean weights.
    """
    shared = dict(n_label_samples=n_label_samples, backend=backend)
    lengths = {"learned": _n_alone(n_train), "manual": _n_alone(n_train) if n_alone is None else n_alone}
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        pairs = _multimodal.digit_pairs(run, images, sounds, n_train, n_test, n_clips, seed)
        starts = {name: dict(n_alone=n, start=f"alone_{n}_seed{seed}") for name, n in lengths.items()}
        settings, name = dict(shared, **starts["learned"], seed=seed), f"silent_seed{seed}"
        jobs = {name: _multimodal.pair(run, name, pairs, n_neurons, "silent", **settings)}
        joined = [(coupling, fraction) for coupling in couplings for fraction in fractions]
        for coupling, fraction in joined:
            settings = dict(shared, **starts[coupling], fraction=fraction, seed=seed)
            name = f"{coupling}_{fraction}_seed{seed}"
            jobs[name] = _multimodal.pair(run, name, pairs, n_neurons, coupling, **settings)
        results = run.results(jobs, f"seed {seed}")
        silent = next(results) | NO_SYNAPSES
        rows += [{"network": name, "fraction": 0.0, "seed": seed, **silent} for name in couplings]
        for (coupling, fraction), result in zip(joined, results, strict=True):
            rows.append({"network": coupling, "fraction": fraction, "seed": seed, **result})
            run.table("networks", rows)
    run.save(**_means(rows, "fraction"))
    points = [0.0, *fractions]
    figure, axes = plots.figure()
    scores = {name: _grid(rows, name, "fraction", points, seeds) for name in couplings}
    plots.accuracy(axes, [100 * point for point in points], scores, "joined pairs of neurons (%)")
    run.figure("accuracy_against_fraction", figure)
    figure, cells = plots.figure(1, 2)
    for cell, quantity, label in zip(cells, ("n", "w"), ("synapses", "mean weight"), strict=True):
        lines = {}
        for kind, title in (("correct", "same label"), ("wrong", "different labels")):
            grid = _grid(rows, couplings[0], "fraction", points, seeds, f"{quantity}_{kind}")
            lines[f"{couplings[0]}, {title}"] = ([100 * point for point in points], grid.mean(axis=0))
        plots.curves(cell, lines, "joined pairs of neurons (%)", label)
    run.figure("connections", figure)


@study(quick=dict(n_neurons=20, n_train=600, n_test=200, n_label_samples=300, seeds=[0]))
def inhibition_homeostasis(
    run,
    images="mnist",
    n_neurons=100,
    n_train=40_000,
    n_test=10_000,
    n_label_samples=10_000,
    backend="auto",
    seeds=(0, 1, 2, 3, 4),
):
    """Measure what lateral inhibition and homeostasis are worth, on images alone.

    Rathi (2021), section 3.6.5: 81.6 % with both, 77.2 % with homeostasis only, 68.3 % with neither; 100 neurons. Both
    are left out of training and test alike. The network that learnt with both also takes labels and is tested without
    inhibition, and with its thresholds back where they started ("cut at the test"). A network that fires without end
    has no accuracy, and the table says so.
    """
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        seen = _stdp.digit_images(run, images, n_train, n_test)
        pairs = _multimodal.Pairs(seen.name, {"image": seen.X_train}, {"image": seen.X_test}, seen.y_train, seen.y_test)
        networks = list(enumerate(ABLATIONS.items()))
        jobs = {}
        for k, (_, (inhibition, homeostasis)) in networks:
            settings = dict(inhibition=inhibition, homeostasis=homeostasis, backend=backend, seed=seed)
            settings |= dict(n_label_samples=n_label_samples, lesions=LESIONS if k == 0 else ())
            name = f"{k}_seed{seed}"
            jobs[name] = partial(_or_failed, _multimodal.one(run, name, pairs, "image", n_neurons, **settings))
        for (k, (network, _)), result in zip(networks, run.results(jobs, f"seed {seed}"), strict=True):
            what = {"n_neurons": n_neurons, "seed": seed, "failed": result.get("failed", "")}
            rows.append({"network": network, **what, **{key: result[key] for key in SCORES}})
            for lesion in LESIONS if k == 0 else ():
                own = {key: result.get(f"{key}_{lesion}", np.nan) for key in SCORES}
                rows.append({"network": f"{lesion} cut at the test", **what, **own})
            run.table("networks", rows)
    run.save(data=seen.name, **_means([row for row in rows if not row["failed"]], "n_neurons"))
    figure, axes = plots.figure()
    names = list(dict.fromkeys(row["network"] for row in rows))
    _multimodal.bars(axes, names, {"accuracy": _by_network(rows, names, seeds)})
    run.figure("accuracy_by_network", figure)


def _or_failed(job: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the result of a job; of a network that fires without end no scores, and what it said."""
    try:
        return job()
    except UnhealthyNetwork as error:
        return dict.fromkeys(SCORES, np.nan) | {"failed": str(error)}


def _n_alone(n_train: int) -> int:
    """Return how many pairs the ensembles learn alone before they are joined."""
    return 3 * n_train // 4


def _scores(result: dict[str, Any]) -> dict[str, Any]:
    return {key: result.get(key, np.nan) for key in PAIR_SCORES}


def _means(rows: list[dict[str, Any]], key: str) -> dict[str, float]:
    """Return the mean accuracy over seeds of each network and setting."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        name = f"accuracy_{row['network']}_{row[key]}".replace(",", "").replace(" ", "_")
        groups.setdefault(name, []).append(row["accuracy"])
    return {name: float(np.mean(values)) for name, values in groups.items()}


def _compare(run: Run, rows: list[dict[str, Any]], pairs: dict[str, tuple[str, str]], by: str) -> None:
    """Write the differences of networks over the seeds, with a paired t-test; metrics are those of the accuracy."""
    values = ("accuracy", "accuracy_weighted", "accuracy_summed", "by_image", "by_audio")
    if tests := paired.compare(rows, values, pairs, by, "network", paired.t_test):
        run.table("tests", tests)
        run.save(**paired.headline([row for row in tests if row["value"] == "accuracy"]))


def _grid(rows: list[dict[str, Any]], network: str, key: str, points: Any, seeds: Any, value: str = "accuracy") -> Any:
    """Return a value of one network, array of shape (n_seeds, n_points)."""
    found = {(row["seed"], row[key]): row[value] for row in rows if row["network"] == network}
    return np.array([[found[seed, point] for point in points] for seed in seeds])


def _by_network(rows: list[dict[str, Any]], names: Any, seeds: Any) -> Any:
    found = {(row["seed"], row["network"]): row["accuracy"] for row in rows}
    return np.array([[found[seed, name] for name in names] for seed in seeds])
