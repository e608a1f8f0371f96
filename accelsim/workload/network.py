"""A loaded network: float tensors, calibration and test data, and the task that judges it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Linear:
    """A fully connected layer.

    Parameters
    ----------
    weight
        float32, shape (K, N): inputs by outputs, so that y = x @ weight + bias.
    bias
        float32, shape (N,); zeros if the layer has none.
    relu
        Whether negative outputs become zero.
    """

    name: str
    weight: Float32
    bias: Float32
    relu: bool

    @property
    def inputs(self) -> int:
        """Input features K."""
        return int(self.weight.shape[0])

    @property
    def outputs(self) -> int:
        """Output features N."""
        return int(self.weight.shape[1])


@dataclass(frozen=True, slots=True)
class Network:
    """A chain of layers with its data.

    Parameters
    ----------
    inputs
        Test inputs, float32, shape (batch, K of the first layer).
    labels
        Class of each test input, int64, shape (batch,); None if the network has no task.
    calibration
        Inputs from the training split that fix the activations' ranges, float32, shape (samples, K).
    sha256
        Hash of each file that the network was read from, by file name.
    seed
        Seed of synthetic weights and inputs, or None.
    """

    name: str
    layers: tuple[Linear, ...]
    inputs: Float32
    labels: NDArray[np.int64] | None
    calibration: Float32
    sha256: dict[str, str]
    seed: int | None = None
