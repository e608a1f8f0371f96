"""Softmax of attention: over the keys that a query may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.mask import EVERYTHING, Mask
from accelsim.graph.ops.op import Op, UnfitError, Work, count
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class MaskedSoftmax(Op):
    """exp(scale x) over its sum, of the keys (last axis) that a query (the axis before) sees; 0 for all others.

    A row that sees nothing is 0.

    Parameters
    ----------
    scale
        What scores are multiplied by before.
    mask
        What queries see by their places.
    pad
        Id of a token that nobody sees; the second value then has the ids of the keys, (samples, keys). None if there is
        no such token.
    """

    scale: float = 1.0
    mask: Mask = EVERYTHING
    pad: int | None = None

    arity: ClassVar[tuple[int, int]] = (1, 2)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        x = given[0]
        if len(x.shape) < 2:
            raise UnfitError(f"{x.name} must have queries and keys, not {len(x.shape)} axes alone")
        queries, keys = x.shape[-2:]
        self.mask.require(queries, keys)
        if (self.pad is None) != (len(given) == 1):
            raise UnfitError("there must be ids of the keys where a token is padding, and only there")
        if self.pad is not None and given[1].shape != (x.shape[0], keys):
            raise UnfitError(f"{given[1].name} must be ids of shape {(x.shape[0], keys)}, not {given[1].shape}")
        return (x.type,)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A product, a comparison, an exponential, a sum and a product for each number."""
        return Work(vector=5 * count(formed[0].shape))
