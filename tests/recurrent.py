"""An Elman cell (Elman, "Finding Structure in Time", 1990): a network with a state, and what numpy makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.graph.build import Builder
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.relu import Relu
from accelsim.workload.network import Network

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Elman:
    """h' = relu(x w + b + h u), y = h' v; `begun` is h before the first step, of one sample."""

    w: Float32
    b: Float32
    u: Float32
    v: Float32
    begun: Float32

    @classmethod
    def drawn(cls, rng: np.random.Generator, inputs: int, hidden: int, outputs: int) -> Elman:
        """A cell whose state neither grows nor fades fast."""
        shapes = (inputs, hidden), (hidden,), (hidden, hidden), (hidden, outputs)
        w, b, u, v = (rng.normal(size=shape).astype(np.float32) / np.float32(np.sqrt(shape[0])) for shape in shapes)
        return cls(w, b, u, v, rng.random(hidden).astype(np.float32))

    def network(self, rng: np.random.Generator, samples: int) -> Network:
        """The network; other data than its inputs calibrate it."""
        build = Builder("elman")
        x = build.input("x", (samples, len(self.w)))
        h = build.state("h", (samples, len(self.u)), "next.output", self.begun)
        given = build.linear("w", x, build.constant("w.weight", self.w), build.constant("w.bias", self.b), relu=False)
        kept = build.linear("u", h, build.constant("u.weight", self.u), None, relu=False)
        sums = build.node("next", Add(), given, kept, output="next.sums")
        later = build.node("next.relu", Relu(), sums, output="next.output")
        y = build.node("y", MatMul(), later, build.constant("v", self.v), output="y.output")
        drawn: list[Any] = [rng.normal(size=(count, len(self.w))).astype(np.float32) for count in (samples, 64)]
        return Network(build.graph((y,)), (drawn[0],), None, (drawn[1],), {})

    def step(self, x: NDArray[Any], h: NDArray[Any]) -> tuple[Float64, Float64]:
        """h' and y in float64."""
        w, b, u, v = (part.astype(np.float64) for part in (self.w, self.b, self.u, self.v))
        later = np.maximum(x @ w + b + h @ u, 0)
        return later, later @ v
