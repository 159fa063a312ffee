"""Sphinx configuration: ``make docs``. The pages of models, studies and the API are written from the code first."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import generate
import pictures

import hrsnn

project = "hrsnn"
author = "hrsnn developers"
release = version = hrsnn.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
suppress_warnings = ["ref.python"]  # attributes of several classes have one name
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_ivar = True
html_theme = "alabaster"
html_theme_options = {
    "description": hrsnn.__doc__.partition("\n")[0],
    "page_width": "1080px",
    "fixed_sidebar": True,
    "font_size": "16px",
}

generate.pages(Path(__file__).parent)
pictures.pages(Path(__file__).parent / "gallery")

_CODE = re.compile(r"(``.+?``|`.+?`|>>>.*)")


def _escape(app, what, name, obj, options, lines):
    """Let |x| and fitted_ in a docstring's prose stand for themselves, not for substitutions and targets."""
    for number, line in enumerate(lines):
        parts = _CODE.split(line)
        parts[::2] = [re.sub(r"(?<=\w)_(?=\W|$)|(?<!\\)\|", r"\\\g<0>", part) for part in parts[::2]]
        lines[number] = "".join(parts)


def _skip(app, what, name, obj, skip, options):
    """Leave out what scikit-learn's base classes add to every estimator."""
    return True if name.startswith("set_") and name.endswith("_request") else skip


def setup(app):
    app.connect("autodoc-skip-member", _skip)
    app.connect("autodoc-process-docstring", _escape, priority=600)  # after napoleon
