"""Pass 4: the order of instructions, with loads hoisted as far as double buffering wants them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from accelsim.compiler.lowering import Gemm, Lowering, Placement
from accelsim.compiler.slots import Slots
from accelsim.compiler.tiles import (
    Chunk,
    Span,
    Step,
    Tiling,
    activation_pitch,
    chunk_bytes,
    constants_offset,
    output_pitch,
    sums_pitch,
)
from accelsim.compiler.tiling import PREFETCH
from accelsim.config.arch import Machine
from accelsim.datapath import requantize
from accelsim.errors import DefectError
from accelsim.isa import opcodes
from accelsim.isa.opcodes import INSTRUCTION, LOAD, MATMUL, NONE, OPERANDS, PRELOAD, REQUANTIZE, STORE, Memory

Operands = opcodes.Transfer | opcodes.Preload | opcodes.Matmul | opcodes.Requantize
Emitted = tuple[int, int, Operands]  # opcode, layer, operands


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
    """

    held: list[tuple[int, int, _Tile]] = field(default_factory=list)
    history: list[_Tile] = field(default_factory=list)

    def place(self, low: int, high: int, step: int, ahead: int) -> tuple[_Tile, int]:
        """Tile in [low, high) that step `step` needs first, and the step before which it is loaded."""
        legal = max((t.last + 1 for a, b, t in self.held if a < high and low < b), default=0)
        wanted = self.history[-ahead].first if ahead and len(self.history) >= ahead else 0
        tile = _Tile(step, step)
        rest = [part for a, b, t in self.held for part in ((a, min(b, low), t), (max(a, high), b, t))]
        self.held = [(a, b, t) for a, b, t in rest if a < b]
        self.held.append((low, high, tile))
        self.history = [*self.history[-PREFETCH:], tile]
        return tile, min(step, max(legal, wanted))


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

    machine: Machine
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
    """Emits the steps of one layer to the stream."""

    def __init__(self, stream: _Stream, number: int, gemm: Gemm, tiling: Tiling, placement: Placement) -> None:
        self.stream = stream
        self.number = number
        self.gemm = gemm
        self.tiling = tiling
        self.placement = placement
        self.activations = _Ring(placement.activation)
        self.weights = _Ring(placement.weight)
        self.sums = _Ring(placement.accumulator)
        self.outputs = _Ring(placement.output)
        self.activation_pitch = activation_pitch(tiling, stream.machine)
        self.output_pitch = output_pitch(tiling, stream.machine)

    def run(self) -> None:
        """Emit all steps."""
        chunks = self.tiling.chunks()
        stored: list[tuple[Span, int]] = []
        for step in self.tiling.steps():
            chunk = chunks[step.chunk]
            x = self._activations(step, chunk)
            w = self._weights(step, chunk)
            sums, _ = self.sums.find((step.m, chunk.n))
            code = self._products(step, chunk, x, w, sums)
            if step.last:
                out, _ = self.outputs.find((step.m, step.tile))
                code.append(self._requantize(step, chunk, w, sums, out))
                if step.done:
                    code.append(self._store(step, out))
                    stored.append((step.m, len(self.stream.steps)))
            self.stream.steps.append(code)
        self.stream.stored = stored

    def _load(self, transfer: opcodes.Transfer, ring: _Ring, not_before: int) -> None:
        size = (transfer.rows - 1) * transfer.stride + transfer.row_bytes
        ahead = min(len(ring.slots.addresses), PREFETCH) - 1
        loads = self.stream.scratchpads[ring.slots.memory]
        tile, at = loads.place(transfer.address, transfer.address + size, len(self.stream.steps), ahead)
        ring.tiles[transfer.address] = tile
        self.stream.loads.append((max(at, not_before), (LOAD, self.number, transfer)))

    def _activations(self, step: Step, chunk: Chunk) -> int:
        """Address of the step's activations, which are loaded if they are not there."""
        k = self.gemm.k
        part = Span(0, k) if self.tiling.resident else chunk.k
        address, there = self.activations.find((step.m, part))
        if not there:
            # what the layer before stored can be read after its stores
            overlapping = (s for m, s in self.stream.stored if m.low < step.m.high and step.m.low < m.high)
            written = max((s + 1 for s in overlapping), default=0)
            dram = self.placement.source + step.m.low * k + part.low
            pitch = self.activation_pitch
            transfer = opcodes.Transfer(dram, k, step.m.size, part.size, Memory.ACTIVATION, address, pitch)
            self._load(transfer, self.activations, written)
        self.activations.tiles[address].last = len(self.stream.steps)
        return address + chunk.k.low - part.low

    def _weights(self, step: Step, chunk: Chunk) -> int:
        """Address of the step's weight chunk, which is loaded if it is not there."""
        address, there = self.weights.find(step.chunk)
        if not there:
            size = chunk_bytes(chunk, self.stream.machine)
            dram = self.placement.chunks[step.chunk]
            self._load(opcodes.Transfer(dram, size, 1, size, Memory.WEIGHT, address, size), self.weights, 0)
        self.weights.tiles[address].last = len(self.stream.steps)
        return address

    def _products(self, step: Step, chunk: Chunk, x: int, w: int, sums: int) -> list[Emitted]:
        """Preload and matmul of each fold of the chunk."""
        code: list[Emitted] = []
        n = chunk.n.size
        for fold in self.tiling.folds(chunk):
            begins = step.first and fold.low == chunk.k.low
            product = opcodes.Matmul(
                address=x + fold.low - chunk.k.low,
                stride=self.activation_pitch,
                rows=step.m.size,
                depth=fold.size,
                columns=n,
                sums=sums,
                sums_stride=sums_pitch(self.tiling),
                accumulate=int(not begins),
                signed=int(self.gemm.layer.input.signed),
            )
            code.append((PRELOAD, self.number, opcodes.Preload(w, n, fold.size, n)))
            code.append((MATMUL, self.number, product))
            w += fold.size * n
        return code

    def _requantize(self, step: Step, chunk: Chunk, w: int, sums: int, out: int) -> Emitted:
        layer = self.gemm.layer
        low, high = layer.clamp
        operands = opcodes.Requantize(
            sums=sums,
            sums_stride=sums_pitch(self.tiling),
            rows=step.m.size,
            columns=chunk.n.size,
            constants=w + constants_offset(chunk, self.stream.machine),
            address=out + chunk.n.low - step.tile.low,
            stride=self.output_pitch,
            zero_point=layer.output.zero_point,
            qmin=low,
            qmax=high,
            rounding=requantize.MODES.index(layer.rounding),
        )
        return REQUANTIZE, self.number, operands

    def _store(self, step: Step, out: int) -> Emitted:
        operands = opcodes.Transfer(
            dram=self.placement.target + step.m.low * self.gemm.n + step.tile.low,
            dram_stride=self.gemm.n,
            rows=step.m.size,
            row_bytes=step.tile.size,
            memory=Memory.OUTPUT,
            address=out,
            stride=self.output_pitch,
        )
        return STORE, self.number, operands


