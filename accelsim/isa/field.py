"""Operands of instructions as the table of opcodes names them."""

from __future__ import annotations

from typing import NamedTuple

#: Largest address in bytes, largest stride in bytes, and most rows or columns.
ADDRESS, STRIDE, COUNT = 2**48 - 1, 2**31 - 1, 2**24 - 1


class Field(NamedTuple):
    """One operand: its name, its range and what it means."""

    name: str
    low: int
    high: int
    meaning: str
