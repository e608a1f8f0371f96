"""Sums and clamps of single values: bias, ReLU, and residuals at one scale or at two.

A residual quantized at the accumulator's scale s_i s_w is added to the sums as it is (RL-SAT), at the cost of 32 bits a
value. Two tensors of at most 16 bits at different scales are first brought to a common one, TFLite's way
(tensorflow/lite/kernels/add.cc).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath.requantize import requantize
from accelsim.datapath.vector import fixed_point
from accelsim.datapath.vector.elements import Element
from accelsim.datapath.vector.fixed_point import Int64, VectorPass

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
#: Bits by which TFLite shifts operands left before it rescales them, so that little is lost: two of 8 bits or fewer,
#: and others.
LEFT_SHIFT, LEFT_SHIFT_16 = 20, 15

ADD_INT32 = VectorPass("add", ("add and saturate",))
RELU = VectorPass("relu", ("compare",))
RESCALE = VectorPass("rescale", ("subtract zero point", "multiply", "rounding shift"))
RESCALE_ADD = VectorPass("rescale and add", (*RESCALE.stages, *ADD_INT32.stages))
ADD_INTEGERS = VectorPass(
    "add at two scales",
    ("subtract zero points", "multiply", "rounding shift", "add", "multiply", "rounding shift", "saturate"),
)

_ADD_8 = Event(Component.VECTOR, Operation.INT_ADD, 9)
_ADD_32 = Event(Component.VECTOR, Operation.INT_ADD, 32)
_ADD_64 = Event(Component.VECTOR, Operation.INT_ADD, 64)
_MULTIPLY = Event(Component.VECTOR, Operation.INT_MULTIPLY, 32, 32)
_SHIFT = Event(Component.VECTOR, Operation.INT_SHIFT, 64)
_COMPARE = Event(Component.VECTOR, Operation.INT_COMPARE, 8)


def add_int32(sums: NDArray[np.generic], addend: NDArray[np.generic]) -> Int64:
    """Add int32 values, saturating at int32; the adder has 33 bits.

    Parameters
    ----------
    sums
        int32 values, shape (M, N).
    addend
        int32 values at the sums' scale: a bias of shape (N,), or a residual of shape (M, N).
    """
    return np.clip(sums.astype(np.int64) + addend.astype(np.int64), INT32_MIN, INT32_MAX)


def relu(x: NDArray[np.generic], zero_point: int) -> Int64:
    """Clamp integers at the one that stands for zero."""
    return np.maximum(x.astype(np.int64), zero_point)


@dataclass(frozen=True, slots=True)
class Rescale:
    """A real factor as `requantize` takes it, M * 2^(shift - 31) in the Q31 modes."""

    multiplier: int
    shift: int

    @classmethod
    def of(cls, real: float) -> Rescale:
        """Nearest factor in Q31."""
        multiplier, shift = fixed_point.tflite_scale(real)
        return cls(int(multiplier), int(shift))


def rescale_residual(x: NDArray[np.generic], zero_point: int, factor: Rescale, mode: str) -> Int64:
    """Bring an 8-bit residual to the accumulator's scale: int32 values round((x - z) s / (s_i s_w)).

    |x - z| <= 255 is held in 8 bits and sign; the result saturates at int32.
    """
    centred = x.astype(np.int64) - zero_point
    return requantize(centred, factor.multiplier, factor.shift, 0, mode, qmin=INT32_MIN, qmax=INT32_MAX)


def quantize_residual(residual: NDArray[np.floating], scale: float) -> NDArray[np.int32]:
    """Quantize a residual at the accumulator's scale s_i s_w: nearest int32, ties to even, saturating."""
    return np.clip(np.rint(residual.astype(np.float64) / scale), INT32_MIN, INT32_MAX).astype(np.int32)


def left_shift(first: Element, other: Element) -> int:
    """Bits by which operands of two types are shifted left: 20 if both have at most 8 bits, 15 if one has 16."""
    return LEFT_SHIFT if first.is_narrow and other.is_narrow else LEFT_SHIFT_16


