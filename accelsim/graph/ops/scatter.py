"""Numbers put to places of a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from accelsim.graph.ops.gather_elements import require_indices, require_within
from accelsim.graph.ops.op import Op, UnfitError, count
from accelsim.graph.value import Type, Value

#: What becomes of the number that is there: nothing, or it stays as a part of a sum, of a product, or of a comparison.
Reduction = Literal["none", "add", "mul", "max", "min"]


@dataclass(frozen=True, slots=True)
class ScatterElements(Op):
    """The first value with each number of the third where it stands itself, but at the second's index along `axis`."""

    axis: int
    reduction: Reduction = "none"

    arity: ClassVar[tuple[int, int]] = (3, 3)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        x, indices, updates = given
        require_indices(indices)
        require_within(x, indices, self.axis)
        if updates.shape != indices.shape or updates.element != x.element:
            raise UnfitError(f"{updates.name} must be {indices.shape} of {x.element}, not {updates.shape}")
        return (x.type,)


@dataclass(frozen=True, slots=True)
class ScatterNd(Op):
    """The first value with each part of the third at a row of indices, the second, one for each first axis."""

    reduction: Reduction = "none"

    arity: ClassVar[tuple[int, int]] = (3, 3)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        x, indices, updates = given
        require_indices(indices)
        depth = indices.shape[-1] if indices.shape else 0
        if not 1 <= depth <= len(x.shape):
            raise UnfitError(f"{indices.name} must have rows of 1 to {len(x.shape)} indices, not {depth}")
        wanted = (*indices.shape[:-1], *x.shape[depth:])
        if updates.shape != wanted or updates.element != x.element or not count(x.shape):
            raise UnfitError(f"{updates.name} must be {wanted} of {x.element}, not {updates.shape}")
        return (x.type,)
