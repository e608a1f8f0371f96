"""Parts of a tensor by their indices: rows of a table of embeddings, or what stands anywhere along an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Integer, Plain
from accelsim.graph.ops.op import Op, UnfitError, Work
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Gather(Op):
    """What stands along `axis` of the first value at the indices that the second value holds (ONNX's Gather).

    An index below zero counts from the end of the axis. The result has the indices' axes in the place of that one: rows
    of a table (tokens, width) by ids (batch, length) are (batch, length, width).
    """

    axis: int = 0

    arity: ClassVar[tuple[int, int]] = (2, 2)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The axes before, those of the indices, and the axes behind."""
        x, indices = given
        rank = len(x.shape)
        if not -rank <= self.axis < rank:
            raise UnfitError(f"{x.name} must have an axis {self.axis}, not {rank} axes alone")
        element = indices.element
        if not isinstance(element, Plain | Integer) or element.dtype.kind not in "iu":
            raise UnfitError(f"{indices.name} must be integers, not {element}")
        axis = self.axis % rank
        return (Type((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Addresses alone."""
        return Work()
