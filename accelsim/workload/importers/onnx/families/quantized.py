"""Quantized operators: floats between Dequantize and Quantize, which `importers.quantized` brings to integers.

So an operator of integers means what its float form means of what integers stand for, and files with QLinear operators
become what files with QuantizeLinear and DequantizeLinear become. Operators of onnxruntime's domain are among them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.element import Integer
from accelsim.graph.ops.elementwise import Elementwise, ElementwiseName
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.quantize import Dequantize, Quantize, Retype
from accelsim.graph.ops.reduce import Reduce, ReduceName
from accelsim.workload.importers.onnx.dtypes import DTYPES, FLOAT32, DType
from accelsim.workload.importers.onnx.families import convolutions, pools, products
from accelsim.workload.importers.onnx.families.elementwise import added, converted, multiplied, taken
from accelsim.workload.importers.onnx.families.shapes import concat
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode, axis_of
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation

Rule = Callable[[Translation, OnnxNode], Tensor]
Array = NDArray[Any]

#: Types that QuantizeLinear forms, or reads.
_INTEGERS = tuple(np.dtype(name) for name in ("uint8", "int8", "uint16", "int16", "int32"))
_UINT8 = np.dtype(np.uint8)
#: Operator set of the floats between them.
_FLOATS = 17


def _floats(n: OnnxNode, *inputs: Tensor | None) -> OnnxNode:
    """The node as ONNX's own operator of floats, of a set in which those are as they are here."""
    return replace(n, version=_FLOATS, inputs=inputs)


def quantize_linear(c: Translation, n: OnnxNode) -> Tensor:
    """Floats to integers, of a scale and a zero point for all."""
    n.require(block_size=(0,))
    scale, zero, dtype = _parameters(n, 1, 2)
    number = n.integer("output_dtype", 0)
    if number and not n.has(2):
        dtype = _integer_type(DTYPES.get(number))
    return quantized(c, n.real(0), scale, zero, dtype, n.name)


def dequantize_linear(c: Translation, n: OnnxNode) -> Tensor:
    """Integers to floats; of constants each number of an axis may have its own scale and zero point."""
    n.require(block_size=(0,))
    return dequantized(c, n, 0, 1, 2, axis=n.integer("axis", 1))


def quantized(c: Translation, x: Tensor, scale: np.float32, zero: int, dtype: DType, name: str = "") -> Tensor:
    """A tensor of floats as integers."""
    to = element_of(scale, zero, dtype)
    return replace(x, value=c.put(Quantize(to), x.value, name=name), dtype=dtype)


def dequantized(c: Translation, n: OnnxNode, number: int, scale: int, zero: int, axis: int = 1) -> Tensor:
    """An input of integers as floats, by the inputs that are its scale and zero point."""
    x = n.given(number)
    if x.dtype not in _INTEGERS:
        raise RefusedError(f"input {number} must be integers of 8, 16 or 32 bits, not {x.dtype}")
    scales, zeros = n.constant(scale, "scale"), _zeros(n, zero)
    if scales.size == 1 and zeros.size == 1:
        found, point = _scale(scales), int(zeros.reshape(()))
        if not x.known:
            return _of_one_scale(c, x, found, point)
        return _of_constant(c, x, np.array(found), np.array(point), n.name)
    if not x.known:
        raise RefusedError("a tensor that is computed must have one scale and one zero point")
    place, shape = axis_of(axis, x.rank), [1] * x.rank
    shape[place] = x.shape[place]
    if any(part.size not in {1, shape[place]} for part in (scales, zeros)):
        raise RefusedError(f"scales and zero points must be {shape[place]}, one for each of axis {place}")
    each = [np.broadcast_to(part.reshape(-1), (shape[place],)).reshape(shape) for part in (scales, zeros)]
    return _of_constant(c, x, each[0].astype(np.float32), each[1].astype(np.int64), n.name)


def element_of(scale: np.float32, zero: int, dtype: DType) -> Integer:
    """What integers of a type stand for."""
    return Integer(float(scale), zero, signed=dtype.kind == "i", bits=8 * dtype.itemsize)


def _of_one_scale(c: Translation, x: Tensor, scale: np.float32, zero: int) -> Tensor:
    to = element_of(scale, zero, x.dtype)
    value = x.value if x.value.element == to else c.put(Retype(to), x.value)
    return replace(x, value=c.put(Dequantize(), value), dtype=FLOAT32)


def _of_constant(c: Translation, x: Tensor, scale: Array, zero: Array, name: str) -> Tensor:
    """A constant as integers less their zero points."""
    return of_integers(c, x, x.numbers.astype(np.int64) - zero, scale, 8 * x.dtype.itemsize, name)


