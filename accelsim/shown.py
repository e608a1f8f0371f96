"""What Python and notebooks show of a result: a line, and a table below it."""

from __future__ import annotations

import html
from abc import abstractmethod
from collections.abc import Sequence

#: Heads and rows.
Shown = tuple[Sequence[str], Sequence[Sequence[object]]]
#: Rows that a notebook shows, at most.
MOST = 200


class Told:
    """A result with a short representation."""

    @property
    @abstractmethod
    def told(self) -> str:
        """The result in a line."""

    @property
    @abstractmethod
    def shown(self) -> Shown:
        """Its most important figures."""

    def __repr__(self) -> str:
        """The line, with the name of the class."""
        return f"{type(self).__name__}({self.told})"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The line and the table for a notebook; names are text, whatever they hold."""
        columns, rows = self.shown
        head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows[:MOST]
        )
        more = f"<p>and {len(rows) - MOST} more rows</p>" if len(rows) > MOST else ""
        line = f"<p>{html.escape(self.told)}</p>"
        return f"{line}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
