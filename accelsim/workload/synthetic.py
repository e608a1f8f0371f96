"""Networks whose weights and inputs are drawn, or have only shapes, because no question of quality is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from accelsim.computer import memory_bytes
from accelsim.config.model import Frozen, Integer, quantity
from accelsim.errors import WorkloadError
from accelsim.workload.layer import LayerSpec, Shape
from accelsim.workload.network import Float32, Inputs, Linear, Network, without_values

#: Samples that fix the activations' ranges of a chain.
CALIBRATION = 64


class Synthetic(Frozen):
    """Weights and inputs that are drawn: for questions of time and energy, not of quality."""

    seed: Integer = quantity("count", "Seed of numpy's default generator", ge=0, le=2**63 - 1)
    batch: Integer = quantity("samples", "Inputs", ge=1, le=2**20)


class Source(Protocol):
    """Where tensors come from."""

    def inputs(self, m: int, k: int) -> Float32:
        """Inputs of shape (m, k)."""
        ...

    def layer(self, spec: LayerSpec, shape: Shape) -> Linear:
        """A layer's weights, and a bias of zeros."""
        ...


class Draw:
    """Tensors of numpy's default generator."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def inputs(self, m: int, k: int) -> Float32:
        """Uniform from 0 to 1."""
        return self._rng.random((m, k), np.float32)

    def layer(self, spec: LayerSpec, shape: Shape) -> Linear:
        """Normal weights of variance 1 / inputs, so that activations keep their size, pruned if they are sparse."""
        weight = self._rng.standard_normal((shape.k, shape.n), np.float32)
        weight /= np.float32(np.sqrt(shape.k))
        if spec.sparsity:
            _prune(weight, *spec.pattern)
        return Linear(spec.name, weight, np.zeros(shape.n, np.float32), spec.activation == "relu", spec.pattern)


class Shapes:
    """Tensors without values, which take no memory."""

    def inputs(self, m: int, k: int) -> Float32:
        """The shape."""
        return without_values(np.float32(0), m, k)

    def layer(self, spec: LayerSpec, shape: Shape) -> Linear:
        """The shapes."""
        weight, bias = (without_values(np.float32(0), *sides) for sides in ((shape.k, shape.n), (shape.n,)))
        return Linear(spec.name, weight, bias, spec.activation == "relu", spec.pattern)


def synthesize(
    name: str, specs: Sequence[LayerSpec], synthetic: Synthetic, source: Source, *, independent: bool
) -> Network:
    """Network of tensors from a source: inputs first and then the layers, or each layer's inputs before its weights.

    Raises
    ------
    WorkloadError
        If this computer can't hold the tensors.
    """
    shapes = [spec.product(synthetic.batch) for spec in specs]
    if isinstance(source, Draw):
        _require_memory(name, 4 * sum(shape.k * (shape.m + shape.n) for shape in shapes))
    x: Inputs[np.float32]
    ranges: Inputs[np.float32]
    try:
        if independent:
            pairs = [(source.inputs(s.m, s.k), source.layer(spec, s)) for spec, s in zip(specs, shapes, strict=True)]
            x = ranges = tuple(inputs for inputs, _ in pairs)
            layers = tuple(layer for _, layer in pairs)
        else:
            x, ranges = (source.inputs(samples, shapes[0].k) for samples in (synthetic.batch, CALIBRATION))
            layers = tuple(source.layer(spec, s) for spec, s in zip(specs, shapes, strict=True))
    except MemoryError:
        raise WorkloadError(f"tensors of {name} must fit this computer's memory, but do not") from None
    return Network(
        name,
        layers,
        x,
        None,
        ranges,
        {},
        synthetic.seed,
        independent=independent,
        values=not isinstance(source, Shapes),
    )


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
