"""Tensors of PyTorch's checkpoints, read without running them.

A checkpoint is a pickle, whose instructions could call anything. Here they are told by `pickletools.genops`, which runs
nothing, and followed on a stack of plain data: what would be called is noted, and only the one call that rebuilds a
tensor from its storage has a meaning. Both layouts are read: the stream of pickles with storages behind (until PyTorch
1.5), and the archive of `data.pkl` and a file for each storage.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import Fault, WorkloadError, reason
from accelsim.files import hash_of, opened, read_bytes

Float32 = NDArray[np.float32]
#: Classes of storages that are read, and their types.
_STORAGES = {"torch FloatStorage": "<f4", "torch HalfStorage": "<f2", "torch DoubleStorage": "<f8",
             "torch LongStorage": "<i8", "torch IntStorage": "<i4"}  # fmt: skip
#: Largest file, and most instructions of a pickle.
MAX_BYTES, MAX_INSTRUCTIONS = 2**34, 10**7
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(frozen=True, slots=True)
class _Call:
    """What a pickle would call, and with what."""

    function: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class _Storage:
    """A storage that a pickle names."""

    type: str
    key: str
    numbers: int


class _RefusedError(ValueError):
    """A checkpoint is none, or holds what is not read."""


def read_checkpoint(path: Path) -> tuple[dict[str, NDArray[Any]], str]:
    """Read the tensors of a checkpoint that holds a state dictionary.

    Returns
    -------
    The tensors by name, and the file's SHA-256.

    Raises
    ------
    WorkloadError
        If the file is none, or holds anything else.
    """
    with opened(path, MAX_BYTES, WorkloadError) as file:
        is_archive = file.read(2) == b"PK"
    raw = b"" if is_archive else read_bytes(path, MAX_BYTES, WorkloadError)
    try:
        tensors = _of_archive(path) if is_archive else _of_stream(raw)
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise WorkloadError(Fault(f"must be a readable checkpoint: {reason(error)}", str(path))) from None
    except _RefusedError as error:
        raise WorkloadError(Fault(str(error), str(path))) from None
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise WorkloadError(Fault(f"must be a whole checkpoint of PyTorch: {reason(error)}", str(path))) from None
    return tensors, hash_of(path, MAX_BYTES, WorkloadError)


def _of_stream(raw: bytes) -> dict[str, NDArray[Any]]:
    """Tensors of a stream: magic number, version, system, state, keys of storages, then these."""
    stream = io.BytesIO(raw)
    if _followed(stream) != _LEGACY_MAGIC:
        raise _RefusedError("must be a checkpoint of PyTorch")
    _followed(stream)
    _followed(stream)
    state, keys = _followed(stream), _followed(stream)
    kinds = {storage.key: storage for storage in _storages(state)}
    data: dict[str, NDArray[Any]] = {}
    for key in keys:
        storage = kinds[key]
        numbers = int.from_bytes(stream.read(8), "little")
        data[key] = _numbers(storage, stream.read(_size(storage)), numbers)
    return _tensors(state, data)


def _of_archive(path: Path) -> dict[str, NDArray[Any]]:
    """Tensors of an archive."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1 or archive.getinfo(names[0]).file_size > MAX_BYTES:
            raise _RefusedError("must be a checkpoint of PyTorch, with one data.pkl")
        root = names[0].removesuffix("data.pkl")
        state = _followed(io.BytesIO(archive.read(names[0])))
        data = {}
        for storage in _storages(state):
            member = f"{root}data/{storage.key}"
            if archive.getinfo(member).file_size != _size(storage):
                raise _RefusedError(f"storage {storage.key[:40]!r} must have {_size(storage)} bytes")
            data[storage.key] = _numbers(storage, archive.read(member), storage.numbers)
    return _tensors(state, data)


def _size(storage: _Storage) -> int:
    return storage.numbers * np.dtype(_STORAGES[storage.type]).itemsize


def _numbers(storage: _Storage, raw: bytes, numbers: int) -> NDArray[Any]:
    if numbers != storage.numbers or len(raw) != _size(storage):
        raise _RefusedError(f"storage {storage.key[:40]!r} must have {_size(storage)} bytes")
    return np.frombuffer(raw, _STORAGES[storage.type])


