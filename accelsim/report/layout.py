"""Where the layers of a run stand in the picture of its graph: by depth, branches side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from accelsim.results import LayerResult

#: Layers up to which a graph is drawn.
MOST = 500
#: Layers that stand in a row at most; more of one depth take several rows.
LANES = 16
#: From one track of long lines to the next, in lanes.
TRACK = 0.4


class Place(NamedTuple):
    """A lane, from 0, with tracks between and beside them; a row, from 0 downwards."""

    x: float
    row: int


class Layout(NamedTuple):
    """A graph that is laid out.

    Parameters
    ----------
    places
        Where each layer stands.
    source
        Where the network's input stands; None if no layer reads another one, so that there are no lines.
    lines
        Places that lead from what is read to who reads it.
    """

    places: list[Place]
    source: Place | None
    lines: list[list[Place]]

    @property
    def rows(self) -> list[list[int]]:
        """Numbers of the layers in each row, by lane."""
        found: list[list[int]] = [[] for _ in range(1 + max((place.row for place in self.places), default=0))]
        for number in sorted(range(len(self.places)), key=lambda number: self.places[number].x):
            found[self.places[number].row].append(number)
        return found

    @property
    def width(self) -> float:
        """From the first lane to the last one, or to the last track."""
        return max((place.x for line in [self.places, *self.lines] for place in line), default=0.0)

    @classmethod
    def of(cls, layers: Sequence[LayerResult]) -> Layout:
        """Lay layers out: in a row those of one depth, the longest way from the input, each below all that it reads.

        Lines that pass rows run beside the layers of these, so that none crosses a layer. Where no layer reads another
        one, all stand in a square.
        """
        before = _before(layers)
        depth: list[int] = []
        for read in before:
            depth.append(1 + max((depth[number] for number in read if number >= 0), default=0))
        joined = max(depth, default=1) > 1
        places = _places(before, depth, first=1 if joined else 0)
        if not joined:
            return cls(list(places.values()), None, [])
        places[_INPUT] = Place(0.0, 0)
        lines = _lines(before, places)
        return cls([places[number] for number in range(len(before))], places[_INPUT], lines)


#: Number of the network's input among those of layers.
_INPUT = -1


def _before(layers: Sequence[LayerResult]) -> list[list[int]]:
    """What each layer reads, by number; what no layer before it has formed is the input."""
    numbers: dict[str, int] = {}
    found = []
    for number, layer in enumerate(layers):
        found.append(list(dict.fromkeys(numbers.get(name, _INPUT) for name in layer.reads)))
        numbers[layer.name] = number
    return found


def _places(before: Sequence[Sequence[int]], depth: Sequence[int], first: int) -> dict[int, Place]:
    """Rows of layers below what they read, those that more follows on the left."""
    behind = [1] * len(before)
    for number in reversed(range(len(before))):
        for read in before[number]:
            if read >= 0:
                behind[read] = max(behind[read], 1 + behind[number])
    levels: dict[int, list[int]] = {}
    for number, level in enumerate(depth):
        levels.setdefault(level, []).append(number)
    places: dict[int, Place] = {}
    row = first
    for level in sorted(levels):

        def order(number: int) -> tuple[float, int, int]:
            above = [places[read].x if read >= 0 else 0.0 for read in before[number]]
            return sum(above) / len(above) if above else 0.0, -behind[number], number

        mine = sorted(levels[level], key=order)
        rows = math.ceil(len(mine) / LANES)
        lanes = math.ceil(len(mine) / rows)
        for place, number in enumerate(mine):
            places[number] = Place(place % lanes, row + place // lanes)
        row += rows
    return dict(sorted(places.items()))


def _lines(before: Sequence[Sequence[int]], places: Mapping[int, Place]) -> list[list[Place]]:
    """Lines to a next row are straight; longer ones of one layer share a track beside the rows that they pass."""
    last: dict[int, int] = {}
    for number, read in enumerate(before):
        for other in read:
            if places[number].row - places[other].row > 1:
                last[other] = max(last.get(other, 0), places[number].row - 1)
    passed = {other: range(places[other].row + 1, end + 1) for other, end in last.items()}
    taken: dict[int, int] = {}
    used: dict[int, set[int]] = {}
    lanes: dict[int, float] = {}
    for place in places.values():
        lanes[place.row] = max(lanes.get(place.row, 0.0), place.x)
    for other, rows in sorted(passed.items(), key=lambda item: (len(item[1]), item[0])):
        beside = max(lanes[row] for row in rows) + 0.5
        track = math.ceil(beside / TRACK)
        busy = set[int]().union(*(used.setdefault(row, set()) for row in rows))
        while track in busy:
            track += 1
        taken[other] = track
        for row in rows:
            used[row].add(track)
    found = []
    for number, read in enumerate(before):
        end = places[number]
        for other in read:
            start = places[other]
            way = (
                [Place(TRACK * taken[other], row) for row in (start.row + 1, end.row - 1)]
                if end.row - start.row > 1
                else []
            )
            line = [start, *way, end]
            found.append([line[0], *(b for a, b in pairwise(line) if a != b)])
    return found
