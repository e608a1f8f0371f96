"""Pass 3: places for tiles in the scratchpads, and for everything in DRAM."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.lowering import Gemm, Lowering, Placement
from accelsim.compiler.slots import deal
from accelsim.compiler.tiles import Chunk, constants_offset, footprint
from accelsim.config.arch import Machine
from accelsim.errors import DefectError, DoesNotFitError
from accelsim.isa.opcodes import Memory
from accelsim.units import align_up


def allocate(lowering: Lowering, machine: Machine) -> Lowering:
    """Lay out DRAM (input, each layer's chunks, then the outputs) and spread the slots over the banks.

    The input and the chunks form the image. Every region begins at a burst.
    """
    burst = machine.dram.burst_bytes
    image = bytearray(lowering.inputs.tobytes())
    chunk_addresses = []
    for gemm, tiling in zip(lowering.gemms, lowering.tilings, strict=True):
        addresses: list[int] = []
        for chunk in tiling.chunks():
            image += bytes(-len(image) % burst)
            addresses.append(len(image))
            image += pack_chunk(gemm, chunk, machine)
        chunk_addresses.append(tuple(addresses))
    top = align_up(len(image), burst)
    source = 0
    placements = []
    for gemm, tiling, chunks in zip(lowering.gemms, lowering.tilings, chunk_addresses, strict=True):
        size = footprint(tiling, machine)
        placements.append(
            Placement(
                activation=deal(Memory.ACTIVATION, machine.activation, tiling.activations, size.activation),
                weight=deal(Memory.WEIGHT, machine.weight, tiling.weights, size.weight),
                accumulator=deal(Memory.ACCUMULATOR, machine.accumulator, tiling.sums, size.accumulator),
                output=deal(Memory.OUTPUT, machine.output, tiling.outputs, size.output),
                chunks=chunks,
                source=source,
                target=top,
            )
        )
        source, top = top, align_up(top + gemm.m * gemm.n, burst)
    if top > machine.dram.capacity_bytes:
        raise DoesNotFitError(
            f"network {lowering.network.name}: the DRAM of {machine.name} must hold {top} bytes, "
            f"but has {machine.dram.capacity_bytes}"
        )
    return dataclasses.replace(
        lowering,
        placements=tuple(placements),
        image=np.frombuffer(bytes(image), np.uint8).copy(),
        dram_bytes=top,
    )


def pack_chunk(gemm: Gemm, chunk: Chunk, machine: Machine) -> bytes:
    """Bytes of a chunk as they stand in DRAM and in the scratchpad.

    The folds follow each other without gaps, each row-major, k by n; then, for the last chunk of a column block and
    at a whole word, n bias int32, n multipliers int32 and n shifts int8, little-endian.
    """
    layer = gemm.layer
    weights = layer.weight[chunk.k.low : chunk.k.high, chunk.n.low : chunk.n.high].tobytes()
    if not chunk.last:
        return weights
    columns = slice(chunk.n.low, chunk.n.high)
    constants: list[NDArray[np.generic]] = [
        layer.bias[columns].astype("<i4"),
        layer.multiplier[columns].astype("<i4"),
        layer.shift[columns].astype(np.int8),
    ]
    gap = bytes(constants_offset(chunk, machine) - len(weights))
    return weights + gap + b"".join(c.tobytes() for c in constants)


def check(lowering: Lowering, machine: Machine) -> None:
    """Slots of a memory don't overlap, regions of DRAM neither."""
    capacities = {Memory.ACTIVATION: machine.activation, Memory.WEIGHT: machine.weight,
                  Memory.ACCUMULATOR: machine.accumulator, Memory.OUTPUT: machine.output}  # fmt: skip
    for placement in lowering.placements:
        for slots in (placement.activation, placement.weight, placement.accumulator, placement.output):
            bounds = [*sorted(slots.addresses), capacities[slots.memory].capacity_bytes]
            for low, high in pairwise(bounds):
                if low + slots.bytes > high:
                    raise DefectError(f"slot of {slots.bytes} bytes at {low} of {slots.memory.name} reaches {high}")
        if placement.target < lowering.image.size:
            raise DefectError("an output overlaps the image")
