"""The compiler's passes by name, and the assembly that three small graphs become, for a reviewer to read.

The golden files are tests/data/golden/*.asm: windows, functions and instructions, without header and image. They are
renewed by `python tests/compiler/test_passes.py`, and the difference is read before it is kept.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pytest
from float_networks import quantized, recipe
from graph_runs import bytes_of, executed
from harness import machine
from numpy.typing import NDArray

from accelsim.compiler import allocate, emit, fuse, layout, legalize, place, schedule, synchronize, tiling
from accelsim.compiler.lowering import Lowering, Placement, VectorPlacement
from accelsim.compiler.pipeline import PASSES, compile_graph
from accelsim.compiler.tiles import Tiling
from accelsim.compiler.vector_tiles import VectorTiling
from accelsim.compress.apply import quantize
from accelsim.config.arch import Machine
from accelsim.errors import CompileError, DefectError, DoesNotFitError
from accelsim.graph.build import Builder
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.pool import AveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.window import Window
from accelsim.isa.assembly import print_program
from accelsim.isa.opcodes import DECODE, GATHER, LOAD, MAP, MATMUL, NONE, REDUCE, REQUANTIZE, STORE
from accelsim.isa.verify import verify
from accelsim.workload.network import Network

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
SAME = Window((3, 3), padding=(1, 1, 1, 1))
HALF = Window((2, 2), (2, 2))

Typed = tuple[Graph, tuple[NDArray[Any], ...]]


def small() -> Machine:
    """A machine of 4 x 4 multipliers whose memories hold some rows of a small layer."""
    memory = {"capacity_bytes": 2048, "banks": 2}
    return machine(
        matrix={"rows": 4, "columns": 4}, activation=memory, weight=memory, output=memory, accumulator=memory
    )


class Drawn:
    """A graph of real numbers that are drawn, and its typed form."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.rng = np.random.default_rng(0)
        self.build = Builder(name)
        self.shape = shape
        self.input = self.build.input("input", shape)

    def constant(self, name: str, *shape: int) -> str:
        return self.build.constant(name, self.rng.normal(size=shape).astype(np.float32))

    def conv(self, name: str, x: str, window: Window, depth: int, filters: int, *, relu: bool = False) -> str:
        weight = self.constant(f"{name}.weight", *window.kernel, depth, filters)
        products = self.build.node(name, Conv(window), x, weight, output=f"{name}.products")
        bias = self.constant(f"{name}.bias", filters)
        return self.build.chain(name, products, [(Add(), (bias,)), *([(Relu(), ())] if relu else [])])

    def linear(self, name: str, x: str, inputs: int, outputs: int, *, relu: bool = False) -> str:
        weight, bias = self.constant(f"{name}.weight", inputs, outputs), self.constant(f"{name}.bias", outputs)
        return self.build.linear(name, x, weight, bias, relu=relu)

    def typed(self, *outputs: str, scheme: str = "int8") -> Typed:
        inputs = (self.rng.normal(size=self.shape).astype(np.float32),)
        graph = quantize(Network(self.build.graph(outputs), inputs, None, inputs, {}), recipe({"scheme": scheme}))
        return graph, quantized(graph, inputs)


def fully_connected() -> Typed:
    """Three samples of six numbers to five."""
    drawn = Drawn("fully-connected", (3, 6))
    return drawn.typed(drawn.linear("fc", drawn.input, 6, 5, relu=True))


def conv_pool() -> Typed:
    """An image of 4 x 4 pixels, a 3 x 3 convolution of one channel with padding, and the largest of each 2 x 2."""
    drawn = Drawn("conv-pool", (1, 4, 4, 1))
    conv = drawn.conv("conv", drawn.input, SAME, 1, 4, relu=True)
    return drawn.typed(drawn.build.node("pool", MaxPool(HALF), conv))


