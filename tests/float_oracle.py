"""What an array makes of floats, on plain numpy arrays: an oracle that knows no graph.

Products of two floats of 16 bits or fewer are exact in float32; those of fp32 are rounded to it. Within a fold of
`fold_inputs` inputs, sums start at 0 and take one product after the other, inputs in order; the fold's sum is then
added to what the accumulator holds. Every addition rounds to nearest even.

Inputs that are multiplied as integers come first, a group at a time: the integer sum is rounded to float32, multiplied
by the scale of its row and then by that of its column, and added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from accelsim.config.operands import OperandType

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class FloatPart:
    """Inputs that are multiplied as floats: weights, shape (K, N)."""

    weight: Float32

    def sums(self, x: Float32, fold_inputs: int) -> list[Float32]:
        """Sums (M, N) of each fold of activations (M, K)."""
        found = []
        for first in range(0, len(self.weight), fold_inputs):
            fold = np.zeros((len(x), self.weight.shape[1]), np.float32)
            for k in range(first, min(first + fold_inputs, len(self.weight))):
                fold = fold + np.multiply.outer(x[:, k], self.weight[k])
            found.append(fold)
        return found


@dataclass(frozen=True)
class IntegerPart:
    """Inputs that are multiplied as integers: weights, shape (K, N), of so many bits, and scales, (groups, N)."""

    weight: NDArray[np.int8]
    scale: Float32
    bits: int
    group: int

    def sums(self, x: Float32, fold_inputs: int) -> list[Float32]:  # noqa: ARG002 - integers know no folds
        """Sums (M, N) of each group of activations (M, K), scaled back."""
        found = []
        largest = np.float32(2 ** (self.bits - 1) - 1)
        for number, scale in enumerate(self.scale):
            inputs = slice(number * self.group, min((number + 1) * self.group, len(self.weight)))
            integers = np.zeros((len(x), self.weight[inputs].shape[0]), np.int64)
            steps = np.zeros((len(x), 1), np.float32)
            for row, values in enumerate(x[:, inputs]):
                peak = np.float32(max(abs(values)))
                if peak > 0:
                    integers[row] = np.clip(np.rint(values * (largest / peak)), -largest, largest)
                    steps[row] = peak / largest
            products = integers @ self.weight[inputs].astype(np.int64)
            found.append(products.astype(np.float32) * steps * scale)
        return found


def sums(parts: Sequence[tuple[Float32, FloatPart | IntegerPart]], fold_inputs: int) -> Float32:
    """Sums (M, N) of a layer: of the activations of each of its parts, one part after the other."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        first, *others = (found for x, part in parts for found in part.sums(x, fold_inputs))
        for other in others:
            first = first + other
        return first


def output(total: Float32, bias: Float32 | None, operand: OperandType, *, relu: bool) -> Float32:
    """Sums (M, N), a bias (N,) and an activation, rounded to a type: float32."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = total if bias is None else total + bias
    if relu:
        total = np.where(total < 0, np.float32(0), total)
    return rounded(total, operand)


def rounded(values: Float32, operand: OperandType) -> Float32:
    """Nearest values of a type, as float32; fp8 saturates, fp16 and bf16 overflow to infinity."""
    types: dict[OperandType, Any] = {
        "fp32": np.float32,
        "fp16": np.float16,
        "bf16": ml_dtypes.bfloat16,
        "fp8_e4m3": ml_dtypes.float8_e4m3fn,
        "fp8_e5m2": ml_dtypes.float8_e5m2,
    }
    limit = {"fp8_e4m3": 448.0, "fp8_e5m2": 57344.0}.get(operand, np.inf)
    with np.errstate(over="ignore"):
        found: Float32 = np.clip(values, -limit, limit).astype(types[operand]).astype(np.float32)
    return found
