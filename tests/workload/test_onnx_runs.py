"""Models of ONNX on machines: what no unit has is the host's, bit for bit, or is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from graph_runs import executed
from onnx_models import model, numbers

from accelsim import api
from accelsim.compress.recipe import load_recipe
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.errors import CompileError
from accelsim.golden.operators import read_op, write_op
from accelsim.graph.element import REAL, Integer, Plain
from accelsim.graph.graph import Graph
from accelsim.graph.ops.convert import Convert
from accelsim.graph.ops.elementwise import Elementwise
from accelsim.graph.ops.hosted import Hosted
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.reduce import Cumulate, Place, Reduce
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.scatter import ScatterElements
from accelsim.workload.importers.onnx import load
from accelsim.workload.network import Network

TEXT = """(float[n,3,8,8] x) => (float[n,4] y) {
    a = Conv <kernel_shape=[3,3], pads=[1,1,1,1]> (x, w0, b0)
    b = LeakyRelu <alpha=0.1> (a)
    c = Conv <kernel_shape=[3,3], pads=[1,1,1,1]> (b, w1)
    d = Sub (c, b)
    e = Add (d, map)
    f = Concat <axis=1> (e, row)
    k = ReduceMax <axes=[2,3], keepdims=0> (f)
    g = Greater (k, zero)
    h = Where (g, k, zero)
    i = CumSum (h, one)
    y = Gemm <transB=1> (i, w2, b2)
}"""


def network(folder: Path) -> Network:
    made = model(
        TEXT, w0=numbers(6, 3, 3, 3), b0=numbers(6), w1=numbers(6, 6, 3, 3), map=numbers(6, 8, 8),
        row=numbers(2, 2, 8, 8), w2=numbers(4, 8), b2=numbers(4), zero=np.float32(0), one=np.int64(1),
    )  # fmt: skip
    for node in made.graph.node:
        node.name = f"/block.0/{node.op_type}_{node.output[0]}"
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    result = load(folder / "model.onnx", batch=2)
    inputs = (numbers(2, 8, 8, 3),)
    return Network(result.graph, inputs, None, inputs, result.sha256)


def typed(net: Network, recipe: str) -> api.Compiled:
    return api.prepare(net, net, load_recipe(recipe)).typed


def with_host(name: str, *, computes: bool) -> Machine:
    machine = load_machine(name)
    if computes:
        return machine
    host = {"operations_per_s": None, "operation_pj": None, "operation_source": None}
    return machine.model_copy(update={"host": machine.host.model_copy(update=host)})


@pytest.mark.parametrize(
    ("arch", "recipe"), [("edge-ws", "int8"), ("edge-ws-fp16", "fp16"), ("edge-ws-fp32", "fp32"), ("tpu-v1", "int8")]
)
def test_what_no_unit_has_is_the_hosts_bit_for_bit(tmp_path: Path, arch: str, recipe: str) -> None:
    compiled = typed(network(tmp_path), recipe)
    hosted = {node.op.kind for node in compiled.graph.nodes if isinstance(node.op, Hosted)}
    assert {"Elementwise", "Reduce", "Cumulate", "Concat"} <= hosted
    executed(compiled.graph, compiled.inputs, with_host(arch, computes=True))


def test_a_machine_whose_host_computes_nothing_refuses_by_name(tmp_path: Path) -> None:
    compiled = typed(network(tmp_path), "int8")
    with pytest.raises(CompileError, match=r"node /block\.0/Sub_d: Elementwise must be what edge-ws has a unit for"):
        executed(compiled.graph, compiled.inputs, with_host("edge-ws", computes=False))


INT8 = Integer(0.5, 3, signed=True, bits=8)


@pytest.mark.parametrize(
    "op",
    [
        Elementwise("where"), Reduce("mean", (1, 2), keeps=True), Place("largest", 1), Cumulate("sum", 1, reverse=True),
        Convert(Plain("int64")), ScatterElements(1, "add"), Hosted(Elementwise("subtract"), INT8),
        Hosted(Convert(REAL), INT8), Hosted(Reduce("sum", (0,)), REAL),
    ],
    ids=str,
)  # fmt: skip
def test_operators_are_read_as_they_were_written(op: Op) -> None:
    assert read_op(json.loads(json.dumps(write_op(op)))) == op


@pytest.mark.parametrize(
    "text",
    [
        {"kind": "Hosted"},
        {"kind": "Hosted", "op": {"kind": "Nothing"}, "to": {"kind": "plain", "type": "int64"}},
        {"kind": "Hosted", "op": write_op(Hosted(Relu(), INT8)), "to": {"kind": "plain", "type": "int64"}},
        {"kind": "Hosted", "op": write_op(Relu()), "to": {"kind": "plain", "type": "object"}},
        {"kind": "Convert", "to": {"kind": "plain", "type": "O"}},
        {"kind": "Elementwise", "name": "nothing"},
    ],
)
def test_what_is_no_operator_of_a_host_is_refused(text: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"op|must be|required|should"):
        read_op(text)


def test_a_hosts_operators_fit_what_they_are_given(tmp_path: Path) -> None:
    graph: Graph = typed(network(tmp_path), "int8").graph
    for node in graph.nodes:
        assert graph[node.output].type == node.op.infer(*graph.given(node))[0]
