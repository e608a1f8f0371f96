"""Graphs: types are worked out from inputs and constants, and what does not fit is refused by name."""

from __future__ import annotations

from dataclasses import replace

import float_networks
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import independent_networks, networks

from accelsim.errors import DefectError
from accelsim.graph.build import Builder
from accelsim.graph.element import REAL, Element, Float, Integer, Signs
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast, DynamicQuantize
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.matmul import MatMul, ScaledMatMul
from accelsim.graph.ops.op import Op, Work
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.slice import Slice
from accelsim.graph.value import Shape, Value, without_numbers

UINT8, INT8 = Integer(0.5, 3, signed=False), Integer(0.25, 0, signed=True)
INT32 = Integer(0.125, 0, signed=True, bits=32)


def constant(name: str, shape: Shape, element: Element = REAL) -> Value:
    return Value(name, shape, element, np.zeros(shape, element.dtype))


def known(*values: Value) -> dict[str, Value]:
    return {value.name: value for value in values}


def formed(op: Op, *given_: tuple[Shape, Element]) -> list[tuple[Shape, Element]]:
    """Types that an operator forms of values of these types."""
    outputs = ("y", "z") if isinstance(op, DynamicQuantize) else ("y",)
    values = [Value(f"x{i}", shape, element) for i, (shape, element) in enumerate(given_)]
    names = [value.name for value in values]
    graph = Graph.formed("g", known(*values), [Node("n", op, tuple(names), outputs)], names, outputs)
    return [(graph[name].shape, graph[name].element) for name in outputs]


@pytest.mark.parametrize(
    ("op", "given_", "expected"),
    [
        (MatMul(), [((4, 3), UINT8), ((3, 2), INT8)], [((4, 2), INT32)]),
        (MatMul(), [((4, 3), Float("bf16")), ((3, 2), Float("bf16"))], [((4, 2), Float("fp32"))]),
        (MatMul(), [((4, 3), Signs(0.5)), ((3, 2), INT8)], [((4, 2), Integer(0.125, 0, signed=True, bits=32))]),
        (MatMul(), [((4, 3), replace(UINT8, bits=16)), ((3, 2), replace(INT8, bits=16))],
         [((4, 2), replace(INT32, bits=64))]),
        (MatMul(), [((5, 7, 4, 3), REAL), ((5, 7, 3, 2), REAL)], [((5, 7, 4, 2), REAL)]),
        (MatMul(), [((5, 4, 3), REAL), ((3, 2), REAL), ((5, 4, 2), REAL)], [((5, 4, 2), REAL)]),
        (Add(), [((4, 3), INT32), ((3,), INT32)], [((4, 3), INT32)]),
        (Relu(), [((4, 3), UINT8)], [((4, 3), UINT8)]),
        (Cast(INT8, "tflite_single_round"), [((4, 3), INT32), ((3,), INT32), ((3,), INT8)], [((4, 3), INT8)]),
        (Cast(Signs(0.5)), [((4, 3), INT32)], [((4, 3), Signs(0.5))]),
        (Cast(Float("fp16")), [((4, 3), REAL)], [((4, 3), Float("fp16"))]),
        (DynamicQuantize(8, 5), [((4, 12), Float("fp16"))],
         [((4, 12), Integer(1.0, 0, signed=True)), ((4, 3), REAL)]),
        (ScaledMatMul(5), [((4, 12), INT8), ((4, 3), REAL), ((12, 2), INT8), ((3, 2), REAL)], [((4, 2), REAL)]),
        (Slice(-1, 2, 11, 4), [((4, 12), UINT8)], [((4, 3), UINT8)]),
        (Slice(0, 1, 3), [((4, 12), UINT8)], [((2, 12), UINT8)]),
        (Concat(-1), [((4, 3), UINT8), ((4, 2), UINT8), ((4, 1), UINT8)], [((4, 6), UINT8)]),
        (Concat(0), [((4, 3), UINT8), ((1, 3), UINT8)], [((5, 3), UINT8)]),
    ],
    ids=str,
)  # fmt: skip
def test_types_follow_from_those_of_inputs(
    op: Op, given_: list[tuple[Shape, Element]], expected: list[tuple[Shape, Element]]
) -> None:
    assert formed(op, *given_) == expected


