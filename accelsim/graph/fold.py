"""What becomes part of a product beside it: normalizations by statistics of training, and padding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from accelsim.graph.element import REAL
from accelsim.graph.graph import Graph, Node
from accelsim.graph.layer import layers
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.norm import BatchNorm
from accelsim.graph.ops.pad import Pad
from accelsim.graph.value import Value


def fold_batch_norms(graph: Graph) -> Graph:
    """Scale each layer's weights and shift its bias where a BatchNorm follows, and nobody else reads in between.

    (w x + b - mean) f + beta with f = gamma / sqrt(variance + epsilon) is (f w) x + (b - mean) f + beta; computed in
    float64 and rounded to float32 once.
    """
    for layer in layers(graph):
        last = layer.nodes[-1]
        readers = graph.readers(last.output)
        bias_alone = all(isinstance(node.op, Add) for node in layer.epilogue)
        alone = len(readers) == 1 and last.output not in graph.leaving
        if not alone or not isinstance(readers[0].op, BatchNorm) or not bias_alone or layer.more:
            continue
        (norm,) = readers
        assert isinstance(norm.op, BatchNorm)  # noqa: S101 - as it was looked for
        outlined = layer.weight.outlined
        gamma, beta, mean, variance = (graph[name].numbers.astype(np.float64) for name in norm.inputs[1:])
        factor = gamma / np.sqrt(variance + norm.op.epsilon)
        bias = layer.bias.numbers.astype(np.float64) if layer.bias else np.zeros(len(mean))
        shifted = ((bias - mean) * factor + beta).astype(np.float32)
        weight = layer.weight
        if not outlined:
            weight = replace(weight, data=(weight.numbers * factor).astype(np.float32), step=None)
        constant = Value(f"{layer.name}.bias", shifted.shape, REAL, shifted, outlined=outlined)
        add = Node(f"{layer.name}.add", Add(), (layer.sums, constant.name), norm.outputs)
        gone = {norm.name, *(node.name for node in layer.epilogue)}
        nodes = [add if node.name == norm.name else node for node in graph.nodes if node.name not in gone - {norm.name}]
        graph = graph.rebuilt(weight, constant, nodes=nodes)
    return graph


def fold_pads(graph: Graph) -> Graph:
    """Have convolutions pad images themselves where a Pad stands before them, and nobody else reads what it forms."""
    for pad in graph.nodes:
        if not isinstance(pad.op, Pad) or pad.output in graph.leaving:
            continue
        (top, left), (bottom, right) = pad.op.before[1:3], pad.op.behind[1:3]
        of_images = len(pad.op.before) == 4 and not any((*pad.op.before[::3], *pad.op.behind[::3]))
        readers = graph.readers(pad.output)
        if not of_images or not all(isinstance(node.op, Conv) and node.inputs[0] == pad.output for node in readers):
            continue
        nodes = [_padding(node, pad, (top, left, bottom, right)) if node in readers else node for node in graph.nodes]
        graph = graph.rebuilt(nodes=[node for node in nodes if node.name != pad.name])
    return graph


def _padding(node: Node, pad: Node, more: tuple[int, int, int, int]) -> Node:
    """A convolution that pads by so much more above, left, below and right."""
    assert isinstance(node.op, Conv)  # noqa: S101 - as it was looked for
    window = node.op.window
    top, left, bottom, right = (a + b for a, b in zip(window.padding, more, strict=True))
    op = replace(node.op, window=replace(window, padding=(top, left, bottom, right)))
    return replace(node, op=op, inputs=(pad.inputs[0], *node.inputs[1:]))
