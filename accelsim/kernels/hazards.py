"""Which earlier instructions each instruction must wait for, from the bytes that they touch."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


@njit(cache=True)
def find(
    unit: Int64,
    index: Int64,
    instruction: Int64,
    region: Int64,
    write: NDArray[np.bool_],
    until: Int64,
    first_class: Int64,
    classes: Int64,
    last_writer: Int64,
    last_until: Int64,
    forwards: NDArray[np.bool_],
    last_reader: Int64,
    need: NDArray[np.int32],
) -> int:
    """Collect the hazards of a program: read after write, write after read, write after write.

    Instructions of one unit are ordered by their queue. They make no hazard among themselves, but that of reading what
    the unit has not yet made visible, if it does not forward it.

    Parameters
    ----------
    unit, index
        Unit of each instruction, and its number among the unit's instructions; shape (n,).
    instruction, region, write, until
        Instruction, region number, kind and last moment of each access; shape (accesses,), sorted by instruction.
    first_class, classes
        Byte classes of region r: classes[first_class[r] : first_class[r + 1]].
    last_writer
        State, shape (classes,): instruction that wrote a class last, -1 for none, -2 for the image.
    last_until
        State, shape (classes,): moment at which that write is over.
    forwards
        Whether a unit's instructions see what earlier ones of its own will write, shape (units,).
    last_reader
        State, shape (classes, units, moments), zeros: 1 + the index of the last reader of each unit and moment.
    need
        Result, zeros, shape (n, units, moments): 1 + the index of the last instruction of a unit whose moment must
        have passed before instruction i starts, 0 for none.

    Returns
    -------
    Number of the first access that reads bytes that nothing wrote, or -1.
    """
    units, moments = need.shape[1], need.shape[2]
    for a in range(len(instruction)):
        i = instruction[a]
        u = unit[i]
        for c in classes[first_class[region[a]] : first_class[region[a] + 1]]:
            writer = last_writer[c]
            if writer == -1 and not write[a]:
                return a
            if writer >= 0 and (unit[writer] != u or not (write[a] or forwards[u])):
                over = last_until[c]
                need[i, unit[writer], over] = max(need[i, unit[writer], over], index[writer] + 1)
            if write[a]:
                for v in range(units):
                    for m in range(moments):
                        if v != u:
                            need[i, v, m] = max(need[i, v, m], last_reader[c, v, m])
                        last_reader[c, v, m] = 0
                last_writer[c] = i
                last_until[c] = until[a]
            else:
                last_reader[c, u, until[a]] = index[i] + 1
    return -1
