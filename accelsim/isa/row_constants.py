"""Blocks of constants that functions of rows of floats read from the weight scratchpad: bytes from parameters, back.

Blocks are little-endian and without gaps: float32 gamma, then beta, of each column; or a mask, see `constants`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.isa.constants import Places
from accelsim.isa.functions import Operation

Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]

#: Float32 of each column that an operation reads, and of other words those that it reads at once.
_OF_COLUMNS = {Operation.RMS_NORM: 1, Operation.LAYER_NORM: 2}
_WORDS = {Operation.SOFTMAX: len(Places._fields)}
_WORD_BYTES = 4


def block_bytes(operation: Int64, columns: Int64) -> Int64:
    """Bytes of instructions' blocks, by what they do and their columns; int64, shape (n,)."""
    of_columns, words = (
        np.array([table.get(one, 0) for one in Operation], np.int64)[operation] for table in (_OF_COLUMNS, _WORDS)
    )
    found: Int64 = _WORD_BYTES * (of_columns * columns + words)
    return found


def pack_affine(gamma: Float32, beta: Float32 | None = None) -> bytes:
    """Block of a normalization; beta of layer_norm alone."""
    return b"".join(part.astype("<f4").tobytes() for part in (gamma, beta) if part is not None)


def read_affine(data: NDArray[np.uint8], columns: int) -> tuple[Float32, Float32]:
    """Gamma and beta, whose bytes may be none; float32."""
    values = data.view("<f4").astype(np.float32)
    return values[:columns], values[columns:]
