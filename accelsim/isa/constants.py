"""Blocks of constants that the vector unit's instructions read from the weight scratchpad: bytes from parameters, back.

Blocks are little-endian and without gaps; `opcodes.OPCODES` lists what each one holds. Scales are what `requantize`
takes in a Q31 mode, which `rounding` names by its number in `datapath.requantize.MODES`. Reading refuses what no kernel
is sized for, because a block comes from a program's bytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.datapath import requantize
from accelsim.datapath.vector import gelu, norm, softmax
from accelsim.datapath.vector.elementwise import Rescale
from accelsim.isa import opcodes
from accelsim.isa.opcodes import ByteMeaning, Exponential, Normalization

Int64 = NDArray[np.int64]

_SCALE = [("multiplier", "<i4"), ("shift", "i1"), ("rounding", "u1")]
_NORM = np.dtype(
    [
        ("epsilon", "<i8"),
        ("multiplier", "<i4"),
        ("rounding", "u1"),
        ("zero_point", "<i2"),
        ("output_zero_point", "<i2"),
    ]
)
_GELU = np.dtype(
    [
        *_SCALE,
        ("zero_point", "<i2"),
        ("output_zero_point", "<i2"),
        ("grid_multiplier", "<u2"),
        ("grid_right", "u1"),
    ]
)
_GRID = np.dtype([("multiplier", "<u2"), ("right", "u1")])
#: Places that a softmax sees, as its operand says.
_MASK = np.dtype([(name, "<i4") for name in ("queries", "first", "step", "window", "sinks")])
_TABLE_BYTES = 256
_MOST_RIGHT = 62


class Places(NamedTuple):
    """Keys that queries see, of a masked softmax.

    Parameters
    ----------
    queries
        After which the next row is the first query again.
    first, step
        Keys that the first query sees, from key 0 on, and more that each next one does.
    window, sinks
        The last keys of those that it sees, 0 for all, and the first ones that it sees beside them.
    """

    queries: int
    first: int
    step: int
    window: int = 0
    sinks: int = 0

    def seen(self, row: int, rows: int, columns: int) -> NDArray[np.bool_]:
        """What rows see, of which the first is query `row`; bool, shape (rows, columns)."""
        query = (row + np.arange(rows)[:, None]) % self.queries
        key, last = np.arange(columns), self.first + self.step * query
        found: NDArray[np.bool_] = key < last
        if self.window:
            found &= (key >= last - self.window) | (key < self.sinks)
        return found


def block_bytes(opcode: int, columns: Int64, kind: Int64) -> Int64:
    """Bytes of an opcode's blocks, 0 where it reads none; arrays of shape (n,)."""
    size = np.zeros_like(columns)
    match opcode:
        case opcodes.NORMALIZE:
            size = _NORM.itemsize + np.where(kind == Normalization.WEIGHTED, 8, 6) * columns
        case opcodes.SOFTMAX:
            masked = _GRID.itemsize + _MASK.itemsize * (kind == Exponential.MASKED)
            size = np.where(kind == Exponential.TABLE, 2 * _TABLE_BYTES, masked)
        case opcodes.GELU:
            size += _GELU.itemsize
        case opcodes.DEQUANTIZE:
            size = np.where(kind == ByteMeaning.INTEGER, 6, 4) * columns
    return size


def pack_norm(parameters: norm.Norm) -> bytes:
    """Block of normalize; raises ValueError if two channels' multipliers differ and neither is 0."""
    p = parameters
    multiplier, shift = (np.broadcast_to(value, p.gamma.shape) for value in (p.multiplier, p.shift))
    live = multiplier != 0  # a channel whose scale vanishes has gamma and beta 0 instead
    common = int(multiplier.max())
    if (multiplier[live] != common).any():
        raise ValueError("channels of a normalization must have one multiplier")
    block = (p.epsilon, common, requantize.MODES.index(p.mode), p.zero_point, p.output_zero_point)
    channels = [(p.beta * live).astype("<i4"), (p.gamma * live).astype("i1"), shift.astype("i1")]
    if p.lambda_multiplier is not None and p.lambda_shift is not None:
        channels += [p.lambda_multiplier.astype("u1"), p.lambda_shift.astype("u1")]
    return b"".join([np.array(block, _NORM).tobytes(), *(channel.tobytes() for channel in channels)])


def read_norm(data: NDArray[np.uint8], columns: int, kind: int, signed: int) -> norm.Norm:
    """Parameters of normalize; raises ValueError if one is out of range."""
    block = _record(data, _NORM)
    rest = data[_NORM.itemsize :]
    beta = rest[: 4 * columns].view("<i4").astype(np.int64)
    gamma, shift = rest[4 * columns : 6 * columns].view(np.int8).astype(np.int64).reshape(2, -1)
    mode = _mode(block["rounding"])
    for extreme in (shift.min(), shift.max()):
        _scale(block["multiplier"], extreme, mode)
    weighted = kind == Normalization.WEIGHTED
    weights = rest[6 * columns :].astype(np.int64).reshape(2, -1) if weighted else None
    found = norm.Norm(
        centred=kind == Normalization.LAYER,
        zero_point=_zero_point(block["zero_point"], signed),
        gamma=gamma,
        beta=beta,
        multiplier=np.asarray(int(block["multiplier"])),
        shift=shift,
        output_zero_point=_zero_point(block["output_zero_point"], 1),
        mode=mode,
        epsilon=int(block["epsilon"]),
        lambda_multiplier=None if weights is None else weights[0],
        lambda_shift=None if weights is None else weights[1],
    )
    if not 0 <= found.epsilon < 2 ** (found.sum_bits - 1):
        raise ValueError(f"epsilon must be 0 to 2^{found.sum_bits - 1} - 1, not {found.epsilon}")
    if np.abs(beta).max() > 2**norm.BETA_BITS:
        raise ValueError(f"beta must be at most 2^{norm.BETA_BITS} in magnitude, not {np.abs(beta).max()}")
    if weights is not None and (weights[0].min() < 1 or weights[1].max() > norm.LAMBDA_SHIFT):
        raise ValueError(f"outlier weights must be 1 or more, and their shifts at most {norm.LAMBDA_SHIFT}")
    return found


