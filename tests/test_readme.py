"""The README shows real output."""

from __future__ import annotations

from pathlib import Path

import accelsim
from accelsim.dse.compare import compare
from accelsim.report import comparison, tables

README = Path(__file__).parent.parent / "README.md"


def test_the_shown_run_is_what_a_run_prints() -> None:
    text = README.read_text()
    summary = accelsim.run().summary
    assert tables.headline(summary) in text
    for table in (tables.layers, tables.energy, tables.units):
        for row in table(summary).rows:
            assert any(line.split() == " ".join(row).split() for line in text.splitlines()), row


def test_the_shown_comparison_is_what_compare_prints() -> None:
    lines = {" ".join(line.split()) for line in README.read_text().splitlines()}
    shown = comparison.schemes(compare())
    assert " ".join(shown.columns) in lines
    for row in shown.rows:
        assert " ".join(" ".join(row).split()) in lines, row
