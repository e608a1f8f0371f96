"""Pass 4: the order of instructions, with loads hoisted as far as double buffering wants them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from accelsim.compiler.allocate import stored_constants_offset
from accelsim.compiler.dataflow import Dataflow, Tile
from accelsim.compiler.lowering import Lowering, Placement
from accelsim.compiler.slots import Slots
from accelsim.compiler.tiles import (
    Chunk,
    Place,
    Span,
    Step,
    Tiling,
    operands_shape,
    oriented,
    sums_shape,
)
from accelsim.compiler.tiling import PREFETCH
from accelsim.config.arch import Machine
from accelsim.datapath import requantize
from accelsim.errors import DefectError
from accelsim.formats.storage import FORMATS, Storage
from accelsim.golden.network import FloatLayer
from accelsim.isa import opcodes
from accelsim.isa.opcodes import (
    ACTIVATE,
    DECODE,
    INSTRUCTION,
    LOAD,
    NONE,
    OPERANDS,
    RECEIVE,
    REQUANTIZE,
    SEND,
    STORE,
    Memory,
)

Emitted = tuple[int, int, opcodes.Operands]  # opcode, layer, operands


@dataclass(slots=True)
class _Tile:
    """A tile that is loaded into a scratchpad: the steps that use it first and last."""

    first: int
    last: int


@dataclass(slots=True)
class _Loads:
    """Loads of one scratchpad, each at the step before which it is emitted.

    A load is emitted just before the first use of the tile that was loaded `ahead` loads before it, and after the
    last use of all bytes that it overwrites. With two slots that is the classical order: load 0, load 1, compute 0,
    load 2, compute 1.

    Parameters
    ----------
    held
        Byte ranges and the tile whose bytes they hold; a tile that is partly overwritten keeps the rest.
    expansions
        Steps before which the last encoded tiles are expanded.
    """

    held: list[tuple[int, int, _Tile]] = field(default_factory=list)
    history: list[_Tile] = field(default_factory=list)
    expansions: list[int] = field(default_factory=list)

    def place(self, low: int, high: int, step: int, ahead: int, not_before: int = 0) -> tuple[_Tile, int]:
        """Tile in [low, high) that step `step` needs first, and the step before which it is loaded."""
        legal = max(self.legal(low, high), not_before)
        wanted = self.history[-ahead].first if ahead and len(self.history) >= ahead else 0
        tile = _Tile(step, step)
        self._hold(low, high, tile)
        self.history = [*self.history[-PREFETCH:], tile]
        return tile, min(step, max(legal, wanted))

    def stage(self, low: int, high: int, expanded: int, ahead: int) -> int:
        """Step before which [low, high) is loaded with an encoded tile that is expanded before step `expanded`."""
        legal = self.legal(low, high)
        wanted = self.expansions[-ahead] if ahead and len(self.expansions) >= ahead else 0
        self._hold(low, high, _Tile(expanded - 1, expanded - 1))
        self.expansions = [*self.expansions[-PREFETCH:], expanded]
        return min(expanded, max(legal, wanted))

    def legal(self, low: int, high: int) -> int:
        """First step before which nothing uses what [low, high) holds any more."""
        return max((t.last + 1 for a, b, t in self.held if a < high and low < b), default=0)

    def _hold(self, low: int, high: int, tile: _Tile) -> None:
        rest = [part for a, b, t in self.held for part in ((a, min(b, low), t), (max(a, high), b, t))]
        self.held = [(a, b, t) for a, b, t in rest if a < b]
        self.held.append((low, high, tile))


@dataclass(slots=True)
class _Ring:
    """Slots of one layer and memory that take turns, first in, first out."""

    slots: Slots
    keys: dict[object, int] = field(default_factory=dict)
    turn: int = 0
    tiles: dict[int, _Tile] = field(default_factory=dict)  # what loads brought, by address

    def find(self, key: object) -> tuple[int, bool]:
        """Address of the slot that holds a key, and whether it was there already."""
        if key in self.keys:
            return self.slots.addresses[self.keys[key]], True
        slot = self.turn
        self.turn = (slot + 1) % len(self.slots.addresses)
        self.keys = {k: s for k, s in self.keys.items() if s != slot}
        self.keys[key] = slot
        return self.slots.addresses[slot], False


@dataclass(slots=True)
class _Stream:
    """The schedule of all layers so far.

    Parameters
    ----------
    steps
        Instructions of each step, loads left out.
    loads
        Each load and the step before which it is emitted.
    stored
        Rows that each store of the last finished layer wrote, and its step.
    """

    steps: list[list[Emitted]] = field(default_factory=list)
    loads: list[tuple[int, Emitted]] = field(default_factory=list)
    scratchpads: dict[Memory, _Loads] = field(
        default_factory=lambda: {Memory.ACTIVATION: _Loads(), Memory.WEIGHT: _Loads()}
    )
    stored: list[tuple[Span, int]] = field(default_factory=list)

    def emitted(self) -> list[Emitted]:
        """All instructions in program order."""
        before: dict[int, list[Emitted]] = {}
        for step, load in self.loads:
            before.setdefault(step, []).append(load)
        return [e for i, code in enumerate(self.steps) for e in (*before.get(i, ()), *code)]


class _LayerScheduler:
    """Emits the steps of one layer to the stream.

    Parameters
    ----------
    crosses
        Whether the layer's input comes, and its output goes, over the host's link.
    """

    def __init__(
        self,
        stream: _Stream,
        number: int,
        flow: Dataflow,
        tiling: Tiling,
        placement: Placement,
        crosses: tuple[bool, bool],
    ) -> None:
        self.stream = stream
        self.number = number
        self.flow = flow
        self.machine = flow.machine
        self.tiling = tiling
        self.placement = placement
        self.receives, self.sends = crosses
        self.received: set[tuple[Span, Span]] = set()
        self.activations = _Ring(placement.activation)
        self.weights = _Ring(placement.weight)
        self.staging = _Ring(placement.staging)
        self.sums = _Ring(placement.accumulator)
        self.outputs = _Ring(placement.output)
        _, self.activation_pitch = operands_shape(tiling.tile_m, tiling.features, self.machine, self.machine.activation)
        _, self.output_pitch = operands_shape(tiling.tile_m, tiling.tile_n, self.machine, self.machine.output)
        _, self.sums_pitch = sums_shape(tiling.tile_m, tiling.width, self.machine)

    def run(self) -> None:
        """Emit all steps."""
        chunks = self.tiling.chunks()
        stored: list[tuple[Span, int]] = []
        for step in self.tiling.steps():
            chunk = chunks[step.chunk]
            x = self._activations(step, chunk)
            w = self._weights(step, chunk)
            address, _ = self.sums.find((step.m, chunk.n))
            sums = Place(address, self.sums_pitch, self.machine.feature_major, self.machine.operand.sum_bits)
            tile = Tile(step.m.size, chunk, x, w, sums, step.first)
            code = [(opcode, self.number, operands) for opcode, operands in self.flow.products(tile)]
            if step.last:
                address, _ = self.outputs.find((step.m, step.tile))
                out = Place(address, self.output_pitch, self.machine.feature_major, self.machine.operand.bits)
                code.append(self._results(step, chunk, w, sums, out))
                if step.done:
                    store = self._transfer(self.placement.target, step.m, step.tile, Memory.OUTPUT, out)
                    code.append((STORE, self.number, store))
                    if self.sends:
                        code.append((SEND, self.number, opcodes.HostTransfer(*store[:4])))
                    stored.append((step.m, len(self.stream.steps)))
            self.stream.steps.append(code)
        self.stream.stored = stored

    def _oriented(self, samples: int, features: int) -> tuple[int, int]:
        return oriented(samples, features, feature_major=self.machine.feature_major)

    def _transfer(self, outside: Place, m: Span, f: Span, memory: Memory, inside: Place) -> opcodes.Transfer:
        """Move samples m and features f between a matrix in DRAM and a tile that begins with them."""
        rows, elements = self._oriented(m.size, f.size)
        return opcodes.Transfer(
            dram=outside.at(m.low, f.low),
            dram_stride=outside.pitch,
            rows=rows,
            row_bytes=self.machine.operand.row_bytes(elements),
            memory=memory,
            address=inside.address,
            stride=inside.pitch,
        )

    def _load(self, transfer: opcodes.Transfer, ring: _Ring, not_before: int, *, receive: bool = False) -> None:
        """Load a tile, which the host has to send first if `receive`."""
        size = (transfer.rows - 1) * transfer.stride + transfer.row_bytes
        at = max(self._place(ring, transfer.address, size), not_before)
        if receive:
            self.stream.loads.append((at, (RECEIVE, self.number, opcodes.HostTransfer(*transfer[:4]))))
        self.stream.loads.append((at, (LOAD, self.number, transfer)))

    def _place(self, ring: _Ring, address: int, size: int, not_before: int = 0) -> int:
        """Step before which a slot is filled that the next step uses."""
        loads = self.stream.scratchpads[ring.slots.memory]
        tile, at = loads.place(address, address + size, len(self.stream.steps), _ahead(ring), not_before)
        ring.tiles[address] = tile
        return at

    def _activations(self, step: Step, chunk: Chunk) -> Place:
        """The step's activations, which are loaded if they are not there."""
        part = Span(0, self.flow.gemm.k) if self.tiling.resident else chunk.k
        address, there = self.activations.find((step.m, part))
        place = Place(address, self.activation_pitch, self.machine.feature_major, self.machine.operand.bits)
        if not there:
            # what the layer before stored can be read after its stores
            overlapping = (s for m, s in self.stream.stored if m.low < step.m.high and step.m.low < m.high)
            written = max((s + 1 for s in overlapping), default=0)
            self._load(
                self._transfer(self.placement.source, step.m, part, Memory.ACTIVATION, place),
                self.activations,
                written,
                receive=self.receives and (step.m, part) not in self.received,
            )
            self.received.add((step.m, part))
        self.activations.tiles[address].last = len(self.stream.steps)
        return place._replace(address=place.at(0, chunk.k.low - part.low))

    def _weights(self, step: Step, chunk: Chunk) -> int:
        """Address of the step's weight chunk, which is loaded if it is not there."""
        address, there = self.weights.find(step.chunk)
        if not there:
            dram = self.placement.chunks[step.chunk]
            storage = self.flow.gemm.layer.storage
            if storage is None:
                self._load(_run(dram, address, self.flow.chunk_bytes(chunk)), self.weights, 0)
            else:
                self._expand(chunk, storage, dram, address)
        self.weights.tiles[address].last = len(self.stream.steps)
        return address

    def _expand(self, chunk: Chunk, storage: Storage, dram: int, address: int) -> None:
        """Load an encoded chunk to its place and decode it into its slot; load its constants straight there.

        The chunk before in a shared place is expanded earlier in the program, so that its bytes are not overwritten.
        """
        size = len(self.flow.stored(chunk))
        if self.tiling.staging:
            staged, _ = self.staging.find((len(self.stream.steps), address))
            loads = self.stream.scratchpads[Memory.WEIGHT]
            at = self._place(self.weights, address, self.flow.chunk_bytes(chunk), loads.legal(staged, staged + size))
            before = loads.stage(staged, staged + size, at, _ahead(self.staging))
        else:
            staged = address + self.flow.chunk_place(self.tiling.tile_k)
            before = at = self._place(self.weights, address, staged + size - address)
        self.stream.loads.append((before, (LOAD, self.number, _run(dram, staged, size))))
        number, values = FORMATS.index(storage.format), self.flow.weights_bytes(chunk)
        decode = opcodes.Decode(staged, size, address, values, number, storage.bits, rows=1, group=storage.group)
        self.stream.loads.append((at, (DECODE, self.number, decode)))
        if chunk.last:
            source = dram + stored_constants_offset(self.flow, chunk)
            constants = self.machine.constant_bytes * chunk.n.size
            transfer = _run(source, address + self.flow.constants_offset(chunk), constants)
            self.stream.loads.append((at, (LOAD, self.number, transfer)))

    def _results(self, step: Step, chunk: Chunk, w: int, sums: Place, out: Place) -> Emitted:
        """Turn a block of sums into the next layer's operands."""
        layer = self.flow.gemm.layer
        rows, columns = self._oriented(step.m.size, chunk.n.size)
        constants = w + self.flow.constants_offset(chunk)
        address = out.at(0, chunk.n.low - step.tile.low)
        row_channels = int(self.machine.feature_major)
        tile = (sums.address, sums.pitch, rows, columns, constants, address, out.pitch)
        if isinstance(layer, FloatLayer):
            return ACTIVATE, self.number, opcodes.Activate(*tile, int(layer.relu), row_channels)
        mode = requantize.MODES.index(layer.rounding)
        operands = opcodes.Requantize(*tile, layer.output.zero_point, *layer.clamp, mode, row_channels)
        return REQUANTIZE, self.number, operands


