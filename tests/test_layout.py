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
WORTH_A_LOOK = 500  # lines; a module has one subject, and few subjects are that long

# Rooms of the house, from the ground up. A module may import its own room and those of lower levels. A new room is
# entered here, and in docs/architecture.md.
LEVELS = {
    **dict.fromkeys(["checks", "files", "laws", "lazy", "streams", "metrics", "datasets", "plots"], 0),
    **dict.fromkeys(["pruning", "simulation"], 1),
    **dict.fromkeys(["models", "inputs"], 2),
    **dict.fromkeys(["baselines", "gradient", "optimize", "reservoirs", "stdp"], 3),
    **dict.fromkeys(["exchange", "lab"], 4),
    **dict.fromkeys(["studies"], 5),
}
SMALL = {"checks", "files", "lazy", "streams"}  # what every room may use, those of the lowest level too
# Rooms that see less than their level would allow: the rooms that each may import, beside the small ones.
ONLY = {
    "pruning": {"metrics"},
    "simulation": {"laws"},
    "models": {"simulation"},
    "inputs": {"datasets", "laws", "simulation"},
    "baselines": set(),
    "gradient": {"laws", "models", "simulation"},
    "optimize": {"laws", "plots"},
    "lab": {"optimize", "simulation"},
}
# Outside packages that only some modules may import.
RESERVED = {
    "matplotlib": {"plots", "optimize.plots"},
    "skopt": {"optimize"},
    "ot": {"optimize", "metrics"},
    "dask": {"optimize"},
    "distributed": {"optimize"},
    "neo": {"exchange"},
    "jax": {"gradient", "studies.gradient_speed"},
    "equinox": {"gradient"},
    "optax": {"gradient"},
    "nir": {"exchange"},
}
# Brian2's process-wide state, and where it may be touched.
DEVICE_NAMES = {"device", "prefs", "set_device", "get_device", "reset_device", "reinit_devices", "all_devices"}
DEVICE_MODULES = {"brian2.devices", "brian2.core.preferences"}
DEVICE_USERS = {"simulation"}


def modules():
    """Dotted name (hrsnn.pruning.threshold) and path of every module of the package."""
    for package, folder in FOLDERS.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package, *parts)).removesuffix(".__init__"), path


MODULES = {module for module, _ in modules()}


