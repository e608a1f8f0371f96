"""Networks that come quantized: onnxruntime's bytes in every value, as the graph means them and through machines."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from harness import long
from numpy.typing import NDArray
from onnx import TensorProto, helper

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.apply import compress
from accelsim.compress.quantize.nearest import Difference, differences, for_machine, own_differences
from accelsim.compress.recipe import load_recipe
from accelsim.config.load import load_machine
from accelsim.errors import CompileError, ConfigError, ProgramError, WorkloadError
from accelsim.golden import exact
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.quantize import Dequantize, Quantize
from accelsim.isa.verify import verify
from accelsim.sim import fast, reference
from accelsim.summary import _identical
from accelsim.workload.importers.onnx import load
from accelsim.workload.network import Network
from accelsim.workload.source import load_network

Array = NDArray[Any]
DATA = Path(__file__).parent.parent / "data" / "networks"
EFFICIENTNET = DATA / "efficientnet_lite0_int8.onnx"
#: Machines that the networks must be bit for bit on.
MACHINES = ("edge-ws", "tpu-v1", "edge-outer")
FLOAT, UINT8, INT8 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8


def photograph(name: str) -> NDArray[np.float32]:
    """A photograph as the network takes it: by ImageNet's means and deviations, channels last."""
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    with np.load(DATA / "efficientnet_lite0_int8.npz") as data:
        pixels = data[f"{name}:image"].astype(np.float32)
    return ((pixels / np.float32(255) - mean) / deviation)[None]


@cache
def efficientnet() -> Graph:
    return load(EFFICIENTNET).graph


@cache
def values(name: str) -> Mapping[str, Array]:
    """Numbers of all values of EfficientNet-Lite0 for a photograph."""
    return exact.evaluate(efficientnet(), (photograph(name),), 16)


def assert_identical(graph: Graph, inputs: tuple[Array, ...], arch: str, *, both: bool = False) -> dict[str, Array]:
    """A machine forms every value bit for bit; return what it put out."""
    machine = load_machine(arch)
    program = compile_graph(graph, inputs, machine)
    verify(program, machine)
    expected = exact.evaluate(graph, inputs, machine.fold_inputs)
    execution = fast.execute(program, machine)
    for layer in program.header.layers:
        for region in program.header.regions_of(layer.output):
            assert _identical(execution.numbers(region), region.of_full(expected[layer.output])), layer.name
    if both:
        slow = reference.execute(program, machine)
        assert slow.cycles == execution.cycles
        np.testing.assert_array_equal(slow.memory.bytes, execution.memory.bytes)
    return {name: execution.numbers(program.header.regions_of(name)[0]) for name in graph.outputs}


@pytest.mark.parametrize("name", ["chelsea", pytest.param("coffee", marks=pytest.mark.slow)])
def test_efficientnet_lite0_has_onnxruntimes_bytes_in_every_value(name: str) -> None:
    found = values(name)
    nodes = json.loads((DATA / "efficientnet_lite0_int8.json").read_text())["photographs"][name]
    assert len(nodes) == 63
    numbers = photograph(name)
    for node in nodes:
        numbers = found.get(node["output"], numbers)  # what only reshapes is no value of its own
        images = numbers.transpose(0, 3, 1, 2) if numbers.ndim == 4 else numbers
        assert images.dtype == node["dtype"]
        crc = zlib.crc32(np.ascontiguousarray(images.reshape(node["shape"])).tobytes())
        assert crc == node["crc32"], node["output"]


def test_the_nearest_fixed_point_differs_in_few_values_of_its_own() -> None:
    """Half up differs from half to even, and 31 bits from float32, where a product is near a half."""
    graph, found = efficientnet(), values("chelsea")
    own = own_differences(graph, found)
    assert len(own) == 60  # 49 convolutions, 9 sums, a mean, a product
    assert sum(part.different for part in own.values()) == 18
    assert {part.largest for part in own.values()} == {0, 1}
    machine = load_machine("edge-eie")
    rounded = for_machine(graph, machine)
    assert rounded is not graph
    assert for_machine(graph, load_machine("edge-ws")) is graph
    carried = differences(graph, found, exact.evaluate(rounded, (photograph("chelsea"),), 16))
    assert carried["input_quantized"] == Difference(0, 150528, 0)
    assert sum(part.different for part in carried.values()) == 357_170  # of 7.1 million: each has its consequences
    assert carried["logits_quantized"].largest == 2


