"""What sparse machines claim: cycles that zeros save, and products that are and could be skipped, counted by numpy.

One layer of 256 x 256 weights for 64 samples, on the matrix units of the shipped machines with ideal memories, so that
only the unit takes time. What is expected follows from weights and activations alone.
"""

from __future__ import annotations

import dataclasses
from itertools import product
from typing import Any, NamedTuple

import integer_networks
import numpy as np
import pytest
from harness import assert_accounted, assert_bit_exact, ideal_memory, network, run_graph
from integer_networks import IntegerNetwork
from numpy.typing import NDArray

from accelsim.compress.compact import compact, surviving
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine, load_technology
from accelsim.graph.graph import Graph
from accelsim.isa.opcodes import Unit
from accelsim.results import Bytes, Macs
from accelsim.summary import Origin, summarize

M, K, N = 64, 256, 256
SIDE = 16  # of all shipped units of 256 multipliers
DENSE = M * K * N

UInt8 = NDArray[np.uint8]
Int8 = NDArray[np.int8]


class Measured(NamedTuple):
    """What a run of one layer took.

    Parameters
    ----------
    busy
        Cycles of the matrix unit from start to free, all instructions.
    array
        Cycles in which preload or matrix unit had an instruction between start and end.
    """

    busy: int
    array: int
    macs: Macs
    bytes: Bytes


def measured(net: IntegerNetwork | Graph, x: NDArray[np.generic], on: Machine) -> Measured:
    graph = net if isinstance(net, Graph) else net.graph(len(x))
    net = integer_networks.read(graph)
    program, execution = run_graph(graph, x, on)
    assert_bit_exact(net, x, program, execution)
    assert_accounted(execution)
    assert program.header.layers[0].k_tile == net.layers[0].inputs, "sums are not to be cut"
    summary = summarize(program, execution, on, load_technology(on.tech), None, None, Origin({})).summary
    t = execution.timeline
    matrix = t.unit == Unit.MATRIX
    busy = int((t.free - t.start)[matrix].sum())
    return Measured(busy, int(execution.layer_times().array[0]), summary.macs, summary.bytes)


def assert_macs(found: Measured, x: UInt8, w: Int8, skipped: int) -> None:
    """Skipped is what the unit is expected to skip, skippable what numpy finds to be zero."""
    useful = int(((x != 0).astype(np.int64) @ (w != 0).astype(np.int64)).sum())
    assert found.macs.model_dump() == {
        "dense": DENSE,
        "executed": DENSE - skipped,
        "skipped": skipped,
        "skippable": DENSE - useful,
    }


def unit(arch: str, **changes: Any) -> dict[str, Any]:
    """Matrix unit of a shipped machine."""
    return {**load_machine(arch).matrix.model_dump(), **changes}


def layer_of(weight: Int8) -> IntegerNetwork:
    net = network(np.random.default_rng(0), [K, N])
    return dataclasses.replace(net, layers=(dataclasses.replace(net.layers[0], weight=weight),))


def nonzero_weights(rng: np.random.Generator) -> Int8:
    return (rng.integers(1, 128, (K, N)) * rng.choice([-1, 1], (K, N))).astype(np.int8)


def nonzero_activations(rng: np.random.Generator) -> UInt8:
    return rng.integers(1, 256, (M, K)).astype(np.uint8)


