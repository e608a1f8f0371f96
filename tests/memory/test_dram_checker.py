"""The checker itself: each rule stops a command one clock too early, and lets it pass in the next."""

from __future__ import annotations

import numpy as np
import pytest
from dram_checker import ACT, PRE, RD, REF, WR, refresh_slack, violations
from dram_strategies import changed, shipped_part, with_ranks

from accelsim.config.dram import Part

DDR4 = shipped_part("DDR4_8Gb_x8_3200")
LPDDR4 = shipped_part("LPDDR4_8Gb_x16_2400")
HBM2 = changed(shipped_part("HBM2_8Gb_x128"), channels=1)


def at(clock: int, kind: int, rank: int = 0, group: int = 0, bank: int = 0, row: int = 5) -> list[int]:
    """A command of channel 0."""
    return [clock, kind, 0, rank, group, bank, row, 0]


def refresh(clock: int, rank: int = 0) -> list[int]:
    return [clock, REF, 0, rank, -1, -1, -1, -1]


def rules_broken(part: Part, *commands: list[int]) -> set[str]:
    """Rules that commands break, but for the times of refreshes, which these short traces do not keep."""
    found = violations(part, np.array(commands), 1)
    return {text.rpartition(": ")[2] for text in found if ", clock" in text}


BOTH_GROUPS = [at(0, ACT), at(20, ACT, group=1), at(40, ACT, bank=1), at(60, ACT, rank=1)]
MANY = [
    command
    for i in range(32)
    for command in (at(12 * i, ACT, 0, i % 4, i // 4 % 4), at(12 * i + 61, PRE, 0, i % 4, i // 4 % 4))
]
MANY = sorted(command for command in MANY if command[0] < 399)


@pytest.mark.parametrize(
    ("part", "before", "command", "earliest", "rules"),
    [
        (DDR4, [at(0, ACT)], at(0, RD), 22, {"tRCD"}),
        (DDR4, [at(0, ACT)], at(0, WR), 22, {"tRCD"}),
        (changed(DDR4, al=3), [at(0, ACT)], at(0, RD), 19, {"tRCD"}),
        (changed(HBM2, trcdwr=11), [at(0, ACT)], at(0, WR), 11, {"tRCD"}),
        (changed(HBM2, trcdwr=11), [at(0, ACT)], at(0, RD), 14, {"tRCD"}),
        (DDR4, [at(0, ACT)], at(0, PRE), 52, {"tRAS"}),
        (DDR4, [at(0, ACT), at(60, RD)], at(0, PRE), 72, {"tRTP"}),
        (DDR4, [at(0, ACT), at(60, WR)], at(0, PRE), 60 + 16 + 4 + 24, {"tWR"}),
        (DDR4, [at(0, ACT), at(100, PRE)], at(0, ACT), 122, {"tRP"}),
        (DDR4, [at(0, ACT), at(52, PRE)], at(0, ACT), 74, {"tRP", "tRC"}),
        (DDR4, [at(0, ACT)], at(0, ACT, group=1), 4, {"tRRD_S"}),
        (DDR4, [at(0, ACT)], at(0, ACT, bank=1), 8, {"tRRD_L"}),
        (DDR4, [at(0, ACT), *(at(9 * g, ACT, group=g) for g in (1, 2)), at(29, ACT, group=3)],
         at(0, ACT, bank=1), 34, {"tFAW"}),
        (changed(DDR4, t32aw=400), MANY, at(0, ACT), 400, {"t32AW"}),
        (DDR4, [*BOTH_GROUPS, at(100, RD)], at(0, RD, group=1), 104, {"tCCD_S", "data bus"}),
        (DDR4, [*BOTH_GROUPS, at(100, RD)], at(0, RD, bank=1), 108, {"tCCD_L"}),
        (DDR4, [*BOTH_GROUPS, at(100, WR)], at(0, WR, bank=1), 108, {"tCCD_L"}),
        (DDR4, [*BOTH_GROUPS, at(100, WR)], at(0, WR, group=1), 104, {"tCCD_S", "data bus"}),
        (DDR4, [*BOTH_GROUPS, at(100, WR)], at(0, RD, group=1), 100 + 16 + 4 + 4, {"tWTR_S"}),
        (DDR4, [*BOTH_GROUPS, at(100, WR)], at(0, RD), 100 + 16 + 4 + 12, {"tWTR_L"}),
        (DDR4, [*BOTH_GROUPS, at(100, RD)], at(0, WR, group=1), 100 + 22 + 4 + 1 - 16, {"tRTRS"}),
        (DDR4, [*BOTH_GROUPS, at(100, RD)], at(0, RD, rank=1), 105, {"tRTRS"}),
        (DDR4, [*BOTH_GROUPS, at(100, RD)], at(0, WR, rank=1), 100 + 22 + 4 + 1 - 16, {"tRTRS"}),
        (DDR4, [*BOTH_GROUPS, at(100, WR)], at(0, WR, rank=1), 104, {"data bus"}),
        (changed(DDR4, trtrs=7), [*BOTH_GROUPS, at(100, WR)], at(0, RD, rank=1), 100 + 16 + 4 + 7 - 22, {"tRTRS"}),
        (DDR4, [refresh(0)], at(0, ACT), 560, {"tRFC"}),
        (DDR4, [refresh(0)], refresh(0), 560, {"tRFC"}),
        (DDR4, [at(0, ACT), at(100, PRE)], refresh(0), 122, {"tRP"}),
        (LPDDR4, [at(0, ACT), at(20, ACT, bank=1), at(100, PRE)], at(0, PRE, bank=1), 102, {"tPPD"}),
        (changed(DDR4, row_buf_policy="CLOSE_PAGE"), [at(0, ACT), at(100, RD)], at(0, ACT), 100 + 12 + 22, {"tRP"}),
        (changed(DDR4, row_buf_policy="CLOSE_PAGE"), [at(0, ACT), at(22, RD)], at(0, ACT), 74, {"tRP", "tRC"}),
        (changed(DDR4, row_buf_policy="CLOSE_PAGE"), [at(0, ACT), at(30, WR)], refresh(0), 74 + 22, {"tRP"}),
        (DDR4, [], at(0, ACT), 0, set()),
    ],
)  # fmt: skip
def test_a_rule_holds_until_its_clock(
    part: Part, before: list[list[int]], command: list[int], earliest: int, rules: set[str]
) -> None:
    assert rules_broken(part, *before, [earliest, *command[1:]]) == set()
    assert rules_broken(part, *before, [earliest - 1, *command[1:]]) - {"order of clocks"} == rules


@pytest.mark.parametrize(
    ("part", "commands", "rule"),
    [
        (DDR4, [at(0, ACT), at(500, ACT)], "bank closed"),
        (DDR4, [at(500, RD)], "bank open"),
        (DDR4, [at(500, PRE)], "bank open"),
        (DDR4, [at(0, ACT), at(500, RD, row=6)], "row open"),
        (DDR4, [at(0, ACT, bank=1), refresh(500)], "all banks closed"),
        (DDR4, [at(0, ACT), at(0, ACT, rank=1)], "command bus"),
        (DDR4, [at(0, ACT), at(50, RD), at(50, ACT, rank=1)], "command bus"),
        (HBM2, [at(0, ACT), at(9, ACT, group=1), at(50, PRE), at(50, PRE, group=1)], "command bus"),
        (DDR4, [at(10, ACT), at(5, ACT, rank=1)], "order of clocks"),
        (changed(DDR4, row_buf_policy="CLOSE_PAGE"), [at(0, ACT), at(50, RD), at(70, RD)], "bank open"),
    ],
)  # fmt: skip
def test_a_command_in_the_wrong_state_is_seen(part: Part, commands: list[list[int]], rule: str) -> None:
    assert rules_broken(part, *commands) == {rule}


def test_hbm_takes_a_row_and_a_column_command_in_a_clock() -> None:
    assert rules_broken(HBM2, at(0, ACT), at(50, RD), at(50, ACT, group=1)) == set()


def test_refreshes_are_due_in_turn_and_not_late() -> None:
    part = with_ranks(DDR4, 2)
    due = [(number + 1) * 6240 for number in range(6)]
    slack = refresh_slack(part)

    def faults(*refreshes: list[int], end: int = due[-1] + 1) -> list[str]:
        return violations(part, np.array(refreshes), end)

    in_turn = [refresh(clock, number % 2) for number, clock in enumerate(due)]
    assert faults(*in_turn) == []
    assert faults(*in_turn[:-1], refresh(due[-1] + slack, 1)) == []
    assert faults(*in_turn[:-1], refresh(due[-1] + slack + 1, 1)) == [
        f"channel 0: refresh 5 in clock {due[-1] + slack + 1}: due in {due[-1]}"
    ]
    assert faults(*in_turn[:-1], refresh(due[-1] - 1, 1)) == [
        f"channel 0: refresh 5 in clock {due[-1] - 1}: due in {due[-1]}"
    ]
    assert faults(*in_turn[:-1], refresh(due[-1], 0)) == ["channel 0: refresh 5 of rank 0: turn"]
    assert faults(*in_turn, end=due[-1] + 6240 + slack + 1) == ["channel 0: 1 refreshes are missing"]
    assert faults(*in_turn, end=due[-1] + 6240 + slack) == []
