"""What operators mean in a machine's integers and rounded floats: what execution must equal, bit for bit.

Floats are summed fold by fold: products of two floats of 16 bits or fewer are exact in float32, those of fp32 are
rounded to it. Within a fold of so many inputs, sums start at 0 and take one product after the other, inputs in order;
the fold's sum is then added to what the accumulator holds. Every addition rounds to nearest even.

Softmax, normalizations and some functions of floats are made of float32 operations; see `float_rows` and
`float_functions`. Another operator that has a meaning in real numbers alone is the host's, which computes in float64
and rounds what it forms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.golden import interpreter, real
from accelsim.golden.exact import (
    casts,
    convolutions,
    elementwise,
    float_functions,
    float_rows,
    host,
    products,
    quantized,
    rows,
)
from accelsim.golden.interpreter import Meaning
from accelsim.golden.real import shapes
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast, DynamicQuantize
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.expand import Expand
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.integer_norm import IntegerNorm
from accelsim.graph.ops.integer_softmax import IntegerSoftmax
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.matmul import MatMul, ScaledMatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.quantize import Dequantize, Quantize, Retype
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.rotate import Rotate
from accelsim.graph.ops.scaled_add import ScaledAdd
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.ops.transpose import Transpose


def meanings(fold_inputs: int) -> dict[type[Op], Meaning]:
    """What each operator means on a machine.

    Parameters
    ----------
    fold_inputs
        Inputs that are summed before the accumulator adds, which decides how float sums are rounded.
    """
    return {
        **dict.fromkeys(real.MEANINGS, host.compute),
        MatMul: partial(products.matmul, fold_inputs),
        ScaledMatMul: products.scaled_matmul,
        Conv: partial(convolutions.conv, fold_inputs),
        MaxPool: convolutions.max_pool,
        AveragePool: convolutions.average_pool,
        GlobalAveragePool: convolutions.global_average_pool,
        Add: elementwise.add,
        Mul: elementwise.multiply,
        Rotate: elementwise.rotate,
        Relu: elementwise.relu,
        LookUp: elementwise.look_up,
        IntegerSoftmax: rows.softmax,
        IntegerNorm: rows.normalize,
        Softmax: float_rows.softmax,
        MaskedSoftmax: float_rows.masked_softmax,
        LayerNorm: float_rows.layer_norm,
        RmsNorm: float_rows.rms_norm,
        L2Norm: float_rows.l2_norm,
        Function: float_functions.function,
        Cast: casts.cast,
        DynamicQuantize: casts.dynamic_quantize,
        Quantize: quantized.quantize,
        Dequantize: quantized.dequantize,
        Retype: quantized.retype,
        ScaledAdd: quantized.scaled_add,
        Copy: shapes.copy,
        Slice: shapes.slice_,
        Concat: shapes.concat,
        Gather: shapes.gather,
        Expand: shapes.expand,
        Reshape: shapes.reshape,
        Transpose: shapes.transpose,
        Pad: shapes.pad,
    }


def evaluate(
    graph: Graph, inputs: Sequence[NDArray[Any]], fold_inputs: int, states: Sequence[NDArray[Any]] | None = None
) -> Mapping[str, NDArray[Any]]:
    """Numbers of all values of a typed graph, by name, as its elements hold them.

    Parameters
    ----------
    inputs
        Numbers of the graph's inputs, in order, of their elements' types.
    states
        What the states hold before the step, in order, as inputs; what they do before the first one if absent.
    """
    given = dict(zip(graph.entering, graph.given_before(inputs, states), strict=True))
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        return interpreter.evaluate(graph, given, meanings(fold_inputs), lambda value: value.numbers)
