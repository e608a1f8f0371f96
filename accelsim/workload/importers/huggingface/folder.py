"""Files of a directory, and their hashes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from accelsim.config.load import Document
from accelsim.errors import Fault, WorkloadError, reason
from accelsim.files import hash_of, is_file
from accelsim.workload.importers.json_text import read_object
from accelsim.workload.importers.text import shown

#: Bytes of a file at most.
MAX_FILE_BYTES = 2**40


@dataclass(frozen=True, eq=False)
class Folder:
    """A directory, of which no file is read that lies elsewhere."""

    path: Path
    sha256: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return is_file(self.path / name)

    def file(self, name: str) -> Path:
        """A file whose hash is noted; `name` may have come from another file.

        Raises
        ------
        WorkloadError
            If it can't be read, or a link or a path leads out of the folder.
        """
        path = self.path / name
        try:
            if not path.resolve().is_relative_to(self.path.resolve()):
                hint = "; cp -rL copies a folder without links" if path.is_symlink() else ""
                message = f"must be a file inside {self.path}, which {shown(name)} leads out of{hint}"
                raise WorkloadError(Fault(message, str(path)))
            if not is_file(path):
                raise WorkloadError(Fault("must be a file, but there is none", str(path)))
            self.sha256[name] = hash_of(path, MAX_FILE_BYTES, WorkloadError)
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(error, WorkloadError):
                raise
            raise WorkloadError(Fault(f"must be a readable file: {reason(error)}", str(path))) from None
        return path

    def object(self, name: str) -> Document:
        """The JSON object of a file; errors as for `file`."""
        return read_object(self.file(name))
