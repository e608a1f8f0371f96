"""Which keys a query of attention sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.ops.op import UnfitError


@dataclass(frozen=True, slots=True)
class Mask:
    """Keys that queries see by their places alone; the last query stands where the last key does.

    Parameters
    ----------
    causal
        Whether a query sees its own place and those before it alone.
    window
        How many of those it sees, its own included; 0 for all. It must be causal.
    sinks
        First keys that every query sees beside its window, as far as they are not behind its own place (Xiao et al.,
        arXiv:2309.17453); 0 without a window.
    """

    causal: bool = False
    window: int = 0
    sinks: int = 0

    def require(self, queries: int, keys: int) -> None:
        """Refuse numbers of queries and keys that have no such mask.

        Raises
        ------
        UnfitError
            If that is so, or the mask is none.
        """
        if self.causal and queries > keys:
            raise UnfitError(f"there must be as many keys as queries or more, not {keys} for {queries}")
        if self.window < 0 or (self.window and not self.causal):
            raise UnfitError(f"a window must be causal and 1 key or more, not {self.window}")
        if self.sinks < 0 or (self.sinks and not self.window):
            raise UnfitError(f"sinks must be 0 or more, and stand beside a window, not be {self.sinks}")

    def seen(self, queries: int, keys: int) -> NDArray[np.bool_]:
        """Whether each query sees each key; bool, shape (queries, keys)."""
        if not self.causal:
            return np.ones((queries, keys), np.bool_)
        key, last = np.arange(keys), np.arange(keys - queries, keys)[:, None]
        found: NDArray[np.bool_] = key <= last
        if self.window:
            found &= (key > last - self.window) | (key < self.sinks)
        return found


#: All queries see all keys.
EVERYTHING = Mask()
