"""The largest numbers of rows, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Float, Plain
from accelsim.graph.ops.op import Op, UnfitError, Work, count
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class TopK(Op):
    """The k largest numbers along an axis in descending order, and their places; of equal ones the first comes first.

    Parameters
    ----------
    largest
        Else the smallest, in ascending order.
    """

    k: int
    axis: int
    largest: bool = True

    arity: ClassVar[tuple[int, int]] = (1, 1)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Numbers and int64 places."""
        (x,) = given
        if not isinstance(x.element, Float | Plain):
            raise UnfitError(f"{x.name} must be numbers that stand for themselves, not {x.element}")
        if not 0 <= self.axis < len(x.shape) or not 1 <= self.k <= x.shape[self.axis]:
            raise UnfitError(f"{x.name} must have {self.k} numbers along axis {self.axis}, not be {x.shape}")
        shape = (*x.shape[: self.axis], self.k, *x.shape[self.axis + 1 :])
        return Type(shape, x.element), Type(shape, Plain("int64"))

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A comparison of each number with each place."""
        return Work(vector=count(given[0].shape) * self.k)
