"""The DMA units' request ports, burst by burst: who is granted one in which cycle, and when its data are there.

Ports are served round robin beginning with the first; the turn moves on with a grant. A transfer's accesses of its
scratchpad's port are spread evenly over its bursts: burst n is requested after n of that many shares.

A resource of constant rate (`accelsim.memory.rate.Rate`) is kept here as a whole number of cycles, WHOLE, and a rest
below `per`, so that serving it takes no division.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.kernels import crossing
from accelsim.kernels.borrowing import inner

Int64 = NDArray[np.int64]

NEVER = 1 << 62

#: Models of the DRAM.
IDEAL, SIMPLE, BANKED = range(3)

# the state: a header, then a record for each DMA unit, then their heaps of return cycles
(
    MODEL,
    PORTS,
    TURN,
    PENDING,
    AWAITED,
    ARRIVED,
    GRANTS,
    # the channel of a simple DRAM
    CHANNEL,
    CHANNEL_REST,
    CHANNEL_PER,
    CHANNEL_COST,
    CHANNEL_COST_REST,
    LATENCY,
    # a banked DRAM
    OUTSTANDING,
    BURST_BYTES,
    HEAPS,
    # completion of the last transfer that a simple DRAM has served
    COMPLETED,
    HEADER,
) = range(18)

# a port: the transfer that requests bursts, or INSTRUCTION = -1
(
    UNIT,
    INSTRUCTION,
    TAG,
    WRITES,
    BURSTS,
    GRANTED,
    WAITED,
    PORT_FREE,
    HAS_PORT,
    SHARE,
    SHARE_REST,
    SHARE_COST,
    SHARE_COST_REST,
    ROW_ADDRESS,
    STRIDE,
    ROW_BYTES,
    ROWS_LEFT,
    BASE,
    NEXT_RUN,
    LINE,
    LAST_LINE,
    IN_FLIGHT,
    PORT_WORDS,
) = range(23)


@inner
def begin(d: Int64, port: int, i: int, bursts: int, words: int, cycle: int) -> None:
    """Begin a transfer.

    Parameters
    ----------
    i
        Its instruction.
    words
        Cycles of the scratchpad's port, or of the host's link; 0 for one without limit.
    """
    p = HEADER + port * PORT_WORDS
    d[p + INSTRUCTION] = i
    d[p + BURSTS] = bursts
    d[p + GRANTED] = 0
    d[p + WAITED] = 0
    d[p + PORT_FREE] = cycle
    d[p + HAS_PORT] = words > 0
    d[p + SHARE] = 0
    d[p + SHARE_REST] = 0
    d[p + SHARE_COST] = words // bursts
    d[p + SHARE_COST_REST] = words % bursts
    d[PENDING] += 1
    d[ARRIVED] = 1


@inner
def moved(
    d: Int64, port: int, tag: int, writes: int, address: int, stride: int, rows: int, row_bytes: int, runs: int
) -> None:
    """Say what the transfer that has begun moves to or from a banked DRAM: rows of bytes, for a layer's tag.

    Parameters
    ----------
    runs
        Place of a list among the state's words, or 0: address, from `address` on, and bytes of each of so many rows.
    """
    d[AWAITED] += 1
    p, size = HEADER + port * PORT_WORDS, d[BURST_BYTES]
    d[p + BASE], d[p + NEXT_RUN] = address, 0
    if runs:
        address, row_bytes = address + d[runs], d[runs + 1]
        d[p + NEXT_RUN] = runs + 2
    elif rows > 1 and stride == row_bytes:
        rows, row_bytes = 1, rows * row_bytes
    d[p + TAG] = tag
    d[p + WRITES] = writes
    d[p + ROW_ADDRESS] = address
    d[p + STRIDE] = stride
    d[p + ROW_BYTES] = row_bytes
    d[p + ROWS_LEFT] = rows - 1
    d[p + LINE] = address // size
    d[p + LAST_LINE] = (address + row_bytes - 1) // size


@inner
def grant_all(d: Int64, unit: int, bursts: int, grants: NDArray[np.int8]) -> None:
    """Grant all bursts of a transfer at once, as an ideal DRAM does."""
    for k in range(d[GRANTS], d[GRANTS] + bursts):
        grants[k] = unit
    d[GRANTS] += bursts


@inner
def _next_line(d: Int64, p: int) -> None:
    """Go on to the next burst; one that ends a row and begins the next is requested once."""
    if d[p + LINE] < d[p + LAST_LINE]:
        d[p + LINE] += 1
        return
    size = d[BURST_BYTES]
    while d[p + ROWS_LEFT] > 0:
        d[p + ROWS_LEFT] -= 1
        run = d[p + NEXT_RUN]
        if run:
            address = d[p + BASE] + d[run]
            d[p + ROW_BYTES] = d[run + 1]
            d[p + NEXT_RUN] = run + 2
        else:
            address = d[p + ROW_ADDRESS] + d[p + STRIDE]
        d[p + ROW_ADDRESS] = address
        last = d[p + LAST_LINE]
        first = address // size
        d[p + LAST_LINE] = (address + d[p + ROW_BYTES] - 1) // size
        d[p + LINE] = first + (first == last)
        if d[p + LINE] <= d[p + LAST_LINE]:
            return


@inner
def _grant(d: Int64, p: int, cycle: int, grants: NDArray[np.int8]) -> bool:
    """Take note of a grant; say whether it was the transfer's last one."""
    grants[d[GRANTS]] = d[p + UNIT]
    d[GRANTS] += 1
    port = (p - HEADER) // PORT_WORDS + 1
    d[TURN] = 0 if port == d[PORTS] else port
    if cycle > d[p + PORT_FREE]:
        d[p + WAITED] += cycle - d[p + PORT_FREE]
    if d[p + HAS_PORT]:
        if d[p + SHARE] < cycle:
            d[p + SHARE] = cycle
            d[p + SHARE_REST] = 0
        d[p + SHARE] += d[p + SHARE_COST]
        d[p + SHARE_REST] += d[p + SHARE_COST_REST]
        if d[p + SHARE_REST] >= d[p + BURSTS]:
            d[p + SHARE_REST] -= d[p + BURSTS]
            d[p + SHARE] += 1
        d[p + PORT_FREE] = d[p + SHARE] + (d[p + SHARE_REST] > 0)
    else:
        d[p + PORT_FREE] = cycle + 1
    d[p + GRANTED] += 1
    if d[p + GRANTED] < d[p + BURSTS]:
        return False
    d[PENDING] -= 1
    return True


