"""The dashboard: one HTML file that works offline, with the charts of `figures`, a table and the provenance."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from accelsim.comparison import differ_in_batch, unfair
from accelsim.errors import shortened
from accelsim.files import Files, write_all
from accelsim.report import figures, held
from accelsim.report.below import Below
from accelsim.report.layout import MOST
from accelsim.report.roofs import LEVELS, Level, Work
from accelsim.report.sources import Sought, Source, Swept, is_best, label
from accelsim.report.sweep import RATES
from accelsim.results import Summary
from accelsim.units import si

#: Runs that have charts of their own, layers and units; all are in the charts of many.
DETAILED = figures.SINGLE
#: Errors of a sweep that a page has, and characters of each.
ERRORS, LONGEST = 20, 400
#: Pairs of a sweep's objectives that have a chart.
PAIRS = 6


class _Page:
    """Charts by the number of their place in the page, which draws those that are seen."""

    def __init__(self) -> None:
        self.specs: list[str] = []

    def chart(self, figure: go.Figure, height: int = 460) -> str:
        """Place of a chart."""
        self.specs.append(_json(figure.to_json()))
        return f'<div class="chart" data-chart="{len(self.specs) - 1}" style="height:{height}px"></div>'

    def tall(self, figure: go.Figure, height: int) -> str:
        """Place of a chart that scrolls if it is high."""
        return f'<div class="tall" tabindex=0>{self.chart(figure, height)}</div>'

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
    others = [run for run in runs if not isinstance(run, Swept)]  # which have objectives of their own
    sections = _charts(built, sources, runs, others) if runs else []
    sections += _failed(sources)
    sections += [_section("Runs", "", _table(runs))] if runs else []
    sections.append(_section("Provenance", "", _provenance(sources, others)))
    filled = {
        "title": _text(title),
        "style": _part("page.css"),
        "headline": _headline(runs) if runs else "<p>There is no point that could be simulated.</p>",
        "body": "\n".join(sections),
        "plotly": get_plotlyjs(),
        "specs": "[" + ",".join(built.specs) + "]",
        "script": _part("page.js"),
    }
    # in one pass, so that nothing which was filled in is taken for a place
    return re.sub(r"\{\{(\w+)\}\}", lambda place: filled[place[1]], _part("page.html"))


def _charts(built: _Page, sources: Sequence[Source], runs: Sequence[Summary], others: Sequence[Summary]) -> list[str]:
    """Sections of charts of runs, of which there is at least one; `others` are those that are no points of sweeps."""
    below = Below.of(runs)
    sections = [
        _section("Roofline", f"{_points(runs)} {below.told}".strip(), _rooflines(built, runs, below)),
        *_vector(built, runs),
        *_graphs(built, runs),
        *_objectives(built, sources),
        _section("Energy by component", _bars(sources), _energy(built, runs)),
        _section("Where the cycles went", _shown(runs), _cycles(built, runs)),
    ]
    layered = [run for run in runs if any(layer.roofline.balance for layer in run.layers)]
    if layered and len(runs) <= figures.SINGLE:
        told = "Above 1 the array, below it the DRAM takes longer at its roof."
        sections.append(_section("Balance", told, built.chart(figures.balance(layered), 440)))
    if figures.judged(others)[0] and len(others) > 1:
        told = "Grey: another one costs no more and loses no more. Size: stored bits."
        sections.append(_section("Energy against quality", told, built.chart(figures.pareto(others))))
    if len({(one.run.compression.ratio, one.quality) for one in figures.judged(runs)[0]}) > 1:
        sections.append(_section("Compression against quality", "", built.chart(figures.compression(runs))))
    sections += _held(built, sources)
    tiles = [(run, source.timeline) for source in sources for run in source.runs if source.timeline is not None]
    if tiles:
        shown = [(label(run), built.chart(figures.timeline(frame), 340)) for run, frame in tiles]
        sections.append(
            _section("First tiles", f"The first {figures.SHOWN} instructions.", built.views("result", shown))
        )
    return sections


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
    each = differ_in_batch(runs)
    best = min(runs, key=lambda run: run.energy_pj.total / ((run.samples or 1) if each else 1))
    facts = [
        ("cycles", f"{best.cycles:,}"),
        ("time", si(best.seconds, "s")),
        ("energy", si(best.energy_pj.total * 1e-12, "J")),
        ("energy-delay", si(best.energy_delay_js, "J s")),
        ("power", si(best.power_w, "W")),
        ("bound by", best.roofline.bound),
    ]
    facts = [(name, value) for name, value in facts if value != "-"]
    if best.quality and best.quality.task:
        facts.append((best.quality.task.name, best.quality.task.shown(best.quality.task.value)))
    many = "points" if all(isinstance(run, Swept) for run in runs) else "runs"
    told = (
        label(best)
        if len(runs) == 1
        else f"{len(runs)} {many}; least energy{' a sample' if each else ''}: {label(best)}"
    )
    cards = "".join(f"<div class=card><b>{_text(value)}</b><span>{_text(name)}</span></div>" for name, value in facts)
    warned = "".join(f"<p><b>{_text(warning)}</b></p>" for warning in unfair(runs))
    return f"<p>{_text(told)}</p><div class=cards>{cards}</div>{warned}"


def _points(runs: Sequence[Summary]) -> str:
    """What is a point below the roofs."""
    layered = len(runs) <= figures.SINGLE and [bool(run.layers) for run in runs]
    if layered and all(layered):
        return "Size: share of the run's time. Colour: what binds the layer."
    if layered and any(layered):
        return "Size: share of the run's time, of layers. Colour: what binds the layer, or a point of a sweep."
    return "Each point is a whole run. Colour: what binds it."


def _rooflines(built: _Page, runs: Sequence[Summary], below: Below) -> str:
    levels: list[Level] = ["dram", "sram"]
    if any(figures.moved_bytes(run, "l2") for run in runs):
        levels.insert(1, "l2")
    works: list[tuple[Work, str]] = [("executed", "executed work"), ("dense", "dense-equivalent work")]
    return built.views(
        "view",
        [
            (f"{told}, {LEVELS[level]}", built.chart(figures.roofline(runs, work, level, below), 560))
            for level in levels
            for work, told in works
        ],
    )


def _vector(built: _Page, runs: Sequence[Summary]) -> list[str]:
    """The chart of layers that the roofline of products has no place for, if there are any."""
    if len(runs) > figures.SINGLE or not any(figures.vector_alone(layer) for run in runs for layer in run.layers):
        return []
    told = "Layers without products, pools and sums, below what the lanes of the vector unit take in at most."
    return [_section("Roofline of vector work", told, built.chart(figures.vector_roofline(runs), 460))]


def _graphs(built: _Page, runs: Sequence[Summary]) -> list[str]:
    """What reads what, of runs whose results say so."""
    known = [run for run in runs if len(runs) <= figures.SINGLE and any(layer.reads for layer in run.layers)]
    drawn = [run for run in known if len(run.layers) <= MOST]
    if not known:
        return []
    told = "Circles: products; diamonds: vector work. Size: time. Colour: what binds the layer."
    if len(drawn) < len(known):
        left = f"Of more than {MOST} layers no graph is drawn: {', '.join(label(x) for x in known if x not in drawn)}."
        told = f"{told} {left}" if drawn else left
    shown = [(label(run), built.tall(figures.graph(run), figures.graph_height(run))) for run in drawn]
    return [_section("Graph", told, built.views("result", shown) if shown else "")]


def _objectives(built: _Page, sources: Sequence[Source]) -> list[str]:
    """How each search went, and points of each sweep by its objectives, two on each chart."""
    sections = []
    for source in sources:
        points, sought = [run for run in source.runs if isinstance(run, Swept)], source.sought
        if sought is None:
            continue
        if any(stage.hypervolume is not None for stage in sought.stages):
            told = "What the best points so far dominate, up to the reference point; flat: more proposals find little."
            sections.append(_section(f"Search of {sought.name}", told, built.chart(figures.search(sought), 320)))
        if not any(point.pareto for point in points):
            continue
        found = [
            (f"{y.figure} over {x.figure}", built.chart(figures.objectives(points, sought, x, y), 500))
            for x, y in list(combinations(sought.axes, 2))[:PAIRS]
        ]
        judged = ", ".join(one.figure for one in sought.objectives)
        told = f"Grey: another point is at least as good in {judged}, and better in one."
        told += f" Each {', '.join(sought.for_each)} has best points of its own." if sought.for_each else ""
        sections.append(
            _section(f"Best points of {sought.name}", told, built.views("view", found) + _least(points, sought))
        )
    return sections


def _least(points: Sequence[Swept], sought: Sought) -> str:
    """A table of the point that is best in each figure alone, of all circumstances together."""
    axes = list(points[0].point)
    signs = {one.figure: 1.0 if one.goal != "maximise" else -1.0 for one in sought.objectives}
    rows = []
    for name, sign in {**dict.fromkeys(RATES, 1.0), **signs}.items():
        known = [(value, point) for point in points if (value := _figure(point, name)) is not None]
        if known:
            costs = [sign * value for value, _ in known]
            value, best = known[costs.index(min(costs))]
            rows.append([name, value, *(_value(best, axis) for axis in axes)])
    head = "".join(f"<th tabindex=0>{_text(name)}</th>" for name in ("best in", "figure", *axes))
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _figure(point: Swept, name: str) -> float | None:
    """A figure of a point: one of those that it is judged by, or one that all have."""
    found = point.judged[name] if name in point.judged else getattr(point, name, None)
    return None if found is None else float(found)


def _failed(sources: Sequence[Source]) -> list[str]:
    """Points of each sweep that could not be simulated, by why."""
    sections = []
    for sought in (source.sought for source in sources if source.sought):
        count = sum(times for _, times in sought.failed)
        if not count and sought.points:
            continue
        few = "" if len(sought.failed) <= ERRORS else f" Those of the {ERRORS} errors that most points have."
        told = f"{count:,} of {sought.points:,} points.{few}"
        rows = "".join(
            f'<tr><td class=number data-value="{times}">{times:,}</td>{_cell(shortened(error, LONGEST))}</tr>'
            for error, times in sought.failed[:ERRORS]
        )
        head = "<thead><tr><th tabindex=0>points</th><th tabindex=0>error</th></tr></thead>"
        table = f"<div class=scroll><table>{head}<tbody>{rows}</tbody></table></div>" if rows else ""
        sections.append(_section(f"Points of {sought.name} that failed", told, table))
    return sections


def _bars(sources: Sequence[Source]) -> str:
    """Which values name the points of sweeps."""
    named = dict.fromkeys(", ".join(run.point) for x in sources for run in x.runs[:1] if isinstance(run, Swept))
    return f"Points by {'; '.join(named)}." if named else ""


def _energy(built: _Page, runs: Sequence[Summary]) -> str:
    detailed = [run for run in runs[:DETAILED] if run.layers]
    by_layer = [(f"layers of {label(run)}", built.chart(figures.energy_by_layer(run))) for run in detailed]
    if len(runs) == 1 and by_layer:
        return by_layer[0][1]
    least = sorted(runs, key=lambda run: run.energy_pj.total)[:DETAILED]
    shown = runs if len(runs) <= DETAILED else least
    name = "runs" if len(runs) <= DETAILED else f"the {DETAILED} runs of least energy"
    return built.views("view", [(name, built.chart(figures.energy_by_run(shown))), *by_layer])


def _shown(runs: Sequence[Summary]) -> str:
    some = f" Of {DETAILED} of {len(runs)} runs, first those that no other one beats." if len(runs) > DETAILED else ""
    return f"Each unit's cycles by what it did or waited for.{some}"


def _cycles(built: _Page, runs: Sequence[Summary]) -> str:
    shown = runs if len(runs) <= DETAILED else sorted(runs, key=lambda run: not is_best(run))[:DETAILED]
    return built.views("result", [(label(run), built.chart(figures.unit_cycles(run), 380)) for run in shown])


def _held(built: _Page, sources: Sequence[Source]) -> list[str]:
    """What on-chip memories hold over the runs whose results say so."""
    known = [(run, source.occupancy) for source in sources for run in source.runs if source.occupancy is not None]
    if not known:
        return []
    told = "Bytes that each memory holds, of each part of the run the most: of values that stay there from layer to "
    told += "layer, and of tiles from the load to the last use. Dashed: capacity."
    shown = [(label(run), built.chart(held.occupancy(frame), held.height(frame))) for run, frame in known]
    return [_section("On-chip memory", told, built.views("result", shown))]


def _judged(run: Summary, *, fraction: bool) -> float | None:
    """What a run's task says, of a part of 1 in percent; None for tasks of the other kind."""
    task = run.quality.task if run.quality else None
    return task.in_unit if task and task.fraction == fraction else None


