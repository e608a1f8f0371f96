"""Test data of .npz files: what fits a network, and what is refused with a line that says why."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import WorkloadError
from accelsim.golden.task import Classification, Embeddings, Language, Regression
from accelsim.graph.build import Builder
from accelsim.graph.element import Plain
from accelsim.graph.graph import Graph
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.relu import Relu
from accelsim.outputs import write_arrays
from accelsim.workload import arrays
from accelsim.workload.data import Data, drawn, read_data

ORDERS = {"x": (0, 2, 3, 1)}


def images() -> Graph:
    """Images (2, 4, 5, 3) to as many numbers; the file has its channels first."""
    build = Builder("images")
    x = build.input("x", (2, 4, 5, 3))
    return build.graph((build.node("y", Relu(), x),))


def rows() -> Graph:
    """Rows of 6 numbers to 3."""
    build = Builder("rows")
    x = build.input("x", (1, 6))
    return build.graph((build.node("y", MatMul(), x, build.constant("w", np.eye(6, 3, dtype=np.float32))),))


def tokens(vocabulary: int = 11) -> Graph:
    """Ids (1, 7) to logits of a vocabulary, which has as many rows."""
    build = Builder("tokens")
    ids = build.input("input_ids", (1, 7), Plain("int64"))
    table = build.constant("table", np.eye(vocabulary, dtype=np.float32))
    return build.graph((build.node("y", Gather(), table, ids),))


def read(tmp_path: Path, graph: Graph, orders: dict[str, tuple[int, ...]] | None = None, **given: Any) -> Data:
    np.savez(tmp_path / "data.npz", **given)
    return read_data(tmp_path / "data.npz", graph, orders or {})


def refused(tmp_path: Path, graph: Graph, orders: dict[str, tuple[int, ...]] | None = None, **given: Any) -> str:
    with pytest.raises(WorkloadError) as error:
        read(tmp_path, graph, orders, **given)
    (line,) = str(error.value).splitlines()
    return line.removeprefix(f"{tmp_path / 'data.npz'}: ")


def test_inputs_come_in_the_files_axes(tmp_path: Path) -> None:
    x = np.arange(9 * 60, dtype=np.uint8).reshape(9, 3, 4, 5)
    data = read(tmp_path, images(), ORDERS, x=x)
    assert data.task is None
    np.testing.assert_array_equal(data.inputs[0], x.transpose(0, 2, 3, 1).astype(np.float32))
    assert len(data.sha256["data.npz"]) == 64


def test_what_judges_follows_from_names(tmp_path: Path) -> None:
    x, ids = np.zeros((4, 6)), np.arange(14).reshape(2, 7) % 11
    found = read(tmp_path, rows(), x=x, labels=[0, 1, 2, 0]).task
    assert isinstance(found, Classification)
    assert found.labels.tolist() == [0, 1, 2, 0]
    assert isinstance(read(tmp_path, rows(), x=x, targets=np.zeros((4, 3))).task, Regression)
    found = read(tmp_path, rows(), x=x, pairs=[[0, 1]], scores=[0.5]).task
    assert isinstance(found, Embeddings)
    found = read(tmp_path, tokens(), input_ids=ids).task
    assert isinstance(found, Language)
    assert found.targets[:, :-1].tolist() == ids[:, 1:].tolist()
    assert (found.targets[:, -1] < 0).all()
    assert isinstance(read(tmp_path, tokens(), input_ids=ids, targets=ids).task, Language)


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    x = np.zeros((4, 6), np.float32)
    assert refused(tmp_path, rows(), xs=x) == "must hold the input 'x', not 'xs'; it holds xs"
    assert (
        refused(tmp_path, rows(), x=x, label=[0])
        == "label: must be an input of the network or labels; did you mean 'labels'?"
    )
    assert refused(tmp_path, rows(), x=x[:, :5]) == "x: must have shape (any, 6), not (4, 5)"
    wrong = np.zeros((2, 4, 5, 3))
    assert refused(tmp_path, images(), ORDERS, x=wrong) == "x: must have shape (any, 3, 4, 5), not (2, 4, 5, 3)"
    assert refused(tmp_path, rows(), x=x * np.nan) == "x: must be finite numbers, but some are not"
    assert refused(tmp_path, rows(), x=x, labels=[0, 1, 3, 0]) == "labels: must be classes 0 to 2, the outputs, not 3"
    assert refused(tmp_path, rows(), x=x, labels=[0]) == "labels: must be integers of shape (4,), not int64 of (1,)"
    assert refused(tmp_path, tokens(), input_ids=np.zeros((1, 7))) == "input_ids: must be integers, not float64"
    assert "pairs: must be numbers of samples" in refused(tmp_path, rows(), x=x, pairs=[[0, 9]], scores=[1.0])


def test_drawn_ids_are_in_the_table() -> None:
    (ids,) = drawn(tokens(3), 0, 50)
    assert ids.shape == (50, 7)
    assert set(np.unique(ids)) == {0, 1, 2}


def test_arrays_of_any_name_come_back(tmp_path: Path) -> None:
    given = {"file": np.arange(3.0), "/a/b": np.ones((2, 2), np.int8), "allow_pickle": np.float32(1)}
    write_arrays(tmp_path / "a.npz", given)
    found, _ = arrays.read_arrays(tmp_path / "a.npz")
    assert [*found] == [*given]
    for name, x in given.items():
        np.testing.assert_array_equal(found[name], x)
    first = (tmp_path / "a.npz").read_bytes()
    write_arrays(tmp_path / "a.npz", given)
    assert (tmp_path / "a.npz").read_bytes() == first


def test_no_pickle_is_read(tmp_path: Path) -> None:
    assert refused(tmp_path, rows(), x=np.array([{"a": 1}], object)) == "x: must be numbers, not object"


def test_more_than_memory_is_refused_before_it_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "memory_bytes", lambda: 1000)
    assert (
        refused(tmp_path, rows(), x=np.zeros((40, 6))) == "must fit in 1000 bytes of memory, not say that it holds 2048"
    )


def header(shape: tuple[int, ...]) -> bytes:
    """An array's header alone."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def test_a_shape_without_its_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header((10**12, 6)))
    with pytest.raises(WorkloadError, match="must hold the 24000000000000 bytes that its shape"):
        read_data(path, rows(), {})


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\x03\x04" + bytes(40)])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(WorkloadError, match=r"must be a whole \.npz file"):
        read_data(tmp_path / "data.npz", rows(), {})


def test_mutated_files_are_refused_or_read(tmp_path: Path) -> None:
    path, rng = tmp_path / "data.npz", np.random.default_rng(3)
    np.savez(path, x=np.ones((4, 6), np.float32), labels=np.array([0, 1, 2, 0]))
    whole = path.read_bytes()
    refusals = 0
    for _ in range(300):
        raw = bytearray(whole)
        for place in rng.integers(0, len(raw), rng.integers(1, 6)):
            raw[place] = rng.integers(0, 256)
        path.write_bytes(bytes(raw[: rng.integers(1, len(raw) + 1)] if rng.random() < 0.2 else raw))
        try:
            read_data(path, rows(), {})
        except WorkloadError as error:
            assert len(str(error).splitlines()) == 1
            refusals += 1
    assert 100 < refusals < 300
