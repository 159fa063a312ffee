"""The one-page report of a run: question, metrics, figures, settings, provenance; one file, nothing to fetch."""

import base64
import csv
import html
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
.status { display: inline-block; padding: 0 .6em; border-radius: .3em; background: #e6e6e6; font-size: .9rem; }
.done { background: #d5efe3; } .failed { background: #f7d9cf; } .interrupted { background: #fbeec2; }
table { border-collapse: collapse; margin: .6rem 0; } th, td { text-align: left; padding: .15rem 1.2rem .15rem 0; }
th { font-weight: 600; } tr + tr td, tr + tr th { border-top: 1px solid #eee; }
td { font-variant-numeric: tabular-nums; } .changed td { font-weight: 600; }
figure { margin: 1.2rem 0; } img { max-width: 100%; } figcaption, .note { color: #555; font-size: .9rem; }
pre { background: #f6f6f6; padding: .7rem 1rem; white-space: pre-wrap; font-size: .85rem; }
"""


def page(
    folder: Path,
    config: Mapping[str, Any],
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    status: str,
    seconds: float,
) -> str:
    """Return the HTML of a run's report, with its figures and tables inside.

    Parameters
    ----------
    folder : Path
        Of the run, with ``figures/*.png``, ``tables/*.csv`` and perhaps ``error.txt``.
    config, metrics, provenance : mapping
        Content of its JSON files.
    status : str
        See ``Run.status``.
    seconds : float
        Time of all its attempts.
    """
    first, _, rest = config["question"].partition("\n")
    parts = [
        f"<h1>{_text(config['study'])}</h1>",
        f"<p><b>{_text(first)}</b></p>{_paragraphs(rest)}",
        f"<p><span class='status {status}'>{status}</span> {_text(folder.name)}, {seconds:.1f} s</p>",
        _error(folder / "error.txt"),
        _section("Metrics", _pairs(metrics) if metrics else "<p class='note'>None was saved.</p>"),
        _section("Figures", *map(_figure, _files(folder / "figures", "*.png"))),
        _section("Tables", *map(_table_file, _files(folder / "tables", "*.csv"))),
        _section("Settings", _pairs(config["settings"]), _quick_note(config)),
        _section("Repeat it", f"<pre>{_text(command(config))}</pre>", _commit_note(provenance)),
        _section("Where it comes from", _provenance(provenance)),
        _section("Equations", *(_equations(*item) for item in provenance.get("equations", {}).items())),
    ]
    title = _text(f"{config['study']} {folder.name}")
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(filter(None, parts))
        + "</body></html>\n"
    )


def command(config: Mapping[str, Any]) -> str:
    """Return the command that makes this run again, with every setting written out."""
    settings = (f"{name}={_plain(value)}" for name, value in config["settings"].items())
    return shlex.join(["hrsnn", "run", config["source"], *settings])


def _section(title: str, *contents: str) -> str:
    return f"<h2>{title}</h2>\n" + "\n".join(contents) if any(contents) else ""


def _pairs(values: Mapping[str, Any]) -> str:
    return _table([(name, _plain(value)) for name, value in values.items()])


def _table(rows: Iterable[Iterable[str]], header: Iterable[str] = ()) -> str:
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"


def _table_file(path: Path) -> str:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return f"<figure><figcaption>{_title(path)}</figcaption>{_table(rows, header)}</figure>"


def _figure(path: Path) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    image = f"<img alt='{_title(path)}' src='data:image/png;base64,{content}'>"
    return f"<figure>{image}<figcaption>{_title(path)}</figcaption></figure>"


def _equations(name: str, text: str) -> str:
    return f"<h3>{_text(name)}</h3><pre>{_text(text)}</pre>"


def _error(path: Path) -> str:
    return f"<pre>{_text(path.read_text())}</pre>" if path.is_file() else ""


def _quick_note(config: Mapping[str, Any]) -> str:
    return "<p class='note'>The quick variant: smaller than the published setting.</p>" if config["quick"] else ""


def _commit_note(record: Mapping[str, Any]) -> str:
    git = record.get("git", {})
    if not git.get("commit"):
        return ""
    changed = ", with changes that were not committed" if git["changed"] else ""
    return f"<p class='note'>At commit {_text(git['commit'])}{changed}.</p>"


def _provenance(record: Mapping[str, Any]) -> str:
    groups = {**record.get("machine", {}), **record.get("versions", {})}
    attempts = [f"{a['started']} {a['status']} {a.get('seconds', '?')} s" for a in record["attempts"]]
    return _pairs({**groups, "attempts": "; ".join(attempts)})


def _plain(value: Any) -> str:
    """Return a JSON value as a reader, and the command line, writes it."""
    if isinstance(value, list):
        return f"[{', '.join(_plain(part) for part in value)}]"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(part)}" for name, part in value.items())
    return str(value)


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(part)}</p>" for part in text.split("\n\n") if part.strip())


def _title(path: Path) -> str:
    return _text(path.stem.replace("_", " "))


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def _text(value: str) -> str:
    return html.escape(str(value), quote=True)
