"""Our closed forms against cycles of public hardware designs (tests/data/README.md).

Each design is one of our datapaths at a stated setting, plus named cycles for registers that it has and ours has not.
All but OpenTPU's were counted as ours are: edges from the first input's to the one after which the last result is
there. The reasons were read in the designs' sources; where the sizes that were run cannot tell two reasons apart, the
design's function says so.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from accelsim.datapath import requantize
from accelsim.datapath.outer_product import OuterProduct
from accelsim.datapath.structured_sparse import StructuredSparse
from accelsim.datapath.tensor_core import TensorCore
from accelsim.datapath.weight_stationary import Array

DATA = Path(__file__).parent.parent / "data" / "public_designs.csv"
ROWS = list(csv.DictReader(DATA.read_text().splitlines()))

Row = dict[str, str]


def size(row: Row, *columns: str) -> list[int]:
    return [int(row[column]) for column in columns]


def own_weight_stationary(row: Row) -> int:
    """The array itself, shift chain, one fold."""
    r, c, m, k, n = size(row, "rows", "cols", "M", "K", "N")
    return Array(r, c, double_buffered=False).law_cycles(m, k, n)


def tiny_tpu_jofrfu(row: Row) -> int:
    """Weights are written a row at a time by address; activations and swap are broadcast along their row.

    Without hops along a row no column is skewed: an array of one column. Its elements register the activation and the
    product before the sum, which a row passes while the next one's are delayed, so both count once. The run let the
    load end before the first activation, though the weights' addresses would have let it chase.
    """
    activation_register, product_register = 1, 1
    r, m = size(row, "rows", "M")
    array = Array(r, 1, True, "row_addressed")
    return array.preload_cycles(r) + array.matmul_cycles(m, m)[1] + activation_register + product_register


def tiny_tpu_v2(row: Row) -> int:
    """The shift chain, with column c's weights entering c edges after column 0's, and no deskew of the results.

    Not to deskew costs nothing in the last column. At 2 x 2, all that was run, the skew of the load is one edge; so is
    the one by which a swap must precede the first activation, because active weights are registers without a bypass.
    """
    r, c, m = size(row, "rows", "cols", "M")
    load_skew = c - 1
    array = Array(r, c, double_buffered=True)
    return array.preload_cycles(r) + load_skew + array.matmul_cycles(m, m)[1]


def open_tpu(row: Row) -> int:
    """The array, weights loaded before: row 0 passes a register too, as the rows below pass theirs and one more.

    Its simulator's steps show outputs before their edge, so that `done` is seen one step after the edge that set it.
    """
    first_row_register, seen_in_the_next_step = 1, 1
    r, c, m = size(row, "rows", "cols", "M")
    return Array(r, c, double_buffered=True).matmul_cycles(m, m)[1] + first_row_register + seen_in_the_next_step


def npu_core(row: Row) -> int:
    """Broadcast operands through two registers, then accumulate, as ours select, broadcast and accumulate.

    The start edge only sets a state, as does the one between the last sum and the first word that is streamed; then
    one sum leaves a cycle.
    """
    start_state, stream_state = 1, 1
    r, c, m, k, n = size(row, "rows", "cols", "M", "K", "N")
    unit = OuterProduct(r, c, double_buffered=False, skip=False)
    valid = start_state + unit.compute_cycles(k, k) + unit.latency
    if row["event_counted"].endswith("c_valid"):
        return valid
    return valid + stream_state + unit.drain_cycles(m * n)


def nvdla_sdp(row: Row) -> int:
    """The requantize unit, whose latency is a parameter: 4 stages here, 3 in ours."""
    lanes = int(row["cols"])
    return requantize.cycles(1, lanes, lanes, 1, latency=4)[1]


def sparse_pe(row: Row) -> int:
    """The 2:4 unit, one group and one output, without the registers between its three stages."""
    select_register, product_register = 1, 1
    unit = StructuredSparse(rows=2, columns=1, kept=2, group=4)
    return unit.matmul_cycles(1, 1)[1] - select_register - product_register


def own_tile(row: Row) -> int:
    """One issue of one core."""
    core = TensorCore(1, 1, 4, 4, local_accumulator=True, sparse_2_4=False)
    return core.cycles(*size(row, "M", "K", "N"), 1, sparse=False)[1]


DESIGNS: dict[str, Callable[[Row], int]] = {
    "own ws": own_weight_stationary,
    "jofrfu-tinyTPU": tiny_tpu_jofrfu,
    "tiny-tpu-v2": tiny_tpu_v2,
    "OpenTPU": open_tpu,
    "npu_core": npu_core,
    "NVDLA": nvdla_sdp,
    "sparse_pe": sparse_pe,
    "own tile444": own_tile,
}


def design_of(row: Row) -> str:
    (name,) = (name for name in DESIGNS if row["design"].startswith(name))
    return name


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{design_of(row)}-{row['rows']}x{row['cols']}-{row['M']}")
def test_a_public_design_takes_our_cycles_and_its_named_registers(row: Row) -> None:
    assert DESIGNS[design_of(row)](row) == int(row["cycles"])


def test_every_design_was_run() -> None:
    assert {design_of(row) for row in ROWS} == set(DESIGNS)
