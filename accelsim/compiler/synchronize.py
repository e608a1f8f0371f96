"""Pass 7: the fewest semaphore waits that order all accesses to the same bytes."""

from __future__ import annotations

import dataclasses

import numpy as np

from accelsim.compiler.lowering import Lowering
from accelsim.config.arch import Machine
from accelsim.errors import DefectError
from accelsim.isa import accesses, hazards
from accelsim.isa.opcodes import MOMENTS, WAITS, Moment
from accelsim.kernels import clocks as kernel


def synchronize(lowering: Lowering, machine: Machine) -> Lowering:
    """Find all hazards, strike those that the queues or other waits imply, and make semaphores of the rest.

    There is one semaphore for each unit and moment that anybody waits for. Only the instructions that are waited
    for raise it.
    """
    code = lowering.instructions.copy()
    queues = hazards.Queues.of(code)
    touched = accesses.of_program(code, machine, lowering.tables)
    ordered = hazards.find(queues, touched, lowering.image_bytes, machine)
    if ordered.undefined >= 0:
        raise DefectError("the schedule reads bytes that it never wrote")
    need = ordered.need
    kernel.reduce(
        queues.unit,
        queues.index,
        queues.previous,
        queues.first_of_unit,
        queues.by_unit,
        int(Moment.FREE),
        need,
        np.zeros_like(need),
    )
    waiter, unit, moment = np.nonzero(need)
    producer = queues.by_unit[queues.first_of_unit[unit] + need[waiter, unit, moment] - 1]
    pair = unit * MOMENTS + moment
    pairs = np.flatnonzero(np.bincount(pair))
    semaphore = np.searchsorted(pairs, pair)
    value = np.zeros(len(waiter), np.int64)
    for s, found_pair in enumerate(pairs.tolist()):
        mine = np.flatnonzero(semaphore == s)
        signals = np.zeros(len(code), np.bool_)
        signals[producer[mine]] = True
        code["signal"][signals, found_pair % MOMENTS] = s
        value[mine] = np.cumsum(signals)[producer[mine]]
    slot = np.arange(len(waiter)) - np.searchsorted(waiter, waiter)
    if (slot >= WAITS).any():
        raise DefectError(f"instruction {waiter[slot >= WAITS][0]} needs more than {WAITS} waits")
    code["wait"][waiter, slot] = semaphore
    code["value"][waiter, slot] = value
    return dataclasses.replace(lowering, instructions=code)
