"""Tilings to choose among: all of one product side by side, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.dataflow import Dataflow
from accelsim.compiler.reads import NO_LIMIT
from accelsim.compiler.tiles import (
    ChannelGroups,
    Footprint,
    Tiling,
    cuts,
    halvings,
    operands_samples,
    sums_samples,
    whole_folds,
)
from accelsim.errors import DoesNotFitError
from accelsim.kernels import tilings
from accelsim.kernels.tilings import Counts
from accelsim.units import ceil_div

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Candidates:
    """Tilings of one product whose slots are still to be counted.

    Parameters
    ----------
    flows
        The product, in each of the rooms that its tiles may take turns in; they differ in nothing else.
    room
        Number of the flow, one a candidate; shape (c,).
    tile_m, tile_k, tile_n, resident, rows_outer, staging
        As `Tiling` has them, one a candidate; shape (c,).
    weights_bytes, staged_bytes, expand_cycles
        What a weight tile of `tile_k` inputs takes at most: bytes as the datapath reads them; encoded, bytes on chip
        and cycles of the decode unit, 0 if weights are not encoded.
    chunk_place
        Bytes of such a weight tile in a slot, its constants included.
    """

    flows: Sequence[Dataflow]
    room: Int64
    tile_m: Int64
    tile_k: Int64
    tile_n: Int64
    resident: Bools
    rows_outer: Bools
    staging: Int64
    weights_bytes: Int64
    staged_bytes: Int64
    expand_cycles: Int64
    weight_tile_place: Int64

    @classmethod
    def of(cls, flows: Sequence[Dataflow], stagings: tuple[int, ...]) -> Candidates:
        """All tilings to try: halvings of inputs and outputs, every order, row tiles that fit, and these stagings.

        They are in order of the rooms.

        Raises
        ------
        DoesNotFitError
            If the datapath takes fewer inputs at once than a tile must have.
        """
        flow = flows[0]
        tiles_k = list(flow.tiles_k) or halvings(flow.product.k, flow.grain, flow.most_inputs)
        if not tiles_k:
            raise DoesNotFitError(
                f"layer {flow.product.name}: a weight tile must have a multiple of {flow.grain} inputs, whole groups, "
                f"but the matrix unit of {flow.machine.name} takes at most {flow.most_inputs} at once"
            )
        tiles_n = halvings(flow.product.n, flow.columns)
        may = np.ones((len(tiles_k), 2), np.bool_)  # resident, or not
        may[:, 1] = not (flow.reads.whole or flow.product.channel_groups)
        if flow.split:  # sums of a group stay where they are until it is complete
            may[np.array(tiles_k) < flow.group, 1] = False
            may[:, 0] = flow.resident_groups
        largest = _largest_rows(
            flows, np.array(tiles_k)[:, None, None], np.array(tiles_n)[:, None], np.array([True, False])
        )
        m = flow.reads.period or flow.product.m
        most = tilings.MOST_ROWS * largest.size * len(stagings)
        sizes, orders = np.empty((5, most), np.int64), np.empty((2, most), np.bool_)
        rows = tilings.Rows(m, flow.reads.grain, flow.block)
        number = tilings.write(rows, largest, may, np.array(stagings), sizes, orders)
        room, number_k, number_n, tile_m, staging = sizes[:, :number]
        resident, rows_outer = orders[:, :number]
        return cls(
            flows,
            room,
            tile_m,
            np.array(tiles_k)[number_k],
            np.array(tiles_n)[number_n],
            resident,
            rows_outer,
            staging,
            *_weight_tiles(flow, tiles_k, number_k),
        )

    @classmethod
    def of_one(cls, flow: Dataflow, tiling: Tiling) -> Candidates:
        """A single tiling, its slots left out."""
        return cls(
            [flow],
            np.array([0]),
            np.array([tiling.tile_m]),
            np.array([tiling.tile_k]),
            np.array([tiling.tile_n]),
            np.array([tiling.resident]),
            np.array([tiling.rows_outer]),
            np.array([tiling.staging]),
            *_weight_tiles(flow, [tiling.tile_k], np.array([0])),
        )

    def __len__(self) -> int:
        return len(self.tile_m)

    @property
    def flow(self) -> Dataflow:
        """The product in the first of its rooms, to ask for what is the same in all."""
        return self.flows[0]

    def tiling(self, number: int, counts: Counts) -> Tiling:
        """One of them, with its slots."""
        product = self.flow.product
        return Tiling(
            m=product.m,
            k=product.k,
            n=product.n,
            columns=self.flow.columns,
            tile_m=int(self.tile_m[number]),
            tile_k=int(self.tile_k[number]),
            tile_n=int(self.tile_n[number]),
            resident=bool(self.resident[number]),
            rows_outer=bool(self.rows_outer[number]),
            activations=int(counts.activations[number]),
            weights=int(counts.weights[number]),
            sums=int(counts.sums[number]),
            outputs=int(counts.outputs[number]),
            staging=int(self.staging[number]),
            split=self.flow.split,
            group=self.flow.group,
            fold=self.flow.fold,
            period=self.flow.reads.period,
            groups=product.channel_groups,
            batches=product.batches,
        )

    @cached_property
    def features(self) -> Int64:
        """Inputs of an activation tile, at most."""
        return np.where(self.resident, self.flow.product.k, np.maximum(self.tile_k, self._wide_k))

    @property
    def _wide_k(self) -> Int64:
        """Inputs of a weight tile of floats, at most."""
        return whole_folds(self.tile_k, self.flow.fold) if self.flow.split else self.tile_k

    @cached_property
    def tiles_m(self) -> Int64:
        """Row tiles of a batch."""
        m = self.flow.product.m // self.flow.product.batches
        period = self.flow.reads.period or m
        return m // period * ceil_div(period, self.tile_m)

    @cached_property
    def tiles_k(self) -> Int64:
        """Weight tiles of a column block."""
        split = self.flow.split
        return ceil_div(split, self.tile_k) + ceil_div(self.flow.product.k - split, self._wide_k)

    @cached_property
    def tiles_n(self) -> Int64:
        """Column tiles."""
        return ceil_div(self.flow.product.n, self.tile_n)

    @cached_property
    def blocks_summed(self) -> Int64:
        """Column blocks that take turns for an activation tile, each with sums of its own."""
        return _blocks_summed(self.flow, self.tile_n, self.resident)

    @cached_property
    def weight_tiles(self) -> Int64:
        """Weight weight tiles of a batch."""
        all_: Int64 = ceil_div(self.flow.product.n, self.flow.columns) * self.tiles_k
        return np.ceil(all_ * self.density).astype(np.int64) if self.flow.product.channel_groups else all_

    @cached_property
    def density(self) -> Float64:
        """Share of the weight tiles that hold more than the zeros between groups of channels."""
        groups, product = self.flow.product.channel_groups, self.flow.product
        if groups is None:
            return np.ones(len(self.tile_k))
        size = product.k, product.n
        shares = {k: share(groups, *size, k, self.flow.columns) for k in np.unique(self.tile_k).tolist()}
        return np.array([shares[k] for k in self.tile_k.tolist()])

    @cached_property
    def footprint(self) -> Footprint[Int64]:
        """Bytes of one slot in each memory, as `Dataflow.footprint` has them."""
        weight = self.weight_tile_place + np.where(self.staging > 0, 0, self.staged_bytes)
        return self.flow.slots_bytes(self.tile_m, self.features, self.tile_n, weight)


@lru_cache(maxsize=2**14)  # layers that are alike, strips of one above all, ask again and again
def share(groups: ChannelGroups, k: int, n: int, tile_k: int, columns: int) -> float:
    """Share of the weight tiles that hold more than the zeros between groups of channels."""
    return float(groups.read(cuts(k, tile_k), cuts(n, columns)).mean())


def _weight_tiles(flow: Dataflow, tiles_k: list[int], number: Int64) -> tuple[Int64, Int64, Int64, Int64]:
    """What weight tiles take, for the `number`-th of these inputs each; see `Candidates`."""
    facts = [(flow.largest_weights_bytes(k), *flow.staged(k), flow.weight_tile_place(k)) for k in tiles_k]
    weights_bytes, staged_bytes, expand_cycles, weight_tile_place = np.array(facts).T.take(number, axis=1)
    return weights_bytes, staged_bytes, expand_cycles, weight_tile_place


def _blocks_summed(flow: Dataflow, tile_n: Int64, resident: Bools) -> Int64:
    return np.where(resident, 1, ceil_div(tile_n, flow.columns))


def _largest_rows(flows: Sequence[Dataflow], tile_k: Int64, tile_n: Int64, resident: Bools) -> Int64:
    """Largest row tiles of which two fit each memory, and of which one does; 0 if not even one row does.

    Returns
    -------
    int64, shape (rooms, ..., 2), of arguments that broadcast to (...).
    """
    flow, machine = flows[0], flows[0].machine
    features = np.where(resident, flow.product.k, tile_k)[..., None]
    tile_n, slots = tile_n[..., None], np.array([2, 1])
    blocks = slots * _blocks_summed(flow, tile_n, resident[:, None])
    capacities = [(of.machine.activation.capacity_bytes, of.machine.output.capacity_bytes) for of in flows]
    activation, output = np.array(capacities).T.reshape(2, -1, *[1] * features.ndim) // slots
    fits = (
        flow.reads.most_samples(activation, features),
        np.full_like(tile_n, NO_LIMIT)
        if flow.target
        else operands_samples(output, tile_n, flow.result, machine, machine.output),
        sums_samples(machine.accumulator.capacity_bytes // blocks, np.full_like(blocks, flow.width), machine),
    )
    most = np.minimum(np.minimum(fits[0], fits[1]), fits[2])
    largest: Int64 = np.minimum(flow.reads.period or flow.product.m, most)
    return largest
