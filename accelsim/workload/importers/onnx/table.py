"""Operators of ONNX by name: the rule that says what each becomes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim.graph.ops.function import Function
from accelsim.workload.importers.onnx.families import (
    activations,
    arbitrary,
    constants,
    convolutions,
    elementwise,
    indexing,
    norms,
    pools,
    products,
    quantized,
    reductions,
    resampling,
    shapes,
)
from accelsim.workload.importers.onnx.node import OnnxNode
from accelsim.workload.importers.onnx.tensor import Tensor
from accelsim.workload.importers.onnx.translation import Translation

if TYPE_CHECKING:
    from onnx import GraphProto


@dataclass(frozen=True, slots=True)
class Operator:
    """What an operator becomes.

    Parameters
    ----------
    translate
        Puts nodes into a graph, and returns what is formed.
    since
        First operator set whose meaning it has.
    images
        Whether it reads images with their channels last.
    keeps
        Whether what it forms of images has its channels last, too, as far as that is up to it.
    """

    translate: Callable[[Translation, OnnxNode], Tensor | tuple[Tensor, ...]]
    since: int = 7
    images: bool = False
    keeps: bool = False


def _each(translate: Callable[[Translation, OnnxNode], Tensor | tuple[Tensor, ...]], since: int = 7) -> Operator:
    """An operator of single numbers."""
    return Operator(translate, since, keeps=True)


def _images(translate: Callable[[Translation, OnnxNode], Tensor | tuple[Tensor, ...]], since: int = 7) -> Operator:
    """An operator of images."""
    return Operator(translate, since, images=True, keeps=True)


#: By name; operators of another domain than ONNX's own begin with it and a dot.
OPERATORS: dict[str, Operator] = {
    # products
    "Conv": _images(convolutions.conv),
    "ConvTranspose": _images(convolutions.conv_transpose),
    "MatMul": Operator(products.matmul),
    "Gemm": Operator(products.gemm),
    # pools
    "MaxPool": _images(pools.max_pool),
    "AveragePool": _images(pools.average_pool),
    "GlobalAveragePool": _images(pools.global_average_pool),
    "GlobalMaxPool": _images(pools.global_max_pool),
    "LpPool": _images(pools.lp_pool),
    "Resize": _images(resampling.resize, 10),
    "Upsample": _images(resampling.upsample),
    # normalizations
    "BatchNormalization": _images(norms.batch_norm),
    "InstanceNormalization": Operator(norms.instance_norm),
    "GroupNormalization": Operator(norms.group_norm, 18),
    "LayerNormalization": Operator(norms.layer_norm, 17),
    "RMSNormalization": Operator(norms.rms_norm, 23),
    "LRN": Operator(norms.lrn),
    "LpNormalization": Operator(norms.lp_norm),
    # activations
    "Relu": _each(activations.relu),
    "Sigmoid": _each(elementwise.floating("sigmoid")),
    "Tanh": _each(elementwise.floating("tanh")),
    "LeakyRelu": _each(activations.with_alpha("leaky_relu", 0.01)),
    "Elu": _each(activations.with_alpha("elu", 1.0)),
    "Celu": _each(activations.with_alpha("celu", 1.0), 12),
    "Selu": _each(activations.with_alpha("selu", 1.67326319217681884765625, 1.05070102214813232421875, "gamma")),
    "ThresholdedRelu": _each(activations.with_alpha("thresholded_relu", 1.0), 10),
    "HardSigmoid": _each(activations.with_alpha("hard_sigmoid", 0.2, 0.5, "beta")),
    "HardSwish": _each(elementwise.floating("hard_swish"), 14),
    "Softplus": _each(elementwise.floating("softplus")),
    "Softsign": _each(elementwise.floating("softsign")),
    "Mish": _each(elementwise.floating("mish"), 18),
    "Gelu": _each(activations.gelu, 20),
    "Swish": _each(activations.swish, 24),
    "Shrink": _each(activations.shrink, 9),
    "PRelu": _each(activations.prelu),
    "Softmax": Operator(activations.softmax),
    "LogSoftmax": Operator(activations.log_softmax),
    "Hardmax": Operator(activations.hardmax),
    # functions of single numbers
    "Abs": _each(elementwise.function("absolute")),
    "Neg": _each(elementwise.function("negative")),
    "Sign": _each(elementwise.function("sign"), 9),
    "Ceil": _each(elementwise.floating("ceiling")),
    "Floor": _each(elementwise.floating("floor")),
    "Round": _each(elementwise.floating("round"), 11),
    "Exp": _each(elementwise.floating("exponential")),
    "Log": _each(elementwise.floating("logarithm")),
    "Sqrt": _each(elementwise.floating("square_root")),
    "Reciprocal": _each(elementwise.floating("reciprocal")),
    "Erf": _each(elementwise.floating("error_function"), 9),
    "Sin": _each(elementwise.floating("sine")),
    "Cos": _each(elementwise.floating("cosine")),
    "Tan": _each(elementwise.floating("tangent")),
    "Asin": _each(elementwise.floating("arc_sine")),
    "Acos": _each(elementwise.floating("arc_cosine")),
    "Atan": _each(elementwise.floating("arc_tangent")),
    "Sinh": _each(elementwise.floating("hyperbolic_sine"), 9),
    "Cosh": _each(elementwise.floating("hyperbolic_cosine"), 9),
    "Asinh": _each(elementwise.floating("area_sine"), 9),
    "Acosh": _each(elementwise.floating("area_cosine"), 9),
    "Atanh": _each(elementwise.floating("area_tangent"), 9),
    "IsNaN": _each(elementwise.is_nan, 9),
    "IsInf": _each(elementwise.is_infinite, 10),
    "Not": _each(elementwise.invert, 1),
    "BitwiseNot": _each(elementwise.invert, 18),
    "Clip": _each(elementwise.clip),
    "Cast": _each(elementwise.cast),
    "CastLike": _each(elementwise.cast_like, 15),
    # functions of several tensors
    "Add": _each(elementwise.add),
    "Sub": _each(elementwise.subtract),
    "Mul": _each(elementwise.multiply),
    "Div": _each(elementwise.divide),
    "Pow": _each(elementwise.power),
    "Mod": _each(elementwise.modulo, 10),
    "Sum": _each(elementwise.several(elementwise.added)),
    "Mean": _each(elementwise.mean),
    "Min": _each(elementwise.several(elementwise.chosen("minimum"))),
    "Max": _each(elementwise.several(elementwise.chosen("maximum"))),
    "BitShift": _each(elementwise.shift, 11),
    "BitwiseAnd": _each(elementwise.pair("and"), 18),
    "BitwiseOr": _each(elementwise.pair("or"), 18),
    "BitwiseXor": _each(elementwise.pair("xor"), 18),
    "And": _each(elementwise.pair("and")),
    "Or": _each(elementwise.pair("or")),
    "Xor": _each(elementwise.pair("xor")),
    "Equal": _each(elementwise.pair("equal")),
    "Less": _each(elementwise.pair("less")),
    "LessOrEqual": _each(elementwise.pair("less_or_equal"), 12),
    "Greater": _each(elementwise.pair("greater")),
    "GreaterOrEqual": _each(elementwise.pair("greater_or_equal"), 12),
    "Where": _each(elementwise.where, 9),
    # reductions
    "ReduceSum": Operator(reductions.reduce("sum", since=13)),
    "ReduceMean": Operator(reductions.reduce("mean"), images=True),
    "ReduceMax": Operator(reductions.reduce("largest")),
    "ReduceMin": Operator(reductions.reduce("smallest")),
    "ReduceProd": Operator(reductions.reduce("product")),
    "ReduceSumSquare": Operator(reductions.reduce("sum", reductions.squared)),
    "ReduceL1": Operator(reductions.reduce("sum", reductions.of(Function("absolute")))),
    "ReduceL2": Operator(reductions.reduce("sum", reductions.squared, reductions.of(Function("square_root")))),
    "ReduceLogSum": Operator(reductions.reduce("sum", None, reductions.of(Function("logarithm")))),
    "ReduceLogSumExp": Operator(reductions.reduce("log_sum_exp")),
    "ArgMax": Operator(reductions.place("largest")),
    "ArgMin": Operator(reductions.place("smallest")),
    "CumSum": Operator(reductions.cumulate, 11),
    "CumProd": Operator(reductions.cumulate, 26),
    # places
    "Identity": _each(shapes.identity),
    "Dropout": _each(shapes.dropout),
    "Reshape": Operator(shapes.reshape),
    "Flatten": Operator(shapes.flatten),
    "Squeeze": Operator(shapes.squeeze),
    "Unsqueeze": Operator(shapes.unsqueeze),
    "Transpose": Operator(shapes.transpose),
    "Expand": Operator(shapes.expand, 8),
    "Tile": Operator(shapes.tile),
    "Concat": _each(shapes.concat),
    "Split": _each(shapes.split),
    "Slice": _each(shapes.slice_),
    "Pad": _each(shapes.pad),
    "DepthToSpace": Operator(shapes.depth_to_space),
    "SpaceToDepth": Operator(shapes.space_to_depth),
    "Gather": Operator(indexing.gather),
    "GatherElements": Operator(indexing.gather_elements, 11),
    "GatherND": Operator(indexing.gather_nd, 11),
    "Scatter": Operator(indexing.scatter_elements, 9),
    "ScatterElements": Operator(indexing.scatter_elements, 11),
    "ScatterND": Operator(indexing.scatter_nd, 11),
    "TopK": Operator(indexing.top_k),
    "ReverseSequence": Operator(indexing.reverse_sequence, 10),
    "Trilu": Operator(indexing.trilu, 14),
    "OneHot": Operator(indexing.one_hot, 9),
    # integers
    "QuantizeLinear": _each(quantized.quantize_linear, 10),
    "DequantizeLinear": _each(quantized.dequantize_linear, 10),
    "QLinearConv": _images(quantized.qlinear_conv, 10),
    "QLinearMatMul": Operator(quantized.qlinear_matmul, 10),
    "com.microsoft.QuantizeLinear": _each(quantized.quantize_linear, 1),
    "com.microsoft.DequantizeLinear": _each(quantized.dequantize_linear, 1),
    "com.microsoft.QGemm": Operator(quantized.qgemm, 1),
    "com.microsoft.QLinearAdd": _each(quantized.ADD, 1),
    "com.microsoft.QLinearMul": _each(quantized.MULTIPLY, 1),
    "com.microsoft.QLinearAveragePool": _images(quantized.AVERAGE_POOL, 1),
    "com.microsoft.QLinearGlobalAveragePool": _images(quantized.GLOBAL_AVERAGE_POOL, 1),
    "com.microsoft.QLinearSigmoid": _each(quantized.qlinear_unary(elementwise.floating("sigmoid")), 1),
    "com.microsoft.QLinearLeakyRelu": _each(quantized.qlinear_unary(activations.with_alpha("leaky_relu", 0.01)), 1),
    "MatMulInteger": Operator(quantized.matmul_integer, 10),
    "ConvInteger": _images(quantized.conv_integer, 10),
    "DynamicQuantizeLinear": Operator(quantized.dynamic_quantize_linear, 11),
    **{
        f"{domain}.{name}": _each(rule, 1)
        for domain in ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
        for name, rule in (
            ("Quant", arbitrary.quant),
            ("IntQuant", arbitrary.quant),
            ("BipolarQuant", arbitrary.bipolar_quant),
        )
    },
    "com.microsoft.QLinearConcat": _each(quantized.qlinear_concat, 1),
    # constants
    "Constant": Operator(constants.constant),
    "ConstantOfShape": Operator(constants.constant_of_shape, 9),
    "Shape": Operator(constants.shape),
    "Size": Operator(constants.size),
    "Range": Operator(constants.range_, 11),
    "EyeLike": Operator(constants.eye_like, 9),
}
#: Why operators are refused.
NO_MEANING = "no operator of a graph does what it does"
_ON_NUMBERS = "what is executed, or how much is formed, must not depend on the inputs' numbers"
_DRAWN = "what a graph forms must not be drawn anew each time"
_TEXT = "tensors must be numbers, not text or bytes of pictures"
_LISTS = "values must be tensors, not sequences, optional values or maps"
_TRAINED = "networks are executed here, not trained"
_TREES = "it belongs to models that are no neural networks"
REFUSED: dict[str, str] = {
    **dict.fromkeys(("Loop", "Scan", "SequenceMap", "NonZero", "Compress", "Unique", "NonMaxSuppression"), _ON_NUMBERS),
    **dict.fromkeys(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"), _DRAWN),
    **dict.fromkeys(("Bernoulli", "Multinomial"), _DRAWN),
    **dict.fromkeys(("StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch", "TfIdfVectorizer"), _TEXT),
    **dict.fromkeys(("ImageDecoder",), _TEXT),
    **{f"Sequence{name}": _LISTS for name in ("At", "Construct", "Empty", "Erase", "Insert", "Length")},
    **{f"Optional{name}": _LISTS for name in ("", "GetElement", "HasElement")},
    **dict.fromkeys(("ConcatFromSequence", "SplitToSequence"), _LISTS),
    **{f"ai.onnx.preview.training.{name}": _TRAINED for name in ("Adagrad", "Adam", "Gradient", "Momentum")},
    **{
        f"ai.onnx.ml.{name}": _TREES
        for name in (
            "ArrayFeatureExtractor", "Binarizer", "CastMap", "CategoryMapper", "DictVectorizer", "FeatureVectorizer",
            "Imputer", "LabelEncoder", "LinearClassifier", "LinearRegressor", "Normalizer", "OneHotEncoder", "Scaler",
            "SVMClassifier", "SVMRegressor", "TreeEnsemble", "ZipMap",
        )
    },
}  # fmt: skip


def reads_images(graph: GraphProto, name: str) -> bool:
    """Whether a tensor, or what keeps its axes, is read as images with their channels last."""
    names = {name}
    for node in graph.node:
        rule = OPERATORS.get(node.op_type if node.domain in {"", "ai.onnx"} else f"{node.domain}.{node.op_type}")
        if rule is None or names.isdisjoint(node.input[:1] if rule.images else node.input):
            continue
        if rule.images:
            return True
        if rule.keeps:
            names.update(node.output)
    return False
