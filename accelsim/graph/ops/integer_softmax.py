"""Softmax in integers."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.graph.element import Integer
from accelsim.graph.ops.mask import EVERYTHING, Mask
from accelsim.graph.ops.op import Op, UnfitError, Work, count
from accelsim.graph.value import Shape, Type, Value

#: Bits of integers whose softmax is known: 8, 16, or 32 of sums.
GIVEN_BITS = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class IntegerSoftmax(Op):
    """Shares of a row, the last axis, by I-BERT's polynomial (arXiv:2101.01321, section 3.5).

    The difference to the largest integer that a row sees, times the real scale, comes to a grid of 2^-14 by M 2^-right.
    What it does not see has no share; queries are the axis before, of one query if there is none.

    Parameters
    ----------
    multiplier, right
        M of 16 bits and the right shift, 0 to 62.
    bits
        Of a share, 8 or 16: unsigned, of scale 2^-bits; 1 is the largest of them.
    mask
        What queries see by their places.
    """

    multiplier: int
    right: int
    bits: int = 8
    mask: Mask = EVERYTHING

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Shares of the same shape."""
        x = given[0]
        if not isinstance(x.element, Integer) or x.element.bits not in GIVEN_BITS:
            raise UnfitError(f"{x.name} must be integers of 8, 16 or 32 bits, not {x.element}")
        self.mask.require(*self.places(x.shape))
        return (Type(x.shape, Integer(2.0**-self.bits, 0, signed=False, bits=self.bits)),)

    @staticmethod
    def places(shape: Shape) -> tuple[int, int]:
        """Queries and keys of a tensor of scores."""
        return shape[-2] if len(shape) > 1 else 1, shape[-1]

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A comparison, an exponential, a sum and a product for each number."""
        return Work(vector=4 * count(formed[0].shape))
