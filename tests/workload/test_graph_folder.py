"""Workload folders of graphs: what is read of them is what was written; what is wrong is told in a line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf_files
import language_models
import numpy as np
import pytest
from command_line import accelsim, refused
from numpy.typing import NDArray
from ruamel.yaml import YAML
from safetensors.numpy import load_file, save_file

from accelsim.api import compile_workload
from accelsim.config.load import read_yaml
from accelsim.errors import AccelSimError
from accelsim.files import write_all
from accelsim.formats.ggml import BlockTensor
from accelsim.golden import exact, real
from accelsim.golden.operators import read_op, write_op
from accelsim.graph.build import Builder
from accelsim.graph.element import Float, Integer, Plain, Signs
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.quantize import Dequantize, Quantize, Retype
from accelsim.workload.graph_folder import folder_files, in_memory
from accelsim.workload.network import Network
from accelsim.workload.source import Source, load_network

NETWORKS = Path(__file__).parents[1] / "data" / "networks"


def written(source: Path | Source, folder: Path) -> Path:
    """A folder of a network that another tool's file has."""
    network = load_network(source if isinstance(source, Source) else str(source), values=False)
    write_all(folder, folder_files(network, str(source)))
    return folder


def of_graph(graph: Graph, folder: Path) -> Path:
    write_all(folder, folder_files(Network(graph, (), None, (), {}), "a test"))
    return folder


def same_graphs(one: Graph, other: Graph) -> None:
    """Every node and value of a graph is that of another."""
    assert one.name == other.name
    assert one.nodes == other.nodes
    assert (one.inputs, one.outputs) == (other.inputs, other.outputs)
    assert one.values.keys() == other.values.keys()
    assert [value.name for value in one.constants] == [value.name for value in other.constants]
    assert [(s.read, s.written) for s in one.states] == [(s.read, s.written) for s in other.states]
    for name, a in one.values.items():
        b = other[name]
        assert (a.type, a.pattern, a.storage) == (b.type, b.pattern, b.storage), name
        assert (a.data is None) == (b.data is None), name
        if a.data is not None and b.data is not None:
            assert a.data.dtype == b.data.dtype
            np.testing.assert_array_equal(a.data, b.data, name)
        if a.groups is not None:
            assert isinstance(a.groups, BlockTensor)
            assert isinstance(b.groups, BlockTensor)
            assert a.groups.codec == b.groups.codec
            np.testing.assert_array_equal(a.groups.blocks, b.groups.blocks)


def outputs(network: Network, *, exactly: bool) -> list[NDArray[Any]]:
    graph = network.graph
    found = exact.evaluate(graph, network.inputs, 1) if exactly else real.evaluate(graph, network.inputs, graph.outputs)
    return [found[name] for name in graph.outputs]


def model(kind: str, folder: Path) -> Path:
    """A small random network as another tool's file."""
    match kind:
        case "float" | "int8":
            return NETWORKS / f"mnist_conv_{kind}.onnx"
        case "gguf":
            gguf_files.write(folder / "llama.gguf", language_models.llama(width=32, ffn=64, tokens=40), "Q4_1")
            return folder / "llama.gguf"
        case "tied":
            tied = language_models.llama(width=32, ffn=32, tokens=33, tie_word_embeddings=True)
            gguf_files.write(folder / "tied.gguf", tied, "Q8_0")
            return folder / "tied.gguf"
        case _:
            made: Callable[..., language_models.Model] = getattr(language_models, kind)
            return made(layers=1).save(folder / kind)