def _ahead(ring: _Ring) -> int:
    """Slots that are filled before the one in use is free again."""
    return min(len(ring.slots.addresses), PREFETCH) - 1


def _run(dram: int, address: int, size: int) -> opcodes.Transfer:
    """Move a run of bytes into the weight scratchpad."""
    return opcodes.Transfer(dram, size, 1, size, Memory.WEIGHT, address, size)


def schedule(lowering: Lowering, machine: Machine) -> Lowering:
    """Emit every layer's steps and put the loads between them."""
    stream = _Stream()
    layers = zip(lowering.flows, lowering.tilings, lowering.placements, strict=True)
    link, last = machine.host.io_bandwidth_bytes_per_s is not None, len(lowering.flows) - 1
    alone = lowering.network.independent
    for number, (flow, tiling, placement) in enumerate(layers):
        crosses = link and (alone or number == 0), link and (alone or number == last)
        if alone:
            stream.stored = []  # nothing that the layer before has stored is read
        _LayerScheduler(stream, number, flow, tiling, placement, crosses).run()
    code = stream.emitted()
    instructions = np.zeros(len(code), INSTRUCTION)
    instructions["opcode"] = [opcode for opcode, _, _ in code]
    instructions["layer"] = [layer for _, layer, _ in code]
    instructions["operands"] = [(*operands, *(0,) * (OPERANDS - len(operands))) for _, _, operands in code]
    instructions["signal"] = NONE
    instructions["wait"] = NONE
    return dataclasses.replace(lowering, instructions=instructions)


def check(lowering: Lowering, machine: Machine) -> None:
    """All products are formed once, and every byte of every output is stored once."""
    code = lowering.instructions
    for number, flow in enumerate(lowering.flows):
        gemm = flow.gemm
        of_layer = code[code["layer"] == number]
        formed = int(opcodes.products(of_layer).sum())
        stores = of_layer[of_layer["opcode"] == STORE]["operands"]
        stored = int((stores[:, 2] * stores[:, 3]).sum())
        rows, elements = oriented(gemm.m, gemm.n, feature_major=machine.feature_major)
        whole = rows * machine.operand.row_bytes(elements)
        if formed != gemm.m * gemm.k * gemm.n or stored != whole:
            raise DefectError(
                f"layer {gemm.layer.name}: must form {gemm.m * gemm.k * gemm.n} products and store {whole} bytes, "
                f"not {formed} and {stored}"
            )
