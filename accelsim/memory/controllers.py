"""The state of `accelsim.kernels.crossing`: a machine's banked DRAM, behind its second level if it has one."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import BankedDram, Machine
from accelsim.kernels import crossing_records as record
from accelsim.kernels import dram_records
from accelsim.memory.activity import Activity
from accelsim.memory.address_map import AddressMap
from accelsim.memory.dram import Dram
from accelsim.memory.second_level import SecondLevelActivity
from accelsim.units import ceil_div

Int64 = NDArray[np.int64]


class Controllers:
    """What `Crossing`, or `SecondLevel`, is at cycle 0, for the kernels.

    Parameters
    ----------
    requests
        Requests that may be in flight at once: accepted, and the cycle in which they are seen not yet passed.
    tags
        Tags of requests, which are counted apart.
    lines
        Numbers of bursts are below it; all bursts of the DRAM if absent. A second level needs no room for more.

    Attributes
    ----------
    dram, crossing
        The kernels' whole state, int64.
    """

    def __init__(self, machine: Machine, dram: BankedDram, requests: int, tags: int, lines: int | None = None) -> None:
        self._l2, self._tags = machine.l2, tags
        # a request fetches one line at most; a write-back, of which a port makes one a cycle, is over in the next
        numbers = requests + (machine.l2.banks * machine.l2.ports if machine.l2 else 0)
        self._dram = Dram(dram.part, numbers, tags)
        self.dram = self._dram.memory
        header = _clocks(machine, dram) | _map(dram, self.dram)
        parts = {record.FREE: numbers, record.OWNERS: numbers, record.KNOWN: 2 * requests}
        if machine.l2:
            if lines is None:
                lines = dram.capacity_bytes // dram.burst_bytes
            all_sets = machine.l2.sets(dram.burst_bytes)
            sets = min(all_sets, 1 << (max(lines, 1) - 1).bit_length())
            ways = min(machine.l2.ways, max(1, ceil_div(lines, all_sets)))
            header |= {
                record.WAYS: ways,
                record.SETS: sets,
                record.BANKS: machine.l2.banks,
                record.PORTS: machine.l2.ports,
                record.PORT_CYCLES: ceil_div(8 * dram.burst_bytes, machine.l2.width_bits),
                record.LATENCY: machine.l2.latency_cycles,
                record.TAGS: tags,
                record.HANDED_CAPACITY: dram.part.requests_per_clock,
                record.RETRY: record.NEVER,
            }
            parts |= {
                record.FREE_WAITING: requests * record.WAITING_WORDS,
                record.PORT_LIST: machine.l2.banks * machine.l2.ports,
                record.SET_LIST: sets,
                record.TALLY_LIST: tags * record.LEVEL_TALLY_WORDS,
                record.LINE_LIST: sets * ways * record.LINE_FIELDS,
            }
        # pages of a large second level that no line comes to lie in are never touched
        self.crossing = c = np.zeros(record.CROSSING_WORDS + sum(parts.values()), np.int64)
        c[list(header)] = list(header.values())
        at = record.CROSSING_WORDS
        for field, size in parts.items():
            c[field] = at
            at += size
        c[record.FREE_NUMBERS] = numbers
        c[c[record.FREE] : c[record.FREE] + numbers] = np.arange(numbers)
        if machine.l2:
            waiting = c[record.FREE_WAITING] + record.WAITING_WORDS * np.arange(requests)
            c[waiting + record.NEXT_WAITING] = waiting + record.WAITING_WORDS

    def activity(self) -> Activity:
        """What all channels, and a second level before them, have done; after `flush`."""
        clock = int(self.dram[self._dram.channel[0] + dram_records.CLOCK])
        done = self._dram.activity(clock)
        if self._l2 is None:
            return done
        c = self.crossing
        begin, cycles = c[record.TALLY_LIST], c[record.PORT_CYCLES]
        tally = c[begin : begin + self._tags * record.LEVEL_TALLY_WORDS].reshape(self._tags, -1)
        return SecondLevelActivity(
            **{f.name: getattr(done, f.name) for f in fields(done)},
            width_bits=self._l2.width_bits,
            port_reads=tally[:, record.PORT_READS] * cycles,
            port_writes=tally[:, record.PORT_WRITES] * cycles,
            hits=tally[:, record.HITS].copy(),
            fetches=tally[:, record.FETCHES].copy(),
            write_backs=tally[:, record.WRITE_BACKS].copy(),
        )


def _clocks(machine: Machine, dram: BankedDram) -> dict[int, int]:
    """Clocks of both sides, by the fields of the crossing's header."""
    core_fs, dram_fs = machine.clock_period_fs, dram.part.clock_period_fs
    common = math.gcd(core_fs, dram_fs)
    return {
        record.CORE_PERIOD: core_fs // common,
        record.DRAM_PERIOD: dram_fs // common,
        record.PER_CLOCK: dram.part.requests_per_clock,
        record.CYCLE: -1,
        record.COUNTED_EDGE: -1,
    }


def _map(dram: BankedDram, m: Int64) -> dict[int, int]:
    """How a burst's number is cut into fields, and where they lead in the DRAM's state."""
    cut = AddressMap.of(dram.part)
    bank = int(m[dram_records.BANK_WORDS])
    group = bank * cut.group_banks
    return {
        record.CHANNEL_LOW: cut.low["ch"],
        record.CHANNEL_MASK: cut.mask["ch"],
        record.CHANNEL_STEP: int(m[dram_records.CHANNEL_WORDS]),
        record.RANK_LOW: cut.low["ra"],
        record.RANK_MASK: cut.mask["ra"],
        record.RANK_STEP: group * cut.groups,
        record.GROUP_LOW: cut.low["bg"],
        record.GROUP_MASK: cut.mask["bg"],
        record.GROUP_STEP: group,
        record.BANK_LOW: cut.low["ba"],
        record.BANK_MASK: cut.mask["ba"],
        record.BANK_STEP: bank,
        record.ROW_LOW: cut.low["ro"],
        record.ROW_MASK: cut.mask["ro"],
        record.COLUMN_LOW: cut.low["co"],
        record.COLUMN_MASK: cut.mask["co"],
    }
