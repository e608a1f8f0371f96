"""Where the numbers of a tensor lie in storage that it may share with others: strides, as numpy's arrays have them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from accelsim.compiler.tiles import Lead, Place
from accelsim.graph.value import Shape
from accelsim.units import ceil_div


class _Axis(NamedTuple):
    """Numbers along one axis, or several that are one, and bits from one to the next."""

    size: int
    stride: int


@dataclass(frozen=True, slots=True)
class View:
    """A tensor in storage.

    Parameters
    ----------
    root
        Name of the storage.
    strides
        Bits from a number to the next along each axis.
    shape
        That of the tensor, or one whose features are the same and whose other axes count its samples in their order:
        rows that no single stride reaches.
    offset
        Bits from the storage's first to the tensor's first number.
    """

    root: str
    shape: Shape
    strides: tuple[int, ...]
    bits: int
    offset: int = 0

    @classmethod
    def dense(cls, root: str, shape: Shape, bits: int, *, feature_major: bool) -> View:
        """Storage of a tensor of its own: rows of features in whole bytes, or of samples if `feature_major`."""
        *leading, features = shape
        samples = int(np.prod(leading, dtype=np.int64))
        row = 8 * ceil_div((samples if feature_major else features) * bits, 8)
        strides = [row if feature_major else bits]
        step = bits if feature_major else row
        for size in reversed(leading):
            strides.append(step)
            step *= size
        return cls(root, shape, tuple(reversed(strides)), bits)

    def transposed(self, order: tuple[int, ...]) -> View:
        """Axis i is axis `order[i]` of this one."""
        shape, strides = (tuple(of[axis] for axis in order) for of in (self.shape, self.strides))
        return replace(self, shape=shape, strides=strides)

    def sliced(self, axis: int, start: int, stop: int, step: int = 1) -> View:
        """Numbers from `start` to below `stop` along an axis, every `step`-th of them."""
        shape, strides = list(self.shape), list(self.strides)
        offset = self.offset + start * strides[axis]
        shape[axis], strides[axis] = ceil_div(stop - start, step), step * strides[axis]
        return replace(self, shape=tuple(shape), strides=tuple(strides), offset=offset)

    def expanded(self, times: tuple[int, ...]) -> View | None:
        """The same numbers so many times along axes that have one; None if one of several repeats."""
        pairs = [*zip(self.shape, self.strides, times, strict=True)]
        if any(size > 1 and number > 1 for size, _, number in pairs):
            return None
        shape = tuple(size * number for size, _, number in pairs)
        return replace(self, shape=shape, strides=tuple(0 if number > 1 else stride for _, stride, number in pairs))

    def reshaped(self, shape: Shape) -> View | None:
        """The same numbers, in order, in another shape; None if no strides say where they lie."""
        merged = _merged(self._axes(range(len(self.shape))))
        strides: list[int] = []
        last, left = (merged.pop() if merged else _Axis(1, self.bits)), 1
        for size in reversed(shape):
            if size > 1 and left == last.size:
                last, left = merged.pop(), 1
            strides.append(last.stride * left)
            if last.size % (left * size):
                return None
            left *= size
        return replace(self, shape=shape, strides=tuple(reversed(strides)))

    def matrix(self, *, feature_major: bool) -> Place | None:
        """Samples by features, all axes but the last being samples, as transfers move them; None if they can't.

        The address is that behind the storage's first byte. Rows of memory are runs of features, or of samples if
        `feature_major`.
        """
        return _matrix(self, feature_major=feature_major)

    def _as_matrix(self, *, feature_major: bool) -> Place | None:
        """What `matrix` returns and keeps."""
        *leading, features = range(len(self.shape))
        samples = _merged(self._axes(leading))
        if feature_major and samples and self.shape[leading[-1]] == 1 and samples[-1].stride != self.bits:
            samples.append(_Axis(1, self.bits))
        elif samples and samples[-1].stride == 0:  # rows that repeat are read one by one
            samples.append(_Axis(1, 8 * ceil_div(self.shape[features] * self.bits, 8)))
        along = samples[-1].stride if samples else self.bits
        if feature_major:
            row_step, unit = self.strides[features], along
        else:
            unit = self.strides[features] if self.shape[features] > 1 else self.bits
            row_step = along if samples else self._row_step(leading)
        leads = tuple(Lead(axis.size, axis.stride // 8) for axis in samples[:-1])
        steps = (self.offset, *(axis.stride for axis in samples[:-1]), row_step)
        if unit != self.bits or any(step % 8 for step in steps):
            return None
        rows = samples[-1].size if samples else 1
        return Place(self.offset // 8, row_step // 8, feature_major, self.bits, leads, rows if leads else 0)

    def rows(self, *, last: bool) -> Place | None:
        """Matrices of the last two axes as rows of the last but one, or of the last; None if transfers can't move them.

        Samples of the place are the rows of all matrices, one matrix after the other.
        """
        return (self.turned if last else self).matrix(feature_major=False)

    @property
    def turned(self) -> View:
        """The last two axes exchanged."""
        *leading, before, last = range(len(self.shape))
        return self.transposed((*leading, last, before))

    def _row_step(self, leading: list[int]) -> int:
        """Bits from row to row of a tensor that has one."""
        return self.strides[leading[-1]] if leading else 8 * ceil_div(self.shape[-1] * self.bits, 8)

    def _axes(self, which: range | list[int]) -> Iterator[_Axis]:
        """Some axes that have several numbers."""
        return (_Axis(self.shape[i], self.strides[i]) for i in which if self.shape[i] > 1)


@lru_cache(maxsize=4096)
def _matrix(view: View, *, feature_major: bool) -> Place | None:
    return view._as_matrix(feature_major=feature_major)


def _merged(axes: Iterator[_Axis]) -> list[_Axis]:
    """The fewest axes that count the same numbers in the same order."""
    merged: list[_Axis] = []
    for axis in axes:
        if merged and merged[-1].stride == axis.size * axis.stride:
            merged[-1] = _Axis(merged[-1].size * axis.size, axis.stride)
        else:
            merged.append(axis)
    return merged


def periods(*places: Place | None) -> int:
    """Rows after which one of some matrices lies elsewhere; 0 if none does.

    Tiles of so many rows, counted from the first, are runs of rows in each of them.
    """
    return int(np.gcd.reduce([place.period for place in places if place and place.leads] or [0]))
