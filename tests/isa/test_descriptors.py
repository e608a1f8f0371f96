"""Windows against sets of bytes."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import windows
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelsim.isa import descriptors
from accelsim.isa.descriptors import Descriptor, window
from accelsim.memory.region import Region, Runs, lines, whole, words


def bytes_of(regions: tuple[Region, ...]) -> list[int]:
    return [r.address + i * r.stride + j for r in regions for i in range(r.rows) for j in range(r.row_bytes)]


@given(windows.descriptors(), st.integers(-4, 4), st.integers(-4, 4))
@settings(max_examples=300)
def test_a_window_holds_the_bytes_of_its_runs(d: Descriptor, row: int, column: int) -> None:
    row, column = row * any(d.row_steps), column * any(d.column_steps)
    runs = list(windows.runs(d, 0, 0, row, column))
    found = window(d, row, column)
    read = {run.dram + i for run in runs if run.there for i in range(d.run_bytes)}
    written = {run.chip + i for run in runs for i in range(d.run_bytes)}
    assert sorted(bytes_of(found.on_chip)) == sorted(written)
    assert found.exact_on_chip
    assert len({*bytes_of(found.in_dram)}) == len(bytes_of(found.in_dram))
    assert read <= {*bytes_of(found.in_dram)}
    assert found.exact_in_dram == (read == {*bytes_of(found.in_dram)})
    assert not descriptors.overlaps(found.inside, found.on_chip)
    assert found.inside.bytes == len(runs) * d.run_bytes
    assert found.outside.bytes == sum(run.there for run in runs) * d.run_bytes


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 20)), min_size=1, max_size=30), st.integers(1, 6))
def test_few_regions_hold_at_least_the_bytes_of_any_runs(given: list[tuple[int, int]], most: int) -> None:
    runs = Runs(*np.array(given, np.int64).T)
    regions, exact = runs.regions(most)
    held, own = Counter(bytes_of(regions)), {a + i for a, size in given for i in range(size)}
    assert len(regions) <= most
    assert max(held.values()) == 1
    assert held.keys() >= own
    assert exact == (held.keys() == own)
    assert descriptors.overlaps(runs, runs.regions(100)[0]) == (sum(size for _, size in given) > len(own))


@given(windows.descriptors(), st.sampled_from([1, 4, 16, 64]), st.integers(0, 70))
def test_runs_in_the_same_line_share_it_with_the_run_before(d: Descriptor, line: int, at: int) -> None:
    found = window(d).outside.moved(at)
    assume(found.bytes)
    touched, covers = [], []
    for run in windows.runs(d, at, 0, 0, 0):
        for byte in range(run.dram, run.dram + d.run_bytes) if run.there else ():
            if not touched or byte // line != touched[-1]:
                touched.append(byte // line)
    assert lines(found, line).tolist() == touched
    assert words(found, line) == len(touched)
    for number, covered in zip(touched, whole(found, line).tolist(), strict=True):
        covers.append(covered)
        if covered:
            assert {*range(number * line, (number + 1) * line)} <= {
                a + i for a, size in zip(found.address.tolist(), found.size.tolist(), strict=True) for i in range(size)
            }


@given(windows.descriptors())
def test_a_record_reads_back(d: Descriptor) -> None:
    assert Descriptor.read(d.record) == d
    assert not list(descriptors.faults(descriptors.table(d)))


def test_tiles_of_an_image_that_lie_alike_are_worked_out_once() -> None:
    d = Descriptor.of((4, 640, 40, 1, 0), (4, 8, 8, 0, 1), run_bytes=8, height=80, width=80, fill=3)
    assert window(d, 8, 8) is window(d, 20, 76)
    assert window(d, 8, 8) is not window(d, 20, 77)
    assert window(d._replace(fill=9, height=60), 20, 9) is window(d, 20, 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counts": (0, 1, 1, 1, 1)}, "counts must be 1 to 16777215, not 0"),
        ({"strides": (0, 0, 0, 0, -1)}, "strides must be 0 to 2147483647, not -1"),
        ({"dram_strides": (0, 0, 0, 0, 2**31)}, "dram_strides must be 0 to 2147483647, not 2147483648"),
        ({"fill": 256}, "fill must be 0 to 255, not 256"),
        ({"run_bytes": 0}, "run_bytes must be 1 to 2147483647, not 0"),
        ({"counts": (1024, 1024, 2, 1, 1)}, "counts must be of at most 1048576 runs, not 2097152"),
        ({"height": 7}, "height must be 1 without steps, not 7"),
        ({"width": 0}, "width must be 1 to 16777215, not 0"),
    ],
)
def test_a_descriptor_that_is_none_is_named(change: dict[str, int], message: str) -> None:
    bad = Descriptor.of((2, 1, 1), run_bytes=1)._replace(**change)  # type: ignore[arg-type] # fields of a NamedTuple
    assert next(descriptors.faults(descriptors.table(Descriptor.of(run_bytes=1), bad))) == (1, message)


def test_the_largest_steps_are_those_of_regions_of_one_stride() -> None:
    rows = [100 * i for i in range(200)]
    (one,), exact = Runs(np.array(rows), np.full(200, 7)).regions(1)
    assert exact
    assert one == Region(0, 100, 200, 7)
    uneven = np.array([*itertools.accumulate(range(1, 40))]) * 10
    found, exact = Runs(uneven, np.full(39, 5)).regions(4)
    assert not exact
    assert len(found) <= 4
