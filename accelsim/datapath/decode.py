"""The decode unit: expands stored weights to values of 8 bits, at a rate that depends on the format and the data.

=========  =========================================================================================================
format     cycles
=========  =========================================================================================================
packed     the narrower of symbols and outputs a cycle; a group's multipliers arrive beside its integers, and so do
           the scales and zero points of `progressive` and `vector_scaled`, the scales of microscaling blocks, and those
           of ggml's, whose numbers are products and sums in float32, rounded to the operands' type
csr        as relative, over all rows
csc        zeros are written first, `outputs_per_cycle` of them; then each nonzero to its place, one a cycle
relative   entries in order, `symbols_per_cycle` read and `outputs_per_cycle` written at most; an entry with z zeros
           before it writes z + 1 outputs, and the zeros that end a lane's column need no entry
bitmask    a word of `outputs_per_cycle` mask bits takes a cycle, or more if it names more than `symbols_per_cycle`
           values; the next word begins in a cycle of its own
codebook   `symbols_per_cycle` values of the table are written first; then as packed
huffman    `symbols_per_cycle` symbols of the table are written first; then each decoder finds one symbol a cycle,
           however long its code; no more decoders work than the format has streams
=========  =========================================================================================================

`relative_huffman` has both tables written first; then half of the decoders find values, half indices, as in `huffman`,
and entries expand as in `relative`, whichever takes longer.

The last value appears `latency_cycles` edges after its symbol entered. With two stages (product | round, shift and
clamp), int4 with group scales is so measured on the SystemVerilog of tests/rtl.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accelsim.config.arch import Decode
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.formats.bitmask import MaskedTensor
from accelsim.formats.codebook import IndexedTensor
from accelsim.formats.codec import Codec, Encoded, Shape
from accelsim.formats.csr import CompressedLines
from accelsim.formats.ggml import BlockTensor
from accelsim.formats.groups import GroupedTensor
from accelsim.formats.huffman import MAX_LENGTH, HuffmanTensor
from accelsim.formats.microscale import MicroscaledTensor
from accelsim.formats.packed import PackedTensor
from accelsim.formats.relative import EncodedLanes, slots
from accelsim.formats.relative_huffman import CodedRuns
from accelsim.kernels import decode as kernel
from accelsim.units import ceil_div

VALUE_BITS = 8
#: Bits of a float that an element of a block becomes.
FLOAT_BITS = 16
#: Bits of a float in which a value of ggml's blocks is worked out.
SUM_BITS = 32
#: Bits of an output's place in its tile.
ADDRESS_BITS = 16
#: Bits of a decoder's window on its stream: the longest code, and as many to refill it.
WINDOW_BITS = 2 * MAX_LENGTH


class Expansion(NamedTuple):
    """A decoded tensor and its time.

    Parameters
    ----------
    values
        int8 or uint8, shape of the tensor.
    free, end
        Cycles from the first symbol until the unit takes the next tensor, and until the last value is there.
    """

    values: NDArray[np.generic]
    free: int
    end: int


def _event(operation: Operation, bits: int, by: int = 0) -> Event:
    return Event(Component.DECODE, operation, bits, by)


@dataclass(frozen=True, slots=True)
class Decoder:
    """Cycles, values and events of one decode unit.

    Parameters
    ----------
    symbols_per_cycle
        Packed integers, entries, indices or nonzero values that it takes in one cycle.
    outputs_per_cycle
        Values that it writes in one cycle.
    huffman_decoders
        Symbols of variable length that it finds in one cycle, each in a stream of its own.
    latency_cycles
        Edges from a symbol to its value.
    """

    symbols_per_cycle: int
    outputs_per_cycle: int
    huffman_decoders: int
    latency_cycles: int

    @classmethod
    def of(cls, config: Decode) -> Decoder:
        """Unit that a machine describes."""
        return cls(config.symbols_per_cycle, config.outputs_per_cycle, config.huffman_decoders, config.latency_cycles)

    def decode(self, codec: Codec, data: bytes, shape: Shape, dtype: DTypeLike = np.int8) -> Expansion:
        """Expand stored bytes; raises ValueError for bytes that the codec refuses."""
        encoded = codec.from_bytes(data, shape, dtype)
        free, end = self.cycles(encoded)
        return Expansion(encoded.decode(), free, end)

    def cycles(self, encoded: Encoded) -> tuple[int, int]:
        """Cycles until the unit takes the next tensor, at least 1, and until the last value of this one is there."""
        narrow = min(self.symbols_per_cycle, self.outputs_per_cycle)
        match encoded:
            case PackedTensor() | GroupedTensor() | MicroscaledTensor() | BlockTensor():
                busy = ceil_div(encoded.size, narrow)
            case CompressedLines(axis=0):
                busy = self._line_cycles(encoded)
            case CompressedLines():
                busy = ceil_div(encoded.size, self.outputs_per_cycle) + len(encoded.values)
            case IndexedTensor():
                busy = ceil_div(len(encoded.table), self.symbols_per_cycle) + ceil_div(encoded.size, narrow)
            case HuffmanTensor():
                found = min(self.huffman_decoders, len(encoded.streams), self.outputs_per_cycle)
                table = np.count_nonzero(encoded.lengths)
                busy = ceil_div(int(table), self.symbols_per_cycle) + ceil_div(encoded.size, found)
            case CodedRuns():
                parts = (encoded.values, encoded.indices)
                tables = sum(int(np.count_nonzero(part.lengths)) for part in parts)
                found = max(1, min(self.huffman_decoders // 2, len(encoded.values.streams), self.outputs_per_cycle))
                busy = ceil_div(tables, self.symbols_per_cycle)
                busy += max(ceil_div(encoded.values.size, found), self._run_cycles(encoded.runs))
            case MaskedTensor():
                busy = self._mask_cycles(encoded.mask)
            case EncodedLanes():
                busy = self._run_cycles(encoded)
            case _:
                raise TypeError(f"the decode unit must know the format, not {type(encoded).__name__}")
        free = max(1, busy)
        return free, free + self.latency_cycles - 1

    def _line_cycles(self, encoded: CompressedLines) -> int:
        """Cycles of rows: entries with the zeros before them, and the zeros behind the last entry of a row."""
        rows, columns = encoded.sides
        starts = encoded.pointers.astype(np.int64)
        place = encoded.indices.astype(np.int64)
        before = np.concatenate((np.full(1, -1), place))[:-1]
        before[starts[:-1][starts[:-1] < starts[1:]]] = -1  # the first of each row that has entries
        ends = np.full(rows, -1)
        filled = starts[:-1] < starts[1:]
        ends[filled] = place[starts[1:][filled] - 1]
        return self._item_cycles(place - before, starts[None], (columns - 1 - ends)[None])

    def _mask_cycles(self, mask: NDArray[np.bool_]) -> int:
        """Cycles of each word of the mask: one, or what its values take."""
        word = self.outputs_per_cycle
        bits = np.zeros(ceil_div(mask.size, word) * word, np.int64)
        bits[: mask.size] = mask.ravel()
        values = bits.reshape(-1, word).sum(axis=1)
        return int(np.maximum(1, -(-values // self.symbols_per_cycle)).sum())

    def _run_cycles(self, encoded: EncodedLanes) -> int:
        """Cycles of entries, and of the zeros between the last entry of a lane's column and its end."""
        outputs = encoded.indices.astype(np.int64) + 1
        before = np.concatenate((np.zeros(1, np.int64), np.cumsum(outputs)))
        starts = encoded.starts
        tails = slots(encoded.matrix[1], encoded.lanes)[:, None] - (before[starts[:, 1:]] - before[starts[:, :-1]])
        return self._item_cycles(outputs, starts, tails)

    def _item_cycles(self, outputs: NDArray[np.int64], starts: NDArray[np.int64], tails: NDArray[np.int64]) -> int:
        """Cycles of entries that write so many outputs each, and of the zeros after those of each line.

        Parameters
        ----------
        starts, tails
            First entry of each line, and one past the last, shape (lanes, lines + 1); zeros of each, (lanes, lines).
        """
        items = np.insert(outputs, starts[:, 1:].ravel(), tails.ravel())
        entry = np.insert(np.ones(len(outputs), bool), starts[:, 1:].ravel(), np.zeros(tails.size, bool))
        real = items > 0
        return int(kernel.run_cycles(items[real], entry[real], self.symbols_per_cycle, self.outputs_per_cycle))

    def events(self, counters: Counters, encoded: Encoded) -> None:
        """Count what the decoding of a tensor switches; its bytes and values are charged by the ports they pass.

        Whatever the format, a value is written to the output register.
        """
        values = encoded.size
        width = FLOAT_BITS if isinstance(encoded, MicroscaledTensor | BlockTensor) else VALUE_BITS
        count(counters, _event(Operation.REGISTER_WRITE, width), values)
        match encoded:
            case GroupedTensor():
                _grouped_events(counters, encoded, values)
            case MicroscaledTensor() | BlockTensor():
                _block_events(counters, encoded, values)
            case CompressedLines():
                lines = len(encoded.pointers) - 1
                count(counters, _event(Operation.INT_ADD, ADDRESS_BITS), lines + len(encoded.values))
                count(counters, _event(Operation.INT_COMPARE, ADDRESS_BITS), lines + len(encoded.values))
            case PackedTensor():
                _packed_events(counters, encoded, values)
            case IndexedTensor():
                count(counters, _event(Operation.REGISTER_WRITE, VALUE_BITS), len(encoded.table))
                count(counters, _event(Operation.REGISTER_READ, VALUE_BITS), values)
            case HuffmanTensor():
                _huffman_events(counters, encoded, values)
            case MaskedTensor():
                # each bit's count of the ones before it, in its word, picks a value
                count(counters, _event(Operation.INT_ADD, self.outputs_per_cycle.bit_length()), values)
                count(counters, _event(Operation.LOGIC, VALUE_BITS), len(encoded.values))
            case EncodedLanes():
                _run_events(counters, encoded)
            case CodedRuns():
                _huffman_events(counters, encoded.values, encoded.values.size)
                _huffman_events(counters, encoded.indices, encoded.indices.size)
                _run_events(counters, encoded.runs)
            case _:
                raise TypeError(f"the decode unit must know the format, not {type(encoded).__name__}")


