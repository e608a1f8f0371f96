"""Runs that ask for no outputs: the same cycles, traffic and energy, from shapes alone where values change nothing."""

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from float_networks import typed
from harness import machine
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerLayer, IntegerNetwork
from strategies import DATAPATHS, independent_networks, machines, networks

import accelsim
from accelsim.compiler.fuse import fuse
from accelsim.compiler.lowering import Lowering
from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.recipe import load_recipe
from accelsim.config import shipped
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.errors import AccelSimError, CompileError, ProgramError, UnsteadyError, WorkloadError
from accelsim.graph.layer import layers
from accelsim.graph.value import without_numbers
from accelsim.isa import assembly
from accelsim.isa.program import Header, Program
from accelsim.isa.verify import verify
from accelsim.results import Reuse
from accelsim.sim import reference, steady
from accelsim.workload.source import load_network

#: Datapaths whose time depends on no value, whatever their fields.
DENSE = ("weight_stationary", "input_stationary", "output_stationary", "structured_sparse", "tensor_core")

WORKLOAD = """\
kind: workload
name: mix
description: d
source: s
synthetic: {seed: 3, batch: 2}
independent: true
layers:
  - {name: c, kind: conv, height: 8, width: 7, channels: 3, filters: 10, kernel: [3, 2], stride: [2, 1], padding: 1}
  - {name: g, kind: gemm, m: 17, k: 40, n: 33, sparsity: [2, 4]}
  - {name: l, kind: linear, inputs: 24, outputs: 12, activation: relu}
"""
CHAIN = """\
kind: workload
name: chain
description: d
source: s
synthetic: {seed: 3, batch: 9}
layers:
  - {name: a, kind: linear, inputs: 20, outputs: 30, activation: relu, sparsity: [1, 4]}
  - {name: b, kind: linear, inputs: 30, outputs: 12}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workloads")
    (folder / "mix.yaml").write_text(WORKLOAD)
    (folder / "chain.yaml").write_text(CHAIN)
    return folder


@pytest.mark.parametrize("workload", ["mix.yaml", "chain.yaml"])
@pytest.mark.parametrize("arch", shipped.names("arch"))
def test_every_machine_takes_the_same_time_without_outputs(arch: str, workload: str, folder: Path) -> None:
    executed = accelsim.run(str(folder / workload), arch).summary
    timed = accelsim.run(str(folder / workload), arch, timing_only=True).summary
    assert executed.bit_exact is True
    assert executed.timing_only is False
    assert timed.timing_only is True
    for a, b in zip((executed, *executed.layers), (timed, *timed.layers), strict=True):
        assert b.quality is b.bit_exact is None
        for name in ("cycles", "array_cycles", "energy_pj", "bytes", "units", "counters", "roofline", "compression"):
            assert getattr(a, name) == getattr(b, name), name
        assert (a.macs.dense, a.macs.executed, a.macs.skipped) == (b.macs.dense, b.macs.executed, b.macs.skipped)
        # where zeros decide what takes time, they are executed and counted
        assert b.macs.skippable == (a.macs.skippable if load_machine(arch).matrix.skips_zeros else None)
    assert timed.provenance["seed"] == 3


def test_a_network_with_weights_of_its_own_is_timed_too() -> None:
    executed = accelsim.run("digits-mlp", "edge-ws").summary
    timed = accelsim.run("digits-mlp", "edge-ws", timing_only=True).summary
    assert timed.timing_only
    assert timed.quality is timed.bit_exact is None
    assert (timed.cycles, timed.energy_pj, timed.counters) == (executed.cycles, executed.energy_pj, executed.counters)


def test_a_recipe_that_encodes_weights_is_executed(folder: Path) -> None:
    executed = accelsim.run(str(folder / "mix.yaml"), "edge-ws", "int8-huffman").summary
    timed = accelsim.run(str(folder / "mix.yaml"), "edge-ws", "int8-huffman", timing_only=True).summary
    assert timed.cycles == executed.cycles
    assert timed.compression == executed.compression
    assert timed.macs == executed.macs


def outline(net: IntegerNetwork) -> IntegerNetwork:
    """The network without its values; no weight of these networks is declared sparse."""

    def blank(layer: IntegerLayer) -> IntegerLayer:
        names = ("weight", "bias", "multiplier", "shift")
        arrays = {name: getattr(layer, name) for name in names}
        empty = {name: without_numbers(array.dtype, array.shape) for name, array in arrays.items()}
        return dataclasses.replace(layer, **empty, pattern=(1, 1))

    return dataclasses.replace(net, layers=tuple(map(blank, net.layers)))


@given(net=st.one_of(networks(), independent_networks()), on=machines(kinds=DENSE), data=st.data())
@settings(max_examples=24)
def test_any_dense_machine_times_shapes_as_it_times_values(
    net: IntegerNetwork, on: Machine, data: st.DataObject
) -> None:
    dense = dataclasses.replace(net, layers=tuple(map(full, net.layers)))
    count = len(net.layers) if net.independent else 1
    rows = data.draw(st.lists(st.integers(1, 20), min_size=count, max_size=count))
    each = tuple(np.ones((m, layer.inputs), layer.input.dtype) for m, layer in zip(rows, net.layers, strict=False))
    shapes = tuple(without_numbers(x.dtype, x.shape) for x in each)
    programs = [given_.compile(x, on) for given_, x in ((dense, each), (outline(net), shapes))]
    assert [program.header.timing_only for program in programs] == [False, True]
    real, timed = (reference.execute(program, on) for program in programs)
    assert real.cycles == timed.cycles
    assert real.counters == timed.counters
    for name in ("issue", "start", "free", "end"):
        np.testing.assert_array_equal(getattr(real.timeline, name), getattr(timed.timeline, name))
    assert programs[1].header.image_bytes == programs[0].image.size
    assert programs[1].image.size == 0
    assert timed.effectual == (0,) * len(net.layers)


def full(layer: IntegerLayer) -> IntegerLayer:
    """The layer with weights of which none is zero, so that no machine finds N:M in them unless K is that small."""
    return dataclasses.replace(layer, weight=np.ones_like(layer.weight))


def test_the_program_says_so_and_its_digest_depends_on_header_and_instructions(folder: Path) -> None:
    on = machine()
    program = compile_graph(*typed(load_network(str(folder / "mix.yaml"), values=False), load_recipe("int8")), on)
    assert program.header.timing_only
    assert program.header.image_bytes == program.image_bytes > 40 * 33
    verify(program, on)
    assert assembly.parse(assembly.print_program(program)).digest == program.digest
    half = program.header.model_copy(update={"image_bytes": program.image_bytes // 2})
    with pytest.raises(ProgramError, match="must read bytes that were written before, but nothing wrote all of dram"):
        verify(Program(half, program.instructions, program.image), on)
    with pytest.raises(ProgramError, match="the image of a timing-only program must be empty, but has 3 bytes"):
        verify(Program(program.header, program.instructions, np.zeros(3, np.uint8)), on)
    with pytest.raises(ValueError, match="image_bytes must be 0 unless timing_only is true, not 5"):
        Header.model_validate({**program.header.model_dump(), "timing_only": False, "image_bytes": 5})


def test_nothing_of_the_size_of_the_weights_is_allocated() -> None:
    on = load_machine("tpu-v1")
    recipe = load_recipe("int8")
    for _ in range(2):  # kernels are loaded in the first round
        tracemalloc.start()
        network = load_network("llama-2-7b-block", values=False)
        program = compile_graph(*typed(network, recipe), on)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    weights = sum(layer.weight.numbers.size for layer in layers(network.graph))
    assert weights == 4 * 4096**2 + 3 * 4096 * 11008
    assert program.image_bytes > weights
    assert peak < weights / 8


@pytest.mark.parametrize("recipe", ["int16", "int8", "int4", "int2", "binary", "fp32", "bf16", "fp16", "fp8-e4m3"])
def test_shapes_have_the_types_of_every_recipe(recipe: str, folder: Path) -> None:
    path = str(folder / "mix.yaml")
    chosen = load_recipe(recipe)
    on = machine(matrix={"operands": recipe.replace("-", "_")})
    real, bare = load_network(path), load_network(path, values=False)
    programs = [compile_graph(*typed(network, chosen), on) for network in (real, bare)]
    executed, timed = (reference.execute(program, on) for program in programs)
    assert executed.cycles == timed.cycles
    assert executed.counters == timed.counters
    for a, b in zip(programs[0].header.layers, programs[1].header.layers, strict=True):
        assert a == b


@pytest.mark.parametrize(
    ("pattern", "kept", "group", "k", "expected"),
    [
        ((1, 1), 2, 4, 8, False), ((2, 4), 2, 4, 8, True), ((1, 4), 2, 4, 8, True), ((3, 4), 2, 4, 8, False),
        ((1, 2), 2, 4, 8, True), ((2, 4), 4, 8, 8, True), ((1, 3), 2, 4, 9, True), ((1, 1), 2, 4, 2, True),
        ((2, 5), 2, 4, 12, False), ((3, 8), 2, 4, 8, False), ((3, 8), 3, 4, 40, True), ((1, 9), 1, 4, 40, False),
    ],
)  # fmt: skip
def test_a_declared_pattern_stands_for_the_weights_that_are_drawn_by_it(
    pattern: tuple[int, int], kept: int, group: int, k: int, expected: bool, tmp_path: Path
) -> None:
    declared = f", sparsity: [{pattern[0]}, {pattern[1]}]" if pattern != (1, 1) else ""
    layer = f"{{name: a, kind: gemm, m: 2, k: {k}, n: 64{declared}}}"
    (tmp_path / "w.yaml").write_text(f"{WORKLOAD.split('layers:', maxsplit=1)[0]}layers: [{layer}]\n")
    found = []
    for values in (True, False):
        graph, x = typed(load_network(str(tmp_path / "w.yaml"), values=values), load_recipe("int8"))
        (fusion,) = fuse(Lowering(graph, x, ""), machine()).fusions
        found.append(fusion.product.is_nm(kept, group))
    assert found == [expected, expected]


def test_the_dense_datapaths_are_those_that_skip_nothing() -> None:
    skipping = {
        load_machine(name).matrix.kind for name in shipped.names("arch") if load_machine(name).matrix.skips_zeros
    }
    assert skipping == {"outer_product", "sparse_lanes"} == set(DATAPATHS) - set(DENSE)


def test_blocks_are_copied_only_without_outputs(folder: Path) -> None:
    with pytest.raises(AccelSimError, match="reuse of blocks must go with timing only"):
        accelsim.run(str(folder / "mix.yaml"), reuse_blocks=True)


def test_without_repeated_blocks_nothing_is_copied(folder: Path) -> None:
    whole = accelsim.run(str(folder / "mix.yaml"), timing_only=True, residency=False).summary
    copied = accelsim.run(str(folder / "mix.yaml"), timing_only=True, reuse_blocks=True).summary
    assert whole.reuse is None
    assert copied.reuse == Reuse(first_layer="c", layers=3, repeats=1, simulated=1, exact=True, bound_cycles=0)
    assert copied.model_copy(update={"reuse": None}) == whole


def test_blocks_that_do_not_become_steady_are_all_simulated(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def never(*_: object) -> None:
        raise UnsteadyError("blocks must be steady")

    monkeypatch.setattr(steady, "estimate", never)
    (folder / "often.yaml").write_text(WORKLOAD.replace("independent", "repeats: 9\nindependent"))
    whole = accelsim.run(str(folder / "often.yaml"), timing_only=True, residency=False).summary
    copied = accelsim.run(str(folder / "often.yaml"), timing_only=True, reuse_blocks=True).summary
    assert copied.reuse == Reuse(first_layer="c.1", layers=3, repeats=9, simulated=9, exact=True, bound_cycles=0)
    assert copied.model_copy(update={"reuse": None}) == whole
    assert caplog.messages == ["all 9 blocks are simulated: blocks must be steady"]


def test_repeats_are_layers_with_names_and_weights_of_their_own(folder: Path) -> None:
    (folder / "often.yaml").write_text(WORKLOAD.replace("independent", "repeats: 2\nindependent"))
    network = load_network(str(folder / "often.yaml"))
    assert [layer.name for layer in layers(network.graph)] == ["c.1", "g.1", "l.1", "c.2", "g.2", "l.2"]
    weights = [layer.weight.numbers for layer in layers(network.graph)]
    first, second = weights[:3], weights[3:]
    assert all(a.shape == b.shape and (a != b).any() for a, b in zip(first, second, strict=True))
    once = [layer.weight.numbers for layer in layers(load_network(str(folder / "mix.yaml")).graph)]
    assert all((a == b).all() for a, b in zip(first, once, strict=True))


def test_a_program_that_no_memory_holds_is_refused_before_it_is_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, inputs = typed(load_network("fc-4096", values=False), load_recipe("int8"))
    on = load_machine("edge-ws")
    count = len(compile_graph(graph, inputs, on).instructions)
    monkeypatch.setattr("accelsim.compiler.schedule.memory_bytes", lambda: 500 * count)
    assert len(compile_graph(graph, inputs, on).instructions) == count
    monkeypatch.setattr("accelsim.compiler.schedule.memory_bytes", lambda: 500 * count - 1)
    with pytest.raises(
        CompileError,
        match=rf"^a program of {count} instructions for edge-ws must fit this computer's memory of {500 * count - 1} "
        rf"bytes, but compiling takes at least {500 * count}$",
    ):
        compile_graph(graph, inputs, on)


def test_weights_that_no_memory_holds_are_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sysconf", lambda _: 2**16)
    with pytest.raises(
        WorkloadError, match=r"tensors of llama-2-7b must fit this computer's memory of 4294967296 bytes"
    ):
        load_network("llama-2-7b")
    assert len(layers(load_network("llama-2-7b", values=False).graph)) == 7 * 32
