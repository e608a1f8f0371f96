"""Random graphs on random machines: branches, joins, convolutions, pools and tables come out as golden.exact has them.

Graphs are built in real numbers and typed by a recipe, as networks are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from float_networks import quantized, recipe
from graph_runs import bytes_of, executed, small
from harness import examples, machine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import DATAPATHS, machines

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.apply import quantize
from accelsim.compress.recipe import Recipe
from accelsim.config.arch import Machine
from accelsim.errors import CompileError, DoesNotFitError
from accelsim.golden.exact.rounding import ROUNDING
from accelsim.graph.build import Builder
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.ops.window import Window
from accelsim.graph.value import Shape
from accelsim.isa.opcodes import RECEIVE
from accelsim.isa.program import Program
from accelsim.results import Execution
from accelsim.sim import fast
from accelsim.workload.network import Network

SAME = Window((3, 3), padding=(1, 1, 1, 1))
HALF = Window((2, 2), (2, 2))
#: Rounding schemes of sums of 8-bit integers.
SCHEMES = sorted(set(ROUNDING) - {"tflite_int64_reduced"})


class Growing:
    """A graph of images that grows node by node; what it forms is kept with its shape.

    Attributes
    ----------
    images
        Values that may be read, the newest last.
    joined
        Values that a concatenation holds already: they have their place in DRAM beside others.
    """

    def __init__(self, rng: np.random.Generator, shape: Shape) -> None:
        self.rng = rng
        self.build = Builder("grown")
        self.shape = shape
        self.images = [(self.build.input("input", shape), shape)]
        self.joined: set[str] = set()
        self.count = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def put(self, kind: str, op: Op, shape: Shape, *inputs: str, end: Op | None = None) -> str:
        """A node without weights, perhaps with an activation, whose result may be read."""
        name = self.name(kind)
        last = self.build.node(name, op, *inputs, output=f"{name}.formed")
        last = self.build.chain(name, last, [(end, ())] if end else [])
        self.images.append((last, shape))
        return last

    def conv(self, x: str, shape: Shape, window: Window, filters: int, groups: int, end: Op | None) -> None:
        name, depth = self.name("conv"), shape[3] // groups
        scale = np.sqrt(depth * window.kernel[0] * window.kernel[1])
        weight = self.constant(f"{name}.weight", (*window.kernel, depth, filters), scale)
        bias = self.constant(f"{name}.bias", (filters,), 4)
        products = self.build.node(name, Conv(window, groups), x, weight, output=f"{name}.products")
        last = self.build.chain(name, products, [(Add(), (bias,)), *([(end, ())] if end else [])])
        self.images.append((last, (shape[0], *window.output(*shape[1:3]), filters)))

    def linear(self, x: str, features: int, outputs: int, *, relu: bool) -> str:
        name = self.name("fc")
        weight = self.constant(f"{name}.weight", (features, outputs), np.sqrt(features))
        return self.build.linear(name, x, weight, self.constant(f"{name}.bias", (outputs,), 4), relu=relu)

    def constant(self, name: str, shape: Shape, scale: float) -> str:
        return self.build.constant(name, (self.rng.normal(size=shape) / scale).astype(np.float32))

    def network(self, last: str) -> Network:
        inputs = (self.rng.normal(size=self.shape).astype(np.float32),)
        return Network(self.build.graph((last,)), inputs, None, inputs, {})


ENDS = (None, None, Relu(), Relu(), Relu(6.0))


def _convolve(draw: st.DrawFn, on: Growing) -> None:
    x, shape = draw(st.sampled_from(on.images))
    window = draw(st.sampled_from([Window((1, 1)), SAME, SAME, Window((3, 2), (2, 1), (1, 1, 1, 0)),
                                   Window((2, 2), padding=(0, 0, 1, 1), dilation=(1, 1))]))  # fmt: skip
    groups = draw(st.sampled_from([1, 1, 1, shape[3]]))
    filters = shape[3] * draw(st.integers(1, 2)) if groups > 1 else draw(st.integers(1, 6))
    on.conv(x, shape, window, filters, groups, draw(st.sampled_from(ENDS)))


def _max_pool(draw: st.DrawFn, on: Growing) -> None:
    x, shape = draw(st.sampled_from(on.images))
    window = draw(st.sampled_from([HALF, Window((3, 3), (2, 2), (1, 1, 1, 1)), Window((2, 1))]))
    _pool(on, "max", MaxPool(window), window, x, shape)


def _average_pool(draw: st.DrawFn, on: Growing) -> None:
    x, shape = draw(st.sampled_from(on.images))
    window = draw(st.sampled_from([HALF, Window((3, 3), (1, 1), (1, 1, 1, 1)), Window((1, 2))]))
    _pool(on, "mean", AveragePool(window, padded=True), window, x, shape)


def _pool(on: Growing, kind: str, op: Op, window: Window, x: str, shape: Shape) -> None:
    rows, columns = window.output(*shape[1:3])
    if min(rows, columns) >= 1:
        on.put(kind, op, (shape[0], rows, columns, shape[3]), x)


def _pair(draw: st.DrawFn, on: Growing, fit: Callable[[Shape, Shape], bool]) -> tuple[str, str, Shape] | None:
    """Two values that fit each other, of which one is new."""
    x, shape = draw(st.sampled_from(on.images))
    others = [(name, other) for name, other in on.images if name != x and fit(shape, other)]
    if not others:
        return None
    other, _ = draw(st.sampled_from(others))
    return x, other, shape


def _add(draw: st.DrawFn, on: Growing) -> None:
    pair = _pair(draw, on, lambda a, b: a == b)
    if pair:
        x, other, shape = pair
        on.put("sum", Add(), shape, x, other, end=draw(st.sampled_from(ENDS)))


def _multiply(draw: st.DrawFn, on: Growing) -> None:
    pair = _pair(draw, on, lambda a, b: a == b)
    if pair:
        x, other, shape = pair
        on.put("product", Mul(), shape, x, other, end=draw(st.sampled_from(ENDS)))


def _concat(draw: st.DrawFn, on: Growing) -> None:
    pair = _pair(draw, on, lambda a, b: a[:3] == b[:3])
    if pair and not on.joined & {*pair[:2]}:
        x, other, shape = pair
        on.joined |= {x, other}
        features = shape[3] + next(s for name, s in on.images if name == other)[3]
        on.joined.add(on.put("join", Concat(-1), (*shape[:3], features), x, other))


def _function(draw: st.DrawFn, on: Growing) -> None:
    x, shape = draw(st.sampled_from(on.images))
    on.put("table", Function(draw(st.sampled_from(["sigmoid", "tanh", "gelu", "silu", "hard_swish"]))), shape, x)


def _of_rows(draw: st.DrawFn, on: Growing) -> None:
    x, shape = draw(st.sampled_from(on.images))
    op, name = draw(st.sampled_from([Softmax(), LayerNorm(1e-5), LayerNorm(0.1), RmsNorm(1e-5)])), on.name("row")
    parts = [] if isinstance(op, Softmax) else [on.constant(f"{name}.gamma", (shape[3],), 1)]
    if isinstance(op, LayerNorm) and draw(st.booleans()):
        parts.append(on.constant(f"{name}.beta", (shape[3],), 1))
    on.put("rows", op, shape, x, *parts, end=draw(st.sampled_from(ENDS)))


#: What a graph grows by, and how often.
STEPS = (
    _convolve, _convolve, _convolve, _max_pool, _average_pool, _add, _add, _multiply, _concat, _function, _of_rows,
    _of_rows,
)  # fmt: skip


#: Those of integers of fewer than 8 bits: tables and functions of rows are of bytes.
PACKED_STEPS = tuple(step for step in STEPS if step not in {_function, _of_rows})


@st.composite
def grown(draw: st.DrawFn, most: int = 5, steps: tuple[Callable[[st.DrawFn, Growing], None], ...] = STEPS) -> Network:
    """Networks that begin with a convolution and end in a fully connected layer or in means."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sides = st.integers(2, 6)
    on = Growing(rng, (draw(st.integers(1, 2)), draw(sides), draw(sides), draw(st.integers(1, 4))))
    on.conv(*on.images[0], SAME, draw(st.integers(1, 6)), 1, Relu())
    if draw(st.booleans()):
        on.images.pop(0)  # else others read the input too
    for step in draw(st.lists(st.sampled_from(steps), min_size=1, max_size=most)):
        step(draw, on)
    last, shape = on.images[-1]
    if draw(st.booleans()):
        last, features = on.put("mean", GlobalAveragePool(), shape, last), shape[3]
    else:
        features = shape[1] * shape[2] * shape[3]
        last = on.build.node("flatten", Reshape((0, -1)), last)
    if draw(st.booleans()):
        last, features = on.linear(last, features, 7, relu=True), 7
    return on.network(on.linear(last, features, 3, relu=False))


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """8-bit integers, some layers with one step for all of their weights, and each with a rounding scheme.

    Residual values have 8 or 16 bits, perhaps not all the same.
    """
    residuals = st.sampled_from([None, 16])
    steps: list[dict[str, Any]] = [
        {"scheme": "int8", "rounding": draw(st.sampled_from(SCHEMES)), "residual_bits": draw(residuals)}
    ]
    if draw(st.booleans()):
        steps.append(
            {
                "scheme": "int8",
                "layers": draw(st.sampled_from(["fc*", "*"])),
                "weights_per": "tensor",
                "rounding": draw(st.sampled_from(SCHEMES)),
                "residual_bits": draw(residuals),
            }
        )
    return recipe(*steps)


