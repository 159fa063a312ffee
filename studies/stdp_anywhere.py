"""STDP networks with one set of defaults on images, sounds, events and vectors, against k-means of the same size."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from hrsnn import STDPClassifier, plots
from hrsnn.baselines import LabelledKMeans
from hrsnn.lab import main, study
from hrsnn.metrics import paired
from hrsnn.stdp import rules
from hrsnn.stdp.health import HealthWarning
from hrsnn.stdp.vote import NeuronVote
from hrsnn.studies._anywhere import Samples, load

N_LINEAR = 5000  # samples from which linear classifiers learn


@study(quick=dict(sets=["digits", "cancer"], sizes=[50], seeds=[0], n_epochs=4))
def stdp_anywhere(
    run,
    sets=("digits", "cancer", "mnist", "caltech_grey", "caltech_orientations", "fsdd", "nmnist", "cifar"),
    sizes=(100, 400, 1600),
    seeds=(0, 1, 2),
    n_train=60_000,
    n_test=10_000,
    n_epochs: int | None = None,
    n_few=10,
    held_out=False,
    backend="auto",
    n_jobs=1,
):
    """Measure whether STDP networks with the defaults read sets of any kind as well as k-means does.

    Every network is ``STDPClassifier(n_neurons, seed=seed)``: nothing is tuned to a set. Beside it stand k-means with
    as many centres, named by the labels of the training samples; the nearest training sample; and a linear classifier
    (logistic regression) on the responses of the network against one on the raw values, from 5,000 training samples
    at most, and from n_few of each class. A set smaller than a network is left out at that size.

    sets: digits (8x8 pixels), cancer (the 30 measurements of scikit-learn's breast cancer set, above and below their
    mean), mnist, fashion_mnist, caltech_grey and caltech_orientations (552 training photographs, none copied), fsdd
    (cochleagrams of spoken digits), nmnist (events counted as one frame), cifar (750 grey pictures). n_epochs: as many
    as STDPClassifier chooses if none. held_out: score on a quarter of the training samples (at most 5,000) and leave
    the test set alone, to choose settings.
    """
    rows: list[dict[str, Any]] = []
    for name in run.progress(sets, label="sets"):
        whole = load(name)
        samples = (whole.held_out() if held_out else whole).at_most(n_train, n_test)
        raw = run.cached(f"{name}_raw", partial(_raw, samples, n_few, seeds))
        run.save(**{f"{key}_{name}": value for key, value in raw.items()})
        for size in [size for size in sizes if size <= len(samples.y_train)]:
            for seed in seeds:
                measure = partial(_both, samples, size, seed, n_epochs, n_few, backend, n_jobs)
                rows.append({"set": name, "neurons": size, **run.cached(f"{name}_{size}_{seed}", measure)})
            run.table("runs", rows)
            own = [row for row in rows if (row["set"], row["neurons"]) == (name, size)]
            means = {
                key: float(np.mean([row[key] for row in own])) for key in ("stdp", "kmeans", "linear", "linear_few")
            }
            run.save(**{f"{key}_{name}_{size}": value for key, value in means.items()})
    run.save(at_least_kmeans=_share(rows))
    values = ["stdp", "stdp_weighted", "kmeans", "linear", "linear_few"]
    run.table("means", paired.means(rows, by=["set", "neurons"], values=values))
    run.figure("accuracy", _figure(rows))
    run.figure("rules", _rules(rows))


def _raw(samples: Samples, n_few: int, seeds: Any) -> dict[str, float]:
    """Return accuracies from the values themselves."""
    n = len(samples.y_train)
    nearest = KNeighborsClassifier(1).fit(samples.X_train / 255, samples.y_train)
    few = [samples.few(n_few, seed) for seed in seeds]
    return {
        "n_train": n,
        "nearest": float(nearest.score(samples.X_test / 255, samples.y_test)),
        "raw_linear": _linear(samples.X_train, samples.y_train, samples.X_test, samples.y_test),
        "raw_linear_few": float(np.mean([_linear(s.X_train, s.y_train, s.X_test, s.y_test) for s in few])),
    }


def _both(
    samples: Samples, size: int, seed: int, n_epochs: int | None, n_few: int, backend: str, n_jobs: int
) -> dict[str, Any]:
    """Return accuracies of a network and of k-means with as many centres."""
    network = STDPClassifier(size, n_epochs=n_epochs, backend=backend, n_jobs=n_jobs, seed=seed)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        network.fit(samples.X_train, samples.y_train)
    response = network.respond(samples.X_test)
    weighted = NeuronVote.from_responses(network.classes_, network.readout_.responses_, "weighted")
    train, few = network.transform(samples.X_train[:N_LINEAR]), samples.few(n_few, seed)
    centres = LabelledKMeans(size, seed=seed).fit(samples.X_train / 255, samples.y_train)
    return {
        "seed": seed,
        "stdp": float(np.mean(network.readout_.predict(response.counts) == samples.y_test)),
        "stdp_weighted": float(np.mean(weighted.predict(response.counts) == samples.y_test)),
        "kmeans": float(centres.score(samples.X_test / 255, samples.y_test)),
        **{f"centres_{norm}": _driven(samples, centres.kmeans_.cluster_centers_, norm) for norm in ("squares", "sum")},
        "linear": _linear(train, samples.y_train[:N_LINEAR], response.counts, samples.y_test),
        "linear_few": _linear(network.transform(few.X_train), few.y_train, response.counts, samples.y_test),
        "spikes": float(response.counts.sum(axis=1).mean()),
        "silent": network.health_[""].silent,
        "alike": network.health_[""].alike,
        "n_epochs": network.settings()["n_epochs"],
        "w_total": float(network.settings()["w_total"]),
        "encoder": str(network.settings()["encoder"]),
        "told": " ".join(str(warning.message) for warning in told if issubclass(warning.category, HealthWarning)),
    }


def _driven(samples: Samples, centres: np.ndarray, norm: str) -> float:
    """Return the accuracy of k-means centres as weights of one norm, where the neuron driven most has the word."""
    size = np.linalg.norm(centres, axis=1) if norm == "squares" else centres.sum(axis=1)
    weights = (centres / np.maximum(size, 1e-12)[:, None]).T
    answers = [np.eye(len(centres))[(X / 255 @ weights).argmax(axis=1)] for X in (samples.X_train, samples.X_test)]
    return float(np.mean(NeuronVote().fit(answers[0], samples.y_train).predict(answers[1]) == samples.y_test))


def _linear(X: np.ndarray, y: np.ndarray, X_test: np.ndarray, y_test: np.ndarray) -> float:
    """Return the test accuracy of logistic regression on values scaled to the range of the training samples."""
    readout = make_pipeline(MinMaxScaler(clip=True), LogisticRegression(max_iter=500))
    return float(readout.fit(X[:N_LINEAR], y[:N_LINEAR]).score(X_test, y_test))


def _share(rows: list[dict[str, Any]]) -> float | None:
    """Return the share of sets and sizes at which the mean network is at or above k-means."""
    places = {(row["set"], row["neurons"]) for row in rows}
    gains = [
        np.mean([row["stdp"] - row["kmeans"] for row in rows if (row["set"], row["neurons"]) == place])
        for place in places
    ]
    return float(np.mean(np.array(gains) >= 0)) if gains else None


def _figure(rows: list[dict[str, Any]]) -> Any:
    names = list(dict.fromkeys(row["set"] for row in rows))
    figure, grid = plots.figure(1, max(len(names), 1))
    for axes, name in zip(np.ravel(grid), names, strict=True):
        lines: dict[str, tuple[list[float], list[float]]] = {}
        for size in sorted({row["neurons"] for row in rows if row["set"] == name}):
            for key in ("stdp", "kmeans", "linear"):
                points = lines.setdefault(
                    {"stdp": "STDP", "kmeans": "k-means", "linear": "linear on STDP"}[key], ([], [])
                )
                own = [row[key] for row in rows if (row["set"], row["neurons"]) == (name, size)]
                points[0].append(size)
                points[1].append(float(np.mean(own)))
        plots.curves(axes, lines, "neurons", "accuracy", log="x")
        axes.set_title(name, fontsize=10)
    return figure


def _rules(rows: list[dict[str, Any]]) -> Any:
    """Draw what k-means centres read with either normalisation, and how the rules follow the length of a training."""
    names = list(dict.fromkeys(row["set"] for row in rows))
    figure, (bars, lines) = plots.figure(1, 2)
    for shift, (key, label) in enumerate(
        {"kmeans": "k-means", "centres_squares": "squares", "centres_sum": "sum"}.items()
    ):
        heights = [np.mean([row[key] for row in rows if row["set"] == name]) for name in names]
        bars.bar(np.arange(len(names)) + 0.27 * (shift - 1), heights, width=0.25, label=label)
    bars.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=8)
    bars.set_ylabel("accuracy of the same centres")
    bars.set_ylim(0, 1.2)
    bars.legend(fontsize=8, ncols=3, loc="upper center")
    wins = np.logspace(0, 4, 41)  # presentations for each neuron
    etas = [float(rules.chosen_synapse(1000, round(1000 * n), None).parameters["eta"]) for n in wins]
    rises = [1000 * float(rules.chosen_neuron(1000, round(1000 * n)).parameters["theta_plus"]) for n in wins]
    curves = {"eta": (wins, etas), "theta_plus (mV)": (wins, rises)}
    plots.curves(lines, curves, "presentations for each neuron", "", log="xy")
    return figure


if __name__ == "__main__":
    sys.exit(main(["run", __file__, *sys.argv[1:]]))
