"""N:M sparsity: of every `group` weights along K, at most `kept` are nonzero; those are stored with their positions.

Two layouts:

- `NmMatrix` is the machine's own, for any N:M: values row by row, then the positions in as few bits as a group needs.
- `SemiStructured` is PyTorch's 2:4 layout for CUTLASS kernels (torch/sparse/_semi_structured_conversions.py and
  cutlass/util/host_reorder.h): a nibble of two positions a group, nibbles packed into words of 16 bits (16-bit weights)
  or 32 bits (int8), words reordered for the kernel's loads.

Both choose alike where a group has fewer nonzeros than it may: the highest free positions are filled, with zeros.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from accelsim.kernels import counting

Array = NDArray[np.generic]
Scalar = TypeVar("Scalar", bound=np.generic)
Indices = NDArray[np.uint8]

#: Nibble of a group of four by its nonzeros (bit i: element i is not zero), as PyTorch chooses it: first position in
#: the low two bits, second in the high two. Groups of three and four nonzeros lose some; `to_semi_structured` refuses
#: them, PyTorch does not.
NIBBLES = (0xE, 0xC, 0xD, 0x4, 0xE, 0x8, 0x9, 0x8, 0xE, 0xC, 0xD, 0x4, 0xE, 0x8, 0x9, 0x8)
#: Rows whose words are interleaved, and words that lie side by side, by a word's bytes (CUTLASS, reorder_meta).
_INTERLEAVE = {2: (32, 4), 4: (16, 2)}


def index_bits(group: int) -> int:
    """Bits that name a position in a group."""
    return (group - 1).bit_length()


def _check(kept: int, group: int) -> None:
    if not 1 <= kept < group <= 256:
        raise ValueError(f"kept must be at least 1 and below group, and group at most 256, not {kept}:{group}")


def _grouped(w: Array, kept: int, group: int) -> Array:
    """Shape (groups, group, n), zeros behind the last input."""
    _check(kept, group)
    if w.ndim != 2:
        raise ValueError(f"a matrix must have 2 dimensions, not {w.ndim}")
    k, n = w.shape
    groups = -(-k // group)
    padded = np.zeros((groups * group, n), w.dtype)
    padded[:k] = w
    return padded.reshape(groups, group, n)


def is_nm(w: Array, kept: int, group: int) -> bool:
    """Whether every group along axis 0 (K) of a (k, n) matrix has at most `kept` nonzeros."""
    _check(kept, group)
    if w.ndim != 2:
        raise ValueError(f"a matrix must have 2 dimensions, not {w.ndim}")
    found = w if w.dtype in {np.dtype(np.int8), np.dtype(np.uint8)} else w != 0
    return counting.most_of_group(found.view(np.uint8), group) <= kept


def densest_group(k: int, kept: int, group: int, of: int) -> int:
    """Most nonzeros that an aligned group of `of` inputs holds where every `group` of k inputs hold at most `kept`."""
    most = 0
    for low in range(0, min(k, math.lcm(group, of)), of):  # after that the two patterns repeat
        high = min(low + of, k)
        parts = (min(first + group, high) - max(first, low) for first in range(low // group * group, high, group))
        most = max(most, sum(min(kept, part) for part in parts))
    return most


@dataclass(frozen=True, slots=True, eq=False)
class NmMatrix:
    """A compressed (k, n) matrix.

    Parameters
    ----------
    values
        Any type, shape (ceil(k / group) kept, n); rows g kept to (g + 1) kept belong to group g.
    indices
        Positions in the group, uint8, the shape of `values`; they ascend within a group.
    inputs
        Rows k of the matrix.
    kept, group
        N and M.
    """

    values: Array
    indices: Indices
    inputs: int
    kept: int
    group: int

    def expand(self) -> Array:
        """The matrix again, exactly."""
        return scatter(self.values, self.indices, self.kept, self.group)[: self.inputs]

    def part(self, low: int, high: int) -> NmMatrix:
        """Inputs low to high - 1, which begin with a group."""
        rows = slice(low // self.group * self.kept, -(-high // self.group) * self.kept)
        return NmMatrix(self.values[rows], self.indices[rows], high - low, self.kept, self.group)

    def to_bytes(self) -> bytes:
        """Values row by row, little-endian, then the positions, `index_bits` each, low bits first."""
        bits = np.unpackbits(self.indices.reshape(-1, 1), axis=1, bitorder="little")[:, : index_bits(self.group)]
        values = self.values.astype(self.values.dtype.newbyteorder("<"))
        return values.tobytes() + np.packbits(bits, bitorder="little").tobytes()

    @property
    def stored_bits(self) -> int:
        """Bits of the stored bytes, the last byte's unused ones included."""
        return 8 * len(self.to_bytes())


