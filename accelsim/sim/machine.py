"""The machine that a program runs on: what one instruction does and takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.config import datapaths
from accelsim.config.arch import BankedDram, Machine
from accelsim.config.operands import INTEGERS
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.datapath import activate, requantize
from accelsim.datapath.outer_product import OuterProduct
from accelsim.isa import descriptors, opcodes
from accelsim.isa.accesses import Accesses
from accelsim.isa.descriptors import Descriptor
from accelsim.isa.opcodes import OPCODES, Memory
from accelsim.isa.program import KeptInfo, Program
from accelsim.memory.region import Region, words
from accelsim.memory.requests import Channel
from accelsim.sim import matrix
from accelsim.sim.decode import DecodeUnit
from accelsim.sim.host import HostUnit
from accelsim.sim.memories import Memories
from accelsim.sim.rows import RowUnit
from accelsim.sim.tiles import TileUnit
from accelsim.sim.timing import Timing
from accelsim.sim.vector import Tilewise, VectorUnit

_ISSUE = Event(Component.HOST, Operation.ISSUE, 32)


class Core:
    """Executes single instructions: moves the bytes, counts the events, says the time.

    Most instructions take what their operands say, whatever the bytes; those can be moved and timed apart.

    Parameters
    ----------
    touched
        What the program touches, if that is known.

    Attributes
    ----------
    counters
        One table of events a layer, filled as instructions execute.
    effectual
        Products of each layer whose factors are both nonzero, so far.
    kept
        Numbers of the values on chip that were whole so far; (samples, features).
    """

    def __init__(self, program: Program, machine: Machine, touched: Accesses | None = None) -> None:
        self.machine = machine
        self._touched = touched
        self.values = not program.header.timing_only
        self.windows = [Descriptor.read(record) for record in program.descriptors]
        self.memories = Memories(program, machine, touched)
        self.matrix = matrix.of(machine, self.memories)
        self.vector = VectorUnit(machine, self.memories)
        self.tiles = TileUnit(machine, self.memories, program.tables)
        self.rows = RowUnit(machine, self.memories, program.tables)
        # an outer-product unit sees zeros as activations are written to their scratchpad
        config = machine.matrix
        self.zero_detectors = OuterProduct.of(config) if isinstance(config, datapaths.OuterProduct) else None
        self.decode = DecodeUnit(machine, self.memories)
        self.host = HostUnit(machine, self.memories, program.header.computations)
        self.counters: list[Counters] = [{} for _ in program.header.layers]
        self.effectual = [0] * len(program.header.layers)
        self.kept: dict[str, NDArray[np.generic]] = {}
        self._whole_after: dict[int, list[KeptInfo]] = {}
        for info in program.header.kept:
            self._whole_after.setdefault(info.whole_after, []).append(info)

    def execute(self, record: np.void) -> Timing:
        """Do what one verified instruction does, count its events, and say what it takes."""
        opcode, layer, operands = _read(record)
        counters = self.counters[layer]
        if isinstance(operands, opcodes.Decode):
            count(counters, _ISSUE, 1)
            return self.decode.execute(counters, operands)
        if self.values:
            self._move(opcode, layer, operands)
        return self._take(counters, opcode, operands)

    def depends_on_data(self, opcode: int) -> bool:
        """Whether what an instruction takes depends on the bytes that it finds, so that only `execute` tells it."""
        return opcode == opcodes.DECODE or (
            self.matrix.data_dependent and opcode in {opcodes.PRELOAD_MASK, *opcodes.PRODUCTS}
        )

    @property
    def pauses(self) -> list[int]:
        """Instructions after which `keep` reads what is whole then, ascending."""
        return sorted(self._whole_after) if self.values else []

    def keep(self, instruction: int) -> None:
        """Read the values on chip that are whole after an instruction, which has just been executed."""
        if self.values:
            for info in self._whole_after.get(instruction, ()):
                self.kept[info.name] = info.read(self.memories.arrays[Memory.ACTIVATION]).copy()

    def few(self, program: Program) -> NDArray[np.void]:
        """Instructions of a program, each that differs from the others at least once."""
        return program.instructions[self._touched.kinds.first] if self._touched else program.instructions

    def needs_data(self, program: Program) -> bool:
        """Whether what any instruction of a program takes depends on bytes."""
        return any(map(self.depends_on_data, set(self.few(program)["opcode"].tolist())))

    def move(self, record: np.void) -> None:
        """Do what an instruction does whose time and events `take` tells."""
        self._move(*_read(record))

    def take(self, counters: Counters, record: np.void) -> Timing:
        """Count an instruction's events and say what it takes."""
        opcode, _, operands = _read(record)
        return self._take(counters, opcode, operands)

    def _move(self, opcode: int, layer: int, operands: opcodes.Operands) -> None:
        if isinstance(operands, Tilewise):
            self.vector.move(opcode, operands)
            return
        match operands:
            case opcodes.Transfer():
                source, result = self.memories.tiles.of(opcode, operands)
                self.memories.bytes(result.memory, result.region)[:] = self.memories.rows(*source)
            case opcodes.Gather() | opcodes.Scatter():
                self._move_window(operands)
            case opcodes.Map() | opcodes.Reduce() | opcodes.Move():
                self.tiles.move(operands)
            case opcodes.Rows():
                self.rows.move(operands)
            case opcodes.HostTransfer():
                self.host.move(operands, receive=opcode == opcodes.RECEIVE)
            case opcodes.Compute():
                self.host.compute(operands)
            case opcodes.Requantize():
                self._requantize(operands)
            case opcodes.Activate():
                self._activate(operands)
            case _:
                self.effectual[layer] += self.matrix.move(operands)

    def _take(  # noqa: PLR0911 - one an operand list
        self, counters: Counters, opcode: int, operands: opcodes.Operands
    ) -> Timing:
        count(counters, _ISSUE, 1)
        if isinstance(operands, Tilewise):
            return self.vector.take(counters, opcode, operands)
        match operands:
            case opcodes.Transfer():
                return self._transfer(counters, opcode, operands)
            case opcodes.Gather() | opcodes.Scatter():
                return self._window(counters, operands)
            case opcodes.Map() | opcodes.Reduce() | opcodes.Move():
                return self.tiles.take(counters, operands)
            case opcodes.Rows():
                return self.rows.take(counters, operands)
            case opcodes.HostTransfer():
                return self._host_transfer(counters, operands, receive=opcode == opcodes.RECEIVE)
            case opcodes.Compute():
                return self.host.take(counters, operands)
            case opcodes.Requantize():
                mode = requantize.MODES[operands.rounding]
                requantize.events(counters, operands.rows * operands.columns, mode)
                return self._results(counters, opcode, operands)
            case opcodes.Activate():
                activate.events(counters, operands.rows * operands.columns)
                return self._results(counters, opcode, operands)
            case _:
                return self.matrix.take(counters, operands)

    def _transfer(self, counters: Counters, opcode: int, t: opcodes.Transfer) -> Timing:
        load, tiles = opcode == opcodes.LOAD, self.memories.tiles.of(opcode, t)
        outside, inside = tiles if load else tiles[::-1]
        bursts = words(outside.bytes, self.machine.dram.burst_bytes)
        self._count_bursts(counters, bursts, write=not load)
        accesses = self.memories.port(counters, *inside, Operation.SRAM_WRITE if load else Operation.SRAM_READ)
        if load:
            self._detect(counters, inside.memory, t.rows * t.row_bytes)
        return Timing(1, 1, bursts=bursts, words=accesses, outside=outside.bytes, writes=not load)

    def _window(self, counters: Counters, t: opcodes.Gather | opcodes.Scatter) -> Timing:
        """A window between DRAM and a scratchpad: what is padding passes the scratchpad's port alone."""
        load, memory = isinstance(t, opcodes.Gather), Memory(t.memory)
        window = descriptors.window(self.windows[t.descriptor], *t[4:])
        outside, inside = window.outside, window.inside.moved(t.address)
        if isinstance(t, opcodes.Gather):
            channel = Channel.of(self.machine)
            outside = descriptors.requested(self.windows[t.descriptor], t.row, t.column, t.dram, channel)
        outside = outside.moved(t.dram)
        bursts = words(outside, self.machine.dram.burst_bytes)
        self._count_bursts(counters, bursts, write=not load)
        accesses = self.memories.port(counters, memory, inside, Operation.SRAM_WRITE if load else Operation.SRAM_READ)
        if load:
            self._detect(counters, memory, inside.bytes)
        return Timing(1, 1, bursts=bursts, words=accesses, outside=outside, writes=not load)

    def _move_window(self, t: opcodes.Gather | opcodes.Scatter) -> None:
        window = self.windows[t.descriptor]
        dram, chip, there = descriptors.places(window, *t[4:])
        inside = self.memories.arrays[Memory(t.memory)]
        run = np.arange(window.run_bytes)
        far, near = (t.dram + dram[there])[:, None] + run, (t.address + chip)[:, None] + run
        if isinstance(t, opcodes.Gather):
            inside[near] = window.fill
            inside[near[there]] = self.memories.read_from(Memory.DRAM, int(far[0, 0]))[far]
        else:
            self.memories.arrays[Memory.DRAM][far] = inside[near]

    def _detect(self, counters: Counters, memory: Memory, values: int) -> None:
        """Charge the zero detectors of what is written to the activation scratchpad, if there are any."""
        if memory == Memory.ACTIVATION and self.zero_detectors:
            self.zero_detectors.detect_events(counters, values)

    def _host_transfer(self, counters: Counters, t: opcodes.HostTransfer, *, receive: bool) -> Timing:
        """Bytes between DRAM and the host."""
        bursts = words(Region(*t), self.machine.dram.burst_bytes)
        self._count_bursts(counters, bursts, write=receive)
        return self.host.transfer(counters, t, bursts, receive=receive)

    def _count_bursts(self, counters: Counters, bursts: int, *, write: bool) -> None:
        """Charge bursts; a banked DRAM says itself what it has moved."""
        if not isinstance(self.machine.dram, BankedDram):
            operation = Operation.DRAM_WRITE if write else Operation.DRAM_READ
            count(counters, Event(Component.DRAM, operation, 8 * self.machine.dram.burst_bytes), bursts)

    def _requantize(self, p: opcodes.Requantize) -> None:
        sum_bytes = self.machine.operand.sum_bytes
        sums, table, result = self.memories.tiles.of(opcodes.REQUANTIZE, p)
        constants, channels = self.memories.rows(*table)[0].copy(), p.rows if p.row_channels else p.columns
        bias = _channels(constants[: sum_bytes * channels].view(f"<i{sum_bytes}").astype(np.int64), p)
        scales = constants[sum_bytes * channels :]
        multiplier = _channels(scales[: 4 * channels].copy().view("<i4").astype(np.int64), p)
        shift = _channels(scales[4 * channels :].view(np.int8), p)
        mode = requantize.MODES[p.rounding]
        total = (self.memories.sums(sums.region) + bias).astype(f"<i{sum_bytes}").astype(np.int64)  # adders wrap
        q = requantize.requantize(total, multiplier, shift, p.zero_point, mode, qmin=p.qmin, qmax=p.qmax)
        self.memories.store_operands(result.region, q, INTEGERS[p.result_bits])

    def _activate(self, p: opcodes.Activate) -> None:
        tile, table, result = self.memories.tiles.of(opcodes.ACTIVATE, p)
        bias = _channels(self.memories.rows(*table)[0].copy().view("<f4"), p)
        sums = self.memories.sums(tile.region)
        values = activate.activate(sums, bias, self.machine.matrix.operands, relu=p.relu == 1)
        self.memories.store_operands(result.region, values, self.machine.matrix.operands)

    def _results(self, counters: Counters, opcode: int, p: opcodes.Requantize | opcodes.Activate) -> Timing:
        """Time of sums to results; the channels' constants fill the lanes before the first row of sums is read."""
        sums, table, result = self.memories.tiles.of(opcode, p)
        fill = self.memories.port(counters, *table, Operation.SRAM_READ)
        port = max(
            self.memories.port(counters, *sums, Operation.SRAM_READ),
            self.memories.port(counters, *result, Operation.SRAM_WRITE),
        )
        vector = self.machine.vector
        free, end = requantize.cycles(p.rows, p.columns, vector.lanes, port, vector.latency_cycles)
        return Timing(fill + free, fill + end)


def _read(record: np.void) -> tuple[int, int, opcodes.Operands]:
    """Opcode, layer and operands of an instruction."""
    fields: Any = record.item()
    number, _, _, layer, _, values = fields
    opcode = OPCODES[number]
    operands: opcodes.Operands = opcode.operands(*values[: len(opcode.fields)].tolist())
    return number, layer, operands


def _channels(values: NDArray[Any], p: opcodes.Requantize | opcodes.Activate) -> NDArray[Any]:
    """Constants of channels, so that they broadcast against a tile: down its rows, or across its columns."""
    return values[:, None] if p.row_channels else values
