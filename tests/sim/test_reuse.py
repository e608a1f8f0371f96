"""Copied blocks against their simulation: equal where that is claimed, within the bound where it is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import engines
import numpy as np
import pytest
from harness import IDEAL_DRAM, SIMPLE_DRAM, assert_accounted, examples, machine, network
from hypothesis import assume, event, given
from hypothesis import strategies as st
from integer_networks import IntegerLayer, IntegerNetwork, each
from strategies import independent_networks, machines, parts

from accelsim import summary
from accelsim.compiler import alike
from accelsim.config.arch import L2, Machine
from accelsim.config.dram import Part
from accelsim.config.load import load_part
from accelsim.errors import DoesNotFitError, UnsteadyError
from accelsim.isa.opcodes import LOAD, STORE, Unit
from accelsim.isa.program import Program
from accelsim.results import Execution, Timeline
from accelsim.sim import fast, reuse, steady
from accelsim.sim.reuse import SIMULATED
from accelsim.workload.blocks import Blocks

#: Datapaths whose time depends on no value.
DENSE = ("weight_stationary", "input_stationary", "output_stationary", "structured_sparse", "tensor_core")
MOVES = (LOAD, STORE)


class Case(NamedTuple):
    """A network and its inputs."""

    net: IntegerNetwork
    inputs: Any

    def blocks(self, on: Machine, kept: int = SIMULATED) -> Blocks | None:
        """Blocks of alike layers."""
        given_ = each(self.inputs)
        return alike.find(self.net.graph(*map(len, given_)), given_, on, kept)

    def compile(self, on: Machine, left_out: range = range(0)) -> Program:
        """A program without some of the layers."""
        return self.net.compile(self.inputs, on, left_out=left_out)


def case(layers: Sequence[IntegerLayer], rows: Sequence[int]) -> Case:
    """Independent layers without values, each with inputs of its own."""
    named = tuple(
        dataclasses.replace(layer, name=f"fc{i}", pattern=layer.pattern or (1, 1)) for i, layer in enumerate(layers)
    )
    inputs = tuple(np.ones((m, x.inputs), x.input.dtype) for m, x in zip(rows, named, strict=True))
    return Case(IntegerNetwork("random", named, independent=True), inputs)


@st.composite
def repeated(draw: st.DrawFn) -> Case:
    """Blocks of independent layers between a few others."""
    before, block, after = (draw(independent_networks(max_layers=n, max_size=50)).layers for n in (1, 3, 1))
    before, after = before[: draw(st.integers(0, 1))], after[: draw(st.integers(0, 1))]
    block = [dataclasses.replace(layer, pattern=draw(st.sampled_from([(1, 1), (2, 4)]))) for layer in block]
    times = draw(st.integers(SIMULATED + 1, 2 * SIMULATED + 4))
    rows = draw(st.lists(st.integers(1, 20), min_size=5, max_size=5))
    sizes = [*rows[:1][: len(before)], *rows[1 : 1 + len(block)] * times, *rows[4:][: len(after)]]
    return case([*before, *block * times, *after], sizes)


def chain(sizes: list[int], times: int, batch: int = 5) -> Case:
    """Layers that read each other's outputs, of sizes that repeat."""
    rng = np.random.default_rng(1)
    net = network(rng, [*sizes * times, sizes[0]])
    layers = tuple(dataclasses.replace(layer, pattern=(1, 1)) for layer in net.layers)
    return Case(dataclasses.replace(net, layers=layers), np.ones((batch, sizes[0]), np.uint8))


def both(given_: Case, on: Machine) -> tuple[Execution, Execution]:
    """The execution with copied blocks, and that of all layers."""
    blocks = given_.blocks(on)
    assert blocks
    program = given_.compile(on, blocks.left_out(SIMULATED))
    short = fast.execute(program, on, timing_only=True)
    copied = reuse.extend(short, program, on, blocks, [layer.name for layer in given_.net.layers])
    return copied, fast.execute(given_.compile(on), on, timing_only=True)


