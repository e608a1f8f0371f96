"""Below whose roofs runs are drawn: those of all machines, or of some where a chart has no room for so many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import ValidationError

from accelsim.config.arch import Machine
from accelsim.report.roofs import LEVELS, Level, Roofs
from accelsim.report.sources import Swept, is_best, shown
from accelsim.results import Summary

#: Roofs up to which all are drawn and named in the legend; more tell their names when they are pointed at.
NAMED = 16
#: Machines whose roofs are drawn if all machines have more.
ROOFED = 6


class Roofed(NamedTuple):
    """Runs whose machines have the same roofs."""

    roofs: Roofs
    runs: list[Summary]


class Below(NamedTuple):
    """Machines below whose roofs runs are drawn.

    Parameters
    ----------
    shown
        Those whose roofs are drawn.
    told
        Which they are, in a sentence.
    """

    shown: list[Roofed]
    told: str

    @classmethod
    def of(cls, runs: Sequence[Summary]) -> Below:
        """All machines if they have few roofs; else some of runs that no other one beats, from cheap to dear in energy.

        Machines of the same roofs count as one.
        """
        found: dict[object, Roofed] = {}
        for run in runs:
            roofs = roofs_of(run)
            if roofs:
                found.setdefault(roofs.key, Roofed(roofs, [])).runs.append(run)
        if _lines(roofed.roofs for roofed in found.values()) <= NAMED:
            told = f"Lines: the roofs of {'all machines' if len(found) > 1 else 'the machine'}." if found else ""
            return cls(list(found.values()), told)
        best = [machine for machine in found.values() if any(map(is_best, machine.runs))]
        asked = sorted(best or found.values(), key=lambda machine: min(map(_energy, _best_of(machine.runs))))
        number = min(ROOFED, len(asked))
        places = np.linspace(0, len(asked) - 1, number) if best else np.arange(number)
        of = f"{len(asked)} of runs that no other one beats" if best else "all, those of the least energy"
        some = f"{number}, from the least energy to the most, of the " if best and number < len(asked) else ""
        return cls(
            [asked[place] for place in np.rint(places).astype(int).tolist()],
            f"Machines have {len(found)} different sets of roofs. Lines: {some}{of}.",
        )


def _lines(found: Iterable[Roofs]) -> int:
    """Different roofs on the chart that has the most of them."""
    compute: set[tuple[str, float]] = set()
    memory: dict[Level, set[float]] = {level: set() for level in LEVELS}
    for roofs in found:
        compute |= roofs.compute("dense").items()
        for level, rate in roofs.bytes_per_s.items():
            memory[level].add(rate)
    return len(compute) + max(map(len, memory.values()))


def _energy(run: Summary) -> float:
    return run.energy_pj.total


def _best_of(runs: Sequence[Summary]) -> Sequence[Summary]:
    """Runs that no other one beats; all, if there is none."""
    return [run for run in runs if is_best(run)] or runs


def roofs_of(run: Summary) -> Roofs | None:
    """Roofs of the machine that a result was made on; None if its description is not of this version."""
    if isinstance(run, Swept):
        return run.roofs
    try:
        return Roofs.of(Machine.model_validate(run.provenance["configuration"]["machine"]))
    except (KeyError, TypeError, ValidationError):
        return None


def who(mine: Sequence[Roofed], all_: Sequence[Roofed]) -> str:
    """What machines are called before the name of a roof; nothing if it is that of all.

    Points of a sweep lend them the values that they share.
    """
    if 1 < len(all_) == len(mine):
        return ""
    runs = [run for machine in mine for run in machine.runs]
    points = [run.point for run in runs if isinstance(run, Swept)]
    if len(points) == len(runs):
        first, *others = points
        shared = [
            f"{name} {shown(value)}" for name, value in first.items() if all(p.get(name) == value for p in others)
        ]
        if shared:
            return ", ".join(shared) + ": "
    names = list(dict.fromkeys(run.arch for run in runs))
    return (", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more") + ": "
