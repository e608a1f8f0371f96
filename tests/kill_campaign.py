"""Kills and full disks: `python tests/kill_campaign.py FIRST COUNT` ends as many commands, each as its number says.

A sweep or a run is killed, terminated or interrupted at a random moment, or may write no file of more than so many
bytes. After it nothing that was acknowledged is lost, what is there is whole, and a line says what happened. The last
line is how many points were acknowledged before they could have been lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from accelsim.dse.store import Store

#: Seconds until a command must have ended.
MAX_SECONDS = 300
SWEEP = """kind: sweep
name: many
description: many points
timing_only: true
axes:
  - field: arch.matrix.rows
    values: [16, 32, 64]
  - field: arch.clock_hz
    range: {low: 5e8, high: 1e9, count: 40}
"""
#: What the installed command does.
COMMAND = "from accelsim.cli import command; command()"
#: What commands say that were ended.
SAID = ("interrupted", "must be a writable", "must provide")


def ended(
    arguments: Sequence[str | Path], folder: Path, how: signal.Signals | None, after_s: float, most_bytes: int | None
) -> tuple[int, str, set[str]]:
    """Run a command until it is ended; its code, what it said, and the points of the store that it had acknowledged."""

    def limited() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    store = folder / "s.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=limited,  # noqa: PLW1509 - no threads here
    )  # fmt: skip
    begun, acknowledged = time.monotonic(), set()
    while process.poll() is None and time.monotonic() < begun + MAX_SECONDS:
        acknowledged |= known(store)
        if how is not None and time.monotonic() > begun + after_s:
            process.send_signal(how)
            how = None
        time.sleep(0.02)
    late = process.poll() is None
    process.kill()
    _, said = process.communicate()  # short, so that a pipe holds it
    assert not late, f"{arguments} must end within {MAX_SECONDS} s"
    return process.returncode, said, acknowledged


def known(store: Path) -> set[str]:
    """Points that a store has, to whoever reads it."""
    found: set[str] = set()
    if store.exists():
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db,
        ):
            found = {key for (key,) in db.execute("SELECT key FROM points")}
    return found


def try_one(number: int, folder: Path) -> int:
    """End one command; how many points it had acknowledged."""
    rng = random.Random(number)  # noqa: S311 - nothing secret
    how = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, None))
    most_bytes = rng.choice((0, 1000, 4096, 20_000, 100_000, 500_000)) if how is None else None
    sweeps = rng.random() < 0.7
    arguments = ("sweep", "many.yaml", "--store", "s.sqlite", "--workers", "1") if sweeps else ("run", "-o", "o")
    before = known(folder / "s.sqlite")
    code, said, acknowledged = ended(arguments, folder, how, rng.uniform(0, 20), most_bytes)
    assert "Traceback" not in said, said
    assert "semaphore" not in said or how == signal.SIGKILL, said
    assert code in {0, 2, 130, -signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM}, (code, said)
    if code in {2, 130}:
        assert any(text in said for text in SAID), (arguments, how, most_bytes, code, said)
    check(folder, before | acknowledged)
    return len(acknowledged)


def check(folder: Path, acknowledged: set[str]) -> None:
    """Hold what is left against what it must be."""
    store = folder / "s.sqlite"
    if store.exists():
        assert store.stat().st_size, "a store of no bytes is left"
        with Store(store) as kept:
            found = kept.known(sorted(acknowledged))
        assert found.keys() >= acknowledged, f"lost {sorted(acknowledged - found.keys())}"
    else:
        assert not acknowledged
    out = folder / "o"
    for file in out.glob("*") if out.exists() else ():
        if file.suffix == ".json":
            json.loads(file.read_text())
        elif file.suffix == ".parquet":
            pd.read_parquet(file)
    for file in out.glob(".accelsim.*") if out.exists() else ():  # of what was killed while it wrote
        shutil.rmtree(file)


def main(first: int, count: int) -> None:
    """End commands one after the other, all of them in one folder."""
    points = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "many.yaml").write_text(SWEEP)
        for number in range(first, first + count):
            sys.stdout.write(f"{number} ")
            sys.stdout.flush()
            if number % 8 == 0:
                for file in folder.glob("s.sqlite*"):
                    os.remove(file)  # noqa: PTH107 - no other reads it
            points += try_one(number, folder)
            sys.stdout.write("ok\n")
    sys.stdout.write(f"{points}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
