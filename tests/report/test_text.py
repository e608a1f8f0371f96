"""Tables on terminals of any width: no number and no name is ever cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from accelsim.report.tables import Table
from accelsim.report.text import cells, lines

NAMES = st.text(st.characters(categories=("Ll", "Lo")), min_size=1, max_size=12)
NUMBERS = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,3})?( [um]?J)?", fullmatch=True)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = tuple(draw(st.lists(NAMES, min_size=1, max_size=10, unique=True)))
    row = st.tuples(NAMES, *(NUMBERS for _ in columns[1:]))
    order = tuple(draw(st.permutations(columns)))
    return Table("t", columns, draw(st.lists(row, min_size=1, max_size=4)), order=order)


@given(tables(), st.integers(1, 120))
def test_what_is_shown_is_whole_and_as_wide_as_there_is_room(table: Table, width: int) -> None:
    shown = lines(table, width)
    words = [word for line in shown for word in line.split()]
    stacked = any(line.startswith("  ") and line.split()[0] in table.columns for line in shown[2:])
    left = {word.rstrip(",;") for line in shown if "left out" in " ".join(shown) for word in line.split()}
    for row in table.rows:
        assert row[0] in words
        for name, cell in zip(table.columns, row, strict=True):
            assert all(part in words for part in cell.split()) or name in left
    if not stacked:
        longest = max(cells(word) for line in shown for word in [line.split("  ")[0]])
        assert all(cells(line) <= max(width, longest) for line in shown)
    assert not any("…" in line for line in shown)
    whole = lines(table)
    assert all(name in whole[1] for name in table.columns)
    assert len(whole) == 2 + len(table.rows)


def test_columns_go_by_priority_then_rows_are_stacked() -> None:
    table = Table("", ("name", "a", "b", "cost", "why"), [("one", "1,234", "5", "83.4 uJ", "memory")],
                  frozenset({0, 4}), ("name", "cost", "why", "b"))  # fmt: skip
    assert lines(table, 40) == ["name      a  b     cost  why", "one   1,234  5  83.4 uJ  memory"]
    assert lines(table, 26) == ["name  b     cost  why", "one   5  83.4 uJ  memory", "left out: a; --wide shows",
                                "them"]  # fmt: skip
    assert lines(table, 20) == ["one", "  a     1,234", "  b     5", "  cost  83.4 uJ", "  why   memory"]


def test_sentences_are_broken_and_wide_characters_take_two_places() -> None:
    table = Table("", ("名前", "description"), [("一", "as many words as do not fit into one line of forty")],
                  frozenset({0, 1}))  # fmt: skip
    assert lines(table, 40) == ["名前  description", "一    as many words as do not fit into",
                                "      one line of forty"]  # fmt: skip
    assert cells("名前") == 4
