"""The golden arithmetic against Python's own integers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from harness import inputs, network
from hypothesis import given
from hypothesis import strategies as st

from accelsim.golden import integer, quality


@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 4), st.integers(0, 2**32))
def test_a_layer_is_what_exact_fractions_say(k: int, n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (layer,) = network(rng, [k, n]).layers
    x = inputs(rng, network(rng, [k, n]), m)
    got = integer.layer_output(layer, x)
    low, high = layer.clamp
    for i in range(m):
        for j in range(n):
            total = sum(int(x[i, a]) * int(layer.weight[a, j]) for a in range(k)) + int(layer.bias[j])
            exact = Fraction(total * int(layer.multiplier[j])) * Fraction(2) ** (int(layer.shift[j]) - 31)
            q = math.floor(exact + Fraction(1, 2)) + layer.output.zero_point
            assert got[i, j] == min(max(q, low), high)


def test_accuracy_takes_the_first_of_equal_outputs() -> None:
    outputs = np.array([[1, 5, 5], [7, 0, 0]])
    assert quality.accuracy(outputs, np.array([1, 0])) == 1
    assert quality.accuracy(outputs, np.array([2, 0])) == 0.5


def test_distances() -> None:
    a = np.array([3.0, 4.0])
    assert quality.sqnr_db(a, a + [0.3, 0.4]) == pytest.approx(20)
    assert quality.cosine(a, 2 * a) == pytest.approx(1)
    assert quality.sqnr_db(a, a) is None
    assert quality.cosine(a, 0 * a) is None
    assert quality.sqnr_db(1e200 * a, 1e200 * (a + np.array([0.3, 0.4]))) == pytest.approx(20)
    assert quality.cosine(1e200 * a, 1e-200 * a) == pytest.approx(1)
    assert quality.sqnr_db(np.array([np.inf]), a[:1]) is None
