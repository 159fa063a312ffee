"""Clips of spoken digits: split by the set's own rule or by speaker, and decoded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hrsnn.datasets._sound import decode

SoundSplit = tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class Clip(NamedTuple):
    """A recording of a digit, not decoded."""

    name: str
    raw: bytes
    digit: int
    speaker: str
    in_test: bool  # of the set's own split


def split_clips(
    title: str, path: Path, form: str, clips: list[Clip], rate: int, test_speakers: Sequence[str] | None
) -> SoundSplit:
    """Split by the set's own rule or by speaker, and decode."""
    if not clips:
        raise FileNotFoundError(f"{title}: {path} holds no clips named {form}.")
    in_test: Callable[[Clip], bool] = lambda clip: clip.in_test  # noqa: E731
    if test_speakers is not None:
        speakers = sorted({clip.speaker for clip in clips})
        unknown = [s for s in test_speakers if s not in speakers]
        if isinstance(test_speakers, str) or unknown:
            raise ValueError(
                f"test_speakers must be a list of names among {', '.join(speakers)}, got {test_speakers!r}."
            )
        in_test = lambda clip: clip.speaker in test_speakers  # noqa: E731
    parts = []
    for wanted, part in ((False, "training"), (True, "test")):
        chosen = sorted(clip for clip in clips if in_test(clip) == wanted)
        if not chosen:
            raise ValueError(
                f"{title}: no clip of {path} is for the {part} part. Choose test_speakers, or get all clips."
            )
        X = [decode(clip.raw, f"{title}: {clip.name} in {path}", rate)[0] for clip in chosen]
        parts.append((X, np.array([clip.digit for clip in chosen])))
    (X_train, y_train), (X_test, y_test) = parts
    return X_train, X_test, y_train, y_test
