"""The dashboard: in the file, and as headless Chromium shows it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from command_line import accelsim, alone, refused

import accelsim as package
from accelsim.comparison import Comparison
from accelsim.config.load import load_machine
from accelsim.dse.compare import compare
from accelsim.errors import AccelSimError
from accelsim.report import dashboard, figures, held, palette, sources
from accelsim.report.below import Below, roofs_of
from accelsim.report.roofs import Roofs
from accelsim.report.sources import Source
from accelsim.results import RunResult, Summary

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
RECIPES = ("fp16@edge-ws-mixed", "int8", "w4a4", "sparse24", "pruned")


@pytest.fixture(scope="module")
def run() -> RunResult:
    return package.run()


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compare(recipes=RECIPES)


@pytest.fixture(scope="module")
def cnn() -> RunResult:
    """A network with pools, which are layers without products."""
    return package.run("digits-cnn")


def specs(page: str) -> list[dict[str, Any]]:
    (line,) = re.findall(r"^<script>const SPECS = (\[.*\]);$", page, re.MULTILINE)
    specs_: list[dict[str, Any]] = json.loads(line)
    return specs_


def points(figure: dict[str, Any]) -> list[tuple[float, float]]:
    """What stands for layers or runs on a chart: points that tell of themselves."""
    return [
        (x, y)
        for trace in figure["data"]
        if "customdata" in trace and "marker" in trace
        for x, y in zip(trace["x"], trace["y"], strict=True)
    ]


def test_a_page_needs_nothing_from_elsewhere(run: RunResult, found: Comparison) -> None:
    page = dashboard.page([Source((run.summary,), run.timeline), Source(tuple(found.rows))])
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)\s*=\s*[\"']?([^\"'\s>]+)", markup) == ["data:,"]
    assert "@import" not in markup
    assert "url(" not in markup


@pytest.mark.parametrize("work", ["executed", "dense"])
@pytest.mark.parametrize("level", ["dram", "sram"])
def test_each_layer_is_a_point_where_the_result_has_it(
    found: Comparison, work: figures.Work, level: figures.Level
) -> None:
    figure = json.loads(figures.roofline(found.rows, work, level).to_json())
    expected = []
    for row in found.rows:
        for layer in row.layers:
            operations = 2 * (layer.macs.executed if work == "executed" else layer.macs.dense)
            moved = layer.bytes.dram_read + layer.bytes.dram_write
            if level == "sram":
                moved = layer.bytes.sram_read + layer.bytes.sram_write
            seconds = layer.active_cycles / 1e9
            expected.append((operations / moved, operations / seconds))
    assert sorted(points(figure)) == [pytest.approx(point) for point in sorted(expected)]
    if work == "executed" and level == "dram":
        assert [x for x, _ in points(figure)] == [x.roofline.ops_per_byte for r in found.rows for x in r.layers]


def test_executed_points_lie_below_their_machines_roofs(found: Comparison) -> None:
    for row in found.rows:
        roofs = roofs_of(row)
        assert roofs
        top = max(roofs.compute("executed").values())
        for level in ("dram", "sram"):
            memory = roofs.bytes_per_s[level]
            for layer in row.layers:
                place = figures._place(layer, "executed", level)
                assert place[0]
                assert place[1]
                assert place[1] <= min(top, memory * place[0]) * (1 + 1e-9)


def test_layers_without_products_lie_below_the_roof_of_the_lanes(cnn: RunResult) -> None:
    figure = json.loads(figures.vector_roofline([cnn.summary]).to_json())
    alone = [layer for layer in cnn.summary.layers if layer.name.startswith("pool")]
    expected = [
        (x.vector_work / (x.bytes.dram_read + x.bytes.dram_write), x.vector_work / (x.active_cycles / 1e9))
        for x in alone
    ]
    assert points(figure) == [pytest.approx(point) for point in expected]
    roofs = lines(figure)
    lanes, bandwidth = 16 * 1e9, 64 / 8 * 2 / 0.63e-9
    assert {y[0] for name, (_, y) in roofs.items() if "vector" in name} == {lanes}
    assert all(y < min(lanes, bandwidth * x) for x, y in points(figure))
    for work in ("executed", "dense"):
        drawn = json.loads(figures.roofline([cnn.summary], work, "dram").to_json())
        assert len(points(drawn)) == len(cnn.summary.layers) - len(alone)
        assert all(x > 0 and y > 0 for x, y in points(drawn))


def test_a_graph_has_a_mark_for_each_layer_that_tells_what_the_result_has(cnn: RunResult) -> None:
    figure = json.loads(figures.graph(cnn.summary).to_json())
    (marks,) = [trace for trace in figure["data"] if "customdata" in trace]
    assert len(marks["x"]) == len(cnn.summary.layers)
    for layer, colour, symbol, told in zip(
        cnn.summary.layers, marks["marker"]["color"], marks["marker"]["symbol"], marks["customdata"], strict=True
    ):
        assert colour == palette.BOUNDS[layer.roofline.bound]
        assert symbol == ("circle" if layer.macs.dense else "diamond")
        use = layer.utilization or layer.vector_work / (layer.active_cycles * 16)
        moved = layer.bytes.dram_read + layer.bytes.dram_write
        for part in (
            f"<b>{layer.name}</b>, {' x '.join(map(str, layer.shape))}<br>",
            f"{layer.cycles:,} cycles, {layer.energy_pj.total / 1e6:,.2f} uJ, {moved / 1e3:,.1f} kB of DRAM<br>",
            f"bound by {layer.roofline.bound}, use",
            f" {100 * use:.1f} %",
            *layer.nodes,
        ):
            assert part in told


@pytest.mark.parametrize(("count", "drawn"), [(3, True), (500, True), (501, False)])
def test_a_graph_is_drawn_unless_its_layers_are_too_many(cnn: RunResult, count: int, drawn: bool) -> None:
    one = cnn.summary.layers[0].model_copy(update={"counters": []})
    layers = [
        one.model_copy(update={"name": f"</b>l{i}", "reads": [f"</b>l{i - 1}" if i else "input"]}) for i in range(count)
    ]
    page = dashboard.page([Source((cnn.summary.model_copy(update={"layers": layers}),))])
    assert "Graph" in headings(page)
    assert ("Of more than 500 layers no graph is drawn" in page) == (not drawn)
    found = [spec for spec in specs(page) if spec["layout"].get("meta") == {"lane": figures.LANE}]
    assert len(found) == drawn
    for spec in found:
        assert len(spec["data"][2]["x"]) == count
        assert "</b>l" not in "".join(spec["layout"]["yaxis"]["ticktext"])


def test_what_a_result_does_not_have_is_not_drawn(run: RunResult) -> None:
    text = run.summary.model_dump(mode="json")
    for layer in text["layers"]:
        del layer["reads"]
    page = dashboard.page([Source((Summary.model_validate(text),))])
    assert {"Graph", "Roofline of vector work"}.isdisjoint(headings(page))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.b.conv1", "a.b.down"], "a.b: conv1, down"),
        (["conv1", "conv2"], "conv1, conv2"),
        (["a.conv", "a.conv.b"], "a: conv, conv.b"),
        (["x" * 40], "x" * 29 + "..."),
        (["first", *["y" * 20] * 5], "first +5"),
    ],
)
def test_names_of_a_row_are_cut_to_its_room(names: list[str], expected: str) -> None:
    assert figures._row_name(names) == expected


def test_energy_and_cycles_add_up_to_the_result(run: RunResult, found: Comparison) -> None:
    by_run = json.loads(figures.energy_by_run(found.rows).to_json())["data"]
    for i, row in enumerate(found.rows):
        assert sum(trace["y"][i] for trace in by_run) == pytest.approx(row.energy_pj.total / 1e6)
    by_layer = json.loads(figures.energy_by_layer(run.summary).to_json())["data"]
    assert sum(sum(trace["y"]) for trace in by_layer) == pytest.approx(run.summary.energy_pj.total / 1e6)
    for trace in by_layer:
        assert trace["marker"]["color"] == palette.COMPONENTS[trace["name"]]
    cycles = json.loads(figures.unit_cycles(run.summary).to_json())["data"]
    for i, unit in enumerate(cycles[0]["y"]):
        assert sum(trace["x"][i] for trace in cycles) == run.summary.units[unit]["total"] == run.cycles


def test_what_is_not_beaten_is_what_the_comparison_says(found: Comparison) -> None:
    figure = json.loads(figures.pareto(found.rows).to_json())
    best = next(trace for trace in figure["data"] if trace["name"] == "not beaten")
    assert sorted(best["text"]) == sorted(row.recipe for row in found.rows if row.pareto)
    assert len(points(figure)) == len(found.rows)


def test_the_first_tiles_lie_on_their_units(run: RunResult) -> None:
    figure = json.loads(figures.timeline(run.timeline, 50).to_json())
    bars = [(t["name"], b, b + x) for t in figure["data"] for b, x in zip(t["base"], t["x"], strict=True)]
    assert len(bars) == 50
    first = run.timeline.nsmallest(50, "start")
    assert sorted(bars) == sorted(zip(first["unit"].astype(str), first["start"], first["free"], strict=True))


def test_on_chip_memories_are_filled_to_what_the_result_has(run: RunResult) -> None:
    frame = run.occupancy
    figure = json.loads(held.occupancy(frame).to_json())
    names = list(frame["memory"].unique())
    assert len(figure["data"]) == 3 * len(names)
    for memory, traces in zip(names, zip(*[iter(figure["data"])] * 3, strict=True), strict=True):
        mine = frame[frame["memory"] == memory]
        stays, tiles, capacity = traces
        assert (stays["y"], tiles["y"]) == (mine["kept_bytes"].tolist(), mine["tile_bytes"].tolist())
        assert stays["stackgroup"] == tiles["stackgroup"] == memory
        assert tiles["x"] == mine["cycle"].tolist()
        assert set(capacity["y"]) == {getattr(load_machine("edge-ws"), memory).capacity_bytes}
    page = dashboard.page([Source((run.summary,), run.timeline, frame)])
    assert "<h2>On-chip memory</h2>" in page
    assert "On-chip memory" not in dashboard.page([Source((run.summary,))])


def test_names_do_not_become_markup(found: Comparison) -> None:
    text = found.model_dump()
    text["rows"][0]["workload"] = "</script><b>x"
    text["rows"][0]["layers"][0]["name"] = "</script><img src=x>{{body}}"
    page = dashboard.page([Source(tuple(Comparison.model_validate(text).rows))], title="<i>t")
    assert page.count("</script>") == 2
    assert "<img src=x>" not in page
    assert "<i>t" not in page
    assert len(specs(page)) > 8


def test_the_command_reads_what_others_keep(tmp_path: Path) -> None:
    assert accelsim("run", "-o", "one", cwd=tmp_path).returncode == 0
    assert accelsim("compare", "--recipes", "int8,int8-huffman", "-o", "two", cwd=tmp_path).returncode == 0
    done = alone("dashboard", "one", "two/compare.json", "-o", "both.html", "--title", "Both", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    page = (tmp_path / "both.html").read_text()
    assert "<title>Both</title>" in page
    assert len(points(specs(page)[0])) == 3 * 3
    assert len(points(specs((tmp_path / "one" / "dashboard.html").read_text())[0])) == 3
    assert len(points(specs((tmp_path / "two" / "dashboard.html").read_text())[0])) == 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", "r.json:1:2: must be JSON: Expecting property name enclosed in double quotes"),
        ("[1]", "r.json: must be the result of a run or of a comparison, which this is not"),
        ('{"rows": 3}', "r.json: rows: must be a valid array, not 3"),
        ('{"rows": 1' + 5000 * "0" + "}", "r.json: must be JSON: whole numbers must have at most 32 digits, not 5001"),
    ],
)
def test_files_that_are_no_results_are_one_line(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    lines = refused("dashboard", "r.json", "-o", "d.html", cwd=tmp_path)
    assert lines[0] == expected
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_missing_results_and_strange_timelines_are_one_line(tmp_path: Path) -> None:
    assert refused("dashboard", ".", "-o", "d.html", cwd=tmp_path) == [
        ".: must hold result.json or compare.json, but holds neither"
    ]
    assert accelsim("run", "-o", "one", cwd=tmp_path).returncode == 0
    (tmp_path / "one" / "timeline.parquet").write_bytes(b"PAR1 no")
    (line,) = refused("dashboard", "one", "-o", "d.html", cwd=tmp_path)
    assert line.startswith("one/timeline.parquet: must be a timeline: ")
    assert accelsim("run", "-o", "one", cwd=tmp_path).returncode == 0
    file = tmp_path / "one" / "occupancy.parquet"
    strange = pd.read_parquet(file).replace({"memory": {"accumulator": "</script>"}})
    strange.to_parquet(file)
    assert refused("dashboard", "one", "-o", "d.html", cwd=tmp_path) == [
        "one/occupancy.parquet: must be an occupancy, in whole numbers, of activation, weight, output, accumulator"
    ]
    file.write_bytes(b"PAR1 no")
    (line,) = refused("dashboard", "one", "-o", "d.html", cwd=tmp_path)
    assert line.startswith("one/occupancy.parquet: must be an occupancy: ")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed, so that nobody looks at the page")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(page: Any, file: Path) -> tuple[list[str], list[str]]:
    """Open a page and draw all its charts: what it says on the console, and what it asks for."""
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    for chart in page.locator(".chart:visible").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg.main-svg").first.wait_for()
    return said, asked


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_the_page(
    browser: Any, run: RunResult, found: Comparison, width: int, scheme: str, tmp_path: Path
) -> None:
    file = tmp_path / "d.html"
    dashboard.write([Source((run.summary,), run.timeline), Source(tuple(found.rows))], file)
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    said, asked = opened(page, file)
    assert said == []
    assert asked == [file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    runs = [run.summary, *found.rows]
    first = page.locator(".chart:visible").first
    assert first.locator(".scatterlayer path.point").count() == sum(len(r.layers) for r in runs)
    _legend_hides_a_run(page, first, runs)
    _a_point_tells_of_itself(page, first, runs)
    _a_head_sorts(page, runs)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark == (scheme == "dark")
    context.close()


def _a_point_tells_of_itself(page: Any, chart: Any, runs: list[Summary]) -> None:
    chart.scroll_into_view_if_needed()
    chart.locator(".scatterlayer path.point").nth(1).hover(force=True)
    told = page.locator(".hoverlayer .hovertext").first
    told.wait_for()
    assert any(layer.name in told.text_content() for run in runs for layer in run.layers)


def _legend_hides_a_run(page: Any, chart: Any, runs: list[Summary]) -> None:
    before = chart.locator(".scatterlayer path.point").count()
    toggle = chart.locator(".legend .legendtoggle").first
    toggle.dispatch_event("mousedown")
    toggle.dispatch_event("mouseup")
    page.wait_for_timeout(700)  # plotly waits whether it was a double click
    assert chart.locator(".scatterlayer path.point").count() == before - len(runs[0].layers)
    toggle.dispatch_event("mousedown")
    toggle.dispatch_event("mouseup")
    page.wait_for_timeout(700)


def _a_head_sorts(page: Any, runs: list[Summary]) -> None:
    heads = page.locator("section:has(h2:text-is('Runs')) th")
    heads.nth(3).click()
    cells = page.locator("section:has(h2:text-is('Runs')) tbody tr td:nth-child(4)").all_inner_texts()
    assert [int(cell.replace(",", "")) for cell in cells] == sorted(run.cycles for run in runs)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_the_graph_of_a_run(
    browser: Any, cnn: RunResult, width: int, scheme: str, tmp_path: Path
) -> None:
    file = tmp_path / "d.html"
    dashboard.write([Source((cnn.summary,), cnn.timeline)], file)
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    said, asked = opened(page, file)
    assert said == []
    assert asked == [file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    products, vector, graph = (page.locator(".chart").nth(i) for i in (0, len(VIEWS), len(VIEWS) + 1))
    layers = cnn.summary.layers
    alone = [layer for layer in layers if not layer.macs.dense]
    assert products.locator(".scatterlayer path.point").count() == len(layers) - len(alone)
    assert vector.locator(".scatterlayer path.point").count() == len(alone)
    assert graph.locator(".scatterlayer path.point").count() == len(layers) + 1  # and the input
    marks = graph.locator(".scatterlayer .trace").nth(2).locator("path.point")
    names = graph.locator(".yaxislayer-above .ytick text").all_text_contents()
    assert names == ["input", *(layer.name for layer in layers)]
    for i, layer in enumerate(layers):
        marks.nth(i).scroll_into_view_if_needed()
        marks.nth(i).hover(force=True)
        told = page.locator(".hoverlayer .hovertext").filter(has_text=layer.name).first
        told.wait_for()
        text, box = told.text_content(), told.bounding_box()
        assert f"{layer.cycles:,} cycles, {layer.energy_pj.total / 1e6:,.2f} uJ" in text
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    for chart in page.locator(".chart:visible").all():
        assert chart.evaluate(OVERLAPS) == []
    page.context.close()


#: Views of the roofline of a machine without a second level.
VIEWS = ("executed DRAM", "dense DRAM", "executed scratchpads", "dense scratchpads")
#: Titles and labels of axes that a chart's legend stands on.
OVERLAPS = """chart => {
    const legend = chart.querySelector(".legend");
    if (!legend) return [];
    const one = legend.getBoundingClientRect();
    const meets = (text) => {
        const two = text.getBoundingClientRect();
        return one.left < two.right && two.left < one.right && one.top < two.bottom - 1 && two.top + 1 < one.bottom;
    };
    return [...chart.querySelectorAll(".xtitle, .ytitle, .xtick text, .ytick text")].filter(meets)
        .map((text) => text.textContent);
}"""


def test_a_page_of_five_thousand_runs_stays_usable(browser: Any, run: RunResult, tmp_path: Path) -> None:
    text = run.summary.model_dump()
    text["counters"], text["provenance"] = [], {}
    text["layers"] = text["layers"][:1]
    text["layers"][0]["counters"] = []
    one = Summary.model_validate(text)
    many = []
    for i in range(5000):
        energy = one.energy_pj.model_copy(update={"total": one.energy_pj.total * (1 + i / 1000)})
        task = one.quality.task.model_copy(update={"value": (i * 7919 % 1000) / 1000})
        quality = one.quality.model_copy(update={"task": task})
        many.append(one.model_copy(update={"energy_pj": energy, "quality": quality}))
    file = tmp_path / "many.html"
    dashboard.write([Source(tuple(many))], file)
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20000)
    page.goto(file.as_uri())
    page.locator(".chart[data-drawn]").first.wait_for()
    chart = page.locator("section:has(h2:text-is('Energy against quality')) .chart")
    chart.scroll_into_view_if_needed()
    chart.locator(".gl-canvas, .main-svg").first.wait_for()
    count = page.evaluate(
        "document.querySelectorAll('section')[4].querySelector('.chart').data.reduce((n, t) => n + t.x.length, 0)"
    )
    assert count == 5000
    page.close()


def swept(run: Summary, points: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    """What `sweep --json` prints: the run at every point, whose place in energy and time follows from its number."""
    machine = load_machine("edge-ws")
    kept = json.loads(run.model_dump_json(exclude={"layers", "counters", "provenance"}))
    rows = []
    for i, point in enumerate(points):
        sides = {name.split(".")[-1]: n for name, n in point.items() if name.startswith("arch.matrix.")}
        matrix = machine.matrix.model_copy(update=sides)
        clock = point.get("arch.clock_hz", machine.clock_hz)
        roofs = Roofs.of(machine.model_copy(update={"matrix": matrix, "clock_hz": clock}))
        best = i % 50 == 7
        cost = {"energy_pj": {**kept["energy_pj"], "total": 1e6 * (1 + i + (not best))}, "cycles": 10**6 - i}
        rows.append({"point": point, "multipliers": 3.0, "area_mm2": 1.0 + i, "pareto": best, "error": None,
                     "roofs": roofs.model_dump(), "figures": {**kept, **cost}})  # fmt: skip
    objectives = [{"figure": "energy_pj.total", "goal": "minimise"}, {"figure": "area_mm2", "goal": "maximise"}]
    about = {"sweep": {"name": "s", "objectives": objectives, "for_each": [], **spec}, "provenance": {"versions": {}}}
    return {**about, "rows": rows}


def lines(figure: dict[str, Any]) -> dict[str, tuple[list[float], list[float]]]:
    """Roofs of a chart by their names."""
    return {trace["meta"]: (trace["x"], trace["y"]) for trace in figure["data"] if trace.get("mode") == "lines"}


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def test_a_search_shows_its_hypervolume(run: RunResult) -> None:
    text = swept(run.summary, [{"arch.clock_hz": 1e9 + 1e6 * i} for i in range(8)])
    assert "Search of s" not in headings(dashboard.page([sources.of_sweep(text)]))
    text["generations"] = [
        {"number": i, "proposals": 4 * i, "simulated": i, "best": 1, "hypervolume": [None, 0.25, 0.5][i - 1]}
        for i in (1, 2, 3)
    ]
    source = sources.of_sweep(text)
    assert "Search of s" in headings(dashboard.page([source]))
    assert source.sought
    (trace,) = json.loads(figures.search(source.sought).to_json())["data"]
    assert (trace["x"], trace["y"]) == ([8, 12], [0.25, 0.5])
    text["generations"][1]["hypervolume"] = "much"
    with pytest.raises(AccelSimError):
        sources.of_sweep(text)


def test_points_of_few_machines_lie_below_all_their_roofs(run: RunResult) -> None:
    sides = [{"arch.matrix.rows": rows, "arch.matrix.columns": columns} for rows in (8, 32) for columns in (8, 16)]
    points_ = [{**side, "arch.clock_hz": clock} for clock in (5e8, 1e9) for side in sides]
    source = sources.of_sweep(swept(run.summary, points_))
    assert Below.of(source.runs).told == "Lines: the roofs of all machines."
    for work in ("executed", "dense"):
        found = lines(json.loads(figures.roofline(source.runs, work, "dram").to_json()))
        rates = [2 * p["arch.matrix.rows"] * p["arch.matrix.columns"] * p["arch.clock_hz"] for p in points_]
        compute = {y[0] for name, (_, y) in found.items() if "int8" in name}
        assert compute == set(rates)
        (memory,) = [name for name in found if "DRAM" in name]
        dram = 64 / 8 * 2 / 0.63e-9
        assert memory == "DRAM, 25.4 GB/s"
        x, y = found[memory]
        assert [b / a for a, b in zip(x, y, strict=True)] == pytest.approx([dram] * len(x))
        assert x[-1] == pytest.approx(max(rates) / dram)
        assert len(found) == len(set(rates)) + 1
        for name, (x, y) in found.items():
            if name != memory:
                assert x[0] == pytest.approx(y[0] / dram)
    assert "arch.matrix.rows 8, arch.matrix.columns 8, arch.clock_hz 5e+08: int8, 64 Gops/s" in found
    assert "arch.clock_hz 1e+09: int8, 1.024 Tops/s" not in found
    assert "arch.matrix.rows 32, arch.matrix.columns 16, arch.clock_hz 1e+09: int8, 1.024 Tops/s" in found


@pytest.mark.parametrize(("count", "best", "shown"), [(150, 3, 3), (1000, 20, 6)])
def test_of_many_machines_those_of_points_that_no_other_one_beats_are_shown(
    run: RunResult, count: int, best: int, shown: int
) -> None:
    points_ = [{"arch.clock_hz": 1e9 + 1e6 * i} for i in range(count)]
    source = sources.of_sweep(swept(run.summary, points_))
    below = Below.of(source.runs)
    some = "" if best == shown else f"{shown}, from the least energy to the most, of the "
    assert below.told == (
        f"Machines have {count} different sets of roofs. Lines: {some}{best} of runs that no other one beats."
    )
    numbers = [7 + 50 * round(i * (best - 1) / (shown - 1)) for i in range(shown)]
    found = lines(json.loads(figures.roofline(source.runs, "executed", "dram").to_json()))
    compute = [y[0] for name, (_, y) in found.items() if "int8" in name]
    assert compute == pytest.approx([2 * 256 * (1e9 + 1e6 * i) for i in numbers])
    assert below.told.replace("&", "&amp;") in dashboard.page([source])


def test_many_machines_of_which_none_is_best_show_those_of_least_energy(run: RunResult) -> None:
    text = swept(run.summary, [{"arch.clock_hz": 1e9 + 1e6 * i} for i in range(30)])
    for row in text["rows"]:
        row["pareto"] = False
    below = Below.of(sources.of_sweep(text).runs)
    assert below.told == "Machines have 30 different sets of roofs. Lines: all, those of the least energy."
    assert [m.runs[0].energy_pj.total for m in below.shown] == [1e6 * (2 + i) for i in (0, 1, 2, 3, 4, 5)]


def test_the_page_of_a_sweep_has_what_its_points_have(run: RunResult) -> None:
    source = sources.of_sweep(swept(run.summary, [{"arch.clock_hz": 1e9 + 1e6 * i} for i in range(12)]))
    page = dashboard.page([source])
    assert headings(page) == [
        "Roofline", "Best points of s", "Energy by component", "Where the cycles went", "Runs", "Provenance",
    ]  # fmt: skip
    assert all(len(points(spec)) > 0 for spec in specs(page)[:5])
    assert all(any(len(trace["x"]) for trace in spec["data"]) for spec in specs(page))
    least, runs = re.findall("<table>(.*?)</table>", page, flags=re.DOTALL)
    assert re.findall("<th tabindex=0>(.*?)</th>", least) == ["best in", "figure", "arch.clock_hz"]
    told = re.findall('<tr><td data-value="([^"]*)">', least)
    assert told == ["energy_delay_js", "power_w", "energy_pj.total", "area_mm2"]
    heads = re.findall("<th tabindex=0>(.*?)</th>", runs)
    assert heads[0] == "arch.clock_hz"
    assert heads[-2:] == ["pareto", "area_mm2"]
    assert '"name": "s"' in page.replace("&quot;", '"')


def test_best_points_are_those_of_the_sweeps_objectives(run: RunResult) -> None:
    source = sources.of_sweep(swept(run.summary, [{"arch.clock_hz": 1e9 + 1e6 * i} for i in range(60)]))
    assert source.sought
    x, y = source.sought.axes
    figure = json.loads(figures.objectives(source.runs, source.sought, x, y).to_json())
    beaten, best = figure["data"]
    assert (best["x"], best["y"], best["mode"]) == ([8e6, 58e6], [8.0, 58.0], "lines+markers")
    assert len(beaten["x"]) == 58
    assert figure["layout"]["yaxis"]["title"]["text"] == "area_mm2, more is better"


def test_best_points_stand_apart_by_what_they_are_sought_for(run: RunResult) -> None:
    text = swept(run.summary, [{"recipe": "ab"[i // 50]} for i in range(100)], for_each=["recipe"])
    source = sources.of_sweep(text)
    assert source.sought
    figure = figures.objectives(source.runs, source.sought, *source.sought.axes)
    assert [trace.name for trace in figure.data] == ["beaten", "best of a", "best of b"]
    text["sweep"]["objectives"] = text["sweep"]["objectives"][:1]
    source = sources.of_sweep(text)
    assert source.sought
    assert [axis.figure for axis in source.sought.axes] == ["energy_pj.total", "cycles"]


def test_points_of_a_sweep_are_drawn_as_runs(run: RunResult, tmp_path: Path) -> None:
    figures_ = json.loads(run.summary.model_dump_json(exclude={"layers", "counters", "provenance"}))
    rows = [{"point": {"arch.matrix.rows": i}, "figures": figures_, "error": None, "pareto": False} for i in range(50)]
    rows.append({"point": {"arch.matrix.rows": 0}, "figures": None, "error": "no", "pareto": False})
    (tmp_path / "s.json").write_text(json.dumps({"sweep": {}, "rows": rows}))
    source = sources.read(tmp_path / "s.json")
    assert [sources.label(point) for point in source.runs[:2]] == ["arch.matrix.rows 0", "arch.matrix.rows 1"]
    assert len(source.runs) == 50
    page = dashboard.page([source])
    assert len(points(specs(page)[0])) == 50
    assert "Colour: what binds it.</p>" in page
    both = dashboard.page([Source((run.summary,)), Source(source.runs[:3], sought=source.sought)])
    assert len(points(specs(both)[0])) == 3 + 3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"point": 3}, "rows.1.point: must hold keys"),
        ({"point": {"arch.matrix.rows": 1}}, ": points must have the same axes, at most 64"),
        (
            {"roofs": {"ops_per_s": {"int8": -1}}},
            "rows.1.roofs.ops_per_s.int8: must be greater than or equal to 0.000001",
        ),
        ({"area_mm2": "</script>"}, "judged.area_mm2: must be a valid number"),
        ({"area_mm2": 10**400}, "s.json: must be JSON: whole numbers must have at most 32 digits, not 401"),
        ({"pareto": "no"}, "rows.1.pareto: must be a valid boolean"),
    ],
)
def test_points_that_no_sweep_prints_are_one_line(
    run: RunResult, change: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    text = swept(run.summary, [{"arch.clock_hz": 1e9}, {"arch.clock_hz": 2e9}])
    text["rows"][1] |= change
    (tmp_path / "s.json").write_text(json.dumps(text))
    assert expected in refused("dashboard", "s.json", "-o", "d.html", cwd=tmp_path)[0]


def test_a_sweep_writes_its_page(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "kind: sweep\nname: two\ndescription: d\ntiming_only: true\n"
        "axes: [{field: arch.matrix.rows, values: [8, 16]}]\nobjectives: [{figure: seconds}]\n"
    )
    done = accelsim("sweep", "s.yaml", "-o", "o", "--json", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0
    (tmp_path / "s.json").write_text(done.stdout)
    assert accelsim("dashboard", "s.json", "-o", "d.html", cwd=tmp_path).returncode == 0
    page = (tmp_path / "d.html").read_text()
    assert page == (tmp_path / "o" / "dashboard.html").read_text()
    found = lines(specs(page)[0])
    assert {name: y[0] for name, (_, y) in found.items() if "int8" in name} == {
        "arch.matrix.rows 8: int8, 256 Gops/s": 256e9, "arch.matrix.rows 16: int8, 512 Gops/s": 512e9,
    }  # fmt: skip
    assert headings(page)[1] == "Best points of two"


#: Pixels of a chart, drawn by the graphics processor, that are as dark as roofs and as no point.
DARK = """chart => {
    const source = chart.querySelector("canvas.gl-canvas-context");
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [source.width, source.height];
    const context = copy.getContext("2d");
    context.drawImage(source, 0, 0);
    const pixels = context.getImageData(0, 0, copy.width, copy.height).data;
    let dark = 0;
    for (let i = 0; i < pixels.length; i += 4) {
        dark += pixels[i] < 70 && pixels[i + 1] < 70 && pixels[i + 2] < 70 && pixels[i + 3] > 200;
    }
    return dark;
}"""


@pytest.mark.parametrize(("width", "count"), [(1280, 12), (390, 12), (1280, 5000)])
def test_a_browser_shows_the_page_of_a_sweep(
    browser: Any, run: RunResult, width: int, count: int, tmp_path: Path
) -> None:
    points_ = [{"arch.matrix.rows": 8 + i % 4, "arch.clock_hz": 1e9 + 1e5 * (i // 4)} for i in range(count)]
    text = json.dumps(swept(run.summary, points_), indent=2)
    (tmp_path / "s.json").write_text(text)
    assert len(text) < 6000 * count
    file = tmp_path / "d.html"
    dashboard.write([sources.read(tmp_path / "s.json")], file)
    assert file.stat().st_size < 6e6 + 3000 * count
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(20000)
    said, asked = opened(page, file)
    first = page.locator(".chart").first
    roofs = first.evaluate("chart => chart.data.filter((trace) => trace.mode === 'lines').length")
    assert roofs == (12 + 1 if count == 12 else 6 + 1)
    if count == 12:
        seen = first.locator(".scatterlayer path.js-line")
        assert seen.count() == roofs
        boxes = [line.bounding_box() for line in seen.all()]
        assert all(box and box["width"] > 10 for box in boxes)
        assert first.locator(".scatterlayer path.point").count() == count
    else:
        assert first.evaluate(DARK) > 1000  # roofs that points do not cover
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [text for text in said if "GPU stall" not in text] == []
    assert asked == [file.as_uri()]
    page.close()


def test_a_source_is_read_as_it_was_kept(run: RunResult, found: Comparison, tmp_path: Path) -> None:
    run.save(tmp_path / "run")
    found.save(tmp_path / "many")
    source = sources.read(tmp_path / "run")
    assert source.runs == (run.summary,)
    assert source.timeline is not None
    assert len(source.timeline) == run.summary.instructions
    assert sources.read(tmp_path / "many" / "compare.json").runs == tuple(found.rows)
