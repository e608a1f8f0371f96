"""Models that are wrong, or mean harm: one line that says so, and no memory for what a file only claims to hold."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_fuzz
import onnx_models
import pytest
from harness import mutations
from onnx import TensorProto, helper

from accelsim.errors import WorkloadError
from accelsim.workload.importers.onnx import load, translation

LINEAR = "(float[2,4] x) => (float[2,3] y) { y = MatMul (x, w) }"


def fault(path: Path, made: onnx.ModelProto | bytes | None = None) -> str:
    """The line by which a model is refused, without its path."""
    if made is not None:
        path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    with pytest.raises(WorkloadError) as error:
        load(path)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "models" / "model.onnx" if (tmp_path / "models").mkdir() is None else tmp_path


def test_what_is_no_model_is_refused(path: Path) -> None:
    whole = onnx_models.convolutional().SerializeToString()
    assert fault(path, whole[:-7]) == "must be a whole ONNX model, but is no protobuf of one"
    assert fault(path, b"\xff" * 64) == "must be a whole ONNX model, but is no protobuf of one"
    assert fault(path, b"") == "must have an output"
    assert fault(path, linear().SerializeToString().replace(b"w", b"\xff")) == "names must be UTF-8"
    path.unlink()
    assert fault(path) == "must be a readable file: No such file or directory"
    path.mkdir()
    assert fault(path) == "must be a readable file: Is a directory"


def linear(change: Callable[[onnx.ModelProto], object] = lambda _: None) -> onnx.ModelProto:
    made = onnx_models.model(LINEAR, w=onnx_models.numbers(4, 3))
    change(made)
    return made


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.graph.node[0].input.__setitem__(0, "y"),
         "node y (MatMul) reads 'y', which is formed only by nodes behind it: in a circle, or out of order"),
        (lambda m: m.graph.node[0].input.__setitem__(0, "z"), "node y (MatMul) reads 'z', which is formed by none"),
        (lambda m: m.graph.node.append(m.graph.node[0]), "node y (MatMul) forms 'y', which is there already"),
        (lambda m: m.graph.node.append(helper.make_node("Relu", ["y"], ["x"])),
         "node x (Relu) forms 'x', which is there already"),
        (lambda m: m.graph.initializer.append(m.graph.initializer[0]),
         "initializers must have different names, not 'w' twice"),
        (lambda m: m.graph.input.append(m.graph.input[0]), "inputs must have different names, not 'x' twice"),
        (lambda m: m.graph.output.append(m.graph.output[0]), "outputs must have different names, not 'y' twice"),
        (lambda m: setattr(m.graph.output[0], "name", "q"), "output 'q' is formed by no node"),
        (lambda m: m.graph.ClearField("output"), "must have an output"),
        (lambda m: setattr(m.opset_import[0], "version", 1000),
         f"operator set must be 1 to {onnx.defs.onnx_opset_version()}, the newest that is known, not 1000"),
        (lambda m: m.ClearField("opset_import"), None),
        (lambda m: setattr(m.graph.node[0], "op_type", "Loop"), None),
        (lambda m: setattr(m.graph.node[0], "domain", "com.example"),
         "node y (MatMul): operator com.example.MatMul is refused: no operator of a graph does what it does"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse initializers must be dense"),
        (lambda m: m.graph.initializer[0].dims.__setitem__(0, -4),
         "initializer w must have at most 16 axes of 0 or more numbers, not -4x3"),
        (lambda m: m.graph.initializer[0].dims.__setitem__(0, 2**62), None),
        (lambda m: m.graph.initializer[0].dims.__setitem__(0, 10**9),
         "initializer w must be 12000000000 bytes for its shape 1000000000x3, not 48"),
        (lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.FLOAT8E5M2), None),
        (lambda m: setattr(m.graph.initializer[0], "data_type", 77), None),
        (lambda m: m.graph.initializer[0].dims.extend([1] * 99), None),
        (lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", -5), None),
        (lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 2**61), None),
        (lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", TensorProto.STRING),
         "node y (MatMul): input x must have a known type, not STRING"),
    ],
)  # fmt: skip
def test_a_wrong_graph_is_refused_with_one_line(
    path: Path, change: Callable[[onnx.ModelProto], object], text: str | None
) -> None:
    found = fault(path, linear(change))
    assert text is None or found == text
    assert len(found) < 400


def test_names_from_files_do_not_fill_the_screen(path: Path) -> None:
    def change(made: onnx.ModelProto) -> None:
        made.graph.node[0].name = "n\n" * 10_000
        made.graph.node[0].input[0] = "\x1b[2J" * 10_000

    found = fault(path, linear(change))
    assert len(found) < 400
    assert found.isprintable()


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/passwd", "a/../../weights.bin", "", "C:\\weights.bin", "\\\\host\\share", "\0",
                 "folder", "missing.bin"]
)  # fmt: skip
def test_external_data_lies_in_the_models_folder(path: Path, location: str) -> None:
    (path.parent / "folder").mkdir()
    (path.parent.parent / "weights.bin").write_bytes(bytes(48))
    onnx_models.external(path, location)
    assert fault(path).startswith("initializer w must lie in ")


def test_links_out_of_the_folder_are_not_followed(path: Path) -> None:
    (path.parent.parent / "weights.bin").write_bytes(bytes(48))
    (path.parent / "link.bin").symlink_to("../weights.bin")
    (path.parent / "folder").symlink_to("..")
    (path.parent / "loop.bin").symlink_to("loop.bin")
    os.mkfifo(path.parent / "pipe.bin")
    for location in ("link.bin", "folder/weights.bin", "loop.bin", "pipe.bin"):
        onnx_models.external(path, location)
        assert fault(path).startswith("initializer w must lie in ")
    (path.parent / "inside.bin").symlink_to("own.bin")
    (path.parent / "own.bin").write_bytes(bytes(48))
    onnx_models.external(path, "inside.bin")
    assert {*load(path).sha256} == {"model.onnx", "own.bin"}


@pytest.mark.parametrize(
    ("offset", "length", "text"),
    [
        (8, None, "initializer w must lie in weights.bin, which has 48 bytes, not at 8 + 48"),
        (-1, None, "initializer w must have its offset in bytes, not '-1'"),
        ("9" * 30, None, f"initializer w must have its offset in bytes, not {'9' * 30!r}"),
        (0, 40, "initializer w must be 48 bytes for its shape, not 40"),
        (0, "48 ", "initializer w must have its length in bytes, not '48 '"),
    ],
)
def test_external_data_must_hold_the_numbers(
    path: Path, offset: int | str, length: int | str | None, text: str
) -> None:
    (path.parent / "weights.bin").write_bytes(bytes(48))
    onnx_models.external(path, "weights.bin", offset=offset, length=length)
    assert fault(path) == text


def test_bytes_of_an_external_file_are_not_read_over_and_over(path: Path) -> None:
    (path.parent / "weights.bin").write_bytes(bytes(48))
    made = onnx_models.external(path, "weights.bin")
    for number in range(99):
        made.graph.initializer.add().CopyFrom(made.graph.initializer[0])
        made.graph.initializer[-1].name = f"w{number}"
    assert fault(path, made) == "initializer w3 must not be the bytes of weights.bin that others are, over and over"


LARGE = [
    ("y = ConstantOfShape (big)", {"big": np.array([2**20, 2**20])}),
    ("y = Expand (one, big)", {"one": np.ones((1, 1), np.float32), "big": np.array([2**16, 2**15])}),
    ("y = Tile (one, big)", {"one": np.ones((1, 1), np.float32), "big": np.array([2**16, 2**15])}),
    ("y = Range (start, limit, delta)", {"start": np.float32(0), "limit": np.float32(1e30),
                                       "delta": np.float32(1e-30)}),
    ("y = Range (start, limit, delta)", {"start": np.int64(0), "limit": np.int64(2**40), "delta": np.int64(1)}),
    ("y = Pad (one, big)", {"one": np.ones((1, 1), np.float32), "big": np.array([0, 2**15, 2**15, 0])}),
    ("y = Resize <mode=\"nearest\"> (one, , big)", {"one": np.ones((1, 1), np.float32),
                                                 "big": np.array([2.0**15, 2.0**15], np.float32)}),
    ("y = OneHot (zero, big, values)", {"zero": np.zeros((2**10, 2**10), np.int64), "big": np.int64(2**19),
                                        "values": np.array([0, 1], np.float32)}),
    ("y = Add (down, across)", {"down": np.ones((2**15, 1), np.float32), "across": np.ones((1, 2**15), np.float32)}),
    ("y = MatMul (down, across)", {"down": np.ones((2**15, 1), np.float32), "across": np.ones((1, 2**15), np.float32)}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "constants"), LARGE, ids=lambda x: x[:20] if isinstance(x, str) else "")
def test_constants_that_would_be_large_are_refused_before_memory_is_taken(
    path: Path, text: str, constants: dict[str, np.ndarray]
) -> None:
    made = onnx_models.model(f"(float[2] x) => (float[n,m] y) {{ {text} }}", **constants)
    path.write_bytes(made.SerializeToString())
    tracemalloc.start()
    try:
        found = fault(path)
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()
    assert "(" + text.split()[2] + ")" in found


def test_many_constants_may_not_be_large_together(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "MAX_FOLDED_BYTES", 2**24)
    nodes = "\n".join(f"y{i} = Expand (one, big)" for i in range(40))
    made = onnx_models.model(
        f"(float[2] x) => (float[n,m] y) {{ {nodes}\ny = Add (y0, y39) }}",
        one=np.ones((1, 1), np.float32), big=np.array([2**10, 2**10]),
    )  # fmt: skip
    assert "(Expand): must not form constants of 4194304 bytes, as " in fault(path, made)


def test_functions_that_call_each_other_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "MAX_NODES", 1000)
    made = onnx_models.model("(float[2] x) => (float[2] y) { y = own.f0 (x) }")
    made.opset_import.append(helper.make_opsetid("own", 1))
    imports = [helper.make_opsetid("own", 1), helper.make_opsetid("", 17)]
    for number in range(30):
        called = "f0" if number == 29 else f"f{number + 1}"
        names = ["a", *(f"b{i}" for i in range(20))]
        body = [helper.make_node(called, [a], [b], domain="own") for a, b in itertools.pairwise(names)]
        made.functions.append(helper.make_function("own", f"f{number}", ["a"], ["b19"], body, imports))
    assert "functions must call each other at most" in fault(path, made)
    leaf = made.functions[7]
    del leaf.node[:]
    leaf.node.append(helper.make_node("Relu", ["a"], ["b19"]))
    assert "must have at most 1000 nodes" in fault(path, made)


def test_many_branches_take_no_time(path: Path) -> None:
    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["t"])], "branch", [],
                               [helper.make_tensor_value_info("t", 1, [2])])  # fmt: skip
    made = onnx_models.model("(float[2] x) => (float[2] y) { y = Relu (x) }", flag=np.array(True))
    node = helper.make_node("If", ["flag"], [""], then_branch=branch, else_branch=branch)
    for number in range(1000):
        copy = made.graph.node.add()
        copy.CopyFrom(node)
        copy.output[0] = f"y{number}"
    path.write_bytes(made.SerializeToString())
    assert len(load(path).graph.nodes) == 1


@pytest.mark.slow
def test_mutated_models_are_imported_or_refused() -> None:
    """In a process of its own, whose memory is bounded, and whose end shows what no exception would."""
    file = Path(onnx_fuzz.__file__)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(file.parent), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, file, "0", str(mutations(2000))],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=600,
    )
    assert done.returncode == 0, f"model {done.stdout.split()[-1:]}: {done.stderr[-2000:]}"
    assert done.stdout.split()[-1] == str(mutations(2000) - 1)
