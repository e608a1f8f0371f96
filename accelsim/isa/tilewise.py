"""What the vector unit's instructions on tiles ask of a program, beyond the ranges of their operands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.isa import opcodes
from accelsim.isa.accesses import SUM_BYTES, Accesses
from accelsim.isa.opcodes import OPCODES, Exponential, Memory
from accelsim.memory.region import Region, overlap

Int64 = NDArray[np.int64]


def faults(instructions: NDArray[np.void], machine: Machine) -> Iterator[tuple[int, str]]:
    """Instructions that a machine can't execute, and what is wrong with them."""
    (index,) = np.nonzero(instructions["opcode"] == opcodes.TRANSFORM)
    names = ("columns", "levels", "right")
    columns, levels, right = (_operand(instructions, index, opcodes.TRANSFORM, name) for name in names)
    for i, n, p, r in zip(index.tolist(), columns.tolist(), levels.tolist(), right.tolist(), strict=True):
        if n % 2**p:
            yield i, f"columns must be a multiple of 2^levels = {2**p}, not {n}"
        if r > p:  # the half that rounding adds would leave the adders, which are as wide as the sums
            yield i, f"right must be at most levels = {p}, not {r}"

    (index,) = np.nonzero(instructions["opcode"] == opcodes.SOFTMAX)
    memory, kind, wide, row, signed = (
        _operand(instructions, index, opcodes.SOFTMAX, name)
        for name in ("memory", "kind", "wide_source", "row", "signed")
    )
    of_sums = memory == Memory.ACCUMULATOR
    for i in index[of_sums & (kind == Exponential.TABLE)].tolist():
        yield i, "memory must be a scratchpad for kind 1, a table of 8-bit distances, not accumulator"
    for i in index[(wide == 1) & (of_sums | (kind == Exponential.TABLE) | (signed == 0))].tolist():
        yield i, "wide_source must be 0 for sums, for kind 1 and for unsigned elements"
    for i in index[(row > 0) & (kind != Exponential.MASKED)].tolist():
        yield i, f"row must be 0 but for kind {Exponential.MASKED:d}, which has a mask"

    if machine.operand.is_float or machine.operand.sum_bytes != SUM_BYTES:
        for i in index[of_sums].tolist():
            yield (
                i,
                f"sums must be int32, which those of {machine.matrix.operands}, the type of {machine.name}, are not",
            )


def overwriting(found: Accesses) -> Iterator[tuple[int, str]]:
    """Instructions that write over bytes which they have still to read: results may only take a tile's own place."""
    memory, address, end = found.memory, found.regions[found.number, 1], found.ends()[found.number]
    own = np.diff(found.first)
    kind = np.repeat(np.arange(len(own)), own)
    for apart in range(1, int(own.max(initial=0))):  # an instruction's reads come first
        reads, writes = slice(None, -apart), slice(apart, None)
        close = (kind[reads] == kind[writes]) & (memory[reads] == memory[writes])
        close &= ~found.write[reads] & found.write[writes] & (found.number[reads] != found.number[writes])
        close &= (address[reads] < end[writes]) & (address[writes] < end[reads])
        texts: dict[int, list[str]] = {}
        for a in np.flatnonzero(close):
            read, write = (_run(found.region(b)) for b in (a, a + apart))
            if read != write and overlap(read, write):
                place = f"{Memory(memory[a]).name.lower()} [{write.address}, {write.end})"
                text = f"results must take the place of a tile or of none, not {place}"
                texts.setdefault(int(kind[a]), []).append(text)
        if texts:
            for i in np.flatnonzero(np.isin(found.kinds.number, list(texts))).tolist():
                for text in texts[int(found.kinds.number[i])]:
                    yield i, text


def _run(region: Region) -> Region:
    """The same bytes, with one stride for whatever is one run."""
    merged = region.merged()
    return merged._replace(stride=0) if merged.rows == 1 else merged


def _operand(instructions: NDArray[np.void], index: Int64, opcode: int, name: str) -> Int64:
    values: Int64 = instructions["operands"][index, OPCODES[opcode].operands._fields.index(name)]
    return values
