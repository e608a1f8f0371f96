"""How the work of a vector fusion is cut: rows of numbers, or images and rows of their windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.held import Held
from accelsim.compiler.image import Image
from accelsim.compiler.lower.work import RowFunction, VectorWork
from accelsim.compiler.ports import Ports
from accelsim.compiler.rooms import Rooms
from accelsim.compiler.slots import apart as slots_apart
from accelsim.compiler.tiles import Cuts, Place, cuts, cuts_anew, oriented
from accelsim.config.arch import Machine, Sram
from accelsim.errors import DoesNotFitError
from accelsim.graph.ops.window import Window
from accelsim.graph.value import Value
from accelsim.units import align_up, ceil_div, largest

Int64 = NDArray[np.int64]

#: Tiles of each operand, and of results, that take turns.
SLOTS = 2


class Boxes(NamedTuple):
    """Results of each tile: samples and, of images, rows of pixels; int64, shape (tiles,)."""

    samples: Cuts
    lines: Cuts


@dataclass(frozen=True, slots=True)
class VectorTiling:
    """How one fusion is cut.

    Parameters
    ----------
    samples, channels
        Rows of the result, a pixel each of images, and features.
    image
        Images whose windows are reduced; None if rows are taken as they come.
    tile_samples
        Rows of a tile, or images.
    tile_lines
        Rows of results of an image's tile; all of them where a tile has several images.
    source_bits, result_bits
        Bits of an element; of the wider one of two operands, whose rows lie alike.
    operands
        Tiles that are loaded for one that is formed, and one more if it is turned.
    stored
        Whether results go to DRAM; else they need no slots.
    feature_major
        Whether the samples of a feature lie side by side.
    period
        Rows after which tiles begin anew; 0 if they don't.
    width
        Rows of the value, pixels, that are one row here: a line, where padding lies between the lines on chip.
    turned
        Whether tiles that lie so are turned on chip for a function of rows, and its results turned back: a second place
        of each tile holds its rows, which the function overwrites.
    most_slots
        Tiles of each kind that fit.
    """

    samples: int
    channels: int
    image: Image | None
    tile_samples: int
    tile_lines: int
    source_bits: int
    result_bits: int
    operands: int
    stored: bool
    feature_major: bool
    source_word: int
    result_word: int
    period: int = 0
    turned: bool = False
    width: int = 1
    most_slots: int = SLOTS

    @property
    def boxes(self) -> Boxes:
        """All tiles, in order."""
        if self.image is None:
            rows = cuts_anew(self.samples, self.tile_samples, self.period)
            return Boxes(rows, Cuts(np.zeros_like(rows.low), np.ones_like(rows.low)))
        images, lines = cuts(self.image.samples, self.tile_samples), cuts(self.image.output[0], self.tile_lines)
        both = [np.meshgrid(a, b, indexing="ij") for a, b in zip(images, lines, strict=True)]
        (low, first), (size, height) = ((a.ravel(), b.ravel()) for a, b in both)
        return Boxes(Cuts(low, size), Cuts(first, height))

    @property
    def rows(self) -> Cuts:
        """Rows of the result that each tile forms."""
        samples, lines = self.boxes
        if self.image is None:
            return samples
        height, width = self.image.output
        return Cuts((samples.low * height + lines.low) * width, samples.size * lines.size * width)

    @property
    def lines_read(self) -> int:
        """Padded lines of an image that a tile reads, at most."""
        if self.image is None:
            return 1
        if self.tile_lines == self.image.output[0]:
            return self.image.window.padded(self.image.height, self.image.width)[0]
        return (self.tile_lines - 1) * self.image.window.stride[0] + self.image.window.reach[0]

    @property
    def pixels_read(self) -> int:
        """Rows of numbers that a tile of an operand holds, at most."""
        if self.image is None:
            return self.tile_samples
        _, width = self.image.window.padded(self.image.height, self.image.width)
        return self.tile_samples * self.lines_read * width

    @property
    def pixels_formed(self) -> int:
        """Rows of numbers that a tile of results holds, at most."""
        return self.tile_samples if self.image is None else self.tile_samples * self.tile_lines * self.image.output[1]

    @property
    def source(self) -> Place:
        """How a tile of an operand lies on chip, from address 0 on."""
        return self._place(self.pixels_read, self.source_bits, self.source_word)

    @property
    def result(self) -> Place:
        """How a tile of results lies on chip, from address 0 on."""
        return self._place(self.pixels_formed, self.result_bits, self.result_word)

    @property
    def row_pitch(self) -> int:
        """Bytes from row to row of a tile that was turned."""
        return align_up(ceil_div(self.channels * self.source_bits, 8), self.source_word)

    @property
    def source_bytes(self) -> int:
        """Bytes of a slot for an operand."""
        there = self._bytes(self.pixels_read, self.source, self.source_word)
        return max(there, self.tile_samples * self.row_pitch) if self.turned else there

    @property
    def result_bytes(self) -> int:
        """Bytes of a slot for results."""
        return self._bytes(self.pixels_formed, self.result, self.result_word) if self.stored else 0

    @property
    def slots(self) -> int:
        """Tiles of each kind that there is room for."""
        return min(self.most_slots, len(self.rows.low))

    @property
    def loops(self) -> str:
        """Order of the loops, in words."""
        return "rows" if self.image is None else "images, rows"

    def _place(self, samples: int, bits: int, word: int) -> Place:
        _, elements = oriented(samples, self.channels, feature_major=self.feature_major)
        pitch = ceil_div(elements * bits, 8)
        # pixels of an image follow each other, so that a window's are strides of one another
        return Place(0, pitch if self.image else align_up(pitch, word), self.feature_major, bits)

    def _bytes(self, samples: int, place: Place, word: int) -> int:
        rows, _ = oriented(samples, self.channels, feature_major=self.feature_major)
        return align_up(rows * place.pitch, word)

    @property
    def padded(self) -> Image | None:
        """The images with their padding, pixel by pixel, as they are read."""
        if self.image is None:
            return None
        image = self.image
        window = Window((1, 1), padding=image.window.padding)
        return Image(image.samples, image.height, image.width, image.channels, window, image.fill)


class Chosen(NamedTuple):
    """Rooms and tiling of a fusion, and what they are estimated to take: core cycles, and DRAM bursts."""

    rooms: Rooms
    tiling: VectorTiling
    cycles: float
    bursts: float


def choose(
    work: VectorWork,
    name: str,
    value: Value,
    sources: Sequence[Held | None],
    target: Held | None,
    machine: Machine,
    rooms: Sequence[Rooms],
) -> Chosen:
    """Find the rooms and the tiling that take the least time, of the largest tiles in each; see `_largest_tiles`.

    Parameters
    ----------
    value
        What is formed.
    sources, target
        Where what is read, and what is formed, stays on chip; None for what does not.

    Raises
    ------
    DoesNotFitError
        If not even the smallest tile fits, or the constants do not.
    """
    fitting: list[Chosen] = []
    refused: list[DoesNotFitError] = []
    for room in rooms:
        try:
            tiling = _largest_tiles(work, name, value, sources, target, room.within(machine))
        except DoesNotFitError as error:
            refused.append(error)
        else:
            fitting.append(Chosen(room, tiling, *_estimate(work, value, sources, target, machine, room, tiling)))
    if not fitting:
        raise refused[0]
    return min(fitting, key=lambda way: (way.cycles, -way.tiling.tile_samples, -way.tiling.tile_lines))


def _estimate(
    work: VectorWork,
    value: Value,
    sources: Sequence[Held | None],
    target: Held | None,
    machine: Machine,
    rooms: Rooms,
    tiling: VectorTiling,
) -> tuple[float, float]:
    """Core cycles and DRAM bursts, as if every number passed the lanes once."""
    numbers, burst = value.samples * value.features, machine.dram.burst_bytes
    read = numbers
    if work.image:
        read = work.image.samples * work.image.height * work.image.width * work.image.channels
    types = work.function.types
    loaded = sum(read * element.bits for element, held in zip(types, sources, strict=False) if held is None) / 8 / burst
    stored = 0.0 if target else numbers * types[2].bits / 8 / burst
    window = math.prod(work.image.window.kernel) if work.image else 1
    lanes = numbers * window / machine.vector.lanes
    period = machine.dram.burst_period_fs / machine.clock_period_fs
    # two slots whose banks are not the same take turns
    count = tiling.operands * tiling.slots
    apart = slots_apart(rooms.activation.sram, count, tiling.source_bytes) if count else True
    cycles = max(lanes, (loaded + stored) * period)
    if tiling.slots == 1 or not apart:
        cycles = max(cycles, loaded * period + lanes)
    ports = Ports(machine)
    for held in sources:
        if held:
            ports.hold(held, lanes)
    if count:
        ports.hold(rooms.activation, loaded * period + lanes)
    ports.hold(target or rooms.output, lanes if target else lanes + stored * period)
    return max(cycles, ports.busiest), loaded + stored


def _largest_tiles(
    work: VectorWork,
    name: str,
    value: Value,
    sources: Sequence[Held | None],
    target: Held | None,
    machine: Machine,
) -> VectorTiling:
    """Find the largest tiles of which two of each operand and of the results fit; or one, if not two do."""
    result, image = work.function.types[2], work.image
    operands = work.function.types[: len(work.sources)]
    turned = isinstance(work.function, RowFunction) and machine.feature_major
    if work.table is not None and len(work.table) > machine.weight.capacity_bytes:
        raise DoesNotFitError(
            f"layer {name}: the weight memory of {machine.name} must hold {len(work.table)} bytes of constants, "
            f"but has {machine.weight.capacity_bytes}"
        )
    lined = [held for held in (*sources, target) if held and held.lined and not image]
    width, height = (lined[0].width, lined[0].height) if lined else (1, 0)

    def tiling(tile_samples: int, tile_lines: int) -> VectorTiling:
        return VectorTiling(
            value.samples // width,
            value.features * width,
            image,
            tile_samples,
            tile_lines,
            max(element.bits for element in operands),
            result.bits,
            sum(held is None for held in sources) + turned,
            target is None,
            machine.feature_major,
            machine.activation.width_bytes,
            machine.output.width_bytes,
            height or work.period,
            turned,
            width,
        )

    def fits(tried: VectorTiling, slots: int) -> bool:
        needs = ((machine.activation, tried.operands * tried.source_bytes), (machine.output, tried.result_bytes))
        return all(not size or _held(sram, slots) >= size for sram, size in needs)

    lines = image.output[0] if image else 1
    most = image.samples if image else height or work.period or value.samples
    for slots in (SLOTS, 1):
        most_held = largest(most, partial(lambda slots, size: fits(tiling(size, lines), slots), slots))
        if most_held:
            return replace(tiling(most_held, lines), most_slots=slots)
        most_held = largest(lines, partial(lambda slots, size: fits(tiling(1, size), slots), slots)) if image else 0
        if most_held:
            return replace(tiling(1, most_held), most_slots=slots)
    smallest = tiling(1, 1)
    raise DoesNotFitError(
        f"layer {name}: the activation and output memories of {machine.name} must hold the smallest tile, "
        f"{smallest.operands * smallest.source_bytes} and {smallest.result_bytes} bytes, "
        f"but have {machine.activation.capacity_bytes} and {machine.output.capacity_bytes}"
    )


def _held(sram: Sram, slots: int) -> int:
    """Bytes of a slot, of several that are equal."""
    return sram.capacity_bytes // slots // sram.width_bytes * sram.width_bytes