def half(rng: np.random.Generator, size: int) -> NDArray[np.bool_]:
    """Exactly half of some positions."""
    return np.isin(np.arange(size), rng.permutation(size)[: size // 2])


def columns_pruned(rng: np.random.Generator) -> Int8:
    """Half of the inputs K without weights."""
    weight = nonzero_weights(rng)
    weight[half(rng, K)] = 0
    return weight


def blocks_pruned(rng: np.random.Generator) -> Int8:
    """Of each 16 outputs other inputs without weights, and of each a different number."""
    weight = nonzero_weights(rng)
    for block in range(N // SIDE):
        weight[rng.permutation(K)[: 15 * block], block * SIDE : (block + 1) * SIDE] = 0
    return weight


def randomly_pruned(rng: np.random.Generator) -> Int8:
    """Half of the weights, anywhere."""
    return np.where(half(rng, K * N).reshape(K, N), nonzero_weights(rng), 0).astype(np.int8)


def two_of_four(rng: np.random.Generator) -> Int8:
    """Two of every four weights along K, anywhere in them."""
    order = np.argsort(rng.random((K // 4, 4, N)), axis=1)
    return np.where(order.reshape(K, N) < 2, nonzero_weights(rng), 0).astype(np.int8)


# --- outer product -----------------------------------------------------------------------------------------------


#: Edges between the last selection and its accumulation.
LATENCY = 2
#: Cycles of a mask's load through a port without limit, before the first product.
MASK = 1
#: Accumulator of whose port a row of 16 sums takes an access, and which nobody else keeps waiting.
DRAINING = {"ideal": False, "width_bits": 32 * SIDE, "ports": 4}
DRAIN = SIDE


def survivors(x: UInt8, w: Int8) -> list[int]:
    """Inputs of each tile of 16 samples by 16 outputs whose two operands both hold a nonzero, in program order."""
    return [
        sum(bool(x[m : m + SIDE, k].any() and w[k, n : n + SIDE].any()) for k in range(K))
        for n, m in product(range(0, N, SIDE), range(0, M, SIDE))
    ]


def outer_cycles(inputs: list[int]) -> int:
    """Cycles from the first selection to the last sum in the accumulator: a tile drains while the next one computes."""
    first, *others = (max(1, n) for n in inputs)
    return first + sum(max(n, DRAIN) for n in others) + DRAIN + LATENCY


WEIGHTS = {f.__name__: f for f in (nonzero_weights, columns_pruned, blocks_pruned, randomly_pruned)}


@pytest.mark.parametrize("zeros", [False, True], ids=["dense-x", "zeros-in-x"])
@pytest.mark.parametrize("weights", WEIGHTS.values(), ids=WEIGHTS)
def test_outer_product_takes_a_cycle_for_each_input_that_no_operand_of_the_tile_lacks(
    weights: Any, zeros: bool
) -> None:
    rng = np.random.default_rng(1)
    w, x = weights(rng), nonzero_activations(rng)
    if zeros:  # each block of samples lacks another half of the inputs, one of them nearly all
        for m in range(0, M, SIDE):
            x[m : m + SIDE, half(rng, K)] = 0
        x[:SIDE, 9:] = 0
    n = survivors(x, w)
    found = measured(layer_of(w), x, ideal_memory(matrix=unit("edge-outer"), accumulator=DRAINING))
    assert found.array == MASK + outer_cycles(n)
    assert_macs(found, x, w, DENSE - SIDE * SIDE * sum(n))


def test_half_of_the_columns_pruned_is_half_of_the_cycles_and_random_zeros_are_none() -> None:
    rng = np.random.default_rng(2)
    x, on = nonzero_activations(rng), ideal_memory(matrix=unit("edge-outer"), accumulator=DRAINING)
    dense, columns, random = (
        measured(layer_of(w), x, on) for w in (nonzero_weights(rng), columns_pruned(rng), randomly_pruned(rng))
    )
    fill_and_drain = MASK + DRAIN + LATENCY
    assert dense.array == DENSE // SIDE**2 + fill_and_drain
    assert columns.array == DENSE // SIDE**2 // 2 + fill_and_drain
    assert (columns.macs.skippable, columns.macs.skipped) == (DENSE // 2, DENSE // 2)
    # 16 weights of an input are all zero once in 65,536
    assert dense.array * 0.999 <= random.array <= dense.array
    assert random.macs.skippable == DENSE // 2
    assert random.macs.skipped <= DENSE // 1000


def test_compaction_takes_the_same_cycles_without_masks_and_moves_only_what_is_left() -> None:
    rng = np.random.default_rng(3)
    w, x = columns_pruned(rng), nonzero_activations(rng)
    skipping = measured(layer_of(w), x, ideal_memory(matrix=unit("edge-outer"), accumulator=DRAINING))
    small = compact(layer_of(w).graph(M))
    plain = unit("edge-outer", skip_zero_columns=False)
    (left,) = surviving(small, (x,))
    removed = measured(small, left, ideal_memory(matrix=plain, accumulator=DRAINING))
    assert removed.array == skipping.array - MASK
    assert removed.busy == skipping.busy
    assert removed.macs == skipping.macs
    assert_macs(removed, x, w, DENSE // 2)

    def dram_read(inputs: int, mask_bytes: int) -> int:
        """Bytes of whole bursts: activations, and for each 16 outputs weights, mask and 9 bytes of constants each."""
        return M * inputs + N // SIDE * 64 * -(-(SIDE * inputs + mask_bytes + 9 * SIDE) // 64)

    assert skipping.bytes.dram_read == dram_read(K, mask_bytes=K // 8)
    assert removed.bytes.dram_read == dram_read(K // 2, mask_bytes=0)


# --- 2:4 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "sparse"),
    [(nonzero_weights, False), (columns_pruned, False), (randomly_pruned, False), (two_of_four, True)],
)
@pytest.mark.parametrize("arch", ["edge-sparse24", "edge-tensorcore"])
def test_two_of_four_weights_take_half_the_cycles_and_others_all(arch: str, weights: Any, sparse: bool) -> None:
    rng = np.random.default_rng(4)
    w, x = weights(rng), nonzero_activations(rng)
    x[rng.random(x.shape) < 0.3] = 0  # which neither unit skips
    found = measured(layer_of(w), x, ideal_memory(matrix=unit(arch)))
    taken = DENSE // 2 if sparse else DENSE
    # all 256 multipliers have a product in every cycle
    assert found.busy == taken // SIDE**2
    assert_macs(found, x, w, DENSE - taken)


def test_multiplexers_need_no_cycle_between_matmuls() -> None:
    rng = np.random.default_rng(5)
    on = ideal_memory(matrix=unit("edge-sparse24"))
    for weights, share in ((nonzero_weights, 1), (two_of_four, 2)):
        found = measured(layer_of(weights(rng)), nonzero_activations(rng), on)
        # a fold's 16 rows are loaded before its first sample, and its last sum is there 2 cycles after its last sample
        assert found.array == SIDE + DENSE // SIDE**2 // share + 2


def test_a_tensor_core_without_multiplexers_takes_all_cycles_for_two_of_four_weights() -> None:
    rng = np.random.default_rng(6)
    w, x = two_of_four(rng), nonzero_activations(rng)
    found = measured(layer_of(w), x, ideal_memory(matrix=unit("edge-tensorcore", sparse_2_4=False)))
    assert found.busy == DENSE // SIDE**2
    assert_macs(found, x, w, 0)


# --- sparse lanes --------------------------------------------------------------------------------------------------


LANES = 16
#: Cycles from an activation's broadcast to when its pointers are read, and from its last entry to the written sum.
BROADCAST, WRITTEN = 1, 5


def lanes() -> Machine:
    """Lanes whose queues hold all activations, so that none waits for another within a sample."""
    return ideal_memory(matrix=unit("edge-eie", lanes=LANES, fifo_depth=K), weight={"capacity_bytes": 2**20})


@pytest.mark.parametrize("activations", [1.0, 0.5])
@pytest.mark.parametrize("weights", [nonzero_weights, randomly_pruned, two_of_four, columns_pruned])
def test_sparse_lanes_skip_zero_activations_and_zero_weights(weights: Any, activations: float) -> None:
    rng = np.random.default_rng(7)
    w, x = weights(rng), nonzero_activations(rng)
    x[rng.random(x.shape) >= activations] = 0
    found = measured(layer_of(w), x, lanes())
    # lane l holds outputs l, l + 16 and so on; an input without entries costs it the cycle of its pointers
    entries = np.stack([np.count_nonzero(w[:, lane::LANES], axis=1) for lane in range(LANES)], axis=1)
    busiest = [int(np.maximum(entries[sample != 0], 1).sum(axis=0).max()) for sample in x]
    assert found.busy == sum(cycles + BROADCAST + WRITTEN for cycles in busiest)
    useful = int(((x != 0).astype(np.int64) @ (w != 0).astype(np.int64)).sum())
    assert_macs(found, x, w, DENSE - useful)


def test_both_kinds_of_zeros_multiply_on_sparse_lanes() -> None:
    rng = np.random.default_rng(8)
    on = lanes()
    x, w = nonzero_activations(rng), nonzero_weights(rng)
    fewer = x.copy()
    for sample in fewer:
        sample[half(rng, K)] = 0
    dense = measured(layer_of(w), x, on)
    assert dense.macs.skipped == 0
    activations, both = (measured(layer_of(weight), fewer, on) for weight in (w, randomly_pruned(rng)))
    assert activations.macs.skipped == DENSE // 2
    assert activations.busy == pytest.approx(dense.busy / 2, rel=0.01)
    # lanes have unequal shares of the weights that are left, and the fullest one decides
    assert dense.busy / 4 < both.busy < dense.busy / 4 * 1.1
    assert both.macs.skipped == pytest.approx(DENSE * 3 / 4, rel=0.01)
    # an input without weights still costs each lane the cycle of its pointers
    pruned = measured(layer_of(columns_pruned(rng)), x, on)
    assert pruned.busy == M * (K // 2 * (N // LANES) + K // 2 + BROADCAST + WRITTEN)
