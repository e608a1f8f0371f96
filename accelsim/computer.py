"""The computer that accelsim runs on."""

from __future__ import annotations

import os


def memory_bytes() -> int:
    """Bytes of its memory, used or not: what needs more is refused before the system ends processes to find it."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
