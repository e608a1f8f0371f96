"""Models of ONNX as graphs: what they become, how axes stand, and what must be said of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_chains
import onnx_models
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from onnx_models import model, numbers

from accelsim import api
from accelsim.compress.recipe import load_recipe
from accelsim.config.load import load_machine
from accelsim.errors import WorkloadError
from accelsim.golden import real
from accelsim.golden.task import Classification
from accelsim.graph.element import REAL, Plain
from accelsim.graph.graph import Graph
from accelsim.graph.layer import layers
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.window import Window
from accelsim.graph.rewrite import with_samples
from accelsim.workload.importers.imported import Imported
from accelsim.workload.importers.onnx import load
from accelsim.workload.network import Network

MNIST = onnx_models.NETWORKS / "mnist_conv_float.onnx"


def imported(made: onnx.ModelProto, folder: Path, **options: Any) -> Imported:
    """A model by way of a file."""
    path = folder / "model.onnx"
    path.write_bytes(made.SerializeToString())
    return load(path, **options)


def drawn(made: onnx.ModelProto, samples: int = 2) -> list[np.ndarray]:
    """Inputs of a model; axes without a size have as many as there are samples."""
    rng, found = np.random.default_rng(1), []
    for value in made.graph.input:
        kind = value.type.tensor_type
        shape = [samples if dim.dim_param else dim.dim_value for dim in kind.shape.dim]
        floats = kind.elem_type == onnx.TensorProto.FLOAT
        found.append(rng.normal(size=shape).astype(np.float32) if floats else rng.integers(0, 4, shape))
    return found


def formed(result: Imported, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """What a graph makes of a model's inputs, axes as the model has them."""
    graph, orders = result.graph, result.orders
    turned = [x.transpose(orders[n]) if n in orders else x for n, x in zip(graph.inputs, inputs, strict=True)]
    found = real.evaluate(graph, turned, graph.outputs)
    return [found[n].transpose(np.argsort(orders[n])) if n in orders else found[n] for n in graph.outputs]


