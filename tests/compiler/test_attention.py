"""Attention of language models on the machine: masks, rotated positions and grouped queries, as golden has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from decoders import Shape, decoder, network
from float_networks import recipe
from graph_runs import executed
from harness import examples, machine
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import machines

from accelsim.compress.apply import quantize
from accelsim.config.arch import Machine
from accelsim.errors import DoesNotFitError
from accelsim.golden import exact, real
from accelsim.golden.quality import sqnr_db
from accelsim.graph.graph import Graph
from accelsim.graph.ops.integer_softmax import IntegerSoftmax
from accelsim.graph.ops.mask import Mask
from accelsim.graph.ops.rotate import Rotate
from accelsim.isa.opcodes import COMPUTE, MAP, SOFTMAX
from accelsim.workload.network import Network

#: A host that gathers the rows of an embedding.
HOST = {"operations_per_s": 1e9, "operation_pj": 1.0, "operation_source": "test"}
MASKS = st.builds(
    lambda causal, window, sinks: Mask(causal, window if causal else 0, sinks if causal and window else 0),
    st.booleans(), st.integers(0, 9), st.integers(0, 3),
)  # fmt: skip
SHAPES = st.builds(
    lambda key_heads, group, pairs, **others: Shape(
        heads=key_heads * group, key_heads=key_heads, head=2 * pairs, layers=1, **others
    ),
    key_heads=st.integers(1, 3), group=st.integers(1, 3), pairs=st.integers(1, 6), batch=st.integers(1, 2),
    tokens=st.integers(1, 20), hidden=st.integers(1, 40), vocabulary=st.integers(2, 30),
)  # fmt: skip


def typed(of: Network, **fields: Any) -> tuple[Graph, Any]:
    return quantize(of, recipe({"scheme": "int8", **fields})), of.inputs


@given(SHAPES, MASKS, st.booleans(), st.booleans(), st.integers(0, 2**32),
       machines(kinds=["weight_stationary", "tensor_core", "structured_sparse", "input_stationary"]))  # fmt: skip
@examples(10, campaign=200)
def test_a_block_of_integers_equals_golden_at_every_value(
    shape: Shape, mask: Mask, interleaved: bool, wide: bool, seed: int, on: Machine
) -> None:
    graph = decoder(shape, mask, interleaved=interleaved, seed=seed)
    integers, inputs = typed(network(graph, shape.vocabulary, seed), **({"score_bits": 16} if wide else {}))
    on = on.model_copy(update={"host": on.host.model_copy(update=HOST)})
    try:
        executed(integers, inputs, on)
    except DoesNotFitError:
        assume(False)


@pytest.mark.parametrize("operand", ["fp16", "fp32"])
def test_positions_turn_on_the_vector_unit_in_floats(operand: str) -> None:
    shape = Shape(batch=2, tokens=9)
    of = network(decoder(shape, Mask(True)), shape.vocabulary)
    graph = quantize(of, recipe({"scheme": operand}))
    assert sum(isinstance(node.op, Rotate) for node in graph.nodes) == 2 * shape.layers
    on = machine(matrix={"operands": operand}, host=HOST, activation={"capacity_bytes": 2**18})
    program, _ = executed(graph, of.inputs, on)
    names = [node.name for computation in program.header.computations for node in computation.nodes]
    assert not any("rotary" in name for name in names)


def test_only_the_embedding_is_the_hosts() -> None:
    shape = Shape()
    integers, inputs = typed(network(decoder(shape, Mask(True)), shape.vocabulary), score_bits=16)
    program, _ = executed(integers, inputs, machine(host=HOST))
    count = np.bincount(program.instructions["opcode"], minlength=COMPUTE + 1)
    assert count[COMPUTE] == 1
    assert min(count[SOFTMAX], count[MAP]) > 0
    # queries of a group are rows of one product, so that they load their keys once
    (scores,) = (layer for layer in program.header.layers if layer.name == "layer0.attention.scores")
    assert (scores.m, scores.k, scores.n) == (shape.heads * shape.tokens, shape.head, shape.tokens)


def test_wide_scores_lose_less() -> None:
    shape = Shape(tokens=48, head=16)
    of = network(decoder(shape, Mask(True), seed=3), shape.vocabulary)
    right = real.evaluate(of.graph, of.inputs)["layer1.attention.output.output"]
    lost = []
    for fields in ({}, {"score_bits": 16}):
        graph, inputs = typed(of, **fields)
        numbers = exact.evaluate(graph, inputs, 1)["layer1.attention.output.output"]
        lost.append(sqnr_db(right, graph["layer1.attention.output.output"].element.dequantize(numbers)) or 0.0)
    assert lost[1] > lost[0]


def test_a_mask_is_part_of_the_softmax() -> None:
    graph, _ = typed(network(decoder(Shape(), Mask(True, 5, 2)), 50))
    masks = {node.op.mask for node in graph.nodes if isinstance(node.op, IntegerSoftmax)}
    assert masks == {Mask(True, 5, 2)}
