"""The bits and cycles of sums at two scales against SystemVerilog of a lane."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.datapath.vector import elementwise, fixed_point
from accelsim.datapath.vector.elements import Element
from accelsim.datapath.vector.elementwise import AddIntegers
from rtl import verilated

VALUES = 4000
ONCE = "tflite_single_round"


@pytest.mark.parametrize(("first", "other", "bits"), [
    (Element.INT8, Element.UINT8, 8), (Element.INT16, Element.INT16, 16), (Element.UINT8, Element.INT16, 8),
])  # fmt: skip
def test_the_unit_agrees_in_every_bit_and_cycle(
    tmp_path_factory: pytest.TempPathFactory, first: Element, other: Element, bits: int
) -> None:
    left = elementwise.left_shift(first, other)
    simulator = verilated.build(tmp_path_factory.mktemp("add"), "add", LEFT=left, BITS=bits)
    rng = np.random.default_rng(bits + left)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    for trial in range(3):
        a, b = (rng.integers(*element.limits, VALUES, endpoint=True) for element in (first, other))
        a[:4], b[:4] = np.repeat(first.limits, 2), np.tile(other.limits, 2)
        # zero points at the far ends, so that the widest differences are shifted, and such as TFLite has for 16 bits
        zeros = (first.limits[trial % 2], other.limits[trial % 2], 3) if trial < 2 else (0, 0, 0)
        scales = (float(2.0 ** rng.uniform(-6, 0)), 1.0)
        output = 300.0 / bits if trial == 2 else float(rng.uniform(0.5, 4))
        add = AddIntegers.of(scales, zeros[:2], output, zeros[2], ONCE, left)
        numbers: list[int] = []
        for factor in (*add.factors, add.output):
            numbers += [factor.multiplier, 31 - factor.shift]
        stimulus = np.zeros((VALUES + 8, 12), np.int64)
        stimulus[:, 3:] = [*zeros[:2], *numbers, zeros[2]]
        stimulus[:VALUES, 0], stimulus[:VALUES, 1], stimulus[:VALUES, 2] = 1, a, b
        found = verilated.simulate(simulator, simulator.parent, stimulus)
        edges = np.flatnonzero(found[:, 0]) + 1
        expected = elementwise.add_integers(a, b, add, qmin=low, qmax=high)
        np.testing.assert_array_equal(found[edges - 1, 1], expected)
        # a lane takes a value a cycle, and the last result is there when the closed form says
        free, end = fixed_point.cycles((elementwise.ADD_INTEGERS,), VALUES, 1, 1, 0)
        assert free == VALUES
        assert edges[-1] == end
