"""Charts of runs, as plotly figures; labels carry units, and colours are `palette`'s on every one."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from accelsim.comparison import differ_in_batch, differ_in_scope
from accelsim.report import palette
from accelsim.report.below import NAMED, Below, Roofed, who
from accelsim.report.layout import LANES, Layout
from accelsim.report.roofs import LEAST, LEVELS, MOST, Level, Roofs, Work
from accelsim.report.sources import Objective, Sought, Swept, label, short, shown
from accelsim.results import OPS_PER_MAC, Figures, LayerResult, Summary

#: Points from which the graphics processor draws a chart, and points up to which each has its name beside it.
MANY, FEW = 2000, 14
#: Runs up to which each has a name in the legend; of more each is one point.
SINGLE = 40
#: Characters of a roof's name in the legend.
ROOF_NAME = 60
#: Characters of the names beside a row of a graph, and of a line of the nodes that a layer of it holds.
ROW_NAME, HELD = 32, 44
#: Nodes that it names at most.
NAMED_NODES = 12
#: Pixels of a row of a graph, of few rows and of many; of a lane at most.
WIDE_ROW, ROW, FEW_ROWS, LANE = 38, 26, 16, 110
#: Instructions that the tile timeline shows.
SHOWN = 400


def safe(text: object) -> str:
    """A name as charts show it: plotly takes some of HTML in any text, links among it."""
    return html.escape(str(text), quote=False)


def moved_bytes(figures: Figures, level: Level) -> int:
    """Bytes that a layer moved at a level."""
    moved = figures.bytes
    return {
        "dram": moved.dram_read + moved.dram_write,
        "l2": moved.l2_read + moved.l2_write,
        "sram": moved.sram_read + moved.sram_write,
    }[level]


def roofline(runs: Sequence[Summary], work: Work, level: Level, below: Below | None = None) -> go.Figure:
    """Points below their machines' roofs, log-log, coloured by bound.

    Each layer of a run is a point, sized by time. Runs without layers, and all if they are many, are a point each.
    """
    detailed = len(runs) <= SINGLE  # a legend of more names helps nobody
    layers = _placed(runs, lambda layer: _place(layer, work, level))
    alone = [(run, *_place(run, work, level)) for run in runs if not (run.layers and detailed)]
    whole = [(run, x, y) for run, x, y in alone if x and y]
    scatter = go.Scattergl if len(layers) + len(whole) > MANY else go.Scatter
    figure = go.Figure()
    _points(figure, layers, scatter, "%{x:.3~s} ops/byte, %{y:.3~s} ops/s")
    if whole:
        # outlines of so many would hide the roofs
        outline = {"width": 1, "color": "rgba(90,90,90,0.6)"} if scatter is go.Scatter else {"width": 0}
        figure.add_trace(
            scatter(
                x=[x for _, x, _ in whole],
                y=[y for *_, y in whole],
                mode="markers",
                showlegend=False,
                marker={
                    "color": [palette.colour(palette.BOUNDS, run.roofline.bound) for run, *_ in whole],
                    "size": 8 if scatter is go.Scatter else 5,
                    "line": outline,
                },
                customdata=[_judgement(run) for run, *_ in whole],
                hovertemplate="%{customdata}<br>%{x:.3~s} ops/byte, %{y:.3~s} ops/s<extra></extra>",
            )
        )
    drawn = [*(point.layer for point in layers), *(run for run, *_ in whole)]
    _bounds(figure, {one.roofline.bound for one in drawn})
    xs = [*(point.x for point in layers), *(x for _, x, _ in whole)]
    _roofs(figure, (below or Below.of(runs)).shown, xs, work, level, scatter)
    _axes(figure, work, level)
    return styled(figure)


class _Point(NamedTuple):
    """A layer on a chart of rooflines; `number` is that of its run among those with layers."""

    number: int
    run: Summary
    layer: LayerResult
    x: float
    y: float


def _placed(runs: Sequence[Summary], place: Callable[[LayerResult], tuple[float | None, float | None]]) -> list[_Point]:
    """Layers of runs that are not many; those that have no place on logarithmic axes are left out."""
    layered = [run for run in runs if run.layers and len(runs) <= SINGLE]
    found = ((number, run, layer, *place(layer)) for number, run in enumerate(layered) for layer in run.layers)
    return [_Point(number, run, layer, x, y) for number, run, layer, x, y in found if x and y]


def _points(figure: go.Figure, layers: Sequence[_Point], scatter: type, told: str) -> None:
    """Draw layers, those of a run as one trace, sized by their share of the run's time."""
    longest = max((point.layer.active_cycles / point.run.cycles for point in layers if point.run.cycles), default=1.0)
    for number in dict.fromkeys(point.number for point in layers):
        mine = [point for point in layers if point.number == number]
        share = [point.layer.active_cycles / point.run.cycles / longest for point in mine]
        figure.add_trace(
            scatter(
                x=[point.x for point in mine],
                y=[point.y for point in mine],
                mode="markers+text" if len(layers) <= FEW else "markers",
                text=[safe(point.layer.name) for point in mine],
                textposition="bottom center",
                name=safe(label(mine[0].run)),
                marker={
                    "color": [palette.colour(palette.BOUNDS, point.layer.roofline.bound) for point in mine],
                    "symbol": palette.SYMBOLS[number % len(palette.SYMBOLS)],
                    "size": [8 + 18 * math.sqrt(part) for part in share],
                    "line": {"width": 1, "color": "rgba(90,90,90,0.8)"},
                },
                customdata=[_told(point.run, point.layer) for point in mine],
                hovertemplate=f"%{{customdata}}<br>{told}<extra></extra>",
            )
        )


