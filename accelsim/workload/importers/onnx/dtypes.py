"""Types of ONNX's tensors, and what their numbers are in a graph."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from accelsim.graph.element import REAL, Element, Plain

DType = np.dtype[Any]

#: numpy's types by the number that `TensorProto.DataType` gives them. What is not here is refused by its name.
DTYPES: dict[int, DType] = {
    1: np.dtype(np.float32),
    2: np.dtype(np.uint8),
    3: np.dtype(np.int8),
    4: np.dtype(np.uint16),
    5: np.dtype(np.int16),
    6: np.dtype(np.int32),
    7: np.dtype(np.int64),
    9: np.dtype(np.bool_),
    10: np.dtype(np.float16),
    11: np.dtype(np.float64),
    12: np.dtype(np.uint32),
    13: np.dtype(np.uint64),
    16: np.dtype(ml_dtypes.bfloat16),
}
FLOAT32, INT64, BOOL = DTYPES[1], DTYPES[7], DTYPES[9]
#: Floats that a graph has as real numbers: recipes choose their types.
REALS = (DTYPES[1], DTYPES[10], DTYPES[16])


def element_of(dtype: DType) -> Element:
    """What a graph has for numbers of a type: floats of 32 bits or fewer are real numbers, all others stay."""
    return REAL if dtype in REALS else Plain(dtype.name)


def name_of(number: int) -> str:
    """ONNX's name of a type, or its number if it has none."""
    from onnx import TensorProto

    return TensorProto.DataType.Name(number) if number in TensorProto.DataType.values() else str(number)
