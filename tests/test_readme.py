"""The README shows real output."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import accelsim
from accelsim.comparison import Comparison
from accelsim.dse.compare import compare
from accelsim.dse.sensitivity import scan
from accelsim.report import comparison, sensitivity, tables, text

#: Columns of the terminal on which the comparisons are shown.
WIDTH = 120
README = Path(__file__).parent.parent / "README.md"


def shown_of(found: Comparison) -> list[str]:
    """Lines of a comparison's table, without its title and the columns that are left out."""
    lines = text.lines(comparison.schemes(found), WIDTH)[1:]
    return lines[: 1 + len(found.rows)]


def test_the_shown_run_is_what_a_run_prints() -> None:
    readme = README.read_text()
    summary = accelsim.run().summary
    assert tables.headline(summary) in readme
    for table in (tables.layers, tables.energy, tables.units):
        for line in text.lines(table(summary)):
            assert line in readme.splitlines()


def test_the_shown_convolutional_network_is_what_a_run_and_a_comparison_print() -> None:
    readme = README.read_text()
    summary = accelsim.run("digits-cnn").summary
    assert tables.headline(summary) in readme
    (named,) = re.findall(r"`accelsim compare digits-cnn --recipes\s+([^`]+)`", readme)
    for line in [*text.lines(tables.layers(summary)), *shown_of(compare("digits-cnn", named.split(",")))]:
        assert line in readme.splitlines()


def test_the_shown_attention_is_what_a_comparison_prints() -> None:
    readme = README.read_text()
    (named,) = re.findall(r"`accelsim compare attention --recipes\s+([^`]+)`", readme)
    found = compare("attention", named.split(","))
    for line in shown_of(found):
        assert line in readme.splitlines()
    eie = next(row for row in found.rows if row.arch == "edge-eie")
    assert f"its host's: {100 * eie.units['io']['busy'] / eie.cycles:.0f} % of its time" in readme


@pytest.mark.slow
def test_the_shown_highway_is_what_a_comparison_prints() -> None:
    readme = README.read_text()
    (named,) = re.findall(r"`accelsim compare\s+fashion-resnet\s+--recipes\s+([^`]+)`", readme)
    found = compare("fashion-resnet", named.split(","))
    for line in shown_of(found):
        assert line in readme.splitlines()
    by = {row.recipe: row for row in found.rows}
    moved = {name: row.bytes.dram_read + row.bytes.dram_write for name, row in by.items()}
    assert f"{100 * moved['highway-int8'] / moved['int8'] - 100:.0f} % more bytes" in readme
    quality = [by[name].quality for name in ("int4", "highway-int4")]
    tasks = [found.task for found in quality if found and found.task]
    lost, won = 100 * (tasks[0].reference - tasks[0].value), 100 * (tasks[1].value - tasks[0].value)
    assert f"{won:.1f} of the {lost:.1f} points" in readme
    narrow, wide = by["int4"], by["highway-int4"]
    bytes_, cycles = moved["highway-int4"] / moved["int4"], wide.cycles / narrow.cycles
    energy = wide.energy_pj.total / narrow.energy_pj.total
    shown = f"{bytes_:.1f} times the bytes in DRAM, {cycles:.1f} times the cycles and {energy:.1f} times the energy"
    assert shown in " ".join(readme.split())
    plain, highway = (
        accelsim.run("resnet-18", "tpu-v1", name, timing_only=True).summary for name in ("int8", "highway-int8")
    )
    cycles, energy = highway.cycles / plain.cycles, highway.energy_pj.total / plain.energy_pj.total
    assert f"costs {100 * cycles - 100:.0f} % more cycles and {100 * energy - 100:.0f} % more energy" in readme


def test_the_shown_comparisons_are_what_compare_prints() -> None:
    readme = README.read_text()
    (named,) = re.findall(r"`accelsim compare --recipes\s+(\S+)`", readme)
    for found in (compare(), compare(recipes=named.split(","))):
        for line in shown_of(found):
            assert line in readme.splitlines()
    w4a4 = next(row for row in found.rows if row.recipe == "w4a4")
    for unit in ("matrix", "vector"):
        assert f"{w4a4.units[unit]['busy']:,}" in readme


def test_the_shown_zeros_save_what_they_save() -> None:
    lines = README.read_text().splitlines()
    for arch in ("edge-ws", "edge-sparse24", "edge-tensorcore", "edge-outer", "edge-eie"):
        by = {row.recipe: row for row in compare(recipes=("int8", "pruned-dense", "pruned"), arch=arch).rows}
        assert by["pruned"].quality == by["pruned-dense"].quality
        figures = []
        for row in (by[name] for name in ("int8", "pruned-dense", "pruned")):
            moved = row.bytes.dram_read + row.bytes.dram_write
            figures += [f"{row.cycles:,}", f"{moved / 1e3:,.0f}", f"{row.energy_pj.total / 1e6:,.1f}"]
        assert f"| `{arch}` | {' | '.join(figures)} |" in lines


def test_the_shown_scan_is_what_sensitivity_prints() -> None:
    lines = {" ".join(line.split()) for line in README.read_text().splitlines()}
    found = scan(scheme="prune_wanda", loss=0.01)
    shown = sensitivity.layers(found)
    for row in ((sensitivity.headline(found),), shown.columns, *shown.rows, (sensitivity.budgets(found),)):
        assert " ".join(" ".join(row).split()) in lines, row


def test_the_script_prints_what_is_shown(tmp_path: Path) -> None:
    readme = README.read_text()
    (script,) = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    assert len(script.splitlines()) < 20
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout in readme


def test_the_shown_axes_are_those_of_a_sweep(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (tmp_path / "s.yaml").write_text(f"kind: sweep\nname: s\ndescription: d\n{shown}")
    assert len(accelsim.Sweep(tmp_path / "s.yaml").space.points) == 12


def test_a_global_budget_keeps_what_is_said_of_it(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    for scheme, budget, said in (
        ("prune_wanda", "global", "97.8"),
        ("prune_magnitude", "global", "95.0"),
        ("prune_magnitude", "layer", "92.2"),
    ):
        pruning = f"{{scheme: {scheme}, sparsity: 0.7, budget: {budget}}}"
        file.write_text(f"kind: recipe\nname: r\ndescription: d\nsteps: [{pruning}, {{scheme: fp32}}]\n")
        task = scan(recipe=str(file), values=(0.0,)).baseline.task
        assert task
        assert f"{100 * task.value:.1f}" == said
        assert f"{said} %" in README.read_text()
