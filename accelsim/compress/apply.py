"""Apply a recipe to a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from accelsim.compress.calibrate import calibrated
from accelsim.compress.quantize import binary, dynamic, floats, integers
from accelsim.compress.quantize.between import HOSTED, SCALED, Between, formed_type, needs_real
from accelsim.compress.quantize.residual import ResidualPath
from accelsim.compress.quantize.typed import TypedLayer
from accelsim.compress.recipe import STORED, Quantizer, Recipe
from accelsim.compress.rewrite import Rewrite, require_matrix
from accelsim.compress.store import Store
from accelsim.errors import ConfigError, WorkloadError
from accelsim.formats.ggml import BlockTensor
from accelsim.graph.element import WIDE, Element, Float, Integer, Plain, Signs
from accelsim.graph.fold import fold_batch_norms, fold_pads
from accelsim.graph.graph import Graph, Node
from accelsim.graph.layer import Layer, group_of, layers
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.gather import Gather
from accelsim.graph.ops.hosted import Hosted
from accelsim.graph.ops.masked_softmax import MaskedSoftmax
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.value import Value
from accelsim.workload.network import Network

Float64 = NDArray[np.float64]


def compress(network: Network, recipe: Recipe) -> Graph:
    """Rewrite a float network and choose its types by a recipe; what is known of inputs comes from calibration data.

    Of a network without numbers only types and shapes follow.

    Raises
    ------
    ConfigError
        If a step matches no layer, a layer is left without a step, or steps of different types follow each other.
    WorkloadError
        If a layer's numbers can't be represented.
    """
    return quantize(rewritten(network, recipe), recipe)


def rewritten(network: Network, recipe: Recipe) -> Network:
    """The float network after the recipe's rewriting steps, layer by layer: each sees what those before it did.

    Normalizations by statistics of training, and padding, are folded before.

    Its inputs may stand in another order; its outputs are those of the network.

    Raises
    ------
    ConfigError
        If a step of the recipe matches no layer, or the network comes quantized.
    """
    require_types(network, recipe)
    if recipe.is_stored:
        return network
    folded = fold_pads(fold_batch_norms(network.graph))
    if folded is not network.graph:
        network = network.with_graph(folded)
    for step in recipe.rewrites:
        names = [layer.name for layer in layers(network.graph) if fnmatchcase(layer.name, step.layers)]
        _require_match(step.layers, network.graph, recipe)
        network = step.rewrite_all(network, names)
    return network


def require_types(network: Network, recipe: Recipe) -> None:
    """Refuse recipes that choose types for a network that has some, and those that leave it without any.

    Raises
    ------
    ConfigError
        If the recipe does not fit.
    """
    if network.is_typed and not recipe.is_stored:
        raise ConfigError(
            f"recipe {recipe.name} must be for a network in real numbers; {network.name} is quantized already: "
            f"--recipe {STORED}, or none"
        )
    if recipe.is_stored and not network.is_typed:
        raise ConfigError(
            f"recipe {recipe.name} must be for a network that is quantized already, as {network.name} is not"
        )


def quantize(network: Network, recipe: Recipe) -> Graph:
    """Choose the types of a float network's tensors by a recipe's other steps; errors as for `compress`."""
    graph = network.graph
    if recipe.is_stored:
        return graph
    for other in recipe.steps:
        if not isinstance(other, Rewrite):
            _require_match(other.layers, graph, recipe)
    steps = {layer.name: quantizer_of(layer, recipe) for layer in layers(graph)}
    graph = _without_blocks(graph, steps)
    all_layers = layers(graph)
    _one_type(all_layers, recipe, steps)
    numbers = _calibrated(network, all_layers, steps) if network.has_numbers else {}
    return _Typing(graph, recipe, all_layers, steps, numbers).graph()


def _without_blocks(graph: Graph, steps: Mapping[str, Quantizer]) -> Graph:
    """The graph without a file's blocks of weights where a step has numbers of its own in their place."""
    for layer in layers(graph):
        step = steps[layer.name]
        for weight in (graph[node.inputs[1]] for node in layer.products):
            kept = isinstance(step, floats.Floats) and step.weights is None
            if isinstance(weight.groups, BlockTensor) and not kept:
                graph = graph.changed(weight.name, storage=None, groups=None)
    return graph