#: Columns of the table of runs; those that are empty are left out.
_COLUMNS: dict[str, Callable[[Summary], str | float | None]] = {
    "recipe": lambda run: run.recipe,
    "machine": lambda run: run.arch,
    "workload": lambda run: run.workload,
    "cycles": lambda run: run.cycles,
    "samples": lambda run: run.samples,
    "time, us": lambda run: run.seconds * 1e6,
    "table": lambda run: run.tech,
    "energy, uJ": lambda run: run.energy_pj.total / 1e6,
    "energy-delay, uJ s": lambda run: None if run.energy_delay_js is None else run.energy_delay_js * 1e6,
    "power, W": lambda run: run.power_w,
    "uJ a sample": lambda run: None if run.energy_per_sample_pj is None else run.energy_per_sample_pj / 1e6,
    "samples a second": lambda run: run.samples_per_s,
    "DRAM, kB": lambda run: (run.bytes.dram_read + run.bytes.dram_write) / 1e3,
    "use, %": lambda run: 100 * run.utilization,
    "bound": lambda run: run.roofline.bound,
    "stored, kbit": lambda run: run.compression.stored_bits / 1e3,
    "ratio": lambda run: run.compression.ratio,
    "accuracy, %": lambda run: _judged(run, fraction=True),
    "quality": lambda run: _judged(run, fraction=False),
    "SQNR, dB": lambda run: run.quality.sqnr_db if run.quality else None,
    "bit-exact": lambda run: {True: "yes", False: "NO", None: None}[run.bit_exact],
    "pareto": lambda run: {True: "yes", False: "no", None: None}[is_best(run)],
}
#: Objectives that it has columns of.
_SHOWN = frozenset({"energy_delay_js", "power_w", "energy_per_sample_pj", "samples_per_s", "energy_pj.total", "cycles",
                    "seconds", "utilization", "compression.ratio", "compression.stored_bits", "quality.task.value",
                    "quality.sqnr_db"})  # fmt: skip