def executed(node):
    """All nodes below a node, without the blocks under `if TYPE_CHECKING`, which never run."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING"):
            yield child
            yield from executed(child)


def imports(tree, module, is_package=False):
    """Full names of all that a module imports, wherever in the file: hrsnn.laws.Gamma, numpy, brian2.device."""
    for node in executed(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")
            base = base[: len(base) - node.level + is_package] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def room(name):
    """The room that a full name belongs to: simulation, pruning, models; empty for the package itself."""
    first = name.partition(".")[2].partition(".")[0]
    if first in LEVELS or first not in hrsnn.__all__ or first == "__version__":
        return first
    found = getattr(hrsnn, first)  # a public name belongs to the module that defines it
    return (getattr(found, "__module__", None) or found.__name__).split(".")[1]


def violations(source, module, is_package=False):
    """Broken rules of one module, each a sentence."""
    tree, own = ast.parse(source), room(module)
    names = set(imports(tree, module, is_package))
    found = []
    for name in sorted(names):
        top, (place, _, last) = name.split(".")[0], name.rpartition(".")
        if top == "hrsnn":
            target = room(name)
            if last.startswith("_") and not last.startswith("__") and place in MODULES and name not in MODULES:
                found.append(f"{module} imports {name}, a private name of another module")
            if target in ("", own, "__version__") or target in SMALL:
                continue
            if target not in LEVELS:
                found.append(f"{module} imports {name}, and {target} has no level in tests/test_layout.py")
            elif LEVELS[target] >= LEVELS[own]:
                found.append(f"{module} (level {LEVELS[own]}) imports {name} (level {LEVELS[target]})")
            elif own in ONLY and target not in ONLY[own]:
                found.append(f"{module} imports {name}, but {own} may import only {sorted(ONLY[own])} of hrsnn")
        elif top in RESERVED and not is_in(module, RESERVED[top]):
            found.append(f"{module} imports {name}: {top} is reserved for {sorted(RESERVED[top])}")
        if own == "pruning" and top == "brian2":
            found.append(f"{module} imports {name}: pruning sees graphs and arrays only")
        if own == "models" and top not in ("hrsnn", "brian2", "__future__"):
            found.append(f"{module} imports {name}: a model imports its base class and Brian2's units only")
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


def is_in(module, places):
    return any(f"{module}.".startswith(f"hrsnn.{place}.") for place in places)


def touches_device(name):
    head, _, last = name.rpartition(".")
    in_device_module = any(name == module or name.startswith(f"{module}.") for module in DEVICE_MODULES)
    return in_device_module or (head.split(".")[0] == "brian2" and last in DEVICE_NAMES)


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else "")
def test_module_follows_the_import_rules(module, path):
    own = room(module)
    if own == "":
        pytest.skip("hrsnn/__init__.py names the public modules of every level")
    assert own in LEVELS, f"{module} has no level: enter it in tests/test_layout.py"
    assert violations(path.read_text(), module, path.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source", "rule"),
    [
        ("hrsnn.metrics", "from hrsnn.laws import Gamma", r"level 0\) imports hrsnn.laws.Gamma \(level 0"),
        ("hrsnn.pruning.noise", "from hrsnn.laws import Gamma", "may import only"),
        ("hrsnn.simulation.model", "from hrsnn import STDPClassifier", r"level 1\) imports .* \(level 3"),
        ("hrsnn.simulation.model", "def f():\n    from ..stdp.vote import NeuronVote", r"imports hrsnn.stdp.vote"),
        ("hrsnn.stdp.layer", "from hrsnn.reservoirs import Reservoir", r"level 3\) imports .* \(level 3"),
        ("hrsnn.lab.runs", "from hrsnn.stdp import STDPClassifier", "lab may import only"),
        ("hrsnn.lab.runs", "from hrsnn.lab.values import _put_together", "a private name of another module"),
        ("hrsnn.pruning.noise", "from brian2 import ms", "graphs and arrays only"),
        ("hrsnn.models.lif", "import numpy as np", "its base class and Brian2's units only"),
        ("hrsnn.optimize.search", "from hrsnn.simulation.model import Model", "may import only"),
        ("hrsnn.stdp.classifier", "import matplotlib.pyplot as plt", r"reserved for \['optimize.plots', 'plots'\]"),
        ("hrsnn.studies.lorenz", "import ot", "reserved for"),
        ("hrsnn.stdp.presentation", "from brian2 import prefs", r"for \['simulation'\]"),
        ("hrsnn.stdp.layer", "import brian2 as b2\nb2.set_device('cpp_standalone')", r"uses brian2.set_device"),
        ("hrsnn.reservoirs.liquid", "from brian2.devices.device import get_device", "Brian2's device"),
        ("hrsnn.reservoirs.liquid", "import hrsnn.unheard_of", "no level"),
    ],
)
def test_broken_rule_is_found(module, source, rule):
    found = violations(source, module)
    assert len(found) == 1
    assert re.search(rule, found[0])


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("hrsnn.models.lif", "from brian2 import ms\nfrom hrsnn.simulation.model import Model\nfrom .base import X"),
        ("hrsnn.simulation.engine", "from brian2 import device, prefs\nfrom hrsnn.simulation import backends"),
        ("hrsnn.plots", "from matplotlib.figure import Figure\nfrom hrsnn.files import atomic"),
        ("hrsnn.lab.runs", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from matplotlib import figure"),
        ("hrsnn.studies.lorenz", "from hrsnn import __version__, plots\nfrom hrsnn.models import LIF"),
        ("hrsnn.datasets.audio", "from hrsnn.datasets._files import locate"),
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


def test_few_modules_are_long():
    long = {module: n for module, path in modules() if (n := len(path.read_text().splitlines())) > WORTH_A_LOOK}
    assert len(long) <= 3, f"have these two subjects? {long}"


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
