"""Indexed tensors by hand."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.formats.codebook import Codebook


def test_indices_of_three_bits_name_values_of_the_table() -> None:
    x = np.array([[-3, 0, 7], [7, 7, -3]], np.int8)
    data = bytes([253, 0, 7, 0, 0, 0, 0, 0, 0b10_001_000, 0b0_010_010_0, 0b0])
    encoded = Codebook(3).encode(x)
    assert encoded.table.tolist() == [-3, 0, 7, 0, 0, 0, 0, 0]
    assert encoded.to_bytes() == data
    np.testing.assert_array_equal(Codebook(3).from_bytes(data, (2, 3)).decode(), x)


def test_a_table_may_be_in_any_order_and_type() -> None:
    found = Codebook(1).from_bytes(bytes([200, 3, 0b0110]), (4,), np.uint8)
    assert found.decode().tolist() == [200, 3, 3, 200]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="bits of an index must lie between 1 and 8, not 0"):
        Codebook(0)
    Codebook(2).encode(np.arange(4, dtype=np.int8))
    with pytest.raises(ValueError, match="must have at most 4 different values, not 5"):
        Codebook(2).encode(np.arange(5, dtype=np.int8))
    with pytest.raises(ValueError, match="a table of 4 and 5 indices must take 6 bytes, not 5"):
        Codebook(2).from_bytes(bytes(5), (5,))
    with pytest.raises(ValueError, match="bits after the last packed value must be 0"):
        Codebook(2).from_bytes(bytes([0, 0, 0, 0, 0b100]), (1,))
