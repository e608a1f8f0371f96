"""Layers as a workload file describes them, and the matrix product that each of them is."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from accelsim.config.model import NAME, Frozen, Integer, quantity
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.ops.window import Window

#: Largest side of a layer as it is described, and sides of its matrix product: rows M, and inputs K or outputs N.
MAX_SIDE = 2**20
MAX_ROWS = 2**31 - 1
#: Layers of a network at most, each of which takes a millisecond and ten values of a file.
MAX_LAYERS = 2**13


class Shape(NamedTuple):
    """Sides of a matrix product: (m, k) activations times (k, n) weights."""

    m: int
    k: int
    n: int


def _side(unit: str, description: str) -> Integer:
    side: Integer = quantity(unit, description, ge=1, le=MAX_SIDE)
    return side


Side = Annotated[Integer, Field(ge=1, le=MAX_SIDE)]
Margin = Annotated[Integer, Field(ge=0, le=MAX_SIDE)]
#: Axes of a sample, at most.
MAX_AXES = 5
Axis = Annotated[Integer, Field(ge=0, le=MAX_AXES - 1)]
#: A side, or -1 for what is left.
Rest = Annotated[Integer, Field(ge=-1, le=MAX_SIDE)]


def _both(value: object) -> object:
    """Accept one number for both directions."""
    return [value, value] if isinstance(value, int | float) else value


def _around(value: object) -> object:
    """Accept one number for all sides, or two for both directions."""
    if isinstance(value, int | float):
        return [value] * 4
    return [*value, *value] if isinstance(value, list) and len(value) == 2 else value


def _schema(least: int) -> WithJsonSchema:
    number: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": MAX_SIDE}
    return WithJsonSchema({"anyOf": [number, {"type": "array", "items": number, "minItems": 2, "maxItems": 2}]})


Sides = Annotated[list[Side], BeforeValidator(_both), _schema(1)]
Paddings = Annotated[
    list[Margin],
    BeforeValidator(_around),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_SIDE},
                *(
                    {
                        "type": "array",
                        "items": {"type": "integer", "minimum": 0, "maximum": MAX_SIDE},
                        "minItems": sides,
                        "maxItems": sides,
                    }
                    for sides in (2, 4)
                ),
            ]
        }
    ),
]


#: Functions of single numbers that end a layer.
ActivationName = Literal["none", "relu", "relu6", "sigmoid", "tanh", "gelu", "silu", "hard_swish"]


class BatchNormSpec(Frozen):
    """Tensors of a normalization: (x - mean) / sqrt(variance + epsilon) * gamma + beta, channel by channel."""

    prefix: str = quantity(
        "name", "What the names of its tensors begin with: PREFIX.gamma, .beta, .mean and .variance, shape (channels,)"
    )
    epsilon: float = quantity("value", "What is added to the variance", default=1e-5, gt=0, le=1)


class _Layer(Frozen):
    """What all layers have."""

    name: str = quantity("name", "Name of the layer, unique in the network", pattern=NAME)
    reads: list[str] | None = quantity(
        "names",
        "Layers whose outputs it reads, or `input`, or `previous LAYER`, what that layer put out in the step before; "
        "the one before it if absent",
        default=None,
        min_length=1,
    )
    state: list[Side] | None = quantity(
        "features",
        "Shape of a sample of the outputs, if the next step reads them: `previous` and the layer's name in its reads; "
        "zeros before the first step",
        default=None,
        min_length=1,
        max_length=MAX_AXES,
    )
    activation: ActivationName = quantity("name", "Function applied to the outputs", default="none")


class _Weighted(_Layer):
    """What layers with weights have."""

    weight: str | None = quantity(
        "name",
        "Tensor of the weights, float, shape (outputs, inputs), or (height, width, channels / groups, filters); none "
        "if they are synthetic",
        default=None,
    )
    bias: str | None = quantity("name", "Tensor of the bias, float, shape (outputs,); none if absent", default=None)
    batch_norm: BatchNormSpec | None = quantity(
        "section", "Normalization of the outputs by statistics of training, before the activation; none if absent",
        default=None,
    )  # fmt: skip
    sparsity: list[Side] | None = quantity(
        "weights",
        "[N, M]: of every M weights along the inputs N at most are nonzero, to which drawn weights are pruned; none if "
        "they are dense",
        default=None,
        min_length=2,
        max_length=2,
    )

    @model_validator(mode="after")
    def _fewer_than_the_group(self) -> _Weighted:
        if self.sparsity and self.sparsity[0] >= self.sparsity[1]:
            raise ValueError(f"sparsity must be [N, M] with N below M, not {self.sparsity}")
        return self

    @property
    def pattern(self) -> tuple[int, int]:
        """N and M of the weights; 1 and 1 if they are dense."""
        return (self.sparsity[0], self.sparsity[1]) if self.sparsity else (1, 1)


class LinearSpec(_Weighted):
    """A fully connected layer: y = activation(x W^T + b)."""

    kind: Literal["linear"] = quantity("name", "Kind of layer")
    inputs: Integer = _side("features", "Input features K")
    outputs: Integer = _side("features", "Output features N")

    def product(self, batch: int) -> Shape:
        """Matrix product for a batch of samples."""
        return Shape(batch, self.inputs, self.outputs)


class _Windowed(_Layer):
    """What layers that slide a window over images have."""

    kernel: Sides = quantity(
        "pixels", "[height, width] of the window, or one number for both", min_length=2, max_length=2
    )
    stride: Sides = quantity(
        "pixels",
        "[down, across] from a place to the next, or one number for both",
        default=[1, 1],
        min_length=2,
        max_length=2,
    )
    padding: Paddings = quantity(
        "pixels",
        "[above, left, below, right] of the input, [above and below, left and right], or one number for all",
        default=[0, 0, 0, 0],
        min_length=4,
        max_length=4,
    )

    @property
    def window(self) -> Window:
        """The window, without dilation."""
        (kh, kw), (sh, sw), (top, left, bottom, right) = self.kernel, self.stride, self.padding
        return Window((kh, kw), (sh, sw), (top, left, bottom, right))


class ConvSpec(_Weighted, _Windowed):
    """A convolution: of images that a layer before forms, or by itself, as the matrix product of im2col.

    Of a convolution by itself, rows of the product are places of the kernel and columns are filters.
    """

    kind: Literal["conv"] = quantity("name", "Kind of layer")
    height: Integer | None = quantity("pixels", "Height of the input, by itself alone", default=None, ge=1, le=MAX_SIDE)
    width: Integer | None = quantity("pixels", "Width of the input, by itself alone", default=None, ge=1, le=MAX_SIDE)
    channels: Integer | None = quantity(
        "channels", "Channels of the input that a filter reads, by itself alone", default=None, ge=1, le=MAX_SIDE
    )
    filters: Integer = _side("channels", "Filters, which are channels of the output")
    dilation: Sides = quantity(
        "pixels", "[down, across] from a pixel of the kernel to the next", default=[1, 1], min_length=2, max_length=2
    )
    groups: Integer = quantity(
        "count", "Groups of channels, each with filters of its own; as many as channels make it depthwise", default=1,
        ge=1, le=MAX_SIDE,
    )  # fmt: skip

    @model_validator(mode="after")
    def _kernel_fits(self) -> ConvSpec:
        if self.height is None or self.width is None:
            return self
        padded = self.window.padded(self.height, self.width)
        for axis, size, kernel in zip(("height", "width"), padded, self.kernel, strict=True):
            if kernel > size:
                raise ValueError(f"kernel must fit the padded input, whose {axis} is {size}, but has {kernel}")
        return self

    @property
    def window(self) -> Window:
        """The window."""
        down, across = self.dilation
        return replace(super().window, dilation=(down, across))

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the output of a convolution by itself (pixels)."""
        return self.window.output(self.height or 1, self.width or 1)

    def product(self, batch: int) -> Shape:
        """Matrix product for a batch of samples, of a convolution by itself."""
        height, width = self.output
        return Shape(batch * height * width, (self.channels or 1) * self.kernel[0] * self.kernel[1], self.filters)


