"""Softmax in integers."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.element import Integer
from accelsim.graph.ops.op import Op, UnfitError, Work, count
from accelsim.graph.value import Type, Value

#: Bits of integers whose softmax is known: 8, or 32 of sums.
GIVEN_BITS = (8, 32)


@dataclass(frozen=True, slots=True)
class IntegerSoftmax(Op):
    """Shares of a row, the last axis, by I-BERT's polynomial (arXiv:2101.01321, section 3.5).

    The difference to the row's largest integer, times the real scale, comes to a grid of 2^-14 by M 2^-right.

    Parameters
    ----------
    multiplier, right
        M of 16 bits and the right shift, 0 to 62.
    bits
        Of a share, 8 or 16: unsigned, of scale 2^-bits; 1 is the largest of them.
    """

    multiplier: int
    right: int
    bits: int = 8

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Shares of the same shape."""
        x = given[0]
        if not isinstance(x.element, Integer) or x.element.bits not in GIVEN_BITS:
            raise UnfitError(f"{x.name} must be integers of 8 or 32 bits, not {x.element}")
        return (Type(x.shape, Integer(2.0**-self.bits, 0, signed=False, bits=self.bits)),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A comparison, an exponential, a sum and a product for each number."""
        return Work(vector=4 * count(formed[0].shape))