def of_integers(c: Translation, x: Tensor, numbers: Array, scale: Array, bits: int, name: str) -> Tensor:
    """What a constant is as integers times scales, which the graph keeps apart until it is known who reads it.

    Parameters
    ----------
    numbers, scale
        Integers less their zero points, of the tensor's shape, and scales that are broadcast to it.
    bits
        Of the integers; twice as many if zero points leave larger ones.
    """
    if not np.isfinite(scale).all() or not (scale > 0).all():
        raise RefusedError("scales must be finite and above 0")
    fits = -(2 ** (bits - 1)) <= numbers.min(initial=0) and numbers.max(initial=0) < 2 ** (bits - 1)
    kind = Integer(1.0, 0, signed=True, bits=bits if fits else 2 * bits)
    integers = c.constant(numbers.astype(kind.dtype), f"{name}.integers", kind)
    scales = c.constant(np.ascontiguousarray(scale, np.float32), f"{name}.scales")
    return replace(x, value=c.put(Dequantize(), integers, scales, fold=False), dtype=FLOAT32)


def _zeros(n: OnnxNode, number: int) -> Array:
    return n.constant(number, "zero point") if n.has(number) else np.zeros((), np.int64)


def _scale(found: Array) -> np.float32:
    value = np.float32(found.reshape(-1)[0])
    if not np.isfinite(value) or value <= 0:
        raise RefusedError(f"its scale must be finite and above 0, not {value}")
    return value


def _integer_type(dtype: DType | None) -> DType:
    if dtype is None or dtype not in _INTEGERS:
        raise RefusedError(f"must form integers of 8 or 16 bits, not {dtype}")
    return dtype


def _parameters(n: OnnxNode, scale: int, zero: int, usual: DType = _UINT8) -> tuple[np.float32, int, DType]:
    """Scale, zero point and type of integers that have one of each."""
    scales, zeros = n.constant(scale, "scale"), _zeros(n, zero)
    if scales.size != 1 or zeros.size != 1:
        raise RefusedError("what is computed must have one scale and one zero point")
    dtype = _integer_type(n.given(zero).dtype if n.has(zero) else usual)
    return _scale(scales), int(zeros.reshape(-1)[0]), dtype


def _result(c: Translation, n: OnnxNode, x: Tensor, scale: int, zero: int, usual: DType) -> Tensor:
    """Floats as the integers of an output, by the inputs that are its scale and zero point."""
    return quantized(c, x, *_parameters(n, scale, zero, usual), f"{n.name}.quantize")


def qlinear_conv(c: Translation, n: OnnxNode) -> Tensor:
    """A convolution of integers, its bias at the scale of the sums."""
    x = dequantized(c, n, 0, 1, 2)
    w = dequantized(c, n, 3, 4, 5, axis=0)
    bias = _bias(c, n, 8, (1, 4))
    sums = convolutions.conv(c, _floats(n, x, w, bias))
    return _result(c, n, sums, 6, 7, n.given(0).dtype)


def _bias(c: Translation, n: OnnxNode, number: int, scales: tuple[int, int]) -> Tensor | None:
    """A bias of int32 at the product of two scales, as floats."""
    given = n.optional(number)
    if given is None:
        return None
    if not given.known or given.dtype != np.int32:
        raise RefusedError(f"its bias must be constant integers of 32 bits, not {given.dtype}")
    first, other = (n.constant(part, "scale").astype(np.float32).reshape(-1) for part in scales)
    scale = first * other
    if scale.size not in {1, given.shape[-1]}:
        raise RefusedError(f"its bias must be {scale.size} numbers, one a scale, not {given.shape[-1]}")
    return _of_constant(c, given, scale if scale.size > 1 else scale.reshape(()), np.array(0), f"{n.name}.bias")


def qlinear_matmul(c: Translation, n: OnnxNode) -> Tensor:
    """A product of matrices of integers."""
    a, b = dequantized(c, n, 0, 1, 2, axis=n.given(0).rank - 2), dequantized(c, n, 3, 4, 5, axis=-1)
    formed = products.matmul(c, _floats(n, a, b))
    return _result(c, n, formed, 6, 7, n.given(0).dtype)


def qgemm(c: Translation, n: OnnxNode) -> Tensor:
    """A product of two matrices of integers and a bias; floats if no scale of the result is given."""
    a = dequantized(c, n, 0, 1, 2, axis=0)
    b = dequantized(c, n, 3, 4, 5, axis=0 if n.integer("transB", 0) else 1)
    formed = products.gemm(c, _floats(n, a, b, _bias(c, n, 6, (1, 4))))
    return _result(c, n, formed, 7, 8, n.given(0).dtype) if n.has(7) else formed


