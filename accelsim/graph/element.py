"""What the numbers of a tensor are, and which real values they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from accelsim.config.operands import INTEGERS, OPERANDS, OperandType
from accelsim.errors import DefectError

Float64 = NDArray[np.float64]

#: Bits of integers in memory.
_HELD_BITS = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True, eq=False)
class Integer:
    """Affine integers: real = scale * (q - zero_point).

    Parameters
    ----------
    scale
        Real value of one step, positive; float64, shape (channels,), if each channel of the last axis has its own.
    zero_point
        Integer that stands for zero, inside [qmin, qmax].
    signed
        Whether integers are signed.
    bits
        64, 32, 16, 8, 4 or 2; of networks that come quantized also others up to 16, held as the next wider of these.
    distinct
        How many different values there are at most, where their numbers stand in memory in their place; 0 if any
        value may come.
    """

    scale: float | Float64
    zero_point: int
    signed: bool
    bits: int = 8
    distinct: int = 0

    @property
    def operand(self) -> OperandType:
        """Type of a multiplier's operand that takes them."""
        return INTEGERS[self.memory_bits]

    @property
    def memory_bits(self) -> int:
        """Bits of a number in memory."""
        return next(bits for bits in _HELD_BITS if bits >= self.bits)

    @property
    def qmin(self) -> int:
        """Smallest integer."""
        return -(2 ** (self.bits - 1)) if self.signed else 0

    @property
    def qmax(self) -> int:
        """Largest integer."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type that holds the integers."""
        return np.dtype(f"{'i' if self.signed else 'u'}{max(1, self.memory_bits // 8)}")

    def quantize(self, values: NDArray[np.floating]) -> NDArray[np.generic]:
        """Nearest integers (ties to even), clamped; same shape, `dtype`."""
        q = np.rint(values.astype(np.float64) / self.scale) + self.zero_point
        integers: NDArray[np.generic] = np.clip(q, self.qmin, self.qmax).astype(self.dtype)
        return integers

    def dequantize(self, q: NDArray[np.generic]) -> Float64:
        """Real values of integers, float64, same shape."""
        real: Float64 = self.scale * (q.astype(np.float64) - self.zero_point)
        return real

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, channel by channel."""
        return (
            isinstance(other, Integer)
            and (self.zero_point, self.signed, self.bits, self.distinct)
            == (other.zero_point, other.signed, other.bits, other.distinct)
            and np.array_equal(self.scale, other.scale)
        )

    def __hash__(self) -> int:
        return hash((self.zero_point, self.signed, self.bits, self.distinct))

    def __str__(self) -> str:
        scale = f"{self.scale:.4g}" if np.ndim(self.scale) == 0 else f"{np.size(self.scale)} scales"
        zero = f", zero {self.zero_point}" if self.zero_point else ""
        few = f", {self.distinct} values" if self.distinct else ""
        return f"{'' if self.signed else 'u'}int{self.bits}({scale}{zero}{few})"


@dataclass(frozen=True, slots=True)
class Signs:
    """Signs, +1 for values of 0 and above: real = scale * q."""

    scale: float

    operand: ClassVar[OperandType] = "binary"
    signed: ClassVar[bool] = True
    zero_point: ClassVar[int] = 0
    bits: ClassVar[int] = 1
    qmin: ClassVar[int] = -1
    qmax: ClassVar[int] = 1
    memory_bits: ClassVar[int] = 1
    dtype: ClassVar[np.dtype[np.generic]] = np.dtype(np.int8)

    def quantize(self, values: NDArray[np.floating]) -> NDArray[np.generic]:
        """Signs, int8, same shape."""
        return np.where(values >= 0, 1, -1).astype(np.int8)

    def dequantize(self, q: NDArray[np.generic]) -> Float64:
        """Real values, float64, same shape."""
        return self.scale * q.astype(np.float64)

    def __str__(self) -> str:
        return f"sign({self.scale:.4g})"


@dataclass(frozen=True, slots=True)
class Float:
    """Floats, rounded to nearest even; what lies beyond fp8's largest value is clamped to it."""

    operand: OperandType = "fp32"

    scale: ClassVar[float] = 1.0
    zero_point: ClassVar[int] = 0
    signed: ClassVar[bool] = True
    dtype: ClassVar[np.dtype[np.generic]] = np.dtype(np.float32)

    @property
    def memory_bits(self) -> int:
        """Bits of a number in memory."""
        return OPERANDS[self.operand].bits

    def quantize(self, values: NDArray[np.floating]) -> NDArray[np.generic]:
        """Nearest values of the type, as float32, same shape."""
        return rounded(values.astype(np.float32), self.operand)

    def dequantize(self, q: NDArray[np.generic]) -> Float64:
        """The same values, float64."""
        return q.astype(np.float64)

    def __str__(self) -> str:
        return self.operand


@dataclass(frozen=True, slots=True)
class Plain:
    """Numbers of a file's own type that stand for themselves: indices, masks, float64; no multiplier takes them.

    Parameters
    ----------
    type
        numpy's name of it: bool, int8 to int64, uint8 to uint64, float64.
    """

    type: str

    scale: ClassVar[float] = 1.0
    zero_point: ClassVar[int] = 0

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type that holds them."""
        return np.dtype(self.type)

    @property
    def signed(self) -> bool:
        """Whether numbers below zero are among them."""
        return self.dtype.kind != "u"

    @property
    def memory_bits(self) -> int:
        """Bits of a number in memory."""
        return 8 * self.dtype.itemsize

    @property
    def qmin(self) -> int:
        """Smallest integer."""
        return 0 if self.type == "bool" else int(np.iinfo(self.type).min)

    @property
    def qmax(self) -> int:
        """Largest integer."""
        return 1 if self.type == "bool" else int(np.iinfo(self.type).max)

    @property
    def operand(self) -> OperandType:
        """None: who asks must look for multipliers' operands first."""
        raise DefectError(f"numbers of type {self.type} are no operands of a multiplier")

    def quantize(self, values: NDArray[Any]) -> NDArray[np.generic]:
        """The same values in the type."""
        return values.astype(self.dtype)

    def dequantize(self, q: NDArray[np.generic]) -> Float64:
        """The same values, float64."""
        return q.astype(np.float64)

    def __str__(self) -> str:
        return self.type


Element = Integer | Signs | Float | Plain
#: What a network's numbers are before types are chosen for them.
REAL = Float("fp32")
#: What a scheme says of weights that shall stay floats of 16 bits, where others become integers.
WIDE = Float("fp16")


def rounded(values: NDArray[np.float32], operand: OperandType) -> NDArray[np.float32]:
    """Nearest values (ties to even) of a float type, as float32.

    fp16 and bf16 overflow to infinity as IEEE 754 has it; fp8 saturates, as inference hardware does (OCP 8-bit floating
    point specification, revision 1.0, section 5.2.1), because E4M3 has no infinity.
    """
    if operand == "fp32":
        return values
    target: np.dtype[np.generic] = np.dtype(_FLOAT_TYPES[operand])
    if operand.startswith("fp8"):
        largest = float(ml_dtypes.finfo(target).max)  # type: ignore[no-untyped-call] # ml_dtypes has no types there
        values = np.clip(values, -largest, largest)
    with np.errstate(over="ignore"):
        return values.astype(target).astype(np.float32)


_FLOAT_TYPES: dict[OperandType, Any] = {
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
}
