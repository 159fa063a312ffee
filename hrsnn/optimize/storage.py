"""A search on the disk: one SQLite file in a folder, written by one process, each evaluation at once."""

from __future__ import annotations

import fcntl
import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

from hrsnn.optimize.evaluate import Evaluation

__all__ = ["Storage"]

FILE = "search.sqlite"


class Storage:
    """The evaluations and the settings of a search, in ``folder/search.sqlite``.

    The file is in write-ahead mode with full synchronisation: an evaluation is safe once ``add`` returns, and
    others may read while the search runs. A lock, released by the system even after kill -9, keeps a second
    writer out. The settings hold the objective as a pickle: open only folders you trust.

    Parameters
    ----------
    folder : str or Path
        Made if missing.

    Raises
    ------
    RuntimeError
        If another process is writing there.
    ValueError
        If the file is no search.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "search.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise RuntimeError(f"A search is running in {self.folder}. Wait for it or stop it, then resume.") from None
        self._connection = sqlite3.connect(self.folder / FILE, isolation_level=None)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("CREATE TABLE IF NOT EXISTS settings (settings BLOB)")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS evaluations (number INTEGER PRIMARY KEY, point TEXT, vector TEXT, "
                "value REAL, variance REAL, message TEXT, seconds REAL)"
            )
        except sqlite3.DatabaseError as error:
            self.close()
            raise ValueError(f"{self.folder / FILE} is not a search ({error}). Choose another folder.") from None

    @property
    def settings(self) -> dict[str, Any]:
        """What the search was started with; empty if it was not."""
        rows = self._connection.execute("SELECT settings FROM settings").fetchall()
        return cloudpickle.loads(rows[0][0]) if rows else {}

    @settings.setter
    def settings(self, settings: dict[str, Any]) -> None:
        self._connection.execute("INSERT INTO settings VALUES (?)", (cloudpickle.dumps(settings),))

    def add(self, evaluation: Evaluation, point: str) -> None:
        """Store an evaluation, with its point as text for readers of the file."""
        row = asdict(evaluation) | {"vector": json.dumps(evaluation.vector), "point": point}
        row = {name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in row.items()}
        self._connection.execute(
            "INSERT INTO evaluations VALUES (:number, :point, :vector, :value, :variance, :message, :seconds)", row
        )

    def evaluations(self) -> Iterator[Evaluation]:
        """Yield the stored evaluations by number."""
        columns = "number, vector, value, variance, message, seconds"
        for row in self._connection.execute(f"SELECT {columns} FROM evaluations ORDER BY number").fetchall():
            number, vector, value, variance, message, seconds = row
            value, seconds = (math.nan if x is None else x for x in (value, seconds))
            yield Evaluation(number, tuple(json.loads(vector)), value, variance, message, seconds)

    def close(self) -> None:
        """Close the file and let others write."""
        self._connection.close()
        self._lock.close()

    def __enter__(self) -> Storage:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
