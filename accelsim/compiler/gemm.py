"""One matrix product of a network."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.golden.network import CompressedLayer


@dataclass(frozen=True, slots=True)
class Gemm:
    """A product of (m, k) activations times (k, n) weights."""

    layer: CompressedLayer
    m: int
    k: int
    n: int
