"""Bytes of a model and of its external tensors; nothing is believed of a file before its size is known."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import Fault, WorkloadError, reason
from accelsim.files import read_bytes
from accelsim.workload.importers.onnx.dtypes import DTYPES, name_of
from accelsim.workload.importers.onnx.faults import RefusedError, UnknownTypeError, short

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

#: Largest file of protobuf.
MAX_FILE_BYTES = 2**31
#: How often external files' bytes may be read: tensors may share some, but not all of them over and over.
MAX_TIMES_READ = 4
_EXTERNAL = 1
#: Where numbers of a type stand if not as raw bytes.
_FIELDS = {
    "float32": "float_data",
    "float64": "double_data",
    "int64": "int64_data",
    "uint32": "uint64_data",
    "uint64": "uint64_data",
}


@dataclass
class Folder:
    """Files beside a model that its tensors may lie in.

    Parameters
    ----------
    path
        Of the folder, without links.
    sha256
        Hash of each file that was read, by name.
    """

    path: Path
    sha256: dict[str, str]
    _sizes: dict[Path, int] = field(default_factory=dict)
    _read: int = 0

    def numbers(self, location: str, offset: int, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        """So many numbers of a file, which take memory only as they are read.

        Raises
        ------
        RefusedError
            If the file is not inside the folder, or does not hold them.
        """
        path, nbytes = self._file(location), count * dtype.itemsize
        size = self._sizes[path]
        if offset < 0 or offset + nbytes > size:
            raise RefusedError(f"must lie in {short(location)}, which has {size} bytes, not at {offset} + {nbytes}")
        self._read += nbytes
        if self._read > MAX_TIMES_READ * sum(self._sizes.values()):
            raise RefusedError(f"must not be the bytes of {short(location)} that others are, over and over")
        if count == 0:
            return np.zeros(0, dtype)
        return np.memmap(path, dtype, "r", offset, (count,))

    def _file(self, location: str) -> Path:
        """Path of a file inside the folder, its size and hash known."""
        pure = PurePosixPath(location)
        odd = not location or "\0" in location or "\\" in location or PureWindowsPath(location).drive
        if odd or pure.is_absolute() or ".." in pure.parts:
            raise RefusedError(f"must lie in a file of the model's folder, not in {short(location)!r}")
        try:
            path = (self.path / pure).resolve(strict=True)
            if not path.is_relative_to(self.path):
                raise RefusedError(f"must lie in a file of the model's folder, not where {short(location)!r} links to")
            if path not in self._sizes:
                status = path.stat()
                if not stat.S_ISREG(status.st_mode):
                    raise RefusedError(f"must lie in a file, not in {short(location)!r}")
                with path.open("rb") as stream:
                    self.sha256[str(path.relative_to(self.path))] = hashlib.file_digest(stream, "sha256").hexdigest()
                self._sizes[path] = status.st_size
        except (OSError, RuntimeError) as error:  # of a loop of links
            raise RefusedError(f"must lie in a readable file, but {short(location)!r}: {reason(error)}") from None
        return path


def read_model(path: Path) -> tuple[ModelProto, Folder]:
    """Read a model, external tensors apart.

    Raises
    ------
    WorkloadError
        If it can't be read, is too large, or is no whole protobuf of a model.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    content, folder = read_bytes(path, MAX_FILE_BYTES, WorkloadError), path.parent.resolve()
    try:
        model = ModelProto.FromString(content)
    except DecodeError:
        raise WorkloadError(Fault("must be a whole ONNX model, but is no protobuf of one", str(path))) from None
    return model, Folder(folder, {path.name: hashlib.sha256(content).hexdigest()})


def numbers(tensor: TensorProto, folder: Folder) -> NDArray[Any]:
    """Numbers of a tensor, of its own type and shape.

    Raises
    ------
    RefusedError
        If its type is unknown, or its numbers are not as many as its shape says.
    """
    from onnx import numpy_helper

    if tensor.data_type not in DTYPES:
        raise UnknownTypeError(f"must be numbers of a known type, not {name_of(tensor.data_type)}")
    if tensor.HasField("segment"):
        raise RefusedError("must stand whole, not in segments")
    dtype = DTYPES[tensor.data_type]
    shape = tuple(tensor.dims)
    count = count_of(shape)
    if tensor.data_location == _EXTERNAL:
        return _external(tensor, folder, dtype, count).reshape(shape)
    given = len(getattr(tensor, _FIELDS.get(dtype.name, "int32_data")))
    if tensor.HasField("raw_data"):
        if len(tensor.raw_data) != count * dtype.itemsize:
            text = f"must be {count * dtype.itemsize} bytes for its shape {shown(shape)}, not {len(tensor.raw_data)}"
            raise RefusedError(text)
    elif given != count:
        raise RefusedError(f"must be {count} numbers for its shape {shown(shape)}, not {given}")
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, OverflowError, TypeError) as error:
        raise RefusedError(f"must be numbers of its type: {error}") from None


def _external(tensor: TensorProto, folder: Folder, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """Numbers that lie in another file."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if not all(isinstance(text, str) for text in entries.values()):
        raise RefusedError("must lie in a file whose name is UTF-8")
    place = {}
    for key, usual in (("offset", 0), ("length", count * dtype.itemsize)):
        text = entries.get(key, str(usual))
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise RefusedError(f"must have its {key} in bytes, not {short(text)!r}")
        place[key] = int(text)
    if place["length"] != count * dtype.itemsize:
        raise RefusedError(f"must be {count * dtype.itemsize} bytes for its shape, not {place['length']}")
    return folder.numbers(entries.get("location", ""), place["offset"], dtype, count)


def count_of(shape: tuple[int, ...]) -> int:
    """Numbers of a shape from a file.

    Raises
    ------
    RefusedError
        If it is no shape, or larger than any memory.
    """
    if len(shape) > MAX_RANK or any(size < 0 for size in shape):
        raise RefusedError(f"must have at most {MAX_RANK} axes of 0 or more numbers, not {shown(shape)}")
    count = 1
    for size in shape:
        count *= size
        if size and count > MAX_NUMBERS:
            raise RefusedError(f"must be at most {MAX_NUMBERS} numbers, not {shown(shape)}")
    return count


def shown(shape: tuple[int, ...]) -> str:
    """A shape as faults quote it."""
    text = "x".join(map(str, shape[: MAX_RANK + 1])) or "()"
    return short(text)


#: Most axes of a tensor, and most numbers.
MAX_RANK = 16
MAX_NUMBERS = 2**34
