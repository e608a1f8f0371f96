"""Conversions from one element to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.element import Element, Float, Integer
from accelsim.graph.ops.op import Op, UnfitError
from accelsim.graph.value import Type, Value


def float_multiplier(factor: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """A float32 factor as onnxruntime's schemes of a `Cast` take it: multiplier * 2^-shift, exactly.

    A factor below 2^-39 becomes 0, as no int32 times it is near 1 / 2.

    Parameters
    ----------
    factor
        float32, any shape, above 0 and below 2^24.

    Returns
    -------
    multiplier
        int32 in [2^23, 2^24), or 0; of factors of 2^23 and above less its last bits, which are 0.
    shift
        int8, positive = right.

    Raises
    ------
    ValueError
        If a factor is not positive or too large.
    """
    if not ((factor > 0) & (factor < 2.0**24)).all():
        raise ValueError("a float32 scale must be above 0 and below 2^24")
    mantissa, exponent = np.frexp(factor.astype(np.float64))
    shift = 24 - exponent
    vanishing = shift > 62
    multiplier = np.where(vanishing, 0, np.ldexp(mantissa, 24))
    return multiplier.astype(np.int32), np.where(vanishing, 0, shift).astype(np.int8)


@dataclass(frozen=True, slots=True)
class Cast(Op):
    """Numbers in another element.

    Sums of integers become integers by a fixed-point multiplier and a shift for each feature, which stand as a second
    and a third value: int32 in [2^30, 2^31) or 0, and int8, positive to the left (TFLite's); then the zero point is
    added and the range clamps. Where the scheme is onnxruntime's, they are a float32 factor: int32 in [2^23, 2^24) or
    0, and int8, positive to the right. Sums become signs by whether they are at least zero. Floats are rounded to
    nearest even.

    Parameters
    ----------
    rounding
        Scheme of the multiplication, one of `golden.exact.rounding.NAMES`; empty for all other conversions.
    lift
        Bits by which integers are shifted to the left before they are multiplied, so that less is lost.
    """

    to: Element
    rounding: str = ""
    lift: int = 0

    arity: ClassVar[tuple[int, int]] = (1, 3)
    elementwise: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The shape in the other element."""
        x = given[0]
        if self.rounding:
            if len(given) != 3 or not (isinstance(x.element, Integer) and isinstance(self.to, Integer)):
                raise UnfitError(f"{x.name} must be integers with a multiplier and a shift to become {self.to}")
        elif isinstance(x.element, Float) != isinstance(self.to, Float) or len(given) != 1:
            raise UnfitError(f"{x.name} must have a scheme of rounding to become {self.to}, not be {x.element}")
        return (Type(x.shape, self.to),)


@dataclass(frozen=True, slots=True)
class DynamicQuantize(Op):
    """Rows of floats to signed integers, symmetric to 0, and a float32 scale for each row and group of features.

    A group's largest magnitude becomes the largest integer; a group of zeros has scale 0.
    """

    bits: int
    group: int

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Integers and scales."""
        x = given[0]
        if not isinstance(x.element, Float):
            raise UnfitError(f"{x.name} must be floats to find scales for, not {x.element}")
        groups = -(-x.shape[-1] // self.group)
        return (
            Type(x.shape, Integer(1.0, 0, signed=True, bits=self.bits)),
            Type((*x.shape[:-1], groups), Float("fp32")),
        )
