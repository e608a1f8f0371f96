"""Grouped integers: their bytes counted by hand, their values by a plain loop, and hostile bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.formats.groups import Progressive, VectorScaled


@given(
    bits=st.integers(2, 8),
    group=st.integers(1, 9),
    rows=st.integers(0, 12),
    columns=st.integers(0, 6),
    asymmetric=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_parts_come_back_from_their_bytes(
    bits: int, group: int, rows: int, columns: int, asymmetric: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    codec = Progressive(bits, group) if asymmetric else VectorScaled(bits, group)
    groups = -(-rows // group)
    low, high = (0, 2**bits) if asymmetric else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    q = rng.integers(low, high, (rows, columns))
    scales = rng.integers(0, 2 ** (8 if asymmetric else 4), (groups, columns))
    zeros = rng.integers(0, 2**bits, (groups, columns)) if asymmetric else None
    encoded = codec.encode_parts(q, scales, zeros)
    data = encoded.to_bytes()
    per_group = 8 + bits if asymmetric else 4
    parts = [(8 if asymmetric else 4) * groups * columns, bits * groups * columns if asymmetric else 0]
    assert len(data) == sum(-(-size // 8) for size in (*parts, bits * rows * columns))
    assert encoded.stored_bits == 8 * len(data) >= bits * q.size + per_group * groups * columns
    found = codec.from_bytes(data, (rows, columns))
    assert found.to_bytes() == data
    decoded = found.decode()
    assert decoded.dtype == np.int8
    for k, n in np.ndindex(rows, columns):
        zero = 0 if zeros is None else int(zeros[k // group, n])
        value = (int(q[k, n]) - zero) * int(scales[k // group, n])
        assert decoded[k, n] == min(max(value, -128), 127)


def test_named_bytes() -> None:
    q, scales, zeros = np.array([[15, 1], [0, 8], [7, 9]]), np.array([[16, 2], [3, 255]]), np.array([[8, 1], [7, 15]])
    encoded = Progressive(4, 2).encode_parts(q, scales, zeros)
    assert encoded.to_bytes() == bytes([16, 2, 3, 255, 0x18, 0xF7, 0x1F, 0x80, 0x97])
    assert encoded.decode().tolist() == [[112, 0], [-128, 14], [0, -128]]
    signed = VectorScaled(4, 3).encode_parts(np.array([[-7], [7], [1]]), np.array([[15]]), None)
    assert signed.to_bytes() == bytes([0x0F, 0x79, 0x01])
    assert signed.decode().tolist() == [[-105], [105], [15]]


def test_what_does_not_fit_is_refused() -> None:
    one = np.ones((1, 1), np.int64)
    for wrong, message in (
        (lambda: Progressive(1, 2), "bits must lie between 2 and 8, not 1"),
        (lambda: VectorScaled(4, 0), "group must be 1 row or more, not 0"),
        (lambda: Progressive(4, 2).encode_parts(16 * one, one, one), "integers of progressive4_g2 must be 0 to 15"),
        (lambda: Progressive(4, 2).encode_parts(one, 256 * one, one), "scales of progressive4_g2 must be 0 to 255"),
        (lambda: Progressive(4, 2).encode_parts(one, one, 16 * one), "zero points of progressive4_g2 must be 0 to 15"),
        (lambda: Progressive(4, 2).encode_parts(one, one, None), "zero points of progressive4_g2 must be given"),
        (lambda: VectorScaled(4, 2).encode_parts(one, one, one), "zero points of vectorscaled4_g2 must be absent"),
        (lambda: VectorScaled(4, 2).encode_parts(8 * one, one, None), "integers of vectorscaled4_g2 must be -8 to 7"),
        (lambda: VectorScaled(4, 2).encode_parts(one, 16 * one, None), "scales of vectorscaled4_g2 must be 0 to 15"),
        (lambda: VectorScaled(4, 2).encode_parts(one, np.ones((2, 1), int), None), r"scales must have shape \(1, 1\)"),
        (lambda: VectorScaled(4, 2).from_bytes(bytes(3), (1, 1)), "must take 2 bytes, not 3"),
        (lambda: VectorScaled(4, 2).from_bytes(b"\xf1\x01", (1, 1)), "bits after the last packed value must be 0"),
        (lambda: VectorScaled(4, 2).from_bytes(bytes(2), (1, 1), np.uint8), "tensors must be int8, not uint8"),
        (lambda: Progressive(2, 2).encode(np.array([[-4]], np.int8)), "zero points of progressive2_g2 must be below 4"),
    ):
        with pytest.raises(ValueError, match=message):
            wrong()