def compress(w: Array, kept: int, group: int) -> NmMatrix:
    """Keep the nonzeros of every group along axis 0 (K), in ascending order of position.

    A group of fewer nonzeros is filled at its highest free positions, with the zeros that are there: for 2:4 what
    PyTorch does.

    Raises
    ------
    ValueError
        If a group has more than `kept` nonzeros, or kept:group is no pattern.
    """
    groups = _grouped(w, kept, group)
    nonzero = groups != 0
    many = nonzero.sum(axis=1)
    if many.size and many.max() > kept:
        g, column = np.unravel_index(int(many.argmax()), many.shape)
        raise ValueError(
            f"every {group} weights along K must hold at most {kept} nonzeros, not {many.max()} "
            f"(group {g}, column {column})"
        )
    # nonzeros win, then the higher position
    rank = np.where(nonzero, group, 0) + np.arange(group)[:, None]
    chosen = np.sort(np.argsort(rank, axis=1)[:, group - kept :], axis=1)
    values = np.take_along_axis(groups, chosen, axis=1)
    shape = (kept * len(groups), w.shape[1])
    return NmMatrix(values.reshape(shape), chosen.astype(np.uint8).reshape(shape), len(w), kept, group)


def scatter(values: NDArray[Scalar], indices: Indices, kept: int, group: int) -> NDArray[Scalar]:
    """Dense matrix, shape (rows / kept * group, n), of compressed rows; a position named twice gets the sum.

    Parameters
    ----------
    values, indices
        Shape (rows, n), rows a multiple of `kept`, indices below `group`.
    """
    rows, n = values.shape
    groups = rows // kept
    dense: NDArray[Any] = np.zeros((groups, group, n), values.dtype)
    split = values.reshape(groups, kept, n)
    where = indices.reshape(groups, kept, n)
    g, column = np.ogrid[:groups, :n]
    for slot in range(kept):
        dense[g, where[:, slot], column] += split[:, slot]
    return dense.reshape(groups * group, n)


