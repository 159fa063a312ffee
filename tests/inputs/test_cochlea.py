"""The ear against theory: filters by poles, zeros and gains, gain control by its closed form, the whole by tones."""

import time
from itertools import pairwise

import numpy as np
import pytest
from brian2 import DimensionMismatchError, Hz, kHz, ms, second
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.signal import sosfreqz

from hrsnn.inputs import cochlea
from hrsnn.inputs.cochlea import LyonEar, firing_gain, firing_probability

RATE = 8000


def tone(frequency, n_samples=2000, amplitude=0.3):
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(n_samples) / RATE)


def noise(n_samples=1000, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, n_samples)


@pytest.fixture(scope="module")
def ear():
    return LyonEar(RATE * Hz)


def bandwidth(f, quality=8):
    return np.sqrt(f**2 + 1000**2) / quality


def poles(ear):
    """Frequencies (hertz) of the poles of all stages, by Slaney's formula."""
    a = RATE / 2 - 0.5 * ear.step * bandwidth(RATE / 2)
    a = a + np.sqrt(a**2 + 1000**2)
    growth = np.exp(np.arange(1, ear.n_channels + 1) * ear.step / 8)
    return (a / growth - 1000**2 * growth / a) / 2


# --- design


@pytest.mark.parametrize(
    ("rate", "step", "n_channels"),
    [(8, None, 64), (12.5, None, 78), (16, None, 86), (20, None, 93), (12.5, 0.3025, 64), (12.5, 0.305, 64)],
)
def test_number_of_channels(rate, step, n_channels):
    ear = LyonEar(rate * kHz, step=step)
    assert ear.n_channels == n_channels == len(ear.centre_frequencies) == len(ear.sections) - 2


@pytest.mark.parametrize(("rate", "quality", "step"), [(8000, 8, 0.25), (16000, 4, 0.5)])
def test_channels_are_one_step_of_bandwidth_apart(rate, quality, step):
    centres = np.asarray(LyonEar(rate * Hz, quality=quality, step=step).centre_frequencies / Hz)
    assert_allclose(centres[0], rate / 2 - 0.5 * step * bandwidth(rate / 2, quality))
    for high, low in pairwise(centres):
        assert_allclose(quad(lambda f: 1 / bandwidth(f, quality), low, high)[0], step, rtol=1e-9)


def test_each_channel_is_best_at_the_poles_of_the_stage_above(ear):
    assert_allclose(np.asarray(ear.centre_frequencies / Hz)[1:], poles(ear)[:-1])


def test_poles_and_zeros_lie_at_their_frequencies_and_qualities(ear):
    """A root z of a resonance has s = rate log(z) with |s| = 2 pi f and |s| / (-2 Re s) = Q."""
    f = poles(ear)
    width = bandwidth(f)
    offset = f + 1.5 * ear.step * width
    for section, pole, zero, bw in zip(ear.sections[2:], f, offset, width, strict=True):
        for polynomial, frequency, quality in ((section[3:], pole, pole / bw), (section[:3], zero, 5 * zero / bw)):
            s = RATE * np.log(np.roots(polynomial).astype(complex))
            assert_allclose(abs(s), 2 * np.pi * frequency, rtol=1e-7)
            assert_allclose(abs(s) / (-2 * s.real), quality, rtol=1e-7)


def test_gain_of_each_stage_at_zero_is_the_ratio_of_its_frequencies(ear):
    f = poles(ear)
    gains = [abs(sosfreqz(section[None, :], [0.0])[1][0]) for section in ear.sections[2:]]
    assert_allclose(gains[1:], f[:-1] / f[1:], rtol=1e-7)
    assert_allclose(gains[0], gains[1])


def test_front_filters(ear):
    pre_emphasis, resonator = ear.sections[:2]
    for section in (pre_emphasis, resonator):
        assert_allclose(abs(sosfreqz(section[None, :], [np.pi / 2])[1]), 1)  # a quarter of the sampling rate
    assert_allclose(np.roots(pre_emphasis[1:3]), np.exp(-2 * np.pi * 300 / RATE))
    assert_allclose(np.sort(np.roots(resonator[:3])), [-1, 1])
    s = RATE * np.log(np.roots(resonator[3:]))
    assert_allclose(abs(s), 2 * np.pi * float(ear.centre_frequencies[0] / Hz), rtol=1e-7)


