"""What instructions on integers ask of a machine whose own type is floats, beyond the ranges of their operands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.config.datapaths import WeightStationary
from accelsim.isa import opcodes
from accelsim.isa.opcodes import OPCODES

#: Opcodes with the operand `integer_bits`, of which it may be 0 in the first two.
_TYPED = (opcodes.PRELOAD, opcodes.MATMUL, opcodes.QUANTIZE)


def faults(instructions: NDArray[np.void], machine: Machine) -> Iterator[tuple[int, str]]:
    """Instructions that a machine can't execute, and what is wrong with them."""
    matrix = machine.matrix
    widths = matrix.integer_widths
    lacks = f"must be an instruction of a machine with integers beside its own type, which {machine.name} lacks"
    for opcode in _TYPED:
        (index,) = np.nonzero(instructions["opcode"] == opcode)
        fields = OPCODES[opcode].operands._fields
        bits = instructions["operands"][index, fields.index("integer_bits")]
        own = bits == 0 if opcode != opcodes.QUANTIZE else np.zeros(len(bits), np.bool_)
        bad = ~own & ~np.isin(bits, widths)
        for i, value in zip(index[bad].tolist(), bits[bad].tolist(), strict=True):
            yield i, f"integer_bits must be {_choice(widths)} on {machine.name}, not {value}" if widths else lacks
        if "depth" not in fields or not isinstance(matrix, WeightStationary) or not widths:
            continue  # as `limits` has it
        depth = instructions["operands"][index, fields.index("depth")]
        most = np.where(own, matrix.rows, matrix.fold_rows(1) // np.maximum(bits, 1))
        for i, value, limit in zip(*(x[~bad & (depth > most)].tolist() for x in (index, depth, most)), strict=True):
            yield i, f"depth must be at most {limit}, the inputs of a fold of {machine.name}, not {value}"
    if not widths:
        for i in np.flatnonzero(instructions["opcode"] == opcodes.DEQUANTIZE_SUMS).tolist():
            yield i, lacks


def _choice(widths: list[int]) -> str:
    return " or ".join(map(str, sorted({0, *widths})))
