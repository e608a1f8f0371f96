"""Softmax, norms and functions of floats in float32 operations: near the real ones, and what extremes become."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.golden import exact, real
from accelsim.golden.exact import float_functions, float_rows
from accelsim.graph.element import Float
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.function import Function, FunctionName
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.mask import EVERYTHING, Mask
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.value import Value

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

#: Half a unit in the last place of a float32 of 1.
EPS = 2.0**-24
#: Relative error of one rounding, by type, and the least subnormal number.
ROUNDING = {"fp16": (2.0**-11, 2.0**-25), "bf16": (2.0**-8, 2.0**-134), "fp32": (0.0, 2.0**-149)}
SEEDS = st.integers(0, 2**32)
SCHEMES = st.sampled_from(sorted(ROUNDING))
SIDES = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 70))
NAMES = sorted(float_functions.FUNCTIONS)


def both(op: Op, x: Float32, scheme: str, **constants: Float32) -> tuple[Float32, Float64]:
    """What a node forms of a tensor on a machine, and in real numbers."""
    known = {"x": Value("x", x.shape, Float(scheme))}  # type: ignore[arg-type] # one of the types
    known |= {name: Value(name, data.shape, Float("fp32"), data) for name, data in constants.items()}
    node = Node("n", op, ("x", *constants), ("y",))
    graph = Graph.formed("one", known, [node], ("x",), ("y",))
    got: Any = exact.evaluate(graph, (x,), 1)["y"]
    with np.errstate(all="ignore"):
        (want,) = real.MEANINGS[type(op)](graph, node, [part.astype(np.float64) for part in (x, *constants.values())])
    return got, want


def drawn(rng: np.random.Generator, shape: tuple[int, ...], scheme: str) -> Float32:
    """Numbers of a type, of a large or a small spread, some rows equal throughout."""
    x = rng.normal(size=shape) * 10.0 ** rng.uniform(-3, 2) + rng.choice([0.0, 5.0])
    x[rng.random(shape[:-1]) < 0.1] = rng.normal()
    found: Float32 = Float(scheme).quantize(x)  # type: ignore[arg-type, assignment] # one of the types
    return found


def assert_near(got: Float32, want: Float64, error: NDArray[Any] | float, scheme: str) -> None:
    """Within an absolute error before the one rounding to the type."""
    relative, least = ROUNDING[scheme]
    beyond = np.abs(got - want) - (error + relative * (np.abs(want) + error) + least)
    assert beyond.max() <= 0, (beyond.max(), got.flat[beyond.argmax()], want.flat[beyond.argmax()])


@given(SIDES, SEEDS, SCHEMES, st.booleans(), st.integers(0, 5), st.integers(0, 3))
def test_shares_are_those_of_what_is_seen(
    shape: tuple[int, int, int], seed: int, scheme: str, causal: bool, window: int, sinks: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = (*shape[:2], max(shape[1:]))
    mask = Mask(True, window, sinks if window else 0) if causal else EVERYTHING
    scale = float(rng.choice([1.0, 0.125, 1 / math.sqrt(3)]))
    x = drawn(rng, shape, scheme)
    got, want = both(MaskedSoftmax(scale, mask), x, scheme)
    seen = np.broadcast_to(mask.seen(*shape[1:]), shape)
    # a score errs by one rounding, and its distance from the largest by another one
    largest = 2 * np.abs(x * scale).max(axis=-1, keepdims=True)
    # exponentials below exp(-87) are 0
    assert_near(got, want, want * (12 + 3 * largest) * EPS + math.exp(-87), scheme)
    assert not got[~seen].any()
    if mask == EVERYTHING and scale == 1:
        np.testing.assert_array_equal(both(Softmax(), x, scheme)[0], got)


@given(SIDES, SEEDS, SCHEMES, st.sampled_from(["rms", "layer", "plain", "l2"]))
def test_rows_are_normalized(shape: tuple[int, int, int], seed: int, scheme: str, which: str) -> None:
    rng = np.random.default_rng(seed)
    x = drawn(rng, shape, scheme)
    gamma, beta = (rng.normal(size=shape[-1]).astype(np.float32) for _ in range(2))
    epsilon = float(rng.choice([1e-5, 1e-2]))
    ops: dict[str, tuple[Op, dict[str, Float32]]] = {
        "rms": (RmsNorm(epsilon), {"gamma": gamma}),
        "layer": (LayerNorm(epsilon), {"gamma": gamma, "beta": beta}),
        "plain": (LayerNorm(epsilon), {"gamma": gamma}),
        "l2": (L2Norm(epsilon), {}),
    }
    got, want = both(ops[which][0], x, scheme, **ops[which][1])
    # deviations err by what the mean does, which matters where they are small beside it
    wide, lost = x.astype(np.float64), np.zeros(1)
    if which in {"layer", "plain"}:
        lost = np.abs(wide).max(axis=-1, keepdims=True) / np.sqrt(wide.var(axis=-1, keepdims=True) + epsilon)
    factor = np.abs(gamma) if which != "l2" else np.ones(shape[-1])
    error = EPS * (20 * (np.abs(want) + np.abs(beta)) + 40 * lost * factor * (1 + lost))
    assert_near(got, want, error, scheme)


@given(SEEDS, SCHEMES, st.sampled_from(NAMES))
def test_functions_are_near_the_real_ones(seed: int, scheme: str, name: FunctionName) -> None:
    rng = np.random.default_rng(seed)
    x = drawn(rng, (7, 33), scheme).clip(-80, 80)
    got, want = both(Function(name), Float(scheme).quantize(x), scheme)  # type: ignore[arg-type] # one of the types
    # products of x, and polynomials of an absolute error
    size = np.abs(want) + (np.abs(x) if name in {"silu", "gelu", "gelu_tanh"} else 0)
    if name == "exponential" and scheme == "fp16":
        want, got = (np.minimum(values, 65504) for values in (want, got))
    assert_near(got, want, 16 * EPS * size + (2e-7 if name == "gelu" else 0.0) * np.abs(x), scheme)


def test_the_exponential_errs_by_less_than_one_unit_in_the_last_place() -> None:
    x = np.linspace(-86.99, 88.72, 400_001, dtype=np.float32)
    want = np.exp(x.astype(np.float64))
    units = np.abs(float_functions.exponential(x) - want) / np.spacing(want.astype(np.float32))
    assert units.max() < 1


def test_extremes_of_functions() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, 3e38, -3e38, 1e-40], np.float32)
    expected: dict[FunctionName, list[float]] = {
        "exponential": [np.nan, np.inf, 0, 1, np.inf, 0, 1],
        "sigmoid": [np.nan, 1, 0, 0.5, 1, 0, 0.5],
        "tanh": [np.nan, 1, -1, 0, 1, -1, 1e-40],
        "silu": [np.nan, np.inf, np.nan, 0, 3e38, 0, 5e-41],
        "gelu": [np.nan, np.inf, np.nan, 0, 3e38, 0, 5e-41],
        "gelu_tanh": [np.nan, np.inf, np.nan, 0, 3e38, 0, 5e-41],
    }
    for name, wanted in expected.items():
        got, _ = both(Function(name), x, "fp32")
        np.testing.assert_allclose(got, wanted, rtol=1e-4)
        assert got[0].view(np.uint32) == 0x7FC00000  # the one NaN


def test_extremes_of_rows() -> None:
    inf, nan = np.inf, np.nan
    x = np.array([[-inf, -inf, -inf], [inf, 0, 1], [nan, 0, 1], [-inf, 2, 2], [1e5, -1e5, 0]], np.float32)
    got, _ = both(Softmax(), x, "fp32")
    np.testing.assert_array_equal(got, [[0, 0, 0], [nan] * 3, [nan] * 3, [0, 0.5, 0.5], [1, 0, 0]])
    # what is not seen is 0 whatever it holds, and changes nothing
    square = np.array([[5, nan, inf], [5, 5, nan], [1, -inf, 1]], np.float32)
    got, _ = both(MaskedSoftmax(1.0, Mask(True)), square, "fp32")
    np.testing.assert_array_equal(got, [[1, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5]])
    ids = np.array([[7, 0, 7]])
    graph = Graph.formed(
        "padded",
        {"x": Value("x", (1, 3, 3), Float("fp32")), "ids": Value("ids", (1, 3), Float("fp32"))},
        [Node("n", MaskedSoftmax(1.0, Mask(True), 7), ("x", "ids"), ("y",))],
        ("x", "ids"),
        ("y",),
    )
    shares = exact.evaluate(graph, (np.zeros((1, 3, 3), np.float32), ids), 1)["y"]
    np.testing.assert_array_equal(shares[0], [[0, 0, 0], [0, 1, 0], [0, 1, 0]])
    got, _ = both(L2Norm(0.0), np.zeros((1, 3), np.float32), "fp32")
    assert np.isnan(got).all()
    got, _ = both(RmsNorm(1e-5), np.full((1, 4), 3e38, np.float32), "fp32", gamma=np.ones(4, np.float32))
    np.testing.assert_array_equal(got, np.zeros((1, 4)))  # squares overflow


@pytest.mark.parametrize("columns", [1, 2, 3, 5, 8, 100])
def test_sums_are_trees(columns: int) -> None:
    """Of neighbours in pairs: the order shows where roundings differ."""
    x = np.random.default_rng(columns).normal(size=columns).astype(np.float32) * np.float32(1e3)
    level = x.tolist()
    while len(level) > 1:
        level += [0.0] * (len(level) % 2)
        level = [float(np.float32(a) + np.float32(b)) for a, b in zip(level[::2], level[1::2], strict=True)]
    assert float(float_rows.total(x[None])[0, 0]) == level[0]
