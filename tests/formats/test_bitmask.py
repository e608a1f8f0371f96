"""Masked tensors by hand."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.formats.bitmask import Bitmask


def test_value_i_is_bit_i_of_the_mask() -> None:
    x = np.array([0, 5, 0, 0, 0, 0, 0, -1, 0, 9], np.int8)
    data = bytes([0b1000_0010, 0b10, 5, 255, 9])
    assert Bitmask().encode(x).to_bytes() == data
    np.testing.assert_array_equal(Bitmask().from_bytes(data, (2, 5)).decode(), x.reshape(2, 5))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x01", "a mask of 9 values must take 2 bytes, not 1"),
        (b"\x03\x00\x07", "a mask with 2 nonzeros and their values must take 4 bytes, not 3"),
        (b"\x01\x00\x07\x07", "a mask with 1 nonzeros and their values must take 3 bytes, not 4"),
        (b"\x01\x02\x07\x07", "bits after the last packed value must be 0"),
        (b"\x01\x00\x00", "values that the mask names must not be 0"),
    ],
)
def test_bytes_that_are_no_mask_and_values_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Bitmask().from_bytes(data, (9,))
