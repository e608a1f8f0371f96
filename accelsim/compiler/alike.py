"""Which layers are alike to a compiler, so that what one of them takes tells what the others take."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

from numpy.typing import NDArray

from accelsim.compiler.dataflows.choice import dataflow
from accelsim.compiler.fuse import fuse
from accelsim.compiler.lowering import Lowering, Placement
from accelsim.compiler.product import Product
from accelsim.config.arch import Machine
from accelsim.graph.graph import Graph
from accelsim.workload import blocks
from accelsim.workload.blocks import Blocks

ItemT = TypeVar("ItemT")


def find(graph: Graph, inputs: Sequence[NDArray[Any]], machine: Machine, kept: int) -> Blocks | None:
    """Find the blocks of alike fusions of which most are left out if the first `kept` ones are kept.

    There are none where more than shapes may decide what is counted: numbers of weights and activations, or a second
    level, whose hits depend on where in DRAM all layers lie. Nothing must stay on chip between layers.
    """
    if graph.has_numbers or machine.l2:
        return None
    products = [
        fusion.product for fusion in fuse(Lowering(graph, graph.given_before(inputs, None), ""), machine).fusions
    ]
    if any(product is None or product.factor for product in products):
        return None
    flows = [dataflow(product, machine) for product in products if product]  # all at once: one may be like itself alone
    kinds: list[Hashable] = [(flow.likeness, _types(flow.product)) for flow in flows]
    return blocks.find(kinds, kept)


def _types(product: Product) -> Hashable:
    """What of a product is in its instructions, beside its shape."""
    types = [(element.operand, element.signed) for element in (product.input, product.output)]
    return tuple(types), product.results.relu, product.results.rounding


def leave_out(lowering: Lowering, machine: Machine) -> Lowering:  # noqa: ARG001 - one signature for all passes
    """Forget the fusions that are left out; those behind them read what the ones before them stored.

    Where all others lie in DRAM stays as it is: a banked DRAM's times depend on it.
    """
    low, high = lowering.left_out.start, lowering.left_out.stop
    if low == high:
        return lowering

    def kept(items: Sequence[ItemT]) -> tuple[ItemT, ...]:
        return (*items[:low], *items[high:])

    fusions, placements = list(lowering.fusions), list(lowering.placements)
    former = {fusion.target: number for number, fusion in enumerate(fusions)}
    for number in range(high, len(fusions)):
        sources = fusions[number].sources
        if former.get(sources[0], -1) not in range(low, high):
            continue
        before = former[sources[0]] - (high - low)  # the alike fusion of the last block that is kept
        fusions[number] = dataclasses.replace(fusions[number], sources=(fusions[before].target, *sources[1:]))
        placement = placements[number]
        assert isinstance(placement, Placement)  # noqa: S101 - blocks are of products
        placements[number] = dataclasses.replace(placement, source=placements[before].target)
    return dataclasses.replace(
        lowering,
        fusions=kept(fusions),
        flows=kept(lowering.flows),
        tilings=kept(lowering.tilings),
        placements=kept(placements),
    )
