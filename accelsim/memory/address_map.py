"""Which channel, bank, row and column an address lies in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.dram import Part

Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Places:
    """Where bursts lie; arrays of int64, shape (n,).

    Parameters
    ----------
    line
        Number of the burst, counted over all addresses.
    bank
        Bank, counted over all channels, ranks and groups in this order.
    """

    line: Int64
    channel: Int64
    bank: Int64
    row: Int64
    column: Int64


@dataclass(frozen=True, slots=True)
class AddressMap:
    """Cuts a burst's number into fields.

    Parameters
    ----------
    burst_bits
        Address bits within a burst.
    low, mask
        Lowest bit, and mask, of each field of a burst's number.
    ranks, groups, group_banks
        Counts that a bank's number is made of.
    """

    burst_bits: int
    low: dict[str, int]
    mask: dict[str, int]
    ranks: int
    groups: int
    group_banks: int

    @classmethod
    def of(cls, part: Part) -> AddressMap:
        """Map of a part, as its `address_mapping` orders the fields; a column is a whole burst."""
        structure, system = part.dram_structure, part.system
        group_banks = part.banks // part.bankgroups
        counts = {
            "ch": system.channels,
            "ra": part.ranks,
            "bg": part.bankgroups,
            "ba": group_banks,
            "ro": structure.rows,
            "co": part.columns // structure.bl,
        }
        low, bit = {}, 0
        for start in range(10, -1, -2):
            field = system.address_mapping[start : start + 2]
            low[field] = bit
            bit += counts[field].bit_length() - 1
        mask = {field: count - 1 for field, count in counts.items()}
        return cls(part.burst_bytes.bit_length() - 1, low, mask, part.ranks, part.bankgroups, group_banks)

    def places(self, addresses: Int64) -> Places:
        """Find where the bursts lie that hold byte addresses."""
        line = addresses >> self.burst_bits
        channel, rank, group, bank, row, column = (
            (line >> self.low[field]) & self.mask[field] for field in ("ch", "ra", "bg", "ba", "ro", "co")
        )
        place = ((channel * self.ranks + rank) * self.groups + group) * self.group_banks + bank
        return Places(line, channel, place, row, column)
