"""Integer arithmetic on cycles, bytes and clock periods, and figures with their units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:  # a command that only prints its help does without numpy
    import numpy as np
    from numpy.typing import NDArray

    Int64 = NDArray[np.int64]

#: An integer, or an array of integers that are taken one by one.
Count = TypeVar("Count", int, "Int64")

FEMTOSECONDS_PER_SECOND = 10**15
FEMTOSECONDS_PER_NANOSECOND = 10**6
#: Later than any cycle.
NEVER = 2**62
#: SI prefixes from 10^-18 to 10^18.
PREFIXES = ("a", "f", "p", "n", "u", "m", "", "k", "M", "G", "T", "P", "E")


@overload
def ceil_div(dividend: int, divisor: int) -> int: ...
@overload
def ceil_div(dividend: Int64, divisor: int | Int64) -> Int64: ...
@overload
def ceil_div(dividend: int, divisor: Int64) -> Int64: ...
def ceil_div(dividend: Any, divisor: Any) -> Any:
    """Quotient of two integers, rounded up; the divisor is positive."""
    return -(-dividend // divisor)


@overload
def align_up(value: int, multiple: int) -> int: ...
@overload
def align_up(value: Int64, multiple: int | Int64) -> Int64: ...
def align_up(value: Any, multiple: Any) -> Any:
    """Smallest multiple of `multiple` that is not below `value`."""
    return ceil_div(value, multiple) * multiple


def largest(most: int, fits: Callable[[int], bool]) -> int:
    """Largest integer from 1 to `most` that fits; 0 if none does. What fits, fits smaller too."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


def period_fs(frequency_hz: float) -> int:
    """Clock period in whole femtoseconds, so that clock ratios stay exact in integers.

    The rounding costs at most 0.5 fs, which is 5e-7 of a 1 GHz period.
    """
    return round(FEMTOSECONDS_PER_SECOND / frequency_hz)


def si(value: float | None, unit: str, digits: int = 3) -> str:
    """A figure with the prefix that leaves 1 to 999 of the unit, such as 36.4 ms; `-` where it is not known.

    Parameters
    ----------
    digits
        Those that are shown, at least 3.
    """
    if value is None or not math.isfinite(value):
        return "-"
    rounded = float(f"{value:.{digits - 1}e}")
    if not rounded:
        return f"0 {unit}"
    power = math.floor(math.log10(abs(rounded)) + 1e-9)
    step = min(max(power // 3, -6), 6)
    return f"{rounded / 10.0 ** (3 * step):.{max(0, digits - 1 - (power - 3 * step))}f} {PREFIXES[step + 6]}{unit}"
