"""Operators that hosts compute: what they must be given."""

from __future__ import annotations

import pytest

from accelsim.graph.element import REAL, Element, Integer, Plain
from accelsim.graph.ops.convert import Convert
from accelsim.graph.ops.elementwise import Elementwise
from accelsim.graph.ops.expand import Expand
from accelsim.graph.ops.gather_elements import GatherElements
from accelsim.graph.ops.gather_nd import GatherNd
from accelsim.graph.ops.hosted import Hosted
from accelsim.graph.ops.op import Op, UnfitError
from accelsim.graph.ops.reduce import Cumulate, Place, Reduce
from accelsim.graph.ops.scatter import ScatterElements, ScatterNd
from accelsim.graph.ops.top_k import TopK
from accelsim.graph.value import Shape, Type, Value

INT8 = Integer(0.5, 0, signed=True, bits=8)
INT64, MASK = Plain("int64"), Plain("bool")


def value(shape: Shape, element: Element = REAL) -> Value:
    return Value("x", shape, element)


@pytest.mark.parametrize(
    ("op", "given", "types"),
    [
        (Elementwise("subtract"), [value((2, 3)), value((3,))], [Type((2, 3), REAL)]),
        (Elementwise("less"), [value((2, 1)), value((1, 3))], [Type((2, 3), MASK)]),
        (Elementwise("where"), [value((2, 1), MASK), value((3,)), value(())], [Type((2, 3), REAL)]),
        (Elementwise("not"), [value((2,), MASK)], [Type((2,), MASK)]),
        (Reduce("sum", (0, 2)), [value((2, 3, 4))], [Type((3,), REAL)]),
        (Reduce("sum", (0, 2), keeps=True), [value((2, 3, 4))], [Type((1, 3, 1), REAL)]),
        (Place("largest", 1), [value((2, 3))], [Type((2,), INT64)]),
        (TopK(2, 1), [value((2, 3))], [Type((2, 2), REAL), Type((2, 2), INT64)]),
        (Expand((1, 3)), [value((2, 1))], [Type((2, 3), REAL)]),
        (GatherElements(1), [value((2, 3)), value((2, 5), INT64)], [Type((2, 5), REAL)]),
        (GatherNd(1), [value((2, 3, 4)), value((2, 5, 1), INT64)], [Type((2, 5, 4), REAL)]),
        (Hosted(Reduce("mean", (1,)), INT8), [value((2, 3), INT8)], [Type((2,), INT8)]),
        (Hosted(Place("largest", 1), INT64), [value((2, 3), INT8)], [Type((2,), INT64)]),
    ],
    ids=str,
)  # fmt: skip
def test_operators_form_what_they_should(op: Op, given: list[Value], types: list[Type]) -> None:
    assert list(op.infer(*given)) == types


@pytest.mark.parametrize(
    ("op", "given", "text"),
    [
        (Elementwise("subtract"), [value((2, 3))], "subtract must take 2 values, not 1"),
        (Elementwise("subtract"), [value((2, 3)), value((2,))], "shapes"),
        (Elementwise("where"), [value((2,), MASK), value((2,)), value((3,))], "shapes"),
        (Elementwise("divide"), [value((2,)), value((2,), INT8)], "numbers that stand for themselves"),
        (Reduce("sum", (2,)), [value((2, 3))], "axes"),
        (Reduce("sum", (0,)), [value((2, 3), INT8)], "numbers that stand for themselves"),
        (Place("largest", 0), [value((0, 3))], "numbers along axis 0"),
        (Cumulate("sum", 3), [value((2, 3))], "axes"),
        (TopK(4, 1), [value((2, 3))], "4 numbers along axis 1"),
        (TopK(0, 1), [value((2, 3))], "0 numbers along axis 1"),
        (Expand((2,)), [value((2, 3))], "repeated along its 2 axes"),
        (Expand((2, -1)), [value((2, 3))], "repeated"),
        (GatherElements(0), [value((2, 3)), value((2, 4), INT64)], "must fit"),
        (GatherElements(0), [value((2, 3)), value((2, 3))], "integers"),
        (GatherNd(), [value((2, 3)), value((2, 3), INT64)], "rows of 1 to 2 indices, not 3"),
        (GatherNd(1), [value((2, 3)), value((4, 1), INT64)], "first 1 axes alike"),
        (ScatterElements(0), [value((2, 3)), value((1, 3), INT64), value((1, 2))], "must be"),
        (ScatterNd(), [value((2, 3)), value((4, 1), INT64), value((4, 2))], "must be"),
        (Convert(REAL), [value((2,), INT8)], "numbers that stand for themselves"),
        (Hosted(Elementwise("less"), INT8), [value((2,), INT8), value((2,), INT8)], "must form bool"),
        (Hosted(Reduce("sum", (0,)), INT64), [value((2,), INT8)], "must form"),
        (Hosted(Reduce("sum", (0,)), INT8), [value((2,), INT8)] * 2, "must take 1 to 1 values, not 2"),
    ],
    ids=str,
)  # fmt: skip
def test_operators_refuse_what_does_not_fit(op: Op, given: list[Value], text: str) -> None:
    with pytest.raises(UnfitError, match=text):
        op.infer(*given)
