"""Depth first: which fusions are cut into strips, so that what they hand on stays on chip a strip at a time.

A value that is too large to stay goes out to DRAM and comes back. If the fusions that form and read it take turns, some
images or lines each, only a strip of it is there at once. What that costs is lines at the borders of strips, which are
computed twice, and weights, which each strip loads. Candidates are runs of fusions; a bound of the DRAM bytes that each
may save picks runs that don't overlap, and those are placed and cut for real.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from accelsim.compiler.fuse import fuse
from accelsim.compiler.fusion import Fusion
from accelsim.compiler.layout import arrange
from accelsim.compiler.legalize import legalize
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lowering import Lowering
from accelsim.graph.graph import Node
from accelsim.graph.strips import Part, Piece, Strip, Strips, behind, lines_of, pieces_of
from accelsim.graph.value import Value
from accelsim.units import ceil_div

#: Fusions of a run, at most.
MOST_FUSIONS = 12
#: Part of the scratchpad that strips may fill; tiles take turns in what is left.
FILLED = 0.75
#: Features that strips of features are multiples of: a burst of them, and columns of an array.
BLOCK = 64
#: Strips of a run, at most.
MOST_STRIPS = 256


class Run(NamedTuple):
    """Fusions that may be cut into strips, by number, and DRAM bytes that this saves, about."""

    first: int
    last: int
    strips: Strips
    saved: float


def runs(lowering: Lowering, bytes_of: Sequence[float], kept: frozenset[str], capacity_bytes: int) -> list[Run]:
    """Runs of fusions, none of which overlap, that save the most.

    Parameters
    ----------
    bytes_of
        What each fusion moves over the DRAM's pins uncut.
    kept
        Values that stay on chip whole then.
    capacity_bytes
        Of the scratchpad that strips stay in.
    """
    found: dict[int, list[Run]] = {}
    for first in range(len(lowering.fusions)):
        for run in _from(lowering, first, bytes_of, kept, capacity_bytes):
            found.setdefault(run.last, []).append(run)
    best: list[tuple[float, Run | None]] = [(0.0, None)]
    for last in range(len(lowering.fusions)):
        ways = [(best[last][0], None), *((best[run.first][0] + run.saved, run) for run in found.get(last, ()))]
        best.append(max(ways, key=lambda way: way[0]))
    chosen: list[Run] = []
    end = len(lowering.fusions)
    while end:
        run = best[end][1]
        end = run.first if run else end - 1
        chosen += [run] if run else []
    return chosen[::-1]


def cut(lowering: Lowering, chosen: Sequence[Run], machine: Machine) -> Lowering:
    """Cut runs into strips, and form fusions of them."""
    graph, strips = lowering.graph, dict[str, Strip]()
    number = 0
    for run in chosen:
        graph, of_run = dataclasses.replace(run.strips, graph=graph).cut(number)
        strips |= of_run
        number += len(run.strips.pieces)
    whole = Lowering(
        graph, lowering.inputs, lowering.recipe, residency=lowering.residency, whole=lowering.graph, strips=strips
    )
    return arrange(legalize(fuse(whole, machine), machine), machine)


def _from(
    lowering: Lowering, first: int, bytes_of: Sequence[float], kept: frozenset[str], capacity_bytes: int
) -> Iterator[Run]:
    """Runs that begin at a fusion and save something."""
    for last in range(first, min(first + MOST_FUSIONS, len(lowering.fusions))):
        fusion = lowering.fusions[last]
        if isinstance(fusion.work, HostWork) or (fusion.product and fusion.product.factor):
            return
        if last == first:
            continue
        part, moved = _Stretch(lowering, first, last), sum(bytes_of[first : last + 1])
        if part.inside <= kept or moved <= part.least_moved(kept):
            continue
        for strips in part.largest(FILLED * capacity_bytes):
            saved = moved - part.moved(strips, kept)
            if saved > 0:
                yield Run(first, last, strips, saved)


class _Stretch:
    """Fusions one behind the other, and what they read and form."""

    def __init__(self, lowering: Lowering, first: int, last: int) -> None:
        self.graph = lowering.graph
        self.fusions = lowering.fusions[first : last + 1]
        self.target = self.fusions[-1].target
        self.nodes = self._nodes()
        names = {node.name for node in self.nodes}
        formed = {fusion.target for fusion in self.fusions}
        read = [{part for part in lowering.parts_of_sources(fusion)} for fusion in self.fusions]
        self.inside = {
            name
            for name in formed
            if name not in self.graph.outputs and all(node.name in names for node in self.graph.readers(name))
        }
        self.last_read = {name: number for number, of in enumerate(read) for name in of & self.inside}
        self.weight_bytes = sum(map(_constant_bytes, self.fusions))
        self._read = [name for of in read for name in of - formed]
        self._outputs = [name for name in formed - self.inside if name in lowering.graph.values]

    def _nodes(self) -> list[Node]:
        """Nodes of the fusions, and those between them that only move what these form."""
        held = {node.name for fusion in self.fusions for node in fusion.nodes}
        formed: set[str] = set()
        nodes = []
        for node in self.graph.nodes:
            between = node.op.moves and node.inputs[0] in formed
            if node.name in held or (between and all(reader.name in held for reader in self.graph.readers(node.output))):
                nodes.append(node)
                formed |= set(node.outputs)
        return nodes

    def largest(self, most_bytes: float) -> Iterator[Strips]:
        """The fewest strips, several, of which what is on chip at once fits: of rows, and of features."""
        value = self.graph[self.target]
        for size_of, parts_of in ((_lines, _parts), (_features, _blocks)):
            least, most, best = 1, size_of(value) - 1, 0
            while least <= most:
                size = (least + most) // 2
                pieces = self._middle(parts_of(value, size))
                if pieces is None:
                    best = 0
                    break
                if self._peak(pieces) <= most_bytes:
                    best, least = size, size + 1
                else:
                    most = size - 1
            parts = parts_of(value, best) if best else []
            strips = Strips.of(self.graph, self.nodes, value.name, parts) if 1 < len(parts) <= MOST_STRIPS else None
            if strips:
                yield strips

    def _middle(self, parts: Sequence[Part]) -> Mapping[str, Piece] | None:
        """What one of the strips in the middle forms, one of no image's first lines if there are such."""
        graph, target, number = self.graph, self.target, len(parts) // 2
        ahead: Mapping[str, Piece] | None = {}
        if number and behind(parts[number - 1], parts[number]):
            ahead = pieces_of(graph, self.nodes, target, parts[number - 1], {})
        return None if ahead is None else pieces_of(graph, self.nodes, target, parts[number], ahead)

    def _peak(self, pieces: Mapping[str, Piece]) -> int:
        """The most bytes that are there at once of what a strip forms and reads itself, kept lines twice."""
        there: dict[str, int] = {}
        kept = 0
        for fusion in self.fusions:
            if fusion.target in self.last_read and fusion.target in pieces:
                held, formed = (_bytes(self.graph[fusion.target], part) for part in pieces[fusion.target])
                kept += held - formed
        most = 0
        for number, fusion in enumerate(self.fusions):
            if fusion.target in self.last_read and fusion.target in pieces:
                there[fusion.target] = _bytes(self.graph[fusion.target], pieces[fusion.target].held)
            most = max(most, kept + sum(there.values()))
            there = {name: size for name, size in there.items() if self.last_read[name] > number}
        return most

    def least_moved(self, kept: Container[str]) -> int:
        """DRAM bytes that strips move at least."""
        return self.weight_bytes + sum(
            _bytes(self.graph[name], Part.whole(self.graph[name]))
            for name in (*self._read, *self._outputs)
            if name not in kept
        )

    def moved(self, strips: Strips, kept: Container[str]) -> int:
        """DRAM bytes of the strips, about: what they read of others, what others read of them, and weights."""
        by_feature = len(strips.pieces[0][self.target].formed.features) < self.graph[self.target].features
        moved = self.weight_bytes * (1 if by_feature else len(strips.pieces))
        for pieces in strips.pieces:
            for name, part in strips.reads(pieces):
                moved += 0 if name in kept else _bytes(self.graph[name], part)
        for name in strips.outputs:
            value = self.graph[name]
            moved += _bytes(value, Part.whole(value)) * (1 if name not in kept else 3)
        return moved


