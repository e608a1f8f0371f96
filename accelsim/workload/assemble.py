"""From the layers of a workload file to a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from accelsim.errors import unknown_name
from accelsim.graph.build import Builder
from accelsim.graph.element import REAL
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import BatchNorm, LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op, UnfitError
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.value import Shape, Value
from accelsim.workload.layer import (
    ActivationName,
    AddSpec,
    AveragePoolSpec,
    BatchNormSpec,
    ConcatSpec,
    ConvSpec,
    FlattenSpec,
    GemmSpec,
    GlobalAveragePoolSpec,
    LayerNormSpec,
    LayerSpec,
    LinearSpec,
    MaxPoolSpec,
    MultiplySpec,
    ProductSpec,
    RmsNormSpec,
    RowNormSpec,
    SoftmaxSpec,
)
from accelsim.workload.network import Float32

#: Name of what a network reads.
INPUT = "input"


class Tensors(Protocol):
    """Where a network's tensors come from; faults of files are kept until all are read."""

    #: Whether they have shapes alone.
    outlined: bool

    def weight(self, index: int, spec: ProductSpec, shape: Shape) -> Float32:
        """Weights (K, N) of layer number `index`, or filters (height, width, channels / groups, N)."""
        ...

    def bias(self, index: int, spec: ProductSpec, outputs: int) -> Float32 | None:
        """Bias (N,), if it has one."""
        ...

    def norm(self, index: int, spec: BatchNormSpec, outputs: int) -> tuple[Float32, Float32, Float32, Float32]:
        """Gamma, beta, mean and variance (N,)."""
        ...

    def row_norm(self, index: int, spec: RowNormSpec, part: str, features: int) -> Float32:
        """Gamma or beta (features,), as `part` says; ones or zeros if they have no names."""
        ...

    def steps(self, index: int, spec: ProductSpec, outputs: int) -> tuple[Float32 | None, Float32 | None]:
        """Real value of an integer step of weights and of inputs, where training fixed them."""
        ...


class MisfitError(Exception):
    """A layer does not fit what it reads.

    Parameters
    ----------
    place
        Number of the layer.
    field, message
        Which of its fields says so, and what is required of it.
    """

    def __init__(self, place: int, field: str, message: str) -> None:
        super().__init__(place, field, message)
        self.place, self.field, self.message = place, field, message


