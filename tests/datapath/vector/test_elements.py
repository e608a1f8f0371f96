"""Elements as bytes, from the definition: a row of packed ones is one number, little-endian."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.datapath.vector.elements import BITS, Element, pack, unpack

LIMITS = {Element.INT4: (-8, 7), Element.UINT4: (0, 15), Element.INT2: (-2, 1), Element.UINT2: (0, 3)}


@pytest.mark.parametrize("element", LIMITS)
@pytest.mark.parametrize("columns", range(1, 10))
def test_a_row_of_packed_elements_is_one_number(element: Element, columns: int) -> None:
    low, high = LIMITS[element]
    bits = (high - low).bit_length()
    assert (element.bits, element.limits) == (BITS[element], (low, high)) == (bits, LIMITS[element])
    values = np.random.default_rng(columns).integers(low, high, (3, columns), endpoint=True)
    data = pack(values, element)
    assert data.shape == (3, element.row_bytes(columns)) == (3, -(-columns * bits // 8))
    for row, row_bytes in zip(values.tolist(), data, strict=True):
        number = int.from_bytes(row_bytes.tobytes(), "little")
        assert number == sum(value % 2**bits << i * bits for i, value in enumerate(row))
    np.testing.assert_array_equal(unpack(data, element, columns), values)


def test_every_element_has_its_limits_and_bits() -> None:
    for element in Element:
        if not element.is_float and element not in LIMITS:
            info = np.iinfo(element.dtype)  # type: ignore[type-var] # of integers alone
            assert element.limits == (info.min, info.max)
            assert element.bits == info.bits
    assert [element for element in Element if element.is_packed] == [*LIMITS]
