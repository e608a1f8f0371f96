"""Numbers of some axes as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from accelsim.graph.element import Float, Plain
from accelsim.graph.ops.op import Op, UnfitError, Work, count
from accelsim.graph.value import Shape, Type, Value

ReduceName = Literal["sum", "mean", "product", "largest", "smallest", "log_sum_exp"]
PlaceName = Literal["largest", "smallest"]


@dataclass(frozen=True, slots=True)
class Reduce(Op):
    """The sum, mean, product, largest or smallest of the numbers of some axes, or the logarithm of the sum of exp(x).

    Parameters
    ----------
    axes
        Counted from the front, ascending.
    keeps
        Whether they stay as axes of one number.
    """

    name: ReduceName
    axes: tuple[int, ...]
    keeps: bool = False

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Fewer numbers of the same element."""
        (x,) = given
        _require_numbers(x)
        return (Type(reduced(x, self.axes, keeps=self.keeps), x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """An operation for each number that it takes."""
        return Work(vector=count(given[0].shape))


@dataclass(frozen=True, slots=True)
class Place(Op):
    """Where along an axis the largest or smallest number stands, int64.

    Parameters
    ----------
    keeps
        Whether the axis stays as one of one number.
    last
        Whether the last of equal numbers is meant, in place of the first.
    """

    name: PlaceName
    axis: int
    keeps: bool = False
    last: bool = False

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Indices."""
        (x,) = given
        _require_numbers(x)
        shape = reduced(x, (self.axis,), keeps=self.keeps)
        if x.shape[self.axis] < 1:
            raise UnfitError(f"{x.name} must have numbers along axis {self.axis}")
        return (Type(shape, Plain("int64")),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A comparison for each number that it takes."""
        return Work(vector=count(given[0].shape))


@dataclass(frozen=True, slots=True)
class Cumulate(Op):
    """The sum, or product, of each number and those before it along an axis.

    Parameters
    ----------
    exclusive
        Whether a number itself is left out.
    reverse
        Whether those behind it are taken.
    """

    name: Literal["sum", "product"]
    axis: int
    exclusive: bool = False
    reverse: bool = False

    arity: ClassVar[tuple[int, int]] = (1, 1)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same."""
        (x,) = given
        _require_numbers(x)
        reduced(x, (self.axis,), keeps=True)
        return (x.type,)


def reduced(x: Value, axes: tuple[int, ...], *, keeps: bool) -> Shape:
    """Shape without some axes, or with one number along each.

    Raises
    ------
    UnfitError
        If there is no such axis.
    """
    if any(not 0 <= axis < len(x.shape) for axis in axes):
        raise UnfitError(f"{x.name} must have axes {axes}, not {len(x.shape)} axes alone")
    if keeps:
        return tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    return tuple(size for axis, size in enumerate(x.shape) if axis not in axes)


def _require_numbers(x: Value) -> None:
    if not isinstance(x.element, Float | Plain):
        raise UnfitError(f"{x.name} must be numbers that stand for themselves, not {x.element}")
