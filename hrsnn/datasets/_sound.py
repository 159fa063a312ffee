"""Decode sound files: WAV (8 to 32 bits, float, any number of channels) and NIST SPHERE."""

import io
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np


def read_sound(path: Path | str, rate: Any = None) -> tuple[np.ndarray, int]:
    """Read a WAV or NIST SPHERE file of any rate as one channel.

    Parameters
    ----------
    path : path
        The file; its format is recognised by its content.
    rate : Quantity (hertz) or int, optional
        Resample to this rate, such as that of an ear: ``8*kHz`` or 8000; the file's own if None.

    Returns
    -------
    samples : float32 array of shape (n_samples,)
        Full scale is -1 to 1; channels are averaged. Silence is allowed.
    rate : int
        Samples per second.

    Raises
    ------
    ValueError
        If the file is damaged, truncated, empty, of another format, or holds NaN, or the rate is below 1 Hz.
    brian2.DimensionMismatchError
        If the rate is a Quantity, but no frequency.
    """
    if isinstance(rate, (int, np.integer)):
        from brian2 import Hz

        rate = int(rate) * Hz
    rate = None if rate is None else hertz(rate, 0)
    return decode(Path(path).read_bytes(), str(path), rate)


def decode(raw: bytes, who: str, rate: int | None = None) -> tuple[np.ndarray, int]:
    """Decode the content of a sound file; errors begin with `who`. See `read_sound`."""
    try:
        if raw[:4] == b"RIFF":
            samples, own_rate = _decode_wav(raw)
        elif raw[:7] == b"NIST_1A":
            samples, own_rate = _decode_sphere(raw)
        else:
            raise ValueError(f"it starts with {raw[:8]!r}, which is neither WAV nor NIST SPHERE")
        if samples.ndim > 1:
            samples = samples.mean(axis=1, dtype=np.float32)
        if not len(samples):
            raise ValueError("it holds no samples")
        if own_rate < 1:
            raise ValueError(f"its sample rate is {own_rate}")
        if not np.isfinite(samples).all():
            raise ValueError("it holds NaN or infinite samples")
    except ValueError as error:
        raise ValueError(f"{who} cannot be read: {error}. Get it again, or convert it to WAV.") from error
    if rate is None or rate == own_rate:
        return samples, own_rate
    return _resample(samples, own_rate, rate), rate


def hertz(rate: Any, default: int) -> int:
    """Return a sampling rate in whole hertz."""
    if rate is None:
        return default
    from brian2 import Hz
    from brian2.units.fundamentalunits import fail_for_dimension_mismatch

    fail_for_dimension_mismatch(rate, Hz, "rate must be a frequency, for example 8*kHz.")
    whole = round(float(rate / Hz))
    if whole < 1:
        raise ValueError(f"rate must be at least 1 Hz, got {rate}.")
    return whole


def _resample(samples: np.ndarray, old: int, new: int) -> np.ndarray:
    from scipy.signal import resample_poly

    common = math.gcd(old, new)
    return resample_poly(samples, new // common, old // common).astype(np.float32)


def _decode_wav(raw: bytes) -> tuple[np.ndarray, int]:
    import warnings

    from scipy.io import wavfile

    position = 12
    while raw[position : position + 4] != b"data":
        if position + 8 > len(raw):
            raise ValueError("it has no data chunk: truncated")
        position += 8 + (struct.unpack_from("<I", raw, position + 4)[0] + 1) // 2 * 2
    if position + 8 > len(raw):
        raise ValueError("it ends in the header of its data: truncated")
    announced = struct.unpack_from("<I", raw, position + 4)[0]
    if announced > len(raw) - position - 8:
        raise ValueError(f"its header announces {announced} bytes of data, but {len(raw) - position - 8} follow")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks of other programs
        try:
            rate, data = wavfile.read(io.BytesIO(raw[: position + 8 + announced]))
        except (struct.error, UnboundLocalError, ZeroDivisionError) as error:
            raise ValueError(f"its header is damaged ({error})") from error
    if data.dtype == np.uint8:
        return (data.astype(np.float32) - 128) / 128, rate
    if data.dtype.kind == "i":  # 24 bits come in the upper bytes of 32
        return (data / -float(np.iinfo(data.dtype).min)).astype(np.float32), rate
    return data.astype(np.float32), rate


def _decode_sphere(raw: bytes) -> tuple[np.ndarray, int]:
    try:
        size = int(raw[8:16])
    except ValueError as error:
        raise ValueError("its SPHERE header gives no size") from error
    fields = {}
    for line in raw[16:size].split(b"end_head")[0].decode("latin-1").splitlines():
        words = line.split(maxsplit=2)
        if len(words) == 3:
            fields[words[0]] = words[2].strip()
    try:
        rate, count = int(fields["sample_rate"]), int(fields["sample_count"])
        channels, width = int(fields.get("channel_count", 1)), int(fields["sample_n_bytes"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"its SPHERE header lacks or garbles {error}") from error
    coding = fields.get("sample_coding", "pcm")
    if coding not in ("pcm", "ulaw", "mu-law") or width != (2 if coding == "pcm" else 1):
        raise ValueError(f"its coding is {coding} of {width} bytes; expand it first (sph2pipe, w_decode)")
    data = raw[size:]
    if len(data) < count * channels * width:
        raise ValueError(f"its header announces {count * channels * width} bytes of data, but {len(data)} follow")
    if coding == "pcm":
        order = ">i2" if fields.get("sample_byte_format") == "10" else "<i2"
        samples = np.frombuffer(data, order, count * channels) / np.float32(2**15)
    else:
        samples = _expand_mu_law(np.frombuffer(data, np.uint8, count * channels))
    return samples.astype(np.float32).reshape(count, channels), rate


def _expand_mu_law(code: np.ndarray) -> np.ndarray:
    """ITU-T G.711: complemented bits are sign, 3 of exponent, 4 of mantissa."""
    bits = ~code
    size = (((bits & 15).astype(np.int32) << 3) + 132 << (bits >> 4 & 7)) - 132
    return np.where(bits & 128, -size, size) / np.float32(2**15)