@inner
def _ready(d: Int64, p: int, cycle: int) -> int:
    """First cycle, not before `cycle`, in which a transfer requests its next burst."""
    if d[p + HAS_PORT] and d[p + SHARE] > cycle:
        share: int = d[p + SHARE]
        return share
    return cycle


@inner
def _in_turn(d: Int64, number: int) -> int:
    """Record of the number-th port in turn."""
    port = d[TURN] + number
    if port >= d[PORTS]:
        port -= d[PORTS]
    record: int = HEADER + port * PORT_WORDS
    return record


@inner
def simple_wake(d: Int64, cycle: int) -> int:
    """First cycle from `cycle` on in which a channel of constant rate grants a burst."""
    soonest = NEVER
    for port in range(d[PORTS]):
        p = HEADER + port * PORT_WORDS
        if d[p + INSTRUCTION] >= 0:
            soonest = min(soonest, _ready(d, p, cycle))
    return max(soonest, d[CHANNEL]) if d[PENDING] else NEVER


@inner
def simple_grant(d: Int64, cycle: int, grants: NDArray[np.int8]) -> int:
    """Grant one burst in the cycle that `simple_wake` names.

    Returns
    -------
    The port whose transfer had its last burst granted, or -1. Its completion is COMPLETED then.
    """
    number = 0
    p = _in_turn(d, number)
    while d[p + INSTRUCTION] < 0 or _ready(d, p, cycle) != cycle:
        number += 1
        p = _in_turn(d, number)
    if d[CHANNEL] < cycle:
        d[CHANNEL] = cycle
        d[CHANNEL_REST] = 0
    d[CHANNEL] += d[CHANNEL_COST]
    d[CHANNEL_REST] += d[CHANNEL_COST_REST]
    if d[CHANNEL_REST] >= d[CHANNEL_PER]:
        d[CHANNEL_REST] -= d[CHANNEL_PER]
        d[CHANNEL] += 1
    last = _grant(d, p, cycle, grants)
    if last:
        d[COMPLETED] = max(d[p + PORT_FREE], d[CHANNEL] + (d[CHANNEL_REST] > 0)) + d[LATENCY]
    return (p - HEADER) // PORT_WORDS if last else -1


