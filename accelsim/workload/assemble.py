"""From the layers of a workload file to a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from accelsim.errors import unknown_name
from accelsim.graph.build import Builder
from accelsim.graph.element import REAL
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.norm import BatchNorm
from accelsim.graph.ops.op import Op, UnfitError
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.transpose import Transpose
from accelsim.graph.value import Shape, Value
from accelsim.workload.layer import (
    ActivationName,
    BatchNormSpec,
    ConvSpec,
    GemmSpec,
    LayerNormSpec,
    LayerSpec,
    LinearSpec,
    MatMulSpec,
    ProductSpec,
    RmsNormSpec,
)
from accelsim.workload.network import Float32

#: Name of what a network reads.
INPUT = "input"
#: What stands before a layer's name where its outputs of the step before are read.
PREVIOUS = "previous "


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

    def of_rows(self, index: int, prefix: str, part: str, features: int) -> Float32:
        """Gamma or beta (features,) of a normalization of rows."""
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
        What layers form, by their names, the input, and what states hold.
    """

    build: Builder
    tensors: Tensors
    shapes: dict[str, Shape]

    def add(self, index: int, spec: LayerSpec, reads: Sequence[str]) -> None:
        """Put a layer behind what it reads."""
        given = [Value(_value(name), self.shapes[name], REAL) for name in reads]
        if isinstance(spec, ProductSpec):
            self._product(index, spec, given[0])
            return
        if isinstance(spec, MatMulSpec) and spec.transposed and len(given) > 1:
            given[1] = self._turned(index, spec, given[1])
        if isinstance(spec, LayerNormSpec | RmsNormSpec):
            given += self._of_rows(index, spec, given[0])
        names = [value.name for value in given]
        op = spec.op
        if op is None:
            last = names[0]
            shape = given[0].shape
        else:
            shape = self._shape(index, spec, op, *given)
            last = self.build.node(spec.name, op, *names, output=f"{spec.name}.formed")
        self._end(index, spec, last, shape, [])

    def _turned(self, index: int, spec: MatMulSpec, x: Value) -> Value:
        """A value whose last two axes have changed places."""
        *others, before, last = range(max(2, len(x.shape)))
        op = Transpose((*others, last, before))
        shape = self._shape(index, spec, op, x)
        return Value(self.build.node(f"{spec.name}.turned", op, x.name), shape, REAL)

    def _of_rows(self, index: int, spec: LayerNormSpec | RmsNormSpec, x: Value) -> list[Value]:
        """Gamma, and of layer_norm beta, as constants."""
        parameters = []
        for part in ("gamma", "beta") if isinstance(spec, LayerNormSpec) else ("gamma",):
            data = np.full(x.features, float(part == "gamma"), np.float32)
            if spec.prefix is not None:
                data = self.tensors.of_rows(index, spec.prefix, part, x.features)
            name = self.build.constant(f"{spec.name}.{part}", data, outlined=self.tensors.outlined)
            parameters.append(Value(name, data.shape, REAL))
        return parameters

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
        last = self.build.node(name, op, x.name, weight, output=f"{name}.formed")
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
        self._end(index, spec, last, formed, steps)

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

    def _end(
        self, index: int, spec: LayerSpec, last: str, shape: Shape, steps: list[tuple[Op, tuple[str, ...]]]
    ) -> None:
        """Bias, normalization and activation behind what a layer forms."""
        function = _activation(spec.activation)
        self.build.chain(spec.name, last, [*steps, *([(function, ())] if function else [])])
        held = self.shapes.get(PREVIOUS + spec.name, shape)
        if held != shape:
            raise MisfitError(index, "state", f"must be {list(shape[1:])}, what the layer forms, not {list(held[1:])}")
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
    for spec in specs:
        if spec.state is not None:
            name, shape = PREVIOUS + spec.name, (given[0], *spec.state)
            assembly.shapes[build.state(name, shape, _value(spec.name))] = shape
    for index, (spec, reads) in enumerate(zip(specs, readings(specs), strict=True)):
        assembly.add(index, spec, reads)
    return build.graph((f"{specs[-1].name}.output",))


def readings(specs: Sequence[LayerSpec]) -> list[tuple[str, ...]]:
    """Names of the layers, the input, or what the step before put out, that each layer reads.

    Raises
    ------
    MisfitError
        If a layer names one that does not come before it, or of the step before one without a state.
    """
    known, all_reads = [INPUT], []
    before = [PREVIOUS + spec.name for spec in specs if spec.state is not None]
    for index, spec in enumerate(specs):
        reads = tuple(spec.reads or known[-1:])
        for name in reads:
            if name not in known and name not in before:
                raise MisfitError(index, "reads", unknown_name("layer before it", name, [*known, *before]))
        all_reads.append(reads)
        known.append(spec.name)
    return all_reads


def _value(name: str) -> str:
    """Name of what a layer forms, of the input, or of what a state holds."""
    return name if name == INPUT or name.startswith(PREVIOUS) else f"{name}.output"


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
