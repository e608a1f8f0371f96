"""Pass 3 by name: which tensors are views of which storage, and what no strides can do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from float_networks import attention_network, quantized, recipe
from harness import machine

from accelsim.compiler import fuse, layout, legalize
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lowering import Lowering
from accelsim.compress.apply import quantize
from accelsim.config.arch import Machine
from accelsim.errors import CompileError
from accelsim.graph.build import Builder
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.transpose import Transpose

BYTE = Integer(0.1, 0, signed=True)
HOST = {"operations_per_s": 1e9, "operation_pj": 1.0, "operation_source": "test"}


def arranged(graph: Graph, inputs: tuple[Any, ...], on: Machine) -> Lowering:
    lowering = Lowering(graph, inputs, "r")
    for step in (fuse.fuse, legalize.legalize, layout.arrange):
        lowering = step(lowering, on)
    return lowering


def table(build: Builder, name: str, x: str) -> str:
    """A function of bytes, which a fusion of its own reads row by row."""
    entries = build.constant(f"{name}.entries", np.arange(-128, 128).astype(np.int8), BYTE)
    return build.node(name, LookUp(BYTE), x, entries)


def rows(*shape: int) -> tuple[Builder, str]:
    build = Builder("g")
    return build, build.input("x", shape, BYTE)


def test_heads_are_views_and_what_they_make_lies_as_the_next_layer_reads_it() -> None:
    net = attention_network(np.random.default_rng(0), 2, 5, 3, 4)
    graph = quantize(net, recipe({"scheme": "int8"}))
    views = arranged(graph, quantized(graph, net.inputs), machine()).views
    assert views["q.heads.output"].root == "q.output"
    assert views["turned.output"].root == "k.output"
    # the last product stores its heads where the row of a token wants them
    assert views["mixed.output"].root == "joined.output"
    assert views["joined.output"].strides == (8 * 5 * 12, 8 * 12, 8)


def test_what_stands_side_by_side_along_any_axis_shares_storage() -> None:
    build, x = rows(2, 3, 4)
    parts = [table(build, name, x) for name in "ab"]
    joined = build.node("join", Concat(1), *parts)
    graph = build.graph((table(build, "c", joined),))
    views = arranged(graph, (np.zeros((2, 3, 4), np.int8),), machine()).views
    assert {views[part].root for part in parts} == {joined}
    assert views[parts[1]].offset == 8 * 3 * 4


def far(build: Builder, x: str) -> str:
    """Pairs of features that change places within each row."""
    pairs = build.node("pairs", Transpose((0, 2, 1)), build.node("split", Reshape((0, 3, 2)), x))
    return build.node("far", Reshape((0, 6)), pairs)


def test_what_no_strides_bring_in_order_is_the_hosts() -> None:
    build, x = rows(4, 6)
    graph = build.graph((table(build, "t", far(build, x)),))
    lowering = arranged(graph, (np.zeros((4, 6), np.int8),), machine(host=HOST))
    (moved, _) = lowering.fusions
    assert isinstance(moved.work, HostWork)
    assert [node.name for node in moved.nodes] == ["split", "pairs", "far"]
    with pytest.raises(CompileError, match="node far: addresses alone must bring its numbers to where t reads them on"):
        arranged(graph, (np.zeros((4, 6), np.int8),), machine())


def test_an_output_lies_in_rows_of_its_own() -> None:
    build, x = rows(4, 6)
    first = table(build, "a", x)
    turned = build.node("turned", Transpose((1, 0)), table(build, "b", first))
    graph = build.graph((turned,))
    lowering = arranged(graph, (np.zeros((4, 6), np.int8),), machine(host=HOST))
    assert lowering.views[turned].root == turned
    assert [fusion.name for fusion in lowering.fusions] == ["a", "b", "turned"]


def test_a_value_that_two_want_beside_others_goes_through_the_host_once() -> None:
    build, x = rows(4, 6)
    a, b = table(build, "a", x), table(build, "b", x)
    left, right = build.node("left", Concat(-1), a, b), build.node("right", Concat(-1), b, a)
    graph = build.graph((table(build, "c", left), table(build, "d", right)))
    lowering = arranged(graph, (np.zeros((4, 6), np.int8),), machine(host=HOST))
    assert [fusion.name for fusion in lowering.fusions if isinstance(fusion.work, HostWork)] in (["left"], ["right"])
    with pytest.raises(CompileError, match=r"must stand side by side for (left|right), but \w\.output must stand"):
        arranged(graph, (np.zeros((4, 6), np.int8),), machine())


def test_a_function_without_a_unit_is_the_hosts_and_reads_what_others_store() -> None:
    build, x = rows(4, 6)
    graph = build.graph((build.node("f", Function("gelu"), table(build, "a", x)),))
    lowering = arranged(graph, (np.zeros((4, 6), np.int8),), machine(host=HOST))
    assert [isinstance(fusion.work, HostWork) for fusion in lowering.fusions] == [False, True]
