"""How a value lies in a scratchpad where it stays whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from accelsim.compiler.tiles import Lead, Place
from accelsim.config.arch import Sram


class Border(NamedTuple):
    """Pixels of padding around each image of a value."""

    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0


#: No padding.
NONE = Border()


class Fill(NamedTuple):
    """A part of the padding: its first byte, how many runs it has, bytes from run to run, and those of a run."""

    address: int
    rows: int
    stride: int
    row_bytes: int


@dataclass(frozen=True, slots=True)
class Held:
    """Where a value stays: images pixel by pixel, with their padding, or rows of a matrix, which are one line.

    Parameters
    ----------
    low
        First byte, that of the padding if there is any.
    images, height, width
        Batch of images; a matrix is one image of a column, (1, rows, 1).
    pitch, bits
        Bytes from pixel to pixel, and bits of an element.
    border, fill
        Padding, and the byte that it consists of.
    """

    low: int
    images: int
    height: int
    width: int
    pitch: int
    bits: int
    border: Border = NONE
    fill: int = 0

    def at(self, low: int) -> Held:
        """The same from another byte on."""
        return replace(self, low=low)

    def lines(self, first: int, count: int) -> Held:
        """Some lines of the only image, whose neighbours lie where padding does above and below it."""
        return self if count == self.height else replace(self, low=self.low + first * self.line, height=count)

    @property
    def line(self) -> int:
        """Bytes from line to line."""
        return (self.border.left + self.width + self.border.right) * self.pitch

    @property
    def image(self) -> int:
        """Bytes from image to image."""
        return (self.border.top + self.height + self.border.bottom) * self.line

    @property
    def bytes(self) -> int:
        """Bytes of all of it."""
        return self.images * self.image

    def banks(self, memory: Sram) -> range:
        """Ranges of addresses of the memory, each in banks of its own, that it lies in."""
        return range(self.low // memory.range_bytes, (self.low + self.bytes - 1) // memory.range_bytes + 1)

    @property
    def lined(self) -> bool:
        """Whether padding lies between the lines, so that only whole ones follow each other evenly."""
        return any(self.border)

    @property
    def place(self) -> Place:
        """Where each row of the value, a pixel each of images, lies."""
        first = self.low + self.border.top * self.line + self.border.left * self.pitch
        leads = (Lead(self.images, self.image), Lead(self.height, self.line)) if self.lined else ()
        return Place(first, self.pitch, False, self.bits, leads, self.width if self.lined else 0)

    def window(self, top: int, left: int) -> int:
        """First byte of the first image with so many pixels of padding above and left of it."""
        above, before = self.border.top - top, self.border.left - left
        return self.low + above * self.line + before * self.pitch

    def fills(self) -> Iterator[Fill]:
        """All padding: above the first image and left of it, between lines, between images, and below the last."""
        top, left, bottom, right = self.border
        if not self.lined:
            return
        ahead = top * self.line + left * self.pitch
        behind = right * self.pitch + bottom * self.line
        if ahead:
            yield Fill(self.low, 1, self.image, ahead)
        beside = (left + right) * self.pitch
        for number in range(self.images):
            first = self.low + number * self.image + ahead + self.width * self.pitch
            if beside and self.height > 1:
                yield Fill(first, self.height - 1, self.line, beside)
            last = first + (self.height - 1) * self.line
            rest = behind + (ahead if number < self.images - 1 else 0)
            if rest:
                yield Fill(last, 1, self.image, rest)