class GemmSpec(_Weighted):
    """A matrix product by itself, whatever the batch."""

    kind: Literal["gemm"] = quantity("name", "Kind of layer")
    m: Integer = quantity("rows", "Rows M of activations", ge=1, le=MAX_ROWS)
    k: Integer = _side("features", "Inputs K")
    n: Integer = _side("features", "Outputs N")

    def product(self, batch: int) -> Shape:  # noqa: ARG002 - one signature for all layers
        """The product that it is."""
        return Shape(self.m, self.k, self.n)


class MaxPoolSpec(_Windowed):
    """The largest number of each window, channel by channel."""

    kind: Literal["max_pool"] = quantity("name", "Kind of layer")

    @property
    def op(self) -> Op:
        """What it computes."""
        return MaxPool(self.window)


class AveragePoolSpec(_Windowed):
    """The mean of each window, channel by channel."""

    kind: Literal["average_pool"] = quantity("name", "Kind of layer")
    padded: bool = quantity("flag", "Whether padding counts, as zeros", default=False)

    @property
    def op(self) -> Op:
        """What it computes."""
        return AveragePool(self.window, self.padded)


class GlobalAveragePoolSpec(_Layer):
    """The mean of all pixels, channel by channel."""

    kind: Literal["global_average_pool"] = quantity("name", "Kind of layer")

    @property
    def op(self) -> Op:
        """What it computes."""
        return GlobalAveragePool()


