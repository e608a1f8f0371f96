"""Pass 2: what a machine can't compute is refused, by name."""

from __future__ import annotations

import numpy as np

from accelsim.compiler.fusion import Fusion
from accelsim.compiler.lower.work import VectorWork
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.product import Product
from accelsim.config.arch import Machine
from accelsim.config.datapaths import WeightStationary
from accelsim.config.operands import OPERANDS
from accelsim.datapath import requantize
from accelsim.errors import CompileError
from accelsim.graph.element import Float, Integer
from accelsim.isa.functions import Function


def legalize(lowering: Lowering, machine: Machine) -> Lowering:
    """Hold each product against the machine's multipliers and accumulators.

    Raises
    ------
    CompileError
        If operands are not of the machine's type, or sums could leave their accumulator.
    """
    for fusion in lowering.fusions:
        if not machine.vector.float32_scale and _scales_by_floats(fusion):
            raise CompileError(
                f"layer {fusion.name}: {machine.name} multiplies by M 2^shift alone, not by the float32 scales that "
                "the network has"
            )
    for product in (fusion.product for fusion in lowering.fusions):
        if product is None:
            continue
        factors = [product.input, *([product.weight.element] if product.factor else [])]
        for element in factors:
            if element.operand != machine.matrix.operands:
                raise CompileError(
                    f"layer {product.name}: operands must be {machine.matrix.operands}, the type of {machine.name}, "
                    f"but recipe {lowering.recipe} makes them {element.operand}"
                )
        held = product.weight.element
        bits = OPERANDS[machine.matrix.operands].bits
        own = product.results.rounding in requantize.FLOAT_MODES  # recipes give an array what it takes
        if own and isinstance(held, Integer) and held.memory_bits > bits:
            raise CompileError(
                f"layer {product.name}: weights must have at most {bits} bits, those of {machine.name}, not {held.bits}"
            )
        looked_up = isinstance(machine.matrix, WeightStationary) and machine.matrix.lookup
        element = product.weight.element
        if (isinstance(element, Integer) and element.distinct > 0) != looked_up:
            raise CompileError(
                f"layer {product.name}: weights must be {'numbers of shared values' if looked_up else 'values'} on "
                f"{machine.name}, not {'values' if looked_up else 'numbers of shared ones'} as recipe "
                f"{lowering.recipe} makes them"
            )
        if not isinstance(product.input, Float) and lowering.has_numbers:
            _bound_sums(product)
    return lowering


def _scales_by_floats(fusion: Fusion) -> bool:
    """Whether the vector unit multiplies by float32 scales."""
    if fusion.product:
        return fusion.product.results.rounding in requantize.FLOAT_MODES
    function = fusion.work.function if isinstance(fusion.work, VectorWork) else None
    return isinstance(function, Function) and requantize.MODES[function.rounding] in requantize.FLOAT_MODES


def _bound_sums(product: Product) -> None:
    """Refuse a product whose sums could leave their accumulator for some input.

    That is int32 for operands of up to 8 bits. Of the int64 for int16, 48 bits may be used: requantization multiplies
    by 15 more.

    Raises
    ------
    CompileError
        If the largest sum that the weights allow is above 2^31 - 1, or 2^47 - 1.
    """
    given, bias = product.input, product.results.bias
    assert not isinstance(given, Float)  # noqa: S101 - as the caller has it
    bits = 48 if given.operand == "int16" else 32
    largest = max(abs(given.qmin), given.qmax)
    if product.results.rounding in requantize.FLOAT_MODES:
        bias = np.zeros(1, np.int64)  # of a network that came with it, whose sums wrap as the machine's do
    most = max(-int(bias.min()), int(bias.max()))
    # most products are so far below the limit that their shapes and types say it
    weight = product.weights
    bound = product.k * largest * -int(np.iinfo(weight.dtype).min) + most
    if bound < 2 ** (bits - 1):
        return
    if product.factor:
        raise CompileError(
            f"layer {product.name}: sums must fit an int{bits} accumulator, but can reach {bound}; split its "
            f"{product.k} inputs"
        )
    # in Python's integers, which do not overflow
    weights = np.abs(weight.astype(np.int64)).sum(axis=0).tolist()
    biases = np.abs(bias.astype(np.int64)).tolist()
    sums = [largest * column + bias for column, bias in zip(weights, biases, strict=True)]
    if max(sums) >= 2 ** (bits - 1):
        raise CompileError(
            f"layer {product.name}: sums must fit an int{bits} accumulator, but output {sums.index(max(sums))} "
            f"can reach {max(sums)}; split its {product.k} inputs"
        )
