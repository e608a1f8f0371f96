"""ONNX's own tests of its operators, one node or function each, run through import and the real interpreter."""

from __future__ import annotations

import functools
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from accelsim.errors import WorkloadError
from accelsim.golden import exact, real
from accelsim.graph.element import Integer, Plain
from accelsim.graph.graph import Graph
from accelsim.workload.importers.imported import Imported
from accelsim.workload.importers.onnx import load

Array = NDArray[Any]
#: Inputs of operators that decide shapes and places, or that exporters write as constants: the tests give them when a
#: model runs. Where one must be known, its numbers are written into the model, and the test is run again.
KNOWN: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(
        ("Reshape", "Squeeze", "Unsqueeze", "Expand", "Tile", "Split", "Trilu", "TopK", "AffineGrid"), (1,)
    ),
    **dict.fromkeys(("CumSum", "CumProd", "CenterCropPad", "Upsample", "ReverseSequence"), (1,)),
    **{f"Reduce{name}": (1,) for name in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2")},
    **{f"Reduce{name}": (1,) for name in ("LogSum", "LogSumExp", "SumSquare")},
    **dict.fromkeys(("ConstantOfShape", "HannWindow", "HammingWindow", "BlackmanWindow"), (0,)),
    **dict.fromkeys(("Pad", "Resize"), (1, 2, 3)),
    **dict.fromkeys(("OneHot", "Dropout"), (1, 2)),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), (1, 2)),
    "QLinearConv": (1, 2, 3, 4, 5, 6, 7, 8),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "Slice": (1, 2, 3, 4),
    "Range": (0, 1, 2),
}
#: Two steps of bfloat16. Tests whose tensors have that type round what each node forms to it; real numbers don't, so
#: such a test is told apart if the results differ by no more.
BFLOAT16_STEPS = 2.0**-6
#: How far numbers may be off, as ONNX's own backends may.
RTOL, ATOL = 1e-3, 1e-7

Kind = Literal["passed", "rounded", "refused", "wrong"]


@dataclass(frozen=True)
class Outcome:
    """What became of a test.

    Parameters
    ----------
    operators
        Types of the nodes of its model, with their domains where those are others than ONNX's own.
    known
        Whether inputs were written into the model.
    text
        The fault of what is refused, or how results differ.
    graphs
        Operators of the graph that was formed.
    """

    name: str
    kind: Kind
    operators: frozenset[str]
    known: bool = False
    text: str = ""
    graph: Graph | None = None


@functools.cache
def cases() -> tuple[Any, ...]:
    """All of ONNX's tests of nodes; the package makes them, nothing is downloaded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return tuple(collect_testcases(None))


@functools.cache
def outcomes() -> Mapping[str, Outcome]:
    """What became of each test, by name."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that tests overflow on purpose
        return {case.name: outcome(case, Path(folder) / "model.onnx") for case in cases()}


def outcome(case: Any, path: Path) -> Outcome:
    """Import the model of a test, evaluate it, and compare what it forms."""
    operators = frozenset(named(node) for node in case.model.graph.node)
    given = {info.name: array(x) for info, x in zip(case.model.graph.input, case.data_sets[0][0], strict=False)}
    known, model = False, case.model
    try:
        try:
            imported = loaded(model, path, given)
        except WorkloadError as error:
            if "must be constant" not in str(error):
                raise
            known, model = True, with_known(model, given)
            imported = loaded(model, path, given)
    except WorkloadError as error:
        return Outcome(case.name, "refused", operators, known, str(error))
    kind, text = compared(imported, given, [array(x) for x in case.data_sets[0][1]], case)
    return Outcome(case.name, kind, operators, known, text, imported.graph)


def named(node: onnx.NodeProto) -> str:
    """Type of a node, with its domain if it is another one than ONNX's own."""
    return node.op_type if node.domain in {"", "ai.onnx"} else f"{node.domain}.{node.op_type}"


def array(x: Any) -> Any:
    """Numbers of what a test gives or wants; what is no tensor stays."""
    return onnx.numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else x


def loaded(model: onnx.ModelProto, path: Path, given: Mapping[str, Any]) -> Imported:
    """A model by way of a file, for inputs of some shapes."""
    path.write_bytes(model.SerializeToString())
    constants = {tensor.name for tensor in model.graph.initializer}
    return load(path, shapes={name: np.shape(x) for name, x in given.items() if tensor_of(x) and name not in constants})


def tensor_of(x: Any) -> bool:
    """Whether a test gives a tensor, and no sequence or nothing."""
    return isinstance(x, np.ndarray | np.generic)


def with_known(model: onnx.ModelProto, given: Mapping[str, Any]) -> onnx.ModelProto:
    """A model that knows the inputs of `KNOWN`."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    places = ((node, name) for node in model.graph.node for name in (node.input[i] for i in KNOWN.get(node.op_type, ())
              if i < len(node.input)))  # fmt: skip
    for name in dict.fromkeys(name for _, name in places if name in given):
        changed.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(given[name]), name))
    return changed


def compared(imported: Imported, given: Mapping[str, Any], wanted: list[Any], case: Any) -> tuple[Kind, str]:
    """Whether a graph forms what a test wants, and how it differs if not."""
    graph, orders = imported.graph, imported.orders
    inputs = [turned(np.asarray(given[name]), orders.get(name)) for name in graph.inputs]
    for name, x in zip(graph.inputs, inputs, strict=True):
        if graph[name].shape != x.shape:
            return "wrong", f"{name} has shape {graph[name].shape}, not {x.shape}"
    if any(isinstance(value.element, Integer) for value in graph.values.values()):  # which real numbers don't round
        found = exact.evaluate(graph, inputs, 1)
    else:
        found = real.evaluate(graph, inputs, graph.outputs)
    kind: Kind = "passed"
    for name, want in zip(graph.outputs, map(np.asarray, wanted), strict=True):
        got = found[name]
        if name in orders:
            got = got.transpose(np.argsort(orders[name]))
        element = graph[name].element
        own = element.dtype.name if isinstance(element, Plain | Integer) else "real"
        kind_of_want = "real" if want.dtype.name in {"float32", "float16", "bfloat16"} else want.dtype.name
        if own != kind_of_want or (own != "real" and got.dtype != want.dtype) or got.shape != want.shape:
            return "wrong", f"{name} is {own} {got.dtype} {got.shape}, not {want.dtype} {want.shape}"
        real_want = want.astype(np.float64) if kind_of_want == "real" else want
        if want.dtype.name in {"float16", "bfloat16"}:  # as a runtime puts it out
            got = got.astype(want.dtype).astype(np.float64)
        tolerances = {"rtol": case.rtol or RTOL, "atol": case.atol or ATOL}
        try:
            np.testing.assert_allclose(got, real_want, **tolerances)
        except AssertionError as error:
            near = np.allclose(got, real_want, rtol=BFLOAT16_STEPS, atol=2.0**-9, equal_nan=True)
            if want.dtype.name != "bfloat16" or not near:
                return "wrong", f"{name}: {error}"
            kind = "rounded"
    return kind, ""


def turned(x: Array, order: tuple[int, ...] | None) -> Array:
    """Numbers in a graph's order of axes."""
    return x if order is None else x.transpose(order)