def residual() -> Typed:
    """A layer added to what it reads."""
    drawn = Drawn("residual", (3, 4))
    first = drawn.linear("first", drawn.input, 4, 4, relu=True)
    second = drawn.linear("second", first, 4, 4)
    drawn.build.node("sum", Add(), first, second, output="sum.formed")
    return drawn.typed(drawn.build.chain("sum", "sum.formed", [(Relu(), ())]))


def through(typed: Typed, on: Machine, last: str) -> Lowering:
    """What the passes up to and with one hand on."""
    lowering = Lowering(*typed, "r")
    for step in PASSES:
        lowering = step.run(lowering, on)
        if step.name == last:
            return lowering
    raise AssertionError(last)


def test_passes_come_in_the_order_of_what_they_need() -> None:
    names = [step.name for step in PASSES]
    assert names == ["fuse", "legalize", "layout", "place", "allocate", "leave out", "schedule", "synchronize", "emit"]
    runs = [fuse.fuse, legalize.legalize, layout.arrange, place.place, allocate.allocate, schedule.schedule]
    assert [step.run for step in PASSES if step.name not in {"leave out", "synchronize", "emit"}] == runs
    assert (synchronize.synchronize, emit.emit) == (PASSES[7].run, PASSES[8].run)


# -- fuse


def branches() -> Typed:
    """A convolution that a table, a residual and a concatenation read."""
    drawn = Drawn("branches", (1, 4, 4, 2))
    stem = drawn.conv("stem", drawn.input, SAME, 2, 4, relu=True)
    deep = drawn.conv("deep", stem, SAME, 4, 4)
    drawn.build.node("sum", Add(), stem, deep, output="sum.formed")
    total = drawn.build.chain("sum", "sum.formed", [(Relu(), ())])
    table = drawn.build.node("table", Function("tanh"), total)
    pool = drawn.build.node("pool", MaxPool(SAME), total)
    joined = drawn.build.node("join", Concat(-1), table, pool)
    flat = drawn.build.node("flatten", Reshape((0, -1)), joined)
    return drawn.typed(drawn.linear("fc", flat, 128, 2))


def test_fuse_puts_each_node_in_the_fusion_that_executes_it() -> None:
    fusions = through(branches(), small(), "fuse").fusions
    found = {fusion.name: [node.name for node in fusion.nodes] for fusion in fusions}
    assert list(found) == ["stem", "deep", "sum", "table", "pool", "table.output.join", "fc"]
    assert found["stem"] == ["stem", "stem.add", "stem.cast", "stem.relu"]
    assert found["deep"] == ["deep", "deep.add", "deep.cast"]
    assert {"sum.operand0.cast", "sum.operand1.cast", "sum", "sum.relu"} <= {*found["sum"]}
    assert found["fc"] == ["flatten", "fc", "fc.add", "fc.cast"]
    assert [fusion.sources for fusion in fusions[2:4]] == [("stem.output", "deep.output"), ("sum.output",)]
    assert [fusion.name for fusion in fusions if fusion.product] == ["stem", "deep", "fc"]
    assert fusions[-1].sources == ("join.output",)  # nothing computes a concatenation


def test_fuse_is_checked_for_what_is_read_before_it_is_there() -> None:
    lowering = through(residual(), small(), "fuse")
    fuse.check(lowering, small())
    first, second, total = lowering.fusions
    turned = Lowering(lowering.graph, lowering.inputs, "r", fusions=(second, first, total))
    with pytest.raises(DefectError, match=r"fusion second reads first\.output, which is not there yet"):
        fuse.check(turned, small())
    with pytest.raises(DefectError, match=r"outputs are formed by no fusion: sum\.output"):
        fuse.check(Lowering(lowering.graph, lowering.inputs, "r", fusions=(first, second)), small())


