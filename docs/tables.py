"""List the commands behind the tables of results: ``make results``, or ``python docs/tables.py [PAGE]``.

On the pages of docs/results each table stands under a heading with lines "Command: `...`", "Seeds: ..." and
"Test scores seen while choosing: ...".
"""

import re
import sys
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).parent / "results"
_COMMAND = re.compile(r"^Command: `(.+)`", re.MULTILINE)


class Table(NamedTuple):
    """What stands behind the tables under one heading."""

    page: str
    heading: str
    commands: list[str]
    seeds: str
    seen: str


def tables(page: Path) -> list[Table]:
    """Return the headings of a page that have a command, in order."""
    found = []
    for section in re.split(r"^#+ ", page.read_text(), flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        if commands := _COMMAND.findall(text):
            marks = (_mark("Seeds", text), _mark("Test scores seen while choosing", text))
            found.append(Table(page.stem, heading, commands, *marks))
    return found


def _mark(name: str, text: str) -> str:
    line = re.search(rf"^{name}: (.+)$", text, re.MULTILINE)
    return line.group(1) if line else "not recorded"


def main(names: list[str]) -> int:
    """Print the commands of some pages, or of all."""
    pages = {page.stem: page for page in sorted(RESULTS.glob("*.md"))}
    if unknown := [name for name in names if name not in pages]:
        print(f"There is no page {unknown[0]!r}. The pages are: {', '.join(pages)}.", file=sys.stderr)
        return 1
    for name in names or pages:
        for table in tables(pages[name]):
            print(f"# {table.page}: {table.heading} (seeds {table.seeds.rstrip('.')})")
            print("\n".join(table.commands))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
