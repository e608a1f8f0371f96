"""The bytes of all memories, and the ports through which the units reach them."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine, Sram
from accelsim.config.operands import OperandType
from accelsim.config.tech import Component, Counters, Event, Operation, count
from accelsim.errors import AccelSimError
from accelsim.formats.operands import pack_rows, unpack_rows
from accelsim.isa.accesses import Accesses, Tile, Tiles, held_in
from accelsim.isa.descriptors import MAX_REGIONS
from accelsim.isa.opcodes import COMPUTE, RECEIVE, Memory
from accelsim.isa.program import Program
from accelsim.memory.region import Region, Runs, banks, interleaved_banks, view, words
from accelsim.results import Dram
from accelsim.units import align_up, ceil_div

Bank = tuple[Memory, int]

_INT32 = np.dtype("<i4")
#: Bytes of the widest element that a memory is seen as.
_WIDEST = 8

_COMPONENT = {
    Memory.ACTIVATION: Component.ACTIVATION,
    Memory.WEIGHT: Component.WEIGHT,
    Memory.OUTPUT: Component.OUTPUT,
    Memory.ACCUMULATOR: Component.ACCUMULATOR,
}


def _banks(sram: Sram, region: Region | Runs) -> tuple[int, ...]:
    if isinstance(region, Runs):
        regions, _ = region.regions(MAX_REGIONS)
        return tuple(sorted({bank for part in regions for bank in _banks(sram, part)}))
    if sram.interleaving == "words":
        return interleaved_banks(region, sram.width_bytes, sram.banks)
    return banks(region, sram.bank_bytes)


class Memories:
    """DRAM, scratchpads and accumulator of a machine that runs a program.

    Parameters
    ----------
    touched
        What the program touches, if that is known: scratchpads take no more room then than they need.
    """

    def __init__(self, program: Program, machine: Machine, touched: Accesses | None = None) -> None:
        self.srams: dict[Memory, Sram] = {
            Memory.ACTIVATION: machine.activation,
            Memory.WEIGHT: machine.weight,
            Memory.OUTPUT: machine.output,
            Memory.ACCUMULATOR: machine.accumulator,
        }
        self._accesses = {
            (memory, operation): Event(_COMPONENT[held_in(machine, memory)], operation, sram.width_bits)
            for memory, sram in self.srams.items()
            for operation in (Operation.SRAM_READ, Operation.SRAM_WRITE)
        }
        self._program = program
        self._machine = machine
        self._touched = touched
        #: Whether the host has a memory that is written; else what it sends stands in the image.
        few = program.instructions[touched.kinds.first] if touched else program.instructions
        self.host_computes = bool((few["opcode"] == COMPUTE).any())
        self._received = few["operands"][few["opcode"] == RECEIVE, :4].tolist()
        self.tiles = Tiles(machine, program.tables)
        self._type = machine.matrix.operands
        kind = "f" if machine.operand.is_float else "i"
        self._sum_type = np.dtype(f"<{kind}{machine.operand.sum_bytes}")

    @cached_property
    def arrays(self) -> dict[Memory, NDArray[np.uint8]]:
        """Bytes of the memories, which take room from the first use on; a run of timing alone needs none.

        The first ones of the DRAM stand in the program's image alone, and are zeros here; see `unwritten`.
        """
        image, dram_bytes = self._program.image, self._program.header.dram_bytes
        sizes = {
            memory: sram.capacity_bytes
            for memory, sram in self.srams.items()
            if memory == held_in(self._machine, memory)
        }
        if self._touched:
            ends = self._touched.ends()
            for memory, size in sizes.items():
                last = int(ends[self._touched.regions[:, 0] == memory].max(initial=0))
                sizes[memory] = min(align_up(last, _WIDEST), size)
        try:
            alone = {memory: np.zeros(size, np.uint8) for memory, size in sizes.items()}
            arrays = {memory: alone[held_in(self._machine, memory)] for memory in self.srams}
            dram = arrays[Memory.DRAM] = np.zeros(dram_bytes, np.uint8)
        except MemoryError:
            total = sum(sizes.values()) + dram_bytes
            raise AccelSimError(
                f"memories of {self._machine.name} must fit this computer, but {total} bytes do not"
            ) from None
        dram[self.unwritten : image.size] = image[self.unwritten :]
        # what the host sends is not there before it has come
        for region in self._received:
            view(dram, Region(*region))[:] = 0
        return arrays

    @cached_property
    def unwritten(self) -> int:
        """First bytes of the DRAM that nothing writes, so that the image does for them.

        What an instruction reads is either among them or not. Without knowing what is touched there are none.
        """
        end, found = self._program.image.size, self._touched
        if found is None or self.host_computes:
            return 0
        there, first = found.memory == Memory.DRAM, found.regions[found.number, 1]
        end = int(min(end, first[there & found.write].min(initial=end)))
        reads = np.flatnonzero(there & ~found.write)
        kind = np.repeat(np.arange(len(found.first) - 1), np.diff(found.first))[reads]
        low, high = np.full(len(found.first) - 1, end), np.zeros(len(found.first) - 1, np.int64)
        np.minimum.at(low, kind, first[reads])
        np.maximum.at(high, kind, found.ends()[found.number[reads]])
        while (across := (low < end) & (high > end)).any():
            end = int(low[across].min())
        return end

    def read_from(self, memory: Memory, address: int) -> NDArray[np.uint8]:
        """Array that has what is read from an address on."""
        in_image = memory == Memory.DRAM and address < self.unwritten
        return self._program.image if in_image else self.arrays[memory]

    @property
    def dram(self) -> Dram:
        """The DRAM as it is now."""
        return Dram(self._program.image[: self.unwritten], self.arrays[Memory.DRAM])

    @cached_property
    def host(self) -> NDArray[np.uint8]:
        """The host's memory, or what it has yet to send; of a timing-only program all is zeros, there or not."""
        if self._program.header.timing_only:
            return self.arrays[Memory.DRAM]
        if not self.host_computes:
            return self._program.image
        image = self._program.image
        return np.concatenate([image, np.zeros(self._program.header.dram_bytes - image.size, np.uint8)])

    def banks(self, used: Sequence[tuple[Memory, Region | Runs]]) -> tuple[Bank, ...]:
        """Banks of which an instruction that uses these regions needs a port from start to free."""
        touched = {
            (memory, bank)
            for memory, region in used
            if memory in self.srams and not self.srams[memory].ideal
            for bank in _banks(self.srams[memory], region)
        }
        return tuple(sorted(touched))

    def bytes(self, memory: Memory, region: Region) -> NDArray[np.uint8]:
        """Window onto a region, shape (rows, row_bytes); writable, unless nothing writes there."""
        return view(self.read_from(memory, region.address), region)

    def rows(self, memory: Memory, region: Region | Runs) -> NDArray[np.uint8]:
        """Bytes of the rows of a region, or of runs of one size; shape (rows, row_bytes)."""
        if isinstance(region, Region):
            return self.bytes(memory, region)
        places = region.address[:, None] + np.arange(region.size[0])
        return self.read_from(memory, int(places[0, 0]))[places]

    def words(self, memory: Memory, region: Region | Runs) -> int:
        """Accesses of a memory's port that a region takes; 0 for a port without limit."""
        sram = self.srams[memory]
        return 0 if sram.ideal else words(region, sram.width_bytes)

    def port(
        self,
        counters: Counters,
        memory: Memory,
        region: Region | Runs,
        operation: Operation,
        passes: tuple[int, int] = (1, 1),
    ) -> int:
        """Charge the accesses of a region; return the cycles that they take on a port.

        Parameters
        ----------
        passes
            How often the region is passed over, as a fraction: parts of it may be read oftener than others.
        """
        sram = self.srams[memory]
        times, of = passes
        accesses = ceil_div(words(region, sram.width_bytes) * times, of)
        count(counters, self._accesses[memory, operation], accesses)
        return 0 if sram.ideal else accesses

    def busiest(self, used: Sequence[tuple[Tile, int]]) -> int:
        """Accesses of the bank that needs most, from the tiles that an instruction uses at once and those of each."""
        of_bank: Tally[Bank] = Tally()
        for tile, accesses in used:
            for bank in self.banks([tile]):
                of_bank[bank] += accesses
        return max(of_bank.values(), default=0)

    def rows_port(
        self,
        counters: Counters,
        memory: Memory,
        address: int,
        stride: int,
        row_bytes: int,
        taken: NDArray[np.bool_],
    ) -> int:
        """Charge reads of some rows of a region, each by itself; return the cycles that they take on a port."""
        sram = self.srams[memory]
        first = address + stride * np.flatnonzero(taken)
        width = sram.width_bytes
        accesses = int(((first + row_bytes - 1) // width - first // width + 1).sum())
        count(counters, self._accesses[memory, Operation.SRAM_READ], accesses)
        return 0 if sram.ideal else accesses

    def values(self, data: NDArray[np.uint8], elements: int, *, signed: bool) -> NDArray[np.generic]:
        """Operands of the machine's type that rows of bytes hold, shape (rows, elements)."""
        return unpack_rows(data, elements, self._type, signed=signed)

    def sums(self, tile: Region, *, integers: bool = False) -> NDArray[Any]:
        """Values of a tile of sums: int64, or float32; shape (rows, row_bytes / sum_bytes)."""
        kind = _INT32 if integers else self._sum_type
        found = np.ascontiguousarray(self.bytes(Memory.ACCUMULATOR, tile)).view(kind)
        return found if kind.kind == "f" else found.astype(np.int64)

    def add(self, tile: Region, products: NDArray[Any], *, accumulate: bool, integers: bool = False) -> None:
        """Put products into a tile of sums, or add them to it; of the machine's type, or of packed integers."""
        if accumulate:
            with np.errstate(over="ignore", invalid="ignore"):  # float sums overflow to infinity
                products = self.sums(tile, integers=integers) + products
        # integers wrap as the adders do
        kind = _INT32 if integers else self._sum_type
        self.bytes(Memory.ACCUMULATOR, tile)[:] = np.ascontiguousarray(products.astype(kind)).view(np.uint8)

    def sums_port(self, counters: Counters, tile: Region, *, accumulate: bool) -> int:
        """Charge a tile of sums that is written, or added to; return the cycles that it takes on the port.

        Sums are read, added and written back in one pass of the port.
        """
        if accumulate:
            self.port(counters, Memory.ACCUMULATOR, tile, Operation.SRAM_READ)
        return self.port(counters, Memory.ACCUMULATOR, tile, Operation.SRAM_WRITE)

    def store_operands(self, tile: Region, values: NDArray[np.generic], operand: OperandType) -> None:
        """Write rows of operands of a type to the output scratchpad."""
        self.bytes(Memory.OUTPUT, tile)[:] = pack_rows(values, operand)
