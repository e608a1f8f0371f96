"""What tests ask of loaded networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.golden.task import Classification
from accelsim.workload.network import Network


def labels_of(network: Network) -> NDArray[np.int64]:
    """Class of each test input of a network that classifies."""
    assert isinstance(network.task, Classification)
    return network.task.labels
