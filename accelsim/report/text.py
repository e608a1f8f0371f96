"""A table as lines of text that no terminal has to crop: columns go by priority, and below a width rows are stacked."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from accelsim.report.tables import Table

#: Between two columns.
GAP = 2
#: Columns that a row must have beside each other, if the table has them; where they don't fit, rows are stacked.
LEAST = 4
#: Places that a column of sentences must have.
PROSE = 30


def lines(table: Table, width: int | None = None) -> list[str]:
    """Title, heads and rows, each number and each name whole.

    Parameters
    ----------
    width
        Columns of the terminal; None for all columns of the table, however wide.
    """
    title = [table.title] if table.title else []
    room = _room(table, width)
    if room:
        return [*title, *_with_prose(table, room)]
    shown = _shown(table, width)
    if shown is None:
        return [*title, *_stacked(table)]
    small = table.only(shown)
    wide = _widths(small)
    found = [*title, _line(small, small.columns, wide), *(_line(small, row, wide) for row in small.rows)]
    left = [name or "the last" for i, name in enumerate(table.columns) if i not in shown]
    return found + (_wrapped(f"left out: {', '.join(left)}; --wide shows them", width or 0) if left else [])


def cells(text: str) -> int:
    """Places that a text takes on a terminal: wide characters take two, marks none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _widths(table: Table) -> list[int]:
    return [max(map(cells, column)) for column in zip(table.columns, *table.rows, strict=True)]


def _shown(table: Table, width: int | None) -> list[int] | None:
    """Numbers of the columns that fit, most important first taken, as they stand; None if hardly any do."""
    everything = list(range(len(table.columns)))
    wide = _widths(table)
    if width is None or sum(wide) + GAP * (len(wide) - 1) <= width:
        return everything
    named = [table.columns.index(name) for name in table.order if name in table.columns]
    order = dict.fromkeys([0, *named, *everything])
    taken: list[int] = []
    used = -GAP
    for number in order:
        if used + GAP + wide[number] <= width:
            taken.append(number)
            used += GAP + wide[number]
        elif len(taken) < min(LEAST, len(wide)):
            return None
    return sorted(taken)


def _room(table: Table, width: int | None) -> int:
    """Places for the last column, if it is of sentences that don't fit but can be broken; else 0."""
    *wide, last = _widths(table)
    left = 0 if width is None else width - sum(wide) - GAP * len(wide)
    return left if PROSE <= left < last and len(wide) in table.text_columns and last > PROSE else 0


def _with_prose(table: Table, room: int) -> list[str]:
    """Heads and rows, the sentences of the last column broken into lines below each other."""
    wide = [*_widths(table)[:-1], 0]
    found = []
    for row in (table.columns, *table.rows):
        first, *others = _wrapped(row[-1], room)
        found.append(_line(table, (*row[:-1], first), wide))
        found += [" " * (sum(wide) + GAP * (len(wide) - 1)) + other for other in others]
    return found


def _line(table: Table, row: Sequence[str], wide: Sequence[int]) -> str:
    """A row, names on the left and numbers on the right of their columns."""
    padded = []
    for i, (text, places) in enumerate(zip(row, wide, strict=True)):
        room = " " * (places - cells(text))
        padded.append(text + room if i in table.text_columns else room + text)
    return (" " * GAP).join(padded).rstrip()


def _stacked(table: Table) -> list[str]:
    """Each row as a block: its name, and below it a line a column that says something."""
    wide = max(map(cells, table.columns))
    found = []
    for row in table.rows:
        found.append(row[0])
        found += [
            f"  {name}{' ' * (wide - cells(name))}  {text}".rstrip()
            for name, text in zip(table.columns[1:], row[1:], strict=True)
            if text
        ]
    return found


def _wrapped(text: str, width: int) -> list[str]:
    """A sentence in lines of at most some columns, broken at blanks."""
    found = [""]
    for word in text.split():
        joined = f"{found[-1]} {word}".strip()
        if found[-1] and cells(joined) > width:
            found.append(word)
        else:
            found[-1] = joined
    return found
