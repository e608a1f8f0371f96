"""Which operators the vector unit executes, and how."""

from __future__ import annotations

from collections.abc import Callable

from accelsim.compiler.lower import (
    add,
    convert,
    float_function,
    float_rows,
    look_up,
    multiply,
    norm,
    pool,
    scaled_add,
    softmax,
)
from accelsim.compiler.lower.work import VectorWork
from accelsim.config.arch import Machine
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.integer_norm import IntegerNorm
from accelsim.graph.ops.integer_softmax import IntegerSoftmax
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.rotate import Rotate
from accelsim.graph.ops.scaled_add import ScaledAdd
from accelsim.graph.ops.softmax import Softmax

Lower = Callable[[Graph, Layer], VectorWork]

#: Bits of the least wide floats that a vector unit computes with.
WIDE_BITS = 16

LOWER: dict[type[Op], Lower] = {
    Add: add.lower,
    ScaledAdd: scaled_add.lower,
    Mul: multiply.lower,
    Rotate: multiply.lower,
    MaxPool: pool.lower,
    AveragePool: pool.lower,
    GlobalAveragePool: pool.lower,
    LookUp: look_up.lower,
    IntegerSoftmax: softmax.lower,
    IntegerNorm: norm.lower,
    Cast: convert.lower,
    Relu: convert.lower,
    Copy: convert.lower,
}
#: Those of floats that only a machine of floats of 16 bits or more has.
FLOATS: dict[type[Op], Lower] = {
    Softmax: float_rows.lower,
    MaskedSoftmax: float_rows.lower,
    LayerNorm: float_rows.lower,
    RmsNorm: float_rows.lower,
    L2Norm: float_rows.lower,
    Function: float_function.lower,
}


def lowers(op: Op, machine: Machine) -> Lower | None:
    """What makes vector work of an operator on a machine; None if its vector unit has none such."""
    wide = machine.operand.is_float and machine.operand.bits >= WIDE_BITS
    return LOWER.get(type(op)) or (FLOATS.get(type(op)) if wide else None)
