"""The vector unit on floats: bias, ReLU and rounding of float32 sums, in the requantize unit's pipeline and time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.config.operands import OperandType
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.formats.operands import pack_rows, unpack_rows

_BIAS_ADD = Event(Component.REQUANTIZE, Operation.FLOAT_ADD, 32)
_COMPARE = Event(Component.REQUANTIZE, Operation.INT_COMPARE, 32)
_ROUND = Event(Component.REQUANTIZE, Operation.INT_ADD, 32)

#: Largest finite values of the types that saturate instead of overflowing.
_LARGEST: dict[OperandType, float] = {"fp8_e4m3": 448.0, "fp8_e5m2": 57344.0}


def activate(
    sums: NDArray[np.float32], bias: NDArray[np.float32], operand: OperandType, *, relu: bool
) -> NDArray[np.float32]:
    """Add the bias, clamp at 0 and round to nearest even.

    Parameters
    ----------
    sums, bias
        float32; the bias broadcasts against the sums.
    operand
        Float type of the results; fp8 saturates (OCP 8-bit floating point specification, revision 1.0).
    relu
        Whether negative values become 0; NaN stays.

    Returns
    -------
    float32 values of the type, shape of the sums.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        values = sums + bias
        if relu:
            values[values < 0] = 0
        if operand in _LARGEST:
            values = np.clip(values, -_LARGEST[operand], _LARGEST[operand])
        rounded = unpack_rows(pack_rows(values, operand), values.shape[1], operand)
    return rounded.astype(np.float32)


def events(counters: Counters, values: int) -> None:
    """Count bias sum, comparison with 0, and the increment of rounding; the rest of the conversion is wiring."""
    count(counters, _BIAS_ADD, values)
    count(counters, _COMPARE, values)
    count(counters, _ROUND, values)
