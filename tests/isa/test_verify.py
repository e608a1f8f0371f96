"""Verify: every kind of malformed program is rejected, by name; the order check agrees with brute force."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from float_networks import typed
from harness import inputs, machine, network, without_wait
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from numpy.typing import NDArray
from strategies import machines, networks

from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.recipe import load_recipe
from accelsim.config.arch import Machine
from accelsim.errors import ProgramError
from accelsim.isa import accesses
from accelsim.isa.opcodes import LOAD, MATMUL, MOMENTS, NONE, PRELOAD, REQUANTIZE, STORE, UNIT_OF, Moment, Unit
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.memory.region import overlap
from accelsim.workload.source import load_network

Code = NDArray[np.void]


@pytest.fixture(scope="module")
def program() -> Program:
    rng = np.random.default_rng(0)
    net = network(rng, [40, 20])
    return net.compile(inputs(rng, net, 10), machine())


def first(code: Code, opcode: int) -> int:
    return int(np.flatnonzero(code["opcode"] == opcode)[0])


def operand(opcode: int, column: int, value: int) -> Callable[[Code], None]:
    def change(code: Code) -> None:
        code["operands"][first(code, opcode), column] = value

    return change


def bad_opcode(code: Code) -> None:
    code["opcode"][3] = 77


def bad_layer(code: Code) -> None:
    code["layer"][3] = 9


def two_producers(code: Code) -> None:
    load, matmul = first(code, LOAD), first(code, MATMUL)
    code["signal"][load, Moment.START] = code["signal"][matmul, Moment.FREE] = 100


def two_moments(code: Code) -> None:
    load = first(code, LOAD)
    code["signal"][load, Moment.START] = code["signal"][load, Moment.FREE] = 100


def add_wait(code: Code, i: int, semaphore: int, value: int) -> None:
    slot = int(np.flatnonzero(code["wait"][i] == NONE)[0])
    code["wait"][i, slot] = semaphore
    code["value"][i, slot] = value


def never_raised(code: Code) -> None:
    add_wait(code, 5, 99, 1)


def raised_later(code: Code) -> None:
    code["signal"][len(code) - 1, Moment.END] = 100
    add_wait(code, first(code, LOAD), 100, 1)


def a_gap_among_the_waits(code: Code) -> None:
    code["wait"][0, 3] = 0


def a_value_without_a_wait(code: Code) -> None:
    code["value"][0, 3] = 7


def a_strange_signal(code: Code) -> None:
    code["signal"][0, 0] = -5


def a_wait_for_nothing(code: Code) -> None:
    code["value"][tuple(np.argwhere(code["wait"] != NONE)[0])] = 0


def raised_too_seldom(code: Code) -> None:
    waits = np.argwhere(code["wait"] != NONE)
    code["value"][tuple(waits[0])] = 10_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (bad_opcode, r"instruction 3: opcode must be below \d+, not 77"),
        (bad_layer, r"instruction 3: layer must be 0 to 0, not 9"),
        (operand(LOAD, 0, -1), r"instruction 0 \(load of fc0\): dram must be 0 to \d+, not -1"),
        (operand(LOAD, 4, 4), r"memory must be 1 to 3, not 4"),
        (operand(LOAD, 5, 10**9), r"must stay inside the 131072 bytes of activation, not reach byte \d+"),
        (operand(STORE, 0, 2**40), r"\(store of fc0\): must stay inside the \d+ bytes of dram"),
        (operand(REQUANTIZE, 12, 4), r"\(requantize of fc0\): result_bits must be 8 or 16 on edge-ws, not 4"),
        (operand(REQUANTIZE, 8, -129), r"qmin must be -128 to 255, a value of 8 bits, not -129"),
        (operand(PRELOAD, 2, 17), r"depth must be at most 16, the rows of edge-ws, not 17"),
        (operand(PRELOAD, 2, 15), r"\(matmul of fc0\): depth must be 15, that of the fold in the array, not 16"),
        (operand(MATMUL, 4, 17), r"columns must be at most 16, the columns of edge-ws, not 17"),
        (operand(MATMUL, 1, 3), r"rows must not overlap, but the stride in activation is 3 and a row has 16 bytes"),
        (operand(REQUANTIZE, 10, 12), r"rounding must be at most 11, the rounding schemes, less one"),
        (operand(MATMUL, 7, 1), r"must read bytes that were written before, but nothing wrote all of accumulator"),
        (two_producers, r"semaphore 100 must have one producing unit and moment, not load\.start and matrix\.free"),
        (two_moments, r"semaphore 100 must have one producing unit and moment, not load\.start and load\.free"),
        (never_raised, r"deadlock: instruction 5 .* waits for semaphore 99, which nobody raises"),
        (raised_later, r"deadlock: instruction 0 .* to raise semaphore 100 to 1, but instruction \d+ .* comes later"),
        (a_gap_among_the_waits, r"instruction 0 \(load of fc0\): waits must fill the first places, the rest be empty"),
        (a_value_without_a_wait, r"instruction 0 \(load of fc0\): waits must fill the first places"),
        (a_strange_signal, r"instruction 0 \(load of fc0\): semaphores must be 0 or more"),
        (a_wait_for_nothing, r"semaphores must be 0 or more, and a wait for a value of 1 or more"),
        (operand(PRELOAD, 11, 5), r"\(preload of fc0\): operands that the opcode lacks must be 0"),
        (raised_too_seldom, r"deadlock: instruction .* to 10000, but it is given \d+ times"),
    ],
)
def test_a_malformed_program_is_rejected_by_name(
    program: Program, change: Callable[[Code], None], message: str
) -> None:
    code = program.instructions.copy()
    change(code)
    with pytest.raises(ProgramError, match=message):
        verify(Program(program.header, code, program.image), machine())


@pytest.mark.parametrize(("operands", "bits"), [("int4", 4), ("int2", 2), ("binary", 1), ("int16", 16)])
def test_results_have_the_machines_bits_or_eight_if_those_are_fewer(operands: str, bits: int) -> None:
    on = machine(matrix={"operands": operands})
    made = compile_graph(*typed(load_network("digits-mlp"), load_recipe(operands)), on)
    results = made.instructions[made.instructions["opcode"] == REQUANTIZE]
    hidden, last = (set(results["operands"][results["layer"] == i, 12].tolist()) for i in (0, 2))
    assert (hidden, last) == ({bits}, {max(8, bits)})
    verify(made, on)
    code = made.instructions.copy()
    code["operands"][code["opcode"] == REQUANTIZE, 12] = 3
    with pytest.raises(ProgramError, match=rf"result_bits must be {bits}( or 8)?( or 16)? on edge-ws, not 3"):
        verify(Program(made.header, code, made.image), on)


def test_a_matmul_without_a_preload_is_rejected(program: Program) -> None:
    code = program.instructions[program.instructions["opcode"] != PRELOAD].copy()
    code["wait"] = NONE
    code["value"] = 0
    with pytest.raises(ProgramError, match="must follow a preload, but none comes before it"):
        verify(Program(program.header, code, program.image), machine())


def test_a_program_for_a_larger_machine_is_rejected(program: Program) -> None:
    with pytest.raises(ProgramError, match="depth must be at most 8, the rows of edge-ws, not 16"):
        verify(program, machine(matrix={"rows": 8}))


def test_more_products_than_a_layer_has_are_rejected(program: Program) -> None:
    layers = [program.header.layers[0].model_copy(update={"m": 9})]
    header = program.header.model_copy(update={"layers": layers})
    with pytest.raises(ProgramError, match="layer fc0: must form at most m k n = 7200 products, not 8000"):
        verify(Program(header, program.instructions, program.image), machine())


def test_dram_beyond_the_machine_is_refused_before_memory_is_taken(program: Program) -> None:
    header = program.header.model_copy(update={"dram_bytes": 2**50})
    with pytest.raises(ProgramError, match=r"dram_bytes must be at most 1073741824, the DRAM of edge-ws"):
        verify(Program(header, program.instructions, program.image), machine())


def test_no_more_than_a_few_faults_of_a_kind_are_listed(program: Program) -> None:
    code = program.instructions.copy()
    code["layer"] = 9
    with pytest.raises(ProgramError) as error:
        verify(Program(program.header, code, program.image), machine())
    assert len(error.value.faults) == 6
    assert str(error.value.faults[-1]) == f"and {len(code) - 5} more faults of this kind"


# brute force


def ordered_by_brute_force(program: Program, on: Machine) -> bool:
    """Reachability over the events start, free and end of every instruction, one pair of accesses at a time."""
    code = program.instructions
    n = len(code)
    edge = np.zeros((MOMENTS * n, MOMENTS * n), bool)
    unit = UNIT_OF[code["opcode"]]
    previous: dict[int, int] = {}
    signals: dict[int, list[tuple[int, int]]] = {}
    for i in range(n):
        edge[MOMENTS * i, MOMENTS * i + 1] = edge[MOMENTS * i + 1, MOMENTS * i + 2] = True
        if unit[i] in previous:
            before = previous[unit[i]]
            edge[MOMENTS * before + 1, MOMENTS * i] = True
            edge[MOMENTS * before + 2, MOMENTS * i + 2] = True
        previous[unit[i]] = i
        for semaphore, value in zip(code["wait"][i], code["value"][i], strict=True):
            if semaphore != NONE:
                producer, moment = signals[semaphore][value - 1]
                edge[MOMENTS * producer + moment, MOMENTS * i] = True
        for moment in range(MOMENTS):
            if code["signal"][i, moment] != NONE:
                signals.setdefault(code["signal"][i, moment], []).append((i, moment))
    reach = edge | np.eye(len(edge), dtype=bool)
    while True:
        further = (reach.astype(np.float32) @ reach.astype(np.float32)) > 0
        if (further == reach).all():
            break
        reach = further
    found = accesses.of_program(code, on)
    instruction, access = found.each()
    regions, memory = [found.region(a) for a in access], found.memory[access]
    write, last = found.write[access], found.until[access]
    for a in range(len(regions)):
        for b in range(a):
            i, j = instruction[a], instruction[b]
            conflict = memory[a] == memory[b] and (write[a] or write[b])
            early, late, until = (j, i, last[b]) if j < i else (i, j, last[a])
            # of the units, the array alone sees sums of its own that are still on their way
            by_queue = unit[i] == unit[j] and (unit[i] == Unit.MATRIX or write[a if late == i else b])
            ordered = i == j or by_queue or reach[MOMENTS * early + until, MOMENTS * late]
            if not ordered and conflict and overlap(regions[a], regions[b]):
                return False
    return True


@given(
    net=networks(max_layers=2, max_size=12),
    on=machines(min_side=3),
    batch=st.integers(1, 6),
    seed=st.integers(0, 2**32),
    removed=st.integers(0, 2),
    moved=st.integers(0, 2),
)
@settings(max_examples=36)
def test_the_order_check_agrees_with_brute_force(
    net: IntegerNetwork, on: Machine, batch: int, seed: int, removed: int, moved: int
) -> None:
    rng = np.random.default_rng(seed)
    program = net.compile(inputs(rng, net, batch), on)
    changed = Program(program.header, program.instructions[:150].copy(), program.image)
    for _ in range(removed):
        waits = np.argwhere(changed.instructions["wait"] != NONE)
        changed = without_wait(changed, *rng.choice(waits)) if len(waits) else changed
    code = changed.instructions.copy()
    waits = rng.permutation(np.argwhere(code["wait"] != NONE))
    for i, slot in waits[:moved]:  # wait for an earlier, or the same, signal
        code["value"][i, slot] = rng.integers(1, code["value"][i, slot] + 1)
    changed = Program(program.header, code, program.image)
    try:
        verify(changed, on)
        accepted = True
    except ProgramError as error:
        assert "nothing orders the two" in str(error)
        accepted = False
    assert accepted == ordered_by_brute_force(changed, on)
