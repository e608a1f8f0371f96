"""Requests a second that the DRAM controller serves on one core: `python benchmarks/dram.py [PART ...]`."""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from accelsim.config.dram import Part
from accelsim.config.load import load_part
from accelsim.kernels import dram as kernel
from accelsim.kernels import dram_records as record
from accelsim.memory.address_map import AddressMap
from accelsim.memory.dram import Dram

PARTS = ("DDR4_8Gb_x8_3200", "LPDDR4_8Gb_x16_2400", "HBM2_8Gb_x128")
#: Targets in 10^6 requests a second.
TARGETS = {"stream_rd": 4.0, "stream_wr": 4.0, "copy": 4.0, "random_rd": 1.0, "random_mix": 1.0}
#: The same on other hardware: the model's first prototype in numba, and DRAMsim3 in C++; 10^6 requests a second.
REFERENCES = "prototype 0.7 to 4.1, DRAMsim3 0.1 to 0.26"


def streams(part: Part, count: int) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.bool_]]]:
    """Name, byte addresses and directions of each stream."""
    burst, number = part.burst_bytes, np.arange(count)
    random = np.random.default_rng(1)
    anywhere = random.integers(0, part.capacity_bytes // burst, count) * burst
    block, place = np.divmod(number, 32)
    copied = (block * 16 + place % 16) * burst + np.where(place >= 16, part.capacity_bytes // 2, 0)
    reads, writes = np.zeros(count, np.bool_), np.ones(count, np.bool_)
    yield "stream_rd", number * burst, reads
    yield "stream_wr", number * burst, writes
    yield "copy", copied, place >= 16
    yield "random_rd", anywhere, reads
    yield "random_mix", anywhere, random.integers(0, 3, count) == 0


def seconds(part: Part, address: NDArray[np.int64], write: NDArray[np.bool_]) -> tuple[float, int]:
    """Time in seconds from the first request until all are served, and the clocks of the DRAM that it took."""
    places = AddressMap.of(part).places(address)
    dram = Dram(part, address.size)
    channel, bank = dram.channel[places.channel], dram.bank[places.bank]
    cycle, cursor = np.zeros(address.size, np.int64), np.zeros(3, np.int64)
    begun = time.perf_counter()
    kernel.inject(
        dram.memory,
        channel,
        places.line,
        bank,
        places.row,
        places.column,
        write,
        cycle,
        part.requests_per_clock,
        cursor,
    )
    kernel.flush(dram.memory)
    return time.perf_counter() - begun, int(dram.memory[dram.channel + record.CLOCK].max())


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help="shipped parts or paths of .yaml files")
    parser.add_argument("--requests", type=int, default=100_000, help="requests of a stream (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=7, help="runs of which best and median count (default: 7)")
    arguments = parser.parse_args()
    lines = [f"10^6 requests a second on one core, {arguments.requests:,} requests, {arguments.repeats} warm runs"]
    lines += [f"elsewhere, not on this machine: {REFERENCES}", ""]
    lines.append(f"{'part':22} {'stream':11} {'best':>6} {'median':>6} {'target':>6}  {'10^6 clocks/s':>13}")
    for name in arguments.parts:
        part = load_part(name)
        for stream, address, write in streams(part, arguments.requests):
            seconds(part, address[:100], write[:100])
            runs = [seconds(part, address, write) for _ in range(arguments.repeats)]
            times = sorted(taken for taken, _ in runs)
            rates = [arguments.requests / taken / 1e6 for taken in (times[0], statistics.median(times))]
            clocks = runs[0][1] / times[0] / 1e6
            lines.append(
                f"{part.name:22} {stream:11} {rates[0]:6.2f} {rates[1]:6.2f} {TARGETS[stream]:6.1f}  {clocks:13.1f}"
            )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
