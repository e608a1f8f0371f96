"""Of every M weights of an output, the N largest stay: Mishra et al., arXiv:2104.08378 (2:4).

Which M inputs form a group is open: an order of the inputs is looked for that keeps more magnitude (Pool and Yu,
"Channel Permutations for N:M Sparsity", NeurIPS 2021). The layer before forms its outputs in that order, so that
nothing is moved at run time.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator

from accelsim.compress.rewrite import Float64, Int64, Rewrite, with_inputs_in_order, with_weight
from accelsim.config.model import Integer, quantity
from accelsim.errors import ConfigError
from accelsim.graph.layer import Layer
from accelsim.kernels import swaps
from accelsim.units import ceil_div
from accelsim.workload.network import Network

#: Magnitudes that one sweep of the search looks at, at most: a second or two.
WORK = 2**27
#: Sweeps over all inputs until nothing gains, at most; few are needed.
SWEEPS = 20
#: Share of what is kept that a sweep over drawn partners must gain for another one to follow.
LEAST = 1e-4
#: Times that an order is disturbed, at most, and swaps that disturb it.
KICKS, THROWN = 4, 3


def _possible(pattern: tuple[int, int]) -> tuple[int, int]:
    kept, group = pattern
    if not 1 <= kept <= group <= 16:
        raise ValueError(f"pattern must be N and M with 1 <= N <= M <= 16, not {kept} and {group}")
    return pattern


Pattern = Annotated[
    tuple[Integer, Integer],
    BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given),  # YAML knows no tuples
    AfterValidator(_possible),
]


class PruneGroups(Rewrite):
    """The recipe step."""

    scheme: Literal["prune_nm"] = quantity("name", "Name of the scheme")
    pattern: Pattern = quantity("weights", "N and M: of M inputs in a row, N keep a weight", default=(2, 4))
    permute: bool = quantity("flag", "Whether the inputs' order is searched that keeps most", default=False)

    def rewrite(self, network: Network, layer: Layer) -> Network:
        """Zero them."""
        if self.permute:
            if len(layer.by_channel) > 1:
                raise ConfigError(f"layer {layer.name}: permute must be false for a convolution of several pixels")
            order = best_order(np.abs(layer.matrix.astype(np.float64)), *self.pattern)
            network = with_inputs_in_order(network, layer, order)
            layer = layer.of(network.graph)
        weight = layer.matrix
        kept = kept_of_groups(np.abs(weight.astype(np.float64)), *self.pattern)
        return with_weight(network, layer, np.where(kept, weight, 0))


def kept_of_groups(scores: Float64, kept: int, group: int) -> NDArray[np.bool_]:
    """Which scores, shape (K, N), are the `kept` largest of their group along K; the last group may be smaller."""
    k, n = scores.shape
    whole = np.full((ceil_div(k, group) * group, n), -1.0)
    whole[:k] = scores
    groups = whole.reshape(-1, group, n)
    before = np.zeros(groups.shape, np.int8)  # how many of its group come before a score; of equal ones the first does
    for one in range(group):
        for other in range(one):
            larger = groups[:, one] > groups[:, other]
            before[:, other] += larger
            before[:, one] += ~larger
    return (before < kept).reshape(-1, n)[:k]


def best_order(magnitudes: Float64, kept: int, group: int, seed: int = 0) -> Int64:
    """Look for an order of the inputs that keeps more magnitude than the given one; it never keeps less.

    Each input in turn changes places with the one of another group that gains most, until none does; then a few are
    thrown about and it is tried again, as often as the layer's size allows. Of a large layer each input is tried with
    some others alone, drawn anew in each sweep, until a sweep gains little.

    Parameters
    ----------
    magnitudes
        Shape (K, N), not negative.
    seed
        Of all drawing.

    Returns
    -------
    Numbers of the inputs, int64, shape (K,).
    """
    k, n = magnitudes.shape
    places = k // group * group  # inputs behind the last whole group stay where they are
    one = 2 * group * n * max(1, places)  # magnitudes that one partner for each place takes
    tries = min(places, max(1, WORK // one))
    rng = np.random.default_rng(seed)

    def settled(order: Int64) -> Int64:
        for _ in range(SWEEPS):
            partners = np.arange(places)[None]
            if tries < places:
                partners = rng.integers(places, size=(places, tries))
            if swaps.sweep(magnitudes, order, partners, group, kept) <= (LEAST if tries < places else 0):
                break
        return order

    best = settled(np.arange(k))
    kicks = min(KICKS, WORK // (one * places)) if places > group else 0
    most = _kept_magnitude(magnitudes[best], kept, group) if kicks else 0.0
    for _ in range(kicks):
        order = best.copy()
        for a, b in rng.integers(places, size=(THROWN, 2)).tolist():
            order[a], order[b] = order[b], order[a]
        found = _kept_magnitude(magnitudes[settled(order)], kept, group)
        if found > most:
            best, most = order, found
    return best


def _kept_magnitude(magnitudes: Float64, kept: int, group: int) -> float:
    return float(magnitudes[kept_of_groups(magnitudes, kept, group)].sum())
