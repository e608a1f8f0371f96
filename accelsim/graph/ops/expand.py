"""Tensors repeated along their axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, UnfitError, Work
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Expand(Op):
    """The whole tensor so many times along each axis, one behind the other."""

    times: tuple[int, ...]

    moves: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Longer axes."""
        (x,) = given
        if len(self.times) != len(x.shape) or min(self.times, default=0) < 0:
            raise UnfitError(f"{x.name} must be repeated along its {len(x.shape)} axes, not {self.times}")
        return (Type(tuple(a * b for a, b in zip(x.shape, self.times, strict=True)), x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Addresses alone."""
        return Work()
