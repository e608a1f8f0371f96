"""Tilings cover a product once and fit, whatever the machine."""

from __future__ import annotations

import numpy as np
import pytest
from harness import layer, machine
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines

from accelsim.compiler import tiles, tiling
from accelsim.compiler.candidates import Candidates
from accelsim.compiler.dataflow import Dataflow
from accelsim.compiler.dataflows.choice import dataflow
from accelsim.compiler.fuse import fuse
from accelsim.compiler.lowering import Lowering
from accelsim.config.arch import Machine
from accelsim.errors import DoesNotFitError
from accelsim.graph.element import Integer

UNSIGNED = Integer(1.0, 0, signed=False)


def flow(m: int, k: int, n: int, on: Machine) -> Dataflow:
    net = IntegerNetwork("one", (layer(np.random.default_rng(0), k, n, UNSIGNED, UNSIGNED),))
    (fusion,) = fuse(Lowering(net.graph(m), (), ""), on).fusions
    return dataflow(fusion.product, on)


def cut(of: Dataflow) -> tiles.Tiling:
    """How a product is cut on a machine whose scratchpads are apart, or in the first of its rooms."""
    chosen = tiling.choose([of]).tiling
    assert isinstance(chosen, tiles.Tiling)
    return chosen


def loads(of: Dataflow, chosen: tiles.Tiling) -> tuple[int, int]:
    """Loads of activation tiles and of weight tiles that the estimate counts on."""
    _, found = tiling.estimate(Candidates.of_one(of, chosen))
    return int(found.activations[0]), int(found.weights[0])


@given(m=st.integers(1, 100), k=st.integers(1, 100), n=st.integers(1, 100), on=machines(sharing=[()]))
@settings(max_examples=36)
def test_the_chosen_tiling_covers_each_product_once(m: int, k: int, n: int, on: Machine) -> None:
    chosen = cut(flow(m, k, n, on))
    weight_tiles = list(chosen.weight_tiles())
    times = np.zeros((m, k, n), np.int8)
    stored = np.zeros((m, n), np.int8)
    rows, columns, table = tiles.cut(m, chosen.tile_m), tiles.cut(n, chosen.tile_n), chosen.weight_tile_table
    for row, number in zip(*chosen.order(), strict=True):
        weight_tile, span = weight_tiles[number], slice(*rows[row])
        times[span, slice(*weight_tile.k), slice(*weight_tile.n)] += 1
        if table.done[number]:
            stored[span, slice(*columns[table.tile[number]])] += 1
    assert (times == 1).all()
    assert (stored == 1).all()
    for name, size, slots in zip(
        tiles.Footprint._fields,
        flow(m, k, n, on).footprint(chosen),
        (chosen.activations, chosen.weights, chosen.sums, chosen.outputs),
        strict=True,
    ):
        assert size * slots <= getattr(on, name).capacity_bytes


@given(m=st.integers(1, 40), k=st.integers(1, 60), n=st.integers(1, 60), on=machines(sharing=[()]))
@settings(max_examples=36)
def test_the_estimate_of_loads_is_what_the_slots_do(m: int, k: int, n: int, on: Machine) -> None:
    chosen = cut(flow(m, k, n, on))
    held: dict[str, list[object]] = {"activation": [], "weight": []}
    counts = dict.fromkeys(held, 0)
    weight_tiles = list(chosen.weight_tiles())
    for row, weight_tile in zip(*chosen.order(), strict=True):
        part = (0, k) if chosen.resident else weight_tiles[weight_tile].k
        for name, key, slots in (
            ("activation", (row, part), chosen.activations),
            ("weight", weight_tile, chosen.weights),
        ):
            if key not in held[name]:
                held[name] = [*held[name], key][-slots:]
                counts[name] += 1
    assert loads(flow(m, k, n, on), chosen) == (counts["activation"], counts["weight"])


def test_weights_that_fit_are_loaded_once_for_all_row_tiles() -> None:
    whole = flow(1000, 128, 128, machine())
    chosen = cut(whole)
    assert chosen.tiles_m > 1
    assert loads(whole, chosen)[1] == len(chosen.weight_tile_table.tile)


@pytest.mark.parametrize("size", [0, 1])
def test_the_smallest_tile_fits_exactly(size: int) -> None:
    need = flow(1, 64, 64, machine()).footprint(tiles.Tiling(1, 64, 64, 16, 1, 16, 16, False, True))
    capacity = need.weight - 16 * (1 - size)
    on = machine(weight={"capacity_bytes": capacity, "banks": 1})
    if size:
        assert cut(flow(1, 64, 64, on)).tile_k == 16
    else:
        with pytest.raises(DoesNotFitError):
            tiling.choose([flow(1, 64, 64, on)])