def _table(runs: Sequence[Summary]) -> str:
    """A row a run, with the axes of a sweep and what it is judged by; a click on a column's head sorts by it."""
    points = [run for run in runs if isinstance(run, Swept)]
    axes = dict.fromkeys(name for point in points for name in point.point)
    judged = dict.fromkeys(name for point in points for name in point.judged if name not in _SHOWN)
    columns = {name: [_value(run, name) for run in runs] for name in axes}
    columns |= {name: [of(run) for run in runs] for name, of in _COLUMNS.items()}
    columns |= {name: [run.judged.get(name) if isinstance(run, Swept) else None for run in runs] for name in judged}
    columns = {name: column for name, column in columns.items() if any(value is not None for value in column)}
    head = "".join(f"<th tabindex=0>{_text(name)}</th>" for name in columns)
    rows = ["<tr>" + "".join(map(_cell, cells)) + "</tr>" for cells in zip(*columns.values(), strict=True)]
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"


def _value(run: Summary, axis: str) -> str | float | None:
    """Value of a sweep's axis."""
    value = run.point.get(axis) if isinstance(run, Swept) else None
    return value if value is None or (isinstance(value, int | float) and not isinstance(value, bool)) else str(value)


def _cell(value: str | float | None) -> str:
    if value is None:
        return '<td data-value="">-</td>'
    if isinstance(value, str):
        return f'<td data-value="{_text(value)}">{_text(value)}</td>'
    shown = f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if abs(value) < 0.1 else f"{value:,.2f}"
    return f'<td class=number data-value="{value!r}">{shown}</td>'


def _provenance(sources: Sequence[Source], runs: Sequence[Summary]) -> str:
    """Versions, hashes and configurations, as the results have them; a sweep's once, and not those of its points."""
    told = [_details(f"sweep {source.sought.name}", source.sought.about) for source in sources if source.sought]
    told += [
        _details(f"{label(run)}, table {run.tech}, engine {run.engine}", run.provenance) for run in runs[:DETAILED]
    ]
    if len(runs) > DETAILED:
        told.append(f"<p>and {len(runs) - DETAILED} more, whose results have theirs</p>")
    return "".join(told)


def _details(name: str, told: dict[str, Any]) -> str:
    text = json.dumps(told, indent=1, default=str)
    return f"<details><summary>{_text(name)}</summary><pre>{_text(text)}</pre></details>"


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
