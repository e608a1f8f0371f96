"""The fast engine against the reference engine, instruction by instruction, and where the two may differ."""

import os

import engines
import numpy as np
import pytest
from float_networks import typed
from hand_programs import load, program, run, store, times
from harness import examples, inputs, machine
from hypothesis import event, given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

from accelsim import api
from accelsim.compiler.pipeline import compile_graph
from accelsim.compress.recipe import load_recipe
from accelsim.config import shipped
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.errors import DeadlockError
from accelsim.isa import accesses
from accelsim.sim import fast
from accelsim.workload.source import load_network


@given(net=networks(max_size=40), on=machines(min_side=2), batch=st.integers(1, 12), seed=st.integers(0, 2**32))
@settings(max_examples=36)
def test_both_engines_give_the_same_execution(net: IntegerNetwork, on: Machine, batch: int, seed: int) -> None:
    event(f"{on.matrix.kind}, {on.dram.kind}{', l2' if on.l2 else ''}")
    engines.execute(net.compile(inputs(np.random.default_rng(seed), net, batch), on), on)


@pytest.mark.slow
@given(net=networks(max_layers=4, max_size=160), on=machines(), batch=st.integers(1, 60), seed=st.integers(0, 2**32))
@examples(15, campaign=40)
def test_both_engines_give_the_same_execution_of_larger_networks(
    net: IntegerNetwork, on: Machine, batch: int, seed: int
) -> None:
    engines.execute(net.compile(inputs(np.random.default_rng(seed), net, batch), on), on)


@pytest.mark.parametrize("arch", shipped.names("arch"))
def test_both_engines_give_the_same_execution_of_the_trained_network(arch: str) -> None:
    engines.execute(api.compile_workload("digits-mlp", arch), load_machine(arch))


#: What takes the reference engine less than a minute; all of it takes hours.
QUICK = [
    (workload, "scale-sim-128x128-ws")
    for workload in ("alexnet-layers", "resnet-18-layers", "resnet-50-layers", "llama-2-7b-block")
]
#: Without llama-2-7b, which is 32 times its block, and tiny-llama, whose recipes are not the machines'.
PAIRS = [
    (w, arch)
    for w in sorted({*shipped.names("workload")} - {"digits-mlp", "llama-2-7b", "tiny-llama"})
    for arch in shipped.names("arch")
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workload", "arch"),
    PAIRS if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else [*QUICK, ("fc-4096", "tpu-v1")],
)
def test_both_engines_give_the_same_execution_of_each_shipped_workload(workload: str, arch: str) -> None:
    on = load_machine(arch)
    network = load_network(workload, values=on.matrix.skips_zeros)
    engines.execute(compile_graph(*typed(network, load_recipe(on.default_recipe)), on), on)


def test_a_deadlock_says_who_waits_for_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    code = program(load(1, 0, "wait=s1>=1 signal=end:s0"), store(1, 0, "wait=s0>=1 signal=end:s1"))
    monkeypatch.setattr(fast, "verify", lambda given, on, _: accesses.of_program(given.instructions, on))
    with pytest.raises(DeadlockError, match=r"load waits for store; store waits for load"):
        fast.execute(code, machine())


def test_tiles_of_one_bank_share_its_port_and_those_of_two_do_not() -> None:
    # both products are alike but for the bank of their weights: instructions of one timing must agree in that too
    on = machine(
        matrix=load_machine("edge-tensorcore").matrix.model_dump(), weight="activation", activation={"width_bits": 8}
    )
    bank = on.activation.bank_bytes
    product = "multiply layer=0 address=0 stride=16 rows=16 depth=16 weights={} weights_stride=16 columns=16"
    sums = "sums=0 sums_stride=64 accumulate=0 signed=1 packed=0"
    code = program(
        load(4, 0),
        load(4, 256, memory="weight"),
        load(4, bank, "signal=end:s0", memory="weight"),
        f"{product.format(256)} {sums} wait=s0>=1",
        f"{product.format(bank)} {sums}",
    )
    _, _, _, together, apart = times(run(code, on))
    assert together[2] - together[1] == 2 * (apart[2] - apart[1])
