"""Write the pages that the code tells by itself: models, studies and the functions of each room."""

import ast
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
    """Write the pages of models and studies, and those of the API, into a folder, each only if it changed."""
    for name, text in {"models": models_page(), "studies": studies_page(), **api_pages()}.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
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


def api_pages():
    """Docstrings of the public functions and classes, a page for each room of the package, and an index of them."""
    found = {}
    for info in pkgutil.walk_packages([str(Path(hrsnn.__file__).parent)], "hrsnn."):
        if any(part.startswith("_") for part in info.name.split(".")):
            continue
        module = import_module(info.name)
        room = info.name.split(".")[1]
        part = [f"## {info.name}\n", f"{first_line(module)}\n"]
        own = [name for name, item in vars(module).items() if _is_public(name, item, module)]
        kinds = {name: "autoclass" if inspect.isclass(vars(module)[name]) else "autofunction" for name in own}
        part += [_directive(f"{kinds[name]}:: {info.name}.{name}", "members") for name in own]
        found.setdefault(room, []).append("\n".join(part))
    pages = {f"api/{room}": f"# hrsnn.{room}\n\n" + "\n".join(parts) for room, parts in found.items()}
    rows = [[f"[hrsnn.{room}]({room}.md)", first_line(import_module(f"hrsnn.{room}"))] for room in found]
    listed = "\n".join(found)
    pages["api/index"] = "\n".join(
        [
            "# Functions and classes\n",
            _table(["room", "subject"], rows),
            f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n",
        ]
    )
    return pages


def tree():
    """Every module of the package and the first line of its docstring, as docs/architecture.md shows them."""
    root = Path(hrsnn.__file__).parent.parent
    lines = []
    for folder in ("hrsnn", "models", "studies"):
        for path in sorted((root / folder).rglob("*.py"), key=_files_before_folders):
            inside = path.relative_to(root / folder)
            depth, name = len(inside.parts) - 1, inside.name
            if name == "__init__.py":
                name = f"{inside.parent.name or folder}/"
                depth -= bool(depth)
                depth = depth if inside.parent.name else -1
            lines.append(f"{'    ' * (depth + 1) + name:34}{docstring_line(path)}".rstrip())
    return "\n".join(lines) + "\n"


def _files_before_folders(path):
    return [(part.endswith(".py") and part != "__init__.py", part) for part in path.parts]


def docstring_line(path):
    """Return the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def first_line(module):
    """Return the first line of the docstring of a module that is loaded."""
    return (module.__doc__ or "").partition("\n")[0]


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


if __name__ == "__main__":
    print(tree(), end="")
