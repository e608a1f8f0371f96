"""A loaded network: float tensors, calibration and test data, and the task that judges it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

ScalarT = TypeVar("ScalarT", bound=np.generic)

Float32 = NDArray[np.float32]
#: Inputs, each of shape (M, K): those of a chain's first layer, or those of each layer if they are independent.
Inputs = NDArray[ScalarT] | tuple[NDArray[ScalarT], ...]


def each(inputs: Inputs[ScalarT]) -> tuple[NDArray[ScalarT], ...]:
    """Inputs one by one: of the first layer, or of every layer."""
    return inputs if isinstance(inputs, tuple) else (inputs,)


def without_values(scalar: ScalarT, *shape: int) -> NDArray[ScalarT]:
    """Array of a shape and a type that takes no memory: every element is the same zero."""
    return np.broadcast_to(scalar, shape)


@dataclass(frozen=True, slots=True)
class Linear:
    """A fully connected layer, or another one as the matrix product that it is.

    Parameters
    ----------
    weight
        float32, shape (K, N): inputs by outputs, so that y = x @ weight + bias.
    bias
        float32, shape (N,); zeros if the layer has none.
    relu
        Whether negative outputs become zero.
    pattern
        N and M: of every M weights along K at most N are nonzero, by declaration; 1 and 1 if none is declared.
    weight_step
        Real value of one integer step of the weights, float32, shape (N,) or (1,), if training or a scheme fixed it.
    input_step
        Real value of one integer step of the inputs, if training fixed it; of signs, what they stand for.
    wide
        Last inputs that stay floats of 16 bits where the others become integers.
    appends
        Whether the outputs are more inputs of the next layer, behind those of this one.
    """

    name: str
    weight: Float32
    bias: Float32
    relu: bool
    pattern: tuple[int, int] = (1, 1)
    weight_step: Float32 | None = None
    input_step: float | None = None
    wide: int = 0
    appends: bool = False

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
    """A chain of layers, or layers that are independent of each other, with its data.

    Parameters
    ----------
    inputs
        Test inputs, float32, shape (batch, K of the first layer); of each layer, shape (M, K), if they are independent.
    labels
        Class of each test input, int64, shape (batch,); None if the network has no task.
    calibration
        Inputs from the training split that fix the activations' ranges, float32, shape (samples, K); if the layers are
        independent, the inputs themselves.
    sha256
        Hash of each file that the network was read from, by file name.
    seed
        Seed of synthetic weights and inputs, or None.
    independent
        Whether each layer reads inputs of its own.
    values
        Whether the tensors hold values; else they have only their shapes, and take no memory.
    """

    name: str
    layers: tuple[Linear, ...]
    inputs: Inputs[np.float32]
    labels: NDArray[np.int64] | None
    calibration: Inputs[np.float32]
    sha256: dict[str, str]
    seed: int | None = None
    independent: bool = False
    values: bool = True
