"""Sparse lanes at register level, stepped one cycle at a time; small sizes, for tests only."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Entry = tuple[int, int] | None  # output and product on its way; None is a column without entries
ARITHMETIC_STAGES = 4  # decode and address, product and sum read, addition, write


class Lane:
    """One lane: its queue, the column that its matrix read stage works on, and the arithmetic behind."""

    def __init__(self, columns: list[list[tuple[int, int]]]) -> None:
        self.columns = columns  # of each input, the outputs and weights to be read in order
        self.queue: deque[tuple[int, int]] = deque()
        self.column: deque[Entry] = deque()
        self.stages: list[tuple[Entry] | None] = [None] * ARITHMETIC_STAGES

    def step(self, sums: Int64) -> None:
        """One cycle: write the oldest sum, read one entry, and read pointers if the column ends with that entry."""
        oldest = self.stages.pop()
        if oldest is not None and oldest[0] is not None:
            output, product = oldest[0]
            sums[output] += product
        self.stages.insert(0, (self.column.popleft(),) if self.column else None)
        if self.queue and not self.column:
            k, x = self.queue.popleft()
            self.column.extend([(output, weight * x) for output, weight in self.columns[k]] or [None])

    @property
    def idle(self) -> bool:
        return not self.queue and not self.column and all(stage is None for stage in self.stages)


def padded_columns(w: NDArray[np.generic], lane: int, lanes: int, index_bits: int) -> list[list[tuple[int, int]]]:
    """Outputs and weights that a lane reads for each input, one by one, with the zeros that long runs take."""
    columns = []
    for row in w.tolist():
        entries, zeros = [], 0
        for output in range(lane, len(row), lanes):
            if row[output]:
                entries.append((output, row[output]))
                zeros = 0
            elif zeros == 2**index_bits - 1 and any(row[output::lanes]):
                entries.append((output, 0))
                zeros = 0
            else:
                zeros += 1
        columns.append(entries)
    return columns


def run(
    x: list[int], w: NDArray[np.generic], lanes: int, fifo_depth: int, index_bits: int
) -> tuple[Int64, int, list[list[list[tuple[int, int]]]]]:
    """Multiply one vector.

    Returns
    -------
    The sums, the cycles until the last has been written in all lanes, and the columns of each lane.
    """
    columns = [padded_columns(w, lane, lanes, index_bits) for lane in range(lanes)]
    units = [Lane(column) for column in columns]
    sums = np.zeros(w.shape[1], np.int64)
    waiting = deque((k, value) for k, value in enumerate(x) if value)
    cycle = 0
    while True:
        for unit in units:
            unit.step(sums)
        if waiting and all(len(unit.queue) < fifo_depth for unit in units):
            found = waiting.popleft()
            for unit in units:
                unit.queue.append(found)
        cycle += 1
        if not waiting and all(unit.idle for unit in units):
            return sums, cycle, columns
