"""The one-page report of a run: question, metrics, figures, settings, provenance; one file, nothing to fetch."""

import base64
import csv
import html
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

LONG = 20  # rows of a table that is folded away

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  overflow-wrap: break-word; }
h1 { margin-bottom: 0; overflow-wrap: anywhere; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
.status { display: inline-block; padding: 0 .6em; border-radius: .3em; background: #e6e6e6; font-size: .9rem; }
.done { background: #d5efe3; } .failed { background: #f7d9cf; } .interrupted { background: #fbeec2; }
.wide { overflow-x: auto; margin: .6rem 0; } table { border-collapse: collapse; }
th, td { text-align: left; vertical-align: top; padding: .15rem 1.2rem .15rem 0; }
th { font-weight: 600; } tr + tr td, tr + tr th { border-top: 1px solid #eee; }
td { font-variant-numeric: tabular-nums; max-width: 32rem; } .table td { white-space: nowrap; }
.pairs td:first-child { white-space: nowrap; } .pairs td + td { overflow-wrap: anywhere; }
.changed td { font-weight: 600; }
figure { margin: 1.2rem 0; } img { max-width: 100%; height: auto; }
figcaption, summary, .note { color: #555; font-size: .9rem; } summary { cursor: pointer; }
pre { background: #f6f6f6; padding: .7rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
.command { user-select: all; }
@media (max-width: 30rem) {
  body { margin: 1rem auto; } th, td { padding-right: .7rem; } .wide img { height: 16rem; max-width: none; }
}
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
        _section("Metrics", *_metrics(metrics)),
        _section("Figures", *map(_figure, _files(folder / "figures", "*.png"))),
        _section("Tables", *map(_table_file, _files(folder / "tables", "*.csv"))),
        _section("Settings", _settings(config), _quick_note(config)),
        _section("Repeat it", *_commands(config), _commit_note(provenance)),
        _section("Where it comes from", _provenance(provenance)),
        _section("Equations", *(_equations(*item) for item in provenance.get("equations", {}).items())),
    ]
    title = _text(f"{config['study']} {folder.name}")
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(filter(None, parts))
        + "</body></html>\n"
    )


def command(config: Mapping[str, Any], all_settings: bool = False) -> str:
    """Return the command that makes this run again.

    Parameters
    ----------
    config : mapping
        Content of ``config.json``.
    all_settings : bool
        Whether every setting is written out, or only those that differ from the defaults.
    """
    names = config["settings"] if all_settings else _changed(config)
    settings = (f"{name}={_plain(config['settings'][name])}" for name in names)
    return shlex.join(["hrsnn", "run", config["source"], *["--quick"] * config["quick"], *settings])


def _changed(config: Mapping[str, Any]) -> list[str]:
    """Return the settings that are not those the run started from; all of a run that did not note these."""
    start = config.get("defaults", {})
    return [name for name, value in config["settings"].items() if name not in start or start[name] != value]


def _section(title: str, *contents: str) -> str:
    return f"<h2>{title}</h2>\n" + "\n".join(contents) if any(contents) else ""


def _metrics(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    if not metrics:
        return ("<p class='note'>None was saved.</p>",)
    rounded = {name: _digits(repr(value)) if isinstance(value, float) else value for name, value in metrics.items()}
    return _pairs(rounded), "<p class='note'>Numbers to five digits; metrics.json and tables/ have all.</p>"


def _settings(config: Mapping[str, Any]) -> str:
    """Return all settings, those in bold that were changed, beside what they would have been."""
    start, changed = config.get("defaults", {}), _changed(config)
    if not start:
        return _pairs(config["settings"])
    rows = [(name, _plain(value), _plain(start.get(name, ""))) for name, value in config["settings"].items()]
    return _table(rows, ("setting", "value", "quick default" if config["quick"] else "default"), "pairs", changed)


def _commands(config: Mapping[str, Any]) -> tuple[str, str]:
    short, full = command(config), command(config, all_settings=True)
    written_out = f"<details><summary>with every setting</summary><pre class='command'>{_text(full)}</pre></details>"
    return f"<pre class='command'>{_text(short)}</pre>", written_out if full != short else ""


def _pairs(values: Mapping[str, Any]) -> str:
    return _table([(name, _plain(value)) for name, value in values.items()], kind="pairs")


def _table(
    rows: Iterable[Sequence[str]], header: Iterable[str] = (), kind: str = "table", changed: Collection[str] = ()
) -> str:
    """Return a table that scrolls where it is wider than the page; rows that ``changed`` names stand out."""
    head = "".join(f"<th>{_text(cell)}</th>" for cell in header)
    body = "".join(
        f"<tr{' class=changed' * (row[0] in changed)}>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<div class='wide'><table class='{kind}'>{f'<tr>{head}</tr>' if head else ''}{body}</table></div>"


def _table_file(path: Path) -> str:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    table = _table([[_digits(cell) for cell in row] for row in rows], header)
    if len(rows) > LONG:
        table = f"<details><summary>{len(rows)} rows</summary>{table}</details>"
    return f"<figure><figcaption>{_title(path)} (<code>tables/{_text(path.name)}</code>)</figcaption>{table}</figure>"


def _figure(path: Path) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    image = f"<img alt='{_title(path)}' src='data:image/png;base64,{content}'>"
    return f"<figure><div class='wide'>{image}</div><figcaption>{_title(path)}</figcaption></figure>"


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


def _digits(text: str) -> str:
    """Return the text of a number with a point to five digits, as a page shows it; other text as it is."""
    try:
        return text if text.lstrip("+-").isdigit() else f"{float(text):.5g}"
    except ValueError:
        return text


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(part)}</p>" for part in text.split("\n\n") if part.strip())


def _title(path: Path) -> str:
    return _text(path.stem.replace("_", " "))


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def _text(value: str) -> str:
    return html.escape(str(value), quote=True)
