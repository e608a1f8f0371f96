"""SCALE-Sim's cycles and scratchpad accesses from whole runs: compiled, executed, and counted by the counters.

Memories are ideal, so that only the array takes time, and so large that a layer is cut by whole arrays alone. Where
weights or activations stay, a cut of K would change nothing, because each fold of inputs writes its sums anyway; where
sums stay, it would fill and drain the array once more, which SCALE-Sim does not do. Ports of operands are one byte wide
and the accumulator's one sum, so that counted words are elements. All rows of 8 x 8 and 32 x 32 arrays are run; those
of 128 x 128 are held against the closed form alone, in tests/datapath/test_scalesim.py, which also says what SCALE-Sim
reports wrongly.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from harness import assert_accounted, assert_bit_exact, ideal_memory, inputs, network, run

from accelsim.config.tech import Component, Counters, Event, Operation
from accelsim.isa.program import LayerInfo

DATA = Path(__file__).parent.parent / "data" / "scalesim.csv"
MATRIX = {
    "ws": {"kind": "weight_stationary", "double_buffered_weights": False},
    "is": {"kind": "input_stationary", "double_buffered_inputs": False},
    "os": {"kind": "output_stationary"},
}
#: Bytes of a channel's constants, which requantization reads from the weight memory once a row tile: int32 bias and
#: multiplier, int8 shift.
CONSTANT_BYTES = 9


class Row(NamedTuple):
    """A row of the table, in numbers."""

    m: int
    k: int
    n: int
    side: int
    dataflow: str
    last_cycle: int
    folds: int
    activation_reads: int
    weight_reads: int
    sum_writes: int

    @classmethod
    def of(cls, row: dict[str, str]) -> Row:
        assert row["array_rows"] == row["array_cols"]
        names = ("total_cycles", "folds", "ifmap_sram_reads", "filter_sram_reads", "ofmap_sram_writes")
        sizes = (int(row[name]) for name in ("M", "K", "N", "array_rows"))
        return cls(*sizes, row["dataflow"], *(int(row[name]) for name in names))

    def __str__(self) -> str:
        return f"{self.dataflow}-{self.side}-{self.m}x{self.k}x{self.n}"


ROWS = [Row.of(row) for row in csv.DictReader(DATA.read_text().splitlines()) if int(row["array_rows"]) < 128]


class Executed(NamedTuple):
    """What a run counted of its only layer, and how the compiler cut it."""

    array_cycles: int
    counters: Counters
    info: LayerInfo

    def accesses(self, component: Component, operation: Operation, bits: int) -> int:
        return self.counters.get(Event(component, operation, bits), 0)

    @property
    def written_sums(self) -> int:
        return self.accesses(Component.ACCUMULATOR, Operation.SRAM_WRITE, 32)


@cache
def executed(row: Row, weight_kibibytes: int = 4096) -> Executed:
    rng = np.random.default_rng(row.folds)
    net = network(rng, [row.k, row.n])
    memory = {"capacity_bytes": 2**22, "banks": 1, "width_bits": 8}
    on = ideal_memory(
        matrix={**MATRIX[row.dataflow], "rows": row.side, "columns": row.side},
        activation=memory,
        weight={**memory, "capacity_bytes": 1024 * weight_kibibytes},
        output=memory,
        accumulator={**memory, "width_bits": 32},
    )
    x = inputs(rng, net, row.m)
    program, execution = run(net, x, on)
    assert_bit_exact(net, x, program, execution)
    assert_accounted(execution)
    (info,) = program.header.layers
    return Executed(int(execution.layer_times().array[0]), execution.counters[0], info)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_array_cycles_are_scale_sims(row: Row) -> None:
    # SCALE-Sim numbers cycles from 0; its output-stationary array leaves out that the m sums of each of the
    # ceil(N / C) column blocks shift out, a row of them a cycle
    drains = row.m * -(-row.n // row.side) if row.dataflow == "os" else 0
    assert executed(row).array_cycles == row.last_cycle + 1 + drains


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_operands_are_read_as_often_as_scale_sim_reads_them(row: Row) -> None:
    ran = executed(row)
    constants = CONSTANT_BYTES * row.n * -(-row.m // ran.info.m_tile)
    assert ran.accesses(Component.ACTIVATION, Operation.SRAM_READ, 8) == row.activation_reads
    assert ran.accesses(Component.WEIGHT, Operation.SRAM_READ, 8) - constants == row.weight_reads


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_sums_are_written_as_often_as_scale_sim_writes_them(row: Row) -> None:
    # SCALE-Sim adds the two sides of each output-stationary tile to its count
    excess = 2 * row.side * row.folds if row.dataflow == "os" else 0
    assert executed(row).written_sums == row.sum_writes - excess


def row_of(dataflow: str) -> Row:
    """The row of an 8 x 8 array with the most inputs."""
    return max((row for row in ROWS if (row.side, row.dataflow) == (8, dataflow)), key=lambda row: row.k)


def test_a_cut_of_k_changes_no_count_where_weights_stay() -> None:
    row = row_of("ws")
    whole, cut = executed(row), executed(row, weight_kibibytes=4)
    assert whole.info.k_tile == row.k > cut.info.k_tile
    assert cut.info.n_tile == whole.info.n_tile
    assert cut.array_cycles == whole.array_cycles
    assert cut.written_sums == whole.written_sums


def test_a_cut_of_k_fills_and_drains_again_where_sums_stay() -> None:
    row = row_of("os")
    whole, cut = executed(row), executed(row, weight_kibibytes=4)
    assert whole.info.k_tile == row.k > cut.info.k_tile
    assert cut.info.n_tile == whole.info.n_tile
    parts = -(-row.k // cut.info.k_tile)
    fills = (parts - 1) * row.folds * (2 * row.side - 2)
    drains = (parts - 1) * row.m * row.n // row.side
    assert cut.array_cycles == whole.array_cycles + fills + drains
    assert cut.written_sums == parts * whole.written_sums


def test_all_dataflows_and_both_sides_are_run() -> None:
    assert {(row.dataflow, row.side) for row in ROWS} == {(d, s) for d in ("ws", "os", "is") for s in (8, 32)}
    assert len(ROWS) == 18