def assert_equal(copied: Execution, whole: Execution) -> None:
    """All but the bytes of the DRAM, of which there are fewer."""
    engines.assert_equal(dataclasses.replace(copied, memory=whole.memory), whole)
    for mine, theirs in zip(copied.layer_times(), whole.layer_times(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def assert_holds(copied: Execution, whole: Execution) -> None:
    """What the result says of itself is so, and whatever must sum up does."""
    assert copied.reuse
    assert copied.layer_names == whole.layer_names
    assert_accounted(copied)
    for name in ("unit", "opcode", "layer"):
        np.testing.assert_array_equal(getattr(copied.timeline, name), getattr(whole.timeline, name))
    np.testing.assert_array_equal(np.bincount(copied.grants), np.bincount(whole.grants))
    if copied.reuse.exact:
        assert copied.reuse.bound_cycles == 0
        assert_equal(copied, whole)
    else:
        assert abs(copied.cycles - whole.cycles) <= copied.reuse.bound_cycles


@pytest.mark.slow
@given(given_=repeated(), on=machines(kinds=DENSE).filter(lambda on: on.dram.kind != "banked"))
@examples(12, campaign=30)
def test_copies_are_exact_where_that_is_claimed_and_near_elsewhere(given_: Case, on: Machine) -> None:
    assume(given_.blocks(on))
    copied, whole = both(given_, on)
    event(f"{on.dram.kind}: {copied.reuse}")
    assert_holds(copied, whole)


@pytest.mark.slow
@given(given_=repeated(), on=machines(kinds=DENSE), part=parts())
@examples(12, campaign=40)
def test_copies_before_a_banked_dram_are_within_the_bound(given_: Case, on: Machine, part: Part) -> None:
    on = Machine.model_validate({**on.model_dump(), "dram": {"kind": "banked", "part": part}, "l2": None})
    assume(given_.blocks(on))
    try:
        copied, whole = both(given_, on)
    except UnsteadyError:  # then all is simulated, which is right in any case
        return
    assert copied.reuse
    assert not copied.reuse.exact
    assert_holds(copied, whole)
    done, all_ = copied.activity, whole.activity
    assert done
    assert all_
    assert done.accepted_reads == int(done.reads.sum()) + done.merged_reads + done.forwarded_reads
    assert done.accepted_writes == int(done.writes.sum()) + done.merged_writes
    np.testing.assert_array_equal(done.reads > 0, all_.reads > 0)


def layers(count: int, k: int, n: int) -> Sequence[IntegerLayer]:
    rng = np.random.default_rng(0)
    return network(rng, [k, n, k]).layers * count


@pytest.mark.parametrize("dram", [IDEAL_DRAM, SIMPLE_DRAM])
@pytest.mark.parametrize("io", [None, 4e9])
@pytest.mark.parametrize("blocks", [SIMULATED + 1, 40])
def test_exactness_is_claimed_and_right(dram: dict[str, Any], io: float | None, blocks: int) -> None:
    on = machine(dram=dram, host={"io_bandwidth_bytes_per_s": io})
    copied, whole = both(case(layers(blocks, 40, 90), [30, 64] * blocks), on)
    assert copied.reuse
    assert copied.reuse.exact
    assert copied.reuse.repeats == blocks
    assert_holds(copied, whole)


@pytest.mark.parametrize("dram", [IDEAL_DRAM, SIMPLE_DRAM])
def test_a_chain_repeats_too(dram: dict[str, Any]) -> None:
    copied, whole = both(chain([40, 90, 64], 15), machine(dram=dram))
    assert copied.reuse
    assert copied.reuse.exact
    assert copied.reuse.layers == 3
    assert_holds(copied, whole)


@pytest.mark.parametrize("independent", [True, False])
def test_a_copied_layer_holds_and_reads_what_it_does_among_all(independent: bool) -> None:
    on = machine(dram=IDEAL_DRAM)
    given_ = case(layers(20, 40, 90), [3, 3] * 20) if independent else chain([40, 90], 20)
    blocks = given_.blocks(on)
    assert blocks
    program = given_.compile(on, blocks.left_out(SIMULATED))
    short = fast.execute(program, on, timing_only=True)
    copied = reuse.extend(short, program, on, blocks, [layer.name for layer in given_.net.layers])
    found = [(info.name, info.nodes, info.reads) for info in summary._infos(program, copied)]
    assert found == [(info.name, info.nodes, info.reads) for info in given_.compile(on).header.layers]
    before = ["input", *(layer.name for layer in given_.net.layers)]
    assert [read for *_, (read,) in found] == (["input"] * 40 if independent else before[:-1])


def test_a_channel_that_never_idles_is_not_called_exact() -> None:
    # 64 bytes take 42 2/3 cycles at 1.5 GB/s: what is left over of a cycle may differ from block to block
    on = machine(dram={**SIMPLE_DRAM, "bandwidth_bytes_per_s": 1.5e9})
    copied, whole = both(case(layers(20, 190, 160), [1, 1] * 20), on)
    assert copied.reuse
    assert not copied.reuse.exact
    assert 0 < copied.reuse.bound_cycles < whole.cycles / 500
    assert_holds(copied, whole)


def test_what_is_left_over_of_a_cycle_counts_as_state() -> None:
    # 26 fs more than 42 cycles a burst: too little to be seen in the blocks that are simulated, a cycle in all 40
    on = machine(dram={**SIMPLE_DRAM, "bandwidth_bytes_per_s": 64 / 42.000_026e-9})
    copied, whole = both(case(layers(40, 190, 160), [1, 1] * 40), on)
    assert copied.reuse
    assert not copied.reuse.exact
    assert 0 < abs(copied.cycles - whole.cycles) <= copied.reuse.bound_cycles == 33
    assert_holds(copied, whole)


def test_whose_turn_it_is_counts_as_state() -> None:
    on = machine(dram=SIMPLE_DRAM)
    given_ = case(layers(12, 40, 90), [30, 64] * 12)
    blocks = given_.blocks(on)
    assert blocks
    program = given_.compile(on, blocks.left_out(SIMULATED))
    short = fast.execute(program, on, timing_only=True)
    found = steady.pattern(program, blocks, SIMULATED, on)
    cycles = steady.estimate(found, short.timeline, 1).cycles
    known = steady.moment(found, program, short.timeline, short.grants, cycles, on)
    assert known
    # as if another unit had been the last before each later moment
    turned = short.grants.copy()
    turned[known.grants[1] - 1 :] = (turned[known.grants[1] - 1 :] == Unit.LOAD).astype(np.int8)
    other = steady.moment(found, program, short.timeline, turned, cycles, on)
    assert other is None or other.cycle > known.cycle
    assert steady.moment(found, program, short.timeline, short.grants, cycles + 1, on) is None


def timeline(durations: list[int]) -> Timeline:
    """Instructions of one unit, each of which ends so long after the one before."""
    end = np.cumsum(durations)
    zeros = np.zeros_like(end)
    return Timeline(
        unit=zeros, opcode=zeros, layer=zeros, issue=end - 1, start=end - 1, free=end, end=end, waited=zeros
    )


def test_blocks_that_become_slower_are_not_copied() -> None:
    found = steady.Pattern(0, 1, 6)
    assert steady.estimate(found, timeline([9, 10, 10, 12, 11, 30]), 1) == steady.Estimate(11, 2)
    with pytest.raises(UnsteadyError, match="2 predict the end of the next 2 within 3 cycles, but it is 10 off"):
        steady.estimate(found, timeline([9, 10, 10, 15, 15, 30]), 1)


def test_the_bound_grows_with_the_spread_and_the_blocks() -> None:
    assert steady.Estimate(100, 3).bound(9, 1) == 10 * (2 * 3 + 1)


def test_a_refresh_may_fall_into_any_block_of_a_banked_dram() -> None:
    on = machine()
    assert steady.jitter(on) == 1
    banked = machine(dram={"kind": "banked", "part": load_part("DDR4_8Gb_x8_3200")})
    # tRFC is 350 ns (JEDEC JESD79-4, 8 Gb); closing and opening rows comes to it
    assert 350 < steady.jitter(banked) < 450


def test_too_few_equal_periods_are_not_copied() -> None:
    on = machine()
    given_ = case(layers(SIMULATED, 40, 90), [30, 64] * SIMULATED)
    program = given_.compile(on)
    blocks = given_.blocks(on, 3)
    assert blocks
    short = given_.compile(on, blocks.left_out(3))
    with pytest.raises(UnsteadyError, match="instructions of 3 blocks must repeat 4 times, not 2"):
        steady.pattern(short, blocks, 3, on)
    assert steady.pattern(program, blocks, SIMULATED, on).periods >= SIMULATED - 2


@pytest.mark.parametrize("independent", [True, False])
def test_blocks_lie_in_dram_where_they_do_among_all(independent: bool) -> None:
    on = machine()
    given_ = case(layers(40, 40, 90), [3, 3] * 40) if independent else chain([40, 90], 40)
    blocks = given_.blocks(on)
    assert blocks
    gone = blocks.left_out(SIMULATED)
    short, whole = given_.compile(on, gone), given_.compile(on)
    assert short.header.dram_bytes == whole.header.dram_bytes
    names = [info.name for info in whole.header.layers]
    assert [info.name for info in short.header.layers] == [*names[: gone.start], *names[gone.stop :]]
    # the place of each layer's transfers; of a chain, what is behind the gap reads what was stored before it
    for layer, other in enumerate([*range(gone.start), *range(gone.stop, len(names))]):
        mine, theirs = (
            p.instructions["operands"][(p.instructions["layer"] == number) & np.isin(p.instructions["opcode"], MOVES)]
            for p, number in ((short, layer), (whole, other))
        )
        moved = mine[:, 0] != theirs[:, 0]
        assert moved.any() == (not independent and layer == gone.start)
        first = short.header.region(names[gone.start - 1] + ".output").address
        assert (mine[moved, 0] >= first).all()
        assert (mine[moved, 0] < first + 5 * 90).all()


@pytest.mark.parametrize("part", ["DDR4_8Gb_x8_3200", "HBM2_8Gb_x128"])
def test_blocks_before_the_gap_take_what_they_take_among_all_of_a_banked_dram_too(part: str) -> None:
    on = machine(dram={"kind": "banked", "part": load_part(part)})
    given_ = case(layers(40, 40, 90), [30, 64] * 40)
    blocks = given_.blocks(on)
    assert blocks
    gone = blocks.left_out(SIMULATED)
    short, whole = (fast.execute(given_.compile(on, out), on, timing_only=True).timeline for out in (gone, range(0)))
    first = int(np.argmax(whole.layer >= gone.start))
    over = np.flatnonzero(whole.end[:first] <= whole.issue[first])
    assert whole.layer[over].max() >= gone.start - 2
    for name in ("unit", "opcode", "layer", "issue", "start", "free", "end"):
        np.testing.assert_array_equal(getattr(short, name)[over], getattr(whole, name)[over])


def test_a_network_that_does_not_fit_the_dram_is_refused_though_what_is_simulated_would() -> None:
    # each block holds 2 x 40 x 90 weights, so that 40 of them take 288 kB
    on = machine(dram={**SIMPLE_DRAM, "capacity_bytes": 150_000})
    with pytest.raises(DoesNotFitError, match="the DRAM of edge-ws must hold"):
        both(case(layers(40, 40, 90), [3, 3] * 40), on)


def test_nothing_is_alike_where_more_than_shapes_counts() -> None:
    given_ = case(layers(20, 40, 90), [3, 3] * 20)
    assert given_.blocks(machine())
    valued = dataclasses.replace(
        given_.net, layers=tuple(dataclasses.replace(layer, pattern=None) for layer in given_.net.layers)
    )
    assert given_._replace(net=valued).blocks(machine()) is None
    l2 = L2(capacity_bytes=4096, ways=2, banks=1, width_bits=64, ports=1, latency_cycles=2)
    banked = machine(dram={"kind": "banked", "part": load_part("DDR4_8Gb_x8_3200")}, l2=l2)
    assert given_.blocks(banked) is None


def test_layers_of_other_types_are_not_alike() -> None:
    one, two = layers(1, 40, 40)
    plain = [dataclasses.replace(one, relu=False), dataclasses.replace(two, relu=False, output=one.output)]
    blocks = case(plain * 10, [4] * 20).blocks(machine())
    assert blocks
    assert blocks.layers == 1
    mixed = [plain[0], dataclasses.replace(plain[1], relu=True)]
    blocks = case(mixed * 10, [4] * 20).blocks(machine())
    assert blocks
    assert blocks.layers == 2
    assert case(plain * 4, [4] * 4 + [5] * 4).blocks(machine(), 5) is None