def vector_alone(layer: LayerResult) -> bool:
    """Whether a layer is work of the vector unit without products: pools, sums, tables."""
    return not layer.macs.dense and layer.vector_work > 0


def vector_roofline(runs: Sequence[Summary]) -> go.Figure:
    """Layers without products below the roof of their vector unit's lanes, log-log, coloured by bound."""

    def place(layer: LayerResult) -> tuple[float | None, float | None]:
        moved = moved_bytes(layer, "dram")
        alone = vector_alone(layer) and moved
        return (layer.vector_work / moved, layer.roofline.vector_ops_per_s) if alone else (None, None)

    layers = _placed(runs, place)
    figure = go.Figure()
    scatter = go.Scattergl if len(layers) > MANY else go.Scatter
    _points(figure, layers, scatter, "%{x:.3~s} numbers/byte, %{y:.3~s} numbers/s")
    _bounds(figure, {point.layer.roofline.bound for point in layers})
    _roofs(figure, _vector_roofs(runs), [point.x for point in layers], "executed", "dram", scatter, "numbers/s")
    figure.update_xaxes(type="log", title="vector work over DRAM bytes, numbers a byte", exponentformat="SI")
    figure.update_yaxes(type="log", title="vector work, numbers a second", exponentformat="SI")
    return styled(figure)


def _vector_roofs(runs: Sequence[Summary]) -> list[Roofed]:
    """Roofs of the vector unit and of the DRAM of runs, as their layers have them; equal ones once."""
    found: dict[object, Roofed] = {}
    for run in runs:
        for layer in filter(vector_alone, run.layers):
            lanes, dram = layer.roofline.peak_vector_ops_per_s, layer.roofline.peak_bytes_per_s
            if LEAST <= lanes <= MOST:
                moved: dict[Level, float] = {"dram": dram} if dram and LEAST <= dram <= MOST else {}
                roofs = Roofs(ops_per_s={"vector": lanes}, as_dense_ops_per_s={}, bytes_per_s=moved)
                found.setdefault(roofs.key, Roofed(roofs, [])).runs.append(run)
                break
    return list(found.values())


def _axes(figure: go.Figure, work: Work, level: Level) -> None:
    done = "executed work" if work == "executed" else "dense-equivalent work"
    figure.update_xaxes(type="log", title=f"{done} over {LEVELS[level]} bytes, operations a byte", exponentformat="SI")
    figure.update_yaxes(type="log", title=f"{done}, operations a second", exponentformat="SI")


def _bounds(figure: go.Figure, found: set[str]) -> None:
    """Say in the legend which colour is which bound."""
    for bound in (name for name in palette.BOUNDS if name in found):
        marker = {"color": palette.BOUNDS[bound], "size": 10, "symbol": "square"}
        figure.add_trace(
            go.Scatter(x=[None], y=[None], mode="markers", name=f"bound: {bound}", marker=marker, hoverinfo="skip")
        )


