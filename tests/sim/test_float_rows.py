"""Rows and functions of floats on the vector unit: golden's bytes, whatever the lanes, in closed-form cycles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import engines
import numpy as np
import pytest
import vector_programs
from harness import assert_accounted, machine
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from vector_programs import Draft

from accelsim.config.arch import Machine
from accelsim.config.tech import Component, Counters, Event, Operation
from accelsim.datapath.vector import fixed_point, float_functions, float_rows
from accelsim.datapath.vector.elements import Element, bits_of, pack
from accelsim.errors import ProgramError
from accelsim.golden import exact
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.function import Function as FunctionOp
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.mask import EVERYTHING, Mask
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.value import Value
from accelsim.isa import constants, functions, row_constants
from accelsim.isa.assembly import parse, print_program
from accelsim.isa.constants import Places
from accelsim.isa.functions import OF_FLOATS, OF_ROWS, Function
from accelsim.isa.opcodes import OPCODES
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.sim import fast

Float32 = NDArray[np.float32]

STRIDE, BLOCK, RESULT = 512, 4096, 16384
TYPES = {Element.FP16: Float("fp16"), Element.BF16: Float("bf16"), Element.FP32: Float("fp32")}
INFINITY = bits_of(np.inf)
RANGE = {"low": bits_of(-np.inf), "high": INFINITY}
ROW_NAMES = [operation.name.lower() for operation in OF_ROWS]
FUNCTION_NAMES = [operation.name.lower() for operation in OF_FLOATS]


def golden(op: Op, x: Float32, element: Element, result: Element, *constants: Float32) -> NDArray[np.uint8]:
    """Bytes of what a node forms of rows; shape (rows, bytes)."""
    known = {"x": Value("x", x.shape, TYPES[element])}
    known |= {f"c{i}": Value(f"c{i}", data.shape, Float("fp32"), data) for i, data in enumerate(constants)}
    graph = Graph.formed("one", known, [Node("n", op, tuple(known), ("y",))], ("x",), ("y",))
    formed = exact.evaluate(graph, (x,), 1)["y"]
    return pack(TYPES[result].quantize(formed.astype(np.float32)), result)


def numbers(rng: np.random.Generator, shape: Sequence[int], element: Element) -> Float32:
    """Numbers of a type, infinities, NaN and zeros of both signs now and then among them."""
    x = rng.normal(size=shape) * 10.0 ** rng.uniform(-2, 2)
    if rng.random() < 0.3:
        odd = rng.random(shape) < 0.1
        x[odd] = rng.choice([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e-7, 6e4], int(odd.sum()))
    found: Any = TYPES[element].quantize(x)
    return found


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    width = st.sampled_from([32, 64, 128, 512])
    return machine(
        vector={"lanes": draw(st.sampled_from([1, 3, 16, 64]))},
        **{name: {"width_bits": draw(width)} for name in ("activation", "weight", "output")},
    )


def words(row_bytes: int, rows: int, width_bytes: int) -> int:
    return rows * -(-row_bytes // width_bytes)


def check(
    on: Machine, mnemonic: str, f: Function, x: Float32, expected: NDArray[np.uint8], block: bytes, reads: int,
    cycles: Any, events: Counters, **more: int,
) -> None:  # fmt: skip
    """One instruction's bytes, cycles and events, on both engines, with and without values."""
    rows, columns = x.shape
    source, _, result = f.types
    made = Draft()
    if block:
        made.load(block, "weight", BLOCK)
    made.load(pack(x, source), "activation", 0, STRIDE)
    tested = made.emit(
        mnemonic, 1, function=made.function(f), memory="activation", address=0, stride=STRIDE, rows=rows,
        columns=columns, constants=BLOCK if block else 0, result_memory="output", result=RESULT, result_stride=STRIDE,
        **more,
    )  # fmt: skip
    where = made.store(RESULT, STRIDE, rows, expected.shape[1])
    program = made.program(on)
    again = parse(print_program(program))
    assert (again.instructions == program.instructions).all()
    assert (again.functions == program.functions).all()
    execution = engines.execute(program, on)
    assert_accounted(execution)
    assert vector_programs.read(execution, where, rows, expected.shape[1], np.uint8).tobytes() == expected.tobytes()
    header = program.header.model_copy(update={"timing_only": True, "image_bytes": program.image.size})
    blank = Program(header, program.instructions, np.zeros(0, np.uint8), *program.tables[:2])
    timed = fast.execute(blank, on, timing_only=True)
    assert (timed.cycles, timed.counters) == (execution.cycles, execution.counters)

    wanted: Counters = {Event(Component.HOST, Operation.ISSUE, 32): 1, **events}
    pads = {"weight": on.weight, "activation": on.activation, "output": on.output}
    each = words(source.row_bytes(columns), rows, on.activation.width_bytes)
    written = words(result.row_bytes(columns), rows, on.output.width_bytes)
    fill = -(-len(block) // on.weight.width_bytes)
    moved = (
        ("weight", Operation.SRAM_READ, fill),
        ("activation", Operation.SRAM_READ, reads * each),
        ("output", Operation.SRAM_WRITE, written),
    )
    for name, operation, times in moved:
        event = Event(Component(name), operation, pads[name].width_bits)
        wanted |= {event: wanted.get(event, 0) + times} if times else {}
    free, end = cycles(rows, columns, on.vector.lanes, max(each, written))
    t = execution.timeline
    assert (t.free[tested] - t.start[tested], t.end[tested] - t.start[tested]) == (fill + free, fill + end)
    assert execution.counters[1] == wanted


@given(
    st.sampled_from(ROW_NAMES), st.integers(1, 9), st.integers(1, 60), st.integers(0, 2**32),
    st.sampled_from(sorted(TYPES)), machines(),
)  # fmt: skip
@settings(max_examples=40)
def test_rows_are_golden(name: str, rows: int, columns: int, seed: int, element: Element, on: Machine) -> None:
    rng = np.random.default_rng(seed)
    x = numbers(rng, (rows, columns), element)
    result = element
    parameter = np.float32(rng.choice([1e-5, 0.25, 1.0]))
    gamma, beta = (rng.normal(size=columns).astype(np.float32) for _ in range(2))
    row, block = 0, b""
    match name:
        case "rms_norm":
            expected = golden(RmsNorm(float(parameter)), x, element, result, gamma)
            block = row_constants.pack_affine(gamma)
        case "layer_norm":
            expected = golden(LayerNorm(float(parameter)), x, element, result, gamma, beta)
            block = row_constants.pack_affine(gamma, beta)
        case "l2_norm":
            expected = golden(L2Norm(float(parameter)), x, element, result)
        case _:  # some rows of several blocks of queries
            queries = int(rng.integers(1, columns + 1))
            window = int(rng.choice([0, 1, 3]))
            mask = Mask(True, window, int(rng.integers(0, 3)) if window else 0) if rng.random() < 0.8 else EVERYTHING
            row = int(rng.integers(0, queries))
            blocks = -(-(row + rows) // queries)
            whole = np.zeros((blocks * queries, columns), np.float32)
            whole[row : row + rows] = x
            formed = golden(
                MaskedSoftmax(float(parameter), mask), whole.reshape(blocks, queries, columns), element, result
            )
            expected = formed.reshape(len(whole), -1)[row : row + rows]
            first = (queries, columns - queries + 1, 1) if mask.causal else (1, columns, 0)
            block = constants.pack_mask(Places(*first, mask.window, mask.sinks))
    number = float_rows.Name(name)
    events: Counters = {}
    float_rows.events(events, number, rows, columns)
    f = Function(
        functions.Operation[name.upper()], source=element, result=result, multiplier=bits_of(float(parameter)), **RANGE
    )
    check(
        on, "rows", f, x, expected, block, 3 if name == "layer_norm" else 2,
        lambda *shape: float_rows.cycles(number, *shape), events, row=row,
    )  # fmt: skip


@given(
    st.sampled_from(FUNCTION_NAMES), st.integers(1, 9), st.integers(1, 60), st.integers(0, 2**32),
    st.sampled_from(sorted(TYPES)), machines(),
)  # fmt: skip
@settings(max_examples=30)
def test_functions_are_golden(name: str, rows: int, columns: int, seed: int, element: Element, on: Machine) -> None:
    x = numbers(np.random.default_rng(seed), (rows, columns), element)
    expected = golden(FunctionOp(name), x, element, element)  # type: ignore[arg-type] # names are the same
    number = float_functions.Name(name)
    events: Counters = {}
    float_functions.events(events, number, rows * columns)
    f = Function(functions.Operation[name.upper()], source=element, result=element, **RANGE)
    check(
        on, "map", f, x, expected, b"", 1,
        lambda *shape: fixed_point.cycles((float_functions.work(number),), *shape), events,
    )  # fmt: skip


def test_the_last_pass_waits_for_the_row() -> None:
    """Softmax of 100 columns on 16 lanes by hand: three passes of 7 cycles, their pipelines, and one quotient."""
    tree, join = 4 + 1, 3  # levels of 16 lanes and the register behind them; 7 groups
    exponential = 2 + 1 + len(float_functions.EXP_STAGES) + tree
    free = 7 + (2 + tree - 1) + 7 + (exponential - 1) + join + 24 + 7
    assert float_rows.cycles(float_rows.Name.SOFTMAX, 1, 100, 16, 0) == (free, free + 3 - 1)


# refusals


def softmax_program(on: Machine, mask: tuple[int, ...] = (4, 5, 1, 0, 0), **changes: int) -> Program:
    """Softmax of 4 rows of 8 columns in fp16, with changes to the instruction's operands."""
    f = Function(functions.Operation.SOFTMAX, Element.FP16, result=Element.FP16, multiplier=bits_of(1.0), **RANGE)
    made = Draft()
    made.load(np.array(mask, "<i4").tobytes(), "weight", BLOCK)
    made.load(np.zeros((4, 16), np.uint8), "activation", 0, STRIDE)
    tested = made.emit(
        "rows", 1, function=made.function(f), memory="activation", address=0, stride=STRIDE, rows=4, columns=8,
        constants=BLOCK, result_memory="output", result=RESULT, result_stride=STRIDE,
    )  # fmt: skip
    program = made.program(on)
    code = program.instructions.copy()
    names = OPCODES[code["opcode"][tested]].operands._fields
    for name, value in changes.items():
        code["operands"][tested, names.index(name)] = value
    return Program(program.header, code, program.image, program.descriptors, program.functions)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"columns": 2**15 + 1}, r"columns must be 1 to 32768, not 32769"),
        ({"memory": 5}, r"memory must be 1 to 4, not 5"),
        ({"function": 3}, r"function must be below 1, those of the program, not 3"),
        ({"constants": 65530}, r"must stay inside the 65536 bytes of weight, not reach byte 65550"),
        ({"result_memory": 1, "result": 2}, r"results must take the place of a tile or of none"),
        ({"row": 2**24}, r"row must be 0 to 16777215, not 16777216"),
    ],
)
def test_a_malformed_instruction_is_refused_by_name(changes: dict[str, int], message: str) -> None:
    on = machine()
    verify(softmax_program(on), on)
    with pytest.raises(ProgramError, match=rf"instruction 2 \(rows of tested\): .*{message}"):
        verify(softmax_program(on, **changes), on)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            (0, 5, 1, 0, 0),
            "a mask must have 1 query or more, each seeing 0 or 1 keys more, not Places(",
        ),
        ((4, 5, 2, 0, 0), "a mask must have 1 query or more"),
        ((4, 5, 1, -1, 0), "a window and sinks must be 0 or more, not -1 and 0"),
        ((5, 5, 1, 0, 0), "queries must see 1 to 8 keys, not 5 to 9"),
    ],
)
def test_a_mask_that_is_none_is_refused(mask: tuple[int, ...], message: str) -> None:
    on = machine()
    with pytest.raises(ProgramError) as caught:
        fast.execute(softmax_program(on, mask), on)
    assert f"instruction 2 (rows of tested): constants: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (Function(functions.Operation.SILU, Element.INT8, result=Element.FP16), "silu must not be of int8 and int8 to"),
        (Function(functions.Operation.SOFTMAX, Element.FP16, result=Element.INT8), "softmax must not be of fp16 and"),
        (
            Function(functions.Operation.RMS_NORM, Element.FP16, result=Element.FP16, multiplier=bits_of(-1.0)),
            "multiplier must be the bits of an epsilon of 0 or more, not 3212836864",
        ),
        (
            Function(functions.Operation.SOFTMAX, Element.FP16, result=Element.FP16, multiplier=INFINITY),
            "multiplier must be the bits of a finite scale, not 2139095040",
        ),
        (
            Function(functions.Operation.GELU, Element.FP16, result=Element.FP16, multiplier=1),
            "multiplier must be 0, as the operation does not use it, not 1",
        ),
    ],
)  # fmt: skip
def test_functions_that_are_none_are_refused(f: Function, message: str) -> None:
    assert any(message in text for _, text in functions.faults(functions.table(f)))


def test_what_an_operation_does_not_use_is_0() -> None:
    on = machine()
    program = softmax_program(on)
    f = Function(functions.Operation.L2_NORM, Element.FP16, result=Element.FP16, **RANGE)
    other = Program(program.header, program.instructions, program.image, program.descriptors, functions.table(f))
    with pytest.raises(ProgramError, match="constants must be 0, as the function does not use it, not 4096"):
        verify(other, on)
    f = Function(functions.Operation.RMS_NORM, Element.FP16, result=Element.FP16, **RANGE)
    moved = softmax_program(on, row=3)
    other = Program(program.header, moved.instructions, program.image, program.descriptors, functions.table(f))
    with pytest.raises(ProgramError, match="row must be 0, as the function does not use it, not 3"):
        verify(other, on)
    f = Function(functions.Operation.SILU, Element.FP16, result=Element.FP16, **RANGE)
    other = Program(program.header, program.instructions, program.image, program.descriptors, functions.table(f))
    with pytest.raises(ProgramError, match="function must be one of rms_norm, layer_norm, l2_norm, softmax, not silu"):
        verify(other, on)
