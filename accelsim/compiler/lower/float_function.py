"""Functions of single floats."""

from __future__ import annotations

from accelsim.compiler.lower.float_rows import require_floats
from accelsim.compiler.lower.work import VectorWork, range_of
from accelsim.errors import CompileError, unknown_name
from accelsim.graph.graph import Graph
from accelsim.graph.layer import Layer
from accelsim.graph.ops.function import Function as FunctionOp
from accelsim.isa.functions import OF_FLOATS, Function


def lower(graph: Graph, group: Layer) -> VectorWork:
    """One pass of each number, a ReLU behind it included."""
    op = group.head.op
    assert isinstance(op, FunctionOp)  # noqa: S101 - as the table has it
    known = {name.value: operation for operation, name in OF_FLOATS.items()}
    if op.name not in known:
        raise CompileError(f"node {group.name}: {unknown_name('function of floats', op.name, known)}")
    source, result = require_floats(graph, group)
    low, high = range_of(group.output.element, group.epilogue)
    function = Function(known[op.name], source=source, result=result, low=low, high=high)
    return VectorWork((group.head.inputs[0],), group.nodes, group.output.name, function)
