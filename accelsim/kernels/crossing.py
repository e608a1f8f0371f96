"""The memory side as the core's clock sees it: a banked DRAM, behind a second level if there is one.

`m` is the state of the DRAM and `c` that of the crossing and the second level: `accelsim.memory.controllers` makes
both. `level` is `level(c)`. Cycles don't decrease from call to call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels import handover, second_level
from accelsim.kernels.borrowing import borrowing
from accelsim.kernels.crossing_records import KNOWN, WAYS

__all__ = ["KNOWN", "advance", "buffered", "eventful", "exhausted", "flush", "level", "offer"]

Int64 = NDArray[np.int64]


def level(c: Int64) -> Int64 | None:
    """State of the second level: `c`, or None if there is none, and nothing of it is compiled then."""
    return c if c.size and c[WAYS] else None


@borrowing
def advance(m: Int64, c: Int64, level: Int64 | None, cycle: int) -> int:
    """Run all DRAM clocks before a core cycle.

    Returns
    -------
    Requests whose completion has become known. Until the next `offer` the owner of number i, and the core cycle in
    which it is seen, are `c[c[KNOWN] + 2 * i]` and the word after it.
    """
    if level is not None:
        return second_level.advance(m, level, cycle)
    count, at = handover.advance(m, c, cycle), c[KNOWN]
    for i in range(count):
        c[at + 2 * i], c[at + 2 * i + 1] = handover.take(m, c, i)
    return count


@borrowing
def eventful(c: Int64, level: Int64 | None) -> int:
    """First core cycle before which `advance` has nothing to tell and what was refused stays refused."""
    if level is not None:
        return second_level.eventful(level)
    return handover.eventful(c)


@borrowing
def exhausted(c: Int64, level: Int64 | None, cycle: int) -> bool:
    """Whether no request at all is accepted any more in a cycle; with a second level that is up to its ports."""
    if level is not None:
        return False
    return handover.exhausted(c, cycle)


@borrowing
def offer(
    m: Int64, c: Int64, level: Int64 | None, line: int, write: bool, covered: bool, owner: int, tag: int, cycle: int
) -> bool:  # fmt: skip
    """Accept a request, or refuse it; `advance` has run up to the cycle.

    Parameters
    ----------
    line
        Number of the burst.
    covered
        Whether a write is of all bytes of the line, so that a second level need not fetch it.
    owner
        Whom `advance` tells of the completion, at least 0.
    """
    if level is not None:
        return second_level.offer(m, level, line, write, covered, owner, tag, cycle)
    if not handover.accepts(m, c, line, write):
        return False
    handover.push(m, c, line, write, owner, tag)
    return True


@borrowing
def buffered(m: Int64, c: Int64, level: Int64 | None, cycle: int, tag: int) -> int:
    """Writes that a tag is charged for and that wait for their commands at the beginning of a core cycle."""
    if level is not None:
        return second_level.buffered(m, level, cycle, tag)
    return handover.buffered(m, c, cycle, tag)


def flush(m: Int64, c: Int64, cycle: int) -> int:
    """Write all that is buffered from a core cycle on; return the cycle by which all data have moved."""
    kernel = handover.flush if level(c) is None else second_level.flush
    return kernel(m, c, cycle)
