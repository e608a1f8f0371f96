"""Floats of 32 to 8 bits after training: weights, biases in float32, and activations rounded to the type."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from accelsim.compress.quantize.typed import Floating, Part
from accelsim.config.model import Frozen, quantity
from accelsim.config.operands import OperandType
from accelsim.errors import WorkloadError
from accelsim.formats.ggml import BlockTensor
from accelsim.formats.microscale import Microscale
from accelsim.formats.storage import MxName, Storage
from accelsim.graph.element import Float
from accelsim.graph.graph import Node
from accelsim.graph.layer import Layer
from accelsim.graph.ops.concat import Concat
from accelsim.graph.value import Value

#: Inputs of a microscaling block (OCP Microscaling Formats, version 1.0, table 1).
BLOCK = 32


class Floats(Frozen):
    """The recipe step."""

    scheme: Literal["fp32", "bf16", "fp16", "fp8_e4m3", "fp8_e5m2"] = quantity("name", "Name of the type")
    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")

    weights: MxName | None = quantity(
        "name",
        "Microscaling format of the weights, 32 inputs a block; the decode unit expands them to the type; none if "
        "absent",
        default=None,
    )

    @property
    def operand(self) -> OperandType:
        """Type of a layer's activations in memory."""
        return self.scheme


def round_layer(layer: Layer, step: Floats) -> Floating:
    """Round one layer's weights to the type.

    Raises
    ------
    WorkloadError
        If a weight is beyond the largest value of the type.
    """
    kind, head = Float(step.scheme), layer.head
    weights = [rounded_weight(layer, layer.graph[node.inputs[1]], kind, step.weights) for node in layer.products]
    if not layer.more:
        return Floating(layer, kind, (Part(head, weights[0]),))
    # all products are of one type: they are one, of their inputs side by side, which no fold need keep apart
    stacked = np.vstack([weight.numbers for weight in weights])
    weight = replace(weights[0], name=f"{layer.name}.weights", shape=stacked.shape, data=stacked)
    if isinstance(weight.groups, BlockTensor):  # those of the first product alone
        weight = replace(weight, storage=None, groups=None)
    joined = f"{layer.name}.joined"
    concat = Node(joined, Concat(-1), tuple(node.inputs[0] for node in layer.products), (joined,))
    return Floating(
        layer, kind, (Part(Node(head.name, head.op, (joined, weight.name), head.outputs), weight),), (concat,)
    )


def rounded_weight(layer: Layer, weight: Value, kind: Float, blocks: MxName | None = None) -> Value:
    """Weights of one product in a type, perhaps as blocks that stand for it; errors as for `round_layer`.

    Blocks that a file has stay, and what they stand for is rounded to the type.
    """
    if weight.outlined:
        return replace(weight, element=kind)
    storage, groups, numbers = weight.storage, weight.groups, weight.numbers
    if blocks:
        groups, storage = None, Storage(blocks, 0, BLOCK)
        codec = storage.codec(1)
        assert isinstance(codec, Microscale)  # noqa: S101 - that of its name
        numbers = codec.quantize(numbers.reshape(-1, numbers.shape[-1])).reshape(numbers.shape)
    narrow = kind.quantize(numbers).astype(np.float32)
    if not np.isfinite(narrow).all():
        raise WorkloadError(f"layer {layer.name}: weights must fit {kind.operand}, but some overflow")
    if blocks and not np.array_equal(narrow, numbers):
        raise WorkloadError(f"layer {layer.name}: weights as {blocks} must be numbers of {kind.operand} too")
    return replace(weight, element=kind, data=narrow, step=None, storage=storage, groups=groups)
