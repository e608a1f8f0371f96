"""What instructions name by its number: the tables of a program."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.isa import descriptors, functions

Int64 = NDArray[np.int64]


class Tables(NamedTuple):
    """Records of int64, shape (n, fields).

    Parameters
    ----------
    descriptors
        Windows that DMAs move, see `isa.descriptors`.
    functions
        What the vector unit does, see `isa.functions`.
    """

    descriptors: Int64 = descriptors.table()
    functions: Int64 = functions.table()
