"""The instructions of what the matrix unit computes: what its steps use, when it is loaded, and what they issue.

All steps of a layer are worked out at once, as arrays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.dataflow import Dataflow, Matrices, Tiles
from accelsim.compiler.dataflows.mixed import MixedFlow, Quantized
from accelsim.compiler.encoding import Encoder
from accelsim.compiler.held import Held
from accelsim.compiler.instructions import Instructions, each_one, issue, joined
from accelsim.compiler.lowering import Placement
from accelsim.compiler.moves import Moves, Stored, Tile, fresh, gathered, over_link, received, runs, turned
from accelsim.compiler.reads import ImageReads
from accelsim.compiler.residency import Turns, latest_of_slot
from accelsim.compiler.scratchpad import Fills, Scratchpad, Scratchpads, taken
from accelsim.compiler.slots import Slots
from accelsim.compiler.steps import Steps
from accelsim.compiler.tables import TableBuilder
from accelsim.compiler.tiles import Cuts, Place, Tiling, operands_shape, oriented, sums_shape
from accelsim.config.operands import Operand
from accelsim.datapath import requantize
from accelsim.datapath.vector.elements import Element as ElementType
from accelsim.formats.storage import FORMATS, Storage
from accelsim.graph.element import Float
from accelsim.isa.opcodes import ACTIVATE, DECODE, LOAD, RECEIVE, REQUANTIZE, SEND, STORE, Memory
from accelsim.units import Count, align_up

Int64 = NDArray[np.int64]


class ProductScheduler:
    """Works out the steps of one layer.

    Parameters
    ----------
    base
        Steps of the layers before.
    tables
        The program's, to which what this layer names is added.
    receives, sends
        Whether the layer's input comes, and its output goes, over the host's link.
    """

    def __init__(
        self,
        number: int,
        flow: Dataflow,
        tiling: Tiling,
        placement: Placement,
        steps: Steps,
        base: int,
        tables: TableBuilder,
        *,
        receives: bool,
        sends: bool,
    ) -> None:
        self.number = number
        self.flow = flow
        self.machine = flow.machine
        self.tiling = tiling
        self.placement = placement
        self.tables = tables
        self.receives = receives
        self.sends = sends
        self.steps = steps
        self.w_bytes = flow.all_weights_bytes(steps.weight_tiles)
        self.now = base + np.arange(len(steps.row))
        # how each memory's tiles lie
        major, operand = self.machine.feature_major, self.machine.operand
        self._x = flow.reads.layout(tiling.tile_m, tiling.features)
        _, pitch = operands_shape(tiling.tile_m, tiling.tile_n, flow.result, self.machine, self.machine.output)
        self._out = Place(0, flow.target.pitch if flow.target else pitch, major, flow.result.bits)
        _, pitch = sums_shape(tiling.tile_m, tiling.width, self.machine)
        self._sums = Place(0, pitch, major, operand.sum_bits)
        self._constants_offset = align_up(self.w_bytes, self.machine.weight.width_bytes)
        self._constants_bytes = self.machine.constant_bytes * steps.weight_tiles.n_size

    @property
    def _place(self) -> Quantized:
        """Where the integers and scales of an activation tile lie."""
        assert isinstance(self.flow, MixedFlow)  # noqa: S101 - no other flow has integers of its own
        inputs = self.tiling.split if self.tiling.resident else min(self.tiling.tile_k, self.tiling.split)
        return self.flow.quantized(self.tiling.tile_m, inputs, self._x.pitch)

    @property
    def stored(self) -> Stored:
        """What the layer stores, and when."""
        done = self.steps.weight_tiles.done[self.steps.weight_tile]
        step = np.zeros(len(self.steps.rows.low), np.int64)
        step[self.steps.row[done]] = self.now[done]  # of a row tile's stores the last one stays
        return Stored(self.steps.rows.low, step)

    @property
    def kinds(self) -> list[Int64]:
        """Steps by number, those together that issue the same opcodes on tiles of one shape."""
        return self.steps.kinds

    def moves(self, scratchpads: Scratchpads, stored: Sequence[Sequence[Stored]]) -> list[Moves]:
        """What is loaded for the steps, and before which; not before what was stored of the sources is whole."""
        if scratchpads.output and not self.flow.target:
            scratchpads.output.fill(self._output_tiles)
        factor = self.flow.product.factor
        if factor:
            left, right = reversed(stored) if factor.turned else stored
            activations = self._load_activations(scratchpads.activation, left)
            return [*activations, *self._load_factor(scratchpads.weight, right)]
        tensors = [tensor for source in stored for tensor in source]
        activations = [] if self.flow.reads.held else self._load_activations(scratchpads.activation, tensors)
        return [*activations, *self._load_weights(scratchpads.weight)]

    @property
    def _output_tiles(self) -> Fills:
        """Output tiles, each from its first result to its store."""
        outputs = self.steps.outputs
        ends = np.flatnonzero(np.append(np.diff(outputs) != 0, True))
        first = self.now[np.append(0, ends[:-1] + 1)]
        sizes = np.full(len(ends), self.flow.footprint(self.tiling).output)
        return Fills(self.placement.output, sizes, first, self.now[ends])

    def _fills(self, turns: Turns, slots: Slots, sizes: Int64) -> Fills:
        """Tiles that fill slots, from their sizes."""
        last = np.zeros(len(sizes), np.int64)
        last[turns.number] = self.now  # of a tile's uses the last one stays
        return Fills(slots, sizes, self.now[turns.fills], last)

    def _load_activations(self, scratchpad: Scratchpad, stored: Sequence[Stored]) -> list[Moves]:
        steps = self.steps
        row, weight_tile = steps.row[steps.activations.fills], steps.weight_tile[steps.activations.fills]
        samples, features, first = (
            steps.rows.size[row],
            steps.weight_tiles.k_size[weight_tile],
            steps.weight_tiles.k_low[weight_tile],
        )
        if self.tiling.resident:
            features, first = np.full_like(row, self.tiling.k), np.zeros_like(row)
        rows, row_bytes = self._shape(samples, features, self.machine.operand)
        sizes = (rows - 1) * self._x.pitch + row_bytes
        if isinstance(self.flow.reads, ImageReads):
            sizes = self.flow.reads.tile_bytes(samples, features)
        if isinstance(self.flow, MixedFlow):
            sizes = np.full_like(sizes, self._place.end)  # integers are formed behind the floats
        fills = self._fills(steps.activations, self.placement.activation, sizes)
        before, image = scratchpad.place(fills), self.flow.product.image
        needed = image.pixels(steps.rows) if image else steps.rows
        for tensor in stored:
            before = np.maximum(before, tensor.written(needed)[row])
        once = steps.weight_tiles.tile[weight_tile] == 0  # the first pass of activations brings each tile once
        if image:
            low, count, read = steps.rows.low[row], samples, image
            if isinstance(self.flow.reads, ImageReads):
                read, (low, count) = self.flow.reads.padded, self.flow.reads.pixels(low, count)
                features = np.full_like(low, image.channels)
            tiles = np.stack([low, count, first, features, fills.addresses], axis=1)
            parts = gathered(read, tiles, self.placement.source, self._x, self.tables)
            loads = [Moves(self.number, before[part.owner], fills.first[part.owner], part.code) for part in parts]
            if self.receives:
                pixels = fresh(needed)
                some = once & (first == 0) & (pixels.size > 0)[row]
                mine = Cuts(pixels.low[row[some]], pixels.size[row[some]])
                code = received(mine, image.channels, self.placement.source)
                loads.insert(0, Moves(self.number, before[some], fills.first[some], code))
            return loads
        source = self.placement.source
        load = issue(
            LOAD,
            len(row),
            dram=source.at(steps.rows.low[row], first)[:, None],
            dram_stride=source.pitch,
            rows=rows[:, None],
            row_bytes=row_bytes[:, None],
            memory=Memory.ACTIVATION,
            address=fills.addresses[:, None],
            stride=self._x.pitch,
        )
        loads = [Moves(self.number, before, fills.first, load)]
        if self.receives:
            code = over_link(RECEIVE, Instructions(load.opcodes, load.operands[once]))
            loads.insert(0, Moves(self.number, before[once], fills.first[once], code))
        if isinstance(self.flow, MixedFlow):
            # a resident tile has integers whatever its first weight tile
            some = steps.weight_tiles.integers[weight_tile] | self.tiling.resident
            scales = fills._replace(slots=self.placement.scales, sizes=np.full_like(sizes, self.placement.scales.bytes))
            # a step ahead, so that the vector unit does not wait for the load while sums wait for it
            ahead = scratchpad.form(scales, np.maximum(before, fills.first - 1))
            code = self.flow.quantize(
                fills.addresses[some], scales.addresses[some], samples[some], features[some], self._x.pitch, self._place
            )
            loads += [Moves(self.number, ahead[some], fills.first[some], part) for part in each_one(code)]
        return loads

    def _load_weights(self, scratchpad: Scratchpad) -> list[Moves]:
        weight_tile = self.steps.weight_tile[self.steps.weights.fills]
        whole = np.where(self.steps.weight_tiles.last, self._constants_offset + self._constants_bytes, self.w_bytes)[
            weight_tile
        ]
        dram = self.placement.weight_tiles.address[weight_tile]
        storage, encoder = self.flow.product.storage, self.flow.encoder
        if storage and encoder:
            return self._expand_weights(scratchpad, storage, encoder, weight_tile, dram, whole)
        fills = self._fills(self.steps.weights, self.placement.weight, whole)
        before = scratchpad.place(fills)
        return [Moves(self.number, before, fills.first, runs(dram, fills.addresses, whole))]

    def _load_factor(self, scratchpad: Scratchpad, stored: Sequence[Stored]) -> list[Moves]:
        """Load tiles of a factor that others form, when all of it is there, and what stands behind each of them.

        Tiles that lie the other way round are loaded behind their slots, and transposed into them.
        """
        weight_tiles, flow = self.steps.weight_tiles, self.flow
        weight_tile = self.steps.weight_tile[self.steps.weights.fills]
        k, n, batch = (
            weight_tiles.k_size[weight_tile],
            weight_tiles.n_size[weight_tile],
            weight_tiles.batch[weight_tile],
        )
        whole = np.where(weight_tiles.last, self._constants_offset + self._constants_bytes, self.w_bytes)[weight_tile]
        staged, pitch = flow.staged_rows(self.tiling.tile_k, self.tiling.width)
        behind = flow.weight_tile_place(self.tiling.tile_k) if flow.transposes else 0
        sizes = np.full_like(whole, behind + staged * pitch) if behind else whole
        fills = self._fills(self.steps.weights, self.placement.weight, sizes)
        before = np.maximum(scratchpad.place(fills), max((tensor.complete for tensor in stored), default=0))
        place, machine = self.placement.factor, self.machine
        assert place  # noqa: S101 - there is a factor
        rows, row_bytes = flow.factor_rows(k, n)
        of_outputs = flow.reads_outputs
        first, inputs = weight_tiles.k_low[weight_tile], self.tiling.k
        row, column = oriented(first, weight_tiles.n_low[weight_tile], feature_major=of_outputs)
        row = row + batch * (self.tiling.n if of_outputs else inputs)
        load = issue(
            LOAD,
            len(weight_tile),
            dram=place.at(row, column)[:, None],
            dram_stride=place.pitch,
            rows=rows[:, None],
            row_bytes=row_bytes[:, None],
            memory=Memory.WEIGHT,
            address=(fills.addresses + behind)[:, None],
            stride=pitch if behind else row_bytes[:, None],
        )
        moves = [Moves(self.number, before, fills.first, load)]
        if behind:
            element = {1: ElementType.UINT8, 2: ElementType.INT16, 4: ElementType.INT32}[machine.operand.bits // 8]
            lines, elements = oriented(k, n, feature_major=of_outputs)
            move = turned(
                self.tables,
                element,
                (lines[:, None], elements[:, None]),
                Tile(Memory.WEIGHT, (fills.addresses + behind)[:, None], pitch),
                Tile(Memory.WEIGHT, fills.addresses[:, None], machine.operand.rows_bytes(lines)[:, None]),
            )
            moves.append(Moves(self.number, before, fills.first, move))
        stored_tiles = self.placement.weight_tiles
        number = weight_tile % len(stored_tiles.address)
        fixed = stored_tiles.weights[number]
        some = fixed > 0
        if some.any():  # what the dataflow wants behind each tile
            dram = stored_tiles.address[number]
            at = fills.addresses + self.w_bytes[weight_tile] - fixed
            moves.append(Moves(self.number, before[some], fills.first[some], runs(dram[some], at[some], fixed[some])))
        return [*moves, self._load_constants(fills, weight_tile, before)]

    def _load_constants(self, fills: Fills, weight_tile: Int64, before: Int64) -> Moves:
        """Load the constants of each column block's last tile, the same for all batches, apart from its weights."""
        last = np.flatnonzero(self.steps.weight_tiles.last[weight_tile])
        column, stored = weight_tile[last], self.placement.weight_tiles
        number = column % len(stored.address)
        constants = runs(
            stored.address[number] + stored.constants[number],
            fills.addresses[last] + self._constants_offset[column],
            self._constants_bytes[column],
        )
        return Moves(self.number, before[last], fills.first[last], constants)

    def _expand_weights(
        self, scratchpad: Scratchpad, storage: Storage, encoder: Encoder, weight_tile: Int64, dram: Int64, whole: Int64
    ) -> list[Moves]:
        """Load encoded weight tiles to their places and decode them into their slots; load constants straight there.

        The tile before in a shared place is expanded earlier in the program, so that its bytes are not overwritten.
        """
        stored = self.placement.weight_tiles.weights[weight_tile]
        if self.tiling.staging:
            places = self.placement.staging
            fills = self._fills(self.steps.weights, self.placement.weight, whole)
            at = scratchpad.place(fills, scratchpad.untouched(places, stored))
            at = latest_of_slot(at, len(places.addresses))
            staged = Fills(places, stored, at, at - 1)
            before, address = scratchpad.stage(staged), staged.addresses
        else:
            behind = self.flow.weight_tile_place(self.tiling.tile_k)
            fills = self._fills(self.steps.weights, self.placement.weight, behind + stored)
            before = at = scratchpad.place(fills)
            address = fills.addresses + behind
        decode = issue(
            DECODE,
            len(weight_tile),
            address=address[:, None],
            bytes=stored[:, None],
            result=fills.addresses[:, None],
            values=self.w_bytes[weight_tile, None],
            format=FORMATS.index(storage.format),
            bits=storage.bits,
            rows=encoder.rows(self.steps.weight_tiles.k_size[weight_tile], self.w_bytes[weight_tile])[:, None],
            group=storage.group,
            value_bits=storage.value_bits,
        )
        return [
            Moves(self.number, before, fills.first, runs(dram, address, stored)),
            Moves(self.number, at, fills.first, decode),
            self._load_constants(fills, weight_tile, at),
        ]

    def issued(self, kind: Int64) -> Instructions:
        """What steps of one kind issue, their loads left out."""
        steps, weight_tiles = self.steps, self.steps.weight_tiles
        row, weight_tile = steps.row[kind], steps.weight_tile[kind]
        m, tile = int(steps.rows.size[row[0]]), weight_tiles.tile[weight_tile]
        k, n = int(weight_tiles.k_size[weight_tile[0]]), int(weight_tiles.n_size[weight_tile[0]])
        x = x_slot = taken(self.placement.activation, steps.activations.number[kind])
        if self.flow.reads.held:
            x = self.flow.reads.first(steps.rows.low[row])
        first_group = weight_tiles.k_low[weight_tile, None] < self.tiling.group
        reads = self.flow.reads if isinstance(self.flow.reads, ImageReads) else None
        if self.tiling.resident and not reads:
            x = x + self._x.at(np.zeros_like(weight_tile), weight_tiles.k_low[weight_tile])
        w = taken(self.placement.weight, steps.weights.number[kind])[:, None]
        sums = taken(self.placement.accumulator, steps.sums[kind])[:, None]
        adds = np.where(weight_tiles.first[weight_tile, None], 0, 1)
        x_tiles = Matrices(x[:, None], self._x, reads, weight_tiles.k_low[weight_tile, None])
        sums_tiles = Matrices(sums, self._sums)
        tiles = Tiles(m, k, n, x_tiles, w, self.w_bytes[weight_tile, None], sums_tiles, adds)
        if isinstance(self.flow, MixedFlow) and weight_tiles.integers[weight_tile[0]]:
            low = weight_tiles.k_low[weight_tile, None]
            # groups in turn, whatever the block; a group's weight tiles follow each other
            turn = steps.groups[kind]
            partial = taken(self.placement.partial, turn)[:, None]
            low = low if self.tiling.resident else np.zeros_like(low)
            tiles = tiles._replace(x=Matrices(x_slot[:, None], self._x), adds=np.where(first_group, 0, 1))
            scaled = bool(weight_tiles.scaled[weight_tile[0]])
            scales = taken(self.placement.scales, steps.activations.number[kind])[:, None]
            code = self.flow.integer_products(tiles, self._place, low, scales, partial, scaled=scaled)
        else:
            code = self.flow.products(tiles)
        if not weight_tiles.last[weight_tile[0]]:
            return code
        target = self.flow.target
        if target:
            at = target.place.at(steps.rows.low[row], weight_tiles.n_low[weight_tile])
            constants = w + self._constants_offset[weight_tile, None]
            return joined(code, *self._results_held(target, (m, n), sums, constants, at))
        out, (rows, columns) = taken(self.placement.output, steps.outputs[kind]), self._oriented(m, n)
        address = out + self._out.at(
            np.zeros_like(weight_tile), weight_tiles.n_low[weight_tile] - steps.tiles.low[tile]
        )
        result = self._results(rows, columns, sums, w + self._constants_offset[weight_tile, None], address[:, None])
        if not weight_tiles.done[weight_tile[0]]:
            return joined(code, result)
        place = self.placement.target
        dram = place.at(steps.rows.low[row], steps.tiles.low[tile])[:, None]
        rows_out, row_bytes = self._shape(np.full_like(row, m), steps.tiles.size[tile], self.flow.result)
        store = issue(
            STORE,
            len(kind),
            dram=dram,
            dram_stride=place.pitch,
            rows=rows_out[:, None],
            row_bytes=row_bytes[:, None],
            memory=Memory.OUTPUT,
            address=out[:, None],
            stride=self._out.pitch,
        )
        return joined(code, result, store, *((over_link(SEND, store),) if self.sends else ()))

    def _results_held(
        self, target: Held, shape: tuple[int, int], sums: Int64, constants: Int64, address: Int64
    ) -> list[Instructions]:
        """Turn blocks of sums into what stays on chip, line by line if padding lies between the lines."""
        rows, columns = shape
        lines = rows // target.width if target.lined else 1
        each = rows // lines
        return [
            self._results(
                each,
                columns,
                sums + line * each * self._sums.pitch,
                constants,
                address[:, None] + line * target.line,
            )
            for line in range(lines)
        ]

    def _results(self, rows: int, columns: int, sums: Int64, constants: Int64, address: Int64) -> Instructions:
        """Turn blocks of sums into the next layer's operands."""
        product = self.flow.product
        shared: dict[str, int | Int64] = {
            "sums": sums,
            "sums_stride": self._sums.pitch,
            "rows": rows,
            "columns": columns,
            "constants": constants,
            "address": address,
            "stride": self._out.pitch,
            "row_channels": int(self.machine.feature_major),
        }
        if isinstance(product.output, Float):
            return issue(ACTIVATE, len(sums), 1, relu=int(product.results.relu), **shared)
        qmin, qmax = product.clamp
        return issue(
            REQUANTIZE,
            len(sums),
            1,
            zero_point=product.output.zero_point,
            qmin=qmin,
            qmax=qmax,
            rounding=requantize.MODES.index(product.results.rounding),
            result_bits=self.flow.result.bits,
            **shared,
        )

    def _oriented(self, samples: Count, features: Count) -> tuple[Count, Count]:
        return oriented(samples, features, feature_major=self.machine.feature_major)

    def _shape(self, samples: Int64, features: Int64, operand: Operand) -> tuple[Int64, Int64]:
        """Rows of operands of a type, and bytes of a row."""
        rows, elements = self._oriented(samples, features)
        return rows, operand.rows_bytes(elements)
