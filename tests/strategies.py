"""Random machines and networks for property tests."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from harness import layer, machine
from hypothesis import strategies as st
from integer_networks import IntegerNetwork

from accelsim.config.arch import L2, Machine
from accelsim.config.dram import Part
from accelsim.config.load import load_part
from accelsim.golden.exact.rounding import ROUNDING
from accelsim.graph.element import Integer


@st.composite
def quantizations(draw: st.DrawFn) -> Integer:
    signed = draw(st.booleans())
    low, high = (-128, 127) if signed else (0, 255)
    return Integer(draw(st.floats(1e-3, 10)), draw(st.integers(low, high)), signed)


@st.composite
def networks(draw: st.DrawFn, max_layers: int = 3, max_size: int = 40) -> IntegerNetwork:
    """Networks of any shapes, types, zero points and rounding schemes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = draw(st.lists(st.integers(1, max_size), min_size=2, max_size=max_layers + 1))
    types = draw(st.lists(quantizations(), min_size=len(sizes), max_size=len(sizes)))
    layers = [
        layer(
            rng,
            k,
            n,
            types[i],
            types[i + 1],
            name=f"fc{i}",
            relu=draw(st.booleans()),
            rounding=draw(st.sampled_from(sorted(ROUNDING))),
            density=draw(st.sampled_from([0.0, 0.3, 1.0])),
        )
        for i, (k, n) in enumerate(itertools.pairwise(sizes))
    ]
    return IntegerNetwork("random", tuple(layers))


