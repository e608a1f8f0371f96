"""Checkpoints as PyTorch writes them, without PyTorch: its pickles name functions that need only have its names."""

from __future__ import annotations

import io
import pickle
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_CLASSES = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}


def _rebuild_tensor_v2(*arguments: Any) -> None:
    """Never called."""


class _Storage:
    """What a pickle names by its place outside."""

    def __init__(self, key: str, data: NDArray[Any]) -> None:
        self.key, self.data = key, data


class _Tensor:
    """What a pickle rebuilds."""

    def __init__(self, key: str, data: NDArray[Any]) -> None:
        self.storage, self.data = _Storage(key, data), data

    def __reduce__(self) -> tuple[Any, ...]:
        sides, strides = self.data.shape, [stride // self.data.itemsize for stride in self.data.strides]
        return sys.modules["torch._utils"]._rebuild_tensor_v2, (
            self.storage, 0, sides, tuple(strides), False, OrderedDict()
        )  # fmt: skip


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, _Storage):
            kind = getattr(sys.modules["torch"], _CLASSES[obj.data.dtype.name])
            return "storage", kind, obj.key, "cpu", obj.data.size, None
        return None


@contextmanager
def _names() -> Iterator[None]:
    """Modules of PyTorch's names."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    _rebuild_tensor_v2.__module__ = "torch._utils"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    for name in _CLASSES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    with mock.patch.dict(sys.modules, {"torch": torch, "torch._utils": utils}):
        yield


def _pickled(state: Any) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, 2).dump(state)
    return stream.getvalue()


def stream(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """A checkpoint as it was until PyTorch 1.5."""
    with _names():
        state = OrderedDict((name, _Tensor(str(100 + i), x)) for i, (name, x) in enumerate(tensors.items()))
        parts = [pickle.dumps(part, 2) for part in (_MAGIC, _PROTOCOL, {"little_endian": True})]
        keys = [tensor.storage.key for tensor in state.values()]
        parts += [_pickled(state), pickle.dumps(keys, 2)]
    parts += [np.int64(x.size).tobytes() + np.ascontiguousarray(x).tobytes() for x in tensors.values()]
    return b"".join(parts)


def archive(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """A checkpoint as it is since then."""
    out = io.BytesIO()
    with _names(), zipfile.ZipFile(out, "w") as members:
        state = OrderedDict((name, _Tensor(str(i), x)) for i, (name, x) in enumerate(tensors.items()))
        members.writestr("model/data.pkl", _pickled(state))
        for i, x in enumerate(tensors.values()):
            members.writestr(f"model/data/{i}", np.ascontiguousarray(x).tobytes())
    return out.getvalue()