def test_fuse_brings_means_to_the_scale_of_what_they_join_in_a_fusion_of_its_own() -> None:
    """Two conversions follow each other; the vector unit makes one at a time."""
    drawn = Drawn("g", (1, 4, 4, 2))
    conv = drawn.conv("conv", drawn.input, SAME, 2, 4)
    mean = drawn.build.node("mean", AveragePool(HALF), conv)
    largest = drawn.build.node("max", MaxPool(HALF), conv)
    joined = drawn.build.node("join", Concat(-1), mean, largest)
    flat = drawn.build.node("flatten", Reshape((0, -1)), joined)
    fusions = through(drawn.typed(drawn.linear("fc", flat, 32, 2)), small(), "fuse").fusions
    found = {fusion.name: [node.name for node in fusion.nodes] for fusion in fusions}
    assert found["mean"] == ["mean", "mean.output.cast"]
    assert found["mean.output.join"] == ["mean.output.join.cast"]


def test_fuse_keeps_a_conversion_out_of_the_relu_before_it() -> None:
    """A sum with ReLU that is brought to the scale of what it joins."""
    drawn = Drawn("g", (1, 4, 4, 2))
    first, second = (drawn.conv(name, drawn.input, SAME, 2, 4) for name in ("a", "b"))
    drawn.build.node("sum", Add(), first, second, output="sum.formed")
    total = drawn.build.chain("sum", "sum.formed", [(Relu(), ())])
    joined = drawn.build.node("join", Concat(-1), total, drawn.build.node("max", MaxPool(SAME), first))
    fusions = through(drawn.typed(drawn.conv("c", joined, SAME, 8, 2)), small(), "fuse").fusions
    found = {fusion.name: [node.name for node in fusion.nodes] for fusion in fusions}
    assert found["sum"][-1] == "sum.relu"
    assert found["sum.output.join"] == ["sum.output.join.cast"]


# -- legalize


def test_legalize_refuses_operands_of_another_type_than_the_machines() -> None:
    drawn = Drawn("g", (2, 6))
    typed = drawn.typed(drawn.linear("fc", drawn.input, 6, 4), scheme="int4")
    with pytest.raises(CompileError, match="layer fc: operands must be int8, the type of edge-ws, but recipe r makes"):
        through(typed, small(), "legalize")


def test_legalize_leaves_the_lowering_as_it_is() -> None:
    typed = conv_pool()
    before, after = through(typed, small(), "fuse"), through(typed, small(), "legalize")
    assert [fusion.name for fusion in before.fusions] == [fusion.name for fusion in after.fusions]


# -- tile


def test_tile_cuts_products_and_vector_work_into_what_fits() -> None:
    on = small()
    lowering = through(branches(), on, "place")
    tiling.check(lowering, on)
    for fusion, flow, cut in zip(lowering.fusions, lowering.flows, lowering.tilings, strict=True):
        value = lowering.graph[fusion.target]
        times = np.zeros(value.samples, np.int64)
        if isinstance(cut, VectorTiling):
            assert flow is None
            for low, size in zip(cut.rows.low, cut.rows.size, strict=True):
                times[low : low + size] += 1
            assert cut.slots * cut.operands * cut.source_bytes <= on.activation.capacity_bytes
            assert cut.slots * cut.result_bytes <= on.output.capacity_bytes
        else:
            assert flow
            weight_tiles, order = cut.weight_tile_table, cut.order()
            done = np.zeros((cut.k, cut.n), np.int64)
            for number in range(len(weight_tiles.k_low)):
                k, n = weight_tiles.k_low[number], weight_tiles.n_low[number]
                done[k : k + weight_tiles.k_size[number], n : n + weight_tiles.n_size[number]] += 1
            assert (done == 1).all()
            assert len(order.row) == len(weight_tiles.k_low) * len(cut.parts_m.low)
            for low, size in zip(cut.parts_m.low, cut.parts_m.size, strict=True):
                times[low : low + size] += 1
        assert (times == 1).all(), fusion.name


def test_tile_says_which_memory_is_too_small() -> None:
    tiny = {"capacity_bytes": 16, "banks": 1}
    with pytest.raises(DoesNotFitError) as error:
        through(conv_pool(), machine(matrix={"rows": 4, "columns": 4}, activation=tiny), "place")
    assert str(error.value) == (
        "layer pool: the activation and output memories of edge-ws must hold the smallest tile, 32 and 16 bytes, "
        "but have 16 and 65536"
    )


