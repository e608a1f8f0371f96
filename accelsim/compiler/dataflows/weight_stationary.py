"""Weights stay in the array, a fold of R inputs by C outputs at a time; samples stream through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.dataflow import Bytes, Dataflow, Float64, Int64, Tiles, tabulate
from accelsim.compiler.instructions import Instructions, in_turn, issue
from accelsim.compiler.product import Product
from accelsim.compiler.tiles import WeightTile, cuts_anew
from accelsim.config.arch import Machine
from accelsim.config.datapaths import WeightStationary
from accelsim.datapath.weight_stationary import Array
from accelsim.formats.operands import pack_rows
from accelsim.isa.accesses import SHARED_VALUES
from accelsim.isa.opcodes import PRELOAD
from accelsim.units import align_up, ceil_div


class WeightStationaryFlow(Dataflow):
    """A weight tile is its folds, each row-major, k by n, one after the other without gaps."""

    def __init__(self, product: Product, machine: Machine, config: WeightStationary) -> None:
        super().__init__(product, machine, grain=config.rows, columns=config.columns, block=product.m)
        self.rows = config.rows
        self.lookup = config.lookup
        self.array = Array.of(config)

    @property
    def streamed_inputs(self) -> tuple[int, int]:
        """Those of a fold."""
        return self.rows, self.rows

    @property
    def cuts_runs(self) -> bool:
        """Sums of integers are the same however they are cut."""
        return not self.machine.operand.is_float

    def weights_bytes(self, weight_tile: WeightTile) -> int:
        """Rows of packed operands, behind the values that they are numbers of, if products are looked up."""
        return self._shared_bytes + weight_tile.k.size * self.machine.operand.row_bytes(weight_tile.n.size)

    def pack(self, weight_tile: WeightTile) -> Bytes:
        """Those bytes."""
        if not self.lookup:
            return pack_rows(self.weights(weight_tile), self.machine.matrix.operands)
        values, numbers = np.unique(self.weights(weight_tile), return_inverse=True)
        data = np.zeros(self.weights_bytes(weight_tile), np.uint8)
        data[: len(values)] = values.astype(np.int8).view(np.uint8)
        packed = pack_rows(numbers.reshape(weight_tile.k.size, -1), self.machine.matrix.operands)
        data[self._shared_bytes :] = packed.reshape(-1)
        return data

    def in_rows(self) -> NDArray[np.uint8] | None:
        """Those of 8 bits that are neither encoded nor looked up."""
        if self.machine.matrix.operands != "int8" or self.lookup or self.encoder or self.product.factor:
            return None
        rows = np.ascontiguousarray(pack_rows(self.product.weights, "int8")).view()
        rows.flags.writeable = False
        return rows

    @property
    def _shared_bytes(self) -> int:
        return align_up(SHARED_VALUES, self.machine.weight.width_bytes) if self.lookup else 0

    def products(self, tiles: Tiles) -> Instructions:
        """Preload and matmul of each fold."""
        folds, pitch = cuts_anew(tiles.k, self.rows, self.run), self.machine.operand.row_bytes(tiles.n)
        preload = issue(
            PRELOAD,
            tiles.steps,
            len(folds.low),
            address=tiles.w + self._shared_bytes + folds.low * pitch,
            stride=pitch,
            depth=folds.size,
            columns=tiles.n,
            packed=0,
            integer_bits=0,
            table=tiles.w if self.lookup else 0,
        )
        return in_turn(preload, self.samples_times_folds(tiles, folds))

    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:  # noqa: ARG002 - a fold takes the same whatever its width
        """Folds times the interval between two."""
        folds = k // self.run * ceil_div(self.run, self.rows) if self.run else ceil_div(k, self.rows)
        return folds * tabulate(self.array.interval_cycles, m)
