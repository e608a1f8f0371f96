"""Precision highway: which values have 16 bits, who reads them narrowed, and a trained network bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from float_networks import recipe, typed
from graph_runs import executed, small
from harness import machine

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.apply import quantize
from accelsim.compress.recipe import Recipe, load_recipe
from accelsim.config.load import load_machine
from accelsim.golden import exact, real
from accelsim.graph.build import Builder
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pool import GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.window import Window
from accelsim.graph.rewrite import with_samples
from accelsim.sim import fast
from accelsim.workload.network import Network
from accelsim.workload.source import load_network

HIGHWAY = recipe({"scheme": "int8", "residual_bits": 16})
#: Channels of all images here.
CHANNELS = 4


class Residual:
    """A network of images, 6 x 6 of 4 channels, put together node by node."""

    def __init__(self, *, outlined: bool = False) -> None:
        self.rng = np.random.default_rng(0)
        self.outlined = outlined
        self.build = Builder("residual")
        self.build.input("input", (2, 6, 6, CHANNELS))

    def conv(self, name: str, x: str, *, relu: bool = False) -> str:
        weight = self.constant(f"{name}.weight", (3, 3, CHANNELS, CHANNELS))
        products = self.build.node(name, Conv(Window((3, 3), padding=(1, 1, 1, 1))), x, weight, output=f"{name}.p")
        bias = self.constant(f"{name}.bias", (CHANNELS,))
        return self.build.chain(name, products, [(Add(), (bias,)), *([(Relu(), ())] if relu else [])])

    def constant(self, name: str, shape: tuple[int, ...]) -> str:
        data = (self.rng.normal(size=shape) / 6).astype(np.float32)
        return self.build.constant(name, data, outlined=self.outlined)

    def node(self, name: str, op: Op, *inputs: str, relu: bool = False) -> str:
        last = self.build.node(name, op, *inputs, output=f"{name}.formed")
        return self.build.chain(name, last, [(Relu(), ())] if relu else [])

    def network(self, last: str) -> Network:
        mean = self.node("mean", GlobalAveragePool(), last)
        out = self.build.linear("fc", mean, self.constant("fc.weight", (CHANNELS, 3)), None, relu=False)
        x = (self.rng.normal(size=(2, 6, 6, CHANNELS)).astype(np.float32),)
        return Network(self.build.graph((out,)), x, None, x, {})


def grown(*, outlined: bool = False) -> Network:
    """Two blocks; values of every kind meet the residual path."""
    on = Residual(outlined=outlined)
    stem = on.conv("stem", "input", relu=True)
    inner = on.conv("inner", stem, relu=True)
    first = on.node("first", Add(), stem, on.conv("deep", inner), relu=True)
    gate = on.node("gate", Function("sigmoid"), first)
    gated = on.node("gated", Mul(), first, gate)
    largest = on.node("largest", MaxPool(Window((3, 3), padding=(1, 1, 1, 1))), first)
    second = on.node("second", Add(), gated, on.conv("again", largest))
    return on.network(on.node("third", Add(), second, gate))


def integer(graph: Graph, name: str) -> Integer:
    element = graph[name].element
    assert isinstance(element, Integer)
    return element


def test_what_a_sum_reads_and_forms_has_sixteen_bits_and_all_else_eight() -> None:
    graph, _ = typed(grown(), HIGHWAY)
    wide = {"stem", "deep", "first", "gated", "again", "second", "third"}
    for name in (*wide, "inner", "gate", "largest", "mean", "fc"):
        element = integer(graph, f"{name}.output")
        assert element.bits == (16 if name in wide else 8), name
        if name in wide:
            assert element.signed
            assert element.zero_point == 0
    narrow = {value for value in graph.values if value.endswith(".narrow")}
    assert narrow == {"stem.output.narrow", "first.output.narrow"}
    assert integer(graph, "first.output.narrow").bits == 8
    # the function, the product and the maximum share what the block formed, narrowed; sums and means read it as it is
    assert {node.name for node in graph.readers("first.output")} == {"first.output.narrow.cast"}
    assert {node.name for node in graph.readers("first.output.narrow")} == {"gate", "gated", "largest"}
    assert {node.name for node in graph.readers("third.output")} == {"mean"}


def test_a_value_of_the_path_fits_its_largest_magnitude() -> None:
    net = grown()
    graph, _ = typed(net, HIGHWAY)
    found = real.evaluate(net.graph, net.calibration)
    for name in ("stem", "deep", "first"):
        largest = np.abs(found[f"{name}.output"]).max()
        assert integer(graph, f"{name}.output").scale == pytest.approx(largest / 32767)


def test_types_do_not_depend_on_numbers() -> None:
    with_numbers, _ = typed(grown(), HIGHWAY)
    outlined = quantize(grown(outlined=True), HIGHWAY)
    shown = [(node.name, node.op.__class__, node.inputs) for node in with_numbers.nodes]
    assert [(node.name, node.op.__class__, node.inputs) for node in outlined.nodes] == shown
    bits = {name: integer(with_numbers, name).bits for name in with_numbers.values}
    assert {name: integer(outlined, name).bits for name in outlined.values} == bits


@pytest.mark.parametrize("by", [HIGHWAY, recipe({"scheme": "int8"})], ids=["highway", "int8"])
def test_shapes_alone_take_the_same_time(by: Recipe) -> None:
    on, times = machine(), []
    for outlined in (False, True):
        graph, inputs = typed(grown(outlined=outlined), by)
        execution = fast.execute(compile_graph(graph, inputs, on, "r"), on, timing_only=True)
        times.append((execution.cycles, execution.counters))
    assert times[0] == times[1]


def test_without_the_field_nothing_is_wider() -> None:
    graph, _ = typed(grown(), recipe({"scheme": "int8"}))
    assert max(integer(graph, node.output).bits for node in graph.nodes if node.output.endswith(".output")) == 8


def test_more_bits_than_those_of_the_type_are_asked_for() -> None:
    with pytest.raises(ValueError, match="residual_bits must be absent for int16, whose integers have as many"):
        recipe({"scheme": "int16", "residual_bits": 16})


@pytest.mark.parametrize("kind", ["weight_stationary", "output_stationary"])  # rows by samples, and by features
def test_every_kind_of_reader_computes_it_bit_for_bit(kind: str) -> None:
    graph, inputs = typed(grown(), HIGHWAY)
    on = small(kind)
    roomy = {name: getattr(on, name).model_copy(update={"capacity_bytes": 32768}) for name in ("activation", "output")}
    program, _ = executed(graph, inputs, on.model_copy(update=roomy))
    names = [info.name for info in program.header.layers]
    assert "first.output.narrow" in names
    regions = {info.output: program.header.region(info.output).operand for info in program.header.layers}
    assert regions["first.output"] == "int16"
    assert regions["first.output.narrow"] == "int8"


@pytest.mark.parametrize("name", ["highway-int8", "highway-w4a8", "highway-int4", "int4"])
def test_a_trained_network_is_executed_bit_for_bit(name: str) -> None:
    """The whole of fashion-resnet for an image, on both engines."""
    net, by = load_network("fashion-resnet"), load_recipe(name)
    graph, (x,) = typed(net, by)
    executed(with_samples(graph, 1), (x[:1],), load_machine(by.arch or "edge-ws"))


def test_sixteen_bits_carry_more_than_eight() -> None:
    """Of the first eight images: each step forward errs less against the real numbers than by int8."""
    net = load_network("fashion-resnet")
    errors = []
    for by in (HIGHWAY, recipe({"scheme": "int8"})):
        graph, (x,) = typed(net, by)
        numbers = exact.evaluate(graph, (x[:8],), 16)
        reals = real.evaluate(net.graph, (net.inputs[0][:8],))
        found = [integer(graph, f"{n}.output").dequantize(numbers[f"{n}.output"]) for n in ("stage1", "stage3")]
        errors.append(
            [
                float(np.square(f - reals[f"{n}.output"]).mean())
                for f, n in zip(found, ("stage1", "stage3"), strict=True)
            ]
        )
    assert all(highway < plain for highway, plain in zip(*errors, strict=True))
