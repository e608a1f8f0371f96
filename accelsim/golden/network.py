"""The integer network: what compression hands to the compiler, and what golden arithmetic evaluates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Quantization:
    """Affine quantization of a tensor to 8 bits: real = scale * (q - zero_point).

    Parameters
    ----------
    scale
        Real value of one step, positive.
    zero_point
        Integer that stands for zero, inside [qmin, qmax].
    signed
        int8 if true, uint8 if false.
    """

    scale: float
    zero_point: int
    signed: bool

    @property
    def qmin(self) -> int:
        """Smallest integer."""
        return -128 if self.signed else 0

    @property
    def qmax(self) -> int:
        """Largest integer."""
        return 127 if self.signed else 255

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type that holds the integers."""
        return np.dtype(np.int8 if self.signed else np.uint8)

    def quantize(self, values: NDArray[np.floating]) -> NDArray[np.generic]:
        """Nearest integers (ties to even), clamped; same shape, `dtype`."""
        q = np.rint(values.astype(np.float64) / self.scale) + self.zero_point
        integers: NDArray[np.generic] = np.clip(q, self.qmin, self.qmax).astype(self.dtype)
        return integers

    def dequantize(self, q: NDArray[np.generic]) -> NDArray[np.float64]:
        """Real values of integers, float64, same shape."""
        return self.scale * (q.astype(np.float64) - self.zero_point)


@dataclass(frozen=True, slots=True)
class IntegerLayer:
    """A fully connected layer in integers: q = clamp(round((x @ weight + bias) * M * 2^(shift - 31)) + zero point).

    Parameters
    ----------
    weight
        int8, shape (K, N).
    bias
        int32, shape (N,); the input's zero point is folded in: bias / (s_x s_w) - zero_point_x * sum_k weight.
    multiplier, shift
        int32 in [2^30, 2^31) or 0, and int8 (positive = left), shape (N,): TFLite's fixed-point scale per channel.
    rounding
        Name of the rounding scheme, one of `golden.integer.ROUNDING`.
    relu
        Whether outputs are clamped at the output's zero point.
    """

    name: str
    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int8]
    rounding: str
    relu: bool
    input: Quantization
    output: Quantization

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
        """Smallest and largest output, ReLU included."""
        low = max(self.output.qmin, self.output.zero_point) if self.relu else self.output.qmin
        return low, self.output.qmax

    @property
    def stored_bits(self) -> int:
        """Bits that stand in memory for the weights: the integers, and a multiplier and a shift per channel."""
        return 8 * (self.weight.nbytes + self.multiplier.nbytes + self.shift.nbytes)


@dataclass(frozen=True, slots=True)
class IntegerNetwork:
    """A chain of integer layers; each layer's input quantization is the output quantization of the one before."""

    name: str
    recipe: str
    layers: tuple[IntegerLayer, ...]

    @property
    def input(self) -> Quantization:
        """Quantization of the network's input."""
        return self.layers[0].input
