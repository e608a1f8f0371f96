"""Integer arithmetic on cycles, bytes and clock periods."""

from __future__ import annotations

FEMTOSECONDS_PER_SECOND = 10**15
FEMTOSECONDS_PER_NANOSECOND = 10**6
#: Later than any cycle.
NEVER = 2**62


def ceil_div(dividend: int, divisor: int) -> int:
    """Quotient of two integers, rounded up; the divisor is positive."""
    return -(-dividend // divisor)


def align_up(value: int, multiple: int) -> int:
    """Smallest multiple of `multiple` that is not below `value`."""
    return ceil_div(value, multiple) * multiple


def period_fs(frequency_hz: float) -> int:
    """Clock period in whole femtoseconds, so that clock ratios stay exact in integers.

    The rounding costs at most 0.5 fs, which is 5e-7 of a 1 GHz period.
    """
    return round(FEMTOSECONDS_PER_SECOND / frequency_hz)
