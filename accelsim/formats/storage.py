"""Which storage format a layer's weights stand in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from accelsim.formats.bitmask import Bitmask
from accelsim.formats.codebook import Codebook
from accelsim.formats.codec import Codec
from accelsim.formats.csr import Csc, Csr
from accelsim.formats.ggml import LAYOUTS, Ggml, GgmlName
from accelsim.formats.groups import Progressive, VectorScaled
from accelsim.formats.huffman import Huffman
from accelsim.formats.microscale import Microscale
from accelsim.formats.packed import Packed
from accelsim.formats.relative import Relative
from accelsim.formats.relative_huffman import RelativeHuffman

MxName = Literal["mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4_e2m1", "mxint8"]
#: Formats that a step of a recipe chooses by themselves; the others hold what quantization says of groups or blocks.
PlainFormat = Literal["packed", "relative", "bitmask", "codebook", "huffman", "relative_huffman", "csr", "csc"]
FormatName = PlainFormat | Literal["progressive", "vector_scaled"] | MxName | GgmlName
#: Names of the formats; their order is their number in an instruction.
FORMATS: tuple[FormatName, ...] = (
    "packed", "relative", "bitmask", "codebook", "huffman", "relative_huffman", "csr", "csc",
    "progressive", "vector_scaled", "mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4_e2m1", "mxint8",
    *LAYOUTS,
)  # fmt: skip
_MICROSCALING: frozenset[FormatName] = frozenset(
    {"mxfp8_e4m3", "mxfp8_e5m2", "mxfp6_e3m2", "mxfp6_e2m3", "mxfp4_e2m1", "mxint8"}
)
#: Formats of a matrix, whose rows are the inputs (K); the others hold a run of values.
MATRICES: frozenset[FormatName] = frozenset({"csr", "csc", "progressive", "vector_scaled", *_MICROSCALING, *LAYOUTS})
#: Formats that store the nonzeros one by one, each in the bits of the widest of them.
OF_NONZEROS: frozenset[FormatName] = frozenset({"relative", "bitmask", "csr", "csc"})
_GROUPED: frozenset[FormatName] = frozenset({"packed", "progressive", "vector_scaled", *_MICROSCALING})
_WITH_WIDTH: frozenset[FormatName] = frozenset(
    {"packed", "relative", "codebook", "relative_huffman", "progressive", "vector_scaled"}
)


class Storage(NamedTuple):
    """A format and its width.

    Parameters
    ----------
    bits
        Of a packed integer (1 for a sign), a relative or a codebook index; 0 for formats that have no such width.
    group
        Inputs (K) that share a scale; 0 if none do.
    value_bits
        Of a value of those formats that store nonzeros one by one, 1 to 7; 0 for 8, and for the other formats.
    """

    format: FormatName
    bits: int
    group: int = 0
    value_bits: int = 0

    def codec(self, huffman_decoders: int) -> Codec | Microscale | Ggml:
        """Codec of the format; Huffman codes stand in a stream for each of the decoders that read them.

        Raises
        ------
        ValueError
            If the format has no such width, or no scales.
        """
        if self.bits and self.format not in _WITH_WIDTH:
            raise ValueError(f"bits must be 0 for {self.format}, not {self.bits}")
        block = LAYOUTS[self.format].numbers if self.format in LAYOUTS else 0
        if block and self.group != block:
            raise ValueError(f"group must be {block} for {self.format}, not {self.group}")
        if self.group and not block and self.format not in _GROUPED:
            raise ValueError(f"group must be 0 for {self.format}, not {self.group}")
        if self.value_bits and self.format not in OF_NONZEROS:
            raise ValueError(f"value_bits must be 0 for {self.format}, not {self.value_bits}")
        return _CODECS[self.format](self, huffman_decoders)


_CODECS: dict[FormatName, Callable[[Storage, int], Codec | Microscale | Ggml]] = {
    # weights of one bit are signs
    "packed": lambda storage, _: Packed(storage.bits, storage.group, binary=storage.bits == 1),
    "relative": lambda storage, _: Relative(storage.bits, value_bits=storage.value_bits or 8),
    "bitmask": lambda storage, _: Bitmask(storage.value_bits or 8),
    "codebook": lambda storage, _: Codebook(storage.bits),
    "huffman": lambda _, decoders: Huffman(streams=decoders),
    # a decoder for the values, one for the indices
    "relative_huffman": lambda storage, decoders: RelativeHuffman(storage.bits, max(1, decoders // 2)),
    "csr": lambda storage, _: Csr(storage.value_bits or 8),
    "csc": lambda storage, _: Csc(storage.value_bits or 8),
    "progressive": lambda storage, _: Progressive(storage.bits, storage.group),
    "vector_scaled": lambda storage, _: VectorScaled(storage.bits, storage.group),
    "mxfp8_e4m3": lambda storage, _: Microscale("e4m3", storage.group),
    "mxfp8_e5m2": lambda storage, _: Microscale("e5m2", storage.group),
    "mxfp6_e3m2": lambda storage, _: Microscale("e3m2", storage.group),
    "mxfp6_e2m3": lambda storage, _: Microscale("e2m3", storage.group),
    "mxfp4_e2m1": lambda storage, _: Microscale("e2m1", storage.group),
    "mxint8": lambda storage, _: Microscale("int8", storage.group),
    "q4_0": lambda *_: Ggml("q4_0"),
    "q4_1": lambda *_: Ggml("q4_1"),
    "q5_0": lambda *_: Ggml("q5_0"),
    "q5_1": lambda *_: Ggml("q5_1"),
    "q8_0": lambda *_: Ggml("q8_0"),
    "q4_k": lambda *_: Ggml("q4_k"),
    "q5_k": lambda *_: Ggml("q5_k"),
    "q6_k": lambda *_: Ggml("q6_k"),
}
