"""Small models of ONNX, of the kinds that exporters write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.parser import parse_model

NETWORKS = Path(__file__).parent / "data" / "networks"


def model(text: str, opset: int = 17, **constants: np.ndarray) -> onnx.ModelProto:
    """A model from ONNX's textual syntax: `(float[n,3] x) => (float[n,2] y) { y = MatMul(x, w) }`."""
    made = parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]> main {text}')
    made.graph.initializer.extend(numpy_helper.from_array(np.asarray(x), name) for name, x in constants.items())
    return made


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Drawn float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def convolutional() -> onnx.ModelProto:
    """Convolutions, normalization, pools, a residual, and a head behind a flattened image."""
    return model(
        """(float[n,3,8,8] x) => (float[n,4] y) {
            a = Conv <kernel_shape=[3,3], pads=[1,1,1,1]> (x, w0, b0)
            b = BatchNormalization (a, g, h, m, v)
            c = Relu (b)
            d = Conv <kernel_shape=[3,3], pads=[1,1,1,1], group=6> (c, w1)
            e = Add (d, c)
            f = MaxPool <kernel_shape=[2,2], strides=[2,2]> (e)
            k = Flatten (f)
            y = Gemm <transB=1> (k, w2, b2)
        }""",
        w0=numbers(6, 3, 3, 3), b0=numbers(6), g=numbers(6) + 2, h=numbers(6), m=numbers(6), v=abs(numbers(6)) + 1,
        w1=numbers(6, 1, 3, 3), w2=numbers(4, 96), b2=numbers(4),
    )  # fmt: skip


def attention() -> onnx.ModelProto:
    """A head of attention, as exporters write it."""
    return model(
        """(float[n,5,8] x) => (float[n,5,8] y) {
            q = MatMul (x, wq)
            k = MatMul (x, wk)
            v = MatMul (x, wv)
            kt = Transpose <perm=[0,2,1]> (k)
            s = MatMul (q, kt)
            t = Div (s, scale)
            p = Softmax <axis=-1> (t)
            o = MatMul (p, v)
            r = Add (o, x)
            y = LayerNormalization <axis=-1> (r, g, b)
        }""",
        wq=numbers(8, 8), wk=numbers(8, 8, seed=1), wv=numbers(8, 8, seed=2), scale=np.float32(8**0.5),
        g=numbers(8), b=numbers(8),
    )  # fmt: skip


def shapes() -> onnx.ModelProto:
    """Shapes that are computed, parts that are cut and joined."""
    return model(
        """(float[n,3,6,6] x) => (float[n,m] y) {
            s = Shape (x)
            first = Gather (s, zero)
            one = Unsqueeze (first, axes)
            wanted = Concat <axis=0> (one, minus)
            u = Slice (x, starts, ends, places)
            w = Pad (u, pads)
            r = Resize <mode="nearest"> (w, , scales)
            y = Reshape (r, wanted)
        }""",
        zero=np.int64(0), axes=np.array([0]), minus=np.array([-1]), starts=np.array([1]), ends=np.array([5]),
        places=np.array([2]), pads=np.array([0, 0, 1, 1, 0, 0, 1, 1]), scales=np.array([1, 1, 2, 2], np.float32),
    )  # fmt: skip


def indices() -> onnx.ModelProto:
    """Integers and masks."""
    return model(
        """(int64[n,4] ids) => (float[n,4,6] y, int64[n,4] best) {
            rows = Gather (table, ids)
            mask = Equal (ids, pad)
            far = Unsqueeze (mask, last)
            y = Where (far, zero, rows)
            best = ArgMax <axis=-1, keepdims=0> (y)
        }""",
        table=numbers(9, 6), pad=np.int64(0), last=np.array([-1]), zero=np.float32(0),
    )  # fmt: skip


def functions() -> onnx.ModelProto:
    """A function of the model's own, a constant branch, and an operator that ONNX defines by others."""
    made = model(
        """(float[n,6] x) => (float[n,6] y) {
            a = own.Twice (x)
            b = MeanVarianceNormalization <axes=[1]> (a)
            c = If <then_branch = yes () => (float[n,6] t) { t = Relu (b) },
                    else_branch = no () => (float[n,6] e) { e = Neg (b) }> (flag)
            y = Gelu (c)
        }""",
        opset=20,
        flag=np.array(True),
    )
    made.opset_import.append(helper.make_opsetid("own", 1))
    body = [helper.make_node("Add", ["p", "p"], ["q"])]
    made.functions.append(helper.make_function("own", "Twice", ["p"], ["q"], body, [helper.make_opsetid("", 20)]))
    return made


def external(path: Path, location: str, *, offset: int | str = 0, length: int | str | None = None) -> onnx.ModelProto:
    """A model whose weights, float32 (4, 3), lie in another file."""
    made = model("(float[2,4] x) => (float[2,3] y) { y = MatMul (x, w) }")
    tensor = made.graph.initializer.add(name="w", data_type=TensorProto.FLOAT, dims=(4, 3))
    tensor.data_location = TensorProto.EXTERNAL
    entries: dict[str, Any] = {"location": location, "offset": offset}
    if length is not None:
        entries["length"] = length
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=str(value))
    path.write_bytes(made.SerializeToString())
    return made


def outputs_of(made: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """What ONNX's own reference makes of a model's inputs."""
    from onnx.reference import ReferenceEvaluator

    names = [value.name for value in made.graph.input]
    return list(ReferenceEvaluator(made).run(None, dict(zip(names, inputs, strict=True))))


ALL = (convolutional, attention, shapes, indices, functions)
