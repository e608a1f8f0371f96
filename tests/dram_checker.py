"""Finds what a DRAM's commands break, rule by rule as data sheets state the rules.

It knows the part's parameters and the commands, and nothing of the controller that issued them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.dram import Part

ACT, PRE, RD, WR, REF = range(5)
NAMES = ("ACT", "PRE", "RD", "WR", "REF")
COLUMN_COMMANDS = (RD, WR)
LONG_AGO = -(10**15)

#: Beats of data in a clock of the command bus; two unless the standard says otherwise.
BEATS = {"GDDR6": 16, "LPDDR5": 8, "HBM3": 4}
#: Standards with a command bus for rows and one for columns.
TWO_BUSES = ("HBM", "HBM3")


class Command(NamedTuple):
    """A command of one channel; -1 where a field does not apply."""

    clock: int
    kind: int
    rank: int
    group: int
    bank: int
    row: int


@dataclass
class Bank:
    """The open row, and when the bank was last activated, read, written, and precharged."""

    row: int = -1
    act: int = LONG_AGO
    rd: int = LONG_AGO
    wr: int = LONG_AGO
    pre: int = LONG_AGO


@dataclass
class Rank:
    """Its banks by group, and when its groups and it were last used."""

    banks: list[list[Bank]]
    act: list[int]
    rd: list[int]
    wr: list[int]
    acts: list[int] = field(default_factory=list)
    pre: int = LONG_AGO
    ref: int = LONG_AGO
    bursts_end: dict[int, int] = field(default_factory=lambda: {RD: LONG_AGO, WR: LONG_AGO})


class Rules:
    """The timing rules of a channel, and the commands that it has seen."""

    def __init__(self, part: Part) -> None:
        structure, self.timing = part.dram_structure, part.timing
        self.groups = structure.bankgroups if structure.bankgroup_enable else 1
        self.group_banks = structure.bankgroups * structure.banks_per_group // self.groups
        self.burst = structure.bl // BEATS.get(structure.protocol, 2)
        self.latency = {RD: self.timing.al + self.timing.cl, WR: self.timing.al + self.timing.cwl}
        self.closes = part.system.row_buf_policy == "CLOSE_PAGE"
        self.ranks = [
            Rank(
                [[Bank() for _ in range(self.group_banks)] for _ in range(self.groups)],
                *([LONG_AGO] * self.groups for _ in range(3)),
            )
            for _ in range(part.ranks)
        ]

    def bank(self, command: Command) -> Bank:
        return self.ranks[command.rank].banks[command.group][command.bank]

    def to_precharge(self, bank: Bank) -> dict[str, int]:
        """Clocks before which the open bank can't be precharged, by parameter."""
        t = self.timing
        return {
            "tRAS": bank.act + t.tras,
            "tRTP": bank.rd + t.al + t.trtp,
            "tWR": bank.wr + self.latency[WR] + self.burst + t.twr,
        }

    def _by_group(self, since: list[int], group: int, name: str, short: int, long: int) -> dict[str, int]:
        """Clocks before which a group can't be used again, by parameter; one group alone knows no long gap."""
        if self.groups == 1:
            return {f"{name}_S": since[group] + short}
        others = max(at for number, at in enumerate(since) if number != group)
        return {f"{name}_S": others + short, f"{name}_L": since[group] + long}

    def earliest(self, command: Command) -> dict[str, int]:
        """Clocks before which the parameters forbid a command."""
        t, rank = self.timing, self.ranks[command.rank]
        if command.kind == REF:
            closed = max(bank.pre for group in rank.banks for bank in group)
            return {"tRP": closed + t.trp, "tRFC": rank.ref + t.trfc}
        bank = self.bank(command)
        if command.kind == PRE:
            return {**self.to_precharge(bank), **({"tPPD": rank.pre + t.tppd} if t.tppd else {})}
        if command.kind == ACT:
            times = {
                "tRC": bank.act + t.tras + t.trp,
                "tRP": bank.pre + t.trp,
                "tRFC": rank.ref + t.trfc,
                **self._by_group(rank.act, command.group, "tRRD", t.trrd_s, t.trrd_l),
            }
            if len(rank.acts) >= 4:
                times["tFAW"] = rank.acts[-4] + t.tfaw
            if t.t32aw and len(rank.acts) >= 32:
                times["t32AW"] = rank.acts[-32] + t.t32aw
            return times
        return {**self._column(command, rank, bank), **self._data_bus(command)}

    def _column(self, command: Command, rank: Rank, bank: Bank) -> dict[str, int]:
        t, group = self.timing, command.group
        same = rank.rd if command.kind == RD else rank.wr
        open_for = (t.trcd or (t.trcdrd if command.kind == RD else t.trcdwr) or 0) - t.al
        times = {"tRCD": bank.act + open_for, **self._by_group(same, group, "tCCD", t.tccd_s, t.tccd_l)}
        if command.kind == RD:
            written = [at + self.latency[WR] + self.burst for at in rank.wr]
            times |= self._by_group(written, group, "tWTR", t.twtr_s, t.twtr_l)
        return times

    def _data_bus(self, command: Command) -> dict[str, int]:
        """Clocks before which the bus is not free; it rests when the direction or the rank that drives it changes."""
        times = {}
        for number, rank in enumerate(self.ranks):
            for kind, end in rank.bursts_end.items():
                same_rank = number == command.rank
                turns = (kind == RD and (command.kind == WR or not same_rank)) or (
                    kind == WR and command.kind == RD and not same_rank
                )
                name = "tRTRS" if turns else "data bus"
                at = end + (self.timing.trtrs if turns else 0) - self.latency[command.kind]
                times[name] = max(times.get(name, LONG_AGO), at)
        return times

    def broken(self, command: Command) -> list[str]:
        """Names of the rules that a command would break."""
        found = [name for name, clock in self.earliest(command).items() if command.clock < clock]
        rank = self.ranks[command.rank]
        if command.kind == REF:
            if any(bank.row >= 0 for group in rank.banks for bank in group):
                found.append("all banks closed")
        elif command.kind == ACT:
            if self.bank(command).row >= 0:
                found.append("bank closed")
        elif self.bank(command).row < 0:
            found.append("bank open")
        elif command.kind in COLUMN_COMMANDS and self.bank(command).row != command.row:
            found.append("row open")
        return found

    def record(self, command: Command) -> None:
        """Note a command."""
        clock, rank = command.clock, self.ranks[command.rank]
        if command.kind == REF:
            rank.ref = clock
            return
        bank = self.bank(command)
        if command.kind == PRE:
            bank.row, bank.pre, rank.pre = -1, clock, clock
        elif command.kind == ACT:
            bank.row, bank.act = command.row, clock
            rank.act[command.group] = clock
            rank.acts = [*rank.acts[-31:], clock]
        else:
            if command.kind == RD:
                bank.rd = rank.rd[command.group] = clock
            else:
                bank.wr = rank.wr[command.group] = clock
            rank.bursts_end[command.kind] = clock + self.latency[command.kind] + self.burst
            if self.closes:
                # the device precharges by itself as soon as it may
                bank.row, bank.pre = -1, max(self.to_precharge(bank).values())


