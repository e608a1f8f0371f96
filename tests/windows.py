"""Random windows, and what they move, run by run in plain Python."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from hypothesis import assume
from hypothesis import strategies as st

from accelsim.isa.descriptors import Descriptor, window


class Run(NamedTuple):
    """A run of a window: first byte in DRAM and on chip, and whether it is inside the image."""

    dram: int
    chip: int
    there: bool


def runs(d: Descriptor, dram: int, chip: int, row: int, column: int) -> Iterator[Run]:
    """All runs of a window, in order."""
    for index in itertools.product(*map(range, d.counts)):
        y, x, far, near = (
            sum(i * step for i, step in zip(index, steps, strict=True))
            for steps in (d.row_steps, d.column_steps, d.dram_strides, d.strides)
        )
        yield Run(dram + far, chip + near, 0 <= row + y < d.height and 0 <= column + x < d.width)


@st.composite
def descriptors(draw: st.DrawFn, *, bounded: bool = True, writes_dram: bool = False) -> Descriptor:
    """Windows of any order on chip, where no byte is written twice, nor in DRAM if a scatter writes it."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    run_bytes = draw(st.integers(1, 9))

    def apart(gaps: list[int]) -> list[int]:
        extent, strides = run_bytes, [0] * len(counts)
        for d in draw(st.permutations(range(len(counts)))):
            strides[d] = extent + draw(st.sampled_from(gaps))
            extent = strides[d] * counts[d]
        return strides

    strides = apart([0, 0, 1, 5])
    anywhere = st.sampled_from([0, run_bytes, 1, 7, 60, 64, 700, 4096])
    far = apart([0, 0, 1, 64, 700]) if writes_dram else [draw(anywhere) for _ in counts]
    steps = [[draw(st.integers(0, 2)) if bounded else 0 for _ in counts] for _ in range(2)]
    height, width = (draw(st.integers(1, 6)) if any(own) else 1 for own in steps)
    found = Descriptor.of(
        *zip(counts, far, strides, *steps, strict=True), run_bytes=run_bytes, height=height, width=width,
        fill=draw(st.integers(0, 255)),
    )  # fmt: skip
    lies = window(found)
    assume(lies.exact_on_chip and (lies.exact_in_dram or not writes_dram))  # else it is refused
    return found
