"""Any compressed network evaluated by numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.golden import floating, integer
from accelsim.golden.network import CompressedNetwork, FloatNetwork
from accelsim.workload.network import Inputs


def forward(network: CompressedNetwork, x: Inputs[np.generic], fold_inputs: int) -> list[NDArray[np.generic]]:
    """Output of every layer, in order, for inputs of the network's type, shape (M, K), or those of each layer.

    Parameters
    ----------
    fold_inputs
        Inputs that are summed before the accumulator adds, which decides how float sums are rounded.
    """
    if isinstance(network, FloatNetwork):
        return floating.forward(network, x, fold_inputs)
    return integer.forward(network, x)
