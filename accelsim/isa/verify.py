"""Reject every program whose outcome could depend on timing, before it runs.

A program that passes

- has valid opcodes, operands in range, and addresses inside the machine's memories;
- has semaphores with one producing unit and moment each, and waits that signals of earlier instructions meet. So the
  instructions can end in program order whatever they take, and neither the host's order nor any queue depth of at
  least one can make them deadlock;
- orders any two accesses to the same bytes (read after write, write after read, write after write; scratchpads,
  accumulator, weight registers and DRAM) by a unit's queue or by semaphores, and reads nothing that nothing wrote.

The order is decided by vector clocks (`kernels.clocks`) over the regions that are touched (`isa.hazards`), in
near-linear time.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.config.datapaths import OuterProduct, StructuredSparse
from accelsim.datapath import requantize
from accelsim.errors import Fault, ProgramError
from accelsim.formats.storage import FORMATS, Storage
from accelsim.isa import accesses, computations, descriptors, functions, hazards, integers, opcodes, tilewise, typed
from accelsim.isa.descriptors import MAX_REGIONS, Descriptor
from accelsim.isa.functions import Function
from accelsim.isa.kinds import Kinds
from accelsim.isa.limits import Limit, datapath_limits
from accelsim.isa.opcodes import (
    ACTIVATE,
    COMPUTE,
    DECODE,
    GATHER,
    MATMUL,
    MOMENTS,
    MULTIPLY,
    NONE,
    OPCODES,
    PRELOAD,
    PRELOAD_MASK,
    REQUANTIZE,
    SCATTER,
    SEMAPHORES,
    UNITS,
    Decode,
    Memory,
    Moment,
    Unit,
)
from accelsim.isa.program import Program
from accelsim.kernels import clocks
from accelsim.kernels import records as kernel
from accelsim.memory.region import overlap

#: Faults of one kind that are named before the rest are only counted.
SHOWN = 5

Int64 = NDArray[np.int64]


def verify(program: Program, machine: Machine, file: str = "") -> accesses.Accesses:
    """Check a program for a machine; return what its instructions touch.

    Parameters
    ----------
    file
        Name of the program's file for the faults' text, if it has one.

    Raises
    ------
    ProgramError
        If the program is not valid; the sentence names the instruction, and who waits for whom.
    """
    kinds = Kinds.of(program.instructions)
    few = dataclasses.replace(program, instructions=program.instructions[kinds.first])
    _well_formed(program, few, file)
    if _limits(few, machine):
        _raise(_limits(program, machine), file)
    for check in (_windows, typed.faults, _computes):
        if check(few):
            _raise([f"{name_of(program, i)}: {text}" for i, text in check(program)], file)
    found = accesses.of_program(program.instructions, machine, program.tables, kinds)
    _raise(_addresses(program, machine, found), file)
    _raise([f"{name_of(program, i)}: {text}" for i, text in tilewise.overwriting(found)], file)
    _raise(_work(program, machine, kinds), file)
    _raise(_order(program, machine, found), file)
    return found


def well_formed(program: Program, file: str = "") -> None:
    """Check what needs no machine: opcodes, layers, operands' ranges, and that equal programs have equal records.

    Raises
    ------
    ProgramError
        As for `verify`.
    """
    _well_formed(program, program, file)


def _well_formed(program: Program, few: Program, file: str) -> None:
    """Check a program, of which `few` has each different instruction once: it tells sooner that there is no fault."""
    code, header = program.instructions, program.header
    valid = kernel.valid(
        code["opcode"], code["layer"], code["signal"], code["wait"], code["value"], len(OPCODES), len(header.layers)
    )
    suspects = few if valid else program  # in which there is no fault of this kind
    _raise(_fields(suspects), file)
    count = len(program.instructions)
    late = [r for r in program.header.kept if r.whole_after >= count]
    _raise(
        [f"region {r.name} must be whole after an instruction of {count}, not after {r.whole_after}" for r in late],
        file,
    )
    _raise(_waits(suspects), file)
    _raise([f"descriptor {number}: {text}" for number, text in descriptors.faults(program.descriptors)], file)
    _raise([f"function {number}: {text}" for number, text in functions.faults(program.functions)], file)
    table = computations.faults(program.tables.computations, program.header.dram_bytes)
    _raise([f"computation {number}: {text}" for number, text in table], file)
    if _operands(few):
        _raise(_operands(program), file)


def _raise(faults: list[str], file: str) -> None:
    if faults:
        more = len(faults) - SHOWN
        tail = [f"and {more} more faults of this kind"] if more > 0 else []
        raise ProgramError(*(Fault(text, file) for text in [*faults[:SHOWN], *tail]))


def name_of(program: Program, i: int | np.integer) -> str:
    """How faults call an instruction: its number, mnemonic and layer."""
    record = program.instructions[i]
    layer = program.header.layers[record["layer"]].name
    return f"instruction {i} ({OPCODES[record['opcode']].mnemonic} of {layer})"


def _fields(program: Program) -> list[str]:
    code = program.instructions
    header = program.header
    faults = [f"instruction {i}: opcode must be below {len(OPCODES)}, not {code['opcode'][i]}"
              for i in np.flatnonzero(code["opcode"] >= len(OPCODES))]  # fmt: skip
    faults += [f"instruction {i}: layer must be 0 to {len(header.layers) - 1}, not {code['layer'][i]}"
               for i in np.flatnonzero((code["layer"] < 0) | (code["layer"] >= len(header.layers)))]  # fmt: skip
    if program.image_bytes > header.dram_bytes:
        faults.append(f"the image must fit dram_bytes ({header.dram_bytes}), but has {program.image_bytes} bytes")
    if header.timing_only and program.image.size:
        faults.append(f"the image of a timing-only program must be empty, but has {program.image.size} bytes")
    faults += [f"region {r.name} must end at or below dram_bytes ({header.dram_bytes}), "
               f"not at {r.address + r.bytes}"
               for r in header.regions if r.address + r.bytes > header.dram_bytes]  # fmt: skip
    names = {region.of for region in (*header.regions, *header.kept)}
    faults += [f"layer {x.name}: output must be a region, not {x.output!r}" for x in header.layers
               if x.output not in names]  # fmt: skip
    return faults


def _waits(program: Program) -> list[str]:
    faults = []
    waits, values = program.instructions["wait"].T, program.instructions["value"].T
    loose, strange = np.zeros(len(program.instructions), np.bool_), np.zeros(len(program.instructions), np.bool_)
    for signal in program.instructions["signal"].T:
        strange |= signal < NONE
    for slot, (wait, value) in enumerate(zip(waits, values, strict=True)):
        empty = wait == NONE
        strange |= ~empty & (value < 1)
        loose |= (empty & (value != 0)) | (wait < NONE)
        if slot:
            loose |= ~empty & (waits[slot - 1] == NONE)
    faults += [
        f"{name_of(program, i)}: semaphores must be 0 or more, and a wait for a value of 1 or more"
        for i in np.flatnonzero(strange)
    ]
    faults += [
        f"{name_of(program, i)}: waits must fill the first places, the rest be empty" for i in np.flatnonzero(loose)
    ]
    return faults


def _operands(program: Program) -> list[str]:
    faults: list[str] = []
    for number in np.flatnonzero(np.bincount(program.instructions["opcode"], minlength=1)).tolist():
        opcode = OPCODES[number]
        (index,) = np.nonzero(program.instructions["opcode"] == number)
        operands = program.instructions["operands"][index]
        for j, field in enumerate(opcode.fields):
            bad = (operands[:, j] < field.low) | (operands[:, j] > field.high)
            if not bad.any():
                continue
            faults += [
                f"{name_of(program, i)}: {field.name} must be {field.low} to {field.high}, not {value}"
                for i, value in zip(index[bad], operands[bad, j], strict=True)
            ]
        unused = operands[:, len(opcode.fields) :]
        if unused.any():
            extra = index[unused.any(axis=1)]
            faults += [f"{name_of(program, i)}: operands that the opcode lacks must be 0" for i in extra]
    return faults


def _limits(program: Program, machine: Machine) -> list[str]:
    """What the machine holds."""
    faults = []
    dram_bytes, capacity = program.header.dram_bytes, machine.dram.capacity_bytes
    if dram_bytes > capacity:
        faults.append(f"dram_bytes must be at most {capacity}, the DRAM of {machine.name}, not {dram_bytes}")
    given = datapath_limits(machine)
    schemes = Limit(REQUANTIZE, "rounding", len(requantize.MODES) - 1, "rounding schemes, less one")
    for number in (PRELOAD, PRELOAD_MASK, *opcodes.PRODUCTS):
        if number not in {limit.opcode for limit in given}:
            faults += [
                f"{name_of(program, i)}: must be an instruction of a {machine.matrix.kind} unit, that of {machine.name}"
                for i in np.flatnonzero(program.instructions["opcode"] == number)
            ]
    faults += _decodes(program, machine)
    faults += _scales(program, machine)
    for number in opcodes.PRODUCTS:
        (index,) = np.nonzero(program.instructions["opcode"] == number)
        inner, outer = (_operand(program, index, number, name) for name in ("inner", "outer_stride"))
        faults += [
            f"{name_of(program, i)}: outer_stride must be 0 where inner is 0" for i in index[(inner == 0) & (outer > 0)]
        ]
    if not (machine.host.has_link or machine.host.computes):
        faults += [
            f"{name_of(program, i)}: must be an instruction of a link to the host, which {machine.name} lacks"
            for i in np.flatnonzero(np.isin(program.instructions["opcode"], (opcodes.RECEIVE, opcodes.SEND)))
        ]
    if not machine.host.computes:
        faults += [
            f"{name_of(program, i)}: must be an instruction of a host that computes, which {machine.name} lacks"
            for i in np.flatnonzero(program.instructions["opcode"] == COMPUTE)
        ]
    if isinstance(machine.matrix, StructuredSparse):
        (index,) = np.nonzero(program.instructions["opcode"] == PRELOAD)
        deep = _operand(program, index, PRELOAD, "depth") > machine.matrix.rows
        dense = index[deep & (_operand(program, index, PRELOAD, "packed") == 0)]
        faults += [
            f"{name_of(program, i)}: depth must be at most {machine.matrix.rows}, the rows of {machine.name}, "
            "where weights are not packed"
            for i in dense
        ]
    faults += _ranges(program, machine)
    faults += [f"{name_of(program, i)}: {text}" for i, text in tilewise.faults(program.instructions, machine)]
    faults += [f"{name_of(program, i)}: {text}" for i, text in integers.faults(program.instructions, machine)]
    for number, name, limit, what in [*given, schemes]:
        (index,) = np.nonzero(program.instructions["opcode"] == number)
        values = _operand(program, index, number, name)
        faults += [
            f"{name_of(program, i)}: {name} must be at most {limit}, the {what} of {machine.name}, not {value}"
            for i, value in zip(index[values > limit], values[values > limit], strict=True)
        ]
    return faults


def _scales(program: Program, machine: Machine) -> list[str]:
    """Float32 scales are for a vector unit that multiplies by them."""
    if machine.vector.float32_scale:
        return []
    floats = [requantize.MODES.index(mode) for mode in requantize.FLOAT_MODES]
    code = program.instructions
    (index,) = np.nonzero(code["opcode"] == REQUANTIZE)
    found = index[np.isin(_operand(program, index, REQUANTIZE, "rounding"), floats)].tolist()
    of_functions = np.flatnonzero([Function.read(record).rounding in floats for record in program.functions])
    (index,) = np.nonzero(np.isin(code["opcode"], opcodes.TYPED))
    found += index[np.isin(code["operands"][index, 0], of_functions)].tolist()
    return [f"{name_of(program, i)}: must not scale by float32, which {machine.name} does not" for i in sorted(found)]


def _decodes(program: Program, machine: Machine) -> list[str]:
    """Encoded weights are in a format that there is, for a machine that expands them."""
    faults: list[str] = []
    for i in np.flatnonzero(program.instructions["opcode"] == DECODE):
        operands = Decode(*program.instructions["operands"][i, : len(Decode._fields)].tolist())
        if machine.decode is None:
            faults.append(f"{name_of(program, i)}: must be an instruction of a decode unit, which {machine.name} lacks")
        elif operands.format >= len(FORMATS):
            faults.append(f"{name_of(program, i)}: format must be below {len(FORMATS)}, not {operands.format}")
        else:
            if operands.values % operands.rows:
                faults.append(f"{name_of(program, i)}: values must fill {operands.rows} rows, not be {operands.values}")
            try:
                storage = Storage(FORMATS[operands.format], operands.bits, operands.group, operands.value_bits)
                storage.codec(machine.decode.huffman_decoders)
            except ValueError as error:
                faults.append(f"{name_of(program, i)}: {error}")
    return faults


def _windows(program: Program) -> list[tuple[int, str]]:
    """Windows that there are, whose reads lie in DRAM and whose written bytes are each written once."""
    faults: list[tuple[int, str]] = []
    code, table = program.instructions, [Descriptor.read(record) for record in program.descriptors]
    (index,) = np.nonzero(np.isin(code["opcode"], (GATHER, SCATTER)))
    for i, operands in zip(index.tolist(), code["operands"][index].tolist(), strict=True):
        dram, number, _, _, row, column = operands[:6]
        if number >= len(table):
            faults.append((i, f"descriptor must be below {len(table)}, those of the program, not {number}"))
            continue
        d, gathers = table[number], code["opcode"][i] == GATHER
        if not gathers and d.bounded:
            faults.append((i, "the descriptor must have no steps: a scatter stores all of its window"))
            continue
        for name, first, steps in (("row", row, d.row_steps), ("column", column, d.column_steps)):
            if first and not any(steps):
                faults.append((i, f"{name} must be 0, as the descriptor has no steps on that axis, not {first}"))
        window = descriptors.window(d, row, column)
        if not window.in_dram:
            faults.append((i, "must read a run of DRAM, but all of the window is padding"))
        elif dram + window.in_dram[0].address < 0:
            first = dram + window.in_dram[0].address
            faults.append((i, f"must read DRAM from byte 0 on, not from {first}"))
        written, regions, exact = (
            (window.inside, window.on_chip, window.exact_on_chip)
            if gathers
            else (window.outside, window.in_dram, window.exact_in_dram)
        )
        if not exact:
            faults.append((i, f"must write at most {MAX_REGIONS} tiles of rows, each with one stride"))
        elif descriptors.overlaps(written, regions):
            faults.append((i, "must write no byte twice, but runs of the descriptor overlap"))
    return faults


def _computes(program: Program) -> list[tuple[int, str]]:
    """Computations that there are, for the operations that they take."""
    faults: list[tuple[int, str]] = []
    code, table = program.instructions, program.header.computations
    (index,) = np.nonzero(code["opcode"] == COMPUTE)
    for i, (number, operations) in zip(index.tolist(), code["operands"][index, :2].tolist(), strict=True):
        if number >= len(table):
            faults.append((i, f"computation must be below {len(table)}, those of the program, not {number}"))
        elif operations != table[number].operations:
            needed = table[number].operations
            faults.append((i, f"operations must be {needed}, what computation {number} takes, not {operations}"))
    return faults


def _ranges(program: Program, machine: Machine) -> list[str]:
    """Results are of the machine's type: integers inside its range, or floats."""
    operand = machine.operand
    number = REQUANTIZE if operand.is_float else ACTIVATE
    faults = [
        f"{name_of(program, i)}: must not be an instruction for {machine.matrix.operands}, the type of {machine.name}"
        for i in np.flatnonzero(program.instructions["opcode"] == number)
    ]
    if operand.is_float:
        return faults
    (index,) = np.nonzero(program.instructions["opcode"] == REQUANTIZE)
    bits = _operand(program, index, REQUANTIZE, "result_bits")
    possible = sorted({operand.bits, max(8, operand.bits), 16})
    bad = ~np.isin(bits, possible)
    faults += [
        f"{name_of(program, i)}: result_bits must be {' or '.join(map(str, possible))} on {machine.name}, not {value}"
        for i, value in zip(index[bad], bits[bad], strict=True)
    ]
    low, high = np.where(bits > 1, -(1 << bits - 1), 0), (1 << bits) - 1
    for name in ("qmin", "qmax"):
        values = _operand(program, index, REQUANTIZE, name)
        bad = (values < low) | (values > high)
        faults += [
            f"{name_of(program, index[i])}: {name} must be {low[i]} to {high[i]}, a value of {bits[i]} bits, "
            f"not {values[i]}"
            for i in np.flatnonzero(bad)
        ]
    return faults


