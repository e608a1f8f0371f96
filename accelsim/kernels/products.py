"""Products of 8-bit tiles, exact: one operand is held in groups as the innermost loops want them, the other streams by.

Of a product (m, k) x (k, n), rows of m stream and columns of n are held, as in a stationary array: 16 columns
after 16 columns, each group after group (`kernels.lanes`). Rows are converted a few at a time, so that they stay
in the processor's second-level cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels import lanes
from accelsim.kernels.borrowing import borrowing, inner
from accelsim.kernels.lanes import GROUP_BYTES, LANES, PAIRS, ROWS, UNSIGNED_COLUMNS, UNSIGNED_ROWS

Bytes = NDArray[np.uint8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

#: Bytes of streamed rows that are converted at once, unless six rows take more: half of a small second-level cache.
STREAM_BYTES = 64 * 1024
#: Rows that are converted at once, at most: `lanes.read_rows` counts in bytes.
STREAM_ROWS = 252
#: The sign bit of a byte.
SIGN = 128

# the words of Held.state
FORM, SIGNED, DEPTH, COLUMNS, VNNI, STATE_WORDS = range(6)


class Held(NamedTuple):
    """The operand that is held, and room for the rows that stream.

    Parameters
    ----------
    state
        Form of the groups, whether rows are signed, inputs and columns, and whether quads are used; int64, shape
        (STATE_WORDS,).
    columns
        Groups, uint8.
    nonzeros
        Of each input, over the columns; int64.
    start
        What the sums of each column begin with, int32.
    rows
        Groups of rows that stream, uint8.
    counts
        Nonzeros of each input over the rows that streamed last, int32.
    """

    state: Int64
    columns: Bytes
    nonzeros: Int64
    start: Int32
    rows: Bytes
    counts: Int32


def held(depth: int, columns: int, size: int, *, vnni: bool) -> Held:
    """Room for products of at most `depth` inputs and `columns` columns that take at most `size` bytes (`held_bytes`).

    Parameters
    ----------
    vnni
        Whether quads are used, for which the processor must have AVX512-VNNI.
    """
    inputs = -(-depth // 64) * 64
    state = np.zeros(STATE_WORDS, np.int64)
    state[VNNI] = vnni
    return Held(
        state,
        np.zeros(size, np.uint8),
        np.zeros(inputs, np.int64),
        np.zeros(columns + LANES, np.int32),
        np.zeros(max(STREAM_BYTES, ROWS * 2 * inputs), np.uint8),
        np.zeros(inputs, np.int32),
    )


def held_bytes(depth: Int64, columns: Int64) -> Int64:
    """Bytes of the groups of inputs by columns, at most: those of pairs."""
    return GROUP_BYTES * -(-columns // LANES) * -(-depth // 2)


@inner
def _group(form: int) -> int:
    """Inputs of a group."""
    return 2 if form == PAIRS else 4


@inner
def _begin(h: Held, depth: int, columns: int, rows_signed: bool, held_signed: bool) -> int:
    """Choose the form for operands of which at most one is unsigned; return 128 if `lanes.pack_columns` shall flip."""
    form = PAIRS
    if h.state[VNNI]:
        form = UNSIGNED_ROWS if held_signed else UNSIGNED_COLUMNS
    h.state[FORM], h.state[SIGNED], h.state[DEPTH], h.state[COLUMNS] = form, rows_signed, depth, columns
    h.nonzeros[: (depth + 3) // 4 * 4] = 0
    if form == PAIRS:
        return SIGN * held_signed
    return SIGN * (rows_signed and form == UNSIGNED_ROWS)


@borrowing
def hold(
    h: Held, memory: Bytes, at: int, stride: int, depth: int, columns: int, rows_signed: bool, held_signed: bool
) -> None:
    """Hold a tile: byte (k, n) stands at `at` + k `stride` + n. Not both operands may be unsigned."""
    flip = _begin(h, depth, columns, rows_signed, held_signed)
    form = h.state[FORM]
    size = (depth + _group(form) - 1) // _group(form) * GROUP_BYTES
    for column in range(0, columns, LANES):
        lanes.pack_columns(
            form, memory, at + column, stride, depth, min(columns - column, LANES), flip, h.columns,
            column // LANES * size, h.nonzeros, h.start, 4 * column,
        )  # fmt: skip


@borrowing
def stream(
    h: Held, memory: Bytes, at: int, stride: int, rows: int, inner: int, outer_stride: int, sums: Bytes, at_sums: int,
    sums_stride: int, more: bool,
) -> int:  # fmt: skip
    """Multiply rows by what is held.

    Byte (m, k) stands at `at` + (m // `inner`) `outer_stride` + (m % `inner`) `stride` + k.

    Parameters
    ----------
    sums, at_sums, sums_stride
        Memory of int32 sums, uint8; place of the first, and bytes from row to row; of any alignment.
    more
        Whether products are added to what stands there.

    Returns
    -------
    Products whose factors are both nonzero.
    """
    form, depth = h.state[FORM], h.state[DEPTH]
    flip = SIGN * (h.state[SIGNED] and form != UNSIGNED_COLUMNS)
    pitch = (depth + LANES - 1) // LANES * LANES * (2 if form == PAIRS else 1)
    most = min(STREAM_ROWS, max(len(h.rows) // pitch // ROWS * ROWS, ROWS))
    h.counts[:depth] = 0
    for row in range(0, rows, most):
        amount = min(most, rows - row)
        done = 0
        while done < amount:  # what is left of a run
            outer, within = (row + done) // inner, (row + done) % inner
            few = min(amount - done, inner - within)
            place = at + outer * outer_stride + within * stride
            lanes.read_rows(form, memory, place, stride, few, depth, flip, h.rows[done * pitch :], pitch, h.counts)
            done += few
        _multiply(h, amount, pitch, sums, at_sums + row * sums_stride, sums_stride, more)
    return _effectual(h)


@inner
def _multiply(h: Held, rows: int, pitch: int, sums: Bytes, at: int, stride: int, more: bool) -> None:
    """Add the products of converted rows to sums, or put them there."""
    form, columns = h.state[FORM], h.state[COLUMNS]
    groups = (h.state[DEPTH] + _group(form) - 1) // _group(form)
    for column in range(0, columns, LANES):
        lanes.multiply(
            form, h.rows, pitch, rows, h.columns, column // LANES * groups * GROUP_BYTES, groups, sums, at + 4 * column,
            stride, int(more), min(columns - column, LANES), h.start, 4 * column,
        )  # fmt: skip


@inner
def _effectual(h: Held) -> int:
    """Products of nonzeros of the rows that streamed last and of what is held."""
    total = 0
    for k in range(np.uint64(h.state[DEPTH])):
        total += np.int64(h.counts[k]) * h.nonzeros[k]
    return total
