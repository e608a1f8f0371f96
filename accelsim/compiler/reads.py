"""How a product's activations lie on chip: as a matrix, gathered window by window, or as the images themselves."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.held import Held
from accelsim.compiler.image import Image
from accelsim.compiler.tiles import Place, operands_samples, operands_shape
from accelsim.config.arch import Machine
from accelsim.graph.ops.window import Window
from accelsim.units import Count

Int64 = NDArray[np.int64]

#: Rows of a tile that takes no room.
NO_LIMIT = 2**62


class MatrixReads:
    """A tile is a matrix of samples by inputs, whether it stands so in DRAM or is gathered from images.

    Parameters
    ----------
    image
        Images that are gathered, or None.
    period
        Rows of the product after which row tiles begin anew; 0 if they don't.
    """

    #: Rows of the product that a tile is a multiple of.
    grain: int = 1
    #: Whether a tile holds all inputs of its rows.
    whole: bool = False

    def __init__(self, image: Image | None, machine: Machine, period: int = 0) -> None:
        self.image = image
        self.machine = machine
        self.period = period
        self.held: Held | None = None

    def within(self, held: Held) -> MatrixReads:
        """The same of a value that stays on chip: a tile is a part of it."""
        reads = copy.copy(self)
        reads.held, reads.whole = held, True
        return reads

    def formed(self, held: Held) -> MatrixReads:
        """The same where results stay on chip: tiles of whole lines, if padding lies between those."""
        if not held.lined:
            return self
        reads = copy.copy(self)
        reads.grain, reads.period = held.width, held.height * held.width
        return reads

    def first(self, rows: Int64) -> Int64:
        """Address of the first byte of tiles of a value that stays on chip, from each one's first row."""
        assert self.held  # noqa: S101 - else tiles have slots
        first: Int64 = self.held.place.at(rows, np.zeros_like(rows))
        return first

    def layout(self, samples: int, inputs: int) -> Place:
        """How a tile lies, from address 0 on."""
        operand, machine = self.machine.operand, self.machine
        if self.held:
            return Place(0, self.held.pitch, machine.feature_major, operand.bits)
        _, pitch = operands_shape(samples, inputs, operand, machine, machine.activation)
        return Place(0, pitch, machine.feature_major, operand.bits)

    def tile_bytes(self, samples: Count, inputs: Count) -> Count:
        """Bytes of a tile in a slot."""
        if self.held:
            return 0 * samples * inputs
        machine = self.machine
        rows, pitch = operands_shape(samples, inputs, machine.operand, machine, machine.activation)
        return rows * pitch

    def most_samples(self, bytes_: Int64, inputs: Int64) -> Int64:
        """Rows of the largest tile that takes at most so many bytes."""
        if self.held:
            return np.full_like(bytes_ + inputs, NO_LIMIT)
        machine = self.machine
        return operands_samples(bytes_, inputs, machine.operand, machine, machine.activation)


@dataclass(frozen=True, slots=True)
class Streams:
    """Rows of a product that stream from an image on chip.

    Parameters
    ----------
    inner, stride, outer_stride
        Rows of a line of results, and bytes from a row to the next and from line to line, as `matmul` has them.
    """

    inner: int
    stride: int
    outer_stride: int


class ImageReads(MatrixReads):
    """A tile is some lines of one padded image, read once; each of the kernel's pixels is an address in it."""

    whole = True

    def __init__(self, image: Image, machine: Machine) -> None:
        rows, columns = image.output
        super().__init__(image, machine, rows * columns)
        self.of: Image = image
        self.grain = columns
        self.pixel_bytes = image.channels * machine.operand.bits // 8
        _, self.padded_width = image.window.padded(image.height, image.width)
        self.line_bytes = self.padded_width * self.pixel_bytes

    def within(self, held: Held) -> ImageReads:
        """The same of images that stay on chip."""
        reads = copy.copy(self)
        reads.held, reads.line_bytes = held, held.line
        return reads

    def formed(self, held: Held) -> MatrixReads:  # noqa: ARG002 - one signature for all
        """The same: tiles are whole lines."""
        return self

    def first(self, rows: Int64) -> Int64:
        """Address of the first padded pixel that each tile's window reads."""
        assert self.held  # noqa: S101 - else tiles have slots
        top, left, _, _ = self.of.window.padding
        image, line = np.divmod(rows // self.grain, self.of.output[0])
        down = line * (self.of.window.stride[0] * self.held.line)
        first: Int64 = self.held.window(top, left) + image * self.held.image + down
        return first

    @property
    def padded(self) -> Image:
        """The images with their padding, pixel by pixel."""
        image = self.of
        window = Window((1, 1), padding=image.window.padding)
        return Image(image.samples, image.height, image.width, image.channels, window, image.fill)

    @property
    def streams(self) -> Streams:
        """How rows of the product stream."""
        down, across = self.of.window.stride
        return Streams(self.of.output[1], across * self.pixel_bytes, down * self.line_bytes)

    def lines(self, samples: Count) -> Count:
        """Padded lines that rows of the product need, of one image."""
        return self.of.lines(samples)

    def pixels(self, low: Int64, samples: Int64) -> tuple[Int64, Int64]:
        """First padded pixel of the batch that rows of the product need, and how many from there on."""
        image, line = np.divmod(low // self.grain, self.of.output[0])
        height, _ = self.of.window.padded(self.of.height, self.of.width)
        first = (image * height + line * self.of.window.stride[0]) * self.padded_width
        return first, self.lines(samples) * self.padded_width

    def layout(self, samples: int, inputs: int) -> Place:  # noqa: ARG002 - one signature for all
        """How the pixels of a tile lie, from address 0 on."""
        return Place(0, self.pixel_bytes, feature_major=False, bits=self.machine.operand.bits)

    def tile_bytes(self, samples: Count, inputs: Count) -> Count:
        """Bytes of a tile in a slot."""
        if self.held:
            return 0 * samples * inputs
        return self.lines(samples) * self.line_bytes + 0 * inputs

    def most_samples(self, bytes_: Int64, inputs: Int64) -> Int64:
        """Rows of the largest tile that takes at most so many bytes."""
        if self.held:
            return np.full_like(bytes_ + inputs, NO_LIMIT)
        lines = (bytes_ // self.line_bytes - self.of.window.reach[0]) // self.of.window.stride[0] + 1
        return np.clip(lines, 0, self.of.output[0]) * self.grain + 0 * inputs

    def place(self, inputs: Int64) -> Int64:
        """Bytes from the first byte of a tile to an input of its first row."""
        # not np.unravel_index: numpy 2.4.6 errs behind the first 8192 rows of a column
        pixel, channel = np.divmod(inputs, self.of.channels)
        i, j = np.divmod(pixel, self.of.window.kernel[1])
        down, across = self.of.window.dilation
        offset: Int64 = i * (down * self.line_bytes) + j * (across * self.pixel_bytes)
        place: Int64 = offset + channel * self.machine.operand.bits // 8
        return place
