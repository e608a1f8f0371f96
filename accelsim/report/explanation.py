"""An explanation in words and as tables of text."""

from __future__ import annotations

from accelsim.explanation import Explanation, Part
from accelsim.report.tables import Table

_WORDS = {
    "busy": "is busy",
    "memory": "waits for the DRAM",
    "in flight": "has results on their way",
    "port": "sees a start a cycle later",
}
#: Share of a layer's path from which a part is told in words.
TOLD = 0.1


def words(explanation: Explanation) -> list[str]:
    """What bound each layer, a sentence each, and what would help most."""
    said = []
    for layer in explanation.layers:
        parts = explanation.of_layer(layer)
        whole = sum(part.cycles for part in parts)
        told = [f"{_who(part)} for {100 * part.cycles / whole:.0f} %" for part in parts if part.cycles >= TOLD * whole]
        said.append(f"{layer}: of {whole:,} cycles {', '.join(told)}.")
    known = [gain for gain in explanation.gains if gain.saved is not None]
    if known:
        best, *others = known
        least = [gain.twice for gain in others if abs(gain.saved or 0) < 0.005]
        text = f"Most is gained by twice the {best.twice}: {100 * (best.saved or 0):.1f} % of the cycles"
        said.append(text + (f"; nothing by twice the {', '.join(least)}." if least else "."))
    return said


def _who(part: Part) -> str:
    return f"{part.unit} {_WORDS.get(part.what, part.what)}"


def path(explanation: Explanation) -> Table:
    """The critical path: cycles of each layer by unit and what the unit does."""
    rows: list[tuple[str, ...]] = [
        (part.layer, part.unit, part.what, f"{part.cycles:,}", f"{100 * part.cycles / explanation.cycles:.1f}")
        for layer in explanation.layers
        for part in explanation.of_layer(layer)
    ]
    rows.append(("total", "", "", f"{explanation.cycles:,}", "100.0"))
    return Table("Critical path", ("layer", "unit", "what", "cycles", "%"), rows, frozenset({0, 1, 2}))


def gains(explanation: Explanation) -> Table:
    """What one thing that is twice as fast would gain, as simulated."""
    rows: list[tuple[str, ...]] = [
        (
            gain.twice,
            ", ".join(f"{name} {_shown(value)}" for name, value in gain.changed.items()),
            "-" if gain.cycles is None else f"{gain.cycles:,}",
            "-" if gain.saved is None else f"{100 * gain.saved + 0.0:.1f}".replace("-0.0", "0.0"),
            f"{100 * gain.at_most:.1f}",
            gain.why_not or "",
        )
        for gain in explanation.gains
    ]
    columns = ("twice the", "what becomes", "cycles", "saved %", "at most %", "")
    return Table("If one thing were twice as fast", columns, rows, frozenset({0, 1, 5}))


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.15g}"
