"""Functions of two or three tensors, number by number, that no unit of a machine has: a host computes them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from accelsim.graph.element import Float, Plain
from accelsim.graph.ops.op import Op, UnfitError, broadcast
from accelsim.graph.value import Type, Value

ComparisonName = Literal["equal", "less", "less_or_equal", "greater", "greater_or_equal", "is_nan", "is_infinite"]
ElementwiseName = (
    Literal[
        "subtract", "multiply", "divide", "power", "minimum", "maximum", "modulo", "remainder",
        "and", "or", "xor", "not", "shift_left", "shift_right", "where",
    ]
    | ComparisonName
)  # fmt: skip
_COMPARISONS = frozenset(get_args(ComparisonName))
_TAKES = {"where": 3, "not": 1, "is_nan": 1, "is_infinite": 1}


@dataclass(frozen=True, slots=True)
class Elementwise(Op):
    """A function by its name; `golden.real.elementwise` says what each is.

    Shapes are broadcast. Integers wrap, and their quotients lose their fraction; `modulo` has the divisor's sign and
    `remainder` the dividend's. `and`, `or`, `xor` and `not` take masks, or the bits of integers. `where` takes a mask,
    what stands where it is true, and what stands elsewhere.
    """

    name: ElementwiseName

    arity: ClassVar[tuple[int, int]] = (1, 3)

    def infer(self, *given: Value) -> tuple[Type, ...]:
        """The element of the last, or a mask."""
        takes = _TAKES.get(self.name, 2)
        if len(given) != takes:
            raise UnfitError(f"{self.name} must take {takes} values, not {len(given)}")
        for value in given:
            if not isinstance(value.element, Float | Plain):
                raise UnfitError(f"{value.name} must be numbers that stand for themselves, not {value.element}")
        shape = given[0].shape
        for first, second in itertools.pairwise(given):
            broadcast(first, second)
        if takes == 2:
            shape = broadcast(*given)
        elif takes == 3:
            shape = broadcast(Value(given[0].name, broadcast(given[0], given[1]), given[0].element), given[2])
        return (Type(shape, Plain("bool") if self.name in _COMPARISONS else given[-1].element),)
