"""What a result was made with: versions, and hashes of configuration; no clock time, no machine name."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

_PACKAGES = ("accelsim", "numpy", "numba", "simpy", "pydantic", "safetensors")


def versions() -> dict[str, str]:
    """Versions of accelsim, Python and the libraries that a number can depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def content_hash(value: Mapping[str, Any]) -> str:
    """SHA-256 of a value of plain types, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
