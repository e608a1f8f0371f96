"""Which storage format a layer's weights stand in."""

from __future__ import annotations

from typing import Literal, NamedTuple

from accelsim.formats.bitmask import Bitmask
from accelsim.formats.codebook import Codebook
from accelsim.formats.codec import Codec
from accelsim.formats.huffman import Huffman
from accelsim.formats.packed import Packed
from accelsim.formats.relative import Relative
from accelsim.formats.relative_huffman import RelativeHuffman

FormatName = Literal["packed", "relative", "bitmask", "codebook", "huffman", "relative_huffman"]
#: Names of the formats; their order is their number in an instruction.
FORMATS: tuple[FormatName, ...] = (
    "packed", "relative", "bitmask", "codebook", "huffman", "relative_huffman"
)  # fmt: skip


class Storage(NamedTuple):
    """A format and its width.

    Parameters
    ----------
    bits
        Of a packed integer, a relative index or a codebook index; 0 for the formats that have no such width.
    group
        Inputs (K) that share a scale of packed integers; 0 if they have none.
    """

    format: FormatName
    bits: int
    group: int = 0

    def codec(self, huffman_decoders: int) -> Codec:
        """Codec of the format; Huffman codes stand in a stream for each of the decoders that read them.

        Raises
        ------
        ValueError
            If the format has no such width, or no scales.
        """
        if self.bits and self.format in {"bitmask", "huffman"}:
            raise ValueError(f"bits must be 0 for {self.format}, not {self.bits}")
        if self.group and self.format != "packed":
            raise ValueError(f"group must be 0 for {self.format}, not {self.group}")
        match self.format:
            case "packed":
                return Packed(self.bits, self.group)
            case "relative":
                return Relative(self.bits)
            case "codebook":
                return Codebook(self.bits)
            case "bitmask":
                return Bitmask()
            case "huffman":
                return Huffman(streams=huffman_decoders)
            case "relative_huffman":  # a decoder for the values, one for the indices
                return RelativeHuffman(self.bits, max(1, huffman_decoders // 2))
