"""Event recordings: N-MNIST and Spiking Heidelberg Digits; counting and pooling of events.

A recording is a structured array with the fields ``t`` (seconds from its start, ascending) and ``unit`` (the
input channel). For cameras ``unit`` counts through (polarity, y, x): ``np.unravel_index(e["unit"], shape)``.
"""

import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hrsnn.datasets._archives import members
from hrsnn.datasets._files import locate

EventSplit = tuple[list[np.ndarray], list[np.ndarray], np.ndarray, np.ndarray]

EVENT = np.dtype([("t", "f8"), ("unit", "i4")])
NMNIST_SHAPE = (2, 34, 34)
SHD_UNITS = 700

_NMNIST_URL = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/{}/file_downloaded"
_NMNIST = {
    "Train": ("39c25547-014b-4137-a934-9d29fa53c7a0", "md5:20959b8e626244a1b502305a9e6e2031"),
    "Test": ("05a4d654-7e03-4c15-bdfa-9bb2bcbea494", "md5:69ca8762b2fe404d9b9bad1103e97832"),
}
_SHD_URLS = ("https://zenkelab.org/datasets/", "https://compneuro.net/datasets/")
_SHD_HASH = {"train": "md5:f3252aeb598ac776c1b526422d90eecb", "test": "md5:1503a5064faa34311c398fb0a1ed0a6f"}


def make_events(t: ArrayLike, unit: ArrayLike) -> np.ndarray:
    """Join times and units to one recording, sorted by time.

    Parameters
    ----------
    t : array of shape (n_events,)
        Times in seconds, at least 0.
    unit : array of shape (n_events,)
        Input channels, at least 0.

    Returns
    -------
    structured array of shape (n_events,)
        Fields ``t`` and ``unit``.

    Raises
    ------
    ValueError
        If the lengths differ or a value is negative or not finite.
    """
    t, unit = np.asarray(t, dtype=float), np.asarray(unit)
    if t.ndim != 1 or t.shape != unit.shape:
        raise ValueError(f"t and unit must be of one length, got shapes {t.shape} and {unit.shape}.")
    if not (np.isfinite(t).all() and (t >= 0).all()):
        raise ValueError("t must be finite and at least 0.")
    if len(unit) and unit.min() < 0:
        raise ValueError(f"unit must be at least 0, got {unit.min()}.")
    order = np.argsort(t, kind="stable")
    events = np.empty(len(t), EVENT)
    events["t"], events["unit"] = t[order], unit[order]
    return events


def bin_events(events: np.ndarray, n_units: int, n_bins: int, duration: Any) -> np.ndarray:
    """Count the events of each unit in equal bins of time.

    Parameters
    ----------
    events : structured array
        A recording.
    n_units, n_bins : int
        Number of input channels and of bins.
    duration : Quantity (second)
        Time covered by the bins; later events are left out.

    Returns
    -------
    int array of shape (n_bins, n_units)
        The counts.

    Raises
    ------
    ValueError
        If a unit is not below `n_units` or a size is not positive.
    """
    seconds = to_seconds(duration)
    if n_units < 1 or n_bins < 1 or seconds <= 0:
        raise ValueError(f"n_units, n_bins and duration must be positive, got {n_units}, {n_bins}, {duration}.")
    if len(events) and events["unit"].max() >= n_units:
        raise ValueError(f"unit {events['unit'].max()} does not exist among n_units={n_units}.")
    inside = events[events["t"] < seconds]
    bins = (inside["t"] * (n_bins / seconds)).astype(int).clip(max=n_bins - 1)
    return np.bincount(bins * n_units + inside["unit"], minlength=n_bins * n_units).reshape(n_bins, n_units)