def _place(layer: Figures, work: Work, level: Level) -> tuple[float | None, float | None]:
    macs = layer.macs.executed if work == "executed" else layer.macs.dense
    rate = layer.roofline.attained_ops_per_s if work == "executed" else layer.roofline.dense_ops_per_s
    bytes_ = moved_bytes(layer, level)
    return (OPS_PER_MAC * macs / bytes_ if bytes_ else None), rate


def _told(run: Summary, layer: LayerResult) -> str:
    """What a point says when it is pointed at."""
    balance = layer.roofline.balance if layer.macs.dense else None
    return (
        f"<b>{safe(layer.name)}</b> of {safe(label(run))}<br>{' x '.join(map(str, layer.shape))}, "
        f"{layer.cycles:,} cycles, {layer.energy_pj.total / 1e6:,.2f} uJ<br>"
        f"bound by {safe(layer.roofline.bound)}, {_use(layer)}"
        + (f", balance {balance:.2f}" if balance is not None else "")
    )


def _use(layer: LayerResult) -> str:
    """Use of the multipliers; of a layer without products that of the vector unit's lanes."""
    roof = layer.roofline
    if vector_alone(layer) and roof.peak_vector_ops_per_s:
        return f"use of lanes {100 * roof.vector_ops_per_s / roof.peak_vector_ops_per_s:.1f} %"
    return f"use {100 * layer.utilization:.1f} %"


def _roofs(
    figure: go.Figure,
    machines: Sequence[Roofed],
    xs: list[float],
    work: Work,
    level: Level,
    scatter: type,
    unit: str = "ops/s",
) -> None:
    """Draw the machines' roofs over the range of the points and the ridges; roofs that machines share are one line."""
    below: dict[tuple[str, float], list[Roofed]] = {}
    beside: dict[float, list[Roofed]] = {}
    for machine in machines:
        for roof in machine.roofs.compute(work).items():
            below.setdefault(roof, []).append(machine)
        if memory := machine.roofs.bytes_per_s.get(level):
            beside.setdefault(memory, []).append(machine)
    ridges = {
        (rate, memory): rate / memory
        for (_, rate), mine in below.items()
        for machine in mine
        if (memory := machine.roofs.bytes_per_s.get(level))
    }
    low, high = min([*xs, *ridges.values()], default=1.0) / 3, max([*xs, *ridges.values()], default=1.0) * 3
    dashes = {id(machine): ("solid", "dash", "dot", "dashdot")[i % 4] for i, machine in enumerate(machines)}
    named = len(below) + len(beside) <= NAMED
    for (name, rate), mine in below.items():
        begins = [ridges.get((rate, machine.roofs.bytes_per_s.get(level, 0.0)), low) for machine in mine]
        told = f"{who(mine, machines)}{name}, {_si(rate)}{unit}"
        x = np.geomspace(max(low, min(begins)), high, 16)
        _line(figure, x.tolist(), [rate] * len(x), told, dashes[id(mine[0])], scatter, named=named)
    for memory, mine in beside.items():
        ends = [rate / memory for machine in mine for rate in machine.roofs.compute(work).values()]
        told = f"{who(mine, machines)}{LEVELS[level]}, {_si(memory)}B/s"
        x = np.geomspace(low, max(low * 1.01, *ends), 16)
        _line(figure, x.tolist(), (x * memory).tolist(), told, dashes[id(mine[0])], scatter, named=named)


def _line(
    figure: go.Figure, x: list[float], y: list[float], roof: str, dash: str, scatter: type, *, named: bool
) -> None:
    figure.add_trace(
        scatter(
            x=x,
            y=y,
            mode="lines",
            name=safe(roof if len(roof) <= ROOF_NAME else f"...{roof[3 - ROOF_NAME :]}"),
            line={"color": palette.ROOF, "width": 1.5 if scatter is go.Scatter else 2.5, "dash": dash},
            hovertemplate="%{meta}<extra></extra>",
            meta=safe(roof),
            opacity=0.9,
            showlegend=named,
        )
    )


def _si(value: float) -> str:
    """A number with its metric prefix."""
    for power, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**power:
            return f"{value / 10**power:.4g} {prefix}"
    return f"{value:.4g} "