def cut(path: Path, nodes: int, side: int) -> Graph:
    """The first nodes of EfficientNet-Lite0, for smaller images."""
    model = onnx.load(EFFICIENTNET)
    kept = list(model.graph.node[:nodes])
    del model.graph.node[nodes:]
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(kept[-1].output[0], UINT8, None))
    for place in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[place].dim_value = side
    used = {name for node in kept for name in node.input}
    constants = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(constants)
    del model.graph.value_info[:]
    onnx.save(model, path)
    return load(path).graph


@pytest.mark.parametrize("arch", MACHINES)
def test_its_first_blocks_run_bit_for_bit(arch: str, tmp_path: Path) -> None:
    graph = cut(tmp_path / "cut.onnx", 11, 24)  # up to the first sum of two tensors
    x = photograph("chelsea")[:, 100:124, 100:124]
    assert_identical(graph, (x,), arch, both=arch == "edge-ws")


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["tpu-v1", *(pytest.param(arch, marks=long) for arch in ("edge-ws", "edge-outer"))])
def test_all_of_it_runs_bit_for_bit(arch: str) -> None:
    found = assert_identical(efficientnet(), (photograph("chelsea"),), arch)
    np.testing.assert_array_equal(found["logits"], values("chelsea")["logits"])


def test_a_machine_without_float32_scales_says_so_and_runs_the_nearest() -> None:
    graph, x = mnist(0)
    machine = load_machine("edge-eie")
    with pytest.raises(CompileError, match="edge-eie multiplies by M 2\\^shift alone, not by the float32 scales"):
        compile_graph(graph, (x,), machine)
    assert_identical(for_machine(graph, machine), (x,), "edge-eie")
    program = compile_graph(graph, (x,), load_machine("edge-ws"))
    fixed = load_machine("edge-ws").model_copy(
        update={"vector": load_machine("edge-ws").vector.model_copy(update={"float32_scale": False})}
    )
    with pytest.raises(ProgramError, match="must not scale by float32, which edge-ws does not"):
        verify(program, fixed)


def mnist(number: int) -> tuple[Graph, NDArray[np.float32]]:
    """The network of digits, all of unsigned bytes with zero points, and an image."""
    with np.load(DATA / "mnist_conv_int8.npz") as data:
        image = data["images"][number]
    return load(DATA / "mnist_conv_int8.onnx").graph, image.reshape(1, 28, 28, 1).astype(np.float32)


def test_a_network_that_comes_quantized_takes_no_recipe() -> None:
    graph, x = mnist(0)
    network = Network(graph, (x,), None, (x,), {})
    assert network.is_typed
    assert not load_network("digits-mlp").is_typed
    with pytest.raises(ConfigError, match="recipe int8 must be for a network in real numbers; mnist_conv"):
        compress(network, load_recipe("int8"))
    assert compress(network, load_recipe("stored")) is graph
    with pytest.raises(ConfigError, match="recipe stored must be for a network that is quantized already, as digits-m"):
        compress(load_network("digits-mlp"), load_recipe("stored"))


def test_all_digits_are_onnxruntimes() -> None:
    graph = mnist(0)[0]
    with np.load(DATA / "mnist_conv_int8.npz") as data:
        images, logits, tensors = data["images"], data["logits"], {name: data[name] for name in data.files}
    first = exact.evaluate(graph, (images[0].reshape(1, 28, 28, 1).astype(np.float32),), 16)
    compared = 0
    for name, wanted in tensors.items():
        if name in first and wanted.ndim == 4:
            np.testing.assert_array_equal(first[name].transpose(0, 3, 1, 2), wanted)
            compared += 1
    assert compared == 4
    for image, wanted in zip(images, logits, strict=True):
        found = exact.evaluate(graph, (image.reshape(1, 28, 28, 1).astype(np.float32),), 16)
        np.testing.assert_array_equal(found[graph.outputs[0]][0], wanted)


