"""Distances between outputs, and what they do to the task."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.golden import quality


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
