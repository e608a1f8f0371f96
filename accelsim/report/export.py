"""Tables as files: rows with all figures for programs (.csv, .parquet), what is printed for papers (.md, .tex)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from accelsim.errors import AccelSimError, Fault
from accelsim.files import write_all
from accelsim.report.tables import Table

#: How files end that a table can be written to.
ENDINGS = (".csv", ".parquet", ".md", ".tex")
_TEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        **{c: "\\" + c for c in "&%$#_{}"}}  # fmt: skip


def require_ending(file: Path) -> None:
    """Refuse a file of no known kind.

    Raises
    ------
    AccelSimError
        If it ends in another way.
    """
    if file.suffix not in ENDINGS:
        given = repr(file.suffix) if file.suffix else "in nothing"
        raise AccelSimError(Fault(f"must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}, not {given}", str(file)))


def write(file: Path, frame: pd.DataFrame, table: Table) -> None:
    """Write a table, whole or not at all.

    Parameters
    ----------
    frame
        Its figures, plain numbers.
    table
        What is printed of it.

    Raises
    ------
    AccelSimError
        If the file ends in another way, or can't be written.
    """
    require_ending(file)
    writers = {
        ".csv": lambda path: frame.to_csv(path, index=False),
        ".parquet": lambda path: frame.to_parquet(path, index=False),
        ".md": lambda path: path.write_text(markdown(table), encoding="utf-8"),
        ".tex": lambda path: path.write_text(latex(table), encoding="utf-8"),
    }
    write_all(file.parent, {file.name: writers[file.suffix]})


def markdown(table: Table) -> str:
    """A table for Markdown; bars in names are escaped."""

    def line(parts: tuple[str, ...]) -> str:
        return f"| {' | '.join(part.replace('|', chr(92) + '|') for part in parts)} |"

    aligned = tuple("---" if i in table.text_columns else "---:" for i in range(len(table.columns)))
    return "\n".join([line(table.columns), line(aligned), *map(line, table.rows)]) + "\n"


def latex(table: Table) -> str:
    """A tabular for LaTeX, which needs no package."""

    def line(parts: tuple[str, ...]) -> str:
        return " & ".join("".join(_TEX.get(c, c) for c in part) for part in parts) + r" \\"

    aligned = "".join("l" if i in table.text_columns else "r" for i in range(len(table.columns)))
    parts = [rf"\begin{{tabular}}{{{aligned}}}", r"\hline", line(table.columns), r"\hline", *map(line, table.rows),
             r"\hline", r"\end{tabular}"]  # fmt: skip
    return "\n".join(parts) + "\n"
