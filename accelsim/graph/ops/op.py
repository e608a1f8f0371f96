"""What all operators have."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from accelsim.graph.element import Element, Float, Integer, Plain
from accelsim.graph.value import Shape, Type, Value


class UnfitError(ValueError):
    """Values do not fit an operator; one sentence says why."""


class Work(NamedTuple):
    """What an operator computes, whatever the machine.

    Parameters
    ----------
    macs
        Products of two numbers that are summed.
    vector
        Operations on single numbers.
    """

    macs: int = 0
    vector: int = 0


@dataclass(frozen=True, slots=True)
class Op(ABC):
    """An operator and its attributes; values are what nodes give it.

    `infer` raises UnfitError with one sentence if the given values do not fit.
    """

    #: Fewest and most values that it takes.
    arity: ClassVar[tuple[int, int]] = (1, 1)
    #: Whether it does to each number the same, so that features may change places before or behind it.
    elementwise: ClassVar[bool] = False
    #: Whether a positive factor of a feature may stand before or behind it.
    homogeneous: ClassVar[bool] = False
    #: Whether it gives numbers other places, in tensors of whole numbers, and does nothing else.
    moves: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        """Name of the operator, as faults have it."""
        return type(self).__name__

    @abstractmethod
    def infer(self, *given: Value) -> tuple[Type, ...]:
        """Types of the values that it forms."""

    def work(self, given: tuple[Value, ...], formed: tuple[Value, ...]) -> Work:  # noqa: ARG002 - one signature for all
        """What it computes: an operation for each number that it forms, unless told otherwise."""
        return Work(vector=sum(count(value.shape) for value in formed))

    def __str__(self) -> str:
        fields = [
            f"{field.name}={shown(getattr(self, field.name))}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(fields)})" if fields else type(self).__name__


def shown(attribute: object) -> str:
    """An attribute as a line of text has it."""
    if isinstance(attribute, tuple):
        return "x".join(map(str, attribute))
    return str(attribute)


def count(shape: Shape) -> int:
    """Numbers of a tensor."""
    return math.prod(shape)


def require_rank(value: Value, rank: int) -> None:
    """Refuse a tensor of another number of axes."""
    if len(value.shape) != rank:
        raise UnfitError(f"{value.name} must have {rank} axes, not {len(value.shape)}")


def broadcast(a: Value, b: Value) -> Shape:
    """Shape of two tensors that are taken number by number."""
    try:
        return np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise UnfitError(f"shapes of {a.name} and {b.name} must fit, not be {a.shape} and {b.shape}") from None


def products_element(x: Element, w: Element) -> Element:
    """What sums of products are: integers at the product of both scales, or floats of 32 bits."""
    if isinstance(x, Float) and isinstance(w, Float):
        return Float("fp32")
    if isinstance(x, Float | Plain) or isinstance(w, Float | Plain):
        raise UnfitError(f"both factors must be floats or integers, not {x} and {w}")
    bits = 64 if max(x.bits, w.bits) == 16 else 32
    return Integer(x.scale * w.scale, 0, signed=True, bits=bits)
