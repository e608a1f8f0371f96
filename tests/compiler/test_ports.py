"""How long banks are held, and which slots lie apart in them, against each byte's bank."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from compiler.test_place import sharing
from harness import machine
from hypothesis import given
from hypothesis import strategies as st

from accelsim.compiler import rooms, slots
from accelsim.compiler.held import Held
from accelsim.compiler.ports import Ports
from accelsim.compiler.rooms import Room
from accelsim.config.arch import Machine, Sram
from accelsim.isa.opcodes import Memory

#: A kibibyte a bank.
ON = sharing(activation={"capacity_bytes": 4096, "banks": 4, "ports": 1})


def room(on: Machine, low: int, high: int, memory: Memory = Memory.ACTIVATION) -> Room:
    """Bytes of the shared scratchpad."""
    return Room(memory, low, rooms._part(on.activation, low, high))


def held(low: int, size: int) -> Held:
    """So many bytes from one on."""
    return Held(low, 1, size, 1, 1, 8)


@given(st.lists(st.tuples(st.integers(0, 4095), st.integers(1, 4096), st.integers(1, 99)), min_size=1, max_size=5))
def test_each_bank_of_a_value_is_held_for_its_share(places: list[tuple[int, int, int]]) -> None:
    ports, banks = Ports(ON), np.zeros(4)
    for low, size, cycles in places:
        there = range(low, min(low + size, 4096))
        ports.hold(held(low, len(there)), cycles)
        touched = {byte // 1024 for byte in there}
        banks[[*touched]] += cycles / len(touched)
    assert ports.busiest == pytest.approx(banks.max())


def test_tiles_and_values_in_the_same_banks_take_turns() -> None:
    ports = Ports(ON)
    ports.hold(room(ON, 0, 2048), 100)
    ports.hold(held(2048, 2048), 60)
    assert ports.busiest == 50
    ports.hold(room(ON, 1024, 3072, Memory.OUTPUT), 40)  # results lie in the same scratchpad
    assert ports.busiest == 70
    ports.hold(room(ON, 0, 1024), 80)
    assert ports.busiest == 130


def test_what_has_a_scratchpad_of_its_own_takes_no_turns_with_others() -> None:
    on = machine()
    both = [
        Room(Memory.ACTIVATION, 0, on.activation.model_copy(update={"banks": 1})),
        Room(Memory.OUTPUT, 0, on.output.model_copy(update={"banks": 1})),
    ]
    ports = Ports(on)
    for place in both:
        ports.hold(place, 100)
    assert ports.busiest == 100
    assert on.activation.range_bytes * 4 == on.activation.capacity_bytes


def test_two_ports_serve_two_at_once() -> None:
    on = sharing(activation={"capacity_bytes": 4096, "banks": 4, "ports": 2})
    ports = Ports(on)
    ports.hold(room(on, 0, 1024), 100)
    assert ports.busiest == 50


@given(st.sampled_from([1, 2, 3, 4, 6, 8]), st.integers(1, 12), st.integers(1, 64))
def test_slots_are_apart_if_none_shares_a_bank_with_the_next(banks: int, count: int, words: int) -> None:
    sram = Sram.model_validate({"capacity_bytes": banks * 256, "banks": banks, "width_bits": 64, "ports": 1})
    size = 8 * words
    if count * size > sram.capacity_bytes:
        return
    dealt = slots.deal(Room(Memory.ACTIVATION, 0, sram), count, size).addresses
    touched = [{byte // sram.range_bytes for byte in range(low, low + size)} for low in dealt]
    apart = all(mine.isdisjoint(others) for mine, others in itertools.pairwise(touched))
    assert slots.apart(sram, count, size) <= apart
    fits_dealt = size * -(-count // banks) <= sram.range_bytes
    assert slots.apart(sram, count, size) or not (banks > 1 and fits_dealt)
