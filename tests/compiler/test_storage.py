"""Weights stored encoded: expanded on chip to the same bytes, loaded as what they take, refused where they can't be."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from harness import assert_accounted, assert_bit_exact, inputs, machine, network, run, without_wait
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

from accelsim.config.arch import Decode, Machine
from accelsim.config.load import load_machine, load_technology
from accelsim.config.tech import Component, Operation
from accelsim.cost import energy
from accelsim.errors import CompileError, ProgramError
from accelsim.formats.storage import FORMATS, MATRICES, Storage
from accelsim.isa.opcodes import DECODE, LOAD, NONE, Memory, Unit
from accelsim.isa.verify import verify
from accelsim.sim import reference

HAN = load_technology("han2015-45nm")
STORAGES = [
    Storage("packed", 8),
    Storage("relative", 3),
    Storage("relative", 8),
    Storage("bitmask", 0),
    Storage("codebook", 8),
    Storage("huffman", 0),
    Storage("csr", 0),
    Storage("csc", 0),
]


def stored(net: IntegerNetwork, *storages: Storage | None) -> IntegerNetwork:
    """The network with its layers' weights in some formats, in turn."""
    layers = (dataclasses.replace(layer, storage=storages[i % len(storages)]) for i, layer in enumerate(net.layers))
    return dataclasses.replace(net, layers=tuple(layers))


