"""Normalizations of rows in integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Integer
from accelsim.graph.ops.op import Op, UnfitError, Work, count
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class IntegerNorm(Op):
    """LayerNorm or RMSNorm of a row, the last axis, of 8-bit integers, as `golden.vector.normalize` defines it.

    The values after x are gamma (int8) and beta (int32) of each feature, one multiplier (int32) for all of them, and a
    shift (int8) of each, as `Cast` has them: they take gamma times the normalized number, plus beta, to the result.

    Parameters
    ----------
    to
        Signed integers of 8 bits.
    centred
        Whether the mean is taken off, as LayerNorm does.
    epsilon
        Integer that is added to the sum of squares, or to features^2 times the variance if centred.
    rounding
        Scheme of the multiplication, one of `golden.exact.rounding.ROUNDING`.
    """

    to: Integer
    centred: bool
    epsilon: int
    rounding: str

    arity: ClassVar[tuple[int, int]] = (5, 5)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The shape in the other element."""
        x, gamma, beta, multiplier, shift = given
        for element in (x.element, self.to):
            if not isinstance(element, Integer) or element.bits != 8:
                raise UnfitError(f"{x.name} must be 8-bit integers and become such, not {x.element} and {self.to}")
        if not self.to.signed:
            raise UnfitError(f"{x.name} must become signed integers, not {self.to}")
        if multiplier.shape != (1,) or any(part.shape != (x.features,) for part in (gamma, beta, shift)):
            raise UnfitError(f"{gamma.name}, beta and shift must have {x.features} numbers, and one multiplier")
        return (Type(x.shape, self.to),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A square, a sum and two products for each number, and two sums more if the mean is taken off."""
        return Work(vector=(6 if self.centred else 4) * count(formed[0].shape))
