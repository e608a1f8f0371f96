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
input                                                                                                                 5x4 int8(0.01176, zero -43)  input
fc0.products     = MatMul(input, fc0.weight)                                                                          5x3 int32(3 scales)          60 MACs
fc0.sums         = Add(fc0.products, fc0.bias)                                                                        5x3 int32(3 scales)          15 operations
fc0.requantized  = Cast(to=uint8(0.0322), rounding=tflite_single_round, fc0.sums, fc0.multiplier, fc0.shift)          5x3 uint8(0.0322)            15 operations
fc0.output       = Relu(fc0.requantized)                                                                              5x3 uint8(0.0322)            15 operations
fc1.products     = MatMul(fc0.output, fc1.weight)                                                                     5x2 int32(2 scales)          30 MACs
fc1.sums         = Add(fc1.products, fc1.bias)                                                                        5x2 int32(2 scales)          10 operations
fc1.output       = Cast(to=int8(0.1697, zero 53), rounding=tflite_single_round, fc1.sums, fc1.multiplier, fc1.shift)  5x2 int8(0.1697, zero 53)    10 operations
output                                                                                                                5x2 int8(0.1697, zero 53)    fc1.output
constant                                                                                                              4x3 int8(3 scales)           fc0.weight
constant                                                                                                              3 int32(3 scales)            fc0.bias
constant                                                                                                              3 int32(1)                   fc0.multiplier
constant                                                                                                              3 int8(1)                    fc0.shift
constant                                                                                                              3x2 int8(2 scales)           fc1.weight stored bitmask
constant                                                                                                              2 int32(2 scales)            fc1.bias
constant                                                                                                              2 int32(1)                   fc1.multiplier
constant                                                                                                              2 int8(1)                    fc1.shift
"""  # noqa: E501 - a line a node
DYNAMIC = """\
graph random
input                                                                                                        5x4 fp16               input
fc0.integers, fc0.row_scales  = DynamicQuantize(bits=8, group=2, input)                                      5x4 int8(1); 5x2 fp32  30 operations
fc0.products                  = ScaledMatMul(group=2, fc0.integers, fc0.row_scales, fc0.weight, fc0.scales)  5x3 fp32               60 MACs
fc0.sums                      = Add(fc0.products, fc0.bias)                                                  5x3 fp32               15 operations
fc0.rectified                 = Relu(fc0.sums)                                                               5x3 fp32               15 operations
fc0.output                    = Cast(to=fp16, fc0.rectified)                                                 5x3 fp16               15 operations
fc1.integers, fc1.row_scales  = DynamicQuantize(bits=8, group=2, fc0.output)                                 5x3 int8(1); 5x2 fp32  25 operations
fc1.products                  = ScaledMatMul(group=2, fc1.integers, fc1.row_scales, fc1.weight, fc1.scales)  5x2 fp32               30 MACs
fc1.sums                      = Add(fc1.products, fc1.bias)                                                  5x2 fp32               10 operations
fc1.output                    = Cast(to=fp16, fc1.sums)                                                      5x2 fp16               10 operations
output                                                                                                       5x2 fp16               fc1.output
constant                                                                                                     4x3 int8(1)            fc0.weight
constant                                                                                                     2x3 fp32               fc0.scales
constant                                                                                                     3 fp32                 fc0.bias
constant                                                                                                     3x2 int8(1)            fc1.weight
constant                                                                                                     2x2 fp32               fc1.scales
constant                                                                                                     2 fp32                 fc1.bias
"""  # noqa: E501 - a line a node
REAL = """\
graph random
input                                           5x4 fp32  input
fc0.products  = MatMul(input, fc0.weight)       5x3 fp32  60 MACs
fc0.added     = Add(fc0.products, fc0.bias)     5x3 fp32  15 operations
fc0.output    = Relu(fc0.added)                 5x3 fp32  15 operations
fc1.products  = MatMul(fc0.output, fc1.weight)  5x2 fp32  30 MACs
fc1.output    = Add(fc1.products, fc1.bias)     5x2 fp32  10 operations
output                                          5x2 fp32  fc1.output
constant                                        4x3 fp32  fc0.weight
constant                                        3 fp32    fc0.bias
constant                                        3x2 fp32  fc1.weight
constant                                        2 fp32    fc1.bias
"""
SHAPES = """\
graph shapes
input                                                              5x8 fp32  x
fc.output    = MatMul(x, w)                                        5x6 fp32  240 MACs
part.output  = Slice(axis=-1, start=0, stop=6, step=2, fc.output)  5x3 fp32
output                                                             5x3 fp32  part.output
constant                                                           8x6 fp32  w 2:4
"""


def two_layers() -> Network:
    """Layers of 4 to 3 to 2 features by hand."""
    weights = ([[1, -2, 0], [0, 1, 3], [2, 0, 1], [1, 1, -1]], [[1, -1], [2, 0], [0, -4]])
    layers = [
        Linear(f"fc{i}", np.array(weight, np.float32), np.ones(len(weight[0]), np.float32), relu=not i)
        for i, weight in enumerate(weights)
    ]
    return chain(layers, np.linspace(-1, 2, 20).reshape(5, 4))


def test_a_typed_graph_says_scales_zero_points_and_how_weights_are_stored() -> None:
    bitmask = {"scheme": "store", "format": "bitmask", "layers": "fc1"}
    assert print_graph(typed(two_layers(), recipe({"scheme": "int8"}, bitmask))[0]) == INT8


def test_a_node_may_form_several_values() -> None:
    assert print_graph(typed(two_layers(), recipe({"scheme": "dynamic_int8", "group": 2}))[0]) == DYNAMIC


def test_a_graph_in_real_numbers() -> None:
    assert print_graph(two_layers().graph) == REAL


def test_constants_that_have_shapes_and_a_pattern_alone() -> None:
    build = Builder("shapes")
    weight = build.constant("w", without_numbers(np.float32, (8, 6)), outlined=True, pattern=(2, 4))
    sums = build.linear("fc", build.input("x", (5, 8)), weight, None, relu=False)
    assert print_graph(build.graph((build.node("part", Slice(-1, 0, 6, 2), sums),))) == SHAPES