def _calibrated(network: Network, all_layers: list[Layer], steps: Mapping[str, Quantizer]) -> dict[str, Float64]:
    """Real numbers of all values for the calibration data; of signs, what the layers make of signs."""
    numbers = dict(calibrated(network))
    for layer in all_layers:
        if isinstance(steps[layer.name], binary.Signs):
            require_matrix(layer, "binary")
            given = numbers[layer.input.name]
            numbers[layer.output.name] = binary.forward(layer, binary.tensor_type(layer.input, given), given)
        if not np.isfinite(numbers[layer.output.name]).all():
            raise WorkloadError(f"layer {layer.name}: outputs must be finite for the calibration data, but are not")
    return numbers


@dataclass(frozen=True)
class _Typing:
    """Puts a typed graph together.

    Parameters
    ----------
    steps
        What types each layer, by name.
    numbers
        Real numbers of all values for the calibration data; empty if the graph has none.
    """

    float_graph: Graph
    recipe: Recipe
    layers: list[Layer]
    steps: Mapping[str, Quantizer]
    numbers: Mapping[str, Float64]

    def graph(self) -> Graph:
        """The typed graph: layers in their types, and everything between them as it was."""
        graph = self.float_graph
        held = {node.name for layer in self.layers for node in layer.nodes}
        last = {layer.products[-1].name: layer for layer in self.layers}
        nodes: list[Node] = []
        known = {name: replace(graph[name], element=self._element(name)) for name in graph.entering}
        self._require_one_type_of_states()
        known |= self._constant_factors() | self._tables()
        narrowed: set[str] = set()
        for node in graph.nodes:
            for name in [name for name in self._narrowed(node) if name not in narrowed]:
                narrow = self._narrowing(name)
                known |= {value.name: value for value in narrow.constants}
                nodes += narrow.nodes
                narrowed.add(name)
            if node.name in last:
                typed = self._typed(last[node.name])
                known |= {value.name: self._stored(last[node.name], value) for value in typed.constants()}
                nodes += typed.nodes()
            elif node.name not in held and self._hosts(node):
                known |= self._constants_of(node, known)
                nodes.append(replace(self._reading(node), op=Hosted(node.op, self._formed(node.output))))
            elif node.name not in held and isinstance(node.op, SCALED):
                between = self._between(group_of(graph, node))
                known |= self._constants_of(between.group.head, known)
                known |= {value.name: value for value in between.constants}
                nodes += between.nodes
                held |= {later.name for later in between.group.nodes}
            elif node.name not in held:
                known |= self._constants_of(node, known)
                nodes.append(self._reading(node))
        return Graph.formed(graph.name, known, nodes, graph.inputs, graph.outputs, graph.states)

    def _typed(self, layer: Layer) -> TypedLayer:
        """A layer by its step."""
        step = self.steps[layer.name]
        match step:
            case integers.Integers():
                given, result = self._element(layer.input.name), self._formed(layer.output.name)
                assert isinstance(given, Integer) and isinstance(result, Integer)  # noqa: S101, PT018
                form = integers.quantize_layer if self.numbers else integers.outline_layer
                return form(layer._replace(head=self._reading(layer.head)), step, given, result)
            case binary.Signs():
                signs, result = self._element(layer.input.name), self._element(layer.output.name)
                assert isinstance(signs, Signs) and isinstance(result, Signs | Integer)  # noqa: S101, PT018
                return (binary.binarize_layer if self.numbers else binary.outline_layer)(layer, signs, result)
            case floats.Floats():
                return floats.round_layer(layer, step)
            case dynamic.DynamicIntegers():
                return dynamic.quantize_layer(layer, step)

    def _between(self, group: Layer) -> Between:
        """A node between layers, in the types of what it reads and forms."""
        between = Between(group._replace(head=self._reading(group.head)), not self.float_graph.has_numbers)
        narrowed = self._narrowed(group.head)
        read = [name for name in group.head.inputs if name in self._factors or not self.float_graph.constant(name)]
        given = [self._element(name) if name in narrowed else self._formed(name) for name in read]
        result = self._formed(group.output.name)
        if isinstance(result, Float):
            between.floats(result)
        elif isinstance(result, Integer) and all(isinstance(element, Integer) for element in given):
            between.integers([element for element in given if isinstance(element, Integer)], result)
        else:
            raise ConfigError(f"recipe {self.recipe.name}: node {group.name} must be between integers or floats")
        return between

    def _hosts(self, node: Node) -> bool:
        """Whether a node between layers is the host's: no unit has its kind, or one of its parts is constant."""
        if isinstance(node.op, HOSTED):
            return True
        constant = any(self.float_graph.constant(name) and name not in self._factors for name in node.inputs)
        integers_ = isinstance(self._element(node.output), Integer)
        if integers_ and isinstance(node.op, SCALED) and needs_real(self.float_graph, node):
            return True
        return constant and (isinstance(node.op, Concat) or (integers_ and isinstance(node.op, Add | Mul)))

    def _formed(self, name: str) -> Element:
        """What a value's numbers are where they are formed; see `_element`."""
        bits = self._residual_bits(name)
        if not bits:
            return self._element(name)
        if not self.numbers:
            return Integer(1.0, 0, signed=True, bits=bits)
        return integers.symmetric_type(self._taken(name), bits)

    def _residual_bits(self, name: str) -> int:
        """Bits of a value of the residual path, if they are more than layers read, or 0."""
        step = self._step(name)
        if isinstance(step, integers.Integers) and step.residual_bits and self._path.holds(name):
            return step.residual_bits
        return 0

    def _narrowed(self, node: Node) -> list[str]:
        """Values of the residual path that a node reads with fewer bits."""
        return [name for name in self._path.narrowed(node) if self._residual_bits(name)]

    def _reading(self, node: Node) -> Node:
        """A node that reads what is narrowed of the residual path."""
        narrowed = self._narrowed(node)
        return replace(node, inputs=tuple(f"{name}.narrow" if name in narrowed else name for name in node.inputs))

    def _narrowing(self, name: str) -> Between:
        """The conversion of a value of the residual path to what layers read."""
        wide, narrow = self._formed(name), self._element(name)
        assert isinstance(wide, Integer) and isinstance(narrow, Integer)  # noqa: S101, PT018 - as the path has it
        between = Between(self._path.forming[name], not self.float_graph.has_numbers)
        between.requantize(name, wide.scale, narrow, f"{name}.narrow")
        return between

    def _step(self, name: str) -> Quantizer:
        """Step of the layer that reads a value, or of the one that forms it, or the last."""
        layer = self._reader(name) or self._path.forming.get(name)
        return self.steps[layer.name] if layer and layer.name in self.steps else list(self.steps.values())[-1]

    def _element(self, name: str) -> Element:
        """What a value's numbers are as layers read them: as the first one that does wants them.

        What a network puts out has 8 bits at least, so that classes differ; not so what layers put out of which none
        reads another one, because in their network others would.
        """
        name = self._origin(name)
        value, reader = self.float_graph[name], self._reader(name)
        if isinstance(value.element, Plain):
            return value.element
        last = reader is None and len(self.float_graph.outputs) == 1
        step = self._step(name)
        match step:
            case integers.Integers():
                bits = max(step.bits, integers.LAST_BITS) if last else step.bits
                special = self._factor(name, bits) or self._scored(name, step)
                if special:
                    return special
                if self.numbers:
                    wanted = integers.tensor_type(value, self._taken(name), bits, step if reader else None)
                else:
                    wanted = integers.unsigned(bits)
                group = self._path.forming.get(name)
                return formed_type(group.head.op, wanted) if group else wanted
            case binary.Signs() if not last:
                return binary.tensor_type(value, self._taken(name)) if self.numbers else Signs(1.0)
            case binary.Signs():
                bits = integers.LAST_BITS
                return integers.activation_range(self._taken(name), bits) if self.numbers else integers.unsigned(bits)
            case _:
                return Float(step.operand)

    def _scored(self, name: str, step: integers.Integers) -> Integer | None:
        """Type of scores, if the recipe has one for them: of products of two tensors that softmax reads."""
        if step.score_bits is None or name not in self._scores:
            return None
        return integers.symmetric_type(self._taken(name) if self.numbers else np.ones(1), step.score_bits)

    @cached_property
    def _scores(self) -> set[str]:
        """Scores of all attention blocks."""
        origins = {
            self._origin(node.inputs[0]): node
            for node in self.float_graph.nodes
            if isinstance(node.op, Softmax | MaskedSoftmax) and not needs_real(self.float_graph, node)
        }
        made = {name: self._path.forming.get(name) for name in origins}
        return {name for name, group in made.items() if group and isinstance(group.head.op, MatMul)}

    def _taken(self, name: str) -> Float64:
        """Real numbers that a value takes, and what states begin with that later hold them."""
        states = (state for state in self.float_graph.states if self._origin(state.written) == name)
        begun = [state.initial.astype(np.float64).ravel() for state in states if state.initial.any()]
        constant = self.float_graph[name].data
        taken = self.numbers[name] if constant is None else constant.astype(np.float64)
        return np.concatenate([taken.ravel(), *begun]) if begun else taken

    def _factor(self, name: str, bits: int) -> Integer | None:
        """Type of a factor of a product of two tensors: without a zero point, and signed if the array holds it.

        None of values that are none, and of left factors that are not negative.
        """
        if name not in self._factors:
            return None
        if not self.numbers:
            return Integer(1.0, 0, signed=True, bits=bits) if self._factors[name] else None
        value = self.float_graph[name]
        numbers = self._taken(name) if value.data is None else value.numbers.astype(np.float64)
        if not self._factors[name] and numbers.min() >= 0:
            return None
        return integers.symmetric_type(numbers, bits)

    @cached_property
    def _factors(self) -> dict[str, bool]:
        """Factors of products of two tensors, and whether some product has them on the right."""
        factors: dict[str, bool] = {}
        held = {node.name for layer in self.layers for node in layer.nodes}
        for node in self.float_graph.nodes:
            if isinstance(node.op, MatMul) and node.name not in held:
                for name, right in zip(map(self._origin, node.inputs[:2]), (False, True), strict=True):
                    factors[name] = factors.get(name, False) or right
        return factors

    def _constants_of(self, node: Node, known: Mapping[str, Value]) -> dict[str, Value]:
        """Constants of a node that have no other type yet."""
        constants = (value for value in self.float_graph.constants if value.name in node.inputs)
        return {value.name: value for value in constants if value.name not in known}

    def _constant_factors(self) -> dict[str, Value]:
        """Constants among them, in their types."""
        constants = {}
        for name in filter(self.float_graph.constant, self._factors):
            value, element = self.float_graph[name], self._element(name)
            data = value.numbers if value.outlined else element.quantize(value.numbers)
            constants[name] = replace(value, element=element, data=data)
        return constants

    def _tables(self) -> dict[str, Value]:
        """Constants whose rows are gathered, in the types of what is gathered."""
        tables = {}
        for node in self.float_graph.nodes:
            table = self.float_graph[node.inputs[0]]
            if isinstance(node.op, Gather) and table.data is not None and not isinstance(table.element, Plain):
                element = self._element(node.output)
                data = table.data if table.outlined else element.quantize(table.data)
                tables[table.name] = replace(table, element=element, data=data)
        return tables

    def _origin(self, name: str) -> str:
        """The value whose numbers a value's are, in other places, or some of them, or of the step before."""
        name = self._written.get(name, name)
        node = self.float_graph.producer(name)
        if node is None or node.name in self._held or isinstance(node.op, SCALED + HOSTED):
            return name
        return self._origin(node.inputs[0])

    @cached_property
    def _held(self) -> set[str]:
        """Names of the nodes of all layers, and of the groups between them."""
        return {node.name for group in self._groups for node in group.nodes}

    @cached_property
    def _groups(self) -> list[Layer]:
        """All layers, and the groups between them."""
        held = {node.name for layer in self.layers for node in layer.nodes}
        heads = [n for n in self.float_graph.nodes if isinstance(n.op, SCALED) and n.name not in held]
        return [*self.layers, *(group_of(self.float_graph, node) for node in heads)]

    @cached_property
    def _path(self) -> ResidualPath:
        """What may have more bits than layers read."""
        return ResidualPath(self.float_graph, self._groups)

    def _reader(self, name: str, before: frozenset[str] = frozenset()) -> Layer | None:
        """First layer that reads a value, directly or what is sliced of it, or that does in the next step.

        Parameters
        ----------
        before
            Values on the way to it: states lead back to where they come from.
        """
        before |= {name}
        for node in self.float_graph.readers(name):
            reader = self._of_product.get(node.name)
            reader = reader or (None if node.output in before else self._reader(node.output, before))
            if reader:
                return reader
        later = (state.read for state in self.float_graph.states if state.written == name and state.read not in before)
        return next(filter(None, (self._reader(read, before) for read in later)), None)

    @cached_property
    def _written(self) -> dict[str, str]:
        """What the step before wrote, by what reads it."""
        return {state.read: state.written for state in self.float_graph.states}

    def _require_one_type_of_states(self) -> None:
        """Refuse a state that would be written with other bits than it is read."""
        for read, written in self._written.items():
            formed, element = self._formed(written), self._element(read)
            if formed != element:
                raise ConfigError(
                    f"recipe {self.recipe.name}: state {read} must be written as it is read, {element}, not {formed}"
                )

    @cached_property
    def _of_product(self) -> dict[str, Layer]:
        """Layers by the names of their products."""
        return {product.name: layer for layer in self.layers for product in layer.products}

    def _stored(self, layer: Layer, value: Value) -> Value:
        """Weights in the format of the last storing step that matches their layer, if there is one."""
        steps = [s for s in self.recipe.steps if isinstance(s, Store) and fnmatchcase(layer.name, s.layers)]
        if not steps or value.name != layer.weight.name:
            return value
        if isinstance(value.element, Float) or isinstance(self.steps[layer.name], dynamic.DynamicIntegers):
            raise ConfigError(
                f"recipe {self.recipe.name}: weights that are stored encoded must be integers, not floats"
            )
        if value.storage:
            raise ConfigError(
                f"recipe {self.recipe.name}: no step may store layer {layer.name}, whose groups are stored as "
                f"{value.storage.format}"
            )
        return replace(value, storage=steps[-1].storage(value.numbers))


