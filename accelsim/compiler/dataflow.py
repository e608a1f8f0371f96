"""How a datapath wants a product cut, stored and issued: what the passes ask, and what all datapaths share."""

from __future__ import annotations

import copy
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.encoding import Encoded, Encoder
from accelsim.compiler.held import Held
from accelsim.compiler.image import Image
from accelsim.compiler.instructions import Instructions, issue
from accelsim.compiler.product import Product
from accelsim.compiler.reads import ImageReads, MatrixReads
from accelsim.compiler.rooms import Rooms, options
from accelsim.compiler.tiles import (
    Cuts,
    Footprint,
    Place,
    Span,
    Tiling,
    WeightTile,
    WeightTiles,
    cut,
    halvings,
    operands_shape,
)
from accelsim.config.arch import Machine
from accelsim.config.datapaths import InputStationary, TensorCore
from accelsim.config.operands import OPERANDS, Operand
from accelsim.errors import CompileError
from accelsim.graph.ops.window import Window
from accelsim.isa.opcodes import MATMUL
from accelsim.units import Count, align_up, ceil_div

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
#: Bytes in a row, uint8.
Bytes = NDArray[np.uint8]


class Matrices(NamedTuple):
    """Matrices of one layout in a memory: first addresses, shape (steps, 1), and how the one at address 0 would lie.

    Parameters
    ----------
    reads, first
        If they are windows of images on chip: how these lie, and the number of the first input of each; shape
        (steps, 1).
    """

    address: Int64
    layout: Place

    reads: ImageReads | None = None
    first: Int64 | int = 0

    def at(self, samples: Int64, features: Int64) -> Int64:
        """Addresses of the same elements of each; shape (steps, elements)."""
        if self.reads:
            return self.address + self.reads.place(self.first + features)
        return self.address + self.layout.at(samples, features)

    @property
    def stride(self) -> int:
        """Bytes from row to row."""
        return self.reads.streams.stride if self.reads else self.layout.pitch

    @property
    def inner(self) -> int:
        """Rows of a run of several; 0 if all are one run."""
        return self.reads.streams.inner if self.reads else 0

    @property
    def outer_stride(self) -> int:
        """Bytes from run to run."""
        return self.reads.streams.outer_stride if self.reads else 0


class Tiles(NamedTuple):
    """What some steps multiply, all of one shape: m samples by k inputs and n outputs of a weight tile.

    Parameters
    ----------
    x
        Activations; sample 0 and feature 0 are the tile's first sample and the weight tile's first input.
    w, w_bytes
        Addresses of the weight tiles and bytes of their weights; shape (steps, 1).
    sums
        Blocks of sums; sample 0 and feature 0 are their first.
    adds
        1 where the sums are added to, and 0 where they are replaced; shape (steps, 1).
    """

    m: int
    k: int
    n: int
    x: Matrices
    w: Int64
    w_bytes: Int64
    sums: Matrices
    adds: Int64

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.w)


class Staged(NamedTuple):
    """The most that a weight tile takes before it is decoded or transposed: bytes on chip, and cycles of that unit."""

    bytes: int
    cycles: int


def streams_outputs(machine: Machine) -> bool:
    """Whether tiles of a right factor that is formed at run time are outputs (N) one after the other, or inputs (K).

    Activations stay in an input-stationary array, and outputs stream past them; tensor cores read both factors so.
    """
    return isinstance(machine.matrix, InputStationary | TensorCore)


