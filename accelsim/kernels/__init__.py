"""Loops compiled by numba: arrays in, arrays out, nothing else.

numba's cache on disk goes stale in silence when a helper in another file changes. So the cache folder is named by the
hash of all kernel sources and of numba's version: an edited kernel finds an empty folder. It is set here, while the
kernels are decorated, and put back after, so that other users of numba in the process keep theirs.

ACCELSIM_CACHE_DIR names another place than the user's cache folder; where neither can be written, a folder that
lives as long as the process takes its place.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import numba

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
    "products",
    "requantize",
    "second_level",
    "sparse_lanes",
    "strides",
    "swaps",
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


CACHE_FOLDER = _cache_folder()
_previous = numba.config.CACHE_DIR  # type: ignore[attr-defined] # set by numba at run time
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
    products,
    requantize,
    second_level,
    sparse_lanes,
    strides,
    swaps,
)

numba.config.CACHE_DIR = _previous  # type: ignore[attr-defined]
