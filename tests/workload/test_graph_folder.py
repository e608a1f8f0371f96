"""Workload folders of graphs: what is read of them is what was written; what is wrong is told in a line."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf_files
import jsonschema
import language_models
import numpy as np
import pytest
from command_line import accelsim, refused
from harness import long
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
from accelsim.golden.task import Classification, Language
from accelsim.graph.build import Builder
from accelsim.graph.element import Float, Integer, Plain, Signs
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.quantize import Dequantize, Quantize, Retype
from accelsim.provenance import versions
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


NAMES = ["1", "1e5", "0x10", "null", "~", "true", "a: b", "#c", "{d", "- e", "ü", "\U0001f4a1", "x" * 300, "'q'", '"r"',
         "a\\b", " before", "behind ", "=", "&a", "*b", "!t", "%p", "@", "`", "<<", "a,b", "?", "no"]  # fmt: skip


def test_names_that_mean_something_in_yaml(tmp_path: Path) -> None:
    build = Builder("null")
    x = build.input(" :", (1, 2))
    for name in NAMES:
        weight = build.constant(name, np.ones(2, np.float32))
        x = build.node(f"{name}\xa0", Add(), x, weight, output=f"#{name}")
    graph = build.graph((x,))
    same_graphs(graph, load_network(str(of_graph(graph, tmp_path / "out"))).graph)
    build.node("a\nb", Add(), x, weight, output="last")
    with pytest.raises(AccelSimError, match=r"a test: nodes\.29\.name: must be a name without control characters"):
        of_graph(build.graph(("last",)), tmp_path / "more")
    assert not (tmp_path / "more").exists()


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


# what is wrong with a file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small network that a person has written."""
    save_file(
        {"w": np.ones((4, 3), np.float32), "b": np.ones(3, np.float32), "i": np.ones(3, np.int64),
         "s": np.array([1.0, -1.0]), "q": np.full((3, 1, 18), 60, np.uint8)},
        tmp_path / "weights.safetensors",
    )  # fmt: skip
    (tmp_path / "workload.yaml").write_text(WRITTEN)
    return tmp_path


WRITTEN = """kind: workload
name: small
description: d
source: s
weights: weights.safetensors
inputs:
  x: {shape: [2, 4]}
constants:
  w: {shape: [4, 3]}
  b: {shape: [3]}
nodes:
  - {name: product, op: MatMul, reads: [x, w], forms: [p]}
  - {name: sum, op: {kind: Add}, reads: [p, b], forms: [y]}
outputs: [y]
"""


def test_a_person_can_write_one(folder: Path) -> None:
    network = load_network(str(folder))
    (y,) = outputs(network, exactly=False)
    np.testing.assert_allclose(y, network.inputs[0].sum(axis=1, keepdims=True).repeat(3, axis=1) + 1, rtol=1e-5)


