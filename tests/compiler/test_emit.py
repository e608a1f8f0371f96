"""What a program says of its layers: which ones each reads, whatever stands between them."""

from __future__ import annotations

from typing import Any

import pytest

import accelsim
from accelsim.compiler.emit import _reads
from accelsim.compiler.fusion import Fusion
from accelsim.compiler.lowering import Lowering
from accelsim.graph.build import Builder
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.slice import Slice


def lowering(*sources: str) -> Lowering:
    """Fusions a and b, values that are joined and parted, and a fusion c of some sources."""
    build = Builder("g")
    for name in ("x", "z"):
        build.input(name, (4, 2, 2, 3))
    for name, given in (("a", "x"), ("b", "a.output")):
        build.node(name, Relu(), given, output=f"{name}.output")
    build.node("join", Concat(-1), "b.output", "a.output", "z", output="joined")
    build.node("cut", Slice(-1, 0, 4), "joined", output="part")
    build.node("lay", Reshape((0, -1)), "part", output="flat")
    build.node("sum", Add(), "joined", "joined", output="c.output")
    work: Any = None
    fusions = (
        Fusion("a", (), ("x",), "a.output", work),
        Fusion("b", (), ("a.output",), "b.output", work),
        Fusion("c", (), sources, "c.output", work),
    )
    return Lowering(build.graph(("c.output", "flat")), (), "", fusions=fusions)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (("x",), ["input"]),
        (("x", "z"), ["input"]),
        (("b.output", "a.output"), ["b", "a"]),
        (("a.output", "x", "b.output"), ["a", "input", "b"]),
        (("joined",), ["b", "a", "input"]),
        (("flat", "a.output"), ["b", "a", "input"]),
    ],
)
def test_a_layer_reads_what_forms_its_sources(sources: tuple[str, ...], expected: list[str]) -> None:
    given = lowering(*sources)
    assert [_reads(given, number) for number in range(3)] == [["input"], ["a"], expected]


def test_the_result_of_a_network_says_what_its_layers_read() -> None:
    summary = accelsim.run("digits-cnn", timing_only=True).summary
    assert {layer.name: layer.reads for layer in summary.layers} == {
        "conv1": ["input"],
        "pool1": ["conv1"],
        "conv2": ["pool1"],
        "pool2": ["conv2"],
        "fc1": ["pool2"],
        "fc2": ["fc1"],
    }