def typed(network: Network, by: Recipe) -> tuple[Graph, tuple[NDArray[np.generic], ...]]:
    graph = quantize(network, by)
    return graph, quantized(graph, network.inputs)


def roomier(on: Machine, times: int = 8) -> Machine:
    """The machine with larger memories: rows of an image are larger than the smallest tile of a product."""
    fields = on.model_dump()
    for name in (*on.scratchpads, "accumulator"):
        fields[name]["capacity_bytes"] *= times
    return Machine.model_validate(fields)


def assert_executed(network: Network, by: Recipe, on: Machine) -> tuple[Program, Execution]:
    """All values as golden.exact has them, at places of their own, and as fast without values."""
    graph, inputs = typed(network, by)
    try:
        program, execution = executed(graph, inputs, on)
    except DoesNotFitError as error:
        assert str(error)  # with a sentence
        assume(False)
        raise
    times = np.zeros(program.header.dram_bytes, np.int64)
    for region in program.header.regions:
        np.add.at(times, bytes_of(region), 1)
    assert times.max() == 1  # no two values share a byte
    timed = fast.execute(program, on, timing_only=True)
    assert (timed.cycles, timed.counters) == (execution.cycles, execution.counters)
    np.testing.assert_array_equal(timed.timeline.end, execution.timeline.end)
    return program, execution


