"""Settings of a study as text: ``"150 ms"`` becomes a value with the type and unit of the default, and back."""

import ast
import re
from typing import Any

import numpy as np
from brian2.core.namespace import DEFAULT_UNITS
from brian2.units.fundamentalunits import Quantity, get_unit, have_same_dimensions

from hrsnn.checks import check_integer, check_seed

_NUMBER = re.compile(r"([+-]?(?:\d[\d_]*\.?\d*|\.\d+|inf|nan)(?:e[+-]?\d+)?)(.*)", re.IGNORECASE)
_UNITS = {**DEFAULT_UNITS, "s": DEFAULT_UNITS["second"]}
_SHORT = ("ms", "s", "us", "Hz", "kHz", "mV", "nS", "pA", "nA", "pF", "Mohm")  # as papers write them
_UNIT_SYNTAX = (ast.Expression, ast.BinOp, ast.operator, ast.UnaryOp, ast.unaryop, ast.Constant, ast.Name, ast.Load)
_COUNTS = re.compile(r"n_.*|.*(neurons|samples|steps|sizes|synapses|repeats|workers)")
_SHARES = re.compile(r"(.*_)?(fractions?|shares?|probability|connectivity|density)|keep_.*")
_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def read(name: str, value: Any, default: Any, optional: bool = False) -> Any:
    """Convert a value, mostly text, to the type and unit of a default.

    Parameters
    ----------
    name : str
        Name of the setting, for the error message.
    value : object
        Text as typed (``"400"``, ``"150 ms"``, ``"1, 2"`` or ``"[1, 2]"``, ``"none"``, ``"yes"``), or a value.
    default : bool, int, float, str, Quantity, None, or a list or tuple of these
        Decides the type. With None, text becomes the first that it can be of number, bool, quantity, list and text.
    optional : bool
        Whether None is a value too, whatever the default.

    Returns
    -------
    object
        A value of the default's type.

    Raises
    ------
    ValueError
        If the value has another type or unit.
    """
    text = value.strip() if isinstance(value, str) else value
    if (default is None or optional) and (text is None or str(text).lower() == "none"):
        return None
    try:
        return _read(text, default)
    except ValueError as error:
        raise ValueError(f"{name} must be {kind(default)}, got {write(value)!r}{error}.") from None


def check(name: str, value: Any, default: Any, least: float | None = None) -> None:
    """Refuse a number that cannot be, by the name of the setting and its default: before any work is done.

    Seeds fit 31 bits. Counts (``n_...``, ``sizes``, ``repeats`` ...) are at least 1, shares (``fraction``,
    ``..._probability``, ``keep_...`` ...) in (0, 1], all other numbers not negative. A default of None, or one
    that breaks the rule itself, sets no bound.

    Parameters
    ----------
    name : str
    value, default : object
        Values as `read` returns them.
    least : float, optional
        The lowest value, in SI units, if not that of the rule.

    Raises
    ------
    ValueError
    """
    if isinstance(default, list | tuple):
        for part in value if isinstance(value, list | tuple) else ():
            check(name, part, min(default) if default and not isinstance(default[0], str) else None, least)
        return
    numbers = (int, float, Quantity)
    if not isinstance(value, numbers) or not isinstance(default, numbers) or isinstance(default, bool):
        return
    if float(default) < 0 and least is None:
        return
    if name in ("seed", "seeds"):
        check_seed(value)
    elif isinstance(default, int):
        counts = bool(_COUNTS.fullmatch(name)) and default > 0
        check_integer(name, value, int(counts if least is None else least))
    elif least is None and _SHARES.fullmatch(name) and 0 < default <= 1:
        if not 0 < value <= 1:
            raise ValueError(f"{name} must be in (0, 1], got {write(value)}.")
    elif not (least or 0.0) <= float(value) < np.inf:
        bound = "not negative" if not least else f"at least {least}"
        raise ValueError(f"{name} must be finite and {bound}, got {write(value)}.")


