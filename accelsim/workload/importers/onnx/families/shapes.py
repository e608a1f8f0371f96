"""Numbers that change their places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.expand import Expand
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.value import Shape, Value
from accelsim.workload.importers.onnx.dtypes import BOOL
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.file import MAX_RANK, count_of, shown
from accelsim.workload.importers.onnx.node import OnnxNode, axes_of, axis_of
from accelsim.workload.importers.onnx.tensor import NEW, Tensor, channels_last, permutation
from accelsim.workload.importers.onnx.translation import Translation

#: Most numbers along an axis that is put together number by number.
_MAX_INDICES = 2**20


def identity(c: Translation, n: OnnxNode) -> Tensor:  # noqa: ARG001 - one signature for all
    """The same tensor."""
    return n.given(0)


def dropout(c: Translation, n: OnnxNode) -> tuple[Tensor, ...]:
    """The same tensor, as when a network is not trained; its mask holds all."""
    x = n.given(0)
    if n.has(2) and n.constant(2, "training_mode").any():
        ratio = 0.5 if not n.has(1) else float(n.constant(1, "ratio").reshape(()))
        if ratio != 0:
            raise RefusedError("must not be trained")
    if not n.asks(1):
        return (x,)
    count_of(x.shape)
    if x.count > _MAX_INDICES:
        raise RefusedError("its mask must not be asked for")
    return x, c.known_tensor(np.ones(x.shape, BOOL))


def full(c: Translation, x: Tensor) -> Tensor:
    """A tensor all of whose axes its value has, and no others."""
    if x.block:
        return c.in_order(x, tuple(range(x.rank)))
    return x if len(x.axes) == x.rank and NEW not in x.axes else c.in_order(x, permutation(x))


def shaped(c: Translation, x: Tensor, shape: Shape) -> Tensor:
    """Numbers in their order in another shape; an image that is flattened stays as it is until somebody reads it."""
    if shape == x.shape:
        return x
    if x.axes == channels_last(4) and not x.known and len(shape) == 2 and shape[0] == x.shape[0]:
        value, moves = c.reshaped(x.value, shape), x.shape[1] > 1 and math.prod(x.shape[2:]) > 1
        return Tensor(value, shape, x.dtype, (0, 1), x.shape[1:] if moves else ())
    groups = None if x.known or x.plain or x.block else _groups(x.shape, shape)
    if groups:
        return _regrouped(c, full(c, x), shape, groups)
    return c.tensor(c.reshaped(c.plain(x), shape), x.dtype)


def _groups(before: Shape, behind: Shape) -> list[tuple[range, range]] | None:
    """Axes, as few as may be, that become as many numbers' axes of another shape; None of tensors without numbers."""
    if not math.prod(before):
        return None
    groups, i, j = [], 0, 0
    while i < len(before) or j < len(behind):
        first = i, j
        a, b = (before[i] if i < len(before) else 1), (behind[j] if j < len(behind) else 1)
        i, j = min(i + 1, len(before)), min(j + 1, len(behind))
        while a != b:
            if a < b:
                a, i = a * before[i], i + 1
            else:
                b, j = b * behind[j], j + 1
        groups.append((range(first[0], i), range(first[1], j)))
    return groups


def _regrouped(c: Translation, x: Tensor, shape: Shape, groups: list[tuple[range, range]]) -> Tensor:
    """A tensor in another shape whose groups of axes stand in the graph in the order in which they did."""
    place = {axis: number for number, (axes, _) in enumerate(groups) for axis in axes}
    order = list(dict.fromkeys(place[axis] for axis in x.axes))
    order += [number for number in range(len(groups)) if number not in order]
    value = c.arranged(x, tuple(axis for number in order for axis in groups[number][0]))
    axes = tuple(axis for number in order for axis in groups[number][1])
    return Tensor(c.reshaped(value, tuple(shape[axis] for axis in axes)), shape, x.dtype, axes)


