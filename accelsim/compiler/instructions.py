"""Instructions as blocks of arrays: those of many steps at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.isa.opcodes import OPCODES, OPERANDS

Int64 = NDArray[np.int64]


class Instructions(NamedTuple):
    """What many steps issue, each the same opcodes.

    Parameters
    ----------
    opcodes
        uint8, shape (instructions,).
    operands
        int64, shape (steps, instructions, OPERANDS).
    """

    opcodes: NDArray[np.uint8]
    operands: Int64


def issue(opcode: int, steps: int, times: int = 1, **operands: int | Int64) -> Instructions:
    """Form an instruction that every step issues `times` times.

    Parameters
    ----------
    operands
        All fields of the opcode's operands by name, but for those that are usually 0; arrays broadcast to
        (steps, times).
    """
    names, usual = OPCODES[opcode].operands._fields, OPCODES[opcode].operands._field_defaults
    if {*operands, *usual} != {*names}:
        raise TypeError(f"operands of {OPCODES[opcode].mnemonic} must be {names}, not {tuple(operands)}")
    table = np.empty((steps, times, OPERANDS), np.int64)
    same = [value if isinstance(value := operands.get(name, 0), int) else 0 for name in names]
    table[:] = same + [0] * (OPERANDS - len(names))
    for place, name in enumerate(names):
        value = operands.get(name, 0)
        if not isinstance(value, int):
            table[:, :, place] = value
    return Instructions(np.full(times, opcode, np.uint8), table)


def each_one(code: Instructions) -> list[Instructions]:
    """The instructions that every step issues, one by one."""
    return [Instructions(code.opcodes[i : i + 1], code.operands[:, i : i + 1]) for i in range(len(code.opcodes))]


def in_turn(*codes: Instructions) -> Instructions:
    """Issue the first instruction of each, then the second of each, and so on; all have as many."""
    opcodes = np.stack([code.opcodes for code in codes], axis=1)
    operands = np.stack([code.operands for code in codes], axis=2)
    return Instructions(opcodes.ravel(), operands.reshape(len(operands), -1, OPERANDS))


def joined(*codes: Instructions) -> Instructions:
    """Issue all instructions of the first, then all of the second, and so on."""
    opcodes = np.concatenate([code.opcodes for code in codes])
    return Instructions(opcodes, np.concatenate([code.operands for code in codes], axis=1))
