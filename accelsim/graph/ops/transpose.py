"""Axes in another order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, UnfitError, Work
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Transpose(Op):
    """Axis i of the result is axis `order[i]` of the input."""

    order: tuple[int, ...]

    moves: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The axes in their order."""
        (x,) = given
        if sorted(self.order) != list(range(len(x.shape))):
            raise UnfitError(f"{x.name} must have its {len(x.shape)} axes in some order, not {self.order}")
        return (Type(tuple(x.shape[axis] for axis in self.order), x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Addresses alone."""
        return Work()
