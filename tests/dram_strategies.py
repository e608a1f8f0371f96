"""Random DRAM parts and traces."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from dram_checker import refresh_slack
from dram_streams import address, field_bits
from hypothesis import strategies as st

from accelsim.config import shipped
from accelsim.config.dram import FIELDS, Part
from accelsim.config.load import load_part
from accelsim.memory.trace import Trace

NAMES = tuple(shipped.names("dram"))


@cache
def shipped_part(name: str) -> Part:
    return load_part(name)


def changed(part: Part, **keys: object) -> Part:
    """A part with other values of keys, whichever section they stand in."""
    data = part.model_dump()
    for key, value in keys.items():
        section = next((data[name] for name in ("dram_structure", "timing", "system") if key in data[name]), data)
        section[key] = value
    return Part.model_validate(data)


def with_ranks(part: Part, ranks: int) -> Part:
    return changed(part, channel_size=ranks * part.rank_bytes >> 20)


@st.composite
def parts(draw: st.DrawFn, names: tuple[str, ...] = NAMES) -> Part:
    """Shipped parts with another controller, map, bus, number of channels and ranks."""
    part = shipped_part(draw(st.sampled_from(names)))
    width = part.dram_structure.device_width
    part = changed(
        part,
        address_mapping="".join(draw(st.permutations(FIELDS))),
        channels=draw(st.sampled_from((1, 1, 2, 4))),
        bus_width=width * draw(st.sampled_from((1, 2, 4))),
        cmd_queue_size=draw(st.sampled_from((8, 8, 5, 2, 1))),
        trans_queue_size=draw(st.sampled_from((9, 12, 32))),
        row_buf_policy=draw(st.sampled_from(("OPEN_PAGE", "OPEN_PAGE", "CLOSE_PAGE"))),
        inj_per_clk=draw(st.sampled_from((None, 1, 3))),
    )
    return with_ranks(part, draw(st.sampled_from((1, 1, 2, 4))))


@st.composite
def timings(draw: st.DrawFn) -> dict[str, Any]:
    """Timing values that no data sheet would have together."""

    def pair(name: str, low: int, high: int) -> dict[str, int]:
        short = draw(st.integers(low, high))
        return {f"{name}_s": short, f"{name}_l": short + draw(st.integers(0, high))}

    def between(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    al = between(0, 4)
    return {
        "tck": 1.0,
        "al": al,
        "cl": between(2, 30),
        "cwl": between(1, 30),
        "trcd": None,
        "trcdrd": al + between(1, 20),
        "trcdwr": al + between(1, 20),
        "trp": between(1, 25),
        "tras": between(1, 50),
        "trfc": between(1, 300),
        **pair("trrd", 1, 8),
        **pair("twtr", 1, 12),
        **pair("tccd", 1, 6),
        "tfaw": between(1, 60),
        "t32aw": draw(st.sampled_from((0, 150, 400))),
        "twr": between(1, 30),
        "trtp": between(1, 15),
        "trtrs": between(0, 4),
        "tppd": between(0, 4),
    }


@st.composite
def odd_parts(draw: st.DrawFn) -> Part:
    """Parts with random timing; refreshes are as often as a part may say."""
    part = draw(parts())
    drawn = changed(part, timing={**draw(timings()), "trefi": 10**6})
    shortest = part.ranks * (refresh_slack(drawn) + 1) + drawn.timing.trfc
    shortest += max(drawn.timing.activate_to_read, drawn.timing.activate_to_write)
    return changed(drawn, trefi=max(100, shortest + draw(st.integers(0, 400))))


@st.composite
def traces(draw: st.DrawFn, part: Part, most: int = 300) -> Trace:
    """Requests of a few lines in runs of reads and writes: what merges, forwards, waits and drains is frequent."""
    # a generator draws everything but the size: hypothesis would look at small and uniform traces most of the time
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = int(random.integers(1, draw(st.sampled_from((most, most, most, 30))) + 1))
    lines = random.choice((2, 16, 64, 400, 400))
    bits = field_bits(part)
    spread = {
        "ch": random.choice((0, bits["ch"])),
        "ra": random.choice((0, bits["ra"])),
        "bg": min(bits["bg"], random.choice((0, 0, 1, 9))),
        "ba": min(bits["ba"], random.choice((0, 0, 1, 9))),
        "ro": random.choice((1, 1, 2, 4)),
        "co": min(bits["co"], random.choice((0, 2, 5, 5))),
    }
    pool = np.array(
        [
            address(part, **{name: int(random.integers(1 << width)) for name, width in spread.items()})
            for _ in range(lines)
        ]
    )
    runs = random.geometric(1 / random.choice((1, 4, 40)), count)
    writes = random.random(count) < random.choice((0.0, 0.3, 0.5, 0.5, 0.8, 1.0))
    write = np.repeat(writes, runs)[:count]
    share, gap = random.choice(((0.0, 0), (0.0, 0), (0.3, 20), (0.05, 300), (0.01, 5000)))
    idle = random.random(count) < share
    gaps = np.where(idle, random.integers(0, int(gap) + 1, count), 0)
    return Trace(pool[random.integers(lines, size=count)], write, np.cumsum(gaps))
