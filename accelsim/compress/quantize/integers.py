"""Integers after training: weights symmetric per channel, activations per tensor from calibration data.

The arithmetic is that of the lecture notes (q_Y = M (q_W q_X + q_bias) + Z_Y, with Z_W = 0 and S_b = S_W S_X) and of
Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018, arXiv:1712.05877.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from accelsim.compress.quantize import clipping, groups
from accelsim.compress.quantize.clipping import Clip
from accelsim.compress.quantize.fixed_point import quantize_multiplier
from accelsim.compress.quantize.groups import Scales
from accelsim.compress.quantize.typed import Static
from accelsim.config.model import Frozen, Integer, quantity
from accelsim.config.operands import OperandType
from accelsim.errors import WorkloadError
from accelsim.formats.storage import Storage
from accelsim.graph.element import Integer as IntegerElement
from accelsim.graph.element import Signs
from accelsim.graph.layer import Layer
from accelsim.graph.value import Value, without_numbers

Float64 = NDArray[np.float64]
Rounding = Literal[
    "tflite_single_round",
    "tflite_double_round",
    "tflite214_builtin_fully_connected",
    "litert_ref_fully_connected",
    "tflite_int64_reduced",
]
#: Bits of what a network's last layer forms, at least: narrower ones would make classes equal.
LAST_BITS = 8
#: Values whose products are looked up, and bits of each.
SHARED_VALUES, SHARED_BITS = 16, 8
#: Rounding of sums that do not fit 32 bits.
WIDE = "tflite_int64_reduced"
#: Its largest left shift: 15 bits of multiplier leave no room for more.
MAX_WIDE_SHIFT = 14

_BITS = {"int16": 16, "int8": 8, "int4": 4, "int2": 2}


class Integers(Frozen):
    """The recipe step."""

    scheme: Literal["int16", "int8", "int4", "int2"] = quantity("name", "Name of the scheme: the integers' type")
    layers: str = quantity("pattern", "Layers that the step applies to, as a shell pattern", default="*")
    weight_bits: Integer | None = quantity(
        "bits",
        "Of a weight, if they are fewer than the type has; stored packed, they take no more; 1 for signs times the "
        "mean magnitude of an output's weights (binary-weight networks)",
        default=None,
        ge=1,
    )
    weight_group: Integer | None = quantity(
        "inputs", "Inputs of an output whose weights share a small integer scale, if `weight_scales` is given",
        default=None, ge=2,
    )  # fmt: skip
    weight_scales: Scales | None = quantity(
        "name",
        "Scales of groups with which narrow weights become int8 on chip: 8 bits and a zero point (QServe), or 4 bits "
        "(VS-Quant); weights are stored so",
        default=None,
    )
    lookup: bool = quantity(
        "flag",
        "Whether weights are 4-bit numbers of 16 values of 8 bits that a layer shares, whose products with int4 "
        "activations are looked up (CodeQuant); a clustering step before makes them few",
        default=False,
    )
    weights_per: Literal["channel", "tensor"] = quantity(
        "name", "What has a step of its own: each output's weights, or the whole layer's", default="channel"
    )
    weight_clip: Literal["max", "mse"] = quantity(
        "name", "Range of the weights: up to the largest, or that of the least squared error", default="max"
    )
    activation_clip: Clip = quantity(
        "name", "Range of activations: all, that of the least squared error, or of a percentile", default="max"
    )
    percentile: float = quantity(
        "percent", "Of positive and of negative activations within the range, if it is of a percentile", default=99.9,
        gt=50, le=100,
    )  # fmt: skip
    residual_bits: Literal[16] | None = quantity(
        "bits",
        "Of what layers form for a residual sum, and of the sum: 16, signed, over the whole range; layers read them "
        "converted to integers of the type (Precision Highway). Those of the type if absent",
        default=None,
    )
    score_bits: Literal[16] | None = quantity(
        "bits",
        "Of the scores of attention, products of queries and keys that a softmax reads: 16, signed, over the whole "
        "range. Those of the type if absent",
        default=None,
    )
    rounding: Rounding | None = quantity(
        "name",
        "Rounding of the requantize unit; tflite_single_round, or for int16 tflite_int64_reduced, if absent",
        default=None,
    )

    @model_validator(mode="after")
    def _sums_fit(self) -> Integers:
        if (self.scheme == "int16") != (self.chosen_rounding == WIDE):
            raise ValueError(f"rounding must be {WIDE} for int16 and only for it, not {self.rounding}")
        return self

    @model_validator(mode="after")
    def _residuals_are_wider(self) -> Integers:
        if self.residual_bits and self.residual_bits <= self.bits:
            raise ValueError(f"residual_bits must be absent for {self.scheme}, whose integers have as many")
        if self.score_bits and self.scheme != "int8":
            raise ValueError(f"score_bits must be absent for {self.scheme}, whose softmax is not of 8-bit shares")
        return self

    @model_validator(mode="after")
    def _groups_have_scales(self) -> Integers:
        if (self.weight_group is None) != (self.weight_scales is None):
            raise ValueError("weight_group and weight_scales must be given together, or neither")
        if self.weight_scales is None:
            return self
        if self.scheme != "int8" or self.chosen_weight_bits >= self.bits:
            raise ValueError(f"weight_scales must be for int8 and weight_bits below 8, not {self.scheme}")
        if self.chosen_weight_bits < 2:
            raise ValueError("weight_bits must be 2 or more where groups have scales")
        if self.weight_clip != "max" or self.weights_per != "channel":
            raise ValueError("weight_clip must be max, and weights_per channel, where groups have scales")
        return self

    @model_validator(mode="after")
    def _few_enough_to_look_up(self) -> Integers:
        if self.lookup and (self.scheme != "int4" or self.weights_per != "tensor" or self.weight_bits is not None):
            raise ValueError("lookup must be for int4, with weights_per: tensor and without weight_bits")
        return self

    @model_validator(mode="after")
    def _weights_fit(self) -> Integers:
        if not self.lookup and self.chosen_weight_bits > self.bits:
            raise ValueError(f"weight_bits must be at most {self.bits}, those of {self.scheme}, not {self.weight_bits}")
        return self

    @property
    def chosen_weight_bits(self) -> int:
        """Bits of a weight, the default resolved; of a shared value, if weights are numbers of them."""
        return SHARED_BITS if self.lookup else self.weight_bits or self.bits

    @property
    def bits(self) -> int:
        """Bits of an integer."""
        return _BITS[self.scheme]

    @property
    def operand(self) -> OperandType:
        """Type of a layer's activations in memory."""
        return self.scheme

    @property
    def chosen_rounding(self) -> str:
        """Rounding, the default resolved."""
        return self.rounding or (WIDE if self.scheme == "int16" else "tflite_single_round")

    @property
    def sum_bits(self) -> int:
        """Bits of a sum that requantization takes."""
        return _sum_bits(self.chosen_rounding)


