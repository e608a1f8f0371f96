"""Mutated files of every kind, and commands that are killed or run out of disk: short here, long with a profile.

HYPOTHESIS_PROFILE=thorough tries 20,000 files and ends 100 commands.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import file_fuzz
import pytest
from harness import long, mutations

#: Files of a process, so that a fault of memory is told of few.
TOGETHER = 500


def child(script: str, *arguments: object) -> list[str]:
    """Lines that a script of this folder prints, in a process of its own."""
    folder = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}
    command = [sys.executable, str(folder / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"{done.stdout[-200:]} {done.stderr[-4000:]}"
    return done.stdout.splitlines()


@pytest.mark.slow
def test_mutated_files_are_taken_or_refused_in_bounded_time_and_memory(tmp_path: Path) -> None:
    file_fuzz.seeds(tmp_path)
    count = mutations(20_000) if mutations(10) == 10 else 100
    for first in range(0, count, TOGETHER):
        *tried, memory = child("file_fuzz.py", first, min(TOGETHER, count - first), tmp_path)
        assert len(tried) == min(TOGETHER, count - first)
        assert {line.split()[2] for line in tried} == {"taken", "refused"}
        assert int(memory) < file_fuzz.MAX_BYTES


@pytest.mark.slow
def test_what_was_acknowledged_outlives_kills_and_full_disks() -> None:
    """Numbers 0 and 4 are an interrupt and a full disk."""
    *tried, _ = child("kill_campaign.py", 0, 3)
    assert [line.split()[1] for line in tried] == ["ok"] * 3


@pytest.mark.slow
def test_random_machines_run_networks_bit_for_bit_or_refuse_them() -> None:
    count = mutations(2000) if mutations(10) == 10 else 12
    *tried, memory = child("machine_fuzz.py", 0, count)
    assert len(tried) == count
    assert {line.split()[1] for line in tried} == {"run", "refused"}
    assert int(memory) < file_fuzz.MAX_BYTES


@long
def test_nothing_is_lost_of_a_hundred_kills() -> None:
    *tried, points = child("kill_campaign.py", 0, 100)
    assert [line.split()[1] for line in tried] == ["ok"] * 100
    assert int(points) > 100
