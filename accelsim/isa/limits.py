"""What a machine's datapath takes: its opcodes, and the largest values of their operands."""

from __future__ import annotations

from typing import NamedTuple

from accelsim.config.arch import Machine
from accelsim.config.datapaths import (
    InputStationary,
    OuterProduct,
    OutputStationary,
    SparseLanes,
    StructuredSparse,
    TensorCore,
    WeightStationary,
)
from accelsim.isa.opcodes import MATMUL, MULTIPLY, PRELOAD, PRELOAD_MASK, SPMV


class Limit(NamedTuple):
    """Largest value of an operand of an opcode that a machine's datapath takes, and what it is on the machine."""

    opcode: int
    operand: str
    most: int
    what: str


def datapath_limits(machine: Machine) -> list[Limit]:
    """Limits of the opcodes that a machine's matrix unit has; it has no others."""
    matrix = machine.matrix
    sides: tuple[int, ...]
    match matrix:
        case WeightStationary() | InputStationary():
            limits = [Limit(PRELOAD, "packed", 0, "N:M formats")]
            if isinstance(matrix, InputStationary) or not matrix.integers:  # see `isa.integers` for those
                limits += [Limit(opcode, "depth", matrix.rows, "rows") for opcode in (PRELOAD, MATMUL)]
            if isinstance(matrix, InputStationary):
                limits.append(Limit(MATMUL, "inner", 0, "runs of rows"))
            if isinstance(matrix, InputStationary) or not matrix.lookup:
                limits.append(Limit(PRELOAD, "table", 0, "tables of products"))
            sides = (PRELOAD, MATMUL)
        case StructuredSparse():
            depth = matrix.rows * matrix.group // matrix.kept
            limits = [
                Limit(PRELOAD, "depth", depth, "inputs of a sparse fold"),
                Limit(PRELOAD, "table", 0, "tables of products"),
                Limit(MATMUL, "depth", depth, "inputs of a sparse fold"),
            ]
            sides = (PRELOAD, MATMUL)
        case OuterProduct() | OutputStationary():
            limits = [Limit(MULTIPLY, "rows", matrix.rows, "rows"), Limit(MULTIPLY, "packed", 0, "N:M formats")]
            limits.append(Limit(MULTIPLY, "inner", 0, "runs of rows"))
            if isinstance(matrix, OuterProduct) and matrix.skip_zero_columns:
                limits += [
                    Limit(PRELOAD_MASK, "depth", matrix.mask_bits, "mask bits"),
                    Limit(PRELOAD_MASK, "rows", matrix.rows, "rows"),
                ]
            sides = (MULTIPLY,)
        case TensorCore():
            return [Limit(MULTIPLY, "packed", int(matrix.sparse_2_4), "2:4 multiplexers")]
        case SparseLanes():
            return [Limit(SPMV, "columns", matrix.lanes * matrix.sums_per_lane, "sums of all lanes")]
    return [*limits, *(Limit(opcode, "columns", matrix.columns, "columns") for opcode in sides)]
