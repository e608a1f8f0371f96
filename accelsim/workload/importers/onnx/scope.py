"""Tensors that nodes of a model read by name, and the walk over its nodes."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from accelsim.graph.ops.op import UnfitError
from accelsim.workload.importers.onnx import structure
from accelsim.workload.importers.onnx.definitions import DEFINED, definition
from accelsim.workload.importers.onnx.faults import RefusedError, require_text, short
from accelsim.workload.importers.onnx.file import Folder
from accelsim.workload.importers.onnx.node import OnnxNode
from accelsim.workload.importers.onnx.table import NO_MEANING, OPERATORS, REFUSED
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation, unique

if TYPE_CHECKING:
    from onnx import AttributeProto, FunctionProto, ModelProto, NodeProto

#: How deep functions may call each other.
MAX_DEPTH = 8
#: What numpy raises where numbers of a file are not what they must be.
_MISTAKES = (ArithmeticError, LookupError, MemoryError, TypeError, ValueError)


@dataclass(eq=False)
class Scope:
    """Tensors by name, of a model or of a function that it calls.

    Parameters
    ----------
    unknown
        Tensors of unknown types, and why they can't be read.
    names
        Names that the model has for values of the graph.
    depth
        How many functions are being called.
    """

    build: Translation
    folder: Folder
    versions: Mapping[str, int]
    functions: Mapping[tuple[str, str], FunctionProto]
    tensors: MutableMapping[str, Tensor] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    depth: int = 0

    @classmethod
    def of_model(cls, build: Translation, folder: Folder, versions: Mapping[str, int], model: ModelProto) -> Scope:
        """The outermost one."""
        functions = {(structure.domain_of(f.domain), f.name): f for f in model.functions}
        if len(functions) < len(model.functions):
            raise RefusedError("functions must have different names")
        return cls(build, folder, versions, functions)

    def read(self, name: str) -> Tensor:
        """A tensor; raises RefusedError if there is none."""
        if name in self.unknown:
            raise RefusedError(self.unknown[name])
        if name not in self.tensors:
            raise RefusedError(f"reads {short(name)!r}, which nothing formed")
        return self.tensors[name]

    def run(self, nodes: Iterable[NodeProto]) -> None:
        """Translate nodes, in their order.

        Raises
        ------
        RefusedError
            If one of them can't be; the sentence names it and its operator.
        """
        for number, node in enumerate(nodes):
            self.build.count_step()
            outer, before = self.build.name, len(self.build.nodes)
            own = node.name or f"{short(node.op_type)}_{number}"
            self.build.name = f"{outer}.{own}" if self.depth else own
            try:
                formed = self._translate(node)
            except (RefusedError, UnfitError) as error:
                raise _named(node, self.depth, str(error)) from None
            except UnicodeDecodeError:
                raise
            except _MISTAKES as error:
                text = f"must have numbers that fit it, but: {str(error) or type(error).__name__}"
                raise _named(node, self.depth, text.splitlines()[0][:300]) from None
            self.build.name = outer
            self._keep(node, formed, before)

    def _keep(self, node: NodeProto, formed: tuple[Tensor | None, ...], before: int) -> None:
        """Note what a node formed under the names that the model has for it."""
        fresh = {output for made in self.build.nodes[before:] for output in made.outputs}
        for name, tensor in zip(node.output, formed, strict=False):
            if not name or tensor is None:
                continue
            self.tensors[name] = tensor
            if self.depth == 0 and tensor.value.name in fresh and tensor.value.name not in self.names:
                self.names[tensor.value.name] = name

    def _translate(self, node: NodeProto) -> tuple[Tensor | None, ...]:
        """What a node forms, as many tensors at least as are asked for."""
        domain = structure.domain_of(node.domain)
        if (domain, node.op_type) in self.functions:
            return self._call(self.functions[domain, node.op_type], node)
        key = node.op_type if not domain else f"{domain}.{node.op_type}"
        if key == "If":
            return self._branch(node)
        rule = OPERATORS.get(key)
        if rule is None and key not in DEFINED:
            why = REFUSED.get(key, NO_MEANING)
            raise RefusedError(f"operator {short(key)} is refused: {why}")
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if any(attribute.ref_attr_name for attribute in node.attribute):
            raise RefusedError("attributes must be given, not those of a function around it")
        version = self.versions.get(domain, 1 if domain in structure.UNDECLARED else None)
        if version is None:
            raise RefusedError(f"the operator set {short(domain) or 'ai.onnx'} must be imported")
        inputs = tuple(self.read(name) if name else None for name in node.input)
        if rule is None:
            return self._call(definition(node, domain, version, inputs), node)
        if version < rule.since:
            raise RefusedError(f"operator {key} must be of operator set {rule.since} or newer, not {version}")
        name = self.build.name
        if not node.name:  # a name that nothing else has, as the rule's nodes begin with it
            name = self.build.name = unique(name, self.build.node_names)
            self.build.node_names.discard(name)
        formed = rule.translate(
            self.build, OnnxNode(name, node.op_type, version, inputs, tuple(node.output), attributes, self.folder)
        )
        found = formed if isinstance(formed, tuple) else (formed,)
        if any(node.output[len(found) :]):
            raise RefusedError(f"must form {len(found)} outputs, not {len(node.output)}")
        return found

    def _branch(self, node: NodeProto) -> tuple[Tensor | None, ...]:
        """What one of two branches forms, where it is known which one it is."""
        condition = self.read(node.input[0]) if node.input else None
        if condition is None or not condition.known or condition.count != 1:
            raise RefusedError("its condition must be constant: what is executed must not depend on the inputs")
        if self.depth == MAX_DEPTH:
            raise RefusedError(f"branches must stand in each other at most {MAX_DEPTH} deep")
        wanted = "then_branch" if condition.numbers.all() else "else_branch"
        graph = next((attribute.g for attribute in node.attribute if attribute.name == wanted), None)
        if graph is None or graph.initializer or graph.input:
            raise RefusedError(f"its {wanted} must be nodes alone")
        seen = ChainMap({}, self.tensors)
        inner = Scope(self.build, self.folder, self.versions, self.functions, seen, self.unknown, depth=self.depth + 1)
        for part in graph.node:
            require_text(part.name, part.op_type, part.domain, *part.input, *part.output)
        inner.run(graph.node)
        asked = zip((value.name for value in graph.output), node.output, strict=False)
        return tuple(inner.read(name) if outer else None for name, outer in asked)

    def _call(self, function: FunctionProto, node: NodeProto) -> tuple[Tensor | None, ...]:
        """What a function of the model forms: that of its own nodes, in a scope of their own."""
        if self.depth == MAX_DEPTH:
            raise RefusedError(f"functions must call each other at most {MAX_DEPTH} deep")
        if len(node.input) > len(function.input) or len(node.output) > len(function.output):
            raise RefusedError(f"function {short(function.name)} must be called with its own inputs and outputs")
        versions = {**self.versions, **structure.operator_sets(function)}
        inner = Scope(self.build, self.folder, versions, self.functions, depth=self.depth + 1)
        for name, outer in zip(function.input, node.input, strict=False):
            if outer:
                inner.tensors[name] = self.read(outer)
        asked = list(zip(function.output, node.output, strict=False))
        structure.in_order(function.node, {*function.input}, [name for name, outer in asked if outer])
        inner.run(_bound(function, node))
        return tuple(inner.read(name) if outer else None for name, outer in asked)


def _bound(function: FunctionProto, call: NodeProto) -> list[NodeProto]:
    """Nodes of a function, with the attributes that it is called with."""
    from onnx import NodeProto

    given: dict[str, AttributeProto] = {attribute.name: attribute for attribute in function.attribute_proto}
    given |= {attribute.name: attribute for attribute in call.attribute}
    nodes = []
    for node in function.node:
        bound = NodeProto()
        bound.CopyFrom(node)
        del bound.attribute[:]
        for attribute in node.attribute:
            if not attribute.ref_attr_name:
                bound.attribute.append(attribute)
            elif attribute.ref_attr_name in given:
                bound.attribute.append(given[attribute.ref_attr_name])
                bound.attribute[-1].name = attribute.name
        nodes.append(bound)
    return nodes


def _named(node: NodeProto, depth: int, message: str) -> RefusedError:
    """The fault of a node; inside a function the outermost node's name stands first."""
    return RefusedError(
        f"node {structure.called(node)}: {message}" if not depth else f"{structure.called(node)}: {message}"
    )
