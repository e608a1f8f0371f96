"""The dashboard: in the file, and as headless Chromium shows it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import accelsim, alone, refused

import accelsim as package
from accelsim.comparison import Comparison
from accelsim.dse.compare import compare
from accelsim.report import dashboard, figures, palette, sources
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
        machine = figures.machine_of(row)
        assert machine
        top = max(roof.rate for roof in figures.compute_roofs(machine, "executed"))
        for level in ("dram", "sram"):
            memory = figures.memory_roof(machine, level)  # type: ignore[arg-type] # one of the levels
            assert memory
            for layer in row.layers:
                place = figures._place(layer, "executed", level)  # type: ignore[arg-type]
                assert place[0]
                assert place[1]
                assert place[1] <= min(top, memory * place[0]) * (1 + 1e-9)


def test_roofs_are_those_of_each_datatype() -> None:
    (row,) = compare(recipes=("w4a4",)).rows
    machine = figures.machine_of(row)
    assert machine
    assert {roof.name: roof.rate for roof in figures.compute_roofs(machine, "dense")} == {
        "fp16": 512e9, "int8": 1024e9, "int4": 2048e9,
    }  # fmt: skip


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed, so that nobody looks at the page")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_the_page(
    browser: Any, run: RunResult, found: Comparison, width: int, scheme: str, tmp_path: Path
) -> None:
    file = tmp_path / "d.html"
    dashboard.write([Source((run.summary,), run.timeline), Source(tuple(found.rows))], file)
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    for chart in page.locator(".chart:visible").all():
        chart.scroll_into_view_if_needed()
        chart.locator("svg.main-svg").first.wait_for()
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


def test_a_page_of_five_thousand_runs_stays_usable(browser: Any, run: RunResult, tmp_path: Path) -> None:
    text = run.summary.model_dump()
    text["counters"], text["provenance"] = [], {}
    text["layers"] = text["layers"][:1]
    text["layers"][0]["counters"] = []
    one = Summary.model_validate(text)
    many = []
    for i in range(5000):
        energy = one.energy_pj.model_copy(update={"total": one.energy_pj.total * (1 + i / 1000)})
        task = one.quality.task.model_copy(update={"value": (i * 7919 % 1000) / 1000})  # type: ignore[union-attr]
        quality = one.quality.model_copy(update={"task": task})  # type: ignore[union-attr]
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
    (tmp_path / "s.json").write_text(json.dumps({"sweep": {}, "rows": [{"point": 3}]}))
    assert refused("dashboard", "s.json", "-o", "d.html", cwd=tmp_path)[0].startswith("s.json: 0.point: must hold keys")


def test_a_source_is_read_as_it_was_kept(run: RunResult, found: Comparison, tmp_path: Path) -> None:
    run.save(tmp_path / "run")
    found.save(tmp_path / "many")
    source = sources.read(tmp_path / "run")
    assert source.runs == (run.summary,)
    assert source.timeline is not None
    assert len(source.timeline) == run.summary.instructions
    assert sources.read(tmp_path / "many" / "compare.json").runs == tuple(found.rows)
