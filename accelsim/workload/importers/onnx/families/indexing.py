"""Numbers by their places."""

from __future__ import annotations

import numpy as np

from accelsim.graph.ops.elementwise import Elementwise
from accelsim.graph.ops.gather import Gather
from accelsim.workload.importers.onnx.families.constants import trilu_mask
from accelsim.workload.importers.onnx.families.elementwise import converted, taken
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode, axis_of
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation
from accelsim.workload.importers.onnx.types import INT64


def gather(c: Translation, n: OnnxNode) -> Tensor:
    """What stands at indices along an axis."""
    x, indices = n.given(0), n.given(1)
    axis = axis_of(n.int("axis", 0), x.rank)
    if indices.known:
        require_inside(indices, x.shape[axis])
    value = c.put(Gather(axis), c.plain(x), c.plain(indices), name=n.name)
    return c.tensor(value, x.dtype)


def require_inside(indices: Tensor, size: int) -> None:
    """Refuse constant indices that are outside of an axis."""
    numbers = indices.numbers
    if numbers.size and not -size <= int(numbers.min()) <= int(numbers.max()) < size:
        raise RefusedError(f"indices must be -{size} to {size - 1}, not {int(numbers.min())} to {int(numbers.max())}")


def trilu(c: Translation, n: OnnxNode) -> Tensor:
    """The upper or lower triangle of matrices."""
    x = n.given(0)
    if x.rank < 2:
        raise RefusedError("must be of matrices")
    k = int(n.constant(1, "k").reshape(())) if n.has(1) else 0
    mask = c.known_tensor(trilu_mask((x.shape[-2], x.shape[-1]), k, upper=bool(n.int("upper", 1))))
    return taken(c, Elementwise("where"), mask, x, c.known_tensor(np.zeros((), x.dtype)), name=n.name)


def one_hot(c: Translation, n: OnnxNode) -> Tensor:
    """One number at indices, another one elsewhere."""
    indices, values = n.given(0), n.constant(2, "values")
    depth = int(n.constant(1, "depth").reshape(()))
    if not 1 <= depth < 2**20 or values.shape != (2,):
        raise RefusedError(f"depth must be 1 or more, and values two numbers, not {depth} and {values.size}")
    axis = axis_of(n.int("axis", -1), indices.rank + 1)
    places = converted(c, indices, INT64)
    wrapped = taken(c, Elementwise("modulo"), places, c.known_tensor(np.array(depth)))
    inside = taken(
        c,
        Elementwise("and"),
        taken(c, Elementwise("less"), places, c.known_tensor(np.array(depth))),
        taken(c, Elementwise("greater_or_equal"), places, c.known_tensor(np.array(-depth))),
    )
    shape = (*indices.shape[:axis], 1, *indices.shape[axis:])
    row = np.arange(depth).reshape([depth if a == axis else 1 for a in range(len(shape))])
    spread = [c.tensor(c.reshaped(c.plain(x), shape), x.dtype) for x in (wrapped, inside)]
    mask = taken(c, Elementwise("equal"), spread[0], c.known_tensor(row))
    mask = taken(c, Elementwise("and"), mask, spread[1])
    on, off = (c.known_tensor(values[i].reshape(())) for i in (1, 0))
    return taken(c, Elementwise("where"), mask, on, off, name=n.name)