INTEGERS = "{kind: integer, bits: 8, signed: true, scale: 1.0, zero_point: 0}"
W, P = "workload.yaml", "must be a file inside the workload's folder, not "


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("reads: [p, b]", "reads: [y, b]",
         f"{W}:13:42: nodes.1.reads.0: must be there before it is read, but 'y' is formed by 'sum', which is not"),
        ("reads: [x, w]", "reads: [y, w]",
         f"{W}:12:41: nodes.0.reads.0: must be there before it is read, but 'y' is formed by 'sum', which is not"),
        ("reads: [x, w]", "reads: [x, ww]",
         f"{W}:12:44: nodes.0.reads.1: must be a known value, not 'ww'; did you mean 'w'?"),
        ("outputs: [y]", "outputs: [z]",
         f"{W}:14:11: outputs.0: must be a known value, not 'z'; known are b, p, w, x, y"),
        ("forms: [y]", "forms: [p]",
         f"{W}:13:57: nodes.1.forms.0: must be another name than that at nodes.0.forms.0, 'p'"),
        ("forms: [y]", "forms: [x]",
         f"{W}:13:57: nodes.1.forms.0: must be another name than that at inputs.x, 'x'"),
        ("name: sum", "name: product",
         f"{W}:13:6: nodes.1.name: must be another name than that at nodes.0.name, 'product'"),
        ("op: MatMul", "op: MatMull",
         f"{W}:12:21: nodes.0.op: must be a known operator, not 'MatMull'; did you mean 'MatMul'?"),
        ("{kind: Add}", "{kind: Add, axis: 1}",
         f"{W}:13:17: nodes.1.op: must be a known attribute, not 'axis'; known are none"),
        ("op: MatMul", "op: LayerNorm",
         f"{W}:12:21: nodes.0.op: LayerNorm: epsilon: must be given, but is missing"),
        ("{kind: Add}", "{kind: Quantize, to: {kind: channels, bits: 8, signed: true, scales: s, zero_point: 0}}",
         f"{W}:13:17: nodes.1.op: scales of 's' must be above 0 and finite"),
        ("shape: [2, 4]", "shape: [2, 5]",
         f"{W}:12:5: nodes.0: x and w must be (..., M, K) and (..., K, N), not (2, 5) and (4, 3)"),
        ("reads: [p, b]", "reads: [p]", f"{W}:13:34: nodes.1.reads: must be 2 values, not 1"),
        ("forms: [y]", "forms: [y, z]", f"{W}:13:49: nodes.1.forms: must be 1 value, not 2"),
        ("shape: [4, 3]", "shape: [3, 4]", f"{W}:9:3: constants.w: must have shape (3, 4), not (4, 3)"),
        ("shape: [4, 3]", "shape: [3, 4], order: [1, 0]",
         f"{W}:12:5: nodes.0: x and w must be (..., M, K) and (..., K, N), not (2, 4) and (3, 4)"),
        ("shape: [4, 3]", "shape: [4, 3], order: [1, 1]",
         f"{W}:9:22: constants.w.order: must be axes 0 to 1 in some order, not [1, 1]"),
        ("w: {shape: [4, 3]}", "w: {shape: [4, 3], tensor: v}",
         f"{W}:9:3: constants.w: must be a known tensor of weights.safetensors, not 'v'; known are b, i, q, s, w"),
        ("w: {shape: [4, 3]}", "w: {shape: [4, 3], tensors: w}",
         f"{W}:9:22: constants.w.tensors: must be a known key, not 'tensors'; did you mean 'tensor'?"),
        ("b: {shape: [3]}", f"b: {{shape: [3], element: {INTEGERS}}}",
         f"{W}:10:3: constants.b: must be a tensor of type I8, not F32"),
        ("b: {shape: [3]}", f"b: {{shape: [3], element: {INTEGERS.replace('signed', 'signd')}}}",
         f"{W}:10:19: constants.b.element.signed: must be given, but is missing"),
        ("b: {shape: [3]}", "b: {shape: [3], pattern: [4, 2]}",
         f"{W}:10:19: constants.b.pattern: must be N and M, 1 <= N <= M, not 4 and 2"),
        ("w: {shape: [4, 3]}", "w: {shape: [32, 3], tensor: w, blocks: q4_0}",
         f"{W}:9:3: constants.w: must be a tensor of type U8, not F32"),
        ("w: {shape: [4, 3]}", "w: {shape: [4, 3], tensor: q, blocks: q4_0}",
         f"{W}:9:33: constants.w.blocks: must be a matrix of floats with a multiple of 32 inputs in the file, "
         "not of shape (4, 3)"),
        ("shape: [2, 4]", "shape: [2, 4000000000]",
         f"{W}:7:18: inputs.x.shape.1: must be less than or equal to 2147483647, not 4000000000"),
        ("shape: [2, 4]", "shape: [2147483647, 2147483647, 4]", f"{W}:7:7: inputs.x.shape: 'x' must fit in "),
        ("shape: [4, 3]", "shape: [2147483647, 2147483647]", f"{W}:9:7: constants.w.shape: constants must fit in "),
        ("{kind: Add}", "{kind: Pad, before: [0, 2147483647], behind: [2147483647, 0]}",
         f"{W}:13:84: nodes.1.reads: must be 1 value, not 2"),
        ("weights: weights", "weights: ../weights", f"{W}:5:1: weights: {P}'../weights.safetensors'"),
        ("weights: weights.safetensors", "weights: weights.safetensors\ndata: /etc/passwd",
         f"{W}:6:1: data: {P}'/etc/passwd'"),
        ("outputs: [y]", "outputs: [y]\norders: {x: [0, 0]}",
         f"{W}:15:10: orders.x: must be axes 0 to 1 in some order, not [0, 0]"),
        ("outputs: [y]", "outputs: [y]\norders: {xx: [0, 1]}",
         f"{W}:15:10: orders.xx: must be a known input or output, not 'xx'; did you mean 'x'?"),
        ("outputs: [y]", "outputs: [y]\nlayers: []",
         f"{W}:11:1: nodes: must be absent where there are layers: a network is the one or the other"),
        ("outputs: [y]", "outputs: [y]\nstates: [{read: h, written: y, shape: [2, 3]}]",
         f"{W}:15:1: states: state 'h' of small must be read by a node"),
        ("outputs: [y]", "outputs: [y]\noutput: [y]",
         f"{W}:15:1: output: must be a known key, not 'output'; did you mean 'outputs'?"),
        ("inputs:\n", "inputs:\n  x: {shape: [3]}\n", f"{W}:8:3: must be valid YAML: found duplicate key \"x\""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, expected: str, folder: Path) -> None:
    assert old in WRITTEN
    (folder / W).write_text(WRITTEN.replace(old, new, 1))
    with pytest.raises(AccelSimError) as error:
        load_network(str(folder))
    lines = [line.replace(f"{folder}/", "") for line in str(error.value).splitlines()]
    assert lines[0].startswith(expected)


