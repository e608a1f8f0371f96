"""Softmax."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.ops.op import Op, Work, count
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Softmax(Op):
    """exp(x) over the sum of exp(x) of the row, the last axis."""

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        return (given[0].type,)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A comparison, an exponential, a sum and a product for each number."""
        return Work(vector=4 * count(formed[0].shape))
