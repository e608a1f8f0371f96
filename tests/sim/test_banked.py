"""Transfers through the banked controllers and over the host's link: hand-timed, and against the trace front."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hand_programs import load, program, run, spent, store, times
from harness import SIMPLE_DRAM, machine
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.config.arch import Machine
from accelsim.config.dram import Part
from accelsim.config.load import load_part
from accelsim.config.tech import Component, Event, Operation
from accelsim.errors import ProgramError
from accelsim.isa.opcodes import Unit
from accelsim.memory.trace import Trace, run_trace

DDR4 = load_part("DDR4_8Gb_x8_3200")
#: A core whose cycles are the clocks of that part.
SAME_CLOCK = 1e15 / DDR4.clock_period_fs


def on(part: Part = DDR4, outstanding: int = 64, **changes: Any) -> Machine:
    pads = {memory: {"ideal": True} for memory in ("activation", "weight", "output")}
    dma = {"outstanding_bursts": outstanding}
    return machine(**{**pads, "dram": {"kind": "banked", "part": part}, "dma": dma, **changes})


def with_system(**changes: Any) -> Part:
    return Part.model_validate({**DDR4.model_dump(), "system": {**DDR4.system.model_dump(), **changes}})


def test_one_burst_takes_a_move_an_activate_a_read_and_its_data() -> None:
    # clock 0: to the bank's queue; 1: activate; 23: read; 45 to 49: data. 49 clocks of 0.63 ns are 30.87 ns
    result = run(program(load(1, 0)), on())
    assert times(result) == [(0, 0, 1, 31)]
    assert spent(result, "load") == {"busy": 1, "drained": 30}
    assert DDR4.latency_clocks == 49


def test_a_write_is_acknowledged_at_once_and_flushed_at_the_end() -> None:
    # requested in cycle 31, before clock 50; acknowledged in clock 51, which cycle 33 sees. Flushed from clock 53 on:
    # moved in 53, written to the open row in 54, data until 54 + 16 + 4 = 74, which is 46.62 ns
    result = run(program(load(1, 0, "signal=end:s0", memory="weight"), store(1, 0, "wait=s0>=1")), on())
    assert times(result)[1] == (1, 31, 32, 33)
    assert result.cycles == 47
    assert result.activity is not None
    assert result.activity.writes.sum() == 1
    assert result.activity.buffered == 0


@given(bursts=st.integers(1, 500), per_clock=st.integers(1, 4), outstanding=st.sampled_from([1000]))
@settings(max_examples=20)
def test_a_transfer_takes_what_the_trace_front_says(bursts: int, per_clock: int, outstanding: int) -> None:
    part = with_system(inj_per_clk=per_clock)
    address = 64 * np.arange(bursts)
    zeros = np.zeros(bursts, np.int64)
    front = run_trace(part, Trace(address, zeros.astype(np.bool_), zeros)).result
    text = load(bursts, 0).replace("row_bytes=64 ", f"row_bytes={64 * bursts} ")
    wide = program(text, dram_bytes=64 * 512, image=64 * 512)
    result = run(wide, on(part, outstanding, clock_hz=SAME_CLOCK, activation={"ideal": True, "capacity_bytes": 2**16}))
    # the front adds its first request after clock 0, the machine before it
    assert times(result)[0][3] == front.last_read_cb_clk - 1


@pytest.mark.parametrize("outstanding", [1, 2, 64])
def test_no_more_bursts_are_in_flight_than_allowed(outstanding: int) -> None:
    result = run(program(load(8, 0)), on(outstanding=outstanding, clock_hz=SAME_CLOCK))
    end = times(result)[0][3]
    # a hit takes its move, read latency and data: 1 + 22 + 4 clocks; two in flight are 8 clocks apart, as tCCD_L wants
    assert end == {1: 49 + 7 * 27, 2: 49 + 8 + 3 * 27, 64: 49 + 7 * 8}[outstanding]


def test_reads_and_writes_of_halves_of_the_same_bursts_finish() -> None:
    # more writes than the buffer holds, each to a burst whose other half is being read: DRAMsim3 hangs there
    part = with_system(trans_queue_size=9, cmd_queue_size=1)
    half = "rows=24 row_bytes=32"
    lines = [f"load layer=0 dram=0 dram_stride=64 {half} memory=weight address=0 stride=32 signal=end:s0"]
    for _ in range(6):
        lines.append(f"load layer=0 dram=0 dram_stride=64 {half} memory=activation address=0 stride=32")
        lines.append(f"store layer=0 dram=32 dram_stride=64 {half} memory=weight address=0 stride=32 wait=s0>=1")
    result = run(program(*lines), on(part))
    done = result.activity
    assert done is not None
    assert done.accepted_reads == 7 * 24
    assert done.accepted_writes == 6 * 24
    assert done.reads.sum() + done.merged_reads + done.forwarded_reads == done.accepted_reads
    assert done.writes.sum() + done.merged_writes == done.accepted_writes


def test_commands_are_counted_for_the_layer_and_standby_for_the_time() -> None:
    lines = load(5, 0, "signal=end:s0", memory="weight"), store(3, 0, "wait=s0>=1"), load(3, 0)
    result = run(program(*lines), on(clock_hz=SAME_CLOCK))
    (counters,) = result.counters
    assert counters[Event(Component.DRAM, Operation.DRAM_READ, 512)] == 5  # the others are merged with them
    assert counters[Event(Component.DRAM, Operation.DRAM_WRITE, 512)] == 3
    assert counters[Event(Component.DRAM, Operation.DRAM_ACTIVATE, 1)] == 1
    active = counters[Event(Component.DRAM, Operation.DRAM_ACTIVE_CLOCK, 1)]
    precharged = counters[Event(Component.DRAM, Operation.DRAM_PRECHARGED_CLOCK, 1)]
    assert active + precharged == DDR4.ranks * result.cycles


def link(**changes: Any) -> Machine:
    """A simple DRAM of 4 cycles a burst behind a link of 8 bytes a cycle and a latency of 5 cycles."""
    host = {"io_bandwidth_bytes_per_s": 8e9, "io_latency_s": 5e-9, "issue_interval_cycles": 0}
    dram = {**SIMPLE_DRAM, "latency_s": 10e-9}
    return machine(**{"host": host, "dram": dram, "activation": {"ideal": True}, **changes})


def test_the_link_takes_its_bytes_then_dram_then_its_latency() -> None:
    # 128 bytes take the link 16 cycles; bursts at 0 and 8; DRAM's latency is 10, the link's 5
    received = "receive layer=0 dram=0 dram_stride=0 rows=1 row_bytes=128 signal=end:s0"
    result = run(program(received, load(2, 0, "wait=s0>=1")), link())
    assert times(result)[0] == (0, 0, 16, 31)
    assert times(result)[1][1] == 31
    assert spent(result, "io") == {"busy": 16, "drained": result.cycles - 16}
    assert result.counters[0][Event(Component.HOST, Operation.LINK, 8)] == 128


def test_what_is_received_is_not_there_before() -> None:
    received = "receive layer=0 dram=0 dram_stride=0 rows=1 row_bytes=64 signal=end:s0"
    early = load(1, 0, "signal=end:s0", memory="weight")
    there = store(1, 0, "wait=s0>=1")  # to byte 2048
    late = run(program(early, there, received.replace("end:s0", "end:s1 ") + "wait=s0>=1", byte=7), link())
    assert (late.dram[2048:2112] == 0).all()
    assert (late.dram[:64] == 7).all()  # it has come in the end


def test_a_machine_without_a_link_refuses_its_instructions() -> None:
    sent = program("send layer=0 dram=0 dram_stride=0 rows=1 row_bytes=64")
    with pytest.raises(ProgramError, match="must be an instruction of a link to the host, which edge-ws lacks"):
        run(sent, machine())


def test_the_turn_goes_round_all_dma_units() -> None:
    sent = "send layer=0 dram=0 dram_stride=0 rows=1 row_bytes=192"
    host = {"io_bandwidth_bytes_per_s": 1e12, "issue_interval_cycles": 0}
    first = load(3, 0, "signal=end:s0", memory="weight")
    others = (f"{line} wait=s0>=1" for line in (load(3, 0), store(3, 0), sent))
    result = run(program(first, *others), link(host=host, weight={"ideal": True}))
    assert result.grants.tolist() == [Unit.LOAD] * 3 + [Unit.STORE, Unit.IO, Unit.LOAD] * 3