def _lines(value: Value) -> int:
    """Lines of all images of a value."""
    return value.shape[0] * lines_of(value)


def _parts(value: Value, size: int) -> list[Part]:
    """Parts of so many lines of a value, all about as long: of whole images, or of one image each."""
    images, lines, features = value.shape[0], lines_of(value), range(value.features)
    if size >= lines:
        return [Part(of, range(lines), features) for of in _even(images, ceil_div(images, size // lines))]
    cut = _even(lines, ceil_div(lines, size))
    return [Part(range(image, image + 1), of, features) for image in range(images) for of in cut]


def _features(value: Value) -> int:
    """Blocks of features of a value."""
    return ceil_div(value.features, BLOCK)


def _blocks(value: Value, size: int) -> list[Part]:
    """Parts of so many blocks of features."""
    whole = Part.whole(value)
    lows = range(0, value.features, size * BLOCK)
    return [whole._replace(features=range(low, min(low + size * BLOCK, value.features))) for low in lows]


def _even(size: int, parts: int) -> list[range]:
    """Parts of a range, whose sizes differ by one at most."""
    ends = [size * number // parts for number in range(parts + 1)]
    return [range(low, high) for low, high in pairwise(ends)]


def _bytes(value: Value, part: Part) -> int:
    """Bytes of a part of a value, in rows of whole bytes."""
    rows = len(part.images) * len(part.lines) * (value.samples // (value.shape[0] * lines_of(value)))
    return rows * ceil_div(len(part.features) * value.element.memory_bits, 8)


def _constant_bytes(fusion: Fusion) -> int:
    """Bytes of a product's weights as numbers, if they are not encoded."""
    product = fusion.product
    return product.weights_count * product.weight.element.memory_bits // 8 if product else 0
