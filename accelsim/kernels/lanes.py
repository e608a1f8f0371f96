"""The innermost loops of integer products, on vectors of 16 sums: what numba's loops over arrays do not reach.

A stretch of inputs (K) that fills the 32 bits of one sum is a group. Two forms of it:

- pairs: two int16 inputs. Any processor; LLVM makes one instruction of the sum of two products where there is one
  (pmaddwd of AVX2 and AVX-512).
- quads: four bytes, of one operand unsigned, of the other signed: `vpdpbusd` of AVX512-VNNI multiplies and adds them at
  once. Where both operands are signed, 128 is added to the rows' bytes, and sums begin with less 128 times the sum of
  their column.

Both are exact: a product of 8-bit operands takes at most 16 bits and its sign, so that of four of them takes 19, and
int32 sums wrap as the machine's adders do.

Functions take arrays with offsets in bytes and check nothing. Without numba's compiler (NUMBA_DISABLE_JIT), functions
of numpy stand in for them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]

#: Sums of a vector.
LANES = 16
#: Bytes of a group of 16 columns.
GROUP_BYTES = 4 * LANES
#: Rows of sums that stay in registers over all groups: with 16 registers of 256 bits there is room for six.
ROWS = 6
#: Forms of a group; of quads, which operand is unsigned.
PAIRS, UNSIGNED_ROWS, UNSIGNED_COLUMNS = range(3)

COMPILED = not numba.config.DISABLE_JIT  # type: ignore[attr-defined] # set by numba at run time


def _features() -> dict[str, bool]:
    """Features of the processor that numba compiles for; none that are sure if the user has named another."""
    config = numba.config
    named = config.CPU_NAME is not None or config.CPU_FEATURES is not None  # type: ignore[attr-defined] # as above
    if not COMPILED or named or not config.ENABLE_AVX:  # type: ignore[attr-defined] # as above
        return {}
    return dict(binding.get_host_cpu_features())


_FEATURES = _features()
_QUADS = _FEATURES.get("avx512vnni", False)
#: Whether quads are used: where the processor has AVX512-VNNI, unless ACCELSIM_VNNI=0 forbids it.
VNNI = _QUADS and os.environ.get("ACCELSIM_VNNI", "1") != "0"

_I1, _I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
_SUMS, _MASK, _BYTES = (ir.VectorType(kind, LANES) for kind in (_I32, _I1, _I8))


class _Emit:
    """Emits vector instructions at a builder's place."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context = context
        self.builder = builder

    def data(self, kind: types.Array, array: ir.Value, offset: ir.Value) -> ir.Value:
        """Address of an array's byte."""
        pointer = self.context.make_array(kind)(self.context, self.builder, array).data
        return self.at(self.builder.bitcast(pointer, _I8.as_pointer()), offset)

    def at(self, pointer: ir.Value, *offset: ir.Value | int) -> ir.Value:
        """Address some bytes further on: by the product of what is given."""
        first, *rest = (_I64(x) if isinstance(x, int) else x for x in offset)
        for factor in rest:
            first = self.builder.mul(first, factor)
        return self.builder.gep(pointer, [first], source_etype=_I8)

    def load(self, kind: ir.Type, pointer: ir.Value) -> ir.Value:
        """Value at an address of any alignment."""
        return self.builder.load(self.builder.bitcast(pointer, kind.as_pointer()), align=1, typ=kind)

    def store(self, value: ir.Value, pointer: ir.Value) -> None:
        """Put a value to an address of any alignment."""
        self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()), align=1)

    def splat(self, value: ir.Value, lanes: int = LANES) -> ir.Value:
        """Vector of one value."""
        kind = ir.VectorType(value.type, lanes)
        single = self.builder.insert_element(kind(ir.Undefined), value, _I32(0))
        return self.builder.shuffle_vector(single, kind(ir.Undefined), ir.VectorType(_I32, lanes)([0] * lanes))

    def narrow(self, value: ir.Value, kind: ir.IntType, lanes: int = LANES) -> ir.Value:
        """Vector of the low bits of an int64."""
        return self.splat(self.builder.trunc(value, kind), lanes)

    def first(self, amount: ir.Value) -> ir.Value:
        """Mask of the first lanes."""
        return self.builder.icmp_signed("<", _SUMS(list(range(LANES))), self.narrow(amount, _I32))

    def masked_load(self, kind: ir.VectorType, pointer: ir.Value, mask: ir.Value) -> ir.Value:
        """Vector at an address; lanes outside the mask are 0 and not read."""
        name = f"llvm.masked.load.v{LANES}i{kind.element.width}.p0"
        address = self.builder.bitcast(pointer, kind.as_pointer())
        return self._call(name, kind, [address, _I32(1), mask, kind([0] * LANES)])

    def masked_store(self, value: ir.Value, pointer: ir.Value, mask: ir.Value) -> None:
        """Put the lanes of a mask to an address."""
        address = self.builder.bitcast(pointer, value.type.as_pointer())
        name = f"llvm.masked.store.v{LANES}i{value.type.element.width}.p0"
        self._call(name, ir.VoidType(), [value, address, _I32(1), mask])

    def _call(self, name: str, result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)  # type: ignore[no-untyped-call] # numba's
        return self.builder.call(function, arguments)

    def interleave(self, inputs: list[ir.Value]) -> ir.Value:
        """Bytes of two or four vectors in turn."""
        turns = ir.VectorType(_I32, 2 * LANES)([lane for i in range(LANES) for lane in (i, LANES + i)])
        pairs = [self.builder.shuffle_vector(a, b, turns) for a, b in zip(inputs[::2], inputs[1::2], strict=True)]
        if len(pairs) == 1:
            return pairs[0]
        words = [self.builder.bitcast(pair, ir.VectorType(_I16, LANES)) for pair in pairs]
        return self.builder.bitcast(self.builder.shuffle_vector(*words, turns), _SUMS)

    def add_products(self, form: int, total: ir.Value, row: ir.Value, columns: ir.Value) -> ir.Value:
        """Sums, and the products of one group of a row with those of 16 columns; all of 16 x 32 bits."""
        builder = self.builder
        if form != PAIRS:
            factors = [row, columns] if form == UNSIGNED_ROWS else [columns, row]
            return self._call("llvm.x86.avx512.vpdpbusd.512", _SUMS, [total, *factors])
        pair, wide = ir.VectorType(_I16, 2 * LANES), ir.VectorType(_I32, 2 * LANES)
        product = builder.mul(*(builder.sext(builder.bitcast(operand, pair), wide) for operand in (row, columns)))
        halves = (
            builder.shuffle_vector(product, wide(ir.Undefined), _SUMS(list(range(start, 2 * LANES, 2))))
            for start in (0, 1)
        )
        return builder.add(total, builder.add(*halves))

    def tile(
        self, form: int, rows: int, x: ir.Value, pitch: ir.Value, w: ir.Value, groups: ir.Value, sums: ir.Value,
        stride: ir.Value, more: ir.Value, mask: ir.Value, start: ir.Value,
    ) -> None:  # fmt: skip
        """Add to rows of 16 sums, which stay in registers over all groups."""
        builder = self.builder
        added = builder.and_(mask, self.narrow(more, _I1))
        places = [self.at(sums, stride, r) for r in range(rows)]
        begin = [builder.add(self.masked_load(_SUMS, place, added), self.load(_SUMS, start)) for place in places]
        before, loop, after = builder.block, builder.append_basic_block("group"), builder.append_basic_block("sums")
        builder.branch(loop)
        builder.position_at_end(loop)
        group = builder.phi(_I64)
        totals = [builder.phi(_SUMS) for _ in begin]
        columns, of_rows = self.load(_SUMS, self.at(w, group, GROUP_BYTES)), self.at(x, group, 4)
        results = []
        for r, total in enumerate(totals):
            row = self.splat(self.load(_I32, self.at(of_rows, pitch, r)))
            results.append(self.add_products(form, total, row, columns))
        following = builder.add(group, _I64(1))
        for phi, old, new in zip([group, *totals], [_I64(0), *begin], [following, *results], strict=True):
            phi.add_incoming(old, before)
            phi.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", following, groups), loop, after)
        builder.position_at_end(after)
        for place, result in zip(places, results, strict=True):
            self.masked_store(result, place, mask)

    def strip(
        self, form: int, width: int, memory: ir.Value, stride: ir.Value, rows: ir.Value, live: ir.Value,
        flip: ir.Value, out: ir.Value, pitch: ir.Value, counts: ir.Value,
    ) -> None:  # fmt: skip
        """Convert `width` inputs of each row, and count their nonzeros."""
        builder = self.builder
        kind, counted, pair = (ir.VectorType(element, width) for element in (_I8, _I32, _I16))
        mask, flipped = self.first(live), self.narrow(flip, _I8, width)
        before, loop, after = builder.block, builder.append_basic_block("row"), builder.append_basic_block("counts")
        builder.branch(loop)
        builder.position_at_end(loop)
        row, count = builder.phi(_I64), builder.phi(kind)
        place = self.at(memory, row, stride)
        values = self.masked_load(kind, place, mask) if width == LANES else self.load(kind, place)
        nonzero = builder.zext(builder.icmp_signed("!=", values, kind([0] * width)), kind)
        following, more = builder.add(row, _I64(1)), builder.add(count, nonzero)
        converted = builder.xor(values, flipped)
        if form == PAIRS:
            converted = builder.sub(builder.zext(converted, pair), builder.zext(flipped, pair))
        self.store(converted, self.at(out, row, pitch))
        for phi, old, new in ((row, _I64(0), following), (count, kind([0] * width), more)):
            phi.add_incoming(old, before)
            phi.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", following, rows), loop, after)
        builder.position_at_end(after)
        self.store(builder.add(self.load(counted, counts), builder.zext(more, counted)), counts)

    def pack(
        self, form: int, memory: ir.Value, stride: ir.Value, depth: ir.Value, live: ir.Value, flip: ir.Value,
        out: ir.Value, nonzeros: ir.Value, start: ir.Value,
    ) -> None:  # fmt: skip
        """Convert 16 columns, count each input's nonzeros, and find what the columns' sums begin with."""
        builder, size = self.builder, 2 if form == PAIRS else 4
        mask, zeros = self.first(live), _BYTES([0] * LANES)
        before, loop, after = builder.block, builder.append_basic_block("group"), builder.append_basic_block("start")
        builder.branch(loop)
        builder.position_at_end(loop)
        group, total = builder.phi(_I64), builder.phi(_SUMS)
        inputs = []
        for i in range(size):
            k = builder.add(builder.mul(group, _I64(size)), _I64(i))
            there = builder.and_(mask, self.splat(builder.icmp_signed("<", k, depth)))
            inputs.append(self.masked_load(_BYTES, self.at(memory, k, stride), there))
            bits = builder.bitcast(builder.icmp_signed("!=", inputs[-1], zeros), _I16)
            place = self.at(nonzeros, k, 8)
            self.store(builder.add(self.load(_I64, place), builder.zext(builder.ctpop(bits), _I64)), place)
        packed, offset = self.interleave(inputs), total
        if form == PAIRS:
            pair, flipped = ir.VectorType(_I16, 2 * LANES), self.narrow(flip, _I8, 2 * LANES)
            packed = builder.sub(builder.zext(builder.xor(packed, flipped), pair), builder.zext(flipped, pair))
        else:
            row = builder.mul(self.narrow(flip, _I32), _SUMS([0x01010101] * LANES))
            offset = self.add_products(UNSIGNED_ROWS, total, row, packed)
        self.store(packed, self.at(out, group, GROUP_BYTES))
        following = builder.add(group, _I64(1))
        for phi, old, new in ((group, _I64(0), following), (total, _SUMS([0] * LANES), offset)):
            phi.add_incoming(old, before)
            phi.add_incoming(new, loop)
        builder.cbranch(builder.icmp_signed("<", builder.mul(following, _I64(size)), depth), loop, after)
        builder.position_at_end(after)
        self.store(builder.sub(_SUMS([0] * LANES), offset), start)