def assert_same(made: onnx.ModelProto, folder: Path, *, samples: int = 2, **options: Any) -> Graph:
    """A graph forms what ONNX's reference does."""
    inputs = drawn(made, samples)
    result = imported(made, folder, batch=samples, **options)
    for got, want in zip(formed(result, inputs), onnx_models.outputs_of(made, inputs), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
        assert got.shape == want.shape
    return result.graph


def operators(graph: Graph) -> Counter[str]:
    return Counter(type(node.op).__name__ for node in graph.nodes)


@pytest.mark.parametrize("make", onnx_models.ALL, ids=lambda make: make.__name__)
def test_models_of_all_kinds_form_what_the_reference_does(make: Any, tmp_path: Path) -> None:
    assert_same(make(), tmp_path)


def test_a_network_of_images_has_no_transpose_and_names_of_its_own(tmp_path: Path) -> None:
    graph = assert_same(onnx_models.convolutional(), tmp_path)
    assert "Transpose" not in operators(graph)
    assert graph["x"].shape == (2, 8, 8, 3)
    assert graph["a"].shape == (2, 8, 8, 6)
    assert {"a", "b", "c", "d", "e", "f", "k", "y"} <= {*graph.values}
    assert [layer.name for layer in layers(graph)] == ["Conv_0", "Conv_3", "Gemm_7"]
    assert layers(graph)[0].bias is not None
    assert layers(graph)[2].bias is not None


def test_nodes_with_names_keep_them(tmp_path: Path) -> None:
    made = onnx_models.convolutional()
    for node in made.graph.node:
        node.name = f"/block/{node.op_type}"
    made.graph.node[4].name = "/block/Conv"  # one that another has, too
    graph = imported(made, tmp_path, batch=1).graph
    assert [layer.name for layer in layers(graph)] == ["/block/Conv", "/block/Conv.2", "/block/Gemm"]


def test_a_flattened_image_that_is_not_multiplied_is_turned(tmp_path: Path) -> None:
    text = """(float[n,3,4,4] x) => (float[n,48] y) {
        a = MaxPool <kernel_shape=[3,3], pads=[1,1,1,1]> (x)
        b = Flatten (a)
        c = Relu (b)
        y = Add (c, w)
    }"""
    graph = assert_same(model(text, w=numbers(48)), tmp_path)
    assert operators(graph)["Transpose"] == 1


def test_pixels_and_channels_of_one_are_flattened_for_nothing(tmp_path: Path) -> None:
    text = """(float[n,3,4,4] x) => (float[n,2] y) {
        a = GlobalAveragePool (x)
        b = Flatten (a)
        y = MatMul (b, w)
    }"""
    graph = assert_same(model(text, w=numbers(3, 2)), tmp_path)
    assert operators(graph) == {"GlobalAveragePool": 1, "MatMul": 1}


def test_squeeze_and_excite_stays_in_its_order(tmp_path: Path) -> None:
    text = """(float[n,4,6,6] x) => (float[n,4,6,6] y) {
        a = GlobalAveragePool (x)
        b = Conv (a, w)
        c = Sigmoid (b)
        y = Mul (x, c)
    }"""
    graph = assert_same(model(text, w=numbers(4, 4, 1, 1)), tmp_path)
    assert operators(graph) == {"GlobalAveragePool": 1, "Reshape": 1, "Conv": 1, "Function": 1, "Mul": 1}


def test_rows_are_images_of_one_pixels_height(tmp_path: Path) -> None:
    text = """(float[n,4,9] x) => (float[n,5,5] y) {
        a = Conv <kernel_shape=[3], pads=[1,1], strides=[2]> (x, w, b)
        y = Relu (a)
    }"""
    graph = assert_same(model(text, w=numbers(5, 4, 3), b=numbers(5)), tmp_path)
    assert graph["a"].shape == (2, 1, 5, 5)
    assert operators(graph)["Transpose"] == 0


def test_transposes_of_channels_last_models_vanish(tmp_path: Path) -> None:
    text = """(float[n,4,4,3] x) => (float[n,4,4,5] y) {
        a = Transpose <perm=[0,3,1,2]> (x)
        b = Conv <kernel_shape=[1,1]> (a, w)
        y = Transpose <perm=[0,2,3,1]> (b)
    }"""
    assert operators(assert_same(model(text, w=numbers(5, 3, 1, 1)), tmp_path)) == {"Conv": 1}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("s = Sigmoid (x)\ny = Mul (x, s)", "silu"),
        ("s = HardSigmoid <alpha=0.1666667, beta=0.5> (x)\ny = Mul (s, x)", "hard_swish"),
        ("d = Div (x, root)\ne = Erf (d)\na = Add (e, one)\nm = Mul (x, a)\ny = Mul (m, half)", "gelu"),
        ("d = Mul (x, shrunk)\ne = Erf (d)\na = Add (one, e)\nm = Mul (a, half)\ny = Mul (x, m)", "gelu"),
        ("c = Pow (x, three)\nd = Mul (c, small)\ne = Add (x, d)\nf = Mul (e, two)\ng = Tanh (f)\na = Add (g, one)\n"
         "h = Mul (x, a)\ny = Mul (half, h)", "gelu_tanh"),
    ],
)  # fmt: skip
def test_activations_of_several_nodes_are_one(tmp_path: Path, body: str, name: str) -> None:
    constants = {"root": 2**0.5, "shrunk": 2**-0.5, "one": 1, "half": 0.5, "three": 3, "small": 0.044715}
    constants |= {"two": (2 / np.pi) ** 0.5}
    made = model(f"(float[n,6] x) => (float[n,6] y) {{ {body} }}", **{k: np.float32(v) for k, v in constants.items()})
    graph = assert_same(made, tmp_path)
    assert [node.op for node in graph.nodes] == [Function(name)]  # type: ignore[arg-type]


def test_what_is_almost_an_activation_stays(tmp_path: Path) -> None:
    made = model("(float[n,6] x) => (float[n,6] y) { s = Sigmoid (x)\nt = Tanh (x)\ny = Mul (t, s) }")
    graph = assert_same(made, tmp_path)
    assert operators(graph) == {"Function": 2, "Mul": 1}


@pytest.mark.parametrize(
    ("low", "high", "op"), [(0, 6, Relu(6.0)), (0, np.inf, Relu()), (-1, 1, Function("clip", -1, 1))]
)
def test_a_clip_from_zero_is_a_relu(tmp_path: Path, low: float, high: float, op: object) -> None:
    made = model("(float[n,6] x) => (float[n,6] y) { y = Clip (x, a, b) }", a=np.float32(low), b=np.float32(high))
    assert [node.op for node in assert_same(made, tmp_path).nodes] == [op]


def test_channels_that_are_shuffled_are_turned_once(tmp_path: Path) -> None:
    text = """(float[n,6,4,4] x) => (float[n,6,4,4] y) {
        a = Conv (x, w)
        b = Reshape (a, split)
        c = Transpose <perm=[0,2,1,3,4]> (b)
        d = Reshape (c, joined)
        y = Conv (d, w)
    }"""
    constants = {"split": np.array([0, 2, 3, 4, 4]), "joined": np.array([0, 6, 4, 4])}
    graph = assert_same(model(text, w=numbers(6, 6, 1, 1), **constants), tmp_path)
    assert operators(graph) == {"Conv": 2, "Reshape": 2, "Transpose": 1}


