"""What the matrix unit's instructions do on each datapath: bytes in, sums out, cycles and events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from accelsim.config import datapaths
from accelsim.config.arch import Machine
from accelsim.config.tech import Counters, Operation
from accelsim.datapath.input_stationary import InputStationary
from accelsim.datapath.outer_product import OuterProduct
from accelsim.datapath.output_stationary import OutputStationary
from accelsim.datapath.sparse_lanes import SparseLanes
from accelsim.datapath.structured_sparse import StructuredSparse
from accelsim.datapath.tensor_core import GROUP, KEPT, TensorCore
from accelsim.datapath.weight_stationary import Array
from accelsim.errors import DefectError, ProgramError
from accelsim.formats import nm
from accelsim.formats.operands import unpack_rows
from accelsim.formats.relative import EncodedLanes, Relative
from accelsim.isa import accesses, opcodes
from accelsim.isa.accesses import SHARED_VALUES, Tile
from accelsim.isa.opcodes import Memory
from accelsim.kernels import counting
from accelsim.memory.region import Region
from accelsim.sim.memories import Memories
from accelsim.sim.timing import Timing
from accelsim.units import ceil_div

StoredT = TypeVar("StoredT")


class MatrixUnit(Protocol):
    """Executes single instructions of the preload and the matrix queue."""

    #: Whether what instructions take depends on the bytes that they find.
    data_dependent: bool
    #: Whether what a product takes depends on the fold that the last preload brought.
    knows_fold: bool

    def move(self, operands: opcodes.Operands) -> int:
        """Do what one verified instruction does; return the products whose factors are both nonzero."""
        ...

    def take(self, counters: Counters, operands: opcodes.Operands) -> Timing:
        """Count an instruction's events and say what it takes; of data-dependent ones, the last that was moved."""
        ...


def effectual(x: NDArray[np.generic], w: NDArray[np.generic]) -> int:
    """Products of (m, k) and (k, n) factors that are both nonzero."""
    return int(_nonzeros(x) @ _nonzeros(w.T))


def _nonzeros(x: NDArray[np.generic]) -> NDArray[np.int64]:
    """Nonzeros of each column, int64."""
    found = x.view(np.uint8) if x.dtype.itemsize == 1 else (x != 0).view(np.uint8)
    counts = np.zeros(x.shape[1], np.int64)
    if found.strides[0] < found.strides[1]:  # counted in the order in which the bytes stand
        counting.nonzero_rows(found.T, counts)
    else:
        counting.nonzero_columns(found, counts)
    return counts


def of(machine: Machine, memories: Memories) -> MatrixUnit:  # noqa: PLR0911 - one a datapath
    """Matrix unit that a machine describes."""
    config = machine.matrix
    match config:
        case datapaths.WeightStationary():
            return _Systolic(Array.of(config), config, memories)
        case datapaths.InputStationary():
            return _Systolic(InputStationary.of(config).array, config, memories)
        case datapaths.OutputStationary():
            return _OutputStationary(OutputStationary.of(config), memories)
        case datapaths.OuterProduct():
            return _OuterProduct(OuterProduct.of(config), memories)
        case datapaths.StructuredSparse():
            return _StructuredSparse(StructuredSparse.of(config), memories)
        case datapaths.TensorCore():
            return _TensorCore(TensorCore.of(config), memories)
        case datapaths.SparseLanes():
            return _SparseLanes(SparseLanes.of(config), memories)


def swap_cycles(machine: Machine) -> int:
    """Cycles after a matmul's start before the next preload may start; 0 where nothing is swapped."""
    match machine.matrix:
        case datapaths.WeightStationary() as config:
            return Array.of(config).swap_cycles
        case datapaths.InputStationary() as config:
            return InputStationary.of(config).array.swap_cycles
    return 0


