"""EfficientNet-Lite by its tensors: inverted bottlenecks of depthwise convolutions, without gates, with ReLU6.

Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, table 1, has the
stages; the Lite form leaves out squeeze-and-excite and takes ReLU6 (TensorFlow's models/official/efficientnet/lite).
Stages repeat as often as tensors say. Padding is TensorFlow's SAME, whose odd pixel lies below and right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.build import Builder
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.norm import BatchNorm
from accelsim.graph.ops.pool import GlobalAveragePool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.window import Window

Tensors = Mapping[str, NDArray[Any]]
#: Channels of stages whose first block halves the image, by those that it forms: stages 3, 4, 5 and 7 of table 1.
_HALVED = {24, 40, 80, 192}
#: Epsilon of the normalizations, TensorFlow's (efficientnet_builder.py).
EPSILON = 1e-3
#: Pixels of an image's side, and channels.
SIDE, CHANNELS = 224, 3
_LAST = "_fc.weight"


def knows(tensors: Tensors) -> bool:
    """Whether tensors are those of an EfficientNet-Lite: of its names, and without gates."""
    gated = any("_se_reduce" in name for name in tensors)
    return {"_conv_stem.weight", "_conv_head.weight", _LAST} <= {*tensors} and not gated


def graph(name: str, tensors: Tensors, batch: int) -> Graph:
    """The network's graph; its input is `input`, (batch, 224, 224, 3), its output `logits`.

    Raises
    ------
    KeyError, UnfitError
        If a tensor is missing, or does not fit.
    """
    net = _Net(Builder(name), tensors)
    x = net.build.input("input", (batch, SIDE, SIDE, CHANNELS))
    x = net.convolved("_conv_stem", "_bn0", x, stride=2)
    channels = tensors["_conv_stem.weight"].shape[0]
    count = 1 + max(int(found[1]) for key in tensors if (found := re.match(r"_blocks\.(\d+)\.", key)))
    for number in range(count):
        block, formed = f"_blocks.{number}", tensors[f"_blocks.{number}._project_conv.weight"].shape[0]
        stride = 2 if formed in _HALVED and formed != channels else 1
        given = x
        if f"{block}._expand_conv.weight" in tensors:
            x = net.convolved(f"{block}._expand_conv", f"{block}._bn0", x)
        x = net.convolved(f"{block}._depthwise_conv", f"{block}._bn1", x, stride=stride, depthwise=True)
        x = net.convolved(f"{block}._project_conv", f"{block}._bn2", x, relu=False)
        if formed == channels and stride == 1:
            x = net.build.node(f"{block}.add", Add(), x, given)
        channels = formed
    x = net.build.node("pool", GlobalAveragePool(), net.convolved("_conv_head", "_bn1", x))
    weight = net.constant(_LAST, np.ascontiguousarray(tensors[_LAST].T))
    last = net.build.linear("_fc", x, weight, net.constant("_fc.bias", tensors["_fc.bias"]), relu=False)
    return net.build.graph((last,))


class _Net:
    """Builds layers from tensors of their names."""

    def __init__(self, build: Builder, tensors: Tensors) -> None:
        self.build = build
        self._tensors = tensors
        self._sides: dict[str, int] = {}

    def constant(self, name: str, data: NDArray[Any]) -> str:
        """A constant in float32."""
        return self.build.constant(name, np.ascontiguousarray(data, np.float32))

    def convolved(
        self, name: str, norm: str, x: str, *, stride: int = 1, depthwise: bool = False, relu: bool = True
    ) -> str:
        """A convolution, its normalization and ReLU6."""
        filters = self._tensors[f"{name}.weight"].transpose(2, 3, 1, 0)
        side, kernel = self._sides.get(x, SIDE), filters.shape[0]
        formed = -(-side // stride)
        padding = max(0, (formed - 1) * stride + kernel - side)
        before, after = padding // 2, padding - padding // 2
        window = Window((kernel, filters.shape[1]), (stride, stride), (before, before, after, after))
        weight = self.constant(f"{name}.weight", filters)
        groups = filters.shape[3] if depthwise else 1
        parameters = [
            self.constant(f"{norm}.{part}", self._tensors[f"{norm}.{part}"])
            for part in ("weight", "bias", "running_mean", "running_var")
        ]
        steps: list[tuple[Any, tuple[str, ...]]] = [
            (Conv(window, groups), (weight,)),
            (BatchNorm(EPSILON), tuple(parameters)),
        ]
        if relu:
            steps.append((Relu(6.0), ()))
        out = self.build.chain(name, x, steps)
        self._sides[out] = formed
        return out
