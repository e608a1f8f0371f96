"""Recipes side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from command_line import accelsim, alone, refused

from accelsim import api
from accelsim.comparison import Comparison
from accelsim.compress.recipe import load_recipe
from accelsim.config import shipped
from accelsim.dse.compare import DEFAULT_RECIPES, Scheme, compare
from accelsim.errors import ConfigError
from accelsim.report import comparison, tables
from accelsim.results import Summary


@pytest.fixture(scope="module")
def default() -> Comparison:
    return compare()


def test_each_default_recipe_is_executed_bit_for_bit_on_its_machine(default: Comparison) -> None:
    assert sorted(row.recipe for row in default.rows) == sorted(DEFAULT_RECIPES)
    assert len(DEFAULT_RECIPES) >= 10
    assert all(row.bit_exact for row in default.rows)
    assert not default.refused
    assert all(row.arch == load_recipe(row.recipe).arch for row in default.rows)


def test_rows_are_single_runs_by_energy_and_relative_to_the_first_recipe_named(default: Comparison) -> None:
    energies = [row.energy_pj.total for row in default.rows]
    assert energies == sorted(energies)
    first = next(row for row in default.rows if row.recipe == DEFAULT_RECIPES[0])
    for row in default.rows:
        alone = api.run("digits-mlp", row.arch, row.recipe).summary
        assert row.energy_pj == alone.energy_pj
        assert row.cycles == alone.cycles
        assert row.quality == alone.quality
        assert row.relative
        assert row.relative.energy == row.energy_pj.total / first.energy_pj.total
        assert row.relative.cycles == row.cycles / first.cycles
        assert row.relative.stored_bits == row.compression.stored_bits / first.compression.stored_bits


def test_best_rows_are_those_that_no_other_row_beats(default: Comparison) -> None:
    def judged(row: object) -> tuple[float, float, float]:
        return row.energy_pj.total, row.seconds, -row.quality.task.value  # type: ignore[attr-defined] # a row

    for row in default.rows:
        beaten = [
            other
            for other in default.rows
            if all(a <= b for a, b in zip(judged(other), judged(row), strict=True)) and judged(other) != judged(row)
        ]
        assert row.pareto == (not beaten)
    assert 1 < sum(row.pareto for row in default.rows) < len(default.rows)


def test_what_retraining_and_hardware_are_for(default: Comparison) -> None:
    by = {row.recipe: row for row in default.rows}
    # zeros that only the decode unit knows of save bytes, not cycles of the array; removed ones save both
    assert by["pruned"].macs.skipped == 0
    assert by["pruned"].bytes.dram_read < by["int8"].bytes.dram_read
    assert by["pruned-skip"].macs.executed < 0.1 * by["int8"].macs.executed
    assert by["columns-compact"].cycles < 0.3 * by["int8"].cycles
    assert by["sparse24"].macs.executed == by["int8"].macs.executed / 2


def test_recipes_that_a_machine_cannot_execute_are_listed_with_the_reason() -> None:
    found = compare(recipes=("int8", "int4", "fp32@edge-ws-fp32", "lsq2"), arch="edge-eie")
    assert [(row.recipe, row.arch) for row in found.rows] == [("fp32", "edge-ws-fp32"), ("int8", "edge-eie")]
    assert [(refused.recipe, refused.arch) for refused in found.refused] == [("int4", "edge-eie"), ("lsq2", "edge-eie")]
    assert "operands must be int8, the type of edge-eie" in found.refused[0].reason
    assert [refused.machines for refused in found.refused] == [["edge-ws-int4"], ["edge-ws-int2"]]


def test_a_recipe_without_its_variant_is_refused_and_the_baseline_may_be_refused_too() -> None:
    found = compare("fc-4096", ("pruned", "int8"))
    assert [row.recipe for row in found.rows] == ["int8"]
    assert found.rows[0].relative is None
    assert "variant" in found.refused[0].reason


def test_machines_are_named_after_the_recipe_then_for_all_then_by_it() -> None:
    assert Scheme.parse("int4@tpu-v1", "edge-ws").arch == "tpu-v1"
    assert Scheme.parse("int4", "edge-ws").arch == "edge-ws"
    assert Scheme.parse("int4").arch == "edge-ws-int4"
    with pytest.raises(ConfigError, match="int5"):
        Scheme.parse("int5")


def test_the_command_prints_json_and_keeps_parquet(tmp_path: Path) -> None:
    done = alone("compare", "--recipes", "int8,int8-bitmask,int4@edge-ws", "--json", "-o", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["recipe"] for row in found["rows"]] == ["int8", "int8-bitmask"] or [
        row["recipe"] for row in found["rows"]
    ] == ["int8-bitmask", "int8"]
    assert found["refused"][0]["recipe"] == "int4"
    assert found == json.loads((tmp_path / "out" / "compare.json").read_text())
    frame = pd.read_parquet(tmp_path / "out" / "compare.parquet")
    assert list(frame["recipe"]) == [row["recipe"] for row in found["rows"]]
    assert list(frame["energy_pj.total"]) == [row["energy_pj"]["total"] for row in found["rows"]]
    table = accelsim("compare", "--recipes", "int8,int4@edge-ws")
    assert "refused: int4 on edge-ws: " in table.stdout
    assert table.stdout.endswith("; machines that can: edge-ws-int4\n")
    assert (
        refused("run", "--recipe", "w4a4")[-1] == "machines that can execute w4a4: edge-ws-mixed, npu-128, npu-256-hbm"
    )
    assert refused("compare", "--recipes", "int8,nothing")[0].startswith("must be a known recipe")


@pytest.mark.parametrize("recipe", [name for name in shipped.names("recipe") if not load_recipe(name).is_stored])
def test_every_recipe_is_bit_exact_on_the_machine_that_it_names(recipe: str) -> None:
    arch = load_recipe(recipe).arch
    assert arch is not None
    assert api.run("digits-mlp", arch, recipe).summary.bit_exact


def test_stars_are_for_the_objectives_that_were_asked_for(default: Comparison) -> None:
    assert default.objectives == ["energy", "seconds", "accuracy"]
    runs = [Summary(**{name: getattr(row, name) for name in Summary.model_fields}) for row in default.rows]
    found = {
        name: {row.recipe for row in Comparison.of(runs, None, [], names).rows if row.pareto}
        for name, names in (("one", ("seconds",)), ("two", ("energy", "accuracy")), ("delay", ("energy-delay",)))
    }
    assert found["one"] == {min(default.rows, key=lambda row: row.seconds).recipe}
    assert found["delay"] == {min(default.rows, key=lambda row: row.energy_pj.total * row.seconds).recipe}
    assert len(found["two"]) > 1
    assert refused("compare", "--objectives", "energy,speed") == [
        "must be a known objective, not 'speed'; did you mean 'seconds'?"
    ]
    assert refused("compare", "--timing-only", "--objectives", "accuracy")[0].startswith("objectives must be figures")


def test_rates_follow_from_energy_time_and_samples(default: Comparison) -> None:
    for row in default.rows:
        joules = 1e-12 * row.energy_pj.total
        assert row.samples == 360
        assert row.power_w == pytest.approx(joules / row.seconds)
        assert row.energy_delay_js == pytest.approx(joules * row.seconds)
        assert row.energy_per_sample_pj == pytest.approx(row.energy_pj.total / 360)
        assert row.samples_per_s == pytest.approx(360 / row.seconds)


def test_tables_of_different_scope_get_a_warning_and_no_stars() -> None:
    changed = {"arch.dram.part": "LPDDR4_8Gb_x16_2400"}
    leaking = api.run(tech="lpddr4-45nm", fields=changed, timing_only=True).summary
    plain = api.run(timing_only=True).summary
    assert leaking.scope == "events, leakage, clock, DRAM standby"
    assert leaking.energy_pj.static > 0
    mixed = Comparison.of([leaking, plain], plain, [])
    assert [row.pareto for row in mixed.rows] == [None, None]
    (warning,) = mixed.warnings
    assert "han2015-45nm: events; lpddr4-45nm: events, leakage, clock, DRAM standby" in warning
    assert "--tech TABLE" in warning
    assert any(row.pareto for row in Comparison.of([leaking, plain], plain, [], ("seconds",)).rows)
    table = comparison.schemes(mixed)
    assert "tech" in table.columns[:3]
    assert table.order.index("tech") < table.order.index("time")
    assert not Comparison.of([plain, plain], plain, []).warnings


def test_different_batches_are_held_against_each_other_per_sample() -> None:
    few, many = (
        api.run("fc-4096", fields={"workload.synthetic.batch": batch}, timing_only=True).summary for batch in (1, 16)
    )
    found = Comparison.of([few, many], few, [])
    assert {row.samples: row.pareto for row in found.rows} == {1: False, 16: True}  # weights are loaded once for all
    assert found.warnings == ["batches differ: figures are of whole runs unless they say that they are of a sample"]


def test_timing_alone_has_no_empty_columns() -> None:
    found = compare(recipes=("int8", "int4"), timing_only=True)
    assert found.objectives == ["energy", "seconds"]
    assert all(row.quality is None and row.timing_only for row in found.rows)
    table = comparison.schemes(found)
    assert not {"SQNR dB", "accuracy %", "exact"} & set(table.columns)
    layers = tables.layers(api.run(timing_only=True).summary)
    assert not {"SQNR dB", "exact"} & set(layers.columns)
    assert all(any(row[i] not in {"-", ""} for row in layers.rows) for i in range(len(layers.columns)))