@pytest.mark.parametrize(
    ("op", "given_", "message"),
    [
        (MatMul(), [((4, 3), REAL), ((4, 2), REAL)],
         r"x0 and x1 must be \(\.\.\., M, K\) and \(\.\.\., K, N\), not \(4, 3\) and \(4, 2\)"),
        (MatMul(), [((3,), REAL), ((3, 2), REAL)], r"not \(3,\) and \(3, 2\)"),
        (MatMul(), [((6, 4, 3), REAL), ((5, 3, 2), REAL)], r"x1 must have the leading axes of x0, \(6,\), not \(5,\)"),
        (MatMul(), [((4, 3), REAL), ((3, 2), REAL), ((2,), REAL)], r"x2 must be sums of shape \(4, 2\), not \(2,\)"),
        (MatMul(), [((4, 3), REAL), ((3, 2), INT8)], r"both factors must be floats or integers, not fp32 and int8"),
        (MatMul(), [((4, 3), REAL)], "must take 2 to 3 values, not 1"),
        (Add(), [((4, 3), REAL), ((4,), REAL)], r"shapes of x0 and x1 must fit, not be \(4, 3\) and \(4,\)"),
        (Relu(), [((4, 3), REAL), ((4, 3), REAL)], "must take 1 to 1 values, not 2"),
        (Cast(INT8, "tflite_single_round"), [((4, 3), INT32)], "x0 must be integers with a multiplier and a shift to"),
        (Cast(INT8, "tflite_single_round"), [((4, 3), REAL), ((3,), INT32), ((3,), INT8)],
         "x0 must be integers with a multiplier"),
        (Cast(INT8), [((4, 3), REAL)], r"x0 must have a scheme of rounding to become int8\(0\.25\), not be fp32"),
        (DynamicQuantize(8, 4), [((4, 3), INT8)], r"x0 must be floats to find scales for, not int8\(0\.25\)"),
        (ScaledMatMul(5), [((4, 11), INT8), ((4, 3), REAL), ((12, 2), INT8), ((3, 2), REAL)],
         "x0 must have 12 features, the inputs of x2, not 11"),
        (ScaledMatMul(5), [((4, 12), INT8), ((4, 2), REAL), ((12, 2), INT8), ((3, 2), REAL)],
         r"x1 must be scales of shape \(4, 3\), not \(4, 2\)"),
        (ScaledMatMul(5), [((4, 12), REAL), ((4, 3), REAL), ((12, 2), INT8), ((3, 2), REAL)],
         "both factors must be integers, not fp32 and int8"),
        (Slice(-1, 2, 4), [((4, 3), REAL)], r"x0 must have what is sliced, \[2, 4\), not 3 numbers"),
        (Slice(-1, 2, 2), [((4, 3), REAL)], r"\[2, 2\)"),
        (Concat(-1), [((4, 3), REAL), ((5, 3), REAL)], r"x0 and x1 must fit, not be \(4, 3\) and \(5, 3\)"),
        (Concat(-1), [((4, 3), REAL), ((4, 3), INT8)], "x0 and x1 must be alike, not fp32 and int8"),
    ],
    ids=str,
)  # fmt: skip
def test_values_that_do_not_fit_are_refused_by_name(op: Op, given_: list[tuple[Shape, Element]], message: str) -> None:
    with pytest.raises(DefectError, match=f"^node n of g: .*{message}"):
        formed(op, *given_)


def test_a_value_that_nothing_formed_is_refused() -> None:
    x = Value("x", (2, 3), REAL)
    nodes = [Node("a", Relu(), ("y",), ("z",)), Node("b", Relu(), ("x",), ("y",))]
    with pytest.raises(DefectError, match="node a of g reads 'y', which nothing formed"):
        Graph.formed("g", known(x), nodes, ["x"], ["z"])
    Graph.formed("g", known(x), nodes[::-1], ["x"], ["z"])
    with pytest.raises(DefectError, match="output 'w' of g is formed by no node"):
        Graph.formed("g", known(x), nodes[::-1], ["x"], ["z", "w"])
    with pytest.raises(DefectError, match="node b of g reads 'x', which nothing formed"):
        Graph.formed("g", {}, nodes[::-1], [], ["z"])


def test_a_value_that_is_formed_twice_is_refused() -> None:
    x, y = Value("x", (2, 3), REAL), Value("y", (2, 3), REAL)
    twice = [Node("a", Relu(), ("x",), ("z",)), Node("b", Relu(), ("y",), ("z",))]
    with pytest.raises(DefectError, match="node b of g forms 'z', which is there already"):
        Graph.formed("g", known(x, y), twice, ["x", "y"], ["z"])
    with pytest.raises(DefectError, match="node a of g forms 'y', which is there already"):
        Graph.formed("g", known(x, y), [Node("a", Relu(), ("x",), ("y",))], ["x", "y"], ["y"])


def test_what_nothing_reads_is_dropped_but_for_inputs() -> None:
    x, unread, weight = Value("x", (2, 3), REAL), Value("unread", (2, 3), REAL), constant("w", (3, 4))
    nodes = [
        Node("a", MatMul(), ("x", "w"), ("y",)),
        Node("b", Relu(), ("y",), ("gone",)),
        Node("c", Relu(), ("y",), ("z",)),
    ]
    graph = Graph.formed("g", known(x, unread, weight, constant("u", (3,))), nodes, ["x", "unread"], ["z"])
    assert [node.name for node in graph.nodes] == ["a", "c"]
    assert set(graph.values) == {"x", "unread", "w", "y", "z"}
    assert graph.readers("unread") == ()


