"""The integer network: what compression hands to the compiler, and what golden arithmetic evaluates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from accelsim.config.operands import INTEGERS, OperandType
from accelsim.formats.groups import GroupedTensor
from accelsim.formats.storage import Storage
from accelsim.workload.network import Inputs, each, without_values


@dataclass(frozen=True, slots=True)
class Quantization:
    """Affine quantization of a tensor to integers: real = scale * (q - zero_point).

    Parameters
    ----------
    scale
        Real value of one step, positive.
    zero_point
        Integer that stands for zero, inside [qmin, qmax].
    signed
        Whether integers are signed.
    bits
        16, 8, 4 or 2.
    """

    scale: float
    zero_point: int
    signed: bool
    bits: int = 8

    @property
    def operand(self) -> OperandType:
        """Type of a multiplier's operand that takes them."""
        return INTEGERS[self.bits]

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
        return np.dtype(f"{'i' if self.signed else 'u'}{max(1, self.bits // 8)}")

    def quantize(self, values: NDArray[np.floating]) -> NDArray[np.generic]:
        """Nearest integers (ties to even), clamped; same shape, `dtype`."""
        q = np.rint(values.astype(np.float64) / self.scale) + self.zero_point
        integers: NDArray[np.generic] = np.clip(q, self.qmin, self.qmax).astype(self.dtype)
        return integers

    def dequantize(self, q: NDArray[np.generic]) -> NDArray[np.float64]:
        """Real values of integers, float64, same shape."""
        return self.scale * (q.astype(np.float64) - self.zero_point)


@dataclass(frozen=True, slots=True)
class Binary:
    """A tensor of signs, +1 for values of 0 and above: real = scale * q."""

    scale: float

    operand: ClassVar[OperandType] = "binary"
    signed: ClassVar[bool] = True
    zero_point: ClassVar[int] = 0
    qmin: ClassVar[int] = -1
    qmax: ClassVar[int] = 1
    dtype: ClassVar[np.dtype[np.generic]] = np.dtype(np.int8)

    def quantize(self, values: NDArray[np.floating]) -> NDArray[np.generic]:
        """Signs, int8, same shape."""
        return np.where(values >= 0, 1, -1).astype(np.int8)

    def dequantize(self, q: NDArray[np.generic]) -> NDArray[np.float64]:
        """Real values, float64, same shape."""
        return self.scale * q.astype(np.float64)


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A tensor of floats, rounded to nearest even; what lies beyond fp8's largest value is clamped to it."""

    operand: OperandType

    scale: ClassVar[float] = 1.0
    zero_point: ClassVar[int] = 0
    signed: ClassVar[bool] = True
    dtype: ClassVar[np.dtype[np.generic]] = np.dtype(np.float32)

    def quantize(self, values: NDArray[np.floating]) -> NDArray[np.generic]:
        """Nearest values of the type, as float32, same shape."""
        return rounded(values.astype(np.float32), self.operand)

    def dequantize(self, q: NDArray[np.generic]) -> NDArray[np.float64]:
        """The same values, float64."""
        return q.astype(np.float64)


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


@dataclass(frozen=True, slots=True)
class Survivors:
    """Which features of a full layer a compacted one still has.

    Parameters
    ----------
    inputs, outputs
        bool, shapes (K,) and (N,) of the full layer.
    """

    inputs: NDArray[np.bool_]
    outputs: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class IntegerLayer:
    """A fully connected layer in integers: q = clamp(round((x @ weight + bias) * M * 2^(shift - 31)) + zero point).

    Parameters
    ----------
    weight
        int8, shape (K, N), int16 for 16-bit operands; narrower integers and signs lie in int8.
    bias
        int32, shape (N,), int64 for 16-bit operands; the input's zero point is folded in:
        bias / (s_x s_w) - zero_point_x * sum_k weight.
    multiplier, shift
        int32 in [2^30, 2^31) or 0, and int8 (positive = left), shape (N,): TFLite's fixed-point scale per channel.
    rounding
        Name of the rounding scheme, one of `golden.integer.ROUNDING`.
    relu
        Whether outputs are clamped at the output's zero point.
    survivors
        Which features of the full layer these are, if the layer was compacted.
    storage
        Format that the weights stand in, which a decode unit expands; None if they stand as they are.
    lookup
        Whether weights are numbers of at most 16 shared values, so that products can be looked up.
    groups
        The integers that the weights are stored as, and their groups' scales, if `storage` has them.
    pattern
        If the weights have no values: N and M, of every M along K at most N are taken to be nonzero, 1 and 1 for dense
        ones; None if they have values.
    """

    name: str
    weight: NDArray[np.signedinteger[Any]]
    bias: NDArray[np.signedinteger[Any]]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int8]
    rounding: str
    relu: bool
    input: Quantization | Binary
    output: Quantization | Binary
    survivors: Survivors | None = None
    storage: Storage | None = None
    pattern: tuple[int, int] | None = None
    groups: GroupedTensor | None = None
    lookup: bool = False

    integers: ClassVar[None] = None
    appends: ClassVar[bool] = False

    @property
    def inputs(self) -> int:
        """Input features K."""
        return int(self.weight.shape[0])

    @property
    def outputs(self) -> int:
        """Output features N."""
        return int(self.weight.shape[1])

    @property
    def clamp(self) -> tuple[int, int]:
        """Smallest and largest result of requantization, ReLU included; for signs, 0 stands for -1."""
        if isinstance(self.output, Binary):
            return 0, 1
        low = max(self.output.qmin, self.output.zero_point) if self.relu else self.output.qmin
        return low, self.output.qmax

    @property
    def scale_bits(self) -> int:
        """Bits that stand in memory beside the weights: a multiplier and a shift per channel."""
        return 8 * (self.multiplier.nbytes + self.shift.nbytes)


