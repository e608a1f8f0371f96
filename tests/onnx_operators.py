"""The table of ONNX's operators: `python tests/onnx_operators.py` writes docs/operators.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import onnx
import onnx_cases
from onnx_cases import Outcome

from accelsim.graph.ops.add import Add
from accelsim.graph.ops.cast import Cast
from accelsim.graph.ops.concat import Concat
from accelsim.graph.ops.conv import Conv
from accelsim.graph.ops.copy import Copy
from accelsim.graph.ops.function import Function
from accelsim.graph.ops.look_up import LookUp
from accelsim.graph.ops.matmul import MatMul
from accelsim.graph.ops.multiply import Mul
from accelsim.graph.ops.norm import BatchNorm, LayerNorm, RmsNorm
from accelsim.graph.ops.op import Op
from accelsim.graph.ops.pad import Pad
from accelsim.graph.ops.pool import AveragePool, GlobalAveragePool, MaxPool
from accelsim.graph.ops.relu import Relu
from accelsim.graph.ops.reshape import Reshape
from accelsim.graph.ops.scaled_add import ScaledAdd
from accelsim.graph.ops.slice import Slice
from accelsim.graph.ops.softmax import Softmax
from accelsim.graph.ops.transpose import Transpose
from accelsim.workload.importers.onnx.definitions import DEFINED
from accelsim.workload.importers.onnx.table import NO_MEANING, OPERATORS, REFUSED

DOCUMENT = Path(__file__).parent.parent / "docs" / "operators.md"
#: Operators of a graph that machines' units execute, or that only say where numbers lie.
ON_MACHINES: tuple[type[Op], ...] = (
    MatMul, Conv, Add, Mul, Relu, MaxPool, AveragePool, GlobalAveragePool, BatchNorm, Function, Softmax, LayerNorm,
    RmsNorm, Concat, Copy, Reshape, Slice, Transpose, Pad, Cast, LookUp, ScaledAdd,
)  # fmt: skip
HEAD = """# Operators of ONNX

Made by `python tests/onnx_operators.py` from onnx {version}, whose {all} tests of operators are run through the import
and the interpreter of real numbers: {passed} pass, {refused} are refused with the operator's name, {rounded} differ by
what their own bfloat16 rounds, and none is wrong. Of those that pass, {known} got operands written into the model that
must be known before it runs: shapes, axes, places.

- **machine**: becomes operators that machines' units execute where a recipe gives them integers (functions of single
  numbers as tables) or floats (of those functions the exponential, sigmoid, tanh and GELU), or that only say where
  numbers lie;
- **host**: some of what it becomes no unit has: the host computes it, in float64 rounded once, on machines that have
  one that computes; others refuse it by name;
- **folded**: known before the model runs, and no part of the graph;
- **refused**: an import ends with one line that names the node and the operator.

*Sets* are the operator sets, up to {newest}, whose meaning a rule has. *Passed* counts the tests of the operator alone,
and of its definition by others after the plus sign. Tensors are float32, float16 and
bfloat16 (real numbers in a graph), float64, integers of 8 to 64 bits and bool (as they are); a tensor of another type
is refused where it is read.
"""


class Row(NamedTuple):
    """A line of the table."""

    name: str
    sets: str
    becomes: str
    where: str
    alone: str
    defined: str


def document() -> str:
    """The whole text."""
    found = list(onnx_cases.outcomes().values())
    kinds = Counter(outcome.kind for outcome in found)
    head = HEAD.format(
        version=onnx.__version__,
        all=len(found),
        passed=kinds["passed"],
        refused=kinds["refused"],
        rounded=kinds["rounded"],
        known=sum(outcome.known for outcome in found if outcome.kind == "passed"),
        newest=onnx.defs.onnx_opset_version(),
    )
    rows = [_row(name, found) for name in sorted(_names())]
    lines = [f"| {row.name} | {row.sets} | {row.becomes} | {row.where} | {_counts(row)} |" for row in rows]
    table = ["| operator | sets | becomes | where | passed |", "|---|---|---|---|---|", *lines]
    return head + "\n" + "\n".join(table) + "\n"


def _names() -> set[str]:
    """All operators that ONNX has, by domain and name, and those that a rule has."""
    schemas = (schema for schema in onnx.defs.get_all_schemas() if not schema.deprecated)
    return {*OPERATORS, *DEFINED, *(schema.name if not schema.domain else f"{schema.domain}.{schema.name}"
            for schema in schemas)}  # fmt: skip


def _row(name: str, found: Iterable[Outcome]) -> Row:
    alone = [outcome for outcome in found if outcome.operators == {name} and "_expanded" not in outcome.name]
    names = {outcome.name for outcome in alone}
    defined = [outcome for outcome in found if outcome.name.partition("_expanded")[0] in names - {outcome.name}]
    defined = [outcome for outcome in defined if "_expanded" in outcome.name]
    sets, becomes, where = "", "", ""
    if name in OPERATORS or name in DEFINED or name == "If":
        graphs = [outcome.graph for outcome in alone if outcome.kind == "passed" and outcome.graph is not None]
        ops = {type(node.op) for graph in graphs for node in graph.nodes if not isinstance(node.op, Copy)}
        becomes = ", ".join(sorted(op.__name__ for op in ops))
        where = (
            "of another domain, without tests of ONNX's"
            if "." in name and not alone
            else "folded"
            if not ops
            else "machine"
            if ops <= {*ON_MACHINES}
            else "host"
        )
        sets = f"{OPERATORS[name].since}+" if name in OPERATORS else "as defined"
    else:
        where = f"refused: {REFUSED.get(name, NO_MEANING)}"
    return Row(name, sets, becomes, where, _passed(alone), _passed(defined))


def _passed(found: list[Outcome]) -> str:
    return f"{sum(outcome.kind != 'refused' for outcome in found)}/{len(found)}" if found else ""


def _counts(row: Row) -> str:
    return f"{row.alone} + {row.defined}" if row.defined else row.alone


if __name__ == "__main__":
    DOCUMENT.write_text(document())
