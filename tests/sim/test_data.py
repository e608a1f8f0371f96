"""Data moved in one loop against the core, which moves them record by record: the same bytes in every memory."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from float_networks import typed
from harness import examples, inputs, machine, network
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from numpy.typing import NDArray
from strategies import machines, networks
from vector_programs import Draft

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.recipe import Recipe, load_recipe
from accelsim.config import shipped
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.datapath.requantize import MODES
from accelsim.errors import CompileError, ProgramError
from accelsim.graph.rewrite import with_samples
from accelsim.isa.opcodes import Memory
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.kernels import lanes
from accelsim.sim.data import move_all
from accelsim.sim.machine import Core
from accelsim.sim.timing import Timing
from accelsim.workload.network import Network
from accelsim.workload.source import load_network

#: Both ways to form products, where the processor has both.
WAYS = (False, True) if lanes.VNNI else (False,)


def one_by_one(core: Core, program: Program) -> dict[int, Timing]:
    timings = {}
    for i, record in enumerate(program.instructions):
        if core.depends_on_data(int(record["opcode"])):
            timings[i] = core.execute(record)
        else:
            core.move(record)
    return timings


def assert_moves_alike(program: Program, where: Machine) -> Core:
    expected = Core(program, where)
    timings = one_by_one(expected, program)
    for vnni in WAYS:
        core = Core(program, where)
        assert move_all(core, program, vnni=vnni) == timings
        for memory, array in expected.memories.arrays.items():
            np.testing.assert_array_equal(core.memories.arrays[memory], array, memory.name)
        assert core.effectual == expected.effectual
        assert core.counters == expected.counters
    return expected


@given(net=networks(), on=machines(), batch=st.integers(1, 30), seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_any_network_on_any_machine(net: IntegerNetwork, on: Machine, batch: int, seed: int) -> None:
    x = inputs(np.random.default_rng(seed), net, batch)
    try:
        program = net.compile(x, on)
    except CompileError:
        assume(False)
    assert_moves_alike(program, on)


@pytest.mark.slow
@given(
    net=networks(max_layers=2, max_size=150),
    on=machines(min_side=6),
    batch=st.integers(1, 80),
    seed=st.integers(0, 2**32),
)
@examples(15, campaign=40)
def test_larger_networks(net: IntegerNetwork, on: Machine, batch: int, seed: int) -> None:
    x = inputs(np.random.default_rng(seed), net, batch)
    try:
        program = net.compile(x, on)
    except CompileError:
        assume(False)
    assert_moves_alike(program, on)


@cache
def digits() -> Network:
    return load_network("digits-mlp")


def digits_program(recipe: Recipe, images: int, where: Machine) -> Program:
    """A program for the first images."""
    graph, (x,) = typed(digits(), recipe)
    return compile_graph(with_samples(graph, images), (x[:images],), where)


@pytest.mark.parametrize("name", shipped.names("arch"))
def test_digits_on_every_shipped_machine(name: str) -> None:
    where = load_machine(name)
    assert_moves_alike(digits_program(load_recipe(where.default_recipe), 40, where), where)


@pytest.mark.parametrize("recipe", ["int8-compact", "int8-huffman", "int8-bitmask", "int4", "int16", "binary", "bf16"])
def test_digits_by_recipes_of_which_the_loop_does_little(recipe: str) -> None:
    kind = {"int4": "int4", "int16": "int16", "binary": "binary", "bf16": "bf16"}.get(recipe, "int8")
    where = machine(matrix={"operands": kind}, decode=load_machine("edge-ws").decode)
    assert_moves_alike(digits_program(load_recipe(recipe), 20, where), where)


class Odd:
    """A program by hand for a weight-stationary array: strides, places and constants as no compiler chooses them."""

    def __init__(self, rng: np.random.Generator, rows: int, columns: int) -> None:
        self.rng, self.rows, self.columns = rng, rows, columns
        self.draft = Draft()
        self.weights = self.bytes(60, columns + 5)
        self.draft.load(self.weights, "weight", 3, columns + 6)
        self.samples = self.bytes(30, rows + 40)
        self.draft.load(self.samples, "activation", 5, rows + 47)

    def bytes(self, rows: int, row_bytes: int) -> NDArray[np.uint8]:
        return self.rng.integers(0, 256, (rows, row_bytes)).astype(np.uint8)

    def fold(self, depth: int, columns: int) -> None:
        address = 3 + int(self.rng.integers(0, 5)) * (self.columns + 6)
        self.draft.emit("preload", address=address, stride=self.columns + 6, depth=depth, columns=columns, packed=0)

    def matmul(self, rows: int, depth: int, columns: int, sums: int, stride: int, *, accumulate: int) -> None:
        self.draft.emit(
            "matmul", address=5 + int(self.rng.integers(0, 5)), stride=self.rows + 47, rows=rows, depth=depth,
            columns=columns, sums=sums, sums_stride=stride, accumulate=accumulate, signed=int(self.rng.integers(2)),
        )  # fmt: skip

    def requantize(
        self, rows: int, columns: int, sums: int, stride: int, *, rounding: int, shift: int, by_row: int,
        bits: int = 8, gap: int = 3,
    ) -> None:  # fmt: skip
        channels = rows if by_row else columns
        words = self.rng.integers(0, 2**31, 2 * channels).astype(np.int32)
        constants = words.tobytes() + np.full(channels, shift, np.int8).tobytes()
        row_bytes, half = bits // 8 * columns, 2 ** (bits - 1)
        self.draft.load(constants, "weight", 5001)
        self.draft.emit(
            "requantize", sums=sums, sums_stride=stride, rows=rows, columns=columns, constants=5001, address=4 + gap,
            stride=row_bytes + gap, zero_point=3, qmin=-half, qmax=half - 1, rounding=rounding,
            row_channels=by_row, result_bits=bits,
        )  # fmt: skip
        self.draft.store(4 + gap, row_bytes + gap, rows, row_bytes)

    def program(self, where: Machine) -> Program:
        program = self.draft.program(where)
        verify(program, where)
        return program


@given(
    sides=st.tuples(st.integers(1, 20), st.integers(1, 20)), gap=st.integers(0, 9), at=st.integers(0, 9),
    rows=st.integers(1, 12), rounding=st.integers(0, len(MODES) - 1), shift=st.integers(-31, 30),
    by_row=st.integers(0, 1), shadows=st.booleans(), bits=st.sampled_from([8, 16]), seed=st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=24)
def test_odd_programs_that_verify_accepts(
    sides: tuple[int, int],
    gap: int,
    at: int,
    rows: int,
    rounding: int,
    shift: int,
    by_row: int,
    shadows: bool,
    bits: int,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    array = {"rows": sides[0], "columns": sides[1], "double_buffered_weights": shadows}
    where = machine(matrix=array)
    odd = Odd(rng, *sides)
    width = int(rng.integers(1, sides[1] + 1))
    stride = 4 * width + gap
    for step in range(5):  # folds of other sizes over each other in the registers, sums onto sums
        depth = int(rng.integers(1, sides[0] + 1))
        odd.fold(depth, width)
        for _ in range(int(rng.integers(1, 3))):
            odd.matmul(rows, depth, width, at, stride, accumulate=int(step > 0 and rng.integers(2)))
    result_gap = int(rng.integers(0, 4))
    odd.requantize(rows, width, at, stride, rounding=rounding, shift=shift, by_row=by_row, bits=bits, gap=result_gap)
    assert_moves_alike(odd.program(where), where)


@pytest.mark.parametrize("rounding", range(5))
@pytest.mark.parametrize("shift", [-100, -32, 31, 100])
def test_shifts_for_which_no_scheme_is_defined_are_left_to_the_core(shift: int, rounding: int) -> None:
    odd = Odd(np.random.default_rng(0), 4, 4)
    odd.fold(4, 3)
    odd.matmul(3, 4, 3, 0, 16, accumulate=0)
    odd.requantize(3, 3, 0, 16, rounding=rounding, shift=shift, by_row=0)
    where = machine(matrix={"rows": 4, "columns": 4})
    assert_moves_alike(odd.program(where), where)


@given(
    kind=st.sampled_from(["output_stationary", "outer_product", "tensor_core"]),
    sides=st.tuples(*[st.integers(1, 9)] * 2),
    depth=st.sampled_from([1, 2, 9, 1023, 1024, 1025, 2500]), at=st.integers(0, 9), signed=st.integers(0, 1),
    seed=st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=25)
def test_tiles_of_two_scratchpads_longer_than_a_stretch(
    kind: str, sides: tuple[int, int], depth: int, at: int, signed: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = sides
    by_rows = kind == "tensor_core"
    fields = {"rows": 9, "columns": 9}
    if kind == "outer_product":
        fields |= {"double_buffered_sums": True, "skip_zero_columns": False, "mask_bits": 8}
    if by_rows:
        fields = {
            "cores": 2, "joined": 1, "tile_rows": 4, "tile_columns": 4, "local_accumulator": True, "sparse_2_4": False
        }  # fmt: skip
    where = machine(matrix={"kind": kind, **fields})
    x, w = (
        rng.integers(0, 256, (size, depth) if by_rows else (depth, size)).astype(np.uint8) for size in (rows, columns)
    )
    draft = Draft()
    draft.load(x, "activation", 1, x.shape[1] + 3)
    draft.load(w, "weight", 2, w.shape[1] + 1)
    for accumulate in (0, 1):
        draft.emit(
            "multiply", address=1, stride=x.shape[1] + 3, weights=2, weights_stride=w.shape[1] + 1, rows=rows,
            depth=depth, columns=columns, sums=at, sums_stride=4 * max(sides) + at, accumulate=accumulate,
            signed=signed, packed=0,
        )  # fmt: skip
    program = draft.program(where)
    verify(program, where)
    assert_moves_alike(program, where)


def test_packed_weights_that_no_encoder_writes_are_named_as_the_core_names_them() -> None:
    where = load_machine("edge-sparse24")
    draft = Draft()
    draft.load(bytes([255] * 64), "weight", 0)
    draft.emit("preload", address=0, stride=0, depth=8, columns=4, packed=1)
    program = draft.program(where)
    verify(program, where)
    with pytest.raises(ProgramError, match=r"p\.bin: instruction 1 \(preload of data\): stored weights: "):
        move_all(Core(program, where), program, "p.bin")


def test_a_core_without_values_moves_nothing() -> None:
    odd = Odd(np.random.default_rng(0), 4, 4)
    odd.fold(4, 4)
    odd.matmul(3, 4, 4, 0, 16, accumulate=0)
    where = machine(matrix={"rows": 4, "columns": 4})
    values = odd.program(where)
    header = values.header.model_copy(update={"timing_only": True, "image_bytes": values.image.size})
    program = Program(header, values.instructions, np.zeros(0, np.uint8))
    core = Core(program, where)
    core.memories.arrays[Memory.DRAM][:] = 1  # were anything moved, it would be seen
    assert move_all(core, program) == {}
    assert [memory for memory, array in core.memories.arrays.items() if array.any()] == [Memory.DRAM]
    assert core.effectual == [0, 0]


def test_progress_reaches_all_instructions() -> None:
    net = network(np.random.default_rng(0), [20, 20])
    where = machine()
    program = net.compile(inputs(np.random.default_rng(0), net, 4), where)
    told: list[tuple[int, int]] = []
    move_all(Core(program, where), program, progress=lambda done, count: told.append((done, count)))
    assert told == [(len(program.instructions),) * 2]


def test_received_bytes_are_not_there_before() -> None:
    where = machine(host={"io_bandwidth_bytes_per_s": 1e9})
    draft = Draft()
    draft.image += bytes(range(1, 101))
    draft.emit("receive", dram=10, dram_stride=20, rows=3, row_bytes=7)
    draft.emit("load", dram=0, dram_stride=0, rows=1, row_bytes=100, memory="activation", address=0, stride=0)
    draft.emit("send", dram=0, dram_stride=0, rows=1, row_bytes=100)
    program = draft.program(where)
    verify(program, where)
    core = assert_moves_alike(program, where)
    np.testing.assert_array_equal(core.memories.arrays[Memory.ACTIVATION][:100], np.arange(1, 101))
