"""Tables as files: figures for programs, what is printed for papers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from command_line import accelsim, refused

from accelsim.report.export import latex, markdown
from accelsim.report.tables import Table

TABLE = Table("t", ("name", "cost %"), [("a_b|c", "1"), ("$x^2~\\", "22")])


def test_markdown_and_latex_say_what_is_in_the_table() -> None:
    assert markdown(TABLE).splitlines() == ["| name | cost % |", "| --- | ---: |", "| a_b\\|c | 1 |",
                                            "| $x^2~\\ | 22 |"]  # fmt: skip
    assert latex(TABLE).splitlines() == [
        r"\begin{tabular}{lr}", r"\hline", r"name & cost \% \\", r"\hline", r"a\_b|c & 1 \\",
        r"\$x\textasciicircum{}2\textasciitilde{}\textbackslash{} & 22 \\", r"\hline", r"\end{tabular}",
    ]  # fmt: skip


@pytest.mark.parametrize("ending", ["csv", "parquet", "md", "tex"])
def test_commands_export_their_tables(ending: str, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "kind: sweep\nname: s\ndescription: d\ntiming_only: true\naxes: [{field: arch.vector.lanes, values: [16]}]\n"
    )
    commands = {
        "run": ("run", "--timing-only"),
        "compare": ("compare", "--recipes", "int8", "--timing-only"),
        "sensitivity": ("sensitivity", "--values", "0.5"),
        "sweep": ("sweep", "s.yaml", "--workers", "1"),
    }
    for name, command in commands.items():
        file = tmp_path / f"{name}.{ending}"
        done = accelsim(*command, "--export", file, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"wrote {file}" in done.stderr
        if ending in {"csv", "parquet"}:
            frame = pd.read_csv(file) if ending == "csv" else pd.read_parquet(file)
            assert len(frame) == (3 if name in {"run", "sensitivity"} else 1)
            assert frame.filter(regex="energy_pj.total|saved_bits").dtypes.map(pd.api.types.is_numeric_dtype).all()
        else:
            text = file.read_text()
            assert text.startswith("| " if ending == "md" else "\\begin{tabular}")


def test_other_endings_are_refused_before_the_work() -> None:
    (line,) = refused("run", "--export", "a.xlsx")
    assert line == "a.xlsx: must end in .csv, .parquet, .md or .tex, not '.xlsx'"
