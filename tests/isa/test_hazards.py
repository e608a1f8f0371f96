"""Which bytes were written before they are read, and what must be waited for, against sets of bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.config.load import load_machine
from accelsim.isa import hazards
from accelsim.isa.accesses import Accesses
from accelsim.isa.kinds import Kinds
from accelsim.isa.opcodes import INSTRUCTION, LOAD, MATMUL, MOMENTS, REQUANTIZE, STORE, Memory
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


class Touch(NamedTuple):
    """A random access."""

    write: bool
    until: int
    region: Region


@st.composite
def programs(draw: st.DrawFn) -> list[tuple[int, list[Touch]]]:
    """Opcodes and accesses, reads before writes, of a few instructions."""
    opcodes = st.sampled_from([LOAD, STORE, MATMUL, REQUANTIZE])
    moments = st.integers(0, MOMENTS - 1)
    touches = st.lists(st.builds(Touch, st.booleans(), moments, regions()), min_size=1, max_size=3)
    return [(draw(opcodes), sorted(draw(touches), key=lambda t: t.write)) for _ in range(draw(st.integers(1, 12)))]


@given(programs(), st.sampled_from([1, 3, 100]))
@settings(max_examples=300)
def test_needs_are_at_least_those_of_each_byte_and_at_most_those_of_all_conflicts(
    program: list[tuple[int, list[Touch]]], together: int
) -> None:
    code = np.zeros(len(program), INSTRUCTION)
    code["opcode"] = [opcode for opcode, _ in program]
    flat = [touch for _, touches in program for touch in touches]
    found = Accesses(
        kinds=Kinds(np.arange(len(code), dtype=np.int32), np.arange(len(code))),
        first=np.cumsum([0, *(len(touches) for _, touches in program)]),
        write=np.array([touch.write for touch in flat]),
        until=np.array([touch.until for touch in flat]),
        number=np.arange(len(flat), dtype=np.int32),
        regions=np.array([(Memory.DRAM, t.region.address, t.region.stride, *t.region[2:]) for t in flat]),
    )
    unit = hazards.Queues.of(code).unit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hazards, "TOGETHER", together)
        need = np.concatenate([stretch.need.copy() for stretch in hazards.find(unit, found, 1000, MACHINE)])
    ordinal = [unit[: i + 1].tolist().count(unit[i]) for i in range(len(code))]
    least, most = np.zeros_like(need), np.zeros_like(need)
    writer: dict[int, tuple[int, Touch]] = {}
    readers: dict[int, list[tuple[int, Touch]]] = {}
    for i, (_, touches) in enumerate(program):
        for touch in touches:
            for j, others in enumerate(program[:i]):
                for other in others[1]:
                    if (touch.write or other.write) and bytes_of(touch.region) & bytes_of(other.region):
                        _raise(most, unit, ordinal, i, touch, j, other)
            for byte in bytes_of(touch.region):
                before = [writer[byte]] if byte in writer else []
                for j, other in before + (readers.get(byte, []) if touch.write else []):
                    _raise(least, unit, ordinal, i, touch, j, other)
                if touch.write:
                    writer[byte], readers[byte] = (i, touch), []
                else:
                    readers.setdefault(byte, []).append((i, touch))
    assert (least <= need).all()
    assert (need <= most).all()


def _raise(
    need: NDArray[np.int32], unit: NDArray[np.int8], ordinal: list[int], i: int, touch: Touch, j: int, other: Touch
) -> None:
    """Note that an access of instruction i conflicts with one of instruction j, if the unit does not order the two."""
    if j < i and (unit[i] != unit[j] or (other.write and not touch.write and not hazards.FORWARDS[unit[i]])):
        k = unit[j] * MOMENTS + other.until
        need[i, k] = max(need[i, k], ordinal[j])