def pool_events(events: np.ndarray, shape: tuple[int, int, int], factor: int) -> np.ndarray:
    """Merge squares of `factor` x `factor` pixels to one, for smaller networks.

    Parameters
    ----------
    events : structured array
        A camera recording of (polarity, y, x) = `shape`.
    shape : tuple of int
        Polarities, height, width.
    factor : int
        Side of the squares.

    Returns
    -------
    structured array
        The same events on the shape ``(shape[0], ceil(shape[1] / factor), ceil(shape[2] / factor))``.

    Raises
    ------
    ValueError
        If `factor` is below 1 or a unit lies outside `shape`.
    """
    if factor < 1:
        raise ValueError(f"factor must be at least 1, got {factor!r}.")
    p, y, x = np.unravel_index(events["unit"], shape)
    pooled = events.copy()
    pooled["unit"] = (p * -(-shape[1] // factor) + y // factor) * -(-shape[2] // factor) + x // factor
    return pooled


def read_nmnist(raw: bytes) -> np.ndarray:
    """Decode one N-MNIST recording (the content of a .bin file).

    Parameters
    ----------
    raw : bytes
        Five bytes an event: x, y, polarity (one bit) and time in microseconds (23 bits).

    Returns
    -------
    structured array
        The recording, units of `NMNIST_SHAPE`.

    Raises
    ------
    ValueError
        If the size is not a multiple of five or a pixel lies outside 34 x 34.

    References
    ----------
    .. [1] Orchard, Jayawant, Cohen, Thakor (2015), Converting static image datasets to spiking neuromorphic
       datasets using saccades, Front. Neurosci. 9:437.
    """
    if len(raw) % 5:
        raise ValueError(f"it has {len(raw)} bytes, not a multiple of 5: truncated, or not N-MNIST")
    e = np.frombuffer(raw, np.uint8).reshape(-1, 5).astype(np.int64)
    x, y, polarity = e[:, 0], e[:, 1], e[:, 2] >> 7
    t = (e[:, 2] & 127) << 16 | e[:, 3] << 8 | e[:, 4]
    overflow = y == 240  # not an event: the clock of the recorder ran over by 2^13 microseconds
    t = (t + (1 << 13) * np.cumsum(overflow))[~overflow]
    x, y, polarity = x[~overflow], y[~overflow], polarity[~overflow]
    if len(x) and max(x.max(), y.max()) >= NMNIST_SHAPE[1]:
        raise ValueError(f"it has an event at pixel ({x.max()}, {y.max()}), outside 34 x 34: not N-MNIST")
    return make_events(t * 1e-6, np.ravel_multi_index((polarity, y, x), NMNIST_SHAPE))


def nmnist(
    folder: str | os.PathLike | None = None, n_train: int | None = None, n_test: int | None = None
) -> EventSplit:
    """Load N-MNIST: digits of MNIST seen by an event camera that makes three saccades in 0.3 s.

    Parameters
    ----------
    folder : path, optional
        Folder with ``Train`` and ``Test`` (unpacked or ``.zip``) or with ``nmnist-sample.tar.xz``. By default
        ``HRSNN_DATA`` (also its subfolder ``nmnist``), the cache, or a download (1.2 GB, checked).
    n_train, n_test : int, optional
        Take only the recordings of the first so many images of MNIST.

    Returns
    -------
    X_train, X_test : list of structured array
        Recordings in the order of MNIST, units of `NMNIST_SHAPE`.
    y_train, y_test : int array
        The digits.

    Raises
    ------
    FileNotFoundError
        If there are no recordings.
    ValueError
        If a file is damaged; it is named.
    """
    parts = []
    for part, limit in (("Train", n_train), ("Test", n_test)):
        key, known_hash = _NMNIST[part]
        names = (f"{part}.zip", part, "nmnist-sample.tar.xz")
        url = _NMNIST_URL.format(key)
        path = locate(names, folder, title="N-MNIST", subset="nmnist", urls=[url], known_hash=known_hash)
        parts.append(_nmnist_part(path, part, limit))
    (X_train, y_train), (X_test, y_test) = parts
    return X_train, X_test, y_train, y_test


def _nmnist_part(path: Path, part: str, limit: int | None) -> tuple[list[np.ndarray], np.ndarray]:
    pattern = re.compile(rf"(?:.*/)?{part}/(\d)/(\d+)\.bin")

    def wanted(name: str) -> bool:
        match = pattern.fullmatch(name)
        return match is not None and (limit is None or int(match[2]) <= limit)

    found = []
    for name, raw in members(path.parent if path.is_dir() else path, wanted):
        label, number = map(int, pattern.fullmatch(name).groups())  # type: ignore[union-attr]
        try:
            found.append((number, label, read_nmnist(raw)))
        except ValueError as error:
            raise ValueError(f"N-MNIST: {name} in {path} is damaged: {error}. Get it again.") from error
    if not found:
        raise FileNotFoundError(f"N-MNIST: {path} holds no recordings {part}/<digit>/<number>.bin.")
    found.sort(key=lambda item: item[0])
    return [events for _, _, events in found], np.array([label for _, label, _ in found])


def shd(folder: str | os.PathLike | None = None) -> EventSplit:
    """Load the Spiking Heidelberg Digits: spoken digits (German and English) through a model of the cochlea.

    Parameters
    ----------
    folder : path, optional
        Folder with ``shd_train.h5`` and ``shd_test.h5`` (plain or ``.zip``). By default ``HRSNN_DATA`` (also
        its subfolder ``shd``), the cache, or a download (checked). Two of the twelve speakers are in the
        test set only.

    Returns
    -------
    X_train, X_test : list of structured array
        Recordings of 700 units.
    y_train, y_test : int array
        0 to 9: German digits, 10 to 19: English.

    Raises
    ------
    FileNotFoundError
        If a file is missing and cannot be downloaded.
    ValueError
        If a file does not have the layout of the set.

    References
    ----------
    .. [1] Cramer, Stradmann, Schemmel, Zenke (2022), The Heidelberg spiking data sets, IEEE TNNLS 33:2744.
    """
    parts = []
    for part in ("train", "test"):
        name = f"shd_{part}.h5"
        urls = [f"{url}{name}.zip" for url in _SHD_URLS]
        path = locate((f"{name}.zip", name), folder, title="SHD", subset="shd", urls=urls, known_hash=_SHD_HASH[part])
        parts.append(read_shd(path))
    return parts[0][0], parts[1][0], parts[0][1], parts[1][1]


def read_shd(path: str | os.PathLike) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Read one file in the layout of the Spiking Heidelberg Digits.

    Parameters
    ----------
    path : path
        HDF5 with ``spikes/times`` (seconds), ``spikes/units`` (one array a recording), ``labels`` and
        optionally ``extra/speaker``; or a zip of it.

    Returns
    -------
    X : list of structured array
        The recordings.
    y : int array of shape (n_samples,)
        The labels.
    speakers : int array of shape (n_samples,)
        The speakers; -1 where the file names none.

    Raises
    ------
    ValueError
        If the file is not HDF5, lacks a field, or its fields do not fit together.
    """
    import h5py

    path = Path(path)
    source: Any = path
    if path.suffix == ".zip":
        raw = [raw for _, raw in members(path, lambda name: name.endswith(".h5"))]
        if len(raw) != 1:
            raise ValueError(f"{path} must hold one .h5 file, it holds {len(raw)}.")
        source = io.BytesIO(raw[0])
    try:
        with h5py.File(source, "r") as file:
            times, units = list(file["spikes/times"]), list(file["spikes/units"])
            y = np.asarray(file["labels"]).astype(np.int64)
            speakers = np.asarray(file.get("extra/speaker", np.full(len(y), -1))).astype(np.int64)
    except KeyError as error:
        raise ValueError(f"{path} lacks a field of SHD (spikes/times, spikes/units, labels): {error}.") from error
    except OSError as error:
        raise ValueError(f"{path} is not a readable HDF5 file ({error}). Get it again.") from error
    if not len(times) == len(units) == len(y) == len(speakers):
        raise ValueError(
            f"{path}: {len(times)} times, {len(units)} units, {len(y)} labels and {len(speakers)} speakers "
            "do not belong together."
        )
    X = []
    for k, (t, unit) in enumerate(zip(times, units, strict=True)):
        try:
            X.append(make_events(t, np.asarray(unit).astype(np.int64)))
        except ValueError as error:
            raise ValueError(f"{path}: recording {k} is damaged: {error}") from error
    return X, y, speakers


def write_shd(path: str | os.PathLike, X: list[np.ndarray], y: ArrayLike, speakers: ArrayLike | None = None) -> None:
    """Write recordings in the layout that `read_shd` reads.

    Parameters
    ----------
    path : path
        The file to write.
    X : list of structured array
        The recordings.
    y, speakers : int array of shape (n_samples,)
        Labels and (optionally) speakers.
    """
    import h5py

    with h5py.File(path, "w") as file:
        for name, field, kind in (("times", "t", np.float32), ("units", "unit", np.uint16)):
            data = file.create_dataset(f"spikes/{name}", len(X), h5py.vlen_dtype(kind))
            for k, events in enumerate(X):
                data[k] = events[field].astype(kind)
        file["labels"] = np.asarray(y, np.uint16)
        if speakers is not None:
            file["extra/speaker"] = np.asarray(speakers, np.uint16)


def to_seconds(value: Any) -> float:
    """Return a Quantity of time as a number of seconds."""
    from brian2 import second
    from brian2.units.fundamentalunits import fail_for_dimension_mismatch

    fail_for_dimension_mismatch(value, second, "duration must be a time, for example 0.3*second.")
    return float(value / second)