def with_decoder(on: Machine, **changes: Any) -> Machine:
    """The machine with room for encoded bytes and a decode unit."""
    unit = {"symbols_per_cycle": 4, "outputs_per_cycle": 8, "huffman_decoders": 3, "latency_cycles": 2, **changes}
    row = on.weight.banks * on.weight.width_bytes
    weight = on.weight.model_copy(update={"capacity_bytes": -(-(4 * on.weight.capacity_bytes + 4096) // row) * row})
    return on.model_copy(update={"decode": Decode(**unit), "weight": weight})


@given(
    net=networks(max_size=24),
    on=machines(min_side=2),
    batch=st.integers(1, 10),
    storages=st.lists(st.sampled_from([None, *STORAGES]), min_size=1, max_size=3),
    decoders=st.integers(1, 5),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=48)
def test_execution_equals_the_integer_network(
    net: IntegerNetwork, on: Machine, batch: int, storages: list[Storage | None], decoders: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    net, on = stored(net, *storages), with_decoder(on, huffman_decoders=decoders)
    x = inputs(rng, net, batch)
    program, execution = run(net, x, on)
    assert_bit_exact(net, x, program, execution)
    assert_accounted(execution)
    waits = np.argwhere(program.instructions["wait"] != NONE)
    for instruction, slot in rng.permutation(waits)[:5]:
        with pytest.raises(ProgramError, match="it must wait for"):
            verify(without_wait(program, instruction, slot), on)


@pytest.mark.parametrize("storage", STORAGES, ids=lambda s: f"{s.format}{s.bits}")
@pytest.mark.parametrize("weight_bytes", [65536, 1536])
def test_loads_move_what_the_encoder_writes_and_no_more(storage: Storage, weight_bytes: int) -> None:
    rng = np.random.default_rng(0)
    net = network(rng, [64, 48], density=0.2)
    on = machine(weight={"capacity_bytes": weight_bytes}, decode={"huffman_decoders": 3})
    x = inputs(rng, net, 16)
    program, execution = run(stored(net, storage), x, on)
    (info,) = program.header.layers
    weight = net.layers[0].weight
    codec = storage.codec(3)
    blocks = [
        weight[low : low + info.k_tile, n : n + 16] for n in range(0, 48, 16) for low in range(0, 64, info.k_tile)
    ]
    shapes = [block.shape if storage.format in MATRICES else (1, -1) for block in blocks]
    sizes = [len(codec.encode(block.reshape(shape)).to_bytes()) for block, shape in zip(blocks, shapes, strict=True)]
    loads = program.instructions[program.instructions["opcode"] == LOAD]["operands"]
    to_weights = loads[loads[:, 4] == Memory.WEIGHT]
    assert (info.k_tile < 64) == (weight_bytes == 1536)
    assert sorted(to_weights[:, 3]) == sorted([*sizes, 16 * 9, 16 * 9, 16 * 9])
    assert info.stored_bits == 8 * sum(sizes) + 48 * 8 * 5
    reads = sum(n for e, n in execution.counters[0].items() if e.operation == Operation.DRAM_READ)
    # 16 bursts of inputs; each weight tile begins a burst, and so do the 144 bytes of constants of each column
    assert reads == 16 + sum(-(-size // 64) for size in sizes) + 3 * 3
    assert energy.breakdown(energy.price(execution.counters[0], energy.Prices(HAN, on))).decode > 0


def test_sparse_weights_take_fewer_dram_bytes_and_the_same_arithmetic() -> None:
    rng = np.random.default_rng(1)
    net = network(rng, [128, 96, 32], density=0.15)
    on = with_decoder(machine(), symbols_per_cycle=16, outputs_per_cycle=16)
    x = inputs(rng, net, 8)
    _, dense = run(net, x, on)
    for storage in (Storage("bitmask", 0), Storage("relative", 4), Storage("huffman", 0)):
        _, execution = run(stored(net, storage), x, on)
        for part, other in zip(execution.counters, dense.counters, strict=True):
            assert energy.moved(part).dram_read < 0.7 * energy.moved(other).dram_read
            mac = {e: n for e, n in part.items() if e.component == Component.MAC}
            assert mac == {e: n for e, n in other.items() if e.component == Component.MAC}


def test_a_slow_decoder_is_waited_for() -> None:
    rng = np.random.default_rng(2)
    net = network(rng, [64, 64], density=0.5)
    x = inputs(rng, net, 4)
    cycles = {}
    for rate in (1, 64):
        on = with_decoder(machine(), symbols_per_cycle=rate, outputs_per_cycle=rate)
        _, execution = run(stored(net, Storage("bitmask", 0)), x, on)
        preload = execution.attribution[:, Unit.PRELOAD].sum(axis=0)
        cycles[rate] = execution.cycles, int(preload[execution.states.index("wait_decode")])
    assert cycles[1][0] > 64 * 64 > cycles[64][0]
    assert cycles[1][1] > 0.8 * 64 * 64


def test_a_machine_without_a_decode_unit_refuses() -> None:
    rng = np.random.default_rng(0)
    net = stored(network(rng, [8, 8]), Storage("huffman", 0))
    with pytest.raises(CompileError, match="layer fc0: weights stored as huffman must be expanded by a decode unit"):
        net.compile(inputs(rng, net, 1), machine(decode=None))


def test_values_that_a_format_cannot_hold_are_refused() -> None:
    rng = np.random.default_rng(0)
    net = network(rng, [32, 32])
    for storage, message in (
        (Storage("packed", 4), r"the format packed: values of int4 must be -8 to 7, not -?\d+"),
        (Storage("codebook", 2), r"the format codebook: the tensor must have at most 4 different values, not \d+"),
    ):
        with pytest.raises(CompileError, match=f"layer fc0: weights, as edge-ws packs them, must fit {message}"):
            stored(net, storage).compile(inputs(rng, net, 1), machine())


@pytest.mark.parametrize(
    ("storage", "values"), [(Storage("packed", 4), [-8, 0, 3, 7]), (Storage("codebook", 2), [-128, 5, 60, 127])]
)
def test_values_that_fit_a_narrow_format_stand_in_its_bits(storage: Storage, values: list[int]) -> None:
    rng = np.random.default_rng(0)
    net = network(rng, [48, 32])
    (layer,) = net.layers
    narrow = dataclasses.replace(layer, weight=rng.choice(np.array(values, np.int8), (48, 32)), storage=storage)
    net = dataclasses.replace(net, layers=(narrow,))
    x = inputs(rng, net, 5)
    program, execution = run(net, x, machine())
    assert_bit_exact(net, x, program, execution)
    (info,) = program.header.layers
    table = 2 * 2**storage.bits if storage.format == "codebook" else 0  # one for each of the two blocks of columns
    assert info.stored_bits == storage.bits * 48 * 32 + 8 * table + 40 * 32


@pytest.mark.parametrize("kind", ["output_stationary", "outer_product", "tensor_core", "sparse_lanes"])
def test_bytes_beside_the_weights_are_encoded_with_them(kind: str) -> None:
    rng = np.random.default_rng(3)
    net = network(rng, [40, 24], density=0.3)
    on = load_machine({"outer_product": "edge-outer", "tensor_core": "edge-tensorcore"}.get(kind, "edge-eie"))
    if kind == "output_stationary":
        on = machine(matrix={"kind": kind, "rows": 8, "columns": 8})
    assert on.matrix.kind == kind
    x = inputs(rng, net, 6)
    for storage in (Storage("huffman", 0), Storage("relative", 5)):
        program, execution = run(stored(net, storage), x, on)
        assert_bit_exact(net, x, program, execution)
        assert (program.instructions["opcode"] == DECODE).any()


def test_bytes_that_no_encoder_writes_are_refused_with_the_instruction() -> None:
    rng = np.random.default_rng(0)
    net = stored(network(rng, [16, 16], density=0.5), Storage("bitmask", 0))
    program = net.compile(inputs(rng, net, 2), machine())
    (decode,) = np.flatnonzero(program.instructions["opcode"] == DECODE)
    (load,) = np.flatnonzero(
        (program.instructions["opcode"] == LOAD)
        & (program.instructions["operands"][:, 5] == program.instructions["operands"][decode, 0])
        & (program.instructions["operands"][:, 4] == Memory.WEIGHT)
    )
    image = program.image.copy()
    image[program.instructions["operands"][load, 0]] ^= 1  # one value more or less than the mask says
    with pytest.raises(ProgramError) as error:
        reference.execute(dataclasses.replace(program, image=image), machine(), file="p.acs")
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"p.acs: instruction {decode} (decode of fc0): stored weights: a mask with ")


def test_verify_refuses_formats_that_are_none_and_machines_that_have_no_unit() -> None:
    rng = np.random.default_rng(0)
    net = stored(network(rng, [16, 16]), Storage("relative", 4))
    program = net.compile(inputs(rng, net, 2), machine())
    (decode,) = np.flatnonzero(program.instructions["opcode"] == DECODE)
    for column, value, message in (
        (4, len(FORMATS), f"format must be below {len(FORMATS)}, not {len(FORMATS)}"),
        (4, FORMATS.index("bitmask"), "bits must be 0 for bitmask, not 4"),
        (5, 0, "index_bits must lie"),
    ):
        code = program.instructions.copy()
        code["operands"][decode, column] = value
        with pytest.raises(ProgramError, match=message):
            verify(dataclasses.replace(program, instructions=code), machine())
    with pytest.raises(ProgramError, match="must be an instruction of a decode unit, which edge-ws lacks"):
        verify(program, machine(decode=None))
