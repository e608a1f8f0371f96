"""Convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.ops.op import Op, UnfitError, Work, count, products_element
from accelsim.graph.ops.window import Window
from accelsim.graph.value import Type, Value


@dataclass(frozen=True, slots=True)
class Conv(Op):
    """Images (samples, height, width, C) and filters (kernel height, kernel width, C / groups, F) to sums.

    Filter f of F reads the channels of group f // (F / groups) alone; as many groups as channels make it depthwise.
    What lies outside the image stands for zero.
    """

    window: Window
    groups: int = 1

    arity: ClassVar[tuple[int, int]] = (2, 2)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Sums, (samples, rows, columns, F)."""
        x, w = given
        if len(w.shape) != 4 or w.shape[:2] != self.window.kernel:
            raise UnfitError(f"{w.name} must be filters of {self.window.kernel} pixels, not of shape {w.shape}")
        channels, filters = w.shape[2] * self.groups, w.shape[3]
        if x.shape[-1] != channels or filters % self.groups:
            raise UnfitError(
                f"{x.name} must have {channels} channels, and {w.name} a multiple of {self.groups} filters, "
                f"not {x.shape[-1]} and {filters}"
            )
        return (Type(self.window.formed(x, filters), products_element(x.element, w.element)),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:
        """Products of each pixel that is formed with its filter, padding included."""
        kernel = count(given[1].shape[:3])
        return Work(macs=count(formed[0].shape) * kernel)