def reshape(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers in a shape that is known."""
    x, wanted = n.given(0), n.integers(1, "shape")
    if len(wanted) > MAX_RANK:
        raise RefusedError(f"must form at most {MAX_RANK} axes, not {len(wanted)}")
    sizes = list(wanted)
    if not n.integer("allowzero", 0):
        for axis, size in enumerate(wanted):
            if size == 0:
                if axis >= x.rank:
                    raise RefusedError(f"must have the axis {axis} that its shape copies")
                sizes[axis] = x.shape[axis]
    if sizes.count(-1) == 1:
        known = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = x.count // known if known > 0 else 0
    if any(size < 0 for size in sizes) or math.prod(sizes) != x.count:
        raise RefusedError(f"{shown(x.shape)} must fit its shape {','.join(map(str, wanted))[:80]}")
    return shaped(c, x, tuple(sizes))


def flatten(c: Translation, n: OnnxNode) -> Tensor:
    """A matrix of the axes before one, and of the others."""
    x, axis = n.given(0), n.integer("axis", 1)
    if not -x.rank <= axis <= x.rank:
        raise RefusedError(f"axis must be one of {x.rank}, not {axis}")
    axis = axis + x.rank if axis < 0 else axis
    return shaped(c, x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


def _axes(n: OnnxNode) -> list[int] | None:
    return n.optional_integers(1, "axes") if n.version >= 13 else n.integer_row("axes")


def squeeze(c: Translation, n: OnnxNode) -> Tensor:
    """Without axes of one number."""
    x, given = n.given(0), _axes(n)
    axes = axes_of(given, x.rank) if given is not None else tuple(a for a, size in enumerate(x.shape) if size == 1)
    if any(x.shape[axis] != 1 for axis in axes):
        raise RefusedError(f"axes must have one number each, not be {axes} of {shown(x.shape)}")
    x = full(c, x)
    left = [axis for axis in range(x.rank) if axis not in axes]
    order = tuple(left.index(axis) for axis in x.axes if axis in left)
    shape = tuple(x.shape[axis] for axis in left)
    value = c.reshaped(x.value, tuple(shape[axis] for axis in order))
    return replace(x, value=value, shape=shape, axes=order)


def unsqueeze(c: Translation, n: OnnxNode) -> Tensor:
    """With more axes of one number; the value is as it was."""
    x, given = n.given(0), _axes(n)
    if given is None:
        raise RefusedError("must have axes")
    rank = x.rank + len(given)
    if rank > MAX_RANK:
        raise RefusedError(f"must form at most {MAX_RANK} axes, not {rank}")
    axes = axes_of(given, rank)
    left = [axis for axis in range(rank) if axis not in axes]
    shape = tuple(1 if axis in axes else x.shape[left.index(axis)] for axis in range(rank))
    x = full(c, x)
    order, at = [left[axis] for axis in x.axes], 1 if left[:1] == [0] and x.axes[:1] == (0,) else 0
    order[at:at] = sorted(axes)
    if x.plain:
        order = list(range(rank))
    return replace(x, value=c.reshaped(x.value, tuple(shape[a] for a in order)), shape=shape, axes=tuple(order))


def transpose(c: Translation, n: OnnxNode) -> Tensor:
    """Axes in another order; the value stays until somebody must read it in that order."""
    x = full(c, n.given(0))
    order = n.integer_row("perm") or list(range(x.rank))[::-1]
    if sorted(order) != list(range(x.rank)):
        raise RefusedError(f"perm must be the {x.rank} axes in some order, not {order[:MAX_RANK]}")
    if x.known:
        return c.tensor(c.put(Transpose(tuple(order)), c.plain(x)), x.dtype)
    shape = tuple(x.shape[axis] for axis in order)
    return replace(x, shape=shape, axes=tuple(order.index(axis) for axis in x.axes))


def expand(c: Translation, n: OnnxNode) -> Tensor:
    """Axes of one number repeated until they have as many as a shape says."""
    return expanded(c, n.given(0), tuple(n.integers(1, "shape")), n.name)


def expanded(c: Translation, x: Tensor, shape: Shape, name: str = "") -> Tensor:
    """A tensor broadcast with a shape."""
    count_of(shape)
    try:
        wanted = np.broadcast_shapes(x.shape, shape)
    except ValueError:
        raise RefusedError(f"{shown(x.shape)} must fit its shape {shown(shape)}") from None
    if wanted == x.shape:
        return x
    value = c.reshaped(c.plain(x), (*[1] * (len(wanted) - x.rank), *x.shape))
    times = tuple(a // b if b else 1 for a, b in zip(wanted, value.shape, strict=True))
    return c.tensor(c.put(Expand(times), value, name=name), x.dtype)


def tile(c: Translation, n: OnnxNode) -> Tensor:
    """The whole tensor over and over."""
    x, times = n.given(0), n.integers(1, "repeats")
    if len(times) != x.rank or any(not 0 <= t < 2**31 for t in times):
        raise RefusedError(f"repeats must be {x.rank} numbers of 0 or more, not {times[:MAX_RANK]}")
    return c.tensor(c.put(Expand(tuple(times)), c.plain(x), name=n.name), x.dtype)


def concat(c: Translation, n: OnnxNode) -> Tensor:
    """Tensors one behind the other."""
    given = n.all_given()
    c.same_type(given)
    axis = axis_of(n.integer("axis", 1 if n.version < 4 else 0), given[0].rank)
    given = [x for x in given if x.count] or given[:1]
    if any(x.rank != given[0].rank for x in given):
        raise RefusedError("inputs must have as many axes each")
    lead = max((full(c, x) for x in given), key=lambda x: (not x.known, not x.plain))
    values = [c.arranged(x, lead.axes) for x in given]
    shape = list(lead.shape)
    shape[axis] = sum(x.shape[axis] for x in given)
    value = c.put(Concat(lead.axis(axis)), *values, name=n.name) if len(values) > 1 else values[0]
    return replace(lead, value=value, shape=tuple(shape))


def part(c: Translation, x: Tensor, axis: int, start: int, stop: int, step: int = 1, name: str = "") -> Tensor:
    """Numbers of an axis from start to below stop."""
    if (start, stop, step) == (0, x.shape[axis], 1):
        return x
    if start == stop:  # what has no numbers is known
        return c.known_tensor(np.zeros((*x.shape[:axis], 0, *x.shape[axis + 1 :]), x.dtype))
    x = full(c, x)
    value = c.put(Slice(x.axis(axis), start, stop, step), x.value, name=name)
    shape = (*x.shape[:axis], value.shape[x.axis(axis)], *x.shape[axis + 1 :])
    return replace(x, value=value, shape=shape)


def split(c: Translation, n: OnnxNode) -> tuple[Tensor, ...]:
    """Parts of an axis."""
    x = n.given(0)
    axis = axis_of(n.integer("axis", 0), x.rank)
    sizes = n.optional_integers(1, "split") if n.version >= 13 else n.integer_row("split")
    if sizes is None:
        parts = n.integer("num_outputs", len(n.outputs)) if n.version >= 18 else len(n.outputs)
        if not 1 <= parts <= max(1, x.shape[axis]):
            raise RefusedError(f"must split {x.shape[axis]} numbers to as many parts at most, not {parts}")
        each = -(-x.shape[axis] // parts)
        sizes = [each] * (parts - 1) + [x.shape[axis] - each * (parts - 1)]
    if sum(sizes) != x.shape[axis] or min(sizes) < 0 or len(sizes) != len(n.outputs):
        raise RefusedError(f"parts must be {x.shape[axis]} numbers in all, not {sizes[:MAX_RANK]}")
    found, start = [], 0
    for number, size in enumerate(sizes):
        found.append(part(c, x, axis, start, start + size, name=f"{n.name}.{number}"))
        start += size
    return tuple(found)


def slice_(c: Translation, n: OnnxNode) -> Tensor:
    """Parts of some axes, with steps."""
    x = n.given(0)
    if n.version < 10:
        starts, ends, axes, steps = n.integer_row("starts"), n.integer_row("ends"), n.integer_row("axes"), None
    else:
        starts, ends = n.integers(1, "starts"), n.integers(2, "ends")
        axes, steps = n.optional_integers(3, "axes"), n.optional_integers(4, "steps")
    if starts is None or ends is None:
        raise RefusedError("must have starts and ends")
    numbers = axes_of(axes if axes is not None else range(len(starts)), x.rank)
    steps = steps if steps is not None else [1] * len(starts)
    if not len(starts) == len(ends) == len(numbers) == len(steps) or 0 in steps:
        raise RefusedError("starts, ends, axes and steps must be as many, and no step 0")
    for axis, start, stop, step in zip(numbers, starts, ends, steps, strict=True):
        places = range(x.shape[axis])[start:stop:step]
        if not places:
            return part(c, x, axis, 0, 0)
        last = places[-1] + 1
        x = part(c, x, axis, places[0], last, step, n.name) if step > 0 else at(c, x, axis, places, n.name)
    return x


def at(c: Translation, x: Tensor, axis: int, places: Sequence[int], name: str = "") -> Tensor:
    """Numbers of an axis at some places."""
    if len(places) > _MAX_INDICES:
        raise RefusedError(f"must take at most {_MAX_INDICES} numbers along an axis, not {len(places)}")
    x = full(c, x)
    indices = c.constant(np.array(places, np.int64))
    value = c.put(Gather(x.axis(axis)), x.value, indices, name=name)
    return replace(x, value=value, shape=(*x.shape[:axis], len(places), *x.shape[axis + 1 :]))


def pad(c: Translation, n: OnnxNode) -> Tensor:
    """Numbers around others: zeros, another constant, or copies."""
    n.require(mode=("constant", "reflect", "edge", "wrap"))
    mode = n.text("mode", "constant")
    x, before, behind = _sides(c, n)
    if mode != "constant":
        for axis in range(x.rank):
            if before[axis] or behind[axis]:
                x = at(c, x, axis, _copied(mode, before[axis], x.shape[axis], behind[axis]), n.name)
        return x
    fill = n.number("value", 0.0) if n.version < 11 else 0
    if n.version >= 11 and n.has(2):
        fill = n.constant(2, "constant value").reshape(()).item()
    x = full(c, x)
    if fill == 0:
        shape = tuple(a + size + b for a, size, b in zip(before, x.shape, behind, strict=True))
        low, high = (tuple(sides[axis] for axis in x.axes) for sides in (before, behind))
        return replace(x, value=c.put(Pad(low, high), x.value, name=n.name), shape=shape)
    for axis in range(x.rank):
        x = _filled(c, x, axis, before[axis], behind[axis], fill)
    return x


def _sides(c: Translation, n: OnnxNode) -> tuple[Tensor, list[int], list[int]]:
    """The input, cut where padding is below 0, and what is added before and behind each axis."""
    x = n.given(0)
    pads = n.integers(1, "pads") if n.version >= 11 else n.integer_row("pads")
    given = n.optional_integers(3, "axes") if n.version >= 18 else None
    axes = axes_of(given if given is not None else range(x.rank), x.rank)
    if pads is None or len(pads) != 2 * len(axes):
        raise RefusedError(f"pads must be {2 * len(axes)} numbers")
    before, behind = [0] * x.rank, [0] * x.rank
    for number, axis in enumerate(axes):
        before[axis], behind[axis] = pads[number], pads[number + len(axes)]
    for axis in range(x.rank):
        cut = max(0, -before[axis]), max(0, -behind[axis])
        if any(cut):
            x = part(c, x, axis, cut[0], x.shape[axis] - cut[1])
            before[axis], behind[axis] = max(0, before[axis]), max(0, behind[axis])
    count_of(tuple(a + size + b for a, size, b in zip(before, x.shape, behind, strict=True)))
    return x, before, behind


def _copied(mode: str, before: int, size: int, behind: int) -> list[int]:
    """Places along an axis of what stands around numbers, and of them."""
    if before + size + behind > _MAX_INDICES:
        raise RefusedError(f"must form at most {_MAX_INDICES} numbers along an axis")
    kinds = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}
    places: list[int] = np.pad(np.arange(size), (before, behind), mode=kinds[mode]).tolist()  # type: ignore[call-overload]
    return places


def _filled(c: Translation, x: Tensor, axis: int, before: int, behind: int, fill: float) -> Tensor:
    """A constant before and behind the numbers of an axis."""

    def block(size: int) -> list[Value]:
        shape = tuple(size if a == axis else x.shape[a] for a in x.axes)
        if math.prod(shape) > _MAX_INDICES:
            raise RefusedError(f"must add at most {_MAX_INDICES} numbers that are not 0")
        return [c.constant(np.full(shape, fill, x.dtype))] if size else []

    parts = [*block(before), x.value, *block(behind)]
    if len(parts) == 1:
        return x
    shape = (*x.shape[:axis], x.shape[axis] + before + behind, *x.shape[axis + 1 :])
    return replace(x, value=c.put(Concat(x.axis(axis)), *parts), shape=shape)


def depth_to_space(c: Translation, n: OnnxNode) -> Tensor:
    """Channels as pixels."""
    x, size = n.given(0), n.integer("blocksize", 0)
    n.require(mode=("DCR", "CRD"))
    if x.rank != 4 or size < 1 or x.shape[1] % (size * size):
        raise RefusedError(f"blocksize must have a square that divides the channels, not be {size}")
    samples, channels, height, width = x.shape
    left = channels // size**2
    dcr = n.text("mode", "DCR") == "DCR"
    parts = (samples, size, size, left, height, width) if dcr else (samples, left, size, size, height, width)
    value = c.put(Transpose((0, 3, 4, 1, 5, 2) if dcr else (0, 1, 4, 2, 5, 3)), c.reshaped(c.plain(x), parts))
    return c.tensor(c.reshaped(value, (samples, left, height * size, width * size)), x.dtype)


def space_to_depth(c: Translation, n: OnnxNode) -> Tensor:
    """Pixels as channels."""
    x, size = n.given(0), n.integer("blocksize", 0)
    n.require(mode=("DCR", "CRD"))
    if x.rank != 4 or size < 1 or x.shape[2] % size or x.shape[3] % size:
        raise RefusedError(f"blocksize must divide the pixels, not be {size}")
    samples, channels, height, width = x.shape
    parts = (samples, channels, height // size, size, width // size, size)
    order = (0, 3, 5, 1, 2, 4) if n.text("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    value = c.put(Transpose(order), c.reshaped(c.plain(x), parts))
    return c.tensor(c.reshaped(value, (samples, channels * size**2, height // size, width // size)), x.dtype)
