"""Kernels beside their floors: `pytest benchmarks` (pytest-benchmark); a group's `ratio` is what to look at.

Floors are numpy's float32 products, and the copying of the bytes that a kernel reads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from accelsim.formats import relative
from accelsim.kernels import counting, lanes, products, requantize
from accelsim.kernels.requantize import Channels

ROWS = 512
#: Rounding schemes by the kernel's number.
SCHEMES = {
    "once, up": requantize.ONCE_UP,
    "once, away": requantize.ONCE_AWAY,
    "twice, away": requantize.TWICE_AWAY,
    "twice, up": requantize.TWICE_UP,
}
#: Sides of the arrays whose tiles are multiplied.
SIDES = (128, 16)
#: A layer's weights, a tenth of them nonzero.
WEIGHTS = np.random.default_rng(0).integers(-128, 128, (4096, 4096)).astype(np.int8)
WEIGHTS[np.random.default_rng(1).random(WEIGHTS.shape) > 0.1] = 0
BYTES = WEIGHTS.view(np.uint8)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("path", ["numpy", "portable", *(["vnni"] if lanes.VNNI else [])])
def test_products(benchmark: BenchmarkFixture, side: int, path: str) -> None:
    """A tile of 512 rows times a fold, against float32 products of the same shape."""
    benchmark.group = f"products {ROWS} x {side} x {side}"
    rng = np.random.default_rng(2)
    x, w = (rng.integers(0, 256, shape).astype(np.uint8) for shape in ((ROWS, side), (side, side)))
    if path == "numpy":
        a, b, out = x.astype(np.float32), w.astype(np.float32), np.empty((ROWS, side), np.float32)
        benchmark(np.matmul, a, b, out=out)
    else:
        size = products.held_bytes(np.array([side]), np.array([side]))
        h = products.held(side, side, int(size[0]), vnni=path == "vnni")
        sums = np.zeros(4 * ROWS * side, np.uint8)

        def multiply() -> None:
            products.hold(h, w.reshape(-1), 0, side, side, side, False, True)
            products.stream(h, x.reshape(-1), 0, side, ROWS, sums, 0, 4 * side, False)

        multiply()
        benchmark(multiply)
    benchmark.extra_info["GMAC/s"] = round(ROWS * side * side / benchmark.stats.stats.min / 1e9, 1)


@pytest.mark.parametrize("scheme", ["copy", *SCHEMES])
def test_requantize(benchmark: BenchmarkFixture, scheme: str) -> None:
    """A row of 16,384 sums."""
    n = 2**14
    benchmark.group = f"requantize {n} sums"
    sums, out = np.arange(n, dtype=np.int32), np.zeros(n, np.uint8)
    if scheme == "copy":
        copied = np.empty_like(sums)
        benchmark(np.copyto, copied, sums)
        return
    constants = Channels(np.zeros(n, np.int32), np.full(n, 2**30, np.int32), np.full(n, -7, np.int8))
    arguments = (SCHEMES[scheme], sums, 0, constants, 0, n, 3, -128, 127, out, 0)
    requantize.row(*arguments)
    benchmark(requantize.row, *arguments)
    benchmark.extra_info["G sums/s"] = round(n / benchmark.stats.stats.min / 1e9, 2)


COUNTING: dict[str, Callable[[], object]] = {
    "copy": lambda: np.copyto(np.empty_like(BYTES), BYTES),
    "numpy.count_nonzero": lambda: np.count_nonzero(BYTES, axis=0),
    "zero columns": lambda: counting.nonzero_columns(BYTES, np.zeros(BYTES.shape[1], np.int64)),
    "zero rows": lambda: counting.nonzero_rows(BYTES, np.zeros(BYTES.shape[0], np.int64)),
    "N:M": lambda: counting.most_of_group(BYTES, 4),
    "relative index, lane imbalance": lambda: relative.entries(WEIGHTS, 64, 4),
}


@pytest.mark.parametrize("what", COUNTING)
def test_counting(benchmark: BenchmarkFixture, what: str) -> None:
    """A layer of 4096 x 4096 weights, a tenth of them nonzero."""
    benchmark.group = "counting 16 MiB of weights"
    COUNTING[what]()
    benchmark(COUNTING[what])
    benchmark.extra_info["GB/s"] = round(BYTES.size / benchmark.stats.stats.min / 1e9, 2)
