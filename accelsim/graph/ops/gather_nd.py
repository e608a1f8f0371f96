"""Parts of a tensor by several indices each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.gather_elements import require_indices
from accelsim.graph.ops.op import Op, UnfitError, Work
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class GatherNd(Op):
    """What stands at each row (last axis) of the indices, the second value, which has an index for each first axis.

    Parameters
    ----------
    batch
        First axes that both values have, and that no index is for.
    """

    batch: int = 0

    arity: ClassVar[tuple[int, int]] = (2, 2)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The axes of the rows, and those that no index is for."""
        x, indices = given
        require_indices(indices)
        if not 0 <= self.batch < len(indices.shape) or x.shape[: self.batch] != indices.shape[: self.batch]:
            raise UnfitError(f"{x.name} and {indices.name} must have their first {self.batch} axes alike")
        depth = indices.shape[-1]
        if not 1 <= depth <= len(x.shape) - self.batch:
            raise UnfitError(f"{indices.name} must have rows of 1 to {len(x.shape) - self.batch} indices, not {depth}")
        return (Type((*indices.shape[:-1], *x.shape[self.batch + depth :]), x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Addresses alone."""
        return Work()
