"""What is known before a model runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.workload.importers.onnx.dtypes import DTYPES, FLOAT32, name_of
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.file import count_of
from accelsim.workload.importers.onnx.node import OnnxNode
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation


def constant(c: Translation, n: OnnxNode) -> Tensor:
    """A tensor that stands in the node."""
    names = {"value", "value_int", "value_ints", "value_float", "value_floats"}
    odd = sorted(set(n.attributes) - names)
    if odd:
        raise RefusedError(f"must have numbers, not {odd[0][:40]}")
    numbers = n.tensor("value")
    if numbers is None and "value_int" in n.attributes:
        numbers = np.array(n.integer("value_int", 0), np.int64)
    elif numbers is None and "value_float" in n.attributes:
        numbers = np.array(n.number("value_float", 0), np.float32)
    elif numbers is None and n.integer_row("value_ints") is not None:
        numbers = np.array(n.integer_row("value_ints"), np.int64)
    elif numbers is None:
        numbers = n.number_row("value_floats")
    if numbers is None:
        raise RefusedError("must have a value")
    return c.known_tensor(numbers, f"{n.name}.value")


def constant_of_shape(c: Translation, n: OnnxNode) -> Tensor:
    """A number over and over."""
    shape, value = tuple(n.integers(0, "shape")), n.tensor("value")
    number = np.zeros(1, FLOAT32) if value is None else value
    if number.size != 1:
        raise RefusedError(f"its value must be one number, not {number.size}")
    c.require_room(count_of(shape) * number.dtype.itemsize)
    return c.known_tensor(np.broadcast_to(number.reshape(()), shape))


def shape(c: Translation, n: OnnxNode) -> Tensor:
    """Sizes of axes."""
    x = n.given(0)
    last = n.attributes["end"].i if "end" in n.attributes else x.rank
    return c.known_tensor(np.array(x.shape[n.integer("start", 0) : last], np.int64))


def size(c: Translation, n: OnnxNode) -> Tensor:
    """How many numbers there are."""
    return c.known_tensor(np.array(n.given(0).count, np.int64))


def range_(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers from one to another."""
    c.same_type(n.all_given())
    start, limit, delta = (n.constant(i, name).reshape(()) for i, name in enumerate(("start", "limit", "delta")))
    if not delta:
        raise RefusedError("delta must not be 0")
    count = max(0, int(np.ceil((float(limit) - float(start)) / float(delta))))
    c.require_room(count_of((count,)) * start.dtype.itemsize)
    return c.known_tensor((start + np.arange(count).astype(start.dtype) * delta).astype(start.dtype))


def eye_like(c: Translation, n: OnnxNode) -> Tensor:
    """Ones on a diagonal."""
    x, number = n.given(0), n.integer("dtype", 0)
    if number and number not in DTYPES:
        raise RefusedError(f"dtype must be a known type, not {name_of(number)}")
    if x.rank != 2:
        raise RefusedError(f"must be like a matrix, not have {x.rank} axes")
    dtype = DTYPES[number] if number else x.dtype
    c.require_room(count_of(x.shape) * 8)
    return c.known_tensor(np.eye(x.shape[0], x.shape[1], n.integer("k", 0)).astype(dtype))


def trilu_mask(c: Translation, shape: tuple[int, int], k: int, *, upper: bool) -> NDArray[np.bool_]:
    """Where a matrix has its upper or lower triangle."""
    c.require_room(count_of(shape) * 8)
    rows, columns = np.arange(shape[0])[:, None], np.arange(shape[1])
    mask: NDArray[np.bool_] = columns - rows >= k if upper else columns - rows <= k
    return mask
