"""What a result was made with: versions, and hashes of configuration; no clock time, no machine name."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("accelsim", "numpy", "numba", "simpy", "pydantic", "safetensors")
#: Folders of the package that no simulated number depends on.
_PRESENTATION = frozenset({"cli", "dse", "report"})


def versions() -> dict[str, str]:
    """Versions of accelsim, Python and the libraries that a number can depend on."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | versions_of(_PACKAGES)


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Versions of libraries."""
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


@cache
def source_sha256() -> str:
    """SHA-256 of the source that a simulated number depends on, which changes more often than the version does."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if name.parts[0] not in _PRESENTATION:
            digest.update(f"{name.as_posix()}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def content_hash(value: Mapping[str, Any]) -> str:
    """SHA-256 of a value of plain types, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
