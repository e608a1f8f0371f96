"""Text of files that other tools wrote, and faults at a place in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from accelsim import files
from accelsim.errors import Fault, WorkloadError

MAX_FILE_BYTES = 2**24


def read_text(path: Path) -> str:
    r"""Text of a file of bounded size, lines ending in \n.

    Raises
    ------
    WorkloadError
        If it can't be read, is larger, or is not UTF-8.
    """
    return files.read_text(path, MAX_FILE_BYTES, WorkloadError).replace("\r\n", "\n").replace("\r", "\n")


@dataclass(slots=True)
class Faults:
    """Faults of a file, collected so that all of them are told at once."""

    file: str
    found: list[Fault] = field(default_factory=list)

    def add(self, message: str, line: int = 0, column: int = 0, key: str = "") -> None:
        """Note one."""
        self.found.append(Fault(message, self.file, line, column, key))

    def integer(self, text: str, low: int, high: int, line: int, column: int, key: str) -> int:
        """Value of a number's digits; `low`, and a fault, if it is none or not in its range."""
        if text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high:
            return int(text)
        self.add(f"must be an integer from {low} to {high}, not {shown(text)}", line, column, key)
        return low

    def check(self) -> None:
        """Raise what was found.

        Raises
        ------
        WorkloadError
            If it is anything.
        """
        if self.found:
            raise WorkloadError(*self.found)


def shown(text: str) -> str:
    """A value as faults quote it: on one line, and not too long."""
    quoted = repr(text)
    return quoted if len(quoted) <= 60 else quoted[:57] + "..."


def yaml_string(text: str) -> str:
    """A quoted scalar of YAML."""
    return json.dumps(text, ensure_ascii=False)
