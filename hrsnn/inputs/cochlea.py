"""Lyon's passive ear: a sound becomes the activity of the auditory nerve, channel by channel."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import Hz, Quantity, kHz, ms, second
from brian2.units.fundamentalunits import fail_for_dimension_mismatch
from scipy.signal import lfilter

__all__ = ["LyonEar", "firing_gain", "firing_probability"]

_BREAK = 1000.0  # hertz; bandwidths are constant below and proportional to frequency above
_ZERO_OFFSET = 1.5  # of a stage's zeros above its poles, in steps
_SHARPNESS = 5.0  # quality of the zeros, in centre frequencies over bandwidths
_PRE_EMPHASIS = 300.0  # hertz
_N_FRONT = 2  # filters before the cascade: pre-emphasis and the resonator at its top
_TARGETS = np.array([0.0032, 0.0016, 0.0008, 0.0004])  # of the four gain controls
_TAUS = np.array([0.64, 0.16, 0.04, 0.01])  # seconds
_LIMIT = 0.9  # largest reduction of the gain by one gain control
_SMOOTHING = 3  # time constant of the smoothing, in frames
_RING = 50  # time constants after which a sound has died away, to 1e-20
_BLOCK = 8  # sounds heard side by side: a second of 8 kHz takes 34 MB


class LyonEar:
    """Lyon's passive ear with the gain control and the constants of Slaney's toolbox.

    A cascade of filters runs along the basilar membrane from high to low frequencies, with pre-emphasis and a
    resonator before it. Every place is half-wave rectified and passes four gain controls, from slow to fast; each
    is pulled down by its own output and shares its state with both neighbours. The difference of neighbouring
    channels, rectified, is smoothed and decimated. The two front filters take part in the gain control and the
    first difference and are then dropped. Nothing is remembered from sound to sound.

    Parameters
    ----------
    rate : Quantity (hertz)
        Sampling rate of the sounds.
    decimation : int
        Samples a frame. Frames are smoothed by two poles with a time constant of three frames; with 1 every
        sample is a frame and nothing is smoothed.
    quality : float
        Centre frequency over bandwidth at high frequencies, above 0.5.
    step : float, optional
        Distance of neighbouring channels in bandwidths; quality / 32 if None.

    Attributes
    ----------
    n_channels : int
        With the default quality and step 64 at 8 kHz, 78 at 12.5 kHz, 86 at 16 kHz and 93 at 20 kHz.
    centre_frequencies : Quantity (hertz) of shape (n_channels,)
        The tones that excite each channel most, from high to low: the poles of the stage above, since channel n is
        stage n - 1 minus stage n. (The toolbox gives the stage below, one step lower.)
    sections : array of shape (n_channels + 2, 6)
        The two front filters and the cascade as second-order sections of `scipy.signal`.
    frame : Quantity (second)
        Duration of a frame.

    Raises
    ------
    brian2.DimensionMismatchError
        If `rate` is not a frequency.
    ValueError
        If an argument is out of range, or the rate leaves no room for two channels.

    References
    ----------
    .. [1] Lyon (1982), A computational model of filtering, detection, and compression in the cochlea, ICASSP.
    .. [2] Slaney (1998), Auditory Toolbox version 2, Interval Research technical report 1998-010.
    """

    def __init__(self, rate: Quantity = 8 * kHz, decimation: int = 10, quality: float = 8.0, step: float | None = None):
        fail_for_dimension_mismatch(rate, Hz, "rate must be a frequency, for example 8*kHz")
        hertz = float(rate)
        if not 0 < hertz < np.inf:
            raise ValueError(f"rate must be positive and finite, got {rate}.")
        if isinstance(decimation, bool) or decimation != int(decimation) or decimation < 1:
            raise ValueError(f"decimation must be a whole number of samples, at least 1, got {decimation!r}.")
        if not 0.5 < quality < np.inf:
            raise ValueError(f"quality must be above 0.5 and finite, got {quality!r}.")
        step = quality / 32 if step is None else step
        if not 0 < step < np.inf:
            raise ValueError(f"step must be positive and finite, got {step!r}.")
        self.rate, self.decimation, self.quality, self.step = rate, int(decimation), quality, step
        centres, self.sections = _design(hertz, quality, step)
        self.n_channels = len(centres)
        self.centre_frequencies = centres * Hz
        self.frame = self.decimation / hertz * second
        self._smoothing = _SMOOTHING * self.decimation / hertz
        slowest = quality / (np.pi * _BREAK)  # decay of the stages of low frequency
        self._ring = int(_RING * max(slowest, self._smoothing) * hertz)

    def __repr__(self) -> str:
        return f"LyonEar(rate={self.rate}, decimation={self.decimation}, quality={self.quality}, step={self.step})"

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """Hear one sound.

        Parameters
        ----------
        sound : float array of shape (n_samples,)
            Full scale is -1 to 1.

        Returns
        -------
        float32 array of shape (n_samples // decimation, n_channels)
            Activity of the nerve at the end of each frame, not negative, of arbitrary unit (about 0.0004, the
            target of the fastest gain control, where a sound lasts).

        Raises
        ------
        TypeError, ValueError
            If the sound is not one channel of floats, holds NaN, is out of scale, or is shorter than a frame.
        """
        sound = _checked(sound, "sound")
        n_frames = len(sound) // self.decimation
        if not n_frames:
            raise ValueError(
                f"sound has {len(sound)} samples, but a frame takes {self.decimation}. "
                "Use a longer sound, or transform, which pads it."
            )
        return self._hear([sound], n_frames)[0]

    def transform(self, sounds: Sequence[np.ndarray], n_frames: int = 1500) -> np.ndarray:
        """Hear many sounds, each for the same time.

        Parameters
        ----------
        sounds : sequence of float array of shape (n_samples,)
            Full scale is -1 to 1. Longer sounds are cut, shorter ones are followed by silence, in which the ear
            rings out.
        n_frames : int
            Frames to hear of each.

        Returns
        -------
        float32 array of shape (n_sounds, n_frames, n_channels)
            For each sound what `ear(sound)` gives; it does not depend on the other sounds.

        Raises
        ------
        TypeError, ValueError
            If there are no sounds, `n_frames` is below 1, or a sound is not as in `ear(sound)` or empty.
        """
        if isinstance(n_frames, bool) or n_frames != int(n_frames) or n_frames < 1:
            raise ValueError(f"n_frames must be a whole number, at least 1, got {n_frames!r}.")
        if isinstance(sounds, np.ndarray) and sounds.ndim == 1 and sounds.dtype != object:
            raise ValueError("transform takes a list of sounds, got one sound. Pass [sound], or call the ear itself.")
        checked = [_checked(sound, f"sounds[{k}]") for k, sound in enumerate(sounds)]
        if not checked:
            raise ValueError("sounds is empty: there is nothing to hear.")
        heard = np.empty((len(checked), int(n_frames), self.n_channels), np.float32)
        order = sorted(range(len(checked)), key=lambda k: len(checked[k]))
        for first in range(0, len(order), _BLOCK):
            block = order[first : first + _BLOCK]
            heard[block] = self._hear([checked[k] for k in block], int(n_frames))
        return heard

    def filter(self, sound: np.ndarray) -> np.ndarray:
        """Return the movement of the membrane: the linear part, before rectification.

        Parameters
        ----------
        sound : float array of shape (n_samples,)

        Returns
        -------
        array of shape (n_samples, n_channels)
            Output of each stage of the cascade.

        Raises
        ------
        TypeError, ValueError
            If the sound is not one channel of floats, holds NaN, is out of scale, or is empty.
        """
        return _cascade(self.sections, _checked(sound, "sound")[None, :])[:, _N_FRONT:, 0]

    def _hear(self, sounds: list[np.ndarray], n_frames: int) -> np.ndarray:
        ends = [min(n_frames, -(-(len(sound) + self._ring) // self.decimation)) for sound in sounds]
        wave = np.zeros((len(sounds), max(ends) * self.decimation))
        for row, sound in zip(wave, sounds, strict=True):
            row[: len(sound)] = sound[: len(row)]
        nerve = _cascade(self.sections, wave)
        np.maximum(nerve, 0, out=nerve)
        _control_gain(nerve, float(self.rate))
        heard = np.zeros((len(sounds), n_frames, self.n_channels), np.float32)
        for k in range(self.n_channels):  # the resonator is the neighbour above the first channel
            heard[:, : max(ends), k] = self._frames(np.maximum(nerve[:, k + 1] - nerve[:, k + 2], 0)).T
        for k, end in enumerate(ends):
            heard[k, end:] = 0
        return heard

    def _frames(self, activity: np.ndarray) -> np.ndarray:
        """Smooth and decimate one channel of shape (n_samples, n_sounds)."""
        if self.decimation == 1:
            return activity
        leak = _leak(self._smoothing, float(self.rate))
        smooth = lfilter([0, 0, leak**2], [1, 2 * (leak - 1), (1 - leak) ** 2], activity, axis=0)
        return smooth[self.decimation - 1 :: self.decimation]


def firing_gain(
    frames: np.ndarray, rate: Quantity = 64 * Hz, dt: Quantity = 0.5 * ms, percentile: float = 99.5
) -> float:
    """Return the gain at which the loud parts of the training sounds fire at a given rate.

    Parameters
    ----------
    frames : array of any shape
        What the ear made of the training sounds, silences included.
    rate : Quantity (hertz)
        Firing rate at the percentile.
    dt : Quantity (second)
        Time step of the simulation; a frame is shown for one step.
    percentile : float
        In (0, 100].

    Returns
    -------
    float
        Firing probability a step per unit of `frames`, for `firing_probability`.

    Raises
    ------
    brian2.DimensionMismatchError
        If `rate` or `dt` has another unit.
    ValueError
        If an argument is out of range, or the percentile is zero since almost all is silence.

    References
    ----------
    .. [1] Rathi (2021), chapter 3: cochlear outputs as firing probabilities of Poisson inputs.
    """
    fail_for_dimension_mismatch(rate, Hz, "rate must be a rate, for example 64*Hz")
    fail_for_dimension_mismatch(dt, second, "dt must be a time, for example 0.5*ms")
    probability = float(rate * dt)
    if not (0 < probability <= 1 and float(rate) > 0):
        raise ValueError(f"rate * dt must be in (0, 1], got {rate} * {dt}.")
    if not 0 < percentile <= 100:
        raise ValueError(f"percentile must be in (0, 100], got {percentile!r}.")
    level = float(np.percentile(_activity(frames), percentile))
    if level <= 0:
        raise ValueError(f"At least {percentile} % of the frames are silent, which sets no gain. Hear fewer frames.")
    return probability / level


def firing_probability(frames: np.ndarray, gain: float) -> np.ndarray:
    """Scale the activity of the nerve to firing probabilities a time step, min(1, gain * frames).

    Parameters
    ----------
    frames : array of any shape
        What the ear made of sounds.
    gain : float
        From `firing_gain` on the training sounds; the same for the test.

    Returns
    -------
    float32 array of the shape of `frames`
        In [0, 1].

    Raises
    ------
    ValueError
        If `gain` is not positive, or `frames` is empty, negative or NaN.
    """
    if not 0 < gain < np.inf:
        raise ValueError(f"gain must be positive and finite, got {gain!r}.")
    return np.minimum(_activity(frames) * np.float32(gain), 1).astype(np.float32)


def _design(rate: float, quality: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre frequencies of the channels (hertz) and second-order sections, from high to low; reference 2."""
    bandwidth = lambda f: np.hypot(f, _BREAK) / quality  # noqa: E731
    place = lambda f: quality / step * np.log(f + np.hypot(f, _BREAK))  # noqa: E731  in steps
    low = _BREAK / np.sqrt(4 * quality**2 - 1)  # poles are no longer a pair below
    top = rate / 2 - bandwidth(rate / 2) * step * (_ZERO_OFFSET - 1)
    n_channels = int(place(top) - place(low)) if top > low else 0
    if n_channels < 2:
        raise ValueError(
            f"rate={rate:g} Hz leaves room for {n_channels} channels of quality {quality} at step {step}, "
            "but two are needed. Take a higher rate or a smaller step."
        )
    centres = _BREAK * np.sinh(np.arcsinh(top / _BREAK) - step / quality * np.arange(n_channels + 1))
    poles, width = centres[1:], bandwidth(centres[1:])
    zeros = poles + step * _ZERO_OFFSET * width
    stages = np.hstack([_pair(zeros, _SHARPNESS * zeros / width, rate), _pair(poles, poles / width, rate)])
    ratio = poles[:-1] / poles[1:]
    stages[:, :3] *= np.concatenate([ratio[:1], ratio])[:, None] / _magnitude(stages, 0)[:, None]

    pre_emphasis = [0, 1, -np.exp(-2 * np.pi * _PRE_EMPHASIS / rate), 1, 0, 0]
    resonator = [1, 0, -1, *_pair(top, poles[0] / width[0], rate)]
    front = np.array([pre_emphasis, resonator])
    front[:, :3] /= _magnitude(front, 1 / 4)[:, None]
    return centres[:-1], np.vstack([front, stages])


def _pair(f: Any, q: Any, rate: float) -> np.ndarray:
    """Polynomial in 1/z whose roots are those of a resonance at f (hertz) of quality q."""
    radius = np.exp(-np.pi * f / (rate * q))
    angle = 2 * np.pi * f / rate * np.sqrt(np.maximum(1 - 1 / (4 * q**2), 0))
    return np.stack([np.ones_like(radius), -2 * radius * np.cos(angle), radius**2], axis=-1)


def _magnitude(sections: np.ndarray, f: float) -> np.ndarray:
    """Gain of each section at f, a fraction of the sampling rate."""
    delays = np.exp(-2j * np.pi * f * np.arange(3))
    return np.abs(sections[:, :3] @ delays) / np.abs(sections[:, 3:] @ delays)


def _cascade(sections: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """Output of every section in turn: (n_sounds, n_samples) -> (n_samples, n_sections, n_sounds)."""
    moved = np.empty((wave.shape[1], len(sections), wave.shape[0]))
    for k, section in enumerate(sections):
        wave = lfilter(section[:3], section[3:], wave)
        moved[:, k] = wave.T
    return moved


def _control_gain(nerve: np.ndarray, rate: float) -> None:
    """Run the four gain controls over `nerve` (n_samples, n_channels, n_sounds), in place.

    With input x and state s of channel n, each control gives y_n = x_n (1 - s_n) and moves to
    s_n <- min(0.9, leak / target * y_n + (1 - leak) (s_(n-1) + s_n + s_(n+1)) / 3); the channels at both ends are
    their own neighbours. All four work at once, each one sample behind the one before it. Inputs are kept in units
    of target / leak.
    """
    n_samples, n_channels, n_sounds = nerve.shape
    n_stages = len(_TAUS)
    leak = _leak(_TAUS, rate)
    scale = (leak / _TARGETS)[:, None, None]
    share = ((1 - leak) / 3)[:, None, None]
    rescale = scale[1:] / scale[:-1]

    padded = np.zeros((n_stages, n_channels + 2, n_sounds))
    above, state, below = padded[:, :-2], padded[:, 1:-1], padded[:, 2:]
    ends, next_to_ends = padded[:, :: n_channels + 1], padded[:, 1 :: n_channels - 1]
    x, y, new = np.zeros((3, n_stages, n_channels, n_sounds))
    first, later, passed_on, last = x[0], x[1:], y[:-1], y[-1]
    nerve *= scale[0]
    for sample in range(n_samples + n_stages - 1):
        if sample < n_samples:
            first[...] = nerve[sample]
        np.subtract(1, state, y)
        np.multiply(x, y, y)
        np.add(above, state, new)
        np.add(new, below, new)
        np.multiply(new, share, new)
        np.add(new, y, new)
        np.minimum(new, _LIMIT, state)
        ends[...] = next_to_ends
        np.multiply(passed_on, rescale, later)
        if sample >= n_stages - 1:
            nerve[sample - n_stages + 1] = last
    nerve /= scale[-1]


def _leak(tau: Any, rate: float) -> Any:
    """Share that a state of time constant tau (seconds) loses in a sample."""
    return -np.expm1(-1 / (tau * rate))


def _checked(sound: Any, who: str) -> np.ndarray:
    sound = np.asarray(sound)
    if sound.ndim != 1:
        raise ValueError(f"{who} must have one channel, shape (n_samples,), got {sound.shape}. Average its channels.")
    if sound.dtype.kind != "f":
        raise TypeError(f"{who} must hold floats of full scale -1 to 1, got {sound.dtype}. Divide 16 bits by 32768.")
    if not sound.size:
        raise ValueError(f"{who} holds no samples.")
    if not np.isfinite(sound).all():
        raise ValueError(f"{who} holds NaN or infinite samples. Drop or repair it.")
    peak = float(np.abs(sound).max())
    if peak > 2:  # room for the overshoot of resampling
        raise ValueError(f"{who} reaches {peak:g}, but full scale is -1 to 1. Divide 16 bits by 32768.")
    return sound


def _activity(frames: Any) -> np.ndarray:
    frames = np.asarray(frames)
    if not frames.size:
        raise ValueError("frames is empty.")
    if not frames.min() >= 0 or not np.isfinite(frames.max()):
        raise ValueError("frames must not be negative, infinite or NaN. Pass what the ear returned.")
    return frames
