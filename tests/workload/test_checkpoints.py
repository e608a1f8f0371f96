"""PyTorch's checkpoints: tensors as they were written, and nothing that a pickle asks for."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_files
from harness import long
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.golden import real
from accelsim.workload.importers import torch
from accelsim.workload.importers.torch.checkpoint import read_checkpoint

LAYOUTS = [torch_files.stream, torch_files.archive]


def lite(channels: int = 4) -> dict[str, NDArray[Any]]:
    """A tiny EfficientNet-Lite: a stem, a block without and one with expansion, whose result adds to what it reads."""
    rng = np.random.default_rng(0)
    found: dict[str, NDArray[Any]] = {}

    def convolution(name: str, norm: str, *shape: int) -> None:
        found[f"{name}.weight"] = rng.normal(size=shape).astype(np.float32) / 3
        for part in ("weight", "bias", "running_mean"):
            found[f"{norm}.{part}"] = rng.normal(size=shape[0]).astype(np.float32)
        found[f"{norm}.running_var"] = rng.random(shape[0], np.float32) + 0.5
        found[f"{norm}.num_batches_tracked"] = np.array(3)

    convolution("_conv_stem", "_bn0", channels, 3, 3, 3)
    convolution("_blocks.0._depthwise_conv", "_blocks.0._bn1", channels, 1, 3, 3)
    convolution("_blocks.0._project_conv", "_blocks.0._bn2", channels, channels, 1, 1)
    convolution("_blocks.1._expand_conv", "_blocks.1._bn0", 6 * channels, channels, 1, 1)
    convolution("_blocks.1._depthwise_conv", "_blocks.1._bn1", 6 * channels, 1, 5, 5)
    convolution("_blocks.1._project_conv", "_blocks.1._bn2", channels, 6 * channels, 1, 1)
    convolution("_conv_head", "_bn1", 8, channels, 1, 1)
    found["_fc.weight"], found["_fc.bias"] = (rng.normal(size=s).astype(np.float32) for s in ((5, 8), (5,)))
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_tensors_are_what_was_written(tmp_path: Path, layout: Callable[..., bytes]) -> None:
    rng = np.random.default_rng(1)
    given = {"a": rng.random((3, 4), np.float32), "b": np.arange(6), "c": rng.random(5).astype(np.float16)}
    given["turned"] = rng.random((2, 3), np.float32).T
    (tmp_path / "x.pth").write_bytes(layout({**given, "turned": np.ascontiguousarray(given["turned"])}))
    found, sha256 = read_checkpoint(tmp_path / "x.pth")
    assert len(sha256) == 64
    for name, x in given.items():
        np.testing.assert_array_equal(found[name], x)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_network_is_known_by_its_tensors(tmp_path: Path, layout: Callable[..., bytes]) -> None:
    (tmp_path / "lite.pth").write_bytes(layout(lite()))
    imported = torch.load(tmp_path / "lite.pth", batch=2)
    graph = imported.graph
    assert graph[graph.outputs[0]].shape == (2, 5)
    assert imported.orders == {"input": (0, 2, 3, 1)}
    found = real.evaluate(graph, (np.ones((1, 224, 224, 3), np.float32),), graph.outputs)
    assert np.isfinite(found[graph.outputs[0]]).all()


def test_what_is_unknown_or_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(torch_files.stream({"a": np.zeros(3, np.float32)}))
    with pytest.raises(WorkloadError, match="must hold the tensors of a known network"):
        torch.load(path)
    tensors = lite()
    del tensors["_blocks.0._bn1.bias"]
    path.write_bytes(torch_files.stream(tensors))
    with pytest.raises(WorkloadError, match=r"must hold the tensor '_blocks\.0\._bn1\.bias'"):
        torch.load(path)


class _Harm:
    """What a pickle may ask for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_nothing_is_called(tmp_path: Path) -> None:
    path, harm = tmp_path / "x.pth", tmp_path / "harm"
    head = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
    path.write_bytes(b"".join([*head, pickle.dumps({"a": _Harm(harm)}, 2), pickle.dumps([], 2)]))
    with pytest.raises(WorkloadError, match=r"must hold tensors alone, not call 'posix mkdir'|not call 'nt mkdir'"):
        read_checkpoint(path)
    assert not harm.exists()


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=long)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_mutated_checkpoints_are_refused_or_read(tmp_path: Path, layout: Callable[..., bytes], count: int) -> None:
    whole, rng, path, refused = layout(lite(2)), np.random.default_rng(5), tmp_path / "x.pth", 0
    for _ in range(count):
        raw = bytearray(whole)
        near = len(raw) if rng.random() < 0.3 else min(len(raw), 3000)
        for place in rng.integers(0, near, rng.integers(1, 4)):
            raw[place] = rng.integers(0, 256)
        path.write_bytes(bytes(raw[: rng.integers(1, len(raw) + 1)] if rng.random() < 0.1 else raw))
        try:
            torch.load(path)
        except WorkloadError as error:
            assert len(str(error).splitlines()) == 1
            refused += 1
    assert count // 4 < refused < count
