"""Figures with prefixes of their own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.units import PREFIXES, si


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0364, "36.4 mJ"), (2.1e12, "2.10 TJ"), (999.6e-6, "1.00 mJ"), (1000, "1.00 kJ"), (0, "0 J"),
     (-3.456e-6, "-3.46 uJ"), (None, "-"), (float("inf"), "-"), (8.34e-5, "83.4 uJ")],
)  # fmt: skip
def test_three_digits_and_a_prefix(value: float | None, shown: str) -> None:
    assert si(value, "J") == shown


@given(st.floats(1e-17, 1e20))
def test_what_is_shown_is_the_value_to_three_digits(value: float) -> None:
    number, unit = si(value, "J").split()
    assert 1 <= float(number) < 1000
    assert float(number) * 10 ** (3 * (PREFIXES.index(unit[:-1]) - 6)) == pytest.approx(value, rel=5.01e-3)