def _one_type(all_layers: list[Layer], recipe: Recipe, steps: Mapping[str, Quantizer]) -> None:
    """Refuse steps of different types, because a tensor has the type of the layer that reads it."""
    for layer, after in pairwise(all_layers):
        step, other = steps[layer.name], steps[after.name]
        if step.operand != other.operand:
            raise ConfigError(
                f"recipe {recipe.name}: all layers must have operands of one type, but layer {layer.name} has "
                f"{step.operand} and the next one {other.operand}"
            )
    for layer in all_layers:
        step = steps[layer.name]
        stays = any(layer.graph[node.inputs[1]].element == WIDE for node in layer.products)
        if stays and not isinstance(step, floats.Floats | dynamic.DynamicIntegers):
            raise ConfigError(
                f"recipe {recipe.name}: layer {layer.name} has inputs that stay floats, so that its step must be of "
                f"floats or of dynamic integers, not {step.scheme}"
            )


def _require_match(pattern: str, graph: Graph, recipe: Recipe) -> None:
    """Refuse a step that is for no layer."""
    names = [layer.name for layer in layers(graph)]
    if not any(fnmatchcase(name, pattern) for name in names):
        raise ConfigError(
            f"recipe {recipe.name}: layers must match a layer of {graph.name} ({', '.join(names)}), not {pattern!r}"
        )


def quantizer_of(layer: Layer, recipe: Recipe) -> Quantizer:
    """The last quantizing step that matches a layer.

    Raises
    ------
    ConfigError
        If there is none.
    """
    steps = [s for s in recipe.steps if isinstance(s, Quantizer) and fnmatchcase(layer.name, s.layers)]
    if not steps:
        raise ConfigError(f"recipe {recipe.name}: a step must quantize layer {layer.name}, but none matches it")
    return steps[-1]
