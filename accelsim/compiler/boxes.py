"""Runs of a grid's cells, counted line by line, as boxes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from accelsim.compiler.tiles import Span

#: A span of each dimension.
Box = tuple[Span, ...]


def boxes(low: int, high: int, sizes: tuple[int, ...]) -> list[Box]:
    """Boxes that hold the cells of a grid from number `low` to below `high`, in order; the last axis counts first.

    There are at most 2 d - 1 of them in d dimensions: what is left of a line, whole lines, and so on.
    """
    if len(sizes) == 1:
        return [(Span(low, high),)]
    inner = math.prod(sizes[1:])
    first, last = low // inner, (high - 1) // inner
    if first == last and (low % inner or high % inner):
        return [(Span(first, first + 1), *rest) for rest in boxes(low - first * inner, high - first * inner, sizes[1:])]
    pieces: list[Box] = []
    if low % inner:
        pieces += boxes(low, (first + 1) * inner, sizes)
        first += 1
    whole = high // inner
    if whole > first:
        pieces.append((Span(first, whole), *(Span(0, size) for size in sizes[1:])))
    if high % inner:
        pieces += boxes(whole * inner, high, sizes)
    return pieces


def within(box: Box, most: int) -> Iterator[Box]:
    """Parts of a box, in order, of at most so many cells each, or of one."""
    cells = math.prod(span.size for span in box)
    if cells <= most or cells == 1:
        yield box
        return
    axis = next(axis for axis, span in enumerate(box) if span.size > 1)
    span = box[axis]
    step = max(1, most * span.size // cells)
    for low in range(span.low, span.high, step):
        yield from within((*box[:axis], Span(low, min(low + step, span.high)), *box[axis + 1 :]), most)
