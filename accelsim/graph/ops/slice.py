"""A part of a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, UnfitError, Work
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Slice(Op):
    """Numbers from `start` to below `stop` along one axis, every `step`-th of them."""

    axis: int
    start: int
    stop: int
    step: int = 1

    moves: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """A shorter axis."""
        x = given[0]
        if not -len(x.shape) <= self.axis < len(x.shape):
            raise UnfitError(f"{x.name} must have an axis {self.axis}, not {len(x.shape)} axes alone")
        size = x.shape[self.axis]
        if not 0 <= self.start < self.stop <= size or self.step < 1:
            raise UnfitError(f"{x.name} must have what is sliced, [{self.start}, {self.stop}), not {size} numbers")
        shape = list(x.shape)
        shape[self.axis] = -(-(self.stop - self.start) // self.step)
        return (Type(tuple(shape), x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Addresses alone."""
        return Work()
