"""Pass 1: nodes to fusions."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from accelsim.compiler.fusion import Fusion
from accelsim.compiler.image import Image, fill_byte, whole_channels
from accelsim.compiler.lower import host
from accelsim.compiler.lower.host import HostWork
from accelsim.compiler.lower.table import lowers
from accelsim.compiler.lower.work import ONE, RowFunction, VectorWork
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.product import Factor, IntegerPart, Product, Results
from accelsim.compiler.tiles import ChannelGroups
from accelsim.config.arch import Machine
from accelsim.config.datapaths import SparseLanes
from accelsim.errors import CompileError, DefectError
from accelsim.graph.element import Float, Integer, Signs
from accelsim.graph.graph import Graph, Node
from accelsim.graph.layer import Layer, group_of, layers, weight_of
from accelsim.graph.ops.cast import Cast, DynamicQuantize
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.integer_norm import IntegerNorm
from accelsim.graph.ops.integer_softmax import IntegerSoftmax
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.matmul import MatMul, ScaledMatMul
from accelsim.graph.ops.pool import MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.rotate import Rotate
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.window import Window
from accelsim.graph.value import Value, without_numbers

#: Vector nodes behind which nothing is fused.
ALONE = (Copy, MaxPool, LookUp, IntegerSoftmax, IntegerNorm)


def fuse(lowering: Lowering, machine: Machine) -> Lowering:
    """Form a fusion of each product with a constant factor and what follows it, and of the nodes between them.

    What no unit executes is the host's, if it computes.

    Raises
    ------
    CompileError
        If nodes are left that no unit of the machine executes.
    """
    graph = lowering.graph
    fusions = [_of_layer(graph, layer, machine) for layer in layers(graph)]
    held = {node.name for fusion in fusions for node in fusion.nodes}
    computed = (node for node in graph.nodes if isinstance(node.op, MatMul) and not graph.constant(node.inputs[1]))
    fusions += [_computed(graph, node, held, machine) for node in computed]
    held |= {node.name for fusion in fusions for node in fusion.nodes}
    left: list[Node] = []
    for node in reversed(graph.nodes):  # conversions before a sum belong to it
        if node.name in held or node.op.moves:
            continue
        ends = tuple(_ends(graph, node, held))
        head = next((before for before in ends if lowers(before.op, machine)), None)
        if machine.host.computes and head is not ends[0]:
            fusions.append(_hosted(graph, ends[0], held, machine))
        elif head is None:
            left.append(node)
            continue
        else:
            fusions.append(_vector(graph, head, held, machine))
        held |= {part.name for part in fusions[-1].nodes}
    if left:
        raise CompileError(
            *(f"node {node.name}: {node.op.kind} must be what {machine.name} has a unit for" for node in left)
        )
    return dataclasses.replace(lowering, fusions=in_order(graph, fusions))


def _of_layer(graph: Graph, layer: Layer, machine: Machine) -> Fusion:
    """A product with a constant; of floats that nothing rounds, as networks that come quantized leave some, the host's.

    Raises
    ------
    CompileError
        If what follows the sums is not what the vector unit makes of them in one pass.
    """
    floats = isinstance(layer.input.element, Float) and isinstance(layer.head.op, Conv | MatMul)
    if floats and machine.host.computes and not any(isinstance(node.op, Cast) for node in layer.epilogue):
        return _hosted(graph, layer.head, set(), machine)
    return _fusion(graph, _stored(layer))


def _vector(graph: Graph, head: Node, held: set[str], machine: Machine) -> Fusion:
    """A fusion of the vector unit, or of the host if it computes and the vector unit can't.

    Raises
    ------
    CompileError
        If neither can.
    """
    work: VectorWork | HostWork
    lower = lowers(head.op, machine)
    assert lower  # noqa: S101 - as the head was chosen
    try:
        work = lower(graph, _group(graph, head))
        if machine.feature_major:
            _require_features_apart(head, work, machine)
    except CompileError:
        if not machine.host.computes:
            raise
        return _hosted(graph, head, held, machine)
    return Fusion(_name(graph, head), work.nodes, work.sources, work.target, work)


def _require_features_apart(head: Node, work: VectorWork, machine: Machine) -> None:
    """Refuse what needs the features of a sample in one row where those of many samples are.

    Raises
    ------
    CompileError
        If pairs of features are turned, or rows are turned to results of other bits.
    """
    source, _, result = work.function.types
    where = f"on {machine.name}, where features lie row by row"
    if isinstance(head.op, Rotate):
        raise CompileError(f"node {head.name}: pairs must stand in one row, as features don't {where}")
    if isinstance(work.function, RowFunction) and source.bits != result.bits:
        raise CompileError(
            f"node {head.name}: results of rows must have the bits of what is read {where}, "
            f"not {result.bits} of {source.bits}"
        )


def _hosted(graph: Graph, head: Node, held: set[str], machine: Machine) -> Fusion:
    """A fusion of the host: a node and what is fused behind it."""
    nodes = itertools.takewhile(lambda node: node.name not in held, _group(graph, head).nodes)
    return hosted(graph, tuple(nodes), machine)


def hosted(graph: Graph, nodes: tuple[Node, ...], machine: Machine) -> Fusion:
    """Nodes, one behind the other, as a fusion of the host."""
    work = host.lower(graph, nodes, machine)
    return Fusion(_name(graph, nodes[0]), work.nodes, work.sources, work.target, work)


def in_order(graph: Graph, fusions: Iterable[Fusion]) -> tuple[Fusion, ...]:
    """Fusions in the order of the last of their nodes."""
    place = {node.name: number for number, node in enumerate(graph.nodes)}
    return tuple(sorted(fusions, key=lambda fusion: max(place[node.name] for node in fusion.nodes)))


def _stored(layer: Layer) -> Layer:
    """A layer up to what one pass over its sums forms: a ReLU behind a conversion to floats is no part of that."""
    if not isinstance(layer.output.element, Float):
        return layer
    cast = next((i for i, node in enumerate(layer.epilogue) if isinstance(node.op, Cast)), len(layer.epilogue))
    return layer._replace(epilogue=layer.epilogue[: cast + 1])


def _ends(graph: Graph, node: Node, held: set[str]) -> Iterator[Node]:
    """Nodes, not in a fusion yet, whose group a node may end, the farthest before it first."""
    chain = [node]
    while isinstance(chain[-1].op, Cast | Relu):
        before = graph.producer(chain[-1].inputs[0])
        alone = before and len(graph.readers(before.output)) == 1 and before.output not in graph.leaving
        if before is None or not alone or before.name in held:
            break
        chain.append(before)
    for head in reversed(chain):
        if node in _group(graph, head).nodes:
            yield head


def _group(graph: Graph, head: Node) -> Layer:
    """A vector node and what is fused behind it: no conversion behind another; nothing behind those of `ALONE`."""
    if isinstance(head.op, ALONE):
        return Layer(graph, head, (), ())
    group, integers = group_of(graph, head), not isinstance(graph[head.output].element, Float)
    kinds = [isinstance(node.op, Cast) for node in group.epilogue]
    if any(kinds) and (isinstance(head.op, Cast) or (isinstance(head.op, Relu) and integers)):
        return group._replace(epilogue=group.epilogue[: kinds.index(True)])
    return group


def _name(graph: Graph, head: Node) -> str:
    """Name of a fusion without a product: that of its layer, unless a node is called so."""
    name = head.name.removesuffix(".add").removesuffix(".relu").removesuffix(".cast")
    return head.name if any(node.name == name for node in graph.nodes) else name


def check(lowering: Lowering, machine: Machine) -> None:  # noqa: ARG001 - one signature for all passes
    """Each value is formed before it is read, each output is formed, and no node is in two fusions."""
    graph = lowering.graph
    for name, x in zip(graph.entering, lowering.inputs, strict=True):
        if x.shape != graph[name].shape:
            raise DefectError(f"input {name}: must have shape {graph[name].shape}, not {x.shape}")
    there, held = set(graph.entering), set[str]()
    for fusion in lowering.fusions:
        for name in fusion.sources:
            for part in lowering.parts_of(name):
                if part not in there and not graph.constant(part):
                    raise DefectError(f"fusion {fusion.name} reads {part}, which is not there yet")
        there.add(fusion.target)
        for node in fusion.nodes:
            if not node.op.moves and node.name in held:
                raise DefectError(f"node {node.name} is in two fusions")
            held.add(node.name)
    missing = {part for name in graph.leaving for part in lowering.parts_of(name)} - there
    if missing:
        raise DefectError(f"outputs are formed by no fusion: {', '.join(sorted(missing))}")


def _fusion(graph: Graph, layer: Layer) -> Fusion:
    """A layer and the nodes before it that only say where its inputs lie, or round them."""
    before: list[Node] = []
    pieces: list[_Piece] = []
    for product in layer.products:
        for piece in _pieces(graph, product.inputs[0], before):
            if pieces and pieces[-1].value == piece.value and pieces[-1].stop == piece.start:
                pieces[-1] = pieces[-1]._replace(stop=piece.stop)
            elif piece not in pieces:
                pieces.append(piece)
    whole = all((piece.start, piece.stop) == (0, graph[piece.value].features) for piece in pieces)
    if not whole and isinstance(layer.head.op, MatMul) and not layer.more:  # a part is read where it lies
        name, before = layer.head.inputs[0], []
        pieces = [_Piece(name, 0, graph[name].features)]
    sources = [graph[piece.value] for piece in pieces]
    for piece, source in zip(pieces, sources, strict=True):
        if (piece.start, piece.stop) != (0, source.features):
            raise CompileError(
                f"layer {layer.name}: features of {source.name} must be read whole and in order, not from "
                f"{piece.start} to {piece.stop} of {source.features}"
            )
    nodes = (*dict.fromkeys(before), *layer.nodes)
    names = tuple(source.name for source in sources)
    images = isinstance(layer.head.op, Conv) or any(isinstance(node.op, Reshape) for node in before)
    image = _image(layer, sources[0]) if images else None
    return Fusion(layer.name, nodes, names, layer.output.name, _product(graph, layer, sources, image))


def _computed(graph: Graph, node: Node, held: set[str], machine: Machine) -> Fusion:
    """A product whose right factor is formed at run time, of the array, or of the host if it computes and that can't.

    Raises
    ------
    CompileError
        If neither can.
    """
    try:
        return _of_two(graph, _stored(group_of(graph, node)), machine)
    except CompileError:
        if not machine.host.computes:
            raise
        return _hosted(graph, node, held, machine)


def _of_two(graph: Graph, group: Layer, machine: Machine) -> Fusion:
    """A product whose right factor is formed at run time, and what follows it.

    Raises
    ------
    CompileError
        If a factor has a zero point: sums can't be corrected for it before the other factor is there. If the right one
        is unsigned or of signs, or would have to be encoded.
    """
    node = group.head
    if isinstance(machine.matrix, SparseLanes):
        raise CompileError(
            f"layer {node.name}: the right factor must be a constant on {machine.name}, whose lanes read it encoded"
        )
    x, w = graph.given(node)[:2]
    if len(node.inputs) > 2:
        raise CompileError(f"node {node.name}: sums must not be added to those of a product of two computed factors")
    for value in (x, w):
        if value.element.zero_point:
            raise CompileError(
                f"node {node.name}: both factors must be symmetric to 0, not have zero point "
                f"{value.element.zero_point} as {value.name} has"
            )
    if not w.element.signed or isinstance(w.element, Signs):
        raise CompileError(f"layer {node.name}: the right factor must be signed numbers, not {w.element}")
    k, n = w.shape[-2:]
    weight = Value(w.name, (k, n), w.element, without_numbers(w.element.dtype, (k, n)), outlined=True)
    product = Product(
        name=node.name,
        m=x.samples,
        k=k,
        n=n,
        weight=weight,
        integers=None,
        results=_results(group, weight),
        input=x.element,
        output=group.output.element,
        image=None,
        channel_groups=None,
        weights_count=0,
        macs_needed=graph.work(node).macs,
        factor=Factor(w.name, int(np.prod(w.shape[:-2], dtype=np.int64))),
    )
    return Fusion(node.name, group.nodes, node.inputs, group.output.name, product)


class _Piece(NamedTuple):
    """Features of a value from `start` to below `stop`."""

    value: str
    start: int
    stop: int


def _pieces(graph: Graph, name: str, before: list[Node]) -> list[_Piece]:
    """Features, side by side, that a product reads; nodes that say so are added to `before`."""
    node = graph.producer(name)
    if node is None or not (isinstance(node.op, DynamicQuantize) or _of_features(graph, node)):
        return [_Piece(name, 0, graph[name].features)]
    nodes: list[Node] = []
    pieces = [piece for given in node.inputs for piece in _pieces(graph, given, nodes)]
    if isinstance(node.op, Concat) and len({piece.value for piece in pieces}) > 1:
        return [_Piece(name, 0, graph[name].features)]
    before += [*nodes, node]
    if isinstance(node.op, Slice):
        (piece,) = pieces
        pieces = [_Piece(piece.value, piece.start + node.op.start, piece.start + node.op.stop)]
    return pieces


def _of_features(graph: Graph, node: Node) -> bool:
    """Whether a node takes features that stand side by side, joins such features, or lays images in rows."""
    last = len(graph[node.output].shape) - 1
    match node.op:
        case Slice(axis=axis, step=1) | Concat(axis):
            return axis in {-1, last}
        case _:
            return _flattens(graph, node)


def _flattens(graph: Graph, node: Node) -> bool:
    """Whether a node lays all numbers of an image in a row."""
    given, formed = graph[node.inputs[0]].shape, graph[node.output].shape
    return isinstance(node.op, Reshape) and len(given) == 4 and formed == (given[0], int(np.prod(given[1:])))


def _product(graph: Graph, layer: Layer, sources: Sequence[Value], image: Image | None) -> Product:
    """The product of all inputs of a layer, and its results."""
    weight, integers = graph[weight_of(layer.products[-1])], None
    dense, n = _dense(layer, weight), weight.features
    if image:
        dense = _with_channels(layer, dense, sources[0].features, image.channels)
    if isinstance(layer.head.op, ScaledMatMul):
        _, _, few, scales = graph.given(layer.head)
        assert isinstance(few.element, Integer)  # noqa: S101 - as the operator has it
        integers = IntegerPart(few.element.bits, layer.head.op.group, few.numbers, scales.numbers)
        if not layer.more:
            dense = dataclasses.replace(
                few,
                name=f"{few.name}.none",
                data=np.zeros((0, n), np.float32),
                shape=(0, n),
                element=sources[0].element,
            )
    k = int(np.prod(image.inputs)) if image else sum(source.features for source in sources)
    read = (integers.inputs if integers else 0) + dense.shape[0]
    if read != k or len(layer.more) > (1 if integers else 0):
        raise CompileError(
            f"layer {layer.name}: its products must read all of {', '.join(source.name for source in sources)}, "
            f"integers before floats"
        )
    return Product(
        name=layer.name,
        m=layer.output.samples,
        k=k,
        n=n,
        weight=dense,
        integers=integers,
        results=_results(layer, dense),
        input=sources[0].element,
        output=layer.output.element,
        image=image,
        channel_groups=_groups(layer, image),
        weights_count=sum(graph[weight_of(product)].numbers.size for product in layer.products),
        macs_needed=sum(graph.work(product).macs for product in layer.products),
    )


def _dense(layer: Layer, weight: Value) -> Value:
    """Weights as a matrix (K, N); of filters that read some of the channels alone, zeros stand for the others."""
    op, n = layer.head.op, weight.features
    if not isinstance(op, Conv):
        return weight
    height, width, channels, _ = weight.shape
    k = height * width * channels * op.groups
    if op.groups == 1 or weight.outlined:
        data = np.broadcast_to(weight.numbers.ravel()[:1], (k, n)) if weight.outlined else weight.numbers.reshape(k, n)
        return dataclasses.replace(weight, shape=(k, n), data=data)
    filters, groups = n // op.groups, np.arange(op.groups)
    whole = np.zeros((height, width, op.groups, channels, op.groups, filters), weight.numbers.dtype)
    by_group = weight.numbers.reshape(height, width, channels, op.groups, filters).transpose(3, 0, 1, 2, 4)
    whole[:, :, groups, :, groups] = by_group  # both indices are one axis, the first
    return dataclasses.replace(weight, shape=(k, n), data=whole.reshape(k, n))


def _with_channels(layer: Layer, weight: Value, channels: int, whole: int) -> Value:
    """Weights (K, N) of pixels of `whole` channels, zeros for those that fill up a pixel's last byte.

    Whatever stands there in memory, its products are 0.

    Raises
    ------
    CompileError
        If no weight may be 0: of signs, or where weights are looked up and none of the shared values is.
    """
    if whole == channels:
        return weight
    k, n = weight.shape
    shape = (k // channels * whole, n)
    if weight.outlined:
        return dataclasses.replace(weight, shape=shape, data=np.broadcast_to(weight.numbers.ravel()[:1], shape))
    pixels = np.zeros((k // channels, whole, n), weight.numbers.dtype)
    pixels[:, :channels] = weight.numbers.reshape(-1, channels, n)
    element = weight.element
    shared = element.distinct if isinstance(element, Integer) else 0
    if isinstance(element, Signs) or (shared and len(np.unique(pixels)) > shared):
        raise CompileError(
            f"layer {layer.name}: channels of a pixel must fill whole bytes where no weight may be 0, not be {channels}"
        )
    return dataclasses.replace(weight, shape=shape, data=pixels.reshape(shape))


def _groups(layer: Layer, image: Image | None) -> ChannelGroups | None:
    """Groups of channels of a convolution that has several."""
    op = layer.head.op
    if not isinstance(op, Conv) or op.groups == 1:
        return None
    channels = layer.input.features
    return ChannelGroups(op.groups, channels, layer.weight.features, image.channels if image else channels)


def _image(layer: Layer, source: Value) -> Image | None:
    """The images that a layer reads windows of: those of a convolution, or whole ones that it flattens."""
    op = layer.head.op
    samples, height, width, channels = source.shape
    window = op.window if isinstance(op, Conv) else Window((height, width))
    if window == Window((1, 1)):
        return None  # a matrix of pixels by channels
    element = source.element
    zero = element.zero_point
    if any(window.padding) and (isinstance(element, Signs) or (element.memory_bits > 8 and zero)):
        raise CompileError(
            f"layer {layer.name}: what stands for zero must be one byte to pad with, or all bytes 0, not {element}"
        )
    bits = element.memory_bits
    return Image(samples, height, width, whole_channels(channels, bits), window, fill_byte(zero, bits))


def _results(layer: Layer, weight: Value) -> Results:
    """Bias, scale and clamp of a layer's sums.

    Raises
    ------
    CompileError
        If what follows the sums is not what the vector unit makes of them in one pass.
    """
    cast, relu = _epilogue(layer)
    n, given = weight.shape[1], layer.input.element
    assert isinstance(cast.op, Cast)  # noqa: S101 - as `_epilogue` has it
    result, most = cast.op.to, relu.most if relu else float("inf")
    bias = layer.bias.numbers if layer.bias else None
    if isinstance(result, Float):
        return Results(np.zeros(n, np.float32) if bias is None else bias, None, None, "", relu is not None)
    folded = np.zeros(n, np.int64) if bias is None else bias
    kind = np.int64 if given.operand == "int16" else np.int32
    if given.zero_point and layer.graph.has_numbers:
        folded = folded - given.zero_point * weight.numbers.sum(axis=0, dtype=np.int64)
    if isinstance(result, Signs):  # the sign of s + b is the clamped 0 or 1 of s + b + 1
        multiplier, shift = (np.full(n, part, kind_) for part, kind_ in zip(ONE, (np.int32, np.int8), strict=True))
        return Results((folded + 1).astype(kind), multiplier, shift, "tflite_single_round", relu=False)
    factors = (layer.graph[name].numbers for name in cast.inputs[1:])
    multipliers, shifts = (x if x.shape == (n,) else np.broadcast_to(x.ravel(), n) for x in factors)
    if not layer.graph.has_numbers:
        folded = without_numbers(kind, (n,))
    return Results(folded.astype(kind, copy=False), multipliers, shifts, cast.op.rounding, relu is not None, most)


def _epilogue(layer: Layer) -> tuple[Node, Relu | None]:
    """The conversion of a layer's sums, and its ReLU.

    Of integers a ReLU follows the conversion, whose clamp it becomes; one without an upper end may stand before it, as
    zero stays zero. Of floats it stands before it (`_stored`), and has no upper end.
    """
    casts = [node for node in layer.epilogue if isinstance(node.op, Cast)]
    relus = [node.op for node in layer.epilogue if isinstance(node.op, Relu)]
    if not casts:
        raise CompileError(f"layer {layer.name}: sums must become a type that can be stored")
    relu = relus[0] if relus else None
    if relu and relu.most < float("inf") and layer.epilogue[-1] is casts[0]:
        where = "have no upper end before" if isinstance(layer.output.element, Float) else "follow"
        raise CompileError(f"layer {layer.name}: ReLU must {where} the conversion of its sums")
    return casts[0], relu
