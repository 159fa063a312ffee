"""The generated pages tell what the code holds."""

import ast
import importlib
import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest
from test_layout import LEVELS

import hrsnn.models
from hrsnn.lab import cli, settings
from hrsnn.lab.studies import list_studies
from hrsnn.models import LIF

DOCS = Path(__file__).resolve().parent.parent / "docs"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generate():
    return loaded("generate")


@pytest.fixture(scope="module")
def pictures():
    return loaded("pictures")


@pytest.fixture(scope="module")
def tables():
    return loaded("tables")


@pytest.mark.parametrize("name", hrsnn.models.__all__)
def test_models_page_shows_equations_and_parameters(generate, name):
    model = getattr(hrsnn.models, name)
    section = generate.models_page().split(f"\n### {name}\n")[1].split("\n### ")[0]
    assert str(model()).partition("\nparameters:")[0] in section
    for parameter, value in model.defaults.items():
        assert f"| `{parameter}` | {settings.write(value)} | " in section


@pytest.mark.parametrize("name", hrsnn.models.__all__)
def test_every_parameter_of_a_model_has_its_meaning_beside_it(generate, name):
    model = getattr(hrsnn.models, name)
    meanings = generate.meanings(model)
    assert [parameter for parameter in model.defaults if not meanings.get(parameter)] == []