@inner
def simple_stream(d: Int64, cycle: int, until: int, grants: NDArray[np.int8]) -> None:
    """Grant the bursts of the only transfer from a cycle on, as `simple_grant` does: before `until`, and not the last.

    Nobody else can ask for a burst before `until`.
    """
    p = HEADER
    while d[p + INSTRUCTION] < 0:
        p += PORT_WORDS
    channel, channel_rest = d[CHANNEL], d[CHANNEL_REST]
    cost, cost_rest, per = d[CHANNEL_COST], d[CHANNEL_COST_REST], d[CHANNEL_PER]
    share, share_rest = d[p + SHARE], d[p + SHARE_REST]
    share_cost, share_cost_rest, bursts = d[p + SHARE_COST], d[p + SHARE_COST_REST], d[p + BURSTS]
    has_port = d[p + HAS_PORT] != 0
    free, waited, granted, number = d[p + PORT_FREE], d[p + WAITED], d[p + GRANTED], d[GRANTS]
    while granted + 1 < bursts:
        cycle = max(cycle, channel)
        if has_port:
            cycle = max(cycle, share)
        if cycle >= until:
            break
        if channel < cycle:
            channel, channel_rest = cycle, 0
        channel += cost
        channel_rest += cost_rest
        if channel_rest >= per:
            channel_rest -= per
            channel += 1
        grants[number] = d[p + UNIT]
        number += 1
        granted += 1
        waited += max(0, cycle - free)
        if has_port:
            if share < cycle:
                share, share_rest = cycle, 0
            share += share_cost
            share_rest += share_cost_rest
            if share_rest >= bursts:
                share_rest -= bursts
                share += 1
            free = share + (share_rest > 0)
        else:
            free = cycle + 1
    if number > d[GRANTS]:
        port = (p - HEADER) // PORT_WORDS + 1
        d[TURN] = 0 if port == d[PORTS] else port
    d[CHANNEL], d[CHANNEL_REST] = channel, channel_rest
    d[p + SHARE], d[p + SHARE_REST] = share, share_rest
    d[p + PORT_FREE], d[p + WAITED], d[p + GRANTED], d[GRANTS] = free, waited, granted, number


# a port's heap of the cycles in which its bursts return: their number, then the cycles


@inner
def _heap(d: Int64, port: int) -> int:
    heap: int = d[HEAPS] + port * (1 + d[OUTSTANDING])
    return heap


@inner
def returns(d: Int64, port: int, cycle: int) -> None:
    """Note the cycle in which a burst of a port returns."""
    heap = _heap(d, port)
    at = d[heap]
    d[heap] = at + 1
    base = heap + 1
    while at > 0:
        above = (at - 1) >> 1
        if d[base + above] <= cycle:
            break
        d[base + at] = d[base + above]
        at = above
    d[base + at] = cycle


@inner
def _pop_return(d: Int64, heap: int) -> None:
    d[heap] -= 1
    count = d[heap]
    base = heap + 1
    last = d[base + count]
    at = 0
    while True:
        below = 2 * at + 1
        if below >= count:
            break
        if below + 1 < count and d[base + below + 1] < d[base + below]:
            below += 1
        if d[base + below] >= last:
            break
        d[base + at] = d[base + below]
        at = below
    d[base + at] = last


@inner
def banked_grant(
    d: Int64, m: Int64, c: Int64, level: Int64 | None, cycle: int, grants: NDArray[np.int8]
) -> int:  # fmt: skip
    """Grant the next burst that the memory accepts in a cycle.

    Returns
    -------
    Its port, or -1 if there is none; PORTS is added if it was the transfer's last one.
    """
    if crossing.exhausted(c, level, cycle):
        return -1
    for number in range(d[PORTS]):
        p = _in_turn(d, number)
        if d[p + INSTRUCTION] < 0:
            continue
        port = (p - HEADER) // PORT_WORDS
        heap = _heap(d, port)
        while d[heap] > 0 and d[heap + 1] <= cycle:
            _pop_return(d, heap)
            d[p + IN_FLIGHT] -= 1
        if _ready(d, p, cycle) != cycle or d[p + IN_FLIGHT] >= d[OUTSTANDING]:
            continue
        line, size = d[p + LINE], d[BURST_BYTES]
        start = d[p + ROW_ADDRESS]
        covered = start <= line * size and (line + 1) * size <= start + d[p + ROW_BYTES]
        if not crossing.offer(m, c, level, line, d[p + WRITES] != 0, covered, d[p + INSTRUCTION], d[p + TAG], cycle):
            continue
        d[p + IN_FLIGHT] += 1
        _next_line(d, p)
        return port + (d[PORTS] if _grant(d, p, cycle, grants) else 0)
    return -1


@inner
def banked_wake(d: Int64, c: Int64, level: Int64 | None, cycle: int) -> int:
    """First cycle after `cycle` in which a burst may be granted or a completion may become known."""
    if d[AWAITED] == 0:
        return NEVER
    wake = crossing.eventful(c, level)
    for port in range(d[PORTS]):
        p = HEADER + port * PORT_WORDS
        if d[p + INSTRUCTION] < 0:
            continue
        ready = _ready(d, p, cycle)
        heap = _heap(d, port)
        if ready > cycle:
            wake = min(wake, ready)
        elif d[p + IN_FLIGHT] >= d[OUTSTANDING] and d[heap] > 0:
            wake = min(wake, d[heap + 1])
        elif crossing.exhausted(c, level, cycle):
            wake = min(wake, cycle + 1)
    return max(wake, cycle + 1)
