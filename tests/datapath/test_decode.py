"""The decode unit against units that are stepped cycle by cycle and write one value at a time."""

from __future__ import annotations

import dataclasses
from collections import deque
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sparse_lanes_registers import padded_columns

from accelsim.config.tech import Component, Counters, Event, Operation
from accelsim.datapath.decode import Decoder
from accelsim.formats.bitmask import Bitmask
from accelsim.formats.codebook import Codebook
from accelsim.formats.codec import Codec, Encoded
from accelsim.formats.csr import Csc, Csr
from accelsim.formats.ggml import Ggml
from accelsim.formats.groups import Progressive, VectorScaled
from accelsim.formats.huffman import Huffman
from accelsim.formats.microscale import Microscale
from accelsim.formats.packed import Packed
from accelsim.formats.relative import Relative
from accelsim.formats.relative_huffman import RelativeHuffman
from accelsim.kernels import decode as kernel

units = st.builds(Decoder, st.integers(1, 5), st.integers(1, 9), st.integers(1, 4), st.integers(1, 3))
matrices = hnp.arrays(
    np.int8,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=24),
    elements=st.one_of(st.just(0), st.integers(-8, 7)),
    fill=st.just(0),
)


def assert_steps(unit: Decoder, codec: Codec, x: NDArray[np.int8], stepped: tuple[list[int], int]) -> None:
    """The unit's values and cycles are those of a stepped one: its values, and the cycle after the last."""
    values, free, end = unit.decode(codec, codec.encode(x).to_bytes(), x.shape)
    np.testing.assert_array_equal(values, x)
    written, cycles = stepped
    assert written == x.ravel().tolist()
    assert free == max(1, cycles)
    assert end == free + unit.latency_cycles - 1


def step_packed(unit: Decoder, values: list[int], table: int = 0) -> tuple[list[int], int]:
    """Write the table, then take packed integers one by one until a cycle's symbols or outputs are used up."""
    waiting, written, cycles = deque(values), list[int](), 0
    while table > 0:
        table -= unit.symbols_per_cycle
        cycles += 1
    while waiting:
        cycles += 1
        symbols, room = unit.symbols_per_cycle, unit.outputs_per_cycle
        while waiting and symbols and room:
            written.append(waiting.popleft())
            symbols, room = symbols - 1, room - 1
    return written, cycles


@given(unit=units, x=matrices)
def test_packed_integers_take_as_many_cycles_as_steps(unit: Decoder, x: NDArray[np.int8]) -> None:
    assert_steps(unit, Packed(4), x, step_packed(unit, x.ravel().tolist()))


@given(unit=units, x=matrices, bits=st.integers(4, 6))
def test_a_codebook_is_written_before_its_first_index_is_read(unit: Decoder, x: NDArray[np.int8], bits: int) -> None:
    assert_steps(unit, Codebook(bits), x, step_packed(unit, x.ravel().tolist(), 2**bits))


