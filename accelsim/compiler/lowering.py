"""What the passes hand on: one value that each of them completes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.dataflow import Dataflow
from accelsim.compiler.fusion import Fusion
from accelsim.compiler.held import Held
from accelsim.compiler.rooms import Rooms
from accelsim.compiler.slots import Slots
from accelsim.compiler.tiles import Place, Tiling
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.compiler.view import View
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.concat import Concat
from accelsim.graph.strips import Strip
from accelsim.isa.kinds import Kinds
from accelsim.isa.opcodes import INSTRUCTION
from accelsim.isa.program import Program
from accelsim.isa.tables import Tables

Int64 = NDArray[np.int64]


#: What a plan looks for first; DRAM bursts stand for energy, of which they are most.
Least = Literal["time", "energy"]


class StoredTiles(NamedTuple):
    """How the weight tiles of a batch stand in DRAM, in the order of `Tiling.weight_tiles`; shape (weight tiles,).

    Parameters
    ----------
    address
        First byte of each.
    weights
        Bytes of its weights as they stand there.
    constants
        Where its constants begin, from its first byte on.
    """

    address: Int64
    weights: Int64
    constants: Int64


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a layer's tiles live on chip, and where its data live in DRAM.

    Parameters
    ----------
    scales
        Places in the activation scratchpad for the scales of each slot's rows; none if they have none.
    staging
        Places in the weight scratchpad for encoded tiles, shared or one for each slot; none if weights are dense.
    partial
        Places in the accumulator for sums of integers that are still to be scaled; none if all of them are one type.
    weight_tiles
        The weight tiles in DRAM.
    source, target
        The layer's input and output in DRAM.
    factor
        The right factor in DRAM, if it is no constant: rows of inputs, or of outputs, of all batches.
    """

    activation: Slots
    scales: Slots
    weight: Slots
    staging: Slots
    accumulator: Slots
    partial: Slots
    output: Slots
    weight_tiles: StoredTiles
    source: Place
    target: Place
    factor: Place | None = None

    @property
    def slots(self) -> tuple[Slots, ...]:
        """All places on chip."""
        loaded = (self.activation, self.scales, self.weight, self.staging)
        return (*loaded, self.accumulator, self.partial, self.output)


@dataclass(frozen=True, slots=True)
class VectorPlacement:
    """Where the tiles of a vector fusion live on chip, and its data in DRAM.

    Parameters
    ----------
    sources, target
        What it reads and forms in DRAM.
    operands, results
        Slots for the tiles of each source that is loaded, then for those that are turned, and for those of results.
    held, formed
        Where each source stays on chip, None for those that are loaded, and where results do; None if they are stored.
    table, table_slot
        DRAM address of the entries of its function, and their place in the weight scratchpad; 0 and none if it has no
        table.
    """

    sources: tuple[Place, ...]
    target: Place
    operands: tuple[Slots, ...]
    held: tuple[Held | None, ...]
    results: Slots
    formed: Held | None
    table: int
    table_slot: Slots

    @property
    def slots(self) -> tuple[Slots, ...]:
        """All places on chip."""
        return (*self.operands, self.results, self.table_slot)


@dataclass(frozen=True, slots=True)
class HostPlacement:
    """Where what the host reads and forms lies in DRAM, and in its own memory.

    Parameters
    ----------
    sources, constants, target
        Activations, constants, and the result.
    """

    sources: tuple[Place, ...]
    constants: tuple[Place, ...]
    target: Place

    @property
    def slots(self) -> tuple[Slots, ...]:
        """It has none on chip."""
        return ()


class Stay(NamedTuple):
    """A value on chip, from the fusion that forms it to the last that reads it, by number."""

    held: Held
    first: int
    last: int

    def beside(self, other: Stay) -> bool:
        """Whether both are on chip at once."""
        return self.first <= other.last and other.first <= self.last


