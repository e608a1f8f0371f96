"""Trace files: every fault has its place, and no file makes the reader fail in another way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dram_strategies import parts, shipped_part, traces
from dram_streams import trace_text
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import AccelSimError
from accelsim.memory import trace as trace_module
from accelsim.memory.trace import Trace, last_cycle, read_trace, run_trace

PART = shipped_part("DDR4_8Gb_x8_3200")
LAST = PART.capacity_bytes - 1


def refusal(path: Path, content: bytes) -> str:
    """What is said of a trace file, behind its name."""
    path.write_bytes(content)
    with pytest.raises(AccelSimError) as caught:
        read_trace(path, PART)
    (fault,) = caught.value.faults
    assert fault.file == str(path)
    return str(fault).removeprefix(str(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ": must hold at least one request, but is empty"),
        (b"\n \n\t\n", ": must hold at least one request, but is empty"),
        (b"0x0 READ\n", ":1:1: must be an address, READ or WRITE, and a cycle, not 2 words"),
        (b"0x0 READ 0\n\n  0x0 READ 0 0\n", ":3:3: must be an address, READ or WRITE, and a cycle, not 4 words"),
        (b"zero READ 0\n", ":1:1: address must be hexadecimal, not 'zero'"),
        (b"-0x40 READ 0\n", ":1:1: address must be hexadecimal, not '-0x40'"),
        (b"+40 READ 0\n", ":1:1: address must be hexadecimal, not '+40'"),
        (b"0x4_0 READ 0\n", ":1:1: address must be hexadecimal, not '0x4_0'"),
        (b"0x READ 0\n", ":1:1: address must be hexadecimal, not '0x'"),
        (b"0x0 READ 0\n0x400000000 READ 0\n",
         ":2:1: address must be below the capacity of DDR4_8Gb_x8_3200, 0x400000000, not 0x400000000"),
        (b"0x" + b"f" * 80 + b" READ 0\n",
         ":1:1: address must be below the capacity of DDR4_8Gb_x8_3200, 0x400000000, not 0x" + "f" * 80),
        (b"0x0 read 0\n", ":1:5: must be READ or WRITE, not 'read'"),
        (b"0x0 WRIT 0\n", ":1:5: must be READ or WRITE, not 'WRIT'; did you mean WRITE?"),
        (b"0x0 WRITE -1\n", ":1:11: cycle must be an integer from 0 to 62400000000, not '-1'"),
        (b"0x0 WRITE 1e3\n", ":1:11: cycle must be an integer from 0 to 62400000000, not '1e3'"),
        (b"0x0 WRITE 1099511627777\n", ":1:11: cycle must be an integer from 0 to 62400000000, not '1099511627777'"),
        (b"0x0 WRITE " + b"9" * 90 + b"\n",
         ":1:11: cycle must be an integer from 0 to 62400000000, not '" + "9" * 75 + "...'"),
        (b"0x0 READ 0\n0x0 R\xc3\xa9AD 0\n", ":2:6: must be ASCII text"),
        (b"0x40 READ 0\n" * 5000 + b"\x1f\x8b\n", ":5001:2: must be ASCII text"),
        (b"\0" * 4096, ":1:256: must be a line of less than 256 characters"),
        (b"0x0 READ 0\n" + b" " * 256, ":2:256: must be a line of less than 256 characters"),
    ],
    ids=range(21),
)  # fmt: skip
def test_a_fault_is_told_with_its_line_and_column(content: bytes, expected: str, tmp_path: Path) -> None:
    assert refusal(tmp_path / "trace.txt", content) == expected


def test_a_device_that_never_ends_is_refused_at_once() -> None:
    with pytest.raises(AccelSimError, match="must be a regular file, but is a device"):
        read_trace(Path("/dev/zero"), PART)


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AccelSimError, match="must be a readable file: Is a directory"):
        read_trace(tmp_path, PART)
    with pytest.raises(AccelSimError, match="must be a readable file: No such file"):
        read_trace(tmp_path / "none", PART)


def test_a_trace_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "MAX_REQUESTS", 3)
    assert len(_read(tmp_path, b"0x0 READ 0\n" * 3 + b"\n").address) == 3
    assert refusal(tmp_path / "t", b"0x0 READ 0\n" * 4) == ":4: must hold at most 3 requests"


def _read(folder: Path, content: bytes) -> Trace:
    file = folder / "trace.txt"
    file.write_bytes(content)
    return read_trace(file, PART)


def test_bounds_belong_to_what_is_accepted(tmp_path: Path) -> None:
    trace = _read(tmp_path, f"{LAST:#X} WRITE {last_cycle(PART)}\r\n\n  0 READ 0007\t\n40 READ 1".encode())
    assert trace.address.tolist() == [LAST, 0, 0x40]
    assert trace.write.tolist() == [True, False, False]
    assert trace.cycle.tolist() == [last_cycle(PART), 7, 1]


@given(st.data())
def test_a_trace_survives_its_text(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    part = data.draw(parts())
    trace = data.draw(traces(part))
    file = tmp_path_factory.getbasetemp() / "round.txt"
    file.write_text(trace_text(trace))
    back = read_trace(file, part)
    assert np.array_equal(back.address, trace.address)
    assert np.array_equal(back.write, trace.write)
    assert np.array_equal(back.cycle, trace.cycle)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.txt"
    file.write_bytes(content)
    try:
        trace = read_trace(file, PART)
    except AccelSimError as error:
        assert str(error).startswith(str(file))
    else:
        assert trace.address.size > 0


def test_keeping_commands_and_progress_change_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "CHUNK", 7)
    monkeypatch.setattr(trace_module, "LOG_ROOM", 2)
    trace = Trace(np.arange(60) * 4096 % 65536, np.arange(60) % 3 == 0, np.arange(60) * 300)
    seen: list[tuple[int, int]] = []
    kept = run_trace(PART, trace, keep_commands=True, progress=lambda done, of: seen.append((done, of)))
    plain = run_trace(PART, trace)
    assert seen == [*((done, 60) for done in range(7, 60, 7)), (60, 60)]
    assert kept.result.model_copy(update={"cmdtrace_sha256_16": None}) == plain.result
    assert (
        len(kept.commands)
        == kept.result.act_cmds
        + kept.result.pre_cmds
        + kept.result.ref_cmds
        + 60
        - (kept.result.merged_reads + kept.result.merged_writes + kept.result.forwarded_reads)
        - kept.result.writes_left_in_buffer
    )
    assert plain.commands.size == 0


def test_latencies_are_those_of_a_lone_read() -> None:
    result = run_trace(PART, Trace(np.array([0]), np.array([False]), np.array([1000]))).result
    assert result.last_accept_clk == 1000
    # in the clock after its acceptance it moves to its bank's queue; then ACT, tRCD, RD, CL, a burst of four clocks
    assert result.max_read_lat_clk == 1 + 22 + 22 + 4
    assert PART.latency_clocks == result.max_read_lat_clk
    assert result.last_read_cb_clk == 1001 + 49
    assert (result.p50_read_lat_clk, result.p99_read_lat_clk, result.avg_read_lat_clk) == (49, 49, 49.0)


def test_percentiles_are_those_of_sorted_latencies() -> None:
    random = np.random.default_rng(5)
    trace = Trace(random.integers(0, 2**20, 999) * 64, np.zeros(999, np.bool_), np.zeros(999, np.int64))
    run = run_trace(PART, trace)
    ordered = sorted(run.read_latency.tolist())
    assert run.result.p50_read_lat_clk == ordered[499]
    assert run.result.p99_read_lat_clk == ordered[int(0.99 * 998)]
    assert run.result.max_read_lat_clk == ordered[-1]


def test_writes_alone_have_no_read_latency() -> None:
    result = run_trace(PART, Trace(np.array([0, 64]), np.array([True, True]), np.array([0, 0]))).result
    assert result.avg_read_lat_clk is result.p50_read_lat_clk is result.max_read_lat_clk is None
    assert result.row_hit_rate is result.avg_write_lat_clk is result.pJ_per_32b_total is None
    assert result.writes_left_in_buffer == 2
    assert (result.bw_GBps, result.t_last_data) == (0.0, 0)
