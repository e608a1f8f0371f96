"""Whole runs of a pruned network whose weights are stored encoded, as a user of Python sees them."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pruned
import pytest
from harness import SIMPLE_DRAM
from numpy.typing import NDArray

import accelsim
from accelsim.compress.apply import compress
from accelsim.compress.recipe import load_recipe
from accelsim.config import shipped
from accelsim.graph.layer import layers
from accelsim.results import LayerResult, RunResult
from accelsim.workload.source import load_network

IMAGES = 90
SPARSE = ("int8-bitmask", "int8-relative", "int8-huffman")


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(pruned.write(tmp_path_factory.mktemp("pruned"), pruned.unstructured, IMAGES))


@pytest.fixture(scope="module")
def arch(tmp_path_factory: pytest.TempPathFactory) -> str:
    """edge-ws with a simple DRAM, which moves every burst that is asked for: a banked one merges some."""
    text = shipped.path_of("arch", "edge-ws").read_text()
    path = tmp_path_factory.mktemp("arch") / "simple.yaml"
    path.write_text(text[: text.index("dram:\n")] + f"dram: {json.dumps(SIMPLE_DRAM)}\n")
    return str(path)


@pytest.fixture(scope="module")
def dense(workload: str, arch: str) -> RunResult:
    return accelsim.run(workload, arch, "int8")


@pytest.fixture(scope="module")
def encoded(workload: str, arch: str) -> dict[str, RunResult]:
    return {recipe: accelsim.run(workload, arch, recipe) for recipe in SPARSE}


@pytest.mark.parametrize("recipe", SPARSE)
def test_encoded_weights_give_the_same_outputs_for_fewer_bytes(
    dense: RunResult, encoded: dict[str, RunResult], recipe: str
) -> None:
    plain, stored = dense.summary, encoded[recipe].summary
    assert stored.bit_exact is True
    assert stored.quality == plain.quality
    assert stored.macs == plain.macs
    assert stored.energy_pj.mac == plain.energy_pj.mac
    assert stored.compression.dense_bits == plain.compression.dense_bits
    for layer, before in zip(stored.layers, plain.layers, strict=True):
        assert layer.compression.stored_bits < before.compression.stored_bits
        assert layer.bytes.dram_read < before.bytes.dram_read
        # what is not read any more is what is not stored any more, but for bursts that are used in part: an encoded
        # weight tile's last one, and the constants' first and last, which were loaded with the weight tile
        saved = (before.compression.stored_bits - layer.compression.stored_bits) // 8
        weight_tiles = -(-layer.shape[1] // layer.tiling.k) * -(-layer.shape[2] // 16)
        assert abs(before.bytes.dram_read - layer.bytes.dram_read - saved) <= 3 * 64 * weight_tiles


@pytest.mark.parametrize("recipe", SPARSE)
def test_the_decode_unit_is_timed_and_paid(dense: RunResult, encoded: dict[str, RunResult], recipe: str) -> None:
    summary = encoded[recipe].summary
    assert dense.summary.energy_pj.decode == dense.summary.units["decode"]["busy"] == 0
    parts = summary.energy_pj.model_dump()
    assert parts["decode"] > 0
    assert parts.pop("total") == pytest.approx(sum(parts.values()), rel=1e-12)
    # 16 outputs a cycle at most, and every weight passes once
    weights = sum(k * n for _, k, n in (layer.shape for layer in summary.layers))
    assert summary.units["decode"]["busy"] >= weights / 16
    written = [
        r.count for r in summary.counters if (r.component, r.operation, r.bits) == ("decode", "register_write", 8)
    ]
    table = summary.recipe == "int8-huffman"  # each weight tile's symbols pass the same registers
    assert sum(written) > weights if table else sum(written) == weights


def weight_tiles(layer: LayerResult, weight: NDArray[np.integer]) -> list[list[int]]:
    """Weights of each weight tile, row by row: the tiling's inputs by the array's 16 columns."""
    k, n = weight.shape
    step = layer.tiling.k
    return [
        weight[low : low + step, left : left + 16].ravel().tolist()
        for left in range(0, n, 16)
        for low in range(0, k, step)
    ]


def masked_bytes(values: list[int]) -> int:
    return -(-len(values) // 8) + sum(v != 0 for v in values)


def relative_bytes(values: list[int]) -> int:
    """One run of values: a width, two pointers of two bytes, and a byte and four bits an entry."""
    entries, zeros = 0, 0
    for value in values:
        zeros += value == 0
        if value:
            entries += 1 + zeros // 16
            zeros = 0
    return 1 + 2 * 2 + entries + -(-entries // 2)


def huffman_bytes(values: list[int]) -> int:
    """Symbols' mask, four bits a length, sizes of 16 streams, and the bits of any best code, in whole bytes."""
    heap = sorted(Counter(values).values())
    symbols, bits = len(heap), len(values) if len(heap) == 1 else 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        bits += both
        heapq.heappush(heap, both)
    return 32 + -(-symbols // 2) + 16 * 4 + -(-bits // 8)


@pytest.mark.parametrize(
    ("recipe", "size", "slack"),
    [("int8-bitmask", masked_bytes, 0), ("int8-relative", relative_bytes, 0), ("int8-huffman", huffman_bytes, 15)],
)
def test_stored_bits_are_those_of_the_formats_definition(
    workload: str, encoded: dict[str, RunResult], recipe: str, size: Callable[[list[int]], int], slack: int
) -> None:
    typed = layers(compress(load_network(workload), load_recipe("int8")))
    for layer, integers in zip(encoded[recipe].summary.layers, typed, strict=True):
        sizes = [size(values) for values in weight_tiles(layer, integers.weight.numbers)]
        stored = (layer.compression.stored_bits - (32 + 8) * layer.shape[2]) // 8
        # each of the 16 streams may end in a byte that is used in part
        assert sum(sizes) <= stored <= sum(sizes) + slack * len(sizes)


def test_a_decode_unit_that_cannot_keep_up_is_what_binds(workload: str, tmp_path: Path) -> None:
    text = shipped.path_of("arch", "edge-ws").read_text()
    bounds = {}
    for rate in (1, 16):
        text_at_rate = text.replace("symbols_per_cycle: 16", f"symbols_per_cycle: {rate}")
        text_at_rate = text_at_rate.replace("outputs_per_cycle: 16", f"outputs_per_cycle: {rate}")
        arch = tmp_path / f"decode{rate}.yaml"
        arch.write_text(text_at_rate)
        summary = accelsim.run(workload, str(arch), "int8-bitmask").summary
        assert summary.bit_exact
        bounds[rate] = summary.roofline.bound
    assert bounds[1] == "decode" != bounds[16]


@pytest.mark.parametrize("arch", ["edge-outer", "edge-sparse24", "edge-tensorcore", "edge-eie"])
def test_every_datapath_takes_decoded_weights(arch: str, tmp_path: Path) -> None:
    small = str(pruned.write(tmp_path, pruned.unstructured, 20))
    plain, stored = (accelsim.run(small, arch, recipe).summary for recipe in ("int8", "int8-bitmask"))
    assert stored.bit_exact is True
    assert stored.energy_pj.decode > 0
    assert stored.macs == plain.macs
    assert stored.compression.ratio > plain.compression.ratio
    assert stored.bytes.dram_read < plain.bytes.dram_read


@pytest.mark.parametrize("operands", ["int16", "int4", "int2", "binary"])
def test_operands_of_any_width_are_encoded_as_the_bytes_that_hold_them(operands: str, tmp_path: Path) -> None:
    small = str(pruned.write(tmp_path, pruned.unstructured, 20))
    arch, recipe = tmp_path / "a.yaml", tmp_path / "r.yaml"
    text = shipped.path_of("arch", "edge-ws").read_text()
    arch.write_text(text.replace("matrix:\n", f"matrix:\n  operands: {operands}\n"))
    head = "kind: recipe\nname: r\ndescription: ''\nsteps:\n"
    recipe.write_text(f"{head}  - scheme: {operands}\n  - {{scheme: store, format: huffman}}\n")
    summary = accelsim.run(small, str(arch), str(recipe)).summary
    assert summary.bit_exact is True
    assert summary.units["decode"]["busy"] > 0


@pytest.mark.parametrize(("storage", "index_bits"), [("bitmask", 0), ("csr", 0), ("csc", 0), ("relative", 4)])
def test_nonzeros_of_four_bits_are_stored_in_four_bits(
    workload: str, arch: str, storage: str, index_bits: int, tmp_path: Path
) -> None:
    def bits(weight_bits: int) -> tuple[int, int]:
        steps = [{"scheme": "int8", "weight_bits": weight_bits}, {"scheme": "store", "format": storage}]
        recipe = {"kind": "recipe", "name": "r", "description": "d", "steps": steps}
        (tmp_path / "r.yaml").write_text(json.dumps(recipe))
        result = accelsim.run(workload, arch, str(tmp_path / "r.yaml"))
        assert result.summary.bit_exact is True
        graph = compress(load_network(workload), load_recipe(str(tmp_path / "r.yaml")))
        entries = sum(int(np.count_nonzero(layer.weight.numbers)) for layer in layers(graph))
        return result.summary.compression.stored_bits, entries

    (narrow, few), (wide, many) = bits(4), bits(8)
    if storage == "bitmask":  # a bit a weight, and the nonzeros; each tile is whole bytes
        assert abs(wide - narrow - (8 * many - 4 * few)) < 8 * 200
    else:
        assert narrow < wide - 4 * few * (1 if index_bits else 0.9)
