"""Tensors of a directory: one safetensors file, or several that an index names."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError, safe_open

from accelsim.errors import Fault, WorkloadError, reason
from accelsim.graph.value import Shape
from accelsim.workload.importers import limits
from accelsim.workload.importers.huggingface.folder import Folder
from accelsim.workload.importers.json_text import unique
from accelsim.workload.importers.text import shown
from accelsim.workload.importers.transformer import Float32, Norm, Projection, Weight

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
#: Types of tensors that are read.
TYPES = ("F32", "F16", "BF16")
#: Bytes of a file's header, at most: more than that the library refuses, too.
MAX_HEADER_BYTES = 10**8


class _Stored(NamedTuple):
    """A tensor in a file.

    Parameters
    ----------
    read
        Reads its numbers.
    """

    file: str
    shape: Shape
    type: str
    read: Callable[[], Any]


@dataclass
class Checkpoint:
    """Tensors by name, each told of when nobody asked for it.

    Parameters
    ----------
    prefix
        What all names may begin with or not, depending on the class that saved them.
    """

    file: str
    tensors: dict[str, _Stored]
    prefix: str = ""
    _asked: set[str] = field(default_factory=set)

    @classmethod
    def open(cls, folder: Folder, prefix: str) -> Checkpoint:
        """Read what files say of their tensors.

        Raises
        ------
        WorkloadError
            If a file is missing, outside the folder or not whole, or numbers do not fit in memory.
        """
        if folder.has(INDEX):
            index = folder.object(INDEX)
            places = index.data.get("weight_map")
            if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
                raise WorkloadError(index.fault(("weight_map",), "must name the file of each tensor"))
            tensors: dict[str, _Stored] = {}
            for file in dict.fromkeys(places.values()):
                found = _read(folder, file)
                wanted = [name for name, place in places.items() if place == file]
                missing = [name for name in wanted if name not in found]
                if missing:
                    raise WorkloadError(
                        Fault(f"must hold {shown(missing[0])}, as {INDEX} says", found_in(folder, file))
                    )
                tensors |= {name: found[name] for name in wanted}
            where = index.file
        elif folder.has(WHOLE):
            tensors, where = _read(folder, WHOLE), found_in(folder, WHOLE)
        else:
            raise WorkloadError(
                Fault(f"must hold {WHOLE} or {INDEX}; other files of weights are not read", str(folder.path))
            )
        limits.require_memory(sum(math.prod(tensor.shape) for tensor in tensors.values()), where)
        return cls(where, tensors, prefix if any(name.startswith(prefix) for name in tensors) else "")

    def linear(self, name: str, inputs: int, outputs: int, *, bias: bool) -> Projection:
        """A layer whose weights stand output by output; errors as for `tensor`."""
        weight = Weight(self.tensor(f"{name}.weight", (outputs, inputs)).T)
        return Projection(weight, self.tensor(f"{name}.bias", (outputs,)) if bias else None)

    def norm(self, name: str, width: int, epsilon: float, *, beta: bool) -> Norm:
        """A normalization; errors as for `tensor`."""
        gamma = self.tensor(f"{name}.weight", (width,))
        return Norm(epsilon, gamma, self.tensor(f"{name}.bias", (width,)) if beta else None)

    def has(self, name: str) -> bool:
        """Whether there is a tensor."""
        return self.prefix + name in self.tensors or name in self.tensors

    def tensor(self, name: str, shape: Shape) -> Float32:
        """Numbers of a tensor, float32.

        Raises
        ------
        WorkloadError
            If it is missing, has another shape or another type than floats, or numbers that are not finite.
        """
        name = name if name in self.tensors else self.prefix + name
        if name not in self.tensors:
            raise WorkloadError(Fault(f"must have a tensor {name}, which is missing", self.file))
        self._asked.add(name)
        stored = self.tensors[name]
        if stored.type not in TYPES:
            raise _fault(stored.file, name, f"must have one of the types {', '.join(TYPES)}, not {stored.type}")
        if stored.shape != shape:
            raise _fault(stored.file, name, f"must have shape {shape}, not {stored.shape}")
        try:
            numbers: Float32 = stored.read().astype(np.float32, copy=False)
        except (SafetensorError, OSError, ValueError) as error:
            raise _fault(stored.file, name, f"must be readable: {error}") from None
        if not np.isfinite(numbers).all():
            raise _fault(stored.file, name, "must be finite, but some numbers are not")
        return numbers

    def check_all_read(self, unread: str) -> None:
        """Refuse a tensor that nobody asked for and that does not match a pattern of names that mean nothing.

        Raises
        ------
        WorkloadError
            If there is one.
        """
        for name in sorted(self.tensors.keys() - self._asked):
            if not re.fullmatch(unread, name.removeprefix(self.prefix)):
                raise _fault(self.tensors[name].file, name, "must be one of the architecture's, but is none")


def found_in(folder: Folder, file: str) -> str:
    """A file as faults name it."""
    return str(folder.path / file)


def _fault(file: str, name: str, message: str) -> WorkloadError:
    return WorkloadError(Fault(f"tensor {shown(name)}: {message}", file))


def _read(folder: Folder, file: str) -> dict[str, _Stored]:
    """Tensors of one file."""
    path, where = folder.file(file), found_in(folder, file)
    try:
        _check_unique(path)
        handle: Any = safe_open(path, framework="numpy")
        slices = {name: handle.get_slice(name) for name in handle.keys()}  # noqa: SIM118 - it is no mapping
    except SafetensorError as error:
        raise WorkloadError(Fault(f"must be a whole safetensors file: {error}", where)) from None
    except (OSError, ValueError, RecursionError) as error:
        raise WorkloadError(Fault(f"must be a readable safetensors file: {reason(error)}", where)) from None
    return {
        name: _Stored(where, tuple(part.get_shape()), part.get_dtype(), partial(handle.get_tensor, name))
        for name, part in slices.items()
    }


def _check_unique(path: Path) -> None:
    """Refuse a header that has a name twice, of which the library takes the last."""
    with path.open("rb") as stream:
        start = stream.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        header = stream.read(size) if size <= MAX_HEADER_BYTES else b""
    if header.startswith(b"{"):  # of others the library tells
        try:
            json.loads(header, object_pairs_hook=unique)
        except (json.JSONDecodeError, UnicodeDecodeError):
            return