def _operand(program: Program, index: Int64, opcode: int, name: str) -> Int64:
    """Values of a named operand of the instructions `index`, which share an opcode."""
    position = OPCODES[opcode].operands._fields.index(name)
    values: Int64 = program.instructions["operands"][index, position]
    return values


def _addresses(program: Program, machine: Machine, found: accesses.Accesses) -> list[str]:
    memory, _, stride, rows, row_bytes = found.regions.T
    limit = np.array([accesses.capacity_bytes(machine, m) for m in Memory])
    limit[[Memory.DRAM, Memory.HOST]] = program.header.dram_bytes
    ends = found.ends()
    faults = [
        f"region {r.name} must end inside the {machine.activation.capacity_bytes} bytes of activation, "
        f"not at {r.address + r.bytes}"
        for r in program.header.kept
        if r.address + r.bytes > machine.activation.capacity_bytes
    ]
    outside = ends > limit[memory]
    overlapping = (rows > 1) & (stride < row_bytes)
    if not (outside.any() or overlapping.any()):
        return faults
    instruction, access = found.each()
    number = found.number[access]
    for a in np.flatnonzero(outside[number]):
        r = number[a]
        faults.append(
            f"{name_of(program, instruction[a])}: must stay inside the {limit[memory[r]]} bytes of "
            f"{Memory(memory[r]).name.lower()}, not reach byte {ends[r]}"
        )
    for a in np.flatnonzero(overlapping[number]):
        r = number[a]
        faults.append(
            f"{name_of(program, instruction[a])}: rows must not overlap, but the stride in "
            f"{Memory(memory[r]).name.lower()} is {stride[r]} and a row has {row_bytes[r]} bytes"
        )
    return faults


