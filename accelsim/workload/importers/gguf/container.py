"""The container: metadata and tensors of a GGUF file, versions 2 and 3, little-endian (ggml's docs/gguf.md).

An own reader and not the package `gguf`: that needs requests, pyyaml and tqdm, takes 2.5 s to open a model of 98 MB
because each token of the vocabulary becomes arrays of its own (this one 0.1 s), and believes what a file says of
itself: an array of 2^40 numbers declared in a file of 100 bytes fills memory until the system ends the process. The
package is what tests hold the arithmetic of blocks and this reader against.

Everything that a file declares is held against the bytes that it has before memory is taken for it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import Fault, WorkloadError, reason
from accelsim.files import require_regular
from accelsim.formats.codec import MAX_VALUES
from accelsim.formats.ggml import LAYOUTS, GgmlName
from accelsim.graph.value import Shape
from accelsim.units import align_up
from accelsim.workload.importers.text import shown

MAX_FILE_BYTES = 2**40
MAX_AXES = 4

#: Metadata: a number, a flag, a text, or a list of one of them.
Field = int | float | bool | str | tuple[str, ...] | NDArray[Any]

#: numpy's types of numbers, by their number in a file; a text is 8, a list 9.
_SCALARS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}
_TEXT, _LIST = 8, 9

#: ggml's types of tensors by their number, those with a form here first; the others are told by name.
FLOATS = {0: "f32", 1: "f16", 30: "bf16"}
BLOCKS: dict[int, GgmlName] = {
    2: "q4_0",
    3: "q4_1",
    6: "q5_0",
    7: "q5_1",
    8: "q8_0",
    12: "q4_k",
    13: "q5_k",
    14: "q6_k",
}
OTHERS = {
    9: "q8_1", 10: "q2_k", 11: "q3_k", 15: "q8_k", 16: "iq2_xxs", 17: "iq2_xs", 18: "iq3_xxs", 19: "iq1_s",
    20: "iq4_nl", 21: "iq3_s", 22: "iq2_s", 23: "iq4_xs", 24: "i8", 25: "i16", 26: "i32", 27: "i64", 28: "f64",
    29: "iq1_m", 34: "tq1_0", 35: "tq2_0", 39: "mxfp4",
}  # fmt: skip


class Tensor(NamedTuple):
    """Where a tensor stands.

    Parameters
    ----------
    shape
        Outputs first, inputs last: a file has the axes in the other order.
    type
        f32, f16, bf16, or a format of `formats.ggml`.
    offset, bytes
        Its place in the file.
    """

    shape: Shape
    type: str
    offset: int
    bytes: int


@dataclass(frozen=True, eq=False)
class Gguf:
    """A file.

    Parameters
    ----------
    file
        Its path, as faults say it.
    data
        Its bytes, uint8, which are read from it as they are looked at.
    """

    file: str
    metadata: Mapping[str, Field]
    tensors: Mapping[str, Tensor]
    data: NDArray[np.uint8]

    @classmethod
    def open(cls, path: Path) -> Gguf:
        """Read what a file says of itself.

        Raises
        ------
        WorkloadError
            If it is no whole GGUF file.
        """
        size = require_regular(path, MAX_FILE_BYTES, WorkloadError)
        try:
            data = np.asarray(np.memmap(path, np.uint8, "r")) if size else np.zeros(0, np.uint8)
        except (OSError, ValueError) as error:
            raise WorkloadError(Fault(f"must be a readable file: {reason(error)}", str(path))) from None
        try:
            metadata, tensors = _Reader(data).contents()
        except _MalformedError as error:
            raise WorkloadError(Fault(f"must be a whole GGUF file: {error}", str(path))) from None
        return cls(str(path), metadata, tensors, data)

    def bytes_of(self, tensor: Tensor) -> NDArray[np.uint8]:
        """Bytes of a tensor."""
        return self.data[tensor.offset : tensor.offset + tensor.bytes]


class _MalformedError(Exception):
    """What a file says does not fit; one sentence says what."""


class _Reader:
    """Reads a file from its first byte on."""

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data = data
        self._buffer = data.data
        self._at = 0

    def contents(self) -> tuple[dict[str, Field], dict[str, Tensor]]:
        """Metadata and tensors."""
        if bytes(self._take(4, "the magic number")) != b"GGUF":
            raise _MalformedError("it must begin with GGUF")
        version = self._number("<I", "the version")
        if version not in (2, 3):
            big = " (big-endian files are not read)" if version & 0xFFFF == 0 else ""
            raise _MalformedError(f"its version must be 2 or 3, not {version}{big}")
        tensors, fields = self._number("<Q", "the number of tensors"), self._number("<Q", "the number of fields")
        self._require(tensors * 24 + fields * 13, f"{tensors} tensors and {fields} fields")
        metadata: dict[str, Field] = {}
        for _ in range(fields):
            key = self._text("a field's name")
            if key in metadata:
                raise _MalformedError(f"field {shown(key)} must be there once")
            metadata[key] = self._field(key)
        found: dict[str, Tensor] = {}
        for _ in range(tensors):
            name = self._text("a tensor's name")
            if name in found:
                raise _MalformedError(f"tensor {shown(name)} must be there once")
            found[name] = self._tensor(name)
        return metadata, self._placed(found, metadata.get("general.alignment", 32))

    def _require(self, size: int, what: str) -> None:
        """Refuse to read more than there is."""
        left = len(self._data) - self._at
        if size > left:
            raise _MalformedError(f"{what} must take {size} bytes at least, but {left} are left at byte {self._at}")

    def _take(self, size: int, what: str) -> memoryview:
        self._require(size, what)
        self._at += size
        return self._buffer[self._at - size : self._at]

    def _number(self, form: str, what: str) -> int:
        found: int = struct.unpack(form, self._take(struct.calcsize(form), what))[0]
        return found

    def _text(self, what: str) -> str:
        size = self._number("<Q", what)
        try:
            return str(self._take(size, what), "utf-8")
        except UnicodeDecodeError:
            raise _MalformedError(f"{what} must be UTF-8 text, at byte {self._at - size}") from None

    def _field(self, key: str) -> Field:
        kind = self._number("<I", f"the type of {shown(key)}")
        if kind == _TEXT:
            return self._text(shown(key))
        if kind in _SCALARS:
            value: Field = self._numbers(kind, 1, key)[0].item()
            return value
        if kind != _LIST:
            raise _MalformedError(f"{shown(key)} must have a type from 0 to 12, not {kind}")
        kind, count = self._number("<I", shown(key)), self._number("<Q", shown(key))
        if kind == _TEXT:
            self._require(8 * count, f"{count} texts of {shown(key)}")
            return tuple(self._text(shown(key)) for _ in range(count))
        if kind not in _SCALARS:
            raise _MalformedError(f"{shown(key)} must be a list of numbers or texts, not of type {kind}")
        return self._numbers(kind, count, key)

    def _numbers(self, kind: int, count: int, key: str) -> NDArray[Any]:
        dtype = np.dtype(_SCALARS[kind])
        data = np.frombuffer(self._take(dtype.itemsize * count, f"{count} numbers of {shown(key)}"), np.uint8)
        return data.astype(np.bool_) if dtype.kind == "b" else data.view(dtype)

    def _tensor(self, name: str) -> Tensor:
        """A tensor whose offset counts from the end of what is read here."""
        about = f"tensor {shown(name)}"
        axes = self._number("<I", about)
        if not 1 <= axes <= MAX_AXES:
            raise _MalformedError(f"{about} must have 1 to {MAX_AXES} axes, not {axes}")
        shape = tuple(reversed([self._number("<Q", about) for _ in range(axes)]))
        kind, offset = self._number("<I", about), self._number("<Q", about)
        if min(shape) < 1 or math.prod(shape) > MAX_VALUES:
            raise _MalformedError(f"{about} must hold 1 to {MAX_VALUES} numbers, not shape {shape}")
        if kind in FLOATS:
            return Tensor(shape, FLOATS[kind], offset, math.prod(shape) * (4 if kind == 0 else 2))
        if kind not in BLOCKS:
            given = OTHERS.get(kind, f"number {kind}")
            known = ", ".join([*FLOATS.values(), *BLOCKS.values()])
            raise _MalformedError(f"{about} must have one of the types {known}, not {given}")
        layout = LAYOUTS[BLOCKS[kind]]
        if shape[-1] % layout.numbers:
            raise _MalformedError(f"{about} must have rows of whole blocks of {layout.numbers}, not of {shape[-1]}")
        return Tensor(shape, BLOCKS[kind], offset, math.prod(shape) // layout.numbers * layout.bytes)

    def _placed(self, tensors: dict[str, Tensor], alignment: Field) -> dict[str, Tensor]:
        """Tensors with their places in the file, which must be there, aligned, and no other tensor's."""
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1) or alignment > 2**20:
            raise _MalformedError(f"general.alignment must be a power of two, not {shown(str(alignment))}")
        start, end = align_up(self._at, alignment), 0
        for name, tensor in sorted(tensors.items(), key=lambda item: item[1].offset):
            if tensor.offset % alignment or tensor.offset < end:
                raise _MalformedError(
                    f"tensor {shown(name)} must begin at a multiple of {alignment} behind byte {end} of the tensors, "
                    f"not at {tensor.offset}"
                )
            end = tensor.offset + tensor.bytes
            if start + end > len(self._data):
                raise _MalformedError(
                    f"tensor {shown(name)} must end inside the file of {len(self._data)} bytes, not at {start + end}"
                )
        return {name: tensor._replace(offset=start + tensor.offset) for name, tensor in tensors.items()}
