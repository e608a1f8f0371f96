"""The tensor cores' closed form, products, reads and events against registers stepped edge by edge."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tensor_core_registers import Issue, TensorCoreRegisters

from accelsim.config import datapaths
from accelsim.config.tech import Counters, Operation
from accelsim.datapath.tensor_core import TensorCore
from accelsim.formats import nm

Int64 = NDArray[np.int64]
CORES = st.builds(
    TensorCore,
    cores=st.sampled_from([2, 4, 6]),
    joined=st.sampled_from([1, 2]),
    tile_rows=st.sampled_from([4, 8, 12]),
    tile_columns=st.sampled_from([4, 8]),
    local_accumulator=st.booleans(),
    sparse_2_4=st.just(True),
)
SIDES = st.integers(1, 30)


def pruned(rng: np.random.Generator, k: int, n: int) -> NDArray[np.int8]:
    """Weights (k, n) of which four along K hold at most two nonzeros."""
    w = rng.integers(-128, 128, (-(-k // 4), 4, n))
    w[rng.random(w.shape).argsort(axis=1) >= 2] = 0
    return w.reshape(-1, n)[:k].astype(np.int8)


def dealt(cores: TensorCore, m: int, n: int) -> list[list[tuple[range, range]]]:
    """Tiles of each wave: row-major, as many as there are workers."""
    tiles = [
        (range(i, min(i + cores.tile_rows, m)), range(j, min(j + cores.tile_columns, n)))
        for i in range(0, m, cores.tile_rows)
        for j in range(0, n, cores.tile_columns)
    ]
    workers = cores.cores // cores.joined
    return [tiles[i : i + workers] for i in range(0, len(tiles), workers)]


def padded(matrix: Int64, rows: int, columns: int) -> Int64:
    result = np.zeros((rows, columns), np.int64)
    result[: len(matrix), : matrix.shape[1]] = matrix
    return result


class Worker:
    """A core or a pair: goes through a tile's issues as its registers take them."""

    def __init__(self, cores: TensorCore) -> None:
        self.cores = cores
        blocks = cores.tile_rows * cores.tile_columns // 16
        self.registers = TensorCoreRegisters(blocks, local=cores.local_accumulator)
        self.queue: list[tuple[Issue, tuple[int, int]]] = []
        self.flying: list[tuple[int, int]] = []

    def give(self, tile: tuple[range, range], x: Int64, w: Int64, packed: nm.NmMatrix | None) -> None:
        joined = self.cores.joined
        step = 4 * joined * (1 if packed is None else 2)
        blocks = list(itertools.product(tile[0][::4], tile[1][::4]))
        for t in range(0, len(w), step):
            for number, (i, j) in enumerate(blocks):
                a = padded(x[i : i + 4, t : t + step], 4, step)
                index = None
                if packed is None:
                    b = padded(w[t : t + step, j : j + 4], step, 4)
                else:
                    held = slice(t // 2, t // 2 + 4 * joined)
                    b = padded(packed.values[held, j : j + 4].astype(np.int64), 4 * joined, 4)
                    index = padded(packed.indices[held, j : j + 4].astype(np.int64), 4 * joined, 4)
                self.queue.append((Issue(number, t == 0, a, b, index), (i, j)))

    def step(self, y: Int64) -> bool:
        """One edge; whether a result was written, into `y`."""
        taken, written = self.registers.step(self.queue[0][0] if self.queue else None)
        if taken:
            self.flying.append(self.queue.pop(0)[1])
        if written is None:
            return False
        i, j = self.flying.pop(0)
        y[i : i + 4, j : j + 4] = written[1]
        return True


@given(cores=CORES, m=SIDES, k=SIDES, n=SIDES, sparse=st.booleans(), seed=st.integers(0, 2**32))
@settings(max_examples=60)
def test_registers_of_all_workers_agree_with_the_closed_form_and_numpy(
    cores: TensorCore, m: int, k: int, n: int, sparse: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 256, (m, k))
    w = pruned(rng, k, n) if sparse else rng.integers(-128, 128, (k, n)).astype(np.int8)
    packed = nm.compress(w, 2, 4) if sparse else None
    workers = [Worker(cores) for _ in range(cores.workers)]
    y = np.zeros((m + 4, n + 4), np.int64)
    edge = issues = last = free = 0
    waves = dealt(cores, m, n)
    for wave in [*waves, []]:
        for worker, tile in zip(workers, wave, strict=False):
            worker.give(tile, x, w.astype(np.int64), packed)
            issues += len(worker.queue)
        while any(worker.queue for worker in workers) or (not wave and any(worker.flying for worker in workers)):
            edge += 1
            written = [worker.step(y) for worker in workers]
            if any(written):
                last = edge
        free = edge if wave else free
    np.testing.assert_array_equal(y[:m, :n], x @ w)
    assert cores.waves(m, n) == len(waves)
    assert cores.idle(m, n) == cores.workers - len(waves[-1])
    assert cores.issues(m, k, n, sparse=sparse) == issues
    assert cores.cycles(m, k, n, 0, sparse=sparse) == (free, last)
    if packed is None:
        np.testing.assert_array_equal(cores.multiply(x, w), x @ w)
    else:
        values = packed.values.astype(np.int8)
        np.testing.assert_array_equal(cores.multiply_sparse(x, values, packed.indices), x @ w)


@given(cores=CORES, m=st.integers(1, 80), n=st.integers(1, 80))
def test_workers_of_a_wave_share_the_rows_and_columns_they_read(cores: TensorCore, m: int, n: int) -> None:
    rows = columns = 0
    for wave in dealt(cores, m, n):
        rows += len({i for down, _ in wave for i in down})
        columns += len({j for _, across in wave for j in across})
    assert cores.operand_reads(m, n) == (rows, columns)


@pytest.mark.parametrize(("local", "cycles"), [(True, (80, 82)), (False, (80, 82))])
def test_a_tile_of_four_blocks_hides_the_latency_of_a_chain(local: bool, cycles: tuple[int, int]) -> None:
    cores = TensorCore(1, 1, 8, 8, local_accumulator=local, sparse_2_4=False)
    assert cores.cycles(8, 80, 8, 0, sparse=False) == cycles


@pytest.mark.parametrize(("local", "cycles"), [(True, (20, 22)), (False, (58, 60))])
def test_a_tile_of_one_block_waits_for_its_sums_unless_they_are_local(local: bool, cycles: tuple[int, int]) -> None:
    cores = TensorCore(1, 1, 4, 4, local_accumulator=local, sparse_2_4=False)
    assert cores.cycles(4, 80, 4, 0, sparse=False) == cycles
    assert cores.cycles(4, 80, 4, 100, sparse=False) == (100, 102)


def test_a_pair_and_indices_each_halve_the_issues() -> None:
    alone, pair = (TensorCore(2, joined, 8, 8, local_accumulator=True, sparse_2_4=True) for joined in (1, 2))
    assert [c.issues(8, 64, 8, sparse=sparse) for c in (alone, pair) for sparse in (False, True)] == [64, 32, 32, 16]
    # two cores alone need two tiles; a pair does one after the other, each in half the issues
    assert alone.cycles(8, 64, 16, 0, sparse=False) == pair.cycles(8, 64, 16, 0, sparse=False)


def test_indices_need_multiplexers() -> None:
    with pytest.raises(ValueError, match="2:4 weights need cores with sparse_2_4"):
        TensorCore(1, 1, 4, 4, local_accumulator=True, sparse_2_4=False).issues(4, 4, 4, sparse=True)


@given(cores=CORES, m=st.integers(1, 20), k=st.integers(1, 20), n=st.integers(1, 20), sparse=st.booleans())
@settings(max_examples=40)
def test_events_are_those_of_the_issues_one_by_one(cores: TensorCore, m: int, k: int, n: int, sparse: bool) -> None:
    expected: dict[tuple[Operation, int], int] = {}

    def happened(operation: Operation, bits: int, times: int) -> None:
        expected[operation, bits] = expected.get((operation, bits), 0) + times

    slots = 4 * cores.joined
    held = -(-k // 4) * 2 if sparse else k
    for down, across in itertools.chain(*dealt(cores, m, n)):
        happened(Operation.REGISTER_WRITE, 8, len(down) * k + len(across) * held)
        happened(Operation.REGISTER_WRITE, 2, len(across) * held * sparse)
        for first in range(0, held, slots):
            weights = min(slots, held - first)
            # the activations that these weights can pick
            activations = min(2 * slots, k - 2 * first) if sparse else weights
            for i, j in itertools.product(down[::4], across[::4]):
                rows, columns = min(4, down.stop - i), min(4, across.stop - j)
                outputs = rows * columns
                happened(Operation.REGISTER_READ, 8, rows * activations + columns * weights)
                happened(Operation.REGISTER_READ, 2, columns * weights * sparse)
                happened(Operation.LOGIC, 8, outputs * weights * (4 if sparse else 1))
                happened(Operation.INT_MULTIPLY, 8, outputs * weights)
                happened(Operation.LATCH, 16, outputs * weights)
                happened(Operation.PE_GATED, 32, -outputs * weights)
                happened(Operation.INT_ADD, 16, 2 * cores.joined * outputs)
                happened(Operation.INT_ADD, 17, cores.joined * outputs)
                happened(Operation.INT_ADD, 18, (cores.joined - 1) * outputs)
                tree = 17 + cores.joined  # the sum of 4 products of 16 bits takes 18, of 8 takes 19
                happened(Operation.LATCH, tree, outputs)
                happened(Operation.INT_ADD, 32, outputs)
                happened(Operation.LATCH, 32, 0 if cores.local_accumulator else 2 * outputs)
                happened(Operation.REGISTER_WRITE, 32, outputs)
                happened(Operation.REGISTER_READ, 32, (first > 0) * outputs)
        happened(Operation.REGISTER_READ, 32, len(down) * len(across))  # the sums leave
        happened(Operation.INT_ADD, 32, len(down) * len(across))  # to what the accumulator memory holds
    free, _ = cores.cycles(m, k, n, 0, sparse=sparse)
    happened(Operation.PE_GATED, 32, free * 64 * cores.cores)
    counters: Counters = {}
    cores.events(counters, m, k, n, sparse=sparse, accumulate=True)
    found = {(event.operation, event.bits): times for event, times in counters.items()}
    assert found == {event: times for event, times in expected.items() if times}
    plain: Counters = {}
    cores.events(plain, m, k, n, sparse=sparse, accumulate=False)
    assert sum(counters.values()) - sum(plain.values()) == m * n


def test_the_cores_are_those_of_the_configuration() -> None:
    config = datapaths.TensorCore(
        kind="tensor_core",
        cores=8,
        joined=2,
        tile_rows=16,
        tile_columns=32,
        local_accumulator=True,
        sparse_2_4=False,
    )
    cores = TensorCore.of(config)
    assert cores == TensorCore(8, 2, 16, 32, local_accumulator=True, sparse_2_4=False)
    assert cores.workers == 4