@pytest.mark.parametrize("normal", [True, False])
def test_channels_constants_are_part_of_a_normalization(tmp_path: Path, *, normal: bool) -> None:
    norm = "b = BatchNormalization (a, g, h, m, v)" if normal else "b = Identity (a)"
    text = f"""(float[n,3,4,4] x) => (float[n,6,4,4] y) {{
        a = Conv (x, w, h)
        {norm}
        c = Mul (b, s)
        d = Sub (c, t)
        e = Div (d, two)
        y = Relu (e)
    }}"""
    constants = {name: abs(numbers(6, seed=number)) + 1 for number, name in enumerate("ghmv")}
    constants |= {"w": numbers(6, 3, 1, 1), "s": numbers(6, 1, 1), "t": numbers(1, 6, 1, 1), "two": np.float32(2)}
    graph = assert_same(model(text, **constants), tmp_path)
    assert operators(graph) == {"Conv": 1, "Add": 1, "BatchNorm": 1, "Relu": 1}


def test_a_constant_of_each_pixel_is_none_of_a_channel(tmp_path: Path) -> None:
    text = "(float[n,3,4,4] x) => (float[n,6,4,4] y) { a = Conv (x, w)\ny = Mul (a, s) }"
    graph = assert_same(model(text, w=numbers(6, 3, 1, 1), s=numbers(4, 1)), tmp_path)
    assert operators(graph) == {"Conv": 1, "Mul": 1}


@pytest.mark.parametrize(
    "node", ["GatherElements <axis=1> (x, i)", "GatherND (x, i)", "ScatterElements <axis=1> (x, i, x)",
             "ScatterND (x, i, u)"]
)  # fmt: skip
def test_indices_outside_of_a_tensor_are_the_users_fault(tmp_path: Path, node: str) -> None:
    made = model(f"(float[2,2] x, int64[2,2] i, float[2] u) => (float[a,b] y) {{ y = {node} }}")
    result = imported(made, tmp_path)
    inputs = [numbers(2, 2), np.array([[0, 1], [1, 0]]), numbers(2)]
    formed(result, inputs)
    with pytest.raises(WorkloadError, match="out of bounds"):
        formed(result, [inputs[0], inputs[1] + 9, inputs[2]])


def test_identities_and_constants_as_outputs_are_formed(tmp_path: Path) -> None:
    text = """(float[n,3] x) => (float[n,3] y, float[n,3] z, float[2] w, int64[2] s) {
        y = Relu (x)
        z = Identity (y)
        s = Shape (x)
    }"""
    graph = assert_same(model(text, w=numbers(2)), tmp_path)
    assert graph.outputs == ("y", "z", "w", "s")
    assert graph["s"].element == Plain("int64")
    assert graph["y"].element == REAL


def test_inputs_that_constants_stand_for_are_none(tmp_path: Path) -> None:
    made = model("(float[n,3] x, float[3,2] w) => (float[n,2] y) { y = MatMul (x, w) }", w=numbers(3, 2))
    assert imported(made, tmp_path, batch=3).graph.inputs == ("x",)


def test_files_that_were_read_are_hashed(tmp_path: Path) -> None:
    weights = numbers(4, 3)
    (tmp_path / "weights.bin").write_bytes(b"before" + weights.tobytes())
    onnx_models.external(tmp_path / "model.onnx", "weights.bin", offset=6, length=48)
    result = load(tmp_path / "model.onnx")
    assert {*result.sha256} == {"model.onnx", "weights.bin"}
    x = numbers(2, 4)
    np.testing.assert_allclose(formed(result, [x])[0], x @ weights, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "input x: axis 0 (n) has no size: say --batch N or --shape x=N,3"),
        ({"shapes": {"x": (2, 4)}}, "input x must have shape any,3, not 2x4"),
        ({"shapes": {"x": (2,)}}, "input x must have shape any,3, not 2"),
        ({"shapes": {"z": (2, 3)}}, "--shape must be a known input, not 'z'; known are x"),
    ],
)
def test_axes_without_a_size_are_asked_for(tmp_path: Path, options: dict[str, Any], text: str) -> None:
    with pytest.raises(WorkloadError) as error:
        imported(model("(float[n,3] x) => (float[n,3] y) { y = Relu (x) }"), tmp_path, **options)
    assert str(error.value) == f"{tmp_path / 'model.onnx'}: {text}"


def test_axes_get_the_sizes_that_are_said(tmp_path: Path) -> None:
    made = model("(float[n,c,h] x) => (float[n,c,h] y) { y = Relu (x) }")
    assert imported(made, tmp_path, shapes={"x": (2, 3, 4)}).graph["y"].shape == (2, 3, 4)
    with pytest.raises(WorkloadError, match=r"axis 1 \(c\) has no size: say --shape x=4,N,N"):
        imported(made, tmp_path, batch=4)