@pytest.mark.parametrize("n", [1, 20, 45, 63])
def test_response_of_one_stage_matches_its_transfer_function(ear, n):
    """Measured: spectrum of stage n over that of the stage above. Theory: distances to the poles and zeros."""
    impulse = np.zeros(4096)
    impulse[0] = 1
    spectrum = np.fft.rfft(ear.filter(impulse)[:, n - 1 : n + 1], axis=0)
    z = np.exp(2j * np.pi * np.fft.rfftfreq(4096))
    f = poles(ear)
    zero = f[n] + 1.5 * ear.step * bandwidth(f[n])

    def distance(z, frequency, quality):
        root = np.exp(np.pi * frequency / RATE * (-1 / quality + 2j * np.sqrt(1 - 1 / (4 * quality**2))))
        return abs(z - root) * abs(z - root.conj())

    def theory(z):
        return distance(z, zero, 5 * zero / bandwidth(f[n])) / distance(z, f[n], f[n] / bandwidth(f[n]))

    inside = (abs(spectrum[:, 0]) > 1e-6).nonzero()[0]  # the stages above pass next to nothing elsewhere
    assert len(inside) > 100
    expected = theory(z) / theory(1.0) * f[n - 1] / f[n]
    measured = abs(spectrum[inside, 1]) / abs(spectrum[inside, 0])
    assert_allclose(measured, expected[inside], rtol=1e-6)


def test_the_membrane_is_linear_and_the_same_at_all_times(ear):
    a, b = noise(seed=1), noise(seed=2)
    assert_allclose(ear.filter(0.5 * a - 2 * b), 0.5 * ear.filter(a) - 2 * ear.filter(b), atol=1e-12)
    late = ear.filter(np.concatenate([np.zeros(100), a]))
    assert_array_equal(late[:100], 0)
    assert_allclose(late[100:], ear.filter(a), atol=1e-14)


# --- gain control


def test_gain_control_follows_its_recursion():
    x = abs(np.random.default_rng(0).normal(0, 0.01, (60, 5, 2)))
    expected = x.copy()
    for target, tau in zip([0.0032, 0.0016, 0.0008, 0.0004], [0.64, 0.16, 0.04, 0.01], strict=True):
        leak = 1 - np.exp(-1 / (tau * RATE))
        for sound in range(2):
            state = [0.0] * 5
            for sample in range(60):
                out = [expected[sample, n, sound] * (1 - state[n]) for n in range(5)]
                mean = [(state[max(n - 1, 0)] + state[n] + state[min(n + 1, 4)]) / 3 for n in range(5)]
                state = [min(0.9, leak / target * out[n] + (1 - leak) * mean[n]) for n in range(5)]
                expected[sample, :, sound] = out
    cochlea._control_gain(x, RATE)
    assert_allclose(x, expected, rtol=1e-12)


@pytest.mark.parametrize("level", [1e-5, 0.001, 0.02, 1.0])
def test_gain_control_settles_at_its_closed_form(level):
    """A lasting input x gives x / (1 + x / target), and x / 10 where the state reaches its limit."""
    x = np.full((8000, 4, 1), level)
    cochlea._control_gain(x, 1000)
    expected = level
    for target in (0.0032, 0.0016, 0.0008, 0.0004):
        expected = max(expected / (1 + expected / target), expected / 10)
    assert_allclose(x[-1], expected, rtol=1e-4)  # 12 of the slowest time constants
    assert_allclose(x[0], level, rtol=1e-12)  # the onset passes unchanged


def test_loud_sounds_are_compressed(ear):
    soft, loud = (ear(tone(1000, 4000, amplitude))[-20:].max() for amplitude in (0.01, 1.0))
    assert 1 < loud / soft < 3  # 100 times the amplitude


# --- the whole ear


def test_a_tone_excites_the_channel_of_its_frequency(ear):
    centres = np.asarray(ear.centre_frequencies / Hz)
    heard = ear.transform([tone(f, 1500) for f in centres], 150)
    best = heard[:, -30:].mean(axis=1).argmax(axis=1)
    assert_array_equal(best[2:-5], np.arange(64)[2:-5])
    assert abs(best - np.arange(64)).max() <= 1  # at the ends a neighbour is missing