class _Systolic:
    """One operand stays in the array, the other streams through it: weight or input stationary."""

    data_dependent = False
    knows_fold = False

    def __init__(
        self, array: Array, config: datapaths.WeightStationary | datapaths.InputStationary, memories: Memories
    ) -> None:
        self.array = array
        self.memories = memories
        self.operand = config.operand
        self.widths = {bits: array.of_integers(bits) for bits in (0, *config.integer_widths)}
        self.held = accesses.stationary_memory(config)
        # a row of multipliers holds one row of operands, or several of narrower integers
        rows = config.rows * max(of_width.pairs for of_width in self.widths.values())
        self.registers = np.zeros((rows, self.operand.row_bytes(config.columns)), np.uint8)
        self.shared = np.zeros(SHARED_VALUES, np.int8)  # values that weights are numbers of, if products are looked up

    def move(self, operands: opcodes.Operands) -> int:
        """Fill the shadow registers, or stream rows through the array."""
        match operands:
            case opcodes.Preload(depth=depth):
                fold, table, _ = self.memories.tiles.of(opcodes.PRELOAD, operands)
                self.registers[:] = 0
                self.registers[:depth, : fold.region.row_bytes] = self.memories.rows(*fold)
                if self.array.lookup:
                    self.shared = self.memories.rows(*table)[0].view(np.int8).copy()
                return 0
            case opcodes.Matmul():
                return self._multiply(operands)
        raise _foreign(operands)

    def _multiply(self, p: opcodes.Matmul) -> int:
        weights_stay = self.held == Memory.WEIGHT
        signed = bool(p.signed)
        array = self.widths[p.integer_bits]
        held = self.registers[: p.depth, : self._row_bytes(p.columns, p.integer_bits)]
        if array.lookup:
            fold: NDArray[np.generic] = self.shared[unpack_rows(held, p.columns, array.operand, signed=False)]
        else:
            fold = unpack_rows(held, p.columns, array.operand, signed=weights_stay or signed)
        rows, _, _, sums = self.memories.tiles.of(opcodes.MATMUL, p)
        x = unpack_rows(self.memories.rows(*rows), p.depth, array.operand, signed=not weights_stay or signed)
        products, integers = array.multiply(x, fold), p.integer_bits > 0
        self.memories.add(sums.region, products, accumulate=bool(p.accumulate), integers=integers)
        return effectual(x, fold)

    def take(self, counters: Counters, operands: opcodes.Operands) -> Timing:
        """Time of the rows through the port and the array."""
        match operands:
            case opcodes.Preload() as p:
                fold, table, _ = self.memories.tiles.of(opcodes.PRELOAD, p)
                words = self.memories.port(counters, *fold, Operation.SRAM_READ)
                first = self.memories.words(fold.memory, fold.region._replace(rows=1))
                array = self.widths[p.integer_bits]
                if array.lookup:
                    words += self.memories.port(counters, *table, Operation.SRAM_READ)
                    array.table_events(counters)
                cycles = array.preload_cycles(words, ceil_div(p.depth, array.pairs), first)
                array.preload_events(counters, p.depth, p.columns)
                return Timing(cycles, cycles)
            case opcodes.Matmul() as p:
                rows, _, _, sums = self.memories.tiles.of(opcodes.MATMUL, p)
                read = self.memories.port(counters, *rows, Operation.SRAM_READ)
                added = self.memories.sums_port(counters, sums.region, accumulate=bool(p.accumulate))
                array = self.widths[p.integer_bits]
                array.matmul_events(counters, p.rows, p.depth, p.columns, accumulate=bool(p.accumulate))
                free, end = array.matmul_cycles(p.rows, max(read, added))
                return Timing(free, end, swap=array.swap_cycles)
        raise _foreign(operands)

    def _row_bytes(self, elements: int, integer_bits: int) -> int:
        """Bytes of a row of integers of so many bits, or of operands of the array's own type."""
        return ceil_div(elements * (integer_bits or self.operand.bits), 8)


