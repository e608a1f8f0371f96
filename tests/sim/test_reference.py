"""The reference engine's rules, each on a program small enough to time by hand."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hand_programs import load, program, run, spent, store, times
from harness import inputs, machine, network
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

from accelsim.config.arch import Machine, SimpleDram
from accelsim.errors import DeadlockError, ProgramError, SimulationError
from accelsim.formats.packed import Packed
from accelsim.isa import accesses
from accelsim.isa.opcodes import Memory
from accelsim.isa.program import Program
from accelsim.memory.region import Region
from accelsim.results import Execution
from accelsim.sim import reference
from accelsim.sim.machine import Core


def on(**changes: Any) -> Machine:
    """A machine whose DRAM grants a burst every 4 cycles, with a latency of 10."""
    dram = {
        "kind": "simple",
        "capacity_bytes": 4096,
        "burst_bytes": 64,
        "bandwidth_bytes_per_s": 16e9,
        "latency_s": 10e-9,
    }
    return machine(**{"dram": {**dram, **changes.pop("dram", {})}, **changes})


def test_a_load_takes_its_bursts_then_the_latency() -> None:
    # three bursts at 0, 4 and 8; the port moves the last one until 12; data 10 cycles later
    result = run(program(load(3, 0)), on())
    assert times(result) == [(0, 0, 12, 22)]
    assert spent(result, "load") == {"busy": 12, "drained": 10}


def test_a_narrow_port_holds_a_transfer_back() -> None:
    # 64 bytes through 8 bytes a cycle: a burst every 8 cycles
    result = run(program(load(2, 0)), on(activation={"width_bits": 64}))
    assert times(result) == [(0, 0, 16, 26)]
    assert spent(result, "load") == {"busy": 16, "drained": 10}


def test_a_slow_channel_makes_a_dma_wait_for_memory() -> None:
    # a burst every 8 cycles, moved in 4: the DMA is idle for 4 between the two, and the channel done at 16
    result = run(program(load(2, 0)), on(dram={"bandwidth_bytes_per_s": 8e9}))
    assert times(result) == [(0, 0, 12, 26)]
    assert spent(result, "load") == {"busy": 8, "wait_memory": 4, "drained": 14}


def test_several_bursts_are_granted_in_a_cycle_where_the_rate_allows() -> None:
    fast = on(dram={"bandwidth_bytes_per_s": 256e9}, activation={"width_bits": 2048})
    result = run(program(load(8, 0)), fast)
    assert times(result) == [(0, 0, 2, 12)]


def test_loads_and_stores_share_the_channel_in_turn_beginning_with_load() -> None:
    code = program(
        load(4, 0, "signal=end:s0", memory="weight"),
        load(3, 0),
        store(3, 0, "wait=s0>=1"),
    )
    wide = {"width_bits": 1024}  # ports that do not hold anybody back
    result = run(code, on(activation=wide, weight={**wide, "banks": 1}))
    # the first load: bursts at 0, 4, 8, 12, data at 16 + 10; the second: 16, 20, 24; the store from 26 on, alone
    assert times(result) == [(0, 0, 13, 26), (1, 13, 25, 38), (2, 26, 37, 50)]
    assert result.grants.tolist() == [0] * 7 + [1] * 3


def test_turns_alternate_when_both_want_the_channel() -> None:
    code = program(
        load(3, 1024, "signal=end:s0", memory="weight"), store(3, 1024, "wait=s0>=1"), load(3, 0, "wait=s0>=1")
    )
    wide = {"width_bits": 1024}
    result = run(code, on(dram={"latency_s": 0.0}, activation=wide, weight=wide))
    # the turn is the store's after three grants to the load
    assert result.grants.tolist() == [0, 0, 0, 1, 0, 1, 0, 1, 0]


def test_an_ideal_dram_takes_a_cycle_for_any_transfer() -> None:
    ideal = {"kind": "ideal", "capacity_bytes": 4096, "burst_bytes": 64}
    result = run(program(load(16, 0), load(16, 0)), machine(dram=ideal))
    assert times(result) == [(0, 0, 1, 1), (1, 1, 2, 2)]


def test_the_host_issues_at_its_interval() -> None:
    result = run(program(*[load(1, 64 * i) for i in range(3)]), on(host={"issue_interval_cycles": 10}))
    assert [t[0] for t in times(result)] == [0, 10, 20]
    assert spent(result, "host") == {"busy": 30, "drained": 4}
    assert spent(result, "load")["wait_host"] == 12


def test_a_host_without_interval_issues_until_a_queue_is_full() -> None:
    code = program(*[load(1, 64 * i) for i in range(5)])
    result = run(code, on(host={"issue_interval_cycles": 0, "queue_depth": 2}))
    # two fit at 0; the first starts at 0 and frees its place for 1; then one starts every 4 cycles
    assert [t[0] for t in times(result)] == [0, 0, 1, 5, 9]
    assert [t[1] for t in times(result)] == [0, 4, 8, 12, 16]
    assert spent(result, "host") == {"wait_load": 9, "drained": 21}


def test_a_queue_of_one_delays_its_successor_by_a_cycle() -> None:
    code = program(*[load(1, 64 * i) for i in range(3)])
    result = run(code, on(host={"issue_interval_cycles": 0, "queue_depth": 1}))
    assert [t[0] for t in times(result)] == [0, 1, 5]


def test_what_ends_at_t_lets_others_start_at_t() -> None:
    result = run(program(load(1, 0, "signal=end:s0", memory="weight"), store(1, 0, "wait=s0>=1")), on())
    assert times(result)[0][3] == times(result)[1][1] == 14
    assert spent(result, "store")["wait_load"] == 13  # from its issue at 1 on
    assert spent(result, "store")["wait_host"] == 1


def test_an_instruction_waits_for_a_port_of_its_bank() -> None:
    one_bank = {"banks": 1}
    code = program(
        load(1, 0, "signal=end:s0", memory="weight"),
        load(8, 1024, memory="weight"),
        "preload layer=0 address=0 stride=16 depth=4 columns=4 packed=0 wait=s0>=1",
    )
    shared = run(code, on(weight=one_bank))
    # the second load holds the only port from 4 to 36; the preload could have started at 14
    assert times(shared)[2][1:] == (36, 52, 52)
    assert spent(shared, "preload")["wait_port"] == 22
    apart = run(code, on(weight={"banks": 64, "capacity_bytes": 65536}))
    assert times(apart)[2][1] == 14
    two_ports = run(code, on(weight={"banks": 1, "ports": 2}))
    assert times(two_ports)[2][1] == 14


PRELOAD = "preload layer=0 address=0 stride=16 depth=4 columns=4 packed=0"


def test_who_waits_for_a_port_starts_before_the_next_of_a_stream() -> None:
    """Loads of eight bursts follow each other through the only bank; the preload may start at 14."""
    stream = [load(8, 1024 * number, memory="weight") for number in range(1, 4)]
    code = program(load(1, 0, "signal=end:s0", memory="weight"), *stream, f"{PRELOAD} wait=s0>=1")
    result = run(code, on(weight={"banks": 1}))
    loads, preload = times(result)[1:4], times(result)[4]
    # the second of the stream would follow at 36, but lets the preload in, and the third follows the second at once
    assert [moments[1] for moments in loads] == [4, 52, 84]
    assert preload[1:3] == (36, 52)
    assert spent(result, "preload")["wait_port"] == 36 - 14
    assert spent(result, "load")["wait_port"] == 52 - 36


def test_streams_that_wait_for_each_other_take_turns() -> None:
    stream = [load(2, 1024 * number, memory="weight") for number in range(1, 4)]
    code = program(load(1, 0, "signal=end:s0", memory="weight"), *stream, *[f"{PRELOAD} wait=s0>=1"] * 3)
    result = run(code, on(weight={"banks": 1}))
    ports = sorted((start, free, unit) for (_, start, free, _), unit in zip(
        times(result), result.timeline.unit.tolist(), strict=True
    ))  # fmt: skip
    assert all(free <= start for (_, free, _), (start, _, _) in itertools.pairwise(ports))
    units = [unit for _, _, unit in ports]
    assert units == [0, 0, 0, 3, 0, 3, 3]  # two loads before the data of the first are there


def test_those_that_wait_for_a_port_start_by_unit_number() -> None:
    """Not by how long they have waited: the next load, which began to wait behind the store, overtakes the preload."""
    code = program(
        load(1, 0, "signal=end:s0", memory="weight"),
        load(8, 1024, memory="weight"),
        load(1, 2048, memory="weight"),
        f"{PRELOAD} wait=s0>=1",
        store(1, 0, "wait=s0>=1"),
    )
    result = run(code, on(weight={"banks": 1}))
    *_, following, preload, stored = times(result)
    assert [moments[1:3] for moments in (stored, following, preload)] == [(36, 40), (40, 44), (44, 60)]


FOLDS = (
    load(1, 0, "signal=end:s0", memory="weight"),
    load(1, 0, "signal=end:s0"),
    "preload layer=0 address=0 stride=4 depth=4 columns=4 packed=0 wait=s0>=2 signal=end:s1",
    "matmul layer=0 address=0 stride=4 rows=3 depth=4 columns=4 sums=0 sums_stride=16 accumulate=0 signed=1 "
    "wait=s1>=1 signal=start:s2 signal=end:s3",
    "preload layer=0 address=16 stride=4 depth=4 columns=4 packed=0 wait=SWAP signal=end:s1",
    "matmul layer=0 address=16 stride=4 rows=3 depth=4 columns=4 sums=0 sums_stride=16 accumulate=1 signed=1 "
    "wait=s1>=2",
)


# R = 4, C = 6, M = 3: 2R + C - 2 = 12 apart with shadow registers, 2R + C + M - 2 = 15 without
@pytest.mark.parametrize(("double_buffered", "semaphore", "gap"), [(True, "s2>=1", 12), (False, "s3>=1", 15)])
def test_folds_follow_each_other_as_the_weight_registers_allow(double_buffered: bool, semaphore: str, gap: int) -> None:
    code = program(*[line.replace("SWAP", semaphore) for line in FOLDS])
    where = on(matrix={"rows": 4, "columns": 6, "double_buffered_weights": double_buffered})
    result = run(code, where)
    starts = [t[1] for t in times(result)]
    assert starts[5] - starts[3] == gap
    assert times(result)[3][2:] == (starts[3] + 3, starts[3] + 3 + 8)
    assert result.layer_times().array.tolist() == [4 + gap + 3 + 8]


def test_bytes_move_from_dram_through_the_scratchpad_and_back() -> None:
    given_program = program(load(2, 0, "signal=end:s0", memory="weight"), store(2, 0, "wait=s0>=1"))
    image = np.arange(2048).astype(np.uint8)
    result = run(Program(given_program.header, given_program.instructions.copy(), image), on())
    assert result.dram[2048 : 2048 + 128].tolist() == image[:128].tolist()


def test_an_access_in_flight_is_checked_apart_from_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    code = program(load(2, 0, "signal=start:s0", memory="weight"), store(2, 0, "wait=s0>=1"))
    monkeypatch.setattr(reference, "verify", lambda *_: None)
    with pytest.raises(SimulationError, match="instruction 1 touches"):
        reference.execute(code, on())


def test_a_deadlock_says_who_waits_for_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    code = program(load(1, 0, "wait=s1>=1 signal=end:s0"), store(1, 0, "wait=s0>=1 signal=end:s1"))
    monkeypatch.setattr(reference, "verify", lambda *_: None)
    with pytest.raises(DeadlockError, match=r"load waits for store; store waits for load"):
        reference.execute(code, on())


def port_order(code: Program, result: Execution, where: Machine) -> dict[tuple[int, int], list[int]]:
    """Instructions that took a port of each bank, in the order of their starts."""
    found = accesses.of_program(code.instructions, where)
    memories = Core(code, where).memories
    takers: dict[tuple[int, int], set[int]] = {}
    for i, a in zip(*map(np.ndarray.tolist, found.each()), strict=True):
        for bank in memories.banks([(Memory(found.memory[a]), found.region(a))]):
            takers.setdefault(bank, set()).add(i)
    t = result.timeline
    return {bank: sorted(who, key=lambda i: (t.start[i], t.unit[i])) for bank, who in takers.items()}


@given(
    net=networks(max_size=24),
    on_machine=machines(min_side=2),
    batch=st.integers(1, 12),
    seed=st.integers(0, 2**32),
    slower=st.sampled_from([1.01, 1.3, 2, 5]),
    later=st.sampled_from([0.0, 1e-9, 30e-9]),
)
@settings(max_examples=48)
def test_a_slower_dram_never_makes_a_program_faster(
    net: IntegerNetwork, on_machine: Machine, batch: int, seed: int, slower: float, later: float
) -> None:
    dram = on_machine.dram
    assume(isinstance(dram, SimpleDram))
    assert isinstance(dram, SimpleDram)
    code = net.compile(inputs(np.random.default_rng(seed), net, batch), on_machine)
    worse = dram.model_copy(
        update={"bandwidth_bytes_per_s": dram.bandwidth_bytes_per_s / slower, "latency_s": dram.latency_s + later}
    )
    slow_machine = on_machine.model_copy(update={"dram": worse})
    fast, slow = reference.execute(code, on_machine), reference.execute(code, slow_machine)
    np.testing.assert_array_equal(fast.dram, slow.dram)  # the outcome never depends on timing
    same = np.array_equal(fast.grants, slow.grants) and port_order(code, fast, on_machine) == port_order(
        code, slow, slow_machine
    )
    event(f"order of grants unchanged: {same}")
    if same:
        assert slow.cycles >= fast.cycles
        assert (slow.timeline.start >= fast.timeline.start).all()
        assert (slow.timeline.end >= fast.timeline.end).all()


@given(net=networks(max_size=16), where=machines(), batch=st.integers(1, 6), seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_the_same_program_gives_the_same_execution(net: IntegerNetwork, where: Machine, batch: int, seed: int) -> None:
    code = net.compile(inputs(np.random.default_rng(seed), net, batch), where)
    a, b = reference.execute(code, where), reference.execute(code, where)
    assert a.cycles == b.cycles
    assert a.counters == b.counters
    np.testing.assert_array_equal(a.timeline.start, b.timeline.start)
    np.testing.assert_array_equal(a.attribution, b.attribution)


def test_progress_counts_up() -> None:
    rng = np.random.default_rng(0)
    net = network(rng, [100, 100])
    code = net.compile(inputs(rng, net, 200), machine(activation={"capacity_bytes": 4096}))
    seen: list[tuple[int, int]] = []
    reference.execute(code, machine(), lambda done, of: seen.append((done, of)))
    assert seen
    assert all(of == len(code.instructions) for _, of in seen)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_decode_takes_its_symbols_and_its_words_of_the_port() -> None:
    # 64 zero bytes are 128 zeros of 4 bits; 16 bytes a word: 4 words in and 8 out, one after the other in one bank
    decode = (
        "decode layer=0 address=0 bytes=64 result=1024 values=128 format=0 bits=4 rows=1 group=0 value_bits=0 "
        "wait=s0>=1"
    )
    unit = {"symbols_per_cycle": 4, "outputs_per_cycle": 8, "huffman_decoders": 1, "latency_cycles": 3}
    first = load(1, 0, "signal=end:s0", memory="weight")
    slow = run(program(first, decode), on(decode=unit))
    assert times(slow)[1][1:] == (14, 14 + 128 // 4, 14 + 128 // 4 + 2)
    fast = run(program(first, decode), on(decode={**unit, "symbols_per_cycle": 128, "outputs_per_cycle": 128}))
    assert times(fast)[1][1:] == (14, 14 + 12, 14 + 12 + 2)
    apart = decode.replace("result=1024", f"result={on().weight.bank_bytes}")  # at once from one bank to another
    wide = run(program(first, apart), on(decode={**unit, "symbols_per_cycle": 128, "outputs_per_cycle": 128}))
    assert times(wide)[1][1:] == (14, 14 + 8, 14 + 8 + 2)
    assert spent(slow, "decode") == {"wait_load": 13, "wait_host": 1, "busy": 32, "drained": 2}


def test_int4_with_group_scales_is_expanded_and_multiplied() -> None:
    rng = np.random.default_rng(0)
    q, scales = rng.integers(-8, 8, (8, 4)).astype(np.int8), rng.integers(0, 256, (2, 4))
    codec = Packed(4, group=4)
    encoded = codec.encode_scaled(q, scales, 4).to_bytes()
    # round to nearest even of q m / 2^4, clamped: written out, with numpy's own rounding
    weights = np.clip(np.rint(q * np.repeat(scales, 4, axis=0) / 16), -128, 127).astype(np.int64)
    x = rng.integers(0, 256, 8)
    image = np.zeros(2048, np.uint8)
    image[:8] = x
    image[64 : 64 + len(encoded)] = np.frombuffer(encoded, np.uint8)
    assembled = program(
        load(1, 0, "signal=end:s0"),
        f"load layer=0 dram=64 dram_stride=0 rows=1 row_bytes={len(encoded)} memory=weight address=0 stride=0 "
        "signal=end:s0",
        f"decode layer=0 address=0 bytes={len(encoded)} result=256 values=32 format=0 bits=4 rows=8 group=4 "
        "value_bits=0 wait=s0>=2 signal=end:s1",
        "preload layer=0 address=256 stride=4 depth=8 columns=4 packed=0 wait=s1>=1 signal=end:s2",
        "matmul layer=0 address=0 stride=8 rows=1 depth=8 columns=4 sums=0 sums_stride=16 accumulate=0 signed=0 "
        "wait=s2>=1 wait=s0>=1",
    )
    core = Core(Program(assembled.header, assembled.instructions.copy(), image), machine())
    for record in assembled.instructions:
        core.execute(record)
    sums = core.memories.sums(Region(0, 16, 1, 16))
    np.testing.assert_array_equal(sums, [x @ weights])
    assert run(Program(assembled.header, assembled.instructions.copy(), image), machine()).cycles > 0


def test_a_decoders_time_is_that_of_its_data_and_others_wait_for_its_end() -> None:
    # words of 8 mask bits with 8, 0, 5 and 1 values, 4 of them a cycle: 2 + 1 + 2 + 1 cycles
    mask, values = bytes([0xFF, 0x00, 0x1F, 0x80]), np.arange(1, 15, dtype=np.uint8)
    expected = np.zeros(32, np.uint8)
    expected[[*range(8), *range(16, 21), 31]] = values
    unit = {"symbols_per_cycle": 4, "outputs_per_cycle": 8, "huffman_decoders": 1, "latency_cycles": 3}
    code = program(
        load(1, 0, "signal=end:s0", memory="weight"),
        "decode layer=0 address=0 bytes=18 result=1024 values=32 format=bitmask bits=0 rows=1 group=0 value_bits=0 "
        "wait=s0>=1 signal=end:s1",
        "decode layer=0 address=0 bytes=18 result=1056 values=32 format=bitmask bits=0 rows=1 group=0 value_bits=0 "
        "signal=end:s1",
        store(1, 1024, "wait=s1>=2"),
    )
    image = np.zeros(2048, np.uint8)
    image[:18] = np.frombuffer(mask + values.tobytes(), np.uint8)
    given_program = Program(code.header, code.instructions.copy(), image)
    result = run(given_program, on(decode=unit))
    # the load ends at 14; words of 16 bytes, 2 in and 2 out, are fewer than the 6 cycles; the latency overlaps
    assert [t[1:] for t in times(result)[1:]] == [(14, 20, 22), (20, 26, 28), (28, 32, 42)]
    assert spent(result, "store")["wait_decode"] == 28 - 3
    assert result.dram[2048 : 2048 + 64].tolist() == [*expected, *expected]
    # a byte a word: 18 in and 32 out
    narrow = run(given_program, on(decode=unit, weight={"width_bits": 8}))
    start = times(narrow)[1][1]
    assert times(narrow)[1][2:] == (start + 50, start + 52)


@pytest.mark.parametrize("moment", ["start", "free"])
def test_what_a_decoder_writes_is_there_at_its_end_and_not_before(moment: str) -> None:
    unit = {"symbols_per_cycle": 4, "outputs_per_cycle": 8, "huffman_decoders": 1, "latency_cycles": 3}
    lines = (
        load(1, 0, "signal=end:s0", memory="weight"),
        "decode layer=0 address=0 bytes=4 result=1024 values=32 format=bitmask bits=0 rows=1 group=0 value_bits=0 "
        "wait=s0>=1 signal={}:s1",
        "preload layer=0 address=1024 stride=4 depth=4 columns=4 packed=0 wait=s1>=1",
    )
    assert run(program(*lines[:1], lines[1].format("end"), lines[2]), on(decode=unit)).cycles > 0
    with pytest.raises(ProgramError, match=r"preload of a\): reads .* that instruction 1 .* writes; it must wait for"):
        reference.execute(program(*lines[:1], lines[1].format(moment), lines[2]), on(decode=unit))
