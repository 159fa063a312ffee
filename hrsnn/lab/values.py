"""Values on disk: JSON, and results of numbers and arrays in any nesting."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from brian2.units.fundamentalunits import Quantity

from hrsnn.files import atomic
from hrsnn.lab.settings import read, write


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically; numbers of NumPy become plain ones, NaN and infinity become null."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(to_json(value), indent=2, allow_nan=False) + "\n")


def to_json(value: Any) -> Any:
    """Return a value made of JSON types only; quantities become text.

    Raises
    ------
    TypeError
        If it holds something that JSON cannot.
    """
    if isinstance(value, Quantity):
        return write(value) if value.ndim == 0 else [write(part) for part in value]
    if isinstance(value, np.ndarray | np.generic):
        return to_json(value.tolist())
    if isinstance(value, dict):
        return {str(key): to_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON: {value!r}")


def save(path: Path, value: Any) -> None:
    """Write a result to one ``.npz`` file, atomically.

    Parameters
    ----------
    path : Path
        The file.
    value : object
        Numbers, text, bools, None, arrays and Quantities, in any nesting of dicts (with text keys), lists and tuples.

    Raises
    ------
    TypeError
        If the value holds anything else.
    """
    arrays: dict[str, Any] = {}
    form = json.dumps(_take_apart(value, arrays))
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, form=np.array(form), **arrays)


def load(path: Path) -> Any:
    """Read what ``save`` wrote: equal values of the same types."""
    with np.load(path, allow_pickle=False) as arrays:
        return _put_together(json.loads(str(arrays["form"])), arrays)


def _take_apart(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Replace arrays and containers by tagged lists that JSON keeps; the arrays go to `arrays`."""
    if isinstance(value, Quantity):
        unit = write(Quantity.with_dimensions(1.0, value.dim))
        return ["quantity", _take_apart(np.asarray(value), arrays), unit]
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            raise TypeError(f"an array of objects cannot be stored: {value!r}")
        key = f"array_{len(arrays)}"
        arrays[key] = np.asarray(value)
        return ["array" if isinstance(value, np.ndarray) else "scalar", key]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return ["dict", {key: _take_apart(part, arrays) for key, part in value.items()}]
    if isinstance(value, list | tuple):
        return [type(value).__name__, [_take_apart(part, arrays) for part in value]]
    if value is None or isinstance(value, bool | int | float | str):
        return ["plain", value]
    raise TypeError(f"a {type(value).__name__} cannot be stored, only numbers, text and arrays: {value!r}")


def _put_together(form: Any, arrays: Any) -> Any:
    tag, content, *unit = form
    match tag:
        case "plain":
            return content
        case "array":
            return arrays[content]
        case "scalar":
            return arrays[content][()]
        case "dict":
            return {key: _put_together(part, arrays) for key, part in content.items()}
        case "quantity":
            return _put_together(content, arrays) * read("unit", unit[0], None)
        case _:
            parts = [_put_together(part, arrays) for part in content]
            return tuple(parts) if tag == "tuple" else parts
