"""Spoken digits by a synthesiser: what is said, how the parts are split, and what happens without the extra."""

import importlib.util
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from brian2 import DimensionMismatchError, kHz, ms
from numpy.testing import assert_allclose, assert_array_equal
from scipy.io import wavfile
from scipy.signal import stft

from hrsnn.datasets import SYNTHETIC_SPEAKERS, synthetic_speech, synthetic_spoken_digits
from hrsnn.datasets._sound import decode

needs_extra = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None, reason="the extra speech is not installed"
)


def tone(k):
    return 0.5 * np.sin(2 * np.pi * (100 + k) * np.arange(400) / 8000).astype(np.float32)


@pytest.fixture
def tones(monkeypatch):
    """In place of the synthesiser: each request a tone of its own, 0.05 s long. Gives the requests."""
    asked = []

    def speak(requests):
        asked.extend(map(tuple, requests))
        files = []
        for k in range(len(requests)):
            stream = io.BytesIO()
            wavfile.write(stream, 8000, tone(k))
            files.append(stream.getvalue())
        return files

    monkeypatch.setattr(synthetic_speech, "_speak", speak)
    return asked


# --- what is asked of the synthesiser


def test_takes_differ_in_speed_or_pitch(tones):
    synthetic_spoken_digits(n_takes=30)
    assert len(tones) == 8 * 10 * 30
    assert len({request[:4] for request in tones}) == len(tones)
    speeds, pitches = np.array([request[2:4] for request in tones]).T
    assert (speeds.min(), speeds.max()) == (130, 219)
    assert (pitches.min(), pitches.max()) == (35, 65)


def test_every_speaker_says_every_digit_equally_often(tones):
    _, _, y_train, y_test = synthetic_spoken_digits(n_takes=5, n_test_takes=2)
    assert_array_equal(np.bincount(y_train), np.full(10, 8 * 3))
    assert_array_equal(np.bincount(y_test), np.full(10, 8 * 2))
    said = [request[:2] for request in tones]
    assert all(said.count((word, speaker)) == 5 for word in ("zero", "nine") for speaker in SYNTHETIC_SPEAKERS)


def test_parts_share_no_take(tones):
    X_train, X_test, _, _ = synthetic_spoken_digits(n_takes=5, n_test_takes=2)
    train, test = ({clip.tobytes() for clip in X} for X in (X_train, X_test))
    assert (len(train), len(test), len(train & test)) == (240, 160, 0)


def test_speakers_can_be_kept_apart(tones):
    X_train, X_test, y_train, y_test = synthetic_spoken_digits(n_takes=2, n_test_takes=1, test_speakers=["en-us+f2"])
    whose = {tone(k).tobytes(): request for k, request in enumerate(tones)}
    assert {whose[clip.tobytes()][1] for clip in X_test} == {"en-us+f2"}
    assert {whose[clip.tobytes()][1] for clip in X_train} == {*SYNTHETIC_SPEAKERS} - {"en-us+f2"}
    words = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    for X, y in ((X_train, y_train), (X_test, y_test)):
        assert [whose[clip.tobytes()][0] for clip in X] == [words[digit] for digit in y]


def test_the_seed_decides_the_manners(tones):
    synthetic_spoken_digits(n_takes=2, n_test_takes=1, seed=3)
    synthetic_spoken_digits(n_takes=2, n_test_takes=1, seed=3)
    synthetic_spoken_digits(n_takes=2, n_test_takes=1, seed=4)
    assert tones[:160] == tones[160:320]
    assert sum(a == b for a, b in zip(tones[:160], tones[320:], strict=True)) < 5


# --- the synthesiser itself


def say(word="one", speaker="en-us+m1", speed=175, pitch=50, extent=50, volume=100):
    return decode(synthetic_speech._speak([[word, speaker, speed, pitch, extent, volume]])[0], "spoken")


