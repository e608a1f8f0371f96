"""What each instruction takes, worked out once for all that are alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.config.tech import Counters, count
from accelsim.isa.accesses import Accesses
from accelsim.isa.kinds import Kinds
from accelsim.isa.opcodes import DEQUANTIZE_SUMS, MATMUL, OPCODES, OPERANDS, PRELOAD, QUANTIZE, TILEWISE, TYPED, Memory
from accelsim.isa.program import Program
from accelsim.kernels import classes, records
from accelsim.kernels import engine_records as record
from accelsim.memory.region import Region
from accelsim.sim.machine import Core
from accelsim.sim.timing import Timing

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]

#: Operands that are addresses on chip, by name.
_ADDRESSES = {"address", "mask", "weights", "sums", "scales", "constants", "result", "other", "table"}
_PACKED = OPCODES[PRELOAD].operands._fields.index("packed")


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
    def of(cls, core: Core, program: Program, kinds: Kinds, ports: Ports, timings: dict[int, Timing]) -> Timings:
        """Find the timings of all instructions, and charge them to `core.counters`.

        An instruction's time and events follow from its opcode and operands, of most addresses only the place in a
        word and the bank. So each different one is worked out once.

        Parameters
        ----------
        kinds
            Which instructions differ.
        ports
            Banks that they touch: tiles of one bank share the port that an instruction holds of it.
        timings
            What instructions take for which that depends on data, and which are charged already.
        """
        code = program.instructions
        number, first = _classes(code, kinds, ports, core.machine)
        times = np.bincount(number, minlength=len(first))
        preload = _last_preload(code, kinds, first)
        _learn(core, code[np.union1d(first, preload[preload >= 0])])
        takes = [
            _takes(core, code, *each) for each in zip(*map(np.ndarray.tolist, (first, preload, times)), strict=True)
        ]
        for i, timing in timings.items():
            number[i] = len(takes)
            takes.append(_row(timing))
        return cls(number, np.array(takes, np.int64).reshape(-1, record.TAKES))


def _learn(core: Core, code: NDArray[np.void]) -> None:
    """Have the tiles of instructions worked out opcode by opcode."""
    opcode = code["opcode"]
    for number in np.flatnonzero(np.bincount(opcode)).tolist():
        if not core.depends_on_data(number):
            core.memories.tiles.learn(number, code["operands"][opcode == number])


def _classes(code: NDArray[np.void], kinds: Kinds, ports: Ports, machine: Machine) -> tuple[Int32, Int64]:
    """Class of each instruction by what decides its timing, int32, shape (n,), and the first instruction of each."""
    few = code[kinds.first]
    packed = np.where(few["opcode"] == PRELOAD, few["operands"][:, _PACKED], -1)
    context = np.empty((len(code), 2), np.int32)
    context[:, 0] = code["layer"]
    records.held(kinds.number, packed, few["opcode"] == MATMUL, context[:, 1])
    number = np.empty(len(code), np.int32)
    first = classes.of_rows(kinds.number, context, number)
    few = code[first]
    rows = np.empty((len(few), 3 + OPERANDS), np.int64)
    rows[:, :2], rows[:, 2] = context[first], ports.touched[kinds.number[first]]
    classes.rests(few["opcode"], few["operands"], _modulus(machine), rows[:, 3:])
    merged = np.empty(len(few), np.int32)
    first = first[classes.of_rows(few["opcode"], rows, merged)]
    return merged[number], first


def _modulus(machine: Machine) -> Int64:
    """Bytes after which the place of an address in its word repeats; int64, shape (opcodes, OPERANDS).

    0 where the whole address counts.
    """
    pads = (*machine.scratchpads.values(), machine.accumulator)
    word = math.lcm(*(sram.width_bytes for sram in pads))
    modulus = np.zeros((len(OPCODES), OPERANDS), np.int64)
    for number, opcode in enumerate(OPCODES):
        if number in {QUANTIZE, DEQUANTIZE_SUMS, *TILEWISE, *TYPED}:
            continue
        for j, field in enumerate(opcode.fields):
            if field.name in _ADDRESSES:
                modulus[number, j] = word
            elif field.name == "dram":
                modulus[number, j] = machine.dram.burst_bytes
    return modulus


def _last_preload(code: NDArray[np.void], kinds: Kinds, of: Int64) -> Int64:
    """Number of the last preload before some instructions; int64, -1 where there is none."""
    preloads = np.flatnonzero((code["opcode"][kinds.first] == PRELOAD)[kinds.number])
    before = np.searchsorted(preloads, of)
    return np.concatenate(([-1], preloads))[before]


def _takes(core: Core, code: NDArray[np.void], i: int, preload: int, times: int) -> tuple[int, ...]:
    """What an instruction takes that stands for `times` alike."""
    if core.depends_on_data(int(code["opcode"][i])):
        return (0,) * record.TAKES  # each of them has a row of its own
    once: Counters = {}
    if preload >= 0 and core.matrix.knows_fold and code["opcode"][i] == MATMUL:
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
    touched
        Equal for kinds of instructions whose accesses, one by one, touch the same banks; int32, shape (kinds,).
    sets
        The sets.
    limit
        Ports of each bank, int64.
    """

    held: Int32
    touched: Int32
    sets: tuple[tuple[int, ...], ...]
    limit: Int64

    @classmethod
    def of(cls, core: Core, found: Accesses) -> Ports:
        """Find the banks from what a program's instructions touch."""
        first = np.zeros(len(Memory), np.int64)  # bank of each memory
        limit: list[int] = []
        for memory, sram in core.memories.srams.items():
            first[memory] = len(limit)
            limit += [sram.ports] * (0 if sram.ideal else sram.banks)
        # sets of banks: of each region, then of each different combination of regions' sets that an instruction has
        sets: dict[tuple[int, ...], int] = {(): 0}
        of_region = np.array(
            [sets.setdefault(banks, len(sets)) for banks in _banks(core, found.regions, first)], np.int64
        )
        place = np.arange(len(found.number)) - np.repeat(found.first[:-1], np.diff(found.first))
        kind = np.repeat(np.arange(len(found.first) - 1), np.diff(found.first))
        used = np.zeros((len(found.first) - 1, int(place.max(initial=0)) + 1), np.int64)
        used[kind, place] = of_region[found.number]
        several = list(sets)
        class_ = np.empty(len(used), np.int32)
        own = classes.of_rows(used[:, 0], used[:, 1:], class_)
        joined = [tuple(sorted({bank for k in row for bank in several[k]})) for row in used[own].tolist()]
        held = np.array([sets.setdefault(each, len(sets)) for each in joined], np.int32)
        return cls(held[class_][found.kinds.number], class_, tuple(sets), np.array(limit, np.int64))