def test_values_of_the_toolbox(ear):
    """Frames 20, 100 and 199 by the toolbox's C code (package lyon 1.0.0), its front channels left as they are.

    (It zeroes those two in the first sample of each frame, which changes the first channel by 5 % and all
    others by 1 % at most.)
    """
    heard = ear(tone(700) + tone(2300, amplitude=0.05))
    expected = [
        [2.28845826e-05, 2.06423940e-04, 2.61245888e-04, 3.37879857e-05, 4.85979199e-05],
        [1.66360971e-05, 2.29848361e-04, 2.86230950e-04, 2.98193364e-05, 9.77913387e-06],
        [1.70584924e-05, 2.49370497e-04, 3.09539111e-04, 3.33507516e-05, 7.73711810e-06],
    ]
    assert heard.shape == (200, 64)
    assert_allclose(heard[[20, 100, 199]][:, [5, 15, 16, 40, 50]], expected, rtol=1e-6)  # single precision


def test_silence_gives_zeros(ear):
    assert_array_equal(ear(np.zeros(500)), np.zeros((50, 64)))
    assert_array_equal(ear.transform([np.zeros(1), np.zeros(900)], 60), np.zeros((2, 60, 64)))


def test_activity_is_never_negative(ear):
    heard = ear(noise())
    assert heard.min() >= 0
    assert (heard.max(axis=0) > 0).all()


def test_frames_are_smoothed_by_two_poles():
    every = LyonEar(RATE * Hz, decimation=1)(noise()).astype(float)
    leak = 1 - np.exp(-1 / 30)
    once = twice = np.zeros(64)
    expected = []
    for sample in np.vstack([np.zeros((2, 64)), every[:-2]]):  # two samples late, as in the toolbox
        once = once + leak * (sample - once)
        twice = twice + leak * (once - twice)
        expected.append(twice)
    assert_allclose(LyonEar(RATE * Hz)(noise()), expected[9::10], rtol=1e-5, atol=1e-10)  # single precision


def test_sounds_do_not_depend_on_their_neighbours(ear):
    sounds = [noise(n, seed) for seed, n in enumerate([900, 30, 700, 1, 400, 1600, 10, 500, 640, 333])]
    together = ear.transform(sounds, 120)
    for sound, heard in zip(sounds, together, strict=True):
        assert_array_equal(ear.transform([sound], 120)[0], heard)
        n_frames = min(len(sound) // 10, 120)
        if n_frames:
            assert_array_equal(ear(sound)[:n_frames], heard[:n_frames])
    assert_array_equal(ear.transform(sounds, 50), together[:, :50])


def test_short_sounds_are_followed_by_silence(ear):
    sound = noise(300)
    padded = ear(np.concatenate([sound, np.zeros(4700)]))
    heard = ear.transform([sound], 500)[0]
    assert heard[60:100].max() > 0  # it rings
    assert_allclose(heard, padded, atol=1e-15 * heard.max())
    assert_array_equal(heard[-100:], 0)


def test_hearing_is_faster_than_the_sound(ear):
    sound = noise(RATE)
    start = time.process_time()
    ear(sound)
    assert time.process_time() - start < 1  # about 0.1 s; machines differ


def test_frame_and_text():
    ear = LyonEar(12.5 * kHz, decimation=10)
    assert_allclose(float(ear.frame / second), 0.0008)
    assert repr(ear) == "LyonEar(rate=12.5 kHz, decimation=10, quality=8.0, step=0.25)"


# --- firing probabilities


def test_gain_puts_the_percentile_at_its_rate():
    frames = np.random.default_rng(0).permutation(np.arange(1001)).reshape(7, 11, 13) / 1000
    gain = firing_gain(frames)
    assert_allclose(gain, 0.032 / 0.995)
    assert_allclose(firing_gain(frames, rate=100 * Hz, dt=1 * ms, percentile=50), 0.1 / 0.5)
    probability = firing_probability(frames, gain)
    assert (probability > 0.032001).sum() == 5
    assert_allclose(probability, frames * gain, rtol=1e-6)


def test_probabilities_stop_at_one():
    assert_array_equal(firing_probability(np.array([0, 0.25, 0.5, 3]), 2), [0, 0.5, 1, 1])


# --- errors


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"rate": 8000}, DimensionMismatchError, r"rate must be a frequency, for example 8\*kHz"),
        ({"rate": 8 * ms}, DimensionMismatchError, "rate must be a frequency"),
        ({"rate": -8 * kHz}, ValueError, "rate must be positive and finite, got -8"),
        ({"rate": np.inf * Hz}, ValueError, "rate must be positive and finite"),
        ({"rate": 150 * Hz}, ValueError, "rate=150 Hz leaves room for 0 channels .* Take a higher rate"),
        ({"step": 20.0}, ValueError, "leaves room for 0 channels"),
        ({"step": 0.0}, ValueError, "step must be positive and finite, got 0.0"),
        ({"quality": 0.5}, ValueError, "quality must be above 0.5 and finite, got 0.5"),
        ({"decimation": 0}, ValueError, "decimation must be a whole number of samples, at least 1, got 0"),
        ({"decimation": 2.5}, ValueError, "decimation must be a whole number .* got 2.5"),
    ],
)
def test_wrong_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        LyonEar(**settings)


