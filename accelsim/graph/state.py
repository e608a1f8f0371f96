"""What lives on from one evaluation of a graph, a step, to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Two values of a graph of one type: what a step reads is what the step before it wrote.

    Parameters
    ----------
    read
        Value that is there before a step, formed by no node.
    written
        Value that a node forms, and that the next step reads.
    initial
        Real numbers before the first step, of one sample: all samples begin with the same.
    """

    read: str
    written: str
    initial: NDArray[np.float32]
