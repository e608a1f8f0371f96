"""Where compiled kernels are kept, and how processes that compile side by side share them.

numba's cache on disk goes stale in silence when a helper in another file changes. So the cache folder is named by the
hash of all kernel sources and of numba's version: an edited kernel finds an empty folder. Two processes that save two
types of one kernel at once could make numba find one under the other's name; here one waits for the other, and whoever
lacks a kernel that another process is compiling waits for that. Kernels call each other in no circle, so nobody waits
for ever; what a process holds when it dies is free.

ACCELSIM_CACHE_DIR names another place than the user's cache folder; where neither can be written, a folder that
lives as long as the process takes its place.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numba
from numba.core import caching, types
from numba.core.registry import CPUDispatcher
from numba.core.target_extension import CPU, dispatcher_registry


def _sources_hash() -> str:
    digest = hashlib.sha256(f"{numba.__version__}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    user = os.environ.get("ACCELSIM_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    within = Path("accelsim") / f"kernels-{_sources_hash()}"
    try:
        folder = Path(user).expanduser() / within
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 4096)
    except (OSError, RuntimeError):
        temporary = tempfile.mkdtemp(prefix="accelsim-kernels-")
        atexit.register(shutil.rmtree, temporary, ignore_errors=True)
        folder = Path(temporary) / within
        folder.mkdir(parents=True)
    return folder


CACHE_FOLDER = _cache_folder()


def claim(name: str) -> TextIOWrapper | None:
    """A file that no other process has claimed, until it is closed; None if one has."""
    file = (CACHE_FOLDER / f"{name}.claim").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


class OneAtATime(caching.IndexDataCacheFile):
    """The cache of a kernel, to which one process at a time adds a type, under a name that no other has taken."""

    def __init__(self, cache_path: Any, filename_base: Any, source_stamp: Any) -> None:
        super().__init__(cache_path, filename_base, source_stamp)  # type: ignore[no-untyped-call] # numba has no types
        self._lock: TextIOWrapper | None = None

    def load(self, key: Any) -> Any:
        """Machine code of a type; None if there is none, and until it is saved no other process will find so."""
        found = super().load(key)  # type: ignore[no-untyped-call] # as above
        if found is None and self._lock is None:
            self._take()
            found = super().load(key)  # type: ignore[no-untyped-call] # as above
            if found is not None:
                self._leave()
        return found

    def save(self, key: Any, data: Any) -> None:
        """Add the machine code of a type; where there is no room for it, this process alone has it."""
        if self._lock is None:
            self._take()
        try:
            with contextlib.suppress(OSError):
                super().save(key, data)  # type: ignore[no-untyped-call] # as above
        finally:
            self._leave()

    def has(self, key: Any) -> bool:
        """Whether there is machine code of a type."""
        return key in self._load_index()  # type: ignore[no-untyped-call] # as above

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            Path(self._cache_path).mkdir(parents=True, exist_ok=True)
            self._lock = Path(f"{self._index_path}.lock").open("w")  # noqa: SIM115 - until `_leave`
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def _leave(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class Kernel(CPUDispatcher):
    """A kernel that is compiled for the types of its arguments, not once more for each constant that it is given."""

    targetctx: Any
    _cache: Any

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Find, or compile, what another kernel calls."""
        plain: Any = types.unliteral
        return super().get_call_template(tuple(map(plain, args)), {name: plain(kind) for name, kind in kws.items()})

    def is_kept(self, arguments: tuple[Any, ...]) -> bool:
        """Whether the cache has it for arguments of some types."""
        self.targetctx.refresh()
        key = self._cache._index_key(arguments, self.targetctx.codegen())
        return bool(self._cache._cache_file.has(key))


@contextlib.contextmanager
def decorating() -> Iterator[None]:
    """Have numba's decorators make such kernels with such caches, and no others once that is over."""
    before = numba.config.CACHE_DIR, caching.IndexDataCacheFile, dispatcher_registry.pop(CPU)  # type: ignore[attr-defined] # at run time
    numba.config.CACHE_DIR = str(CACHE_FOLDER)  # type: ignore[attr-defined] # as above
    caching.IndexDataCacheFile = OneAtATime  # type: ignore[misc] # they look it up by this name
    dispatcher_registry[CPU] = Kernel
    try:
        yield
    finally:
        del dispatcher_registry[CPU]
        numba.config.CACHE_DIR, caching.IndexDataCacheFile, dispatcher_registry[CPU] = before  # type: ignore[attr-defined,misc] # as above