def test_a_graph_may_have_other_samples_than_its_model(tmp_path: Path) -> None:
    made = onnx_models.convolutional()
    result = imported(made, tmp_path, batch=1)
    inputs = drawn(made, 5)
    found = formed(Imported(with_samples(result.graph, 5), {}, result.orders), inputs)
    np.testing.assert_allclose(found[0], onnx_models.outputs_of(made, inputs)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("auto", ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])
@given(data=st.data())
@settings(max_examples=20)
def test_windows_are_onnxruntimes(tmp_path_factory: pytest.TempPathFactory, auto: str, data: st.DataObject) -> None:
    def pair(low: int, high: int) -> list[int]:
        return [data.draw(st.integers(low, high)) for _ in range(2)]

    kernel, strides, pads = pair(1, 4), pair(1, 3), [*pair(0, 1), *pair(0, 1)]
    pads = [min(p, k - 1) for p, k in zip(pads, kernel * 2, strict=True)]
    if auto.startswith("SAME"):
        strides = [min(s, k) for s, k in zip(strides, kernel, strict=True)]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "auto_pad": auto}
    if auto == "NOTSET":
        attributes |= {"pads": pads, "ceil_mode": data.draw(st.integers(0, 1))}
    kind = data.draw(st.sampled_from(["MaxPool", "AveragePool"]))
    if kind == "AveragePool" and auto == "NOTSET":
        attributes["count_include_pad"] = data.draw(st.integers(0, 1))
    made = model("(float[2,2,9,8] x) => (float[n,c,h,w] y) { y = Relu (x) }", 22)
    made.graph.node[0].CopyFrom(helper.make_node(kind, ["x"], ["y"], **attributes))
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    inputs = drawn(made)
    result = imported(made, tmp_path_factory.mktemp("models"))
    (want,) = runtime.InferenceSession(made.SerializeToString()).run(None, {"x": inputs[0]})
    np.testing.assert_allclose(formed(result, inputs)[0], want, rtol=1e-4, atol=1e-5)


@given(onnx_chains.chains())
@settings(max_examples=100)
def test_axes_in_any_order_mean_the_same(tmp_path_factory: pytest.TempPathFactory, made: onnx.ModelProto) -> None:
    assert_same(made, tmp_path_factory.mktemp("models"))


def test_mnist_conv_is_onnxruntimes(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    x = np.random.default_rng(0).uniform(0, 255, (1, 1, 28, 28)).astype(np.float32)
    (want,) = runtime.InferenceSession(str(MNIST)).run(None, {"Input3": x})
    (got,) = formed(load(MNIST), [x])
    np.testing.assert_allclose(got, want, rtol=1e-4)


def test_mnist_conv_runs_bit_for_bit_on_a_machine() -> None:
    result = load(MNIST)
    rng = np.random.default_rng(0)
    inputs, calibration = (rng.uniform(0, 255, (n, 28, 28, 1)).astype(np.float32) for n in (2, 8))
    labels = real.evaluate(result.graph, (inputs,), result.graph.outputs)[result.graph.outputs[0]].argmax(axis=1)
    network = Network(with_samples(result.graph, 2), (inputs,), Classification(labels), (calibration,), result.sha256)
    on = load_machine("edge-ws")
    prepared = api.prepare(network, network, load_recipe("int8"))
    summary = api.simulate(prepared, on, api.load_prices(on, "edge-ws")).summary
    assert summary.bit_exact
    assert summary.quality is not None
    assert summary.quality.sqnr_db is not None
    assert summary.quality.sqnr_db > 25
    assert summary.host_operations == 0


def test_a_module_of_torch_is_exported_and_imported(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed, so no module is exported by it")

    class Small(torch.nn.Module):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
            self.second = torch.nn.Conv2d(8, 8, 3, groups=8, stride=2)
            self.norm = torch.nn.BatchNorm2d(8)
            self.last = torch.nn.Linear(8 * 9, 5)

        def forward(self, x: Any) -> Any:
            x = torch.nn.functional.silu(self.first(x))
            x = torch.nn.functional.relu6(self.norm(self.second(x)))
            return self.last(x.flatten(1))

    module = Small().eval()
    x = torch.randn(2, 3, 8, 8)
    torch.onnx.export(module, (x,), str(tmp_path / "small.onnx"), dynamo=False, input_names=["x"], output_names=["y"])
    result = load(tmp_path / "small.onnx")
    np.testing.assert_allclose(formed(result, [x.numpy()])[0], module(x).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert operators(result.graph)["Transpose"] == 0


def test_windows_hold_their_padding() -> None:
    assert Window((3, 3), padding=(1, 1, 1, 1)).output(8, 8) == (8, 8)
