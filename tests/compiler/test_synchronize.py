"""The compiler's semaphores: enough of them, and none too many."""

from __future__ import annotations

import numpy as np
import pytest
from harness import inputs, machine, network, without_wait
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

from accelsim.config.arch import Machine
from accelsim.errors import ProgramError
from accelsim.isa.opcodes import NONE
from accelsim.isa.verify import verify


@given(net=networks(max_size=24), on=machines(), batch=st.integers(1, 12), seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_every_program_passes_and_needs_each_of_its_waits(
    net: IntegerNetwork, on: Machine, batch: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    program = net.compile(inputs(rng, net, batch), on)
    verify(program, on)
    waits = np.argwhere(program.instructions["wait"] != NONE)
    for instruction, slot in rng.permutation(waits)[:40]:
        with pytest.raises(ProgramError, match="it must wait for"):
            verify(without_wait(program, instruction, slot), on)


def test_all_waits_of_one_program_are_needed() -> None:
    rng = np.random.default_rng(0)
    net = network(rng, [40, 40, 20])
    on = machine(activation={"capacity_bytes": 1024}, weight={"capacity_bytes": 2048}, output={"capacity_bytes": 256})
    program = net.compile(inputs(rng, net, 10), on)
    waits = np.argwhere(program.instructions["wait"] != NONE)
    assert len(waits) > 50
    for instruction, slot in waits:
        with pytest.raises(ProgramError, match="nothing orders the two"):
            verify(without_wait(program, instruction, slot), on)
