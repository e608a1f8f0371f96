"""Instructions that have the same opcode and operands: a program of many has few that differ."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels import classes


class Kinds(NamedTuple):
    """Which instructions differ.

    Parameters
    ----------
    number
        Kind of each instruction, in the order in which they come first; int32, shape (n,).
    first
        First instruction of each kind, int64, shape (kinds,).
    """

    number: NDArray[np.int32]
    first: NDArray[np.int64]

    @classmethod
    def of(cls, instructions: NDArray[np.void]) -> Kinds:
        """Find the kinds; layers, signals and waits make none."""
        number = np.empty(len(instructions), np.int32)
        return cls(number, classes.of_rows(instructions["opcode"], instructions["operands"], number))