class _StructuredSparse:
    """Compressed or dense weights stay in the dot products, samples pass their multiplexers."""

    data_dependent = False
    knows_fold = True

    def __init__(self, unit: StructuredSparse, memories: Memories) -> None:
        self.unit = unit
        self.memories = memories
        self.packed = False  # of the fold that the last preload took
        self.values = np.zeros((0, 0), np.int8)
        self.indices: NDArray[np.uint8] | None = None  # None where the weights are dense

    def move(self, operands: opcodes.Operands) -> int:
        """Fill the shadow registers, or pass samples."""
        match operands:
            case opcodes.Preload():
                self._fill(operands)
                return 0
            case opcodes.Matmul():
                return self._multiply(operands)
        raise _foreign(operands)

    def _fill(self, p: opcodes.Preload) -> None:
        fold, _, _ = self.memories.tiles.of(opcodes.PRELOAD, p)
        data = self.memories.rows(*fold)
        if p.packed:
            run = data.tobytes()
            found = _stored(lambda: nm.from_bytes(run, p.depth, p.columns, self.unit.kept, self.unit.group))
            self.values, self.indices = found.values.view(np.int8), found.indices
        else:
            self.values, self.indices = data.view(np.int8).copy(), None

    def _multiply(self, p: opcodes.Matmul) -> int:
        rows, _, _, sums = self.memories.tiles.of(opcodes.MATMUL, p)
        x = self.memories.values(self.memories.rows(*rows), p.depth, signed=bool(p.signed))
        if self.indices is None:
            products, weights = self.unit.multiply_dense(x, self.values), self.values
        else:
            products = self.unit.multiply(x, self.values, self.indices)
            weights = nm.scatter(self.values, self.indices, self.unit.kept, self.unit.group)[: p.depth].view(np.int8)
        self.memories.add(sums.region, products, accumulate=bool(p.accumulate))
        return effectual(x, weights)

    def take(self, counters: Counters, operands: opcodes.Operands) -> Timing:
        """Time of the rows through the port and the dot products."""
        match operands:
            case opcodes.Preload() as p:
                fold, _, _ = self.memories.tiles.of(opcodes.PRELOAD, p)
                words = self.memories.port(counters, *fold, Operation.SRAM_READ)
                depth = self._held(p.depth, packed=bool(p.packed))
                self.unit.preload_events(counters, depth, p.columns, sparse=bool(p.packed))
                cycles = self.unit.preload_cycles(words)
                self.packed = bool(p.packed)
                return Timing(cycles, cycles)
            case opcodes.Matmul() as p:
                rows, _, _, sums = self.memories.tiles.of(opcodes.MATMUL, p)
                read = self.memories.port(counters, *rows, Operation.SRAM_READ)
                accumulate = bool(p.accumulate)
                added = self.memories.sums_port(counters, sums.region, accumulate=accumulate)
                depth = self._held(p.depth, packed=self.packed)
                self.unit.matmul_events(counters, p.rows, depth, p.columns, sparse=self.packed, accumulate=accumulate)
                free, end = self.unit.matmul_cycles(p.rows, max(read, added))
                return Timing(free, end)
        raise _foreign(operands)

    def _held(self, depth: int, *, packed: bool) -> int:
        """Rows of values of a fold."""
        return -(-depth // self.unit.group) * self.unit.kept if packed else depth


def _feature_major(memories: Memories, p: opcodes.Multiply) -> tuple[NDArray[np.generic], NDArray[np.int8]]:
    """Activations (k, m) and weights (k, n) of a tile whose sums stay."""
    x, w, *_ = (memories.rows(*tile) for tile in memories.tiles.of(opcodes.MULTIPLY, p)[:2])
    return (x.view(np.int8) if p.signed else x), w.view(np.int8)


def _sums(memories: Memories, p: opcodes.Multiply) -> Region:
    """The tile of sums that is written."""
    return memories.tiles.of(opcodes.MULTIPLY, p)[-1].region


class _OutputStationary:
    """Sums stay in the array while inputs stream, then shift out."""

    data_dependent = False
    knows_fold = False

    def __init__(self, array: OutputStationary, memories: Memories) -> None:
        self.array = array
        self.memories = memories

    def move(self, operands: opcodes.Operands) -> int:
        """Form a block of sums."""
        p = _multiply(operands)
        x, w = _feature_major(self.memories, p)
        self.memories.add(_sums(self.memories, p), self.array.multiply(x.T, w).T, accumulate=bool(p.accumulate))
        return effectual(x.T, w)

    def take(self, counters: Counters, operands: opcodes.Operands) -> Timing:
        """Time of the inputs through the array, and of the drain."""
        p = _multiply(operands)
        factors = self.memories.tiles.of(opcodes.MULTIPLY, p)[:2]
        read = self.memories.busiest([(x, self.memories.port(counters, *x, Operation.SRAM_READ)) for x in factors])
        added = self.memories.sums_port(counters, _sums(self.memories, p), accumulate=bool(p.accumulate))
        self.array.events(counters, p.rows, p.depth, p.columns, accumulate=bool(p.accumulate))
        _, formed = self.array.cycles(p.depth, read)
        free = formed + self.array.drain_cycles(p.rows, added)
        return Timing(free, free)


class _OuterProduct:
    """Sums stay in the array; the inputs that survive the skip bits are multiplied, one a cycle."""

    knows_fold = False

    def __init__(self, unit: OuterProduct, memories: Memories) -> None:
        self.unit = unit
        self.memories = memories
        self.data_dependent = unit.skip
        self.mask = np.zeros(0, np.bool_)  # inputs that survive

    def move(self, operands: opcodes.Operands) -> int:
        """Fill the mask registers, or form a block of sums."""
        if isinstance(operands, opcodes.PreloadMask):
            self._fill(operands)
            return 0
        p = _multiply(operands)
        x, w = _feature_major(self.memories, p)
        taken = self._taken(p)
        # a skipped input is neither read nor multiplied: were its mask wrong, the sums would be wrong
        products = self.unit.multiply(x[taken], w[taken])
        self.memories.add(_sums(self.memories, p), products, accumulate=bool(p.accumulate))
        return effectual(x.T, w)

    def _fill(self, p: opcodes.PreloadMask) -> None:
        bits, x = (self.memories.rows(*tile) for tile in self.memories.tiles.of(opcodes.PRELOAD_MASK, p)[:2])
        weights = np.unpackbits(bits[0], count=p.depth, bitorder="little")
        self.mask = weights.astype(np.bool_) & x.any(axis=1)

    def _taken(self, p: opcodes.Multiply) -> NDArray[np.bool_]:
        return self.mask if self.unit.skip else np.ones(p.depth, np.bool_)

    def take(self, counters: Counters, operands: opcodes.Operands) -> Timing:
        """Time of the skip bits through their ports, or of the surviving inputs, and of the drain."""
        if isinstance(operands, opcodes.PreloadMask):
            return self._take_mask(counters, operands)
        p = _multiply(operands)
        taken = self._taken(p)
        survivors, read = int(np.count_nonzero(taken)), 0
        if survivors:
            accesses = (
                self.memories.rows_port(counters, Memory.ACTIVATION, p.address, p.stride, p.rows, taken),
                self.memories.rows_port(counters, Memory.WEIGHT, p.weights, p.weights_stride, p.columns, taken),
            )
            factors = self.memories.tiles.of(opcodes.MULTIPLY, p)[:2]
            read = self.memories.busiest([*zip(factors, accesses, strict=True)])
        added = self.memories.sums_port(counters, _sums(self.memories, p), accumulate=bool(p.accumulate))
        self.unit.events(counters, p.depth, survivors, p.rows, p.columns, accumulate=bool(p.accumulate))
        compute = self.unit.compute_cycles(survivors, read)
        drain = self.unit.drain_cycles(added)
        if self.unit.double_buffered:
            return Timing(compute, compute + self.unit.latency, drain)
        free = compute + drain
        return Timing(free, free + self.unit.latency)

    def _take_mask(self, counters: Counters, p: opcodes.PreloadMask) -> Timing:
        bits = self.memories.tiles.of(opcodes.PRELOAD_MASK, p)[0]
        # the zero detectors keep their bits beside the scratchpad, a bit for each input and block of samples
        flags = Region(0, 0, 1, bits.region.row_bytes)
        cycles = max(
            1,
            self.memories.port(counters, *bits, Operation.SRAM_READ),
            self.memories.port(counters, Memory.ACTIVATION, flags, Operation.SRAM_READ),
        )
        return Timing(cycles, cycles)


class _TensorCore:
    """Cores share a block of samples by outputs, both operands from the scratchpads."""

    data_dependent = False
    knows_fold = False

    def __init__(self, unit: TensorCore, memories: Memories) -> None:
        self.unit = unit
        self.memories = memories

    def move(self, operands: opcodes.Operands) -> int:
        """Form a block of sums."""
        p = _multiply(operands)
        rows, stored = (self.memories.rows(*tile) for tile in self.memories.tiles.of(opcodes.MULTIPLY, p)[:2])
        x = self.memories.values(rows, p.depth, signed=bool(p.signed))
        if p.packed:
            data = stored.tobytes()
            found = _stored(lambda: nm.from_bytes(data, p.depth, p.columns, KEPT, GROUP))
            products = self.unit.multiply_sparse(x, found.values.view(np.int8), found.indices)
            weights: NDArray[np.generic] = found.expand()
        else:
            weights = stored.view(np.int8).T
            products = self.unit.multiply(x, weights)
        self.memories.add(_sums(self.memories, p), products, accumulate=bool(p.accumulate))
        return effectual(x, weights)

    def take(self, counters: Counters, operands: opcodes.Operands) -> Timing:
        """Time of the waves of tiles."""
        p = _multiply(operands)
        sparse = bool(p.packed)
        rows, columns = self.unit.operand_reads(p.rows, p.columns)
        factors = self.memories.tiles.of(opcodes.MULTIPLY, p)[:2]
        passes = (rows, p.rows), (columns, p.columns)
        read = self.memories.busiest(
            [
                (factor, self.memories.port(counters, *factor, Operation.SRAM_READ, times))
                for factor, times in zip(factors, passes, strict=True)
            ]
        )
        added = self.memories.sums_port(counters, _sums(self.memories, p), accumulate=bool(p.accumulate))
        self.unit.events(counters, p.rows, p.depth, p.columns, sparse=sparse, accumulate=bool(p.accumulate))
        free, end = self.unit.cycles(p.rows, p.depth, p.columns, max(read, added), sparse=sparse)
        return Timing(free, end)


class _SparseLanes:
    """Lanes multiply each nonzero activation by the entries of its column, sample after sample."""

    data_dependent = True
    knows_fold = False

    def __init__(self, unit: SparseLanes, memories: Memories) -> None:
        self.unit = unit
        self.memories = memories
        self.codec = Relative(unit.index_bits, unit.lanes)
        self.decoded: tuple[bytes, EncodedLanes] | None = None  # the last weights, which the next samples share

    def move(self, operands: opcodes.Operands) -> int:
        """Multiply samples by encoded weights."""
        p = _spmv(operands)
        x, weights = self._activations(p), self._weights(p)
        self.memories.add(self._tiles(p)[-1].region, self.unit.multiply(x, weights), accumulate=bool(p.accumulate))
        useful = (weights.counts - weights.padding_counts).sum(axis=1, dtype=np.int64)
        return int(_nonzeros(x) @ useful)

    def take(self, counters: Counters, operands: opcodes.Operands) -> Timing:
        """Time of the nonzero activations' entries on the busiest lane."""
        p = _spmv(operands)
        nonzero, weights = self._activations(p) != 0, self._weights(p)
        cycles = self.unit.cycles(nonzero, weights.counts)
        loaded = self.memories.port(counters, *self._tiles(p)[0], Operation.SRAM_READ)
        drained = self.memories.sums_port(counters, self._tiles(p)[-1].region, accumulate=bool(p.accumulate))
        timing = self.unit.work(nonzero, weights)
        accumulated = p.rows * p.columns if p.accumulate else 0
        self.unit.events(counters, timing, int(cycles.sum()), weights.pointer_bits, accumulated=accumulated)
        each = (-(-accesses_ // p.rows) for accesses_ in (loaded, drained))
        free, end = self.unit.matmul_cycles(cycles, *each)
        return Timing(free, end)

    def _activations(self, p: opcodes.Spmv) -> NDArray[np.generic]:
        rows = self.memories.rows(*self._tiles(p)[0])
        return self.memories.values(rows, p.depth, signed=bool(p.signed))

    def _weights(self, p: opcodes.Spmv) -> EncodedLanes:
        data = self.memories.rows(*self._tiles(p)[1]).tobytes()
        if self.decoded is None or self.decoded[0] != data or self.decoded[1].matrix != (p.depth, p.columns):
            self.decoded = (data, _stored(lambda: self.codec.from_bytes(data, (p.depth, p.columns))))
        return self.decoded[1]

    def _tiles(self, p: opcodes.Spmv) -> tuple[Tile, ...]:
        """Rows of activations, encoded weights, and sums that are read and written."""
        return self.memories.tiles.of(opcodes.SPMV, p)


def _multiply(operands: opcodes.Operands) -> opcodes.Multiply:
    if not isinstance(operands, opcodes.Multiply):
        raise _foreign(operands)
    return operands


def _spmv(operands: opcodes.Operands) -> opcodes.Spmv:
    if not isinstance(operands, opcodes.Spmv):
        raise _foreign(operands)
    return operands


def _stored(read: Callable[[], StoredT]) -> StoredT:
    """Weights that a program stores; a program whose bytes no encoder writes is at fault."""
    try:
        return read()
    except ValueError as error:
        raise ProgramError(f"stored weights: {error}") from None


def _foreign(operands: opcodes.Operands) -> DefectError:
    return DefectError(f"the machine's datapath has no {type(operands).__name__.lower()}, which verify should refuse")