def graph(run: Summary) -> go.Figure:
    """The graph of a run: each layer where `Layout` has it, sized by time, coloured by bound, lines from what it reads.

    Names stand beside the rows, and those for which there is no room in what a layer says when it is pointed at.
    """
    laid = Layout.of(run.layers)
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=[x for line in laid.lines for x in (*(place.x for place in line), None)],
            y=[y for line in laid.lines for y in (*(place.row for place in line), None)],
            mode="lines",
            line={"color": palette.ROOF, "width": 1.5},
            opacity=0.4,
            hoverinfo="skip",
            showlegend=False,
        )
    )
    if laid.source:
        figure.add_trace(
            go.Scatter(
                x=[laid.source.x],
                y=[laid.source.row],
                mode="markers",
                marker={"symbol": "line-ew-open", "size": 16, "color": palette.SOURCE, "line": {"width": 3}},
                hovertemplate="what the network is given<extra></extra>",
                showlegend=False,
            )
        )
    rows = laid.rows
    longest = max((layer.active_cycles for layer in run.layers), default=0) or 1
    crowded = max(map(len, rows)) > LANES // 2
    least, more = (7, 8) if crowded else (9, 13)
    figure.add_trace(
        go.Scatter(
            x=[place.x for place in laid.places],
            y=[place.row for place in laid.places],
            mode="markers",
            showlegend=False,
            marker={
                "color": [palette.colour(palette.BOUNDS, layer.roofline.bound) for layer in run.layers],
                "symbol": ["diamond" if vector_alone(layer) else "circle" for layer in run.layers],
                "size": [least + more * math.sqrt(layer.active_cycles / longest) for layer in run.layers],
                "line": {"width": 1, "color": "rgba(90,90,90,0.8)"},
                "opacity": 1,
            },
            customdata=[_of_graph(layer) for layer in run.layers],
            hovertemplate="%{customdata}<extra></extra>",
        )
    )
    _bounds(figure, {layer.roofline.bound for layer in run.layers})
    names = [_row_name([run.layers[number].name for number in row]) or ("input" if laid.source else "") for row in rows]
    figure.update_xaxes(visible=False, fixedrange=True, range=[-0.6, laid.width + 0.6])
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=names,
        range=[len(rows) - 0.4, -0.6],
        fixedrange=True,
        showgrid=False,
        showline=False,
        zeroline=False,
    )
    return styled(figure, above=True).update_layout(dragmode=False, legend_y=1, margin_b=8, meta={"lane": LANE})


def graph_height(run: Summary) -> int:
    """Pixels that a graph is high."""
    rows = len(Layout.of(run.layers).rows)
    return 90 + rows * (WIDE_ROW if rows <= FEW_ROWS else ROW)


def _row_name(names: Sequence[str]) -> str:
    """Names of the layers of a row, by lane, as far as there is room; what all begin with is said once."""
    above = zip(*(name.split(".")[:-1] for name in names), strict=False)
    shared = ".".join(parts[0] for parts in takewhile(lambda parts: len({*parts}) == 1, above))
    together = len(names) > 1 and shared
    whole = f"{shared}: {', '.join(name[len(shared) + 1 :] for name in names)}" if together else ", ".join(names)
    if len(whole) > ROW_NAME and names:
        rest = f" +{len(names) - 1}" if len(names) > 1 else ""
        room = ROW_NAME - len(rest)
        whole = (names[0] if len(names[0]) <= room else f"{names[0][: room - 3]}...") + rest
    return safe(whole)


def _of_graph(layer: LayerResult) -> str:
    """What a layer of a graph says when it is pointed at."""
    moved = moved_bytes(layer, "dram")
    held = textwrap.wrap(", ".join(layer.nodes[:NAMED_NODES]), HELD, break_on_hyphens=False) if layer.nodes else []
    more = f" and {len(layer.nodes) - NAMED_NODES} more" if len(layer.nodes) > NAMED_NODES else ""
    holds = f"<br>holds {'<br>'.join(map(safe, held))}{more}" if held else ""
    return (
        f"<b>{safe(layer.name)}</b>, {' x '.join(map(str, layer.shape))}<br>"
        f"{layer.cycles:,} cycles, {layer.energy_pj.total / 1e6:,.2f} uJ, {moved / 1e3:,.1f} kB of DRAM<br>"
        f"bound by {safe(layer.roofline.bound)}, {_use(layer)}{holds}"
    )


def energy_by_run(runs: Sequence[Summary]) -> go.Figure:
    """Energy of each run by component, stacked, microjoules."""
    parts = [run.energy_pj.model_dump() for run in runs]
    return _stacked([label(run) for run in runs], parts, "energy, uJ", [short(run) for run in runs])