def test_meaning_comes_from_the_nearest_class(generate, tmp_path):
    (tmp_path / "variant.py").write_text(
        "from brian2 import ms\nfrom hrsnn.models import LIF\n\n"
        'class Slow(LIF):\n    """Slow."""\n\n    defaults = {**LIF.defaults, "tau_m": 90 * ms}  # all\n'
        'class Slower(Slow):\n    """Slower."""\n\n    defaults = {\n        "tau_m": 9 * ms,  # slow membrane\n    }\n'
    )
    spec = importlib.util.spec_from_file_location("variant", tmp_path / "variant.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["variant"] = module
    spec.loader.exec_module(module)
    assert generate.meanings(LIF)["tau_m"] == "membrane time constant"
    assert generate.meanings(module.Slower)["tau_m"] == "slow membrane"
    assert generate.meanings(module.Slower)["t_ref"] == "refractory period"


def test_studies_page_shows_every_setting(generate):
    page = generate.studies_page()
    for name, study in list_studies().items():
        assert f"## {name}\n" in page
        for setting, value in study.defaults.items():
            assert f"| `{setting}` | {settings.write(value)} | " in page


def test_pages_are_written_only_if_they_changed(generate, tmp_path):
    generate.pages(tmp_path)
    first = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.md")}
    assert {"models.md", "studies.md", "index.md", "pruning.md", "stdp.md"} <= {path.name for path in first}
    generate.pages(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.md")} == first
    assert "autofunction:: hrsnn.plots.raster" in (tmp_path / "api" / "plots.md").read_text()


COMMAND = re.compile(r"""hrsnn run (\w+)\b(?!\.py)((?:\s+(?:"[^"]*"|\w+=[^\s"`]*))*)""")


def commands():
    """Every `hrsnn run` of the README, the pages and the help, which may break a line: study and settings."""
    pages = [DOCS.parent / "README.md", *sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("*.rst"))]
    for place, text in [("help", cli._EXAMPLES), *((page.name, page.read_text()) for page in pages)]:
        for found in COMMAND.finditer(text):
            words = re.findall(r'"([^"]*)"|(\S+)', found[2])
            arguments = [" ".join((quoted or bare).split()) for quoted, bare in words]
            yield place, found[1], dict(argument.split("=", 1) for argument in arguments if "=" in argument)


def test_every_command_of_the_pages_is_one():
    studies, found = list_studies(), list(commands())
    assert len(found) > 30
    for place, name, changes in found:
        assert name in studies, f"{place}: there is no study {name}"
        studies[name].configure(changes)  # raises if a setting is unknown or cannot be read


def test_architecture_names_every_module(generate):
    page = (DOCS / "architecture.md").read_text()
    shown = page.split("```text\n")[-1].removesuffix("```\n")
    assert shown == generate.tree(), "paste what `python docs/generate.py` prints into docs/architecture.md"


def test_architecture_tells_the_levels_that_are_checked():
    rows = re.findall(r"^\| (\d) \| (.+?) \|", (DOCS / "architecture.md").read_text(), re.MULTILINE)
    named = {int(level): re.findall(r"`([\w.]+)`", rooms) for level, rooms in rows}
    told = {name.removeprefix("hrsnn."): level for level, names in named.items() for name in names}
    assert told == LEVELS


def page_tables(path):
    """The sections of a results page that hold a table, by heading."""
    for section in re.split(r"^#+ ", path.read_text(), flags=re.MULTILINE)[1:]:
        if re.search(r"^\| --- ", section, re.MULTILINE):
            yield section.partition("\n")[0], section


def test_every_table_of_results_has_command_and_marks(tables):
    pages = sorted((DOCS / "results").glob("*.md"))
    assert len(pages) > 10
    for page in pages:
        known = {table.heading: table for table in tables.tables(page)}
        for heading, section in page_tables(page):
            assert heading in known, f"{page.name}, {heading}: no line 'Command: `...`'"
            assert known[heading].seeds != "not recorded", f"{page.name}, {heading}: no line 'Seeds: ...'"
            assert "Test scores seen while choosing: " in section, f"{page.name}, {heading}"


def test_every_command_of_results_can_be_run(tables):
    studies = list_studies()
    commands = [
        command for page in (DOCS / "results").glob("*.md") for t in tables.tables(page) for command in t.commands
    ]
    commands += re.findall(r"`(hrsnn run [^`]+)`", (DOCS / "results.md").read_text())
    assert len(commands) > 60
    for command in commands:
        program, verb, name, *settings_ = shlex.split(command)
        assert (program, verb) == ("hrsnn", "run")
        studies[name].configure(dict(text.split("=", 1) for text in settings_ if not text.startswith("--")))


def test_results_list_their_commands(tables, capsys):
    assert tables.main(["caltech"]) == 0
    assert "hrsnn run caltech_stdp seed=4" in capsys.readouterr().out
    assert tables.main(["nowhere"]) == 1
    assert "The pages are: anywhere, caltech, digits" in capsys.readouterr().err


def test_every_script_of_the_gallery_says_what_it_shows_and_can_be_imported_from(pictures):
    """Scripts run when the documentation is built; here, what can be told without running them."""
    folder = DOCS / "gallery"
    assert sorted(path.stem for path in folder.glob("*.py")) == sorted(pictures.SCRIPTS)
    for name in pictures.SCRIPTS:
        own = pictures.script(folder / f"{name}.py")
        assert own.title
        assert own.text.count(".") >= 2, name
        assert len(own.code.splitlines()) <= 45, name
        assert f'figure.savefig("{name}.png", dpi=150)' in own.code
        for node in ast.walk(ast.parse(own.code)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), f"{name}: {node.module} has no {alias.name}"


def test_a_script_of_the_gallery_becomes_a_page_once(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "SCRIPTS", ("dot",))
    path = tmp_path / "dot.py"
    path.write_text(
        '"""A dot.\n\nIt is round. That is all.\n"""\n\nprint("drawn")\nopen("dot.png", "wb").write(b"png")\n'
    )
    pictures.pages(tmp_path)
    page = (tmp_path / "dot.md").read_text()
    assert "# A dot\n\nIt is round. That is all.\n" in page
    assert '```python\nprint("drawn")\n' in page
    assert "```text\ndrawn\n```" in page
    assert (tmp_path / "dot.png").read_bytes() == b"png"
    assert "## [A dot](dot.md)\n\nIt is round.\n" in (tmp_path / "index.md").read_text()
    monkeypatch.setattr(pictures, "_run", lambda path: pytest.fail("it ran again"))
    pictures.pages(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(pictures, "SCRIPTS", ("dot",))
    path.write_text('"""A dot.\n\nIt fails.\n"""\n\nraise ValueError("no ink")\n')
    with pytest.raises(RuntimeError, match=r"dot.py ended with status 1, without its picture:\n(?s:.*)no ink"):
        pictures.pages(tmp_path)
