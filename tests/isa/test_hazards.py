"""Which bytes were written before they are read, against sets of bytes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.config.load import load_machine
from accelsim.isa import hazards
from accelsim.isa.accesses import Accesses
from accelsim.isa.kinds import Kinds
from accelsim.isa.opcodes import INSTRUCTION, LOAD, Memory
from accelsim.memory.region import Region

MACHINE = load_machine("edge-ws")


@st.composite
def regions(draw: st.DrawFn) -> Region:
    """Rows that may touch and are often aligned, so that some regions cover others together."""
    row_bytes = draw(st.sampled_from([1, 2, 4, 8, 16]))
    stride = row_bytes * draw(st.sampled_from([1, 2, 4])) + draw(st.sampled_from([0, 0, 0, 1]))
    return Region(draw(st.integers(0, 8)) * 4, stride, draw(st.integers(1, 6)), row_bytes)


def bytes_of(region: Region) -> set[int]:
    return {region.address + i * region.stride + j for i in range(region.rows) for j in range(region.row_bytes)}


@given(st.lists(regions(), min_size=1, max_size=16), regions(), st.sampled_from([0, 5, 16]))
@settings(max_examples=600)
def test_a_read_is_of_bytes_that_the_image_or_writes_before_have(
    writes: list[Region], read: Region, image_bytes: int
) -> None:
    code = np.zeros(len(writes) + 1, INSTRUCTION)
    code["opcode"] = LOAD
    found = Accesses(
        kinds=Kinds(np.arange(len(code), dtype=np.int32), np.arange(len(code))),
        first=np.arange(len(code) + 1),
        write=np.array([True] * len(writes) + [False]),
        until=np.ones(len(code), np.int64),
        number=np.arange(len(code), dtype=np.int32),
        regions=np.array([(Memory.DRAM, r.address, r.stride, r.rows, r.row_bytes) for r in [*writes, read]]),
    )
    known = set(range(image_bytes)).union(*map(bytes_of, writes))
    (stretch,) = hazards.find(hazards.Queues.of(code).unit, found, image_bytes, MACHINE)
    assert stretch.undefined == (None if bytes_of(read) <= known else (len(writes), len(writes)))
