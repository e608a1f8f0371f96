"""Energy of an SRAM access by capacity and width, from the macros that a table lists."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from typing import NamedTuple


class Curve(NamedTuple):
    """Energy of macros of one width over their capacity: a power law between listed capacities.

    Parameters
    ----------
    kib, pj
        Listed capacities, ascending, and their energies; at least one.
    exponent
        Exponent of the power law where a single capacity is listed; not used otherwise.
    """

    kib: tuple[float, ...]
    pj: tuple[float, ...]
    exponent: float

    def slope(self, segment: int) -> float:
        """Exponent between listed capacities `segment` and `segment` + 1."""
        low, high = segment, segment + 1
        return math.log(self.pj[high] / self.pj[low]) / math.log(self.kib[high] / self.kib[low])

    def at(self, kib: float) -> float:
        """Energy in picojoules at a capacity; beyond the listed ones the nearest segment goes on."""
        anchor = max(bisect_right(self.kib, kib) - 1, 0)
        last = len(self.kib) - 2
        exponent = self.slope(min(anchor, last)) if last >= 0 else self.exponent
        return self.pj[anchor] * math.pow(kib / self.kib[anchor], exponent)


def access_pj(curves: Mapping[int, Curve], bits: int, kib: float) -> float:
    """Energy of one access through a port.

    Between two listed widths the figure is linear in bits. A wider port is macros of the widest listed width side by
    side, each with its share of the capacity, and an access reaches all of them: so wide scratchpads are built, and it
    takes no figure for widths that were never measured. Part of a macro costs that part. A macro does not get narrower
    than the narrowest listed one: a narrower port costs what that one does.

    Parameters
    ----------
    curves
        By width in bits.
    bits
        Width of the port.
    kib
        Capacity behind the port: that of one bank.
    """
    widths = sorted(curves)
    if bits >= widths[-1]:
        macros = bits / widths[-1]
        return macros * curves[widths[-1]].at(kib / macros)
    above = bisect_right(widths, bits)
    if above == 0:
        return curves[widths[0]].at(kib)
    low, high = widths[above - 1], widths[above]
    below_pj, above_pj = curves[low].at(kib), curves[high].at(kib)
    return below_pj + (above_pj - below_pj) * (bits - low) / (high - low)
