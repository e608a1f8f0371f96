"""What a model's graph must be before its nodes are looked at: names, order, operator sets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from accelsim.workload.importers.onnx.faults import RefusedError, require_text, short

if TYPE_CHECKING:
    from onnx import FunctionProto, GraphProto, ModelProto, NodeProto

#: Names of ONNX's own operator set.
ONNX_DOMAINS = ("", "ai.onnx")
#: Domains whose tools write models that do not import their operator sets.
UNDECLARED = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
#: Most nodes of a model.
MAX_NODES = 2**16


def domain_of(domain: str) -> str:
    """A domain, ONNX's own as the empty text."""
    return "" if domain in ONNX_DOMAINS else domain


def operator_sets(model: ModelProto | FunctionProto) -> dict[str, int]:
    """Version of each operator set that is imported, by domain.

    Raises
    ------
    RefusedError
        If that of ONNX is newer than the installed onnx.
    """
    from onnx.defs import onnx_opset_version

    found = {domain_of(opset.domain): opset.version for opset in model.opset_import}
    newest = onnx_opset_version()
    if "" in found and not 1 <= found[""] <= newest:
        raise RefusedError(f"operator set must be 1 to {newest}, the newest that is known, not {found['']}")
    return found


def check(graph: GraphProto) -> None:
    """Refuse a graph whose tensors are formed twice, or read before they are formed.

    Raises
    ------
    RefusedError
        With the first fault.
    """
    if len(graph.node) > MAX_NODES:
        raise RefusedError(f"must have at most {MAX_NODES} nodes, not {len(graph.node)}")
    if graph.sparse_initializer:
        raise RefusedError("sparse initializers must be dense")
    constants = [tensor.name for tensor in graph.initializer]
    inputs = [value.name for value in graph.input]
    require_text(*constants, *inputs, *(value.name for value in graph.output))
    for what, names in (("initializer", constants), ("input", inputs)):
        _different(what, names)
        if not all(names):
            raise RefusedError(f"each {what} must have a name")
    if not graph.output:
        raise RefusedError("must have an output")
    _different("output", [value.name for value in graph.output])
    in_order(graph.node, {*constants, *inputs}, [value.name for value in graph.output])


def in_order(nodes: Sequence[NodeProto], there: set[str], outputs: Iterable[str]) -> None:
    """Refuse nodes that form a tensor again, or read one that no node before them forms.

    Parameters
    ----------
    there
        Tensors that are there before the first node.
    outputs
        Tensors that must be there behind the last one.
    """
    for node in nodes:
        require_text(node.name, node.op_type, node.domain, *node.input, *node.output)
    formed = {name for node in nodes for name in node.output}
    there = set(there)
    for node in nodes:
        for name in filter(None, node.input):
            if name not in there:
                why = "only by nodes behind it: in a circle, or out of order" if name in formed else "by none"
                raise RefusedError(f"node {called(node)} reads {short(name)!r}, which is formed {why}")
        for name in filter(None, node.output):
            if name in there:
                raise RefusedError(f"node {called(node)} forms {short(name)!r}, which is there already")
            there.add(name)
    for name in outputs:
        if name not in there:
            raise RefusedError(f"output {short(name)!r} is formed by no node")


def called(node: NodeProto) -> str:
    """How faults name a node."""
    name = node.name or (node.output[0] if node.output else "")
    return f"{short(name)} ({short(node.op_type)})"


def _different(what: str, names: Sequence[str]) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise RefusedError(f"{what}s must have different names, not {short(name)!r} twice")
        seen.add(name)
