"""What operators mean in real numbers: the reference for calibration and for quality.

They are float64, or float32 where a network is large and its outputs alone are asked for; indices and masks keep their
own types.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.golden import interpreter
from accelsim.golden.interpreter import Meaning
from accelsim.golden.real import attention, convolutions, elementwise, places, products, reductions, rows, shapes
from accelsim.graph.element import Plain
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.convert import Convert
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.elementwise import Elementwise
from accelsim.graph.ops.expand import Expand
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.gather_elements import GatherElements
from accelsim.graph.ops.gather_nd import GatherNd
from accelsim.graph.ops.hosted import Hosted
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import BatchNorm, LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.quantize import Dequantize, Quantize, QuantizeByRange, Retype
from accelsim.graph.ops.reduce import Cumulate, Place, Reduce
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.rotary_embedding import RotaryEmbedding
from accelsim.graph.ops.scatter import ScatterElements, ScatterNd
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.ops.token_mean import TokenMean
from accelsim.graph.ops.top_k import TopK
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.value import Value

Precision = Literal["float64", "float32"]

MEANINGS: dict[type[Op], Meaning] = {
    MatMul: products.matmul,
    Conv: convolutions.conv,
    MaxPool: convolutions.max_pool,
    AveragePool: convolutions.average_pool,
    GlobalAveragePool: convolutions.global_average_pool,
    Add: elementwise.add,
    Mul: elementwise.multiply,
    Relu: elementwise.relu,
    Quantize: elementwise.quantize,
    Dequantize: elementwise.dequantize,
    Retype: elementwise.dequantize,
    QuantizeByRange: elementwise.quantize_by_range,
    Function: elementwise.function,
    Elementwise: elementwise.elementwise,
    Convert: elementwise.convert,
    Reduce: reductions.reduce,
    Place: reductions.place,
    Cumulate: reductions.cumulate,
    BatchNorm: rows.batch_norm,
    LayerNorm: rows.layer_norm,
    RmsNorm: rows.rms_norm,
    Softmax: rows.softmax,
    MaskedSoftmax: attention.masked_softmax,
    RotaryEmbedding: attention.rotary_embedding,
    TokenMean: attention.token_mean,
    L2Norm: attention.l2_norm,
    Copy: shapes.copy,
    Slice: shapes.slice_,
    Concat: shapes.concat,
    Gather: shapes.gather,
    GatherElements: places.gather_elements,
    GatherNd: places.gather_nd,
    ScatterElements: places.scatter_elements,
    ScatterNd: places.scatter_nd,
    TopK: places.top_k,
    Expand: shapes.expand,
    Reshape: shapes.reshape,
    Transpose: shapes.transpose,
    Pad: shapes.pad,
}


def hosted(graph: Graph, node: Node, given: Sequence[interpreter.Array]) -> tuple[interpreter.Array, ...]:
    """What the operator inside means."""
    assert isinstance(node.op, Hosted)  # noqa: S101 - as the table has it
    return MEANINGS[type(node.op.op)](graph, replace(node, op=node.op.op), given)


MEANINGS[Hosted] = hosted


def evaluate(
    graph: Graph,
    inputs: Sequence[NDArray[Any]],
    wanted: Iterable[str] | None = None,
    states: Sequence[NDArray[Any]] | None = None,
    precision: Precision = "float64",
) -> Mapping[str, NDArray[Any]]:
    """Real numbers of the values of a float graph, of the precision's type, by name.

    Weights near the end of the float range give infinities or NaN, without a warning: who needs finite outputs checks.

    Parameters
    ----------
    inputs
        Numbers of the graph's inputs, in order; the first axis may have any size.
    wanted
        Values that are asked for; all if absent.
    states
        What the states hold before the step, in order; what they do before the first one if absent.
    precision
        Type in which is computed. Weights are float32 already, so that float32 takes no memory for other ones.
    """
    before = graph.given_before(inputs, states)

    def real(numbers: NDArray[Any], value: Value) -> NDArray[Any]:
        return numbers.astype(value.element.dtype if isinstance(value.element, Plain) else precision, copy=False)

    given = {name: real(x, graph[name]) for name, x in zip(graph.entering, before, strict=True)}
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return interpreter.evaluate(graph, given, MEANINGS, lambda value: real(value.numbers, value), wanted)
