"""Which operators the vector unit executes, and how."""

from __future__ import annotations

from collections.abc import Callable

from accelsim.compiler.lower import add, convert, look_up, multiply, norm, pool, rotate, scaled_add, softmax
from accelsim.compiler.lower.work import VectorWork
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.integer_norm import IntegerNorm
from accelsim.graph.ops.integer_softmax import IntegerSoftmax
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.rotate import Rotate
from accelsim.graph.ops.scaled_add import ScaledAdd

LOWER: dict[type[Op], Callable[[Graph, Layer], VectorWork]] = {
    Add: add.lower,
    ScaledAdd: scaled_add.lower,
    Mul: multiply.lower,
    Rotate: rotate.lower,
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