def _work(program: Program, machine: Machine, kinds: Kinds) -> list[str]:
    """A layer's products are its own, and each fold in the registers is the one that its product is for."""
    layers = program.header.layers
    counts = np.zeros((len(layers), 1), np.int64)
    each = opcodes.products(program.instructions[kinds.first])
    kernel.by_layer(kinds.number, program.instructions["layer"], each[:, None], counts)
    faults = [
        f"layer {layer.name}: must form at most m k n = {layer.m * layer.k * layer.n} products, not {count}"
        for layer, count in zip(layers, counts[:, 0].tolist(), strict=True)
        if count > layer.m * layer.k * layer.n
    ]
    if machine.matrix.kind in {"weight_stationary", "input_stationary", "structured_sparse"}:
        return faults + _folds(program, kinds, PRELOAD, MATMUL, ("depth", "columns"))
    if isinstance(machine.matrix, OuterProduct) and machine.matrix.skip_zero_columns:
        return faults + _folds(program, kinds, PRELOAD_MASK, MULTIPLY, ("depth", "rows"))
    return faults


def _folds(program: Program, kinds: Kinds, preload: int, product: int, shared: tuple[str, ...]) -> list[str]:
    """Each product uses what the last preload before it brought."""
    few = program.instructions[kinds.first]
    shape = np.zeros((len(few), len(shared)), np.int64)
    for number in (preload, product):
        places = [OPCODES[number].operands._fields.index(name) for name in shared]
        own = few["opcode"] == number
        shape[own] = few["operands"][own][:, places]
    if kernel.folds_fit(kinds.number, few["opcode"] == preload, few["opcode"] == product, shape):
        return []
    faults: list[str] = []
    opcode = program.instructions["opcode"]
    (index,) = np.nonzero((opcode == preload) | (opcode == product))
    is_product = opcode[index] == product
    last_preload = np.maximum.accumulate(np.where(is_product, -1, np.arange(len(index))))
    products = index[is_product]
    before = last_preload[is_product]
    alone = [f"{name_of(program, i)}: must follow a preload, but none comes before it" for i in products[before < 0]]
    if alone:
        return alone
    preloads = index[before]
    for name in shared:
        has, wants = _operand(program, preloads, preload, name), _operand(program, products, product, name)
        faults += [
            f"{name_of(program, i)}: {name} must be {h}, that of the fold in the array, not {w}"
            for i, h, w in zip(products[has != wants], has[has != wants], wants[has != wants], strict=True)
        ]
    return faults