def _sum_bits(rounding: str) -> int:
    """Bits of a sum: 32, or 48 of the 64 for int16, so that a product fits 64."""
    return 48 if rounding == WIDE else 32


def activation_range(values: Float64, bits: int = 8, clip: Clip = "max", percentile: float = 100.0) -> IntegerElement:
    """Choose type, scale and zero point of a tensor from the values that it takes.

    A tensor without negative values, as after ReLU, is unsigned with zero point 0, so that a real zero is the
    integer zero. Any other is signed and asymmetric: its range, widened to include zero, fills all 2^bits steps.
    """
    low = min(float(values.min()), 0.0)
    high = max(float(values.max()), 0.0)
    steps = 2**bits - 1
    if clip == "mse":
        low, high = clipping.least_squared_range(values, low, high, bits)
    elif clip == "percentile":
        low, high = clipping.percentile_range(values, percentile)
    if low == 0:
        return IntegerElement(high / steps or 1.0, 0, signed=False, bits=bits)
    scale = (high - low) / steps or 1.0
    return IntegerElement(scale, round(-(2 ** (bits - 1)) - low / scale), signed=True, bits=bits)


def tensor_type(value: Value, values: Float64, bits: int, step: Integers | None) -> IntegerElement:
    """Type of a tensor: by the step that training fixed for it, else by the values that it takes.

    A trained step is that of unsigned integers, because inputs and the outputs of ReLU are not negative. Outputs that
    no layer reads, `step` None, keep their whole range.
    """
    if value.step is not None:
        return IntegerElement(float(value.step[0]), 0, signed=False, bits=bits)
    if step is None:
        return activation_range(values, bits)
    return activation_range(values, bits, step.activation_clip, step.percentile)


