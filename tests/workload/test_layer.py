"""Kinds of layers: the product that each is, and what a workload must say of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import AccelSimError
from accelsim.formats.nm import is_nm
from accelsim.graph.graph import Graph
from accelsim.graph.layer import layers
from accelsim.graph.ops.relu import Relu
from accelsim.workload.layer import ConvSpec
from accelsim.workload.source import load_network

HEAD = "kind: workload\nname: w\ndescription: d\nsource: s\n"


def workload(folder: Path, *layers: str, head: str = "independent: true\nsynthetic: {seed: 1, batch: 2}\n") -> str:
    lines = "".join(f"  - {{name: l{i}, {layer}}}\n" for i, layer in enumerate(layers))
    (folder / "w.yaml").write_text(f"{HEAD}{head}layers:\n{lines}")
    return str(folder / "w.yaml")


def faults(path: str) -> list[str]:
    with pytest.raises(AccelSimError) as error:
        load_network(path)
    return [line.removeprefix(f"{path}:") for line in str(error.value).splitlines()]


SIDE = st.integers(1, 12)


@given(SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, st.integers(0, 3), st.integers(0, 3), st.integers(1, 5), st.integers(1, 5))
def test_a_convolution_has_a_row_for_each_window_that_lies_in_the_padded_input(
    height: int, width: int, kh: int, kw: int, sh: int, sw: int, ph: int, pw: int, channels: int, filters: int
) -> None:
    kh, kw = min(kh, height), min(kw, width)
    spec = ConvSpec(
        name="c", kind="conv", height=height, width=width, channels=channels, filters=filters,
        kernel=[kh, kw], stride=[sh, sw], padding=[ph, pw],
    )  # fmt: skip
    padded = np.zeros((height + 2 * ph, width + 2 * pw, channels))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kh, kw, channels))[::sh, ::sw]
    m, k = windows.shape[0] * windows.shape[1], windows[0, 0].size
    assert spec.product(3) == (3 * m, k, filters)


def test_one_number_stands_for_both_directions_and_stride_and_padding_have_defaults(tmp_path: Path) -> None:
    size = "kind: conv, height: 9, width: 8, channels: 3, filters: 4"
    pairs = f"{size}, kernel: [3, 3], stride: [2, 2], padding: [1, 1]"
    path = workload(tmp_path, f"{size}, kernel: 3, stride: 2, padding: 1", pairs, f"{size}, kernel: [2, 1]")
    network = load_network(path)
    assert [x.shape for x in network.inputs] == [(2 * 5 * 4, 27), (2 * 5 * 4, 27), (2 * 8 * 8, 6)]
    assert [layer.weight.shape for layer in layers(network.graph)] == [(27, 4), (27, 4), (6, 4)]


def test_the_batch_multiplies_rows_of_all_layers_but_plain_products(tmp_path: Path) -> None:
    path = workload(tmp_path, "kind: gemm, m: 5, k: 6, n: 7", "kind: linear, inputs: 6, outputs: 3")
    assert [x.shape for x in load_network(path).inputs] == [(5, 6), (2, 6)]


def test_each_layer_draws_its_own_inputs_and_the_seed_decides(tmp_path: Path) -> None:
    path = workload(tmp_path, "kind: gemm, m: 5, k: 6, n: 7", "kind: gemm, m: 5, k: 6, n: 7")
    network, again = load_network(path), load_network(path)
    first, second = network.inputs
    assert (first != second).any()
    one, other = layers(network.graph)
    assert (one.weight.numbers != other.weight.numbers).any()
    for a, b in zip(layers(network.graph), layers(again.graph), strict=True):
        np.testing.assert_array_equal(a.weight.numbers, b.weight.numbers)
    assert network.calibration == network.inputs


def test_no_edge_joins_layers_that_are_independent(tmp_path: Path) -> None:
    path = workload(tmp_path, "kind: gemm, m: 5, k: 6, n: 7", "kind: linear, inputs: 9, outputs: 3, activation: relu")
    graph = load_network(path).graph
    found = layers(graph)
    assert tuple(layer.input.name for layer in found) == graph.inputs
    assert tuple(layer.output.name for layer in found) == graph.outputs
    assert [[node.name for node in layer.nodes] for layer in found] == [["l0"], ["l1", "l1.relu"]]
    assert len(graph.nodes) == 3
    assert [(graph[a].shape, graph[b].shape) for a, b in zip(graph.inputs, graph.outputs, strict=True)] == [
        ((5, 6), (5, 7)),
        ((2, 9), (2, 3)),
    ]


def test_layers_that_follow_each_other_have_one_input_and_one_output(tmp_path: Path) -> None:
    sizes = ("kind: linear, inputs: 9, outputs: 4, activation: relu", "kind: linear, inputs: 4, outputs: 3")
    graph = load_network(workload(tmp_path, *sizes, head="synthetic: {seed: 1, batch: 2}\n")).graph
    first, second = layers(graph)
    assert graph.inputs == (first.input.name,)
    assert first.output is second.input
    assert graph.outputs == (second.output.name,)
    assert (first.relu, second.relu) == (Relu(), None)


@pytest.mark.parametrize(("kept", "group"), [(2, 4), (1, 3), (4, 8)])
def test_drawn_weights_are_pruned_to_the_declared_pattern(kept: int, group: int, tmp_path: Path) -> None:
    path = workload(
        tmp_path, f"kind: gemm, m: 1, k: 50, n: 9, sparsity: [{kept}, {group}]", "kind: gemm, m: 1, k: 50, n: 9"
    )
    network = load_network(path)
    first, second = layers(network.graph)
    sparse, dense = first.weight.numbers, second.weight.numbers
    assert is_nm(sparse, kept, group)
    assert not is_nm(dense, kept, group)
    # whole groups keep as many as they may, and the largest of them
    whole = sparse[: 50 // group * group].reshape(-1, group, 9)
    assert (np.count_nonzero(whole, axis=1) == kept).all()
    assert first.weight.pattern == (kept, group)


def test_shapes_alone_take_no_memory(tmp_path: Path) -> None:
    path = workload(tmp_path, "kind: gemm, m: 1048576, k: 1048576, n: 1048576", "kind: linear, inputs: 9, outputs: 4")
    network = load_network(path, values=False)
    assert not network.has_numbers
    first, _ = layers(network.graph)
    assert first.weight.shape == (2**20, 2**20)
    assert first.weight.numbers.strides == (0, 0)
    assert [x.shape for x in network.inputs] == [(2**20, 2**20), (2, 9)]


def test_tensors_that_do_not_fit_the_computer_are_one_line(tmp_path: Path) -> None:
    path = workload(tmp_path, "kind: gemm, m: 2147483647, k: 1048576, n: 1")
    with pytest.raises(
        AccelSimError, match=r"^tensors of w must fit this computer's memory of \d+ bytes, not 9007199254740992$"
    ):
        load_network(path)


CONV = "kind: conv, height: 5, width: 5, channels: 1, filters: 1"


@pytest.mark.parametrize(
    ("layer", "head", "expected"),
    [
        (f"{CONV}, kernel: [3, 6]", None,
         "8:5: layers.0: kernel must fit the padded input, whose width is 5, but has 6"),
        (f"{CONV}, kernel: [3]", None, "8:74: layers.0.kernel: must have at least 2 items, not 1"),
        (f"{CONV}, kernel: [0, 1]", None, "8:83: layers.0.kernel.0: must be greater than or equal to 1, not 0"),
        ("kind: gemm, m: 0, k: 1, n: 1", None, "8:28: layers.0.m: must be greater than or equal to 1, not 0"),
        ("kind: gemm, m: 1, k: 1", None, "8:5: layers.0.n: must be given, but is missing"),
        ("kind: pool", None,
         "8:5: layers.0: kind must be linear or conv or gemm or max_pool or average_pool or global_average_pool or "
         "add or multiply or matmul or softmax or layer_norm or rms_norm or concat or reshape or transpose or slice or "
         "pad or flatten or activation, not 'pool'; did you mean 'max_pool'?"),
        ("kind: gemm, m: 1, k: 1, n: 1", "synthetic: {seed: 1, batch: 2}\n",
         "7:16: layers.0.kind: must be linear in a workload that is not independent, not gemm"),
        ("kind: linear, inputs: 1, outputs: 1, weight: w",
         "independent: true\nweights: w.safetensors\ndata: {file: f, inputs: i, labels: l, calibration: c}\n",
         "5:1: independent: must be false where weights and data are read from files"),
        ("kind: linear, inputs: 1, outputs: 1, weight: w, sparsity: [2, 4]",
         "weights: w.safetensors\ndata: {file: f, inputs: i, labels: l, calibration: c}\n",
         "8:64: layers.0.sparsity: must be absent where weights are read and not drawn"),
        ("kind: gemm, m: 1, k: 1, n: 1, sparsity: [4, 4]", None,
         "8:5: layers.0: sparsity must be [N, M] with N below M, not [4, 4]"),
        ("kind: conv, height: 70000, width: 70000, channels: 1, filters: 1, kernel: 1", None,
         "8:5: layers.0: must be a product of at most 2147483647 rows (M), not 9800000000"),
        ("kind: conv, height: 99, width: 99, channels: 1000, filters: 1, kernel: 99", None,
         "8:5: layers.0: must be a product of at most 1048576 inputs (K), not 9801000"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(layer: str, head: str | None, expected: str, tmp_path: Path) -> None:
    path = workload(tmp_path, layer, head=head) if head else workload(tmp_path, layer)
    assert faults(path) == [expected]


@pytest.mark.parametrize(
    ("name", "count", "weights", "products"),
    [
        # "60 million parameters" (Krizhevsky et al. 2012, abstract)
        ("alexnet-layers", 11, 60e6, None),
        # 1.8 and 3.8 billion multiply-adds (He et al., arXiv:1512.03385, table 1); 25.5 million weights: Keras' table
        ("resnet-18-layers", 21, None, 1.8e9),
        ("resnet-50-layers", 54, 25.5e6, 3.8e9),
        # 6.7 billion parameters less two embeddings of 32,000 x 4096, in 32 blocks (arXiv:2302.13971, table 2)
        ("llama-2-7b-block", 7, (6.7e9 - 2 * 32_000 * 4096) / 32, None),
        ("llama-2-7b", 7 * 32, 6.7e9 - 2 * 32_000 * 4096, None),
    ],
)
def test_shipped_networks_have_the_sizes_that_are_published(
    name: str, count: int, weights: float | None, products: float | None
) -> None:
    network = load_network(name, values=False)
    found = layers(network.graph)
    assert len(found) == count
    sizes = [layer.weight.numbers.size for layer in found]
    if weights:
        assert sum(sizes) == pytest.approx(weights, rel=0.02)
    if products:
        rows = [x.shape[0] for x in network.inputs]
        macs = sum(m * size for m, size in zip(rows, sizes, strict=True))
        assert macs == pytest.approx(products, rel=0.02)
        assert sum(network.graph.work(node).macs for node in network.graph.nodes) == macs


def graph_of(folder: Path, *layers: str, sample: str) -> Graph:
    head = f"synthetic: {{seed: 1, batch: 2}}\ninput: {sample}\n"
    return load_network(workload(folder, *layers, head=head)).graph


def test_axes_of_a_sample_are_counted_from_0(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path,
        "kind: linear, inputs: 6, outputs: 8",
        "kind: reshape, shape: [4, 2, -1]",
        "kind: transpose, order: [1, 0, 2]",
        "kind: slice, axis: 1, start: 1, stop: 4, step: 2",
        "kind: pad, before: [0, 1, 0], behind: [0, 0, 2]",
        "kind: matmul, reads: [l4, l4], transposed: true",
        "kind: concat, axis: 1, reads: [l5, l5]",
        sample="[4, 6]",
    )
    shapes = [graph[f"l{i}.output"].shape for i in range(7)]
    assert shapes == [(2, 4, 8), (2, 4, 2, 4), (2, 2, 4, 4), (2, 2, 2, 4), (2, 2, 3, 6), (2, 2, 3, 3), (2, 2, 6, 3)]


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ("kind: reshape, shape: [5, -1]", "8:16: layers.0.kind: must fit what it reads: 48 numbers must fit"),
        ("kind: transpose, order: [0, 0]", "8:16: layers.0.kind: must fit what it reads: input must have its 3 axes"),
        ("kind: slice, axis: 2, stop: 3", "8:16: layers.0.kind: must fit what it reads: input must have an axis 3"),
        ("kind: pad, before: [1], behind: [1]", "8:16: layers.0.kind: must fit what it reads: input must be padded"),
        ("kind: matmul", "8:5: layers.0.reads: must be 2 or more for matmul, not 1"),
    ],
)
def test_what_does_not_fit_is_told_at_the_layer(layer: str, expected: str, tmp_path: Path) -> None:
    path = workload(tmp_path, layer, head="synthetic: {seed: 1, batch: 2}\ninput: [4, 6]\n")
    (fault,) = faults(path)
    assert fault.startswith(expected)
