"""Rotary embedding of positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, UnfitError, Work, count
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class RotaryEmbedding(Op):
    """Rotate pairs of features by their position times the pair's frequency (Su et al., arXiv:2104.09864).

    Of x, (..., positions, features), positions count from 0. The second value has the frequencies in radians a
    position, shape (pairs,), whatever base and scaling gave them; features behind the pairs stay. A pair is

    - features i and pairs + i, or
    - features 2 i and 2 i + 1 if `interleaved`.
    """

    interleaved: bool = False

    arity: ClassVar[tuple[int, int]] = (2, 2)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        x, frequencies = given
        if len(x.shape) < 2:
            raise UnfitError(f"{x.name} must have positions and features, not {len(x.shape)} axes alone")
        if len(frequencies.shape) != 1 or 2 * frequencies.shape[0] > x.features:
            raise UnfitError(
                f"{frequencies.name} must be frequencies of at most {x.features // 2} pairs, not {frequencies.shape}"
            )
        return (x.type,)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Two products and a sum for each number."""
        return Work(vector=3 * count(formed[0].shape))