def write(value: Any) -> str:
    """Return the text of a setting; ``read`` turns it back into an equal value."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(write(part) for part in value)}]"
    if not isinstance(value, Quantity):
        return str(value)
    best, base = value.get_best_unit(), get_unit(value.dim)
    units = {name: _UNITS[name] for name in _SHORT if have_same_dimensions(_UNITS[name], value)}
    units |= {str(best): best, repr(best).removeprefix("1. * "): best, repr(base).removeprefix("1. * "): base}
    for digits in (6, 15, 17):
        texts = [f"{float(value / unit):.{digits}g} {name}" for name, unit in units.items()]
        exact = [text for text in texts if _equal(text, value)]
        if exact:
            return min(exact, key=lambda text: (not 1 <= abs(float(text.split()[0])) < 1000, len(text)))
    return texts[-1]


def plain(value: Any) -> Any:
    """Return a setting as JSON holds it: quantities as text, tuples as lists."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return write(value) if isinstance(value, Quantity) else value


def kind(default: Any) -> str:
    """Say which values fit a default: ``"a whole number"``, ``"a quantity like 350 ms"``.

    Raises
    ------
    TypeError
        If values of this type cannot be settings.
    """
    if isinstance(default, list | tuple):
        return f"a list, each {kind(default[0])}" if default else "a list"
    if isinstance(default, Quantity) and default.ndim == 0:
        return f"a quantity like {write(default)!r}"
    names = {type(None): "any value", bool: "yes or no", int: "a whole number", float: "a number", str: "text"}
    if type(default) not in names:
        raise TypeError(f"a {type(default).__name__} cannot be a setting: {default!r}")
    return names[type(default)]


def _read(value: Any, default: Any) -> Any:
    """Convert to the default's type; the text of a ValueError is added to the message."""
    if default is None:
        return _guess(value) if isinstance(value, str) else value
    if isinstance(default, list | tuple):
        if isinstance(value, str):
            value = [part.strip() for part in value.strip("[]()").split(",") if part.strip()]
        if not isinstance(value, list | tuple):
            raise ValueError
        return type(default)(_read(part, default[0] if default else None) for part in value)
    if isinstance(default, Quantity):
        quantity = _quantity(value) if isinstance(value, str) else value
        if not isinstance(quantity, Quantity) or not have_same_dimensions(quantity, default):
            raise ValueError(" (no unit, or another one)")
        return quantity
    if isinstance(default, bool):
        return _bool(value)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise ValueError
        return value
    return _number(value, whole=isinstance(default, int))


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _BOOLS:
        return _BOOLS[value.lower()]
    raise ValueError


def _number(value: Any, whole: bool) -> int | float:
    if isinstance(value, bool | Quantity):
        raise ValueError
    if whole and isinstance(value, str) and re.fullmatch(r"[+-]?\d[\d_]*", value):
        return int(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError from None
    if whole and not number.is_integer():
        raise ValueError
    return int(number) if whole else number


def _quantity(text: str) -> Any:
    """Read ``"150 ms"``, ``"63.75*Hz"``, ``"2 mV/ms"`` or ``"2 * mvolt ** 2"``."""
    match = _NUMBER.fullmatch(text)
    unit = match[2].strip().lstrip("* ").replace("^", "**") if match else ""
    try:
        tree = ast.parse(unit, mode="eval")
    except SyntaxError:
        raise ValueError(" (not a number with a unit)") from None
    if match is None or not all(isinstance(node, _UNIT_SYNTAX) for node in ast.walk(tree)):
        raise ValueError(" (not a number with a unit)")
    try:
        return float(match[1]) * eval(compile(tree, "unit", "eval"), {"__builtins__": {}}, _UNITS)
    except NameError as error:
        raise ValueError(f" (unknown unit {error.name})") from None


def _equal(text: str, value: Quantity) -> bool:
    try:
        quantity = _quantity(text)
    except ValueError:
        return False
    return have_same_dimensions(quantity, value) and bool(quantity == value)


def _guess(text: str) -> Any:
    if text.startswith(("[", "(")):
        return _read(text, [])
    readers = (lambda: _number(text, whole=True), lambda: _number(text, whole=False), lambda: _bool(text))
    for reader in (*readers, lambda: _quantity(text)):
        try:
            return reader()
        except ValueError:
            continue
    return text
