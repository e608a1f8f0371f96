"""Rows on the vector unit beyond what recipes ask for: shares of 16 bits, whole rows, constants that do not fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from graph_runs import executed, small

from accelsim.compiler.pipeline import compile_graph
from accelsim.config.arch import Machine
from accelsim.errors import CompileError, DoesNotFitError
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.integer_norm import IntegerNorm
from accelsim.graph.ops.integer_softmax import IntegerSoftmax
from accelsim.graph.value import Value

BYTE = Integer(0.05, 3, signed=True)


def shares(shape: tuple[int, ...], element: Integer = BYTE, bits: int = 16) -> Graph:
    """Softmax of what a graph is given."""
    node = Node("shares", IntegerSoftmax(52429, 6, bits), ("x",), ("y",))
    return Graph.formed("shares", {"x": Value("x", shape, element)}, [node], ("x",), ("y",))


def normalized(shape: tuple[int, ...]) -> Graph:
    """LayerNorm of what a graph is given."""
    rng, features, known = np.random.default_rng(1), shape[-1], {"x": Value("x", shape, BYTE)}
    parts = {
        "gamma": rng.integers(-128, 128, features).astype(np.int8),
        "beta": rng.integers(-(2**28), 2**28, features).astype(np.int32),
        "multiplier": np.array([2**30], np.int32),
        "shift": np.full(features, -21, np.int8),
    }
    for name, data in parts.items():
        known[name] = Value(name, data.shape, Integer(1.0, 0, signed=True, bits=8 * data.dtype.itemsize), data)
    node = Node("norm", IntegerNorm(BYTE, True, 5, "tflite_single_round"), ("x", *parts), ("y",))
    return Graph.formed("norm", known, [node], ("x",), ("y",))


def drawn(shape: tuple[int, ...]) -> tuple[np.ndarray]:
    return (np.random.default_rng(0).integers(-128, 128, shape).astype(np.int8),)


def with_capacity(on: Machine, name: str, size: int) -> Machine:
    return on.model_copy(update={name: getattr(on, name).model_copy(update={"capacity_bytes": size})})


@pytest.mark.parametrize("shape", [(50, 7), (3, 5, 4, 33), (2, 500)])
def test_shares_of_sixteen_bits_take_two_bytes_each(shape: tuple[int, ...]) -> None:
    program, execution = executed(shares(shape), drawn(shape), small("weight_stationary"))
    found = execution.numbers(program.header.region("y"))
    assert found.dtype == np.uint16
    sums = found.astype(np.int64).sum(axis=-1)
    assert (np.abs(sums - 2**16) <= shape[-1]).all()


def test_rows_of_more_bits_are_not_turned() -> None:
    with pytest.raises(CompileError, match="node shares: results of rows must have the bits of what is read on"):
        compile_graph(shares((4, 8)), drawn((4, 8)), small("output_stationary"), "r")
    executed(shares((4, 8), bits=8), drawn((4, 8)), small("output_stationary"))


@pytest.mark.parametrize("kind", ["weight_stationary", "output_stationary"])
def test_rows_are_whole_in_every_tile(kind: str) -> None:
    shape = (40, 60)
    program, _ = executed(normalized(shape), drawn(shape), small(kind))
    (layer,) = program.header.layers
    assert (layer.m, layer.n, layer.n_tile) == (40, 60, 60)
    assert layer.m_tile < 40
    assert layer.stored_bits == 8 * (17 + 6 * 60)


def test_what_does_not_fit_is_named() -> None:
    graph, inputs, on = normalized((9, 600)), drawn((9, 600)), small("weight_stationary")
    with pytest.raises(DoesNotFitError, match="layer norm: the weight memory of edge-ws must hold 3617 bytes of const"):
        compile_graph(graph, inputs, with_capacity(on, "weight", 2048), "r")
    with pytest.raises(DoesNotFitError, match="layer norm: the activation and output memories of edge-ws must hold"):
        compile_graph(graph, inputs, with_capacity(on, "activation", 512), "r")
    wide = dataclasses.replace(BYTE, bits=32, zero_point=0)
    with pytest.raises(CompileError, match="node shares: rows must be of 8-bit or 16-bit integers on the vector"):
        compile_graph(shares((2, 3), wide), (np.zeros((2, 3), np.int32),), on, "r")
    with pytest.raises(CompileError, match="node shares: a row must have at most 32768 numbers, not 40000"):
        compile_graph(shares((1, 40000)), drawn((1, 40000)), on, "r")
