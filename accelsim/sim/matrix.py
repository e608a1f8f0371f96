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
from accelsim.formats.relative import EncodedLanes, Relative
from accelsim.isa import accesses, opcodes
from accelsim.isa.accesses import SUM_BYTES
from accelsim.isa.opcodes import Memory
from accelsim.memory.region import Region
from accelsim.sim.memories import Memories
from accelsim.sim.work import Work

StoredT = TypeVar("StoredT")


class MatrixUnit(Protocol):
    """Executes single instructions of the preload and the matrix queue."""

    def execute(self, counters: Counters, operands: opcodes.Operands) -> Work:
        """Do what one verified instruction does, count its events, and say what it takes."""
        ...


def effectual(x: NDArray[np.generic], w: NDArray[np.generic]) -> int:
    """Products of (m, k) and (k, n) factors that are both nonzero."""
    return int(np.count_nonzero(x, axis=0).astype(np.int64) @ np.count_nonzero(w, axis=1).astype(np.int64))


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


class _Systolic:
    """One operand stays in the array, the other streams through it: weight or input stationary."""

    def __init__(
        self, array: Array, config: datapaths.WeightStationary | datapaths.InputStationary, memories: Memories
    ) -> None:
        self.array = array
        self.memories = memories
        self.operand = config.operand
        self.held, self.streamed = accesses.stationary_memory(config), accesses.streaming_memory(config)
        self.registers = np.zeros((config.rows, self.operand.row_bytes(config.columns)), np.uint8)

    def execute(self, counters: Counters, operands: opcodes.Operands) -> Work:
        """Fill the shadow registers, or stream rows through the array."""
        match operands:
            case opcodes.Preload():
                return self._preload(counters, operands)
            case opcodes.Matmul():
                return self._matmul(counters, operands)
        raise _foreign(operands)

    def _preload(self, counters: Counters, p: opcodes.Preload) -> Work:
        row_bytes = self.operand.row_bytes(p.columns)
        fold = Region(p.address, p.stride, p.depth, row_bytes)
        self.registers[:] = 0
        self.registers[: p.depth, :row_bytes] = self.memories.bytes(self.held, fold)
        words = self.memories.port(counters, self.held, fold, Operation.SRAM_READ)
        first = self.memories.words(self.held, fold._replace(rows=1))
        cycles = self.array.preload_cycles(words, p.depth, first)
        self.array.preload_events(counters, p.depth, p.columns)
        return Work(cycles, cycles)

    def _matmul(self, counters: Counters, p: opcodes.Matmul) -> Work:
        weights_stay = self.held == Memory.WEIGHT
        signed = bool(p.signed)
        held = self.registers[: p.depth, : self.operand.row_bytes(p.columns)]
        fold = self.memories.values(held, p.columns, signed=weights_stay or signed)
        rows = Region(p.address, p.stride, p.rows, self.operand.row_bytes(p.depth))
        x = self.memories.values(self.memories.bytes(self.streamed, rows), p.depth, signed=not weights_stay or signed)
        read = self.memories.port(counters, self.streamed, rows, Operation.SRAM_READ)
        tile = Region(p.sums, p.sums_stride, p.rows, self.operand.sum_bytes * p.columns)
        added = self.memories.add(counters, tile, self.array.multiply(x, fold), accumulate=bool(p.accumulate))
        self.array.matmul_events(counters, p.rows, p.depth, p.columns, accumulate=bool(p.accumulate))
        free, end = self.array.matmul_cycles(p.rows, max(read, added))
        return Work(free, end, swap=self.array.swap_cycles, effectual=effectual(x, fold))


