"""SCALE-Sim's files, imported and run: cycles of the table that SCALE-Sim 3.0.0 made, and of its closed forms."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.config.load import load_machine
from accelsim.graph.layer import layers
from accelsim.results import Summary
from accelsim.workload.importers.scalesim import read_topology, workload_text
from accelsim.workload.importers.scalesim_machine import machine_text, read_configuration
from accelsim.workload.layer import Shape
from accelsim.workload.source import load_network

DATA = Path(__file__).parent.parent / "data" / "scalesim.csv"
ROWS = list(csv.DictReader(DATA.read_text().splitlines()))

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
GEMM = "Layer,M,N,K,\n"


def cfg(rows: int, columns: int, dataflow: str, mode: str = "CALC", more: str = "") -> str:
    return (
        "[general]\nrun_name = test\n\n[architecture_presets]\n"
        f"ArrayHeight:    {rows}\nArrayWidth:     {columns}\n"
        "IfmapSramSzkB:   256\nFilterSramSzkB:  256\nOfmapSramSzkB:   256\n"
        "IfmapOffset:    0\nFilterOffset:   10000000\nOfmapOffset:    20000000\n"
        f"Bandwidth : 10\nDataflow : {dataflow}\nMemoryBanks:   1\n\n"
        f"[run_presets]\nInterfaceBandwidth: {mode}\n{more}"
    )


def imported(folder: Path, topology: str, config: str) -> tuple[str, str]:
    """Paths of the workload and the machine."""
    (folder / "t.csv").write_text(topology)
    (folder / "c.cfg").write_text(config)
    found = read_configuration(folder / "c.cfg")
    layers = read_topology(folder / "t.csv", sparse=found.sparse)
    (folder / "workload.yaml").write_text(workload_text(layers))
    (folder / "arch.yaml").write_text(machine_text(found, [layer.shape for layer in layers.layers]))
    return str(folder / "workload.yaml"), str(folder / "arch.yaml")


def run(folder: Path, topology: str, config: str) -> Summary:
    return accelsim.run(*imported(folder, topology, config), timing_only=True).summary


def shapes(folder: Path, topology: str, *, sparse: bool = False) -> dict[str, Shape]:
    """Products of a topology's layers, by name, as the workload that is written has them."""
    (folder / "t.csv").write_text(topology)
    (folder / "workload.yaml").write_text(workload_text(read_topology(folder / "t.csv", sparse=sparse)))
    network = load_network(str(folder / "workload.yaml"), values=False)
    found = layers(network.graph)
    # no edge joins them
    assert tuple(layer.input.name for layer in found) == network.graph.inputs
    assert tuple(layer.output.name for layer in found) == network.graph.outputs
    return {layer.name: Shape(x.shape[0], *layer.weight.shape) for layer, x in zip(found, network.inputs, strict=True)}


class Case(NamedTuple):
    """A network on an array, as the table has it."""

    topology: str
    rows: int
    columns: int
    dataflow: str


def case_of(row: dict[str, str]) -> Case:
    return Case(row["topology"], int(row["array_rows"]), int(row["array_cols"]), row["dataflow"])


CASES = {case: list(rows) for case, rows in itertools.groupby(sorted(ROWS, key=case_of), key=case_of)}


def conv_topology(rows: Iterable[dict[str, str]]) -> str:
    names = ("conv_ifmap_h", "conv_ifmap_w", "conv_filt_h", "conv_filt_w", "conv_ch", "conv_nfilt", "stride_h")
    return CONV + "".join(f"{row['layer']},{','.join(row[name] for name in names)},\n" for row in rows)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_array_cycles_are_scale_sims(case: Case, tmp_path: Path) -> None:
    rows = CASES[case]
    config = cfg(case.rows, case.columns, case.dataflow)
    summary = run(tmp_path, conv_topology(rows), config)
    expected = [int(row["total_cycles"]) + 1 for row in rows]
    assert [layer.array_cycles for layer in summary.layers] == expected
    assert [layer.name for layer in summary.layers] == [row["layer"] for row in rows]
    assert [layer.shape for layer in summary.layers] == [[int(row[side]) for side in "MKN"] for row in rows]
    assert summary.timing_only
    assert summary.bit_exact is None
    products = GEMM + "".join(f"{row['layer']}, {row['M']}, {row['N']}, {row['K']},\n" for row in rows)
    again = run(tmp_path, products, config)
    assert [layer.array_cycles for layer in again.layers] == expected


def test_every_row_of_the_table_is_covered() -> None:
    assert sum(map(len, CASES.values())) == len(ROWS) == 23
    assert {case.dataflow for case in CASES} == {"ws", "os", "is"}
    assert all(row["stride_h"] == row["stride_w"] for row in ROWS)


