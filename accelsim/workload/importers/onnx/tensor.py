"""Tensors of a model, and how their axes stand in a graph.

ONNX has channels second, a graph has them last. No tensor is turned until something must read it in another order: each
says which of its axes the graph's value has at which place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.value import Shape, Value
from accelsim.workload.importers.onnx.dtypes import DType

#: In `Tensor.axes`: an axis of one number that the model's tensor does not have.
NEW = -1


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of a model as a value of a graph.

    Parameters
    ----------
    value
        With its numbers if it is a constant; those stand as the model has them.
    shape, dtype
        As the model has them.
    axes
        For each axis of the value that of the tensor, or `NEW`. Axes of one number may be missing.
    block
        If not empty, the sizes (channels, height, width) of an image that was flattened to the tensor's last axis, and
        that the value has as (height, width, channels).
    """

    value: Value
    shape: Shape
    dtype: DType
    axes: tuple[int, ...]
    block: Shape = ()

    @property
    def rank(self) -> int:
        """How many axes the model's tensor has."""
        return len(self.shape)

    @property
    def known(self) -> bool:
        """Whether it is a constant."""
        return self.value.data is not None

    @property
    def plain(self) -> bool:
        """Whether the value stands as the model has the tensor."""
        return not self.block and self.axes == tuple(range(self.rank))

    @property
    def numbers(self) -> NDArray[Any]:
        """Numbers of a constant, as the model has them."""
        return self.value.numbers

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def like(self, value: Value) -> Tensor:
        """Another value of the same type and axes as this one's."""
        return replace(self, value=value)

    def axis(self, number: int) -> int:
        """Place in the value of an axis of the tensor; raises ValueError if it is missing."""
        return self.axes.index(number)

    def order(self, axes: tuple[int, ...]) -> list[int]:
        """Those of some axes whose order matters: of more than one number, and the samples of what is no constant."""
        return [a for a in axes if a != NEW and (self.shape[a] != 1 or (a == 0 and not self.known))]


def channels_last(rank: int) -> tuple[int, ...]:
    """Axes of images with their channels last."""
    return (0, *range(2, rank), 1) if rank > 2 else tuple(range(rank))


def permutation(tensor: Tensor) -> tuple[int, ...]:
    """All axes of a tensor in an order that is nearest to that of its value."""
    axes = [axis for axis in tensor.axes if axis != NEW]
    missing = [axis for axis in range(tensor.rank) if axis not in axes]
    at = 1 if axes[:1] == [0] else 0
    return (*axes[:at], *missing, *axes[at:])


def turned(numbers: NDArray[Any], axes: tuple[int, ...]) -> NDArray[Any]:
    """Numbers with their axes in another order, contiguous."""
    return np.ascontiguousarray(numbers.transpose(axes))