@st.composite
def srams(draw: st.DrawFn, need: int) -> dict[str, Any]:
    """A memory of at least `need` bytes, seldom of much more, with any banks, width and ports."""
    banks = draw(st.sampled_from([1, 2, 4]))
    width = draw(st.sampled_from([1, 4, 16]))
    row = banks * width
    rows = -(-need // row) + draw(st.sampled_from([0, 1, 7, 100, 1000]))
    return {
        "capacity_bytes": rows * row,
        "banks": banks,
        "width_bits": 8 * width,
        "ports": draw(st.integers(1, 2)),
        "interleaving": draw(st.sampled_from(["contiguous", "contiguous", "words"])),
        "ideal": draw(st.sampled_from([False, False, False, True])),
    }


@st.composite
def parts(draw: st.DrawFn) -> Part:
    """A shipped part with another map, fewer queues and its own number of channels."""
    part = load_part(draw(st.sampled_from(["DDR4_8Gb_x8_3200", "LPDDR4_8Gb_x16_2400", "HBM2_8Gb_x128"])))
    system = {
        **part.system.model_dump(),
        "channels": draw(st.sampled_from([1, 2, 8])),
        "address_mapping": draw(st.sampled_from(["rochrababgco", "rorabgbachco", "chrobabgraco"])),
        "row_buf_policy": draw(st.sampled_from(["OPEN_PAGE", "CLOSE_PAGE"])),
        "cmd_queue_size": draw(st.sampled_from([1, 2, 8])),
        "trans_queue_size": draw(st.sampled_from([9, 32])),
        "inj_per_clk": draw(st.sampled_from([None, 1, 3])),
    }
    return Part.model_validate({**part.model_dump(), "system": system})


@st.composite
def drams(draw: st.DrawFn) -> dict[str, Any]:
    burst = draw(st.sampled_from([1, 8, 32, 64, 96]))
    kind = draw(st.sampled_from(["simple", "simple", "ideal", "banked"]))
    if kind == "banked":
        return {"kind": "banked", "part": draw(parts())}
    if kind == "ideal":
        return {"kind": "ideal", "capacity_bytes": 2**24, "burst_bytes": burst}
    return {
        "kind": "simple",
        "capacity_bytes": 2**24,
        "burst_bytes": burst,
        "bandwidth_bytes_per_s": draw(st.sampled_from([1e9, 3.3e9, 16e9, 500e9])),
        "latency_s": draw(st.sampled_from([0.0, 1e-9, 2.5e-9, 100e-9])),
    }


@st.composite
def second_levels(draw: st.DrawFn, line_bytes: int) -> L2:
    """A second level of a line or more."""
    sets, ways = draw(st.sampled_from([1, 2, 8, 64])), draw(st.sampled_from([1, 2, 3, 16]))
    return L2(
        capacity_bytes=sets * ways * line_bytes,
        ways=ways,
        banks=draw(st.sampled_from([banks for banks in (1, 2, 8) if banks <= sets])),
        width_bits=draw(st.sampled_from([24, 64, 512])),
        ports=draw(st.integers(1, 2)),
        latency_cycles=draw(st.sampled_from([1, 2, 20])),
    )


@st.composite
def weight_stationary(draw: st.DrawFn, min_side: int) -> dict[str, Any]:
    shadows = draw(st.booleans())
    load = draw(st.sampled_from(["shift_chain", "row_addressed"])) if shadows else "shift_chain"
    return {"double_buffered_weights": shadows, "weight_load": load, **draw(sides(min_side))}


@st.composite
def sides(draw: st.DrawFn, min_side: int) -> dict[str, int]:
    return {"rows": draw(st.integers(min_side, 9)), "columns": draw(st.integers(min_side, 9))}


DATAPATHS = (
    "weight_stationary",
    "input_stationary",
    "output_stationary",
    "outer_product",
    "structured_sparse",
    "tensor_core",
    "sparse_lanes",
)


@st.composite
def datapaths(draw: st.DrawFn, min_side: int, kinds: Sequence[str]) -> dict[str, Any]:
    """Small matrix units of some kinds."""
    kind = draw(st.sampled_from(kinds))
    match kind:
        case "weight_stationary":
            fields = draw(weight_stationary(min_side))
        case "input_stationary":
            fields = {"double_buffered_inputs": draw(st.booleans()), **draw(sides(min_side))}
        case "output_stationary":
            fields = draw(sides(min_side))
        case "outer_product":
            fields = {
                "double_buffered_sums": draw(st.booleans()),
                "skip_zero_columns": draw(st.booleans()),
                "mask_bits": draw(st.sampled_from([3, 8, 40, 1000])),
                **draw(sides(min_side)),
            }
        case "structured_sparse":
            kept, group = draw(st.sampled_from([(2, 4), (1, 4), (4, 8), (1, 2)]))
            fields = {"kept": kept, "group": group, "columns": draw(st.integers(min_side, 9))}
            fields["rows"] = kept * draw(st.integers(1, 3))
        case "tensor_core":
            joined = draw(st.sampled_from([1, 2]))
            fields = {
                "cores": joined * draw(st.integers(1, 3)),
                "joined": joined,
                "tile_rows": draw(st.sampled_from([4, 8])),
                "tile_columns": draw(st.sampled_from([4, 8])),
                "local_accumulator": draw(st.booleans()),
                "sparse_2_4": draw(st.booleans()),
            }
        case _:
            fields = {
                "lanes": draw(st.integers(1, 9)),
                "fifo_depth": draw(st.integers(1, 4)),
                "index_bits": draw(st.integers(1, 5)),
                "sums_per_lane": draw(st.integers(1, 4)),
            }
    return {"kind": kind, **fields}


def smallest_tile(matrix: dict[str, Any]) -> tuple[int, int]:
    """Inputs and outputs of a datapath's smallest tile, at most."""
    match matrix["kind"]:
        case "structured_sparse":
            return matrix["rows"] * matrix["group"] // matrix["kept"], matrix["columns"]
        case "tensor_core":
            return 16, matrix["tile_columns"] * matrix["cores"]
        case "sparse_lanes":
            return 8, matrix["lanes"] * matrix["sums_per_lane"]
        case _:
            return max(matrix["rows"], 8), matrix["columns"]


@st.composite
def machines(
    draw: st.DrawFn,
    min_side: int = 1,
    kinds: Sequence[str] = DATAPATHS,
    sharing: Sequence[tuple[str, ...]] = ((), (), (), ("output",), ("weight", "output"), ("weight",)),
) -> Machine:
    """Machines of any shape whose memories hold at least the smallest tile."""
    matrix = draw(datapaths(min_side, kinds))
    inputs, outputs = smallest_tile(matrix)
    dram = draw(drams())
    cached = dram["kind"] == "banked" and draw(st.booleans())
    shared = draw(st.sampled_from(sharing))
    needs = {
        "activation": 16 * inputs + 16,
        "weight": 3 * inputs * outputs + 9 * outputs + 4 * 9 * inputs + 64,
        "output": 16 * outputs + 16,
    }
    if shared:  # rooms are whole banks, or eighths
        needs["activation"] = 8 * max(needs.values())
    return machine(
        clock_hz=draw(st.sampled_from([1e9, 7e8])),
        matrix=matrix,
        host={
            "issue_interval_cycles": draw(st.integers(0, 3)),
            "queue_depth": draw(st.sampled_from([1, 2, 8, 100])),
            "io_bandwidth_bytes_per_s": draw(st.sampled_from([None, None, 1e9, 40e9])),
            "io_latency_s": draw(st.sampled_from([0.0, 20e-9])),
        },
        dma={"outstanding_bursts": draw(st.sampled_from([1, 3, 64]))},
        vector={"lanes": draw(st.integers(1, 20)), "latency_cycles": draw(st.integers(1, 5))},
        **{name: "activation" if name in shared else draw(srams(need)) for name, need in needs.items()},
        accumulator=draw(srams(need=4 * outputs + 16)),
        l2=draw(second_levels(dram["part"].burst_bytes)) if cached else None,
        dram=dram,
    )


@st.composite
def independent_networks(draw: st.DrawFn, max_layers: int = 3, max_size: int = 40) -> IntegerNetwork:
    """Layers of any shapes and types, none of which reads another's output."""
    alone = draw(st.lists(networks(max_layers=1, max_size=max_size), min_size=1, max_size=max_layers))
    layers = [dataclasses.replace(net.layers[0], name=f"fc{i}") for i, net in enumerate(alone)]
    return IntegerNetwork("random", tuple(layers), independent=True)
