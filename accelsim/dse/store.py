"""What sweeps have found out, in one SQLite file: each point once, under the hash of all its inputs.

The log is written ahead and forced to disk at each commit, so a point that was acknowledged outlives a killed process
and a power cut; whoever opens the file next finds it whole.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from accelsim.errors import AccelSimError, Fault

#: What tells a store from any other SQLite file, and the version of its tables.
APPLICATION = 0x61637377
VERSION = 1
#: Longest text that is kept of a point, and of an error.
MAX_FIGURES = 2**20
MAX_ERROR = 4096
#: Seconds to wait for another process that writes.
PATIENCE_S = 30.0
#: Keys of one question; SQLite bounds its variables.
_KEYS = 500

_TABLES = """
CREATE TABLE points (
    key TEXT PRIMARY KEY,
    figures TEXT,
    error TEXT,
    inputs TEXT NOT NULL,
    CHECK ((figures IS NULL) <> (error IS NULL))
) WITHOUT ROWID;
CREATE TABLE inputs (sha256 TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID;
"""


class Outcome(NamedTuple):
    """What became of a point: figures as JSON, or an error."""

    key: str
    figures: str | None
    error: str | None

    @classmethod
    def failed(cls, key: str, error: str) -> Outcome:
        """A point that failed; a long text is cut."""
        return cls(key, None, error if len(error) <= MAX_ERROR else error[: MAX_ERROR - 3] + "...")


class Store:
    """A store of points; `with` closes it.

    Parameters
    ----------
    path
        Its file, which is made if need be; None for one in memory.

    Raises
    ------
    AccelSimError
        If the file is no store, or can't be written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        with self._told():
            self._db = sqlite3.connect(path or ":memory:", timeout=PATIENCE_S, isolation_level=None)
        try:
            with self._told():
                self._open()
        except AccelSimError:
            self._db.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def known(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """What became of points, as far as it is known."""
        found: dict[str, Outcome] = {}
        with self._told():
            for low in range(0, len(keys), _KEYS):
                part = keys[low : low + _KEYS]
                marks = ",".join("?" * len(part))
                rows = self._db.execute(f"SELECT key, figures, error FROM points WHERE key IN ({marks})", part)  # noqa: S608
                found |= {row[0]: Outcome(*row) for row in rows}
        return found

    def add(self, outcomes: Sequence[Outcome], inputs: Mapping[str, str], contents: Mapping[str, str]) -> None:
        """Keep what became of points: all of them are on disk when this returns, or none is.

        A point that is there keeps what it has, unless it failed and now has figures.

        Parameters
        ----------
        inputs
            Of each point, by its key, the hashes of what it is made of, as JSON.
        contents
            What those hashes are of, as JSON.
        """
        sized = [
            outcome
            if outcome.figures is None or len(outcome.figures) <= MAX_FIGURES
            else Outcome.failed(outcome.key, f"figures must be at most {MAX_FIGURES} characters")
            for outcome in outcomes
        ]
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany("INSERT OR IGNORE INTO inputs VALUES (?, ?)", contents.items())
                self._db.executemany(
                    "INSERT INTO points VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                    "figures = excluded.figures, error = excluded.error "
                    "WHERE points.figures IS NULL",
                    [(*outcome, inputs.get(outcome.key, "{}")) for outcome in sized],
                )
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def __len__(self) -> int:
        with self._told():
            (count,) = self._db.execute("SELECT count(*) FROM points").fetchone()
        return int(count)

    def _open(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("BEGIN IMMEDIATE")
        try:
            (application,) = self._db.execute("PRAGMA application_id").fetchone()
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            (tables,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not application and not tables:
                for statement in _TABLES.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {VERSION}")
            elif (application, version) != (APPLICATION, VERSION):
                raise AccelSimError(
                    Fault(f"must be a store of sweeps of version {VERSION}, but is not", str(self._path))
                )
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say in one line what SQLite complains of."""
        try:
            yield
        except sqlite3.Error as error:
            raise AccelSimError(Fault(f"must be a writable store of sweeps: {error}", str(self._path or ""))) from None
