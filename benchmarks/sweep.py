"""What a sweep costs: `python benchmarks/sweep.py [--points N] [--workers N]`; kernels cached, all cores.

With a simulation that does nothing, what is left is reading points, sending them, keeping them on disk and making the
table; beginning the workers is told apart, because it does not grow with the points. Then the same points are
simulated, timing only. Last, what proposals of searches cost, of a function that costs nothing. Times are wall-clock
seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from null_simulation import nothing

from accelsim.dse.runner import outcomes
from accelsim.dse.search import Search, Verdict
from accelsim.dse.simulation import simulate
from accelsim.dse.spec import Axis, Range, SweepSpec
from accelsim.dse.sweep import Sweep
from accelsim.dse.workers import LocalPool, cores

TARGET_MS, TARGET_S = 2.0, 120.0


def question(points: int) -> SweepSpec:
    """Sobol points over digits-mlp's machine."""
    return SweepSpec(
        kind="sweep",
        name="benchmark",
        description="array, buffers and clock of edge-ws",
        timing_only=True,
        method="sobol",
        count=points,
        fields={"arch.weight": {"capacity_bytes": 65536, "banks": 4, "width_bits": 128, "ports": 1}},
        axes=[
            Axis(field="arch.matrix.rows", range=Range(low=8, high=64, step=4)),
            Axis(field="arch.matrix.columns", range=Range(low=8, high=64, step=4)),
            Axis(field="arch.activation.capacity_bytes", values=[65536, 131072, 262144]),
            Axis(field="arch.weight.capacity_bytes", values=[32768, 65536, 131072]),
            Axis(field="arch.clock_hz", range=Range(low=2e8, high=2e9, scale="log")),
        ],
    )


def begin(pool: LocalPool) -> float:
    """Seconds until a worker has begun and imported what it needs."""
    begun = time.perf_counter()
    pool.executor().submit(outcomes, simulate, []).result()
    return time.perf_counter() - begun


def proposals_s(method: str, count: int) -> float:
    """Seconds that a search's proposals take; two objectives with a front between them."""
    search = Search(question(1).model_copy(update={"method": method, "count": count}))
    begun = time.perf_counter()
    while points := search.propose():
        sides = [(point.values[0] / 64, point.values[1] / 64) for point in points]
        search.tell([Verdict(0.0, (x + (y - 0.5) ** 2, 1 - x + (y - 0.5) ** 2)) for x, y in sides])
    return time.perf_counter() - begun


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=cores())
    asked = parser.parse_args()
    sweep = Sweep(question(asked.points))
    say = sys.stdout.write
    first = LocalPool(asked.workers)
    started = begin(first)
    first.close()
    say(f"{asked.points} points, {asked.workers} workers, which take {started:.1f} s to begin\n")
    for name, simulation in (("null simulation", nothing), ("digits-mlp, timing only", simulate)):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            frame = sweep.results(asked.workers, Path(folder) / "s.sqlite", simulate=simulation).frame
            seconds = time.perf_counter() - begun
        each = 1e3 * (seconds - started) / len(frame)
        failed = int(frame["error"].notna().sum())
        say(f"{name}: {seconds:.1f} s, {each:.2f} ms a point without the beginning; {failed} failed\n")
        sys.stdout.flush()
    for method in ("nsga2", "tpe"):
        each = 1e3 * proposals_s(method, asked.points // 4) / (asked.points // 4)
        say(f"{method}: {each:.2f} ms a proposal, of {asked.points // 4}\n")
    say(f"targets: {TARGET_MS} ms with the null simulation, {TARGET_S:.0f} s for 2,000 points on two cores\n")


if __name__ == "__main__":
    main()
