"""Scales, roundings, roots and the passes' cycles against fractions, math.isqrt and registers stepped edge by edge."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.compress.quantize.fixed_point import quantize_multiplier
from accelsim.datapath.vector import fixed_point
from accelsim.datapath.vector.fixed_point import Scalar, VectorPass, cycles


@given(st.floats(1e-300, 1e300), st.integers(1, 31))
def test_a_scale_is_held_to_half_a_unit_of_its_multiplier(real: float, bits: int) -> None:
    multiplier, shift = (int(value) for value in fixed_point.fixed_point(real, bits))
    assert 2 ** (bits - 1) <= multiplier < 2**bits
    held = multiplier * Fraction(2) ** shift
    assert abs(held / Fraction(real) - 1) <= Fraction(1, 2**bits)


@given(st.floats(2**-35, 2**29))
def test_q31_scales_are_those_of_the_matrix_layers(real: float) -> None:
    ours = [value.tolist() for value in fixed_point.tflite_scale([real])]
    assert ours == [value.tolist() for value in quantize_multiplier(np.array([real]))]


@pytest.mark.parametrize("real", [0.0, -1.0, math.inf, math.nan])
def test_a_scale_that_is_not_positive_is_refused(real: float) -> None:
    with pytest.raises(ValueError, match="finite and above 0"):
        fixed_point.fixed_point(real, 8)


def test_a_scale_beyond_the_left_shift_is_refused() -> None:
    with pytest.raises(ValueError, match="below 2\\^30"):
        fixed_point.tflite_scale(2.0**30)


@given(st.integers(-(2**61), 2**61), st.integers(0, 62))
def test_a_rounding_shift_is_the_nearest_integer_with_ties_up(value: int, right: int) -> None:
    expected = math.floor(Fraction(value, 2**right) + Fraction(1, 2))
    assert fixed_point.shift_round(np.array([value]), right).tolist() == [expected]


@given(st.integers(-(2**61), 2**61), st.integers(1, 2**48))
def test_a_quotient_is_the_nearest_integer_with_ties_up(dividend: int, divisor: int) -> None:
    expected = math.floor(Fraction(dividend, divisor) + Fraction(1, 2))
    assert fixed_point.divide_round(np.array([dividend]), np.array([divisor])).tolist() == [expected]


def test_ties_of_shifts_and_quotients_go_up() -> None:
    halves = np.array([-5, -3, -1, 1, 3, 5])
    assert fixed_point.shift_round(halves, 1).tolist() == [-2, -1, 0, 1, 2, 3]
    assert fixed_point.divide_round(halves * 3, np.full(6, 6)).tolist() == [-2, -1, 0, 1, 2, 3]


@given(st.integers(1, 60), st.integers(0, 30), st.data())
def test_a_root_is_exact_to_its_last_bit(bits: int, fraction_bits: int, data: st.DataObject) -> None:
    edges = st.sampled_from([0, 1, 2**bits - 1, math.isqrt(2**bits - 1) ** 2, max(math.isqrt(2**bits - 1) ** 2 - 1, 0)])
    value = data.draw(st.one_of(st.integers(0, 2**bits - 1), edges))
    found = fixed_point.root(np.array([value]), bits, fraction_bits)
    assert found.tolist() == [math.isqrt(value << 2 * fraction_bits)]


def test_a_pass_takes_groups_and_the_next_one_waits_for_its_tree() -> None:
    total = VectorPass("sum", ("square",), reduces=True)
    scale = VectorPass("scale", ("multiply", "saturate"))
    # 16 lanes: square, 4 levels, accumulator; 40 columns are 3 groups
    assert total.latency(16) == 6
    assert cycles((total, scale), 1, 40, 16, 0) == (3 + 5 + 3, 3 + 5 + 3 + 1)
    assert cycles((total, Scalar("root", 10), scale), 2, 40, 16, 0) == (2 * (3 + 5 + 10 + 3), 2 * 21 + 1)
    assert total.latency(1) == 2
    assert total.latency(5) == 5


class Registers:
    """Squares, a tree and an accumulator; a root, a bit an edge; products: every register of it, edge by edge."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.levels = math.ceil(math.log2(lanes)) if lanes > 1 else 0
        self.edges = 0
        self.clear()

    def clear(self) -> None:
        self.squares = [0] * self.lanes
        self.tree = [[0] * math.ceil(self.lanes / 2**level) for level in range(1, self.levels + 1)]
        self.total = 0

    def edge(self, group: list[int]) -> None:
        """One edge: every register takes what stood before it."""
        above = [self.squares, *self.tree]
        self.total += above[-1][0]
        for level in reversed(range(self.levels)):
            source = above[level]
            self.tree[level] = [sum(source[i : i + 2]) for i in range(0, len(source), 2)]
        self.squares = [value * value for value in group] + [0] * (self.lanes - len(group))
        self.edges += 1

    def row(self, values: list[int], root_bits: int, early: int, gap: int) -> list[int]:
        """Products of a row with the root of its sum of squares; `early` reads the sum some edges too soon."""
        groups = [values[i : i + self.lanes] for i in range(0, len(values), self.lanes)]
        self.clear()
        for group in groups:
            for _ in range(gap - 1):  # the port is slower than the lanes
                self.edge([])
            self.edge(group)
        for _ in range(self.levels + 1 - early):
            self.edge([])
        root = 0
        for bit in reversed(range(root_bits)):
            if (root | 1 << bit) ** 2 <= self.total:
                root |= 1 << bit
            self.edges += 1
        self.edges += gap * len(groups)
        return [value * root for value in values]


@given(
    rows=st.integers(1, 4), columns=st.integers(1, 40), lanes=st.integers(1, 17), gap=st.integers(1, 3), data=st.data()
)
def test_cycles_are_those_of_the_registers(rows: int, columns: int, lanes: int, gap: int, data: st.DataObject) -> None:
    row = st.lists(st.integers(-255, 255), min_size=columns, max_size=columns)
    tile = data.draw(st.lists(row, min_size=rows, max_size=rows))
    registers = Registers(lanes)
    out = [registers.row(values, 12, 0, gap) for values in tile]
    assert out == [[v * math.isqrt(sum(x * x for x in values)) for v in values] for values in tile]
    steps = (
        VectorPass("sum", ("square",), reduces=True),
        Scalar("root", 12),
        VectorPass("scale", ("multiply", "round")),
    )
    words = gap * rows * math.ceil(columns / lanes)
    free, end = cycles(steps, rows, columns, lanes, words)
    assert free == registers.edges
    # the last group enters on edge `free` and leaves its second stage one edge later
    assert end == registers.edges + 1


@pytest.mark.parametrize("lanes", [1, 2, 5, 16])
def test_a_sum_read_one_edge_earlier_is_wrong(lanes: int) -> None:
    values = list(range(1, 41))
    right = [v * math.isqrt(sum(x * x for x in values)) for v in values]
    assert Registers(lanes).row(values, 12, 0, 1) == right
    assert Registers(lanes).row(values, 12, 1, 1) != right


def test_passes_between_row_registers_do_not_wait_for_ports() -> None:
    steps = (VectorPass("a", ("add",)), VectorPass("b", ("add",), port=False), VectorPass("c", ("add",)))
    assert cycles(steps, 4, 8, 8, 10) == (10 + 4 + 10, 24)