def kept_in(stays: Mapping[str, Stay], view: View) -> Held | None:
    """Where rows of features stay on chip if those values do; None of what lies in DRAM."""
    stay = stays.get(view.root)
    if stay is None:
        return None
    *leading, features = view.shape
    line = stay.held.width * features * view.bits
    return stay.held.lines(view.offset // line, math.prod(leading) // stay.held.width // stay.held.images)


@dataclass(frozen=True)
class Lowering:
    """A graph on its way to a program; each pass fills the next field.

    Parameters
    ----------
    inputs
        Numbers of the graph's inputs, in order, then what its states hold; samples first.
    recipe
        Name of the recipe that typed the graph.
    flows
        How products are cut, stored and issued for the datapath; None for other fusions.
    tilings, rooms
        How fusions are cut, and where in the scratchpads their tiles take turns; None for the host's.
    residency
        Whether values may stay on chip between fusions.
    least
        What is to be least: time, then energy, or the other way.
    whole, strips
        The graph before some of its nodes were cut into strips, and what of its values those of the strips are.
    stays
        Which do, by name.
    views, storages
        Where values lie, by name, and each storage as the dense tensor that it holds, by its name.
    places
        Where values that fusions read or form lie in DRAM, by name.
    compulsory_bytes
        Bytes of each constant as it is stored, each input, each output and each state, once.
    image, image_bytes
        First bytes of DRAM, and how many they are; the bytes are left out where weights have no values.
    tables
        What instructions name by number.
    left_out
        Fusions that have their places in DRAM, but no instructions.
    """

    graph: Graph
    inputs: tuple[NDArray[np.generic], ...]
    recipe: str
    fusions: tuple[Fusion, ...] = ()
    flows: tuple[Dataflow | None, ...] = ()
    tilings: tuple[Tiling | VectorTiling | None, ...] = ()
    rooms: tuple[Rooms | None, ...] = ()
    residency: bool = True
    least: Least = "time"
    whole: Graph | None = None
    strips: Mapping[str, Strip] = field(default_factory=dict)
    stays: Mapping[str, Stay] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    storages: Mapping[str, View] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict)
    placements: tuple[Placement | VectorPlacement | HostPlacement, ...] = ()
    image: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    image_bytes: int = 0
    compulsory_bytes: int = 0
    dram_bytes: int = 0
    instructions: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, INSTRUCTION))
    tables: Tables = field(default_factory=Tables)
    program: Program | None = None
    left_out: range = range(0)

    @property
    def has_numbers(self) -> bool:
        """Whether weights and inputs have numbers."""
        return self.graph.has_numbers

    @cached_property
    def kinds(self) -> Kinds:
        """Which instructions differ."""
        return Kinds.of(self.instructions)

    @property
    def read_constants(self) -> tuple[str, ...]:
        """Constants that fusions read as they read activations, or a part of what they read so."""
        read = (part for fusion in self.fusions for part in self.parts_of_sources(fusion))
        return tuple(dict.fromkeys(name for name in read if self.graph.constant(name)))

    def held(self, name: str) -> Held | None:
        """Where a value stays on chip, perhaps as lines of another one; None of what lies in DRAM."""
        return kept_in(self.stays, self.views[name])

    def stored_as(self, name: str) -> str:
        """The value whose storage holds just the numbers of another one, in an order of its own; itself, if none does.

        A value that is joined to others has a part of their storage, which is named by all of it where that is an
        output or a state, or where the value's rows lie in several places.
        """
        root = self.views[name].root
        alone = math.prod(self.storages[root].shape) == math.prod(self.views[name].shape)
        return root if alone or root in self.graph.leaving or self.places[name].leads else name

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """Layer of each fusion, by number: strips of the same nodes are one."""
        numbers: dict[str, int] = {}
        targets = (fusion.target for fusion in self.fusions)
        names = (self.strips[name].of if name in self.strips else name for name in targets)
        return tuple(numbers.setdefault(name, len(numbers)) for name in names)

    def layer_name(self, number: int) -> str:
        """Name of a fusion, or of those of strips of the same nodes."""
        fusion = self.fusions[number]
        strip = self.strips.get(fusion.target)
        return fusion.name.removeprefix(strip.prefix) if strip else fusion.name

    @cached_property
    def constants_of(self) -> tuple[tuple[int, int], ...]:
        """Whose constants each fusion reads: those of a layer, of a product from a feature on.

        Strips of rows read the same ones, and so do those of a function of single numbers, which has one table.
        """
        strips = ((fusion.product, self.strips.get(fusion.target)) for fusion in self.fusions)
        first = (strip.features.start if product and strip and strip.features else 0 for product, strip in strips)
        return tuple(zip(self.layers, first, strict=True))

    def parts_of(self, name: str) -> tuple[str, ...]:
        """Values that fusions form of which a value consists: itself, or those that it joins or is a part of."""
        node = self.moved_by(name)
        return tuple(part for given in node.inputs for part in self.parts_of(given)) if node else (name,)

    def moved_by(self, name: str) -> Node | None:
        """Node that gives others' numbers the places of a value, by addresses alone; None of other values."""
        node = self.graph.producer(name)
        return node if node is not None and node.op.moves and name not in self._formed else None

    def in_rows(self, name: str) -> bool:
        """Whether rows of a value are rows of the values that it consists of, in the same order."""
        node = self.moved_by(name)
        if node is None:
            return name not in self._turned
        last = len(self.graph[name].shape) - 1
        beside = isinstance(node.op, Concat) and node.op.axis in {-1, last}
        return beside and all(map(self.in_rows, node.inputs))

    @cached_property
    def readers(self) -> Mapping[str, list[str]]:
        """What fusions form that read a value, by the value; what reads it in no fusion is not among them."""
        found: dict[str, list[str]] = {}
        for fusion in self.fusions:
            for part in self.parts_of_sources(fusion):
                found.setdefault(part, []).append(fusion.target)
        return found

    @cached_property
    def _formed(self) -> set[str]:
        """Values that fusions form."""
        return {fusion.target for fusion in self.fusions}

    @cached_property
    def _turned(self) -> set[str]:
        """Values whose products are computed as their transposes."""
        products = ((fusion.target, fusion.product) for fusion in self.fusions)
        return {name for name, product in products if product and product.factor and product.factor.turned}

    def parts_of_sources(self, fusion: Fusion) -> tuple[str, ...]:
        """Those of what a fusion reads, each once."""
        return tuple(dict.fromkeys(part for name in fusion.sources for part in self.parts_of(name)))
