"""What operators mean in real numbers, float64: the reference for calibration and for quality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.golden import interpreter
from accelsim.golden.interpreter import Meaning
from accelsim.golden.real import convolutions, elementwise, products, rows, shapes
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import BatchNorm, LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.quantize import Dequantize, Quantize, Retype
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.ops.transpose import Transpose

Float64 = NDArray[np.float64]

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
    Function: elementwise.function,
    BatchNorm: rows.batch_norm,
    LayerNorm: rows.layer_norm,
    RmsNorm: rows.rms_norm,
    Softmax: rows.softmax,
    Copy: shapes.copy,
    Slice: shapes.slice_,
    Concat: shapes.concat,
    Reshape: shapes.reshape,
    Transpose: shapes.transpose,
    Pad: shapes.pad,
}


def evaluate(
    graph: Graph,
    inputs: Sequence[NDArray[Any]],
    wanted: Iterable[str] | None = None,
    states: Sequence[NDArray[Any]] | None = None,
) -> Mapping[str, Float64]:
    """Real numbers of the values of a float graph, float64, by name.

    Weights near the end of the float range give infinities or NaN, without a warning: who needs finite outputs checks.

    Parameters
    ----------
    inputs
        Numbers of the graph's inputs, in order; the first axis may have any size.
    wanted
        Values that are asked for; all if absent.
    states
        What the states hold before the step, in order; what they do before the first one if absent.
    """
    before = graph.given_before(inputs, states)
    given = {name: x.astype(np.float64) for name, x in zip(graph.entering, before, strict=True)}
    with np.errstate(over="ignore", invalid="ignore"):
        return interpreter.evaluate(graph, given, MEANINGS, lambda data: data.astype(np.float64), wanted)
