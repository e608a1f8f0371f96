"""Workloads with zeros in their weights: a trained network pruned by magnitude and written as a user would write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from accelsim.config import shipped

Float32 = NDArray[np.float32]


def dense(weight: Float32) -> Float32:
    """All weights, shape (K, N)."""
    return weight


def unstructured(weight: Float32) -> Float32:
    """The fifth of the weights with the largest magnitudes."""
    magnitude = np.abs(weight)
    return np.where(magnitude >= np.quantile(magnitude, 0.8), weight, 0).astype(np.float32)


def columns(weight: Float32) -> Float32:
    """The half of the inputs K with the largest sums of magnitudes, each with all its weights."""
    kept = np.argsort(np.abs(weight).sum(axis=1), kind="stable")[len(weight) // 2 :]
    result = np.zeros_like(weight)
    result[kept] = weight[kept]
    return result


def two_of_four(weight: Float32) -> Float32:
    """Of every four weights along K, the two with the largest magnitudes; K must be a multiple of 4."""
    groups = weight.reshape(-1, 4, weight.shape[1])
    order = np.argsort(-np.abs(groups), axis=1, kind="stable")
    kept = np.zeros(groups.shape, np.bool_)
    np.put_along_axis(kept, order[:, :2], values=True, axis=1)
    return np.where(kept, groups, 0).reshape(weight.shape).astype(np.float32)


VARIANTS = {f.__name__: f for f in (dense, unstructured, columns, two_of_four)}


def write(folder: Path, prune: Callable[[Float32], Float32], images: int | None = None) -> Path:
    """Write digits-mlp with pruned weights and its first test images; return the path of its workload.yaml."""
    source = shipped.path_of("workload", "digits-mlp").parent
    weights = load_file(source / "weights.safetensors")
    data = load_file(source / "data.safetensors")
    for name in ("test_images", "test_labels"):
        data[name] = data[name][:images]
    for name in (n for n in weights if n.endswith(".weight")):
        weights[name] = np.ascontiguousarray(prune(weights[name].T).T)  # stored as outputs by inputs
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "weights.safetensors")
    save_file(data, folder / "data.safetensors")
    text = (source / "workload.yaml").read_text()
    path = folder / "workload.yaml"
    path.write_text(text.replace("name: digits-mlp", f"name: digits-{prune.__name__}"))
    return path
