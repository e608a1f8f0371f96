"""Rows and functions of floats through the compiler: on the vector unit of machines of floats, golden everywhere."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from float_networks import quantized, recipe
from graph_runs import executed
from harness import machine
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.apply import quantize
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.errors import CompileError, DoesNotFitError
from accelsim.graph.build import Builder
from accelsim.graph.element import Float, Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.mask import EVERYTHING, Mask
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.value import Shape
from accelsim.isa.opcodes import COMPUTE, ROWS, Rows
from accelsim.workload.network import Network

SCHEMES = ("fp16", "bf16", "fp32")


def constants(op: Op) -> int:
    """How many constants of a row's features an operator takes, at most."""
    return {LayerNorm: 2, RmsNorm: 1}.get(type(op), 0)


def formed(shape: Shape, scheme: str, ops: list[Op], rng: np.random.Generator, *, rectified: bool = False) -> Graph:
    """Each operator of what a graph is given, perhaps with a ReLU behind it."""
    build, outputs = Builder("rows"), []
    x = build.input("x", shape, Float(scheme))  # type: ignore[arg-type] # one of the types
    for number, op in enumerate(ops):
        given = [
            build.constant(f"c{number}.{i}", rng.normal(size=shape[-1]).astype(np.float32))
            for i in range(constants(op))
        ]
        outputs.append(build.node(f"n{number}", op, x, *given))
        if rectified:
            outputs[-1] = build.node(f"n{number}.relu", Relu(0.5 if number % 2 else float("inf")), outputs[-1])
    return build.graph(tuple(outputs))


def of_type(scheme: str) -> Machine:
    """A machine of a type of floats whose memories hold few rows."""
    memory = {"capacity_bytes": 4096, "banks": 2}
    return machine(
        matrix={"operands": scheme, "rows": 4, "columns": 4}, vector={"lanes": 8}, activation=memory, weight=memory,
        output=memory, accumulator=memory,
    )  # fmt: skip


EVERY: list[Op] = [
    RmsNorm(1e-5), LayerNorm(1e-5), L2Norm(1e-6), Softmax(), MaskedSoftmax(0.25, EVERYTHING),
    MaskedSoftmax(0.5, Mask(True)), MaskedSoftmax(1.0, Mask(True, 3, 1)),
    *(Function(name) for name in ("exponential", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh")),
]  # fmt: skip


@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_vector_unit_has_all_of_them(scheme: str, rectified: bool) -> None:
    """A ReLU behind one is its clamp."""
    shape, rng = (2, 7, 11), np.random.default_rng(0)
    graph = formed(shape, scheme, EVERY, rng, rectified=rectified)
    inputs = (graph["x"].element.quantize(rng.normal(size=shape) * 4),)
    program, _ = executed(graph, inputs, of_type(scheme))
    assert {info.unit for info in program.header.layers} == {"vector"}
    assert len(program.header.layers) == len(EVERY)


@st.composite
def drawn_ops(draw: st.DrawFn) -> list[Op]:
    """A few operators of any parameters."""
    window = draw(st.integers(0, 4))
    mask = Mask(True, window, draw(st.integers(0, 2)) if window else 0)
    epsilon, scale = draw(st.sampled_from([1e-5, 0.5])), draw(st.sampled_from([1.0, 0.3, 2.0]))
    return draw(
        st.lists(
            st.sampled_from([
                RmsNorm(epsilon), LayerNorm(epsilon), L2Norm(epsilon), Softmax(), MaskedSoftmax(scale, mask),
                Function("silu"), Function("gelu"), Function("tanh"),
            ]),
            min_size=1, max_size=3,
        )
    )  # fmt: skip


@given(
    st.sampled_from(SCHEMES), st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 70)), drawn_ops(),
    st.booleans(), st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=15)
