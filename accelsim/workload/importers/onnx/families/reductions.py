"""Numbers of some axes as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from accelsim.graph.ops.elementwise import Elementwise
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.pool import GlobalAveragePool
from accelsim.graph.ops.reduce import Cumulate, Place, PlaceName, Reduce, ReduceName
from accelsim.workload.importers.onnx.dtypes import REALS
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.node import OnnxNode, axes_of, axis_of
from accelsim.workload.importers.onnx.tensor import NEW, Tensor, channels_last, permutation
from accelsim.workload.importers.onnx.translation import Translation

Rule = Callable[[Translation, OnnxNode], Tensor]
Step = Callable[[Translation, Tensor], Tensor]


def reduce(name: ReduceName, before: Step | None = None, behind: Step | None = None, *, since: int = 18) -> Rule:
    """Rule of a reduction, perhaps of a function of the numbers, and with a function of what it forms.

    Parameters
    ----------
    since
        Operator set in which axes became an input.
    """

    def rule(c: Translation, n: OnnxNode) -> Tensor:
        x = n.given(0)
        if n.version >= since:
            axes = n.optional_integers(1, "axes")
            if not axes and n.integer("noop_with_empty_axes", 0):
                return x if before is None and behind is None else _finished(c, before, behind, x)
        else:
            axes = n.integer_row("axes")
        wanted = tuple(sorted(axes_of(axes or range(x.rank), x.rank)))
        taken = before(c, x) if before else x
        formed = reduced(c, taken, name, wanted, keeps=bool(n.integer("keepdims", 1)), called=n.name)
        return behind(c, formed) if behind else formed

    return rule


def _finished(c: Translation, before: Step | None, behind: Step | None, x: Tensor) -> Tensor:
    x = before(c, x) if before else x
    return behind(c, x) if behind else x


def reduced(
    c: Translation, x: Tensor, name: ReduceName, axes: tuple[int, ...], *, keeps: bool, called: str = ""
) -> Tensor:
    """One number of those of some axes."""
    if name == "mean" and x.dtype in REALS and x.rank == 4 and axes == (2, 3) and x.axes == channels_last(4):
        value = c.put(GlobalAveragePool(), x.value, name=called)
        return without(Tensor(value, (*x.shape[:2], 1, 1), x.dtype, (0, 1)), () if keeps else axes)
    if x.block or NEW in x.axes or len(x.axes) < x.rank:
        x = c.in_order(x, permutation(x) if not x.block else tuple(range(x.rank)))
    places = tuple(sorted(x.axis(axis) for axis in axes))
    value = c.put(Reduce(name, places, keeps=True), x.value, name=called)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    formed = replace(x, value=value, shape=shape)
    if keeps:
        return formed
    value = c.reshaped(value, tuple(value.shape[place] for place in range(x.rank) if place not in places))
    return without(replace(formed, value=value, axes=tuple(a for a in x.axes if a not in axes)), axes)


def without(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A tensor without some axes of one number, which its value does not have any more."""
    left = [axis for axis in range(x.rank) if axis not in axes]
    numbers = {axis: number for number, axis in enumerate(left)}
    return replace(x, shape=tuple(x.shape[a] for a in left), axes=tuple(numbers[a] for a in x.axes))


def squared(c: Translation, x: Tensor) -> Tensor:
    """Squares."""
    op = Mul() if x.dtype in REALS else Elementwise("multiply")
    return x.like(c.put(op, x.value, x.value))


def of(op: Function) -> Step:
    """A function of each number."""
    return lambda c, x: c.unary(x, op)


def place(name: PlaceName) -> Rule:
    """Rule of where the largest or smallest number of an axis stands."""

    def rule(c: Translation, n: OnnxNode) -> Tensor:
        x = n.given(0)
        axis, keeps = axis_of(n.integer("axis", 0), x.rank), bool(n.integer("keepdims", 1))
        op = Place(name, axis, keeps, bool(n.integer("select_last_index", 0)))
        return c.tensor(c.put(op, c.plain(x), name=n.name))

    return rule


def cumulate(c: Translation, n: OnnxNode) -> Tensor:
    """Sums, or products, of each number and those before it."""
    x, axes = n.given(0), n.integers(1, "axis")
    if len(axes) != 1:
        raise RefusedError(f"its axis must be one number, not {len(axes)}")
    flags = bool(n.integer("exclusive", 0)), bool(n.integer("reverse", 0))
    op = Cumulate("sum" if n.operator == "CumSum" else "product", axis_of(axes[0], x.rank), *flags)
    return c.tensor(c.put(op, c.plain(x), name=n.name), x.dtype)
