"""Operators that ONNX itself defines by others: their bodies are translated in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from accelsim.workload.importers.onnx.dtypes import DTYPES
from accelsim.workload.importers.onnx.faults import RefusedError
from accelsim.workload.importers.onnx.tensor import Tensor

if TYPE_CHECKING:
    from onnx import FunctionProto, NodeProto

#: Names of those that no rule of `table` is for.
DEFINED = frozenset(
    {
        "AffineGrid",
        "Attention",
        "BlackmanWindow",
        "CausalConvWithState",
        "CenterCropPad",
        "HammingWindow",
        "HannWindow",
        "LinearAttention",
        "MeanVarianceNormalization",
        "NegativeLogLikelihoodLoss",
        "RotaryEmbedding",
        "SoftmaxCrossEntropyLoss",
        "SwiGLU",
        "ai.onnx.preview.FlexAttention",
    }
)
_NUMBERS = {dtype: number for number, dtype in DTYPES.items()}


def definition(node: NodeProto, domain: str, version: int, inputs: Sequence[Tensor | None]) -> FunctionProto:
    """The function that ONNX defines an operator by, for inputs of their types and shapes.

    Raises
    ------
    RefusedError
        If there is none for this version, these inputs and attributes.
    """
    from onnx import FunctionProto, TypeProto, defs, helper

    try:
        schema: Any = defs.get_schema(node.op_type, version, domain)
        if schema.has_function:
            fitting = [v for v in schema.function_opset_versions if v <= version]
            body = schema.get_function_with_opset_version(max(fitting, default=version))
        else:
            fitting = [v for v in schema.context_dependent_function_opset_versions if v <= version]
            types = [
                TypeProto() if x is None else helper.make_tensor_type_proto(_NUMBERS[x.dtype], x.shape) for x in inputs
            ]
            body = schema.get_context_dependent_function_with_opset_version(
                max(fitting, default=version), node.SerializeToString(), [kind.SerializeToString() for kind in types]
            )
    except (defs.SchemaError, RuntimeError, ValueError, TypeError) as error:
        text = " ".join(str(error).split())[:200]
        raise RefusedError(f"ONNX must define it for operator set {version}, but: {text}") from None
    if not body:
        raise RefusedError(f"ONNX must define it for operator set {version} and these inputs")
    function: FunctionProto = FunctionProto.FromString(body)
    defaults = (attribute.default_value for attribute in schema.attributes.values())
    function.attribute_proto.extend(value for value in defaults if value.name)
    return function
