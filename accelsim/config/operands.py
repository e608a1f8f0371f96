"""Types of a multiplier's operands, and of the sums that it feeds."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

OperandType = Literal[
    "int16", "int8", "int4", "int2", "binary", "fp32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2"
]  # fmt: skip


class Operand(NamedTuple):
    """What a type is.

    Parameters
    ----------
    bits
        Bits of an activation or a weight in memory. `int8` stands for int8 and uint8 activations, and so on: the
        multiplier takes one bit more than the type has.
    sum_bits
        Bits of a sum: int32 for 8-bit integers and narrower, int64 for int16, float32 for every float.
    is_float
        Whether sums are float32.
    """

    bits: int
    sum_bits: int
    is_float: bool

    @property
    def sum_bytes(self) -> int:
        """Bytes of a sum."""
        return self.sum_bits // 8

    def row_bytes(self, elements: int) -> int:
        """Bytes of a row of operands, packed without gaps and padded to a whole byte."""
        return -(-elements * self.bits // 8)

    def rows_bytes(self, elements: NDArray[np.int64]) -> NDArray[np.int64]:
        """`row_bytes` of many rows."""
        return -(-elements * self.bits // 8)


IntegerType = Literal["int8", "int4"]
#: numpy's names of numbers that stand for themselves, and that no multiplier takes.
PlainType = Literal["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float64"]
#: Integer types by their bits.
INTEGERS: dict[int, OperandType] = {16: "int16", 8: "int8", 4: "int4", 2: "int2", 1: "binary"}

OPERANDS: dict[OperandType, Operand] = {
    "int16": Operand(16, 64, is_float=False),
    "int8": Operand(8, 32, is_float=False),
    "int4": Operand(4, 32, is_float=False),
    "int2": Operand(2, 32, is_float=False),
    "binary": Operand(1, 32, is_float=False),
    "fp32": Operand(32, 32, is_float=True),
    "bf16": Operand(16, 32, is_float=True),
    "fp16": Operand(16, 32, is_float=True),
    "fp8_e4m3": Operand(8, 32, is_float=True),
    "fp8_e5m2": Operand(8, 32, is_float=True),
}
