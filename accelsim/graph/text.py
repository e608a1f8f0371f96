"""Graphs as text, a line a node, which a reviewer reads as a diff."""

from __future__ import annotations

from accelsim.graph.graph import Graph
from accelsim.graph.value import Value


def print_graph(graph: Graph) -> str:
    """Inputs, states (what is read, and what is written for the next step), nodes in order and outputs.

        graph digits-mlp
        input                                           360x64 fp32   input
        fc1.products  = MatMul(input, fc1.weight)       360x300 fp32  6,912,000 MACs
        output                                          360x10 fp32   fc3.output

    Constants stand with their shapes and elements at the end.
    """
    rows = [("input", "", _type(graph[name]), name) for name in graph.inputs]
    rows += [("state", "", _type(graph[state.read]), f"{state.read}, then {state.written}") for state in graph.states]
    for node in graph.nodes:
        call = f"{node.op}".removesuffix(")")
        call += ", " if "(" in call else "("
        text = f"{call}{', '.join(node.inputs)})" if "(" in f"{node.op}" else f"{node.op}({', '.join(node.inputs)})"
        work = graph.work(node)
        amount = f"{work.macs:,} MACs" if work.macs else f"{work.vector:,} operations" if work.vector else ""
        types = "; ".join(_type(graph[name]) for name in node.outputs)
        rows.append((", ".join(node.outputs), text, types, amount))
    rows += [("output", "", _type(graph[name]), name) for name in graph.outputs]
    rows += [("constant", "", _type(value), _constant(value)) for value in graph.constants]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"graph {graph.name}"]
    for name, text, types, more in rows:
        middle = f"= {text}".ljust(widths[1] + 2) if text else "".ljust(widths[1] + 2)
        lines.append(f"{name.ljust(widths[0])}  {middle}  {types.ljust(widths[2])}  {more}".rstrip())
    return "\n".join(lines) + "\n"


def _type(value: Value) -> str:
    return f"{'x'.join(map(str, value.shape)) or 'scalar'} {value.element}"


def _constant(value: Value) -> str:
    """Name of a constant and how it stands in memory."""
    stored = f" stored {value.storage.format}" if value.storage else ""
    pattern = f" {value.pattern[0]}:{value.pattern[1]}" if value.pattern != (1, 1) else ""
    return f"{value.name}{pattern}{stored}"
