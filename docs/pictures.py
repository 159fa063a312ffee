"""Run the scripts of docs/gallery, and make a page of each: its text, its picture, its code and what it prints."""

import ast
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

SCRIPTS = (
    "digits", "receptive_fields", "stdp_window", "pruning", "two_senses", "lorenz", "delays", "graph_pruning",
    "gradients", "search",
)  # fmt: skip
PATIENCE = 600  # seconds until a script counts as hanging


class Script(NamedTuple):
    """What a script says of itself."""

    title: str
    text: str
    code: str
    digest: str


def script(path: Path) -> Script:
    """Return the title and text of a script's docstring, and the code below it."""
    source = path.read_text()
    title, _, text = (ast.get_docstring(ast.parse(source)) or "").partition("\n")
    end = ast.parse(source).body[0].end_lineno or 0
    code = "\n".join(source.splitlines()[end:]).strip()
    return Script(title.rstrip("."), text.strip(), code, hashlib.sha256(source.encode()).hexdigest()[:16])


def pages(folder: Path) -> None:
    """Write a page and a picture beside each script that has changed since, and the page of all."""
    for name in SCRIPTS:
        own, page = script(folder / f"{name}.py"), folder / f"{name}.md"
        if not page.is_file() or not page.read_text().startswith(f"% {own.digest}\n"):
            printed = _run(folder / f"{name}.py")
            page.write_text(_page(name, own, printed))
    text = _index({name: script(folder / f"{name}.py") for name in SCRIPTS})
    index = folder / "index.md"
    if not index.is_file() or index.read_text() != text:
        index.write_text(text)


def _run(path: Path) -> str:
    """Run a script in an empty folder, keep its picture, and return what it prints."""
    print(f"docs: running {path.name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", path]
        threads = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=folder, env=threads, capture_output=True, text=True, timeout=PATIENCE)
        picture = Path(folder) / f"{path.stem}.png"
        if done.returncode or not picture.is_file():
            raise RuntimeError(f"{path} ended with status {done.returncode}, without its picture:\n{done.stderr}")
        path.with_suffix(".png").write_bytes(picture.read_bytes())
    return done.stdout.strip()


def _page(name: str, own: Script, printed: str) -> str:
    parts = [f"% {own.digest}", f"# {own.title}\n", f"{own.text}\n", f"![{own.title}]({name}.png)\n"]
    parts.append(f"```python\n{own.code}\n```\n")
    if printed:
        parts.append(f"It prints\n\n```text\n{printed}\n```\n")
    return "\n".join(parts)


def _index(scripts: dict[str, Script]) -> str:
    """Return the page of all pictures."""
    parts = ["# Gallery\n", "Each picture is what a short script draws, from data that come with the package.\n"]
    for name, own in scripts.items():
        first = own.text.partition(". ")[0].replace("\n", " ").rstrip(".") + "."
        parts += [f"## [{own.title}]({name}.md)\n", f"{first}\n"]
        parts.append(f":::{{image}} {name}.png\n:target: {name}.html\n:width: 420px\n:alt: {own.title}\n:::\n")
    return "\n".join([*parts, "```{toctree}\n:hidden:\n", *scripts, "```\n"])
