"""Loops compiled by numba: arrays in, arrays out, nothing else.

numba's cache on disk goes stale in silence when a helper in another file changes. So the cache folder is named by the
hash of all kernel sources and of numba's version: an edited kernel finds an empty folder. Two processes that save two
types of one kernel at once could make numba find one under the other's name; here one waits for the other. Both are
set while the kernels are decorated, and put back after, so that other users of numba in the process keep theirs.

ACCELSIM_CACHE_DIR names another place than the user's cache folder; where neither can be written, a folder that
lives as long as the process takes its place.
"""

from __future__ import annotations

import atexit
import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numba
from numba.core import caching

__all__ = [
    "CACHE_FOLDER",
    "borrowing",
    "classes",
    "clocks",
    "counting",
    "crossing",
    "crossing_records",
    "decode",
    "dma",
    "dram",
    "dram_records",
    "engine",
    "engine_records",
    "execute",
    "handover",
    "hazards",
    "lanes",
    "nm",
    "occupied",
    "products",
    "records",
    "requantize",
    "second_level",
    "sparse_lanes",
    "strides",
    "swaps",
    "tiles",
    "windows",
]


def _sources_hash() -> str:
    digest = hashlib.sha256(f"{numba.__version__}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _cache_folder() -> Path:
    user = os.environ.get("ACCELSIM_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        folder = Path(user).expanduser() / "accelsim" / f"kernels-{_sources_hash()}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 4096)
    except (OSError, RuntimeError):
        folder = Path(tempfile.mkdtemp(prefix="accelsim-kernels-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class OneAtATime(caching.IndexDataCacheFile):
    """The cache of a kernel, to which one process at a time adds a type, under a name that no other has taken."""

    def save(self, key: Any, data: Any) -> None:
        """Add the machine code of a type."""
        with Path(f"{self._index_path}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed
            super().save(key, data)  # type: ignore[no-untyped-call] # numba has no types


CACHE_FOLDER = _cache_folder()
_previous, _files = numba.config.CACHE_DIR, caching.IndexDataCacheFile  # type: ignore[attr-defined] # at run time
caching.IndexDataCacheFile = OneAtATime  # type: ignore[misc] # the decorators look it up by this name
numba.config.CACHE_DIR = str(CACHE_FOLDER)  # type: ignore[attr-defined]
from accelsim.kernels import (  # noqa: E402 - the decorators read the folder
    borrowing,
    classes,
    clocks,
    counting,
    crossing,
    crossing_records,
    decode,
    dma,
    dram,
    dram_records,
    engine,
    engine_records,
    execute,
    handover,
    hazards,
    lanes,
    nm,
    occupied,
    products,
    records,
    requantize,
    second_level,
    sparse_lanes,
    strides,
    swaps,
    tiles,
    windows,
)

numba.config.CACHE_DIR = _previous  # type: ignore[attr-defined]
caching.IndexDataCacheFile = _files  # type: ignore[misc] # as it was
