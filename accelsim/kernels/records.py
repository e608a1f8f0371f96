"""What can be said of a program's records in one look at each; `accelsim.isa.verify` names the faults."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Int8 = NDArray[np.int8]


@njit(cache=True)
def put(
    opcode: NDArray[np.uint8],
    layer: Int32,
    signal: Int8,
    wait: Int8,
    operands: Int64,
    starts: Int64,
    opcodes: NDArray[np.uint8],
    number: int,
    given: Int64,
) -> None:
    """Write what several steps issue, each the same opcodes, one instruction after the other from its start on.

    Parameters
    ----------
    opcode, layer, signal, wait, operands
        Fields of the records: results, shapes (n,), (n, moments), (n, waits) and (n, operands).
    starts
        Number of each step's first instruction, shape (steps,).
    opcodes, number, given
        Opcodes of a step, shape (instructions,); number of the layer, and operands, shape (steps, instructions,
        operands).
    """
    for step in range(np.uint64(len(starts))):
        for k in range(np.uint64(len(opcodes))):
            i = np.uint64(starts[step]) + k
            opcode[i], layer[i] = opcodes[k], number
            signal[i] = wait[i] = -1
            for j in range(np.uint64(operands.shape[1])):
                operands[i, j] = given[step, k, j]


@njit(cache=True)
def valid(
    opcode: NDArray[np.uint8], layer: Int32, signal: Int8, wait: Int8, value: Int32, opcodes: int, layers: int
) -> bool:
    """Whether opcodes and layers are below what there is, and waits fill the first places with values of 1 or more.

    Parameters
    ----------
    opcode, layer, signal, wait, value
        Fields of the records, shapes (n,), (n, moments) and (n, waits); -1 is no semaphore.
    """
    for i in range(len(opcode)):
        good = opcode[i] < opcodes and 0 <= layer[i] < layers
        for m in range(signal.shape[1]):
            good &= signal[i, m] >= -1
        ended = False
        for w in range(wait.shape[1]):
            empty = wait[i, w] == -1
            good &= (value[i, w] == 0) if empty else (wait[i, w] >= 0 and value[i, w] >= 1 and not ended)
            ended |= empty
        if not good:
            return False
    return True


@njit(cache=True)
def by_layer(kind: Int32, layer: Int32, amounts: Int64, totals: Int64) -> None:
    """Sum what instructions have by layer.

    Parameters
    ----------
    kind, layer
        Of each instruction, shape (n,).
    amounts
        What an instruction of each kind has, shape (kinds, columns).
    totals
        Result, zeros, shape (layers, columns).
    """
    for i in range(np.uint64(len(kind))):
        k, at = np.uint64(kind[i]), np.uint64(layer[i])
        for j in range(np.uint64(amounts.shape[1])):
            totals[at, j] += amounts[k, j]


@njit(cache=True)
def folds_fit(kind: Int32, brings: NDArray[np.bool_], uses: NDArray[np.bool_], shape: Int64) -> bool:
    """Whether each instruction that uses a fold follows one that brought it in the same shape.

    Parameters
    ----------
    kind
        Of each instruction, shape (n,).
    brings, uses
        Whether instructions of a kind bring a fold, or use the last one that was brought; shape (kinds,).
    shape
        What must be the same, shape (kinds, sizes).
    """
    held = -1
    for k in kind:
        if brings[k]:
            held = k
        elif uses[k]:
            if held < 0:
                return False
            for j in range(shape.shape[1]):
                if shape[k, j] != shape[held, j]:
                    return False
    return True


@njit(cache=True)
def held(kind: Int32, brought: Int64, uses: NDArray[np.bool_], found: Int32) -> None:
    """Find what the last instruction that brought something did bring, for those that use it.

    Parameters
    ----------
    kind
        Of each instruction, shape (n,).
    brought, uses
        What instructions of a kind bring, negative for nothing, and whether they use it; shape (kinds,).
    found
        Result, shape (n,): what an instruction uses, -1 for nothing.
    """
    last = -1
    for i in range(len(kind)):
        k = kind[i]
        if brought[k] >= 0:
            last = brought[k]
        found[i] = last if uses[k] else -1
