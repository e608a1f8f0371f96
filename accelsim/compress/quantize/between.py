"""What stands between layers, in integers: residual sums, means, products, functions and joined tensors.

Two tensors of different scales are added TFLite's way (tensorflow/lite/kernels/add.cc): both are shifted left by 20
bits, or by 15 where one has 16, brought to twice the larger scale, added, and brought to the scale of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.quantize.fixed_point import quantize_multiplier
from accelsim.compress.quantize.rows import SHARES, norm_constants, softmax_grid
from accelsim.errors import ConfigError
from accelsim.golden.real.functions import apply
from accelsim.graph.element import Float, Integer
from accelsim.graph.graph import Graph, Node
from accelsim.graph.layer import Layer
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.convert import Convert
from accelsim.graph.ops.elementwise import Elementwise
from accelsim.graph.ops.expand import Expand
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.integer_norm import IntegerNorm
from accelsim.graph.ops.integer_softmax import IntegerSoftmax
from accelsim.graph.ops.l2_norm import L2Norm
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.mask import EVERYTHING
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool
from accelsim.graph.ops.reduce import Cumulate, Place, Reduce
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.rotary_embedding import RotaryEmbedding
from accelsim.graph.ops.rotate import Rotate
from accelsim.graph.ops.scatter import ScatterElements, ScatterNd
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.ops.token_mean import TokenMean
from accelsim.graph.value import Value, without_numbers

#: Operators that form numbers at a scale of their own.
SCALED = (
    Add, Mul, MatMul, AveragePool, GlobalAveragePool, Function, Softmax, MaskedSoftmax, LayerNorm, RmsNorm, L2Norm,
    RotaryEmbedding, TokenMean, Concat,
)  # fmt: skip
#: Operators of numbers between layers that no unit has, and whose numbers have scales of their own, too.
HOSTED = (Elementwise, Reduce, Place, Cumulate, Convert, ScatterElements, ScatterNd)
#: Those of the first whose floats no vector unit forms yet.
ROWS = (Softmax, MaskedSoftmax, LayerNorm, RmsNorm, L2Norm, TokenMean)
#: Bits by which operands of a sum are shifted left before they are rescaled: two of 8 bits or fewer, and others.
LIFT, LIFT_16 = 20, 15
#: Integer of a rotary table that stands for 1.
ROTARY_ONE = 127
#: Rounding of all conversions.
ROUNDING = "tflite_single_round"


def needs_real(graph: Graph, node: Node) -> bool:
    """Whether no unit forms integers of a node of `SCALED`: padding by ids, means of tokens, rows that turn in part."""
    match node.op:
        case RotaryEmbedding():
            return not _turns_whole(graph, node)
        case MaskedSoftmax(pad=pad):
            return pad is not None
        case _:
            return isinstance(node.op, L2Norm | TokenMean)


def _turns_whole(graph: Graph, node: Node) -> bool:
    """Whether all features of a rotary embedding are pairs."""
    x, frequencies = graph.given(node)
    return graph.constant(frequencies.name) and 2 * frequencies.features == x.features


def formed_type(op: Op, wanted: Integer) -> Integer:
    """What an operator forms where such integers are wanted: shares have one scale, normalized rows are signed."""
    match op:
        case Softmax() | MaskedSoftmax():
            return SHARES
        case LayerNorm() | RmsNorm() if not wanted.signed:
            return replace(wanted, signed=True, zero_point=wanted.zero_point - 2 ** (wanted.bits - 1))
        case _:
            return wanted


def _clamps(op: Op, element: Integer) -> bool:
    """Whether the range of integers alone does what a ReLU does."""
    assert isinstance(op, Relu)  # noqa: S101 - as it was looked for
    most = element.qmax if op.most == float("inf") else int(element.quantize(np.array(op.most)))
    return (element.zero_point, most) == (element.qmin, element.qmax)


def _grid(scale: float, bits: int) -> tuple[int, int]:
    """Constants of softmax; of 8-bit scores whose range is too wide the refusal says what helps."""
    try:
        return softmax_grid(scale)
    except ValueError as error:
        raise ValueError(f"{error}" + ("; score_bits: 16 makes it finer" if bits == 8 and scale > 1 else "")) from None


@dataclass
class Between:
    """Nodes and constants that a node between layers becomes.

    Parameters
    ----------
    group
        The node, as the head of a layer without weights, and the ReLU behind it; behind a product a bias, too.
    outlined
        Whether the graph's constants have shapes alone.
    """

    group: Layer
    outlined: bool
    nodes: list[Node] = field(default_factory=list)
    constants: list[Value] = field(default_factory=list)

    def integers(self, given: Sequence[Integer], result: Integer) -> None:
        """Form integers of integers.

        Raises
        ------
        ConfigError
            If the operator has no meaning in integers.
        """
        node, name = self.group.head, self.group.name
        last = self.group.output.name
        relu = [later for later in self.group.epilogue if isinstance(later.op, Relu)]
        if self.group.bias and not isinstance(node.op, MatMul):
            raise ConfigError(f"node {name}: a constant must not be added to what {type(node.op).__name__} forms")
        if isinstance(node.op, ROWS):  # whose unit clamps to the whole range, which is that behind a ReLU
            relu = [later for later in relu if not _clamps(later.op, result)]
        formed = f"{name}.requantized" if relu else last
        self._form(node, given, result, formed)
        for later in relu:
            self._put(later.name, later.op, (formed,), last)

    def _form(self, node: Node, given: Sequence[Integer], result: Integer, formed: str) -> None:
        """The node, and what brings its numbers to the result's scale."""
        name = self.group.name
        match node.op:
            case Add():
                self._sum(node, given, result, formed)
            case Mul():
                self._put(name, node.op, node.inputs, f"{name}.products")
                self.requantize(f"{name}.products", given[0].scale * given[1].scale, result, formed)
            case MatMul():
                self._put(name, node.op, node.inputs, f"{name}.products")
                scale = given[0].scale * given[1].scale
                products = self._biased(Integer(scale, 0, signed=True, bits=32))
                self.requantize(products, scale, result, formed)
            case AveragePool() | GlobalAveragePool():
                self._put(name, node.op, node.inputs, f"{name}.pooled")
                sums = node.op.infer(Value("", self.group.input.shape, given[0]))[0].element
                self.requantize(f"{name}.pooled", sums.scale, result, formed)
            case Function() as op:
                entries = np.arange(given[0].qmin, given[0].qmax + 1)
                with np.errstate(over="ignore"):
                    table = result.quantize(apply(op, given[0].dequantize(entries)))
                self._constant(f"{name}.table", table, result)
                self._put(name, LookUp(result), (*node.inputs, f"{name}.table"), formed)
            case Softmax() | MaskedSoftmax() | LayerNorm() | RmsNorm():
                self._rows(node, given[0], result, formed)
            case RotaryEmbedding():
                angles = Integer(1 / ROTARY_ONE, 0, signed=True)
                self._turn(node, angles, f"{name}.turned")
                self.requantize(f"{name}.turned", given[0].scale * angles.scale, result, formed)
            case Concat():
                joined = [self._alike(part, element, result) for part, element in zip(node.inputs, given, strict=True)]
                self._put(name, node.op, tuple(joined), formed)
            case _:
                raise ConfigError(f"node {name}: {node.op.kind} has no form in integers")

    def floats(self, kind: Float) -> None:
        """Form floats of a type of floats of the same."""
        name, last, epilogue = self.group.name, self.group.output.name, self.group.epilogue
        graph, head = self.group.graph, self.group.head
        if isinstance(head.op, RotaryEmbedding) and _turns_whole(graph, head):
            self._turn(head, kind, f"{name}.wide")
            self._put(f"{name}.cast", Cast(kind), (f"{name}.wide",), last)
            return
        if isinstance(head.op, (Concat, RotaryEmbedding, *ROWS)):
            self.nodes += self.group.nodes
            self.constants += [graph[part] for part in self.group.head.inputs if graph.constant(part)]
            return
        formed = f"{name}.wide"
        self._put(name, self.group.head.op, self.group.head.inputs, formed)
        bias = self.group.bias
        if bias:
            self.constants.append(replace(bias, element=Float("fp32")))
        for later in epilogue:
            self._put(later.name, later.op, (formed, *later.inputs[1:]), f"{later.name}.wide")
            formed = f"{later.name}.wide"
        self._put(f"{name}.cast", Cast(kind), (formed,), last)

    def _biased(self, sums: Integer) -> str:
        """Name of the sums of products, with their bias if there is one."""
        name, bias = self.group.name, self.group.bias
        if bias is None:
            return f"{name}.products"
        self._constant(bias.name, sums.quantize(bias.numbers), sums)
        self._put(f"{name}.add", Add(), (f"{name}.products", bias.name), f"{name}.sums")
        return f"{name}.sums"

    def _sum(self, node: Node, given: Sequence[Integer], result: Integer, formed: str) -> None:
        """Sum of two tensors at twice the larger of their scales, 2^20 or 2^15 times finer."""
        name, common = self.group.name, 2 * max(element.scale for element in given)
        lift = LIFT if max(element.bits for element in given) <= 8 else LIFT_16
        wide = Integer(common / 2**lift, 0, signed=True, bits=32)
        parts = []
        for number, (part, element) in enumerate(zip(node.inputs, given, strict=True)):
            parts.append(f"{name}.operand{number}")
            factors = self._factors(parts[-1], element.scale / common)
            self._put(f"{parts[-1]}.cast", Cast(wide, ROUNDING, lift), (part, *factors), parts[-1])
        self._put(name, Add(), tuple(parts), f"{name}.sums")
        self.requantize(f"{name}.sums", wide.scale, result, formed)

    def _turn(self, node: Node, element: Integer | Float, formed: str) -> None:
        """Rows of pairs turned, by a table of the cosines and sines of all places."""
        op, graph, name = node.op, self.group.graph, self.group.name
        assert isinstance(op, RotaryEmbedding)  # noqa: S101 - as the caller has it
        x, frequencies = graph.given(node)
        turn = Rotate(op.interleaved)
        first, second = turn.pairs(x.features)
        angles = np.arange(x.shape[-2])[:, None] * frequencies.numbers.astype(np.float64)
        table = np.empty((x.shape[-2], x.features))
        table[:, first], table[:, second] = np.cos(angles), np.sin(angles)
        shape = (1,) * (len(x.shape) - 2) + table.shape
        self._constant(f"{name}.table", element.quantize(table).reshape(shape), element)
        self._put(f"{name}.everywhere", Expand((*x.shape[:-2], 1, 1)), (f"{name}.table",), f"{name}.angles")
        self._put(name, turn, (node.inputs[0], f"{name}.angles"), formed)

    def _rows(self, node: Node, given: Integer, result: Integer, formed: str) -> None:
        """A function of rows, its constants from the real ones."""
        name, op, graph = self.group.name, node.op, self.group.graph
        shares = isinstance(op, Softmax | MaskedSoftmax)
        if (given.bits, result.bits) not in ((8, 8), *([(16, 8)] if shares else [])):
            raise ConfigError(
                f"node {name}: {type(op).__name__} must be of 8-bit integers and form such, not {result} of {given}"
            )
        try:
            if isinstance(op, Softmax | MaskedSoftmax):
                scale, mask = (op.scale, op.mask) if isinstance(op, MaskedSoftmax) else (1.0, EVERYTHING)
                grid = _grid(float(given.scale) * scale, given.bits)
                self._put(name, IntegerSoftmax(*grid, mask=mask), node.inputs, formed)
                return
            assert isinstance(op, LayerNorm | RmsNorm)  # noqa: S101 - as the caller has it
            gamma, *rest = (graph[part].numbers.astype(np.float64) for part in node.inputs[1:])
            beta, centred = rest[0] if rest else np.zeros_like(gamma), isinstance(op, LayerNorm)
            scales = float(given.scale), float(result.scale)
            norm = norm_constants(gamma, beta, op.epsilon, *scales, centred=centred)
        except ValueError as error:
            raise ConfigError(f"node {name}: {error}") from None
        for part in ("gamma", "beta", "multiplier", "shift"):
            data = getattr(norm, part)
            self._constant(f"{name}.{part}", data, Integer(1.0, 0, signed=True, bits=8 * data.dtype.itemsize))
        inputs = (node.inputs[0], *(f"{name}.{part}" for part in ("gamma", "beta", "multiplier", "shift")))
        self._put(name, IntegerNorm(result, centred, norm.epsilon, ROUNDING), inputs, formed)

    def _alike(self, part: str, element: Integer, result: Integer) -> str:
        """A tensor at the scale of the result."""
        if element == result:
            return part
        self.requantize(part, element.scale, result, f"{part}.{self.group.name}")
        return f"{part}.{self.group.name}"

    def requantize(self, given: str, scale: float | NDArray[np.float64], result: Integer, formed: str) -> None:
        """Integers at one scale to those of the result."""
        factors = self._factors(formed, float(scale) / float(result.scale))
        self._put(f"{formed}.cast", Cast(result, ROUNDING), (given, *factors), formed)

    def _factors(self, name: str, factor: float | NDArray[np.float64]) -> tuple[str, str]:
        """Multiplier and shift of a real factor."""
        multiplier, shift = quantize_multiplier(np.array([float(factor)]))
        self._constant(f"{name}.multiplier", multiplier, Integer(1.0, 0, signed=True, bits=32))
        self._constant(f"{name}.shift", shift, Integer(1.0, 0, signed=True, bits=8))
        return f"{name}.multiplier", f"{name}.shift"

    def _constant(self, name: str, data: NDArray[np.generic], element: Integer | Float) -> None:
        numbers = without_numbers(data.dtype, data.shape) if self.outlined else data
        self.constants.append(Value(name, data.shape, element, numbers, self.outlined))

    def _put(self, name: str, op: Op, inputs: tuple[str, ...], formed: str) -> None:
        self.nodes.append(Node(name, op, inputs, (formed,)))