def test_files_that_are_not_whole(folder: Path) -> None:
    whole = (folder / "weights.safetensors").read_bytes()
    for content in (b"", whole[:100], whole[:-8], b"\xff" * 8 + whole[8:]):
        (folder / "weights.safetensors").write_bytes(content)
        (line,) = refused("run", folder)
        assert line.startswith(f"{folder}/workload.yaml:5:1: weights: must be a whole safetensors file: ")
    (folder / "weights.safetensors").unlink()
    (folder / "weights.safetensors").symlink_to("/dev/zero")
    (line,) = refused("check", folder / "workload.yaml")
    assert "must be a file inside the workload's folder" in line


# the command


def images(folder: Path, name: str, count: int) -> Path:
    rng = np.random.default_rng(count)
    pictures = rng.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8)
    np.savez(folder / name, Input3=pictures, labels=rng.integers(0, 10, count))
    return folder / name


def test_an_imported_folder_is_checked_described_and_evaluated(tmp_path: Path) -> None:
    data, more, out = images(tmp_path, "images.npz", 5), images(tmp_path, "more.npz", 3), tmp_path / "new" / "out"
    done = accelsim("import", "onnx", model("float", tmp_path), "--data", data, "--calibration", more, "-o", out)
    assert done.returncode == 0, done.stderr
    files = ["workload.yaml", "weights.safetensors", "data.npz", "calibration.npz"]
    assert done.stderr.splitlines() == [f"wrote {out / name}" for name in files]
    assert sorted(path.name for path in out.iterdir()) == sorted(files)
    assert (out / "data.npz").read_bytes() == data.read_bytes()
    assert accelsim("check", out / "workload.yaml").stdout == f"{out / W}: ok, workload mnist_conv_float\n"
    jsonschema.validate(read_yaml(out / W).data, json.loads(accelsim("schema", "workload").stdout))
    provenance = read_yaml(out / W).data["provenance"]
    assert provenance["accelsim"] == versions()["accelsim"]
    assert provenance["files"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (model("float", tmp_path), data, more)
    }
    network = load_network(str(out))
    assert network.calibrated_on == "calibration.npz"
    assert [len(x) for x in (network.inputs[0], network.calibration[0])] == [5, 3]
    given = ["--data", data, "--calibration", more]
    said = [
        json.loads(accelsim("evaluate", source, "--recipe", "int8", "--json", *options).stdout)
        for source, options in ((model("float", tmp_path), given), (out, []), (out / W, given))
    ]
    for each in said:
        del each["provenance"]
    assert said[0] == said[1] == said[2]


