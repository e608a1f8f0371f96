"""What stays of a layer's weights, against sorting and exhaustive search in plain numpy."""

from __future__ import annotations

import time
from itertools import combinations, pairwise

import float_networks
import numpy as np
import pytest
from float_networks import Linear, linears
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from accelsim.compress.apply import rewritten
from accelsim.compress.prune.columns import PruneColumns
from accelsim.compress.prune.magnitude import PruneMagnitude
from accelsim.compress.prune.nm import PruneGroups, best_order, kept_of_groups
from accelsim.compress.prune.wanda import PruneWanda
from accelsim.compress.quantize.integers import Integers
from accelsim.compress.recipe import Recipe, Rewriter
from accelsim.kernels import swaps
from accelsim.workload.network import Network

SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 12))
SPARSITIES = st.sampled_from([0.0, 0.1, 0.5, 0.9])


def chain(seed: int, *sizes: int) -> Network:
    rng = np.random.default_rng(seed)
    layers = [
        Linear(f"fc{i}", rng.normal(size=(k, n)).astype(np.float32), rng.normal(size=n).astype(np.float32), i == 0)
        for i, (k, n) in enumerate(pairwise(sizes))
    ]
    return float_networks.chain(layers, rng.normal(size=(7, sizes[0])))


def after(network: Network, *steps: Rewriter) -> Network:
    quantizer = Integers(scheme="int8")
    return rewritten(network, Recipe(kind="recipe", name="r", description="d", steps=[*steps, quantizer]))


@given(SHAPES, SPARSITIES, st.integers(0, 2**32))
def test_the_largest_weights_stay(shape: tuple[int, int], sparsity: float, seed: int) -> None:
    before = linears(chain(seed, *shape))[0].weight
    (layer,) = linears(after(chain(seed, *shape), PruneMagnitude(scheme="prune_magnitude", sparsity=sparsity)))
    zeroed = round(sparsity * before.size)
    assert np.count_nonzero(layer.weight == 0) == zeroed
    assert (layer.weight[layer.weight != 0] == before[layer.weight != 0]).all()
    assert np.abs(before[layer.weight == 0]).max(initial=0) <= np.abs(layer.weight[layer.weight != 0]).min(initial=9)


@given(SHAPES, st.integers(0, 2**32))
def test_a_threshold_counts_in_standard_deviations(shape: tuple[int, int], seed: int) -> None:
    before = linears(chain(seed, *shape))[0].weight
    (layer,) = linears(after(chain(seed, *shape), PruneMagnitude(scheme="prune_magnitude", threshold=0.8)))
    mean = sum(before.ravel().tolist()) / before.size
    deviation = (sum((w - mean) ** 2 for w in before.ravel().tolist()) / before.size) ** 0.5
    np.testing.assert_array_equal(layer.weight, np.where(np.abs(before) >= 0.8 * deviation, before, 0))


@given(SHAPES, SPARSITIES, st.integers(0, 2**32))
def test_columns_with_the_least_magnitude_go_whole(shape: tuple[int, int], sparsity: float, seed: int) -> None:
    before = linears(chain(seed, *shape))[0].weight
    (layer,) = linears(after(chain(seed, *shape), PruneColumns(scheme="prune_columns", sparsity=sparsity)))
    gone = ~layer.weight.any(axis=1)
    assert gone.sum() == round(sparsity * shape[0])
    norms = [sum(map(abs, row)) for row in before.tolist()]
    assert max((n for n, g in zip(norms, gone, strict=True) if g), default=0) <= min(
        (n for n, g in zip(norms, gone, strict=True) if not g), default=np.inf
    )
    np.testing.assert_array_equal(layer.weight[~gone], before[~gone])


@given(SHAPES, st.sampled_from([(1, 2), (2, 4), (3, 5)]), st.integers(0, 2**32))
def test_each_group_keeps_its_largest(shape: tuple[int, int], pattern: tuple[int, int], seed: int) -> None:
    kept, group = pattern
    before = linears(chain(seed, *shape))[0].weight
    (layer,) = linears(after(chain(seed, *shape), PruneGroups(scheme="prune_nm", pattern=pattern)))
    for first in range(0, shape[0], group):
        for column, was in zip(layer.weight[first : first + group].T, before[first : first + group].T, strict=True):
            largest = sorted(np.abs(was).tolist(), reverse=True)[:kept]
            assert sorted(np.abs(column[column != 0]).tolist(), reverse=True) == largest


def kept_magnitude(magnitudes: NDArray[np.float64], order: list[int], kept: int, group: int) -> float:
    return sum(
        sum(sorted((magnitudes[i, n] for i in order[first : first + group]), reverse=True)[:kept])
        for first in range(0, len(order), group)
        for n in range(magnitudes.shape[1])
    )