def from_bytes(data: bytes, k: int, n: int, kept: int, group: int, dtype: DTypeLike = np.int8) -> NmMatrix:
    """Read back what `NmMatrix.to_bytes` wrote of a (k, n) matrix.

    Raises
    ------
    ValueError
        If the number of bytes is not that of such a matrix, positions do not ascend within a group or lie outside it,
        a value stands behind the last input, or unused bits are set.
    """
    if k < 0 or n < 0:
        raise ValueError(f"a matrix must have sides of at least 0, not {k} x {n}")
    _check(kept, group)
    kind = np.dtype(dtype).newbyteorder("<")
    rows, bits = -(-k // group) * kept, index_bits(group)
    value_bytes, position_bytes = rows * n * kind.itemsize, -(-rows * n * bits // 8)
    if len(data) != value_bytes + position_bytes:
        raise ValueError(
            f"{kept}:{group} weights of {k} x {n} must take {value_bytes + position_bytes} bytes, not {len(data)}"
        )
    values = np.frombuffer(data, kind, rows * n).reshape(rows, n).astype(dtype)
    stream = np.unpackbits(np.frombuffer(data, np.uint8, offset=value_bytes), bitorder="little")
    if stream[rows * n * bits :].any():
        raise ValueError("the bits behind the last position must be 0")
    positions = stream[: rows * n * bits].reshape(rows * n, bits)
    indices = np.packbits(positions, axis=1, bitorder="little").reshape(rows, n)
    split = indices.reshape(rows // kept, kept, n).astype(np.int64)
    if (split >= group).any():
        raise ValueError(f"positions must be below {group}, not {split.max()}")
    if (np.diff(split, axis=1) <= 0).any():
        raise ValueError("positions must ascend within a group")
    inputs = np.arange(len(split))[:, None, None] * group + split
    if (values.reshape(split.shape)[inputs >= k] != 0).any():
        raise ValueError(f"values behind the last of {k} inputs must be 0")
    return NmMatrix(values, indices, k, kept, group)


@dataclass(frozen=True, slots=True, eq=False)
class SemiStructured:
    """PyTorch's 2:4 layout of an (m, k) matrix that is sparse along k.

    Parameters
    ----------
    values
        Shape (m, k / 2): of each group its two kept elements in ascending order of position.
    meta
        Words, reordered: int16, shape (m, k / 16), for 16-bit values, int32, shape (m, k / 32), for int8.
    """

    values: Array
    meta: Array


def to_semi_structured(dense: Array) -> SemiStructured:
    """Compress an (m, k) matrix of int8 or of 16-bit values.

    Raises
    ------
    ValueError
        If m is not a multiple of 32, or k not one of two words' weights: 32, or 64 for int8 (PyTorch checks for one
        word, but its reordering needs pairs); or if four weights hold more than two nonzeros.
    """
    word = _word(dense.dtype)
    m, k = dense.shape
    if m % 32 or not m:
        raise ValueError(f"rows must be a multiple of 32, not {m}")
    if k % (16 * word.itemsize) or not k:
        raise ValueError(f"columns must be a multiple of {16 * word.itemsize} for {dense.dtype}, not {k}")
    groups = dense.reshape(m, k // 4, 4)
    nonzero = groups != 0
    if (nonzero.sum(axis=2) > 2).any():
        raise ValueError(f"four weights must hold at most 2 nonzeros, not {nonzero.sum(axis=2).max()}")
    mask = nonzero @ np.array([1, 2, 4, 8])
    nibbles = np.array(NIBBLES, np.uint8)[mask]
    positions = np.stack((nibbles & 3, nibbles >> 2), axis=2).astype(np.intp)
    values = np.take_along_axis(groups, positions, axis=2).reshape(m, k // 2)
    return SemiStructured(values, reorder(_words(nibbles, word)))


def from_semi_structured(stored: SemiStructured) -> Array:
    """The (m, k) matrix again, exactly.

    Raises
    ------
    ValueError
        If shapes or types do not belong together, or a nibble's positions do not ascend (invalid for mma.sp, PTX ISA).
    """
    word = _word(stored.values.dtype)
    m, half = stored.values.shape
    if stored.meta.dtype != word:
        raise ValueError(f"words for {stored.values.dtype} must be {word}, not {stored.meta.dtype}")
    if m % 32 or half % (8 * word.itemsize) or stored.meta.shape != (m, half // (4 * word.itemsize)):
        raise ValueError(f"words of shape {stored.meta.shape} do not belong to values of shape {stored.values.shape}")
    nibbles = _nibbles(restore(stored.meta))
    first, second = nibbles & 3, nibbles >> 2
    if (first >= second).any():
        raise ValueError("the two positions of a nibble must ascend")
    dense = np.zeros((m, half // 2, 4), stored.values.dtype)
    positions = np.stack((first, second), axis=2).astype(np.intp)
    np.put_along_axis(dense, positions, stored.values.reshape(m, half // 2, 2), axis=2)
    return dense.reshape(m, 2 * half)


def _word(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Type of the metadata words of a type of weights."""
    if dtype == np.int8:
        return np.dtype(np.int32)
    if dtype.itemsize == 2:
        return np.dtype(np.int16)
    raise ValueError(f"weights must be int8 or of 16 bits, not {dtype}")


def _words(nibbles: NDArray[np.uint8], word: np.dtype[Any]) -> Array:
    """Nibbles (m, k / 4) packed into words, the first lowest."""
    pairs = nibbles[:, 0::2] | nibbles[:, 1::2] << 4
    return np.ascontiguousarray(pairs).view(word.newbyteorder("<")).astype(word)


def _nibbles(words: Array) -> NDArray[np.uint8]:
    """Nibbles (m, k / 4) of words, lowest first."""
    pairs = np.ascontiguousarray(words.astype(words.dtype.newbyteorder("<"))).view(np.uint8)
    return np.stack((pairs & 15, pairs >> 4), axis=2).reshape(len(words), -1)


def _offsets(words: Array) -> NDArray[np.int64]:
    """Where word (row, column) is stored, shape of the words.

    Rows are interleaved within groups of 32 (int16) or 16 (int32), the corners of 2 x 2 blocks swapped, and columns
    stored in pairs (CUTLASS, reorder_meta and ColumnMajorInterleaved<2>).
    """
    m, columns = words.shape
    together, step = _INTERLEAVE[words.dtype.itemsize]
    row, column = np.mgrid[:m, :columns]
    row = row // together * together + row % 8 * step + row % together // 8
    swap = (row + column) % 2 * np.where(column % 2, 1, -1)  # top right goes down and left, bottom left up and right
    row, column = row + swap, column - swap
    offsets: NDArray[np.int64] = column // 2 * (2 * m) + row * 2 + column % 2
    return offsets


def reorder(words: Array) -> Array:
    """Words (m, columns) in the order in which they are stored, in the same shape."""
    stored = np.empty(words.size, words.dtype)
    stored[_offsets(words)] = words
    return stored.reshape(words.shape)


def restore(stored: Array) -> Array:
    """Undo `reorder`."""
    return stored.reshape(-1)[_offsets(stored)]


SizeT = TypeVar("SizeT", int, NDArray[np.int64])


def stored_bytes(k: SizeT, n: SizeT, kept: int, group: int) -> SizeT:
    """Bytes that `NmMatrix.to_bytes` takes for (k, n) matrices of 8-bit weights."""
    values = -(-k // group) * kept * n
    return values + -(-values * index_bits(group) // 8)
