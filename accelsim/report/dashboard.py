"""The dashboard: one HTML file that works offline, with the charts of `figures`, a table and the provenance."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from accelsim.files import Files, write_all
from accelsim.report import figures
from accelsim.report.sources import Source, is_best, label
from accelsim.results import Summary

#: Runs that have charts of their own, layers and units; all are in the charts of many.
DETAILED = figures.SINGLE


class _Page:
    """Charts by the number of their place in the page, which draws those that are seen."""

    def __init__(self) -> None:
        self.specs: list[str] = []

    def chart(self, figure: go.Figure, height: int = 460) -> str:
        """Place of a chart."""
        self.specs.append(_json(figure.to_json()))
        return f'<div class="chart" data-chart="{len(self.specs) - 1}" style="height:{height}px"></div>'

    def views(self, name: str, parts: Iterable[tuple[str, str]]) -> str:
        """Parts of a page of which one is seen, chosen by its name."""
        parts = list(parts)
        if len(parts) == 1:
            return parts[0][1]
        choices = "".join(f'<option value="{i}">{_text(title)}</option>' for i, (title, _) in enumerate(parts))
        shown = "".join(
            f'<div class="view" data-view="{i}"{"" if i == 0 else " hidden"}>{body}</div>'
            for i, (_, body) in enumerate(parts)
        )
        return f'<div class="views"><label>{_text(name)} <select class="choose">{choices}</select></label>{shown}</div>'


def page(sources: Sequence[Source], title: str = "accelsim") -> str:
    """HTML of results, each of a run or of a comparison."""
    runs = [run for source in sources for run in source.runs]
    built = _Page()
    sections = [
        _section("Roofline", "Size: share of the run's time. Colour: what binds the layer.", _rooflines(built, runs)),
        _section("Energy by component", "", _energy(built, runs)),
        _section("Where the cycles went", "Each unit's cycles by what it did or waited for.", _cycles(built, runs)),
    ]
    if any(run.layers for run in runs) and len(runs) <= figures.SINGLE:
        told = "Above 1 the array, below it the DRAM takes longer at its roof."
        sections.append(_section("Balance", told, built.chart(figures.balance(runs), 380)))
    if figures.judged(runs)[0] and len(runs) > 1:
        sections += [
            _section("Energy against quality", "Grey: another one costs no more and loses no more. Size: stored bits.",
                     built.chart(figures.pareto(runs))),
            _section("Compression against quality", "", built.chart(figures.compression(runs))),
        ]  # fmt: skip
    tiles = [(run, source.timeline) for source in sources for run in source.runs if source.timeline is not None]
    if tiles:
        shown = [(label(run), built.chart(figures.timeline(frame), 340)) for run, frame in tiles]
        sections.append(
            _section("First tiles", f"The first {figures.SHOWN} instructions.", built.views("result", shown))
        )
    sections += [_section("Runs", "", _table(runs)), _section("Provenance", "", _provenance(runs))]
    filled = {
        "title": _text(title),
        "style": _part("page.css"),
        "headline": _headline(runs),
        "body": "\n".join(sections),
        "plotly": get_plotlyjs(),
        "specs": "[" + ",".join(built.specs) + "]",
        "script": _part("page.js"),
    }
    # in one pass, so that nothing which was filled in is taken for a place
    return re.sub(r"\{\{(\w+)\}\}", lambda place: filled[place[1]], _part("page.html"))


def _part(name: str) -> str:
    return (files("accelsim.report") / "page" / name).read_text(encoding="utf-8")


def _json(text: str) -> str:
    """JSON that may stand in a script: nothing in it ends the script."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _section(title: str, told: str, body: str) -> str:
    note = f"<p>{_text(told)}</p>" if told else ""
    return f"<section><h2>{_text(title)}</h2>{note}{body}</section>"


def _headline(runs: Sequence[Summary]) -> str:
    """The figures of the run, or those of the best of many."""
    best = min(runs, key=lambda run: run.energy_pj.total)
    facts = [
        ("cycles", f"{best.cycles:,}"),
        ("time", f"{best.seconds * 1e6:,.1f} us"),
        ("energy", f"{best.energy_pj.total / 1e6:,.2f} uJ"),
        ("bound by", best.roofline.bound),
    ]
    if best.quality and best.quality.task:
        facts.append((best.quality.task.name, f"{100 * best.quality.task.value:.1f} %"))
    told = label(best) if len(runs) == 1 else f"{len(runs)} runs; least energy: {label(best)}"
    cards = "".join(f"<div class=card><b>{_text(value)}</b><span>{_text(name)}</span></div>" for name, value in facts)
    return f"<p>{_text(told)}</p><div class=cards>{cards}</div>"


