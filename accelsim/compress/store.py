"""How a layer's weights stand in memory; the decode unit expands them on chip, and no value changes."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from accelsim.config.model import Frozen, Integer, quantity
from accelsim.formats.codec import narrowest
from accelsim.formats.storage import OF_NONZEROS, PlainFormat, Storage

#: Widths that a format has by default: int4, EIE's relative index, Deep Compression's 5-bit codebook.
_BITS: dict[PlainFormat, int] = {"packed": 4, "relative": 4, "codebook": 5, "relative_huffman": 4}


class Store(Frozen):
    """The recipe step."""

    scheme: Literal["store"] = quantity("name", "Name of the scheme")
    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")
    format: PlainFormat = quantity("name", "Storage format of the weights")
    bits: Integer | None = quantity(
        "bits", "Of a packed integer or an index; 4, or 5 for a codebook, if absent", default=None, ge=1, le=8
    )

    @model_validator(mode="after")
    def _has_a_width(self) -> Store:
        if self.bits is not None and self.format not in _BITS:
            raise ValueError(f"bits must be absent for {self.format}, which has no width, not {self.bits}")
        return self

    def storage(self, weights: NDArray[np.generic]) -> Storage:
        """Format and widths, the default resolved; nonzeros that are stored one by one have the weights' own bits."""
        bits = (self.bits or _BITS[self.format]) if self.format in _BITS else 0
        narrow = narrowest(weights) if self.format in OF_NONZEROS and weights.dtype.itemsize == 1 else 8
        return Storage(self.format, bits, value_bits=narrow % 8)
