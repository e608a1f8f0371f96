"""The matrix product of a fusion, with what a machine makes of its sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.image import Image
from accelsim.compiler.tiles import ChannelGroups
from accelsim.formats import nm
from accelsim.formats.ggml import BlockTensor
from accelsim.formats.groups import GroupedTensor
from accelsim.formats.storage import Storage
from accelsim.graph.element import Element, Float, Signs
from accelsim.graph.value import Value, without_numbers


@dataclass(frozen=True, slots=True)
class IntegerPart:
    """The first inputs of a product of floats, which are multiplied as integers.

    Each row of activations is rounded when it is there, group by group of inputs, over the largest magnitude in the
    group; a group's sums are scaled back to float32, row by row and column by column, before they are added up.

    Parameters
    ----------
    bits
        Bits of activations and of weights, 8 or 4, symmetric to 0.
    group
        Inputs that share a scale in a row of activations, and in a column of weights; the last group may be shorter.
    weight
        int8, shape (inputs, N).
    scale
        float32, shape (groups, N).
    """

    bits: int
    group: int
    weight: NDArray[np.int8]
    scale: NDArray[np.float32]

    @property
    def inputs(self) -> int:
        """Inputs that are multiplied as integers."""
        return int(self.weight.shape[0])


@dataclass(frozen=True, slots=True)
class Factor:
    """A right factor that is formed at run time, and lies in DRAM as activations do.

    Parameters
    ----------
    value
        Its name in the graph.
    batches
        Products of a matrix each, one after the other: rows of the left factor follow each other.
    by_input, by_output
        Whether its rows in DRAM can be taken to be inputs (K), or outputs (N).
    turned
        Whether the product is computed as its transpose, so that the left factor stays in the array and the right one
        streams: `value` is the left one's name then.
    """

    value: str
    batches: int
    by_input: bool = False
    by_output: bool = False
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Results:
    """What becomes of the sums of a product.

    Parameters
    ----------
    bias
        Shape (N,), of the sums' type; the input's zero point is folded in: bias - zero point * sum of weights.
    multiplier, shift
        int32 and int8, shape (N,), TFLite's fixed-point scale per channel; None for floats.
    rounding
        Name of the rounding scheme, one of `datapath.requantize.MODES`; empty for floats.
    relu
        Whether results are clamped at what stands for zero.
    most
        Largest result, as a real value; infinite if there is none.
    """

    bias: NDArray[Any]
    multiplier: NDArray[np.int32] | None
    shift: NDArray[np.int8] | None
    rounding: str
    relu: bool
    most: float = float("inf")

    @property
    def scale_bits(self) -> int:
        """Bits that stand in memory beside the weights: a multiplier and a shift per channel."""
        return sum(8 * part.nbytes for part in (self.multiplier, self.shift) if part is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A product of (m, k) activations times (k, n) weights, and its results.

    Parameters
    ----------
    name
        That of its fusion.
    weight
        Constant, shape (k, n), less the inputs of the integer part.
    integers
        Part of the first inputs, if there is one.
    input, output
        Elements of activations and results.
    image
        The images that activations are windows of; None if they are a matrix.
    channel_groups
        Which channels each output reads; None if all.
    factor
        What stands for the weights if they are no constant, of which `weight` has the shape alone.
    period
        Rows after which activations, results or the right factor lie elsewhere; 0 if none does.
    weights_count, macs_needed
        Weights that there are, and products of the operator: fewer than k n and m k n where filters read some of the
        channels alone, and zeros stand for the others.
    """

    name: str
    m: int
    k: int
    n: int
    weight: Value
    integers: IntegerPart | None
    results: Results
    input: Element
    output: Element
    image: Image | None
    channel_groups: ChannelGroups | None
    weights_count: int
    macs_needed: int
    factor: Factor | None = None
    period: int = 0

    @property
    def weights(self) -> NDArray[Any]:
        """Numbers of the weights, shape (k, n), less the inputs of the integer part."""
        return self.weight.numbers

    @property
    def storage(self) -> Storage | None:
        """Format that the weights stand in, which a decode unit expands; None if they stand as they are."""
        return self.weight.storage

    @property
    def groups(self) -> GroupedTensor | BlockTensor | None:
        """The integers that the weights are stored as, and their groups' scales, or blocks, if `storage` has them."""
        return self.weight.groups

    @property
    def turned(self) -> Product | None:
        """The transpose: the left factor stays in the array; None if results of a row differ in more than their sums.

        The left factor has one row in each batch, so that the result lies in memory as before.
        """
        results, factor = self.results, self.factor
        multiplier, shift = results.multiplier, results.shift
        alike = not results.bias.any() and (
            multiplier is None or shift is None or ((multiplier == multiplier[0]) & (shift == shift[0])).all()
        )
        signed = self.input.signed and not isinstance(self.input, Signs)
        if factor is None or self.m != factor.batches or not alike or not signed:
            return None
        first = replace(
            results,
            bias=results.bias[:1],
            multiplier=None if multiplier is None else multiplier[:1],
            shift=None if shift is None else shift[:1],
        )
        weight = replace(
            self.weight, element=self.input, shape=(self.k, 1), data=without_numbers(self.input.dtype, (self.k, 1))
        )
        return replace(
            self,
            m=self.n * factor.batches,
            n=1,
            weight=weight,
            input=self.weight.element,
            results=first,
        )

    @property
    def batches(self) -> int:
        """Products of a right factor each."""
        return self.factor.batches if self.factor else 1

    @property
    def is_float(self) -> bool:
        """Whether results are floats."""
        return isinstance(self.output, Float)

    @property
    def clamp(self) -> tuple[int, int]:
        """Smallest and largest result of requantization, ReLU included; for signs, 0 stands for -1."""
        if isinstance(self.output, Signs):
            return 0, 1
        assert not isinstance(self.output, Float)  # noqa: S101 - floats are not clamped
        low = max(self.output.qmin, self.output.zero_point) if self.results.relu else self.output.qmin
        if self.results.most == float("inf"):
            return low, self.output.qmax
        return low, int(self.output.quantize(np.array(self.results.most)))

    def is_nm(self, kept: int, group: int) -> bool:
        """Whether every `group` weights along K hold at most `kept` nonzeros; as declared if they have no numbers."""
        if self.factor:
            return False
        if not self.weight.outlined:
            return nm.is_nm(self.weights, kept, group)
        return nm.densest_group(self.k, *self.weight.pattern, group) <= kept
