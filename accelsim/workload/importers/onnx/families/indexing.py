"""Numbers by their places."""

from __future__ import annotations

from typing import get_args

import numpy as np

from accelsim.graph.ops.elementwise import Elementwise
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.gather_elements import GatherElements
from accelsim.graph.ops.gather_nd import GatherNd
from accelsim.graph.ops.scatter import Reduction, ScatterElements, ScatterNd
from accelsim.graph.ops.top_k import TopK
from accelsim.workload.importers.onnx.dtypes import INT64
from accelsim.workload.importers.onnx.families.constants import trilu_mask
from accelsim.workload.importers.onnx.families.elementwise import converted, taken
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode, axis_of
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation


def gather(c: Translation, n: OnnxNode) -> Tensor:
    """What stands at indices along an axis."""
    x, indices = n.given(0), n.given(1)
    axis = axis_of(n.integer("axis", 0), x.rank)
    if indices.known:
        require_inside(indices, x.shape[axis])
    value = c.put(Gather(axis), c.plain(x), c.plain(indices), name=n.name)
    return c.tensor(value, x.dtype)


def require_inside(indices: Tensor, size: int) -> None:
    """Refuse constant indices that are outside of an axis."""
    numbers = indices.numbers
    if numbers.size and not -size <= int(numbers.min()) <= int(numbers.max()) < size:
        raise RefusedError(f"indices must be -{size} to {size - 1}, not {int(numbers.min())} to {int(numbers.max())}")


def gather_elements(c: Translation, n: OnnxNode) -> Tensor:
    """What stands at an index along an axis, for each place."""
    x, indices = n.given(0), n.given(1)
    axis = axis_of(n.integer("axis", 0), x.rank)
    if indices.known:
        require_inside(indices, x.shape[axis])
    return c.tensor(c.put(GatherElements(axis), c.plain(x), c.plain(indices), name=n.name), x.dtype)


def gather_nd(c: Translation, n: OnnxNode) -> Tensor:
    """What stands at rows of indices."""
    x, indices = n.given(0), n.given(1)
    op = GatherNd(n.integer("batch_dims", 0))
    return c.tensor(c.put(op, c.plain(x), c.plain(indices), name=n.name), x.dtype)


def _reduction(n: OnnxNode) -> Reduction:
    """What becomes of numbers where others are put."""
    n.require(reduction=get_args(Reduction))
    found: Reduction = n.text("reduction", "none")  # type: ignore[assignment] # one of those
    return found


def scatter_elements(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers put to an index along an axis."""
    x, indices, updates = n.given(0), n.given(1), n.given(2)
    c.same_type((x, updates))
    axis = axis_of(n.integer("axis", 0), x.rank)
    if indices.known:
        require_inside(indices, x.shape[axis])
    op = ScatterElements(axis, _reduction(n))
    return c.tensor(c.put(op, c.plain(x), c.plain(indices), c.plain(updates), name=n.name), x.dtype)


def scatter_nd(c: Translation, n: OnnxNode) -> Tensor:
    """Parts put to rows of indices."""
    x, indices, updates = n.given(0), n.given(1), n.given(2)
    c.same_type((x, updates))
    op = ScatterNd(_reduction(n))
    return c.tensor(c.put(op, c.plain(x), c.plain(indices), c.plain(updates), name=n.name), x.dtype)


def top_k(c: Translation, n: OnnxNode) -> tuple[Tensor, ...]:
    """The largest, or smallest, numbers along an axis, and their places."""
    x = n.given(0)
    k = int(n.constant(1, "k").reshape(())) if n.version >= 10 else n.integer("k", 0)
    op = TopK(k, axis_of(n.integer("axis", -1), x.rank), bool(n.integer("largest", 1)))
    numbers, places = c.put_all(op, c.plain(x), name=n.name)
    return c.tensor(numbers, x.dtype), c.tensor(places)


def reverse_sequence(c: Translation, n: OnnxNode) -> Tensor:
    """The first numbers of each sample backwards."""
    x, lengths = n.given(0), n.integers(1, "sequence_lens")
    time, batch = n.integer("time_axis", 0), n.integer("batch_axis", 1)
    if {time, batch} != {0, 1} or x.rank < 2 or len(lengths) != x.shape[batch]:
        raise RefusedError("axes of time and batch must be 0 and 1, and there must be a length a sample")
    c.require_room(8 * x.shape[0] * x.shape[1])
    steps = np.arange(x.shape[time])[:, None]
    places = np.where(steps < np.array(lengths), np.array(lengths) - 1 - steps, steps)
    places = places if time == 0 else places.T
    if places.size and not 0 <= places.min() <= places.max() < x.shape[time]:
        raise RefusedError(f"lengths must be 0 to {x.shape[time]}")
    own = np.broadcast_to(np.arange(x.shape[batch])[None, :] if time == 0 else np.arange(x.shape[batch])[:, None],
                          places.shape)  # fmt: skip
    indices = np.stack([places, own] if time == 0 else [own, places], axis=-1).astype(np.int64)
    return c.tensor(c.put(GatherNd(), c.plain(x), c.constant(indices), name=n.name), x.dtype)


def trilu(c: Translation, n: OnnxNode) -> Tensor:
    """The upper or lower triangle of matrices."""
    x = n.given(0)
    if x.rank < 2:
        raise RefusedError("must be of matrices")
    k = int(n.constant(1, "k").reshape(())) if n.has(1) else 0
    mask = c.known_tensor(trilu_mask(c, (x.shape[-2], x.shape[-1]), k, upper=bool(n.integer("upper", 1))))
    return taken(c, Elementwise("where"), mask, x, c.known_tensor(np.zeros((), x.dtype)), name=n.name)


def one_hot(c: Translation, n: OnnxNode) -> Tensor:
    """One number at indices, another one elsewhere."""
    indices, values = n.given(0), n.constant(2, "values")
    depth = int(n.constant(1, "depth").reshape(()))
    if not 1 <= depth < 2**20 or values.shape != (2,):
        raise RefusedError(f"depth must be 1 or more, and values two numbers, not {depth} and {values.size}")
    axis = axis_of(n.integer("axis", -1), indices.rank + 1)
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
