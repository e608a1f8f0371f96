"""Pass 7: the fewest semaphore waits that order all accesses to the same bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.lowering import Lowering
from accelsim.config.arch import Machine
from accelsim.errors import DefectError
from accelsim.isa import accesses, hazards
from accelsim.isa.opcodes import NONE, UNITS, WAITS, Moment
from accelsim.kernels import clocks

Int32 = NDArray[np.int32]
Int8 = NDArray[np.int8]


def synchronize(lowering: Lowering, machine: Machine) -> Lowering:
    """Find all hazards, strike those that the queues or other waits imply, and make semaphores of the rest.

    There is one semaphore for each unit and moment that anybody waits for. Only the instructions that are waited
    for raise it. All of that is written into the records that the pass before has made, and left empty.
    """
    waiter, pair, producer = _waits(lowering, machine)
    semaphore = np.full(clocks.WORDS, NONE, np.int8)
    pairs = np.flatnonzero(np.bincount(pair))
    semaphore[pairs] = np.arange(len(pairs))
    code = lowering.instructions
    full = clocks.write(waiter, pair, producer, semaphore, code["signal"], code["wait"], code["value"])
    if full >= 0:
        raise DefectError(f"instruction {full} needs more than {WAITS} waits")
    return lowering


def _waits(lowering: Lowering, machine: Machine) -> tuple[Int32, Int8, Int32]:
    """Who waits for which unit and moment, unit * MOMENTS + moment, of which instruction: sorted, shape (waits,)."""
    queues = hazards.Queues.of(lowering.instructions, lowering.kinds)
    touched = accesses.of_program(lowering.instructions, machine, lowering.tables, lowering.kinds)
    known = np.empty((len(queues.unit), clocks.WORDS), np.int32)
    previous = np.full(UNITS, -1, np.int64)
    room = hazards.TOGETHER * clocks.WORDS
    waiter, pair, producer = np.empty(room, np.int32), np.empty(room, np.int8), np.empty(room, np.int32)
    parts: list[tuple[Int32, Int8, Int32]] = []
    for low, high, need, undefined in hazards.find(queues.unit, touched, lowering.image_bytes, machine):
        if undefined:
            raise DefectError("the schedule reads bytes that it never wrote")
        count = clocks.reduce(
            low,
            high,
            queues.unit,
            queues.first_of_unit,
            queues.by_unit,
            int(Moment.FREE),
            need,
            known,
            previous,
            waiter,
            pair,
            producer,
        )
        parts.append((waiter[:count].copy(), pair[:count].copy(), producer[:count].copy()))
    waiters, pairs, producers = zip((waiter[:0], pair[:0], producer[:0]), *parts, strict=True)
    return np.concatenate(waiters), np.concatenate(pairs), np.concatenate(producers)
