"""Layers, as people and recipes name them: a product with a constant factor, and what follows until others read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from numpy.typing import NDArray

from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.matmul import MatMul, ScaledMatMul
from accelsim.graph.ops.relu import Relu
from accelsim.graph.value import Value

#: Operators whose second factor may be a constant.
PRODUCTS = (MatMul, ScaledMatMul, Conv)


class Layer(NamedTuple):
    """A layer of a graph.

    Parameters
    ----------
    head
        Its first product, whose name is the layer's.
    more
        Products that are added onto the first one's sums.
    epilogue
        Bias, activation and conversion behind them, in order.
    """

    graph: Graph
    head: Node
    more: tuple[Node, ...]
    epilogue: tuple[Node, ...]

    def of(self, graph: Graph) -> Layer:
        """The layer of the same name in another graph."""
        return layer_of(graph, self.name)

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.head.name

    @property
    def products(self) -> tuple[Node, ...]:
        """All its products, in the order in which they are added up."""
        return (self.head, *self.more)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All its nodes."""
        return (*self.products, *self.epilogue)

    @property
    def input(self) -> Value:
        """What its first product reads."""
        return self.graph[self.head.inputs[0]]

    @property
    def weight(self) -> Value:
        """Constant factor of its first product, shape (K, N), or filters (height, width, channels, N)."""
        return self.graph[weight_of(self.head)]

    @property
    def matrix(self) -> NDArray[Any]:
        """Numbers of the weights, shape (K, N): of filters, K are rows, columns and channels."""
        return self.weight.numbers.reshape(-1, self.weight.features)

    @property
    def by_channel(self) -> NDArray[Any]:
        """Numbers of the weights, shape (pixels of the kernel, channels, N); one pixel if there is no kernel."""
        return self.weight.numbers.reshape(-1, *self.weight.shape[-2:])

    @property
    def sums(self) -> str:
        """Name of the sums of all products."""
        return self.products[-1].output

    @property
    def bias(self) -> Value | None:
        """What is added to each row of sums, shape (N,); None if nothing is."""
        for node in self.epilogue:
            if isinstance(node.op, Add):
                return self.graph[node.inputs[1]]
        return None

    @property
    def relu(self) -> Relu | None:
        """Its ReLU, if it has one."""
        return next((node.op for node in self.epilogue if isinstance(node.op, Relu)), None)

    @property
    def output(self) -> Value:
        """What it forms."""
        return self.graph[self.nodes[-1].output]


def weight_of(node: Node) -> str:
    """Name of a product's second factor."""
    return node.inputs[2 if isinstance(node.op, ScaledMatMul) else 1]


def layers(graph: Graph) -> list[Layer]:
    """Layers of a graph, in order of their first products."""
    return [
        Layer(graph, node, *_follow(graph, node))
        for node in graph.nodes
        if isinstance(node.op, PRODUCTS) and graph.constant(weight_of(node)) and not _adds(node)
    ]


def layer_of(graph: Graph, name: str) -> Layer:
    """Layer of a name; raises KeyError if there is none."""
    return group_of(graph, graph.node(name))


def group_of(graph: Graph, node: Node) -> Layer:
    """A node, of whatever operator, and what follows it until others read it, as a layer."""
    return Layer(graph, node, *_follow(graph, node))


def _adds(node: Node) -> bool:
    """Whether a product is added onto another one's sums."""
    return isinstance(node.op, MatMul) and len(node.inputs) == 3


def _follow(graph: Graph, head: Node) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """Products that join a first one, and the epilogue behind them."""
    more: list[Node] = []
    epilogue: list[Node] = []
    last = head
    for node in _chain(graph, head):
        if _adds(node) and node.inputs[2] == last.output and not epilogue:
            more.append(node)
        elif _belongs(graph, node, last) and _in_order(epilogue, node):
            epilogue.append(node)
        else:
            break
        last = node
    return tuple(more), tuple(epilogue)


def _chain(graph: Graph, node: Node) -> Iterator[Node]:
    """Nodes that follow one, each the only reader of what the one before formed, which does not leave the graph."""
    while node.output not in graph.leaving and len(graph.readers(node.output)) == 1:
        (node,) = graph.readers(node.output)
        yield node


def _in_order(epilogue: list[Node], node: Node) -> bool:
    """Whether a node may stand behind others in a layer: a bias before all of them, and of each kind one."""
    return not any(type(before.op) is type(node.op) for before in epilogue) and not (
        epilogue and isinstance(node.op, Add)
    )


def _belongs(graph: Graph, node: Node, last: Node) -> bool:
    """Whether a node ends a layer, as far as its kind tells: a bias, an activation, a conversion."""
    if node.inputs[0] != last.output:
        return False
    if isinstance(node.op, Add):
        return graph.constant(node.inputs[1]) and len(graph[node.inputs[1]].shape) == 1
    return isinstance(node.op, Relu | Cast)