@pytest.mark.parametrize(
    ("arch", "numbers"),
    [(arch, (0, 40)) for arch in MACHINES]
    + [pytest.param(arch, range(65), marks=long, id=f"{arch}-all") for arch in MACHINES],
)
def test_digits_run_bit_for_bit(arch: str, numbers: tuple[int, ...]) -> None:
    with np.load(DATA / "mnist_conv_int8.npz") as data:
        logits = data["logits"]
    for number in numbers:
        graph, x = mnist(number)
        found = assert_identical(graph, (x,), arch, both=number == 0)
        np.testing.assert_array_equal(found[graph.outputs[0]][0], logits[number])


def model(path: Path, node: onnx.NodeProto, inputs: Mapping[str, Array], constants: Mapping[str, Array]) -> Path:
    """A model of one node, whose output is `y`."""
    given = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in inputs.items()
    ]
    held = [onnx.numpy_helper.from_array(np.asarray(x), name) for name, x in constants.items()]
    formed = INT8 if next(iter(inputs.values())).dtype == np.int8 else UINT8
    graph = helper.make_graph([node], "one", given, [helper.make_tensor_value_info("y", formed, None)], held)
    domains = [helper.make_opsetid("", 17), *([helper.make_opsetid(node.domain, 1)] if node.domain else [])]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=9), path)
    return path


@pytest.mark.parametrize("arch", MACHINES)
def test_a_product_of_two_tensors_with_zero_points_runs_bit_for_bit(arch: str, tmp_path: Path) -> None:
    """One attention product of MiniLM, both factors computed: onnxruntime's bytes."""
    with np.load(DATA / "minilm_qlinearmatmul.npz") as data:
        z = {name: data[name] for name in data.files}
    node = helper.make_node("QLinearMatMul", ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], ["y"], "product")
    constants = {name: z[name] for name in ("sa", "za", "sb", "zb", "sy", "zy")}
    graph = load(model(tmp_path / "m.onnx", node, {"a": z["a"], "b": z["b"]}, constants)).graph
    assert [graph[name].element.zero_point for name in graph.inputs] == [120, 126]
    found = assert_identical(graph, (z["a"], z["b"]), arch, both=True)
    np.testing.assert_array_equal(found["y"].reshape(z["y"].shape), z["y"])


# single operators against onnxruntime itself


def both(path: Path, inputs: Mapping[str, Array]) -> tuple[Array, Array, Graph]:
    """What onnxruntime and the graph form."""
    runtime = pytest.importorskip("onnxruntime")
    imported = load(path)
    wanted = runtime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(["y"], dict(inputs))[0]
    given = [x.transpose(imported.orders[name]) if name in imported.orders else x for name, x in inputs.items()]
    found = exact.evaluate(imported.graph, given, 16)["y"]
    order = imported.orders.get("y")
    return wanted, found if order is None else found.transpose(np.argsort(order)), imported.graph


EVERY = [part.reshape(16, 16, 1, 256) for part in np.meshgrid(np.arange(256), np.arange(256))]


@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("kind", [np.uint8, np.int8])
@pytest.mark.parametrize("seed", range(3))
def test_all_pairs_of_bytes_are_added_and_multiplied_as_onnxruntime_does(
    operator: str, kind: type[np.generic], seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    low = int(np.iinfo(kind).min)
    inputs = {name: (part + low).astype(kind) for name, part in zip("ab", EVERY, strict=True)}
    scales = np.float32([0.25, 0.5, 0.5 if operator == "QLinearAdd" else 8])  # which tie often
    if seed:
        scales = np.float32(rng.uniform(0.001, 0.1, 3))
        scales[2] = scales[0] + scales[1] if operator == "QLinearAdd" else scales[0] * scales[1] * 100
    zeros = rng.integers(low, low + 256, 3).astype(kind)
    constants = {f"s{n}": scales[i] for i, n in enumerate("aby")} | {f"z{n}": zeros[i] for i, n in enumerate("aby")}
    node = helper.make_node(
        operator, ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], ["y"], "n", domain="com.microsoft"
    )
    wanted, found, _ = both(model(tmp_path / "m.onnx", node, inputs, constants), inputs)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul"])
