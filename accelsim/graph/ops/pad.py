"""Tensors with what stands for zero around them."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.ops.op import Op, UnfitError, Work
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Pad(Op):
    """So many zeros before and behind the numbers of each axis."""

    before: tuple[int, ...]
    behind: tuple[int, ...]

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Longer axes."""
        (x,) = given
        if not len(self.before) == len(self.behind) == len(x.shape):
            raise UnfitError(f"{x.name} must be padded along its {len(x.shape)} axes, not {len(self.before)}")
        shape = tuple(a + size + b for a, size, b in zip(self.before, x.shape, self.behind, strict=True))
        return (Type(shape, x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Addresses alone."""
        return Work()
