"""What the vector unit's general instructions compute: a table of functions in the program, named by their number.

An instruction says where tiles lie, its function what becomes of them: the operation, the types of the elements, and
the scalars that the unit's registers hold meanwhile. So the events and cycles of an instruction follow from operands.

A scale is M 2^(shift - 31) as `requantize` takes it in the rounding scheme of that number, one whose multipliers have
31 bits, or M 2^-shift in onnxruntime's, a float32; of floats `multiplier` is the bits of a float32, and so are `low`
and `high` of float results. Of rows of floats it is epsilon, or what scores are scaled by. Fields that an operation
does not use are 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.datapath import requantize
from accelsim.datapath.vector import float_functions, float_rows, float_scale
from accelsim.datapath.vector.elements import BYTES, Element, float_of
from accelsim.datapath.vector.pool import MAX_WINDOW

Int64 = NDArray[np.int64]


class Operation(IntEnum):
    """What is done, by `map`, `reduce`, `move` or `rows`, as the lists below say."""

    CONVERT = 0
    ADD = 1
    MULTIPLY = 2
    LOOK_UP = 3
    MAXIMUM = 4
    SUM = 5
    COPY = 6
    TRANSPOSE = 7
    FILL = 8
    ROTATE = 9
    ROTATE_NEIGHBOURS = 10
    EXPONENTIAL = 11
    SIGMOID = 12
    TANH = 13
    SILU = 14
    GELU = 15
    GELU_TANH = 16
    RMS_NORM = 17
    LAYER_NORM = 18
    L2_NORM = 19
    SOFTMAX = 20


#: Functions of single floats and of rows of floats, with what the vector unit's models call them.
OF_FLOATS = {Operation[name.name]: name for name in float_functions.Name}
OF_ROWS = {Operation[name.name]: name for name in float_rows.Name}
#: Those that turn pairs of a row's elements: of its two halves, or neighbours.
ROTATIONS = (Operation.ROTATE, Operation.ROTATE_NEIGHBOURS)
#: Operations of each opcode.
MAPS = (Operation.CONVERT, Operation.ADD, Operation.MULTIPLY, Operation.LOOK_UP, *ROTATIONS, *OF_FLOATS)
REDUCTIONS = (Operation.MAXIMUM, Operation.SUM)
MOVES = (Operation.COPY, Operation.TRANSPOSE, Operation.FILL)
#: Operations of two tiles.
BINARY = (Operation.ADD, Operation.MULTIPLY, *ROTATIONS)
_SUM_OF_FLOATS = requantize.MODES.index(requantize.ZERO_POINT_FIRST)
#: Entries of a table, a byte each, in the weight scratchpad.
TABLE_BYTES = 256


class Function(NamedTuple):
    """A record of the table.

    Parameters
    ----------
    operation
        What is done.
    source, other, result
        Types of the elements of the first tile, of the other one, and of the result.
    zero_point, other_zero_point, result_zero_point
        Integers that stand for zero.
    multiplier, shift, other_multiplier, other_shift, result_multiplier, result_shift
        Scales of the first tile, of the other one, and of the result. Two tiles of at most 16 bits are added as
        `elementwise.add_integers` does, each by its factor of at most 1/2; an 8-bit tile is added to int32 by its own.
        In onnxruntime's scheme two tiles of at most 8 bits are added as `float_scale.add` does: multipliers are the
        bits of its three float32.
    rounding
        Rounding scheme of the scales.
    low, high
        Smallest and largest result; all bytes of a FILL are those of `low`.
    window_rows, window_columns, row_step, column_step
        Of a reduction: pixels of a window, and from window to window.
    """

    operation: int
    source: int = 0
    other: int = 0
    result: int = 0
    zero_point: int = 0
    other_zero_point: int = 0
    result_zero_point: int = 0
    multiplier: int = 0
    shift: int = 0
    other_multiplier: int = 0
    other_shift: int = 0
    result_multiplier: int = 0
    result_shift: int = 0
    rounding: int = 0
    low: int = 0
    high: int = 0
    window_rows: int = 0
    window_columns: int = 0
    row_step: int = 0
    column_step: int = 0

    @classmethod
    def read(cls, record: Int64) -> Function:
        """Function that a record of a program's table holds."""
        return cls(*record.tolist())

    @property
    def types(self) -> tuple[Element, Element, Element]:
        """Types of the elements of the tile, of the other one, and of the result."""
        return Element(self.source), Element(self.other), Element(self.result)


#: Words of a record.
FIELDS = len(Function._fields)
NAMES = {"operation": Operation, "source": Element, "other": Element, "result": Element}


def table(*functions: Function) -> Int64:
    """A program's table of functions; int64, shape (functions, FIELDS)."""
    return np.array(functions, np.int64).reshape(-1, FIELDS)


_RANGE = ("low", "high")
_WINDOW = ("window_rows", "window_columns", "row_step", "column_step")
_BOTH = ("zero_point", "other_zero_point", "result_zero_point")
_OWN_SCALE, _OTHER_SCALE, _RESULT_SCALE = (
    ("multiplier", "shift"), ("other_multiplier", "other_shift"), ("result_multiplier", "result_shift")
)  # fmt: skip