def _run_events(counters: Counters, encoded: EncodedLanes) -> None:
    """Count what says how many entries a column has, and the sum of an entry's index and its address."""
    columns = encoded.lanes * encoded.matrix[0]
    count(counters, _event(Operation.INT_ADD, encoded.pointer_bits), columns)
    count(counters, _event(Operation.INT_ADD, ADDRESS_BITS), len(encoded.values))
    count(counters, _event(Operation.INT_COMPARE, ADDRESS_BITS), len(encoded.values) + columns)


def _packed_events(counters: Counters, encoded: PackedTensor, values: int) -> None:
    """Count the multiplier's read, product, rounding and shift of each scaled value; sign and clamp are wiring."""
    if not encoded.codec.group:
        return
    bits = encoded.codec.bits
    count(counters, _event(Operation.REGISTER_WRITE, VALUE_BITS), encoded.multipliers.size)
    count(counters, _event(Operation.REGISTER_READ, VALUE_BITS), values)
    count(counters, _event(Operation.INT_MULTIPLY, VALUE_BITS, bits), values)
    count(counters, _event(Operation.INT_ADD, VALUE_BITS + bits), values)
    count(counters, _event(Operation.INT_SHIFT, VALUE_BITS + bits), values)


def _grouped_events(counters: Counters, encoded: GroupedTensor, values: int) -> None:
    """Count the scale's read and product, and the zero point's subtraction; sign and clamp are wiring."""
    bits, scale_bits = encoded.codec.bits, encoded.codec.scale_bits
    count(counters, _event(Operation.REGISTER_WRITE, scale_bits), encoded.scales.size)
    count(counters, _event(Operation.REGISTER_READ, scale_bits), values)
    if encoded.zeros is not None:
        count(counters, _event(Operation.REGISTER_WRITE, bits), encoded.zeros.size)
        count(counters, _event(Operation.REGISTER_READ, bits), values)
        count(counters, _event(Operation.INT_ADD, bits + 1), values)
    count(counters, _event(Operation.INT_MULTIPLY, bits + (encoded.zeros is not None), scale_bits), values)


