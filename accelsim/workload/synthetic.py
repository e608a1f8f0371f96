"""Networks whose weights and inputs are drawn, or have only shapes, because no question of quality is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from accelsim.computer import memory_bytes
from accelsim.config.model import Frozen, Integer, quantity
from accelsim.errors import WorkloadError
from accelsim.graph.build import Builder
from accelsim.graph.value import Shape, without_numbers
from accelsim.workload.assemble import assemble
from accelsim.workload.layer import BatchNormSpec, LayerSpec, ProductSpec, RowNormSpec
from accelsim.workload.network import Float32, Network

#: Samples that fix the activations' ranges of a chain.
CALIBRATION = 64


class Synthetic(Frozen):
    """Weights and inputs that are drawn: for questions of time and energy, not of quality."""

    seed: Integer = quantity("count", "Seed of numpy's default generator", ge=0, le=2**63 - 1)
    batch: Integer = quantity("samples", "Inputs", ge=1, le=2**20)


class Draw:
    """Tensors of numpy's default generator."""

    outlined = False

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def inputs(self, shape: Shape) -> Float32:
        """Uniform from 0 to 1."""
        return self._rng.random(shape, np.float32)

    def weight(self, index: int, spec: ProductSpec, shape: Shape) -> Float32:  # noqa: ARG002 - as `Tensors` has it
        """Normal weights of variance 1 / inputs, so that activations keep their size, pruned if they are sparse."""
        weight = self._rng.standard_normal(shape, np.float32)
        weight /= np.float32(np.sqrt(np.prod(shape[:-1])))
        if spec.sparsity:
            _prune(weight.reshape(-1, shape[-1]), *spec.pattern)
        return weight

    def bias(self, index: int, spec: ProductSpec, outputs: int) -> Float32 | None:  # noqa: ARG002
        """None."""
        return None

    def norm(
        self,
        index: int,  # noqa: ARG002 - as `Tensors` has it
        spec: BatchNormSpec,  # noqa: ARG002 - as `Tensors` has it
        outputs: int,
    ) -> tuple[Float32, Float32, Float32, Float32]:
        """That which changes nothing but for epsilon."""
        one, zero = np.ones(outputs, np.float32), np.zeros(outputs, np.float32)
        return one, zero, zero, one

    def row_norm(self, index: int, spec: RowNormSpec, part: str, features: int) -> Float32:  # noqa: ARG002
        """Ones and zeros."""
        return np.full(features, part == "gamma", np.float32)

    def steps(self, index: int, spec: ProductSpec, outputs: int) -> tuple[None, None]:  # noqa: ARG002
        """None."""
        return None, None


class Shapes(Draw):
    """Tensors without numbers, which take no memory."""

    outlined = True

    def __init__(self) -> None:
        super().__init__(0)

    def inputs(self, shape: Shape) -> Float32:
        """The shape."""
        return without_numbers(np.float32, shape)

    def weight(self, index: int, spec: ProductSpec, shape: Shape) -> Float32:  # noqa: ARG002 - as `Tensors` has it
        """The shape."""
        return without_numbers(np.float32, shape)


def draw_network(name: str, specs: Sequence[LayerSpec], synthetic: Synthetic, sample: Shape, draw: Draw) -> Network:
    """Network of layers that read each other: its inputs first, then its layers' tensors.

    Parameters
    ----------
    sample
        Shape of one input.

    Raises
    ------
    WorkloadError
        If this computer can't hold the tensors.
    MisfitError
        If a layer does not fit what it reads.
    """
    try:
        inputs, ranges = (draw.inputs((samples, *sample)) for samples in (synthetic.batch, CALIBRATION))
        graph = assemble(name, specs, inputs.shape, draw)
    except MemoryError:
        raise WorkloadError(f"tensors of {name} must fit this computer's memory, but do not") from None
    return Network(graph, (inputs,), None, (ranges,), {}, synthetic.seed)


def draw_layers(name: str, specs: Sequence[ProductSpec], synthetic: Synthetic, draw: Draw) -> Network:
    """Layers that do not read each other: of each its inputs, then its weights.

    Raises
    ------
    WorkloadError
        If this computer can't hold the tensors.
    """
    shapes = [spec.product(synthetic.batch) for spec in specs]
    if not draw.outlined:
        _require_memory(name, 4 * sum(shape.k * (shape.m + shape.n) for shape in shapes))
    build, outputs = Builder(name), []
    inputs: list[Float32] = []
    try:
        for index, (spec, shape) in enumerate(zip(specs, shapes, strict=True)):
            inputs.append(draw.inputs((shape.m, shape.k)))
            given = build.input(f"{spec.name}.input", inputs[-1].shape)
            data = draw.weight(index, spec, (shape.k, shape.n))
            weight = build.constant(f"{spec.name}.weight", data, pattern=spec.pattern, outlined=draw.outlined)
            outputs.append(build.linear(spec.name, given, weight, None, relu=spec.activation == "relu"))
    except MemoryError:
        raise WorkloadError(f"tensors of {name} must fit this computer's memory, but do not") from None
    return Network(build.graph(tuple(outputs)), tuple(inputs), None, tuple(inputs), {}, synthetic.seed)


def _require_memory(name: str, needed_bytes: int) -> None:
    """Refuse tensors that are larger than this computer's memory, where drawing them would end every process."""
    there = memory_bytes()
    if needed_bytes > there:
        raise WorkloadError(f"tensors of {name} must fit this computer's memory of {there} bytes, not {needed_bytes}")


def _prune(weight: Float32, kept: int, group: int) -> None:
    """Set all but the `kept` largest of every `group` weights along K to zero."""
    for low in range(0, len(weight), group):
        part = weight[low : low + group]
        smallest = np.argsort(np.abs(part), axis=0, kind="stable")[: max(0, len(part) - kept)]
        np.put_along_axis(part, smallest, 0, axis=0)
