"""Safetensors files beside a workload file, hostile until they are read here."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from accelsim.config.load import Document
from accelsim.config.tree import Path_
from accelsim.errors import AccelSimError, Fault, reason, unknown_name
from accelsim.files import hash_of

MAX_TENSOR_FILE_BYTES = 2**36


class TensorFiles:
    """Reads and checks tensors of the files that a workload file names; collects faults instead of raising.

    Parameters
    ----------
    document
        The workload file, at whose keys faults lie.
    folder
        Its folder, which no path leaves.
    """

    def __init__(self, document: Document, folder: Path) -> None:
        self._document = document
        self._folder = folder.resolve()
        self._files: dict[str, Any] = {}
        self._names: dict[str, frozenset[str]] = {}
        self.faults: list[Fault] = []
        self.sha256: dict[str, str] = {}

    def fault(self, key: Path_, message: str) -> None:
        """Note a fault, once."""
        fault = self._document.fault(key, message)
        if fault not in self.faults:
            self.faults.append(fault)

    def path(self, key: Path_, file: str) -> Path | None:
        """Path of a file in the folder; a fault, and None, if it is outside."""
        try:
            path = (self._folder / file).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            self.fault(key, f"must be a readable file: {file}: {reason(error)}")
            return None
        if path.is_relative_to(self._folder):
            return path
        self.fault(key, f"must be a file inside the workload's folder, not {file!r}")
        return None

    def tensor(
        self, key: Path_, of_file: Path_, file: str, name: str, shape: tuple[int | None, ...], dtypes: Collection[str]
    ) -> NDArray[Any]:
        """A tensor; of no numbers after a fault, whatever the shape promises.

        Parameters
        ----------
        key, of_file
            Where the workload file names the tensor and its file.
        shape
            Sides that it must have, None for any.
        dtypes
            Types that it may have, by safetensors' names.
        """
        empty = np.zeros([0] * len(shape), np.float32)
        handle = self.open(of_file, file)
        if handle is None:
            return empty
        if name not in self.names(file):
            self.fault(key, unknown_name(f"tensor of {file}", name, self.names(file)))
            return empty
        view = handle.get_slice(name)
        given, dtype = tuple(view.get_shape()), view.get_dtype()
        if dtype not in dtypes:
            self.fault(key, f"must be a tensor of type {' or '.join(sorted(dtypes))}, not {dtype}")
            return empty
        if len(given) != len(shape) or any(w is not None and w != g for w, g in zip(shape, given, strict=True)):
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            self.fault(key, f"must have shape ({wanted}), not ({', '.join(map(str, given))})")
            return empty
        tensor: NDArray[Any] = handle.get_tensor(name)
        return tensor

    def names(self, file: str) -> frozenset[str]:
        """Names of the tensors of a file that is open."""
        if file not in self._names:
            self._names[file] = frozenset(self._files[file].keys())
        return self._names[file]

    def open(self, key: Path_, file: str) -> Any:
        """The open file; None after a fault."""
        if file in self._files:
            return self._files[file]
        self._files[file] = None
        try:
            path = self.path(key, file)
            if path is None:
                return None
            self.sha256[file] = hash_of(path, MAX_TENSOR_FILE_BYTES)
            self._files[file] = safe_open(path, framework="numpy")
        except AccelSimError as error:
            why = error.faults[0].message.removeprefix("must be a readable file: ")
            self.fault(key, f"must be a readable file: {file}: {why}")
        except (OSError, ValueError, RuntimeError) as error:
            self.fault(key, f"must be a readable file: {file}: {reason(error)}")
        except SafetensorError as error:
            self.fault(key, f"must be a whole safetensors file: {file}: {error}")
        return self._files[file]
