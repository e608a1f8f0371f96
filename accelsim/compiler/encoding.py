"""How a layer's weights are encoded for a machine's decode unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.product import Product
from accelsim.compiler.tiles import Span
from accelsim.config.arch import Machine
from accelsim.config.operands import OperandType
from accelsim.datapath.decode import Decoder
from accelsim.errors import CompileError
from accelsim.formats.codec import Codec
from accelsim.formats.ggml import BlockTensor, Ggml
from accelsim.formats.groups import GroupedTensor, Progressive, VectorScaled
from accelsim.formats.microscale import Microscale
from accelsim.formats.operands import pack_rows
from accelsim.formats.storage import MATRICES, FormatName
from accelsim.graph.element import rounded
from accelsim.units import ceil_div


class Encoded(NamedTuple):
    """A weight tile's bytes, and the cycles from its first symbol until the decode unit takes the next weight tile."""

    data: NDArray[np.uint8]
    cycles: int


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns a weight tile's packed bytes into those that stand in DRAM.

    Parameters
    ----------
    weights, format
        Whose weights they are and the format's name, as faults say it.
    """

    weights: str
    format: FormatName
    codec: Codec | Microscale | Ggml
    decoder: Decoder
    product: Product
    operand: OperandType

    @classmethod
    def of(cls, product: Product, machine: Machine) -> Encoder | None:
        """Encoder of a product, or None if its weights stand in memory as the datapath takes them.

        Raises
        ------
        CompileError
            If the machine lacks a decode unit, or blocks of a file stand for other numbers.
        """
        storage = product.storage
        if storage is None:
            return None
        if machine.decode is None:
            raise CompileError(
                f"layer {product.name}: weights stored as {storage.format} must be expanded by a decode unit, "
                f"which {machine.name} lacks"
            )
        codec, operand, blocks = storage.codec(machine.decode.huffman_decoders), machine.matrix.operands, product.groups
        if isinstance(blocks, BlockTensor) and not np.array_equal(rounded(blocks.decode(), operand), product.weights):
            raise CompileError(
                f"layer {product.name}: weights must be what their {storage.format} blocks stand for as {operand}"
            )
        weights = f"layer {product.name}: weights, as {machine.name} packs them,"
        return cls(weights, storage.format, codec, Decoder.of(machine.decode), product, operand)

    def rows(self, inputs: NDArray[np.int64], size: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the matrices that weight tiles are encoded as, from their inputs and their bytes on the datapath.

        Bytes that are not as many for each input, because a mask stands among them, are one row.
        """
        return np.where((self.format in MATRICES) & (size % inputs == 0), inputs, 1)

    def encode(self, packed: NDArray[np.uint8], k: Span, n: Span) -> Encoded:
        """Encode a weight tile, inputs k and outputs n, from its bytes as the datapath takes them.

        Most formats hold one run of values of 8 bits, whatever they stand for; groups and blocks are those of weights.
        Blocks of a file stand for the weights, as `of` has seen.

        Raises
        ------
        CompileError
            If the format can't hold them, or its rows are not those of the datapath.
        """
        weights = self.product.weights
        try:
            if isinstance(self.codec, Microscale):
                blocks = self.codec.encode(weights[k.low : k.high, n.low : n.high])
                expanded = pack_rows(blocks.decode(), self.operand)
                coded: Any = blocks
            elif isinstance(self.product.groups, BlockTensor):
                coded = self.product.groups.part(slice(k.low, k.high), slice(n.low, n.high))
                expanded = pack_rows(weights[k.low : k.high, n.low : n.high], self.operand)
            elif isinstance(self.codec, Progressive | VectorScaled) and self.product.groups:
                coded = self._groups(self.codec, self.product.groups, k, n)
                expanded = coded.decode().view(np.uint8)
            else:
                rows = self.rows(np.array(k.size), np.array(packed.size))
                coded = self.codec.encode(packed.view(np.int8).reshape(int(rows), -1))
                expanded = packed
        except ValueError as error:
            raise CompileError(f"{self.weights} must fit the format {self.format}: {error}") from None
        if not np.array_equal(expanded.reshape(-1), packed):
            raise CompileError(
                f"{self.weights} must lie in memory input by input, an output each, for the format {self.format}"
            )
        return Encoded(np.frombuffer(coded.to_bytes(), np.uint8), self.decoder.cycles(coded)[0])

    @staticmethod
    def _groups(codec: Progressive | VectorScaled, whole: GroupedTensor, k: Span, n: Span) -> GroupedTensor:
        """Part of a grouped matrix, which begins at a group."""
        columns = slice(n.low, n.high)
        groups = slice(k.low // codec.group, ceil_div(k.high, codec.group))
        zeros = None if whole.zeros is None else whole.zeros[groups, columns]
        return codec.encode_parts(whole.integers[k.low : k.high, columns], whole.scales[groups, columns], zeros)