@given(SHAPES, st.sampled_from([(1, 2), (2, 4), (3, 5)]), st.integers(0, 2**32))
def test_a_searched_order_never_keeps_less(shape: tuple[int, int], pattern: tuple[int, int], seed: int) -> None:
    magnitudes = np.abs(np.random.default_rng(seed).normal(size=shape))
    order = best_order(magnitudes, *pattern)
    assert sorted(order.tolist()) == list(range(shape[0]))
    given_order = kept_magnitude(magnitudes, list(range(shape[0])), *pattern)
    assert kept_magnitude(magnitudes, order.tolist(), *pattern) >= given_order * (1 - 1e-12)


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_no_swap_is_left_that_keeps_more_and_the_best_of_all_orders_is_near(seed: int) -> None:
    magnitudes = np.abs(np.random.default_rng(seed).normal(size=(8, 5)))
    found = kept_magnitude(magnitudes, best_order(magnitudes, 2, 4).tolist(), 2, 4)
    groups = [[*first, *(i for i in range(8) if i not in first)] for first in combinations(range(8), 4)]
    most = max(kept_magnitude(magnitudes, order, 2, 4) for order in groups)
    assert 0.97 * most <= found <= most * (1 + 1e-12)


def test_the_search_is_as_good_as_the_published_ones() -> None:
    """Channel swaps reach 50.9 % of what is between the default and 50 % of all rows, of 64 x 32 random weights.

    That is what NVIDIA's apex reached for one matrix whose default of 723.5 is that of uniform magnitudes.
    """
    efficacies = []
    for seed in range(5):
        magnitudes = np.random.default_rng(seed).random((32, 64))
        default = magnitudes[kept_of_groups(magnitudes, 2, 4)].sum()
        ideal = np.sort(magnitudes, axis=0)[16:].sum()
        searched = magnitudes[best_order(magnitudes, 2, 4)]
        efficacies.append((searched[kept_of_groups(searched, 2, 4)].sum() - default) / (ideal - default))
    assert np.mean(efficacies) > 0.42


@given(st.integers(1, 20), st.integers(1, 9), st.sampled_from([(1, 2), (2, 4), (3, 3), (3, 5)]), st.integers(0, 2**32))
def test_a_sweep_makes_the_swaps_that_gain_most(k: int, n: int, pattern: tuple[int, int], seed: int) -> None:
    kept, group = pattern
    rng = np.random.default_rng(seed)
    magnitudes = np.abs(rng.normal(size=(k, n))) * (rng.random((k, n)) < 0.8)
    places = k // group * group
    partners = rng.integers(places, size=(places, 3)) if places else np.zeros((1, 0), np.int64)

    def keeps(order: list[int]) -> float:
        return kept_magnitude(magnitudes[:, :], order[:places], kept, group) if places else 0.0

    expected, before = list(range(k)), keeps(list(range(k)))
    for a in range(places):
        best, most = expected, keeps(expected) * (1 + 1e-12)
        for b in partners[a].tolist():
            if a // group != b // group:
                swapped = expected.copy()
                swapped[a], swapped[b] = swapped[b], swapped[a]
                if keeps(swapped) > most * (1 + 1e-12):
                    best, most = swapped, keeps(swapped)
        expected = best
    order = np.arange(k)
    gained = swaps.sweep(magnitudes, order, partners, group, kept)
    assert keeps(order.tolist()) == pytest.approx(keeps(expected), rel=1e-9)
    assert (gained > 0) == (order.tolist() != list(range(k)))
    if before:
        assert gained == pytest.approx(1 - before / keeps(order.tolist()), abs=1e-9)


def test_a_large_layer_takes_seconds() -> None:
    """A minute when each try ranked both groups anew."""
    magnitudes = np.abs(np.random.default_rng(0).normal(size=(1024, 4096)))
    best_order(magnitudes[:8, :8], 2, 4)  # compiled
    begun = time.perf_counter()
    order = best_order(magnitudes, 2, 4)
    assert time.perf_counter() - begun < 15
    before, after = (float(x[kept_of_groups(x, 2, 4)].sum()) for x in (magnitudes, magnitudes[order]))
    assert after > 1.002 * before


@given(st.integers(0, 2**32), st.integers(4, 12), st.integers(4, 12))
def test_an_order_moves_no_output(seed: int, inputs: int, hidden: int) -> None:
    network = chain(seed, inputs, hidden, 3)
    permuted = after(network, PruneGroups(scheme="prune_nm", pattern=(4, 4), permute=True))
    outputs = [float_networks.forward(net, net.inputs[0])[-1] for net in (network, permuted)]
    np.testing.assert_allclose(*outputs, rtol=1e-9, atol=1e-9)
    ordered = after(network, PruneGroups(scheme="prune_nm", permute=True))
    for before, layer in zip(linears(network), linears(ordered), strict=True):
        assert np.isin(layer.weight[layer.weight != 0], before.weight).all()