@dataclass(frozen=True, slots=True)
class IntegerPart:
    """The first inputs of a float layer, which are multiplied as integers.

    Each row of activations is rounded when it is there, group by group of inputs, over the largest magnitude in the
    group; a group's sums are scaled back to float32, row by row and column by column, before they are added up.

    Parameters
    ----------
    bits
        Bits of activations and of weights, 8 or 4, symmetric to 0.
    group
        Inputs that share a scale in a row of activations, and in a column of weights; the last group may be shorter.
    weight
        int8, shape (inputs, N).
    scale
        float32, shape (groups, N).
    """

    bits: int
    group: int
    weight: NDArray[np.int8]
    scale: NDArray[np.float32]

    @property
    def inputs(self) -> int:
        """Inputs that are multiplied as integers."""
        return int(self.weight.shape[0])


@dataclass(frozen=True, slots=True)
class FloatLayer:
    """A fully connected layer in floats: y = round(activation(x @ weight + bias)), sums in float32.

    Parameters
    ----------
    weight
        float32, shape (K, N), values of the input's type; less the inputs of the integer part.
    bias
        float32, shape (N,).
    relu
        Whether negative sums become 0.
    input, output
        Types of the activations; the weights have the input's.
    pattern
        As for an integer layer.
    integers
        Part of the first inputs, if there is one.
    appends
        Whether the outputs are more inputs of the next layer, behind those of this one.
    storage
        Microscaling format that the weights stand in, which a decode unit expands; None if they stand as they are.
    """

    name: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    relu: bool
    input: FloatFormat
    output: FloatFormat
    pattern: tuple[int, int] | None = None
    integers: IntegerPart | None = None
    appends: bool = False
    storage: Storage | None = None

    survivors: ClassVar[None] = None
    groups: ClassVar[None] = None
    lookup: ClassVar[bool] = False

    @property
    def inputs(self) -> int:
        """Input features K."""
        return int(self.weight.shape[0]) + (self.integers.inputs if self.integers else 0)

    @property
    def outputs(self) -> int:
        """Output features N."""
        return int(self.weight.shape[1])

    @property
    def scale_bits(self) -> int:
        """Bits that stand in memory beside the weights: none."""
        return 0


@dataclass(frozen=True, slots=True)
class IntegerNetwork:
    """A chain of integer layers; each layer's input quantization is the output quantization of the one before.

    Parameters
    ----------
    independent
        Whether the layers are no chain, but each has inputs of its own.
    """

    name: str
    recipe: str
    layers: tuple[IntegerLayer, ...]
    independent: bool = False

    @property
    def input(self) -> Quantization | Binary:
        """Quantization of the network's input."""
        return self.layers[0].input


@dataclass(frozen=True, slots=True)
class FloatNetwork:
    """A chain of float layers of one type, or layers that are independent."""

    name: str
    recipe: str
    layers: tuple[FloatLayer, ...]
    independent: bool = False

    @property
    def input(self) -> FloatFormat:
        """Type of the network's input."""
        return self.layers[0].input


TensorType = Quantization | Binary | FloatFormat
CompressedLayer = IntegerLayer | FloatLayer
CompressedNetwork = IntegerNetwork | FloatNetwork


def quantized(network: CompressedNetwork, inputs: Inputs[np.float32]) -> Inputs[np.generic]:
    """A network's inputs in its layers' types; those of layers without values have none either."""
    if not network.independent:
        assert not isinstance(inputs, tuple)  # noqa: S101 - a chain has one input
        return _quantized(network.layers[0], inputs)
    layers: Sequence[CompressedLayer] = network.layers
    return tuple(_quantized(layer, x) for layer, x in zip(layers, each(inputs), strict=True))


def _quantized(layer: CompressedLayer, x: NDArray[np.float32]) -> NDArray[np.generic]:
    if layer.pattern is not None:
        return without_values(layer.input.dtype.type(0), *x.shape)
    return layer.input.quantize(x)