def energy_by_layer(run: Summary) -> go.Figure:
    """Energy of each layer by component, stacked, microjoules."""
    layers = run.layers
    return _stacked([x.name for x in layers], [x.energy_pj.model_dump() for x in layers], "energy, uJ")


def _stacked(names: list[str], parts: list[dict[str, float]], title: str, ticks: list[str] | None = None) -> go.Figure:
    figure = go.Figure()
    places = [str(number) for number in range(len(names))]  # because two may have the same name
    for component, colour in palette.COMPONENTS.items():
        values = [part[component] / 1e6 for part in parts]
        if any(values):
            shares = [100 * part[component] / part["total"] if part["total"] else 0.0 for part in parts]
            figure.add_trace(
                go.Bar(
                    x=places,
                    y=values,
                    name=component,
                    marker_color=colour,
                    customdata=shares,
                    hovertext=[safe(name) for name in names],
                    hovertemplate=f"%{{hovertext}}<br>{component}: "
                    "%{y:,.3f} uJ, %{customdata:.1f} %<extra></extra>",
                )
            )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(type="category", labelalias=dict(zip(places, map(safe, ticks or names), strict=True)))
    figure.update_yaxes(title=title)
    return styled(figure, above=True)


def unit_cycles(run: Summary) -> go.Figure:
    """Where each unit's cycles went, stacked: busy, waiting for whom, drained."""
    figure = go.Figure()
    units = {name: states for name, states in run.units.items() if states.get("drained") != states["total"]}
    states = [*palette.STATES, *sorted({s for x in units.values() for s in x} - palette.STATES.keys() - {"total"})]
    for state in states:
        values = [unit.get(state, 0) for unit in units.values()]
        if any(values):
            figure.add_trace(
                go.Bar(
                    y=[safe(unit) for unit in units],
                    x=values,
                    orientation="h",
                    name=safe(state),
                    marker_color=palette.colour(palette.STATES, state),
                    customdata=[
                        100 * n / unit["total"] if unit["total"] else 0
                        for n, unit in zip(values, units.values(), strict=True)
                    ],
                    hovertemplate=f"%{{y}}<br>{safe(state)}: %{{x:,}} cycles, %{{customdata:.1f}} %<extra></extra>",
                )
            )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(title="core cycles")
    figure.update_yaxes(autorange="reversed")
    return styled(figure, above=True)