def refresh_slack(part: Part) -> int:
    """Clocks after which a refresh that is due must be under way: all banks are closed one by one as soon as may be."""
    t, rules = part.timing, Rules(part)
    column = max(t.al + t.trtp, rules.latency[WR] + rules.burst + t.twr)
    return max(t.tras, column) + (rules.groups * rules.group_banks + 1) * max(1, t.tppd) + t.trp


def violations(part: Part, commands: NDArray[np.int64], end: int) -> list[str]:
    """Every rule that commands break.

    Parameters
    ----------
    commands
        Clock, command, channel, rank, bank group, bank, row and column, as `accelsim.memory.trace` keeps them.
    end
        Clock until which the part ran.
    """
    found = []
    for channel in range(part.system.channels):
        rules, last, kinds = Rules(part), -1, []
        refreshes = []
        for clock, kind, _, rank, group, bank, row, _ in commands[commands[:, 2] == channel].tolist():
            command = Command(clock, kind, rank, group, bank, row)
            broken = rules.broken(command)
            if clock < last:
                broken.append("order of clocks")
            kinds = [*kinds, kind in COLUMN_COMMANDS] if clock == last else [kind in COLUMN_COMMANDS]
            if len(kinds) > 1 and (part.dram_structure.protocol not in TWO_BUSES or sorted(kinds) != [False, True]):
                broken.append("command bus")
            last = clock
            rules.record(command)
            if kind == REF:
                refreshes.append((clock, rank))
            found += [f"channel {channel}, clock {clock}, {NAMES[kind]}: {name}" for name in broken]
        found += [f"channel {channel}: {text}" for text in _refresh_faults(part, refreshes, end)]
    return found


def _refresh_faults(part: Part, refreshes: list[tuple[int, int]], end: int) -> list[str]:
    """What is wrong with a channel's refreshes: each rank in turn, one every tREFI over the ranks."""
    interval, slack = part.timing.trefi // part.ranks, refresh_slack(part)
    found = []
    for number, (clock, rank) in enumerate(refreshes):
        due = (number + 1) * interval
        if rank != number % part.ranks:
            found.append(f"refresh {number} of rank {rank}: turn")
        if not due <= clock <= due + slack:
            found.append(f"refresh {number} in clock {clock}: due in {due}")
    missing = max(0, (end - 1 - slack) // interval) - len(refreshes)
    return found + [f"{missing} refreshes are missing"] * (missing > 0)
