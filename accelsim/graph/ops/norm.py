"""Normalizations: of channels by statistics of training, and of each row by its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, UnfitError, Work, count
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class BatchNorm(Op):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, channel by channel (last axis).

    The values after x are gamma, beta, mean and variance, shape (channels,); `graph.fold` makes it part of the product
    before it.
    """

    epsilon: float

    arity: ClassVar[tuple[int, int]] = (5, 5)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        x, *parameters = given
        for parameter in parameters:
            if parameter.shape != (x.features,):
                raise UnfitError(f"{parameter.name} must have shape ({x.features},), not {parameter.shape}")
        return (x.type,)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A product and a sum for each number."""
        return Work(vector=2 * count(formed[0].shape))


@dataclass(frozen=True, slots=True)
class LayerNorm(Op):
    """(x - mean of the row) / sqrt(variance of the row + epsilon) * gamma + beta; rows are the last axis."""

    epsilon: float

    arity: ClassVar[tuple[int, int]] = (2, 3)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        return (given[0].type,)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """Two sums, a square, two products and a sum for each number."""
        return Work(vector=6 * count(formed[0].shape))


@dataclass(frozen=True, slots=True)
class RmsNorm(Op):
    """x / sqrt(mean square of the row + epsilon) * gamma; rows are the last axis."""

    epsilon: float

    arity: ClassVar[tuple[int, int]] = (2, 2)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        return (given[0].type,)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A square, a sum and two products for each number."""
        return Work(vector=4 * count(formed[0].shape))