class AddSpec(_Layer):
    """The sum of two layers' outputs: a residual connection."""

    kind: Literal["add"] = quantity("name", "Kind of layer")

    @property
    def op(self) -> Op:
        """What it computes."""
        return Add()


class MultiplySpec(_Layer):
    """The product of two layers' outputs, number by number."""

    kind: Literal["multiply"] = quantity("name", "Kind of layer")

    @property
    def op(self) -> Op:
        """What it computes."""
        return Mul()


class MatMulSpec(_Layer):
    """The matrix product of two layers' outputs, whose axes before the last two are alike."""

    kind: Literal["matmul"] = quantity("name", "Kind of layer")
    transposed: bool = quantity("flag", "Whether the second factor's last two axes change places before", default=False)

    @property
    def op(self) -> Op:
        """What it computes."""
        return MatMul()


class SoftmaxSpec(_Layer):
    """Softmax of each row, the last axis."""

    kind: Literal["softmax"] = quantity("name", "Kind of layer")

    @property
    def op(self) -> Op:
        """What it computes."""
        return Softmax()


class _Normalization(_Layer):
    """What normalizations of rows have."""

    prefix: str | None = quantity(
        "name",
        "What the names of its tensors begin with: PREFIX.gamma, and of layer_norm PREFIX.beta, shape (features,); "
        "gamma is 1 and beta 0 if absent",
        default=None,
    )
    epsilon: float = quantity("value", "What is added to the variance, or to the mean square", default=1e-5, gt=0, le=1)


