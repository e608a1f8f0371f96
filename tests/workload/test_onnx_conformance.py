"""ONNX's own tests of its operators: each gives the right numbers, or is refused with the operator's name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import onnx
import onnx_cases
import onnx_operators
import pytest

from accelsim.workload.importers.onnx.definitions import DEFINED
from accelsim.workload.importers.onnx.table import OPERATORS, REFUSED

DOCUMENT = Path(__file__).parents[2] / "docs" / "operators.md"


def test_no_test_has_a_wrong_outcome_and_many_pass() -> None:
    found = onnx_cases.outcomes()
    assert [f"{outcome.name}: {outcome.text}" for outcome in found.values() if outcome.kind == "wrong"] == []
    kinds = Counter(outcome.kind for outcome in found.values())
    assert kinds["passed"] >= 1200, kinds
    assert kinds["rounded"] <= 10, kinds


def test_what_is_refused_names_its_operator_in_one_line() -> None:
    for outcome in onnx_cases.outcomes().values():
        if outcome.kind == "refused":
            assert "\n" not in outcome.text
            names = {name.rpartition(".")[2] for name in outcome.operators}
            assert any(f"({name})" in outcome.text for name in names), outcome.text


def test_each_operator_with_a_rule_passes_a_test_of_its_own() -> None:
    found = onnx_cases.outcomes().values()
    passed = {name for outcome in found if outcome.kind == "passed" for name in outcome.operators}
    of_onnx = {name for name in OPERATORS if "." not in name}  # of other domains ONNX has no tests
    assert sorted({*of_onnx, *DEFINED} - passed) == ["LinearAttention"]  # which has a Scan in it
    assert not {*OPERATORS} & {*DEFINED}
    assert not {*OPERATORS} & {*REFUSED}


def test_the_table_of_operators_is_what_the_tests_show() -> None:
    text = DOCUMENT.read_text()
    if f"onnx {onnx.__version__}" not in text:
        pytest.skip(f"docs/operators.md is of another version than onnx {onnx.__version__}")
    assert text == onnx_operators.document(), "renew it: python tests/onnx_operators.py"