def symmetric_type(values: Float64, bits: int) -> IntegerElement:
    """Signed integers, symmetric to 0, which the largest magnitude fits.

    So are values of the residual path (Park et al., "Precision Highway for Ultra Low-Precision Quantization", 2018,
    arXiv:1812.09818), and factors of products of two tensors, whose sums no zero point could be taken from.
    """
    largest = float(np.abs(values).max())
    return IntegerElement(largest / (2 ** (bits - 1) - 1) or 1.0, 0, signed=True, bits=bits)


def bias_of(layer: Layer) -> NDArray[np.float32]:
    """A layer's bias, float32, shape (N,); zeros if it has none."""
    bias = layer.bias
    return np.zeros(layer.weight.features, np.float32) if bias is None else bias.numbers


def quantize_layer(layer: Layer, step: Integers, given: IntegerElement, result: IntegerElement) -> Static:
    """Quantize one layer between two activation ranges.

    Raises
    ------
    WorkloadError
        If the bias or a scale leaves the range of the sums.
    """
    if step.weight_group and step.weight_scales:
        return _quantize_groups(layer, step, step.weight_group, step.weight_scales, given, result)
    if step.chosen_weight_bits == 1:
        return _quantize_signs(layer, step, given, result)
    low, high = -(2 ** (step.chosen_weight_bits - 1)), 2 ** (step.chosen_weight_bits - 1) - 1
    weight = layer.matrix
    scale = np.broadcast_to(_weight_scale(layer, step), weight.shape[-1])
    # the largest magnitude of a quantized bias; the rest of a sum is for the zero point's share and the products
    bias_limit = 2.0 ** (step.sum_bits - 2)
    # where a bias is huge beside its weights, they get a coarser step, so that it fits
    scale = np.maximum(scale, np.abs(bias_of(layer).astype(np.float64)) / (given.scale * bias_limit))
    integers = np.clip(np.rint(weight / scale), low, high).astype(np.int16 if step.bits == 16 else np.int8)
    shared = len(np.unique(integers)) if step.lookup else 0
    if shared > SHARED_VALUES:
        raise WorkloadError(
            f"layer {layer.name}: weights must be at most {SHARED_VALUES} different values to be looked up, "
            f"not {shared}; a kmeans step of 4 bits makes them so"
        )
    return integer_layer(layer, weight_of(layer, integers, scale, step), given, result, step.chosen_rounding)


def weight_of(layer: Layer, integers: NDArray[Any], scale: Float64, step: Integers) -> Value:
    """A layer's weights as integers whose columns have real scales, shape (N,)."""
    bits = 8 * integers.dtype.itemsize if step.lookup else step.bits
    distinct = SHARED_VALUES if step.lookup else 0
    element = IntegerElement(scale, 0, signed=True, bits=bits, distinct=distinct)
    return replace(layer.weight, element=element, data=integers.reshape(layer.weight.shape), step=None)


def _quantize_signs(layer: Layer, step: Integers, given: IntegerElement, result: IntegerElement) -> Static:
    """Take the signs of one layer's weights, as in a binary-weight network; errors as for `quantize_layer`."""
    weight, alpha = layer.matrix, mean_magnitude(layer)
    if step.weights_per == "tensor":
        alpha = np.full_like(alpha, np.abs(weight.astype(np.float64)).mean() or 1.0)
    signs = np.where(weight >= 0, 1, -1)
    integers = signs.astype(np.int16) if step.bits == 16 else signs.astype(np.int8)
    return integer_layer(layer, weight_of(layer, integers, alpha, step), given, result, step.chosen_rounding)


def mean_magnitude(layer: Layer) -> Float64:
    """Scale of each output's signs that errs least in the square, float64, shape (N,); 1 where all weights are zero.

    Rastegari et al., ECCV 2016, arXiv:1603.05279, section 3.1; the lecture notes derive the same.
    """
    alpha = np.abs(layer.matrix.astype(np.float64)).mean(axis=0)
    return np.where(alpha > 0, alpha, 1.0)