def _rooflines(built: _Page, runs: Sequence[Summary]) -> str:
    levels: list[figures.Level] = ["dram", "sram"]
    if any(figures.moved_bytes(run, "l2") for run in runs):
        levels.insert(1, "l2")
    works: list[tuple[figures.Work, str]] = [("executed", "executed work"), ("dense", "dense-equivalent work")]
    return built.views(
        "view",
        [
            (f"{told}, {figures.LEVELS[level]}", built.chart(figures.roofline(runs, work, level), 560))
            for level in levels
            for work, told in works
        ],
    )


def _energy(built: _Page, runs: Sequence[Summary]) -> str:
    detailed = [run for run in runs[:DETAILED] if run.layers]
    by_layer = [(f"layers of {label(run)}", built.chart(figures.energy_by_layer(run))) for run in detailed]
    if len(runs) == 1 and by_layer:
        return by_layer[0][1]
    least = sorted(runs, key=lambda run: run.energy_pj.total)[:DETAILED]
    shown = runs if len(runs) <= DETAILED else least
    name = "runs" if len(runs) <= DETAILED else f"the {DETAILED} runs of least energy"
    return built.views("view", [(name, built.chart(figures.energy_by_run(shown))), *by_layer])


def _cycles(built: _Page, runs: Sequence[Summary]) -> str:
    return built.views("result", [(label(run), built.chart(figures.unit_cycles(run), 380)) for run in runs[:DETAILED]])


_COLUMNS = (
    "recipe", "machine", "workload", "cycles", "time, us", "energy, uJ", "DRAM, kB", "use, %", "bound",
    "stored, kbit", "ratio", "accuracy, %", "SQNR, dB", "bit-exact", "pareto",
)  # fmt: skip


def _table(runs: Sequence[Summary]) -> str:
    """A row a run; a click on a column's head sorts by it."""
    head = "".join(f"<th tabindex=0>{_text(name)}</th>" for name in _COLUMNS)
    rows = []
    for run in runs:
        quality = run.quality
        best = is_best(run)
        cells = (
            run.recipe,
            run.arch,
            run.workload,
            run.cycles,
            run.seconds * 1e6,
            run.energy_pj.total / 1e6,
            (run.bytes.dram_read + run.bytes.dram_write) / 1e3,
            100 * run.utilization,
            run.roofline.bound,
            run.compression.stored_bits / 1e3,
            run.compression.ratio,
            100 * quality.task.value if quality and quality.task else None,
            quality.sqnr_db if quality else None,
            {True: "yes", False: "NO", None: "-"}[run.bit_exact],
            {True: "yes", False: "no", None: "-"}[best],
        )
        rows.append("<tr>" + "".join(map(_cell, cells)) + "</tr>")
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def _cell(value: str | float | None) -> str:
    if value is None:
        return '<td data-value="">-</td>'
    if isinstance(value, str):
        return f'<td data-value="{_text(value)}">{_text(value)}</td>'
    shown = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
    return f'<td class=number data-value="{value!r}">{shown}</td>'


def _provenance(runs: Sequence[Summary]) -> str:
    """Versions, hashes and configurations, as the results have them."""
    told = []
    for run in runs[:DETAILED]:
        text = json.dumps(run.provenance, indent=1, default=str)
        told.append(
            f"<details><summary>{_text(label(run))}, table {_text(run.tech)}, engine {_text(run.engine)}</summary>"
            f"<pre>{_text(text)}</pre></details>"
        )
    if len(runs) > DETAILED:
        told.append(f"<p>and {len(runs) - DETAILED} more, whose results have theirs</p>")
    return "".join(told)


def beside(sources: Sequence[Source]) -> Files:
    """The page of results as one more file of their folder."""
    return {"dashboard.html": lambda path: path.write_text(page(sources), encoding="utf-8")}


def write(sources: Sequence[Source], file: Path, title: str = "accelsim") -> None:
    """Write the page of some results; whole, or not at all.

    Raises
    ------
    AccelSimError
        If the file can't be written.
    """
    write_all(file.parent, {file.name: lambda path: path.write_text(page(sources, title), encoding="utf-8")})
