"""Which earlier instructions each instruction must wait for, from the bytes that they touch.

What was accessed last is kept for each region: its last write, and its last reads by unit and moment. A region is
dropped when a write covers all of it, so the regions that are left hold exactly the bytes that were written, or read
since; a part of one that was overwritten gives no new hazard, because that write has waited already. To find the
regions that an access meets, each memory is cut into buckets, and each has a list of the regions that reach into it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.kernels.borrowing import borrowing
from accelsim.kernels.clocks import MOMENTS, WORDS
from accelsim.kernels.strides import ADDRESS, END, alike, holds, overlap, reach

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int8 = NDArray[np.int8]

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


class Touched(NamedTuple):
    """What a program's instructions touch.

    Parameters
    ----------
    unit, kind
        Unit and kind of each instruction, shape (n,).
    own
        Accesses of kind k are own[k] to own[k + 1] - 1; shape (kinds + 1,).
    number, write, until
        Region, kind and last moment of each access.
    ranges
        Bytes of each region, memories one after the other; shape (regions, strides.FIELDS).
    shapes
        Rows of each region, their stride and bytes, also of those that touch; shape (regions, 3).
    image
        End of the bytes of the region's memory that are there from the start on, shape (regions,).
    bucket, span, first, owner
        Region r lies in buckets bucket[r] to bucket[r] + span[r] - 1; its nodes of their lists are first[r] and those
        after it, which `owner` names it for.
    forwards
        Whether a unit's instructions see what earlier ones of its own will write, shape (units,).
    """

    unit: Int8
    kind: Int32
    own: Int64
    number: Int32
    write: NDArray[np.bool_]
    until: Int64
    ranges: Int64
    shapes: Int64
    image: Int64
    bucket: Int64
    span: Int64
    first: Int64
    owner: Int32
    forwards: NDArray[np.bool_]


class Last(NamedTuple):
    """Who touched what last.

    Parameters
    ----------
    writer, ordinal, until
        Unit that wrote each region last, -1 for none, how many instructions it had begun then, and the moment until
        which it writes; shape (regions,).
    reader
        How many instructions each unit had begun when one of them last read each region until a moment; shape
        (regions, clocks.WORDS).
    is_read, defined
        Whether each region is read since it was written, and whether all its bytes were written once; shape (regions,).
    written, read
        First node of each bucket's lists of regions that were written and read, -1 for none; shape (buckets,).
    written_after, read_after
        Node after each node, -1 for none, -2 if it is in no list; shape (nodes,).
    begun
        Instructions of each unit so far, shape (units,).
    """

    writer: Int64
    ordinal: Int64
    until: Int64
    reader: Int32
    is_read: NDArray[np.bool_]
    defined: NDArray[np.bool_]
    written: Int32
    read: Int32
    written_after: Int32
    read_after: Int32
    begun: Int64


def nobody(regions: int, buckets: int, nodes: int, units: int) -> Last:
    """State before the first instruction."""
    return Last(
        writer=np.full(regions, -1, np.int64),
        ordinal=np.zeros(regions, np.int64),
        until=np.zeros(regions, np.int64),
        reader=np.zeros((regions, WORDS), np.int32),
        is_read=np.zeros(regions, np.bool_),
        defined=np.zeros(regions, np.bool_),
        written=np.full(buckets, -1, np.int32),
        read=np.full(buckets, -1, np.int32),
        written_after=np.full(nodes, _OUT, np.int32),
        read_after=np.full(nodes, _OUT, np.int32),
        begun=np.zeros(units, np.int64),
    )


@njit(cache=True)
def find(low: int, high: int, touched: Touched, last: Last, need: Int32) -> tuple[int, int]:
    """Collect the hazards of a stretch of a program: read after write, write after read, write after write.

    Instructions of one unit are ordered by their queue. They make no hazard among themselves, but that of reading what
    the unit has not yet made visible, if it does not forward it.

    Parameters
    ----------
    low, high
        The stretch.
    last
        What those before it left; goes on.
    need
        Result, shape (high - low, clocks.WORDS): 1 + the index of the last instruction of a unit whose moment must
        have passed before instruction i starts, 0 for none.

    Returns
    -------
    The first instruction that reads bytes that nothing wrote, and its access; or twice -1.
    """
    unit, kind, own, number, write, until, ranges, shapes, image, bucket, span, first, owner, forwards = touched
    writer, ordinal, writer_until, reader, is_read, defined, written, read, written_after, read_after, begun = last
    for i in range(low, high):
        u, at = unit[i], i - low
        begun[u] += 1
        need[at] = 0
        for a in range(own[kind[i]], own[kind[i] + 1]):
            r, writes = int(number[a]), write[a]
            known = defined[r] or ranges[r, END] <= image[r]
            for b in range(bucket[r], bucket[r] + span[r]):
                before, node = -1, int(written[b])
                while node >= 0:
                    x, following = int(owner[node]), int(written_after[node])
                    if writer[x] >= 0 and (x == r or overlap(ranges, x, r)):
                        v = writer[x]
                        if v != u or not (writes or forwards[u]):
                            k = v * MOMENTS + writer_until[x]
                            need[at, k] = max(need[at, k], ordinal[x])
                        known = known or x == r or holds(ranges, x, r)
                        if writes and (x == r or holds(ranges, r, x)):
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
                    return i, a
                defined[r] = True
                reader[r, u * MOMENTS + until[a]] = begun[u]
                is_read[r] = True
                _link(read, read_after, first, bucket, span, r)
                continue
            for b in range(bucket[r], bucket[r] + span[r]):
                before, node = -1, int(read[b])
                while node >= 0:
                    x, following = int(owner[node]), int(read_after[node])
                    if is_read[x] and (x == r or overlap(ranges, x, r)):
                        for k in range(WORDS):
                            if k // MOMENTS != u:
                                need[at, k] = max(need[at, k], reader[x, k])
                        if x == r or holds(ranges, r, x):
                            reader[x] = 0
                            is_read[x] = False
                    if is_read[x]:
                        before = node
                    else:
                        _unlink(read, read_after, b, before, node)
                    node = following
            writer[r], ordinal[r], writer_until[r] = u, begun[u], until[a]
            defined[r] = True
            _link(written, written_after, first, bucket, span, r)
    return -1, -1