@pytest.mark.parametrize(
    ("sound", "error", "message"),
    [
        (np.zeros((500, 2)), ValueError, r"one channel, shape \(n_samples,\), got \(500, 2\). Average"),
        (np.array(0.5), ValueError, r"must have one channel, .* got \(\)"),
        (np.zeros(500, np.int16), TypeError, "floats of full scale -1 to 1, got int16. Divide 16 bits by 32768"),
        (np.array([]), ValueError, "holds no samples"),
        (np.array([0.1, np.nan] * 50), ValueError, "holds NaN or infinite samples"),
        (np.array([0.1, -np.inf] * 50), ValueError, "holds NaN or infinite samples"),
        (np.full(500, 3000.0), ValueError, "reaches 3000, but full scale is -1 to 1"),
    ],
)
def test_wrong_sounds_are_refused(ear, sound, error, message):
    with pytest.raises(error, match="sound .*" + message):
        ear(sound)
    with pytest.raises(error, match="sound .*" + message):
        ear.filter(sound)
    with pytest.raises(error, match=r"sounds\[1\] .*" + message):
        ear.transform([noise(), sound], 10)


def test_a_sound_shorter_than_a_frame_is_refused(ear):
    with pytest.raises(ValueError, match=r"sound has 9 samples, but a frame takes 10\. Use a longer sound, or"):
        ear(noise(9))


def test_wrong_batches_are_refused(ear):
    with pytest.raises(ValueError, match="sounds is empty"):
        ear.transform([], 10)
    with pytest.raises(ValueError, match=r"got one sound. Pass \[sound\]"):
        ear.transform(noise(), 10)
    for n_frames in (0, 1.5, True):
        with pytest.raises(ValueError, match=f"n_frames must be a whole number, at least 1, got {n_frames}"):
            ear.transform([noise()], n_frames)


def test_wrong_scaling_is_refused():
    frames = np.ones((2, 3))
    with pytest.raises(DimensionMismatchError, match=r"rate must be a rate, for example 64\*Hz"):
        firing_gain(frames, rate=64)
    with pytest.raises(DimensionMismatchError, match=r"dt must be a time, for example 0.5\*ms"):
        firing_gain(frames, dt=0.5)
    with pytest.raises(ValueError, match=r"rate \* dt must be in \(0, 1\], got 3. kHz \* 0.5 ms"):
        firing_gain(frames, rate=3 * kHz)
    with pytest.raises(ValueError, match=r"percentile must be in \(0, 100\], got 0"):
        firing_gain(frames, percentile=0)
    with pytest.raises(ValueError, match=r"At least 99\.5 % of the frames are silent"):
        firing_gain(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="frames is empty"):
        firing_gain(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="gain must be positive and finite, got 0"):
        firing_probability(frames, 0)
    for wrong in (-frames, frames * np.nan, frames * np.inf):
        with pytest.raises(ValueError, match="must not be negative, infinite or NaN"):
            firing_probability(wrong, 1)
