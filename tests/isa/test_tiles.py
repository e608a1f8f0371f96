"""Tiles that are worked out together are those of each instruction alone."""

from __future__ import annotations

import numpy as np
import pytest
from compiler.test_convolution import READS, random, reading
from graph_runs import small
from strategies import DATAPATHS

from accelsim.compiler.pipeline import compile_graph
from accelsim.graph.ops.window import Window
from accelsim.isa.accesses import Tiles
from accelsim.isa.opcodes import COMPUTE, GATHER, OPCODES, REDUCE, SCATTER
from accelsim.memory.region import Runs


@pytest.mark.parametrize("kind", DATAPATHS)
@pytest.mark.parametrize("how", READS)
def test_tiles_of_many_are_those_of_each(kind: str, how: str) -> None:
    conv = random(np.random.default_rng(8), (2, 5, 6, 8), (8, 5), Window((3, 2), padding=(1, 1, 1, 0)))
    on = small(kind)
    with reading(how):
        program = compile_graph(conv.graph, (conv.images,), on)
    code, together, alone = program.instructions, Tiles(on, program.tables), Tiles(on, program.tables)
    for number in np.unique(code["opcode"]).tolist():
        operands = code["operands"][code["opcode"] == number]
        together.learn(number, operands)
        if number in (GATHER, SCATTER, COMPUTE, REDUCE):
            continue
        for row in operands[:, : len(OPCODES[number].fields)].tolist():
            assert (number, tuple(row)) in together._found
            for one, other in zip(together.of(number, tuple(row)), alone.of(number, tuple(row)), strict=True):
                assert one.memory == other.memory
                if isinstance(one.bytes, Runs) and isinstance(other.bytes, Runs):
                    np.testing.assert_array_equal(one.bytes.address, other.bytes.address)
                    np.testing.assert_array_equal(one.bytes.size, other.bytes.size)
                else:
                    assert one.bytes == other.bytes
