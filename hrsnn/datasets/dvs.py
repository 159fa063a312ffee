"""DVS128 Gesture and the AEDAT 3.1 files it is made of."""

import csv
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from hrsnn.datasets._files import locate
from hrsnn.datasets.events import EventSplit, make_events, pool_events, to_seconds

DVS_SHAPE = (2, 128, 128)
_HEADER = np.dtype(
    [("type", "<i2"), ("source", "<i2")]
    + [(name, "<i4") for name in ("size", "offset", "overflow", "capacity", "number", "valid")]
)


def read_aedat(path: str | os.PathLike) -> np.ndarray:
    """Read the polarity events of an AEDAT 3.1 file of a 128 x 128 camera.

    Parameters
    ----------
    path : path
        The file, raw format (not compressed).

    Returns
    -------
    structured array
        The recording, units of `DVS_SHAPE`; ``t`` is the camera's clock in seconds.

    Raises
    ------
    ValueError
        If the file is not AEDAT 3.1, is truncated, or a pixel lies outside 128 x 128.

    References
    ----------
    .. [1] iniVation, AEDAT file formats, version 3.1: text header; packets of a header of 28 bytes (type,
       source, event size, offset of the time stamp, its overflow, capacity, number, valid) and events;
       a polarity event is x (15 bits), y (15), polarity, valid, and 32 bits of microseconds.
    """
    path = Path(path)
    raw = path.read_bytes()
    end = raw.find(b"#!END-HEADER")
    start = raw.find(b"\n", end) + 1
    if not raw.startswith(b"#!AER-DAT3.1") or end < 0 or start == 0:
        raise ValueError(f"{path} is not an AEDAT 3.1 file: it starts with {raw[:14]!r}.")
    form = re.search(rb"#Format: *(\S+)", raw[:end])
    if form is not None and form[1] != b"RAW":
        raise ValueError(f"{path} is AEDAT 3.1 in format {form[1].decode()}; only RAW can be read.")
    words, times = [np.empty(0, np.int64)], [np.empty(0)]
    while start < len(raw):
        packet = np.frombuffer(raw, _HEADER, 1, start)[0] if len(raw) - start >= _HEADER.itemsize else None
        size = 0 if packet is None else int(packet["size"]) * int(packet["capacity"])
        if packet is None or size < 0 or start + _HEADER.itemsize + size > len(raw):
            raise ValueError(f"{path} is truncated or damaged: the packet at byte {start} is not complete.")
        if packet["type"] == 1:  # polarity events; others (special, inertial) are skipped
            if packet["size"] != 8 or not 0 <= packet["number"] <= packet["capacity"]:
                raise ValueError(f"{path} is damaged: the packet at byte {start} has a wrong header.")
            event = np.frombuffer(raw, "<u4", 2 * int(packet["number"]), start + _HEADER.itemsize).reshape(-1, 2)
            event = event[event[:, 0] & 1 == 1]
            words.append(event[:, 0].astype(np.int64))
            times.append(event[:, 1] + (int(packet["overflow"]) << 31))
        start += _HEADER.itemsize + size
    word = np.concatenate(words)
    polarity, y, x = word >> 1 & 1, word >> 2 & 0x7FFF, word >> 17 & 0x7FFF
    if len(word) and max(x.max(), y.max()) >= DVS_SHAPE[1]:
        raise ValueError(f"{path} has an event at pixel ({x.max()}, {y.max()}), outside 128 x 128.")
    return make_events(np.concatenate(times) * 1e-6, np.ravel_multi_index((polarity, y, x), DVS_SHAPE))


def dvs_gesture(folder: str | os.PathLike | None = None, duration: Any = None, pool: int = 1) -> EventSplit:
    """Load DVS128 Gesture: eleven hand and arm gestures seen by an event camera.

    Parameters
    ----------
    folder : path, optional
        The folder ``DvsGesture``, or the one that holds it: files ``userNN_LIGHT.aedat``, each with
        ``userNN_LIGHT_labels.csv``. By default ``HRSNN_DATA`` or its subfolder ``dvs_gesture``. The set must
        be fetched by hand (research.ibm.com/interactive/dvsgesture).
    duration : Quantity (second), optional
        Cut each gesture after that time.
    pool : int
        Merge squares of so many pixels a side, see `pool_events`.

    Returns
    -------
    X_train, X_test : list of structured array
        Gestures, time from the start of each; units of `DVS_SHAPE`, or of its pooled shape.
    y_train, y_test : int array
        Class of the label file minus one, 0 to 10. Users 1 to 23 train, the others test; or as
        ``trials_to_train.txt`` and ``trials_to_test.txt`` say.

    Raises
    ------
    FileNotFoundError
        If the recordings or a label file are missing.
    ValueError
        If a file is damaged.

    References
    ----------
    .. [1] Amir et al. (2017), A low power, fully event-based gesture recognition system, CVPR.
    """
    limit = np.inf if duration is None else to_seconds(duration)
    if limit <= 0:
        raise ValueError(f"duration must be positive, got {duration}.")
    root = Path(folder) if folder is not None and any(Path(folder).glob("user*.aedat")) else None
    root = root or locate("DvsGesture", folder, title="DVS128 Gesture", subset="dvs_gesture")
    files = sorted(root.glob("user*.aedat"))
    if not files:
        raise FileNotFoundError(f"DVS128 Gesture: {root} holds no userNN_LIGHT.aedat.")
    chosen = {}
    for part in ("train", "test"):
        table = root / f"trials_to_{part}.txt"
        if table.is_file():
            chosen[part] = set(table.read_text().split())
    X: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    y: dict[str, list[int]] = {"train": [], "test": []}
    for file in files:
        part = "train" if int(file.name[4:6]) <= 23 else "test"
        if chosen:
            part = next((p for p, names in chosen.items() if file.name in names), "")
        if part:
            for label, events in _gestures(file, limit):
                X[part].append(pool_events(events, DVS_SHAPE, pool))
                y[part].append(label)
    return X["train"], X["test"], np.array(y["train"], int), np.array(y["test"], int)


def _gestures(file: Path, limit: float) -> list[tuple[int, np.ndarray]]:
    table = file.with_name(file.stem + "_labels.csv")
    if not table.is_file():
        raise FileNotFoundError(f"DVS128 Gesture: {table.name} is not beside {file}. Put it there.")
    recording, found = read_aedat(file), []
    with table.open(newline="") as stream:
        for row in csv.DictReader(stream):
            try:
                label, start, end = (int(row[k]) for k in ("class", "startTime_usec", "endTime_usec"))
            except (KeyError, ValueError, TypeError) as error:
                raise ValueError(
                    f"{table}: {dict(row)} is not a line of class, startTime_usec, endTime_usec."
                ) from error
            first, last = np.searchsorted(recording["t"], [start * 1e-6, min(end * 1e-6, start * 1e-6 + limit)])
            events = recording[first:last].copy()
            events["t"] -= start * 1e-6
            found.append((label - 1, events))
    return found
