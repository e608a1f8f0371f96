"""How a layer's weights are encoded for a machine's decode unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import Machine
from accelsim.datapath.decode import Decoder
from accelsim.errors import CompileError
from accelsim.formats.codec import Codec
from accelsim.golden.network import CompressedLayer


class Encoded(NamedTuple):
    """A chunk's bytes, and the cycles from its first symbol until the decode unit takes the next chunk."""

    data: NDArray[np.uint8]
    cycles: int


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns a chunk's packed bytes into those that stand in DRAM.

    Parameters
    ----------
    weights, format
        Whose weights they are and the format's name, as faults say it.
    """

    weights: str
    format: str
    codec: Codec
    decoder: Decoder

    @classmethod
    def of(cls, layer: CompressedLayer, machine: Machine) -> Encoder | None:
        """Encoder of a layer, or None if its weights stand in memory as the datapath takes them.

        Raises
        ------
        CompileError
            If the machine lacks a decode unit.
        """
        storage = layer.storage
        if storage is None:
            return None
        if machine.decode is None:
            raise CompileError(
                f"layer {layer.name}: weights stored as {storage.format} must be expanded by a decode unit, "
                f"which {machine.name} lacks"
            )
        codec = storage.codec(machine.decode.huffman_decoders)
        weights = f"layer {layer.name}: weights, as {machine.name} packs them,"
        return cls(weights, storage.format, codec, Decoder.of(machine.decode))

    def encode(self, packed: NDArray[np.uint8]) -> Encoded:
        """Encode a chunk as one run of values of 8 bits, whatever they stand for.

        Raises
        ------
        CompileError
            If the format can't hold them.
        """
        try:
            encoded = self.codec.encode(packed.view(np.int8).reshape(1, -1))
        except ValueError as error:
            raise CompileError(f"{self.weights} must fit the format {self.format}: {error}") from None
        return Encoded(np.frombuffer(encoded.to_bytes(), np.uint8), self.decoder.cycles(encoded)[0])
