"""Numbers that a program's vector instructions take in: work of the lanes, of which each does one a cycle at most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.isa.functions import Function
from accelsim.isa.opcodes import OPCODES, QUANTIZE, REDUCE, Unit
from accelsim.isa.program import Program

Int64 = NDArray[np.int64]


def vector_work(program: Program) -> Int64:
    """Numbers of each layer, int64, shape (layers,).

    Those of each result, and all numbers of the windows of a reduction; rows of floats to integers take two passes.
    """
    code = program.instructions
    work = np.zeros(len(program.header.layers), np.int64)
    windows = np.array([_window(Function.read(record)) for record in program.functions], np.int64)
    for number in np.unique(code["opcode"]).tolist():
        opcode = OPCODES[number]
        if opcode.unit != Unit.VECTOR:
            continue
        index = np.flatnonzero(code["opcode"] == number)
        operands, names = code["operands"][index], opcode.operands._fields
        sides = ("height", "width", "columns") if number == REDUCE else ("rows", "columns")
        numbers = operands[:, [names.index(side) for side in sides]].prod(axis=1)
        if number == REDUCE:
            numbers = numbers * windows[operands[:, names.index("function")]]
        elif number == QUANTIZE:
            numbers = 2 * numbers
        np.add.at(work, code["layer"][index], numbers)
    return work


def _window(function: Function) -> int:
    """Numbers of a window; 1 of what is no reduction."""
    return max(1, function.window_rows * function.window_columns)
