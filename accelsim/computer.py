"""The computer that accelsim runs on."""

from __future__ import annotations

import os


def memory_bytes() -> int:
    """Bytes of its memory, used or not: what needs more is refused before the system ends processes to find it."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
