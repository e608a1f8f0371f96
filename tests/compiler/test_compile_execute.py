"""The whole path: whatever is compiled executes to what the numpy integer network says."""

from __future__ import annotations

import numpy as np
import pytest
from harness import assert_accounted, assert_bit_exact, examples, ideal_memory, inputs, machine, network, run
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

from accelsim.config.arch import Machine
from accelsim.errors import CompileError, DoesNotFitError
from accelsim.isa.opcodes import Unit


@given(net=networks(), on=machines(), batch=st.integers(1, 30), seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_execution_equals_the_integer_network(net: IntegerNetwork, on: Machine, batch: int, seed: int) -> None:
    x = inputs(np.random.default_rng(seed), net, batch)
    program, execution = run(net, x, on)
    assert_bit_exact(net, x, program, execution)
    assert_accounted(execution)


@pytest.mark.slow
@given(
    net=networks(max_layers=2, max_size=150),
    on=machines(min_side=6),
    batch=st.integers(1, 80),
    seed=st.integers(0, 2**32),
)
@examples(20, campaign=60)
def test_larger_networks_execute_bit_exactly(net: IntegerNetwork, on: Machine, batch: int, seed: int) -> None:
    x = inputs(np.random.default_rng(seed), net, batch)
    program, execution = run(net, x, on)
    assert_bit_exact(net, x, program, execution)
    assert_accounted(execution)


def law(m_tiles: list[int], k: int, n: int, rows: int, columns: int) -> int:
    """Cycles of SCALE-Sim's weight-stationary law, summed over row tiles."""
    folds = -(-k // rows) * -(-n // columns)
    return sum(folds * (2 * rows + columns + m - 2) for m in m_tiles)


def row_tiles(m: int, tile: int) -> list[int]:
    return [min(tile, m - low) for low in range(0, m, tile)]


@given(
    m=st.integers(1, 60),
    k=st.integers(1, 90),
    n=st.integers(1, 90),
    rows=st.integers(1, 12),
    columns=st.integers(1, 12),
    kilobytes=st.sampled_from([1, 2, 64]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=48)
def test_array_cycles_follow_the_law(
    m: int, k: int, n: int, rows: int, columns: int, kilobytes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    net = network(rng, [k, n])
    memory = {"capacity_bytes": 1024 * kilobytes}
    on = ideal_memory(
        rows,
        columns,
        matrix={"double_buffered_weights": False},
        activation=memory,
        weight=memory,
        output=memory,
        accumulator=memory,
    )
    x = inputs(rng, net, m)
    program, execution = run(net, x, on)
    (info,) = program.header.layers
    assert execution.layer_times().array[0] == law(row_tiles(m, info.m_tile), k, n, rows, columns)
    assert_bit_exact(net, x, program, execution)


def test_a_layer_larger_than_every_scratchpad_follows_the_law() -> None:
    rng = np.random.default_rng(1)
    net = network(rng, [700, 300])
    memory = {"capacity_bytes": 4096}
    on = ideal_memory(
        8,
        4,
        matrix={"double_buffered_weights": False},
        activation=memory,
        weight=memory,
        output=memory,
        accumulator={"capacity_bytes": 1024},
    )
    x = inputs(rng, net, 100)
    program, execution = run(net, x, on)
    (info,) = program.header.layers
    assert info.m_tile < 100
    assert 50 * on.weight.capacity_bytes < 700 * 300
    assert execution.layer_times().array[0] == law(row_tiles(100, info.m_tile), 700, 300, 8, 4)
    assert_bit_exact(net, x, program, execution)


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (8, 4), (3, 11)])
def test_an_infinitely_fast_memory_leaves_the_compute_bound(rows: int, columns: int) -> None:
    rng = np.random.default_rng(2)
    net = network(rng, [100, 60])
    on = ideal_memory(rows, columns)
    _, execution = run(net, inputs(rng, net, 70), on)
    t = execution.timeline
    array = np.isin(t.unit, execution.array_units)
    folds = -(-100 // rows) * -(-60 // columns)
    interval = max(70, 2 * rows + columns - 2)
    # the array never idles, and folds follow each other at the interval of the double-buffered shift chain
    assert execution.layer_times().array[0] == t.end[array].max() - t.start[array].min()
    assert execution.layer_times().array[0] == rows + (folds - 1) * interval + 70 + rows + columns - 2


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (8, 4), (3, 11)])
@pytest.mark.parametrize("m", [1, 5, 70])
def test_row_addressed_folds_follow_each_other_at_the_largest_of_m_rows_and_columns(
    rows: int, columns: int, m: int
) -> None:
    rng = np.random.default_rng(2)
    net = network(rng, [100, 60])
    on = ideal_memory(rows, columns, matrix={"weight_load": "row_addressed"})
    x = inputs(rng, net, m)
    program, execution = run(net, x, on)
    assert_bit_exact(net, x, program, execution)
    folds = -(-100 // rows) * -(-60 // columns)
    starts = execution.timeline.start[execution.timeline.unit == Unit.MATRIX]
    # the last step of a row tile may wait for the vector unit, which ideal memory makes as fast as the array
    assert np.diff(starts).tolist() == [max(m, rows, columns)] * (folds - 1)
    preloads = execution.timeline.start[execution.timeline.unit == Unit.PRELOAD]
    assert starts[0] == preloads[0] + 1


def test_a_row_that_takes_two_accesses_keeps_the_matmul_waiting_for_the_whole_load() -> None:
    rng = np.random.default_rng(2)
    net = network(rng, [16, 16])
    x = inputs(rng, net, 1)
    narrow = machine(matrix={"weight_load": "row_addressed"}, weight={"width_bits": 64})
    for on, expected in ((machine(matrix={"weight_load": "row_addressed"}), 1), (narrow, 32)):
        _, execution = run(net, x, on)
        t = execution.timeline
        (load,), (product,) = t.start[t.unit == Unit.PRELOAD], t.start[t.unit == Unit.MATRIX]
        assert product - load == expected


def test_int32_overflow_is_refused() -> None:
    rng = np.random.default_rng(3)
    net = network(rng, [70_000, 1])
    net.layers[0].weight[:] = 127
    with pytest.raises(CompileError, match=r"fc0: sums must fit an int32 accumulator, but output 0 can reach 2\d{9}"):
        net.compile(inputs(rng, net, 1), machine())


def test_a_scratchpad_too_small_for_one_tile_is_named() -> None:
    rng = np.random.default_rng(4)
    net = network(rng, [64, 64])
    on = machine(weight={"capacity_bytes": 320, "banks": 1}, accumulator={"capacity_bytes": 64, "banks": 1})
    with pytest.raises(DoesNotFitError) as error:
        net.compile(inputs(rng, net, 1), on)
    assert str(error.value) == (
        "layer fc0: the weight memory of edge-ws must hold the smallest tile, 400 bytes, but has 320"
    )
