"""Places for encoded weight tiles in their scratchpad: shared by the slots or one behind each, whatever the tiling."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from harness import assert_accounted, assert_bit_exact, inputs, machine, network, run, without_wait
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

from accelsim.compiler import tiling
from accelsim.compiler.dataflow import Dataflow
from accelsim.compiler.rooms import Room
from accelsim.compiler.slots import deal, parted
from accelsim.compiler.tiles import Tiling
from accelsim.compiler.tiling import Cut
from accelsim.config.arch import Decode, Machine, Sram
from accelsim.config.tech import Operation
from accelsim.errors import ProgramError
from accelsim.formats.storage import Storage
from accelsim.isa.opcodes import DECODE, LOAD, NONE, Memory
from accelsim.isa.verify import verify


def stored(net: IntegerNetwork, storage: Storage) -> IntegerNetwork:
    layers = tuple(dataclasses.replace(layer, storage=storage) for layer in net.layers)
    return dataclasses.replace(net, layers=layers)


def roomy(on: Machine, times: int) -> Machine:
    """The machine with a decode unit, and a weight scratchpad of so many times its size."""
    row = on.weight.banks * on.weight.width_bytes
    size = -(-(times * on.weight.capacity_bytes + 2048) // row) * row
    unit = Decode(symbols_per_cycle=4, outputs_per_cycle=8, huffman_decoders=3, latency_cycles=2)
    return on.model_copy(update={"weight": on.weight.model_copy(update={"capacity_bytes": size}), "decode": unit})


@given(
    net=networks(max_size=30),
    on=machines(min_side=2),
    batch=st.integers(1, 10),
    storage=st.sampled_from([Storage("bitmask", 0), Storage("relative", 2), Storage("huffman", 0)]),
    staging=st.sampled_from([0, 1, 1, 2, 3, 4]),
    times=st.integers(2, 6),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=48)
def test_any_number_of_places_executes_to_the_integer_network(
    net: IntegerNetwork, on: Machine, batch: int, storage: Storage, staging: int, times: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    net, on = stored(net, storage), roomy(on, times)
    choose = tiling.choose

    def with_places(*ways: Sequence[Dataflow], slack: float) -> Cut:
        chosen = choose(*ways, slack=slack)
        assert chosen.flow
        assert isinstance(chosen.tiling, Tiling)
        staged = tiling.with_slots(dataclasses.replace(chosen.tiling, staging=staging), chosen.flow)
        return chosen._replace(tiling=staged or chosen.tiling)

    x = inputs(rng, net, batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiling, "choose", with_places)
        program, execution = run(net, x, on)
    assert_bit_exact(net, x, program, execution)
    assert_accounted(execution)
    waits = np.argwhere(program.instructions["wait"] != NONE)
    for instruction, slot in rng.permutation(waits)[:5]:
        with pytest.raises(ProgramError, match="it must wait for"):
            verify(without_wait(program, instruction, slot), on)


@given(
    banks=st.sampled_from([1, 2, 3, 4, 8]),
    bank_words=st.integers(1, 40),
    count=st.integers(1, 12),
    words=st.integers(1, 30),
    staging=st.integers(0, 5),
    staged_words=st.integers(1, 30),
)
@settings(max_examples=400)
def test_slots_and_places_lie_side_by_side_in_the_memory(
    banks: int, bank_words: int, count: int, words: int, staging: int, staged_words: int
) -> None:
    need = count * words + staging * staged_words
    bank_words += -(-need // banks)
    sram = Sram(capacity_bytes=banks * bank_words * 16, banks=banks, width_bits=128, ports=1)
    size, staged = 16 * words, 16 * staged_words
    front, back = parted(Room(Memory.WEIGHT, 0, sram), count, size, staging, staged)
    places = [(a, size) for a in deal(front, count, size).addresses]
    if staging:
        places += [(a, staged) for a in deal(back, staging, staged).addresses]
    assert len(places) == count + staging
    taken = np.zeros(sram.capacity_bytes, np.int8)
    for address, length in places:
        assert address % 16 == 0
        assert address + length <= sram.capacity_bytes
        taken[address : address + length] += 1
    assert taken.max() == 1


def test_places_are_shared_where_their_own_would_cost_the_weights_their_slots() -> None:
    # 7 weight tiles of 4,800 weights and 144 bytes of constants stay in 64 KiB beside two places, but not with 7
    rng = np.random.default_rng(0)
    net = network(rng, [300, 100])
    on = machine()
    x = inputs(rng, net, 360)
    dense, _ = run(net, x, on)
    program, execution = run(stored(net, Storage("bitmask", 0)), x, on)
    (info,), (before,) = program.header.layers, dense.header.layers
    assert info.slots["weight"] == before.slots["weight"] == 7
    assert 0 < info.slots["staging"] < 7
    assert "staging" not in before.slots
    code = program.instructions
    decodes = code[code["opcode"] == DECODE]["operands"]
    assert len(decodes) == 7
    assert len(set(decodes[:, 0])) == info.slots["staging"]
    loads = code[(code["opcode"] == LOAD) & (code["operands"][:, 4] == Memory.WEIGHT)]["operands"]
    bursts = sum(-(-size // 64) for size in loads[:, 3].tolist())
    weights = x.size // 64 + bursts
    reads = sum(n for e, n in execution.counters[0].items() if e.operation == Operation.DRAM_READ)
    assert weights <= reads <= weights + 2 * -(-360 // info.m_tile)


def test_sparse_weights_have_places_of_their_own_where_these_cost_nothing() -> None:
    rng = np.random.default_rng(0)
    net = network(rng, [64, 64], density=0.2)
    program, _ = run(stored(net, Storage("bitmask", 0)), inputs(rng, net, 32), machine())
    (info,) = program.header.layers
    assert "staging" not in info.slots
    decodes = program.instructions[program.instructions["opcode"] == DECODE]["operands"]
    assert len(set(decodes[:, 0])) == info.slots["weight"]
    assert (decodes[:, 0] > decodes[:, 2]).all()


@pytest.mark.parametrize("density", [0.1, 0.3, 0.5, 0.7, 1.0])
def test_constants_begin_a_burst_and_are_loaded_in_no_more_than_they_take(density: float) -> None:
    rng = np.random.default_rng(0)
    net = network(rng, [64, 7], density=density)
    program, execution = run(stored(net, Storage("bitmask", 0)), inputs(rng, net, 16), machine())
    mask_and_values = 64 * 7 // 8 + np.count_nonzero(net.layers[0].weight)
    assert program.header.layers[0].stored_bits == 8 * (mask_and_values + 5 * 7)
    reads = sum(n for e, n in execution.counters[0].items() if e.operation == Operation.DRAM_READ)
    assert reads == 64 * 16 // 64 + -(-mask_and_values // 64) + 1  # 7 x 9 bytes of constants