@given(SHAPES, st.integers(0, 2**32))
def test_wanda_weighs_by_the_norm_of_inputs(shape: tuple[int, int], seed: int) -> None:
    network = chain(seed, *shape)
    before = linears(network)[0].weight
    (layer,) = linears(after(network, PruneWanda(scheme="prune_wanda", sparsity=0.5)))
    norms = [sum(v * v for v in column) ** 0.5 for column in network.calibration[0].T.astype(float).tolist()]
    for n in range(shape[1]):
        scores = sorted((abs(float(w)) * s, k) for k, (w, s) in enumerate(zip(before[:, n], norms, strict=True)))
        gone = {k for _, k in scores[: round(0.5 * shape[0])]}
        assert set(np.flatnonzero(layer.weight[:, n] == 0).tolist()) == gone


@pytest.mark.parametrize("fields", [{}, {"sparsity": 0.5, "threshold": 1.0}])
def test_a_share_or_a_threshold_is_given(fields: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="sparsity or threshold must be given, and not both"):
        PruneMagnitude(scheme="prune_magnitude", **fields)


@given(st.integers(0, 2**32), SPARSITIES, st.integers(1, 12), st.integers(1, 12))
def test_a_global_budget_keeps_the_largest_magnitudes_of_all_layers(
    seed: int, sparsity: float, inputs: int, hidden: int
) -> None:
    network = chain(seed, inputs, hidden, 3)
    layers = linears(after(network, PruneMagnitude(scheme="prune_magnitude", sparsity=sparsity, budget="global")))
    every = sorted((abs(w) for layer in linears(network) for w in layer.weight.ravel().tolist()), reverse=True)
    kept = every[: len(every) - round(sparsity * len(every))]
    found = [abs(w) for layer in layers for w in layer.weight.ravel().tolist() if w]
    assert sorted(found, reverse=True) == kept
    for before, layer in zip(linears(network), layers, strict=True):
        assert (layer.weight[layer.weight != 0] == before.weight[layer.weight != 0]).all()


@given(st.integers(0, 2**32))
def test_a_global_budget_is_that_of_the_layers_it_matches(seed: int) -> None:
    network = chain(seed, 6, 8, 9, 4)
    step = PruneMagnitude(scheme="prune_magnitude", sparsity=0.5, budget="global", layers="fc[02]")
    layers = linears(after(network, step))
    np.testing.assert_array_equal(layers[1].weight, linears(network)[1].weight)
    assert sum(np.count_nonzero(layers[i].weight == 0) for i in (0, 2)) == round(0.5 * (6 * 8 + 9 * 4))
    alone = PruneMagnitude(scheme="prune_magnitude", sparsity=0.5, layers="fc1")
    both = [linears(after(network, alone.model_copy(update={"budget": b})))[1].weight for b in ("layer", "global")]
    np.testing.assert_array_equal(*both)


def test_a_global_budget_takes_most_where_weights_are_small() -> None:
    network = chain(3, 20, 30, 10)
    first, second = linears(network)
    small = Linear("small", first.weight / 100, first.bias, relu=True)
    network = float_networks.chain([small, second], network.inputs[0])
    step = PruneMagnitude(scheme="prune_magnitude", sparsity=0.5, budget="global")
    zeros = [float((layer.weight == 0).mean()) for layer in linears(after(network, step))]
    assert zeros[0] > 0.7
    assert zeros[1] < 0.2


@given(st.integers(0, 2**32), SPARSITIES)
def test_a_global_wanda_weighs_by_what_all_layers_read_before_any_is_pruned(seed: int, sparsity: float) -> None:
    network = chain(seed, 5, 6, 4)
    layers = linears(after(network, PruneWanda(scheme="prune_wanda", sparsity=sparsity, budget="global")))
    x = network.calibration[0].astype(np.float64)
    read = [x, np.maximum(x @ linears(network)[0].weight.astype(np.float64) + linears(network)[0].bias, 0)]
    scores = [
        [
            abs(float(layer.weight[k, n])) * float(np.sqrt((given[:, k] ** 2).sum()))
            for k, n in np.ndindex(layer.weight.shape)
        ]
        for layer, given in zip(linears(network), read, strict=True)
    ]
    zero = [(layer.weight == 0).ravel().tolist() for layer in layers]
    gone = [s for row, flags in zip(scores, zero, strict=True) for s, z in zip(row, flags, strict=True) if z]
    stay = [s for row, flags in zip(scores, zero, strict=True) for s, z in zip(row, flags, strict=True) if not z]
    assert len(gone) == round(sparsity * (5 * 6 + 6 * 4))
    assert max(gone, default=0) <= min(stay) * (1 + 1e-9)


@pytest.mark.parametrize(("step", "fields"), [(PruneMagnitude, {"threshold": 1.0}), (PruneWanda, {"pattern": (2, 4)})])
def test_a_global_budget_is_a_share(step: type[PruneMagnitude | PruneWanda], fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="budget must be layer for a"):
        step(scheme=step.model_fields["scheme"].annotation.__args__[0], budget="global", **fields)  # type: ignore[arg-type, union-attr] # its own name
