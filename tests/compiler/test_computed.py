"""Products of two factors that are formed at run time, on every datapath, byte by byte as golden.exact has them.

Heads are split off by Reshape and Transpose, as attention does, which are addresses: nothing copies them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import engines
import numpy as np
import pytest
from float_networks import attention_network, quantized, recipe
from graph_runs import bytes_of, executed, small
from harness import machine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import DATAPATHS, machines

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.apply import quantize
from accelsim.config.arch import Machine
from accelsim.errors import CompileError, DoesNotFitError
from accelsim.golden import exact, real
from accelsim.golden.quality import sqnr_db
from accelsim.graph.build import Builder
from accelsim.graph.element import Element, Float, Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.ops.window import Window
from accelsim.isa.opcodes import MOVE, SEND
from accelsim.isa.verify import verify
from accelsim.sim import fast
from accelsim.workload.network import Network

#: Datapaths that take a right factor as it is formed.
KINDS = [kind for kind in DATAPATHS if kind != "sparse_lanes"]
EIGHT = Integer(0.1, 0, signed=True)
HEADS_FIRST = Transpose((0, 2, 1, 3))


@dataclass
class Typed:
    """A graph of 8-bit integers, or of floats, that grows node by node."""

    rng: np.random.Generator
    element: Element

    def __post_init__(self) -> None:
        self.build = Builder("g")
        self.inputs: list[NDArray[np.generic]] = []

    def input(self, name: str, *shape: int) -> str:
        self.inputs.append(self.numbers(shape))
        return self.build.input(name, shape, self.element)

    def numbers(self, shape: tuple[int, ...]) -> NDArray[np.generic]:
        if isinstance(self.element, Float):
            return self.element.quantize(self.rng.normal(size=shape))
        return self.rng.integers(-128, 128, shape).astype(np.int8)

    def matmul(self, name: str, x: str, w: str, depth: int, *, relu: bool = False) -> str:
        """A product and its conversion back to the graph's element."""
        sums = self.build.node(name, MatMul(), x, w)
        last = sums
        if isinstance(self.element, Float):
            if relu:
                last = self.build.node(f"{name}.relu", Relu(), last)
            return self.build.node(f"{name}.cast", Cast(self.element), last)
        mantissa, exponent = np.frexp(1 / (74 * np.sqrt(depth)))
        one = {bits: Integer(1.0, 0, signed=True, bits=bits) for bits in (8, 32)}
        m = self.build.constant(f"{name}.m", np.array([round(float(mantissa) * 2**31)], np.int32), one[32])
        s = self.build.constant(f"{name}.s", np.array([exponent], np.int8), one[8])
        last = self.build.node(f"{name}.cast", Cast(self.element, "tflite_single_round"), last, m, s)
        return self.build.node(f"{name}.relu", Relu(), last) if relu else last

    def linear(self, name: str, x: str, inputs: int, outputs: int) -> str:
        return self.matmul(name, x, self.build.constant(f"{name}.w", self.numbers((inputs, outputs)), self.element),
                           inputs)  # fmt: skip

    def heads(self, x: str, samples: int, tokens: int, heads: int, width: int) -> str:
        """(samples, tokens, heads * width) as (samples, heads, tokens, width)."""
        split = self.build.node(f"{x}.split", Reshape((samples, tokens, heads, width)), x)
        return self.build.node(f"{x}.heads", HEADS_FIRST, split)

    def graph(self, *outputs: str) -> tuple[Graph, tuple[NDArray[np.generic], ...]]:
        return self.build.graph(outputs), tuple(self.inputs)


def attention(typed: Typed, samples: int, tokens: int, heads: int, width: int) -> str:
    """Scores and their product with the values, the softmax between them left out; back in one row a token."""
    features = heads * width
    x = typed.input("x", samples, tokens, features)
    q, k, v = (typed.heads(typed.linear(name, x, features, features), samples, tokens, heads, width) for name in "qkv")
    turned = typed.build.node("turned", Transpose((0, 1, 3, 2)), k)
    scores = typed.matmul("scores", q, turned, width, relu=True)
    mixed = typed.matmul("mixed", scores, v, tokens)
    rows = typed.build.node("rows", HEADS_FIRST, mixed)
    joined = typed.build.node("joined", Reshape((samples, tokens, features)), rows)
    return typed.linear("out", joined, features, features)


def assert_executed(graph: Graph, inputs: tuple[NDArray[np.generic], ...], on: Machine) -> Any:
    try:
        program, execution = executed(graph, inputs, on)
    except DoesNotFitError:
        assume(False)
        raise
    times = np.zeros(program.header.dram_bytes, np.int64)
    for region in program.header.regions:
        np.add.at(times, bytes_of(region), 1)
    assert times.max() == 1
    timed = fast.execute(program, on, timing_only=True)
    assert timed.cycles == execution.cycles
    return program


@pytest.mark.parametrize("kind", KINDS)
@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 9), st.integers(1, 3), st.sampled_from([1, 2, 4, 5, 8])),
    data=st.data(), seed=st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=8)
