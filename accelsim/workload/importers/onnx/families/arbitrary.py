"""Quantizers of qonnx and Brevitas, whose integers have any width; numbers stay floats on their way between nodes.

Of activations they are Quantize and Dequantize, of weights the integers that they come to. qonnx has
y = (clip(round(x / scale + zero point)) - zero point) * scale.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.element import Integer
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.quantize import Dequantize, Quantize
from accelsim.workload.importers.onnx.families.quantized import of_integers
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation

#: Bits of integers, at most.
MOST_BITS = 16


def quant(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers on a grid of integers of some bits."""
    n.require(rounding_mode=("ROUND", "HALF_EVEN"))
    bits, signed, narrow = _bits(n), bool(n.integer("signed", 1)), bool(n.integer("narrow", 0))
    least = (-(2 ** (bits - 1)) if signed else 0) + (1 if narrow and signed else 0)
    most = 2 ** (bits - signed) - 1 - (1 if narrow and not signed else 0)
    scale, zero = _numbers(n, 1, "scale").astype(np.float32), _numbers(n, 2, "zero point")
    x = n.real(0)
    if x.known:
        with np.errstate(over="ignore", invalid="ignore"):
            found = np.rint(x.numbers.astype(np.float64) / scale + zero)
        if not np.isfinite(found).all():
            raise RefusedError("its numbers and scales must be finite, and scales not 0")
        numbers = np.clip(found, least, most).astype(np.int64) - np.rint(zero).astype(np.int64)
        return of_integers(c, x, np.broadcast_to(numbers, x.shape), scale, bits, n.name)
    if scale.size != 1 or zero.size != 1:
        raise RefusedError("a tensor that is computed must have one scale and one zero point")
    step, point = np.float32(scale.reshape(())), float(zero.reshape(()))
    if not np.isfinite(step) or step <= 0 or not point.is_integer():
        raise RefusedError(f"its scale must be above 0 and its zero point an integer, not {step} and {point}")
    to = Integer(float(step), int(point), signed=signed, bits=bits)
    value = x.value
    if (least, most) != (to.qmin, to.qmax):
        value = c.put(Function("clip", float(step * (least - point)), float(step * (most - point))), value)
    value = c.put(Dequantize(), c.put(Quantize(to), value, name=n.name))
    return replace(x, value=value)


def bipolar_quant(c: Translation, n: OnnxNode) -> Tensor:
    """Signs times a scale: of weights integers of 2 bits that are -1 or 1."""
    x, scale = n.real(0), _numbers(n, 1, "scale").astype(np.float32)
    if not x.known:
        raise RefusedError("signs must be those of weights, not of what is computed")
    signs = np.where(x.numbers >= 0, 1, -1).astype(np.int64)
    return of_integers(c, x, signs, scale, 2, n.name)


def _bits(n: OnnxNode) -> int:
    found = float(_numbers(n, 3, "bit width").reshape(-1)[0])
    if not found.is_integer() or not 1 <= found <= MOST_BITS:
        raise RefusedError(f"its bit width must be 1 to {MOST_BITS}, not {found}")
    return int(found)


def _numbers(n: OnnxNode, number: int, what: str) -> NDArray[Any]:
    found = n.constant(number, what)
    if not found.size:
        raise RefusedError(f"its {what} must be a number")
    return found