class Dataflow(ABC):
    """A product on a datapath.

    Parameters
    ----------
    grain
        Inputs (K) that a weight tile is a multiple of, unless it is the last.
    columns
        Outputs (N) of a column block, at most.
    block
        Samples (M) that one instruction takes at most; row tiles are multiples of it where there are several.
    run
        Inputs that follow each other in memory, of which no instruction streams more than one run; 0 for any.
    most_inputs
        Inputs (K) of the largest weight tile that an instruction takes.
    split
        First inputs, which are multiplied as integers on a machine of floats.
    group
        Of those, inputs that share scales.
    tiles_k
        Inputs of a weight tile, to choose among; none if any will do.
    fold
        Inputs of a fold of the floats beside them.
    resident_groups
        Whether the groups of a row can lie side by side in a tile.
    rooms, memory, whole
        Where tiles take turns; `machine` has no more than that of the memory that activations are read from, and of
        the whole machine.
    target
        Where results stay on chip; None if they go to DRAM. What is read from there `reads` says.
    partial_sums
        Blocks of int32 sums that take turns beside those of the accumulator's slots.
    """

    split: int = 0
    group: int = 1
    fold: int = 1
    resident_groups: bool = True
    partial_sums: int = 0
    tiles_k: tuple[int, ...] = ()

    def __init__(
        self,
        product: Product,
        machine: Machine,
        *,
        grain: int,
        columns: int,
        block: int,
        most_inputs: int | None = None,
    ) -> None:
        self.most_inputs = product.k if most_inputs is None else most_inputs
        self._largest: dict[int, int] = {}
        self._footprints: dict[Tiling, Footprint[int]] = {}
        self._staged: dict[int, Staged] = {}
        self._encoded: dict[tuple[Span, Span], Encoded] = {}
        self.encoder = Encoder.of(product, machine)
        self.product = product
        self.machine = machine
        self.rooms = options(machine)[0]
        self.memory = machine.activation
        self.whole = machine
        self.target: Held | None = None
        self.run = 0
        self.reads = MatrixReads(product.image, machine, product.period)
        storage = product.storage
        # a weight tile begins at a group of encoded weights
        self.grain = math.lcm(grain, storage.group) if storage and storage.group else grain
        self.columns = columns
        self.block = block
        self.by_output = streams_outputs(machine)
        if self.transposes and machine.operand.bits < 8:
            raise CompileError(
                f"layer {product.name}: the right factor's numbers must be bytes to be transposed on chip, "
                f"not {machine.matrix.operands}"
            )

    @property
    def streamed_inputs(self) -> tuple[int, int]:
        """Inputs (K) of one instruction that streams, at most, and at least where they are cut; 0, 0 if none stream."""
        return 0, 0

    def streaming(self, of: Image | None = None) -> Dataflow | None:
        """The same product, read from images on chip, its own or others; None if its rows can't stream from there."""
        image, (most, least) = of or self.product.image, self.streamed_inputs
        if image is None or not least or self.split or self.product.period:
            return None
        channels = image.channels
        flow = copy.copy(self)
        flow.reads, flow._footprints = ImageReads(image, self.machine), {}
        if most and channels % most:  # an instruction would read of two pixels
            run = channels * (image.window.kernel[1] if image.window.dilation[1] == 1 else 1)
            if not self.cuts_runs or most * self.machine.operand.bits % 8:
                return None
            storage = self.product.storage
            flow.run, flow.grain = run, math.lcm(run, storage.group if storage and storage.group else 1)
        if not most:  # of whole tiles of inputs, each of one pixel
            flow.tiles_k = tuple(k for k in halvings(channels, least) if channels % k == 0 and k % least == 0)
            if not flow.tiles_k:
                return None
        return flow

    @property
    def cuts_runs(self) -> bool:
        """Whether instructions may stream fewer inputs than they could, where those of a line of the kernel end."""
        return False

    def holding(self, source: Held | None, target: Held | None) -> Dataflow | None:
        """The same product, of what stays on chip or into it; None if its rows can't stream from there."""
        flow: Dataflow | None = copy.copy(self)
        if source:
            image = self.product.image
            if image is None and source.lined:
                whole = Window((1, 1))
                image = Image(source.images, source.height, source.width, self.product.k, whole, source.fill)
            flow = self.streaming(image) if image else flow
            if flow is None:
                return None
            flow.reads = flow.reads.within(source)
        assert flow  # noqa: S101 - it is a copy
        if target:
            flow.reads = flow.reads.formed(target)
        flow.target, flow._footprints = target, {}
        return flow

    def within(self, rooms: Rooms) -> Dataflow:
        """The same product, whose tiles take turns in these rooms."""
        flow = copy.copy(self)
        flow.rooms, flow.memory, flow.machine = rooms, self.machine.activation, rooms.within(self.machine)
        return flow

    def cut_as(self, other: Dataflow, source: Held | None, target: Held | None) -> Dataflow:
        """The same product, read as one that is like it, in its rooms, of what stays on chip and into it."""
        streams = isinstance(other.reads, ImageReads) and not source
        flow = self.streaming() if streams else self
        held = flow and flow.holding(source, target)
        assert held  # noqa: S101 - they are alike
        held.rooms, held.memory, held.machine = other.rooms, other.memory, other.machine
        return held

    @abstractmethod
    def weights_bytes(self, weight_tile: WeightTile) -> int:
        """Bytes of a weight tile's weights, metadata included, as they stand in DRAM and in the scratchpad."""

    @abstractmethod
    def pack(self, weight_tile: WeightTile) -> Bytes:
        """Those bytes in order, of any shape; they may be a view of the weights."""

    @abstractmethod
    def products(self, tiles: Tiles) -> Instructions:
        """Instructions that form the products of some steps."""

    @abstractmethod
    def cycles(self, m: Int64, k: Int64, n: Int64) -> Float64:
        """Estimated cycles of steps of m samples, k inputs and n outputs, broadcast, when nothing holds them up."""

    @property
    def likeness(self) -> Hashable:
        """What the best tiling depends on, beside the machine: products that are alike have the same.

        Where the weights' values decide what a tile takes, only products of the very same weights are alike.
        """
        product = self.product
        weights = (id(product.weight.data), id(product.weight.groups)) if self.encoder else ()
        shape = (product.m, product.k, product.n, product.batches, product.period, *weights)
        factor = (self.reads_outputs, self.transposes) if product.factor else None
        return shape, factor, self.result, product.image, product.channel_groups

    def largest_weights_bytes(self, tile_k: int) -> int:
        """Bytes of the largest weight tile of at most `tile_k` inputs."""
        if tile_k not in self._largest:
            self._largest[tile_k] = self.largest_weight_tile(tile_k)
        return self._largest[tile_k]

    def largest_weight_tile(self, tile_k: int) -> int:
        """What `largest_weights_bytes` returns and keeps."""
        k, n = min(tile_k, self.product.k), min(self.columns, self.product.n)
        return self.weights_bytes(WeightTile(Span(0, k), Span(0, n), last=True))

    def stored(self, weight_tile: WeightTile) -> Bytes:
        """Bytes of a weight tile's weights as they stand in DRAM: as the dataflow packs them, or those encoded.

        Of a factor that is formed at run time, those that stand behind it.
        """
        if self.product.factor:
            return self.behind_factor(weight_tile)
        return self.encoded(weight_tile, self.encoder).data if self.encoder else self.pack(weight_tile)

    def in_rows(self) -> NDArray[np.uint8] | None:
        """All weights, inputs by outputs, a byte each, if a weight tile stands in DRAM as its rows of them alone."""
        return None

    def stored_weights_bytes(self, weight_tile: WeightTile) -> int:
        """Length of `stored`, whose bytes are formed only where they are few or encoded."""
        return self.stored(weight_tile).size if self.encoder or self.product.factor else self.weights_bytes(weight_tile)

    def behind_factor(self, weight_tile: WeightTile) -> Bytes:  # noqa: ARG002 - one signature for all
        """Constant bytes that a weight tile of a factor that is formed at run time ends in."""
        return np.zeros(0, np.uint8)

    @property
    def reads_outputs(self) -> bool:
        """Whether the rows in which such a factor is loaded are outputs: as tiles want them, where they lie so."""
        factor = self.product.factor
        assert factor  # noqa: S101 - as the caller has it
        return factor.by_output if self.by_output or not factor.by_input else False

    def factor_rows(self, k: Int64, n: Int64) -> tuple[Int64, Int64]:
        """Rows of such a factor's tile of inputs by outputs as they are loaded, and bytes of a row."""
        rows, elements = (n, k) if self.reads_outputs else (k, n)
        return rows, self.machine.operand.rows_bytes(elements)

    @property
    def transposes(self) -> bool:
        """Whether such a factor is transposed on chip, by the vector unit."""
        return self.product.factor is not None and self.reads_outputs != self.by_output

    def staged_rows(self, k: int, n: int) -> tuple[int, int]:
        """Rows of a tile that is still to be transposed, and bytes from row to row; none if none is."""
        if not self.transposes:
            return 0, 0
        rows, elements = (n, k) if self.reads_outputs else (k, n)
        return rows, align_up(self.machine.operand.row_bytes(elements), self.machine.weight.width_bytes)

    def encoded(self, weight_tile: WeightTile, encoder: Encoder) -> Encoded:
        """Encode a weight tile, or remember what it was encoded to: tilings share weight tiles."""
        key = (weight_tile.k, weight_tile.n)
        if key not in self._encoded:
            self._encoded[key] = encoder.encode(self.pack(weight_tile).reshape(-1), weight_tile.k, weight_tile.n)
        return self._encoded[key]

    def staged(self, tile_k: int) -> Staged:
        """What weight tiles of at most `tile_k` inputs take before they are decoded or transposed; nothing if not."""
        if self.transposes:
            rows, pitch = self.staged_rows(min(tile_k, self.product.k), self.width)
            return Staged(rows * pitch, ceil_div(min(tile_k, self.product.k) * self.width, self.machine.vector.lanes))
        if self.encoder is None:
            return Staged(0, 0)
        if tile_k not in self._staged:
            spans = itertools.product(cut(self.product.k, tile_k), cut(self.product.n, self.columns))
            weight_tiles = [self.encoded(WeightTile(k, n, last=False), self.encoder) for k, n in spans]
            size = max(len(weight_tile.data) for weight_tile in weight_tiles)
            self._staged[tile_k] = Staged(
                align_up(size, self.machine.weight.width_bytes), max(weight_tile.cycles for weight_tile in weight_tiles)
            )
        return self._staged[tile_k]

    def weights(self, weight_tile: WeightTile) -> NDArray[np.generic]:
        """A weight tile's weights, shape (k, n)."""
        return self.product.weights[weight_tile.k.low : weight_tile.k.high, weight_tile.n.low : weight_tile.n.high]

    def samples_times_weight_tile(self, opcode: int, tiles: Tiles, blocks: Cuts, **others: int | Int64) -> Instructions:
        """Each block of samples of a tile times all inputs of its weight tile, onto rows of sums.

        Parameters
        ----------
        others
            Operands of the opcode that others lack.
        """
        first = np.zeros_like(blocks.low)
        return issue(
            opcode,
            tiles.steps,
            len(blocks.low),
            address=tiles.x.at(blocks.low, first),
            stride=tiles.x.stride,
            weights=tiles.w,
            rows=blocks.size,
            depth=tiles.k,
            columns=tiles.n,
            sums=tiles.sums.at(blocks.low, first),
            sums_stride=tiles.sums.layout.pitch,
            accumulate=tiles.adds,
            signed=self.signed,
            inner=tiles.x.inner,
            outer_stride=tiles.x.outer_stride,
            **others,
        )

    def samples_times_folds(self, tiles: Tiles, folds: Cuts) -> Instructions:
        """All samples of a tile times each fold of its inputs that a preload has brought, onto rows of sums."""
        return issue(
            MATMUL,
            tiles.steps,
            len(folds.low),
            address=tiles.x.at(np.zeros_like(folds.low), folds.low),
            stride=tiles.x.stride,
            rows=tiles.m,
            depth=folds.size,
            columns=tiles.n,
            sums=tiles.sums.address,
            sums_stride=tiles.sums.layout.pitch,
            accumulate=np.where(folds.low > 0, 1, tiles.adds),
            signed=self.signed,
            integer_bits=0,
            inner=tiles.x.inner,
            outer_stride=tiles.x.outer_stride,
        )

    @property
    def result(self) -> Operand:
        """Type of the outputs."""
        return OPERANDS[self.product.output.operand]

    @property
    def signed(self) -> int:
        """1 if activations are signed."""
        return int(self.product.input.signed)

    def all_weights_bytes(self, weight_tiles: WeightTiles) -> Int64:
        """`weights_bytes` of each weight tile; shape (weight tiles,)."""
        over = self.columns + 1
        shapes, places = np.unique(weight_tiles.k_size * over + weight_tiles.n_size, return_inverse=True)
        sides = (divmod(shape, over) for shape in shapes.tolist())
        sizes = [self.weights_bytes(WeightTile(Span(0, k), Span(0, n), last=False)) for k, n in sides]
        return np.array(sizes)[places]

    def footprint(self, tiling: Tiling) -> Footprint[int]:
        """Bytes of one slot in each memory; places that encoded weight tiles share are not in them."""
        if tiling not in self._footprints:
            beside = 0 if tiling.staging else self.staged(tiling.tile_k).bytes
            weight = self.weight_tile_place(tiling.tile_k) + beside
            self._footprints[tiling] = self.slots_bytes(tiling.tile_m, tiling.features, tiling.tile_n, weight)
        return self._footprints[tiling]

    def slots_bytes(self, samples: Count, features: Count, outputs: Count, weight: Count) -> Footprint[Count]:
        """Those bytes for tiles of samples by features and by outputs, and so many for weights."""
        machine = self.machine
        output_rows, output_pitch = operands_shape(samples, outputs, self.result, machine, machine.output)
        sums = self.width * samples * machine.operand.sum_bytes
        return Footprint(
            activation=self.reads.tile_bytes(samples, features),
            weight=weight,
            accumulator=align_up(sums, machine.accumulator.width_bytes),
            output=output_rows * output_pitch * (0 if self.target else 1),
        )

    def scales_bytes(self, samples: Count, features: Count) -> Count:  # noqa: ARG002 - of integers beside floats
        """Bytes of the scales of an activation tile, which are among those of its slot."""
        return 0 * samples

    def weight_tile_place(self, tile_k: int) -> int:
        """Bytes that a weight tile of at most `tile_k` inputs takes in a slot with its constants, in whole words.

        A place for encoded bytes may follow.
        """
        word = self.machine.weight.width_bytes
        return align_up(
            align_up(self.largest_weights_bytes(tile_k), word) + self.machine.constant_bytes * self.width, word
        )

    @property
    def width(self) -> int:
        """Outputs (N) of the widest column block."""
        return min(self.columns, self.product.n)

    def compute_cycles(self, tile_m: Int64, tile_k: Int64) -> Float64:
        """Estimated cycles of all steps of a tiling, for many tiles, few of which differ; shape (c,)."""
        over = self.product.k + 1
        sizes, places = np.unique(tile_m * over + np.minimum(tile_k, self.product.k), return_inverse=True)
        tile_m, tile_k = np.divmod(sizes, over)
        period = self.reads.period or self.product.m
        m, m_times = _sizes(period, tile_m)
        m_times = m_times * (self.product.m // period)
        k, k_times = _sizes(self.product.k, tile_k)
        n, n_times = _sizes(self.product.n, np.full_like(tile_m, self.columns))
        times = m_times[:, None, None] * k_times[:, None] * n_times
        cycles = times * self.cycles(m[:, None, None], k[:, None], n)
        total: Float64 = cycles.reshape(-1, len(tile_m)).sum(axis=0)
        return total[places]


def _sizes(whole: int, part: Int64) -> tuple[Int64, Int64]:
    """Sizes of a dimension's equal parts and of the rest, and how many of each there are; shapes (2, c)."""
    part = np.minimum(part, whole)
    number, rest = np.divmod(whole, part)
    return np.stack([part, rest]), np.stack([number, np.minimum(rest, 1)])


def tabulate(function: Callable[[int], float], numbers: Int64) -> Float64:
    """Values of a function of one integer at many, few of which differ; same shape."""
    different, places = np.unique(numbers, return_inverse=True)
    return np.array([function(number) for number in different.tolist()], np.float64)[places]