@pytest.mark.parametrize("kind", ["float", "int8", "gguf", "tied", "llama", "gpt2", "bert"])
def test_a_folder_is_the_network_that_it_was_made_of(kind: str, tmp_path: Path) -> None:
    source = model(kind, tmp_path)
    folder = written(source, tmp_path / "out")
    direct, again = load_network(str(source)), load_network(str(folder))
    same_graphs(direct.graph, again.graph)
    assert direct.orders == again.orders
    for a, b in zip(direct.inputs, again.inputs, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(outputs(direct, exactly=kind == "int8"), outputs(again, exactly=kind == "int8"), strict=True):
        np.testing.assert_array_equal(a, b)
    # what is written of what was read is the same file, but for where it came from
    second = written(folder, tmp_path / "second")
    texts = [read_yaml(path / "workload.yaml").data for path in (folder, second)]
    for text in texts:
        del text["provenance"], text["source"], text["description"]
    assert texts[0] == texts[1]
    assert (folder / "weights.safetensors").read_bytes() == (second / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(("kind", "arch"), [("float", "edge-ws"), ("int8", "edge-ws"), ("gguf", "edge-ws-bf16")])
def test_a_folder_compiles_to_the_same_program(kind: str, arch: str, tmp_path: Path) -> None:
    source = model(kind, tmp_path)
    folder = written(source, tmp_path / "out")
    assert compile_workload(str(source), arch).digest == compile_workload(str(folder), arch).digest


def test_matrices_stay_in_blocks_and_tied_ones_are_there_once(tmp_path: Path) -> None:
    folder = written(model("tied", tmp_path), tmp_path / "out")
    said = read_yaml(folder / "workload.yaml").data["constants"]
    tensors = load_file(folder / "weights.safetensors")
    assert said["embedding.table"] == {
        "shape": [33, 32], "blocks": "q8_0", "decoded": True, "tensor": "head.weight", "order": [1, 0],
    }  # fmt: skip
    assert said["head.weight"] == {"shape": [32, 33], "blocks": "q8_0"}
    assert "embedding.table" not in tensors
    assert tensors["head.weight"].shape == (33, 1, 34)
    graph = load_network(str(folder)).graph
    assert np.shares_memory(graph["embedding.table"].numbers, graph["head.weight"].numbers)
    assert graph["embedding.table"].groups is None
    assert graph["head.weight"].storage is not None


def test_numbers_stand_in_the_file_as_in_memory() -> None:
    numbers = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)):
        turned = numbers.transpose(order)
        stands, back = in_memory(turned)
        assert stands.flags.c_contiguous
        assert np.shares_memory(stands, numbers)
        np.testing.assert_array_equal(stands.transpose(back), turned)
    gaps, back = in_memory(numbers[:, ::2])
    assert gaps.flags.c_contiguous
    np.testing.assert_array_equal(gaps.transpose(back), numbers[:, ::2])


def typed() -> Graph:
    """A graph of all elements, a state and scales of channels."""
    build = Builder("all elements")
    x = build.input("x", (2, 4))
    ids = build.input("ids", (2,), Plain("int64"))
    q = build.node("to", Quantize(Integer(0.25, 3, signed=True)), x)
    scales = np.array([0.1, 0.2, 0.7])
    w = build.constant("w", np.arange(12, dtype=np.int8).reshape(4, 3), Integer(scales, 0, signed=True), pattern=(2, 4))
    sums = build.node("products", MatMul(), q, w)
    again = build.node("again", Retype(Integer(scales * 2, 0, signed=True, bits=32)), sums)
    y = build.node("from", Dequantize(), again)
    table = build.constant("table", np.eye(3, dtype=np.float32), Float("bf16"))
    rows = build.node("rows", Gather(), table, ids)
    build.constant("signs", np.array([[1, -1, 1]], np.int8), Signs(0.5))
    build.constant("mask", np.array([True, False, True]), Plain("bool"))
    held = build.state("held", (2, 3), "next", np.array([1, 2, 3], np.float32))
    y = build.node("with", Add(), build.node("sum", Add(), y, rows), held)
    build.node("clipped", Function("clip", -1.0, float("inf")), y, output="next")
    copies = [build.node(f"{name}.kept", Function("absolute"), name) for name in ("signs", "mask")]
    return build.graph(("next", *copies))


def test_elements_states_and_scales_of_channels(tmp_path: Path) -> None:
    graph = typed()
    folder = of_graph(graph, tmp_path / "out")
    again = load_network(str(folder), values=False).graph
    same_graphs(graph, again)
    np.testing.assert_array_equal(again.states[0].initial, graph.states[0].initial)
    assert again["w"].pattern == (2, 4)
    assert load_file(folder / "weights.safetensors")["w.scales"].dtype == np.float64


@pytest.mark.parametrize("op", [node.op for node in typed().nodes], ids=str)
def test_operators_come_back(op: Op) -> None:
    scales: dict[str, NDArray[np.float64]] = {}

    def element(found: Any) -> dict[str, Any]:
        from accelsim.graph.element_info import element_info

        if isinstance(found, Integer) and np.ndim(found.scale):
            scales["s"] = np.asarray(found.scale)
            return {"kind": "channels", "bits": found.bits, "signed": True, "scales": "s", "zero_point": 0}
        return element_info(found).model_dump(mode="json")

    said = json.loads(json.dumps(write_op(op, element=element)))
    assert read_op(said, scales=scales.__getitem__) == op
    if scales:
        with pytest.raises(ValueError, match="not 'channels'"):
            read_op(said)
