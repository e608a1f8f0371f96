"""What the passes decided, as a plan that can be shown: nothing is scheduled for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

from accelsim import plan
from accelsim.compiler.fusion import Fusion
from accelsim.compiler.lower.work import VectorWork
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.product import Product
from accelsim.compiler.tiles import Tiling
from accelsim.compiler.traffic import traffic
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.config.arch import Machine
from accelsim.isa.accesses import held_in
from accelsim.isa.opcodes import Memory


def told(lowering: Lowering, machine: Machine) -> plan.Plan:
    """The plan of a lowering with places in DRAM, as `pipeline.planned` makes it."""
    moved = traffic(lowering, machine)
    fusions = [
        plan.FusionPlan(
            name=fusion.name,
            layer=lowering.layer_name(number),
            nodes=[node.name for node in fusion.nodes],
            unit=_unit(fusion, machine),
            tile=_tile(lowering, number),
            rooms=list(_rooms(lowering, number, machine)),
            values=[*_read(lowering, fusion), _use(lowering, fusion.target, "form")],
            dram_read=moved[number].read,
            dram_write=moved[number].write,
        )
        for number, fusion in enumerate(lowering.fusions)
    ]
    read, write = (sum(column) for column in zip(*moved, strict=True))
    compulsory = lowering.compulsory_bytes
    return plan.Plan(
        workload=lowering.graph.name,
        arch=machine.name,
        recipe=lowering.recipe,
        residency=lowering.residency,
        least=lowering.least,
        burst=machine.dram.burst_bytes,
        fusions=fusions,
        dram_read=read,
        dram_write=write,
        compulsory=compulsory,
        ratio=(read + write) / compulsory if compulsory else None,
    )


def _unit(fusion: Fusion, machine: Machine) -> str:
    if isinstance(fusion.work, Product):
        return machine.matrix.kind
    return "vector" if isinstance(fusion.work, VectorWork) else "host"


def _tile(lowering: Lowering, number: int) -> plan.Tile | None:
    """Sizes of a fusion's tiles."""
    tiling, work = lowering.tilings[number], lowering.fusions[number].work
    if isinstance(tiling, Tiling):
        return plan.Tile(m=tiling.tile_m, k=tiling.tile_k, n=tiling.tile_n, loops=tiling.loops)
    if not isinstance(tiling, VectorTiling):
        return None
    window = math.prod(work.image.window.kernel) if isinstance(work, VectorWork) and work.image else 1
    return plan.Tile(
        m=tiling.pixels_formed * tiling.width, k=window, n=tiling.channels // tiling.width, loops=tiling.loops
    )


def _rooms(lowering: Lowering, number: int, machine: Machine) -> Iterator[plan.Room]:
    """Parts of the scratchpads in which a fusion's tiles take turns; those that are empty are left out."""
    for room in lowering.rooms[number] or ():
        size = room.sram.capacity_bytes
        if size:
            memory = held_in(machine, room.memory).name.lower()
            yield plan.Room(memory=memory, low=room.base, end=room.base + size)


def _read(lowering: Lowering, fusion: Fusion) -> Iterator[plan.Use]:
    """What a fusion reads; its constants last."""
    for name in fusion.sources:
        yield _use(lowering, name, "read")
    work, constant = fusion.work, None
    if isinstance(work, Product) and work.factor is None:
        constant = work.weight.name
    elif isinstance(work, VectorWork) and work.table is not None:
        constant = f"{fusion.name}.constants"
    if constant:
        yield plan.Use(name=constant, does="read", constant=True, room=None, formed_by=None, last_read_by=fusion.name)


def _use(lowering: Lowering, name: str, does: Literal["read", "form"]) -> plan.Use:
    """What a value does while a fusion reads or forms it."""
    parts = {*lowering.parts_of(name)}
    formers = [fusion.name for fusion in lowering.fusions if fusion.target in parts]
    readers = [fusion.name for fusion in lowering.fusions if parts & {*lowering.parts_of_sources(fusion)}]
    held = lowering.held(name)
    room = plan.Room(memory=Memory.ACTIVATION.name.lower(), low=held.low, end=held.low + held.bytes) if held else None
    return plan.Use(
        name=name,
        does=does,
        constant=lowering.graph.constant(name),
        room=room,
        formed_by=formers[-1] if formers else None,
        last_read_by=readers[-1] if readers else None,
    )