class LayerNormSpec(_Normalization):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta of each row, the last axis."""

    kind: Literal["layer_norm"] = quantity("name", "Kind of layer")

    @property
    def op(self) -> Op:
        """What it computes."""
        return LayerNorm(self.epsilon)


class RmsNormSpec(_Normalization):
    """x / sqrt(mean square + epsilon) * gamma of each row, the last axis."""

    kind: Literal["rms_norm"] = quantity("name", "Kind of layer")

    @property
    def op(self) -> Op:
        """What it computes."""
        return RmsNorm(self.epsilon)


class ConcatSpec(_Layer):
    """Several layers' outputs, one behind the other along an axis: channels side by side, unless told otherwise."""

    kind: Literal["concat"] = quantity("name", "Kind of layer")
    axis: Integer | None = quantity(
        "axis", "Axis of a sample, counted from 0; the last one if absent", default=None, ge=0, le=MAX_AXES - 1
    )

    @property
    def op(self) -> Op:
        """What it computes."""
        return Concat(-1 if self.axis is None else self.axis + 1)


class ReshapeSpec(_Layer):
    """The numbers of a sample in another shape."""

    kind: Literal["reshape"] = quantity("name", "Kind of layer")
    shape: list[Rest] = quantity(
        "numbers", "Shape of a sample; one side may be -1, for what is left", min_length=1, max_length=MAX_AXES
    )

    @property
    def op(self) -> Op:
        """What it computes."""
        return Reshape((0, *self.shape))


class TransposeSpec(_Layer):
    """The axes of a sample in another order."""

    kind: Literal["transpose"] = quantity("name", "Kind of layer")
    order: list[Axis] = quantity(
        "axes", "For each axis the one of the input, counted from 0", min_length=1, max_length=MAX_AXES
    )

    @property
    def op(self) -> Op:
        """What it computes."""
        return Transpose((0, *(axis + 1 for axis in self.order)))


class SliceSpec(_Layer):
    """A part of each sample along one axis."""

    kind: Literal["slice"] = quantity("name", "Kind of layer")
    axis: Integer = quantity("axis", "Axis of a sample, counted from 0", ge=0, le=MAX_AXES - 1)
    start: Integer = quantity("numbers", "First number along it", default=0, ge=0, le=MAX_SIDE)
    stop: Integer = quantity("numbers", "The one behind the last", ge=1, le=MAX_SIDE)
    step: Integer = quantity("numbers", "From a number to the next", default=1, ge=1, le=MAX_SIDE)

    @property
    def op(self) -> Op:
        """What it computes."""
        return Slice(self.axis + 1, self.start, self.stop, self.step)


class PadSpec(_Layer):
    """What stands for zero around the numbers of each sample."""

    kind: Literal["pad"] = quantity("name", "Kind of layer")
    before: list[Margin] = quantity(
        "numbers", "How many come before those of each axis", min_length=1, max_length=MAX_AXES
    )
    behind: list[Margin] = quantity(
        "numbers", "How many come behind those of each axis", min_length=1, max_length=MAX_AXES
    )

    @property
    def op(self) -> Op:
        """What it computes."""
        return Pad((0, *self.before), (0, *self.behind))


class FlattenSpec(_Layer):
    """All numbers of a sample in a row: of an image, row by row, pixel by pixel, channel by channel."""

    kind: Literal["flatten"] = quantity("name", "Kind of layer")

    @property
    def op(self) -> Op:
        """What it computes."""
        return Reshape((0, -1))


class ActivationSpec(_Layer):
    """The activation function alone."""

    kind: Literal["activation"] = quantity("name", "Kind of layer")

    @property
    def op(self) -> None:
        """Nothing before it."""
        return


#: Layers that are matrix products when they stand by themselves.
ProductSpec = LinearSpec | ConvSpec | GemmSpec
LayerSpec = Annotated[
    LinearSpec
    | ConvSpec
    | GemmSpec
    | MaxPoolSpec
    | AveragePoolSpec
    | GlobalAveragePoolSpec
    | AddSpec
    | MultiplySpec
    | MatMulSpec
    | SoftmaxSpec
    | LayerNormSpec
    | RmsNormSpec
    | ConcatSpec
    | ReshapeSpec
    | TransposeSpec
    | SliceSpec
    | PadSpec
    | FlattenSpec
    | ActivationSpec,
    Field(discriminator="kind"),
]
