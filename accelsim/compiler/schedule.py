"""Pass 6: the order of instructions, with loads hoisted as far as double buffering wants them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.host_schedule import HostScheduler
from accelsim.compiler.instructions import Instructions
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lower.work import VectorWork
from accelsim.compiler.lowering import HostPlacement, Lowering, Placement, Stay, VectorPlacement
from accelsim.compiler.moves import Moves, Stored, padded, received
from accelsim.compiler.product_schedule import ProductScheduler
from accelsim.compiler.scratchpad import Scratchpads
from accelsim.compiler.steps import Steps
from accelsim.compiler.tables import TableBuilder
from accelsim.compiler.tiles import Tiling, cuts_anew, oriented
from accelsim.compiler.vector_schedule import VectorScheduler
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.computer import memory_bytes
from accelsim.config.arch import Machine
from accelsim.errors import CompileError, DefectError
from accelsim.isa import opcodes
from accelsim.isa.opcodes import INSTRUCTION, RECEIVE, STORE
from accelsim.kernels import records
from accelsim.units import NEVER, ceil_div

Int64 = NDArray[np.int64]

#: Instructions that are formed at once: their operands stay in the processor's cache.
TOGETHER = 2**15
#: What compiling needs at least for an instruction, 124 bytes of them its own: the peak beside the weights was 500 to
#: 520 bytes an instruction for 1.6 million of llama-2-7b-block on edge-ws; simulating may take more.
BYTES_AN_INSTRUCTION = 500
#: Steps of one kind that are formed already when the instructions are counted.
FEW = 64


#: What works out the steps of a fusion.
Scheduler = ProductScheduler | VectorScheduler | HostScheduler


def schedule(lowering: Lowering, machine: Machine) -> Lowering:
    """Work out every layer's steps and put the loads between them."""
    link, graph = machine.host.io_bandwidth_bytes_per_s is not None, lowering.graph
    scratchpads = Scratchpads.of(machine)
    layers: list[Scheduler] = []
    known = {*graph.inputs} if link else set[str]()  # what the host has
    moves: list[Moves] = []
    stored: dict[str, Stored] = {}
    arrived = received_whole(lowering) if link else set[str]()
    moves += [_receive_whole(lowering, name) for name in graph.inputs if name in arrived]
    steps, tables = 0, TableBuilder()
    staying: list[list[Stay]] = [[] for _ in lowering.fusions]
    for stay in lowering.stays.values():
        for number in (stay.first, stay.last):
            staying[number].append(stay)
    of_tiling = {tiling: Steps.of(tiling) for tiling in dict.fromkeys(lowering.tilings) if isinstance(tiling, Tiling)}
    for number, fusion in enumerate(lowering.fusions):
        tiling, placement = lowering.tilings[number], lowering.placements[number]
        receives = [link and name in graph.inputs and name not in arrived for name in fusion.sources]
        if not isinstance(fusion.work, HostWork):
            arrived |= {*fusion.sources}
        sends = link and not {fusion.target, lowering.stored_as(fusion.target)}.isdisjoint(graph.outputs)
        layer: Scheduler
        if isinstance(fusion.work, HostWork):
            assert isinstance(placement, HostPlacement)  # noqa: S101 - as its work is
            layer = HostScheduler(number, fusion.work, lowering, placement, steps, tables, known)
            known |= {*layer.sent, lowering.stored_as(fusion.target)}
        elif isinstance(fusion.work, VectorWork):
            assert isinstance(tiling, VectorTiling) and isinstance(placement, VectorPlacement)  # noqa: S101, PT018
            layer = VectorScheduler(
                number, fusion.work, tiling, placement, machine, steps, tables, receives=receives, sends=sends
            )
        else:
            flow = lowering.flows[number]
            assert isinstance(tiling, Tiling) and isinstance(placement, Placement) and flow  # noqa: S101, PT018
            layer = ProductScheduler(
                number, flow, tiling, placement, of_tiling[tiling], steps, tables,
                receives=any(receives), sends=sends,
            )  # fmt: skip
        formers = [
            [stored[part] if lowering.in_rows(name) else stored[part].at_once
             for part in lowering.parts_of(name) if part in stored]
            for name in fusion.sources
        ]  # fmt: skip
        for stay in staying[number]:
            if number == stay.first:
                moves += padded(number, stay.held, steps, tables)
        moves += layer.moves(scratchpads, formers)
        layers.append(layer)
        steps += len(layer.now)
        for stay in staying[number]:
            scratchpads.activation.contents.keep(stay.held, steps - 1 if number == stay.last else NEVER)
        stored[fusion.target] = layer.stored
    instructions = _in_order(layers, moves, steps, machine)
    return dataclasses.replace(lowering, instructions=instructions, tables=tables.tables)