def _order(program: Program, machine: Machine, found: accesses.Accesses) -> list[str]:
    code, queues = program.instructions, hazards.Queues.of(program.instructions, found.kinds)
    first, by = np.zeros(SEMAPHORES + 1, np.int64), np.empty(SEMAPHORES, np.int64)
    clocks.signals(code["signal"], first)
    given = np.empty(first[-1], np.int32)
    if not clocks.givers(queues.unit, code["signal"], code["wait"], code["value"], first, given, by):
        return _deadlocks(program, queues)
    known, previous = np.empty((len(code), clocks.WORDS), np.int32), np.full(UNITS, -1, np.int64)
    unordered: list[str] = []
    waits = (code["wait"], code["value"], first, given, by)
    for low, high, need, undefined in hazards.find(queues.unit, found, program.image_bytes, machine):
        if undefined:
            i, access = undefined
            region = found.region(access)
            where = f"{Memory(found.memory[access]).name.lower()} [{region.address}, {region.end})"
            text = f"must read bytes that were written before, but nothing wrote all of {where}"
            return [f"{name_of(program, i)}: {text}"]
        if unordered:
            continue
        bad = clocks.check(low, high, queues.unit, *waits, int(Moment.FREE), need, known, previous)
        if bad >= 0:
            k = np.flatnonzero(need[bad - low] > known[bad])[0]
            other = int(queues.by_unit[queues.first_of_unit[k // MOMENTS] + need[bad - low, k] - 1])
            unordered = [_conflict(program, found, bad, other, Moment(k % MOMENTS))]
    return unordered


def _deadlocks(program: Program, queues: hazards.Queues) -> list[str]:
    """Semaphores that several units or moments raise, and waits that no earlier instruction meets."""
    faults: list[str] = []
    code = program.instructions
    who, when = np.nonzero(code["signal"] != NONE)
    semaphore = code["signal"][who, when]
    waiter, place = np.nonzero(code["wait"] != NONE)
    waited = code["wait"][waiter, place]
    for s in np.unique(semaphore):
        signals = np.flatnonzero(semaphore == s)
        kinds = np.unique(UNITS * when[signals] + queues.unit[who[signals]])
        if len(kinds) > 1:
            givers = " and ".join(f"{Unit(k % UNITS).name.lower()}.{Moment(k // UNITS).name.lower()}" for k in kinds)
            faults.append(f"semaphore {s} must have one producing unit and moment, not {givers}")
            continue
        mine = np.flatnonzero(waited == s)
        at = waiter[mine]
        value = code["value"][at, place[mine]]
        known = value <= len(signals)
        given = who[signals][np.minimum(value, len(signals)) - 1]
        late = ~known | (given >= at)
        for i, v, j, k in zip(at[late], value[late], given[late], known[late], strict=True):
            why = f"{name_of(program, j)} gives it, which comes later" if k else f"it is given {len(signals)} times"
            faults.append(
                f"deadlock: {name_of(program, i)} waits for {Unit(kinds[0] % UNITS).name.lower()} to raise "
                f"semaphore {s} to {v}, but {why}"
            )
    return faults + [
        f"deadlock: {name_of(program, waiter[k])} waits for semaphore {waited[k]}, which nobody raises"
        for k in np.flatnonzero(~np.isin(waited, semaphore))
    ]


def _conflict(program: Program, found: accesses.Accesses, i: int, j: int, moment: Moment) -> str:
    """Say which accesses of instruction i and the earlier instruction j are not ordered."""
    for a in found.of(j):
        for b in found.of(i):
            if found.memory[a] != found.memory[b] or not (found.write[a] or found.write[b]):
                continue
            first, second = found.region(a), found.region(b)
            if overlap(first, second):
                did = "writes" if found.write[a] else "reads"
                does = "writes" if found.write[b] else "reads"
                return (
                    f"{name_of(program, i)}: {does} bytes of {Memory(found.memory[b]).name.lower()} "
                    f"[{second.address}, {second.end}) that {name_of(program, j)} {did}; it must wait for "
                    f"{opcodes.Unit(opcodes.UNIT_OF[program.instructions['opcode'][j]]).name.lower()}."
                    f"{moment.name.lower()}, but nothing orders the two"
                )
    raise AssertionError("a hazard without a common byte")
