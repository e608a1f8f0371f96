"""Graphs as text: what a reviewer reads as a diff."""

from __future__ import annotations

import numpy as np
from float_networks import Linear, chain, recipe, typed

from accelsim.graph.build import Builder
from accelsim.graph.ops.slice import Slice
from accelsim.graph.text import print_graph
from accelsim.graph.value import without_numbers
from accelsim.workload.network import Network

INT8 = """\
graph random
input                                                                                                        5x4 int8(0.01176, zero -43)  input
fc0.products     = MatMul(input, fc0.weight)                                                                 5x3 int32(3 scales)          60 MACs
"""


def two_layers() -> Network:
    """Layers of 4 to 3 to 2 features by hand."""
    weights = ([[1, -2, 0], [0, 1, 3], [2, 0, 1], [1, 1, -1]], [[1, -1], [2, 0], [0, -4]])
    layers = [
        Linear(f"fc{i}", np.array(weight, np.float32), np.ones(len(weight[0]), np.float32), relu=not i)
        for i, weight in enumerate(weights)
    ]
    return chain(layers, np.linspace(-1, 2, 20).reshape(5, 4))


def test_typed_graphs() -> None:
    bitmask = {"scheme": "store", "format": "bitmask", "layers": "fc1"}
    for steps in ([{"scheme": "int8"}, bitmask], [{"scheme": "dynamic_int8", "group": 2}]):
        print(print_graph(typed(two_layers(), recipe(*steps))[0]))
    print(print_graph(two_layers().graph))
    build = Builder("shapes")
    weight = build.constant("w", without_numbers(np.float32, (8, 6)), outlined=True, pattern=(2, 4))
    last = build.node("part", Slice(-1, 0, 6, 2), build.linear("fc", build.input("x", (5, 8)), weight, None, relu=False))
    print(print_graph(build.graph((last,))))