def test_heads_are_addresses(kind: str, shape: tuple[int, int, int, int], data: st.DataObject, seed: int) -> None:
    typed = Typed(np.random.default_rng(seed), EIGHT)
    last = attention(typed, *shape)
    assert_executed(*typed.graph(last), data.draw(machines(kinds=[kind])))


@pytest.mark.parametrize("operand", ["fp16", "bf16", "fp32"])
def test_floats(operand: Any) -> None:
    typed = Typed(np.random.default_rng(1), Float(operand))
    last = attention(typed, 2, 9, 3, 4)
    assert_executed(*typed.graph(last), machine(matrix={"operands": operand}))


def test_both_factors_may_be_inputs_and_over_a_link() -> None:
    typed = Typed(np.random.default_rng(2), EIGHT)
    both = typed.matmul("both", typed.input("a", 6, 7), typed.input("b", 7, 5), 7)
    link = {"io_bandwidth_bytes_per_s": 1e9, "io_latency_s": 0.0}
    assert_executed(*typed.graph(both), machine(host=link))


def test_a_factor_may_be_a_constant_on_the_left() -> None:
    typed = Typed(np.random.default_rng(3), EIGHT)
    left = typed.build.constant("left", typed.numbers((6, 7)), EIGHT)
    both = typed.matmul("both", left, typed.input("b", 7, 5), 7)
    assert_executed(*typed.graph(both), machine())


def test_parts_of_a_tensor_are_read_where_they_lie() -> None:
    typed = Typed(np.random.default_rng(4), EIGHT)
    x = typed.input("x", 2, 6, 12)
    qkv = typed.linear("qkv", x, 12, 24)
    a, b = (typed.build.node(f"part{i}", Slice(2, low, low + 8), qkv) for i, low in enumerate((0, 16)))
    turned = typed.build.node("turned", Transpose((0, 2, 1)), b)
    tokens = typed.build.node("last", Slice(1, 2, 6, 2), a)
    scores = typed.matmul("scores", tokens, turned, 8)
    assert_executed(*typed.graph(scores), machine())


def test_tensors_may_be_joined_along_any_axis() -> None:
    typed = Typed(np.random.default_rng(5), EIGHT)
    x, past = typed.input("x", 2, 3, 8), typed.input("past", 2, 4, 8)
    new = typed.linear("new", x, 8, 8)
    keys = typed.build.node("keys", Concat(1), past, new)
    turned = typed.build.node("turned", Transpose((0, 2, 1)), keys)
    scores = typed.matmul("scores", typed.linear("q", x, 8, 8), turned, 8)
    assert_executed(*typed.graph(scores, keys), machine())


@pytest.mark.parametrize("kind", KINDS)
@given(heads=st.integers(1, 3), tokens=st.integers(1, 9), width=st.sampled_from([1, 4, 5, 8]), data=st.data(),
       seed=st.integers(0, 2**32))  # fmt: skip
@settings(max_examples=4)
def test_one_row_may_stay_while_the_other_factor_streams(
    kind: str, heads: int, tokens: int, width: int, data: st.DataObject, seed: int
) -> None:
    """One query against many keys: nothing is transposed on chip where rows of memory are tokens."""
    typed = Typed(np.random.default_rng(seed), EIGHT)
    features = heads * width
    q = typed.heads(typed.linear("q", typed.input("new", 1, 1, features), features, features), 1, 1, heads, width)
    k = typed.heads(typed.linear("k", typed.input("past", 1, tokens, features), features, features), 1, tokens, heads,
                    width)  # fmt: skip
    scores = typed.matmul("scores", q, typed.build.node("turned", Transpose((0, 1, 3, 2)), k), width, relu=True)
    on = data.draw(machines(kinds=[kind]))
    program = assert_executed(*typed.graph(scores), on)
    assert on.feature_major or not (program.instructions["opcode"] == MOVE).any()


@pytest.mark.parametrize("scheme", ["int8", "fp16", "int16"])
def test_recipes_choose_types_of_both_factors(scheme: Any) -> None:
    """Factors have no zero points, and the machine's result is near the real one."""
    net = attention_network(np.random.default_rng(8), 2, 7, 3, 4)
    graph = quantize(net, recipe({"scheme": scheme}))
    inputs = quantized(graph, net.inputs)
    on = machine(matrix={"operands": scheme})
    assert_executed(graph, inputs, on)
    (name,) = graph.outputs
    given_ = exact.evaluate(graph, inputs, on.fold_inputs)[name]
    wanted = real.evaluate(net.graph, net.inputs)[name]
    noise = sqnr_db(wanted, graph[name].element.dequantize(given_))
    assert noise is not None
    assert noise > {"int8": 28, "fp16": 55, "int16": 60}[scheme]


