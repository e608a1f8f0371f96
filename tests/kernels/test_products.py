"""Products in groups against numpy's integers, on both paths, and which of them a processor takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.kernels import lanes, products

#: Both ways to form products, where the processor has both.
WAYS = (False, True) if lanes.VNNI else (False,)
#: Whether rows, and what is held, are signed: not both are unsigned.
SIGNS = st.sampled_from([(True, True), (False, True), (True, False)])
LARGE = 300 if lanes.COMPILED else 20  # rows that are more than one block


def window(data: NDArray[np.uint8], at: int, stride: int, rows: int, row_bytes: int) -> NDArray[np.uint8]:
    return np.lib.stride_tricks.as_strided(data[at:], (rows, row_bytes), (stride, 1))


def integers(data: NDArray[np.uint8], *, signed: bool) -> NDArray[np.int64]:
    return data.view(np.int8 if signed else np.uint8).astype(np.int64)


def room(depth: int, columns: int, *, vnni: bool) -> products.Held:
    size = products.held_bytes(np.array([depth]), np.array([columns]))
    return products.held(depth, columns, int(size[0]), vnni=vnni)


@given(
    m=st.integers(1, LARGE), k=st.integers(1, 150), n=st.integers(1, 70), gaps=st.tuples(*[st.integers(0, 9)] * 6),
    signs=SIGNS, more=st.booleans(), vnni=st.sampled_from(WAYS), seed=st.integers(0, 2**32),
)  # fmt: skip
def test_any_tile_at_any_place_equals_integer_products(
    m: int, k: int, n: int, gaps: tuple[int, ...], signs: tuple[bool, bool], more: bool, vnni: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    at_x, at_w, at_sums = gaps[:3]
    x_stride, w_stride, sums_stride = k + gaps[3], n + gaps[4], 4 * n + gaps[5]
    # nothing stands behind the last byte of an operand, so reading further would be seen by a memory checker
    x, w, sums = (
        rng.integers(0, 256, at + (rows - 1) * stride + row_bytes).astype(np.uint8)
        for at, rows, stride, row_bytes in (
            (at_x, m, x_stride, k), (at_w, k, w_stride, n), (at_sums, m, sums_stride, 4 * n)
        )
    )  # fmt: skip
    for operand in (x, w):
        operand[rng.random(operand.size) < rng.choice([0, 0.5, 1])] = 0
    expected = sums.copy()
    streamed, held = window(x, at_x, x_stride, m, k), window(w, at_w, w_stride, k, n)
    total = integers(streamed, signed=signs[0]) @ integers(held, signed=signs[1])
    tile = window(expected, at_sums, sums_stride, m, 4 * n)
    if more:
        total += np.ascontiguousarray(tile).view("<i4")
    tile[:] = total.astype("<i4").view(np.uint8)  # wraps

    h = room(k, n, vnni=vnni)
    products.hold(h, w, at_w, w_stride, k, n, *signs)
    found = products.stream(h, x, at_x, x_stride, m, m, 0, sums, at_sums, sums_stride, more)
    np.testing.assert_array_equal(sums, expected)
    assert found == np.count_nonzero(streamed, axis=0) @ np.count_nonzero(held, axis=1)


@given(
    outer=st.integers(1, 30), inner=st.integers(1, 300), short=st.integers(0, 5), k=st.integers(1, 70),
    stride=st.integers(0, 90), step=st.integers(0, 400), vnni=st.sampled_from(WAYS), seed=st.integers(0, 2**32),
)  # fmt: skip
def test_rows_of_two_levels_are_rows_that_stand_elsewhere(
    outer: int, inner: int, short: int, k: int, stride: int, step: int, vnni: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = max(outer * inner - short, 1)
    starts = 3 + np.arange(rows) // inner * step + np.arange(rows) % inner * stride
    x = rng.integers(0, 256, int(starts.max()) + k).astype(np.uint8)
    w = rng.integers(0, 256, (k, 5)).astype(np.uint8)
    h, sums = room(k, 5, vnni=vnni), np.zeros((rows, 5), np.int32)
    products.hold(h, w.ravel(), 0, 5, k, 5, False, True)
    found = products.stream(h, x, 3, stride, rows, inner, step, sums.view(np.uint8).ravel(), 0, 20, False)
    streamed = x[starts[:, None] + np.arange(k)]
    np.testing.assert_array_equal(sums, streamed.astype(np.int64) @ w.view(np.int8).astype(np.int64))
    assert found == np.count_nonzero(streamed, axis=0) @ np.count_nonzero(w, axis=1)


@pytest.mark.parametrize("vnni", WAYS)
@pytest.mark.parametrize(
    ("x", "w", "signs"),
    [(128, 128, (True, True)), (255, 128, (False, True)), (128, 255, (True, False)), (127, 128, (True, True))],
)
def test_the_largest_operands_do_not_saturate_and_sums_wrap(
    x: int, w: int, signs: tuple[bool, bool], vnni: bool
) -> None:
    k, n = 2000, 17  # beyond 2^24, where float32 would no longer be exact
    rows, columns = np.full((7, k), x, np.uint8), np.full((k, n), w, np.uint8)
    sums = np.full((7, n), 2**31 - 1, np.int32)
    h = room(k, n, vnni=vnni)
    products.hold(h, columns.ravel(), 0, n, k, n, *signs)
    products.stream(h, rows.ravel(), 0, k, 7, 7, 0, sums.view(np.uint8).ravel(), 0, 4 * n, True)
    product = k * int(integers(rows, signed=signs[0])[0, 0]) * int(integers(columns, signed=signs[1])[0, 0])
    assert (sums == (2**31 - 1 + product + 2**31) % 2**32 - 2**31).all()


@pytest.mark.parametrize("vnni", WAYS)
def test_what_is_held_serves_many_streams(vnni: bool) -> None:
    rng = np.random.default_rng(0)
    w = rng.integers(-128, 128, (33, 40)).astype(np.int8)
    h = room(33, 40, vnni=vnni)
    products.hold(h, w.view(np.uint8).ravel(), 0, 40, 33, 40, True, True)
    for m in (1, 6, 7, 30):
        x = rng.integers(-128, 128, (m, 33)).astype(np.int8)
        sums = np.zeros((m, 40), np.int32)
        products.stream(h, x.view(np.uint8).ravel(), 0, 33, m, m, 0, sums.view(np.uint8).ravel(), 0, 160, False)
        np.testing.assert_array_equal(sums, x.astype(np.int64) @ w)


SCRIPT = """
import numpy as np
from accelsim.kernels import lanes, products
x = np.arange(40, dtype=np.uint8)
sums = np.zeros(4 * 4 * 8, np.uint8)
h = products.held(10, 8, int(products.held_bytes(np.array([10]), np.array([8]))[0]), vnni=lanes.VNNI)
products.hold(h, np.arange(80, dtype=np.uint8), 0, 8, 10, 8, False, True)
products.stream(h, x, 0, 10, 4, 4, 0, sums, 0, 32, False)
expected = x.reshape(4, 10).astype(int) @ np.arange(80, dtype=np.uint8).view(np.int8).reshape(10, 8)
assert (sums.view("<i4").reshape(4, 8) == expected).all()
hits = sum(products.stream.stats.cache_hits.values()) if lanes.COMPILED else -1
print(lanes.VNNI, hits)
"""


def choice(cache: Path, **environment: str) -> tuple[bool, int]:
    """Whether a process takes VNNI, and how many compiled kernels it found."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ACCELSIM_CACHE_DIR": str(cache), **environment},
    )
    vnni, hits = done.stdout.split()
    return vnni == "True", int(hits)


def test_vnni_is_taken_where_the_processor_has_it_and_nobody_forbids_it(tmp_path: Path) -> None:
    from llvmlite import binding

    has = bool(binding.get_host_cpu_features().get("avx512vnni", False)) and lanes.COMPILED
    compiled = int(lanes.COMPILED)
    assert choice(tmp_path, ACCELSIM_VNNI="1") == (has, 0 if compiled else -1)
    # both paths stand in the same compiled code
    assert choice(tmp_path, ACCELSIM_VNNI="0") == (False, 1 if compiled else -1)


def test_code_for_one_processor_does_not_serve_another(tmp_path: Path) -> None:
    expected = 0 if lanes.COMPILED else -1
    native = choice(tmp_path)
    assert native[1] == expected
    assert choice(tmp_path, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="") == (False, expected)
    assert choice(tmp_path, NUMBA_DISABLE_JIT="1") == (False, -1)
