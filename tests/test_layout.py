"""The architecture as tests: who may import whom, package list, module size, both kinds of installation."""

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import networkx
import pytest

import hrsnn

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"hrsnn": ROOT / "hrsnn", "hrsnn.models": ROOT / "models", "hrsnn.studies": ROOT / "studies"}
MAX_LINES = 400

# A module may import its own level and those below; a new module is entered here.
LEVELS = {
    **dict.fromkeys(["distributions", "metrics", "topology", "datasets", "cochlea"], 0),
    **dict.fromkeys(["functions", "spec", "pruning"], 1),
    **dict.fromkeys(["models"], 2),
    **dict.fromkeys(["kernel", "encoders", "lateral", "build", "coupling", "optimize"], 3),
    **dict.fromkeys(["nvidia", "backends", "program", "cuda", "engine"], 3),
    **dict.fromkeys(["coding", "feedback", "recurrent"], 3),
    **dict.fromkeys(
        ["checkpoint", "readout", "presenter", "training", "competition", "classifier", "ensembles", "multimodal"], 4
    ),
    **dict.fromkeys(["reservoir", "liquid", "forecaster"], 4),
    **dict.fromkeys(["plots", "search_plots", "settings", "store", "provenance", "report", "run", "study", "cli"], 5),
    **dict.fromkeys(["studies"], 6),
}
# Modules that see less than their level would allow: the hrsnn modules that each may import.
ONLY = {
    **{name: set() for name, level in LEVELS.items() if level == 0},
    "pruning": {"metrics", "topology"},
    "models": {"spec"},
    "optimize": {"distributions"},
}
# Outside packages that only some modules may import.
RESERVED = {
    "matplotlib": {"plots"},
    "skopt": {"optimize"},
    "ot": {"optimize", "metrics"},
    "dask": {"optimize"},
    "distributed": {"optimize"},
    "torch": {"gradient"},
}
# Brian2's process-wide state, and where it may be touched.
DEVICE_NAMES = {"device", "prefs", "set_device", "get_device", "reset_device", "reinit_devices", "all_devices"}
DEVICE_MODULES = {"brian2.devices", "brian2.core.preferences"}
DEVICE_USERS = {"backends", "program", "cuda", "engine"}


def modules():
    """Dotted name (hrsnn.pruning.threshold) and path of every module of the package."""
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *parts)).removesuffix(".__init__"), path


