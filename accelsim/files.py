"""Files of others, which are read only if they are regular and of bounded size; and files of ours, written whole.

Whoever reads a file that came from elsewhere does it by `opened`, `read_bytes` or `read_text`; a library that takes a
path gets one that `require_regular` has let pass. So no pipe is waited for, no device is read without end, and no more
memory is taken than the reader states.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from accelsim.errors import AccelSimError, Fault, reason

#: What writes each file to the path that it is given, by the file's name; None for one that must not be there.
Files = Mapping[str, Callable[[Path], object] | None]

#: How the names of folders begin in which files are written before they are moved into place.
UNFINISHED = ".accelsim."

#: What files are that are not regular.
_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


@contextlib.contextmanager
def opened(path: Path, most: int, error: type[AccelSimError] = AccelSimError) -> Iterator[io.BufferedReader]:
    """Open a file from elsewhere for reading.

    Parameters
    ----------
    most
        Bytes that it may have.
    error
        What is raised.

    Raises
    ------
    AccelSimError
        Of the type `error`: if there is none, it is a folder, a pipe or a device, or it is larger.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)  # waits for no writer
    except (OSError, ValueError) as problem:
        raise error(Fault(f"must be a readable file: {reason(problem)}", str(path))) from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "none")
            raise error(Fault(f"must be a regular file, but is {kind}", str(path)))
        if status.st_size > most:
            raise error(Fault(f"must be at most {most} bytes, but is larger", str(path)))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            yield file
    except OSError as problem:
        raise error(Fault(f"must be a readable file: {reason(problem)}", str(path))) from None
    finally:
        os.close(descriptor)


def is_file(path: Path) -> bool:
    """Whether there is a file; none has a name that the system does not take, too long or with a NUL."""
    return _kind(path) not in {None, stat.S_IFDIR}


def is_folder(path: Path) -> bool:
    """Whether there is a folder."""
    return _kind(path) == stat.S_IFDIR


def _kind(path: Path) -> int | None:
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):
        return None


def require_regular(path: Path, most: int, error: type[AccelSimError] = AccelSimError) -> int:
    """Bytes of a file from elsewhere that a library opens itself; raises as `opened`."""
    with opened(path, most, error) as file:
        return os.fstat(file.fileno()).st_size


def read_bytes(path: Path, most: int, error: type[AccelSimError] = AccelSimError) -> bytes:
    """All of a file from elsewhere; raises as `opened`, and if it grows meanwhile or memory does not hold it."""
    with opened(path, most, error) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            found = file.read(size + 1)  # takes the memory for as many at once
        except MemoryError:
            raise error(Fault("must fit in this computer's memory, but does not", str(path))) from None
    if len(found) > size:
        raise error(Fault("must not be written while it is read, but is", str(path)))
    return found


def read_text(path: Path, most: int, error: type[AccelSimError] = AccelSimError) -> str:
    """Text of a file from elsewhere, a byte order mark left out; raises as `read_bytes`, and if it is not UTF-8."""
    try:
        return read_bytes(path, most, error).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(Fault(f"must be UTF-8 text, but byte {problem.start} is not", str(path))) from None


def hash_of(path: Path, most: int, error: type[AccelSimError] = AccelSimError) -> str:
    """Hash of a file from elsewhere, which takes no memory; raises as `opened`."""
    with opened(path, most, error) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_all(folder: Path, contents: Files) -> list[Path]:
    """Write files into a folder, which is made if need be: under other names first, then moved into place.

    They are written in a folder of their own whose name nobody can know, so no link leads elsewhere and two processes
    don't meet; and moved by one process at a time, so the files of two are not mixed.

    Parameters
    ----------
    contents
        The files.

    Returns
    -------
    Paths of those that were written.

    Raises
    ------
    AccelSimError
        If the folder can't be written.
    """
    files = {name: folder / name for name in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder, prefix=UNFINISHED))
    except (OSError, ValueError) as error:
        raise AccelSimError(Fault(f"must be a writable folder: {reason(error)}", str(folder))) from None
    try:
        for name, write in contents.items():
            if write:
                write(unfinished / name)
        with _alone(folder):
            for path in files.values():
                if path.is_dir():
                    raise AccelSimError(Fault("must be a file, but is a folder", str(path)))
            for name, path in files.items():
                if contents[name]:
                    (unfinished / name).replace(path)
                else:
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise AccelSimError(Fault(f"must be a writable folder: {reason(error)}", str(folder))) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return [path for name, path in files.items() if contents[name]]


def write_whole(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file, or its parts, so that nobody ever sees some alone; a link stays, what it points to is written.

    Raises
    ------
    AccelSimError
        If the file can't be written, or its folder does not exist.
    """
    try:
        path = path.resolve()
        if not path.parent.is_dir():
            raise AccelSimError(Fault("must be in a folder that exists", str(path)))
    except (OSError, RuntimeError, ValueError) as error:
        raise AccelSimError(Fault(f"must be a possible path: {reason(error)}", str(path))) from None
    write_all(path.parent, {path.name: partial(_write, [content] if isinstance(content, bytes) else content)})


def _write(parts: Iterable[bytes], path: Path) -> None:
    with path.open("wb") as file:
        file.writelines(parts)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let no other process move files into a folder meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # of a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
