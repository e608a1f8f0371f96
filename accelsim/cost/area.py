"""Silicon area, for budgets: what was synthesized for the datapaths, and CACTI's macros for memories.

Logic: synthesis for Nangate45, before placement, of units like those of `tests/rtl`; for comparing designs, not for a
floor plan. Memories: CACTI 7 at 45 nm, one read-write port, one bank, 64 bits. Left out are host, DMA, decode unit,
wires, and ports beyond the first.
"""

from __future__ import annotations

from collections.abc import Callable

from accelsim.config.arch import L2, Machine, Sram
from accelsim.config.macro import Curve, access_pj
from accelsim.cost.static import srams

#: Square micrometres of synthesized units: a weight-stationary element (8 x 8 bits, a sum of 32, two weights), an
#: outer-product element, a 4 x 4 x 4 tile, half a 2:4 unit of two multipliers and multiplexers, and a requantizer.
WEIGHT_STATIONARY_UM2 = 935.0
OUTER_PRODUCT_UM2 = 878.0
TILE_444_UM2 = 47_519.0
SPARSE_2_4_UM2 = 1_957.0 / 2
REQUANTIZE_UM2 = 5_061.0

#: Square millimetres of a macro of 64 bits over its capacity, from 1 KiB to 4 MiB: HewlettPackard/cacti 1ffd8df.
MACRO_MM2 = Curve(
    kib=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096),
    pj=(0.0036, 0.00754, 0.0135, 0.02627, 0.05074, 0.09486, 0.20905, 0.42959, 0.87209, 1.64463, 3.26283, 6.46596,
        11.989),
    exponent=1.0,
)  # fmt: skip
MACRO_BITS = 64

#: Square micrometres of a multiplier with its adder and registers. Those of the other systolic arrays were not
#: synthesized; they hold as many registers as a weight-stationary element.
_ELEMENTS = {
    "weight_stationary": WEIGHT_STATIONARY_UM2,
    "input_stationary": WEIGHT_STATIONARY_UM2,
    "output_stationary": WEIGHT_STATIONARY_UM2,
    "outer_product": OUTER_PRODUCT_UM2,
    "structured_sparse": SPARSE_2_4_UM2,
    "tensor_core": TILE_444_UM2 / 64,
}


def area_mm2(machine: Machine) -> float | None:
    """Area of multipliers, vector lanes and on-chip memories; None of an array for which there is no figure.

    There is none for operands other than int8, for sparse vector lanes, and for patterns other than 2:4.
    """
    matrix = machine.matrix
    element = _ELEMENTS.get(matrix.kind)
    if element is None or matrix.operands != "int8":
        return None
    if matrix.kind == "structured_sparse" and (matrix.kept, matrix.group) != (2, 4):
        return None
    logic = element * matrix.multipliers + REQUANTIZE_UM2 * machine.vector.lanes
    return logic / 1e6 + sum(_memory_mm2(sram) for sram in srams(machine).values())


def _memory_mm2(sram: Sram | L2) -> float:
    """Area of the banks of a memory, a wide one of macros side by side; no macro is below the smallest of the list."""
    kib = max(sram.bank_bytes / 1024, MACRO_MM2.kib[0] * max(1.0, sram.width_bits / MACRO_BITS))
    return sram.banks * access_pj({MACRO_BITS: MACRO_MM2}, sram.width_bits, kib)


#: Quantities of a machine that a sweep can bound, and shows.
QUANTITIES: dict[str, Callable[[Machine], float | None]] = {
    "multipliers": lambda machine: machine.matrix.multipliers,
    "scratchpad_bytes": lambda machine: sum(sram.capacity_bytes for sram in machine.scratchpads.values()),
    "area_mm2": area_mm2,
}
