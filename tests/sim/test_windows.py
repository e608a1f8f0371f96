"""Gather, scatter and rows of two levels on both engines: bytes against plain Python, convolutions against numpy."""

from __future__ import annotations

import itertools
from collections import deque
from typing import Any

import engines
import numpy as np
import pytest
import windows
from harness import IDEAL_DRAM, assert_accounted, machine
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import drams, second_levels
from vector_programs import LAYERS, Draft

from accelsim.config.arch import Machine
from accelsim.config.tech import Component, Operation
from accelsim.errors import ProgramError
from accelsim.formats import relative
from accelsim.isa.assembly import parse, print_program
from accelsim.isa.descriptors import Descriptor, window
from accelsim.isa.opcodes import GATHER, Memory
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.memory.region import lines
from accelsim.sim import fast, reference
from accelsim.sim.data import move_all
from accelsim.sim.machine import Core

#: Room before and behind what a window reads in DRAM.
MARGIN = 512


@st.composite
def memories(draw: st.DrawFn) -> Machine:
    """edge-ws with other DRAMs, second levels, widths and ports."""
    dram = draw(drams())
    cached = dram["kind"] == "banked" and draw(st.booleans())
    width = st.sampled_from([32, 64, 512])
    return machine(
        dram=dram,
        l2=draw(second_levels(dram["part"].burst_bytes)) if cached else None,
        dma={"outstanding_bursts": draw(st.sampled_from([1, 3, 64]))},
        **{name: {"width_bits": draw(width), "ideal": draw(st.booleans())} for name in ("activation", "output")},
    )


def without_data(program: Program) -> Program:
    """The program without the bytes of its image."""
    header = program.header.model_copy(update={"timing_only": True, "image_bytes": program.image.size})
    return Program(header, program.instructions, np.zeros(0, np.uint8), *program.tables[:2])


def execute(draft: Draft, on: Machine, *, times: bool = True) -> tuple[Program, NDArray[np.uint8]]:
    """Run on both engines, with and without bytes; returns DRAM as it is then."""
    program = draft.program(on)
    again = parse(print_program(program))
    assert again.digest == program.digest
    execution = engines.execute(program, on)
    assert_accounted(execution)
    if times:
        timed = fast.execute(without_data(program), on, timing_only=True)
        assert timed.cycles == execution.cycles
        assert timed.counters == execution.counters
        np.testing.assert_array_equal(timed.timeline.end, execution.timeline.end)
    return program, execution.dram


@given(
    windows.descriptors(), st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 70), st.integers(0, 9), memories(),
    st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=36)
