"""What instructions name by its number: the tables of a program."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.isa import descriptors, functions
from accelsim.isa.computations import Computation

Int64 = NDArray[np.int64]


class Tables(NamedTuple):
    """Records of int64, shape (n, fields), and what the host computes.

    Parameters
    ----------
    descriptors
        Windows that DMAs move, see `isa.descriptors`.
    functions
        What the vector unit does, see `isa.functions`.
    computations
        What the host computes, see `isa.computations`.
    """

    descriptors: Int64 = descriptors.table()
    functions: Int64 = functions.table()
    computations: tuple[Computation, ...] = ()