def executed(node):
    """All nodes below a node, without the blocks under `if TYPE_CHECKING`, which never run."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
            yield child
            yield from executed(child)


def imports(tree, module, is_package=False):
    """Full names of all that a module imports, wherever in the file: hrsnn.spec.NeuronModel, numpy, brian2.device."""
    for node in executed(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")
            base = base[: len(base) - node.level + is_package] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def part(name):
    """The part of the package that a full name belongs to: spec, pruning, models; empty for the package itself."""
    first = name.partition(".")[2].partition(".")[0]
    return hrsnn._HOME.get(first, first)  # a public name belongs to the module that defines it


def violations(source, module, is_package=False):
    """Broken rules of one module, each a sentence."""
    tree, own = ast.parse(source), part(module)
    names = set(imports(tree, module, is_package))
    found = []
    for name in sorted(names):
        top = name.split(".")[0]
        if top == "hrsnn":
            target = part(name)
            if target in ("", own, "__version__"):
                continue
            if target not in LEVELS:
                found.append(f"{module} imports {name}, and {target} has no level in tests/test_layout.py")
            elif LEVELS[target] > LEVELS[own]:
                found.append(f"{module} (level {LEVELS[own]}) imports {name} (level {LEVELS[target]})")
            elif own in ONLY and target not in ONLY[own]:
                found.append(f"{module} imports {name}, but {own} may import only {sorted(ONLY[own])} of hrsnn")
        elif own not in RESERVED.get(top, {own}):
            found.append(f"{module} imports {name}: {top} is reserved for {sorted(RESERVED[top])}")
        if own == "pruning" and top == "brian2":
            found.append(f"{module} imports {name}: pruning sees graphs and arrays only")
        if own == "models" and top not in ("hrsnn", "brian2", "__future__"):
            found.append(f"{module} imports {name}: a model imports spec and Brian2's units only")
        if own not in DEVICE_USERS and touches_device(name):
            found.append(f"{module} imports {name}: Brian2's device and prefs are for {sorted(DEVICE_USERS)}")
    aliases = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name == "brian2"
    }
    for node in ast.walk(tree):
        of_brian2 = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases
        if of_brian2 and node.attr in DEVICE_NAMES and own not in DEVICE_USERS:
            found.append(f"{module} uses brian2.{node.attr}: that is for {sorted(DEVICE_USERS)}")
    return found


def touches_device(name):
    head, _, last = name.rpartition(".")
    in_device_module = any(name == module or name.startswith(f"{module}.") for module in DEVICE_MODULES)
    return in_device_module or (head.split(".")[0] == "brian2" and last in DEVICE_NAMES)


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else "")
def test_module_follows_the_import_rules(module, path):
    own = part(module)
    if own == "":
        pytest.skip("hrsnn/__init__.py names the public modules of every level")
    assert own in LEVELS, f"{module} has no level: enter it in tests/test_layout.py"
    assert violations(path.read_text(), module, path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source", "rule"),
    [
        ("hrsnn.metrics", "from hrsnn.distributions import Gamma", "may import only"),
        ("hrsnn.spec", "from hrsnn import engine", r"level 1\) imports hrsnn.engine \(level 3"),
        ("hrsnn.spec", "def f():\n    from .classifier import STDPClassifier", r"imports hrsnn.classifier"),
        ("hrsnn.pruning.noise", "from ..spec import NeuronModel", "may import only"),
        ("hrsnn.pruning.noise", "from brian2 import ms", "graphs and arrays only"),
        ("hrsnn.models.lif", "import numpy as np", "spec and Brian2's units only"),
        ("hrsnn.optimize.search", "from hrsnn.build import network", "may import only"),
        ("hrsnn.classifier", "import matplotlib.pyplot as plt", r"reserved for \['plots'\]"),
        ("hrsnn.studies.lorenz", "import ot", "reserved for"),
        ("hrsnn.build", "from brian2 import prefs", r"for \['backends', 'cuda', 'engine', 'program'\]"),
        ("hrsnn.build", "import brian2 as b2\nb2.set_device('cpp_standalone')", r"uses brian2.set_device"),
        ("hrsnn.reservoir", "from brian2.devices.device import get_device", "Brian2's device"),
        ("hrsnn.reservoir", "import hrsnn.unheard_of", "no level"),
    ],
)
def test_broken_rule_is_found(module, source, rule):
    found = violations(source, module)
    assert len(found) == 1
    assert re.search(rule, found[0])


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hrsnn.models.lif", "from brian2 import ms\nfrom hrsnn.spec import NeuronModel\nfrom .base import X"),
        ("hrsnn.engine", "from brian2 import device, prefs\nfrom hrsnn.backends import use_backend"),
        ("hrsnn.plots", "from matplotlib.figure import Figure"),
        ("hrsnn.run", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from matplotlib.figure import Figure"),
        ("hrsnn.studies.lorenz", "from hrsnn import __version__, plots\nfrom hrsnn.models import LIF"),
    ],
)
def test_kept_rule_is_not_reported(module, source):
    assert violations(source, module) == []


def test_modules_import_each_other_without_cycles():
    names = {module: path for module, path in modules() if module != "hrsnn"}
    graph = networkx.DiGraph()
    for module, path in names.items():
        is_package = path.name == "__init__.py"
        for name in imports(ast.parse(path.read_text()), module, is_package):
            target = next((n for n in (name, name.rpartition(".")[0]) if n in names), None)
            # A package's __init__ collects its modules, and they may use each other: that is no cycle of ideas.
            if target and not (is_package and target.startswith(f"{module}.")):
                graph.add_edge(module, target)
    assert [cycle for cycle in networkx.simple_cycles(graph) if len(cycle) > 1] == []


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else "")
def test_module_is_small(module, path):
    n_lines = len(path.read_text().splitlines())
    assert n_lines <= MAX_LINES, f"{module} has {n_lines} lines: split it where the idea changes"


def setup_cfg():
    parser = configparser.RawConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_package_list_matches_the_disk():
    listed = setup_cfg()["options"]["packages"].split()
    on_disk = set()
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            on_disk.add(".".join((package, *path.parent.relative_to(folder).parts)))
            assert (path.parent / "__init__.py").is_file(), f"{path.parent.relative_to(ROOT)} has no __init__.py"
    assert sorted(listed) == sorted(on_disk)


def test_package_data_matches_the_disk():
    data = setup_cfg()["options.package_data"]
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                owner = ".".join((package, *path.parent.relative_to(folder).parts))
                patterns = data.get(owner, "").split()
                assert any(fnmatch(path.name, pattern) for pattern in patterns), f"{path} is not in package_data"


def test_every_public_name_is_there():
    assert {"__version__", "plots"} <= set(hrsnn.__all__)
    missing = [name for name in hrsnn.__all__ if getattr(hrsnn, name, None) is None]
    assert missing == []


def test_unknown_public_name_lists_the_known():
    with pytest.raises(AttributeError, match=r"has no attribute 'Plots'. Its public names are: .*plots"):
        _ = hrsnn.Plots


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package as pip installs it, unpacked in a folder."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("hrsnn", "models", "studies"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools.build_meta import build_wheel; build_wheel('..')"
    done = subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("hrsnn-*.whl")
    shutil.unpack_archive(archive, folder / "site", "zip")
    return folder / "site"


def where(expression, cwd, site):
    """Value of an expression in a fresh interpreter that has `site` before any other installation."""
    code = f"import hrsnn, hrsnn.models, hrsnn.studies; print({expression})"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    result = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return Path(result.stdout.strip())


def test_wheel_holds_all_modules(wheel):
    packed = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*.py")}
    expected = {
        f"{package.replace('.', '/')}/{path.relative_to(folder).as_posix()}"
        for package, folder in FOLDERS.items()
        for path in folder.rglob("*.py")
    }
    assert packed == expected
    assert (wheel / "hrsnn" / "py.typed").is_file()


def test_wheel_works_elsewhere(wheel, tmp_path):
    assert where("hrsnn.models.__file__", tmp_path, wheel) == wheel / "hrsnn" / "models" / "__init__.py"


def test_checkout_root_works_beside_an_installed_wheel(wheel):
    # `python -m pytest` puts the checkout first on the path, as `python -c` does here.
    assert where("hrsnn.studies.__file__", ROOT, wheel) == ROOT / "studies" / "__init__.py"
    assert where("hrsnn.__file__", ROOT, wheel) == ROOT / "hrsnn" / "__init__.py"