_NUMBER = types.int64


@intrinsic
def _multiply(typing, form, x, pitch, rows, w, at_w, groups, sums, at, stride, more, live, start, at_start):  # type: ignore[no-untyped-def]  # noqa: ARG001 - numba asks for this form
    """Add the products of rows and 16 columns to sums.

    Parameters
    ----------
    form
        Form of the groups.
    x, pitch, rows
        Groups of the rows, uint8; bytes from row to row, and how many.
    w, at_w, groups
        Groups of the columns, uint8, from byte `at_w` on, and how many.
    sums, at, stride, more
        Memory of int32 sums, uint8; byte of the first, bytes from row to row, and 1 to add to what is there, or 0.
    live
        Columns that there are.
    start, at_start
        What sums begin with, int32, from a byte on.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> ir.Value:
        emit = _Emit(context, builder)
        form, x, pitch, rows, w, at_w, groups, sums, at, stride, more, live, start, at_start = arguments
        kinds, mask = signature.args, emit.first(live)
        of_x, of_w = emit.data(kinds[1], x, _I64(0)), emit.data(kinds[4], w, at_w)
        of_sums, of_start = emit.data(kinds[7], sums, at), emit.data(kinds[12], start, at_start)
        whole = builder.sdiv(rows, _I64(ROWS))
        done = builder.mul(whole, _I64(ROWS))
        for one in (PAIRS, UNSIGNED_ROWS, UNSIGNED_COLUMNS) if _QUADS else (PAIRS,):
            with builder.if_then(builder.icmp_signed("==", form, _I64(one))):
                for height, first, amount in ((ROWS, _I64(0), whole), (1, done, builder.sub(rows, done))):
                    with cgutils.for_range(builder, amount) as loop:
                        row = builder.add(first, builder.mul(loop.index, _I64(height)))
                        from_x, to = emit.at(of_x, row, pitch), emit.at(of_sums, row, stride)
                        emit.tile(one, height, from_x, pitch, of_w, groups, to, stride, more, mask, of_start)
        return context.get_dummy_value()

    n = _NUMBER
    return types.void(n, x, n, n, w, n, n, sums, n, n, n, n, start, n), generate


@intrinsic
def _read_rows(typing, form, memory, at, stride, rows, depth, flip, out, pitch, counts):  # type: ignore[no-untyped-def]  # noqa: ARG001 - numba asks for this form
    """Convert at most 255 rows of bytes to groups, and count each input's nonzeros.

    Parameters
    ----------
    memory, at, stride, rows, depth
        Bytes, uint8; place of the first, bytes from row to row, rows, and inputs.
    flip
        Pairs: 128 if the bytes are signed. Quads: 128 if it is to be added to them. Else 0.
    out, pitch
        Groups, uint8, and bytes from row to row.
    counts
        Nonzeros so far, int32, shape of at least the inputs' next multiple of 16.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> ir.Value:
        emit = _Emit(context, builder)
        form, memory, at, stride, rows, depth, flip, out, pitch, counts = arguments
        kinds = signature.args
        of_memory, of_out = emit.data(kinds[1], memory, at), emit.data(kinds[7], out, _I64(0))
        of_counts = emit.data(kinds[9], counts, _I64(0))
        long, short = 4 * LANES, LANES
        strips = builder.sdiv(depth, _I64(long))
        done = builder.mul(strips, _I64(long))
        rest = builder.sdiv(builder.add(builder.sub(depth, done), _I64(short - 1)), _I64(short))
        for pairs in (True, False):
            with builder.if_then(builder.icmp_signed("==" if pairs else "!=", form, _I64(PAIRS))):
                for width, first, amount in ((long, _I64(0), strips), (short, done, rest)):
                    with cgutils.for_range(builder, amount) as loop:
                        k = builder.add(first, builder.mul(loop.index, _I64(width)))
                        to = emit.at(of_out, k, 2 if pairs else 1)
                        emit.strip(
                            PAIRS if pairs else UNSIGNED_ROWS, width, emit.at(of_memory, k), stride, rows,
                            builder.sub(depth, k), flip, to, pitch, emit.at(of_counts, k, 4),
                        )  # fmt: skip
        return context.get_dummy_value()

    n = _NUMBER
    return types.void(n, memory, n, n, n, n, n, out, n, counts), generate