def adds_floats(f: Function) -> bool:
    """Whether an addition of integers is one of floats, their zero points included: in onnxruntime's scheme."""
    return f.operation == Operation.ADD and f.rounding == _SUM_OF_FLOATS and all(t.is_narrow for t in f.types)


def used(f: Function) -> frozenset[str]:  # noqa: C901, PLR0911, PLR0912 - one an operation
    """Fields, beside operation and types, that are not 0 for all functions of this operation on these types."""
    source, other, result = f.types
    match f.operation:
        case Operation.CONVERT if source.is_float and result.is_float:
            return frozenset(_RANGE)
        case Operation.CONVERT if source.is_float:
            return frozenset(("multiplier", "result_zero_point", *_RANGE))
        case Operation.CONVERT if result.is_float:
            return frozenset(("multiplier", "zero_point", *_RANGE))
        case Operation.CONVERT:
            return frozenset((*_OWN_SCALE, "rounding", "zero_point", "result_zero_point", *_RANGE))
        case Operation.ADD if result.is_float or (source, other) == (Element.INT32, Element.INT32):
            return frozenset(_RANGE)
        case Operation.ADD if adds_floats(f):
            return frozenset(("multiplier", "other_multiplier", "result_multiplier", "rounding", *_RANGE))
        case Operation.ADD if source == Element.INT32:
            return frozenset((*_OTHER_SCALE, "rounding", "other_zero_point", *_RANGE))
        case Operation.ADD:
            return frozenset((*_OWN_SCALE, *_OTHER_SCALE, *_RESULT_SCALE, "rounding", *_BOTH, *_RANGE))
        case Operation.MULTIPLY | Operation.ROTATE | Operation.ROTATE_NEIGHBOURS if result.is_float:
            return frozenset(_RANGE)
        case Operation.MULTIPLY | Operation.ROTATE | Operation.ROTATE_NEIGHBOURS:
            return frozenset((*_RESULT_SCALE, "rounding", *_BOTH, *_RANGE))
        case Operation.MAXIMUM:
            return frozenset(_WINDOW)
        case Operation.SUM if result.is_float:
            return frozenset(("result_multiplier", *_RANGE, *_WINDOW))
        case Operation.SUM:
            return frozenset((*_RESULT_SCALE, "rounding", "zero_point", "result_zero_point", *_RANGE, *_WINDOW))
        case Operation.FILL:
            return frozenset(("low",))
        case _ if f.operation in OF_FLOATS:
            return frozenset(_RANGE)
        case _ if f.operation in OF_ROWS:
            return frozenset(("multiplier", *_RANGE))
        case _:
            return frozenset()


def faults(records: Int64) -> Iterator[tuple[int, str]]:
    """Functions that are none, and what is wrong with them."""
    for number, record in enumerate(records):
        yield from ((number, text) for text in _faults(Function.read(record)))


def _faults(f: Function) -> Iterator[str]:
    for name, choices in NAMES.items():
        value = getattr(f, name)
        if not 0 <= value < len(choices):
            yield f"{name} must be 0 to {len(choices) - 1}, not {value}"
            return
    types = tuple(element.name.lower() for element in f.types)
    if not _typed(f):
        name = Operation(f.operation).name.lower()
        yield f"{name} must not be of {types[0]} and {types[1]} to {types[2]}"
        return
    fields = used(f)
    for name in f._fields[len(NAMES) :]:
        if name not in fields and getattr(f, name):
            yield f"{name} must be 0, as the operation does not use it, not {getattr(f, name)}"
    yield from _scales(f, fields)
    yield from _points(f, fields)
    if "window_rows" in fields:
        for name in _WINDOW:
            if not 1 <= getattr(f, name) <= MAX_WINDOW:
                yield f"{name} must be 1 to {MAX_WINDOW}, not {getattr(f, name)}"
        if f.window_rows * f.window_columns > MAX_WINDOW:
            yield f"a window must have at most {MAX_WINDOW} pixels, not {f.window_rows * f.window_columns}"


def _typed(f: Function) -> bool:  # noqa: PLR0911 - one an operation
    """Whether the operation is one on these types."""
    source, other, result = f.types
    if f.operation not in BINARY and f.other:
        return False
    floats = source.is_float and result.is_float
    match f.operation:
        case Operation.CONVERT:
            return True
        case Operation.ADD:
            narrow = all(element.is_narrow or element == Element.INT16 for element in f.types)
            wide = source == result == Element.INT32 and (other in BYTES or other == Element.INT32)
            return narrow or wide or (floats and other.is_float)
        case Operation.MULTIPLY:
            return (source.is_narrow and other.is_narrow and not result.is_float) or (floats and other.is_float)
        case Operation.ROTATE | Operation.ROTATE_NEIGHBOURS:
            short = all(element.is_narrow or element == Element.INT16 for element in f.types)
            wide = source == other == Element.INT16  # 32 bits must hold a sum of two products
            return (short and not wide) or (floats and other.is_float)
        case Operation.LOOK_UP:
            return source in BYTES and result in BYTES
        case Operation.SUM:
            return floats or (not source.is_float and source != Element.INT32 and not result.is_float)
        case Operation.MAXIMUM:
            return source == result
        case _ if f.operation in OF_FLOATS or f.operation in OF_ROWS:
            return floats
        case _:  # what moves packed elements moves bytes
            return source == result and not result.is_packed


