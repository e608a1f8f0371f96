"""Every shipped int8 machine runs every kind of pruned network: bit for bit, every cycle accounted for."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import float_networks
import integer_networks
import numpy as np
import pruned
import pytest

import accelsim
from accelsim.compress.recipe import load_recipe
from accelsim.config import shipped
from accelsim.config.load import load_machine
from accelsim.formats import nm
from accelsim.graph.layer import layers
from accelsim.results import Summary
from accelsim.workload.source import load_network

MACHINES = [name for name in shipped.names("arch") if load_machine(name).default_recipe == "int8"]
RECIPES = ("int8", "int8-compact")
#: Images of the quick suite: more than one block of 16 samples, and a part of one.
FEW = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pruned")


@cache
def workload(folder: Path, variant: str, images: int | None = None) -> str:
    return str(pruned.write(folder / f"{variant}-{images}", pruned.VARIANTS[variant], images))


@cache
def summary_of(path: str, arch: str, recipe: str) -> Summary:
    return accelsim.run(path, arch, recipe).summary


def assert_sound(summary: Summary) -> None:
    """Outputs are exact, each unit's cycles are attributed once, and layers sum to totals."""
    assert summary.bit_exact is True
    assert [layer.bit_exact for layer in summary.layers] == [True] * 3
    for unit in summary.units.values():
        assert sum(cycles for state, cycles in unit.items() if state != "total") == unit["total"] == summary.cycles
    for name in ("cycles", "array_cycles"):
        assert getattr(summary, name) == sum(getattr(layer, name) for layer in summary.layers)
    for group in ("macs", "bytes", "energy_pj"):
        for name, value in getattr(summary, group).model_dump(exclude={"compulsory"}).items():
            parts = (getattr(getattr(layer, group), name) for layer in summary.layers)
            assert value == pytest.approx(math.fsum(parts), rel=1e-12), (group, name)
    for name, row in summary.units.items():
        for state, cycles in row.items():
            assert cycles == sum(layer.units[name].get(state, 0) for layer in summary.layers)
    for figures in (summary, *summary.layers):
        assert figures.macs.executed + figures.macs.skipped == figures.macs.dense
        assert 0 <= figures.macs.skipped <= figures.macs.skippable <= figures.macs.dense


def skippable(path: str) -> int:
    """Products of a workload's integer network that have a zero factor."""
    graph, (x,) = float_networks.typed(load_network(path), load_recipe("int8"))
    compressed = integer_networks.read(graph)
    count = 0
    for layer, outputs in zip(compressed.layers, compressed.forward(x), strict=True):
        useful = (x != 0).astype(np.int64) @ (layer.weight != 0).astype(np.int64)
        count += x.shape[0] * layer.weight.size - int(useful.sum())
        x = outputs
    return count


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("variant", pruned.VARIANTS)
@pytest.mark.parametrize("arch", MACHINES)
def test_a_pruned_network_runs_bit_for_bit(arch: str, variant: str, recipe: str, folder: Path) -> None:
    path = workload(folder, variant, FEW)
    summary = summary_of(path, arch, recipe)
    assert_sound(summary)
    assert summary.macs.dense == FEW * (64 * 300 + 300 * 100 + 100 * 10)
    assert summary.compression.dense_bits == 32 * (64 * 300 + 300 * 100 + 100 * 10)
    if recipe == "int8":
        assert summary.macs.skippable == skippable(path)


@pytest.mark.slow
@pytest.mark.parametrize("arch", MACHINES)
def test_all_images_of_all_pruned_networks_run_bit_for_bit(arch: str, folder: Path) -> None:
    for variant in pruned.VARIANTS:
        summary = summary_of(workload(folder, variant), arch, "int8")
        assert_sound(summary)
        assert summary.macs.dense == 360 * (64 * 300 + 300 * 100 + 100 * 10)