def test_random_rows_are_golden(
    scheme: str, shape: tuple[int, int, int], ops: list[Op], rectified: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = (*shape[:2], max(shape[1:]))
    graph = formed(shape, scheme, ops, rng, rectified=rectified)
    inputs = (graph["x"].element.quantize(rng.normal(size=shape) * 10 ** rng.uniform(-1, 1)),)
    try:
        program, _ = executed(graph, inputs, of_type(scheme))
    except DoesNotFitError:
        assume(False)
        raise
    code = program.instructions[program.instructions["opcode"] == ROWS]
    rows = code["operands"][:, Rows._fields.index("rows")].sum()
    assert rows == sum(math.prod(shape[:2]) for op in ops if not isinstance(op, Function))


def test_a_tile_knows_where_its_rows_stand() -> None:
    """A causal mask of 30 queries, whose tiles have fewer rows."""
    shape, rng = (2, 30, 60), np.random.default_rng(1)
    graph = formed(shape, "fp32", [MaskedSoftmax(1.0, Mask(True, 4, 2))], rng)
    program, _ = executed(graph, (rng.normal(size=shape).astype(np.float32),), of_type("fp32"))
    operands = program.instructions[program.instructions["opcode"] == ROWS]["operands"]
    rows, row = (operands[:, Rows._fields.index(name)] for name in ("rows", "row"))
    assert len(rows) > 4
    np.testing.assert_array_equal(row, (np.cumsum(rows) - rows) % 30)


def block(rng: np.random.Generator, *, samples: int = 2, tokens: int = 12, heads: int = 2, width: int = 8) -> Network:
    """A block of a decoder: RMSNorm, causal attention, a residual, LayerNorm, a gate by SiLU, GELU, and a residual."""
    build, features = Builder("block"), heads * width

    def constant(*shape: int) -> str:
        data = rng.normal(size=shape) / (math.sqrt(shape[0]) if len(shape) > 1 else 1.0)
        return build.constant(f"c{rng.integers(2**60)}", data.astype(np.float32))

    def linear(name: str, x: str, inputs: int, outputs: int) -> str:
        return build.linear(name, x, constant(inputs, outputs), constant(outputs), relu=False)

    x = build.input("x", (samples, tokens, features))
    normal = build.node("norm", RmsNorm(1e-5), x, constant(features))
    split: dict[str, str] = {}
    for name in "qkv":
        parts = build.node(
            f"{name}.split", Reshape((0, tokens, heads, width)), linear(name, normal, features, features)
        )
        split[name] = build.node(f"{name}.heads", Transpose((0, 2, 1, 3)), parts)
    turned = build.node("turned", Transpose((0, 1, 3, 2)), split["k"])
    scores = build.node("scores", MatMul(), split["q"], turned)
    shares = build.node("shares", MaskedSoftmax(1 / math.sqrt(width), Mask(True, 5, 1)), scores)
    mixed = build.node("rows", Transpose((0, 2, 1, 3)), build.node("mixed", MatMul(), shares, split["v"]))
    joined = build.node("joined", Reshape((0, tokens, features)), mixed)
    y = build.node("sum", Add(), x, linear("out", joined, features, features))
    second = build.node("norm2", LayerNorm(1e-5), y, constant(features), constant(features))
    gate = build.node("silu", Function("silu"), linear("gate", second, features, 3 * features))
    up = build.node("gelu", Function("gelu"), linear("up", second, features, 3 * features))
    down = linear("down", build.node("gated", Mul(), gate, up), 3 * features, features)
    last = build.node("last", Softmax(), build.node("sum2", Add(), y, down))
    inputs = (rng.normal(size=(samples, tokens, features)).astype(np.float32),)
    return Network(build.graph((last,)), inputs, None, inputs, {})


@pytest.mark.parametrize(
    ("arch", "step"),
    [
        *((f"edge-ws-{scheme}", {"scheme": scheme}) for scheme in SCHEMES),
        ("edge-ws-mixed", {"scheme": "dynamic_int8"}),
    ],
)
def test_a_block_of_a_decoder_needs_no_host(arch: str, step: dict[str, Any]) -> None:
    network, by = block(np.random.default_rng(4)), recipe(step)
    graph = quantize(network, by)
    program, _ = executed(graph, quantized(graph, network.inputs), load_machine(arch))
    units = {info.name: info.unit for info in program.header.layers}
    assert set(units.values()) == {"matrix", "vector"}
    assert not (program.instructions["opcode"] == COMPUTE).any()
    assert {"norm", "shares", "norm2", "silu", "gelu", "last"} <= {
        name for name, unit in units.items() if unit == "vector"
    }


def test_values_between_rows_stay_on_chip() -> None:
    shape, rng = (4, 32), np.random.default_rng(2)
    build = Builder("chain")
    x = build.input("x", shape, Float("fp16"))
    first = build.node("first", RmsNorm(1e-5), x, build.constant("g", np.ones(32, np.float32)))
    last = build.node("last", Softmax(), build.node("middle", Function("gelu"), first))
    inputs = (Float("fp16").quantize(rng.normal(size=shape)),)
    program, _ = executed(build.graph((last,)), inputs, load_machine("edge-ws-fp16"))
    assert len(program.header.kept) == 2


def test_others_are_the_hosts_or_refused() -> None:
    rng = np.random.default_rng(3)
    plain = formed((2, 4), "fp16", [Softmax()], rng)
    inputs = (np.zeros((2, 4), np.float32),)
    with pytest.raises(CompileError, match="node n0: Softmax must be what edge-ws has a unit for"):
        compile_graph(plain, inputs, machine(), "r")
    unknown = formed((2, 4), "fp16", [Function("softplus")], rng)
    fp16 = of_type("fp16")
    with pytest.raises(CompileError, match=r"node n0: .*softplus"):
        compile_graph(unknown, inputs, fp16, "r")
    build = Builder("padded")
    x, ids = build.input("x", (1, 3, 3), Float("fp16")), build.input("ids", (1, 3), Integer(1.0, 0, signed=True))
    padded = build.graph((build.node("n", MaskedSoftmax(1.0, EVERYTHING, 0), x, ids),))
    given = (np.zeros((1, 3, 3), np.float32), np.zeros((1, 3), np.int8))
    with pytest.raises(
        CompileError, match="node n: keys must all be tokens on the vector unit, not padding by their ids"
    ):
        compile_graph(padded, given, fp16, "r")
    long = formed((1, 40000), "fp16", [Softmax()], rng)
    with pytest.raises(CompileError, match="node n0: a row must have at most 32768 numbers, not 40000"):
        compile_graph(long, (np.zeros((1, 40000), np.float32),), fp16, "r")
    hosted, _ = executed(padded, given, load_machine("edge-ws-fp16"))
    assert [info.unit for info in hosted.header.layers] == ["host"]
