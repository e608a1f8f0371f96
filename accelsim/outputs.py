"""A network's outputs as arrays of a file: real numbers by their names, and the integers that they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.element import Integer, Plain, Signs
from accelsim.graph.graph import Graph

#: What stands behind an output's name where its integers are meant.
INTEGERS = ".integers"


def arrays(
    graph: Graph, numbers: Mapping[str, NDArray[Any]], orders: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[Any]]:
    """Arrays of a graph's outputs, axes as the network's file has them.

    Parameters
    ----------
    numbers
        Of the outputs, as their elements hold them, of any shape that has as many.
    orders
        Axes of the file's arrays in the graph's order, where they differ.

    Returns
    -------
    Of each output its real numbers, float32, under its name, and of integers these too, under `NAME.integers`; indices
    and masks stand as they are.
    """
    found: dict[str, NDArray[Any]] = {}
    for name in graph.outputs:
        value = graph[name]
        x = numbers[name].reshape(-1, *value.shape[1:])
        if name in orders:
            x = x.transpose(np.argsort(orders[name]))
        if isinstance(value.element, Plain):
            found[name] = x
            continue
        found[name] = value.element.dequantize(x).astype(np.float32)
        if isinstance(value.element, Integer | Signs):
            found[f"{name}{INTEGERS}"] = x.astype(value.element.dtype)
    return found


def write_outputs(path: Path, outputs: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an .npz file; the same arrays are the same bytes."""
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **dict(outputs))
