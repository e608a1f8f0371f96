"""Pairs of features turned by angles that a table has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, UnfitError, Work, count, products_element
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Rotate(Op):
    """(a cos - b sin, a sin + b cos) of each pair (a, b) of a row, the last axis; what `RotaryEmbedding` comes to.

    The second value has the shape of the first: the cosine of a pair stands where a does, its sine where b does. A pair
    is

    - features i and features / 2 + i, or
    - features 2 i and 2 i + 1 if `interleaved`.
    """

    interleaved: bool = False

    arity: ClassVar[tuple[int, int]] = (2, 2)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Integers at the product of both scales, or floats."""
        x, table = given
        if x.features % 2 or x.shape != table.shape:
            raise UnfitError(f"{table.name} must have the shape of {x.name}, pairs, not {table.shape} for {x.shape}")
        return (Type(x.shape, products_element(x.element, table.element)),)

    def pairs(self, features: int) -> tuple[slice, slice]:
        """Where the first and the second of each pair stand."""
        half = features // 2
        return (slice(0, None, 2), slice(1, None, 2)) if self.interleaved else (slice(0, half), slice(half, None))

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Two products and a sum for each number."""
        return Work(vector=3 * count(formed[0].shape))
