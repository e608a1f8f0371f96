"""The vector unit's instructions on tiles: golden's bytes, cycles of the closed forms, events counted apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import engines
import numpy as np
import pytest
import vector_programs
from harness import assert_accounted, machine, without_wait
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from vector_programs import Draft

from accelsim.config.arch import Machine
from accelsim.config.tech import Component, Counters, Event, Operation
from accelsim.datapath import requantize
from accelsim.datapath.vector import dequantize, fixed_point, gelu, hadamard, norm, softmax
from accelsim.datapath.vector.elements import Element
from accelsim.datapath.vector.elementwise import AddIntegers, Rescale
from accelsim.errors import ProgramError, SimulationError
from accelsim.golden import vector as golden
from accelsim.golden.exact.rounding import ROUNDING
from accelsim.isa import constants, functions
from accelsim.isa.assembly import parse, print_program
from accelsim.isa.opcodes import NONE, OPCODES, Memory
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.sim import fast, reference
from accelsim.sim.machine import Core

Byte = NDArray[np.int8] | NDArray[np.uint8]
MODES = sorted(ROUNDING)
MODE_NUMBERS = {mode: number for number, mode in enumerate(requantize.MODES)}
STRIDE = 512
#: First bytes of blocks, and of results in the bank of the source and in another one.
BLOCK, SAME_BANK, OTHER_BANK = 1024, 8192, 16384


@dataclass
class Case:
    """One instruction: its operands, what it must leave in memory, and what it must take and count.

    Parameters
    ----------
    tiles
        Memory and elements of each source.
    expected
        Result, of the width in which it stands in memory.
    read_passes
        How often the sources are read.
    together
        Whether a pass reads a source and writes the result.
    cycles
        Closed form of rows, columns, lanes and words.
    events
        Counters of the kernel.
    """

    mnemonic: str
    tiles: list[tuple[str, NDArray[Any]]]
    block: bytes
    operands: dict[str, int]
    expected: NDArray[Any]
    cycles: Callable[[int, int, int, int], tuple[int, int]]
    events: Counters
    read_passes: int = 1
    together: bool = True
    result: str = "output"

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.expected.shape
        return rows, columns


def draft(case: Case, on: Machine, address: int) -> tuple[Draft, int]:
    """The case's instruction after loads of all that it reads; returns its number too."""
    made = Draft()
    if case.block:
        made.load(case.block, "weight", BLOCK)
    sources = []
    for number, (memory, values) in enumerate(case.tiles):
        if memory == "accumulator":
            made.sums(values, 0, STRIDE)
        else:
            made.load(values, memory, 4096 * number, STRIDE)
        sources.append({"memory": memory, "address": 4096 * number, "stride": STRIDE})
    rows, columns = case.shape
    operands: dict[str, Any] = dict(sources[0])
    operands |= {"rows": rows, "columns": columns, "result_memory": case.result, **case.operands}
    operands |= {"result": address, "result_stride": STRIDE}
    if case.mnemonic != "transform":
        operands["constants"] = BLOCK
    return made, made.emit(case.mnemonic, 1, **operands)


