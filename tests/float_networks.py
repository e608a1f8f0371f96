"""Random chains of float layers, and recipes given by their steps."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from accelsim.compress.recipe import Recipe
from accelsim.workload.network import Linear, Network


def network(rng: np.random.Generator, sizes: list[int], batch: int) -> Network:
    """Normal weights whose outputs are about as large as their inputs, ReLU between layers; inputs calibrate it."""
    layers = [
        Linear(
            f"fc{i}",
            rng.normal(size=(k, n)).astype(np.float32) / np.float32(np.sqrt(k)),
            rng.normal(size=n).astype(np.float32) / 10,
            relu=i < len(sizes) - 2,
        )
        for i, (k, n) in enumerate(itertools.pairwise(sizes))
    ]
    x = rng.normal(size=(batch, sizes[0])).astype(np.float32)
    return Network("random", tuple(layers), x, np.zeros(batch, np.int64), x, {})


def recipe(*steps: dict[str, Any], **fields: Any) -> Recipe:
    """A recipe of these steps, called r."""
    return Recipe.model_validate({"kind": "recipe", "name": "r", "description": "", "steps": list(steps), **fields})
