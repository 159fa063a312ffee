"""A study is a function whose signature is its configuration; each run of it leaves one folder.

>>> @study(quick=dict(n_neurons=20))
... def digits(run, n_neurons=100, duration=350*ms, seed=0):
...     '''Does a bigger network recognise more digits?'''
...     run.save(accuracy=...)
"""

import importlib
import inspect
import pkgutil
import runpy
from collections.abc import Callable, Iterable, Mapping
from functools import update_wrapper
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hrsnn.checks import check_integer
from hrsnn.lab import settings
from hrsnn.lab.runs import Run

PACKAGE = "hrsnn.studies"


def study(*, quick: Mapping[str, Any], least: Mapping[str, float] | None = None) -> Callable[[Callable], "Study"]:
    """Make a study of a function; used as a decorator.

    Parameters
    ----------
    quick : mapping
        Settings of the quick variant, which runs in under a minute.
    least : mapping, optional
        Lowest values of settings for which the rule of `settings.check` is not right, in SI units.

    Returns
    -------
    callable
        Turns ``function(run, name=default, ...)`` into a `Study`.

    Raises
    ------
    TypeError
        If a setting has no default or a type that text cannot give, or `quick` names no setting of the function.
    """
    return lambda function: Study(function, quick, least or {})


class Study:
    """A function ``(run, name=default, ...)`` with its settings; calling it makes a run.

    Attributes
    ----------
    name : str
        Name of the function.
    defaults, quick : dict
        Settings: the published values, and those that the quick variant changes.
    """

    def __init__(self, function: Callable, quick: Mapping[str, Any], least: Mapping[str, float] = MappingProxyType({})):
        update_wrapper(self, function)
        self.function = function
        self.name: str = function.__name__
        parameters = list(inspect.signature(function).parameters.values())
        if not parameters or parameters[0].name != "run":
            raise TypeError(f"{self.name}: the first parameter of a study is 'run'.")
        without = [p.name for p in parameters[1:] if p.default is inspect.Parameter.empty]
        if without:
            raise TypeError(f"{self.name}: every setting needs a default, these have none: {', '.join(without)}.")
        if not inspect.getdoc(function):
            raise TypeError(f"{self.name}: a study needs a docstring that says its question.")
        self.defaults: dict[str, Any] = {p.name: p.default for p in parameters[1:]}
        self._optional = {p.name for p in parameters[1:] if "None" in str(p.annotation)}
        for name, default in self.defaults.items():
            try:
                settings.kind(default)
            except TypeError as error:
                raise TypeError(f"{self.name}, setting {name}: {error}") from None
        self._least = least
        self.quick: dict[str, Any] = self._read(quick)
        self._known(least)

    @property
    def question(self) -> str:
        """The docstring's first line."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    @property
    def source(self) -> str:
        """What ``hrsnn run`` takes to find this study: its name, or the path of its file."""
        path = Path(inspect.getsourcefile(self.function) or "").resolve()
        folders = importlib.import_module(PACKAGE).__path__
        return self.name if path.parent in [Path(folder).resolve() for folder in folders] else str(path)

    def configure(self, changes: Mapping[str, Any], quick: bool = False) -> dict[str, Any]:
        """Return all settings: the defaults, then the quick values, then the changes.

        Parameters
        ----------
        changes : mapping
            Values, or their text, by name.
        quick : bool
            Whether to start from the quick variant.

        Raises
        ------
        TypeError
            If a name is not a setting of this study.
        ValueError
            If a value has another type or unit than the default, or cannot be.
        """
        return self.defaults | (self.quick if quick else {}) | self._read(changes)

    def _read(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        self._known(changes)
        found = {
            name: settings.read(name, value, self.defaults[name], name in self._optional)
            for name, value in changes.items()
        }
        for name, value in found.items():
            settings.check(name, value, self.defaults[name], self._least.get(name))
        return found

    def _known(self, names: Iterable[str]) -> None:
        unknown = [name for name in names if name not in self.defaults]
        if unknown:
            known = ", ".join(self.defaults) or "none"
            raise TypeError(f"{self.name} has no setting {unknown[0]!r}. Its settings are: {known}.")

    def __call__(
        self,
        *,
        folder: str | Path = "runs",
        quick: bool = False,
        workers: int | None = None,
        scheduler: str | None = None,
        **changes: Any,
    ) -> Run:
        """Run the study with some settings changed: ``mnist_stdp(n_neurons=400, seed=3)``.

        Parameters
        ----------
        folder : path
            Root of all runs.
        quick : bool
            Whether to start from the quick settings.
        workers, scheduler
            As in `execute`.
        **changes
            Settings that differ from these defaults.

        Returns
        -------
        Run
            The finished run; ``run.metrics`` and ``run.folder`` tell its results.
        """
        return self.execute(self.prepare(changes, folder, quick), workers, scheduler)

    def prepare(self, changes: Mapping[str, Any], folder: str | Path = "runs", quick: bool = False) -> Run:
        """Make the folder ``<folder>/<name>/<time>`` of a new run, with its ``config.json``.

        Takes and raises what `configure` does; nothing is made if a setting is wrong.
        """
        configuration = self.configure(changes, quick)
        config = {
            "study": self.name,
            "source": self.source,
            "question": inspect.getdoc(self.function),
            "quick": quick,
            "defaults": {name: settings.plain(value) for name, value in self.configure({}, quick).items()},
            "settings": {name: settings.plain(value) for name, value in configuration.items()},
        }
        return Run.create(Path(folder), config)

    def execute(self, run: Run, workers: int | None = None, scheduler: str | None = None) -> Run:
        """Call the function with a prepared or an unfinished run and the run's settings.

        Parameters
        ----------
        run : Run
        workers : int, optional
            Jobs of the study at once, each in a process of its own; one after another if None and no scheduler.
        scheduler : str, optional
            Address of a running Dask scheduler, such as "tcp://10.0.0.1:8786"; its workers do the jobs, as many at
            once as they have threads if ``workers`` is None.

        Raises
        ------
        RuntimeError
            If another process is at this run.
        """
        if workers is not None:
            check_integer("workers", workers, 1)
        configuration = self._read(run.config["settings"])
        run.workers, run.scheduler = workers, scheduler
        with run:
            self.function(run, **configuration)
        return run


def find_study(text: str) -> Study:
    """Return a study by its name, or by the path of a Python file that holds one.

    Raises
    ------
    LookupError
        If there is none, with the names that there are.
    FileNotFoundError
        If the file is not there.
    """
    if text.endswith(".py"):
        return _from_file(Path(text))
    studies = list_studies()
    if text not in studies:
        raise LookupError(f"There is no study {text!r}. The studies are: {', '.join(studies) or 'none'}.")
    return studies[text]


def list_studies() -> dict[str, Study]:
    """Return the studies of the package by name."""
    package = importlib.import_module(PACKAGE)
    modules = [importlib.import_module(f"{PACKAGE}.{info.name}") for info in pkgutil.iter_modules(package.__path__)]
    found = {item.name: item for module in modules for item in vars(module).values() if isinstance(item, Study)}
    return dict(sorted(found.items()))


def _from_file(path: Path) -> Study:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    items = runpy.run_path(str(path), run_name=path.stem).values()
    studies = [item for item in items if isinstance(item, Study)]
    if len(studies) != 1:
        names = ", ".join(item.name for item in studies) or "none"
        raise LookupError(f"{path} must hold one study, it holds: {names}.")
    return studies[0]
