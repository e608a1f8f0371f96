"""What a fusion asks of the vector unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.compiler.image import Image
from accelsim.datapath import requantize
from accelsim.datapath.vector.elements import Element as ElementType
from accelsim.datapath.vector.fixed_point import MAX_CHANNELS
from accelsim.errors import CompileError
from accelsim.graph.element import Element, Float, Integer
from accelsim.graph.graph import Graph, Node
from accelsim.graph.layer import Layer
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.mask import Mask
from accelsim.graph.ops.relu import Relu
from accelsim.graph.value import Value
from accelsim.isa.constants import Places
from accelsim.isa.functions import Function

#: M and shift that leave an integer as it is: 2^30 times 2^(1 - 31).
ONE = (2**30, 1)
#: Those that halve it.
HALF = (2**30, 0)
#: float32 infinity.
_INFINITY = np.float32(np.inf)


class RowFunction(NamedTuple):
    """What an instruction does to rows, the last axis, that lie whole in a tile.

    Parameters
    ----------
    opcode
        SOFTMAX or NORMALIZE.
    source, result
        Types of the elements that it reads and writes; of results their bytes alone matter.
    kind
        What of it, as the opcode numbers it.
    queries
        Rows after which a mask begins anew; 0 without one.
    """

    opcode: int
    source: ElementType
    result: ElementType
    kind: int
    queries: int = 0

    @property
    def types(self) -> tuple[ElementType, ElementType, ElementType]:
        """As those of a `Function`."""
        return self.source, ElementType.INT8, self.result


class FloatRows(NamedTuple):
    """What `rows` does to rows of floats, that lie whole in a tile.

    Parameters
    ----------
    function
        As the program's table has it.
    queries
        Rows after which a mask begins anew; 0 without one.
    """

    function: Function
    queries: int = 0

    @property
    def types(self) -> tuple[ElementType, ElementType, ElementType]:
        """Types of what it reads and forms."""
        return self.function.types


@dataclass(frozen=True, slots=True, eq=False)
class VectorWork:
    """A function of single numbers, of rows, or of windows of images.

    Parameters
    ----------
    sources
        Values that it reads, one or two.
    nodes
        Nodes that it executes, in order.
    target
        Value that it forms.
    function
        What `map` or `reduce` does, or an instruction on rows.
    table
        Bytes that it reads from the weight scratchpad: 256 entries of a function that is looked up, or the constants of
        one of rows; None of others.
    image
        Images whose windows are reduced; None for a function of single numbers, or of rows.
    period
        Rows after which one of the tensors lies elsewhere; 0 if none does.
    """

    sources: tuple[str, ...]
    nodes: tuple[Node, ...]
    target: str
    function: Function | RowFunction | FloatRows
    table: NDArray[np.uint8] | None = None
    image: Image | None = None
    period: int = 0


def element_type(name: str, element: Element) -> ElementType:
    """Type of a tile's elements.

    Raises
    ------
    CompileError
        If the vector unit has no such type.
    """
    known = {
        (2, True): ElementType.INT2,
        (2, False): ElementType.UINT2,
        (4, True): ElementType.INT4,
        (4, False): ElementType.UINT4,
        (8, True): ElementType.INT8,
        (8, False): ElementType.UINT8,
        (16, True): ElementType.INT16,
        (32, True): ElementType.INT32,
    }
    floats = {"fp16": ElementType.FP16, "bf16": ElementType.BF16, "fp32": ElementType.FP32}
    kind = None
    if isinstance(element, Float):
        kind = floats.get(element.operand)
    elif isinstance(element, Integer):
        kind = known.get((element.memory_bits, element.signed))
    if kind is None:
        names = ", ".join(kind.name.lower() for kind in ElementType)
        raise CompileError(f"node {name}: numbers must be of a type that the vector unit has ({names}), not {element}")
    return kind


def require_rows(name: str, value: Value, bits: tuple[int, ...] = (8,)) -> None:
    """Refuse what an instruction on rows does not take: integers of other bits than these, or rows that are too long.

    Raises
    ------
    CompileError
        If that is so.
    """
    if not isinstance(value.element, Integer) or value.element.bits not in bits:
        known = " or ".join(f"{number}-bit" for number in bits)
        raise CompileError(f"node {name}: rows must be of {known} integers on the vector unit, not {value.element}")
    if value.features > MAX_CHANNELS:
        raise CompileError(f"node {name}: a row must have at most {MAX_CHANNELS} numbers, not {value.features}")


def require_two(graph: Graph, name: str, parts: Sequence[str]) -> None:
    """Refuse tensors that are taken number by number unless both are formed or read, and of one shape.

    Raises
    ------
    CompileError
        If one is a constant, or is broadcast.
    """
    if any(graph.constant(part) for part in parts):
        raise CompileError(f"node {name}: both tensors must be formed or read, not be constants")
    shapes = [graph[part].shape for part in parts]
    if shapes[0] != shapes[1]:
        raise CompileError(
            f"node {name}: both tensors must have one shape on the vector unit, not {shapes[0]}, {shapes[1]}"
        )


def places_of(mask: Mask, queries: int, keys: int) -> Places:
    """What rows see; where that is no matter of their place, all of them all keys."""
    if not mask.causal:
        return Places(1, keys, 0)
    return Places(queries, keys - queries + 1, 1, mask.window, mask.sinks)


def rounding_of(name: str, cast: Cast) -> int:
    """Number of a conversion's rounding scheme.

    Raises
    ------
    CompileError
        If the unit has no such scheme.
    """
    known = (*requantize.Q31_MODES, *requantize.FLOAT_MODES)
    if cast.rounding not in known:
        raise CompileError(
            f"node {name}: rounding must be one of {', '.join(known)} on the vector unit, not {cast.rounding or 'none'}"
        )
    return requantize.MODES.index(cast.rounding)


def scale_of(graph: Graph, node: Node) -> tuple[int, int]:
    """Multiplier and shift of a conversion of whole tensors; those of 1/2, which every function takes, without numbers.

    Raises
    ------
    CompileError
        If features have scales of their own.
    """
    multiplier, shift = (graph[name] for name in node.inputs[1:])
    if multiplier.shape not in {(), (1,)}:
        raise CompileError(f"node {node.name}: a tensor must have one scale on the vector unit, not {multiplier.shape}")
    if multiplier.outlined:
        return HALF
    return int(multiplier.numbers.reshape(-1)[0]), int(shift.numbers.reshape(-1)[0])


def range_of(element: Element, epilogue: tuple[Node, ...]) -> tuple[int, int]:
    """Smallest and largest result, ReLU included: integers, or the bits of float32."""
    relus = [node.op for node in epilogue if isinstance(node.op, Relu)]
    most = min((op.most for op in relus), default=float("inf"))
    if isinstance(element, Float):
        low, high = np.float32(0) if relus else -_INFINITY, np.float32(most)
        return _bits(low), _bits(high)
    low_integer = max(element.qmin, element.zero_point) if relus else element.qmin
    high_integer = element.qmax if most == float("inf") else int(element.quantize(np.array(most)))
    return low_integer, high_integer


def conversion_behind(graph: Graph, group: Layer, what: str) -> tuple[int, int, int]:
    """Multiplier, shift and number of the rounding scheme of the one conversion behind a group's first node.

    Raises
    ------
    CompileError
        If there is none, there are several, or the vector unit has no such conversion.
    """
    casts = [(node, node.op) for node in group.epilogue if isinstance(node.op, Cast)]
    if len(casts) != 1:
        raise CompileError(f"node {group.name}: a {what} of integers must be brought to the scale of a result once")
    ((node, cast),) = casts
    return *scale_of(graph, node), rounding_of(group.name, cast)


def float_bits(value: float) -> int:
    """Bits of a float32."""
    return _bits(np.float32(value))


def _bits(value: Any) -> int:
    return int(np.array(value, np.float32).view(np.uint32))