def pack_grid(multiplier: int, right: int) -> bytes:
    """Block of softmax by the polynomial: the scale as `softmax.grid_scale` gives it."""
    return np.array((multiplier, right), _GRID).tobytes()


def pack_mask(places: Places) -> bytes:
    """What follows the grid of a masked softmax, or all of the block of one of floats."""
    return np.array(tuple(places), _MASK).tobytes()


def read_mask(data: NDArray[np.uint8], columns: int) -> Places:
    """Places that end a block; raises ValueError if a query would see nothing, or what there is not."""
    places = Places(*map(int, data[-_MASK.itemsize :].view(_MASK)[0]))
    if places.queries < 1 or places.step not in (0, 1):
        raise ValueError(f"a mask must have 1 query or more, each seeing 0 or 1 keys more, not {places}")
    most = places.first + places.step * (places.queries - 1)
    if not (places.first >= 1 and most <= columns):
        raise ValueError(f"queries must see 1 to {columns} keys, not {places.first} to {most}")
    if min(places.window, places.sinks) < 0:
        raise ValueError(f"a window and sinks must be 0 or more, not {places.window} and {places.sinks}")
    return places


def read_grid(data: NDArray[np.uint8]) -> tuple[int, int]:
    """Multiplier and right shift of softmax by the polynomial; raises ValueError if the shift is too far."""
    block = _record(data, _GRID)
    return int(block["multiplier"]), _right(block["right"])


def read_exponentials(data: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Table of softmax, whose block is its bytes; raises ValueError unless exp(0) is 65535, as sums are sized for."""
    table: NDArray[np.uint16] = data.view("<u2").astype(np.uint16)
    if table[0] != softmax.TABLE_ONE:
        raise ValueError(f"the exponential of 0 must be {softmax.TABLE_ONE}, not {table[0]}")
    return table


def pack_gelu(polynomial: gelu.Polynomial) -> bytes:
    """Block of gelu."""
    p = polynomial
    rounding = requantize.MODES.index(p.mode)
    block = (p.multiplier, p.shift, rounding, p.zero_point, p.output_zero_point, p.grid_multiplier, p.grid_right)
    return np.array(block, _GELU).tobytes()


def read_gelu(data: NDArray[np.uint8], signed: int) -> gelu.Polynomial:
    """Parameters of gelu; raises ValueError if one is out of range."""
    block = _record(data, _GELU)
    mode = _mode(block["rounding"])
    scale = _scale(block["multiplier"], block["shift"], mode)
    return gelu.Polynomial(
        zero_point=_zero_point(block["zero_point"], signed),
        grid_multiplier=int(block["grid_multiplier"]),
        grid_right=_right(block["grid_right"]),
        multiplier=scale.multiplier,
        shift=scale.shift,
        output_zero_point=_zero_point(block["output_zero_point"], 1),
        mode=mode,
    )


def pack_scales(scales: NDArray[np.floating], zero_points: NDArray[np.integer] | None = None) -> bytes:
    """Block of dequantize: a scale a column, and for integers a zero point a column."""
    points = b"" if zero_points is None else zero_points.astype("<i2").tobytes()
    return scales.astype("<f4").tobytes() + points


def read_scales(data: NDArray[np.uint8], columns: int, kind: int, signed: int) -> tuple[NDArray[np.float32], Int64]:
    """Scales and zero points of dequantize, the latter 0 for fp8; raises ValueError if one is out of range."""
    scales = data[: 4 * columns].view("<f4").astype(np.float32)
    if kind != ByteMeaning.INTEGER:
        return scales, np.zeros(columns, np.int64)
    points = data[4 * columns :].view("<i2").astype(np.int64)
    for point in (points.min(), points.max()):
        _zero_point(point, signed)
    return scales, points


def _record(data: NDArray[np.uint8], layout: np.dtype[np.void]) -> np.void:
    record: np.void = data[: layout.itemsize].view(layout)[0]
    return record


def _scale(multiplier: Any, shift: Any, mode: str) -> Rescale:
    if multiplier < 0:
        raise ValueError(f"multiplier must be 0 or more, not {multiplier}")
    most = requantize.MOST_SHIFT[mode]
    if not -31 <= shift <= most:
        raise ValueError(f"shift must be -31 to {most}, not {shift}")
    return Rescale(int(multiplier), int(shift))


def _zero_point(value: Any, signed: int) -> int:
    low, high = (-128, 127) if signed else (0, 255)
    if not low <= value <= high:
        raise ValueError(f"zero point must be {low} to {high}, not {value}")
    return int(value)


def _mode(rounding: Any) -> str:
    names = dict(enumerate(requantize.MODES))
    if names.get(int(rounding)) not in requantize.Q31_MODES:
        numbers = ", ".join(str(requantize.MODES.index(mode)) for mode in requantize.Q31_MODES)
        raise ValueError(f"rounding must be one of {numbers}, whose multipliers have 31 bits, not {rounding}")
    return names[int(rounding)]


def _right(value: Any) -> int:
    if value > _MOST_RIGHT:
        raise ValueError(f"right shift must be 0 to {_MOST_RIGHT}, not {value}")
    return int(value)
