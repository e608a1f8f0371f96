"""What the first run after an installation costs: `python benchmarks/cold.py [--runs N]`; an empty kernel cache.

The README's first command that runs accelsim, in processes of their own: with no kernel compiled, and once more with
all of them. Wall-clock and CPU seconds, of the processes that compile side by side too, least of several runs.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time

from accelsim.computer import cores

TARGET_S = 35.0
COMMAND = [sys.executable, "-m", "accelsim.cli.main", "compare"]


def seconds(cache: str) -> tuple[float, float]:
    """Wall-clock and CPU seconds of the command with a kernel cache."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"ACCELSIM_CACHE_DIR": cache}
    subprocess.run(COMMAND, check=True, capture_output=True, env=environment)  # noqa: S603 - ourselves
    passed, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2)
    asked = parser.parse_args()
    cold, warm = [], []
    for _ in range(asked.runs):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(seconds(cache))
            warm.append(seconds(cache))
    say = sys.stdout.write
    for what, found in (("no kernel compiled", cold), ("all kernels compiled", warm)):
        passed, spent = min(found)
        say(f"accelsim compare, {what}: {passed:.1f} s, {spent:.1f} s of {cores()} cores\n")
    say(f"target: {TARGET_S:.0f} s from no kernel on two cores\n")


if __name__ == "__main__":
    main()