@intrinsic
def _pack_columns(typing, form, memory, at, stride, depth, live, flip, out, at_out, nonzeros, start, at_start):  # type: ignore[no-untyped-def]  # noqa: ARG001 - numba asks for this form
    """Convert 16 columns of rows of bytes to groups.

    Parameters
    ----------
    memory, at, stride, depth, live
        Bytes, uint8; place of the first, bytes from input to input, inputs, and columns that there are.
    flip
        Pairs: 128 if the bytes are signed. Quads: 128 if it is added to the rows that they are multiplied with. Else 0.
    out, at_out
        Groups, uint8, and place of the first.
    nonzeros
        Of each input so far, int64, shape of at least the inputs' next multiple of 4.
    start, at_start
        What sums begin with, int32, from a byte on.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> ir.Value:
        emit = _Emit(context, builder)
        form, memory, at, stride, depth, live, flip, out, at_out, nonzeros, start, at_start = arguments
        kinds = signature.args
        of_memory, of_out = emit.data(kinds[1], memory, at), emit.data(kinds[7], out, at_out)
        of_nonzeros, of_start = emit.data(kinds[9], nonzeros, _I64(0)), emit.data(kinds[10], start, at_start)
        for pairs in (True, False) if _QUADS else (True,):
            with builder.if_then(builder.icmp_signed("==" if pairs else "!=", form, _I64(PAIRS))):
                emit.pack(
                    PAIRS if pairs else UNSIGNED_ROWS, of_memory, stride, depth, live, flip, of_out, of_nonzeros,
                    of_start,
                )  # fmt: skip
        return context.get_dummy_value()

    n = _NUMBER
    return types.void(n, memory, n, n, n, n, n, out, n, nonzeros, start, n), generate


@intrinsic
def _copy(typing, source, at, out, at_out, size):  # type: ignore[no-untyped-def]  # noqa: ARG001 - numba asks for this form
    """Copy bytes of one array to another."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> ir.Value:
        emit = _Emit(context, builder)
        source, at, out, at_out, size = arguments
        kinds = signature.args
        to, begin = emit.data(kinds[2], out, at_out), emit.data(kinds[0], source, at)
        cgutils.raw_memcpy(builder, to, begin, size, 1)  # type: ignore[no-untyped-call] # numba's
        return context.get_dummy_value()

    return types.void(source, _NUMBER, out, _NUMBER, _NUMBER), generate


