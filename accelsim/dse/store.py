"""What sweeps have found out, in one SQLite file: each point once, under the hash of all its inputs.

The log is written ahead and forced to disk at each commit, so a point that was acknowledged outlives a killed process
and a power cut; whoever opens the file next finds it whole.
"""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from accelsim.errors import AccelSimError, Fault
from accelsim.files import is_file, require_regular

#: What tells a store from any other SQLite file, and the version of its tables.
APPLICATION = 0x61637377
VERSION = 1
#: Longest text that is kept of a point, and of an error.
MAX_FIGURES = 2**20
MAX_ERROR = 4096
#: Bytes of a store at most, and of a text in it: 100,000 points are 400 MB.
MAX_FILE_BYTES, MAX_LENGTH = 2**36, 2**22
#: Whole numbers of figures are below.
MAX_WHOLE = 2**63
#: Seconds to wait for another process that writes.
PATIENCE_S = 30.0
#: Keys of one question; SQLite bounds its variables.
_KEYS = 500

#: What a store has, word for word, and nothing else: no view is read that somebody has put in a table's place, and no
#: trigger runs.
_TABLES = {
    "points": """CREATE TABLE points (
    key TEXT PRIMARY KEY,
    figures TEXT,
    error TEXT,
    inputs TEXT NOT NULL,
    CHECK ((figures IS NULL) <> (error IS NULL))
) WITHOUT ROWID""",
    "inputs": "CREATE TABLE inputs (sha256 TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID",
}
#: Steps of SQLite's machine between two looks at the clock, and seconds that one question may take.
_STEPS, _LONGEST_S = 100_000, 60.0
#: Values inside each other in figures.
_DEPTH = 8


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
        self._until = math.inf
        new = path is not None and not is_file(path)
        if path is not None and not new:
            require_regular(path, MAX_FILE_BYTES)
        try:
            with self._told():
                self._db = sqlite3.connect(path or ":memory:", timeout=PATIENCE_S, isolation_level=None)
                self._db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LENGTH)
                self._db.set_progress_handler(self._is_late, _STEPS)
                self._open()
        except AccelSimError:
            self.close()
            if new and path is not None and is_file(path) and path.stat().st_size == 0:
                path.unlink()  # of which nothing was kept
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(AttributeError, sqlite3.Error):  # it was never open, or its disk is full
            self._db.close()

    def known(self, keys: Sequence[str]) -> dict[str, Outcome]:
        """What became of points, as far as it is known.

        Raises
        ------
        AccelSimError
            If the file has anything else than figures, or an error, of one of them.
        """
        found: dict[str, Outcome] = {}
        with self._told():
            for low in range(0, len(keys), _KEYS):
                part = keys[low : low + _KEYS]
                marks = ",".join("?" * len(part))
                rows = self._db.execute(f"SELECT key, figures, error FROM points WHERE key IN ({marks})", part)  # noqa: S608
                found |= {row[0]: Outcome(*row) for row in rows}
        for outcome in found.values():
            self._require(outcome)
        return found

    def _require(self, outcome: Outcome) -> None:
        """Refuse what is no outcome: the file may have come from elsewhere."""
        if outcome.figures is None and isinstance(outcome.error, str):
            return
        if outcome.error is None and isinstance(outcome.figures, str) and len(outcome.figures) <= MAX_FIGURES:
            with contextlib.suppress(ValueError, RecursionError):
                figures = json.loads(outcome.figures, parse_constant=_no_number)
                if isinstance(figures, dict) and _is_plain(figures, _DEPTH):
                    return
        what = f"must have figures in JSON, or an error, of point {outcome.key[:12]}..., which it has not"
        raise AccelSimError(Fault(what, str(self._path or "")))

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
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        """End a transaction, if SQLite has not done so itself, as it does on a full disk."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

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
            found = self._db.execute("SELECT type, name, sql FROM sqlite_master LIMIT 9").fetchall()
            if not application and not found:
                for statement in _TABLES.values():
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA application_id = {APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {VERSION}")
            elif (application, version) != (APPLICATION, VERSION):
                raise AccelSimError(
                    Fault(f"must be a store of sweeps of version {VERSION}, but is not", str(self._path))
                )
            elif sorted(found) != sorted(("table", name, statement) for name, statement in _TABLES.items()):
                raise AccelSimError(Fault("must be a store of sweeps, with its own tables alone", str(self._path)))
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _is_late(self) -> bool:
        """Whether a question takes too long; SQLite gives it up then."""
        return time.monotonic() > self._until

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say in one line what SQLite complains of, and of what takes too long."""
        self._until = time.monotonic() + PATIENCE_S + _LONGEST_S
        try:
            yield
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise AccelSimError(Fault(f"must be a writable store of sweeps: {error}", str(self._path or ""))) from None


def _no_number(constant: str) -> None:
    raise ValueError(constant)


def _is_plain(value: object, depth: int) -> bool:
    """Whether a value is made of mappings, lists of them, names, numbers, flags and absent ones."""
    if isinstance(value, dict):
        return depth > 0 and all(_is_plain(inner, depth - 1) for inner in value.values())
    if isinstance(value, list):  # of a task's measures
        return all(isinstance(inner, dict) and _is_plain(inner, depth) for inner in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) < MAX_WHOLE
    return value is None or isinstance(value, str | bool | float)
