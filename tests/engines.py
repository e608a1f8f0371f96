"""Both engines on the same program: whatever a test runs through here is a test of their equality too."""

import dataclasses

import numpy as np

from accelsim.config.arch import Machine
from accelsim.isa.program import Program
from accelsim.results import Execution
from accelsim.sim import fast, reference


def execute(program: Program, on: Machine) -> Execution:
    """Execute on the reference engine, and find that the fast one gives the same."""
    expected = reference.execute(program, on)
    assert_equal(fast.execute(program, on), expected)
    return expected


def assert_equal(found: Execution, expected: Execution) -> None:
    """Instruction by instruction, and in all counts and bytes."""
    for field in dataclasses.fields(expected.timeline):
        mine, theirs = getattr(found.timeline, field.name), getattr(expected.timeline, field.name)
        np.testing.assert_array_equal(mine, theirs, f"{field.name} of the timeline")
    for name in ("attribution", "dram", "grants", "requested", "tail"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    for name in ("cycles", "unit_names", "opcode_names", "layer_names", "states", "counters", "effectual"):
        assert getattr(found, name) == getattr(expected, name), name
    assert type(found.activity) is type(expected.activity)
    if expected.activity:
        for field in dataclasses.fields(expected.activity):
            mine, theirs = getattr(found.activity, field.name), getattr(expected.activity, field.name)
            np.testing.assert_array_equal(mine, theirs, f"{field.name} of the DRAM's activity")
