"""Runs of a grid's cells, counted line by line, as boxes."""

from __future__ import annotations

import math

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
