"""Map, reduce and move on both engines: bytes from definitions, cycles of closed forms, events counted apart."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from typing import Any

import engines
import numpy as np
import pytest
from harness import assert_accounted, machine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from vector_programs import Draft

from accelsim.config.arch import Machine
from accelsim.config.tech import Component, Counters, Event
from accelsim.config.tech import Operation as Happens
from accelsim.datapath import requantize
from accelsim.datapath.vector import convert, elementwise, fixed_point, float_scale, gelu, pool, products, rotate
from accelsim.datapath.vector.elements import BYTES, Element, bits_of
from accelsim.datapath.vector.elementwise import AddIntegers, Rescale
from accelsim.errors import ProgramError
from accelsim.golden import vector as golden
from accelsim.golden.exact.rounding import FLOAT_ROUNDING, ROUNDING
from accelsim.graph.ops.cast import float_multiplier
from accelsim.isa import functions
from accelsim.isa.assembly import parse, print_program
from accelsim.isa.functions import Function, Operation
from accelsim.isa.opcodes import Memory
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.kernels import tiles as kernel
from accelsim.sim import fast
from accelsim.sim.data import SCHEMES, move_all
from accelsim.sim.machine import Core

Values = NDArray[Any]
MODES = sorted(ROUNDING)
CHIP = ("activation", "weight", "output", "accumulator")
INFINITE = (bits_of(float("-inf")), bits_of(float("inf")))
PLACES = {"first": 64, "second": 8192, "result": 28672}


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """edge-ws with other lanes, widths, ports and banks."""
    width = st.sampled_from([8, 32, 128, 512])
    return machine(
        vector={"lanes": draw(st.sampled_from([1, 3, 16, 64])), "latency_cycles": 3},
        **{
            name: {
                "capacity_bytes": 65536,
                "width_bits": draw(width),
                "banks": draw(st.sampled_from([1, 2])),
                "interleaving": draw(st.sampled_from(["contiguous", "words"])),
                "ideal": draw(st.sampled_from([False, False, False, True])),
            }
            for name in CHIP
        },
    )


def put(draft: Draft, values: Values, memory: str, address: int, stride: int) -> None:
    """Bring elements to any memory on chip: to the accumulator by a copy."""
    if memory != "accumulator":
        draft.load(values, memory, address, stride)
        return
    draft.load(values, "activation", 32768, stride)
    copy = draft.function(Function(Operation.COPY))
    draft.emit(
        "move", function=copy, memory="activation", address=32768, stride=stride, result_memory=memory, result=address,
        result_stride=stride, rows=len(values), columns=values.shape[1] * values.itemsize,
    )  # fmt: skip


#: Bits of elements that share bytes.
PACKED = {Element.INT4: 4, Element.UINT4: 4, Element.INT2: 2, Element.UINT2: 2}


def stored(values: Values, element: Element) -> NDArray[np.uint8]:
    """Rows of bytes: of packed elements a row is one number, the first element in its lowest bits."""
    if element not in PACKED:
        return np.ascontiguousarray(values).view(np.uint8)
    bits, rows = PACKED[element], []
    for row in values.tolist():
        number = sum(value % 2**bits << i * bits for i, value in enumerate(row))
        rows.append(list(number.to_bytes(-(-len(row) * bits // 8), "little")))
    return np.array(rows, np.uint8)


def without_data(program: Program) -> Program:
    header = program.header.model_copy(update={"timing_only": True, "image_bytes": program.image.size})
    return Program(header, program.instructions, np.zeros(0, np.uint8), *program.tables[:2])


def check(
    draft: Draft, tested: int, on: Machine, memory: str, expected: Values, stride: int
) -> tuple[int, int, Counters]:
    """Run on both engines, data apart and times alone; returns cycles to free and to end, and events.

    Parameters
    ----------
    expected, stride
        Result, of the width in which it stands in memory, and bytes from row to row of it.
    """
    program = draft.program(on)
    assert parse(print_program(program)).digest == program.digest
    execution = engines.execute(program, on)
    assert_accounted(execution)
    timed = fast.execute(without_data(program), on, timing_only=True)
    assert timed.counters == execution.counters
    np.testing.assert_array_equal(timed.timeline.end, execution.timeline.end)
    one, all_ = Core(program, on), Core(program, on)
    for record in program.instructions:
        one.execute(record)
    move_all(all_, program)
    row = np.arange(expected.shape[1] * expected.itemsize)
    places = PLACES["result"] + stride * np.arange(len(expected))[:, None] + row
    for core in (one, all_):
        got = core.memories.arrays[Memory[memory.upper()]][places]
        assert got.tobytes() == np.ascontiguousarray(expected).tobytes()
    for name in Memory:
        if name in one.memories.arrays:
            np.testing.assert_array_equal(one.memories.arrays[name], all_.memories.arrays[name])
    t = execution.timeline
    return int(t.free[tested] - t.start[tested]), int(t.end[tested] - t.start[tested]), execution.counters[1]


def random(rng: np.random.Generator, shape: tuple[int, ...], element: Element) -> Values:
    """Random elements, often at the ends of their range; floats of few digits, so that ties occur."""
    if element.is_float:
        return (rng.integers(-64, 65, shape) / 8 * 2.0 ** rng.integers(-3, 4, shape)).astype(element.dtype)
    low, high = element.limits
    values = rng.integers(low, high, shape, endpoint=True)
    ends = rng.random(shape) < 0.2
    return np.where(ends, rng.choice([low, high], shape), values).astype(element.dtype)


def scale(rng: np.random.Generator, mode: str, largest: float = 2.0) -> tuple[int, int]:
    top = min(largest, 2.0**13) if mode == "tflite_int64_reduced" else largest
    factor = Rescale.of(top * float(2.0 ** rng.uniform(-12, 0)))
    return factor.multiplier, factor.shift


def point(rng: np.random.Generator, element: Element) -> int:
    low, high = (0, 0) if element == Element.INT32 else element.limits
    return int(rng.integers(low, high, endpoint=True))


def limits(rng: np.random.Generator, element: Element) -> tuple[int, int]:
    low, high = sorted(rng.integers(*element.limits, 2, endpoint=True).tolist())
    return (low, high) if rng.random() < 0.5 else element.limits


def words(on: Machine, memory: str, address: int, stride: int, row_bytes: int, rows: int) -> int:
    width = {name: getattr(on, name).width_bytes for name in CHIP}[memory]
    touched = [(address + r * stride + i) // width for r in range(rows) for i in range(row_bytes)]
    return sum(1 for a, b in zip([-1, *touched], touched, strict=False) if a != b)


TYPES = st.sampled_from(list(Element))
BYTE = st.sampled_from(BYTES)
NARROW = st.sampled_from([*BYTES, *PACKED])
SEEDS = st.integers(0, 2**32)
MEMORIES = st.sampled_from(CHIP)
SIDES = st.tuples(st.integers(1, 6), st.integers(1, 40))


@dataclasses.dataclass
class Case:
    """A map: its function, tiles and table, and what it must give and take."""

    function: Function
    tiles: list[Values]
    expected: Values
    kernel: fixed_point.VectorPass
    events: Counters
    table: bytes = b""


def check_map(case: Case, memories: tuple[str, str, str], on: Machine, *, gap: int, row: bool = False) -> None:
    draft, shape = Draft(), case.expected.shape
    tiles = [stored(tile, element) for tile, element in zip(case.tiles, case.function.types, strict=False)]
    made = stored(case.expected, case.function.types[2])
    if case.table:
        draft.load(case.table, "weight", 60_000)
    strides = [tile.shape[1] + gap for tile in (*tiles, made)]
    names = ["first", "second"][: len(tiles)]
    for name, tile, memory, stride in zip(names, tiles, memories, strides, strict=False):
        put(draft, tile, memory, PLACES[name], stride)
    operands: dict[str, Any] = {
        "memory": memories[0], "address": PLACES["first"], "stride": strides[0], "rows": shape[0], "columns": shape[1],
        "result_memory": memories[2], "result": PLACES["result"], "result_stride": strides[-1],
        "constants": 60_000 if case.table else 0,
    }  # fmt: skip
    if len(tiles) > 1:
        operands |= {"other_memory": memories[1], "other": PLACES["second"], "other_stride": 0 if row else strides[1]}
    tested = draft.emit("map", 1, function=draft.function(case.function), **operands)
    free, end, counters = check(draft, tested, on, memories[2], made, strides[-1])
    expected: Counters = {Event(Component.HOST, Happens.ISSUE, 32): 1, **case.events}
    fill, ports = 0, dict.fromkeys(CHIP, 0)

    def charge(memory: str, operation: Happens, accesses: int) -> int:
        event = Event(Component(memory), operation, getattr(on, memory).width_bits)
        expected[event] = expected.get(event, 0) + accesses
        return 0 if getattr(on, memory).ideal else accesses

    if case.table:
        fill += charge("weight", Happens.SRAM_READ, words(on, "weight", 60_000, 0, 256, 1))
    for name, tile, memory, stride in zip(names, tiles, memories, strides, strict=False):
        rows, row_bytes = tile.shape
        taken = charge(memory, Happens.SRAM_READ, words(on, memory, PLACES[name], stride, row_bytes, rows))
        if row and name == "second":
            fill += taken
        else:
            ports[memory] += taken
    place = (PLACES["result"], strides[-1], made.shape[1], shape[0])
    ports[memories[2]] += charge(memories[2], Happens.SRAM_WRITE, words(on, memories[2], *place))
    assert counters == expected
    if all(getattr(on, memory).banks == 1 for memory in CHIP):  # all tiles of a memory share its port
        closed = fixed_point.cycles((case.kernel,), *shape, on.vector.lanes, max(ports.values()))
        assert (free, end) == (fill + closed[0], fill + closed[1])


#: What the loop of compiled code converts.
LOOPED = st.one_of(BYTE, NARROW, st.sampled_from([*PACKED, Element.INT16]))


@given(SIDES, SEEDS, LOOPED, LOOPED, st.sampled_from(MODES), st.tuples(*[MEMORIES] * 3), st.integers(0, 9), machines())
@settings(max_examples=24)
def test_convert_rescales_integers_and_clamps_them(
    shape: tuple[int, int], seed: int, source: Element, result: Element, mode: str, memories: tuple[str, str, str],
    gap: int, on: Machine,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    x, (multiplier, shift), (low, high) = random(rng, shape, source), scale(rng, mode), limits(rng, result)
    f = Function(
        Operation.CONVERT, source, result=result, zero_point=point(rng, source), result_zero_point=point(rng, result),
        multiplier=multiplier, shift=shift, rounding=requantize.MODES.index(mode), low=low, high=high,
    )  # fmt: skip
    scaled = golden.requantized(x.astype(np.int64) - f.zero_point, multiplier, shift, mode) + f.result_zero_point
    events: Counters = {}
    convert.integers_events(events, x.size, "tflite_single_round")
    expected = np.clip(scaled, low, high).astype(result.dtype)
    check_map(Case(f, [x], expected, convert.INTEGERS, events), memories, on, gap=gap)


#: Schemes of float32 scales, and what a value times a factor becomes by them.
FLOAT_MODES = sorted(FLOAT_ROUNDING)


def float_scale_of(rng: np.random.Generator, largest: float = 2.0) -> tuple[int, int]:
    multiplier, shift = float_multiplier(np.float32([largest * 2.0 ** rng.uniform(-12, 0)]))
    return int(multiplier[0]), int(shift[0])


@given(SIDES, SEEDS, LOOPED, LOOPED, st.sampled_from(FLOAT_MODES), st.booleans(), st.tuples(*[MEMORIES] * 3),
       machines())  # fmt: skip
@settings(max_examples=24)
def test_scales_may_be_float32(
    shape: tuple[int, int], seed: int, source: Element, result: Element, mode: str, multiplies: bool,
    memories: tuple[str, str, str], on: Machine,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    multiplies = multiplies and source != Element.INT16
    x, y, (multiplier, shift) = random(rng, shape, source), random(rng, shape, source), float_scale_of(rng)
    points, (low, high) = (point(rng, source), point(rng, source), point(rng, result)), limits(rng, result)
    numbers = {"rounding": requantize.MODES.index(mode), "low": low, "high": high, "result_zero_point": points[2]}
    total = x.astype(np.int64) - points[0]
    events: Counters = {}
    if multiplies:
        f = Function(
            Operation.MULTIPLY, source, source, result, points[0], points[1], **numbers, result_multiplier=multiplier,
            result_shift=shift,
        )  # fmt: skip
        total = total * (y.astype(np.int64) - points[1])
        products.multiply_int8_events(events, x.size, mode)
    else:
        f = Function(Operation.CONVERT, source, 0, result, points[0], multiplier=multiplier, shift=shift, **numbers)
        convert.integers_events(events, x.size, mode)
    scaled = FLOAT_ROUNDING[mode](total, np.array(multiplier), np.array(shift), points[2])
    expected = np.clip(scaled, low, high).astype(result.dtype)
    kernel = products.MULTIPLY_INT8 if multiplies else convert.INTEGERS
    check_map(Case(f, [x, y] if multiplies else [x], expected, kernel, events), memories, on, gap=3)


@given(SIDES, SEEDS, st.tuples(NARROW, NARROW, NARROW) | st.tuples(BYTE, BYTE, BYTE), st.tuples(*[MEMORIES] * 3),
       st.booleans(), machines())  # fmt: skip
@settings(max_examples=24)
def test_two_tiles_are_added_by_float32_scales(
    shape: tuple[int, int], seed: int, types: tuple[Element, Element, Element], memories: tuple[str, str, str],
    row: bool, on: Machine,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    a, b = random(rng, shape, types[0]), random(rng, (1 if row else shape[0], shape[1]), types[1])
    factors = np.float32([*2.0 ** rng.uniform(-8, 1, 2), rng.uniform(-200, 200)])
    bits, (low, high) = [bits_of(float(factor)) for factor in factors], limits(rng, types[2])
    f = Function(
        Operation.ADD, *types, multiplier=bits[0], other_multiplier=bits[1], result_multiplier=bits[2],
        rounding=requantize.MODES.index("onnxruntime_qlinearmul"), low=low, high=high,
    )  # fmt: skip
    exact = [[Fraction(float(value)) for value in part.ravel()] for part in (a.astype(int), b.astype(int))]
    first, other, fixed = (Fraction(float(factor)) for factor in factors)
    inner = np.float32([float(np.float32(float(y * other + fixed))) for y in exact[1]]).reshape(b.shape)
    both = np.broadcast_to(inner, shape).ravel()
    total = np.float32([float(x * first + Fraction(float(y))) for x, y in zip(exact[0], both, strict=True)])
    expected = np.clip(np.rint(total), low, high).reshape(shape).astype(types[2].dtype)
    events: Counters = {}
    float_scale.add_events(events, a.size)
    check_map(Case(f, [a, b], expected, float_scale.ADD, events), memories, on, gap=3, row=row)


#: Types of what is added or multiplied, and of the result: at most 8 bits, which both can do, or sums of 16 bits.
PAIRS = st.one_of(
    st.tuples(BYTE, BYTE, BYTE, st.booleans()),
    st.tuples(NARROW, NARROW, st.one_of(NARROW, st.just(Element.INT16)), st.booleans()),
    st.tuples(*[st.sampled_from([*BYTES, *PACKED, *[Element.INT16] * 6])] * 3, st.just(True)),
)


@given(SIDES, SEEDS, PAIRS, st.sampled_from(MODES), st.tuples(*[MEMORIES] * 3), st.integers(0, 9), st.booleans(),
       machines())  # fmt: skip
@settings(max_examples=30)
def test_two_tiles_of_integers_are_added_or_multiplied(
    shape: tuple[int, int], seed: int, pair: tuple[Element, Element, Element, bool], mode: str,
    memories: tuple[str, str, str], gap: int, row: bool, on: Machine,
) -> None:  # fmt: skip
    rng, (source, other, result, adds) = np.random.default_rng(seed), pair
    a, b = random(rng, shape, source), random(rng, (1 if row else shape[0], shape[1]), other)
    points, (low, high) = (point(rng, source), point(rng, other), point(rng, result)), limits(rng, result)
    numbers = {"rounding": requantize.MODES.index(mode), "low": low, "high": high}
    zeros = dict(zip(("zero_point", "other_zero_point", "result_zero_point"), points, strict=True))
    events: Counters = {}
    if adds:
        left = 15 if Element.INT16 in (source, other) else 20
        add = AddIntegers.of(
            (rng.uniform(0.01, 1), rng.uniform(0.01, 1)), points[:2], rng.uniform(0.01, 1), points[2], mode, left
        )
        one, two, three = (*add.factors, add.output)
        f = Function(
            Operation.ADD, source, other, result, multiplier=one.multiplier, shift=one.shift,
            other_multiplier=two.multiplier, other_shift=two.shift, result_multiplier=three.multiplier,
            result_shift=three.shift, **zeros, **numbers,
        )  # fmt: skip
        first = golden.requantized((a.astype(np.int64) - points[0]) * 2**left, one.multiplier, one.shift, mode)
        second = golden.requantized((b.astype(np.int64) - points[1]) * 2**left, two.multiplier, two.shift, mode)
        total = golden.requantized(first + second, three.multiplier, three.shift, mode)
        elementwise.add_integers_events(events, a.size, (source, other))
    else:
        multiplier, shift = scale(rng, mode, 0.1)
        f = Function(
            Operation.MULTIPLY, source, other, result, result_multiplier=multiplier, result_shift=shift, **zeros,
            **numbers,
        )  # fmt: skip
        product = (a.astype(np.int64) - points[0]) * (b.astype(np.int64) - points[1])
        total = golden.requantized(product, multiplier, shift, mode)
        products.multiply_int8_events(events, a.size, "tflite_single_round")
    expected = np.clip(total + points[2], low, high).astype(result.dtype)
    kernel = elementwise.ADD_INTEGERS if adds else products.MULTIPLY_INT8
    check_map(Case(f, [a, b], expected, kernel, events), memories, on, gap=gap, row=row)


@given(
    SEEDS, st.tuples(BYTE, BYTE, BYTE), st.sampled_from(sorted(SCHEMES)),
    st.sampled_from([Operation.ADD, Operation.MULTIPLY]),
)  # fmt: skip
@settings(max_examples=6)
def test_a_large_tile_is_looked_up_and_says_what_its_rows_say_one_by_one(
    seed: int, of: tuple[Element, Element, Element], mode: str, operation: Operation
) -> None:
    rng, (rows, columns) = np.random.default_rng(seed), (258, 255)
    assert rows * columns > kernel.PAIRS
    points, scales = [point(rng, element) for element in of], [scale(rng, mode, 0.1) for _ in range(3)]
    rounding, (low, high) = requantize.MODES.index(mode), limits(rng, of[2])
    f = np.array(Function(operation, *of, *points, *scales[0], *scales[1], *scales[2], rounding, low, high), np.int64)
    source, other = rng.integers(0, 256, (2, rows * columns)).astype(np.uint8)
    whole, lines, none = (np.zeros(rows * columns, np.uint8) for _ in range(3))

    def operands(row: int, amount: int) -> NDArray[np.int64]:
        at = row * columns
        return np.array([0, 1, at, columns, amount, columns, 1, at, columns, 1, at, columns, 0], np.int64)

    assert kernel.map_tile(operands(0, rows), f, SCHEMES[mode], source, other, none, whole)
    for row in range(rows):
        assert kernel.map_tile(operands(row, 1), f, SCHEMES[mode], source, other, none, lines)
    np.testing.assert_array_equal(whole, lines)


@given(SIDES, SEEDS, BYTE, BYTE, st.tuples(*[MEMORIES] * 3), machines())
@settings(max_examples=8)
def test_a_table_is_any_function_of_a_byte(
    shape: tuple[int, int], seed: int, source: Element, result: Element, memories: tuple[str, str, str], on: Machine
) -> None:
    rng = np.random.default_rng(seed)
    x, table = random(rng, shape, source), rng.integers(0, 256, 256).astype(np.uint8)
    events: Counters = {}
    gelu.look_up_events(events, x.size)
    gelu.table_events(events)
    f = Function(Operation.LOOK_UP, source, result=result)
    case = Case(f, [x], table[x.view(np.uint8)].view(result.dtype), gelu.LOOK_UP, events, table.tobytes())
    check_map(case, memories, on, gap=1)


@given(SIDES, SEEDS, st.sampled_from([*PACKED]), machines())
@settings(max_examples=8)
def test_packed_elements_are_converted_where_they_stand(
    shape: tuple[int, int], seed: int, element: Element, on: Machine
) -> None:
    rng, draft = np.random.default_rng(seed), Draft()
    x, (low, high) = random(rng, shape, element), element.limits
    f = Function(Operation.CONVERT, element, result=element, multiplier=2**30, shift=1, low=low, high=(low + high) // 2)
    expected = stored(np.minimum(x, f.high).astype(x.dtype), element)
    place = {"memory": "output", "address": PLACES["result"], "stride": expected.shape[1]}
    draft.load(stored(x, element), *place.values())
    tested = draft.emit(
        "map", 1, function=draft.function(f), **place, rows=shape[0], columns=shape[1], result_memory="output",
        result=PLACES["result"], result_stride=expected.shape[1], constants=0,
    )  # fmt: skip
    check(draft, tested, on, "output", expected, expected.shape[1])


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 20)), SEEDS,
    st.sampled_from([Element.INT8, Element.UINT8, Element.INT16, Element.INT4]),
    st.sampled_from([Element.INT8, Element.INT4]),
    st.sampled_from([Element.INT8, Element.UINT8, Element.INT16, Element.INT4]),
    st.sampled_from(MODES), st.booleans(), st.booleans(), st.tuples(*[MEMORIES] * 3), machines(),
)  # fmt: skip
@settings(max_examples=24)
def test_pairs_are_turned(
    half: tuple[int, int], seed: int, source: Element, other: Element, result: Element, mode: str, interleaved: bool,
    row: bool, memories: tuple[str, str, str], on: Machine,
) -> None:  # fmt: skip
    rng, shape = np.random.default_rng(seed), (half[0], 2 * half[1])
    x, table = random(rng, shape, source), random(rng, (1 if row else shape[0], shape[1]), other)
    points, (low, high) = (point(rng, source), point(rng, other), point(rng, result)), limits(rng, result)
    multiplier, shift = scale(rng, mode, 0.1)
    f = Function(
        Operation.ROTATE_NEIGHBOURS if interleaved else Operation.ROTATE, source, other, result, *points,
        result_multiplier=multiplier, result_shift=shift, rounding=requantize.MODES.index(mode), low=low, high=high,
    )  # fmt: skip
    own, factors = x.astype(np.int64) - points[0], table.astype(np.int64) - points[1]
    order = np.arange(shape[1]).reshape(half[1], 2).T if interleaved else np.arange(shape[1]).reshape(2, half[1])
    turned = (own[:, order[0]] + 1j * own[:, order[1]]) * (factors[:, order[0]] + 1j * factors[:, order[1]])
    total = np.empty(shape, np.int64)
    total[:, order[0]], total[:, order[1]] = turned.real, turned.imag
    expected = golden.requantized(total, multiplier, shift, mode) + points[2]
    events: Counters = {}
    rotate.integers_events(events, x.size, (source, other), mode)
    case = Case(f, [x, table], np.clip(expected, low, high).astype(result.dtype), rotate.INTEGERS, events)
    check_map(case, memories, on, gap=2, row=row)


FLOATS = st.sampled_from([Element.FP16, Element.BF16, Element.FP32])


@given(SIDES, SEEDS, FLOATS, FLOATS, FLOATS, st.booleans(), st.tuples(*[MEMORIES] * 3), machines())
@settings(max_examples=12)
def test_pairs_of_floats_are_turned_in_float32(
    shape: tuple[int, int], seed: int, source: Element, other: Element, result: Element, interleaved: bool,
    memories: tuple[str, str, str], on: Machine,
) -> None:  # fmt: skip
    rng, shape = np.random.default_rng(seed), (shape[0], 2 * shape[1])
    x, table = random(rng, shape, source), random(rng, shape, other)
    a, b = x.astype(np.float32).tolist(), table.astype(np.float32).tolist()
    one, expected = np.float32, np.empty(shape, np.float32)
    for i, j in np.ndindex(*shape):
        second = j % 2 == 1 if interleaved else j >= shape[1] // 2
        first, apart = (j // 2 * 2, 1) if interleaved else (j % (shape[1] // 2), shape[1] // 2)
        pair = first, first + apart
        (u, v), (cos, sin) = ([one(of[i][k]) for k in pair] for of in (a, b))
        expected[i, j] = u * sin + v * cos if second else u * cos - v * sin
    operation = Operation.ROTATE_NEIGHBOURS if interleaved else Operation.ROTATE
    f = Function(operation, source, other, result, low=INFINITE[0], high=INFINITE[1])
    events: Counters = {}
    rotate.floats_events(events, x.size, source)
    check_map(Case(f, [x, table], expected.astype(result.dtype), rotate.FLOATS, events), memories, on, gap=2)


@given(SIDES, SEEDS, FLOATS, FLOATS, FLOATS, st.booleans(), st.booleans(), st.tuples(*[MEMORIES] * 3), machines())
@settings(max_examples=15)
def test_floats_are_added_or_multiplied_in_float32_and_rounded_once(
    shape: tuple[int, int], seed: int, source: Element, other: Element, result: Element, adds: bool, relu: bool,
    memories: tuple[str, str, str], on: Machine,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    a, b = random(rng, shape, source), random(rng, shape, other)
    x, y = a.astype(np.float32), b.astype(np.float32)
    real = x + y if adds else x * y
    low = bits_of(0) if relu else INFINITE[0]
    f = Function(Operation.ADD if adds else Operation.MULTIPLY, source, other, result, low=low, high=INFINITE[1])
    expected = (np.maximum(real, np.float32(0)) if relu else real).astype(result.dtype)
    events: Counters = {}
    (products.add_float_events if adds else products.multiply_float_events)(events, a.size)
    kernel = products.ADD_FLOAT if adds else products.MULTIPLY_FLOAT
    check_map(Case(f, [a, b], expected, kernel, events), memories, on, gap=2)


@given(SIDES, SEEDS, st.sampled_from([Element.INT32, *BYTES]), st.sampled_from(MODES), st.booleans(), machines())
@settings(max_examples=12)
def test_sums_take_a_bias_or_a_residual_and_saturate(
    shape: tuple[int, int], seed: int, other: Element, mode: str, row: bool, on: Machine
) -> None:
    rng = np.random.default_rng(seed)
    sums, y = random(rng, shape, Element.INT32), random(rng, (1 if row else shape[0], shape[1]), other)
    f = Function(Operation.ADD, Element.INT32, other, Element.INT32, low=-(2**31), high=2**31 - 1)
    addend, events = y.astype(np.int64), {}
    elementwise.add_int32_events(events, sums.size)
    if other != Element.INT32:
        multiplier, shift = scale(rng, mode, 2.0**20)
        f = f._replace(
            other_multiplier=multiplier, other_shift=shift, other_zero_point=point(rng, other),
            rounding=requantize.MODES.index(mode),
        )  # fmt: skip
        addend = golden.requantized(addend - f.other_zero_point, multiplier, shift, mode)
        elementwise.rescale_events(events, sums.size)
    expected = golden.saturated_sum(sums, np.clip(addend, -(2**31), 2**31 - 1)).astype(np.int32)
    kernel = elementwise.ADD_INT32 if other == Element.INT32 else elementwise.RESCALE_ADD
    case = Case(f, [sums, y], expected, kernel, events)
    check_map(case, ("accumulator", "activation", "output"), on, gap=4, row=row)


@given(SIDES, SEEDS, TYPES, TYPES, st.sampled_from(MODES), machines())
@settings(max_examples=25)
def test_convert_takes_every_type_to_every_other(
    shape: tuple[int, int], seed: int, source: Element, result: Element, mode: str, on: Machine
) -> None:
    rng = np.random.default_rng(seed)
    x, events = random(rng, shape, source), {}
    low, high = INFINITE if result.is_float else limits(rng, result)
    f = Function(Operation.CONVERT, source, result=result, low=low, high=high)
    real = x.astype(np.float32)
    if source.is_float and result.is_float:
        expected, kernel = real.astype(result.dtype), convert.FLOATS
        convert.floats_events(events, x.size)
    elif source.is_float:
        f = f._replace(multiplier=bits_of(1.75), result_zero_point=point(rng, result))
        nearest = [round(float(v)) for v in (real * np.float32(1.75)).reshape(-1)]  # ties to even
        whole = np.array(nearest, np.int64).reshape(shape) + f.result_zero_point
        expected, kernel = np.clip(whole, low, high).astype(result.dtype), convert.TO_INTEGERS
        convert.to_integers_events(events, x.size)
    elif result.is_float:
        f = f._replace(multiplier=bits_of(0.3), zero_point=point(rng, source))
        centred = (x.astype(np.int64) - f.zero_point).astype(np.float32) * np.float32(0.3)
        with np.errstate(over="ignore"):
            expected, kernel = centred.astype(result.dtype), convert.TO_FLOATS
        convert.to_floats_events(events, x.size)
    else:
        multiplier, shift = scale(rng, mode)
        f = f._replace(
            multiplier=multiplier, shift=shift, rounding=requantize.MODES.index(mode), zero_point=point(rng, source),
            result_zero_point=point(rng, result),
        )  # fmt: skip
        scaled = golden.requantized(x.astype(np.int64) - f.zero_point, multiplier, shift, mode) + f.result_zero_point
        expected, kernel = np.clip(scaled, low, high).astype(result.dtype), convert.INTEGERS
        convert.integers_events(events, x.size, "tflite_single_round")
    check_map(Case(f, [x], expected, kernel, events), ("weight", "weight", "accumulator"), on, gap=0)


# reductions


@given(
    size=st.tuples(st.integers(1, 5), st.integers(1, 5)), window=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    step=st.tuples(st.integers(1, 3), st.integers(1, 3)), channels=st.integers(1, 20), gap=st.integers(0, 3),
    source=st.one_of(TYPES, NARROW), result=st.one_of(TYPES, NARROW), sums=st.booleans(),
    mode=st.sampled_from(MODES), memories=st.tuples(MEMORIES, MEMORIES), on=machines(), seed=SEEDS,
)  # fmt: skip
@settings(max_examples=36)
def test_windows_of_an_image_are_reduced(
    size: tuple[int, int], window: tuple[int, int], step: tuple[int, int], channels: int, gap: int, source: Element,
    result: Element, sums: bool, mode: str, memories: tuple[str, str], on: Machine, seed: int,
) -> None:  # fmt: skip
    rng, events = np.random.default_rng(seed), {}
    height, width = ((n - 1) * s + w for n, s, w in zip(size, step, window, strict=True))
    f = Function(
        Operation.SUM if sums else Operation.MAXIMUM, source, result=result if sums else source,
        window_rows=window[0], window_columns=window[1], row_step=step[0], column_step=step[1],
    )  # fmt: skip
    if sums:
        assume(functions._typed(f))
    image = random(rng, (height, width * channels), source)
    pixels = image.reshape(height, width, channels)
    taps = [pixels[y : y + step[0] * size[0] : step[0], x : x + step[1] * size[1] : step[1]][: size[0], : size[1]]
            for y, x in itertools.product(*map(range, window))]  # fmt: skip
    values, read = size[0] * size[1] * channels, size[0] * size[1] * channels * len(taps)
    if not sums:
        expected, kernel = np.max(taps, axis=0), pool.MAXIMUM
        pool.maximum_events(events, values, read)
    elif source.is_float:
        f = f._replace(result_multiplier=bits_of(1 / len(taps)), low=INFINITE[0], high=INFINITE[1])
        total = taps[0].astype(np.float32)
        for tap in taps[1:]:
            total = total + tap.astype(np.float32)
        expected, kernel = (total * np.float32(1 / len(taps))).astype(f.types[2].dtype), pool.SUM_FLOAT
        pool.sum_float_events(events, values, read)
    else:
        multiplier, shift = scale(rng, mode, 1.0)
        low, high = limits(rng, result)
        f = f._replace(
            result_multiplier=multiplier, result_shift=shift, rounding=requantize.MODES.index(mode), low=low, high=high,
            zero_point=point(rng, source), result_zero_point=point(rng, result),
        )  # fmt: skip
        total = np.sum([tap.astype(np.int64) - f.zero_point for tap in taps], axis=0)
        scaled = golden.requantized(total, multiplier, shift, mode) + f.result_zero_point
        expected, kernel = np.clip(scaled, low, high).astype(result.dtype), pool.SUM
        pool.sum_events(events, values, read, "tflite_single_round")
    draft, packed = Draft(), stored(pixels.reshape(-1, channels), source)  # a pixel begins at a byte
    pixel, made = packed.shape[1], stored(expected.reshape(-1, channels), f.types[2]).shape[1]
    put(draft, packed.reshape(height, -1), memories[0], PLACES["first"], width * pixel + gap)
    tested = draft.emit(
        "reduce", 1, function=draft.function(f), memory=memories[0], address=PLACES["first"], stride=pixel,
        line_stride=width * pixel + gap, height=size[0], width=size[1], columns=channels, result_memory=memories[1],
        result=PLACES["result"], result_stride=made, result_line_stride=size[1] * made + gap,
    )  # fmt: skip
    rows = stored(expected.reshape(-1, channels), f.types[2]).reshape(size[0], -1)
    free, end, counters = check(draft, tested, on, memories[1], rows, size[1] * made + gap)
    assert counters.items() >= events.items()
    lines = [
        PLACES["first"] + (y * step[0] + i) * (width * pixel + gap) + (x * step[1] + j) * pixel
        for y, x, i, j in itertools.product(*map(range, (*size, *window)))
    ]
    port = getattr(on, memories[0])
    touched = [(line + i) // port.width_bytes for line in lines for i in range(pixel)]
    taken = sum(1 for a, b in zip([-1, *touched], touched, strict=False) if a != b)
    assert counters[Event(Component(memories[0]), Happens.SRAM_READ, port.width_bits)] == taken
    if memories[0] != memories[1] and on.output.banks == port.banks == 1:
        written = getattr(on, memories[1])
        event = Event(Component(memories[1]), Happens.SRAM_WRITE, written.width_bits)
        busiest = max(0 if port.ideal else taken, 0 if written.ideal else counters[event])
        if all(getattr(on, memory).banks == 1 for memory in memories):
            assert (free, end) == fixed_point.cycles((kernel,), len(lines), channels, on.vector.lanes, busiest)


# moves


@given(
    SIDES,
    SEEDS,
    TYPES.filter(lambda e: e not in PACKED),
    st.sampled_from(["COPY", "TRANSPOSE", "FILL"]),
    st.tuples(MEMORIES, MEMORIES),
    machines(),
)
@settings(max_examples=30)
def test_tiles_are_copied_transposed_and_filled(
    shape: tuple[int, int], seed: int, element: Element, name: str, memories: tuple[str, str], on: Machine
) -> None:
    rng, operation = np.random.default_rng(seed), Operation[name]
    x, draft = random(rng, shape, element), Draft()
    f = Function(operation, element, result=element, low=int(rng.integers(256)) if name == "FILL" else 0)
    expected = {"COPY": x, "TRANSPOSE": np.ascontiguousarray(x.T)}.get(name)
    if expected is None:
        expected = np.full((shape[0], shape[1] * element.bits // 8), f.low, np.uint8).view(element.dtype)
    stride, result_stride = x.shape[1] * x.itemsize + 3, expected.shape[1] * expected.itemsize + 1
    operands: dict[str, Any] = {}
    if name != "FILL":
        put(draft, x, memories[0], PLACES["first"], stride)
        operands = {"memory": memories[0], "address": PLACES["first"], "stride": stride}
    tested = draft.emit(
        "move", 1, function=draft.function(f), **operands, result_memory=memories[1], result=PLACES["result"],
        result_stride=result_stride, rows=shape[0], columns=shape[1],
    )  # fmt: skip
    _, _, counters = check(draft, tested, on, memories[1], expected, result_stride)
    port = getattr(on, memories[1])
    writes = counters[Event(Component(memories[1]), Happens.SRAM_WRITE, port.width_bits)]
    if name == "TRANSPOSE":  # as narrow as an element is, but for a row that stays one
        starts = [
            PLACES["result"] + c * result_stride + r * x.itemsize
            for r, c in itertools.product(range(shape[0]), range(shape[1]))
        ]
        touched = [(start + i) // port.width_bytes for start in starts for i in range(x.itemsize)]
        assert writes == sum(1 for a, b in zip([-1, *touched], touched, strict=False) if a != b)
    else:
        row_bytes = shape[1] * x.itemsize
        assert writes == words(on, memories[1], PLACES["result"], result_stride, row_bytes, shape[0])


def test_a_square_is_transposed_where_it_stands() -> None:
    draft, x = Draft(), np.arange(25, dtype=np.uint8).reshape(5, 5)
    draft.load(x, "output", PLACES["result"], 5)
    f = draft.function(Function(Operation.TRANSPOSE))
    tested = draft.emit(
        "move", 1, function=f, memory="output", address=PLACES["result"], stride=5, result_memory="output",
        result=PLACES["result"], result_stride=5, rows=5, columns=5,
    )  # fmt: skip
    check(draft, tested, machine(), "output", np.ascontiguousarray(x.T), 5)


def test_sums_that_are_added_to_where_they_stand_take_the_port_once() -> None:
    draft, on = Draft(), machine(accumulator={"width_bits": 32}, vector={"lanes": 64})
    sums = np.arange(32, dtype=np.int32).reshape(2, 16)
    put(draft, sums, "accumulator", PLACES["result"], 64)
    draft.load(sums, "activation", 0, 64)
    f = Function(Operation.ADD, Element.INT32, Element.INT32, Element.INT32, low=-(2**31), high=2**31 - 1)
    tested = draft.emit(
        "map", 1, function=draft.function(f), memory="accumulator", address=PLACES["result"], stride=64, rows=2,
        columns=16, result_memory="accumulator", result=PLACES["result"], result_stride=64, other_memory="activation",
        other=0, other_stride=64,
    )  # fmt: skip
    free, _, counters = check(draft, tested, on, "accumulator", 2 * sums, 64)
    assert free == 32
    assert counters[Event(Component.ACCUMULATOR, Happens.SRAM_READ, 32)] == 32
    assert counters[Event(Component.ACCUMULATOR, Happens.SRAM_WRITE, 32)] == 32


# what verify refuses

CONVERT = Function(Operation.CONVERT, multiplier=2**30, shift=1, low=-128, high=127)
POOL = Function(Operation.MAXIMUM, window_rows=2, window_columns=2, row_step=2, column_step=2)
ADD = Function(
    Operation.ADD, multiplier=2**30, shift=0, other_multiplier=2**30, other_shift=0, result_multiplier=2**30,
    result_shift=-19, low=-128, high=127,
)  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (CONVERT._replace(operation=21), "operation must be 0 to 20, not 21"),
        (CONVERT._replace(source=11), "source must be 0 to 10, not 11"),
        (CONVERT._replace(other=1), "convert must not be of int8 and uint8 to int8"),
        (CONVERT._replace(rounding=5), "rounding must be one of 0, 1, 2, 3, 4, 10, whose multipliers have 31 bits"),
        (CONVERT._replace(rounding=-1), "rounding must be one of 0, 1"),
        (CONVERT._replace(multiplier=2**31), "multiplier must be 0 to 2147483647, not 2147483648"),
        (CONVERT._replace(shift=31), "shift must be -31 to 30, not 31"),
        (CONVERT._replace(shift=15, rounding=10), "shift must be -31 to 14, not 15"),
        (CONVERT._replace(zero_point=128), "zero_point must be -128 to 127, not 128"),
        (CONVERT._replace(source=3, zero_point=1), "zero_point must be 0 to 0, not 1"),
        (CONVERT._replace(low=-129), "low must be -128 to 127, not -129"),
        (CONVERT._replace(low=5, high=4), "low must be at most high, 4, not 5"),
        (CONVERT._replace(other_shift=1), "other_shift must be 0, as the operation does not use it, not 1"),
        (CONVERT._replace(result=6), "shift must be 0, as the operation does not use it, not 1"),
        (CONVERT._replace(result=6, shift=0, low=0, multiplier=2**32), "multiplier must be the bits of a float32"),
        (ADD._replace(shift=1), "multiplier and shift must be a factor of at most 1/2, so that int32 holds the sum"),
        (ADD._replace(result=3), "add must not be of int8 and int8 to int32"),
        (ADD._replace(operation=2, source=2), "multiply must not be of int16 and int8 to int8"),
        (POOL._replace(result=1), "maximum must not be of int8 and int8 to uint8"),
        (POOL._replace(row_step=0), "row_step must be 1 to 32768, not 0"),
        (POOL._replace(window_rows=200, window_columns=200), "a window must have at most 32768 pixels, not 40000"),
        (POOL._replace(low=1), "low must be 0, as the operation does not use it, not 1"),
        (Function(Operation.FILL, low=256), "low must be a byte, 0 to 255, not 256"),
        (Function(Operation.COPY, source=1), "copy must not be of uint8 and int8 to int8"),
        (Function(Operation.COPY, source=7, result=7), "copy must not be of int4 and int8 to int4"),
        (Function(Operation.FILL, source=8, result=8), "fill must not be of uint4 and int8 to uint4"),
        (Function(Operation.LOOK_UP, source=8), "look_up must not be of uint4 and int8 to int8"),
        (CONVERT._replace(result=7, low=-8), "high must be -8 to 7, not 127"),
        (CONVERT._replace(source=10, zero_point=4), "zero_point must be 0 to 3, not 4"),
        (Function(Operation.SUM, source=3, result=3), "sum must not be of int32 and int8 to int32"),
    ],
)  # fmt: skip
def test_a_function_that_is_none_is_named(bad: Function, message: str) -> None:
    found = list(functions.faults(functions.table(CONVERT, bad)))
    assert found
    assert {number for number, _ in found} == {1}
    assert any(text.startswith(message) for _, text in found), found


MAP = "map layer=0 memory=activation address=0 stride=8 rows=2 columns=8 result_memory=output result=0 result_stride=8"
PIXELS = "memory=activation address=0 stride=8 line_stride=64 height=2 width=2 columns=8 result_memory=output result=0"


@pytest.mark.parametrize(
    ("f", "line", "message"),
    [
        (CONVERT, f"{MAP} function=1 constants=0", "function must be below 1, those of the program, not 1"),
        (POOL, f"{MAP} function=0 constants=0", "function must be one of convert, add, multiply, look_up, rotate, "),
        (CONVERT, f"{MAP} function=0 constants=3", "constants must be 0 without a table, not 3"),
        (ADD, f"{MAP} function=0 constants=0", "other_memory must be a memory on chip, as the function"),
        (CONVERT, f"{MAP} function=0 other_memory=weight", "other_memory and place must be 0, as the function has no"),
        (CONVERT, f"{MAP} function=0 other_stride=1", "other_memory and place must be 0"),
        (
            CONVERT,
            f"{MAP} function=0".replace("stride=8 rows", "stride=7 rows"),
            "rows must not overlap, but the stride in activation is 7",
        ),
        (
            CONVERT,
            f"{MAP} function=0".replace("result_memory=output result=0", "result_memory=activation result=4"),
            "results must take the place of a tile or of none, not activation [4, 20)",
        ),
        (CONVERT, f"{MAP} function=0".replace("address=0", "address=131070"), "must stay inside the 131072 bytes"),
        (CONVERT, f"{MAP} function=0".replace("address=0", "address=990"), "nothing wrote all of activation"),
        (CONVERT, f"{MAP} function=0".replace("memory=activation", "memory=dram"), "memory must be 1 to 4, not 0"),
        (
            POOL,
            f"reduce layer=0 function=0 {PIXELS} result_stride=7 result_line_stride=16",
            "results must not overlap",
        ),
        (
            POOL,
            f"reduce layer=0 function=0 {PIXELS.replace('address=0', 'address=900')} result_stride=8 "
            "result_line_stride=16",
            "nothing wrote all of activation",
        ),
        (
            Function(Operation.FILL),
            "move layer=0 function=0 memory=weight rows=1 columns=1 result_memory=output result=0 result_stride=0",
            "memory and place must be 0, as the function has no such tile",
        ),
        (
            Function(Operation.COPY),
            "move layer=0 function=0 rows=1 columns=1 result_memory=output result=0 result_stride=0",
            "memory must be a memory on chip, as the function has such a tile",
        ),
    ],
)  # fmt: skip
def test_an_instruction_that_its_function_does_not_fit_is_refused(f: Function, line: str, message: str) -> None:
    draft, on = Draft(), machine()
    draft.functions.append(f)
    draft.load(bytes(1000), "activation", 0)
    draft.lines.append(line)
    with pytest.raises(ProgramError) as error:
        verify(draft.program(on, waits=False), on)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (".function operation=ad", "must be a known operation, not 'ad'; did you mean 'add'"),
        (".function operation=add source=int9", "must be a known source, not 'int9'; did you mean 'int8'"),
        (".function operation=add lo=3", "must be a known field, not 'lo'; did you mean 'low'"),
        (".function operation=add low=x", "low must be an integer, not 'x'"),
        (".function low=3", ".function must have the field operation, which is missing"),
        (".descriptor counts=1,1 dram_strides=0,0,0,0,0", "counts must have 5 numbers, not 2"),
        (".descriptor counts=1,1,1,1,1", ".descriptor must have the fields dram_strides, strides, which are missing"),
        (".descriptor fill=1 fill=1", "fill must be given once, not twice"),
    ],
)
def test_a_wrong_line_of_a_table_is_named(line: str, message: str) -> None:
    draft = Draft()
    draft.load(bytes(8), "activation", 0)
    draft.lines.append(line)
    with pytest.raises(ProgramError) as error:
        draft.program(machine(), waits=False)
    assert message in str(error.value)