class _StructuredSparse:
    """Compressed or dense weights stay in the dot products, samples pass their multiplexers."""

    def __init__(self, unit: StructuredSparse, memories: Memories) -> None:
        self.unit = unit
        self.memories = memories
        self.values = np.zeros((0, 0), np.int8)
        self.indices: NDArray[np.uint8] | None = None  # None where the weights are dense

    def execute(self, counters: Counters, operands: opcodes.Operands) -> Work:
        """Fill the shadow registers, or pass samples."""
        match operands:
            case opcodes.Preload():
                return self._preload(counters, operands)
            case opcodes.Matmul():
                return self._matmul(counters, operands)
        raise _foreign(operands)

    def _preload(self, counters: Counters, p: opcodes.Preload) -> Work:
        kept, group = self.unit.kept, self.unit.group
        if p.packed:
            fold = Region(p.address, 0, 1, nm.stored_bytes(p.depth, p.columns, kept, group))
            data = self.memories.bytes(Memory.WEIGHT, fold).tobytes()
            found = _stored(lambda: nm.from_bytes(data, p.depth, p.columns, kept, group))
            self.values, self.indices = found.values.view(np.int8), found.indices
        else:
            fold = Region(p.address, p.stride, p.depth, p.columns)
            self.values, self.indices = self.memories.bytes(Memory.WEIGHT, fold).view(np.int8).copy(), None
        words = self.memories.port(counters, Memory.WEIGHT, fold, Operation.SRAM_READ)
        self.unit.preload_events(counters, len(self.values), p.columns, sparse=bool(p.packed))
        cycles = self.unit.preload_cycles(words)
        return Work(cycles, cycles)

    def _matmul(self, counters: Counters, p: opcodes.Matmul) -> Work:
        rows = Region(p.address, p.stride, p.rows, p.depth)
        x = self.memories.values(self.memories.bytes(Memory.ACTIVATION, rows), p.depth, signed=bool(p.signed))
        if self.indices is None:
            products, weights = self.unit.multiply_dense(x, self.values), self.values
        else:
            products = self.unit.multiply(x, self.values, self.indices)
            weights = nm.scatter(self.values, self.indices, self.unit.kept, self.unit.group)[: p.depth].view(np.int8)
        read = self.memories.port(counters, Memory.ACTIVATION, rows, Operation.SRAM_READ)
        tile = Region(p.sums, p.sums_stride, p.rows, SUM_BYTES * p.columns)
        added = self.memories.add(counters, tile, products, accumulate=bool(p.accumulate))
        self.unit.matmul_events(
            counters,
            p.rows,
            len(self.values),
            p.columns,
            sparse=self.indices is not None,
            accumulate=bool(p.accumulate),
        )
        free, end = self.unit.matmul_cycles(p.rows, max(read, added))
        return Work(free, end, effectual=effectual(x, weights))


def _feature_major(memories: Memories, p: opcodes.Multiply) -> tuple[NDArray[np.generic], NDArray[np.int8]]:
    """Activations (k, m) and weights (k, n) of a tile whose sums stay; not charged yet."""
    x = memories.bytes(Memory.ACTIVATION, Region(p.address, p.stride, p.depth, p.rows))
    w = memories.bytes(Memory.WEIGHT, Region(p.weights, p.weights_stride, p.depth, p.columns))
    return (x.view(np.int8) if p.signed else x), w.view(np.int8)


class _OutputStationary:
    """Sums stay in the array while inputs stream, then shift out."""

    def __init__(self, array: OutputStationary, memories: Memories) -> None:
        self.array = array
        self.memories = memories

    def execute(self, counters: Counters, operands: opcodes.Operands) -> Work:
        """Form and drain a block of sums."""
        if not isinstance(operands, opcodes.Multiply):
            raise _foreign(operands)
        p = operands
        x, w = _feature_major(self.memories, p)
        read = max(
            self.memories.port(counters, memory, Region(address, stride, p.depth, width), Operation.SRAM_READ)
            for memory, address, stride, width in (
                (Memory.ACTIVATION, p.address, p.stride, p.rows),
                (Memory.WEIGHT, p.weights, p.weights_stride, p.columns),
            )
        )
        tile = Region(p.sums, p.sums_stride, p.columns, SUM_BYTES * p.rows)
        products = self.array.multiply(x.T, w).T
        added = self.memories.add(counters, tile, products, accumulate=bool(p.accumulate))
        self.array.events(counters, p.rows, p.depth, p.columns, accumulate=bool(p.accumulate))
        _, formed = self.array.cycles(p.depth, read)
        free = formed + self.array.drain_cycles(p.rows, added)
        return Work(free, free, effectual=effectual(x.T, w))


