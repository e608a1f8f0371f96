"""Text form: it reads back what it prints, and says where a line is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from harness import inputs, machine, network
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

from accelsim.config.arch import Machine
from accelsim.errors import ProgramError
from accelsim.isa.assembly import parse, print_program
from accelsim.isa.program import Program


@given(net=networks(max_size=20), on=machines(), batch=st.integers(1, 8), seed=st.integers(0, 2**32))
@settings(max_examples=30)
def test_parse_reads_what_print_prints(net: IntegerNetwork, on: Machine, batch: int, seed: int) -> None:
    program = net.compile(inputs(np.random.default_rng(seed), net, batch), on)
    again = parse(print_program(program))
    assert again.header == program.header
    assert (again.instructions == program.instructions).all()
    assert (again.image == program.image).all()
    assert again.digest == program.digest


@pytest.fixture(scope="module")
def program() -> Program:
    rng = np.random.default_rng(0)
    net = network(rng, [20, 20])
    return net.compile(inputs(rng, net, 3), machine())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("matmul ", "matmull ", r"p\.asm:\d+:1: must be a known mnemonic, not 'matmull'; did you mean 'matmul'"),
        (" depth=16", " dept=16", r"p\.asm:\d+:\d+: must be a known operand, not 'dept'; did you mean 'depth'\?"),
        (" depth=16", "", r"preload must have the operands depth, which are missing"),
        (" depth=16", " depth=16 depth=16", r"depth must be given once, not twice"),
        (" depth=16", " depth=abc", r"depth must be an integer, not 'abc'"),
        ("memory=weight", "memory=wait", r"must be a known memory, not 'wait'; did you mean 'weight'\?"),
        ("wait=s", "wait=x", r"wait must look like s3>=5, not 'x"),
        ("signal=end:s", "signal=stop:s", r"signal must look like end:s3, not 'stop:s"),
        ("signal=end:s", "signal=end:s999", r"semaphore must be 0 to 127, not 999\d*"),
        (".image ", ".image 1", r"\.image must have 1\d+ bytes in \.bytes lines, not \d+"),
        (".bytes ", ".bytes ?", r"p\.asm:3:1: \.bytes must be base64"),
        ('"arch":', '"arc":', r"p\.asm:1:1: \.header\.arch: must be given, but is missing"),
        (".header", ";", r"p\.asm: must have a valid \.header line"),
    ],
)
def test_a_wrong_line_is_named(program: Program, old: str, new: str, message: str) -> None:
    text = print_program(program)
    assert old in text
    with pytest.raises(ProgramError, match=message):
        parse(text.replace(old, new, 1), "p.asm")


def test_a_storage_format_is_written_by_name_and_read_by_either(program: Program) -> None:
    head = print_program(program).partition("\n")[0] + "\n.image 0\n"
    line = "decode layer=0 address=0 bytes=64 result=1024 values=128 format={} bits=0 rows=1 group=0 value_bits=0\n"
    (byname,), (bynumber,) = (parse(head + line.format(value)).instructions for value in ("bitmask", "2"))
    assert byname == bynumber
    assert " format=bitmask " in print_program(parse(head + line.format("2")))
    unknown = parse(head + line.format("77"))  # verify refuses it; until then it reads back as it was
    assert parse(print_program(unknown)).digest == unknown.digest
    with pytest.raises(ProgramError, match=r"must be a known format, not 'bitmsk'; did you mean 'bitmask'\?"):
        parse(head + line.format("bitmsk"))


def test_all_wrong_lines_are_named_at_once(program: Program) -> None:
    with pytest.raises(ProgramError) as error:
        parse(print_program(program).replace("preload ", "prelode "), "p.asm")
    assert len(error.value.faults) == 4
