"""The points of a sweep that no other one beats, as a table of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from accelsim.report.tables import Table

#: Figures by which single points are told beside a sweep's own objectives.
RATES = ("energy_delay_js", "power_w")
#: Figures of a whole batch.
OF_BATCH = frozenset({"energy_pj.total", "energy_delay_js", "seconds", "cycles"})


def least(frame: pd.DataFrame, axes: Sequence[str], goals: Mapping[str, str], for_each: Sequence[str] = ()) -> Table:
    """The point that is best in each figure alone: of the objectives, and of energy-delay and power anyway.

    Parameters
    ----------
    goals
        `minimise` or `maximise` of each objective.
    for_each
        Columns whose values have a best point each.
    """
    rows: list[tuple[str, ...]] = []
    for name in dict.fromkeys([*goals, *RATES]):
        if not _is_number(frame, name):
            continue
        for group in _groups(frame.loc[frame[name].notna() & frame["error"].isna()], for_each):
            figures = group[name].to_numpy(float)
            place = int(figures.argmax() if goals.get(name) == "maximise" else figures.argmin())
            rows.append((name, *(_text(group[column].iloc[place]) for column in (name, *axes))))
    names = {i for i, axis in enumerate(axes) if not _is_number(frame, axis)}
    return Table("", ("best in", "figure", *axes), rows, frozenset({0, *(i + 2 for i in names)}))


def _groups(frame: pd.DataFrame, for_each: Sequence[str]) -> list[pd.DataFrame]:
    """Points that are held against each other; none of no points."""
    if not len(frame):
        return []
    return [one for _, one in frame.groupby(list(for_each), sort=False, dropna=False)] if for_each else [frame]


def notes(frame: pd.DataFrame, figures: Sequence[str], for_each: Sequence[str] = ()) -> list[str]:
    """Why points that are held against each other are no fair rivals, a sentence each."""
    said: list[str] = []
    if not {"samples", "scope"} <= set(frame):
        return said
    groups = _groups(frame.loc[frame["error"].isna()], for_each)
    whole = [name for name in figures if name in OF_BATCH]
    if whole and any(len(set(group["samples"])) > 1 for group in groups):
        said.append(
            f"points are of different batches, and {', '.join(whole)} count whole batches: energy_per_sample_pj and "
            "samples_per_s count a sample"
        )
    priced = [name for name in figures if name.startswith("energy") or name == "power_w"]
    if priced and any(len(set(map(str, group["scope"]))) > 1 for group in groups):
        told = ", ".join(priced)
        said.append(f"energy tables of points differ in what they price, so that {told} can't be compared")
    return said


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