class _OuterProduct:
    """Sums stay in the array; the inputs that survive the skip bits are multiplied, one a cycle."""

    def __init__(self, unit: OuterProduct, memories: Memories) -> None:
        self.unit = unit
        self.memories = memories
        self.mask = np.zeros(0, np.bool_)  # inputs that survive

    def execute(self, counters: Counters, operands: opcodes.Operands) -> Work:
        """Fill the mask registers, or form a block of sums and let it drain."""
        match operands:
            case opcodes.PreloadMask():
                return self._preload(counters, operands)
            case opcodes.Multiply():
                return self._multiply(counters, operands)
        raise _foreign(operands)

    def _preload(self, counters: Counters, p: opcodes.PreloadMask) -> Work:
        bits = Region(p.mask, 0, 1, -(-p.depth // 8))
        weights = np.unpackbits(self.memories.bytes(Memory.WEIGHT, bits)[0], count=p.depth, bitorder="little")
        x = self.memories.bytes(Memory.ACTIVATION, Region(p.address, p.stride, p.depth, p.rows))
        self.mask = weights.astype(np.bool_) & x.any(axis=1)
        # the zero detectors keep their bits beside the scratchpad, a bit for each input and block of samples
        flags = Region(0, 0, 1, bits.row_bytes)
        cycles = max(
            1,
            self.memories.port(counters, Memory.WEIGHT, bits, Operation.SRAM_READ),
            self.memories.port(counters, Memory.ACTIVATION, flags, Operation.SRAM_READ),
        )
        return Work(cycles, cycles)

    def _multiply(self, counters: Counters, p: opcodes.Multiply) -> Work:
        x, w = _feature_major(self.memories, p)
        taken = self.mask if self.unit.skip else np.ones(p.depth, np.bool_)
        survivors = int(np.count_nonzero(taken))
        # a skipped input is neither read nor multiplied: were its mask wrong, the sums would be wrong
        products = self.unit.multiply(x[taken], w[taken])
        read = 0
        if survivors:
            read = max(
                self.memories.rows_port(counters, Memory.ACTIVATION, p.address, p.stride, p.rows, taken),
                self.memories.rows_port(counters, Memory.WEIGHT, p.weights, p.weights_stride, p.columns, taken),
            )
        tile = Region(p.sums, p.sums_stride, p.columns, SUM_BYTES * p.rows)
        added = self.memories.add(counters, tile, products, accumulate=bool(p.accumulate))
        self.unit.events(counters, p.depth, survivors, p.rows, p.columns, accumulate=bool(p.accumulate))
        compute = self.unit.compute_cycles(survivors, read)
        drain = self.unit.drain_cycles(added)
        if self.unit.double_buffered:
            return Work(compute, compute + self.unit.latency, drain, effectual=effectual(x.T, w))
        free = compute + drain
        return Work(free, free + self.unit.latency, effectual=effectual(x.T, w))


class _TensorCore:
    """Cores share a block of samples by outputs, both operands from the scratchpads."""

    def __init__(self, unit: TensorCore, memories: Memories) -> None:
        self.unit = unit
        self.memories = memories

    def execute(self, counters: Counters, operands: opcodes.Operands) -> Work:
        """Form a block of sums, in waves of tiles."""
        if not isinstance(operands, opcodes.Multiply):
            raise _foreign(operands)
        p, sparse = operands, bool(operands.packed)
        rows = Region(p.address, p.stride, p.rows, p.depth)
        x = self.memories.values(self.memories.bytes(Memory.ACTIVATION, rows), p.depth, signed=bool(p.signed))
        if sparse:
            run = Region(p.weights, 0, 1, nm.stored_bytes(p.depth, p.columns, KEPT, GROUP))
            data = self.memories.bytes(Memory.WEIGHT, run).tobytes()
            found = _stored(lambda: nm.from_bytes(data, p.depth, p.columns, KEPT, GROUP))
            products = self.unit.multiply_sparse(x, found.values.view(np.int8), found.indices)
            weights: NDArray[np.generic] = found.expand()
        else:
            run = Region(p.weights, p.weights_stride, p.columns, p.depth)
            weights = self.memories.bytes(Memory.WEIGHT, run).view(np.int8).T
            products = self.unit.multiply(x, weights)
        read_rows, read_columns = self.unit.operand_reads(p.rows, p.columns)
        read = max(
            self.memories.port(counters, Memory.ACTIVATION, rows, Operation.SRAM_READ, (read_rows, p.rows)),
            self.memories.port(counters, Memory.WEIGHT, run, Operation.SRAM_READ, (read_columns, p.columns)),
        )
        tile = Region(p.sums, p.sums_stride, p.rows, SUM_BYTES * p.columns)
        added = self.memories.add(counters, tile, products, accumulate=bool(p.accumulate))
        self.unit.events(counters, p.rows, p.depth, p.columns, sparse=sparse, accumulate=bool(p.accumulate))
        free, end = self.unit.cycles(p.rows, p.depth, p.columns, max(read, added), sparse=sparse)
        return Work(free, end, effectual=effectual(x, weights))


class _SparseLanes:
    """Lanes multiply each nonzero activation by the entries of its column, sample after sample."""

    def __init__(self, unit: SparseLanes, memories: Memories) -> None:
        self.unit = unit
        self.memories = memories
        self.codec = Relative(unit.index_bits, unit.lanes)
        self.decoded: tuple[bytes, EncodedLanes] | None = None  # the last weights, which the next samples share

    def execute(self, counters: Counters, operands: opcodes.Operands) -> Work:
        """Multiply samples by encoded weights."""
        if not isinstance(operands, opcodes.Spmv):
            raise _foreign(operands)
        p = operands
        rows = Region(p.address, p.stride, p.rows, p.depth)
        x = self.memories.values(self.memories.bytes(Memory.ACTIVATION, rows), p.depth, signed=bool(p.signed))
        weights = self._weights(p)
        nonzero = x != 0
        cycles = self.unit.cycles(nonzero, weights.counts)
        loaded = self.memories.port(counters, Memory.ACTIVATION, rows, Operation.SRAM_READ)
        tile = Region(p.sums, p.sums_stride, p.rows, SUM_BYTES * p.columns)
        products = self.unit.multiply(x, weights)
        drained = self.memories.add(counters, tile, products, accumulate=bool(p.accumulate))
        work = self.unit.work(nonzero, weights)
        accumulated = p.rows * p.columns if p.accumulate else 0
        self.unit.events(counters, work, int(cycles.sum()), weights.pointer_bits, accumulated=accumulated)
        each = (-(-accesses_ // p.rows) for accesses_ in (loaded, drained))
        free, end = self.unit.matmul_cycles(cycles, *each)
        return Work(free, end, effectual=effectual(x, weights.decode()))

    def _weights(self, p: opcodes.Spmv) -> EncodedLanes:
        data = self.memories.bytes(Memory.WEIGHT, Region(p.weights, 0, 1, p.weights_bytes)).tobytes()
        if self.decoded is None or self.decoded[0] != data or self.decoded[1].matrix != (p.depth, p.columns):
            self.decoded = (data, _stored(lambda: self.codec.from_bytes(data, (p.depth, p.columns))))
        return self.decoded[1]


def _stored(read: Callable[[], StoredT]) -> StoredT:
    """Weights that a program stores; a program whose bytes no encoder writes is at fault."""
    try:
        return read()
    except ValueError as error:
        raise ProgramError(f"stored weights: {error}") from None


def _foreign(operands: opcodes.Operands) -> DefectError:
    return DefectError(f"the machine's datapath has no {type(operands).__name__.lower()}, which verify should refuse")
