"""The instructions of a vector fusion: its tiles one after the other, loads hoisted ahead of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.held import Held
from accelsim.compiler.instructions import Instructions, issue, joined
from accelsim.compiler.lower.work import FloatRows, RowFunction, VectorWork
from accelsim.compiler.lowering import VectorPlacement
from accelsim.compiler.moves import Moves, Stored, Tile, fresh, gathered, over_link, received, runs, turned
from accelsim.compiler.scratchpad import Fills, Scratchpad, Scratchpads, taken
from accelsim.compiler.slots import Slots
from accelsim.compiler.tables import TableBuilder
from accelsim.compiler.tiles import Cuts, oriented
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.config.arch import Machine
from accelsim.datapath.vector.elements import Element
from accelsim.isa.opcodes import LOAD, MAP, RECEIVE, REDUCE, ROWS, SEND, SOFTMAX, STORE, Memory
from accelsim.units import ceil_div

Int64 = NDArray[np.int64]


class Operand(NamedTuple):
    """Tiles of an operand or of results on chip.

    Parameters
    ----------
    address
        First byte of each; shape (tiles, 1).
    stride, pixel, image
        Bytes from row to row of a matrix, or from line to line of images that stay on chip; from pixel to pixel; and
        from image to image of the latter, 0 of others.
    """

    address: Int64
    stride: int
    pixel: int
    image: int = 0


class VectorScheduler:
    """Works out the tiles of one vector fusion.

    Parameters
    ----------
    base
        Steps of the fusions before.
    receives
        Whether each source comes over the host's link, for the first time.
    sends
        Whether the result goes over it.
    """

    def __init__(
        self,
        number: int,
        work: VectorWork,
        tiling: VectorTiling,
        placement: VectorPlacement,
        machine: Machine,
        base: int,
        tables: TableBuilder,
        *,
        receives: Sequence[bool],
        sends: bool,
    ) -> None:
        self.number = number
        self.work = work
        self.tiling = tiling
        self.placement = placement
        self.machine = machine
        self.tables = tables
        self.receives = receives
        self.sends = sends
        self.rows = tiling.rows
        #: The same rows as those of the value, of which one here may be a line.
        self.of_value = Cuts(self.rows.low * tiling.width, self.rows.size * tiling.width)
        self.boxes = tiling.boxes
        self.now = base + np.arange(len(self.rows.low))

    @property
    def kinds(self) -> list[Int64]:
        """Tiles by number, those together that are of one shape."""
        shapes = np.stack([self.boxes.samples.size, self.boxes.lines.size], axis=1)
        _, kind = np.unique(shapes, axis=0, return_inverse=True)
        return [np.flatnonzero(kind == number) for number in range(int(kind.max()) + 1)]

    @property
    def stored(self) -> Stored:
        """What the fusion stores, and when."""
        return Stored(self.of_value.low, self.now)

    def moves(self, scratchpads: Scratchpads, stored: Sequence[Sequence[Stored]]) -> list[Moves]:
        """What is loaded for the tiles, and before which; not before what was stored of a source is whole."""
        moves: list[Moves] = []
        if scratchpads.output and not self.placement.formed:
            sizes = np.full(len(self.now), self.tiling.result_bytes)
            scratchpads.output.fill(Fills(self.placement.results, sizes, self.now, self.now))
        for source, slots in self._loaded.items():
            moves += self._load(source, slots, scratchpads.activation, stored[source])
        for slots in self.placement.operands[len(self._loaded) :]:  # tiles that are turned on chip
            rows = Fills(slots, np.full(len(self.now), self.tiling.source_bytes), self.now, self.now)
            scratchpads.activation.form(rows, self.now)
        if self.placement.table_slot.addresses:
            sizes = np.array([self.placement.table_slot.bytes])
            fills = Fills(self.placement.table_slot, sizes, self.now[:1], self.now[-1:])
            before = scratchpads.weight.place(fills)
            moves.append(
                Moves(self.number, before, fills.first, runs(np.array([self.placement.table]), fills.addresses, sizes))
            )
        return moves

    @property
    def _loaded(self) -> dict[int, Slots]:
        """Slots of the sources that do not stay on chip."""
        loaded = [source for source, held in enumerate(self.placement.held) if held is None]
        return dict(zip(loaded, self.placement.operands, strict=False))

    def _load(self, source: int, slots: Slots, scratchpad: Scratchpad, stored: Sequence[Stored]) -> list[Moves]:
        tiling, place = self.tiling, self.placement.sources[source]
        image, tile, tiles = tiling.padded, tiling.source, len(self.now)
        sizes = np.full(tiles, tiling.source_bytes)
        fills = Fills(slots, sizes, self.now, self.now)
        before = scratchpad.place(fills)
        needed = self._needed()
        for tensor in stored:
            before = np.maximum(before, tensor.written(needed))
        features = np.full(tiles, tiling.channels)
        if image is None:
            rows, elements = oriented(self.rows.size, features, feature_major=tiling.feature_major)
            load = issue(
                LOAD,
                tiles,
                dram=place.at(self.of_value.low, np.zeros_like(features))[:, None],
                dram_stride=place.pitch * tiling.width,
                rows=rows[:, None],
                row_bytes=ceil_div(elements * self.work.function.types[source].bits, 8)[:, None],
                memory=Memory.ACTIVATION,
                address=fills.addresses[:, None],
                stride=tile.pitch,
            )
            moves = [Moves(self.number, before, fills.first, load)]
            if self.receives[source]:
                moves.insert(0, Moves(self.number, before, fills.first, over_link(RECEIVE, load)))
            return moves
        padded_height, width = image.output
        samples, lines = self.boxes
        assert tiling.image  # noqa: S101 - there are padded images of these
        down, reach = tiling.image.window.stride[0], tiling.image.window.reach[0]
        first = (samples.low * padded_height + lines.low * down) * width
        height = (lines.size - 1) * down + reach
        whole = lines.size == tiling.image.output[0]
        first = np.where(whole, samples.low * padded_height * width, first)
        count = np.where(whole, samples.size * padded_height, height) * width
        channels = np.full(tiles, image.channels)
        tiles_read = np.stack([first, count, np.zeros_like(first), channels, fills.addresses], axis=1)
        parts = gathered(image, tiles_read, place, tile, self.tables)
        moves = [Moves(self.number, before[part.owner], fills.first[part.owner], part.code) for part in parts]
        if self.receives[source]:
            pixels = fresh(needed)
            some = pixels.size > 0
            code = received(Cuts(pixels.low[some], pixels.size[some]), tiling.channels, place)
            moves.insert(0, Moves(self.number, before[some], fills.first[some], code))
        return moves

    def _needed(self) -> Cuts:
        """Rows of a source that each tile loads: of whole images all of them, those in no window too."""
        image = self.tiling.image
        if image is None:
            return self.of_value
        pixels, size = image.pixels(self.rows), image.height * image.width
        samples, whole = self.boxes.samples, self.boxes.lines.size == image.output[0]
        return Cuts(np.where(whole, samples.low * size, pixels.low), np.where(whole, samples.size * size, pixels.size))

    def _operand(self, source: int, kind: Int64) -> Operand:
        """Tiles of a source, in their slots or where the value stays."""
        held, tiling = self.placement.held[source], self.tiling
        if held is None:
            return Operand(taken(self._loaded[source], kind)[:, None], tiling.source.pitch, tiling.source_bits // 8)
        if tiling.image:
            samples, lines = self.boxes
            top, left, _, _ = tiling.image.window.padding
            down = lines.low[kind] * (tiling.image.window.stride[0] * held.line)
            first = held.window(top, left) + samples.low[kind] * held.image + down
            return Operand(first[:, None], held.line, held.pitch, held.image)
        return Operand(self._at(held, kind), self._row_pitch(held), held.pitch)

    def _result(self, kind: Int64) -> Operand:
        """Tiles of results, in their slots or where the value stays."""
        formed, tiling = self.placement.formed, self.tiling
        if formed is None:
            pitch = tiling.result.pitch
            return Operand(taken(self.placement.results, kind)[:, None], pitch, tiling.result_bits // 8)
        if tiling.image:
            height, width = tiling.image.output
            line = formed.line if formed.lined else width * formed.pitch
            return Operand(self._at(formed, kind), line, formed.pitch, formed.image if formed.lined else height * line)
        return Operand(self._at(formed, kind), self._row_pitch(formed), formed.pitch)

    def _row_pitch(self, held: Held) -> int:
        """Bytes from row to row of what stays on chip, a line each where padding lies between those of any value."""
        return held.line if held.lined else held.pitch * self.tiling.width

    def _at(self, held: Held, kind: Int64) -> Int64:
        """Addresses of the first row of tiles of what stays on chip."""
        rows = self.of_value.low[kind]
        at: Int64 = held.place.at(rows, np.zeros_like(rows))[:, None]
        return at

    def issued(self, kind: Int64) -> Instructions:
        """What tiles of one shape issue, their loads left out."""
        tiling = self.tiling
        sources, out = [self._operand(source, kind) for source in range(len(self.work.sources))], self._result(kind)
        work = self.work.function
        if isinstance(work, RowFunction):
            formed = self._rows(kind, work, sources[0], out)
        elif isinstance(work, FloatRows):
            formed = self._float_rows(kind, work, sources[0], out)
        else:
            function = self.tables.function(work)
            form = self._map if tiling.image is None else self._reduce
            formed = form(kind, function, sources, out)
        if self.placement.formed:
            return formed
        target, rows = self.placement.target, self.rows
        features = np.full_like(kind, tiling.channels)
        lines, elements = oriented(rows.size[kind], features, feature_major=tiling.feature_major)
        store = issue(
            STORE,
            len(kind),
            dram=target.at(self.of_value.low[kind], np.zeros_like(kind))[:, None],
            dram_stride=target.pitch * tiling.width,
            rows=lines[:, None],
            row_bytes=ceil_div(elements * tiling.result_bits, 8)[:, None],
            memory=Memory.OUTPUT,
            address=out.address,
            stride=tiling.result.pitch,
        )
        return joined(formed, store, *((over_link(SEND, store),) if self.sends else ()))

    def _rows(self, kind: Int64, work: RowFunction, source: Operand, out: Operand) -> Instructions:
        """One instruction for each tile; of features by samples one more before it, and behind it."""
        tiling, size, channels = self.tiling, int(self.rows.size[kind[0]]), self.tiling.channels
        own: dict[str, int | Int64] = {}
        if work.opcode == SOFTMAX:
            own = {"wide": int(work.result.bits == 16), "wide_source": int(work.source.bits == 16)}
        if work.queries:
            own["row"] = self.of_value.low[kind][:, None] % work.queries
        memory, at, pitch = Memory.ACTIVATION, source.address, source.stride
        result_memory, result, result_pitch = Memory.OUTPUT, out.address, out.stride
        if tiling.turned:
            at, pitch = taken(self.placement.operands[-1], kind)[:, None], tiling.row_pitch
            result_memory, result, result_pitch = memory, at, pitch
        formed = issue(
            work.opcode,
            len(kind),
            1,
            memory=memory,
            address=at,
            stride=pitch,
            rows=size,
            columns=channels,
            constants=self.placement.table_slot.addresses[0],
            result_memory=result_memory,
            result=result,
            result_stride=result_pitch,
            signed=int(work.source in {Element.INT8, Element.INT16}),
            kind=work.kind,
            **own,
        )
        if not tiling.turned:
            return formed
        given, rows = Tile(memory, source.address, source.stride), Tile(memory, at, pitch)
        there = turned(self.tables, work.source, (channels, size), given, rows)
        result_tile = Tile(Memory.OUTPUT, out.address, out.stride)
        return joined(there, formed, turned(self.tables, work.source, (size, channels), rows, result_tile))

    def _float_rows(self, kind: Int64, work: FloatRows, source: Operand, out: Operand) -> Instructions:
        """One instruction for each tile; machines of floats have samples row by row."""
        table = self.placement.table_slot.addresses
        return issue(
            ROWS,
            len(kind),
            function=self.tables.function(work.function),
            memory=Memory.ACTIVATION,
            address=source.address,
            stride=source.stride,
            rows=int(self.rows.size[kind[0]]),
            columns=self.tiling.channels,
            result_memory=Memory.OUTPUT,
            result=out.address,
            result_stride=out.stride,
            constants=table[0] if table else 0,
            row=self.of_value.low[kind][:, None] % work.queries if work.queries else 0,
        )

    def _map(self, kind: Int64, function: int, sources: Sequence[Operand], out: Operand) -> Instructions:
        """One instruction for each tile."""
        tiling, size = self.tiling, int(self.rows.size[kind[0]])
        rows, columns = oriented(size, tiling.channels, feature_major=tiling.feature_major)
        two = len(sources) > 1
        table = self.placement.table_slot.addresses
        return issue(
            MAP,
            len(kind),
            function=function,
            memory=Memory.ACTIVATION,
            address=sources[0].address,
            stride=sources[0].stride,
            rows=rows,
            columns=columns,
            result_memory=Memory.OUTPUT,
            result=out.address,
            result_stride=out.stride,
            other_memory=Memory.ACTIVATION if two else 0,
            other=sources[1].address if two else 0,
            other_stride=sources[1].stride if two else 0,
            constants=table[0] if table else 0,
        )

    def _reduce(self, kind: Int64, function: int, sources: Sequence[Operand], out: Operand) -> Instructions:
        """One instruction for each image of a tile, or for all of them if no window hangs over; of each feature."""
        tiling, image, source = self.tiling, self.tiling.image, sources[0]
        assert image  # noqa: S101 - windows are of images
        images, lines = int(self.boxes.samples.size[kind[0]]), int(self.boxes.lines.size[kind[0]])
        padded_height, padded_width = image.window.padded(image.height, image.width)
        down, reach = image.window.stride[0], image.window.reach[0]
        height = padded_height if lines == image.output[0] else (lines - 1) * down + reach
        width = image.output[1]
        in_slots = not source.image and not out.image
        if in_slots and reach <= down and height == lines * down:  # images stand below each other as one
            images, lines, height = 1, images * lines, images * height
        pixel, formed = source.pixel, out.pixel
        if tiling.feature_major:
            features, columns = np.arange(tiling.channels), 1
            step_in, step_out = source.stride, out.stride
        else:
            features, columns, step_in, step_out = np.zeros(1, np.int64), tiling.channels, 0, 0
            pixel, formed = (of.pixel if of.image else of.stride for of in (source, out))
        line, line_out = source.stride, out.stride
        if not source.image:
            line = padded_width * pixel
        if not out.image:
            line_out = width * formed
        number = np.arange(images)
        at = (features[:, None] * step_in + number * (source.image or height * line)).reshape(-1)
        to = (features[:, None] * step_out + number * (out.image or lines * line_out)).reshape(-1)
        return issue(
            REDUCE,
            len(kind),
            len(at),
            function=function,
            memory=Memory.ACTIVATION,
            address=source.address + at,
            stride=pixel,
            line_stride=line,
            height=lines,
            width=width,
            columns=columns,
            result_memory=Memory.OUTPUT,
            result=out.address + to,
            result_stride=formed,
            result_line_stride=line_out,
        )