def test_a_constant_on_the_left_is_typed_like_any_factor() -> None:
    rng, build = np.random.default_rng(9), Builder("mixer")
    mix = build.constant("mix", rng.normal(size=(5, 7)).astype(np.float32))
    x = build.input("x", (7, 4))
    weight = build.constant("fc.w", rng.normal(size=(4, 4)).astype(np.float32))
    layer = build.linear("fc", x, weight, None, relu=False)
    inputs = (rng.normal(size=(7, 4)).astype(np.float32),)
    net = Network(build.graph((build.node("both", MatMul(), mix, layer),)), inputs, None, inputs, {})
    graph = quantize(net, recipe({"scheme": "int8"}))
    assert graph["mix"].element.zero_point == 0
    assert_executed(graph, quantized(graph, inputs), machine())


def test_factors_with_a_zero_point_are_refused() -> None:
    typed = Typed(np.random.default_rng(10), Integer(0.1, 3, signed=True))
    both = typed.matmul("both", typed.input("a", 6, 7), typed.input("b", 7, 5), 7)
    with pytest.raises(CompileError, match="node both: both factors must be symmetric to 0, not have zero point 3"):
        compile_graph(*typed.graph(both), machine())


def test_lanes_that_read_encoded_weights_refuse_what_is_formed() -> None:
    typed = Typed(np.random.default_rng(11), EIGHT)
    both = typed.matmul("both", typed.input("a", 6, 7), typed.input("b", 7, 5), 7)
    with pytest.raises(CompileError, match="layer both: the right factor must be a constant on edge-ws, whose lanes"):
        compile_graph(*typed.graph(both), small("sparse_lanes"))


def test_images_may_be_formed_where_a_transposition_wants_them() -> None:
    """A convolution's rows lie in several places; what gathers its windows is cut at them."""
    rng, build = np.random.default_rng(12), Builder("g")
    x = build.input("x", (2, 3, 4, 2))
    filters = build.constant("w", rng.normal(size=(2, 2, 2, 8)).astype(np.float32))
    image = build.node("conv", Conv(Window((2, 2), padding=(1, 1, 0, 0))), x, filters)
    turned = build.node("turned", Transpose((0, 2, 1, 3)), image)
    flat = build.node("flat", Reshape((2, 4, 24)), turned)
    last = build.linear("fc", flat, build.constant("v", rng.normal(size=(24, 5)).astype(np.float32)), None, relu=False)
    inputs = (rng.normal(size=(2, 3, 4, 2)).astype(np.float32),)
    graph = quantize(Network(build.graph((last,)), inputs, None, inputs, {}), recipe({"scheme": "int8"}))
    assert_executed(graph, quantized(graph, inputs), machine())


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("part", [False, True])
@pytest.mark.parametrize("link", [{}, {"io_bandwidth_bytes_per_s": 1e9, "io_latency_s": 0.0}], ids=["dram", "link"])
def test_outputs_may_be_joined_and_parts_of_what_is(axis: int, part: bool, link: dict[str, float]) -> None:
    typed = Typed(np.random.default_rng(13), EIGHT)
    x = typed.input("x", 2, 3, 8)
    parts = [typed.linear(name, x, 8, 8) for name in "ab"]
    joined = typed.build.node("join", Concat(axis), *parts)
    outputs = (joined, parts[1]) if part else (joined,)
    graph, inputs = typed.graph(*outputs)
    computes = {"operations_per_s": 1e9, "operation_pj": 1.0, "operation_source": "test"}
    on = machine(host={**link, **computes})
    program = compile_graph(graph, inputs, on)
    verify(program, on)
    execution, expected = engines.execute(program, on), exact.evaluate(graph, inputs, on.fold_inputs)
    for name in outputs:
        found = execution.numbers(program.header.region(name))
        np.testing.assert_array_equal(found, expected[name].reshape(-1, expected[name].shape[-1]))
    code = program.instructions
    sent = code["operands"][code["opcode"] == SEND]
    if link and not part:
        assert int((sent[:, 2] * sent[:, 3]).sum()) == 2 * 2 * 3 * 8


@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_may_be_multiplied_by_itself_and_stand_beside_a_constant(kind: str) -> None:
    typed = Typed(np.random.default_rng(14), EIGHT)
    x = typed.linear("new", typed.input("x", 5, 8), 8, 8)
    prefix = typed.build.constant("prefix", typed.numbers((3, 8)), EIGHT)
    rows = typed.build.node("rows", Concat(0), prefix, x)
    gram = typed.matmul("gram", rows, typed.build.node("turned", Transpose((1, 0)), rows), 8)
    on = small(kind)
    graph, inputs = typed.graph(typed.matmul("square", gram, gram, 8))
    assert_executed(graph, inputs, on)
    part = typed.build.node("part", Slice(0, 1, 6), typed.build.constant("other", typed.numbers((6, 8)), EIGHT))
    graph, inputs = typed.graph(typed.matmul("against", x, typed.build.node("flipped", Transpose((1, 0)), part), 8))
    assert_executed(graph, inputs, on)
