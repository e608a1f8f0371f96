"""Blocks of layers that repeat in a network, found by what makes layers alike."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np


class Blocks(NamedTuple):
    """A block of layers that follows itself.

    Parameters
    ----------
    first
        Number of the first layer of the first block, from 0.
    layers
        Layers of a block.
    repeats
        Blocks.
    """

    first: int
    layers: int
    repeats: int

    @property
    def end(self) -> int:
        """Number of the layer behind the last block."""
        return self.first + self.layers * self.repeats

    def left_out(self, kept: int) -> range:
        """Numbers of the layers of all blocks but the last one and the first `kept - 1` ones."""
        return range(self.first + self.layers * (kept - 1), self.end - self.layers)


def find(kinds: Sequence[Hashable], kept: int) -> Blocks | None:
    """Find the blocks of which most layers are left out if the first `kept` ones are kept.

    Parameters
    ----------
    kinds
        What makes a layer what it is, for each layer; those of the same kind are alike.

    Returns
    -------
    The blocks, of the fewest layers and the earliest if several are as good; None if no layer can be left out.
    """
    numbers: dict[Hashable, int] = {}
    kind = np.array([numbers.setdefault(k, len(numbers)) for k in kinds], np.int64)
    best: Blocks | None = None
    saved = 0
    for layers in range(1, len(kind) // (kept + 1) + 1):
        if len(kind) - kept * layers <= saved:
            break  # neither this block nor a longer one can be better
        # runs of layers that are like the one a block later
        bounds = np.diff(kind[layers:] == kind[:-layers], prepend=False, append=False).nonzero()[0].reshape(-1, 2)
        repeats = (bounds[:, 1] - bounds[:, 0]) // layers + 1
        if len(bounds):
            longest = int(repeats.argmax())
            if layers * (int(repeats[longest]) - kept) > saved:
                best = Blocks(int(bounds[longest, 0]), layers, int(repeats[longest]))
                saved = layers * (best.repeats - kept)
    return best
