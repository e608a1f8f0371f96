"""One matrix product of a network."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.formats import nm
from accelsim.golden.network import CompressedLayer


@dataclass(frozen=True, slots=True)
class Gemm:
    """A product of (m, k) activations times (k, n) weights."""

    layer: CompressedLayer
    m: int
    k: int
    n: int

    def is_nm(self, kept: int, group: int) -> bool:
        """Whether every `group` weights along K hold at most `kept` nonzeros; as declared where they have no values."""
        pattern = self.layer.pattern
        if pattern is None:
            return nm.is_nm(self.layer.weight, kept, group)
        return nm.densest_group(self.k, *pattern, group) <= kept
