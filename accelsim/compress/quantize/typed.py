"""A layer in types that a scheme has chosen: its constants, and the nodes that they make."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.element import Element, Float, Integer, Signs
from accelsim.graph.graph import Node
from accelsim.graph.layer import Layer
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast, DynamicQuantize
from accelsim.graph.ops.matmul import ScaledMatMul
from accelsim.graph.ops.op import products_element
from accelsim.graph.ops.relu import Relu
from accelsim.graph.value import Value


class TypedLayer(Protocol):
    """What every scheme makes of a layer."""

    def constants(self) -> Iterator[Value]:
        """Its constants."""
        ...

    def nodes(self) -> Iterator[Node]:
        """Its nodes, in order; the last one forms the layer's output."""
        ...


@dataclass(frozen=True, slots=True)
class Static:
    """A layer whose scales are known beforehand: sums of integers or signs, a bias, a multiplication by M 2^shift.

    Parameters
    ----------
    weight
        Integers or signs, shape (K, N).
    given, result
        Elements of the layer's input and output.
    bias
        Integers at the scale of the sums, shape (N,); None if there is none.
    multiplier, shift
        int32 and int8, shape (N,), as `Cast` has them; none where the output is signs.
    rounding
        Scheme of that multiplication.
    relu
        ReLU of the results; None if there is none.
    """

    layer: Layer
    weight: Value
    given: Element
    result: Integer | Signs
    bias: NDArray[np.signedinteger[Any]] | None
    multiplier: NDArray[np.int32] | None
    shift: NDArray[np.int8] | None
    rounding: str
    relu: Relu | None

    def constants(self) -> Iterator[Value]:
        """Weights, bias, multipliers and shifts."""
        name, outlined = self.layer.name, self.weight.outlined
        yield self.weight
        if self.bias is not None:
            element = products_element(self.given, self.weight.element)
            yield Value(f"{name}.bias", self.bias.shape, element, self.bias, outlined)
        for part, data in (("multiplier", self.multiplier), ("shift", self.shift)):
            if data is not None:
                bits = 8 * data.dtype.itemsize
                yield Value(f"{name}.{part}", data.shape, Integer(1.0, 0, signed=True, bits=bits), data, outlined)

    def nodes(self) -> Iterator[Node]:
        """Products, bias, conversion, and ReLU on what it gives."""
        name, output = self.layer.name, self.layer.output.name
        yield Node(name, self.layer.head.op, (self.layer.head.inputs[0], self.weight.name), (f"{name}.products",))
        last = f"{name}.products"
        if self.bias is not None:
            yield Node(f"{name}.add", Add(), (last, f"{name}.bias"), (f"{name}.sums",))
            last = f"{name}.sums"
        inputs: tuple[str, ...] = (last,)
        if self.multiplier is not None:
            inputs = (last, f"{name}.multiplier", f"{name}.shift")
        rounding = "" if self.multiplier is None else self.rounding
        formed = f"{name}.requantized" if self.relu else output
        yield Node(f"{name}.cast", Cast(self.result, rounding), inputs, (formed,))
        if self.relu:
            yield Node(f"{name}.relu", self.relu, (formed,), (output,))


@dataclass(frozen=True, slots=True)
class Part:
    """One product of a layer of floats.

    Parameters
    ----------
    node
        The product in the float graph.
    weight
        Floats, or integers whose groups have scales.
    scales
        float32, shape (groups, N); None for floats.
    group
        Inputs that share scales; 0 for floats.
    """

    node: Node
    weight: Value
    scales: Value | None = None
    group: int = 0


@dataclass(frozen=True, slots=True)
class Floating:
    """A layer between floats, whose products are of floats or of integers that are scaled as data come.

    Parameters
    ----------
    kind
        Type of its input and output.
    before
        Nodes that lay its inputs side by side.
    """

    layer: Layer
    kind: Float
    parts: tuple[Part, ...]
    before: tuple[Node, ...] = ()

    def constants(self) -> Iterator[Value]:
        """Weights, scales and bias."""
        for part in self.parts:
            yield part.weight
            if part.scales:
                yield part.scales
        bias = self.layer.bias
        if bias:
            yield Value(bias.name, bias.shape, Float("fp32"), bias.numbers.astype(np.float32), bias.outlined)

    def nodes(self) -> Iterator[Node]:
        """Products, bias, ReLU on sums of 32 bits, and the conversion."""
        name, last = self.layer.name, ""
        yield from self.before
        for part in self.parts:
            given, formed = part.node.inputs[0], f"{part.node.name}.products"
            before = (last,) if last else ()
            if part.scales is None:
                yield Node(part.node.name, part.node.op, (given, part.weight.name, *before), (formed,))
            else:
                assert isinstance(part.weight.element, Integer)  # noqa: S101 - as scales have it
                integers, scales = f"{name}.integers", f"{name}.row_scales"
                quantize = DynamicQuantize(part.weight.element.bits, part.group)
                yield Node(f"{name}.quantize", quantize, (given,), (integers, scales))
                factors = (integers, scales, part.weight.name, part.scales.name)
                yield Node(part.node.name, ScaledMatMul(part.group), factors, (formed,))
            last = formed
        if self.layer.bias:
            yield Node(f"{name}.add", Add(), (last, self.layer.bias.name), (f"{name}.sums",))
            last = f"{name}.sums"
        relu, output = self.layer.relu, self.layer.output.name
        if relu:
            yield Node(f"{name}.relu", Relu(), (last,), (f"{name}.rectified",))
            last = f"{name}.rectified"
        if relu is None or relu.most == float("inf"):
            yield Node(f"{name}.cast", Cast(self.kind), (last,), (output,))
        else:  # the upper end is another pass
            yield Node(f"{name}.cast", Cast(self.kind), (last,), (f"{name}.rounded",))
            yield Node(f"{name}.clamp", relu, (f"{name}.rounded",), (output,))
