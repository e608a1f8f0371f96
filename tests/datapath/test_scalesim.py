"""Cycles and scratchpad accesses of whole layers against SCALE-Sim 3.0.0 in CALC mode (tests/data/README.md).

SCALE-Sim's report is wrong in two known ways, which are reproduced here and nowhere else:

- `total_cycles` is the number of the last cycle, counted from 0: the law minus one, for each dataflow;
- `ofmap_sram_writes` of the output-stationary dataflow, of every layer, not of edge tiles alone: when it has counted a
  tile's sums, it adds the two sides of the tile, padded to the array, R + C, to them. All other counts are right.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Protocol

import pytest

from accelsim.datapath.input_stationary import InputStationary
from accelsim.datapath.output_stationary import OutputStationary
from accelsim.datapath.weight_stationary import Array, SramAccesses

DATA = Path(__file__).parent.parent / "data" / "scalesim.csv"
ROWS = list(csv.DictReader(DATA.read_text().splitlines()))
#: Entries whose count of written sums is wrong: topology, layer, side of the array.
WRONG_WRITES = {("vit_s_l0_2", layer, side) for layer in ("L0", "L1", "L2") for side in (8, 32)}


class Layer(Protocol):
    """What the three dataflows say of a whole layer."""

    def law_cycles(self, m: int, k: int, n: int) -> int: ...

    def sram_accesses(self, m: int, k: int, n: int) -> SramAccesses: ...


def unit_of(row: dict[str, str]) -> Layer:
    rows, columns = int(row["array_rows"]), int(row["array_cols"])
    array = Array(rows, columns, double_buffered=False)
    return {"ws": array, "is": InputStationary(array), "os": OutputStationary(rows, columns)}[row["dataflow"]]


def sizes(row: dict[str, str]) -> tuple[int, int, int]:
    return int(row["M"]), int(row["K"]), int(row["N"])


def name(row: dict[str, str]) -> str:
    return f"{row['topology']}-{row['layer']}-{row['array_rows']}-{row['dataflow']}"


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_cycles_are_the_law_minus_one(row: dict[str, str]) -> None:
    assert int(row["total_cycles"]) == unit_of(row).law_cycles(*sizes(row)) - 1
    assert int(row["folds"]) * int(row["cycles_per_fold"]) == unit_of(row).law_cycles(*sizes(row))


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_reads_are_those_of_the_folds(row: dict[str, str]) -> None:
    accesses = unit_of(row).sram_accesses(*sizes(row))
    assert int(row["ifmap_sram_reads"]) == accesses.activation_reads
    assert int(row["filter_sram_reads"]) == accesses.weight_reads


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_writes_are_those_of_the_folds_where_scale_sim_counts_them_right(row: dict[str, str]) -> None:
    excess = int(row["ofmap_sram_writes"]) - unit_of(row).sram_accesses(*sizes(row)).sum_writes
    wrong = (row["topology"], row["layer"], int(row["array_rows"])) in WRONG_WRITES and row["dataflow"] == "os"
    assert (excess != 0) == wrong
    if wrong:
        assert excess == int(row["folds"]) * (int(row["array_rows"]) + int(row["array_cols"]))


def test_every_dataflow_is_covered_and_every_output_stationary_entry_is_wrong() -> None:
    assert {row["dataflow"] for row in ROWS} == {"ws", "os", "is"}
    assert len(WRONG_WRITES) == sum(row["dataflow"] == "os" for row in ROWS)
