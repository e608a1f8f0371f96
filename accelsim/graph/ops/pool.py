"""Pools: the largest number, or the mean, of a window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from accelsim.graph.element import Element, Float, Integer
from accelsim.graph.ops.op import Op, UnfitError, Work, count, require_rank
from accelsim.graph.ops.window import Window
from accelsim.graph.value import Type, Value


def mean_element(element: Element, count: int) -> Element:
    """What the mean of so many numbers is: their sum, at a scale that many times smaller; of floats 32 bits."""
    if isinstance(element, Float):
        return Float("fp32")
    return Integer(element.scale / count, 0, signed=True, bits=32)


@dataclass(frozen=True, slots=True)
class MaxPool(Op):
    """The largest number of each window, channel by channel; padding is never the largest."""

    window: Window

    elementwise: ClassVar[bool] = True
    homogeneous: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The same element."""
        (x,) = given
        return (Type(self.window.formed(x, x.features), x.element),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A comparison for each pixel of a window."""
        return Work(vector=count(formed[0].shape) * self.window.kernel[0] * self.window.kernel[1])


@dataclass(frozen=True, slots=True)
class AveragePool(Op):
    """The mean of each window, channel by channel; of integers the sum, whose scale is so much smaller.

    Parameters
    ----------
    padded
        Whether padding counts, as zeros; else the mean is that of the pixels inside the image.
    """

    window: Window
    padded: bool = False

    elementwise: ClassVar[bool] = True
    homogeneous: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Floats, or sums of integers."""
        (x,) = given
        shape, (height, width) = self.window.formed(x, x.features), self.window.kernel
        if isinstance(x.element, Integer) and any(self.window.padding) and not self.padded:
            raise UnfitError(f"windows of {x.name} must have as many pixels each to be summed as integers")
        return (Type(shape, mean_element(x.element, height * width)),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """A sum for each pixel of a window, and a product."""
        return Work(vector=count(formed[0].shape) * (self.window.kernel[0] * self.window.kernel[1] + 1))


@dataclass(frozen=True, slots=True)
class GlobalAveragePool(Op):
    """The mean of all pixels of an image, channel by channel: (samples, channels)."""

    elementwise: ClassVar[bool] = True
    homogeneous: ClassVar[bool] = True

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Floats, or sums of integers."""
        (x,) = given
        require_rank(x, 4)
        return (Type((x.shape[0], x.shape[3]), mean_element(x.element, x.shape[1] * x.shape[2])),)

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:
        """A sum for each pixel, and a product for each mean."""
        return Work(vector=count(given[0].shape) + count(formed[0].shape))
