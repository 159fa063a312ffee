"""What the studies of images and speech share: pairs of digits, ensembles, networks trained and tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Any

import numpy as np
from brian2 import kHz

from hrsnn import Ensemble, MultimodalClassifier, PoissonEncoder, STDPClassifier, datasets
from hrsnn.inputs import Contrast, LyonEar, cochleagrams
from hrsnn.lab.runs import Run
from hrsnn.models import AdaptiveConductanceLIF, PowerLawSTDP
from hrsnn.stdp.coupling import cross_modal
from hrsnn.stdp.vote import NeuronVote
from hrsnn.studies import _stdp

SOUNDS: dict[str, Any] = {
    "fsdd": datasets.fsdd,
    "ti46": datasets.ti46,
    "speech_commands": datasets.speech_commands,
    "synthetic": datasets.synthetic_spoken_digits,
}
RATE = 8 * kHz  # of the ear: 64 channels
# Found on images and clips held out of the training sets.
AUDIO = {"eta": 0.02, "offset": 0.1}


@dataclass(frozen=True)
class Pairs:
    """Images and sounds of the same digits.

    Attributes
    ----------
    name : str
        Where they come from.
    X_train, X_test : dict of str to uint8 array
        ``image`` and ``audio``, row by row the same digit.
    y_train, y_test : int array
    """

    name: str
    X_train: dict[str, np.ndarray]
    X_test: dict[str, np.ndarray]
    y_train: np.ndarray
    y_test: np.ndarray

    def with_images(self, noise: Mapping[str, Any], seed: int) -> Pairs:
        """Return the pairs with noisy images, in training and test."""
        train, test = (
            {**X, "image": datasets.add_noise(X["image"], **noise, seed=2 * seed + k)}
            for k, X in enumerate((self.X_train, self.X_test))
        )
        return replace(self, X_train=train, X_test=test)


def digit_pairs(run: Run, images: str, sounds: str, n_train: int, n_test: int, n_clips: int | None, seed: int) -> Pairs:
    """Load images and spoken digits, and pair them by digit.

    Every pair of the test has an image of its own, and clips are repeated evenly; in training both are repeated as
    needed. No image or clip of the test is in training.

    Parameters
    ----------
    run : Run
    images : str
        A set of ``_stdp.IMAGES`` or a folder.
    sounds : {"fsdd", "ti46", "speech_commands", "synthetic"}
    n_train, n_test : int
        Pairs.
    n_clips : int or None
        Training clips to hear, drawn at random, the same for all seeds; all if None.
    seed : int
    """
    if sounds not in SOUNDS:
        raise ValueError(f"sounds must be one of {', '.join(SOUNDS)}, got {sounds!r}.")
    seen = _stdp.digit_images(run, images, 60_000, 10_000)

    def heard() -> dict[str, np.ndarray]:
        X_train, X_test, y_train, y_test = SOUNDS[sounds](rate=RATE)
        chosen = np.random.default_rng([0, 8]).permutation(len(y_train))[:n_clips]  # what is kept is for all seeds
        ear = LyonEar(RATE)
        train, test = cochleagrams([X_train[k] for k in chosen], ear), cochleagrams(X_test, ear)
        contrast = Contrast().fit(train)
        return {
            "X_train": contrast.transform(train),
            "X_test": contrast.transform(test),
            "y_train": y_train[chosen],
            "y_test": y_test,
        }

    clips = run.cached("clips", heard)
    train = datasets.match_labels(seen.y_train, clips["y_train"], n_samples=n_train, seed=2 * seed)
    test = datasets.match_labels(
        seen.y_test, clips["y_test"], n_samples=min(n_test, len(seen.y_test)), seed=2 * seed + 1
    )
    run.save(data=f"{seen.name} and {sounds}", n_train=n_train, n_test=len(test[0]), n_clips=len(clips["y_train"]))
    return Pairs(
        f"{seen.name} and {sounds}",
        {"image": seen.X_train[train[0]], "audio": clips["X_train"][train[1]]},
        {"image": seen.X_test[test[0]], "audio": clips["X_test"][test[1]]},
        seen.y_train[train[0]],
        seen.y_test[test[0]],
    )


def ensemble(modality: str, n_neurons: int, **changes: Any) -> Ensemble:
    """Return the settings of an ensemble of some size."""
    recipe = _stdp.recipe("tuned", n_neurons)
    constants = {**recipe, **(AUDIO if modality == "audio" else {}), **changes}
    return Ensemble(
        n_neurons,
        neuron=AdaptiveConductanceLIF(theta_plus=constants["theta_plus"]),
        synapse=PowerLawSTDP(**{key: constants[key] for key in ("eta", "offset", "tau")}),
        encoder=PoissonEncoder(),
    )


def one(
    run: Run,
    name: str,
    pairs: Pairs,
    modality: str,
    n_neurons: int,
    lesions: Sequence[str] = (),
    **settings: Any,
) -> Callable[[], dict[str, Any]]:
    """Return the job to train and test one ensemble alone on one modality, for ``run.results``.

    Parameters
    ----------
    run, name, pairs
        As everywhere.
    modality : {"image", "audio"}
    n_neurons : int
    lesions : sequence of {"inhibition", "thresholds"}
        What to take from the trained network, each alone, to label and test it once more.
    **settings
        Further settings of the STDPClassifier.

    Returns
    -------
    callable
        Returns ``accuracy`` by the mean rate of each label's neurons and ``accuracy_weighted`` by the weighted vote;
        ``spikes`` of a presentation at the test; the same of each lesion, with ``_name`` behind.
    """
    settings["checkpoint"] = run.checkpoint(name)

    def tested(classifier: STDPClassifier, readout: NeuronVote) -> dict[str, float]:
        counts = classifier.transform(pairs.X_test[modality])
        return {**_scores(readout, counts, pairs.y_test), "spikes": float(counts.sum(axis=1).mean())}

    def result() -> dict[str, Any]:
        own = ensemble(modality, n_neurons)
        fixed = {**vars(own), "w_total": 0.1 * pairs.X_train[modality].shape[1], "n_epochs": 1}
        classifier = STDPClassifier(**{**fixed, **settings})
        classifier.fit(pairs.X_train[modality], pairs.y_train)
        scores = tested(classifier, classifier.readout_)
        shown = slice(classifier.n_label_samples)
        for lesion in lesions:
            other = classifier.with_settings(inhibition=lesion != "inhibition")
            if lesion == "thresholds":
                del other.state_["exc.theta"]  # back to where it started
            readout = NeuronVote().fit(other.transform(pairs.X_train[modality][shown]), pairs.y_train[shown])
            scores |= {f"{key}_{lesion}": value for key, value in tested(other, readout).items()}
        return scores

    return result


def pair(
    run: Run,
    name: str,
    pairs: Pairs,
    n_neurons: int,
    coupling: str = "learned",
    missing: bool = False,
    cut: bool = False,
    start: str | None = None,
    **settings: Any,
) -> Callable[[], dict[str, Any]]:
    """Return the job to train and test two ensembles of half the neurons each, for ``run.results``.

    Parameters
    ----------
    run, name, pairs
        As everywhere.
    n_neurons : int
        Of both ensembles together.
    coupling : {"learned", "manual", "silent", "none"}
        "silent": learnt synapses with a gain of zero.
    missing : bool
        Whether to test each modality alone as well.
    cut : bool
        Whether to test with the synapses between the ensembles silenced as well.
    start : str, optional
        Name of what the ensembles have learnt when they are joined, shared by networks that differ only in how.
    **settings
        Further settings of the MultimodalClassifier.

    Returns
    -------
    callable
        As of `one`, both ensembles with the same say; ``accuracy_summed``, where all spikes count alike, as in
        the source; ``by_image`` and ``by_audio``, the accuracy of the vote of one ensemble's neurons while all
        modalities are there; with ``cut`` all of these with ``_cut`` behind their names; with ``missing`` both
        accuracies with ``_image`` and ``_audio`` behind, of that modality alone; ``n_correct`` and ``n_wrong``,
        synapses between neurons of equal and of different labels, and ``w_correct`` and ``w_wrong``, their mean
        weights, NaN where there is none.
    """
    synapse = cross_modal(n_neurons // 2)
    if coupling == "silent":
        coupling, synapse = "learned", synapse.replace(gain=0.0)
    run.declare(cross_modal=synapse)
    settings["checkpoint"] = run.checkpoint(name)
    settings["checkpoint_alone"] = None if start is None else run.checkpoint(start)

    def result() -> dict[str, Any]:
        classifier = MultimodalClassifier(
            {modality: ensemble(modality, n_neurons // 2) for modality in ("image", "audio")},
            coupling=coupling,
            synapse=synapse,
            **settings,
        )
        classifier.fit(pairs.X_train, pairs.y_train)
        scores = _pair_scores(classifier, pairs)
        if cut:
            joined = {f"{between}.w" for between in classifier.connections_}
            silenced = {key: np.zeros_like(values) for key, values in classifier.state_.items() if key in joined}
            state, classifier.state_ = classifier.state_, classifier.state_ | silenced
            scores |= {f"{key}_cut": value for key, value in _pair_scores(classifier, pairs).items()}
            classifier.state_ = state
        if missing:
            for modality, samples in pairs.X_test.items():
                counts = classifier.ensembles_.balance(classifier.transform({modality: samples}), {modality: samples})
                own = _scores(classifier.readout_, counts, pairs.y_test)
                scores |= {f"{key}_{modality}": value for key, value in own.items()}
        return {**scores, **connections(classifier)}

    return result


@_stdp.guesses_pass()
def _scores(readout: NeuronVote, counts: np.ndarray, y: np.ndarray) -> dict[str, float]:
    weighted = NeuronVote.from_responses(readout.classes_, readout.responses_, "weighted")
    return {
        "accuracy": float(np.mean(readout.predict(counts) == y)),
        "accuracy_weighted": float(np.mean(weighted.predict(counts) == y)),
    }


@_stdp.guesses_pass()
def _pair_scores(classifier: MultimodalClassifier, pairs: Pairs) -> dict[str, float]:
    counts, y, split = classifier.transform(pairs.X_test), pairs.y_test, classifier.ensembles_.split
    scores = _scores(classifier.readout_, classifier.ensembles_.balance(counts, pairs.X_test), y)
    scores |= {"spikes": float(counts.sum(axis=1).mean())}
    scores |= {"accuracy_summed": float(np.mean(classifier.readout_.predict(counts) == y))}
    responses = split(classifier.readout_.responses_)
    for name, own in split(counts).items():
        vote = NeuronVote.from_responses(classifier.classes_, responses[name])
        scores[f"by_{name}"] = float(np.mean(vote.predict(own) == y))
    return scores


def connections(classifier: MultimodalClassifier) -> dict[str, Any]:
    """Count the synapses between ensembles by whether they join neurons of one label; with their mean weights."""
    weights, same = [np.empty(0)], [np.empty(0, dtype=bool)]
    for name, (source, target) in classifier.connections_.items():
        a, b = (classifier.labels_[modality] for modality in name.split("_to_"))
        same.append((a[source] == b[target]) & (a[source] >= 0))
        weights.append(classifier.state_[f"{name}.w"])
    w, correct = np.concatenate(weights), np.concatenate(same)
    mean = lambda chosen: float(w[chosen].mean()) if chosen.any() else np.nan  # noqa: E731
    return {
        "n_correct": int(correct.sum()),
        "n_wrong": int((~correct).sum()),
        "w_correct": mean(correct),
        "w_wrong": mean(~correct),
    }


def bars(axes: Any, groups: Sequence[str], scores: Mapping[str, Any]) -> None:
    """Draw accuracy in groups of bars, one bar a method, with the spread over seeds.

    Parameters
    ----------
    groups : sequence of str
        Names below the groups.
    scores : mapping of str to array of shape (n_groups,) or (n_seeds, n_groups)
        Accuracy from 0 to 1. With several seeds the bar is the mean and the line one standard deviation.
    """
    width = 0.8 / len(scores)
    for k, (name, values) in enumerate(scores.items()):
        runs = 100 * np.atleast_2d(np.asarray(values, dtype=float))
        if runs.shape[1] != len(groups):
            raise ValueError(f"scores of {name!r} have {runs.shape[1]} values, but there are {len(groups)} groups.")
        spread = runs.std(axis=0, ddof=1) if len(runs) > 1 else None
        axes.bar(
            np.arange(len(groups)) + (k + 0.5) * width - 0.4, runs.mean(axis=0), 0.9 * width, yerr=spread, label=name
        )
    axes.set_xticks(range(len(groups)), [fill(group, 60 // len(groups)) for group in groups])
    axes.set(ylabel="accuracy (%)")
    if len(scores) > 1:
        axes.legend(frameon=False, fontsize=8.5)