@pytest.mark.parametrize("kind", DATAPATHS)
@given(network=grown(most=3), by=recipes(), data=st.data())
@settings(max_examples=4)
def test_small_graphs_execute_to_what_they_mean(kind: str, network: Network, by: Recipe, data: st.DataObject) -> None:
    assert_executed(network, by, roomier(data.draw(machines(kinds=[kind]))))


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATAPATHS)
@given(network=grown(most=7), by=recipes(), data=st.data())
@examples(12, campaign=50)
def test_graphs_execute_to_what_they_mean(kind: str, network: Network, by: Recipe, data: st.DataObject) -> None:
    assert_executed(network, by, roomier(data.draw(machines(kinds=[kind]))))


@st.composite
def packed_machines(draw: st.DrawFn, bits: int) -> Machine:
    """Weight-stationary machines, the ones that take such operands; sides fill whole bytes."""
    on = roomier(draw(machines(kinds=["weight_stationary"])))
    sides = {side: -(-getattr(on.matrix, side) * bits // 8) * 8 // bits for side in ("rows", "columns")}
    return on.model_copy(update={"matrix": on.matrix.model_copy(update={"operands": f"int{bits}", **sides})})


@pytest.mark.parametrize("bits", [4, 2])
@given(network=grown(most=4, steps=PACKED_STEPS), residual=st.sampled_from([None, 16]), data=st.data())
@settings(max_examples=12)
def test_graphs_of_packed_integers_execute_to_what_they_mean(
    bits: int, network: Network, residual: int | None, data: st.DataObject
) -> None:
    by = recipe({"scheme": f"int{bits}", "rounding": data.draw(st.sampled_from(SCHEMES)), "residual_bits": residual})
    try:
        assert_executed(network, by, data.draw(packed_machines(bits)))
    except CompileError as error:
        assert "must stand side by side" in str(error)  # channels that begin within a byte
        assume(False)


def test_channels_that_fill_no_byte_are_padded_with_weights_of_zero() -> None:
    """Convolutions of 1, 3 and 5 channels, one of them depthwise, and a layer that flattens pixels of 3."""
    grow = Growing(np.random.default_rng(8), (2, 5, 5, 1))
    grow.conv(*grow.images[0], SAME, 3, 1, Relu())
    stem, shape = grow.images[-1]
    grow.conv(stem, shape, SAME, 3, 3, None)
    total = grow.put("sum", Add(), shape, stem, grow.images[-1][0])
    grow.conv(total, shape, SAME, 5, 1, Relu(6.0))
    grow.conv(*grow.images[-1], Window((3, 3)), 3, 1, None)
    flat = grow.build.node("flatten", Reshape((0, -1)), grow.images[-1][0])
    network = grow.network(grow.linear(flat, 27, 4, relu=False))
    on = machine(matrix={"operands": "int4", "rows": 8, "columns": 8})
    program, _ = assert_executed(network, recipe({"scheme": "int4"}), on)
    shown = {info.name: (info.k, info.weights) for info in program.header.layers if info.weights}
    assert shown == {
        "conv1": (18, 27), "conv2": (36, 27), "conv4": (36, 135), "conv5": (54, 135), "fc6": (36, 108),
    }  # fmt: skip
    # a pixel begins at a byte anyway, so that padding costs no bytes of activations
    assert program.header.region("input").bytes == 2 * 5 * 5


def test_every_kind_of_node_is_executed_in_one_graph() -> None:
    """A branch of convolutions, one of pools and a table, a residual, a product, joined, and two layers behind them."""
    grow = Growing(np.random.default_rng(0), (2, 6, 6, 3))
    grow.conv(*grow.images[0], SAME, 4, 1, Relu(6.0))
    stem, shape = grow.images[-1]
    grow.conv(stem, shape, SAME, 4, 4, None)  # signed, with a zero point
    deep, _ = grow.images[-1]
    total = grow.put("sum", Add(), shape, stem, deep, end=Relu())
    table = grow.put("table", Function("hard_swish"), shape, total)
    gated = grow.put("product", Mul(), shape, table, deep)
    halved = (2, 3, 3, 4)
    largest = grow.put("max", MaxPool(HALF), halved, gated)
    mean = grow.put("mean", AveragePool(HALF), halved, total)
    joined = grow.put("join", Concat(-1), (2, 3, 3, 8), largest, mean)
    flat = grow.build.node("flatten", Reshape((0, -1)), joined)
    network = grow.network(grow.linear(grow.linear(flat, 72, 9, relu=True), 9, 5, relu=False))
    program, _ = assert_executed(network, recipe({"scheme": "int8"}), machine())
    layers = program.header.layers
    assert [info.name for info in layers] == [
        "conv1", "conv2", "sum3", "table4", "product5", "max6", "mean7", "max6.output.join8", "mean7.output.join8",
        "fc9", "fc10",
    ]  # fmt: skip
    held = [name for info in layers for name in info.nodes]
    assert len(held) == len({*held})


def test_a_relu_behind_what_nothing_is_fused_to_is_a_layer_of_its_own() -> None:
    grow = Growing(np.random.default_rng(6), (2, 4, 4, 2))
    grow.conv(*grow.images[0], SAME, 3, 1, None)
    largest = grow.put("max", MaxPool(HALF), (2, 2, 2, 3), grow.images[-1][0], end=Relu())
    mean = grow.put("mean", GlobalAveragePool(), (2, 3), largest)
    program, _ = assert_executed(
        grow.network(grow.linear(mean, 3, 2, relu=False)), recipe({"scheme": "int8"}), machine()
    )
    assert [info.name for info in program.header.layers] == ["conv1", "max2", "max2.relu", "mean3", "fc4"]


@pytest.mark.parametrize("kind", ["output_stationary", "outer_product"])
@pytest.mark.parametrize("op", [Softmax(), LayerNorm(1e-5), RmsNorm(1e-5)])
def test_tiles_that_are_turned_are_not_overwritten_by_what_is_loaded_ahead(kind: str, op: Op) -> None:
    """The pool behind the rows reads what stands in memory since long, so that its images may come early."""
    grow = Growing(np.random.default_rng(7), (5, 4, 4, 3))
    grow.conv(*grow.images[0], SAME, 3, 1, None)
    x, shape = grow.images[-1]
    constants = [grow.constant(f"of.{part}", (3,), 1) for part in ("gamma", "beta")]
    parts = {Softmax: 0, LayerNorm: 2, RmsNorm: 1}[type(op)]
    rows = grow.put("rows", op, shape, x, *constants[:parts])
    largest = grow.put("max", MaxPool(SAME), shape, x)
    product = grow.put("product", Mul(), shape, rows, largest)
    mean = grow.put("mean", GlobalAveragePool(), (5, 3), product)
    network = grow.network(grow.linear(mean, 3, 2, relu=False))
    on = small(kind)
    for size in (256, 320, 512, 1024):
        tight = on.activation.model_copy(update={"capacity_bytes": size, "banks": 1, "width_bits": 32})
        assert_executed(network, recipe({"scheme": "int8"}), on.model_copy(update={"activation": tight}))


def test_a_value_that_two_read_is_stored_once() -> None:
    grow = Growing(np.random.default_rng(1), (1, 4, 4, 2))
    grow.conv(*grow.images[0], SAME, 3, 1, Relu())
    stem, shape = grow.images[-1]
    total = grow.put("sum", Add(), shape, grow.put("max", MaxPool(SAME), shape, stem), stem)
    mean = grow.put("mean", GlobalAveragePool(), shape, total)
    network = grow.network(grow.linear(mean, 3, 2, relu=False))
    program, _ = assert_executed(network, recipe({"scheme": "int8"}), machine())
    assert [info.output for info in program.header.layers].count(stem) == 1


def test_outputs_of_a_graph_of_floats_are_those_of_golden_exact() -> None:
    grow = Growing(np.random.default_rng(2), (2, 6, 6, 3))
    grow.conv(*grow.images[0], SAME, 4, 1, Relu())
    stem, shape = grow.images[-1]
    grow.conv(stem, shape, SAME, 4, 1, None)
    total = grow.put("sum", Add(), shape, stem, grow.images[-1][0], end=Relu())
    largest = grow.put("max", MaxPool(HALF), (2, 3, 3, 4), total)
    mean = grow.put("mean", AveragePool(HALF), (2, 3, 3, 4), total)
    joined = grow.put("join", Concat(-1), (2, 3, 3, 8), largest, grow.put("product", Mul(), (2, 3, 3, 4), mean, mean))
    means = grow.put("mean", GlobalAveragePool(), (2, 8), joined)
    network = grow.network(grow.linear(means, 8, 5, relu=False))
    assert_executed(network, recipe({"scheme": "fp16"}), machine(matrix={"operands": "fp16"}))


def test_means_of_floats_of_fewer_pixels_at_the_edge_are_refused() -> None:
    """The unit multiplies all sums by one number."""
    grow = Growing(np.random.default_rng(3), (1, 4, 4, 2))
    grow.conv(*grow.images[0], SAME, 3, 1, None)
    mean = grow.put("mean", AveragePool(SAME), (1, 4, 4, 3), grow.images[-1][0])
    network = grow.network(grow.linear(grow.build.node("flatten", Reshape((0, -1)), mean), 48, 2, relu=False))
    graph, inputs = typed(network, recipe({"scheme": "fp16"}))
    with pytest.raises(CompileError, match="node mean2: windows must have as many pixels each for one mean, not 3x3"):
        compile_graph(graph, inputs, machine(matrix={"operands": "fp16"}))


LINK = {"io_bandwidth_bytes_per_s": 1e9, "io_latency_s": 0.0}


@pytest.mark.parametrize("host", [{}, LINK], ids=["dram", "link"])
@pytest.mark.parametrize("beside", ["conv", "max"])
def test_an_input_may_stand_beside_what_is_formed_of_it(beside: str, host: dict[str, float]) -> None:
    grow = Growing(np.random.default_rng(4), (2, 4, 4, 2))
    x, shape = grow.images[0]
    if beside == "conv":
        grow.conv(x, shape, SAME, 2, 1, None)
    else:
        grow.put("max", MaxPool(SAME), shape, x)
    joined = grow.put("join", Concat(-1), (2, 4, 4, 4), x, grow.images[-1][0])
    grow.conv(joined, (2, 4, 4, 4), SAME, 3, 1, None)
    assert_executed(grow.network(grow.images[-1][0]), recipe({"scheme": "int8"}), machine(host=host))


@pytest.mark.parametrize("host", [{}, LINK], ids=["dram", "link"])
def test_an_input_is_read_whole_by_one_and_in_part_by_another(host: dict[str, float]) -> None:
    """The pool reads four rows of five, the convolution behind it all."""
    grow = Growing(np.random.default_rng(5), (2, 5, 5, 2))
    x, shape = grow.images[0]
    largest = grow.put("max", MaxPool(HALF), (2, 2, 2, 2), x)
    grow.conv(x, shape, Window((3, 3), (2, 2)), 2, 1, None)
    total = grow.put("sum", Add(), (2, 2, 2, 2), largest, grow.images[-1][0])
    grow.conv(total, (2, 2, 2, 2), Window((1, 1)), 3, 1, None)
    assert_executed(grow.network(grow.images[-1][0]), recipe({"scheme": "int8"}), machine(host=host))


def test_all_of_an_input_that_is_read_comes_over_the_link() -> None:
    """The pool needs four rows of five; the convolution behind it reads the fifth."""
    grow = Growing(np.random.default_rng(5), (2, 5, 5, 2))
    x, shape = grow.images[0]
    largest = grow.put("max", MaxPool(HALF), (2, 2, 2, 2), x)
    grow.conv(x, shape, Window((3, 3), (2, 2)), 2, 1, None)
    grow.put("sum", Add(), (2, 2, 2, 2), largest, grow.images[-1][0])
    grow.conv(*grow.images[-1], Window((1, 1)), 3, 1, None)
    program, _ = assert_executed(grow.network(grow.images[-1][0]), recipe({"scheme": "int8"}), machine(host=LINK))
    code = program.instructions
    received = code["operands"][code["opcode"] == RECEIVE]
    assert int((received[:, 2] * received[:, 3]).sum()) == 2 * 5 * 5 * 2


def test_what_one_reader_leaves_out_is_received_for_the_next() -> None:
    """The pool reads tiles of few rows, and but six of seven; the convolution beside it needs the seventh."""
    grow = Growing(np.random.default_rng(6), (1, 7, 8, 4))
    x, shape = grow.images[0]
    largest = grow.put("max", MaxPool(HALF), (1, 3, 4, 4), x)
    grow.conv(x, shape, Window((3, 3), (2, 2), (0, 0, 0, 1)), 4, 1, None)
    grow.put("sum", Add(), (1, 3, 4, 4), largest, grow.images[-1][0])
    grow.conv(*grow.images[-1], Window((1, 1)), 3, 1, None)
    few = {"capacity_bytes": 256, "banks": 2}
    on = machine(host=LINK, activation=few, output=few)
    program, _ = assert_executed(grow.network(grow.images[-1][0]), recipe({"scheme": "int8"}), on)
    code = program.instructions
    received = code["operands"][code["opcode"] == RECEIVE]
    assert int((received[:, 2] * received[:, 3]).sum()) == 7 * 8 * 4
