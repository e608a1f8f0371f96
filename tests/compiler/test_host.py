"""What no unit executes runs on the host: bit for bit, at its rate, over its link, or is refused by name."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engines
import numpy as np
import pytest
from float_networks import quantized, recipe
from graph_runs import executed, small
from harness import IDEAL_DRAM, examples, machine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import DATAPATHS

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.apply import quantize
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.config.tech import Component, Event, Operation
from accelsim.errors import CompileError, DoesNotFitError, ProgramError
from accelsim.golden import exact, real
from accelsim.graph.build import Builder
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.pool import AveragePool, MaxPool
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.ops.window import Window
from accelsim.graph.value import Shape
from accelsim.isa.assembly import parse, print_program
from accelsim.isa.opcodes import COMPUTE, RECEIVE, SEND
from accelsim.isa.program import Header, Program
from accelsim.isa.verify import verify
from accelsim.sim import fast
from accelsim.summary import Reference
from accelsim.workload.network import Network

HOST = {"operations_per_s": 3e8, "operation_pj": 25.0, "operation_source": "a test"}
LINK = {"io_bandwidth_bytes_per_s": 1e9, "io_latency_s": 5e-8}
LINKS = pytest.mark.parametrize("link", [{}, LINK], ids=["dram", "link"])
FLOATS = ["fp16", "bf16", "fp32"]
#: Floats whose rows and functions no vector unit computes.
FP8 = ["fp8_e4m3", "fp8_e5m2"]
BANKED = load_machine("edge-ws").dram.model_dump()
SAME = Window((3, 3), padding=(1, 1, 1, 1))


class Drawn:
    """A graph with drawn constants; what it forms is kept with its shape."""

    def __init__(self, rng: np.random.Generator, shape: Shape) -> None:
        self.rng = rng
        self.build = Builder("drawn")
        self.shape = shape
        self.formed = [(self.build.input("input", shape), shape)]

    def put(self, op: Op, shape: Shape, *inputs: str) -> str:
        name = self.build.node(f"{type(op).__name__.lower()}{len(self.formed)}", op, *inputs)
        self.formed.append((name, shape))
        return name

    def constant(self, *shape: int) -> str:
        return self.build.constant(f"c{self.rng.integers(2**60)}", self.rng.normal(size=shape).astype(np.float32))

    def linear(self, x: str, features: int, outputs: int) -> str:
        name = f"fc{len(self.formed)}"
        bias = self.constant(outputs)
        self.build.linear(name, x, self.constant(features, outputs), bias, relu=False)
        self.formed.append((f"{name}.output", (*dict(self.formed).get(x, self.shape)[:-1], outputs)))
        return f"{name}.output"

    def conv(self, x: str, shape: Shape, filters: int) -> str:
        name = f"conv{len(self.formed)}"
        weight = self.constant(3, 3, shape[3], filters)
        products = self.build.node(name, Conv(SAME), x, weight, output=f"{name}.products")
        self.build.chain(name, products, [(Add(), (self.constant(filters),))])
        self.formed.append((f"{name}.output", (*shape[:3], filters)))
        return f"{name}.output"

    def network(self, last: str) -> Network:
        inputs = (self.rng.normal(size=self.shape).astype(np.float32),)
        return Network(self.build.graph((last,)), inputs, None, inputs, {})


def typed(network: Network, scheme: str) -> tuple[Graph, tuple[NDArray[np.generic], ...]]:
    graph = quantize(network, recipe({"scheme": scheme}))
    return graph, quantized(graph, network.inputs)


def block(scheme: str, seed: int = 0) -> tuple[Graph, tuple[NDArray[np.generic], ...]]:
    """Two layers with a normalization and GELU between them, and softmax behind them."""
    on = Drawn(np.random.default_rng(seed), (5, 8))
    first = on.linear("input", 8, 12)
    normal = on.put(LayerNorm(1e-5), (5, 12), first, on.constant(12), on.constant(12))
    active = on.put(Function("gelu"), (5, 12), normal)
    return typed(on.network(on.put(Softmax(), (5, 7), on.linear(active, 12, 7))), scheme)


def computes(**changes: Any) -> Machine:
    """A small machine whose host computes."""
    return machine(**{**changes, "host": {**HOST, **changes.get("host", {})}})


def floats(scheme: str, link: dict[str, float], **changes: Any) -> Machine:
    return computes(matrix={"operands": scheme}, host=link, **changes)


@LINKS
@pytest.mark.parametrize("dram", [None, BANKED, IDEAL_DRAM], ids=["simple", "banked", "ideal"])
@pytest.mark.parametrize("scheme", FP8)
def test_norms_and_functions_of_floats_run_on_the_host(scheme: str, dram: Any, link: dict[str, float]) -> None:
    on = floats(scheme, link, **({"dram": dram} if dram else {}))
    program, execution = executed(*block(scheme), on)
    units = {info.name: info.unit for info in program.header.layers}
    assert units == {"fc1": "matrix", "layernorm2": "host", "function3": "host", "fc4": "matrix", "softmax5": "host"}
    timed = fast.execute(program, on, timing_only=True)
    assert (timed.cycles, timed.counters) == (execution.cycles, execution.counters)


def _layer_norm(on: Drawn, x: str, shape: Shape) -> None:
    on.put(LayerNorm(1e-3), shape, x, on.constant(shape[-1]), on.constant(shape[-1]))


def _rms_norm(on: Drawn, x: str, shape: Shape) -> None:
    on.put(RmsNorm(1e-3), shape, x, on.constant(shape[-1]))


def _softmax(on: Drawn, x: str, shape: Shape) -> None:
    on.put(Softmax(), shape, x)


def _function(on: Drawn, x: str, shape: Shape) -> None:
    on.put(Function("silu" if shape[1] % 2 else "gelu"), shape, x)


def _transpose(on: Drawn, x: str, shape: Shape) -> None:
    on.put(Transpose((0, 2, 1, 3)), (shape[0], shape[2], shape[1], shape[3]), x)


def _pad(on: Drawn, x: str, shape: Shape) -> None:
    on.put(Pad((0, 1, 0, 0), (0, 0, 1, 0)), (shape[0], shape[1] + 1, shape[2] + 1, shape[3]), x)


def _slice(on: Drawn, x: str, shape: Shape) -> None:
    on.put(Slice(1, 0, shape[1], 2), (shape[0], -(-shape[1] // 2), *shape[2:]), x)


def _reshape(on: Drawn, x: str, shape: Shape) -> None:
    on.put(Reshape((0, shape[2], shape[1], 0)), (shape[0], shape[2], shape[1], shape[3]), x)


def _add(on: Drawn, x: str, shape: Shape) -> None:
    on.put(Add(), shape, x, next(name for name, other in on.formed if other == shape))


def _gate(on: Drawn, x: str, shape: Shape) -> None:
    on.put(Mul(), shape, x, on.put(Function("sigmoid"), shape, x))


def _scale(on: Drawn, x: str, shape: Shape) -> None:
    on.put(Mul(), shape, x, on.constant(shape[-1]))


def _stack(on: Drawn, x: str, shape: Shape) -> None:
    on.put(Concat(1), (shape[0], 2 * shape[1], *shape[2:]), x, x)


def _conv(on: Drawn, x: str, shape: Shape) -> None:
    on.conv(x, shape, 1 + shape[3] % 4)


def _pool(on: Drawn, x: str, shape: Shape) -> None:
    on.put(AveragePool(SAME) if shape[1] % 2 else MaxPool(SAME), shape, x)


STEPS: tuple[Callable[[Drawn, str, Shape], None], ...] = (
    _layer_norm, _rms_norm, _softmax, _function, _transpose, _pad, _slice, _reshape, _add, _gate, _scale, _stack, _conv,
    _conv, _pool,
)  # fmt: skip


@st.composite
def drawn(draw: st.DrawFn, most: int) -> Network:
    """Networks of images that begin with a convolution and end in a fully connected layer."""
    sides = st.integers(1, 5)
    on = Drawn(
        np.random.default_rng(draw(st.integers(0, 2**32))), (draw(st.integers(1, 2)), draw(sides), draw(sides), 2)
    )
    on.conv(*on.formed[0], draw(st.integers(1, 5)))
    for step in draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=most)):
        step(on, *draw(st.sampled_from(on.formed)))
    last, shape = on.formed[-1]
    flat = on.build.node("flatten", Reshape((0, -1)), last)
    features = math.prod(shape[1:])
    last = on.build.linear("last", flat, on.constant(features, 3), None, relu=False)
    return on.network(on.build.node("shares", Softmax(), last) if draw(st.booleans()) else last)


def assert_runs(network: Network, scheme: str, on: Machine) -> None:
    try:
        program, execution = executed(*typed(network, scheme), on)
    except DoesNotFitError as error:
        assert str(error)  # with a sentence
        assume(False)
        raise
    timed = fast.execute(program, on, timing_only=True)
    assert (timed.cycles, timed.counters) == (execution.cycles, execution.counters)
    again = parse(print_program(program))
    assert again.digest == program.digest


@pytest.mark.parametrize("scheme", FLOATS)
@given(network=drawn(most=5), link=st.sampled_from([{}, LINK]), banked=st.booleans())
@settings(max_examples=8)
def test_graphs_with_what_no_unit_executes_mean_the_same(
    scheme: str, network: Network, link: dict[str, float], banked: bool
) -> None:
    assert_runs(network, scheme, floats(scheme, link, **({"dram": BANKED} if banked else {})))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", FLOATS)
@given(network=drawn(most=9), link=st.sampled_from([{}, LINK]), banked=st.booleans())
@examples(12, campaign=60)
def test_large_graphs_with_what_no_unit_executes_mean_the_same(
    scheme: str, network: Network, link: dict[str, float], banked: bool
) -> None:
    assert_runs(network, scheme, floats(scheme, link, **({"dram": BANKED} if banked else {})))


@LINKS
@pytest.mark.parametrize("kind", DATAPATHS)
def test_the_host_reads_and_writes_tensors_as_each_datapath_has_them(kind: str, link: dict[str, float]) -> None:
    """Feature by feature where the array reads them so; pairs of integers change places within each row."""
    on = small(kind)
    on = on.model_copy(update={"host": on.host.model_copy(update={**HOST, **link})})
    grown = Drawn(np.random.default_rng(1), (3, 6))
    first = grown.linear("input", 6, 10)
    pairs = grown.build.node("pairs", Transpose((0, 2, 1)), grown.build.node("split", Reshape((0, 5, 2)), first))
    turned = grown.build.node("turned", Reshape((0, 10)), pairs)
    network = grown.network(grown.linear(turned, 10, 4))
    program, _ = executed(*typed(network, "int8"), on)
    assert [info.unit for info in program.header.layers] == ["matrix", "host", "matrix"]


def test_a_product_of_two_activations_and_its_conversion_are_one_piece_of_work() -> None:
    """int32 sums never lie in memory."""
    build = Builder("attention")
    q8 = Integer(0.05, 3, signed=True)
    q, k = (build.input(name, shape, q8) for name, shape in (("q", (2, 3, 4)), ("k", (2, 4, 5))))
    sums = build.node("scores", MatMul(), q, k)
    factors = [
        build.constant(name, np.array([value], kind), Integer(1.0, 0, signed=True, bits=8 * np.dtype(kind).itemsize))
        for name, value, kind in (("m", 2**30, np.int32), ("s", -3, np.int8))
    ]
    result = build.node("cast", Cast(Integer(0.1, -2, signed=True), "tflite_single_round"), sums, *factors)
    graph = build.graph((result,))
    rng = np.random.default_rng(2)
    inputs = tuple(rng.integers(-128, 128, shape).astype(np.int8) for shape in ((2, 3, 4), (2, 4, 5)))
    program, _ = executed(graph, inputs, computes())
    (info,) = program.header.layers
    assert (info.nodes, info.unit) == (["scores", "cast"], "host")
    (computation,) = program.header.computations
    assert computation.operations == 2 * 2 * 3 * 4 * 5 + 2 * 3 * 5  # two a product, one a conversion


def test_what_the_vector_unit_refuses_is_the_hosts_too() -> None:
    grown = Drawn(np.random.default_rng(3), (1, 4, 4, 2))
    image = grown.conv(*grown.formed[0], 3)
    mean = grown.put(AveragePool(SAME), (1, 4, 4, 3), image)  # fewer pixels at the edge
    network = grown.network(grown.linear(grown.build.node("flatten", Reshape((0, -1)), mean), 48, 2))
    program, _ = executed(*typed(network, "fp16"), floats("fp16", {}))
    assert [info.unit for info in program.header.layers] == ["matrix", "host", "matrix"]
    with pytest.raises(CompileError, match="node averagepool2: windows must have as many pixels each for one mean"):
        compile_graph(*typed(network, "fp16"), machine(matrix={"operands": "fp16"}))


def test_what_is_formed_before_a_conversion_has_the_real_value_of_its_node() -> None:
    """Two sums with constants in a row, whose first is a piece of work of its own."""
    on = Drawn(np.random.default_rng(8), (4, 6))
    first = on.put(Add(), (4, 6), "input", on.constant(4, 6))
    second = on.put(Add(), (4, 6), first, on.constant(6))
    network = on.network(on.linear(second, 6, 3))
    graph, inputs = typed(network, "fp16")
    program, _ = executed(graph, inputs, floats("fp16", {}))
    numbers, found = real.evaluate(network.graph, network.inputs), exact.evaluate(graph, inputs, 4)
    reference = Reference(network, graph, found, numbers)
    outputs = [info.output for info in program.header.layers]
    assert not {*outputs} <= {*numbers}
    for name in outputs:
        np.testing.assert_allclose(found[name], reference.real_of(name), atol=0.02)


def test_without_a_rate_the_host_computes_nothing() -> None:
    """A machine of integers has no functions of floats."""
    with pytest.raises(CompileError) as caught:
        compile_graph(*block("fp16"), machine())
    assert [fault.message for fault in caught.value.faults] == [
        "node softmax5: Softmax must be what edge-ws has a unit for",
        "node function3: Function must be what edge-ws has a unit for",
        "node layernorm2: LayerNorm must be what edge-ws has a unit for",
    ]


@LINKS
def test_the_host_takes_its_operations_over_its_rate_beside_the_transfers(link: dict[str, float]) -> None:
    """Every cycle of the unit is a transfer's or a computation's, each as long as its figure says."""
    on = floats("fp8_e4m3", link, dram=IDEAL_DRAM)
    program, execution = executed(*block("fp8_e4m3"), on)
    code, busy = program.instructions, execution.timeline.free - execution.timeline.start
    operations = [6 * 60, 60 + 60, 4 * 35]  # of the normalization, of GELU and its conversion, and of softmax
    expected = [math.ceil(n * 1e9 / 3e8) for n in operations]
    assert busy[code["opcode"] == COMPUTE].tolist() == expected
    spent = int(execution.attribution[:, execution.unit_names.index("io"), execution.states.index("busy")].sum())
    moved = code[np.isin(code["opcode"], (SEND, RECEIVE))]["operands"]
    sizes = moved[:, 2] * moved[:, 3]
    transfers = int(sizes.sum()) if link else len(sizes)  # a byte a cycle, or the ideal DRAM's one cycle
    assert spent == transfers + sum(expected)


def sent_and_received(program: Program) -> tuple[int, int]:
    code = program.instructions
    found = []
    for opcode in (SEND, RECEIVE):
        operands = code["operands"][code["opcode"] == opcode]
        found.append(int((operands[:, 2] * operands[:, 3]).sum()))
    return found[0], found[1]


def test_bytes_over_the_link_are_what_the_host_lacks_and_forms() -> None:
    """Constants, inputs and what it formed before never cross to it; the input crosses once, for the array."""
    on = Drawn(np.random.default_rng(5), (4, 6))
    scaled = on.put(Mul(), (4, 6), "input", on.constant(6))
    twice = on.put(Function("softplus"), (4, 6), scaled)
    first, both = on.linear(twice, 6, 3), on.linear("input", 6, 3)
    last = on.put(Function("mish"), (4, 3), on.put(Add(), (4, 3), first, both))
    graph, inputs = typed(on.network(last), "fp16")
    program, execution = executed(graph, inputs, floats("fp16", LINK))
    formed = 2 * (4 * 6 + 4 * 6 + 4 * 3)
    assert sent_and_received(program) == (2 * 4 * 3, formed + 2 * 4 * 6)
    crossed = sum(part.get(Event(Component.HOST, Operation.LINK, 8), 0) for part in execution.counters)
    assert crossed == 2 * 4 * 3 + formed + 2 * 4 * 6
    shared, execution = executed(graph, inputs, floats("fp16", {}))
    assert sent_and_received(shared) == (2 * (4 * 6 + 4 * 3), formed)  # the input is the DRAM's here
    assert not any(event.operation == Operation.LINK for part in execution.counters for event in part)


@pytest.mark.parametrize("dram", [None, BANKED], ids=["simple", "banked"])
def test_the_host_computes_while_what_it_is_sent_is_on_its_way(dram: Any) -> None:
    """It starts when the send before it is free, and ends behind that one, whose end the memory tells later."""
    on = Drawn(np.random.default_rng(6), (64, 64))
    sent = on.linear("input", 64, 48)
    normal = on.put(RmsNorm(1e-5), (64, 64), "input", on.constant(64))
    inputs = (on.rng.normal(size=(64, 64)).astype(np.float32),)
    network = Network(on.build.graph((sent, normal)), inputs, None, inputs, {})
    fast_link = {"io_bandwidth_bytes_per_s": 1e12, "io_latency_s": 1e-7, "operations_per_s": 1e12}
    more = {"dram": dram} if dram else {}
    program, execution = executed(*typed(network, "fp8_e4m3"), floats("fp8_e4m3", fast_link, **more))
    opcode, t = program.instructions["opcode"], execution.timeline
    before, (computed,) = np.flatnonzero(opcode == SEND)[-1], np.flatnonzero(opcode == COMPUTE)
    assert t.start[computed] == t.free[before]
    assert t.free[computed] < t.end[before] <= t.end[computed]


def test_operations_are_counted_and_charged() -> None:
    _, execution = executed(*block("fp8_e4m3"), floats("fp8_e4m3", {}))
    counted = [part.get(Event(Component.HOST, Operation.HOST_OPERATION, 64), 0) for part in execution.counters]
    assert counted == [0, 360, 120, 0, 140]


def test_a_program_file_holds_what_the_host_computes(tmp_path: Path) -> None:
    on = floats("fp8_e4m3", LINK)
    program = compile_graph(*block("fp8_e4m3"), on, "r")
    program.save(tmp_path / "p.acs")
    for again in (Program.load(tmp_path / "p.acs"), parse(print_program(program))):
        assert again.digest == program.digest
        assert again.header == program.header
        engines.assert_equal(engines.execute(again, on), engines.execute(program, on))


def changed(program: Program, change: Callable[[dict[str, Any]], None]) -> Program:
    """The program with something else in its first computation."""
    header = program.header.model_dump(mode="json")
    change(header["computations"][0])
    return dataclasses.replace(program, header=Header.model_validate(header))


def put(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    def change(computation: dict[str, Any]) -> None:
        where: Any = computation
        for step in path[:-1]:
            where = where[step]
        where[path[-1]] = value

    return change


def op(value: object) -> Callable[[dict[str, Any]], None]:
    return put("nodes", 0, "op", value=value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (op({"kind": "System"}), "must be a known operator, not 'System'"),
        (op("Softmax"), "must be an operator with its kind"),
        (op({"kind": "LayerNorm"}), "LayerNorm: epsilon: must be given"),
        (op({"kind": "LayerNorm", "epsilon": "x"}), "LayerNorm: epsilon: must be a valid"),
        (op({"kind": "Softmax", "axis": 1}), "must be a known attribute, not 'axis'"),
        (op({"kind": "Cast", "to": {"kind": "float", "operand": "fp64"}}), "Cast: to.float.operand"),
        (op({"kind": "MaxPool", "window": {"kernel": [1, 1], "stride": [0, 1]}}), "must be 1 or more"),
        (op({"kind": "Pad", "before": [-1, 0], "behind": [0, 0]}), "no side may be cut"),
        (put("nodes", value=[]), "at least 1 item"),
        (put("given", 0, "shape", value=[0, 12]), "greater than or equal to 1"),
        (put("given", 0, "element", "operand", value="int8"), "'fp32', 'bf16'"),
        (put("given", 0, "address", value=-1), "greater than or equal to 0"),
    ],
)  # fmt: skip
def test_a_hostile_header_is_refused(change: Callable[[dict[str, Any]], None], match: str, tmp_path: Path) -> None:
    program = compile_graph(*block("fp8_e4m3"), floats("fp8_e4m3", {}), "r")
    with pytest.raises(ValueError, match=match):
        changed(program, change)
    text = print_program(program)
    header = program.header.model_dump(mode="json")
    change(header["computations"][0])
    lines = text.split("\n")
    lines[0] = f".header {json.dumps(header)}"
    with pytest.raises(ProgramError, match=r"\.header\.computations\.0"):
        parse("\n".join(lines))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (op({"kind": "Transpose", "order": [0, 0]}), "computation 0: node .* must take 1 to 1 values"),
        (op({"kind": "Slice", "axis": 9, "start": 0, "stop": 1}), "computation 0: "),
        (op({"kind": "Reshape", "shape": [2**62, 2**62]}), "computation 0: "),
        (put("nodes", 0, "inputs", value=["nothing"]), "computation 0: node .* reads 'nothing', which nothing formed"),
        (put("nodes", 0, "inputs", value=[]), "computation 0: node .* must take 2 to 3 values, not 0"),
        (put("nodes", 0, "output", value="other"), "computation 0: output '.*' of computation is formed by no node"),
        (put("result", "shape", value=[5, 13]), r"computation 0: .* must be \(5, 12\) fp8_e4m3, not \(5, 13\) "),
        (put("result", "element", "operand", value="bf16"), r"computation 0: .* must be .* fp8_e4m3, not .* bf16"),
        (put("result", "pitch", value=1), "computation 0: rows of .* must not overlap, but are 12 bytes every 1"),
        (put("given", 0, "address", value=2**47), "computation 0: .* must end at or below dram_bytes"),
        (put("given", 0, "shape", value=[2**31 - 1] * 8), "computation 0: .* must end at or below dram_bytes"),
    ],
)  # fmt: skip
def test_a_hostile_computation_is_rejected(change: Callable[[dict[str, Any]], None], match: str) -> None:
    on = floats("fp8_e4m3", {})
    program = changed(compile_graph(*block("fp8_e4m3"), on, "r"), change)
    with pytest.raises(ProgramError, match=match):
        verify(program, on)


def test_a_computation_of_what_the_host_never_got_is_rejected() -> None:
    on = floats("fp8_e4m3", {})
    program = compile_graph(*block("fp8_e4m3"), on, "r")
    last = put("given", 0, "address", value=program.header.dram_bytes - 128)
    with pytest.raises(ProgramError, match="must read bytes that were written before, but nothing wrote all of host"):
        verify(changed(program, last), on)


@pytest.mark.parametrize(
    ("operand", "value", "match"),
    [(0, 9, "computation must be below 3, those of the program, not 9"), (1, 7, "operations must be 360, what")],
)
def test_an_instruction_names_a_computation_and_what_it_takes(operand: int, value: int, match: str) -> None:
    on = floats("fp8_e4m3", {})
    program = compile_graph(*block("fp8_e4m3"), on, "r")
    code = program.instructions.copy()
    code["operands"][np.flatnonzero(code["opcode"] == COMPUTE)[0], operand] = value
    with pytest.raises(ProgramError, match=match):
        verify(dataclasses.replace(program, instructions=code), on)


def test_a_host_without_a_rate_takes_no_such_program() -> None:
    program = compile_graph(*block("fp8_e4m3"), floats("fp8_e4m3", {}), "r")
    with pytest.raises(ProgramError, match="must be an instruction of a link to the host, which edge-ws lacks"):
        verify(program, machine(matrix={"operands": "fp8_e4m3"}))
    with pytest.raises(ProgramError, match="must be an instruction of a host that computes, which edge-ws lacks"):
        verify(program, machine(matrix={"operands": "fp8_e4m3"}, host=LINK))


@LINKS
def test_leaving_out_any_wait_of_the_host_is_rejected(link: dict[str, float]) -> None:
    """The host computes behind what it is sent, and sends behind what it computes, by semaphores alone."""
    on = floats("fp8_e4m3", link)
    program = compile_graph(*block("fp8_e4m3"), on, "r")
    code = program.instructions
    for i in np.flatnonzero(np.isin(code["opcode"], (COMPUTE, RECEIVE)) & (code["wait"][:, 0] >= 0)):
        less = code.copy()
        less["wait"][i], less["value"][i] = -1, 0
        with pytest.raises(ProgramError, match=r"nothing orders the two|deadlock"):
            verify(dataclasses.replace(program, instructions=less), on)
