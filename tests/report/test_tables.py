"""Tables say what the summary says."""

from __future__ import annotations

import re

import accelsim
from accelsim.report import tables


def test_the_layer_table_says_what_could_be_and_what_was_skipped() -> None:
    summary = accelsim.run("digits-mlp", "edge-outer").summary
    table = tables.layers(summary)
    skippable, skipped = (table.columns.index(name) for name in ("skippable %", "skipped %"))
    for row, figures in zip(table.rows, (*summary.layers, summary), strict=True):
        assert len(row) == len(table.columns)
        assert row[skippable] == f"{100 * figures.macs.skippable / figures.macs.dense:.1f}"
        assert row[skipped] == f"{100 * figures.macs.skipped / figures.macs.dense:.1f}"
    assert float(table.rows[-1][skippable]) > float(table.rows[-1][skipped]) > 0


def test_what_has_no_products_has_no_balance_of_them() -> None:
    summary = accelsim.run("digits-cnn", timing_only=True).summary
    table = tables.layers(summary)
    missing = [table.columns.index(name) for name in ("skipped %", "ops/B", "balance")]
    for row, layer in zip(table.rows, summary.layers, strict=False):
        if not layer.macs.dense:
            assert [row[i] for i in missing] == ["-"] * 3


def test_numbers_are_aligned_right_and_names_left() -> None:
    summary = accelsim.run().summary
    for table in (tables.layers(summary), tables.energy(summary), tables.units(summary)):
        for i in range(len(table.columns)):
            numeric = all(re.fullmatch(r"-|[\d,.]+( [afpnumkMGTPE]?(J|B))?", row[i]) for row in table.rows)
            assert numeric == (i not in table.text_columns), table.columns[i]
