"""Products and sums of every operand type: exact for integers, in a stated order for floats; and what each is charged.

- Integers of 16 to 2 bits: exact products, summed in int64 for int16 and int32 else; the compiler refuses a layer whose
  sums could overflow.
- binary: operands are +1 and -1, stored as 1 and 0; a sum of k products is 2 popcount(xnor) - k.
- floats: a product is rounded to float32 (exact for 16 bits and fewer), and added to a float32 sum that starts at 0,
  inputs in order, each addition rounded to nearest even: what the sums do on their way down a systolic column.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.config.operands import OPERANDS, OperandType
from accelsim.config.tech import Component, Event, Operation


class MacEvents(NamedTuple):
    """Events of a processing element of one operand type.

    Its registers are latches: each holds one value until the clock brings the next one, and costs that clock edge. What
    it holds is on wires, so that reading it costs nothing.
    """

    multiply: Event
    add: Event
    gated: Event
    latch_operand: Event
    latch_sum: Event


def latched(bits: int) -> Event:
    """A value of some bits that the clock brings into an array's pipeline registers."""
    return Event(Component.REGISTER_FILE, Operation.LATCH, bits)


def skewed(length: int) -> int:
    """Latches before the first `length` rows or columns at an array's edge, where each enters a cycle later."""
    return length * (length - 1) // 2


@cache
def mac_events(operand: OperandType) -> MacEvents:
    """Events of a processing element: a product of two operands, a sum, and the registers of both."""
    bits, sum_bits, is_float = OPERANDS[operand]
    if operand == "binary":
        multiply = Event(Component.MAC, Operation.XNOR, 1)
    else:
        multiply = Event(Component.MAC, Operation.FLOAT_MULTIPLY if is_float else Operation.INT_MULTIPLY, bits, bits)
    return MacEvents(
        multiply=multiply,
        add=Event(Component.MAC, Operation.FLOAT_ADD if is_float else Operation.INT_ADD, sum_bits),
        gated=Event(Component.MAC, Operation.PE_GATED, sum_bits),
        latch_operand=latched(bits),
        latch_sum=latched(sum_bits),
    )


def multiply(x: NDArray[np.generic], w: NDArray[np.generic], operand: OperandType) -> NDArray[Any]:
    """Sums of products of (m, k) activations and (k, n) weights of a type.

    Returns
    -------
    Shape (m, n): int64, exact; float32 for floats.
    """
    if OPERANDS[operand].is_float:
        return _in_order(x.astype(np.float32), w.astype(np.float32))
    if operand == "binary":
        return _popcount(x, w)
    # float64 holds every sum of up to 2^22 products of 16 bits, and of up to 2^37 of 8 bits
    return (x.astype(np.float64) @ w.astype(np.float64)).astype(np.int64)


def _in_order(x: NDArray[np.float32], w: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.zeros((len(x), w.shape[1]), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(len(w)):
            total += x[:, k, None] * w[k, None, :]
    return total


def _popcount(x: NDArray[np.generic], w: NDArray[np.generic]) -> NDArray[np.int64]:
    k = x.shape[1]
    rows = np.packbits(x.astype(np.int8) > 0, axis=1)
    columns = np.packbits(w.astype(np.int8).T > 0, axis=1)
    differ = np.bitwise_count(rows[:, None, :] ^ columns[None, :, :]).sum(axis=2, dtype=np.int64)
    sums: NDArray[np.int64] = k - 2 * differ  # the bits behind the last input are 0 in both, and never differ
    return sums