def qlinear_pair(one: Callable[[Translation, Tensor, Tensor, str], Tensor]) -> Rule:
    """Rule of a sum or a product, number by number."""

    def rule(c: Translation, n: OnnxNode) -> Tensor:
        formed = one(c, dequantized(c, n, 0, 1, 2), dequantized(c, n, 3, 4, 5), n.name)
        return _result(c, n, formed, 6, 7, n.given(0).dtype)

    return rule


def qlinear_unary(rule: Rule) -> Rule:
    """Rule of an operator of one tensor that is one of floats besides."""

    def found(c: Translation, n: OnnxNode) -> Tensor:
        formed = rule(c, _floats(n, dequantized(c, n, 0, 1, 2)))
        return _result(c, n, formed, 3, 4, n.given(0).dtype)

    return found


def qlinear_pool(rule: Rule) -> Rule:
    """Rule of a pool whose images have their channels second."""

    def found(c: Translation, n: OnnxNode) -> Tensor:
        n.require(channels_last=(0,))
        return qlinear_unary(rule)(c, n)

    return found


def qlinear_concat(c: Translation, n: OnnxNode) -> Tensor:
    """Tensors beside each other: scale and zero point of the result come first, then each with its own."""
    if len(n.inputs) < 5 or (len(n.inputs) - 2) % 3:
        raise RefusedError("must have tensors with a scale and a zero point each")
    parts = tuple(dequantized(c, n, i, i + 1, i + 2) for i in range(2, len(n.inputs), 3))
    return _result(c, n, concat(c, _floats(n, *parts)), 0, 1, n.given(2).dtype)


ADD, MULTIPLY = qlinear_pair(added), qlinear_pair(multiplied)
AVERAGE_POOL, GLOBAL_AVERAGE_POOL = qlinear_pool(pools.average_pool), qlinear_pool(pools.global_average_pool)


# integers whose scales come with the data

_INT32 = np.dtype(np.int32)


def _centred(c: Translation, n: OnnxNode, number: int, zero: int, axis: int) -> Tensor:
    """An input of integers less its zero points, one or one for each number of an axis, as floats."""
    x = n.given(number)
    found = converted(c, x, FLOAT32)
    if not n.has(zero):
        return found
    point = converted(c, n.given(zero), FLOAT32)
    if point.count > 1:
        shape = [1] * x.rank
        shape[axis_of(axis, x.rank)] = point.count
        point = c.tensor(c.reshaped(c.plain(point), tuple(shape)), FLOAT32)
    return taken(c, Elementwise("subtract"), found, point)


def matmul_integer(c: Translation, n: OnnxNode) -> Tensor:
    """Sums of products of integers."""
    a, b = _centred(c, n, 0, 2, -2), _centred(c, n, 1, 3, -1)
    return converted(c, products.matmul(c, _floats(n, a, b)), _INT32)


def conv_integer(c: Translation, n: OnnxNode) -> Tensor:
    """Sums of a convolution of integers."""
    x, w = _centred(c, n, 0, 2, 1), _centred(c, n, 1, 3, 0)
    return converted(c, convolutions.conv(c, _floats(n, x, w)), _INT32)


def dynamic_quantize_linear(c: Translation, n: OnnxNode) -> tuple[Tensor, Tensor, Tensor]:
    """Floats to unsigned bytes over the range that they have, its scale, and its zero point."""
    x, zero = n.real(0), c.known_tensor(np.zeros((), np.float32))
    flat = c.tensor(c.reshaped(c.plain(x), (x.count,)), FLOAT32)

    def alone(name: ElementwiseName, bound: ReduceName) -> Tensor:
        end = replace(flat, value=c.put(Reduce(bound, (0,), keeps=False), flat.value), shape=(), axes=())
        return taken(c, Elementwise(name), end, zero)

    low, high = alone("minimum", "smallest"), alone("maximum", "largest")
    bytes_ = c.known_tensor(np.array(255, np.float32))
    scale = taken(c, Elementwise("divide"), taken(c, Elementwise("subtract"), high, low), bytes_)
    point = taken(c, Elementwise("divide"), taken(c, Elementwise("subtract"), zero, low), scale)
    point = c.unary(c.unary(point, Function("clip", 0.0, 255.0)), Function("round"))
    steps = c.unary(taken(c, Elementwise("divide"), x, scale), Function("round"))
    numbers = c.unary(added(c, steps, point, f"{n.name}.add"), Function("clip", 0.0, 255.0))
    return converted(c, numbers, _UINT8, n.name), scale, converted(c, point, _UINT8)
