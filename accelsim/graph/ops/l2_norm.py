"""Rows of length one."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.ops.op import Op, Work, count
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class L2Norm(Op):
    """x over the root of the row's sum of squares, or over epsilon if that is more; rows are the last axis."""

    epsilon: float

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        return (given[0].type,)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A square, a sum and a product for each number."""
        return Work(vector=3 * count(formed[0].shape))