# what stands in for them without the compiler; it knows pairs alone


def _plain_multiply(
    _form: int, x: Bytes, pitch: int, rows: int, w: Bytes, at_w: int, groups: int, sums: Bytes, at: int, stride: int,
    more: int, live: int, start: Int32, at_start: int,
) -> None:  # fmt: skip
    columns = w[at_w : at_w + GROUP_BYTES * groups].view(np.int16).reshape(groups, LANES, 2).astype(np.int64)
    for r in range(rows):
        row = x[r * pitch :][: 4 * groups].view(np.int16).reshape(groups, 1, 2)
        products = (row * columns).sum(axis=(0, 2)) + start[at_start // 4 : at_start // 4 + LANES]
        place = sums[at + r * stride :][: 4 * live]
        before = place.copy().view(np.int32) if more else np.zeros(live, np.int32)
        place[:] = (before + products[:live]).astype(np.int32).view(np.uint8)


def _plain_read_rows(
    _form: int, memory: Bytes, at: int, stride: int, rows: int, depth: int, flip: int, out: Bytes, pitch: int,
    counts: Int32,
) -> None:  # fmt: skip
    for r in range(rows):
        row = memory[at + r * stride :][:depth]
        out[r * pitch :][: 2 * depth].view(np.int16)[:] = row.view(np.int8) if flip else row
        counts[:depth] += row != 0


def _plain_pack_columns(
    _form: int, memory: Bytes, at: int, stride: int, depth: int, live: int, flip: int, out: Bytes, at_out: int,
    nonzeros: Int64, start: Int32, at_start: int,
) -> None:  # fmt: skip
    for group in range((depth + 1) // 2):
        place = out[at_out + group * GROUP_BYTES :][:GROUP_BYTES].view(np.int16).reshape(LANES, 2)
        place[:] = 0
        for i in range(min(2, depth - 2 * group)):
            row = memory[at + (2 * group + i) * stride :][:live]
            place[:live, i] = row.view(np.int8) if flip else row
            nonzeros[2 * group + i] += np.count_nonzero(row)
    start[at_start // 4 : at_start // 4 + LANES] = 0


def _plain_copy(source: Bytes, at: int, out: Bytes, at_out: int, size: int) -> None:
    out[at_out : at_out + size] = source[at : at + size]


multiply: Callable[..., None] = _multiply if COMPILED else _plain_multiply
read_rows: Callable[..., None] = _read_rows if COMPILED else _plain_read_rows
pack_columns: Callable[..., None] = _pack_columns if COMPILED else _plain_pack_columns
copy: Callable[..., None] = _copy if COMPILED else _plain_copy