def test_a_gate_of_each_channel_is_the_hosts(operator: str, tmp_path: Path) -> None:
    """As of squeeze and excitation: the vector unit takes two tiles of one shape."""
    rng = np.random.default_rng(1)
    inputs = {
        "a": rng.integers(0, 256, (1, 8, 5, 5)).astype(np.uint8),
        "b": rng.integers(0, 256, (1, 8, 1, 1)).astype(np.uint8),
    }
    constants = {f"s{n}": np.float32(0.02 * (i + 1)) for i, n in enumerate("aby")}
    constants |= {f"z{n}": np.uint8(9 * i) for i, n in enumerate("aby")}
    names = ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"]
    node = helper.make_node(operator, names, ["y"], "n", domain="com.microsoft")
    wanted, found, graph = both(model(tmp_path / "m.onnx", node, inputs, constants), inputs)
    np.testing.assert_array_equal(found, wanted)
    given = tuple(x.transpose(0, 2, 3, 1) if graph[n].shape != x.shape else x for n, x in inputs.items())
    assert_identical(graph, given, "edge-ws")


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [
        ("QLinearGlobalAveragePool", {}),
        ("QLinearAveragePool", {"kernel_shape": [3, 3], "strides": [2, 2]}),
        ("QLinearAveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
        ("QLinearAveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("QLinearLeakyRelu", {"alpha": 0.1}),
        ("QLinearSigmoid", {}),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_operators_of_one_tensor_are_onnxruntimes(
    operator: str, attributes: dict[str, Any], seed: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    x = {"x": rng.integers(0, 256, (2, 32, 9, 9)).astype(np.uint8)}
    scale = np.float32(rng.uniform(0.01, 0.1))
    ratio = 1 / 256 / scale if "Sigmoid" in operator else rng.uniform(0.3, 1.5)
    zx, zy = rng.integers(0, 256, 2).astype(np.uint8)
    constants = {
        "sx": scale,
        "zx": zx,
        "sy": np.float32(scale * ratio),
        "zy": np.uint8(0) if "Sigmoid" in operator else zy,
    }
    node = helper.make_node(operator, ["x", "sx", "zx", "sy", "zy"], ["y"], "n", domain="com.microsoft", **attributes)
    wanted, found, _ = both(model(tmp_path / "m.onnx", node, x, constants), x)
    np.testing.assert_array_equal(found, wanted)


def test_tensors_of_other_scales_are_joined_as_onnxruntime_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = {name: rng.integers(0, 256, (2, 3, 5, 5)).astype(np.uint8) for name in "ab"}
    constants = {
        "sy": np.float32(0.1), "zy": np.uint8(9), "sa": np.float32(0.1), "za": np.uint8(9), "sb": np.float32(0.03),
        "zb": np.uint8(200),
    }  # fmt: skip
    names = ["sy", "zy", "a", "sa", "za", "b", "sb", "zb"]
    node = helper.make_node("QLinearConcat", names, ["y"], "n", domain="com.microsoft", axis=1)
    wanted, found, _ = both(model(tmp_path / "m.onnx", node, inputs, constants), inputs)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("groups", "weights", "zeros"),
    [
        (1, np.int8, 0), (1, np.uint8, 128), (1, np.uint8, 121), (4, np.int8, 0), (4, np.uint8, 77), (1, np.int8, 5),
    ],
)  # fmt: skip
def test_convolutions_with_any_zero_point_are_onnxruntimes(
    groups: int, weights: type[np.generic], zeros: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(zeros)
    x = {"x": rng.integers(0, 256, (1, 4, 6, 7)).astype(np.uint8)}
    info = np.iinfo(weights)
    w = rng.integers(info.min, info.max, (8, 4 // groups, 3, 3), endpoint=True).astype(weights)
    constants = {
        "sx": np.float32(0.03), "zx": np.uint8(31), "w": w, "sw": np.float32(0.01), "zw": weights(zeros),
        "sy": np.float32(0.5), "zy": np.uint8(100), "b": rng.integers(-5000, 5000, 8).astype(np.int32),
    }  # fmt: skip
    names = ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"]
    node = helper.make_node("QLinearConv", names, ["y"], "n", pads=[1, 1, 1, 1], group=groups)
    wanted, found, graph = both(model(tmp_path / "m.onnx", node, x, constants), x)
    np.testing.assert_array_equal(found, wanted)
    assert not any(isinstance(node.op, Quantize | Dequantize) for node in graph.nodes)
    assert_identical(graph, (x["x"].transpose(0, 2, 3, 1),), "edge-ws")


# files with QuantizeLinear and DequantizeLinear, and of qonnx


def chain(path: Path, nodes: list[onnx.NodeProto], constants: Mapping[str, Array], shape: tuple[int, ...]) -> Graph:
    """A model of nodes from floats `x` to `y`."""
    held = [onnx.numpy_helper.from_array(np.asarray(x), name) for name, x in constants.items()]
    given = [helper.make_tensor_value_info("x", FLOAT, shape)]
    graph = helper.make_graph(nodes, "chain", given, [helper.make_tensor_value_info("y", FLOAT, None)], held)
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("qonnx.custom_op.general", 1)]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=9), path)
    return load(path).graph


def test_a_file_of_quantize_and_dequantize_becomes_integers(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    w = rng.integers(-127, 128, (8, 3, 3, 3)).astype(np.int8)
    constants = {
        "s0": np.float32(0.02), "z0": np.uint8(100), "w": w, "sw": rng.uniform(0.001, 0.01, 8).astype(np.float32),
        "zw": np.zeros(8, np.int8), "b": rng.integers(-500, 500, 8).astype(np.int32), "s1": np.float32(0.04),
        "z1": np.uint8(0), "s2": np.float32(0.05), "z2": np.uint8(7),
    }  # fmt: skip
    constants["sb"] = (constants["s0"] * constants["sw"]).astype(np.float32)
    make = helper.make_node
    nodes = [
        make("QuantizeLinear", ["x", "s0", "z0"], ["x0"]),
        make("DequantizeLinear", ["x0", "s0", "z0"], ["f0"]),
        make("DequantizeLinear", ["w", "sw", "zw"], ["fw"], axis=0),
        make("DequantizeLinear", ["b", "sb"], ["fb"], axis=0),
        make("Conv", ["f0", "fw", "fb"], ["c"], pads=[1, 1, 1, 1]),
        make("Relu", ["c"], ["r"]),
        make("QuantizeLinear", ["r", "s1", "z1"], ["x1"]),
        make("DequantizeLinear", ["x1", "s1", "z1"], ["f1"]),
        make("MaxPool", ["f1"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        make("QuantizeLinear", ["p", "s1", "z1"], ["x2"]),
        make("DequantizeLinear", ["x2", "s1", "z1"], ["f2"]),
        make("HardSwish", ["f2"], ["h"]),
        make("QuantizeLinear", ["h", "s2", "z2"], ["x3"]),
        make("DequantizeLinear", ["x3", "s2", "z2"], ["y"]),
    ]
    graph = chain(tmp_path / "m.onnx", nodes, constants, (1, 3, 8, 8))
    assert [type(node.op).__name__ for node in graph.nodes] == [
        "Quantize", "Conv", "Add", "Cast", "MaxPool", "LookUp", "Dequantize",
    ]  # fmt: skip
    x = rng.normal(0, 1, (1, 3, 8, 8)).astype(np.float32)
    found = exact.evaluate(graph, (x.transpose(0, 2, 3, 1),), 16)
    # the definition, step by step
    x0 = np.clip(np.rint(x / constants["s0"]) + 100, 0, 255) - 100
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x0, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
    sums = np.einsum("nchwij,fcij->nfhw", windows, w.astype(np.float64)) + constants["b"][:, None, None]
    factor = (constants["s0"] * constants["sw"] / constants["s1"]).astype(np.float32)[:, None, None]
    x1 = np.clip(np.rint(sums.astype(np.float32) * factor), 0, 255)
    x2 = x1.reshape(1, 8, 4, 2, 4, 2).max(axis=(3, 5))
    f2 = x2 * np.float64(np.float32(0.04))
    x3 = np.clip(np.rint(f2 * np.clip(f2 + 3, 0, 6) / 6 / np.float32(0.05)) + 7, 0, 255)
    np.testing.assert_array_equal(found["x1"].transpose(0, 3, 1, 2), x1)
    np.testing.assert_array_equal(found["x3"].transpose(0, 3, 1, 2), x3)
    assert_identical(graph, (x.transpose(0, 2, 3, 1),), "edge-ws")


def test_what_is_in_no_pattern_stays_between_floats(tmp_path: Path) -> None:
    make = helper.make_node
    nodes = [
        make("QuantizeLinear", ["x", "s", "z"], ["q"]), make("DequantizeLinear", ["q", "s", "z"], ["f"]),
        make("Softmax", ["f"], ["p"], axis=-1), make("QuantizeLinear", ["p", "t", "z"], ["r"]),
        make("DequantizeLinear", ["r", "t", "z"], ["y"]),
    ]  # fmt: skip
    constants = {"s": np.float32(0.1), "t": np.float32(1 / 256), "z": np.uint8(0)}
    graph = chain(tmp_path / "m.onnx", nodes, constants, (4, 16))
    names = [type(node.op).__name__ for node in graph.nodes]
    assert names == ["Quantize", "Dequantize", "Softmax", "Quantize", "Dequantize"]
    assert_identical(graph, (np.random.default_rng(0).uniform(0, 9, (4, 16)).astype(np.float32),), "edge-ws")


def test_a_layer_that_a_file_leaves_in_floats_is_the_hosts(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    constants = {
        "w": rng.normal(0, 1, (8, 3, 3, 3)).astype(np.float32), "b": rng.normal(0, 1, 8).astype(np.float32),
        "s": np.float32(0.1), "z": np.uint8(90),
    }  # fmt: skip
    make = helper.make_node
    nodes = [
        make("Conv", ["x", "w", "b"], ["c"]), make("QuantizeLinear", ["c", "s", "z"], ["q"]),
        make("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]  # fmt: skip
    graph = chain(tmp_path / "m.onnx", nodes, constants, (1, 3, 6, 6))
    x = rng.normal(0, 1, (1, 6, 6, 3)).astype(np.float32)
    assert_identical(graph, (x,), "edge-ws")


def test_weights_wider_than_an_array_are_refused(tmp_path: Path) -> None:
    constants = {
        "w": np.arange(-100, 92, 12, dtype=np.int8).reshape(4, 4), "s": np.float32(0.1), "zero": np.float32(0),
        "four": np.float32(4), "z": np.int8(0),
    }  # fmt: skip
    make, quant = helper.make_node, {"domain": "qonnx.custom_op.general", "signed": 0, "narrow": 0}
    nodes = [
        make("Quant", ["x", "s", "zero", "four"], ["a"], **quant), make("DequantizeLinear", ["w", "s", "z"], ["b"]),
        make("MatMul", ["a", "b"], ["c"]), make("Quant", ["c", "s", "zero", "four"], ["y"], **quant),
    ]  # fmt: skip
    graph = chain(tmp_path / "m.onnx", nodes, constants, (2, 4))
    x = np.ones((2, 4), np.float32)
    with pytest.raises(CompileError, match="weights must have at most 4 bits, those of edge-ws-int4, not 8"):
        compile_graph(graph, (x,), load_machine("edge-ws-int4"))
    with pytest.raises(
        CompileError, match="operands must be int8, the type of edge-ws, but recipe none makes them int4"
    ):
        compile_graph(graph, (x,), load_machine("edge-ws"))


@pytest.mark.parametrize("scales", [(1e-30, 1e-30, 1e30), (1e30, 1e30, 1e-30), (1e-38, 1e38, 1.0), (3e38, 1e-38, 1e-3)])
@pytest.mark.parametrize("operator", ["QLinearAdd", "QLinearMul", "QLinearMatMul"])
def test_scales_that_are_far_apart_are_no_fault(
    operator: str, scales: tuple[float, float, float], tmp_path: Path
) -> None:
    inputs = {name: np.arange(16, dtype=np.uint8).reshape(4, 4) for name in "ab"}
    constants = {f"s{n}": np.float32(scales[i]) for i, n in enumerate("aby")} | {f"z{n}": np.uint8(3) for n in "aby"}
    domain = "" if operator == "QLinearMatMul" else "com.microsoft"
    node = helper.make_node(operator, ["a", "sa", "za", "b", "sb", "zb", "sy", "zy"], ["y"], "n", domain=domain)
    graph = load(model(tmp_path / "m.onnx", node, inputs, constants)).graph
    assert exact.evaluate(graph, tuple(inputs.values()), 16)["y"].dtype == np.uint8


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8])
def test_qonnx_widths_are_kept(bits: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(bits)
    w = rng.normal(0, 0.3, (6, 8)).astype(np.float32)
    constants = {
        "w": w, "sw": np.full((1, 8), 0.1, np.float32), "zero": np.float32(0), "bits": np.float32(bits),
        "s0": np.float32(0.25), "s1": np.float32(0.5), "m": rng.normal(0, 1, 8).astype(np.float32),
        "g": np.float32([1, -1, 2, 0, 0.5, 1, 1, 1e-41]), "v": np.full(8, 0.5, np.float32),
    }  # fmt: skip
    quant = {"domain": "qonnx.custom_op.general", "rounding_mode": "ROUND"}
    make = helper.make_node
    nodes = [
        make("Quant", ["x", "s0", "zero", "bits"], ["a"], signed=0, narrow=0, **quant),
        make("Quant", ["w", "sw", "zero", "bits"], ["b"], signed=1, narrow=1, **quant),
        make("MatMul", ["a", "b"], ["c"]),
        make("BatchNormalization", ["c", "g", "m", "m", "v"], ["d"]),
        make("Relu", ["d"], ["e"]),
        make("Quant", ["e", "s1", "zero", "bits"], ["y"], signed=0, narrow=0, **quant),
    ]
    graph = chain(tmp_path / "m.onnx", nodes, constants, (4, 6))
    assert [type(node.op).__name__ for node in graph.nodes] == ["Quantize", "MatMul", "Add", "Cast", "Dequantize"]
    widths = {
        (value.element.bits, value.element.signed)
        for value in graph.values.values()
        if isinstance(value.element, Integer)
        and not value.name.endswith(("multiplier", "shift"))
        and value.element.bits < 32
    }
    assert widths == {(bits, False), (bits, True)}
    x = rng.uniform(0, 2 ** (bits - 2), (4, 6)).astype(np.float32)
    most = 2**bits - 1
    a = np.clip(np.rint(x / 0.25), 0, most) * 0.25
    b = np.clip(np.rint(w / np.float64(np.float32(0.1))), -(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1) * 0.1
    d = (a @ b - constants["m"]) / np.sqrt(0.5 + 1e-5) * constants["g"] + constants["m"]
    wanted = np.clip(np.rint(np.maximum(d, 0) / 0.5), 0, most) * 0.5
    apart = np.abs(exact.evaluate(graph, (x,), 16)["y"] - wanted)
    assert apart.max() <= 0.5 + 1e-6  # a step, where the nearest bias decides what is near a half
    assert (apart > 1e-6).sum() <= 2
    if bits in {3, 4}:  # three bits are held as four
        assert_identical(graph, (x,), "edge-ws-int4")
    if bits in {5, 8}:
        assert_identical(graph, (x,), "edge-ws")


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"s": np.float32(0)}, "its scale must be finite and above 0, not 0.0"),
        ({"s": np.float32(np.nan)}, "its scale must be finite and above 0, not nan"),
        ({"s": np.float32([0.1, 0.2])}, "what is computed must have one scale and one zero point"),
    ],
)
def test_scales_that_are_none_are_refused(constants: Mapping[str, Array], message: str, tmp_path: Path) -> None:
    given = {"s": np.float32(0.1), "z": np.uint8(0), **constants}
    nodes = [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], "first")]
    with pytest.raises(WorkloadError, match=message):
        chain(tmp_path / "m.onnx", nodes, given, (4, 16))
