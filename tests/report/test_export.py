"""Tables as files: figures for programs, what is printed for papers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from command_line import accelsim, refused

from accelsim.report.export import latex, markdown, write
from accelsim.report.tables import Table

TABLE = Table("t", ("name", "cost %"), [("a_b|c", "1"), ("$x^2~\\", "22")])


def test_markdown_and_latex_say_what_is_in_the_table() -> None:
    assert markdown(TABLE).splitlines() == ["| name | cost % |", "| --- | ---: |", "| a_b\\|c | 1 |",
                                            "| $x^2~\\ | 22 |"]  # fmt: skip
    assert latex(TABLE).splitlines() == [
        r"\begin{tabular}{lr}", r"\hline", r"name & cost \% \\", r"\hline", r"a\_b|c & 1 \\",
        r"\$x\textasciicircum{}2\textasciitilde{}\textbackslash{} & 22 \\", r"\hline", r"\end{tabular}",
    ]  # fmt: skip


FRAME = pd.DataFrame({"name": ["a_b|c", "$x^2~"], "energy_pj.total": [1.5, None], "layers": [["a"], []]})


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".md", ".tex"])
def test_each_kind_of_file_holds_all_rows(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"t{ending}"
    write(file, FRAME, TABLE)
    if ending in {".csv", ".parquet"}:
        read = pd.read_csv(file) if ending == ".csv" else pd.read_parquet(file)
        assert list(read["name"]) == list(FRAME["name"])
        assert read["energy_pj.total"].tolist()[0] == 1.5
    else:
        assert file.read_text() == (markdown(TABLE) if ending == ".md" else latex(TABLE))


def test_commands_export_their_tables(tmp_path: Path) -> None:
    axes = "axes: [{field: arch.vector.lanes, values: [16]}]"
    (tmp_path / "s.yaml").write_text(f"kind: sweep\nname: s\ndescription: d\ntiming_only: true\n{axes}\n")
    for name, command in {
        "run.parquet": ("run", "--timing-only"),
        "compare.md": ("compare", "--recipes", "int8", "--timing-only"),
        "sensitivity.csv": ("sensitivity", "--values", "0.5"),
        "sweep.tex": ("sweep", "s.yaml", "--workers", "1"),
    }.items():
        done = accelsim(*command, "--export", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"wrote {name}" in done.stderr
    assert len(pd.read_parquet(tmp_path / "run.parquet")) == 3
    assert pd.read_parquet(tmp_path / "run.parquet")["energy_pj.total"].sum() > 0
    assert len(pd.read_csv(tmp_path / "sensitivity.csv")) == 3
    assert "| int8 | edge-ws | " in (tmp_path / "compare.md").read_text()
    assert r"energy\_pj.total" in (tmp_path / "sweep.tex").read_text()


def test_other_endings_are_refused_before_the_work() -> None:
    (line,) = refused("run", "--export", "a.xlsx")
    assert line == "a.xlsx: must end in .csv, .parquet, .md or .tex, not '.xlsx'"