def _followed(stream: io.BytesIO) -> Any:  # noqa: C901, PLR0912, PLR0915 - one case an instruction
    """What the next pickle of a stream builds, as plain data."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        low = marks.pop()
        items = stack[low:]
        del stack[low:]
        return items

    for number, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if number > MAX_INSTRUCTIONS:
            raise _RefusedError(f"must have at most {MAX_INSTRUCTIONS} instructions")
        match opcode.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case "MARK":
                marks.append(len(stack))
            case "GLOBAL":
                stack.append(_Call(str(argument), None))
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINSTRING" | "SHORT_BINSTRING" | "BINFLOAT":
                stack.append(argument)
            case "BININT" | "BININT1" | "BININT2" | "LONG1":
                stack.append(argument)
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(since_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(opcode.name[-1])
                stack[-count:] = [tuple(stack[-count:])]
            case "APPEND":
                item = stack.pop()
                _of(stack[-1], list).append(item)
            case "APPENDS":
                items = since_mark()
                _of(stack[-1], list).extend(items)
            case "SETITEM":
                pairs = stack[-2:]
                del stack[-2:]
                _update(stack[-1], pairs)
            case "SETITEMS":
                pairs = since_mark()
                _update(stack[-1], pairs)
            case "REDUCE":
                arguments = stack.pop()
                stack[-1] = _called(_of(stack[-1], _Call), arguments)
            case "BUILD":
                stack.pop()  # attributes of what was built, which no tensor needs
            case "BINPERSID":
                stack[-1] = _storage(stack[-1])
            case "BINPUT" | "LONG_BINPUT":
                memo[_of(argument, int)] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[_of(argument, int)])
            case _:
                raise _RefusedError(f"must hold tensors alone, not what the instruction {opcode.name} builds")
    raise _RefusedError("must be whole")


def _of(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise _RefusedError("must be a well-formed pickle")
    return value


def _update(target: Any, pairs: list[Any]) -> None:
    _of(target, dict).update(zip(pairs[::2], pairs[1::2], strict=True))


def _called(call: _Call, arguments: Any) -> Any:
    """What a call gives: a dictionary, or what rebuilds a tensor."""
    if call.function == "collections OrderedDict":
        return {}
    if call.function in {"torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"}:
        return _Call(call.function, arguments)
    raise _RefusedError(f"must hold tensors alone, not call {call.function[:80]!r}")


def _storage(named: Any) -> _Storage:
    """A storage by what a pickle says of it: its class, key, place and size."""
    what, kind, key, _, numbers = named[:5]
    if what != "storage" or not isinstance(kind, _Call) or kind.function not in _STORAGES:
        raise _RefusedError(f"must hold tensors of floats and integers, not {getattr(kind, 'function', kind)!r:.80}")
    if not isinstance(key, str) or not isinstance(numbers, int) or not 0 <= numbers < MAX_BYTES:
        raise _RefusedError("must name storages and their sizes")
    return _Storage(kind.function, key, numbers)


def _rebuilt(value: Any) -> _Call | None:
    """The call that rebuilds a tensor, a parameter's inside it."""
    if isinstance(value, _Call) and value.function.endswith("_rebuild_parameter"):
        value = value.arguments[0]
    return value if isinstance(value, _Call) and value.function.endswith("_rebuild_tensor_v2") else None


def _storages(state: Any) -> list[_Storage]:
    """Storages of all tensors of a state, once each."""
    calls = (_rebuilt(value) for value in _of(state, dict).values())
    found = {call.arguments[0].key: call.arguments[0] for call in calls if call}
    return list(found.values())


def _tensors(state: Any, data: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Tensors of a state by name, as views of their storages."""
    found = {}
    for name, value in state.items():
        call = _rebuilt(value)
        if call is None or not isinstance(name, str):
            raise _RefusedError(f"must hold tensors by name alone, not {str(name)[:40]!r}")
        storage, offset, shape, strides = call.arguments[:4]
        numbers = data[storage.key]
        sides = [*shape, *strides, offset]
        if len(shape) != len(strides) or not all(isinstance(side, int) and side >= 0 for side in sides):
            raise _RefusedError(f"tensor {name[:40]!r} must have a shape, strides and a place")
        last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
        if math.prod(shape) and last >= len(numbers):
            raise _RefusedError(f"tensor {name[:40]!r} must lie in its storage")
        item = numbers.dtype.itemsize
        found[name] = np.lib.stride_tricks.as_strided(
            numbers[offset:], shape, [item * stride for stride in strides], writeable=False
        )
    return found
