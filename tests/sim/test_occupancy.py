"""Bytes that memories hold against a count byte by byte of what is still to be read, and against their capacity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compiler.test_graphs import grown, recipes, roomier, typed
from compiler.test_place import chain
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from strategies import DATAPATHS, machines

import accelsim as package
from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.recipe import Recipe
from accelsim.config.arch import Machine
from accelsim.errors import CompileError
from accelsim.isa import accesses
from accelsim.isa.opcodes import Memory
from accelsim.isa.program import Program
from accelsim.results import Execution, Held
from accelsim.sim import fast
from accelsim.sim.occupancy import occupancy
from accelsim.workload.network import Network


def wanted(program: Program, on: Machine, execution: Execution, held: Held) -> NDArray[np.int64]:
    """Bytes that are written and still to be read in the first cycle of each part of the run; one access at a time."""
    memory = Memory[held.memory.upper()]
    found, t = accesses.of_program(program.instructions, on, program.tables), execution.timeline
    written, read = (np.full(held.capacity_bytes, -1) for _ in range(2))
    total = np.zeros(len(held.cycle), np.int64)

    def over(bytes_: NDArray[np.int64], cycle: int) -> None:
        for byte in bytes_[read[bytes_] >= 0].tolist():
            total[(held.cycle >= written[byte]) & (held.cycle < min(read[byte], cycle))] += 1
        read[bytes_] = -1

    for instruction, access in zip(*(column.tolist() for column in found.each()), strict=True):
        if found.memory[access] != memory:
            continue
        address, stride, rows, row_bytes = found.region(access)
        bytes_ = np.unique(address + stride * np.arange(rows)[:, None] + np.arange(row_bytes))
        if found.write[access]:
            over(bytes_, int(t.start[instruction]))
            written[bytes_] = t.start[instruction]
        else:
            read[bytes_] = (t.start, t.free, t.end)[found.until[access]][instruction]
    over(np.arange(held.capacity_bytes), execution.cycles)
    return total


def assert_held(program: Program, on: Machine) -> tuple[Held, ...]:
    """All that is still to be read is held, and no memory holds more than it can."""
    execution = fast.execute(program, on, timing_only=True)
    found = occupancy(program, on, execution)
    for held in found:
        assert held.cycle[0] == 0
        assert (np.diff(held.cycle) > 0).all()
        assert (held.kept >= 0).all()
        assert (held.tiles >= 0).all()
        assert (held.kept + held.tiles <= held.capacity_bytes).all()
        assert (held.kept + held.tiles >= wanted(program, on, execution, held)).all()
    return found


@pytest.mark.parametrize("kind", DATAPATHS)
@given(network=grown(most=3), by=recipes(), data=st.data())
@settings(max_examples=4)
def test_what_is_still_to_be_read_is_held(kind: str, network: Network, by: Recipe, data: st.DataObject) -> None:
    on = roomier(data.draw(machines(kinds=[kind])))
    try:
        program = compile_graph(*typed(network, by), on)
    except CompileError:
        assume(False)
        raise
    assert_held(program, on)


def test_values_that_stay_are_there_from_layer_to_layer() -> None:
    program, on = chain()
    activation, *others = assert_held(program, on)
    assert [held.memory for held in (activation, *others)] == ["activation", "weight", "accumulator"]
    first, second = program.header.kept
    # while the second layer runs, each with a pixel of padding around its two images
    assert int(activation.kept.max()) == 2 * (first.image_bytes + second.image_bytes) == 2 * 2 * 10 * 10 * 8
    assert not any(held.kept.any() for held in others)
    assert activation.capacity_bytes == on.activation.capacity_bytes


def test_a_result_tells_it_as_a_table(tmp_path: Any) -> None:
    result = package.run(timing_only=True)
    frame = result.occupancy
    assert list(frame) == ["memory", "capacity_bytes", "cycle", "kept_bytes", "tile_bytes"]
    assert list(frame["memory"].unique()) == ["activation", "accumulator"]
    assert frame["cycle"].max() < result.cycles
    assert tmp_path / "occupancy.parquet" in result.save(tmp_path)
