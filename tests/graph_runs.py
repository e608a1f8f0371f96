"""Typed graphs on machines: compiled, verified, executed on both engines, and held against golden.exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import engines
import numpy as np
from harness import assert_accounted, machine
from numpy.typing import NDArray

from accelsim.compiler.pipeline import compile_graph
from accelsim.config.arch import Machine
from accelsim.golden import exact
from accelsim.graph.graph import Graph
from accelsim.isa.program import Program, RegionInfo
from accelsim.isa.verify import verify
from accelsim.results import Execution


def executed(graph: Graph, inputs: tuple[NDArray[np.generic], ...], on: Machine) -> tuple[Program, Execution]:
    """Run a graph, and find every value that a fusion forms to be the golden one, byte by byte."""
    program = compile_graph(graph, inputs, on, "r")
    verify(program, on)
    execution = engines.execute(program, on)
    expected = exact.evaluate(graph, inputs, on.fold_inputs)
    for info in program.header.layers:
        assert_formed(execution, program.header.regions_of(info.output), expected[info.output])
    assert set(graph.outputs) <= {info.output for info in program.header.layers}
    assert_accounted(execution)
    return program, execution


def assert_formed(execution: Execution, regions: Sequence[RegionInfo], wanted: NDArray[Any]) -> None:
    """Find all numbers of a value in the regions that hold strips of it, or copies of their lines, or all of it."""
    rows = wanted.reshape(-1, wanted.shape[-1])
    times = np.zeros(rows.shape, np.int64)
    for region in regions:
        strip = (slice(region.first_row, region.first_row + region.rows), slice(None))
        if region.value is not None and region.features is not None:
            strip = (strip[0], slice(region.features[0], region.features[-1] + 1))
        np.testing.assert_array_equal(execution.numbers(region), rows[strip], region.name)
        times[strip] += 1
    assert times.all(), [region.name for region in regions]


def bytes_of(region: RegionInfo) -> NDArray[np.int64]:
    """Addresses of all bytes of a matrix in DRAM, worked out from what the header says of it; int64."""
    rows, elements = (region.columns, region.rows) if region.feature_major else (region.rows, region.columns)
    bits = {"int16": 16, "fp16": 16, "bf16": 16, "fp32": 32, "int4": 4, "int2": 2, "binary": 1}.get(region.operand, 8)
    row_bytes = -(-elements * bits // 8)
    first = region.address + (region.pitch or row_bytes) * np.arange(rows)
    return (first[:, None] + np.arange(row_bytes)).ravel()


def small(kind: str) -> Machine:
    """A machine of a kind whose memories hold few tiles of a small layer."""
    sides = {"rows": 4, "columns": 4}
    matrix: dict[str, Any] = {
        "weight_stationary": {"double_buffered_weights": True, "weight_load": "row_addressed", **sides},
        "input_stationary": {"double_buffered_inputs": True, **sides},
        "output_stationary": sides,
        "outer_product": {"double_buffered_sums": True, "skip_zero_columns": True, "mask_bits": 8, **sides},
        "structured_sparse": {"kept": 2, "group": 4, **sides},
        "tensor_core": {"cores": 1, "joined": 1, "tile_rows": 4, "tile_columns": 4, "local_accumulator": True,
                        "sparse_2_4": True},
        "sparse_lanes": {"lanes": 4, "fifo_depth": 2, "index_bits": 4, "sums_per_lane": 2},
    }[kind]  # fmt: skip
    memory = {"capacity_bytes": 4096, "banks": 2}
    return machine(matrix={"kind": kind, **matrix}, activation=memory, weight=memory, output=memory, accumulator=memory)
