"""Synthetic spoken digits for use where no recordings are at hand: eSpeak NG with different voices and manners."""

import base64
import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hrsnn.datasets._clips import WORDS, Clip, SoundSplit, split_clips
from hrsnn.datasets._sound import hertz

SYNTHETIC_SPEAKERS = (
    "en-us+m1",
    "en-us+m7",
    "en-us+f2",
    "en-us+f4",
    "en-gb-x-rp+m3",
    "en-gb-x-rp+f3",
    "en-gb-scotland+m5",
    "en-gb-scotland+f1",
)
_SPEEDS = np.arange(130, 220)  # words per minute; 175 is the synthesiser's normal one
_PITCHES = np.arange(35, 66)  # 50 is that of the voice


def synthetic_spoken_digits(
    n_takes: int = 20,
    n_test_takes: int = 4,
    rate: Any = None,
    test_speakers: Sequence[str] | None = None,
    seed: int = 0,
) -> SoundSplit:
    """Synthesise clips of ten digits by the eight voices of ``SYNTHETIC_SPEAKERS``. No human speaks in them.

    No two takes of a digit by a speaker have both the same speed and the same pitch; the range of the pitch
    and the loudness differ too. There is no noise. A stand-in for recordings: far more uniform, so
    accuracies on it say little about those on human speech.

    Parameters
    ----------
    n_takes : int
        Takes of each digit by each speaker, 2 to 2790.
    n_test_takes : int
        How many of them test, fewer than `n_takes`.
    rate : Quantity (hertz), optional
        Sampling rate, 8 kHz if None; the synthesiser's own is 22.05 kHz.
    test_speakers : sequence of str, optional
        Test on all clips of these speakers and train on the others. If None, the first `n_test_takes` takes
        of each speaker and digit test. No take is ever in both parts.
    seed : int
        Seed of the manners of speaking.

    Returns
    -------
    X_train, X_test, y_train, y_test
        As in `fsdd`.

    Raises
    ------
    ImportError
        If the extra ``speech`` (package espeakng-loader) is not installed.
    ValueError
        If a number is out of range or a speaker is unknown.
    RuntimeError
        If the synthesiser does not work on this machine.

    Notes
    -----
    eSpeak NG is licensed under the GPL version 3 or later. It runs as a separate process.
    """
    n_manners = len(_SPEEDS) * len(_PITCHES)
    if not 2 <= n_takes <= n_manners:
        raise ValueError(f"n_takes must be from 2 to {n_manners}, got {n_takes!r}.")
    if not 1 <= n_test_takes < n_takes:
        raise ValueError(f"n_test_takes must be at least 1 and below n_takes={n_takes}, got {n_test_takes!r}.")
    sampling_rate = hertz(rate, 8000)
    takes, requests = [], []
    for speaker in SYNTHETIC_SPEAKERS:
        for digit, word in enumerate(WORDS):
            rng = np.random.default_rng([seed, SYNTHETIC_SPEAKERS.index(speaker), digit])
            manners = rng.choice(n_manners, n_takes, replace=False)
            for take, (speed, pitch) in enumerate(zip(*divmod(manners, len(_PITCHES)), strict=True)):
                takes.append((digit, speaker, take))
                extent, volume = rng.integers(30, 71), rng.integers(50, 101)
                requests.append([word, speaker, *map(int, (_SPEEDS[speed], _PITCHES[pitch], extent, volume))])
    clips = [
        Clip(f"{digit}_{speaker}_{take}.wav", raw, digit, speaker, take < n_test_takes)
        for (digit, speaker, take), raw in zip(takes, _speak(requests), strict=True)
    ]
    return split_clips("Synthetic speech", Path("eSpeak NG"), "", clips, sampling_rate, test_speakers)


def _speak(requests: list[list]) -> list[bytes]:
    if importlib.util.find_spec("espeakng_loader") is None:
        raise ImportError("Synthetic speech needs espeakng-loader. Run: pip install 'hrsnn[speech]'.")
    program = Path(__file__).with_name("_speak.py")
    done = subprocess.run([sys.executable, program], input=json.dumps(requests), capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        raise RuntimeError(
            f"The speech synthesiser failed: {reason}. Reinstall it (pip install --force-reinstall espeakng-loader) "
            "or use recordings, for example fsdd."
        )
    return [base64.b64decode(file) for file in json.loads(done.stdout)]