def test_a_gather_is_runs_and_padding(
    d: Descriptor, row: int, column: int, at: int, address: int, on: Machine, seed: int
) -> None:
    row, column = row * any(d.row_steps), column * any(d.column_steps)
    runs = list(windows.runs(d, MARGIN + at, address, row, column))
    assume(any(run.there for run in runs))
    draft = Draft()
    draft.image += np.random.default_rng(seed).integers(0, 256, 2 * MARGIN + 5 * 3 * 4096).astype(np.uint8).tobytes()
    last = max(run.chip for run in runs) + d.run_bytes
    draft.load(bytes(last), "activation", 0)  # so that gaps are defined
    draft.emit(
        "gather", 1, dram=MARGIN + at, descriptor=draft.window(d), memory="activation", address=address, row=row,
        column=column,
    )  # fmt: skip
    back = Descriptor.of((1, 0, 0), run_bytes=last)
    where = draft.stored
    draft.emit("scatter", dram=where, descriptor=draft.window(back), memory="activation", address=0)
    program, dram = execute(draft, on)
    expected = np.zeros(last, np.uint8)
    for run in runs:
        expected[run.chip : run.chip + d.run_bytes] = dram[run.dram : run.dram + d.run_bytes] if run.there else d.fill
    np.testing.assert_array_equal(dram[where : where + last], expected)

    core = Core(program, on)
    index = int(np.flatnonzero(program.instructions["opcode"] == GATHER)[0])
    timing = core.take({}, program.instructions[index])
    found = window(d, row, column)
    kept: deque[int] = deque(maxlen=on.dma.outstanding_bursts)
    bursts = 0
    for burst in lines(found.outside.moved(MARGIN + at), on.dram.burst_bytes).tolist():
        if burst not in kept:
            kept.append(burst)
            bursts += 1
    assert timing.bursts == bursts
    width = on.activation.width_bytes
    touched = [byte // width for run in runs for byte in range(run.chip, run.chip + d.run_bytes)]
    accesses = 1 + sum(a != b for a, b in itertools.pairwise(touched))
    assert timing.words == (0 if on.activation.ideal else accesses)
    counters: Any = {}
    core.take(counters, program.instructions[index])
    assert accesses in [
        n for event, n in counters.items()
        if (event.component, event.operation) == (Component.ACTIVATION, Operation.SRAM_WRITE)
    ]  # fmt: skip


@given(
    windows.descriptors(bounded=False, writes_dram=True), st.integers(0, 70), st.integers(0, 9), memories(),
    st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=24)
def test_a_scatter_is_runs(d: Descriptor, at: int, address: int, on: Machine, seed: int) -> None:
    draft = Draft()
    runs = list(windows.runs(d, draft.stored + at, address, 0, 0))
    last = max(run.chip for run in runs) + d.run_bytes
    values = np.random.default_rng(seed).integers(0, 256, last).astype(np.uint8)
    draft.load(values.tobytes(), "output", 0)
    draft.emit("scatter", 1, dram=draft.stored + at, descriptor=draft.window(d), memory="output", address=address)
    _, dram = execute(draft, on)
    expected = np.zeros_like(dram)
    expected[:last] = values
    for run in runs:
        expected[run.dram : run.dram + d.run_bytes] = values[run.chip : run.chip + d.run_bytes]
    np.testing.assert_array_equal(dram, expected)


def array(kind: str) -> dict[str, Any]:
    match kind:
        case "weight_stationary":
            return {"rows": 16, "columns": 16}
        case "structured_sparse":
            return {"kind": kind, "rows": 16, "columns": 16, "kept": 2, "group": 4}
        case "tensor_core":
            return {
                "kind": kind, "cores": 2, "joined": 1, "tile_rows": 4, "tile_columns": 4, "local_accumulator": True,
                "sparse_2_4": False,
            }  # fmt: skip
        case _:
            return {"kind": kind, "lanes": 4, "fifo_depth": 2, "index_bits": 4, "sums_per_lane": 8}


def product(draft: Draft, kind: str, weights: NDArray[np.int8], at: int, accumulate: int, **rows: int) -> None:
    """Emit the product of rows of a channel each kernel place by weights (channels, filters), into sums at 0."""
    depth, columns = weights.shape
    place = {"depth": depth, "columns": columns, "sums": 0, "sums_stride": 4 * columns, "accumulate": accumulate}
    match kind:
        case "weight_stationary" | "structured_sparse":
            draft.load(weights, "weight", at, columns)
            draft.emit("preload", address=at, stride=columns, depth=depth, columns=columns, packed=0)
            draft.emit("matmul", 1, **rows, **place, signed=0)
        case "tensor_core":
            draft.load(np.ascontiguousarray(weights.T), "weight", at, depth)
            draft.emit("multiply", 1, weights=at, weights_stride=depth, **rows, **place, signed=0, packed=0)
        case _:
            data = relative.Relative(4, 4).encode(weights).to_bytes()
            draft.load(data, "weight", at)
            draft.emit("spmv", 1, weights=at, weights_bytes=len(data), **rows, **place, signed=0)


KINDS = ["weight_stationary", "structured_sparse", "tensor_core", "sparse_lanes"]


@pytest.mark.parametrize("kind", KINDS)
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)), kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)), padding=st.integers(0, 2), channels=st.integers(1, 9),
    filters=st.integers(1, 9), seed=st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=8)