@pytest.mark.parametrize(
    ("arch", "variant"),
    [
        ("edge-outer", "columns"),
        ("edge-sparse24", "two_of_four"),
        ("edge-tensorcore", "two_of_four"),
        ("edge-eie", "unstructured"),
    ],
)
def test_a_sparse_machine_is_faster_and_cheaper_on_the_zeros_that_it_is_made_for(
    arch: str, variant: str, folder: Path
) -> None:
    dense, sparse = (summary_of(workload(folder, name, FEW), arch, "int8") for name in ("dense", variant))
    assert sparse.macs.skipped > dense.macs.skipped
    assert sparse.cycles < dense.cycles
    assert sparse.energy_pj.total < dense.energy_pj.total


@pytest.mark.parametrize("variant", ["unstructured", "columns", "two_of_four"])
@pytest.mark.parametrize("arch", ["edge-ws", "tpu-v1"])
def test_a_dense_array_takes_the_same_cycles_for_all_of_them_and_skips_nothing(
    arch: str, variant: str, folder: Path
) -> None:
    dense, sparse = (summary_of(workload(folder, name, FEW), arch, "int8") for name in ("dense", variant))
    assert sparse.macs.skipped == dense.macs.skipped == 0
    assert sparse.macs.skippable > dense.macs.skippable
    assert sparse.cycles == dense.cycles


@pytest.mark.parametrize("arch", MACHINES)
def test_compaction_keeps_every_output_and_halves_what_is_stored(arch: str, folder: Path) -> None:
    path = workload(folder, "columns", FEW)
    full, compact = summary_of(path, arch, "int8"), summary_of(path, arch, "int8-compact")
    assert compact.quality == full.quality
    # of 64, 300 and 100 inputs half are pruned, and with them the outputs that would feed them
    assert [layer.shape for layer in compact.layers] == [[FEW, 32, 150], [FEW, 150, 50], [FEW, 50, 10]]
    assert [layer.dense_shape for layer in compact.layers] == [layer.shape for layer in full.layers]
    executed = FEW * (32 * 150 + 150 * 50 + 50 * 10)
    assert compact.macs.executed <= executed  # sparse lanes skip zero activations too
    assert compact.macs.skippable >= full.macs.dense - executed
    assert compact.compression.stored_bits < full.compression.stored_bits
    assert compact.bytes.dram_read < full.bytes.dram_read
    assert compact.cycles < full.cycles
    assert compact.energy_pj.total < full.energy_pj.total


def test_a_network_without_prunable_inputs_is_left_as_it_is() -> None:
    full, compact = (accelsim.run("digits-mlp", "edge-ws", recipe).summary for recipe in RECIPES)
    assert compact.cycles == full.cycles
    assert compact.counters == full.counters


def test_a_compacted_program_runs_from_its_file_and_names_its_features(folder: Path, tmp_path: Path) -> None:
    path = workload(folder, "columns", FEW)
    program = accelsim.compile_workload(path, "edge-outer", "int8-compact")
    program.save(tmp_path / "p.acs")
    summary = accelsim.execute(type(program).load(tmp_path / "p.acs")).summary
    ran = summary_of(path, "edge-outer", "int8-compact")
    assert (summary.cycles, summary.macs, summary.compression) == (ran.cycles, ran.macs, ran.compression)
    for layer in layers(load_network(path).graph):
        read = np.flatnonzero(layer.weight.numbers.any(axis=1)).tolist()
        assert program.header.region(layer.input.name).features == read
    assert [region.name for region in program.header.regions] == ["input", "fc1.output", "fc2.output", "fc3.output"]
    assert program.header.region("fc3.output").features == list(range(10))


def test_the_variants_are_pruned_as_they_say() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(40, 30)).astype(np.float32)
    assert (pruned.dense(weight) != 0).all()
    assert np.count_nonzero(pruned.unstructured(weight)) == 240
    columns = pruned.columns(weight)
    kept = columns.any(axis=1)
    assert kept.sum() == 20
    assert (columns[kept] == weight[kept]).all()
    assert np.abs(weight[kept]).sum(axis=1).min() >= np.abs(weight[~kept]).sum(axis=1).max()
    assert nm.is_nm(pruned.two_of_four(weight), 2, 4)
    assert np.count_nonzero(pruned.two_of_four(weight)) == 600


def test_all_shipped_int8_machines_are_covered() -> None:
    assert {"edge-ws", "edge-outer", "edge-sparse24", "edge-tensorcore", "edge-eie", "tpu-v1"} <= set(MACHINES)