def law(dataflow: str, rows: int, columns: int, s: Shape) -> int:
    """Cycles of a layer on an R x C array without any overlap of folds (Samajdar et al., ISPASS 2020)."""
    down, across, streamed, fill = {
        "ws": (s.k, s.n, s.m, 2 * rows + columns),
        "is": (s.k, s.m, s.n, 2 * rows + columns),
        "os": (s.m, s.n, s.k, rows + columns),
    }[dataflow]
    return -(-down // rows) * -(-across // columns) * (fill + streamed - 2)


SIDES = st.integers(2, 24)
SIZES = st.integers(1, 150)


@given(
    dataflow=st.sampled_from(["ws", "os", "is"]),
    rows=SIDES,
    columns=SIDES,
    products=st.lists(st.builds(Shape, SIZES, SIZES, SIZES), min_size=1, max_size=3),
)
@settings(max_examples=40)
def test_random_products_take_the_cycles_of_the_law(
    dataflow: str, rows: int, columns: int, products: list[Shape], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = "".join(f"L{i},{s.m},{s.n},{s.k},\n" for i, s in enumerate(products))
    summary = run(tmp_path_factory.mktemp("law"), GEMM + lines, cfg(rows, columns, dataflow))
    assert [x.array_cycles for x in summary.layers] == [law(dataflow, rows, columns, s) for s in products]


def test_outputs_are_rounded_up_as_scale_sim_rounds_them(tmp_path: Path) -> None:
    # (224 - 11 + 4) / 4 = 54.25 places become 55, which is 3025 rows
    found = shapes(tmp_path, CONV + "Conv1,224,224,11,11,3,96,4,\nexact,227,227,11,11,3,96,4,\n")
    assert found == {"Conv1": (3025, 363, 96), "exact": (3025, 363, 96)}
    remarks = [line for line in (tmp_path / "workload.yaml").read_text().splitlines() if line.startswith("  # ")]
    assert remarks == [
        "  # line 2: 55 x 55 outputs; IFMAP 224 x 224, and 227 x 227 with what the last windows hang over",
        "  # line 3: 55 x 55 outputs",
    ]


@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    kernel=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    stride=st.integers(1, 9),
    depth=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
@settings(max_examples=50)
def test_a_convolution_is_the_product_that_scale_sim_makes_of_it(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: int,
    depth: tuple[int, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    kernel = (min(size[0], kernel[0]), min(size[1], kernel[1]))
    line = ",".join(map(str, (*size, *kernel, *depth, stride)))
    (found,) = shapes(tmp_path_factory.mktemp("conv"), f"{CONV}c,{line},\n").values()
    # topology_utils.py of SCALE-Sim 3.0.0: ceil((ifmap - filter + stride) / stride), in floats
    places = [math.ceil((s - k + stride) / stride) for s, k in zip(size, kernel, strict=True)]
    assert found == (places[0] * places[1], kernel[0] * kernel[1] * depth[0], depth[1])


QUIRKS = {
    "no trailing comma": (GEMM.replace(",\n", "\n") + "a,2,3,4\n", {"a": (2, 4, 3)}),
    "lines that end in CR and LF": ((GEMM + "a,2,3,4,\n").replace("\n", "\r\n"), {"a": (2, 4, 3)}),
    "lines that end in CR": ((GEMM + "a,2,3,4,\n").replace("\n", "\r"), {"a": (2, 4, 3)}),
    "blank lines and lines of commas": (f"\n{GEMM}\n,,,,\n   \na,2,3,4,\n\n", {"a": (2, 4, 3)}),
    "spaces and tabs": ("Layer , M, N , K ,\n\t a b  , 2,3 ,\t4,\n", {"a b": (2, 4, 3)}),
    "a byte order mark": (f"\ufeff{GEMM}a,2,3,4,\n", {"a": (2, 4, 3)}),
    "another name of the first column": ("Layer Name, M, N, K, Sparsity,\na,2,3,4,1:2,\n", {"a": (2, 4, 3)}),
    "no end of the last line": (f"{GEMM}a,2,3,4,", {"a": (2, 4, 3)}),
    "quotation marks, which are characters": (f'{GEMM}"a",2,3,4,\n', {'"a"': (2, 4, 3)}),
    "a name twice": (
        f"{GEMM}a,2,3,4,\na,5,6,7,\na (2),1,1,1,\na,1,2,3,\n",
        {"a": (2, 4, 3), "a (2)": (5, 7, 6), "a (2) (2)": (1, 1, 1), "a (3)": (1, 3, 2)},
    ),
    "small letters": (CONV.lower() + "a,5,6,2,3,4,7,1,\n", {"a": (16, 24, 7)}),
    "two strides": (CONV.replace("Strides", "Stride height, Stride width") + "a,5,6,2,3,4,7,1,3,\n", {"a": (8, 24, 7)}),
    "two strides under one name": (CONV + "a,5,6,2,3,4,7,1,3,\n", {"a": (8, 24, 7)}),
    "remarks behind the last comma": (CONV + "a,5,6,2,3,4,7,1,#dw\n", {"a": (16, 24, 7)}),
    "columns of its own": (
        CONV.replace("\n", ",,Eh,Ew\n") + "a,5,6,2,3,4,7,1,,,4,4\nb,1,1,1,1,2,3,1,,,,,\n",
        {"a": (16, 24, 7), "b": (1, 2, 3)},
    ),
    "a depthwise convolution": (
        CONV + "x DP,5,5,3,3,3,2,1,\ny,1,1,1,1,2,3,1,\n",
        {f"x DPChannel_{i}": (9, 9, 2) for i in range(3)} | {"y": (1, 2, 3)},
    ),
}


@pytest.mark.parametrize("quirk", QUIRKS)
def test_files_as_people_write_them(quirk: str, tmp_path: Path) -> None:
    text, expected = QUIRKS[quirk]
    assert shapes(tmp_path, text) == expected
    assert list(shapes(tmp_path, text)) == list(expected)


@pytest.mark.parametrize(
    ("pattern", "k", "kept"), [("2:4", 16, 8), ("3:4", 10, 8), ("1:4", 18, 5), ("4:4", 7, 7), (" 1 : 2 ", 9, 5)]
)
def test_sparsity_counts_where_the_configuration_says_so(pattern: str, k: int, kept: int, tmp_path: Path) -> None:
    # operand_matrix.py of SCALE-Sim 3.0.0 repeats N ones and M - N zeros down the inputs
    n, m = map(int, pattern.split(":"))
    assert kept == ([1] * n + [0] * (m - n)).__mul__(k)[:k].count(1)
    product = f"Layer,M,N,K,Sparsity,\na,2,3,{k},{pattern},\n"
    conv = CONV.replace("\n", " Sparsity,\n") + f"a,1,1,1,1,{k},3,1,{pattern},\n"
    assert shapes(tmp_path, product) == {"a": (2, k, 3)}
    assert shapes(tmp_path, product, sparse=True) == {"a": (2, kept, 3)}
    assert shapes(tmp_path, conv) == {"a": (1, k, 3)}
    assert shapes(tmp_path, conv, sparse=True) == {"a": (1, kept, 3)}
    switched = cfg(4, 4, "ws", more="[sparsity]\nSparsitySupport : True\nOptimizedMapping : false\n")
    assert run(tmp_path, product, switched).layers[0].shape == [2, kept, 3]


def test_what_counts_for_nothing_is_noted(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CONV.replace("\n", " Batch Size,\n") + "a,1,1,1,1,2,3,1,1,\n")
    assert read_topology(tmp_path / "t.csv", sparse=False).notes == [
        "columns that SCALE-Sim does not read are left out: Batch Size"
    ]
    more = "UseRamulatorTrace: True\n[layout]\nIfmapCustomLayout: True\nFilterCustomLayout: False\n"
    (tmp_path / "c.cfg").write_text(cfg(4, 4, "ws", more=more))
    assert read_configuration(tmp_path / "c.cfg").notes == [
        "IfmapCustomLayout is left out: how the input lies in the banks",
        "UseRamulatorTrace is left out: latencies of a Ramulator trace",
    ]


@pytest.mark.parametrize("dataflow", ["ws", "is", "os"])
def test_the_machine_is_the_array_of_the_configuration(dataflow: str, tmp_path: Path) -> None:
    _, arch = imported(tmp_path, GEMM + "a,2,3,4,\n", cfg(12, 14, dataflow))
    machine = load_machine(arch)
    assert machine.name == "test"
    assert (machine.matrix.kind[0], machine.matrix.rows, machine.matrix.columns) == (dataflow[0], 12, 14)
    assert machine.dram.kind == "ideal"
    assert all(sram.ideal for sram in (machine.activation, machine.weight, machine.output, machine.accumulator))


def test_a_users_bandwidth_is_that_of_three_ports_and_scratchpads_have_their_sizes(tmp_path: Path) -> None:
    text = cfg(8, 8, "ws", "USER").replace("FilterSramSzkB:  256", "FilterSramSzkB:  64")
    _, arch = imported(tmp_path, GEMM + "a,20,30,40,\n", text)
    machine = load_machine(arch)
    assert machine.dram.bandwidth_bytes_per_s == 3 * 10 * machine.clock_hz
    sizes = (machine.activation.capacity_bytes, machine.weight.capacity_bytes, machine.output.capacity_bytes)
    assert sizes == (256 * 1024, 64 * 1024, 256 * 1024)
    calc = run(tmp_path, GEMM + "a,20,30,40,\n", cfg(8, 8, "ws"))
    user = run(tmp_path, GEMM + "a,20,30,40,\n", text)
    assert user.cycles > calc.cycles