def test_a_convolution_streams_an_image_that_a_gather_has_padded(
    kind: str,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: int,
    channels: int,
    filters: int,
    seed: int,
) -> None:
    (height, width), rng = size, np.random.default_rng(seed)
    padded = height + 2 * padding, width + 2 * padding
    assume(all(p >= k for p, k in zip(padded, kernel, strict=True)))
    out = [(p - k) // s + 1 for p, k, s in zip(padded, kernel, stride, strict=True)]
    image = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
    weights = rng.integers(-128, 128, (*kernel, channels, filters)).astype(np.int8)
    on = machine(matrix=array(kind))
    draft = Draft()
    draft.image += image.tobytes()
    pitch = padded[1] * channels
    d = Descriptor.of(
        (padded[0], width * channels, pitch, 1, 0), (padded[1], channels, channels, 0, 1), run_bytes=channels,
        height=height, width=width, fill=7,
    )  # fmt: skip
    draft.emit(
        "gather", dram=-padding * (width + 1) * channels, descriptor=draft.window(d), memory="activation", address=0,
        row=-padding, column=-padding,
    )  # fmt: skip
    for number, (y, x) in enumerate(itertools.product(*map(range, kernel))):
        product(
            draft, kind, weights[y, x], 1000 * number, int(number > 0), address=y * pitch + x * channels,
            stride=stride[1] * channels, rows=out[0] * out[1], inner=out[1], outer_stride=stride[0] * pitch,
        )  # fmt: skip
    program = draft.program(on)
    assert_accounted(engines.execute(program, on))
    core, alike = Core(program, on), Core(program, on)
    for record in program.instructions:
        core.execute(record)
    move_all(alike, program)
    full = np.full((*padded, channels), 7, np.int64)
    full[padding : padding + height, padding : padding + width] = image
    expected = np.zeros((*out, filters), np.int64)
    for y, x in itertools.product(*map(range, kernel)):
        part = full[y : y + stride[0] * out[0] : stride[0], x : x + stride[1] * out[1] : stride[1]][: out[0], : out[1]]
        expected += part @ weights[y, x].astype(np.int64)
    for moved in (core, alike):
        sums = moved.memories.arrays[Memory.ACCUMULATOR][: 4 * expected.size].view("<i4")
        np.testing.assert_array_equal(sums.reshape(expected.shape), expected)
    assert core.effectual == alike.effectual
    if kind != "sparse_lanes":
        timed = fast.execute(without_data(program), on, timing_only=True)
        assert timed.counters == reference.execute(program, on).counters


def test_rows_of_two_levels_take_the_port_for_each_run() -> None:
    on = machine(matrix={"rows": 8, "columns": 8}, activation={"width_bits": 64}, dram=IDEAL_DRAM)
    draft = Draft()
    draft.load(bytes(4096), "activation", 0)
    draft.load(bytes(64), "weight", 0)
    draft.emit("preload", address=0, stride=8, depth=8, columns=8, packed=0)
    rows = {"depth": 8, "columns": 8, "sums": 0, "sums_stride": 32, "accumulate": 0, "signed": 0}
    # two rows a word pair, the last of a run and the first of the next one in the same word
    emitted = [
        draft.emit("matmul", 1, address=0, stride=8, rows=64, **rows),
        draft.emit("matmul", 1, address=0, stride=8, rows=64, inner=64, outer_stride=4, **rows),
        draft.emit("matmul", 1, address=0, stride=8, rows=64, inner=8, outer_stride=64, **rows),
        draft.emit("matmul", 1, address=0, stride=8, rows=64, inner=8, outer_stride=68, **rows),
        draft.emit("matmul", 1, address=0, stride=0, rows=64, inner=64, outer_stride=1, **rows),
    ]
    program = draft.program(on)
    core = Core(program, on)
    reads = []
    for i in emitted:
        counters: Any = {}
        core.take(counters, program.instructions[i])
        reads += [n for e, n in counters.items() if e.component == Component.ACTIVATION]
    assert reads == [64, 64, 64, 32 + 4 * 9, 1]


# what verify refuses


def refused(on: Machine, *lines: str, table: tuple[Descriptor, ...] = ()) -> str:
    draft = Draft()
    draft.windows += table
    draft.load(bytes(range(250)) * 4, "activation", 0)
    draft.lines += lines
    with pytest.raises(ProgramError) as error:
        verify(draft.program(on, waits=False), on)
    return str(error.value)


PLAIN = Descriptor.of((2, 8, 8), run_bytes=8)


@pytest.mark.parametrize(
    ("d", "line", "message"),
    [
        (PLAIN, "gather dram=0 descriptor=1 memory=activation address=0 row=0 column=0", "descriptor must be below 1"),
        (PLAIN, "gather dram=0 descriptor=0 memory=activation address=0 row=1 column=0", "row must be 0, as the desc"),
        (PLAIN, "gather dram=0 descriptor=0 memory=activation address=0 row=0 column=-1", "column must be 0, as the"),
        (PLAIN, "gather dram=-1 descriptor=0 memory=activation address=0 row=0 column=0", "byte 0 on, not from -1"),
        (PLAIN, "gather dram=2097149 descriptor=0 memory=activation address=0 row=0 column=0", "bytes of dram"),
        (PLAIN, "gather dram=0 descriptor=0 memory=activation address=131071 row=0 column=0", "bytes of activation"),
        (PLAIN, "gather dram=2000 descriptor=0 memory=activation address=0 row=0 column=0", "wrote all of dram"),
        (PLAIN, "scatter dram=2000 descriptor=0 memory=activation address=999", "nothing wrote all of activation"),
        (
            PLAIN._replace(row_steps=(0, 0, 0, 0, 1), height=4),
            "gather dram=0 descriptor=0 memory=activation address=0 row=4 column=0",
            "must read a run of DRAM, but all of the window is padding",
        ),
        (
            PLAIN._replace(row_steps=(0, 0, 0, 0, 1), height=4),
            "scatter dram=2000 descriptor=0 memory=activation address=0",
            "must have no steps: a scatter stores all of its window",
        ),
        (
            PLAIN._replace(strides=(0, 0, 0, 0, 7)),
            "gather dram=0 descriptor=0 memory=activation address=0 row=0 column=0",
            "must write no byte twice, but runs of the descriptor overlap",
        ),
        (
            PLAIN._replace(dram_strides=(0, 0, 0, 0, 7)),
            "scatter dram=2000 descriptor=0 memory=activation address=0",
            "must write no byte twice",
        ),
        (
            Descriptor.of((70, 1, 100), (3, 1, 10), (3, 1, 2), run_bytes=1),
            "gather dram=0 descriptor=0 memory=activation address=0 row=0 column=0",
            "must write at most 64 tiles of rows",
        ),
    ],
)  # fmt: skip
def test_a_window_that_no_machine_moves_is_refused(d: Descriptor, line: str, message: str) -> None:
    mnemonic, _, operands = line.partition(" ")
    assert message in refused(machine(), f"{mnemonic} layer=0 {operands}", table=(d,))


def test_a_window_orders_what_touches_its_bytes() -> None:
    draft, on = Draft(), machine()
    draft.image += bytes(1000)
    draft.emit(
        "gather", dram=0, descriptor=draft.window(PLAIN), memory="activation", address=0, row=0, column=0
    )  # fmt: skip
    draft.emit("scatter", dram=2000, descriptor=0, memory="activation", address=0)
    draft.emit("gather", dram=2000, descriptor=0, memory="activation", address=100, row=0, column=0)
    verify(draft.program(on), on)
    with pytest.raises(ProgramError, match=r"scatter of data\): reads bytes of activation .* wait for load.end"):
        verify(draft.program(on, waits=False), on)


@pytest.mark.parametrize("kind", ["input_stationary", "output_stationary", "outer_product"])
def test_rows_of_two_levels_are_refused_where_rows_are_features(kind: str) -> None:
    fields: dict[str, Any] = {"kind": kind, "rows": 8, "columns": 8}
    if kind == "input_stationary":
        fields["double_buffered_inputs"] = True
    if kind == "outer_product":
        fields |= {"double_buffered_sums": True, "skip_zero_columns": False, "mask_bits": 8}
    place = "depth=1 columns=1 sums=0 sums_stride=4 accumulate=0 signed=0 inner=1 outer_stride=1"
    line = (
        f"matmul layer=0 address=0 stride=1 rows=2 {place}"
        if kind == "input_stationary"
        else f"multiply layer=0 address=0 stride=1 weights=0 weights_stride=1 rows=2 packed=0 {place}"
    )
    assert "inner must be at most 0, the runs of rows of edge-ws, not 1" in refused(machine(matrix=fields), line)


def test_one_run_of_rows_has_no_stride_from_run_to_run() -> None:
    place = "depth=1 columns=1 sums=0 sums_stride=4 accumulate=0 signed=0 outer_stride=4"
    found = refused(machine(), f"matmul layer=0 address=0 stride=1 rows=2 {place}")
    assert f"instruction 1 (matmul of {LAYERS[0]}): outer_stride must be 0 where inner is 0" in found