def test_calibration_without_data_stays(tmp_path: Path) -> None:
    more, out, source = images(tmp_path, "more.npz", 3), tmp_path / "out", model("float", tmp_path)
    assert accelsim("import", "onnx", source, "--calibration", more, "-o", out).returncode == 0
    direct, again = load_network(Source(str(source), calibration=more)), load_network(str(out))
    for a, b in zip((*direct.inputs, *direct.calibration), (*again.inputs, *again.calibration), strict=True):
        np.testing.assert_array_equal(a, b)
    (line,) = refused("evaluate", out, "--shape", "Input3=1,1,28,28")
    assert line == "--shape must be absent for a workload file, which says all shapes"


def test_a_text_and_its_tokenizer_are_the_task_of_a_folder(tmp_path: Path) -> None:
    gguf_files.write(tmp_path / "m.gguf", language_models.llama(width=32, ffn=32, tokens=40), "Q8_0", texts=True)
    (tmp_path / "a.txt").write_text("a few words, and a few more of them" * 4)
    arguments = ["--data", tmp_path / "a.txt", "--shape", "input_ids=1,6"]
    done = accelsim("import", "gguf", tmp_path / "m.gguf", *arguments, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    direct = load_network(Source(str(tmp_path / "m.gguf"), data=tmp_path / "a.txt", shapes={"input_ids": (1, 6)}))
    again = load_network(str(tmp_path / "out"))
    np.testing.assert_array_equal(direct.inputs[0], again.inputs[0])
    assert isinstance(direct.task, Language)
    assert isinstance(again.task, Language)
    np.testing.assert_array_equal(direct.task.targets, again.task.targets)
    same_graphs(direct.graph, again.graph)
    assert (tmp_path / "out" / "text.txt").read_text() == (tmp_path / "a.txt").read_text()
    workload = tmp_path / "out" / "workload.yaml"
    said = workload.read_text()
    assert "task: {kind: language, text: text.txt, tokenizer: tokenizer.json}" in said
    done = accelsim("evaluate", tmp_path / "out", "--json")
    assert json.loads(done.stdout)["quality"]["task"]["name"] == "perplexity"
    other = accelsim("evaluate", tmp_path / "out", "--data", tmp_path / "a.txt", "--json")
    assert json.loads(other.stdout)["quality"] == json.loads(done.stdout)["quality"]
    for instead, told in (
        (
            "{kind: regression, text: text.txt, tokenizer: tokenizer.json}",
            "text must be for kind language, not regression",
        ),
        ("{kind: language, text: text.txt}", "text and tokenizer must be given together"),
        ("{kind: language, text: ../a.txt, tokenizer: tokenizer.json}", "must be a file inside the workload's folder"),
        ("{kind: language, text: text.txt, tokenizer: workload.yaml}", "must hold a tokenizer"),
        ("{kind: classification}", "must be what the data judge, nothing, not classification"),
    ):
        workload.write_text(said.replace("{kind: language, text: text.txt, tokenizer: tokenizer.json}", instead))
        (line,) = refused("evaluate", tmp_path / "out")
        assert told in line, line


def test_a_task_is_what_the_data_judge(tmp_path: Path) -> None:
    source, out = model("float", tmp_path), tmp_path / "out"
    x = np.zeros((3, 1, 28, 28), np.float32)
    np.savez(tmp_path / "d.npz", Input3=x, labels=np.array([0, 1, 2]))
    assert accelsim("import", "onnx", source, "--data", tmp_path / "d.npz", "-o", out).returncode == 0
    workload = out / "workload.yaml"
    said = workload.read_text()
    workload.write_text(said + "task: {kind: classification}\n")
    assert isinstance(load_network(str(out)).task, Classification)
    workload.write_text(said + "task: {kind: embeddings}\n")
    (line,) = refused("check", workload)
    assert line.endswith("task.kind: must be what the data judge, classification, not embeddings")


def test_sources_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    language_models.bert(layers=1).save(tmp_path / "bert")
    for kind, source, expected in (
        ("onnx", "m.gguf", "m.gguf: must be an ONNX file, .onnx"),
        ("gguf", "bert", "bert: must be a GGUF file, .gguf"),
        ("hf", "m.gguf", "m.gguf: must be a Hugging Face directory"),
        ("gguf", "m.gguf", "m.gguf: "),
    ):
        (line,) = refused("import", kind, source, "-o", "out", cwd=tmp_path)
        assert line.startswith(expected)
    images(tmp_path, "images.npz", 2)
    (line,) = refused("import", "onnx", model("float", tmp_path), "--data", "images.npz", "--batch", "2", "-o", "out",
                      cwd=tmp_path)  # fmt: skip
    assert line == "--batch must be absent where --data says how many samples there are"
    (line,) = refused("import", "hf", "bert", "--data", "images.npz", "-o", "out", cwd=tmp_path)
    assert line.startswith("images.npz: must hold the input 'input_ids'")
    assert not (tmp_path / "out").exists()


def test_the_shown_file_is_what_is_written(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "workload_folders.md").read_text()
    shown = text.split("```yaml\n")[1].split("```")[0].replace("accelsim: 0.1.0", f"accelsim: {versions()['accelsim']}")
    assert accelsim("import", "onnx", model("float", tmp_path), "-o", tmp_path).returncode == 0
    whole = (tmp_path / W).read_text()
    for part in shown.split("...\n"):
        assert part in whole
        whole = whole[whole.index(part) + len(part) :]


# mutations

VALUES = [
    None,
    True,
    -1,
    0,
    3,
    2**31,
    2**70,
    1e308,
    0.5,
    float("inf"),
    "",
    "x",
    "y" * 300,
    [],
    [1],
    {},
    {"kind": "Conv"},
]


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, part in items for place in places(part, (*path, key)))]


