"""What each instruction takes, worked out once for all that are alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.config.tech import Counters, count
from accelsim.isa.accesses import Accesses
from accelsim.isa.opcodes import DEQUANTIZE_SUMS, MATMUL, OPCODES, OPERANDS, PRELOAD, QUANTIZE, TILEWISE, TYPED, Memory
from accelsim.isa.program import Program
from accelsim.kernels import classes
from accelsim.kernels import engine_records as record
from accelsim.memory.region import Region
from accelsim.sim.machine import Core
from accelsim.sim.memories import Bank
from accelsim.sim.timing import Timing

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]

#: Operands that are addresses on chip, by name.
_ADDRESSES = {"address", "mask", "weights", "sums", "scales", "constants", "result", "other", "table"}
#: Column of a matmul's row, behind its operands, for whether the fold in the array is packed.
_FOLD = OPERANDS - 1


@dataclass(frozen=True, slots=True)
class Timings:
    """Durations of a program's instructions, as `kernels.engine_records` has them.

    Parameters
    ----------
    kind, takes
        Row takes[kind[i]] is what instruction i takes; int32, shape (n,), and int64, shape (kinds, TAKES).
    """

    kind: Int32
    takes: Int64

    @classmethod
    def of(cls, core: Core, program: Program, timings: dict[int, Timing]) -> Timings:
        """Find the timings of all instructions, and charge them to `core.counters`.

        An instruction's time and events follow from its opcode and operands, of most addresses only the place in a
        word. So each different one is worked out once.

        Parameters
        ----------
        works
            What instructions take for which that depends on data, and which are charged already.
        """
        code = program.instructions
        number = np.empty(len(code), np.int32)
        first = classes.of_rows(_rows(code, core.machine), number)
        times = np.bincount(number, minlength=len(first))
        preload = _last_preload(code)
        _learn(core, code[np.union1d(first, preload[first][preload[first] >= 0])])
        takes = [_takes(core, code, int(i), int(preload[i]), int(n)) for i, n in zip(first, times, strict=True)]
        for i, timing in timings.items():
            number[i] = len(takes)
            takes.append(_row(timing))
        return cls(number, np.array(takes, np.int64).reshape(-1, record.TAKES))


def _learn(core: Core, code: NDArray[np.void]) -> None:
    """Have the tiles of instructions worked out opcode by opcode."""
    opcode = code["opcode"]
    for number in np.unique(opcode).tolist():
        if not core.depends_on_data(number):
            core.memories.tiles.learn(number, code["operands"][opcode == number])


def _rows(code: NDArray[np.void], machine: Machine) -> Int64:
    """What decides an instruction's timing; int64, shape (n, 2 + OPERANDS)."""
    rows = np.empty((len(code), 2 + OPERANDS), np.int64)
    rows[:, 0], rows[:, 1] = code["opcode"], code["layer"]
    operands = np.empty((len(code), OPERANDS), np.int64)
    classes.rests(code["opcode"], code["operands"], _modulus(machine), operands)
    rows[:, 2:] = operands
    folded = code["opcode"] == MATMUL
    packed = OPCODES[PRELOAD].operands._fields.index("packed")
    rows[folded, 2 + _FOLD] = code["operands"][_last_preload(code)[folded], packed]
    return rows


def _modulus(machine: Machine) -> Int64:
    """Bytes after which the place of an address in its word repeats; int64, shape (opcodes, OPERANDS).

    0 where the whole address counts: tiles of one bank share the port that an instruction holds of it.
    """
    pads = (*machine.scratchpads.values(), machine.accumulator)
    word = math.lcm(*(sram.width_bytes for sram in pads))
    modulus = np.zeros((len(OPCODES), OPERANDS), np.int64)
    for number, opcode in enumerate(OPCODES):
        if machine.shared or number in {QUANTIZE, DEQUANTIZE_SUMS, *TILEWISE, *TYPED}:
            continue
        for j, field in enumerate(opcode.fields):
            if field.name in _ADDRESSES:
                modulus[number, j] = word
            elif field.name == "dram":
                modulus[number, j] = machine.dram.burst_bytes
    return modulus


def _last_preload(code: NDArray[np.void]) -> Int64:
    """Number of the last preload before each instruction; int64, shape (n,), -1 where there is none."""
    own = np.where(code["opcode"] == PRELOAD, np.arange(len(code)), -1)
    last: Int64 = np.maximum.accumulate(own)
    return last


def _takes(core: Core, code: NDArray[np.void], i: int, preload: int, times: int) -> tuple[int, ...]:
    """What an instruction takes that stands for `times` alike."""
    if core.depends_on_data(int(code["opcode"][i])):
        return (0,) * record.TAKES  # each of them has a row of its own
    once: Counters = {}
    if preload >= 0 and code["opcode"][i] == MATMUL:
        core.take({}, code[preload])  # so that the unit knows what its array holds
    timing = core.take(once, code[i])
    for event, n in once.items():
        count(core.counters[code["layer"][i]], event, n * times)
    return _row(timing)


def _row(timing: Timing) -> tuple[int, ...]:
    return (
        timing.free,
        timing.end,
        timing.drain,
        timing.swap,
        timing.bursts,
        timing.words,
        timing.latency,
        int(timing.writes),
    )


@dataclass(frozen=True, slots=True)
class Ports:
    """Banks of which each instruction holds a port.

    Parameters
    ----------
    held
        Number of each instruction's set of banks, int32, shape (n,).
    sets
        The sets.
    limit
        Ports of each bank, int64.
    """

    held: Int32
    sets: tuple[tuple[int, ...], ...]
    limit: Int64

    @classmethod
    def of(cls, core: Core, found: Accesses, instructions: int) -> Ports:
        """Find the banks from what a program's instructions touch."""
        memories = core.memories
        of_region = [memories.banks([(Memory(memory), Region(*region))]) for memory, *region in found.regions.tolist()]
        number: dict[Bank, int] = {}
        limit: list[int] = []
        for memory, sram in memories.srams.items():
            for bank in range(0 if sram.ideal else sram.banks):
                number[memory, bank] = len(limit)
                limit.append(sram.ports)
        # the regions of each instruction, in order, as many columns as the widest has
        on_chip = np.flatnonzero(~np.isin(found.memory, (Memory.DRAM, Memory.HOST)))
        instruction = found.instruction[on_chip]
        place = np.arange(len(instruction)) - np.searchsorted(instruction, instruction)
        used = np.full((instructions, int(place.max(initial=0)) + 1), -1, np.int64)
        used[instruction, place] = found.number[on_chip]
        held = np.empty(instructions, np.int32)
        sets: dict[tuple[int, ...], int] = {}
        of_class = []
        for i in classes.of_rows(used, held).tolist():
            banks = sorted({number[bank] for region in used[i].tolist() if region >= 0 for bank in of_region[region]})
            of_class.append(sets.setdefault(tuple(banks), len(sets)))
        return cls(np.array(of_class, np.int32)[held] if of_class else held, tuple(sets), np.array(limit, np.int64))
