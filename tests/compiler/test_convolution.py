"""Convolutions on every datapath against the seven loops of their definition, byte by byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import engines
import numpy as np
import pytest
from graph_runs import executed, small
from harness import assert_accounted, examples, machine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import DATAPATHS, machines, quantizations
from workload.conv_reference import convolution

from accelsim.compiler import tiling
from accelsim.compiler.dataflow import Dataflow
from accelsim.compiler.pipeline import compile_graph
from accelsim.config.arch import Machine
from accelsim.errors import CompileError, DoesNotFitError
from accelsim.golden.exact.rounding import ROUNDING
from accelsim.graph.build import Builder
from accelsim.graph.element import Float, Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.window import Window
from accelsim.isa.opcodes import GATHER, LOAD, MATMUL, MOVE, OPCODES, products
from accelsim.isa.program import Program

#: Weights, biases, multipliers and shifts.
_ONE = {bits: Integer(1.0, 0, signed=True, bits=bits) for bits in (8, 32)}
#: How a product may read its images: windows gathered as a matrix, or the images themselves where a datapath can.
READS = ("matrix", "images")
#: Images and outputs whose types do not matter.
GIVEN, RESULT = Integer(0.1, -3, signed=True), Integer(0.1, 11, signed=True)


@dataclass(frozen=True)
class Convolution:
    """A layer of 8-bit integers: images, filters, and what its sums become."""

    images: NDArray[Any]
    filters: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int8]
    window: Window
    groups: int
    rounding: str
    relu: bool
    input: Integer
    output: Integer

    @property
    def graph(self) -> Graph:
        build = Builder("convolution")
        x = build.input("input", self.images.shape, self.input)
        filters = build.constant("conv.weight", self.filters, _ONE[8])
        return finished(build, build.node("conv", Conv(self.window, self.groups), x, filters), self)

    def expected(self) -> NDArray[Any]:
        """What the loops and the definition of a requantization say, (pixels, filters)."""
        w = self.window
        centred = self.images.astype(np.int64) - self.input.zero_point
        sums = convolution(centred, self.filters.astype(np.int64), w.stride, w.padding, w.dilation, self.groups)
        return requantized(sums.reshape(-1, sums.shape[-1]), self)


def finished(build: Builder, sums: str, of: Convolution) -> Graph:
    """Bias, conversion and ReLU behind products."""
    bias = build.constant("bias", of.bias, Integer(of.input.scale, 0, signed=True, bits=32))
    scale = [build.constant("m", of.multiplier, _ONE[32]), build.constant("s", of.shift, _ONE[8])]
    steps: list[tuple[Op, tuple[str, ...]]] = [(Add(), (bias,)), (Cast(of.output, of.rounding), tuple(scale))]
    last = build.chain("end", sums, [*steps, (Relu(), ())] if of.relu else steps)
    return build.graph((last,))


def requantized(sums: NDArray[np.int64], of: Convolution) -> NDArray[Any]:
    scaled = ROUNDING[of.rounding](sums + of.bias, of.multiplier.astype(np.int64), of.shift.astype(np.int64))
    low = of.output.zero_point if of.relu else of.output.qmin
    return np.clip(scaled + of.output.zero_point, low, of.output.qmax).astype(of.output.dtype)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """Windows of any kind, some with padding into which whole kernels fall."""
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 3), (2, 2)]))
    padding = draw(st.sampled_from([st.just(0), st.integers(0, 1), st.integers(0, 4)]))
    top, left, bottom, right = (draw(padding) for _ in range(4))
    return Window(draw(pair), draw(pair), (top, left, bottom, right), dilation)


@st.composite
def convolutions(draw: st.DrawFn) -> Convolution:
    window = draw(windows())
    top, left, bottom, right = window.padding
    least = (window.reach[0] - top - bottom, window.reach[1] - left - right)
    height, width = (max(1, low) + draw(st.integers(0, 4)) for low in least)
    groups, depth, each = draw(st.sampled_from([(1, 1, 5), (1, 3, 4), (1, 8, 6), (1, 16, 3), (2, 2, 2), (3, 1, 1),
                                                (4, 1, 2), (8, 1, 1), (2, 8, 3)]))  # fmt: skip
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random(
        rng, (draw(st.integers(1, 3)), height, width, groups * depth), (depth, groups * each), window, groups,
        rounding=draw(st.sampled_from(sorted(ROUNDING))), relu=draw(st.booleans()),
        given_=draw(quantizations()), result=draw(quantizations()),
    )  # fmt: skip


def random(
    rng: np.random.Generator,
    shape: tuple[int, int, int, int],
    filters: tuple[int, int],
    window: Window,
    groups: int = 1,
    *,
    rounding: str = "tflite_single_round",
    relu: bool = False,
    given_: Integer = GIVEN,
    result: Integer = RESULT,
) -> Convolution:
    """Random numbers whose outputs spread over their range."""
    depth, n = filters
    spread = 128 * 74 * np.sqrt(depth * window.kernel[0] * window.kernel[1])
    mantissa, exponent = np.frexp(rng.uniform(20, 200, n) / spread)
    return Convolution(
        images=rng.integers(given_.qmin, given_.qmax + 1, shape).astype(given_.dtype),
        filters=rng.integers(-128, 128, (*window.kernel, depth, n)).astype(np.int8),
        bias=rng.integers(-10_000, 10_000, n).astype(np.int32),
        multiplier=np.minimum(mantissa * 2**31, 2**31 - 1).astype(np.int32),
        shift=exponent.astype(np.int8),
        window=window,
        groups=groups,
        rounding=rounding,
        relu=relu,
        input=given_,
        output=result,
    )


@contextmanager
def reading(how: str) -> Iterator[None]:
    """Have products read their images in one way, where that fits, whatever it costs."""
    choose = tiling.choose

    def chosen(*ways: Sequence[Dataflow], slack: float) -> tiling.Cut:
        try:
            return choose(ways[-1] if how == "images" else ways[0], slack=slack)
        except DoesNotFitError:
            return choose(*ways, slack=slack)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "choose", chosen)
        yield


def assert_as_defined(conv: Convolution, on: Machine, graph: Graph | None = None, expected: Any = None) -> Program:
    """Both engines leave what the loops say in DRAM, and their cycles add up."""
    program = compile_graph(graph or conv.graph, (conv.images,), on)
    execution = engines.execute(program, on)
    found = execution.numbers(program.header.region("end.output"))
    np.testing.assert_array_equal(found, conv.expected() if expected is None else expected)
    assert_accounted(execution)
    return program


def opcodes(program: Program) -> set[int]:
    return set(np.unique(program.instructions["opcode"]).tolist())


@pytest.mark.parametrize("kind", DATAPATHS)
@given(conv=convolutions(), how=st.sampled_from(READS), data=st.data())
@settings(max_examples=6)
def test_a_convolution_is_that_of_the_seven_loops(kind: str, conv: Convolution, how: str, data: st.DataObject) -> None:
    on = data.draw(machines(kinds=[kind]))
    with reading(how):
        assert_as_defined(conv, on)


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATAPATHS)
@given(conv=convolutions(), how=st.sampled_from([*READS, "cheapest"]), data=st.data())
@examples(16, campaign=80)
def test_many_convolutions_are_those_of_the_seven_loops(
    kind: str, conv: Convolution, how: str, data: st.DataObject
) -> None:
    on = data.draw(machines(kinds=[kind]))
    if how == "cheapest":
        assert_as_defined(conv, on)
        return
    with reading(how):
        assert_as_defined(conv, on)


@pytest.mark.parametrize("kind", DATAPATHS)
def test_a_depthwise_convolution_reads_a_channel_each(kind: str) -> None:
    window = Window((3, 3), padding=(1, 1, 1, 1))
    conv = random(np.random.default_rng(1), (2, 5, 6, 8), (1, 8), window, 8)
    program = assert_as_defined(conv, small(kind))
    (info,) = program.header.layers
    assert (info.m, info.k, info.n) == (2 * 5 * 6, 9 * 8, 8)
    assert (info.macs, info.weights) == (2 * 5 * 6 * 9 * 8, 9 * 8)


@pytest.mark.parametrize("kind", ["input_stationary", "output_stationary", "outer_product"])
def test_a_depthwise_convolution_whose_rows_do_not_fit_whole_multiplies_zeros_too(kind: str) -> None:
    """Samples of an input fill a word of their own there: 72 inputs take more than the memory, a few do not."""
    conv = random(np.random.default_rng(1), (1, 3, 3, 8), (1, 8), Window((3, 3)), 8)
    on = small(kind)
    tiny = on.model_copy(update={"activation": on.activation.model_copy(update={"capacity_bytes": 256})})
    program = assert_as_defined(conv, tiny)
    assert int(products(program.instructions).sum()) == 72 * 8


@pytest.mark.parametrize("kind", DATAPATHS)
@pytest.mark.parametrize(
    "window", [Window((1, 1)), Window((1, 1), stride=(2, 3)), Window((1, 1), padding=(1, 0, 0, 2))], ids=str
)
def test_a_kernel_of_one_pixel_is_a_matrix_product(kind: str, window: Window) -> None:
    conv = random(np.random.default_rng(2), (2, 5, 7, 12), (12, 5), window)
    program = assert_as_defined(conv, small(kind))
    assert (GATHER in opcodes(program)) == (window != Window((1, 1)))


@pytest.mark.parametrize("kind", DATAPATHS)
@pytest.mark.parametrize("how", READS)
def test_pieces_that_are_padding_alone_are_filled_without_dram(kind: str, how: str) -> None:
    """Rows of a kernel of 2 x 2 lie 6 pixels above and below the images: many of them hold no pixel at all."""
    conv = random(np.random.default_rng(3), (2, 3, 4, 8), (8, 5), Window((2, 2), padding=(6, 5, 7, 5)))
    with reading(how):
        program = assert_as_defined(conv, small(kind))
    assert {GATHER, *([MOVE] if how == "matrix" else [])} <= opcodes(program)  # a whole image holds pixels


def test_images_on_chip_are_loaded_once_and_streamed_pixel_by_pixel() -> None:
    """Windows that are gathered bring each pixel nine times; both ways give the same bytes."""
    conv = random(np.random.default_rng(4), (1, 8, 8, 16), (16, 8), Window((3, 3), padding=(1, 1, 1, 1)))
    on = machine(matrix={"rows": 16, "columns": 8})
    gathers, streams = [], []
    for how in READS:
        with reading(how):
            program = assert_as_defined(conv, on)
        code = program.instructions
        gathers.append(int((code["opcode"] == GATHER).sum()))
        operands = code["operands"][code["opcode"] == MATMUL]
        inner = [field.name for field in OPCODES[MATMUL].fields].index("inner")
        streams.append(bool((operands[:, inner] > 0).any()))
    assert streams == [False, True]
    assert gathers[1] >= 1


@pytest.mark.parametrize("kind", DATAPATHS)
def test_a_fully_connected_layer_reads_images_in_a_row(kind: str) -> None:
    rng = np.random.default_rng(5)
    conv = random(rng, (5, 3, 4, 6), (6, 7), Window((3, 4)))
    build = Builder("flat")
    x = build.input("input", conv.images.shape, conv.input)
    flat = build.node("flatten", Reshape((0, -1)), x)
    weight = build.constant("fc.weight", conv.filters.reshape(-1, 7), _ONE[8])
    graph = finished(build, build.node("fc", MatMul(), flat, weight), conv)
    rows = conv.images.reshape(5, -1).astype(np.int64) - conv.input.zero_point
    expected = requantized(rows @ conv.filters.reshape(-1, 7).astype(np.int64), conv)
    np.testing.assert_array_equal(expected, conv.expected())  # it is the convolution of a kernel as large as the image
    program = assert_as_defined(conv, small(kind), graph, expected)
    (info,) = program.header.layers
    assert info.nodes == ["flatten", "fc", "end.add", "end.cast"]
    assert {LOAD, GATHER} & opcodes(program)


@given(conv=convolutions(), rows=st.integers(1, 9), columns=st.integers(1, 6), how=st.sampled_from(READS))
@settings(max_examples=15)
def test_floats_are_summed_as_any_product_of_the_kernels_pixels(
    conv: Convolution, rows: int, columns: int, how: str
) -> None:
    """Sums of floats depend on their order, which golden.exact has: rows, columns and channels of each window."""
    half, single = Float("fp16"), Float("fp32")
    rng = np.random.default_rng(conv.images.size)
    build = Builder("floats")
    x = half.quantize(rng.normal(size=conv.images.shape))
    last = build.node(
        "conv",
        Conv(conv.window, conv.groups),
        build.input("input", x.shape, half),
        build.constant("w", half.quantize(rng.normal(size=conv.filters.shape)), half),
    )
    bias = build.constant("b", rng.normal(size=conv.bias.shape).astype(np.float32), single)
    steps: list[tuple[Op, tuple[str, ...]]] = [(Add(), (bias,)), *([(Relu(), ())] if conv.relu else [])]
    graph = build.graph((build.chain("end", last, [*steps, (Cast(half), ())]),))
    with reading(how):
        executed(graph, (x,), machine(matrix={"operands": "fp16", "rows": rows, "columns": columns}))


def test_the_sum_of_a_convolution_that_an_accumulator_cannot_hold_is_refused() -> None:
    conv = random(np.random.default_rng(6), (1, 3, 3, 8), (8, 2), Window((3, 3)))
    bias = np.array([0, 2**31 - 1], np.int32)
    with pytest.raises(CompileError, match="layer conv: sums must fit an int32 accumulator, but output 1 can reach"):
        compile_graph(replace(conv, bias=bias).graph, (conv.images,), machine())
