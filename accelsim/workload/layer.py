"""Layers as a workload file describes them."""

from __future__ import annotations

from typing import Literal

from accelsim.config.model import NAME, Frozen, Integer, quantity


class LinearSpec(Frozen):
    """A fully connected layer: y = activation(x W^T + b)."""

    name: str = quantity("name", "Name of the layer, unique in the network", pattern=NAME)
    kind: Literal["linear"] = quantity("name", "Kind of layer")
    inputs: Integer = quantity("features", "Input features K", ge=1, le=2**20)
    outputs: Integer = quantity("features", "Output features N", ge=1, le=2**20)
    weight: str | None = quantity(
        "name", "Tensor of the weights, float, shape (outputs, inputs); none if they are synthetic", default=None
    )
    bias: str | None = quantity("name", "Tensor of the bias, float, shape (outputs,); none if absent", default=None)
    activation: Literal["none", "relu"] = quantity("name", "Function applied to the outputs", default="none")
