"""Which earlier instructions each instruction must wait for, from the bytes that they touch.

What was accessed last is kept for each region: its last write, and its last reads by unit and moment. A region is
dropped when a write covers all of it, so the regions that are left hold exactly the bytes that were written, or read
since; a part of one that was overwritten gives no new hazard, because that write has waited already. To find the
regions that an access meets, each memory is cut into buckets, and each has a list of the regions that reach into it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels.borrowing import borrowing
from accelsim.kernels.strides import ADDRESS, END, alike, holds, overlap, reach

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]

#: Not in a list.
_OUT = -2


@borrowing
def _link(head: Int32, after: Int32, first: Int64, bucket: Int64, span: Int64, r: int) -> None:
    """Put a region on the lists of its buckets that it is not on."""
    for k in range(span[r]):
        node = first[r] + k
        if after[node] == _OUT:
            after[node] = head[bucket[r] + k]
            head[bucket[r] + k] = node


@borrowing
def _unlink(head: Int32, after: Int32, b: int, before: int, node: int) -> None:
    """Take a node out of the list of a bucket, the node before it being `before`, or -1."""
    if before < 0:
        head[b] = after[node]
    else:
        after[before] = after[node]
    after[node] = _OUT


@borrowing
def _wait_for(need: Int32, i: int, unit: int, moment: int, count: int) -> None:
    need[i, unit, moment] = max(need[i, unit, moment], count)


@borrowing
def _is_defined(
    ranges: Int64,
    head: Int32,
    after: Int32,
    owner: Int32,
    writer: Int64,
    bucket: Int64,
    span: Int64,
    image: int,
    r: int,
    shape: Int64,
) -> bool:
    """Whether the image and the regions that were written have all bytes of a region.

    Parameters
    ----------
    image
        End of the bytes that the memory holds from the start on.
    shape
        The region's rows, their stride and bytes.
    """
    row, count, stride, row_bytes = 0, shape[0], shape[1], shape[2]
    while row < count:
        begin = ranges[r, ADDRESS] + row * stride
        at, end = max(begin, image), begin + row_bytes
        rows = 1 if at > begin else count - row  # that are covered as this one is
        while at < end:
            further = at
            for b in range(bucket[r], bucket[r] + span[r]):
                node = head[b]
                while node >= 0:
                    reached = reach(ranges, owner[node], at) if writer[owner[node]] >= 0 else -1
                    if reached > further:
                        further, by = reached, owner[node]
                    node = after[node]
            if further == at:
                return False
            rows = min(rows, alike(ranges, by, at, min(further, end), stride))
            at = further
        row += rows
    return True


@njit(cache=True)
def find(
    unit: Int64,
    index: Int64,
    instruction: Int64,
    number: Int32,
    write: NDArray[np.bool_],
    until: Int64,
    ranges: Int64,
    shapes: Int64,
    image: Int64,
    bucket: Int64,
    span: Int64,
    first: Int64,
    owner: Int32,
    buckets: int,
    forwards: NDArray[np.bool_],
    need: Int32,
) -> int:
    """Collect the hazards of a program: read after write, write after read, write after write.

    Instructions of one unit are ordered by their queue. They make no hazard among themselves, but that of reading what
    the unit has not yet made visible, if it does not forward it.

    Parameters
    ----------
    unit, index
        Unit of each instruction, and its number among the unit's instructions; shape (n,).
    instruction, number, write, until
        Instruction, region, kind and last moment of each access; shape (accesses,), sorted by instruction.
    ranges
        Bytes of each region, memories one after the other; shape (regions, strides.FIELDS).
    shapes
        Rows of each region, their stride and bytes, also of those that touch; shape (regions, 3).
    image
        End of the bytes of the region's memory that are there from the start on, shape (regions,).
    bucket, span, first, owner, buckets
        Region r lies in buckets bucket[r] to bucket[r] + span[r] - 1 of all `buckets`; its nodes of their lists are
        first[r] and those after it, which `owner` names it for.
    forwards
        Whether a unit's instructions see what earlier ones of its own will write, shape (units,).
    need
        Result, zeros, shape (n, units, moments): 1 + the index of the last instruction of a unit whose moment must
        have passed before instruction i starts, 0 for none.

    Returns
    -------
    Number of the first access that reads bytes that nothing wrote, or -1.
    """
    regions, units, moments = len(ranges), need.shape[1], need.shape[2]
    writer, writer_until = np.full(regions, -1, np.int64), np.zeros(regions, np.int64)
    reader = np.zeros((regions, units, moments), np.int32)
    is_read, defined = np.zeros(regions, np.bool_), np.zeros(regions, np.bool_)
    written, read = np.full(buckets, -1, np.int32), np.full(buckets, -1, np.int32)
    written_after, read_after = np.full(len(owner), _OUT, np.int32), np.full(len(owner), _OUT, np.int32)
    for a in range(len(instruction)):
        i, r, writes = instruction[a], int(number[a]), write[a]
        u, known = unit[i], defined[r] or ranges[r, END] <= image[r]
        for b in range(bucket[r], bucket[r] + span[r]):
            before, node = -1, int(written[b])
            while node >= 0:
                x, following = int(owner[node]), int(written_after[node])
                if writer[x] >= 0 and overlap(ranges, x, r):
                    v = unit[writer[x]]
                    if v != u or not (writes or forwards[u]):
                        _wait_for(need, i, v, writer_until[x], index[writer[x]] + 1)
                    known = known or holds(ranges, x, r)
                    if writes and holds(ranges, r, x):
                        writer[x] = -1
                if writer[x] < 0:
                    _unlink(written, written_after, b, before, node)
                else:
                    before = node
                node = following
        if not writes:
            if not known and not _is_defined(
                ranges, written, written_after, owner, writer, bucket, span, image[r], r, shapes[r]
            ):
                return a
            defined[r] = True
            reader[r, u, until[a]] = index[i] + 1
            is_read[r] = True
            _link(read, read_after, first, bucket, span, r)
            continue
        for b in range(bucket[r], bucket[r] + span[r]):
            before, node = -1, int(read[b])
            while node >= 0:
                x, following = int(owner[node]), int(read_after[node])
                if is_read[x] and overlap(ranges, x, r):
                    for v in range(units):
                        for m in range(moments if v != u else 0):
                            _wait_for(need, i, v, m, reader[x, v, m])
                    if holds(ranges, r, x):
                        reader[x] = 0
                        is_read[x] = False
                if is_read[x]:
                    before = node
                else:
                    _unlink(read, read_after, b, before, node)
                node = following
        writer[r], writer_until[r] = i, until[a]
        defined[r] = True
        _link(written, written_after, first, bucket, span, r)
    return -1
