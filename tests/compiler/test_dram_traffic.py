"""DRAM bytes against a count made from the tiling alone, with the sets of bursts that each tile touches."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator

import numpy as np
from harness import inputs, machine, network, run
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import machines

from accelsim.config.arch import Machine
from accelsim.config.tech import Operation
from accelsim.isa.program import Header, LayerInfo


def ranges(size: int, tile: int) -> list[range]:
    return [range(low, min(low + tile, size)) for low in range(0, size, tile)]


class Slots:
    """First in, first out places for tiles; tells whether a tile must be loaded."""

    def __init__(self, count: int) -> None:
        self.held: deque[Hashable] = deque(maxlen=count)

    def misses(self, tile: Hashable) -> bool:
        if tile in self.held:
            return False
        self.held.append(tile)
        return True


def row_bursts(address: int, pitch: int, rows: range, columns: range, burst: int) -> int:
    """Bursts of a tile of a matrix that lies row by row, read row by row through a buffer of one burst."""
    count, held = 0, None
    for row in rows:
        first = address + row * pitch + columns.start
        for number in range(first // burst, (first + len(columns) - 1) // burst + 1):
            count += number != held
            held = number
    return count


def steps(info: LayerInfo, columns: int) -> Iterator[tuple[range, range, range, range]]:
    """Row tile, column tile, column block and inputs of each step, from the words of `loops`."""
    order = info.loops.split(", ")
    m_tiles, n_tiles, k_tiles = ranges(info.m, info.m_tile), ranges(info.n, info.n_tile), ranges(info.k, info.k_tile)
    outer = [(m, n) for m in m_tiles for n in n_tiles]
    if order[:2] == ["columns", "rows"]:
        outer = [(m, n) for n in n_tiles for m in m_tiles]
    for m, n in outer:
        blocks = [range(n.start + b.start, n.start + b.stop) for b in ranges(len(n), columns)]
        if order[2:] == ["blocks", "inputs"]:
            yield from ((m, n, b, k) for b in blocks for k in k_tiles)
        else:
            yield from ((m, n, b, k) for k in k_tiles for b in blocks)


def layer_bursts(header: Header, number: int, on: Machine) -> tuple[int, int]:
    """Bursts that a layer reads and writes."""
    info, burst, word = header.layers[number], on.dram.burst_bytes, on.weight.width_bytes
    source = header.region("input" if number == 0 else header.layers[number - 1].output).address
    target = header.region(info.output).address
    resident = info.loops.endswith("blocks, inputs")
    by_feature = on.matrix.kind in {"output_stationary", "outer_product"}

    def bursts(address: int, samples: range, features: range, all_features: int) -> int:
        if by_feature:
            return row_bursts(address, info.m, features, samples, burst)
        return row_bursts(address, all_features, samples, features, burst)

    activations, weights = Slots(info.slots["activation"]), Slots(info.slots["weight"])
    reads = writes = 0
    stored = set()
    for m, n, b, k in steps(info, on.matrix.columns):
        part = range(info.k) if resident else k
        if activations.misses((m, part)):
            reads += bursts(source, m, part, info.k)
        if weights.misses((b, k)):
            size = len(b) * len(k)
            if on.matrix.kind == "outer_product" and on.matrix.skip_zero_columns:  # a bit an input
                size += -(-len(k) // 8)
            if k.stop == info.k:  # the constants follow at a whole word: bias, multiplier, shift
                size = -(-size // word) * word + 9 * len(b)
            reads += -(-size // burst)
        if (m, n) not in stored:
            stored.add((m, n))
            writes += bursts(target, m, n, info.n)
    return reads, writes


#: Datapaths whose weights are stored one byte each, and whose column blocks are the array's columns.
STRIPS = ("weight_stationary", "output_stationary", "outer_product")


@given(
    sizes=st.lists(st.integers(1, 60), min_size=2, max_size=4),
    on=machines(kinds=STRIPS, sharing=[()]),
    batch=st.integers(1, 30),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=48)
def test_dram_bursts_equal_a_count_from_the_tiling(sizes: list[int], on: Machine, batch: int, seed: int) -> None:
    # what reaches the DRAM is what the DMAs request: no link, no second level
    on = on.model_copy(update={"host": on.host.model_copy(update={"io_bandwidth_bytes_per_s": None}), "l2": None})
    rng = np.random.default_rng(seed)
    net = network(rng, sizes)
    program, execution = run(net, inputs(rng, net, batch), on)
    expected = [layer_bursts(program.header, number, on) for number in range(len(sizes) - 1)]
    done = execution.activity
    if done:
        # a banked DRAM may serve several requests of a line with one command, and some with none
        assert done.accepted_reads == sum(reads for reads, _ in expected)
        assert done.accepted_writes == sum(writes for _, writes in expected)
        assert done.reads.sum() + done.merged_reads + done.forwarded_reads == done.accepted_reads
        assert done.writes.sum() + done.merged_writes == done.accepted_writes
        assert done.buffered == 0
        return
    for number, counters in enumerate(execution.counters):
        reads = sum(n for e, n in counters.items() if e.operation == Operation.DRAM_READ)
        writes = sum(n for e, n in counters.items() if e.operation == Operation.DRAM_WRITE)
        assert (reads, writes) == expected[number]


def test_whole_rows_move_each_byte_once() -> None:
    rng = np.random.default_rng(0)
    net = network(rng, [64, 64])
    _, execution = run(net, inputs(rng, net, 64), machine())
    reads = sum(n for e, n in execution.counters[0].items() if e.operation == Operation.DRAM_READ)
    writes = sum(n for e, n in execution.counters[0].items() if e.operation == Operation.DRAM_WRITE)
    # 4,096 activations; 4 column blocks of 1,024 weights and 144 bytes of constants, each padded to whole bursts
    assert reads == 4096 // 64 + 4 * -(-(1024 + 144) // 64)
    assert writes == 4096 // 64
