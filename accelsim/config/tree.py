"""YAML 1.2 to plain values, each with its place; what a text may ask for is bounded while it is parsed.

A node takes about 50 us. So their number is bounded before they are composed, aliases and merged keys counted each time
that they stand for something; values inside each other are bounded, too, and numbers in length. Tags are not executed.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Path_ = tuple[int | str, ...]

#: Keys and values of a text, values inside each other, and characters of a number.
MAX_NODES, MAX_DEPTH, MAX_NUMBER = 100_000, 64, 64
_TAG = "tag:yaml.org,2002:"
#: Tags of the core schema that a scalar can't have.
_COLLECTIONS = {f"{_TAG}{name}" for name in ("map", "seq", "set", "omap", "pairs")}


class MalformedError(Exception):
    """A text is refused; line and column, from 1, are 0 if they are not known."""

    def __init__(self, message: str, line: int = 0, column: int = 0, path: Path_ = ()) -> None:
        super().__init__(message)
        self.line, self.column, self.path = line, column, path


class Tree(NamedTuple):
    """Nested dict, list and scalars of a text, and line and column, from 1, of each path into them."""

    data: Any
    marks: dict[Path_, tuple[int, int]]


def parse(content: str) -> Tree:
    """Read a text.

    Raises
    ------
    MalformedError
        If it is not YAML, or asks for too much.
    """
    tree = _parsed(content)
    return tree._replace(data=copy.deepcopy(tree.data))  # who reads a machine puts its DRAM part there


@lru_cache(maxsize=8)  # `check` reads a file once for its kind, and once as it
def _parsed(content: str) -> Tree:
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    try:
        node = yaml.compose(content)
        plain = _Plain(yaml)
        return Tree(None if node is None else plain.value(node, ()), plain.marks)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problem = (error.problem or "not valid").splitlines()[0]
        raise MalformedError(f"must be valid YAML: {problem}", line, column) from None
    except (
        YAMLError, ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError
    ) as error:  # fmt: skip # what ruamel raises for directives and tags that it does not expect, beside its own errors
        problem = next(iter(str(error).splitlines()), type(error).__name__)
        raise MalformedError(f"must be valid YAML: {problem}") from None


class _Composer(Composer):
    """Composes no more nodes than are allowed."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self._inside = self._nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node, or give that which an alias stands for."""
        self._nodes += 1
        self._inside += 1
        event = self.parser.peek_event()
        _require(self._nodes, self._inside, event.start_mark)
        node = super().compose_node(parent, index)
        self._inside -= 1
        return node


def _require(nodes: int, inside: int, mark: Any) -> None:
    """Refuse a text that has too many values, or too many inside each other."""
    if nodes > MAX_NODES:
        raise MalformedError(f"must hold at most {MAX_NODES} values, aliases counted in full")
    if inside > MAX_DEPTH:
        raise MalformedError(f"must hold at most {MAX_DEPTH} values inside each other", mark.line + 1, mark.column + 1)


class _Plain:
    """Makes values of nodes."""

    def __init__(self, yaml: YAML) -> None:
        self.marks: dict[Path_, tuple[int, int]] = {}
        self._constructor: Any = yaml.constructor
        self._nodes = 0

    def value(self, node: Node, path: Path_) -> Any:
        """Value of a node at a path."""
        self._count(node, path)
        if isinstance(node, MappingNode):
            items: dict[str, Node] = {}
            for key, key_node, value in self._items(node, path, merged=False):
                items[key] = value
                self._note((*path, key), key_node)
            return {key: self.value(value, (*path, key)) for key, value in items.items()}
        if isinstance(node, SequenceNode):
            for index, item in enumerate(node.value):
                self._note((*path, index), item)
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, ScalarNode)  # noqa: S101 - there is nothing else
        return self._scalar(node, path)

    def _count(self, node: Node, path: Path_) -> None:
        self._nodes += 1
        _require(self._nodes, len(path), node.start_mark)

    def _note(self, path: Path_, node: Node) -> None:
        self.marks[path] = node.start_mark.line + 1, node.start_mark.column + 1

    def _items(self, node: MappingNode, path: Path_, *, merged: bool) -> list[tuple[str, ScalarNode, Node]]:
        """Keys and values of a mapping, those that it merges among them unless it has them itself."""
        own: dict[str, tuple[str, ScalarNode, Node]] = {}
        bases: list[MappingNode] = []
        for key_node, value in node.value:
            self._count(key_node, path)
            if not isinstance(key_node, ScalarNode):
                raise _fault(key_node, "keys must be names, not lists or mappings", path)
            if str(key_node.tag) == f"{_TAG}merge":
                bases += _merged(value, path)
                continue
            key = str(self._scalar(key_node, path))
            if key in own and not merged:
                mark = key_node.start_mark
                message = f'must be valid YAML: found duplicate key "{key}"'
                raise MalformedError(message, mark.line + 1, mark.column + 1)
            own[key] = key, key_node, value
        for base in bases:
            for item in self._items(base, (*path, "<<"), merged=True):
                own.setdefault(item[0], item)
        return list(own.values())

    def _scalar(self, node: ScalarNode, path: Path_) -> Any:
        """Value of a scalar; what has another tag than those of the core schema is text."""
        tag, text = str(node.tag), node.value
        kind = tag.removeprefix(_TAG)
        if tag in _COLLECTIONS:
            raise _fault(node, f"must be valid YAML: a scalar can't be a {kind}", path)
        if tag not in {f"{_TAG}{name}" for name in ("null", "bool", "int", "float")}:
            return text
        if kind != "null" and len(text) > MAX_NUMBER:
            raise _fault(node, f"must be a number of at most {MAX_NUMBER} characters, not of {len(text)}", path)
        try:
            return getattr(self._constructor, f"construct_yaml_{kind}")(node)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise _fault(node, f"must be valid YAML: {text!r} is no {kind}", path) from None


def _merged(node: Node, path: Path_) -> list[MappingNode]:
    """Mappings that a merge key names."""
    nodes = node.value if isinstance(node, SequenceNode) else [node]
    if not all(isinstance(one, MappingNode) for one in nodes):
        raise _fault(node, "must be valid YAML: a merge key must name mappings", path)
    return list(nodes)


def _fault(node: Node, message: str, path: Path_) -> MalformedError:
    return MalformedError(message, node.start_mark.line + 1, node.start_mark.column + 1, path)