def balance(runs: Sequence[Summary]) -> go.Figure:
    """Compute time over memory time of each layer, log; 1 is the design point."""
    figure = go.Figure()
    for number, run in enumerate(runs):
        known = [layer for layer in run.layers if layer.roofline.balance]
        figure.add_trace(
            go.Scatter(
                x=[safe(layer.name) for layer in known],
                y=[layer.roofline.balance for layer in known],
                mode="markers",
                name=safe(label(run)),
                legendrank=number,
                marker={
                    "symbol": palette.SYMBOLS[number % len(palette.SYMBOLS)],
                    "size": 11,
                    "color": [palette.colour(palette.BOUNDS, layer.roofline.bound) for layer in known],
                    "line": {"width": 1, "color": "rgba(90,90,90,0.8)"},
                },
                customdata=[_told(run, layer) for layer in known],
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.add_hline(y=1, line={"color": palette.ROOF, "dash": "dash", "width": 1})
    figure.update_yaxes(type="log", title="compute time over memory time")
    return styled(figure)


class Judged(NamedTuple):
    """A run by what it is judged: a figure of its task, more of which is better, or SQNR where there is no task."""

    run: Summary
    quality: float


def judged(runs: Sequence[Summary]) -> tuple[list[Judged], str]:
    """Runs whose quality is known, all by the same measure, and the measure's name with its unit."""
    tasks = [(run, run.quality.task) for run in runs if run.quality and run.quality.task]
    if tasks:
        title = tasks[0][1].title
        sign = -1 if tasks[0][1].lower_is_better else 1  # more is better in the figure
        title = f"-{title}" if sign < 0 else title
        return [Judged(run, sign * task.in_unit) for run, task in tasks if task.title == tasks[0][1].title], safe(title)
    noise = [Judged(run, run.quality.sqnr_db) for run in runs if run.quality and run.quality.sqnr_db is not None]
    return noise, "SQNR, dB"


def pareto(runs: Sequence[Summary]) -> go.Figure:
    """Energy against quality: what no other one beats coloured and joined, the others grey; stored bits by size."""
    known, title = judged(runs)
    each = differ_in_batch(runs)
    fair = not differ_in_scope(runs)

    def cost(one: Judged) -> float:
        return one.run.energy_pj.total / 1e6 / ((one.run.samples or 1) if each else 1)

    def beats(one: Judged, other: Judged) -> bool:
        mine, theirs = ((-cost(x), x.quality) for x in (one, other))
        return mine != theirs and mine[0] >= theirs[0] and mine[1] >= theirs[1]

    beaten = [not fair or any(beats(other, one) for other in known) for one in known]
    unit, told = "uJ a sample" if each else "uJ", title.split(",")[0]
    figure = go.Figure()
    scatter = go.Scattergl if len(known) > MANY else go.Scatter
    most = max((math.sqrt(one.run.compression.stored_bits) for one in known), default=1.0) or 1.0
    for name, colour, flag in (
        ("beaten" if fair else "not compared", palette.DOMINATED, True),
        ("not beaten", palette.BEST, False),
    ):
        mine = [one for one, is_beaten in zip(known, beaten, strict=True) if is_beaten == flag]
        mine.sort(key=lambda one: (cost(one), one.quality))
        figure.add_trace(
            scatter(
                x=[cost(one) for one in mine],
                y=[one.quality for one in mine],
                mode=("markers" if flag else "lines+markers") + ("+text" if len(known) <= FEW else ""),
                text=[safe(one.run.recipe) for one in mine],
                textposition="top center",
                name=name,
                line={"color": colour, "width": 1, "dash": "dot"},
                marker={
                    "color": colour,
                    "size": [8 + 18 * math.sqrt(one.run.compression.stored_bits) / most for one in mine],
                    "line": {"width": 1, "color": "rgba(90,90,90,0.8)"},
                },
                customdata=[_judgement(one.run) for one in mine],
                hovertemplate=f"%{{customdata}}<br>%{{x:,.3f}} {unit}, {told} %{{y:.2f}}<extra></extra>",
            )
        )
    figure.update_xaxes(title=f"energy, {unit}", type="log")
    figure.update_yaxes(title=title)
    return styled(figure)


def _judgement(run: Summary) -> str:
    return (
        f"<b>{safe(label(run))}</b><br>{run.cycles:,} cycles, {run.compression.stored_bits / 1e3:,.1f} kbit stored, "
        f"{run.compression.ratio:.1f} times fewer than float32"
    )


def objectives(points: Sequence[Swept], sought: Sought, x: Objective, y: Objective) -> go.Figure:
    """Points of a sweep by two figures: what no other one beats coloured, and joined where two figures decide."""
    known = [point for point in points if point.judged[x.figure] is not None and point.judged[y.figure] is not None]
    scatter = go.Scattergl if len(known) > MANY else go.Scatter
    figure = go.Figure()
    groups: dict[str, list[Swept]] = {}
    for point in known:
        if point.pareto:
            groups.setdefault(", ".join(shown(point.point.get(axis)) for axis in sought.for_each), []).append(point)
    joined = len(sought.objectives) == 2 and len(groups) <= len(palette.SYMBOLS)
    if len(groups) > len(palette.SYMBOLS):
        groups = {"": [point for mine in groups.values() for point in mine]}
    beaten = [point for point in known if not point.pareto]
    parts = [("beaten", palette.DOMINATED, palette.SYMBOLS[0], "markers", beaten)]
    for (name, mine), symbol in zip(groups.items(), palette.SYMBOLS, strict=False):
        mine.sort(key=lambda point: (point.judged[x.figure] or 0.0, point.judged[y.figure] or 0.0))
        told = f"best of {name}" if name else "not beaten"
        parts.append((told, palette.BEST, symbol, "lines+markers" if joined else "markers", mine))
    for name, colour, symbol, mode, mine in parts:
        figure.add_trace(
            scatter(
                x=[point.judged[x.figure] for point in mine],
                y=[point.judged[y.figure] for point in mine],
                mode=mode,
                name=safe(name),
                line={"color": colour, "width": 1, "dash": "dot"},
                marker={
                    "color": colour,
                    "symbol": symbol,
                    "size": 8,
                    "line": {"width": 1, "color": "rgba(90,90,90,0.8)"},
                },
                customdata=[_judgement(point) for point in mine],
                hovertemplate=f"%{{customdata}}<br>{safe(x.figure)} %{{x:,.6~g}}<br>{safe(y.figure)} %{{y:,.6~g}}"
                "<extra></extra>",
            )
        )
    figure.update_xaxes(title=_axis(x), type=_scale(known, x), exponentformat="power")
    figure.update_yaxes(title=_axis(y), type=_scale(known, y), exponentformat="power")
    return styled(figure)


def search(sought: Sought) -> go.Figure:
    """Hypervolume of a search over its proposals."""
    known = [stage for stage in sought.stages if stage.hypervolume is not None]
    figure = go.Figure(
        go.Scatter(
            x=[stage.proposals for stage in known],
            y=[stage.hypervolume for stage in known],
            mode="lines+markers",
            line={"color": palette.BEST, "width": 2, "shape": "hv"},
            hovertemplate="%{x} proposals<br>hypervolume %{y:.4g}<extra></extra>",
        )
    )
    figure.update_xaxes(title="proposals", rangemode="tozero")
    figure.update_yaxes(title="hypervolume")
    return styled(figure)


def _axis(one: Objective) -> str:
    return f"{safe(one.figure)}, {'more' if one.goal == 'maximise' else 'less'} is better"


def _scale(points: Sequence[Swept], one: Objective) -> str:
    """Logarithmic where figures span a decade."""
    values = [point.judged[one.figure] or 0.0 for point in points]
    return "log" if min(values, default=0.0) > 0 and max(values) > 10 * min(values) else "linear"


def compression(runs: Sequence[Summary]) -> go.Figure:
    """Compression ratio against quality, energy as colour."""
    known, title = judged(runs)
    figure = go.Figure(
        go.Scatter(
            x=[one.run.compression.ratio for one in known],
            y=[one.quality for one in known],
            mode="markers+text" if len(known) <= FEW else "markers",
            text=[safe(one.run.recipe) for one in known],
            textposition="top center",
            showlegend=False,
            marker={
                "color": [one.run.energy_pj.total / 1e6 for one in known],
                "colorscale": "Cividis",
                "colorbar": {"title": {"text": "energy, uJ"}, "thickness": 12},
                "size": 13,
                "line": {"width": 1, "color": "rgba(90,90,90,0.8)"},
            },
            customdata=[_judgement(one.run) for one in known],
            hovertemplate="%{customdata}<br>%{marker.color:,.2f} uJ<extra></extra>",
        )
    )
    figure.update_xaxes(title="float32 bits over stored bits", type="log")
    figure.update_yaxes(title=title)
    return styled(figure)


def timeline(frame: pd.DataFrame, shown: int = SHOWN) -> go.Figure:
    """The first instructions of a run on their units, start to free."""
    first = frame.nsmallest(shown, "start", keep="first")
    figure = go.Figure()
    for unit, colour in palette.UNITS.items():
        mine = first[first["unit"].astype(str) == unit]
        if mine.empty:
            continue
        told = [
            f"<b>{safe(opcode)}</b> of {safe(layer)}<br>cycles {start:,} to {free:,}, results at {end:,}"
            for opcode, layer, start, free, end in zip(
                *(mine[name] for name in ("opcode", "layer", "start", "free", "end")), strict=True
            )
        ]
        figure.add_trace(
            go.Bar(
                y=[unit] * len(mine),
                x=(mine["free"] - mine["start"]).tolist(),
                base=mine["start"].tolist(),
                orientation="h",
                name=unit,
                marker={"color": colour, "line": {"width": 0.5, "color": "rgba(60,60,60,0.7)"}},
                customdata=told,
                hovertemplate="%{customdata}<extra></extra>",
            )
        )
    figure.update_layout(barmode="overlay", showlegend=False)
    figure.update_xaxes(title="core cycles")
    figure.update_yaxes(autorange="reversed")
    return styled(figure)


def styled(figure: go.Figure, *, above: bool = False) -> go.Figure:
    """What all charts share, the legend above or below; the page sets the colours of text and grid by its theme."""
    place = {"yanchor": "bottom", "y": 1.02} if above else {"yref": "container", "yanchor": "bottom", "y": 0}
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 64, "r": 16, "t": 16, "b": 56},
        legend={"orientation": "h", "x": 0, **place},
        hoverlabel={"align": "left"},
        font={"size": 13},
    )
    return figure