# -- allocate


def test_allocate_begins_regions_at_bursts_and_keeps_their_bytes_apart() -> None:
    on = small()
    typed = branches()
    lowering = through(typed, on, "allocate")
    allocate.check(lowering, on)
    burst = on.dram.burst_bytes
    joined = lowering.places["join.output"]
    table, pool = lowering.places["table.output.join"], lowering.places["pool.output"]
    assert (table.address, pool.address) == (joined.address, joined.address + 4)  # four channels, a byte each
    assert table.pitch == pool.pitch == joined.pitch == 8
    beside = {"pool.output"}  # the second of two that stand side by side
    assert all(place.address % burst == 0 for name, place in lowering.places.items() if name not in beside)
    for placement in lowering.placements:
        if isinstance(placement, Placement):
            assert (placement.weight_tiles.address % burst == 0).all()
            assert placement.target.address >= lowering.image_bytes
    program = compile_graph(*typed, on)
    times = np.zeros(program.header.dram_bytes, np.int64)
    for region in program.header.regions:
        np.add.at(times, bytes_of(region), 1)
    assert times.max() == 1


def test_allocate_draws_inputs_weights_and_tables_into_the_image() -> None:
    on = small()
    graph, (x,) = branches()
    lowering = through((graph, (x,)), on, "allocate")
    place = lowering.places["input"]
    np.testing.assert_array_equal(
        lowering.image[place.address : place.address + x.size], np.ascontiguousarray(x).view(np.uint8).ravel()
    )
    (table,) = (p for p in lowering.placements if isinstance(p, VectorPlacement) and p.table_slot.addresses)
    entries = graph["table.table"].numbers
    given = graph["sum.output"].element
    assert isinstance(given, Integer)
    stored = lowering.image[table.table : table.table + 256]
    for q in (given.qmin, 0, given.qmax):
        assert stored[q % 256] == np.array(entries[q - given.qmin]).view(np.uint8)
    assert len(lowering.image) == lowering.image_bytes < lowering.dram_bytes


def test_allocate_refuses_a_value_that_two_concatenations_hold() -> None:
    drawn = Drawn("g", (1, 2, 2, 2))
    first, second = (drawn.conv(name, drawn.input, Window((1, 1)), 2, 2, relu=True) for name in ("a", "b"))
    left = drawn.build.node("left", Concat(-1), first, second)
    right = drawn.build.node("right", Concat(-1), second, first)
    left, right = (drawn.conv(name, x, Window((1, 1)), 4, 2) for name, x in (("c", left), ("d", right)))
    total = drawn.build.node("sum", Add(), left, right)
    with pytest.raises(CompileError, match=r"must stand side by side for \w+, but \w+\.output must stand elsewhere"):
        through(drawn.typed(total), small(), "allocate")


# -- schedule


def test_schedule_loads_ahead_of_what_stores_before_it() -> None:
    """Loads of the second row tile come before the results of the first one are stored."""
    memory = {"capacity_bytes": 256, "banks": 2}
    on = machine(matrix={"rows": 4, "columns": 4}, activation=memory, output=memory, accumulator=memory)
    drawn = Drawn("g", (40, 8))
    lowering = through(drawn.typed(drawn.linear("fc", drawn.input, 8, 4)), on, "schedule")
    schedule.check(lowering, on)
    opcode = lowering.instructions["opcode"]
    (cut,) = lowering.tilings
    assert isinstance(cut, Tiling)
    tiles = len(cut.parts_m.low)
    assert tiles > 2
    stores, loads = np.flatnonzero(opcode == STORE), np.flatnonzero(opcode == LOAD)
    assert len(stores) == tiles
    assert (loads[: cut.activations + 1] < stores[0]).all()  # the slots' tiles and the weights
    assert stores[0] < loads[-1] < stores[-1]