def schedule(lowering: Lowering, machine: Machine) -> Lowering:
    """Emit every layer's steps and put the loads between them."""
    stream = _Stream(machine)
    layers = zip(lowering.gemms, lowering.tilings, lowering.placements, strict=True)
    for number, (gemm, tiling, placement) in enumerate(layers):
        _LayerScheduler(stream, number, gemm, tiling, placement).run()
    code = stream.emitted()
    instructions = np.zeros(len(code), INSTRUCTION)
    instructions["opcode"] = [opcode for opcode, _, _ in code]
    instructions["layer"] = [layer for _, layer, _ in code]
    instructions["operands"] = [(*operands, *(0,) * (OPERANDS - len(operands))) for _, _, operands in code]
    instructions["signal"] = NONE
    instructions["wait"] = NONE
    return dataclasses.replace(lowering, instructions=instructions)


def check(lowering: Lowering, machine: Machine) -> None:  # noqa: ARG001
    """All products are formed once, and every byte of every output is stored once."""
    code = lowering.instructions
    for number, gemm in enumerate(lowering.gemms):
        of_layer = code[code["layer"] == number]
        matmuls = of_layer[of_layer["opcode"] == MATMUL]["operands"]
        products = int((matmuls[:, 2] * matmuls[:, 3] * matmuls[:, 4]).sum())
        stores = of_layer[of_layer["opcode"] == STORE]["operands"]
        stored = int((stores[:, 2] * stores[:, 3]).sum())
        if products != gemm.m * gemm.k * gemm.n or stored != gemm.m * gemm.n:
            raise DefectError(
                f"layer {gemm.layer.name}: must form {gemm.m * gemm.k * gemm.n} products and store "
                f"{gemm.m * gemm.n} bytes, not {products} and {stored}"
            )