@dataclass
class _Assembly:
    """A graph on its way.

    Parameters
    ----------
    shapes
        What layers form, by their names, and the input.
    """

    build: Builder
    tensors: Tensors
    shapes: dict[str, Shape]

    def add(self, index: int, spec: LayerSpec, reads: Sequence[str]) -> None:
        """Put a layer behind what it reads."""
        given = [Value(_value(name), self.shapes[name], REAL) for name in reads]
        names = [value.name for value in given]
        if isinstance(spec, ProductSpec):
            self._product(index, spec, given[0])
            return
        op = _op(spec)
        if op is None:
            last = names[0]
            shape = given[0].shape
        else:
            known = [given[0]] * (op.arity[0] - 1) if isinstance(spec, RowNormSpec) and len(given) == 1 else []
            shape = self._shape(index, spec, op, *given, *known)
            if isinstance(spec, RowNormSpec):
                names += self._row_norm(index, spec, given[0].features)
            last = self.build.node(spec.name, op, *names, output=f"{spec.name}.formed")
        self._end(spec, last, shape, [])

    def _product(self, index: int, spec: ProductSpec, x: Value) -> None:
        """A layer with weights, its normalization and its activation."""
        name, outlined = spec.name, self.tensors.outlined
        op, shape = self._weights(index, spec, x)
        outputs = shape[-1]
        data = self.tensors.weight(index, spec, shape)
        weight_step, input_step = self.tensors.steps(index, spec, outputs)
        if input_step is not None:
            self.build.note(x.name, step=input_step)
        weight = self.build.constant(f"{name}.weight", data, outlined=outlined, pattern=spec.pattern, step=weight_step)
        formed = self._shape(index, spec, op, x, Value(weight, shape, REAL))
        last = self.build.node(name, op, x.name, weight, output=f"{name}.products")
        steps: list[tuple[Op, tuple[str, ...]]] = []
        bias = self.tensors.bias(index, spec, outputs)
        if bias is not None:
            steps.append((Add(), (self.build.constant(f"{name}.bias", bias, outlined=outlined),)))
        if spec.batch_norm:
            parts = zip(
                ("gamma", "beta", "mean", "variance"), self.tensors.norm(index, spec.batch_norm, outputs), strict=True
            )
            constants = [self.build.constant(f"{name}.{part}", data, outlined=outlined) for part, data in parts]
            steps.append((BatchNorm(spec.batch_norm.epsilon), tuple(constants)))
        self._end(spec, last, formed, steps)

    def _row_norm(self, index: int, spec: RowNormSpec, features: int) -> list[str]:
        """Constants of a normalization of rows."""
        parts = ("gamma", "beta") if isinstance(spec, LayerNormSpec) else ("gamma",)
        return [
            self.build.constant(
                f"{spec.name}.{part}",
                self.tensors.row_norm(index, spec, part, features),
                outlined=self.tensors.outlined,
            )
            for part in parts
        ]

    def _weights(self, index: int, spec: ProductSpec, x: Value) -> tuple[Op, Shape]:
        """Operator of a layer with weights, and their shape."""
        features = x.features
        match spec:
            case LinearSpec():
                if spec.inputs != features:
                    what = x.name.removesuffix(".output")
                    text = f"must be {features}, the outputs of layer {what}, not {spec.inputs}"
                    raise MisfitError(index, "inputs", text)
                return MatMul(), (spec.inputs, spec.outputs)
            case ConvSpec():
                if len(x.shape) != 4:
                    text = f"must read images, not what {x.name} is, of shape {x.shape}"
                    raise MisfitError(index, "kind", text)
                if features % spec.groups:
                    text = f"must divide {features}, the channels of {x.name}, not be {spec.groups}"
                    raise MisfitError(index, "groups", text)
                return Conv(spec.window, spec.groups), (*spec.window.kernel, features // spec.groups, spec.filters)
            case GemmSpec():
                raise MisfitError(index, "kind", "must be linear in a workload that is not independent, not gemm")

    def _shape(self, index: int, spec: LayerSpec, op: Op, *given: Value) -> Shape:
        """Shape of what an operator forms."""
        try:
            least, most = op.arity
            if not least <= len(given) <= most:
                text = f"must be {least}{'' if least == most else ' or more'} for {spec.kind}, not {len(given)}"
                raise MisfitError(index, "reads", text)
            return op.infer(*given)[0].shape
        except UnfitError as error:
            raise MisfitError(index, "kind", f"must fit what it reads: {error}") from None

    def _end(self, spec: LayerSpec, last: str, shape: Shape, steps: list[tuple[Op, tuple[str, ...]]]) -> None:
        """Bias, normalization and activation behind what a layer forms."""
        function = _activation(spec.activation)
        self.build.chain(spec.name, last, [*steps, *([(function, ())] if function else [])])
        self.shapes[spec.name] = shape


def assemble(name: str, specs: Sequence[LayerSpec], given: Shape, tensors: Tensors) -> Graph:
    """Graph of layers that read each other; its output is that of the last one.

    Parameters
    ----------
    given
        Shape of the input, samples first.

    Raises
    ------
    MisfitError
        If a layer does not fit what it reads.
    """
    build = Builder(name)
    build.input(INPUT, given)
    assembly = _Assembly(build, tensors, {INPUT: given})
    for index, (spec, reads) in enumerate(zip(specs, readings(specs), strict=True)):
        assembly.add(index, spec, reads)
    return build.graph((f"{specs[-1].name}.output",))


def readings(specs: Sequence[LayerSpec]) -> list[tuple[str, ...]]:
    """Names of the layers, or the input, that each layer reads.

    Raises
    ------
    MisfitError
        If a layer names one that does not come before it.
    """
    known, found = [INPUT], []
    for index, spec in enumerate(specs):
        reads = tuple(spec.reads or known[-1:])
        for name in reads:
            if name not in known:
                raise MisfitError(index, "reads", unknown_name("layer before it", name, known))
        found.append(reads)
        known.append(spec.name)
    return found


def _value(name: str) -> str:
    """Name of what a layer forms."""
    return name if name == INPUT else f"{name}.output"


def _op(spec: LayerSpec) -> Op | None:  # noqa: C901 - one a kind
    """Operator of a layer without weights; None if it is its activation alone."""
    op: Op | None
    match spec:
        case MaxPoolSpec():
            op = MaxPool(spec.window)
        case AveragePoolSpec():
            op = AveragePool(spec.window, spec.padded)
        case GlobalAveragePoolSpec():
            op = GlobalAveragePool()
        case AddSpec():
            op = Add()
        case MultiplySpec():
            op = Mul()
        case ConcatSpec():
            op = Concat(-1)
        case FlattenSpec():
            op = Reshape((0, -1))
        case SoftmaxSpec():
            op = Softmax()
        case LayerNormSpec():
            op = LayerNorm(spec.epsilon)
        case RmsNormSpec():
            op = RmsNorm(spec.epsilon)
        case _:
            op = None
    return op


def _activation(name: ActivationName) -> Op | None:
    """Operator of an activation function."""
    match name:
        case "none":
            return None
        case "relu":
            return Relu()
        case "relu6":
            return Relu(6.0)
        case _:
            return Function(name)