@dataclass(frozen=True, slots=True)
class AddIntegers:
    """Static parameters of a sum of two tensors of at most 16 bits.

    `zero_points` of the operands; `left` shifts both to the left, `factors` bring each to the common scale, `output`
    the sum to the output's.
    """

    zero_points: tuple[int, int]
    factors: tuple[Rescale, Rescale]
    output: Rescale
    output_zero_point: int
    mode: str
    left: int = LEFT_SHIFT

    @classmethod
    def of(
        cls,
        scales: tuple[float, float],
        zero_points: tuple[int, int],
        output_scale: float,
        output_zero_point: int,
        mode: str = "tflite_double_round",
        left: int = LEFT_SHIFT,
    ) -> AddIntegers:
        """Parameters from real scales, for a Q31 mode; the common scale is twice the larger one over 2^left."""
        common = 2 * max(scales)
        return cls(
            zero_points,
            (Rescale.of(scales[0] / common), Rescale.of(scales[1] / common)),
            Rescale.of(common / (2**left * output_scale)),
            output_zero_point,
            mode,
            left,
        )


def add_integers(
    a: NDArray[np.generic], b: NDArray[np.generic], add: AddIntegers, *, qmin: int = -128, qmax: int = 127
) -> Int64:
    """Add two tensors of at most 16 bits at different scales (TFLite's quantized ADD).

    Two of 8 bits or fewer: |x - z| <= 255 shifted left by 20 bits stays below 2^28; a factor is at most 1/2, so a
    rescaled operand stays below 2^27 and their sum below 2^28: int32 holds every value but the products, which have 59
    bits.

    Where one has 16 bits: |x - z| <= 65535 shifted left by 15 bits is at most 2^31 - 2^15; half of it, rounded, is at
    most 2^30 - 2^14, and the sum of two at most 2^31 - 2^15, so that int32 holds them and products have 62 bits. An
    operand of 8 bits beside it is smaller. With TFLite's zero points of 0 every bound is half of that.
    """
    scaled = [
        requantize(
            (x.astype(np.int64) - zero_point) << add.left,
            factor.multiplier,
            factor.shift,
            0,
            add.mode,
            qmin=INT32_MIN,
            qmax=INT32_MAX,
        )
        for x, zero_point, factor in zip((a, b), add.zero_points, add.factors, strict=True)
    ]
    output = add.output
    return requantize(
        scaled[0] + scaled[1], output.multiplier, output.shift, add.output_zero_point, add.mode, qmin=qmin, qmax=qmax
    )


def cycles(kernel: VectorPass, rows: int, columns: int, lanes: int, words: int) -> tuple[int, int]:
    """Cycles of one of this module's passes over a tile; see `fixed_point.cycles`."""
    return fixed_point.cycles((kernel,), rows, columns, lanes, words)


def add_int32_events(counters: Counters, values: int) -> None:
    """Count one sum a value; the saturation is wiring."""
    count(counters, _ADD_32, values)


def relu_events(counters: Counters, values: int) -> None:
    """Count one comparison a value."""
    count(counters, _COMPARE, values)


def rescale_events(counters: Counters, values: int) -> None:
    """Count the zero point's subtraction, the product, the rounding sum and the shift."""
    count(counters, _ADD_8, values)
    count(counters, _MULTIPLY, values)
    count(counters, _ADD_64, values)
    count(counters, _SHIFT, values)


def add_integers_events(counters: Counters, values: int, operands: tuple[Element, Element]) -> None:
    """Count two zero points, three products, rounding sums and shifts, the sum, and the output's zero point."""
    for element in operands:  # x - z has a bit more than x
        count(counters, Event(Component.VECTOR, Operation.INT_ADD, element.bits + 1), values)
    count(counters, _MULTIPLY, 3 * values)
    count(counters, _ADD_64, 3 * values)
    count(counters, _SHIFT, 3 * values)
    count(counters, _ADD_32, 2 * values)
