"""States: what a step writes the next one reads; they stay through every change of a graph, or are refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from float_networks import recipe, typed
from recurrent import Elman

from accelsim.compress.apply import compress, rewritten
from accelsim.compress.compact import compact
from accelsim.errors import ConfigError, DefectError
from accelsim.graph.build import Builder
from accelsim.graph.element import REAL, Float, Integer
from accelsim.graph.fold import fold_batch_norms
from accelsim.graph.graph import Graph, Node
from accelsim.graph.layer import layer_of
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.norm import BatchNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.relu import Relu
from accelsim.graph.rewrite import divided_by, push, replaced, with_samples
from accelsim.graph.state import State
from accelsim.graph.text import print_graph
from accelsim.graph.value import Value
from accelsim.workload.network import Network


def network(seed: int = 1) -> Network:
    rng = np.random.default_rng(seed)
    return Elman.drawn(rng, 3, 4, 2).network(rng, 5)


def pair(graph: Graph) -> list[tuple[str, str]]:
    return [(state.read, state.written) for state in graph.states]


def test_what_is_read_enters_and_what_is_written_leaves() -> None:
    graph = network().graph
    assert (graph.inputs, graph.entering) == (("x",), ("x", "h"))
    assert (graph.outputs, graph.leaving) == (("y.output",), ("y.output", "next.output"))
    assert graph.producer("h") is None
    assert not graph.constant("h")
    assert [node.name for node in graph.readers("h")] == ["u"]


def test_what_is_written_alone_is_not_dropped() -> None:
    build = Builder("g")
    x, h = build.input("x", (2, 3)), build.state("h", (2, 3), "later")
    build.node("write", Relu(), h, output="later")
    graph = build.graph((build.node("out", Relu(), x),))
    assert [node.name for node in graph.nodes] == ["write", "out"]
    assert graph.rebuilt(outputs=()).leaving == ("later",)


def test_every_change_of_a_graph_keeps_states() -> None:
    graph = network().graph
    wanted = [("h", "next.output")]
    assert pair(graph.rebuilt()) == pair(graph.changed("y.output", survivors=np.ones(2, bool))) == wanted
    assert pair(replaced(graph, (), ())) == wanted
    larger = with_samples(graph, 9)
    assert pair(larger) == wanted
    assert larger["h"].shape == larger["next.output"].shape == (9, 4)
    assert larger.states[0].initial is graph.states[0].initial


def test_what_holds_no_state_is_refused_by_name() -> None:
    wide, zeros = np.zeros((4, 3), np.float32), np.zeros(3, np.float32)
    float_, first = Value("h", (2, 3), REAL), State("h", "y", zeros)

    def made(value: Value | None, op: Op, *states: State, reads: str = "h", inputs: tuple[str, ...] = ("x",)) -> Graph:
        known = {"x": Value("x", (2, 3), REAL), "w": Value("w", wide.shape, REAL, wide)}
        known |= {value.name: value} if value else {}
        node = Node("n", op, (reads, "w") if isinstance(op, MatMul) else (reads,), ("y",))
        return Graph.formed("g", known, [node], inputs, ("y",), states)

    assert made(float_, Relu(), first).states == (first,)
    for graph, message in (
        (lambda: made(None, Relu(), first, reads="x"), "must have a type, but none is known"),
        (lambda: made(float_, Relu(), first, reads="x"), "must be read by a node"),
        (lambda: made(float_, Relu(), State("h", "z", zeros)), "must be written by a node, but 'z' is formed by none"),
        (lambda: made(float_, Relu(), State("h", "x", zeros)), "must be written by a node, but 'x' is formed by none"),
        (lambda: made(float_, Relu(), first, inputs=("x", "h")), "must be no input, constant or other state"),
        (lambda: made(float_, Relu(), first, first), "must be no input, constant or other state"),
        (lambda: made(replace(float_, data=np.zeros((2, 3), np.float32)), Relu(), first), "must be no input, constant"),
        (lambda: made(replace(float_, shape=(2, 4)), MatMul(), first),
         r"must be written as it is read, fp32 of shape \(2, 4\), but 'y' is fp32 of shape \(2, 3\)"),
        (lambda: made(float_, Cast(Float("bf16")), first), r"must be written as .*, but 'y' is bf16 of shape \(2, 3\)"),
        (lambda: made(float_, Relu(), State("h", "y", wide)),
         r"must begin with numbers of shape \(3,\), a sample's, not \(4, 3\)"),
    ):  # fmt: skip
        with pytest.raises(DefectError, match=f"^state 'h' of g {message}"):
            graph()


def test_a_layer_ends_where_a_state_is_written() -> None:
    def graph(op: Op, *parts: str) -> Graph:
        build = Builder("g")
        x, h = build.input("x", (2, 3)), build.state("h", (2, 3), "fc.output")
        sums = build.linear("fc", x, build.constant("w", np.ones((3, 3), np.float32)), None, relu=False)
        for part in parts:
            build.constant(part, np.ones(3, np.float32))
        return build.graph((build.node("end", op, sums, *parts), build.node("old", Relu(), h)))

    assert layer_of(graph(Relu()), "fc").output.name == "fc.output"
    norm = graph(BatchNorm(1e-5), "gamma", "beta", "mean", "variance")
    assert fold_batch_norms(norm).nodes == norm.nodes
    without = Graph.formed("g", norm.values, norm.nodes, norm.entering, norm.outputs)
    assert fold_batch_norms(without).nodes != without.nodes


def test_features_of_a_state_stay_as_they_are() -> None:
    graph = network().graph
    scale = np.full(4, 2.0)
    with pytest.raises(ValueError, match="h is what the step before wrote"):
        push(graph, "h", divided_by(scale))
    with pytest.raises(ValueError, match=r"others read next\.output"):
        push(graph.rebuilt(nodes=[*graph.nodes, Node("r", Relu(), ("next.output",), ("r",))], outputs=("r",)), "r",
             divided_by(scale))  # fmt: skip
    for name in ("u", "y"):
        with pytest.raises(ConfigError, match=f"layer {name}: "):
            rewritten(network(), recipe({"scheme": "smoothquant", "alpha": 0.5, "layers": name}))


def test_both_values_of_a_state_have_one_element() -> None:
    net = network()
    graph, _ = typed(net, recipe({"scheme": "int8"}))
    element = graph["h"].element
    assert isinstance(element, Integer)
    assert element == graph["next.output"].element
    narrow, _ = typed(net, recipe({"scheme": "bf16"}))
    assert narrow["h"].element == narrow["next.output"].element == Float("bf16")


def test_the_range_of_a_state_is_that_of_several_steps_and_of_what_it_begins_with() -> None:
    rng = np.random.default_rng(3)
    cell = Elman.drawn(rng, 3, 4, 2)
    growing = replace(cell, u=1.1 * np.eye(4, dtype=np.float32), begun=np.zeros(4, np.float32))
    graph, _ = typed(growing.network(rng, 5), recipe({"scheme": "int8"}))
    net = growing.network(rng, 5)
    (x,) = net.calibration
    once, _ = growing.step(x, np.zeros((len(x), 4)))
    assert graph["h"].element.dequantize(np.array(graph["h"].element.qmax)) > 1.5 * once.max()
    far = replace(cell, u=np.zeros((4, 4), np.float32), begun=np.full(4, 100, np.float32))
    graph, _ = typed(far.network(rng, 5), recipe({"scheme": "int8"}))
    (begun,) = graph.initial(2)
    np.testing.assert_allclose(graph["h"].element.dequantize(begun), 100, rtol=0.01)


def test_a_state_that_would_be_written_wider_than_it_is_read_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"recipe r: state h must be written as it is read, u?int8.*, not int16"):
        compress(network(), recipe({"scheme": "int8", "residual_bits": 16}))


def test_compaction_removes_no_feature_of_a_state() -> None:
    net = network()
    weight = net.graph["u.weight"].numbers.copy()
    weight[1] = 0
    net = net.with_graph(net.graph.rebuilt(replace(net.graph["u.weight"], data=weight)))
    graph, _ = typed(net, recipe({"scheme": "int8"}))
    smaller = compact(graph)
    assert smaller["h"].shape == smaller["next.output"].shape == (5, 4)
    assert pair(smaller) == pair(graph)


def test_states_are_printed_with_both_values() -> None:
    lines = print_graph(network().graph).splitlines()
    assert lines[1:3] == [
        "input                                   5x3 fp32  x",
        "state                                   5x4 fp32  h, then next.output",
    ]
