"""Files of a result: all of them appear whole, or none does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from accelsim.errors import AccelSimError, Fault, reason

#: What writes each file to the path that it is given, by the file's name.
Files = Mapping[str, Callable[[Path], object]]


def write_all(folder: Path, contents: Files) -> list[Path]:
    """Write files into a folder, which is made if need be: under other names first, then moved into place.

    Parameters
    ----------
    contents
        The files.

    Raises
    ------
    AccelSimError
        If the folder can't be written.
    """
    files = {name: folder / name for name in contents}
    partial = {name: folder / f".{name}.partial" for name in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, write in contents.items():
            write(partial[name])
        for path in files.values():
            if path.is_dir():
                raise AccelSimError(Fault("must be a file, but is a folder", str(path)))
        for name, path in files.items():
            partial[name].replace(path)
    except OSError as error:
        raise AccelSimError(Fault(f"must be a writable folder: {reason(error)}", str(folder))) from None
    finally:
        for path in partial.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return list(files.values())