def words(row_bytes: int, rows: int, width_bytes: int) -> int:
    """Accesses of rows that begin at whole words and do not share any."""
    return rows * -(-row_bytes // width_bytes)


def expected_work(case: Case, on: Machine, *, same_bank: bool) -> tuple[int, int, Counters]:
    """Cycles from start to free and to end, and the events, from sizes and the kernel's closed form alone."""
    rows, columns = case.shape
    memories = {"activation": on.activation, "weight": on.weight, "output": on.output, "accumulator": on.accumulator}
    events: Counters = {Event(Component.HOST, Operation.ISSUE, 32): 1, **case.events}

    def charge(memory: str, operation: Operation, accesses: int) -> int:
        if accesses:
            event = Event(Component(memory), operation, memories[memory].width_bits)
            events[event] = events.get(event, 0) + accesses
        return 0 if memories[memory].ideal else accesses

    fill = charge("weight", Operation.SRAM_READ, -(-len(case.block) // on.weight.width_bytes))
    write = charge(
        case.result,
        Operation.SRAM_WRITE,
        words(columns * case.expected.itemsize, rows, memories[case.result].width_bytes),
    )
    reads = []
    for memory, values in case.tiles:
        row_bytes = values.shape[1] * values.itemsize
        each = words(row_bytes, len(values), memories[memory].width_bytes)
        charge(memory, Operation.SRAM_READ, case.read_passes * each)
        reads.append((memory, 0 if memories[memory].ideal else each))
    ports = {memory: sum(each for name, each in reads if name == memory) for memory, _ in reads}
    if case.together and same_bank and case.result in ports:
        write += ports[case.result]
    free, end = case.cycles(rows, columns, on.vector.lanes, max(write, *ports.values(), 0))
    return fill + free, fill + end, events


def check(case: Case, on: Machine, *, same_bank: bool = False) -> None:
    address = SAME_BANK if same_bank else OTHER_BANK
    made, tested = draft(case, on, address)
    rows, columns = case.shape
    row_bytes = columns * case.expected.itemsize
    where = made.store(address, STRIDE, rows, row_bytes)
    program = made.program(on)
    again = parse(print_program(program))
    assert (again.instructions == program.instructions).all()
    execution = engines.execute(program, on)
    assert_accounted(execution)
    header = program.header.model_copy(update={"timing_only": True, "image_bytes": program.image.size})
    blank = Program(header, program.instructions, np.zeros(0, np.uint8), *program.tables[:2])
    timed = fast.execute(blank, on, timing_only=True)  # takes as long without data
    assert (timed.cycles, timed.counters) == (execution.cycles, execution.counters)
    got = vector_programs.read(execution, where, rows, columns, case.expected.dtype)
    assert got.tobytes() == case.expected.tobytes()
    free, end, events = expected_work(case, on, same_bank=same_bank)
    t = execution.timeline
    assert t.free[tested] - t.start[tested] == free
    assert t.end[tested] - t.start[tested] == end
    assert execution.counters[1] == events


def counted(*calls: Callable[[Counters], None]) -> Counters:
    counters: Counters = {}
    for call in calls:
        call(counters)
    return counters


# cases


@st.composite
def shapes(draw: st.DrawFn, max_columns: int = 40) -> tuple[int, int]:
    return draw(st.integers(1, 6)), draw(st.integers(1, max_columns))


def extreme(rng: np.random.Generator, shape: tuple[int, int], dtype: type, kind: str) -> NDArray[Any]:
    """Random, or only the ends of the range, or all the same."""
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    values = rng.integers(low, high, shape, endpoint=True)
    if kind == "ends":
        values = rng.choice([low, high], shape)
    elif kind == "equal":
        values[:] = rng.integers(low, high, endpoint=True)
    return values.astype(dtype)


def byte_type(signed: bool) -> type:
    return np.int8 if signed else np.uint8


def zero_point(rng: np.random.Generator, signed: bool) -> int:
    return int(rng.integers(-128, 128) if signed else rng.integers(0, 256))


SHAPES, SEEDS, SIGNS = shapes(), st.integers(0, 2**32), st.booleans()
KINDS = st.sampled_from(["random", "ends", "equal"])
SOURCES = st.sampled_from(["activation", "output"])


@st.composite
def vector_machines(draw: st.DrawFn) -> Machine:
    """edge-ws with other lanes, widths and ports; rows of 512 bytes begin at whole words."""
    width = st.sampled_from([32, 64, 128, 512])
    return machine(
        vector={"lanes": draw(st.sampled_from([1, 3, 16, 64]))},
        **{
            name: {"width_bits": draw(width), "ideal": draw(st.sampled_from([False, False, False, True]))}
            for name in ("activation", "weight", "output", "accumulator")
        },
    )


@given(
    SHAPES, SEEDS, SIGNS, KINDS, SOURCES, st.sampled_from(MODES), st.integers(0, 2), vector_machines(), st.booleans()
)
@settings(max_examples=30)
def test_normalize_is_each_of_its_kinds(
    shape: tuple[int, int], seed: int, signed: bool, kind: str, memory: str, mode: str, which: int, on: Machine,
    same_bank: bool,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    x = extreme(rng, shape, byte_type(signed), kind)
    centred, weighted = which == 1, which == 2
    p = norm.prepare(
        rng.normal(1, 0.5, shape[1]),
        beta=rng.normal(0, 1, shape[1]),
        centred=centred,
        factors=2.0 ** rng.uniform(0, 7, shape[1]) if weighted else None,
        epsilon=float(rng.choice([0.0, 1e-3])),
        input_scale=0.1,
        zero_point=zero_point(rng, signed),
        output_scale=float(rng.uniform(0.01, 0.1)),
        output_zero_point=zero_point(rng, signed=True),
        mode=mode,
    )
    weights = None if p.lambda_multiplier is None else p.lambda_multiplier * 2**p.lambda_shift
    expected = golden.normalize(
        x, centred=centred, zero_point=p.zero_point, weights=weights, epsilon=p.epsilon, gamma=p.gamma, beta=p.beta,
        multiplier=p.multiplier, shift=p.shift, output_zero_point=p.output_zero_point, mode=mode,
    )  # fmt: skip
    case = Case(
        "normalize",
        [(memory, x)],
        constants.pack_norm(p),
        {"signed": int(signed), "kind": which},
        expected.astype(np.int8),
        lambda *sizes: norm.cycles(*sizes, centred=centred, weighted=weighted),
        counted(lambda c: norm.events(c, *shape, centred=centred, weighted=weighted)),
        read_passes=2,
    )
    check(case, on, same_bank=same_bank)


@given(
    SHAPES, SEEDS, SIGNS, KINDS, st.sampled_from(["activation", "output", "accumulator"]), st.booleans(), st.booleans(),
    vector_machines(), st.booleans(),
)  # fmt: skip
@settings(max_examples=24)
def test_softmax_shares_a_row(
    shape: tuple[int, int], seed: int, signed: bool, kind: str, memory: str, table: bool, wide: bool, on: Machine,
    same_bank: bool,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    of_sums = memory == "accumulator"
    table = table and not of_sums
    x = extreme(rng, shape, np.int32 if of_sums else byte_type(signed), kind)
    scale = float(rng.uniform(0.01, 1)) * (2.0**-24 if of_sums else 1)
    bits = 16 if wide else 8
    events: list[Callable[[Counters], None]] = [lambda c: softmax.events(c, *shape, table=table)]
    if table:
        exponentials = softmax.exponential_table(scale)
        block, expected = exponentials.tobytes(), golden.softmax_table(x, exponentials, bits)
        events.append(softmax.table_events)
    else:
        grid = softmax.grid_scale(scale)
        block, expected = constants.pack_grid(*grid), golden.softmax(x, *grid, bits)
    case = Case(
        "softmax",
        [(memory, x)],
        block,
        {"signed": int(signed), "kind": int(table), "wide": int(wide)},
        expected.astype(f"<u{bits // 8}"),
        lambda *sizes: softmax.cycles(*sizes, table=table),
        counted(*events),
        read_passes=2,
        together=False,
    )
    check(case, on, same_bank=same_bank)


@given(
    SHAPES, SEEDS, KINDS, st.sampled_from([8, 16]), st.integers(1, 9), st.integers(0, 20), st.booleans(),
    st.integers(0, 6), vector_machines(), st.data(),
)  # fmt: skip
@settings(max_examples=24)
def test_a_masked_softmax_shares_a_row_among_what_it_sees(
    shape: tuple[int, int], seed: int, kind: str, bits: int, queries: int, row: int, causal: bool, window: int,
    on: Machine, data: st.DataObject,
) -> None:  # fmt: skip
    rng, (rows, columns) = np.random.default_rng(seed), shape
    queries = min(queries, columns) if causal else queries
    x = extreme(rng, shape, np.int16 if bits == 16 else np.int8, kind)
    first = data.draw(st.integers(1, columns - (queries - 1) * causal))
    places = constants.Places(queries, first, int(causal), window, data.draw(st.integers(0, 3)))
    grid = softmax.grid_scale(float(rng.uniform(0.01, 1)) * 2.0 ** (8 - bits))
    expected = np.zeros(shape, np.int64)
    for i in range(rows):
        last = first + (row + i) % queries * causal
        seen = [key for key in range(last) if not window or key >= last - window or key < places.sinks]
        expected[i, seen] = golden.softmax(x[i, seen], *grid, 8)
    case = Case(
        "softmax",
        [("output", x)],
        constants.pack_grid(*grid) + constants.pack_mask(places),
        {"signed": 1, "kind": 2, "wide": 0, "wide_source": int(bits == 16), "row": row},
        expected.astype("u1"),
        lambda *sizes: softmax.cycles(*sizes, table=False),
        counted(lambda c: softmax.events(c, *shape, table=False, masked=True)),
        read_passes=2,
        together=False,
    )
    check(case, on, same_bank=False)


@given(SHAPES, SEEDS, SIGNS, KINDS, SOURCES, st.sampled_from(MODES), vector_machines(), st.booleans())
@settings(max_examples=20)
def test_gelu_is_the_polynomial(
    shape: tuple[int, int], seed: int, signed: bool, kind: str, memory: str, mode: str, on: Machine, same_bank: bool
) -> None:
    rng = np.random.default_rng(seed)
    x = extreme(rng, shape, byte_type(signed), kind)
    p = gelu.prepare(float(rng.uniform(0.005, 0.1)), zero_point(rng, signed), float(rng.uniform(0.01, 0.1)), -7, mode)
    expected = golden.gelu(x, p.zero_point, (p.grid_multiplier, p.grid_right), p.multiplier, p.shift, -7, mode)
    case = Case(
        "gelu",
        [(memory, x)],
        constants.pack_gelu(p),
        {"signed": int(signed)},
        expected.astype(np.int8),
        lambda *sizes: gelu.cycles(gelu.POLYNOMIAL, *sizes),
        counted(lambda c: gelu.polynomial_events(c, x.size)),
    )
    check(case, on, same_bank=same_bank)


@given(SHAPES, SEEDS, SIGNS, KINDS, SOURCES, st.integers(0, 2), vector_machines(), st.booleans())
@settings(max_examples=30)
def test_dequantize_makes_float32_of_bytes(
    shape: tuple[int, int], seed: int, signed: bool, kind: str, memory: str, which: int, on: Machine, same_bank: bool
) -> None:
    rng = np.random.default_rng(seed)
    x = extreme(rng, shape, byte_type(signed), kind)
    scales = rng.uniform(1e-3, 10, shape[1]).astype(np.float32)
    points = np.array([zero_point(rng, signed) for _ in range(shape[1])])
    if which:
        real = np.array([[golden.fp8(code, 3 + which) for code in row] for row in x.view(np.uint8).tolist()])
        block = constants.pack_scales(scales)
        events = counted(lambda c: dequantize.fp8_events(c, x.size))
    else:
        real = (x.astype(np.int64) - points).astype(np.float64)
        block = constants.pack_scales(scales, points)
        events = counted(lambda c: dequantize.int8_events(c, x.size))
    # 9 bits times 24 are exact in float64, which float32 then rounds once
    case = Case(
        "dequantize",
        [(memory, x)],
        block,
        {"signed": int(signed), "kind": which},
        (real * scales).astype(np.float32),
        dequantize.cycles,
        events,
    )
    check(case, on, same_bank=same_bank)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 2), st.integers(0, 5), SEEDS, KINDS, SOURCES,
       vector_machines(), st.booleans())  # fmt: skip
@settings(max_examples=25)
def test_hadamard_transforms_blocks_and_shifts(
    rows: int, levels: int, blocks: int, right: int, seed: int, kind: str, memory: str, on: Machine, same_bank: bool
) -> None:
    right = min(right, levels)
    shape = (rows, blocks * 2**levels)
    x = extreme(np.random.default_rng(seed), shape, np.int8, kind)
    case = Case(
        "transform",
        [(memory, x)],
        b"",
        {"levels": levels, "right": right},
        np.clip(golden.nearest(golden.hadamard(x, levels), 2**right), -128, 127).astype(np.int8),
        lambda *sizes: hadamard.cycles(*sizes, levels=levels, narrowed=True),
        counted(lambda c: hadamard.events(c, x.size, levels=levels, narrowed=True)),
        together=levels == 1,
    )
    check(case, on, same_bank=same_bank)


# waits


def small(mnemonic: str) -> Case:
    """A case of one row of 16 bytes."""
    x = np.arange(16, dtype=np.int8)[None]
    block, operands = {
        "normalize": (
            constants.pack_norm(
                norm.prepare(np.ones(16), centred=False, input_scale=1.0, zero_point=0, output_scale=0.1,
                             output_zero_point=0)
            ),
            {"signed": 1, "kind": 0},
        ),
        "softmax": (constants.pack_grid(*softmax.grid_scale(0.1)), {"signed": 1, "kind": 0, "wide": 0}),
        "gelu": (constants.pack_gelu(gelu.prepare(0.1, 0, 0.1, 0)), {"signed": 1}),
        "dequantize": (constants.pack_scales(np.ones(16)), {"signed": 1, "kind": 1}),
        "transform": (b"", {"levels": 4, "right": 2}),
    }[mnemonic]  # fmt: skip
    wide = np.zeros((1, 16), np.float32 if mnemonic == "dequantize" else x.dtype)
    return Case(mnemonic, [("output", x)], block, operands, wide, lambda *_: (0, 0), {})


TILEWISE = ("normalize", "softmax", "gelu", "dequantize", "transform")


@pytest.mark.parametrize("mnemonic", TILEWISE)
def test_whoever_reads_a_result_must_wait_for_its_end(mnemonic: str) -> None:
    on = machine()
    made, _ = draft(small(mnemonic), on, OTHER_BANK)
    made.store(OTHER_BANK, STRIDE, 1, 16)
    program = made.program(on)
    verify(program, on)
    last = len(program.instructions) - 1
    assert (program.instructions["wait"][last] != NONE).sum() == 1
    with pytest.raises(ProgramError, match=r"reads bytes of output .* writes; it must wait for vector\.end"):
        verify(without_wait(program, last, 0), on)


@pytest.mark.parametrize("mnemonic", TILEWISE)
def test_an_instruction_must_wait_for_its_tiles_and_constants(mnemonic: str) -> None:
    on = machine()
    made, tested = draft(small(mnemonic), on, OTHER_BANK)
    program = made.program(on)
    waits = int((program.instructions["wait"][tested] != NONE).sum())
    assert waits == 1  # the last load ends after the others
    with pytest.raises(ProgramError, match=r"it must wait for load\.end"):
        verify(without_wait(program, tested, 0), on)


def test_the_unit_does_not_forward_and_must_wait_for_its_own_results() -> None:
    on = machine()
    made, first = draft(small("gelu"), on, OTHER_BANK)
    second = made.emit(
        "transform", memory="output", address=OTHER_BANK, stride=STRIDE, rows=1, columns=16, result=OTHER_BANK + 32,
        result_stride=STRIDE, levels=1, right=0,
    )  # fmt: skip
    program = made.program(on)
    t = engines.execute(program, on).timeline
    # nine stages: the value is there eight cycles after the unit is free
    assert t.end[first] == t.free[first] + 8
    assert t.start[second] == t.end[first]
    slots = (program.instructions["wait"][second] != NONE).sum()
    assert slots == 1
    with pytest.raises(ProgramError, match=r"\(transform of data\): reads .* it must wait for vector\.end"):
        verify(without_wait(program, second, 0), on)


def test_the_engine_checks_apart_from_verify_that_own_results_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    on = machine()
    made, _ = draft(small("gelu"), on, OTHER_BANK)
    made.emit(
        "transform", memory="output", address=OTHER_BANK, stride=STRIDE, rows=1, columns=16, result=OTHER_BANK + 32,
        result_stride=STRIDE, levels=1, right=0,
    )  # fmt: skip
    program = made.program(on)
    monkeypatch.setattr(reference, "verify", lambda *_: None)
    last = len(program.instructions) - 1
    with pytest.raises(SimulationError, match=f"instruction {last} touches"):
        reference.execute(without_wait(program, last, 0), on)


@given(SEEDS, st.integers(2, 8), vector_machines())
@settings(max_examples=24)
def test_chains_in_one_scratchpad_give_the_bytes_of_their_order_and_need_each_wait(
    seed: int, length: int, on: Machine
) -> None:
    rng = np.random.default_rng(seed)
    pad = rng.integers(0, 256, 64).astype(np.uint8)
    table = rng.permutation(256).astype(np.uint8)
    made = Draft()
    made.load(pad[None], "output", 0)
    made.load(table.tobytes(), "weight", BLOCK)
    look_up = made.function(functions.Function(functions.Operation.LOOK_UP))
    for _ in range(length):
        source = int(rng.integers(0, 49))
        result = source if rng.random() < 0.3 else int(rng.integers(0, 49))
        if source != result and abs(source - result) < 16:
            result = (source + 16) % 49 if source < 33 else source - 16
        tile = {"memory": "output", "address": source, "stride": 16, "rows": 1, "columns": 16}
        if rng.random() < 0.5:
            made.emit("map", **tile, function=look_up, constants=BLOCK, result_memory="output", result=result,
                      result_stride=16)  # fmt: skip
            pad[result : result + 16] = table[pad[source : source + 16]]
        else:
            made.emit("transform", **tile, result=result, result_stride=16, levels=2, right=1)
            block = golden.hadamard(pad[source : source + 16].view(np.int8), 2)
            pad[result : result + 16] = np.clip(golden.nearest(block, 2), -128, 127).astype(np.int8).view(np.uint8)
    where = made.store(0, 64, 1, 64)
    program = made.program(on)
    execution = engines.execute(program, on)
    assert vector_programs.read(execution, where, 1, 64, np.uint8)[0].tolist() == pad.tolist()
    for instruction, slot in np.argwhere(program.instructions["wait"] != NONE):
        with pytest.raises(ProgramError, match="it must wait for"):
            verify(without_wait(program, instruction, slot), on)


# refusals


@pytest.mark.parametrize(
    ("mnemonic", "changes", "message"),
    [
        ("transform", {"columns": 24}, r"columns must be a multiple of 2\^levels = 16, not 24"),
        ("transform", {"levels": 25}, r"levels must be 1 to 24, not 25"),
        ("transform", {"right": 5}, r"right must be at most levels = 4, not 5"),
        ("transform", {"result": 1}, r"results must take the place of a tile or of none, not output \[1, 17\)"),
        ("dequantize", {"result": 0}, r"results must take the place of a tile or of none, not output \[0, 64\)"),
        ("softmax", {"wide": 1, "result": 0}, r"results must take the place of a tile or of none"),
        ("softmax", {"columns": 2**15 + 1}, r"columns must be 1 to 32768, not 32769"),
        ("softmax", {"memory": 4, "kind": 1}, r"memory must be a scratchpad for kind 1, .* not accumulator"),
        ("softmax", {"memory": 5}, r"memory must be 1 to 4, not 5"),
        ("softmax", {"kind": 3}, r"kind must be 0 to 2, not 3"),
        ("softmax", {"row": 1}, r"row must be 0 but for kind 2, which has a mask"),
        ("softmax", {"kind": 1, "wide_source": 1}, r"wide_source must be 0 for sums, for kind 1 and for unsigned"),
        ("softmax", {"signed": 0, "wide_source": 1}, r"wide_source must be 0 for sums, for kind 1 and for unsigned"),
        ("normalize", {"columns": 2**15 + 1}, r"columns must be 1 to 32768, not 32769"),
        ("normalize", {"kind": 3}, r"kind must be 0 to 2, not 3"),
        ("normalize", {"memory": 4}, r"memory must be 1 to 3, not 4"),
        ("normalize", {"constants": 65500}, r"must stay inside the 65536 bytes of weight, not reach byte 65613"),
        ("gelu", {"result": 65530}, r"must stay inside the 65536 bytes of output, not reach byte 65546"),
    ],
)
def test_a_malformed_instruction_is_refused_by_name(mnemonic: str, changes: dict[str, int], message: str) -> None:
    on = machine()
    case = small(mnemonic)
    made, tested = draft(case, on, OTHER_BANK)
    program = made.program(on)
    verify(program, on)
    code = program.instructions.copy()
    names = [f.name for f in OPCODES[code["opcode"][tested]].fields]
    for name, value in changes.items():
        code["operands"][tested, names.index(name)] = value
    with pytest.raises(ProgramError, match=rf"instruction {tested} \({mnemonic} of tested\): .*{message}"):
        verify(Program(program.header, code, program.image), on)


@pytest.mark.parametrize("operands", ["int16", "fp16"])
def test_sums_that_are_not_int32_are_refused(operands: str) -> None:
    on = machine(matrix={"operands": operands})
    made = Draft()
    made.emit(
        "softmax", memory="accumulator", address=0, stride=64, rows=1, columns=16, constants=BLOCK, result=0,
        result_stride=64, signed=1, kind=0, wide=0,
    )  # fmt: skip
    with pytest.raises(ProgramError, match=rf"softmax of data\): sums must be int32, which those of {operands}"):
        verify(made.program(on, waits=False), on)


def test_a_tile_may_be_overwritten_by_its_own_results() -> None:
    on = machine()
    made, _ = draft(small("softmax"), on, 0)
    where = made.store(0, STRIDE, 1, 16)
    got = vector_programs.read(engines.execute(made.program(on), on), where, 1, 16, np.uint8)
    expected = golden.softmax(np.arange(16)[None], *softmax.grid_scale(0.1), 8)
    assert got.tolist() == expected.tolist()


@pytest.mark.parametrize("mnemonic", TILEWISE)
@pytest.mark.parametrize("memory", ["activation", "weight", "accumulator"])
def test_results_stand_in_any_memory_on_chip(mnemonic: str, memory: str) -> None:
    on, found = machine(), []
    for name in ("output", memory):
        case = small(mnemonic)
        case.result = name
        made, _ = draft(case, on, OTHER_BANK)
        program = made.program(on)
        engines.execute(program, on)
        core = Core(program, on)
        for record in program.instructions:
            core.execute(record)
        found.append(core.memories.arrays[Memory[name.upper()]][OTHER_BANK : OTHER_BANK + 64].tobytes())
    assert found[0] == found[1]
    assert any(found[0])


def spoiled(block: bytes, at: int, *values: int) -> bytes:
    """The block with other bytes from a place on."""
    return block[:at] + bytes(v % 256 for v in values) + block[at + len(values) :]


@pytest.mark.parametrize(
    ("mnemonic", "at", "values", "message"),
    [
        ("gelu", 3, [0x80], r"multiplier must be 0 or more, not -\d+"),
        ("gelu", 4, [31], r"shift must be -31 to 30, not 31"),
        ("gelu", 5, [77], r"rounding must be one of 0, 1, .*, not 77"),
        ("gelu", 5, [5], r"rounding must be one of .*, whose multipliers have 31 bits, not 5"),
        ("gelu", 6, [128, 0], r"zero point must be -128 to 127, not 128"),
        ("gelu", 12, [63], r"right shift must be 0 to 62, not 63"),
        ("gelu", 4, [15, 10], r"shift must be -31 to 14, not 15"),
        ("normalize", 7, [0x80], r"epsilon must be 0 to 2\^31 - 1, not -"),
        ("normalize", 4, [1], r"epsilon must be 0 to 2\^31 - 1, not 4294967296"),
        ("normalize", 12, [5], r"rounding must be one of .*, not 5"),
        ("normalize", 17 + 5 * 16, [31], r"shift must be -31 to 30, not 31"),
        ("normalize", 17 + 5 * 16 + 15, [-32], r"shift must be -31 to 30, not -32"),
        ("normalize", 17, [0, 0, 0, 0x40], r"beta must be at most 2\^29 in magnitude, not 1073741824"),
        ("softmax", 2, [63], r"right shift must be 0 to 62, not 63"),
    ],
)
def test_constants_that_no_kernel_is_sized_for_are_refused(
    mnemonic: str, at: int, values: list[int], message: str
) -> None:
    on = machine()
    case = small(mnemonic)
    case.block = spoiled(case.block, at, *values)
    made, _ = draft(case, on, OTHER_BANK)
    with pytest.raises(ProgramError, match=rf"^instruction \d+ \({mnemonic} of tested\): constants: {message}"):
        reference.execute(made.program(on), on)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ((0, 1, 0), "a mask must have 1 query or more"),
        ((1, 1, 2), "a mask must have 1 query or more"),
        ((4, 14, 1), "queries must see 1 to 16 keys, not 14 to 17"),
        ((4, 0, 1), "queries must see 1 to 16 keys, not 0 to 3"),
        ((4, 1, 1, -1), "a window and sinks must be 0 or more, not -1 and 0"),
    ],
)
def test_masks_that_see_what_is_not_there_are_refused(places: tuple[int, ...], message: str) -> None:
    case = small("softmax")
    case.block += constants.pack_mask(constants.Places(*places))
    case.operands = {"signed": 1, "kind": 2, "wide": 0}
    on = machine()
    made, _ = draft(case, on, OTHER_BANK)
    with pytest.raises(ProgramError, match=rf"\(softmax of tested\): constants: {message}"):
        reference.execute(made.program(on), on)


def test_a_table_of_exponentials_must_begin_with_one() -> None:
    on = machine()
    case = small("softmax")
    case.block, case.operands = (
        spoiled(softmax.exponential_table(0.1).tobytes(), 0, 0xFE),
        {"signed": 1, "kind": 1, "wide": 0},
    )
    made, _ = draft(case, on, OTHER_BANK)
    with pytest.raises(
        ProgramError, match=r"\(softmax of tested\): constants: the exponential of 0 must be 65535, not 65534"
    ):
        engines.execute(made.program(on), on)


# a block of a transformer


class TransformerBlock:
    """Scores and their softmax; projection, residual, LayerNorm, GELU and Hadamard; a second residual; floats."""

    m, k, n = 8, 16, 32
    mode, rounding = "tflite_single_round", 0
    places = ("w", "requantize", "norm", "table", "grid", "scales")

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        m, k, n = self.m, self.k, self.n
        self.x, self.w = extreme(rng, (m, k), np.int8, "random"), extreme(rng, (k, n), np.int8, "random")
        self.residual = extreme(rng, (m, n), np.int8, "random")
        self.factor = Rescale.of(1500.0)
        self.scale, self.shift = (int(value) for value in fixed_point.tflite_scale(1 / 3000))
        self.norm = norm.prepare(
            rng.normal(1, 0.2, n),
            beta=rng.normal(0, 0.3, n),
            centred=True,
            input_scale=0.1,
            zero_point=2,
            output_scale=0.02,
            output_zero_point=-3,
            epsilon=1e-5,
        )
        self.table = gelu.table(0.02, -3, 0.015, -100)
        self.grid = softmax.grid_scale(2.0**-14)
        self.second = AddIntegers.of((0.02, 0.06), (0, 2), 0.05, 5)
        self.scales = rng.uniform(0.01, 0.1, n).astype(np.float32)

    def program(self, on: Machine) -> tuple[Program, int, int]:
        """The program, and where the shares and the floats then stand in DRAM."""
        m, k, n = self.m, self.k, self.n
        made = Draft()
        at = {name: 2048 * number for number, name in enumerate(self.places)}
        scale = np.full(n, self.scale, "<i4").tobytes() + np.full(n, self.shift, "i1").tobytes()
        made.load(self.w.tobytes(), "weight", at["w"])
        made.load(bytes(4 * n) + scale, "weight", at["requantize"])
        made.load(constants.pack_norm(self.norm), "weight", at["norm"])
        made.load(self.table.tobytes(), "weight", at["table"])
        made.load(constants.pack_grid(*self.grid), "weight", at["grid"])
        made.load(constants.pack_scales(self.scales, np.full(n, 5)), "weight", at["scales"])
        made.load(self.x, "activation", 0, k)
        made.load(self.residual, "activation", 4096, n)
        for low in range(0, n, 16):
            made.emit("preload", address=at["w"] + low, stride=n, depth=k, columns=16, packed=0)
            made.emit("matmul", address=0, stride=k, rows=m, depth=k, columns=16, sums=4 * low, sums_stride=4 * n,
                      accumulate=0, signed=1)  # fmt: skip
        tile = {"rows": m, "columns": n}
        made.emit("softmax", memory="accumulator", address=0, stride=4 * n, **tile, constants=at["grid"], result=0,
                  result_stride=2 * n, signed=1, kind=0, wide=1)  # fmt: skip
        shares = made.store(0, 2 * n, m, 2 * n)
        rescale = functions.Function(
            functions.Operation.ADD, Element.INT32, Element.INT8, Element.INT32,
            other_multiplier=self.factor.multiplier, other_shift=self.factor.shift, low=-(2**31), high=2**31 - 1,
        )  # fmt: skip
        sums = {"memory": "accumulator", "address": 0, "stride": 4 * n}
        made.emit("map", function=made.function(rescale), **sums, **tile, other_memory="activation", other=4096,
                  other_stride=n, result_memory="accumulator", result=0, result_stride=4 * n, constants=0)  # fmt: skip
        hidden, normed, activated, mixed, summed, real = (16384 + 1024 * i for i in range(6))
        made.emit("requantize", sums=0, sums_stride=4 * n, **tile, constants=at["requantize"], address=hidden,
                  stride=n, zero_point=2, qmin=-128, qmax=127, rounding=self.rounding,
                  row_channels=0, result_bits=8)  # fmt: skip
        place = {"memory": "output", "stride": n, **tile, "result_stride": n}
        made.emit("normalize", **place, address=hidden, constants=at["norm"], result=normed, signed=1, kind=1)
        look_up = made.function(functions.Function(functions.Operation.LOOK_UP))
        made.emit("map", function=look_up, **place, address=normed, constants=at["table"], result_memory="output",
                  result=activated)  # fmt: skip
        made.emit("transform", **place, address=activated, result=mixed, levels=5, right=3)
        one, two, three = (*self.second.factors, self.second.output)
        add = functions.Function(
            functions.Operation.ADD, other_zero_point=2, result_zero_point=5, multiplier=one.multiplier,
            shift=one.shift, other_multiplier=two.multiplier, other_shift=two.shift, result_multiplier=three.multiplier,
            result_shift=three.shift, rounding=MODE_NUMBERS[self.second.mode], low=-128, high=127,
        )  # fmt: skip
        made.emit("map", function=made.function(add), **place, address=mixed, other_memory="output", other=hidden,
                  other_stride=n, result_memory="output", result=summed, constants=0)  # fmt: skip
        made.emit("dequantize", **(place | {"result_stride": 4 * n}), address=summed, constants=at["scales"],
                  result=real, signed=1, kind=0)  # fmt: skip
        floats = made.store(real, 4 * n, m, 4 * n)
        return made.program(on), shares, floats

    def golden(self) -> tuple[NDArray[np.int64], list[NDArray[Any]]]:
        """Shares; and what each step after the residual makes, the floats last."""
        sums = self.x.astype(np.int64) @ self.w.astype(np.int64)
        shares = golden.softmax(sums, *self.grid, 16)
        rescaled = golden.requantized(
            self.residual.astype(np.int64), self.factor.multiplier, self.factor.shift, self.mode
        )
        total = golden.saturated_sum(sums, rescaled)
        hidden = np.clip(golden.requantized(total, self.scale, self.shift, self.mode) + 2, -128, 127)
        p = self.norm
        normed = golden.normalize(
            hidden, centred=True, zero_point=2, weights=None, epsilon=p.epsilon, gamma=p.gamma, beta=p.beta,
            multiplier=p.multiplier, shift=p.shift, output_zero_point=-3, mode=p.mode,
        )  # fmt: skip
        activated = self.table[normed.astype(np.uint8)]
        mixed = np.clip(golden.nearest(golden.hadamard(activated, 5), 8), -128, 127)
        factors = [(s.multiplier, s.shift) for s in (*self.second.factors, self.second.output)]
        summed = golden.add_integers(mixed, hidden, (0, 2, 5), (factors[0], factors[1], factors[2]), self.second.mode)
        real = ((summed - 5) * self.scales.astype(np.float64)).astype(np.float32)
        return shares, [hidden, normed, activated, mixed, summed, real]


@pytest.mark.parametrize("lanes", [8, 16])
def test_a_block_of_a_transformer_equals_golden(lanes: int) -> None:
    on = machine(vector={"lanes": lanes})
    block = TransformerBlock(seed=3)
    program, shares, floats = block.program(on)
    execution = engines.execute(program, on)
    assert_accounted(execution)
    expected, steps = block.golden()
    np.testing.assert_array_equal(vector_programs.read(execution, shares, block.m, block.n, "<u2"), expected)
    assert vector_programs.read(execution, floats, block.m, block.n, np.float32).tobytes() == steps[-1].tobytes()
    assert all(np.unique(step).size > 20 for step in steps)  # none hides what the ones before it did
    for instruction, slot in np.argwhere(program.instructions["wait"] != NONE):
        with pytest.raises(ProgramError, match="it must wait for"):
            verify(without_wait(program, instruction, slot), on)
