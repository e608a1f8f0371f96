"""What Python and notebooks show of results."""

from __future__ import annotations

import re

import accelsim
from accelsim.dse.sensitivity import scan


def test_results_have_a_short_repr_and_a_table_for_notebooks() -> None:
    result = accelsim.run(timing_only=True)
    compared = accelsim.compare(recipes=("int8", "int4"), timing_only=True)
    for shown, name in ((result, "RunResult"), (result.summary, "Summary"), (compared, "Comparison"),
                        (scan(values=(0.5,)), "Sensitivity")):  # fmt: skip
        assert re.fullmatch(rf"{name}\(.+\)", repr(shown))
        assert len(repr(shown)) < 200
        assert str(shown) == repr(shown)
        html = shown._repr_html_()
        assert html.count("<tr>") == 1 + len(shown.shown[1])
    assert "digits-mlp as int8 on edge-ws: 80,402 cycles" in repr(result)


def test_names_are_text_in_a_notebook() -> None:
    summary = accelsim.run(timing_only=True).summary.model_copy(update={"workload": "<script>"})
    assert "<script>" not in summary._repr_html_()
    assert "&lt;script&gt;" in summary._repr_html_()