def _scales(f: Function, fields: frozenset[str]) -> Iterator[str]:
    """Scales are those that the rounding scheme takes."""
    if "rounding" in fields:
        yield from _rounded_scales(f, fields)
        return
    for name in ("multiplier", "result_multiplier"):
        if name in fields and not 0 <= getattr(f, name) < 2**32:
            yield f"{name} must be the bits of a float32, not {getattr(f, name)}"
        elif name in fields and f.operation in OF_ROWS:
            least = -np.inf if f.operation == Operation.SOFTMAX else -np.float32(0)
            if not (np.isfinite(float_of(f.multiplier)) and float_of(f.multiplier) >= least):
                wanted = "a finite scale" if f.operation == Operation.SOFTMAX else "an epsilon of 0 or more"
                yield f"multiplier must be the bits of {wanted}, not {f.multiplier}"


def _rounded_scales(f: Function, fields: frozenset[str]) -> Iterator[str]:
    """Scales of a rounding scheme."""
    names = requantize.MODES[f.rounding : f.rounding + 1] if f.rounding >= 0 else ()
    if not names or names[0] not in (*requantize.Q31_MODES, *requantize.FLOAT_MODES):
        numbers = ", ".join(str(requantize.MODES.index(mode)) for mode in requantize.Q31_MODES)
        floats = ", ".join(str(requantize.MODES.index(mode)) for mode in requantize.FLOAT_MODES)
        yield (
            f"rounding must be one of {numbers}, whose multipliers have 31 bits, or of {floats}, whose have 24, "
            f"not {f.rounding}"
        )
        return
    if names[0] in requantize.FLOAT_MODES:
        yield from _float_scales(f, fields)
        return
    most = requantize.MOST_SHIFT[names[0]]
    for multiplier, shift in (_OWN_SCALE, _OTHER_SCALE, _RESULT_SCALE):
        if multiplier not in fields:
            continue
        m, s = getattr(f, multiplier), getattr(f, shift)
        if not 0 <= m < 2**31:
            yield f"{multiplier} must be 0 to {2**31 - 1}, not {m}"
        elif not -31 <= s <= most:
            yield f"{shift} must be -31 to {most}, not {s}"
        elif "result_multiplier" in fields and multiplier != "result_multiplier" and m * 2.0**s > 2**30:
            yield f"{multiplier} and {shift} must be a factor of at most 1/2, so that int32 holds the sum"


def _float_scales(f: Function, fields: frozenset[str]) -> Iterator[str]:
    """Scales are float32."""
    if adds_floats(f):
        for name in ("multiplier", "other_multiplier"):
            bits = getattr(f, name)
            if not 0 <= bits < 2**32 or not float_scale.LEAST_FACTOR <= float_of(bits) <= float_scale.MOST_FACTOR:
                yield f"{name} must be the bits of a float32 of 2^-20 to 2^8, not {bits}"
        bits = f.result_multiplier
        if not 0 <= bits < 2**32 or not abs(float_of(bits)) <= float_scale.MOST_FIXED:
            yield f"result_multiplier must be the bits of a float32 of at most 2^18 in magnitude, not {bits}"
        return
    if f.operation == Operation.ADD:
        yield "rounding must be one whose multipliers have 31 bits where more than 8 bits are added"
        return
    for multiplier, shift in (_OWN_SCALE, _OTHER_SCALE, _RESULT_SCALE):
        if multiplier not in fields:
            continue
        m, s = getattr(f, multiplier), getattr(f, shift)
        if not 0 <= m < 2**24:
            yield f"{multiplier} must be 0 to {2**24 - 1}, not {m}"
        elif not 0 <= s <= requantize.MOST_FLOAT_SHIFT:
            yield f"{shift} must be 0 to {requantize.MOST_FLOAT_SHIFT}, not {s}"


def _points(f: Function, fields: frozenset[str]) -> Iterator[str]:
    """Zero points and ranges lie inside their types; int32 has none but 0."""
    for name, element in zip(_BOTH, f.types, strict=True):
        if name not in fields:
            continue
        low, high = (0, 0) if element == Element.INT32 else element.limits
        if not low <= getattr(f, name) <= high:
            yield f"{name} must be {low} to {high}, not {getattr(f, name)}"
    result = f.types[2]
    if f.operation == Operation.FILL:
        if not 0 <= f.low < 256:
            yield f"low must be a byte, 0 to 255, not {f.low}"
    elif "low" in fields:
        low, high = (0, 2**32 - 1) if result.is_float else result.limits
        for name in _RANGE:
            if not low <= getattr(f, name) <= high:
                yield f"{name} must be {low} to {high}, not {getattr(f, name)}"
        if not result.is_float and f.low > f.high:
            yield f"low must be at most high, {f.high}, not {f.low}"
