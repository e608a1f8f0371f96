"""Tensors side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, UnfitError, Work
from accelsim.graph.value import Shape, Type, Value


@dataclass(frozen=True, slots=True)
class Concat(Op):
    """Numbers of several tensors, one behind the other along an axis."""

    axis: int

    arity: ClassVar[tuple[int, int]] = (1, 2**16)
    moves: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """A longer axis."""
        first = given[0]
        if not -len(first.shape) <= self.axis < len(first.shape):
            raise UnfitError(f"{first.name} must have an axis {self.axis}, not {len(first.shape)} axes alone")
        shape = list(first.shape)
        for other in given[1:]:
            if _others(first.shape, self.axis) != _others(other.shape, self.axis):
                raise UnfitError(f"{first.name} and {other.name} must fit, not be {first.shape} and {other.shape}")
            if other.element != first.element:
                raise UnfitError(
                    f"{first.name} and {other.name} must be alike, not {first.element} and {other.element}"
                )
            shape[self.axis] += other.shape[self.axis]
        return (Type(tuple(shape), first.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Addresses alone."""
        return Work()


def _others(shape: Shape, axis: int) -> list[int]:
    """Sizes of all axes but one."""
    sizes = list(shape)
    del sizes[axis]
    return sizes
