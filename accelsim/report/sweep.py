"""The points of a sweep that no other one beats, as a table of text."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from accelsim.report.tables import Table


def best(frame: pd.DataFrame, axes: Sequence[str], figures: Sequence[str], for_each: Sequence[str] = ()) -> Table:
    """One row a point on the Pareto front, in the order of the first figure.

    Parameters
    ----------
    frame
        All points, with a column `pareto`.
    axes, figures
        Columns that say which point it is, and what it costs.
    for_each
        Columns whose values have a front each, one after the other.
    """
    columns = list(dict.fromkeys([*axes, *figures]))
    rows = frame.loc[frame["pareto"]]
    if figures and len(rows):
        rows = rows.sort_values(figures[0], kind="stable")
        if for_each:
            group = frame.groupby(list(for_each), sort=False, dropna=False).ngroup()
            rows = rows.loc[group[rows.index].sort_values(kind="stable").index]
    text = frozenset(i for i, name in enumerate(columns) if not _is_number(frame, name))
    shown = [tuple(_text(rows[name].iloc[i]) for name in columns) for i in range(len(rows))]
    return Table("", tuple(columns), shown, text)


def _is_number(frame: pd.DataFrame, name: str) -> bool:
    return name in frame and pd.api.types.is_numeric_dtype(frame[name])


def _text(value: object) -> str:
    """A value, numbers with six digits."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:,.6g}"
    return str(value)
