"""Numbers by an index each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Element, Plain
from accelsim.graph.ops.op import Op, UnfitError, Work
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class GatherElements(Op):
    """Of each place of the indices, the second value, what stands there of the first, but at the index along `axis`."""

    axis: int

    arity: ClassVar[tuple[int, int]] = (2, 2)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The indices' shape."""
        x, indices = given
        require_indices(indices)
        require_within(x, indices, self.axis)
        return (Type(indices.shape, x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Addresses alone."""
        return Work()


def is_index(element: Element) -> bool:
    """Whether numbers are integers that stand for themselves."""
    return isinstance(element, Plain) and element.dtype.kind in "iu"


def require_indices(indices: Value) -> None:
    """Refuse what is no integer."""
    if not is_index(indices.element):
        raise UnfitError(f"{indices.name} must be integers, not {indices.element}")


def require_within(x: Value, indices: Value, axis: int) -> None:
    """Refuse indices of more places along another axis than a tensor has."""
    rank = len(x.shape)
    others = [size for place, size in enumerate(indices.shape) if place != axis]
    there = [size for place, size in enumerate(x.shape) if place != axis]
    fits = len(indices.shape) == rank and 0 <= axis < rank
    if not fits or any(a > b for a, b in zip(others, there, strict=True)):
        raise UnfitError(f"{indices.name} must fit {x.name}, {x.shape}, but for axis {axis}, not be {indices.shape}")