def mutate(data: Any, rng: np.random.Generator) -> None:
    """Change, remove, double or exchange something of a file."""
    found = places(data)[1:]
    *path, key = found[int(rng.integers(len(found)))]
    holder = data
    for part in path:
        holder = holder[part]
    match int(rng.integers(5)):
        case 0:
            holder[key] = VALUES[int(rng.integers(len(VALUES)))]
        case 1:
            del holder[key]
        case 2 if isinstance(holder, list):
            holder.insert(int(rng.integers(len(holder) + 1)), holder[key])
        case 3 if isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        case _:
            other = found[int(rng.integers(len(found)))]
            value = data
            for part in other:
                value = value[part] if not isinstance(value, dict) or part in value else None
            holder[key] = json.loads(json.dumps(value))


def tried(folder: Path) -> bool:
    """Whether a folder loads; if not, lines say why, soon."""
    begin = time.perf_counter()
    try:
        load_network(str(folder))
    except AccelSimError as error:
        assert error.exit_code == 2, error
        assert all("\n" not in str(fault) for fault in error.faults)
        return False
    finally:
        assert time.perf_counter() - begin < 10
    return True


def fuzz(folder: Path, rng: np.random.Generator, count: int) -> int:
    """How many of so many mutated folders load."""
    data, weights = read_yaml(folder / W).data, (folder / "weights.safetensors").read_bytes()
    yaml, good = YAML(typ="safe", pure=True), 0
    for number in range(count):
        if number % 4 == 3:
            broken = bytearray(weights)
            broken[int(rng.integers(min(len(broken), 2000)))] = int(rng.integers(256))
            (folder / "weights.safetensors").write_bytes(broken)
        else:
            changed = json.loads(json.dumps(data))
            for _ in range(int(rng.integers(1, 3))):
                mutate(changed, rng)
            yaml.dump(changed, folder / W)
        good += tried(folder)
        (folder / "weights.safetensors").write_bytes(weights)
        yaml.dump(data, folder / W)
    return good


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=long)])
def test_mutated_folders(seed: int, tmp_path: Path) -> None:
    rng, count = np.random.default_rng(seed), 2000 if seed else 40
    good = fuzz(of_graph(typed(), tmp_path / "all"), rng, count)
    good += fuzz(written(model("tied", tmp_path), tmp_path / "tied"), rng, count // 10)
    assert 0 < good < count
