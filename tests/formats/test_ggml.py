"""ggml's blocks against the gguf package's own arithmetic, a plain reading of single bits, and bytes by hand."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from accelsim.formats.ggml import LAYOUTS, Ggml, GgmlName

NAMES: tuple[GgmlName, ...] = tuple(LAYOUTS)
ROUNDED: tuple[GgmlName, ...] = tuple(name for name in NAMES if LAYOUTS[name].encode)


def oracle_type(name: GgmlName) -> GGMLQuantizationType:
    return GGMLQuantizationType[name.upper()]


def blocks(name: GgmlName, rng: np.random.Generator, outputs: int, count: int) -> NDArray[np.uint8]:
    """Random bytes, but for scales, which are random numbers."""
    found = rng.integers(0, 256, (outputs, count, LAYOUTS[name].bytes), dtype=np.uint8)
    for at in LAYOUTS[name].scales:
        scale = (rng.normal(size=(outputs, count, 1)) * 2.0 ** rng.integers(-20, 8)).astype("<f2")
        found[..., at : at + 2] = scale.view(np.uint8)
    return found


@given(st.sampled_from(NAMES), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32))
def test_numbers_are_those_of_the_gguf_package(name: GgmlName, outputs: int, count: int, seed: int) -> None:
    data = blocks(name, np.random.default_rng(seed), outputs, count)
    found = Ggml(name).of(data)
    right = quants.dequantize(data.reshape(outputs, -1), oracle_type(name))
    assert found.shape == (count * LAYOUTS[name].numbers, outputs)
    assert found.decode().dtype == np.float32
    np.testing.assert_array_equal(found.decode().T, right)
    again = Ggml(name).from_bytes(found.to_bytes(), found.shape)
    np.testing.assert_array_equal(again.blocks, data)
    assert again.stored_bits == found.stored_bits == 8 * data.size


@given(st.sampled_from(ROUNDED), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32))
def test_blocks_are_those_of_the_gguf_package(name: GgmlName, outputs: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = (rng.normal(size=(32 * count, outputs)) * 2.0 ** rng.integers(-10, 10)).astype(np.float32)
    numbers[:, 0] = rng.choice([0.0, 1.0, -1.0, 0.5], 32 * count)
    numbers[:32, -1] = 0
    right = quants.quantize(np.ascontiguousarray(numbers.T), oracle_type(name))
    np.testing.assert_array_equal(Ggml(name).encode(numbers).blocks.reshape(outputs, -1), right)


@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_a_part_is_a_part_of_the_matrix(name: GgmlName, seed: int) -> None:
    whole = Ggml(name).of(blocks(name, np.random.default_rng(seed), 5, 3))
    block = LAYOUTS[name].numbers
    part = whole.part(slice(block, 3 * block), slice(1, 4))
    np.testing.assert_array_equal(part.decode(), whole.decode()[block:, 1:4])
    with pytest.raises(ValueError, match=f"at blocks of {block}"):
        whole.part(slice(1, block), slice(0, 1))


@pytest.mark.parametrize(("name", "bits"), [("q4_0", 4.5), ("q4_1", 5.0), ("q5_0", 5.5), ("q5_1", 6.0), ("q8_0", 8.5),
                                            ("q4_k", 4.5), ("q5_k", 5.5), ("q6_k", 6.5625)])  # fmt: skip
def test_bits_a_weight(name: GgmlName, bits: float) -> None:
    whole = Ggml(name).of(blocks(name, np.random.default_rng(0), 2, 2))
    assert whole.stored_bits / whole.size == bits


def test_a_block_by_hand() -> None:
    data = np.zeros((1, 1, 20), np.uint8)
    data[..., :4] = np.array([0.5, -1.0], "<f2").view(np.uint8)
    data[..., 4] = 0xF3  # number 0 is 3, number 16 is 15
    numbers = Ggml("q4_1").of(data).decode()[:, 0]
    assert (numbers[0], numbers[1], numbers[16]) == (0.5, -1.0, 6.5)


def test_what_is_no_matrix_is_refused() -> None:
    codec = Ggml("q4_1")
    with pytest.raises(ValueError, match="must take 20 bytes, not 19"):
        codec.from_bytes(bytes(19), (32, 1))
    with pytest.raises(ValueError, match="a multiple of 32, not 33"):
        codec.from_bytes(bytes(20), (33, 1))
    with pytest.raises(ValueError, match="scales of q4_1 must be finite"):
        codec.from_bytes(bytes([0, 0x7C] * 10), (32, 1))
    with pytest.raises(ValueError, match="searches for scales"):
        Ggml("q6_k").encode(np.zeros((256, 1), np.float32))
    with pytest.raises(ValueError, match="a multiple of 32, not 31"):
        codec.encode(np.zeros((31, 1), np.float32))
