"""State on disk: arrays and settings in one HDF5 file, written in full or not at all.

A SHA-256 digest stands behind the HDF5 data, where HDF5 tools do not look: damage anywhere in the file is found.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hrsnn.files import atomic

__all__ = ["fingerprint", "read", "resume", "write"]

FORMAT = 2
N_DIGEST = 32  # bytes
TEXT = h5py.string_dtype()


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> None:
    """Write arrays and settings; a kill at any moment leaves the old file or the new one.

    Parameters
    ----------
    path : path
        File to write, replaced if it exists.
    arrays : mapping of str to array
        Of numbers or text.
    settings : mapping of str to object
        Anything that JSON holds.

    Raises
    ------
    OSError
        If the file cannot be written, for example because the disk is full; the old file stays.
    """
    image = _image(arrays, settings)
    with atomic(path) as temporary:
        temporary.write_bytes(image + hashlib.sha256(image).digest())


def _image(arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> bytes:
    """Return the HDF5 file as bytes: on a full disk the HDF5 library itself would end the process."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["settings"] = json.dumps(dict(settings))
        for name, array in arrays.items():
            text = np.asarray(array).dtype.kind == "U"
            file.create_dataset(name, data=array.astype(object) if text else array, dtype=TEXT if text else None)
    return buffer.getvalue()


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and settings of a file that ``write`` made.

    Parameters
    ----------
    path : path

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or was not written by ``write``.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    data = memoryview(path.read_bytes())
    if hashlib.sha256(data[:-N_DIGEST]).digest() != data[-N_DIGEST:]:
        raise ValueError(f"{path} is damaged, or hrsnn did not write it. Delete it and train again.")
    with h5py.File(io.BytesIO(data[:-N_DIGEST]), "r") as file:
        if file.attrs["format"] != FORMAT:
            raise ValueError(f"{path} was written by another version of hrsnn. Delete it and train again.")
        arrays = {name: _array(dataset) for name, dataset in file.items()}
        return arrays, json.loads(file.attrs["settings"])


def _array(dataset: h5py.Dataset) -> np.ndarray:
    return dataset.asstr()[...].astype(str) if dataset.dtype == TEXT else dataset[...]


def fingerprint(settings: Any, X: np.ndarray) -> str:
    """Return a hash of the settings (by their ``repr``) and samples that decide the result of a training."""
    text = f"{settings!r} {X.shape} {X.dtype}"
    return hashlib.sha256(text.encode() + np.ascontiguousarray(X).tobytes()).hexdigest()


def resume(path: str | os.PathLike[str] | None, key: str) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return what a stopped training with this ``key`` wrote, or None if there is no file.

    Raises
    ------
    ValueError
        If the file belongs to another training.
    """
    if path is None or not Path(path).exists():
        return None
    arrays, settings = read(path)
    if settings.get("key") != key:
        raise ValueError(
            f"{path} belongs to a training with other settings, samples, neurons or back end. "
            "Delete it, or choose another checkpoint."
        )
    return arrays, settings