def _block_events(counters: Counters, encoded: MicroscaledTensor | BlockTensor, values: int) -> None:
    """Count what scales of blocks do.

    A microscaling block's waits in a register for its elements' exponents. Of ggml's, float scales and their products
    with integer ones do, for each value's product and sum; a symmetric integer of few bits loses its offset first, and
    to make it a float is wiring.
    """
    if isinstance(encoded, MicroscaledTensor):
        count(counters, _event(Operation.REGISTER_WRITE, VALUE_BITS), encoded.scales.size)
        count(counters, _event(Operation.REGISTER_READ, VALUE_BITS), values)
        count(counters, _event(Operation.INT_ADD, VALUE_BITS), values)
        return
    layout = encoded.codec.layout
    blocks = values // layout.numbers
    factors, fields = layout.factors * blocks, len(layout.scales)
    count(counters, _event(Operation.REGISTER_WRITE, FLOAT_BITS), fields * blocks)
    count(counters, _event(Operation.REGISTER_WRITE, VALUE_BITS), factors)
    count(counters, _event(Operation.REGISTER_READ, SUM_BITS), fields * values)
    count(counters, _event(Operation.FLOAT_MULTIPLY, SUM_BITS), factors + values)
    if fields == 2:
        count(counters, _event(Operation.FLOAT_ADD, SUM_BITS), values)
    elif layout.bits < VALUE_BITS:
        count(counters, _event(Operation.INT_ADD, layout.bits), values)


def _huffman_events(counters: Counters, encoded: HuffmanTensor, values: int) -> None:
    """Count a canonical decoder's work.

    The window is held against the first code of every length at once, the code's distance from it is added to the
    place of its first symbol, the table is read there, and the window is shifted by the length.
    """
    count(counters, _event(Operation.REGISTER_WRITE, VALUE_BITS), int(np.count_nonzero(encoded.lengths)))
    count(counters, _event(Operation.REGISTER_WRITE, MAX_LENGTH), MAX_LENGTH)
    count(counters, _event(Operation.INT_COMPARE, MAX_LENGTH), MAX_LENGTH * values)
    count(counters, _event(Operation.INT_ADD, MAX_LENGTH), values)
    count(counters, _event(Operation.REGISTER_READ, VALUE_BITS), values)
    count(counters, _event(Operation.INT_SHIFT, WINDOW_BITS), values)