def test_readers_and_producers() -> None:
    build = Builder("g")
    x, w = build.input("x", (2, 3)), build.constant("w", np.zeros((3, 3), np.float32))
    one = build.node("one", MatMul(), x, w)
    two = build.node("two", MatMul(), one, w)
    both = build.node("both", Add(), one, one)
    graph = build.graph((two, both))
    assert [node.name for node in graph.readers(w)] == ["one", "two"]
    assert [node.name for node in graph.readers(one)] == ["two", "both"]
    assert graph.readers(two) == ()
    assert graph.producer(x) is graph.producer(w) is None
    assert graph.producer(one) is graph.node("one")
    assert [value.name for value in graph.given(graph.node("both"))] == [one, one]
    assert (graph.constant(w), graph.constant(x), graph.constant(one)) == (True, False, False)
    assert [value.name for value in graph.constants] == [w]
    with pytest.raises(KeyError, match="three"):
        graph.node("three")
    with pytest.raises(ValueError, match="x is no constant"):
        _ = graph[x].numbers


def test_work_is_products_or_operations_on_numbers() -> None:
    build = Builder("g")
    x = build.input("x", (6, 4))
    first = build.linear("fc", x, build.constant("w", np.zeros((4, 5), np.float32)), None, relu=True)
    part = build.node("part", Slice(-1, 0, 2), first)
    graph = build.graph((build.node("both", Concat(-1), part, first),))
    assert [graph.work(node) for node in graph.nodes] == [Work(macs=6 * 4 * 5), Work(vector=30), Work(), Work()]


def test_rebuilding_keeps_steps_and_survivors_and_works_types_out_anew() -> None:
    build = Builder("g")
    x = build.input("x", (2, 3))
    step = np.ones(1, np.float32)
    y = build.linear("fc", x, build.constant("w", np.zeros((3, 4), np.float32), step=step), None, relu=True)
    build.note(y, step=step)
    build.note(x, step=2 * step)
    graph = build.graph((y,))
    assert graph[y].step is graph["w"].step is step
    again = graph.rebuilt(replace(graph["w"], shape=(3, 5), data=np.zeros((3, 5), np.float32)))
    assert (again[y].shape, again[y].step, again["w"].step) == ((2, 5), step, step)
    survivors = np.array([True, False, True, True])
    marked = graph.changed(y, survivors=survivors)
    assert (marked[y].full_features, graph[y].full_features) == (4, 4)
    assert marked.rebuilt()[y].survivors is survivors
    assert graph[y].survivors is None
    np.testing.assert_array_equal(marked[y].of_full(np.arange(4)), [0, 2, 3])
    assert graph.rebuilt(outputs=["fc.products"]).outputs == ("fc.products",)


def test_constants_may_have_shapes_alone() -> None:
    build = Builder("g")
    data = without_numbers(np.float32, (2**20, 2**20))
    assert data.strides == (0, 0)
    weight = build.constant("w", data, outlined=True, pattern=(2, 4))
    graph = build.graph((build.linear("fc", build.input("x", (3, 2**20)), weight, None, relu=False),))
    assert not graph.has_numbers
    assert graph["fc.output"].shape == (3, 2**20)
    assert graph["w"].pattern == (2, 4)


@given(net=st.one_of(networks(), independent_networks()), rows=st.integers(1, 5))
def test_typed_graphs_are_what_forming_them_again_gives(net: IntegerNetwork, rows: int) -> None:
    graph = net.graph(*[rows] * len(net.layers))
    again = graph.rebuilt()
    assert again.nodes == graph.nodes
    assert {k: v.type for k, v in again.values.items()} == {k: v.type for k, v in graph.values.items()}
    assert [again[k].data is graph[k].data for k in graph.values] == [True] * len(graph.values)


def test_a_builder_names_what_it_forms() -> None:
    graph = float_networks.network(np.random.default_rng(0), [4, 3, 2], 5).graph
    assert [(node.name, node.inputs, node.outputs) for node in graph.nodes] == [
        ("fc0", ("input", "fc0.weight"), ("fc0.products",)),
        ("fc0.add", ("fc0.products", "fc0.bias"), graph.node("fc0.relu").inputs),
        ("fc0.relu", graph.node("fc0.add").outputs, ("fc0.output",)),
        ("fc1", ("fc0.output", "fc1.weight"), ("fc1.products",)),
        ("fc1.add", ("fc1.products", "fc1.bias"), ("fc1.output",)),
    ]
    assert (graph.inputs, graph.outputs) == (("input",), ("fc1.output",))