def voice_pitch(samples, rate):
    """Pitch (hertz) in the middle of a word, by autocorrelation."""
    middle = samples[len(samples) // 2 - 1024 : len(samples) // 2 + 1024]
    power = np.fft.irfft(abs(np.fft.rfft(middle, 4096)) ** 2)
    lags = np.arange(rate // 400, rate // 60)
    return rate / lags[power[lags].argmax()]


@needs_extra
def test_manners_are_heard():
    (normal, rate), (fast, _), (high, _), (soft, _) = say(), say(speed=219), say(pitch=65), say(volume=50)
    assert rate == 22050
    assert 0.7 < len(fast) / len(normal) < 0.9  # 175 / 219 = 0.8
    assert 1.1 < voice_pitch(high, rate) / voice_pitch(normal, rate) < 1.6
    assert_allclose(abs(soft).max() / abs(normal).max(), 0.5, atol=0.05)


@needs_extra
def test_test_takes_are_nearest_to_training_takes_of_their_digit():
    X_train, X_test, y_train, y_test = synthetic_spoken_digits(n_takes=2, n_test_takes=1)

    def features(clips):
        """Logarithm of the power in ten bands at eight moments of the word."""
        rows = []
        for clip in clips:
            power = abs(stft(clip, 8000, nperseg=256)[2][1:121]) ** 2
            moments = np.array_split(power.reshape(10, 12, -1).mean(axis=1), 8, axis=1)
            rows.append(np.log([moment.mean(axis=1) + 1e-6 for moment in moments]).ravel())
        return np.array(rows)

    distance = np.linalg.norm(features(X_test)[:, None] - features(X_train), axis=2)
    accuracy = (y_train[distance.argmin(axis=1)] == y_test).mean()
    assert (len(X_train), len(X_test)) == (80, 80)
    assert accuracy > 0.9  # by chance 0.1


@needs_extra
def test_the_same_arguments_give_the_same_sounds():
    first, again = (synthetic_spoken_digits(n_takes=2, n_test_takes=1, rate=16 * kHz, seed=1)[0] for _ in range(2))
    assert len(first) == 80
    for a, b in zip(first, again, strict=True):
        assert_array_equal(a, b)
        assert 0.2 * 16000 < len(a) < 16000
        assert 0.1 < abs(a).max() <= 1.1  # resampling overshoots


@needs_extra
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks into /proc")
def test_the_library_is_not_loaded_into_this_process():
    say()
    assert "espeak" not in Path("/proc/self/maps").read_text()


# --- errors


def test_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ImportError, match=r"needs espeakng-loader\. Run: pip install 'hrsnn\[speech\]'"):
        synthetic_spoken_digits()


def test_a_broken_synthesiser_is_reported(monkeypatch, tmp_path):
    (tmp_path / "espeakng_loader.py").write_text("def get_library_path():\n    return '/nowhere/libespeak-ng.so'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "espeakng_loader", raising=False)
    with pytest.raises(RuntimeError, match=r"synthesiser failed: OSError: /nowhere/libespeak.* or use recordings"):
        synthetic_spoken_digits()


@needs_extra
def test_an_unknown_voice_is_reported():
    with pytest.raises(RuntimeError, match="eSpeak NG has no voice 'xx-nobody'"):
        say(speaker="xx-nobody")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_takes": 1}, ValueError, "n_takes must be from 2 to 2790, got 1"),
        ({"n_takes": 2791}, ValueError, "n_takes must be from 2 to 2790, got 2791"),
        ({"n_takes": 5, "n_test_takes": 5}, ValueError, "n_test_takes must be at least 1 and below n_takes=5, got 5"),
        ({"n_test_takes": 0}, ValueError, "n_test_takes must be at least 1"),
        ({"rate": 8 * ms}, DimensionMismatchError, "rate must be a frequency"),
        ({"test_speakers": ["theo"]}, ValueError, r"test_speakers must be a list of names among .*, got \['theo'\]"),
        ({"test_speakers": SYNTHETIC_SPEAKERS}, ValueError, "no clip of eSpeak NG is for the training part"),
    ],
)
def test_wrong_arguments_are_refused(tones, arguments, error, message):
    with pytest.raises(error, match=message):
        synthetic_spoken_digits(**{"n_takes": 2, "n_test_takes": 1, **arguments})
