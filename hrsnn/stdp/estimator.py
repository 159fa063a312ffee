"""What the classifiers of this package share."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np

from hrsnn.simulation.statefile import read, write
from hrsnn.stdp.vote import NeuronVote

__all__ = ["load", "save"]


def save(path: str | os.PathLike[str], classifier: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a fitted classifier: its settings, its state ``arrays`` and what its labels come from."""
    arrays = dict(arrays)
    if hasattr(classifier, "readout_"):
        arrays |= {"classes": classifier.classes_, "responses": classifier.readout_.responses_}
    arrays["parameters"] = np.asarray(np.void(pickle.dumps(classifier.get_params(deep=False))))
    write(path, arrays, {"n_features": classifier.n_features_in_})


def load(path: str | os.PathLike[str], kind: type, changes: Mapping[str, Any]) -> tuple[Any, dict[str, np.ndarray]]:
    """Return a classifier that ``save`` wrote, with changed settings, without its state, and the arrays of that.

    Raises
    ------
    ValueError
        If ``changes`` has another number of neurons.
    """
    arrays, settings = read(path)
    old = pickle.loads(arrays.pop("parameters").tobytes())
    classifier = kind(**{**old, **changes})
    sizes = [_n_neurons(params) for params in (old, classifier.get_params(deep=False))]
    if sizes[0] != sizes[1]:
        raise ValueError(f"The network in {path} has n_neurons={sizes[0]}, got {sizes[1]}. Train another for that.")
    classifier.n_features_in_ = settings["n_features"]
    classes, responses = arrays.pop("classes", None), arrays.pop("responses", None)
    if classes is not None and responses is not None:
        classifier.readout_ = NeuronVote.from_responses(classes, responses, classifier.vote)
        classifier.classes_ = classes
    return classifier, arrays


def _n_neurons(params: Mapping[str, Any]) -> Any:
    if "ensembles" in params:
        return {name: ensemble.n_neurons for name, ensemble in params["ensembles"].items()}
    return params["n_neurons"]
