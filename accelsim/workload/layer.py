"""Layers as a workload file describes them, and the matrix product that each of them is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from accelsim.config.model import NAME, Frozen, Integer, quantity

#: Largest side of a layer as it is described, and sides of its matrix product: rows M, and inputs K or outputs N.
MAX_SIDE = 2**20
MAX_ROWS = 2**31 - 1


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


def _both(value: object) -> object:
    """Accept one number for both directions."""
    return [value, value] if isinstance(value, int | float) else value


def _schema(least: int) -> WithJsonSchema:
    number: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": MAX_SIDE}
    return WithJsonSchema({"anyOf": [number, {"type": "array", "items": number, "minItems": 2, "maxItems": 2}]})


Sides = Annotated[list[Side], BeforeValidator(_both), _schema(1)]
Margins = Annotated[list[Margin], BeforeValidator(_both), _schema(0)]


class _Layer(Frozen):
    """What all layers have."""

    name: str = quantity("name", "Name of the layer, unique in the network", pattern=NAME)
    activation: Literal["none", "relu"] = quantity("name", "Function applied to the outputs", default="none")
    sparsity: list[Side] | None = quantity(
        "weights",
        "[N, M]: of every M weights along the inputs N at most are nonzero, to which drawn weights are pruned; none if "
        "they are dense",
        default=None,
        min_length=2,
        max_length=2,
    )

    @model_validator(mode="after")
    def _fewer_than_the_group(self) -> _Layer:
        if self.sparsity and self.sparsity[0] >= self.sparsity[1]:
            raise ValueError(f"sparsity must be [N, M] with N below M, not {self.sparsity}")
        return self

    @property
    def pattern(self) -> tuple[int, int]:
        """N and M of the weights; 1 and 1 if they are dense."""
        return (self.sparsity[0], self.sparsity[1]) if self.sparsity else (1, 1)


class LinearSpec(_Layer):
    """A fully connected layer: y = activation(x W^T + b)."""

    kind: Literal["linear"] = quantity("name", "Kind of layer")
    inputs: Integer = _side("features", "Input features K")
    outputs: Integer = _side("features", "Output features N")
    weight: str | None = quantity(
        "name", "Tensor of the weights, float, shape (outputs, inputs); none if they are synthetic", default=None
    )
    bias: str | None = quantity("name", "Tensor of the bias, float, shape (outputs,); none if absent", default=None)

    def product(self, batch: int) -> Shape:
        """Matrix product for a batch of samples."""
        return Shape(batch, self.inputs, self.outputs)


class ConvSpec(_Layer):
    """A convolution as the matrix product that im2col makes of it: a row a place of the kernel, a column a filter."""

    kind: Literal["conv"] = quantity("name", "Kind of layer")
    height: Integer = _side("pixels", "Height of the input")
    width: Integer = _side("pixels", "Width of the input")
    channels: Integer = _side("channels", "Channels of the input that a filter reads")
    filters: Integer = _side("channels", "Filters, which are channels of the output")
    kernel: Sides = quantity(
        "pixels", "[height, width] of a filter, or one number for both", min_length=2, max_length=2
    )
    stride: Sides = quantity(
        "pixels",
        "[down, across] from a place to the next, or one number for both",
        default=[1, 1],
        min_length=2,
        max_length=2,
    )
    padding: Margins = quantity(
        "pixels",
        "[above and below, left and right] of the input, or one number for all",
        default=[0, 0],
        min_length=2,
        max_length=2,
    )

    @model_validator(mode="after")
    def _kernel_fits(self) -> ConvSpec:
        for axis, size, kernel, margin in zip(
            ("height", "width"), (self.height, self.width), self.kernel, self.padding, strict=True
        ):
            if kernel > size + 2 * margin:
                raise ValueError(
                    f"kernel must fit the padded input, whose {axis} is {size + 2 * margin}, but has {kernel}"
                )
        return self

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the output: places of the kernel that lie wholly in the padded input (pixels)."""
        (kh, kw), (sh, sw), (ph, pw) = self.kernel, self.stride, self.padding
        return (self.height + 2 * ph - kh) // sh + 1, (self.width + 2 * pw - kw) // sw + 1

    def product(self, batch: int) -> Shape:
        """Matrix product for a batch of samples."""
        height, width = self.output
        return Shape(batch * height * width, self.channels * self.kernel[0] * self.kernel[1], self.filters)


class GemmSpec(_Layer):
    """A matrix product by itself, whatever the batch."""

    kind: Literal["gemm"] = quantity("name", "Kind of layer")
    m: Integer = quantity("rows", "Rows M of activations", ge=1, le=MAX_ROWS)
    k: Integer = _side("features", "Inputs K")
    n: Integer = _side("features", "Outputs N")

    def product(self, batch: int) -> Shape:  # noqa: ARG002 - one signature for all layers
        """The product that it is."""
        return Shape(self.m, self.k, self.n)


LayerSpec = Annotated[LinearSpec | ConvSpec | GemmSpec, Field(discriminator="kind")]
