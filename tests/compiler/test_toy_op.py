"""An operator from outside: what CONTRIBUTING.md says must be added is all that it takes to run it bit for bit."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from float_networks import quantized, recipe
from graph_runs import executed, small
from harness import machine
from strategies import DATAPATHS
from toy import exact as toy_exact
from toy import lower as toy_lower
from toy import op as toy_op
from toy import real as toy_real

from accelsim.compress import apply
from accelsim.compress.quantize.between import Between
from accelsim.errors import CompileError, ConfigError, DefectError
from accelsim.golden import real
from accelsim.graph.build import Builder
from accelsim.graph.element import Integer
from accelsim.graph.graph import Graph
from accelsim.graph.ops.add import Add
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.pool import GlobalAveragePool
from accelsim.graph.ops.window import Window
from accelsim.isa.opcodes import MAP
from accelsim.workload.network import Network

ROOT = Path(__file__).resolve().parents[2]
#: The new files by the folder that each would stand in.
FILES = {
    "accelsim/graph/ops": toy_op,
    "accelsim/golden/real": toy_real,
    "accelsim/golden/exact": toy_exact,
    "accelsim/compiler/lower": toy_lower,
}


class Steps(NamedTuple):
    """What CONTRIBUTING.md says: folders that get a file, and tables, with their modules, that get a line."""

    folders: list[str]
    tables: list[tuple[str, str]]


def documented() -> Steps:
    """Each step is a numbered line; `FOLDER/NAME.py` is a new file, `NAME` in `FILE` a table."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = re.split(r"^## ", text.split("## Add an operator, step by step")[1], maxsplit=1, flags=re.MULTILINE)[0]
    steps = " ".join(re.split(r"\s+", section))
    return Steps(
        re.findall(r"`(accelsim/[\w/]+)/square\.py`", steps),
        re.findall(r"`([\w.]+)` in `(accelsim/[\w/]+\.py)`", steps),
    )


def module(file: str) -> Any:
    return importlib.import_module(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))


def network() -> Network:
    """A convolution whose outputs are squared, and a layer behind their means."""
    rng = np.random.default_rng(0)
    build = Builder("squares")
    x = build.input("input", (2, 4, 4, 2))
    drawn = {
        name: build.constant(name, rng.normal(size=shape).astype(np.float32))
        for name, shape in (("conv.weight", (3, 3, 2, 5)), ("conv.bias", (5,)), ("fc.weight", (5, 3)))
    }
    products = build.node("conv", Conv(Window((3, 3), padding=(1, 1, 1, 1))), x, drawn["conv.weight"])
    last = build.chain("end", products, [(Add(), (drawn["conv.bias"],))])
    squared = build.node("square", toy_op.Square(), last)
    mean = build.node("mean", GlobalAveragePool(), squared)
    inputs = (rng.normal(size=(2, 4, 4, 2)).astype(np.float32),)
    return Network(
        build.graph((build.linear("fc", mean, drawn["fc.weight"], None, relu=False),)), inputs, None, inputs, {}
    )


def typed(net: Network, scheme: str) -> tuple[Graph, tuple[Any, ...]]:
    graph = apply.quantize(net, recipe({"scheme": scheme}))
    return graph, quantized(graph, net.inputs)


def add_line(patch: pytest.MonkeyPatch, name: str, file: str) -> None:
    """Add the operator's line to one table, whatever it is: a dictionary, what forms one, a tuple, or a match."""
    owner, home = module(file), module(file)
    for part in name.split(".")[:-1]:
        owner = getattr(owner, part)
    table = getattr(owner, name.rsplit(".", maxsplit=1)[-1])
    if isinstance(table, dict):
        meaning = toy_lower.lower if "lower" in file else toy_real.square
        patch.setitem(table, toy_op.Square, meaning)
    elif isinstance(table, tuple):
        for place in (home, apply):  # those that import it
            patch.setattr(place, name, (*table, toy_op.Square))
    elif owner is home:

        def meanings(fold_inputs: int) -> Mapping[Any, Any]:
            return {**table(fold_inputs), toy_op.Square: toy_exact.square}

        patch.setattr(owner, name, meanings)
    else:
        patch.setattr(owner, "integers", with_case(table))


def with_case(integers: Any) -> Any:
    """The method with one more case: squares at the square of the scale, brought to the result's."""

    def more(self: Between, given: list[Integer], result: Integer) -> None:
        if not isinstance(self.group.head.op, toy_op.Square):
            integers(self, given, result)
            return
        name = self.group.name
        self._put(name, self.group.head.op, self.group.head.inputs, f"{name}.products")
        self.requantize(f"{name}.products", given[0].scale ** 2, result, self.group.output.name)

    return more


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """The operator in all tables that CONTRIBUTING.md names."""
    steps = documented()
    for name, file in steps.tables:
        add_line(monkeypatch, name, file)
    return steps


def test_the_documented_steps_name_a_file_a_room_and_a_line_a_table() -> None:
    steps = documented()
    assert steps.folders == list(FILES)
    assert [name for name, _ in steps.tables] == ["MEANINGS", "meanings", "LOWER", "SCALED", "Between.integers"]
    assert all((ROOT / folder).is_dir() for folder in steps.folders)
    assert all((ROOT / file).is_file() for _, file in steps.tables)
    for name, file in steps.tables:  # each holds an operator that is there
        if name in {"MEANINGS", "LOWER", "SCALED"}:
            assert Mul in getattr(module(file), name)
    assert Mul in module("accelsim/golden/exact/__init__.py").meanings(1)


@pytest.mark.parametrize("kind", DATAPATHS)
def test_an_operator_that_stands_in_all_tables_runs_bit_for_bit(kind: str, added: Steps) -> None:
    assert (len(FILES), len(added.tables)) == (4, 5)
    program, _ = executed(*typed(network(), "int8"), small(kind))
    assert [info.name for info in program.header.layers] == ["conv", "square", "mean", "fc"]
    assert program.header.layers[1].nodes == ["square", "square.output.cast"]
    assert MAP in program.instructions["opcode"]


def test_the_operator_runs_on_floats_too(added: Steps) -> None:
    program, _ = executed(*typed(network(), "fp16"), machine(matrix={"operands": "fp16"}))
    assert program.header.layers[1].nodes == ["square", "square.cast"]


def test_real_numbers_are_squared(added: Steps) -> None:
    net = network()
    found = real.evaluate(net.graph, net.inputs)
    np.testing.assert_array_equal(found["square.output"], found["end.output"] ** 2)


@pytest.mark.parametrize(
    ("missing", "error", "match"),
    [
        ("MEANINGS", DefectError, "node square of squares: Square has no meaning"),
        ("meanings", DefectError, "node square of squares: Square has no meaning"),
        ("LOWER", CompileError, "node square: Square must be what edge-ws has a unit for"),
        ("SCALED", CompileError, "node square: a square must be brought to the scale, or the type, of a result once"),
        ("Between.integers", ConfigError, "node square: Square has no form in integers"),
    ],
)
def test_a_table_that_is_forgotten_says_so_by_the_operators_name(
    missing: str, error: type[Exception], match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, file in documented().tables:
        if name != missing:
            add_line(monkeypatch, name, file)
    with pytest.raises(error, match=match):
        executed(*typed(network(), "int8"), machine())
