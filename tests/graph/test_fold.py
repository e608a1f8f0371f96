"""What is folded into a product leaves what the graph means as it was."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.golden import real
from accelsim.graph.build import Builder
from accelsim.graph.fold import fold_batch_norms, fold_pads
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.norm import BatchNorm
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.pool import MaxPool
from accelsim.graph.ops.window import Window

RNG = np.random.default_rng(0)
AROUND = Pad((0, 1, 2, 0), (0, 0, 1, 0))


def images(build: Builder) -> str:
    return build.input("x", (2, 5, 6, 3))


def conv(build: Builder, name: str, x: str, window: Window) -> str:
    weight = build.constant(f"{name}.w", RNG.normal(size=(*window.kernel, 3, 4)).astype(np.float32))
    return build.node(name, Conv(window), x, weight)


def assert_equal(before: Graph, after: Graph) -> None:
    x = RNG.normal(size=(2, 5, 6, 3)).astype(np.float32)
    for name in before.outputs:
        wanted, found = (real.evaluate(graph, (x,))[name] for graph in (before, after))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_padding_becomes_the_convolutions_own() -> None:
    build = Builder("g")
    padded = build.node("pad", AROUND, images(build))
    first = conv(build, "a", padded, Window((3, 3), (2, 1), (1, 1, 1, 1)))
    second = conv(build, "b", padded, Window((2, 2), (1, 1), (0, 0, 1, 0), (2, 1)))
    graph = build.graph((first, second))
    folded = fold_pads(graph)
    assert_equal(graph, folded)
    assert [node.name for node in folded.nodes] == ["a", "b"]
    assert folded.node("a").op == Conv(Window((3, 3), (2, 1), (2, 3, 1, 2)))


@pytest.mark.parametrize("reader", ["pool", "output", "channels"])
def test_padding_that_others_see_stays(reader: str) -> None:
    """The largest number of a window may be a zero of Pad's, and never one of a pool's own."""
    build = Builder("g")
    op = Pad((0, 0, 0, 1), (0, 0, 0, 0)) if reader == "channels" else AROUND
    padded = build.node("pad", op, images(build))
    if reader == "channels":
        weight = build.constant("w", RNG.normal(size=(1, 1, 4, 4)).astype(np.float32))
        formed = (build.node("c", Conv(Window((1, 1))), padded, weight),)
    else:
        formed = (conv(build, "c", padded, Window((1, 1))),)
    if reader == "pool":
        formed = (*formed, build.node("largest", MaxPool(Window((2, 2))), padded))
    graph = build.graph((*formed, padded) if reader == "output" else formed)
    assert [node.name for node in fold_pads(graph).nodes] == [node.name for node in graph.nodes]


def test_a_normalization_becomes_part_of_weights_and_bias() -> None:
    build = Builder("g")
    products = conv(build, "c", images(build), Window((3, 3)))
    bias = build.constant("bias", RNG.normal(size=4).astype(np.float32))
    parameters = [build.constant(name, RNG.uniform(0.5, 2, 4).astype(np.float32)) for name in "gbmv"]
    last = build.chain("end", products, [(Add(), (bias,)), (BatchNorm(1e-5), tuple(parameters))])
    graph = build.graph((last,))
    folded = fold_batch_norms(graph)
    assert_equal(graph, folded)
    assert [type(node.op) for node in folded.nodes] == [Conv, Add]
