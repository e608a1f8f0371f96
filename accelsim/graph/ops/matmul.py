"""Matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Float, Integer
from accelsim.graph.ops.op import Op, UnfitError, Work, count, products_element
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class MatMul(Op):
    """(..., M, K) times (K, N) or (..., K, N), onto sums of the result's shape if there is a third value.

    Zero points are taken off before numbers are multiplied. Float sums are those of a machine: see `golden.exact`.
    """

    arity: ClassVar[tuple[int, int]] = (2, 3)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Sums."""
        x, w = given[:2]
        if len(x.shape) < 2 or len(w.shape) < 2 or x.shape[-1] != w.shape[-2]:
            raise UnfitError(f"{x.name} and {w.name} must be (..., M, K) and (..., K, N), not {x.shape} and {w.shape}")
        batch = w.shape[:-2]
        if batch and batch != x.shape[:-2]:
            raise UnfitError(f"{w.name} must have the leading axes of {x.name}, {x.shape[:-2]}, not {batch}")
        formed = Type((*x.shape[:-1], w.shape[-1]), products_element(x.element, w.element))
        if len(given) == 3 and given[2].shape != formed.shape:
            raise UnfitError(f"{given[2].name} must be sums of shape {formed.shape}, not {given[2].shape}")
        return (formed,)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:
        """M K N of all products."""
        return Work(macs=count(formed[0].shape) * given[0].shape[-1])


@dataclass(frozen=True, slots=True)
class ScaledMatMul(Op):
    """Integers, their rows' scales, weights (K, N) and the weights' scales (groups, N) to float32 sums.

    Inputs (K) come in groups of `group`, the last one perhaps shorter. A group's integer sum becomes a float32, is
    multiplied by its row's and then by its column's scale, and added to the groups before it.
    """

    group: int

    arity: ClassVar[tuple[int, int]] = (4, 4)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Sums."""
        q, scales, w, w_scales = given
        groups = -(-w.shape[0] // self.group)
        if q.shape[-1] != w.shape[0]:
            raise UnfitError(f"{q.name} must have {w.shape[0]} features, the inputs of {w.name}, not {q.shape[-1]}")
        for value, shape in ((scales, (*q.shape[:-1], groups)), (w_scales, (groups, w.shape[1]))):
            if value.shape != shape:
                raise UnfitError(f"{value.name} must be scales of shape {shape}, not {value.shape}")
        if not isinstance(q.element, Integer) or not isinstance(w.element, Integer):
            raise UnfitError(f"both factors must be integers, not {q.element} and {w.element}")
        return (Type((*q.shape[:-1], w.shape[1]), Float("fp32")),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:
        """M K N, and two products and a sum for each group's sum."""
        sums = count(formed[0].shape)
        return Work(macs=sums * given[0].shape[-1], vector=3 * sums * given[3].shape[0])
