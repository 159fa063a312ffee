"""Write the pages that the code tells by itself: models, studies and the functions of each module."""

import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import hrsnn
import hrsnn.models
from hrsnn.lab import settings
from hrsnn.lab.studies import list_studies
from hrsnn.simulation.model import NeuronModel

_COMMENT = re.compile(r'"(\w+)":.*#\s*(.+)')


def pages(folder):
    """Write models.md, studies.md and functions.md into a folder, each only if it changed."""
    for name, text in (("models", models_page()), ("studies", studies_page()), ("functions", functions_page())):
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)


def models_page():
    """Equations and parameters of every model, from its class."""
    classes = [getattr(hrsnn.models, name) for name in sorted(hrsnn.models.__all__, key=str.lower)]
    neurons = [model for model in classes if issubclass(model, NeuronModel)]
    synapses = [model for model in classes if model not in neurons]
    return "\n".join(
        [
            "# Models\n",
            "The equations below are what runs: `print(model)` shows the same text, and it can be pasted into a Brian2",
            "script. Every parameter may be a number, a law (`Gamma(mean=20*ms, shape=3)`: one draw a neuron or",
            "synapse), or a law with intervals (a search space).\n",
            *("## Neurons\n", *map(_model, neurons)),
            *("## Synapses\n", *map(_model, synapses)),
        ]
    )


def _model(model):
    equations, _, _ = str(model()).partition("\nparameters:")
    base = model.__mro__[1].__name__
    variant = f"A variant of [{base}](#{base.lower()}).\n" if base in hrsnn.models.__all__ else ""
    return "\n".join(
        [
            f"### {model.__name__}\n",
            variant,
            _directive(f"autoclass:: hrsnn.models.{model.__name__}"),
            f"```text\n{equations}\n```\n",
            _table(
                ["parameter", "default", "meaning"],
                [[f"`{name}`", settings.write(value), meanings(model)[name]] for name, value in model.defaults.items()],
            ),
        ]
    )


def meanings(model):
    """Return the comment beside each default, in the model's class or in a class above it."""
    found = {}
    for owner in reversed(model.__mro__[:-1]):
        found |= dict(_COMMENT.findall(inspect.getsource(owner)))
    return found


def studies_page():
    """Question and settings of every study, from its function."""
    parts = ["# Studies\n", "Each is one function in `studies/`; its signature is its configuration.\n"]
    for name, study in list_studies().items():
        rows = [
            [f"`{key}`", settings.write(value), settings.write(study.quick[key]) if key in study.quick else ""]
            for key, value in study.defaults.items()
        ]
        parts += [
            f"## {name}\n",
            _directive(f"autofunction:: {study.function.__module__}.{name}", "no-index-entry"),
            f"```sh\nhrsnn run {name} --quick\n```\n",
            _table(["setting", "default", "`--quick`"], rows),
        ]
    return "\n".join(parts)


def functions_page():
    """Docstrings of the public functions and classes of every module."""
    parts = ["# Functions and classes\n"]
    for info in pkgutil.walk_packages([str(Path(hrsnn.__file__).parent)], "hrsnn."):
        if info.name.rpartition(".")[2].startswith("_"):
            continue
        module = import_module(info.name)
        summary = (module.__doc__ or "").partition("\n")[0]
        parts += [f"## {info.name}\n", f"{summary}\n"]
        own = [name for name, item in vars(module).items() if _is_public(name, item, module)]
        kinds = {name: "autoclass" if inspect.isclass(vars(module)[name]) else "autofunction" for name in own}
        parts += [_directive(f"{kinds[name]}:: {info.name}.{name}", "members") for name in own]
    return "\n".join(parts)


def _is_public(name, item, module):
    kind = inspect.isclass(item) or inspect.isfunction(item)
    return kind and not name.startswith("_") and item.__module__ == module.__name__


def _directive(text, option=""):
    option = f"\n   :{option}:" if option and not (option == "members" and "autofunction" in text) else ""
    return f"```{{eval-rst}}\n.. {text}{option}\n```\n"


def _table(header, rows):
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