def test_group_scales_are_applied_while_decoding() -> None:
    codec = Packed(4, group=2)
    q = np.array([[-8, 7], [3, -1], [5, 5]], np.int8)
    multipliers = np.array([[24, 3], [255, 1]])
    unit = Decoder(4, 4, 1, 2)
    values, free, end = unit.decode(codec, codec.encode_scaled(q, multipliers, 1).to_bytes(), q.shape)
    exact = [
        [max(-128, min(127, round(Fraction(int(q[r, c]) * int(multipliers[r // 2, c]), 2)))) for c in range(2)]
        for r in range(3)
    ]
    assert values.tolist() == exact == [[-96, 10], [36, -2], [127, 2]]
    assert (free, end) == (2, 3)


def step_mask(unit: Decoder, x: list[int]) -> tuple[list[int], int]:
    """Look at one word of mask bits; a value more than a cycle's symbols is left for the next cycle."""
    written, cycles = list[int](), 0
    for first in range(0, len(x), unit.outputs_per_cycle):
        word = deque(x[first : first + unit.outputs_per_cycle])
        while word:
            cycles += 1
            symbols = unit.symbols_per_cycle
            while word and (symbols or word[0] == 0):
                symbols -= word[0] != 0
                written.append(word.popleft())
    return written, cycles


@given(unit=units, x=matrices)
def test_a_word_of_the_mask_takes_as_many_cycles_as_its_values_ask_for(unit: Decoder, x: NDArray[np.int8]) -> None:
    assert_steps(unit, Bitmask(), x, step_mask(unit, x.ravel().tolist()))


def step_runs(unit: Decoder, w: NDArray[np.int8], lanes: int, bits: int) -> tuple[list[int], int]:
    """Expand entries of each lane, output by output, and put the outputs back where they belong."""
    k, n = w.shape
    result = np.full((k, n), 99)
    cycles, room, symbols = 0, 0, 0
    for lane in range(lanes):
        for row, entries in enumerate(padded_columns(w, lane, lanes, bits)):
            waiting = deque(entries)
            held: tuple[int, int] | None = None
            for output in range(lane, n, lanes):
                if held is None and waiting:  # the next entry is read when its first zero, or itself, is to be written
                    if not (symbols and room):
                        cycles, symbols, room = cycles + 1, unit.symbols_per_cycle, unit.outputs_per_cycle
                    held = waiting.popleft()
                    symbols -= 1
                if not room:
                    cycles, symbols, room = cycles + 1, unit.symbols_per_cycle, unit.outputs_per_cycle
                room -= 1
                result[row, output] = held[1] if held and held[0] == output else 0
                if held and held[0] == output:
                    held = None
    return result.ravel().tolist(), cycles


@given(unit=units, x=matrices, lanes=st.integers(1, 5), bits=st.integers(1, 4))
@settings(max_examples=200)
def test_runs_of_zeros_take_as_many_cycles_as_outputs_and_entries_ask_for(
    unit: Decoder, x: NDArray[np.int8], lanes: int, bits: int
) -> None:
    assert_steps(unit, Relative(bits, lanes), x, step_runs(unit, x, lanes, bits))


@given(unit=units, x=matrices)
@settings(max_examples=200)
def test_rows_take_as_long_as_runs_without_a_longest_one(unit: Decoder, x: NDArray[np.int8]) -> None:
    assert_steps(unit, Csr(), x, step_runs(unit, x, 1, 12))


@given(unit=units, x=matrices)
def test_columns_take_the_zeros_first_and_then_a_cycle_a_nonzero(unit: Decoder, x: NDArray[np.int8]) -> None:
    written, cycles = [0] * x.size, 0
    for _ in range(0, x.size, unit.outputs_per_cycle):
        cycles += 1
    for column in range(x.shape[1]):
        for row in range(x.shape[0]):
            if x[row, column]:
                written[row * x.shape[1] + column] = int(x[row, column])
                cycles += 1
    assert_steps(unit, Csc(), x, (written, cycles))


@given(unit=units, x=matrices, group=st.integers(1, 5))
def test_groups_take_as_long_as_packed_integers(unit: Decoder, x: NDArray[np.int8], group: int) -> None:
    for codec in (VectorScaled(4, group), Progressive(5, group)):
        assert_steps(unit, codec, x, step_packed(unit, x.ravel().tolist()))


def test_blocks_take_as_long_as_packed_integers_and_add_exponents() -> None:
    unit, codec = Decoder(4, 3, 1, 2), Microscale("e2m1", 2)
    blocks = codec.encode(np.array([[1.0, 2], [3, 4], [0.5, 6]], np.float32))
    assert unit.cycles(blocks) == (2, 3)
    counters: Counters = {}
    unit.events(counters, blocks)
    assert counters == {
        of(Operation.REGISTER_WRITE, 16): 6,
        of(Operation.REGISTER_WRITE, 8): 4,
        of(Operation.REGISTER_READ, 8): 6,
        of(Operation.INT_ADD, 8): 6,
    }


def test_blocks_of_ggml_take_as_long_and_multiply_and_add_floats() -> None:
    unit = Decoder(4, 3, 1, 2)
    counters: Counters = {}
    blocks = Ggml("q4_1").from_bytes(bytes(2 * 20), (32, 2))
    assert unit.cycles(blocks) == (22, 23)  # 64 numbers, 3 a cycle
    unit.events(counters, blocks)
    assert counters == {
        of(Operation.REGISTER_WRITE, 16): 64 + 4,  # values, and two scales a block
        of(Operation.REGISTER_READ, 32): 128,
        of(Operation.FLOAT_MULTIPLY, 32): 64,
        of(Operation.FLOAT_ADD, 32): 64,
    }
    counters = {}
    unit.events(counters, Ggml("q6_k").from_bytes(bytes(210), (256, 1)))
    assert counters == {
        of(Operation.REGISTER_WRITE, 16): 256 + 1,
        of(Operation.REGISTER_WRITE, 8): 16,
        of(Operation.REGISTER_READ, 32): 256,
        of(Operation.FLOAT_MULTIPLY, 32): 256 + 16,
        of(Operation.INT_ADD, 6): 256,
    }


def test_events_of_groups_and_lines() -> None:
    unit = Decoder(4, 4, 1, 2)
    progressive = Progressive(4, 1).encode_parts(np.ones((2, 5)), np.ones((2, 5), int), np.ones((2, 5), int))
    counters: Counters = {}
    unit.events(counters, progressive)
    assert counters == {
        of(Operation.REGISTER_WRITE, 8): 10 + 10,  # values, and scales
        of(Operation.REGISTER_READ, 8): 10,
        of(Operation.REGISTER_WRITE, 4): 10,
        of(Operation.REGISTER_READ, 4): 10,
        of(Operation.INT_ADD, 5): 10,
        of(Operation.INT_MULTIPLY, 5, 8): 10,
    }
    assert found_events(unit, VectorScaled(4, 2), X) == {
        of(Operation.REGISTER_WRITE, 8): 10,
        of(Operation.REGISTER_WRITE, 4): 5,
        of(Operation.REGISTER_READ, 4): 10,
        of(Operation.INT_MULTIPLY, 4, 4): 10,
    }
    for codec, lines in ((Csr(), 2), (Csc(), 5)):
        assert found_events(unit, codec, X) == {
            of(Operation.REGISTER_WRITE, 8): 10,
            of(Operation.INT_ADD, 16): lines + 3,
            of(Operation.INT_COMPARE, 16): lines + 3,
        }


def test_an_entry_with_z_zeros_writes_z_and_one_outputs() -> None:
    outputs, entry = np.array([8, 1, 1, 3]), np.array([True, True, True, False])
    assert kernel.run_cycles(outputs, entry, 4, 4) == 4  # 8 | then 1 + 1 and two of the column's end | one more
    assert kernel.run_cycles(outputs, entry, 1, 4) == 4  # 8 | 1 | 1 and the three, which need no entry
    assert kernel.run_cycles(outputs, entry, 1, 1) == 13
    assert kernel.run_cycles(outputs[:0], entry[:0], 1, 1) == 0


def step_huffman(unit: Decoder, x: NDArray[np.int8], streams: int) -> tuple[list[int], int]:
    """Decode bit by bit from first codes, the streams in turn, at most so many in a cycle."""
    encoded = Huffman(streams).encode(x)
    by_length = {length: np.flatnonzero(encoded.lengths == length).tolist() for length in range(1, 17)}
    bits = [deque("".join(f"{byte:08b}" for byte in stream)) for stream in encoded.streams]
    _, cycles = step_packed(unit, [], sum(map(len, by_length.values())))
    written: list[int] = []
    while len(written) < x.size:
        cycles += 1
        for _ in range(min(unit.huffman_decoders, unit.outputs_per_cycle, streams)):
            if len(written) == x.size:
                break
            stream = bits[len(written) % streams]
            code, first = 0, 0
            for length in range(1, 17):
                code, first = 2 * code + int(stream.popleft()), 2 * first
                if code - first < len(by_length[length]):
                    written.append(np.uint8(by_length[length][code - first]).view(np.int8).item())
                    break
                first += len(by_length[length])
    return written, cycles


@given(unit=units, x=matrices, streams=st.integers(1, 6))
def test_each_huffman_decoder_finds_a_symbol_a_cycle(unit: Decoder, x: NDArray[np.int8], streams: int) -> None:
    assert_steps(unit, Huffman(streams), x, step_huffman(unit, x, streams))


@given(unit=units, x=matrices, bits=st.integers(1, 4), streams=st.integers(1, 4))
def test_coded_runs_take_as_long_as_their_symbols_or_their_outputs(
    unit: Decoder, x: NDArray[np.int8], bits: int, streams: int
) -> None:
    flat = x.reshape(1, -1)
    written, outputs = step_runs(unit, flat, 1, bits)
    runs = Relative(bits).encode(flat)
    half = dataclasses.replace(unit, huffman_decoders=max(1, unit.huffman_decoders // 2))
    found = []
    for symbols in (runs.values, runs.indices):
        codes = len(set(symbols.tolist()))
        _, table = step_packed(unit, [], codes)
        found.append((codes, step_huffman(half, symbols, streams)[1] - table if symbols.size else 0))
    _, tables = step_packed(unit, [], found[0][0] + found[1][0])
    assert found[0][1] == found[1][1]
    assert_steps(unit, RelativeHuffman(bits, streams), x, (written, tables + max(found[0][1], outputs)))


X = np.array([[0, 5, 0, 0, 0], [7, 0, 0, 0, 5]], np.int8)


def found_events(unit: Decoder, codec: Codec, x: NDArray[np.int8]) -> Counters:
    counters: Counters = {}
    unit.events(counters, codec.encode(x))
    return counters


def of(operation: Operation, bits: int, by: int = 0) -> Event:
    return Event(Component.DECODE, operation, bits, by)


WRITTEN = {of(Operation.REGISTER_WRITE, 8): 10}


@pytest.mark.parametrize(
    ("codec", "expected"),
    [
        (Packed(4), WRITTEN),
        (
            Packed(4, group=1),
            {
                of(Operation.REGISTER_WRITE, 8): 10 + 10,
                of(Operation.REGISTER_READ, 8): 10,
                of(Operation.INT_MULTIPLY, 8, 4): 10,
                of(Operation.INT_ADD, 12): 10,
                of(Operation.INT_SHIFT, 12): 10,
            },
        ),
        (Codebook(2), {of(Operation.REGISTER_WRITE, 8): 10 + 4, of(Operation.REGISTER_READ, 8): 10}),
        (Bitmask(), {**WRITTEN, of(Operation.INT_ADD, 3): 10, of(Operation.LOGIC, 8): 3}),
        # with 1-bit indices the three zeros before the last 5 need a padding entry: four entries in two columns
        (
            # 5 after 1 zero, 7 after 3 and 5 after 3: three entries of two values and two indices
            RelativeHuffman(3),
            {
                of(Operation.REGISTER_WRITE, 8): 10 + 2 + 2,
                of(Operation.REGISTER_WRITE, 16): 2 * 16,
                of(Operation.INT_COMPARE, 16): 2 * 16 * 3 + 3 + 1,
                of(Operation.INT_ADD, 16): 2 * 3 + 1 + 3,
                of(Operation.REGISTER_READ, 8): 2 * 3,
                of(Operation.INT_SHIFT, 32): 2 * 3,
            },
        ),
        (Relative(1, 1), {**WRITTEN, of(Operation.INT_ADD, 16): 4 + 2, of(Operation.INT_COMPARE, 16): 4 + 2}),
        (
            Huffman(),
            {
                of(Operation.REGISTER_WRITE, 8): 10 + 3,
                of(Operation.REGISTER_WRITE, 16): 16,
                of(Operation.INT_COMPARE, 16): 16 * 10,
                of(Operation.INT_ADD, 16): 10,
                of(Operation.REGISTER_READ, 8): 10,
                of(Operation.INT_SHIFT, 32): 10,
            },
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_events_of_each_format(codec: Codec, expected: Counters) -> None:
    assert found_events(Decoder(4, 4, 2, 2), codec, X) == expected


class Other(Encoded):
    """A format that the unit does not know."""

    shape, dtype = (1,), np.dtype(np.int8)

    def to_bytes(self) -> bytes:
        return b""

    def decode(self) -> NDArray[np.int8]:
        return X


def test_other_formats_and_bytes_are_refused() -> None:
    unit = Decoder(4, 4, 2, 2)
    with pytest.raises(TypeError, match="the decode unit must know the format, not Other"):
        unit.cycles(Other())
    with pytest.raises(TypeError, match="the decode unit must know the format, not Other"):
        unit.events({}, Other())
    with pytest.raises(ValueError, match="10 values of int4 must take 5 bytes, not 4"):
        unit.decode(Packed(4), b"\0" * 4, (2, 5))
