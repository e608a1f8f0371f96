"""The README shows real output."""

from __future__ import annotations

from pathlib import Path

import accelsim
from accelsim.report import tables

README = Path(__file__).parent.parent / "README.md"


def test_the_shown_run_is_what_a_run_prints() -> None:
    text = README.read_text()
    summary = accelsim.run().summary
    assert tables.headline(summary) in text
    for table in (tables.layers, tables.energy, tables.units):
        for row in table(summary).rows:
            assert any(line.split() == " ".join(row).split() for line in text.splitlines()), row
