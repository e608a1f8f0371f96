"""A tensor of a graph."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.formats.ggml import BlockTensor
from accelsim.formats.groups import GroupedTensor
from accelsim.formats.storage import Storage
from accelsim.graph.element import Element
from accelsim.units import ceil_div

Shape = tuple[int, ...]


class Type(NamedTuple):
    """Shape of a tensor, and what its numbers are."""

    shape: Shape
    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A tensor: an input, a constant, or what a node forms.

    Parameters
    ----------
    name
        Unique in its graph.
    shape
        Samples first, features (channels) last; images are (samples, height, width, channels).
    data
        A constant's numbers, as `element` holds them; None for all other values. A constant without numbers has an
        array of the shape that takes no memory, and `outlined` says so.
    outlined
        Whether `data` has a shape alone.
    pattern
        Of a constant N and M: of every M numbers along the inputs at most N are nonzero, by declaration; 1 and 1 if
        none is declared.
    step
        Real value of one integer step, if training or a scheme fixed it: float32, shape (channels,) or (1,).
    storage
        Format that a constant stands in, which a decode unit expands; None if it stands as it is.
    groups
        The integers that a constant is stored as, and their groups' scales, or a file's blocks, if `storage` has them.
    survivors
        Which features (last axis) of the full tensor these are, bool; None for all of them.
    """

    name: str
    shape: Shape
    element: Element
    data: NDArray[Any] | None = None
    outlined: bool = False
    pattern: tuple[int, int] = (1, 1)
    step: NDArray[np.float32] | None = None
    storage: Storage | None = None
    groups: GroupedTensor | BlockTensor | None = None
    survivors: NDArray[np.bool_] | None = None

    @property
    def type(self) -> Type:
        """Shape and element."""
        return Type(self.shape, self.element)

    @property
    def features(self) -> int:
        """Size of the last axis."""
        return self.shape[-1]

    @property
    def full_features(self) -> int:
        """Size of the last axis of the full tensor."""
        return self.features if self.survivors is None else len(self.survivors)

    @property
    def samples(self) -> int:
        """Rows, if all axes but the last are one."""
        return math.prod(self.shape[:-1])

    @property
    def bytes(self) -> int:
        """Bytes of all rows, each of which begins at one."""
        return self.samples * ceil_div(self.features * self.element.memory_bits, 8)

    @property
    def numbers(self) -> NDArray[Any]:
        """Data of a constant.

        Raises
        ------
        ValueError
            If it is none.
        """
        if self.data is None:
            raise ValueError(f"{self.name} is no constant")
        return self.data

    def of_full(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """Features of a full tensor that this one holds."""
        return tensor if self.survivors is None else tensor[..., self.survivors]


def without_numbers(dtype: Any, shape: Shape) -> NDArray[Any]:
    """Array of a shape and a type that takes no memory: every element is the same zero."""
    return np.broadcast_to(np.zeros((), dtype), shape)