def _quantize_groups(
    layer: Layer, step: Integers, group: int, scales: Scales, given: IntegerElement, result: IntegerElement
) -> Static:
    """Quantize a layer whose groups of weights have scales; errors as for `quantize_layer`."""
    if layer.weight.step is not None:
        raise WorkloadError(f"layer {layer.name}: weight_scales must be absent, because the weights' steps are fixed")
    bits = step.chosen_weight_bits
    try:
        grouped = groups.grouped(layer.matrix.astype(np.float64), bits, group, scales)
    except ValueError as error:
        raise WorkloadError(f"layer {layer.name}: {error}") from None
    storage = Storage("progressive" if scales == "progressive" else "vector_scaled", bits, group)
    weight = weight_of(layer, grouped.tensor.decode().view(np.int8), grouped.step, step)
    weight = replace(weight, storage=storage, groups=grouped.tensor)
    return integer_layer(layer, weight, given, result, step.chosen_rounding)


def _weight_scale(layer: Layer, step: Integers) -> Float64:
    """Steps of a layer's weights, shape (N,) or (1,)."""
    if layer.weight.step is not None:
        return layer.weight.step.astype(np.float64)
    weight = layer.matrix.astype(np.float64)
    if step.weights_per == "tensor":
        weight = weight.reshape(-1, 1)
    scale = weight_step(weight, step.chosen_weight_bits)
    if step.weight_clip == "mse":
        scale = clipping.least_squared_step(weight, scale, step.chosen_weight_bits)
    return scale


def weight_step(weight: Float64, bits: int) -> Float64:
    """Steps of symmetric integers of so many bits, float64, shape (N,), so that each output's largest weight fits."""
    peak = np.abs(weight).max(axis=0)
    # a channel of zeros may have any step: take the layer's largest, or 1 if all are zero
    step: Float64 = np.where(peak > 0, peak, float(peak.max()) or 1.0) / (2 ** (bits - 1) - 1)
    return step


def integer_layer(
    layer: Layer,
    weight: Value,
    given: IntegerElement | Signs,
    result: IntegerElement,
    rounding: str,
    *,
    relu: bool = True,
) -> Static:
    """A layer of integer weights, shape (K, N), or of signs, between two types, with its ReLU if `relu`.

    Raises
    ------
    WorkloadError
        If the bias or a scale leaves the range of the sums.
    """
    sum_bits = _sum_bits(rounding)
    products = given.scale * np.broadcast_to(weight.element.scale, weight.features)
    bias = np.rint(bias_of(layer) / products)
    columns = weight.numbers.reshape(-1, weight.features).sum(axis=0, dtype=np.int64)
    # the zero point's share of all products stands in memory with the bias
    if (np.abs(bias - given.zero_point * columns) >= 2.0 ** (sum_bits - 1)).any():
        raise WorkloadError(f"layer {layer.name}: the bias must fit {sum_bits} bits at the scale of its products")
    try:
        multiplier, shift = quantize_multiplier(products / result.scale)
    except ValueError as error:
        raise WorkloadError(f"layer {layer.name}: {error}") from None
    if rounding == WIDE and shift.max(initial=0) > MAX_WIDE_SHIFT:
        raise WorkloadError(f"layer {layer.name}: a requantize scale of int16 must be below 2^{MAX_WIDE_SHIFT}")
    return Static(
        layer=layer,
        weight=weight,
        given=given,
        result=result,
        bias=bias.astype(np.int64 if rounding == WIDE else np.int32),
        multiplier=multiplier,
        shift=shift,
        rounding=rounding,
        relu=layer.relu if relu else None,
    )


def outline_layer(layer: Layer, step: Integers, given: IntegerElement, result: IntegerElement) -> Static:
    """The layer with shapes alone; scales are 1 and zero points 0, which no time depends on."""
    kind = np.int16 if step.bits == 16 else np.int8
    weight = weight_of(layer, without_numbers(kind, layer.weight.shape), np.ones(1), step)
    return outlined(layer, replace(weight, outlined=True), given, result, step.chosen_rounding)


def outlined(
    layer: Layer, weight: Value, given: IntegerElement | Signs, result: IntegerElement | Signs, rounding: str
) -> Static:
    """A layer whose constants have shapes alone."""
    n = weight.features
    return Static(
        layer=layer,
        weight=weight,
        given=given,
        result=result,
        bias=without_numbers(np.int64 if rounding == WIDE else np.int32, (n,)),
        multiplier=None if isinstance(result, Signs) else without_numbers(np.int32, (n,)),
        shift=None if isinstance(result, Signs) else without_numbers(np.int8, (n,)),
        rounding=rounding,
        relu=layer.relu,
    )


def unsigned(bits: int) -> IntegerElement:
    """Type of a tensor without numbers."""
    return IntegerElement(1.0, 0, signed=False, bits=bits)
