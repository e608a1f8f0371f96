"""Integer forms of operators between integers, by onnxruntime's rules: float32 factors, half to even.

=======================  ============================================================================================
Conv, MatMul             clamp(rint(float32(sums + bias) float32(s_x s_w / s_y)) + z_y) (MlasRequantizeOutput)
MatMul of two tensors    the same with s_a s_b / s_y
GlobalAveragePool        the same with s_x / (s_y n) of the sums of n pixels (MlasQLinearGlobalAveragePool)
AveragePool              clamp(rint(float32(sums) float32(s_x / (s_y n)) + z_y)) (qlinear_pool.cc)
Mul                      clamp(rint(float32(products) float32(s_a s_b / s_y) + z_y)) (MlasQLinearMul)
Add                      clamp(rint(fma(a, s_a / s_y, fma(b, s_b / s_y, f)))) (MlasQLinearAdd with AVX2): `ScaledAdd`
functions, conversions   a table of 256 entries, each rint(function(s_x (q - z_x)) / s_y) + z_y
=======================  ============================================================================================

Arrays multiply signed weights of 8 bits without a zero point. Of others the zero point is taken off beforehand; where
that leaves more than 8 bits, a weight is the sum of two, whose inputs stand side by side: twice as many inputs (K).
Factors of a product of two tensors are split so, too, by tables, when they are there: at most four times as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.element import REAL, Element, Integer
from accelsim.graph.graph import Graph, Node
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast, float_multiplier
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.op import Op, products_element
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.scaled_add import ScaledAdd
from accelsim.graph.value import Value
from accelsim.workload.importers.quantized.grid import Grid

Int64 = NDArray[np.int64]
Float32 = NDArray[np.float32]

#: Schemes of requantization: zero point behind rounding, and before it.
BEHIND, BEFORE = "onnxruntime_qlinearmatmul_s8", "onnxruntime_qlinearmul"
#: Range of what an array multiplies.
LEAST, MOST = -128, 127


@dataclass(eq=False)
class Emit:
    """Puts the nodes of an integer graph together.

    Parameters
    ----------
    graph
        The graph before, for shapes and elements.
    nodes, known
        Nodes so far, and constants that they read.
    """

    graph: Graph
    nodes: list[Node] = field(default_factory=list)
    known: dict[str, Value] = field(default_factory=dict)

    def put(self, name: str, op: Op, inputs: Sequence[str], formed: str) -> str:
        """Put a node; return the name of what it forms."""
        self.nodes.append(Node(name, op, tuple(inputs), (formed,)))
        return formed

    def constant(self, name: str, data: NDArray[Any], element: Element) -> str:
        """Declare a constant; return its name."""
        self.known[name] = Value(name, data.shape, element, data)
        return name

    def requantize(self, sums: str, factor: Float32, to: Integer, formed: str, scheme: str = BEHIND) -> None:
        """Integers of sums by float32 factors, one or one a feature."""
        multiplier, shift = float_multiplier(np.atleast_1d(factor))
        parts = (
            self.constant(f"{formed}.multiplier", multiplier, Integer(1.0, 0, signed=True, bits=32)),
            self.constant(f"{formed}.shift", shift, Integer(1.0, 0, signed=True, bits=8)),
        )
        self.put(f"{formed}.cast", Cast(to, scheme), (sums, *parts), formed)

    def ended(self, formed: str, relus: Sequence[Node], to: Integer) -> str:
        """Name of what is rounded for ReLUs that follow, which are put by `rectify`: of none the result itself."""
        return f"{formed}.requantized" if self._clamping(relus, to) else formed

    def rectify(self, rounded: str, relus: Sequence[Node], to: Integer, formed: str) -> None:
        """ReLUs behind what was rounded: they round alike before and behind, as rounding keeps order."""
        last = rounded
        clamping = self._clamping(relus, to)
        for number, node in enumerate(clamping):
            last = self.put(
                node.name, node.op, (last,), formed if number == len(clamping) - 1 else f"{node.name}.clamped"
            )

    @staticmethod
    def _clamping(relus: Sequence[Node], to: Integer) -> list[Node]:
        """ReLUs that clamp more than the range of the integers does."""
        found = []
        for node in relus:
            assert isinstance(node.op, Relu)  # noqa: S101 - as the caller has it
            above = node.op.most < float("inf") and int(to.quantize(np.array(node.op.most))) < to.qmax
            if to.zero_point > to.qmin or above:
                found.append(node)
        return found

    # products with a constant

    def weighted(self, node: Node, x: str, grid: Grid, bias: Int64 | None, to: Integer, formed: str) -> None:
        """A convolution or a product with a constant, its bias and its conversion."""
        element, scale = self.element(x), grid.by_feature
        assert isinstance(element, Integer)  # noqa: S101 - as the caller has it
        assert scale is not None  # noqa: S101 - as the caller has it
        first = np.clip(grid.numbers, LEAST, MOST)
        rest, bits = grid.numbers - first, 8
        if not rest.any():
            bits = grid.bits if _fits(first, grid.bits) else 8
            numbers = first
        else:
            x, numbers = self._beside(node, x, first, rest)
        held = scale.astype(np.float64) if scale.size > 1 else float(scale[0])
        kind = Integer(held, 0, signed=True, bits=bits)
        weight = self.constant(f"{node.name}.weight", numbers.astype(np.int8), kind)
        last = self.put(node.name, node.op, (x, weight), f"{node.name}.products")
        if bias is not None:
            part = self.constant(f"{node.name}.bias", bias.astype(np.int32), products_element(element, kind))
            last = self.put(f"{node.name}.add", Add(), (last, part), f"{node.name}.sums")
        self.requantize(last, _factor(element, scale, to), to, formed)

    def _beside(self, node: Node, x: str, first: Int64, rest: Int64) -> tuple[str, Int64]:
        """Inputs twice, and below the weights what they lack."""
        groups = node.op.groups if isinstance(node.op, Conv) else 1
        shape = self.graph[node.inputs[0]].shape
        again = self.put(f"{node.name}.again", Copy(), (x,), f"{node.name}.inputs_again")
        parts = [x, again]
        if groups > 1:  # each group has its channels beside each other
            grouped = (0, *shape[1:-1], groups, shape[-1] // groups)
            parts = [
                self.put(f"{node.name}.group{i}", Reshape(grouped), (part,), f"{node.name}.grouped{i}")
                for i, part in enumerate(parts)
            ]
        both = self.put(f"{node.name}.beside", Concat(-1), parts, f"{node.name}.inputs")
        if groups > 1:
            whole = (0, *shape[1:-1], 2 * shape[-1])
            both = self.put(f"{node.name}.ungroup", Reshape(whole), (both,), f"{node.name}.inputs.whole")
        return both, np.concatenate((first, rest), axis=-2)

    # products of two tensors

    def of_two(self, node: Node, names: tuple[str, str], to: Integer, formed: str) -> None:
        """A product of two computed factors; zero points are taken off both before."""
        left, right = (self.element(name) for name in names)
        lefts, rights = self._splits(left, held=False), self._splits(right, held=True)
        pairs = list(product(range(len(lefts)), range(len(rights))))
        sides = []
        for side, name, element, tables, place, axis in (
            ("left", names[0], left, lefts, 0, -1), ("right", names[1], right, rights, 1, -2),
        ):  # fmt: skip
            parts = []
            for number, pair in enumerate(pairs):
                part = f"{node.name}.{side}{number}"
                table = tables[pair[place]]
                if table is None:
                    parts.append(name if number == 0 else self.put(f"{part}.copy", Copy(), (name,), part))
                else:
                    parts.append(self.table(part, name, table, Integer(element.scale, 0, signed=True), part))
            rank = len(self.graph[node.inputs[place]].shape)
            joined = f"{node.name}.{side}"
            sides.append(
                parts[0] if len(parts) == 1 else self.put(f"{joined}.join", Concat(rank + axis), parts, joined)
            )
        last = self.put(node.name, node.op, sides, f"{node.name}.products")
        self.requantize(last, _factor(left, _one(right.scale), to), to, formed)

    @staticmethod
    def _splits(element: Integer, *, held: bool) -> list[Int64 | None]:
        """Tables of the parts that an integer less its zero point is the sum of; None for the integer itself.

        Parameters
        ----------
        held
            Whether the array holds the factor, which must be signed then.
        """
        if element.zero_point == 0 and (element.signed or not held):
            return [None]
        centred = np.arange(element.qmin, element.qmax + 1) - element.zero_point
        first = np.clip(centred, LEAST, MOST)
        rest = centred - first
        return [first, rest] if rest.any() else [first]

    # single numbers

    def add(self, node: Node, names: tuple[str, str], to: Integer, formed: str) -> None:
        """A sum of two tensors."""
        a, b = (self.element(name) for name in names)
        first, other = (np.float32(part.scale) / np.float32(to.scale) for part in (a, b))
        zeros = first * np.float32(a.zero_point) + other * np.float32(b.zero_point)
        factors = np.array([first, other, np.float32(to.zero_point) - zeros], np.float32)
        constant = self.constant(f"{node.name}.factors", factors, REAL)
        self.put(node.name, ScaledAdd(to), (*names, constant), formed)

    def multiply(self, node: Node, names: tuple[str, str], to: Integer, formed: str) -> None:
        """A product of two tensors, number by number."""
        a, b = (self.element(name) for name in names)
        last = self.put(node.name, Mul(), names, f"{node.name}.products")
        self.requantize(last, _factor(a, _one(b.scale), to), to, formed, BEFORE)

    def mean(self, node: Node, x: str, to: Integer, formed: str) -> None:
        """A mean of windows, or of whole images."""
        element, shape = self.element(x), self.graph[node.inputs[0]].shape
        if isinstance(node.op, AveragePool):
            pixels, scheme = node.op.window.kernel[0] * node.op.window.kernel[1], BEFORE
        else:
            assert isinstance(node.op, GlobalAveragePool)  # noqa: S101 - as the caller has it
            pixels, scheme = shape[1] * shape[2], BEHIND
        last = self.put(node.name, node.op, (x,), f"{node.name}.sums")
        factor = np.float32(element.scale) / (np.float32(to.scale) * np.float32(pixels))
        self.requantize(last, _one(factor), to, formed, scheme)

    def table(self, name: str, x: str, entries: Int64, to: Integer, formed: str) -> str:
        """A function of 8-bit integers: entry q - qmin for each q."""
        constant = self.constant(f"{name}.table", entries.astype(to.dtype), to)
        return self.put(name if name != formed else f"{name}.look_up", LookUp(to), (x, constant), formed)

    def element(self, name: str) -> Integer:
        """What integers stand for."""
        element = self.graph[name].element
        assert isinstance(element, Integer)  # noqa: S101 - as the caller has it
        return element


def _fits(numbers: Int64, bits: int) -> bool:
    """Whether signed integers of so many bits hold all of them."""
    return bits <= 8 and bool((numbers >= -(2 ** (bits - 1))).all() and (numbers < 2 ** (bits - 1)).all())


def _one(scale: Any) -> Float32:
    """One scale, float32, shape (1,)."""
    return np.array([scale], np.float32)


def _factor(x: Integer, other: Float32, to: Integer) -> Float32:
    """s_x s_w / s_y, each step in float32."""
    found: Float32 = np.float32(x.scale) * other / np.float32(to.scale)
    return found.astype(np.float32)


def is_computed_product(node: Node) -> bool:
    """Whether an operator multiplies matrices."""
    return isinstance(node.op, MatMul) and len(node.inputs) == 2
