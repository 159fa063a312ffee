"""Sounds as samples: segments and bands against the ear's own frames, contrast by hand, steps of a series."""

import numpy as np
import pytest
from brian2 import kHz, ms, mV
from brian2.units.fundamentalunits import DimensionMismatchError
from numpy.testing import assert_allclose, assert_array_equal

from hrsnn.inputs import Contrast, LyonEar, cochleagrams, sound_series


def two_tones(n_samples, early=300, late=2500):
    t = np.arange(n_samples) / 8000
    return (0.3 * np.sin(2 * np.pi * np.where(t < t[-1] / 2, early, late) * t)).astype(np.float32)


def test_a_cochleagram_is_the_mean_of_equal_shares_of_a_clip():
    ear, clips = LyonEar(8 * kHz), [two_tones(2000), two_tones(1300)]
    found = cochleagrams(clips, ear)
    assert found.shape == (2, 12 * 32)
    frames = ear(clips[1])  # 130 frames
    share = frames[130 * 3 // 12 : 130 * 4 // 12]
    bands = share.mean(axis=0).reshape(32, 2).mean(axis=1)
    assert_allclose(found[1].reshape(12, 32)[3], np.sqrt(bands), rtol=1e-5)  # single precision
    assert found[0].reshape(12, 32)[2].argmax() > found[0].reshape(12, 32)[9].argmax()  # high frequencies come first
    assert_allclose(cochleagrams(clips, n_segments=1, n_bands=64)[1], np.sqrt(frames.mean(axis=0)), rtol=1e-5)


def test_clips_are_heard_alone_whatever_their_order():
    clips = [two_tones(n) for n in (900, 2000, 1300)]
    assert_allclose(cochleagrams(clips)[1], cochleagrams(clips[1:2])[0], rtol=1e-5)


def test_contrast_shows_what_is_above_and_what_is_below_the_mean():
    train = np.array([[0.0, 5.0], [4.0, 5.0]])  # mean 2, deviation 2; and one that does not vary
    shown = Contrast().fit(train).transform([[2.0, 5.0], [8.0, 5.0], [-99.0, 5.0], [5.0, 5.0]])
    assert_array_equal(shown, [[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 255, 0], [128, 0, 0, 0]])  # 6 is three deviations
    assert shown.dtype == np.uint8
    assert Contrast(full=1.5).fit(train).transform([[3.5, 5.0]])[0, 0] == 128  # 127.5, to even


def test_a_series_is_the_mean_of_the_frames_of_each_step():
    clip = two_tones(2000)
    series = sound_series([clip, clip[:400]], n_steps=10)
    frames = LyonEar(decimation=40)(clip)  # 50 frames of 5 ms: 12 steps
    assert_allclose(series[0], frames[:40].reshape(10, 4, 64).mean(axis=1), rtol=1e-5)
    assert series[1, 8:].sum() < 0.05 * series[1, :2].sum()  # 50 ms, and the ear rings out
    full = np.percentile(series, 90)
    assert_allclose(sound_series([clip, clip[:400]], n_steps=10, full=full), np.minimum(series / full, 1))
    slow = sound_series([clip], LyonEar(decimation=80), n_steps=5, step=40 * ms)
    assert slow.shape == (1, 5, 64)


def test_bad_input_is_named():
    clip = two_tones(900)
    with pytest.raises(ValueError, match="n_bands must be at most the ear's 64 channels, got 65"):
        cochleagrams([clip], n_bands=65)
    with pytest.raises(ValueError, match="n_segments must be an integer of at least 1, got 0"):
        cochleagrams([clip], n_segments=0)
    for hear in (cochleagrams, sound_series):
        with pytest.raises(ValueError, match="sounds is empty"):
            hear([])
        with pytest.raises(ValueError, match=r"got one sound. Pass \[sound\]"):
            hear(clip)
    with pytest.raises(ValueError, match=r"step must be a whole number of the ear's frames of 5. ms, got 12. ms"):
        sound_series([clip], step=12 * ms)
    with pytest.raises(DimensionMismatchError, match="step must be a time"):
        sound_series([clip], step=12 * mV)
    with pytest.raises(ValueError, match="full must be positive and finite or None, got 0"):
        sound_series([clip], full=0)
    with pytest.raises(ValueError, match="full must be positive and finite, got -1"):
        Contrast(-1).fit([[1.0, 2.0]])
    with pytest.raises(ValueError, match="X has 1 values a sample, but this Contrast was fitted with 2"):
        Contrast().fit([[1.0, 2.0]]).transform([[1.0]])
