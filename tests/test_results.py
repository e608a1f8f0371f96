"""What is derived from a timeline, against sets of cycles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import accelsim
from accelsim.errors import AccelSimError
from accelsim.results import NO_DRAM, Execution, Timeline

ARRAY_UNITS = (2, 3)


@st.composite
def executions(draw: st.DrawFn) -> Execution:
    """Timelines of any instructions; layers need not end in order."""
    layers = draw(st.integers(1, 4))
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 4), st.integers(0, layers - 1), st.integers(0, 40), st.integers(1, 15)),
            max_size=25,
        )
    )
    unit, layer, start, length = (np.array([r[i] for r in rows], np.int64) for i in range(4))
    end = start + length
    return Execution(
        engine="none",
        cycles=int(end.max(initial=0)),
        unit_names=("load", "store", "matrix", "preload", "vector", "host"),
        opcode_names=("x",),
        layer_names=tuple(f"l{i}" for i in range(layers)),
        states=("busy",),
        timeline=Timeline(unit, np.zeros_like(unit), layer, start, start, end, end, np.zeros_like(unit)),
        attribution=np.zeros((layers, 6, 1), np.int64),
        counters=tuple({} for _ in range(layers)),
        effectual=(),
        kept={},
        memory=NO_DRAM,
        grants=np.zeros(0, np.int8),
        requested=np.zeros((layers, 2), np.int64),
        tail=np.zeros(layers, np.int64),
        activity=None,
        array_units=ARRAY_UNITS,
    )


def cycles_of(execution: Execution, layer: int, units: tuple[int, ...] | None = None) -> set[int]:
    t = execution.timeline
    return {
        cycle
        for i in range(len(t.unit))
        if t.layer[i] == layer and (units is None or t.unit[i] in units)
        for cycle in range(t.start[i], t.end[i])
    }


@given(executions(), st.integers(0, 9))
def test_a_cycle_counts_for_the_layer_of_the_first_instruction_that_ends_behind_it(
    execution: Execution, after: int
) -> None:
    """Layers come back, as those do that are cut into strips; what comes after all ends is the last layer's."""
    t, total = execution.timeline, execution.cycles + after
    expected = np.zeros(len(execution.layer_names), np.int64)
    for cycle in range(total):
        behind = np.flatnonzero(t.end > cycle)
        expected[t.layer[behind[0]] if len(behind) else -1] += 1
    np.testing.assert_array_equal(t.layer_cycles(len(expected), total), expected)
    if not after:
        np.testing.assert_array_equal(execution.layer_times().cycles, expected)


@given(executions())
def test_active_and_array_cycles_are_those_of_the_instructions(execution: Execution) -> None:
    seen: set[int] = set()
    times = execution.layer_times()
    for layer in range(len(execution.layer_names)):
        mine = cycles_of(execution, layer, ARRAY_UNITS)
        assert times.array[layer] == len(mine - seen)
        seen |= mine
        assert times.array_active[layer] == len(mine)
        every = cycles_of(execution, layer)
        assert times.active[layer] == len(every)
        if every:
            assert (times.first[layer], times.last[layer]) == (min(every), max(every) + 1)


def test_saving_to_a_place_that_cannot_be_leaves_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("kept")
    with pytest.raises(AccelSimError, match="file/out: must be a writable folder"):
        accelsim.run().save(blocked / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
