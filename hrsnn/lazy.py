"""Public names that load on first use, so that importing a package costs nothing that is not needed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

__all__ = ["lazy"]


def lazy(
    package: str, names: Mapping[str, Sequence[str]], modules: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    names : mapping of str to sequence of str
        Public names by the module below the package that defines them.
    modules : mapping of str to str, optional
        Public modules, and where they are below the package.
    """
    home = {name: module for module, defined in names.items() for name in defined}
    modules = dict(modules or {})
    public = [*home, *modules]

    def get(name: str) -> Any:
        if name in home:
            found = getattr(import_module(f"{package}.{home[name]}"), name)
        elif name in modules:
            found = import_module(f"{package}.{modules[name]}")
        else:
            known = ", ".join(getattr(sys.modules[package], "__all__", public))
            raise AttributeError(f"module {package!r} has no attribute {name!r}. Its public names are: {known}.")
        setattr(sys.modules[package], name, found)
        return found

    def names_of() -> list[str]:
        return sorted({*vars(sys.modules[package]), *public})

    return get, names_of, public
