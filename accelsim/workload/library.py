"""Networks that a user has brought to this computer, by name: a folder each, below the user's cache."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """Folder of the library: ACCELSIM_LIBRARY_DIR, or below the user's cache."""
    given = os.environ.get("ACCELSIM_LIBRARY_DIR")
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "accelsim" / "networks"


def names() -> list[str]:
    """Names of the networks that are there, sorted."""
    return sorted(path.parent.name for path in folder().glob("*/source.json"))


def found(name: str) -> Path | None:
    """Path of a network by its name, or None if none of that name is there."""
    return None
