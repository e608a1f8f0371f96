"""The kernel against a plain controller that knows no skipping: the same commands in the same clocks."""

from __future__ import annotations

import dram_reference
import numpy as np
import pytest
from dram_checker import ACT, PRE, RD, violations
from dram_strategies import changed, odd_parts, parts, shipped_part, traces
from dram_streams import address
from hypothesis import given
from hypothesis import strategies as st

from accelsim.config.dram import Part
from accelsim.memory.trace import Trace, run_trace


def same(part: Part, trace: Trace) -> None:
    expected = dram_reference.run(part, trace)
    run = run_trace(part, trace, keep_commands=True)
    assert list(map(tuple, run.commands.tolist())) == expected.commands
    assert run.result.clk_end == expected.end
    assert run.result.last_accept_clk == expected.accepted[-1] - 1
    assert run.result.writes_left_in_buffer == expected.left
    latency = np.array(expected.done) - expected.accepted
    assert run.read_latency.tolist() == latency[~trace.write].tolist()
    assert violations(part, run.commands, run.result.clk_end) == []


@given(st.data())
def test_shipped_parts_serve_requests_in_the_same_clocks(data: st.DataObject) -> None:
    part = data.draw(parts())
    same(part, data.draw(traces(part, 150)))


@given(st.data())
def test_parts_with_any_timing_serve_requests_in_the_same_clocks(data: st.DataObject) -> None:
    part = data.draw(odd_parts())
    same(part, data.draw(traces(part, 150)))


def in_place(part: Part, rows: int) -> Trace:
    """A tile of one bank is read, then written from its end: the first writes' lines have reads that still wait."""
    at = [address(part, ro=row) for row in range(rows)]
    write = np.repeat([False, True], rows)
    return Trace(np.array(at + at[::-1]), write, np.zeros(2 * rows, np.int64))


def test_a_tile_that_is_written_in_place_finishes_where_the_stock_drain_hangs() -> None:
    part = changed(shipped_part("DDR4_8Gb_x8_3200"), trans_queue_size=16)
    trace = in_place(part, 24)
    with pytest.raises(dram_reference.StuckError):
        dram_reference.run(part, trace, stock_drain=True)
    result = run_trace(part, trace).result
    assert result.rd_cmds == 24
    assert result.wr_cmds + result.writes_left_in_buffer == 24
    same(part, trace)


@pytest.mark.parametrize("name", ["DDR4_8Gb_x8_3200", "LPDDR4_8Gb_x16_2400", "HBM2_8Gb_x128"])
@pytest.mark.parametrize("rows", [9, 33, 40, 64, 200])
def test_in_place_tiles_of_any_size_finish(name: str, rows: int) -> None:
    part = shipped_part(name)
    result = run_trace(part, in_place(part, rows)).result
    assert result.rd_cmds == rows
    assert result.wr_cmds + result.writes_left_in_buffer == rows


def test_the_oldest_request_closes_a_row_that_others_want_after_four_accesses() -> None:
    # with so short a tRTP the bank can be closed between two reads
    part = changed(shipped_part("DDR4_8Gb_x8_3200"), trtp=2, tras=23)
    rows, columns = [0, 1, *[0] * 9], [0, 0, *range(1, 10)]
    at = [address(part, ro=row, co=column) for row, column in zip(rows, columns, strict=True)]
    trace = Trace(np.array(at), np.zeros(11, np.bool_), np.zeros(11, np.int64))
    kinds = run_trace(part, trace, keep_commands=True).commands[:, 1].tolist()
    assert kinds == [ACT, *[RD] * 4, PRE, ACT, RD, PRE, ACT, *[RD] * 6]
    same(part, trace)
