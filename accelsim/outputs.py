"""A network's outputs as arrays of a file: real numbers by their names, and the integers that they are."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
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


def write_arrays(path: Path, found: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays of any names as an .npz file; the same arrays are the same bytes.

    numpy's own `savez` takes names as arguments, of which `file` is one of its own.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, x in found.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as stream:
                npy.write_array(stream, np.asanyarray(x), allow_pickle=False)
