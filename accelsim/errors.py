"""What accelsim raises when its input, and not accelsim, is at fault."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where.

    Parameters
    ----------
    message
        What is required, then what was given: "must be greater than 0, not -1".
    file, line, column, key
        The place, as far as it is known; line and column count from 1.
    """

    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    key: str = ""

    def __str__(self) -> str:
        place = ""
        message, key, file = _one_line(_cut(self.message)), _one_line(shortened(self.key)), _one_line(self.file)
        if file:
            numbers = [str(n) for n in (self.line, self.column) if n]
            place = ":".join([file, *numbers]) + ": "
        return f"{place}{key + ': ' if key else ''}{message}"


#: Characters of a value or key that are told, of a whole message, and faults of a file.
VALUE, MESSAGE, FAULTS = 80, 2000, 20
#: A value as messages quote it, which is too long; its quotes count.
_LONG = re.compile(rf"(?<!\w)(['\"])(?:(?!\1).){{{VALUE - 1},}}\1", re.DOTALL)


def shortened(value: str, most: int = VALUE) -> str:
    """A value, cut if it is long."""
    return value if len(value) <= most else f"{value[: most - 3]}..."


def _cut(message: str) -> str:
    """A message in which long values, and the whole if it is still long, are cut."""
    quoted = _LONG.sub(lambda found: found[0][: VALUE - 4] + "..." + found[1], message[: 8 * MESSAGE])
    return shortened(quoted, MESSAGE)


def _one_line(text: str) -> str:
    """Text without control characters and line ends, which names from files may hold."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error: BaseException) -> str:
    """Say why a path can't be used, in the system's words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


@contextlib.contextmanager
def needs_extra(name: str) -> Iterator[None]:
    """Say which extra is to be installed, where an import inside lacks a library."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise AccelSimError(
            f"accelsim must be installed with its extra {name} (pip install 'accelsim[{name}]'), "
            f"but there is no {error.name}"
        ) from None


class AccelSimError(Exception):
    """Any fault of what the user gave; one line a fault, exit code 2."""

    exit_code = 2

    def __init__(self, *faults: Fault | str) -> None:
        super().__init__(*faults)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults, in the order in which they were found; of a file's only the first ones are told."""
        return tuple(f if isinstance(f, Fault) else Fault(str(f)) for f in self.args)

    def __str__(self) -> str:
        by_file: dict[str, list[Fault]] = {}
        for fault in self.faults:
            by_file.setdefault(fault.file, []).append(fault)
        told = {file: [*faults[:FAULTS], *_more(file, len(faults) - FAULTS)] for file, faults in by_file.items()}
        return "\n".join(str(fault) for faults in told.values() for fault in faults)


def _more(file: str, count: int) -> list[Fault]:
    """Say that a file has more faults than are told."""
    return [Fault(f"and {count} more faults", file)] if count > 0 else []


class ConfigError(AccelSimError, ValueError):
    """A machine, technology or recipe file, or the choice of one, is not valid."""


class WorkloadError(AccelSimError, ValueError):
    """A network or its data is not valid."""


class CompileError(AccelSimError):
    """A network can't be compiled for a machine."""


class DoesNotFitError(CompileError):
    """Even the smallest tile of a layer is larger than a memory."""


class UnsteadyError(AccelSimError):
    """Blocks of layers can't be copied from those that were simulated; all of them must be."""


class ProgramError(AccelSimError, ValueError):
    """A program file or text is malformed, or `verify` rejects it."""


class StoppedError(AccelSimError):
    """Somebody has ended the command; exit code as shells have it."""

    exit_code = 130


class DefectError(AccelSimError, RuntimeError):
    """Accelsim contradicted itself, whatever its input: exit code 1."""

    exit_code = 1


class SimulationError(DefectError):
    """An engine does what `verify` has proven impossible."""


class DeadlockError(SimulationError):
    """Every unit waits; `verify` should have rejected the program."""

    def __init__(self, cycle: int, waiting: dict[str, str]) -> None:
        super().__init__(cycle, waiting)  # type: ignore[arg-type]
        self.cycle = cycle
        self.waiting = waiting

    @property
    def faults(self) -> tuple[Fault, ...]:
        """One fault, naming each unit and what it waits for."""
        who = "; ".join(f"{unit} waits for {what}" for unit, what in self.waiting.items())
        return (Fault(f"deadlock at cycle {self.cycle}: {who}"),)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Names that are about as near to a name as the nearest one, best first, at most three; none if none is near."""
    name = name[:VALUE]
    near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    ratio = [difflib.SequenceMatcher(None, candidate, name).ratio() for candidate in near]
    return [candidate for candidate, r in zip(near, ratio, strict=True) if r > ratio[0] - 0.1]


def unknown_name(what: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, with the nearest known names, or all of them if none is near."""
    names, name = sorted(known), shortened(name)
    near = nearest(name, names)
    offer = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known are {', '.join(names) or 'none'}"
    return f"must be a known {what}, not {name!r}; {offer}"
