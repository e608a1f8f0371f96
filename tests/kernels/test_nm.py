"""Packed N:M weights: the loop expands what the format reads, and refuses what the format refuses."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelsim.formats import nm as format_
from accelsim.kernels import nm


@given(
    st.sampled_from([(2, 4), (1, 4), (4, 8), (1, 2), (3, 5)]), st.integers(1, 20), st.integers(1, 9),
    st.integers(0, 2**32), st.integers(0, 3), st.integers(0, 5),
)  # fmt: skip
def test_expands_and_refuses_as_the_format_does(
    pattern: tuple[int, int], k: int, n: int, seed: int, faults: int, at: int
) -> None:
    kept, group = pattern
    rng = np.random.default_rng(seed)
    w = np.zeros((k, n), np.int8)
    for first in range(0, k, group):
        for column in w[first : first + group].T:
            column[rng.permutation(len(column))[:kept]] = rng.integers(-128, 128)
    data = np.frombuffer(format_.compress(w, kept, group).to_bytes(), np.uint8).copy()
    for _ in range(faults):
        data[rng.integers(data.size)] ^= 1 << rng.integers(8)
    memory = np.concatenate((np.full(at, 255, np.uint8), data))
    out = np.full(-(-k // group) * group * n, 99, np.uint8)
    good = nm.expand(memory, at, k, n, kept, group, format_.index_bits(group), out)
    try:
        expected = format_.from_bytes(data.tobytes(), k, n, kept, group)
    except ValueError:
        assert not good
        return
    assert good
    np.testing.assert_array_equal(out[: k * n].view(np.int8).reshape(k, n), expected.expand())
    if not faults:
        np.testing.assert_array_equal(expected.expand(), w)