def test_schedule_orders_what_a_step_issues() -> None:
    lowering = through(conv_pool(), small(), "schedule")
    opcode, layer = lowering.instructions["opcode"], lowering.instructions["layer"]
    assert [fusion.name for fusion in lowering.fusions] == ["conv", "pool"]
    assert {GATHER, MATMUL, REQUANTIZE, STORE} <= {*opcode[layer == 0].tolist()}
    assert opcode[layer == 1][-2:].tolist() == [REDUCE, STORE]
    assert MAP not in opcode
    assert DECODE not in opcode
    stores = np.flatnonzero((layer == 0) & (opcode == STORE))
    (gather,) = np.flatnonzero((layer == 1) & (opcode == GATHER))
    assert gather > stores[-1]  # what reads a value follows what stores it


def test_schedule_is_checked_for_what_is_missing() -> None:
    on = small()
    lowering = through(residual(), on, "schedule")
    code = lowering.instructions
    without = code[np.arange(len(code)) != np.flatnonzero(code["opcode"] == STORE)[-1]]
    broken = dataclasses.replace(lowering, instructions=without)
    with pytest.raises(DefectError, match=r"fusion sum: must form 0 products and store 12 bytes, not 0 and 0"):
        schedule.check(broken, on)


# -- synchronize and emit


def test_synchronize_raises_what_is_waited_for_and_moves_nothing() -> None:
    on = small()
    before, after = through(residual(), on, "schedule"), through(residual(), on, "synchronize")
    for field in ("opcode", "layer", "operands"):
        np.testing.assert_array_equal(before.instructions[field], after.instructions[field])
    assert (before.instructions["wait"] == NONE).all()
    assert (before.instructions["signal"] == NONE).all()
    waited = {*np.unique(after.instructions["wait"]).tolist()} - {NONE}
    raised = {*np.unique(after.instructions["signal"]).tolist()} - {NONE}
    assert waited == raised == {*range(len(waited))}
    assert len(waited) > 2


def test_emit_says_of_each_layer_what_it_computes_and_where_it_lies() -> None:
    on = small()
    program = compile_graph(*branches(), on, "r")
    verify(program, on)
    header = program.header
    assert (header.workload, header.recipe, header.arch) == ("branches", "r", "edge-ws")
    names = [info.name for info in header.layers]
    assert names == ["stem", "deep", "sum", "table", "pool", "table.output.join", "fc"]
    assert [info.macs for info in header.layers] == [16 * 18 * 4, 16 * 36 * 4, 0, 0, 0, 0, 128 * 2]
    assert [(r.name, r.role) for r in header.regions][:2] == [("input", "input"), ("stem.output", "output")]
    assert [region.name for region in header.regions[1:]] == [info.output for info in header.layers]
    assert header.region("pool.output").pitch == 8
    assert np.unique(program.instructions["layer"]).tolist() == [*range(7)]


# -- golden assembly

GRAPHS: dict[str, Callable[[], Typed]] = {
    "fully-connected": fully_connected,
    "conv-pool": conv_pool,
    "residual": residual,
}


def assembly(name: str) -> str:
    """A graph's program as text: what it is of as a comment, then all but the header and the image."""
    make = GRAPHS[name]
    text = print_program(compile_graph(*make(), small(), "int8"), image=False)
    return "\n".join([f"; {make.__doc__}", *text.split("\n")[2:]])


@pytest.mark.parametrize("name", GRAPHS)
def test_the_assembly_of_a_graph_is_the_golden_one(name: str) -> None:
    golden = (GOLDEN / f"{name}.asm").read_text()
    assert assembly(name) == golden, "read the difference after `python tests/compiler/test_passes.py`"


@pytest.mark.parametrize("name", GRAPHS)
def test_the_golden_program_executes_to_what_its_graph_means(name: str) -> None:
    executed(*GRAPHS[name](), small())


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for graph in GRAPHS:
        (GOLDEN / f"{graph}.asm").write_text(assembly(graph))
