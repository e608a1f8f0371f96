"""What units do from cycle to cycle, against the sums that the engines keep."""

from __future__ import annotations

import engines
import numpy as np
from hand_programs import load, program, store
from harness import IDEAL_DRAM, inputs, machine
from hypothesis import event, given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

from accelsim.config.arch import Machine
from accelsim.isa.program import Program
from accelsim.results import Execution
from accelsim.sim import fast, spans, states


def assert_spans(code: Program, on: Machine, execution: Execution) -> None:
    """Spans follow each other through the whole run, and sum to the attribution."""
    t, sums = execution.timeline, np.zeros_like(execution.attribution)
    for unit, found in enumerate(spans.of_units(code, on, execution)):
        assert (found.end > found.start).all()
        assert (found.start == np.concatenate(([0], found.end[:-1]))[: len(found.end)]).all()
        assert found.end[-1] == execution.cycles
        np.add.at(sums, (found.layer, unit, found.state), found.end - found.start)
        if unit != states.HOST:
            busy = found.state == states.BUSY
            assert (found.instruction[busy] == np.flatnonzero(t.unit == unit)).all()
    np.add.at(sums, (t.layer, t.unit, states.WAIT_MEMORY), t.waited)
    np.add.at(sums, (t.layer, t.unit, states.BUSY), -t.waited)
    np.testing.assert_array_equal(sums, execution.attribution)


@given(net=networks(max_size=40), on=machines(min_side=2), batch=st.integers(1, 12), seed=st.integers(0, 2**32))
@settings(max_examples=36)
def test_spans_sum_to_what_the_engine_attributes(net: IntegerNetwork, on: Machine, batch: int, seed: int) -> None:
    event(f"{on.matrix.kind}, {on.dram.kind}")
    code = net.compile(inputs(np.random.default_rng(seed), net, batch), on)
    assert_spans(code, on, fast.execute(code, on))


def test_a_wait_names_its_semaphore() -> None:
    code, on = program(load(4, 0, "signal=end:s3", "weight"), store(4, 0, "wait=s3>=1")), machine()
    execution = engines.execute(code, on)
    assert_spans(code, on, execution)
    _, found, *_ = spans.of_units(code, on, execution)
    waits = found.semaphore == 3
    assert found.state[waits].tolist() == [states.WAIT_UNIT]
    assert found.end[waits].tolist() == [execution.timeline.end[0]]
    assert found.instruction[waits].tolist() == [1]


def test_a_start_is_seen_in_its_cycle_by_units_that_come_later_in_it() -> None:
    first, on = load(2, 0, "signal=end:s0", "weight"), machine()
    asking = store(2, 0, "wait=s0>=1 signal=start:s1"), load(1, 4096, "wait=s1>=1")
    asked = load(1, 4096, "wait=s0>=1 signal=start:s1"), store(2, 0, "wait=s1>=1")
    for lines, later in ((asking, 1), (asked, 0)):
        code = program(first, *lines)
        execution = engines.execute(code, on)
        assert_spans(code, on, execution)
        assert execution.timeline.start[2] == execution.timeline.start[1] + later


def test_a_start_that_waited_for_a_port_is_seen_in_its_cycle_by_all() -> None:
    on = machine(weight={"banks": 1})
    before, held = load(2, 2048, "signal=end:s1", "weight"), load(32, 0, memory="weight")
    code = program(before, held, store(2, 2048, "wait=s1>=1 signal=start:s0"), load(1, 0, "wait=s0>=1"))
    execution = engines.execute(code, on)
    assert_spans(code, on, execution)
    assert execution.timeline.start[2:].tolist() == [execution.timeline.free[1]] * 2


def test_the_last_issue_may_outlast_the_program() -> None:
    code, on = program(load(1, 0)), machine(dram=IDEAL_DRAM, host={"issue_interval_cycles": 100})
    execution = engines.execute(code, on)
    assert_spans(code, on, execution)
    assert execution.cycles < 100
    *_, host = spans.of_units(code, on, execution)
    assert host.end.tolist() == [execution.cycles]