def received_whole(lowering: Lowering) -> set[str]:
    """Inputs that must be there before anything else.

    They are read otherwise than row by row, or by several fusions, of which one may leave out pixels that others need.
    """
    names, inputs = set[str](), {*lowering.graph.inputs}
    windowed = set[str]()
    for fusion in lowering.fusions:
        if isinstance(fusion.work, HostWork):
            continue  # which has them
        for name in fusion.sources:
            parts = inputs & {*lowering.parts_of(name)}
            if name not in inputs or name not in fusion.beside or not windowed.isdisjoint(parts):
                names |= parts
            if fusion.work.image:
                windowed |= parts
    return names


def _receive_whole(lowering: Lowering, name: str) -> Moves:
    """Receive all of an input before anything else."""
    value, place = lowering.graph[name], lowering.places[name]
    rows = cuts_anew(value.samples, value.samples, place.period)
    none = np.zeros_like(rows.low)
    return Moves(0, none, none, received(rows, value.features, place))


def _require_memory(instructions: int, machine: Machine) -> None:
    needed, there = instructions * BYTES_AN_INSTRUCTION, memory_bytes()
    if needed > there:
        raise CompileError(
            f"a program of {instructions} instructions for {machine.name} must fit this computer's memory of {there} "
            f"bytes, but compiling takes at least {needed}"
        )


def _in_order(layers: Sequence[Scheduler], moves: list[Moves], steps: int, machine: Machine) -> NDArray[np.void]:
    """All instructions in program order: before each step what is moved then, in the order of need.

    Raises
    ------
    CompileError
        If they can't fit the memory.
    """
    kinds = [(layer, kind, layer.issued(kind[:FEW])) for layer in layers for kind in layer.kinds]
    issues = np.zeros(steps + 1, np.int64)  # of each step, after the sum of those before it
    for layer, kind, few in kinds:
        issues[layer.now[kind] + 1] = len(few.opcodes)
    issued = np.cumsum(issues)
    before, need = (
        np.concatenate([np.zeros(0, np.int64), *(getattr(move, name) for move in moves)]) for name in ("before", "need")
    )
    # what one step needs stays in the order of the list
    order = np.lexsort((need, before))
    places = np.empty_like(before)
    places[order] = np.arange(len(before)) + issued[before[order]]
    starts = issued[:-1] + np.searchsorted(before[order], np.arange(steps), side="right")
    count = len(before) + int(issued[-1])
    _require_memory(count, machine)
    instructions = np.zeros(count, INSTRUCTION)
    ends = np.cumsum([len(move.before) for move in moves])
    for move, at in zip(moves, np.split(places, ends[:-1]) if moves else (), strict=True):
        _put(instructions, at, move.layer, move.code)
    for layer, kind, few in kinds:
        _put(instructions, starts[layer.now[kind[:FEW]]], layer.number, few)
        together = max(1, TOGETHER // len(few.opcodes))
        for low in range(FEW, len(kind), together):
            some = kind[low : low + together]
            _put(instructions, starts[layer.now[some]], layer.number, layer.issued(some))
    return instructions


def _put(instructions: NDArray[np.void], starts: Int64, layer: int, code: Instructions) -> None:
    """Write each step's instructions one after the other from its start on."""
    opcode, number, signal, wait, operands = (
        instructions[name] for name in ("opcode", "layer", "signal", "wait", "operands")
    )
    given = np.ascontiguousarray(code.operands)
    records.put(opcode, number, signal, wait, operands, starts, code.opcodes, layer, given)


def check(lowering: Lowering, machine: Machine) -> None:
    """All products are formed once, and every byte of every output is stored once."""
    code, kinds = lowering.instructions, lowering.kinds
    few = code[kinds.first]
    moved = few["operands"][:, 2] * few["operands"][:, 3]  # rows of bytes, of transfers
    each = (opcodes.products(few), moved * (few["opcode"] == STORE), moved * (few["opcode"] == RECEIVE))
    totals = np.zeros((len(lowering.fusions), len(each)), np.int64)
    records.by_layer(kinds.number, code["layer"], np.stack(each, axis=1), totals)
    formed, stored, received = totals.T
    hosted = np.array([isinstance(fusion.work, HostWork) for fusion in lowering.fusions])
    stored = stored + received * hosted
    for number, fusion in enumerate(lowering.fusions):
        value, tiling, macs = lowering.graph[fusion.target], lowering.tilings[number], 0
        if isinstance(tiling, Tiling):
            weight_tiles = tiling.weight_tile_table
            macs = tiling.m // tiling.batches * int((weight_tiles.k_size * weight_tiles.n_size).sum())
        rows, elements = oriented(value.samples, value.features, feature_major=machine.feature_major)
        whole = rows * ceil_div(elements * value.element.memory_bits, 8)
        whole = 0 if lowering.held(fusion.target) else whole
        if formed[number] != macs or stored[number] != whole:
            raise DefectError(
                f"fusion {fusion.name}: must form {macs} products and store {whole} bytes, "
                f"not {formed[number]} and {stored[number]}"
            )
