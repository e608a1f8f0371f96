"""Products of every operand type, against exact integers and against floats that are rounded one by one."""

from __future__ import annotations

from typing import get_args

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.config.load import load_technology
from accelsim.config.operands import OPERANDS, OperandType
from accelsim.config.tech import Operation
from accelsim.datapath.multiplier import mac_events, multiply
from accelsim.formats.operands import pack_rows, unpack_rows

INTEGERS = {"int16": (-(2**15), 2**16), "int8": (-128, 256), "int4": (-8, 16), "int2": (-2, 4)}
FLOATS = {
    "fp32": np.float32,
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
}


def test_every_type_has_widths_and_is_tested() -> None:
    assert set(OPERANDS) == set(get_args(OperandType)) == {*INTEGERS, *FLOATS, "binary"}


@pytest.mark.parametrize("operand", INTEGERS)
@given(m=st.integers(1, 5), k=st.integers(1, 40), n=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_integer_sums_are_exact(operand: OperandType, m: int, k: int, n: int, seed: int) -> None:
    low, high = INTEGERS[operand]
    rng = np.random.default_rng(seed)
    x, w = rng.integers(low, high, (m, k)), rng.integers(low, -low, (k, n))
    x[0], w[:, 0] = high - 1, low  # the largest sum there is
    exact = [[sum(int(a) * int(b) for a, b in zip(x[i], w[:, j], strict=True)) for j in range(n)] for i in range(m)]
    assert multiply(x, w, operand).tolist() == exact


@given(m=st.integers(1, 5), k=st.integers(1, 40), n=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_popcounts_of_xnor_are_sums_of_signs(m: int, k: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.choice([-1, 1], (m, k)), rng.choice([-1, 1], (k, n))
    assert multiply(x, w, "binary").tolist() == (x @ w).tolist()


@pytest.mark.parametrize("operand", FLOATS)
@given(m=st.integers(1, 3), k=st.integers(1, 20), n=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_float_sums_round_after_each_input_in_order(operand: OperandType, m: int, k: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spread = rng.choice([1e-3, 1.0, 1e2], (m, k))
    x = (rng.normal(size=(m, k)) * spread).astype(FLOATS[operand]).astype(np.float32)
    w = rng.normal(size=(k, n)).astype(FLOATS[operand]).astype(np.float32)
    got = multiply(x, w, operand)
    for i in range(m):
        for j in range(n):
            total = np.float32(0)
            for a, b in zip(x[i], w[:, j], strict=True):
                total = np.float32(total + np.float32(a * b))
            assert got[i, j].tobytes() == total.tobytes()


def test_the_order_of_float_sums_matters() -> None:
    big, one = np.float32(2**24), np.float32(1)
    column = np.array([[big], [one], [-big]], np.float32)
    ones = np.ones((1, 3), np.float32)
    assert multiply(ones, column, "fp32").tolist() == [[0.0]]
    assert multiply(ones, column[[0, 2, 1]], "fp32").tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("operand", "multiply_pj", "add_pj"),
    [
        ("int8", 0.2, 0.1),  # Horowitz 2014; Han et al. 2015
        ("int16", 3.1 / 4, 0.2),  # 16^2 / 32^2 of the 32-bit product; a 64-bit sum
        ("int4", 3.1 / 64, 0.1),
        ("fp32", 3.7, 0.9),
        ("fp16", 1.1, 0.9),
        ("bf16", 1.1, 0.9),
        ("fp8_e4m3", 3.7 / 16, 0.9),
        ("binary", 0.0181 / 32, 0.1),
    ],
)
def test_energies_of_a_product_and_a_sum(operand: OperandType, multiply_pj: float, add_pj: float) -> None:
    table, events = load_technology("han2015-45nm"), mac_events(operand)
    assert table.energy_pj(events.multiply) == pytest.approx(multiply_pj, rel=1e-12)
    assert table.energy_pj(events.add) == pytest.approx(add_pj, rel=1e-12)
    assert (events.multiply.operation == Operation.XNOR) == (operand == "binary")


@pytest.mark.parametrize("operand", get_args(OperandType))
@given(rows=st.integers(1, 4), elements=st.integers(1, 20), signed=st.booleans(), seed=st.integers(0, 2**32))
def test_rows_are_unpacked_as_they_were_packed(
    operand: OperandType, rows: int, elements: int, signed: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    bits = OPERANDS[operand].bits
    if operand in FLOATS:
        values = rng.normal(size=(rows, elements)).astype(FLOATS[operand]).astype(np.float32)
    elif operand == "binary":
        values = rng.choice([-1, 1], (rows, elements))
    else:
        low = -(2 ** (bits - 1)) if signed else 0
        values = rng.integers(low, low + 2**bits, (rows, elements))
    data = pack_rows(values, operand)
    assert data.shape == (rows, -(-elements * bits // 8))
    np.testing.assert_array_equal(unpack_rows(data, elements, operand, signed=signed), values)


def test_the_first_element_lies_in_the_lowest_bits() -> None:
    assert pack_rows(np.array([[1, -2, 3]]), "int4").tolist() == [[0xE1, 0x03]]
    assert pack_rows(np.array([[1, -1, -1, 1, 1]]), "binary").tolist() == [[0b11001]]
    assert pack_rows(np.array([[0x1234]]), "int16").tolist() == [[0x34, 0x12]]
