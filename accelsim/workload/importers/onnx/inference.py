"""ONNX's own inference of types and shapes, strict: what it finds wrong is not looked at any further."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from accelsim.workload.importers.onnx.definitions import DEFINED
from accelsim.workload.importers.onnx.dimensions import Given
from accelsim.workload.importers.onnx.dtypes import DTYPES
from accelsim.workload.importers.onnx.faults import RefusedError, UnknownTypeError
from accelsim.workload.importers.onnx.structure import ONNX_DOMAINS

if TYPE_CHECKING:
    from onnx import ModelProto

#: Constants of more numbers decide no shape: inference is given their types alone.
_FEW = 1024
#: First version of files whose constants need not be inputs, too.
_WITHOUT_INPUTS = 4


def infer(model: ModelProto, given: Mapping[str, Given | UnknownTypeError]) -> None:
    """Infer the shapes of a model whose inputs have known ones.

    What a file says itself of tensors that are formed is left out: axes that it leaves open have sizes now. Models that
    call functions, have operators of others or inputs of unknown types, are not inferred, nor those with operators of
    `DEFINED`: ONNX does not know the usual values of attributes inside definitions.

    Raises
    ------
    RefusedError
        With the first fault that ONNX finds.
    """
    from onnx import TensorProto, ValueInfoProto, helper, shape_inference

    graph = model.graph
    if model.functions or any(node.domain not in ONNX_DOMAINS or node.op_type in DEFINED for node in graph.node):
        return
    inputs: list[ValueInfoProto] = []
    numbers = {dtype: number for number, dtype in DTYPES.items()}
    for name, tensor in given.items():
        if isinstance(tensor, UnknownTypeError):
            return
        inputs.append(helper.make_tensor_value_info(name, numbers[tensor.dtype], tensor.shape))
    few: list[TensorProto] = []
    for constant in graph.initializer:
        if constant.ByteSize() < 8 * _FEW and not constant.external_data:
            few.append(constant)
        else:
            inputs.append(helper.make_tensor_value_info(constant.name, constant.data_type, constant.dims))
    outputs = [ValueInfoProto(name=value.name) for value in graph.output]
    plain = helper.make_graph(graph.node, "shapes", inputs, outputs, few)
    version = max(model.ir_version, _WITHOUT_INPUTS)
    outline = helper.make_model(plain, opset_imports=model.opset_import, ir_version=version)
    try:
        shape_inference.infer_shapes(outline, check_type=True, strict_mode=True)
    except (shape_inference.InferenceError, ValueError, RuntimeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        raise RefusedError(f"ONNX's inference of shapes: {' '.join(lines)[:300]}") from None