def _banks(core: Core, regions: Int64, first: Int64) -> list[tuple[int, ...]]:
    """Banks of which regions need a port, numbered from the first one of each memory on."""
    memory, address, stride, rows, row_bytes = regions.T
    last = address + (rows - 1) * stride + row_bytes - 1
    found: list[tuple[int, ...]] = [()] * len(regions)
    known: dict[tuple[int, int], tuple[int, ...]] = {}
    for name, sram in core.memories.srams.items():
        own = np.flatnonzero(memory == name)
        if sram.ideal or not len(own):
            continue
        base = int(first[name])
        # rows that pass over no bank, of banks of addresses in a row, touch all from the first to the last
        ranged = ((rows[own] == 1) | (stride[own] <= sram.bank_bytes)) & (sram.interleaving != "words")
        near, others = own[ranged], own[~ranged]
        low, high = (base + at[near] // sram.bank_bytes for at in (address, last))
        for i, *span in zip(near.tolist(), low.tolist(), high.tolist(), strict=True):
            key = (span[0], span[1])
            if key not in known:
                known[key] = tuple(range(span[0], span[1] + 1))
            found[i] = known[key]
        for i in others.tolist():
            region = Region(*regions[i, 1:].tolist())
            found[i] = tuple(base + bank for _, bank in core.memories.banks([(name, region)]))
    return found
