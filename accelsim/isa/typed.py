"""What map, reduce, move and rows ask of a program, beyond the ranges of their operands and the table of functions."""

from __future__ import annotations

import numpy as np

from accelsim.isa import images
from accelsim.isa.descriptors import MAX_REGIONS
from accelsim.isa.functions import BINARY, MAPS, MOVES, OF_ROWS, REDUCTIONS, ROTATIONS, Function, Operation
from accelsim.isa.opcodes import MAP, MOVE, OPCODES, REDUCE, ROWS, TYPED, Map, Move, Reduce, Rows
from accelsim.isa.program import Program

_OPERATIONS = {MAP: MAPS, REDUCE: REDUCTIONS, MOVE: MOVES, ROWS: tuple(OF_ROWS)}


def faults(program: Program) -> list[tuple[int, str]]:
    """Instructions that the vector unit can't execute, and what is wrong with them."""
    found: list[tuple[int, str]] = []
    code, table = program.instructions, [Function.read(record) for record in program.functions]
    (index,) = np.nonzero(np.isin(code["opcode"], TYPED))
    for i, opcode, values in zip(
        index.tolist(), code["opcode"][index].tolist(), code["operands"][index].tolist(), strict=True
    ):
        number = values[0]
        if number >= len(table):
            found.append((i, f"function must be below {len(table)}, those of the program, not {number}"))
            continue
        f = table[number]
        if f.operation not in _OPERATIONS[opcode]:
            names = ", ".join(operation.name.lower() for operation in _OPERATIONS[opcode])
            found.append((i, f"function must be one of {names}, not {Operation(f.operation).name.lower()}"))
            continue
        operands = OPCODES[opcode].operands(*values[: len(OPCODES[opcode].fields)])
        found += [(i, text) for text in _faults(operands, f)]
    return found


def _faults(p: object, f: Function) -> list[str]:
    match p:
        case Map():
            texts = _tile(f.operation in BINARY, "other_memory", p.other_memory, (p.other, p.other_stride))
            if f.operation in ROTATIONS and p.columns % 2:
                texts.append(f"columns must be pairs, not {p.columns}")
            if f.operation != Operation.LOOK_UP and p.constants:
                texts.append(f"constants must be 0 without a table, not {p.constants}")
            return texts
        case Move():
            return _tile(f.operation != Operation.FILL, "memory", p.memory, (p.address, p.stride))
        case Reduce():
            row_bytes = f.types[2].row_bytes(p.columns)
            made = images.written(p.result_stride, p.result_line_stride, p.height, p.width, row_bytes)
            if not made.exact:
                return [f"results must be at most {MAX_REGIONS} tiles of rows, each with one stride"]
            if sum(region.rows * region.row_bytes for region in made.regions) < made.runs.bytes:
                return ["results must not overlap"]
        case Rows():
            unused = ("constants",) if f.operation == Operation.L2_NORM else ()
            unused = unused if f.operation == Operation.SOFTMAX else (*unused, "row")
            return [
                f"{name} must be 0, as the function does not use it, not {getattr(p, name)}"
                for name in unused
                if getattr(p, name)
            ]
    return []


def _tile(needed: bool, name: str, memory: int, place: tuple[int, int]) -> list[str]:
    """Faults of a tile that not all functions have."""
    if needed and not memory:
        return [f"{name} must be a memory on chip, as the function has such a tile"]
    if not needed and any((memory, *place)):
        return [f"{name} and place must be 0, as the function has no such tile"]
    return []
