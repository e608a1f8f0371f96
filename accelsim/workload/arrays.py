"""Arrays of numpy's .npz files, hostile until they are read here."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from accelsim.computer import memory_bytes
from accelsim.errors import Fault, WorkloadError, reason
from accelsim.files import hash_of, require_regular

#: Most bytes and most arrays of a file.
MAX_BYTES, MAX_ARRAYS = 2**36, 1000


def read_arrays(path: Path) -> tuple[Mapping[str, NDArray[Any]], str]:
    """Read an .npz file.

    Returns
    -------
    Its arrays by name, and its SHA-256.

    Raises
    ------
    WorkloadError
        If it is no whole file of arrays of numbers, or they don't fit in this computer's memory.
    """
    require_regular(path, MAX_BYTES, WorkloadError)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _names(archive, path)
            found = {member.removesuffix(".npy"): _array(archive, member, path) for member in members}
        return found, hash_of(path, MAX_BYTES, WorkloadError)
    except (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, WorkloadError):
            raise
        raise _fault(path, f"must be a whole .npz file: {reason(error)}") from None


def _fault(path: Path, message: str, key: str = "") -> WorkloadError:
    return WorkloadError(Fault(message, str(path), key=key))


def _names(archive: zipfile.ZipFile, path: Path) -> list[str]:
    """Members of an archive that are arrays, all of which together fit in memory."""
    members = archive.infolist()
    names = [member.filename for member in members]
    if len(names) > MAX_ARRAYS or len({*names}) < len(names):
        raise _fault(path, f"must hold at most {MAX_ARRAYS} arrays of different names")
    other = [name for name in names if not name.endswith(".npy")]
    if other:
        raise _fault(path, f"must hold arrays alone, not {other[0]!r}")
    size, there = sum(member.file_size for member in members), memory_bytes()
    if size > there:
        raise _fault(path, f"must fit in {there} bytes of memory, not say that it holds {size}")
    return names


def _array(archive: zipfile.ZipFile, member: str, path: Path) -> NDArray[Any]:
    """An array whose header says no more than its member holds."""
    name = member.removesuffix(".npy")
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(stream)
        if dtype.hasobject or dtype.kind not in "biuf":
            raise _fault(path, f"must be numbers, not {dtype}", name)
        size, held = dtype.itemsize * int(np.prod(shape, dtype=object)), archive.getinfo(member).file_size
        if size > held:
            raise _fault(path, f"must hold the {size} bytes that its shape {shape} has, not {held}", name)
    with archive.open(member) as stream:
        found: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
        return found
