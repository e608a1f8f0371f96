"""Sweep files, and the points that follow from them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import qmc

from accelsim.config import shipped
from accelsim.config.load import load_machine, load_part
from accelsim.cost.area import area_mm2
from accelsim.dse.points import Point, points, sobol
from accelsim.dse.simulation import Job
from accelsim.dse.space import Refusal, Space
from accelsim.dse.spec import Axis, Constraint, Range, SweepSpec, load_sweep
from accelsim.dse.sweep import Sweep
from accelsim.errors import ConfigError

ROWS = Axis(field="arch.matrix.rows", values=[8, 16])


def spec(*axes: Axis, **fields: Any) -> SweepSpec:
    return SweepSpec(kind="sweep", name="s", description="d", axes=list(axes), **fields)


def job(*axes: Axis, number: int = 0, **fields: Any) -> Job:
    space = Space(spec(*axes, **fields))
    found = space.case(space.points[number])
    assert isinstance(found, Job), found
    return found


def refusal(*axes: Axis, **fields: Any) -> str:
    space = Space(spec(*axes, **fields))
    found = space.case(space.points[0])
    assert isinstance(found, Refusal)
    return found.error


def values(found: list[Point]) -> list[tuple[Any, ...]]:
    return [point.values for point in found]


def test_a_grid_has_all_combinations_and_the_last_axis_varies_fastest() -> None:
    found = points(spec(ROWS, Axis(field="recipe", values=["int8", None])))
    assert values(found) == [(8, "int8"), (8, None), (16, "int8"), (16, None)]
    assert [point.number for point in found] == [0, 1, 2, 3]


def test_ranges_are_even_in_differences_or_ratios() -> None:
    clock = "arch.clock_hz"
    assert values(points(spec(Axis(field=clock, range=Range(low=1e9, high=2e9, count=3))))) == [
        (1e9,),
        (1.5e9,),
        (2e9,),
    ]
    log = values(points(spec(Axis(field=clock, range=Range(low=1e8, high=1e10, count=3, scale="log")))))
    assert [value for (value,) in log] == pytest.approx([1e8, 1e9, 1e10], rel=1e-12)
    whole = Range(low=8, high=64, count=4, scale="log")
    assert values(points(spec(Axis(field="arch.matrix.rows", range=whole)))) == [(8,), (16,), (32,), (64,)]
    steps = Range(low=8, high=30, step=8)
    assert values(points(spec(Axis(field="arch.matrix.rows", range=steps)))) == [(8,), (16,), (24,)]
    assert values(points(spec(Axis(field="arch.matrix.rows", range=Range(low=8, high=8, step=8))))) == [(8,)]


def test_values_that_occur_twice_are_there_once() -> None:
    assert values(points(spec(Axis(field="arch.matrix.rows", values=[8, 16, 8])))) == [(8,), (16,)]
    three = Range(low=8, high=10, count=50)
    assert values(points(spec(Axis(field="arch.matrix.rows", range=three)))) == [(8,), (9,), (10,)]
    drawn = spec(Axis(field="arch.matrix.rows", values=[8, 16]), method="random", count=100)
    assert sorted(values(points(drawn))) == [(8,), (16,)]


def test_sobol_points_are_those_of_scipy_stretched_to_the_axes() -> None:
    axes = (
        Axis(field="arch.clock_hz", range=Range(low=1e8, high=1e9, scale="log")),
        Axis(field="arch.matrix.rows", range=Range(low=8, high=64, step=4)),
        Axis(field="recipe", values=["int8", "pruned", "columns"]),
    )
    cube = qmc.Sobol(3, scramble=True, rng=np.random.default_rng(5)).random(64)
    assert np.array_equal(sobol(3, 50, 5), cube[:50])
    found = values(points(spec(*axes, method="sobol", count=50, seed=5)))
    assert len(found) == 50
    for (clock, rows, recipe), (u, v, w) in zip(found, cube[:50].tolist(), strict=True):
        assert math.isclose(clock, 1e8 * 10**u, rel_tol=1e-12)
        assert rows == 8 + 4 * int(v * 15)
        assert recipe == ("int8", "pruned", "columns")[int(w * 3)]
    line = Axis(field="arch.clock_hz", range=Range(low=1e9, high=2e9, count=5, draw="sobol", seed=5))
    (first, *_) = values(points(spec(line)))[0]
    assert math.isclose(first, 1e9 * (1 + float(sobol(1, 5, 5)[0, 0])), rel_tol=1e-12)


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_drawn_points_follow_from_their_seed(method: str) -> None:
    def draw(seed: int, count: int = 20) -> list[tuple[Any, ...]]:
        axes = (Axis(field="arch.clock_hz", range=Range(low=1e8, high=1e9)), ROWS)
        return values(points(spec(*axes, method=method, count=count, seed=seed)))

    assert draw(1) == draw(1) != draw(2)
    assert draw(1, 10) == draw(1)[:10]
    assert all(1e8 <= clock < 1e9 for clock, _ in draw(1))


def test_random_steps_are_equally_likely() -> None:
    axis = Axis(field="arch.clock_hz", range=Range(low=1e9, high=3e9, step=1e9))
    rows = Axis(field="arch.host.queue_depth", range=Range(low=1, high=10**6))
    found = values(points(spec(axis, rows, method="random", count=3000)))
    for value in (1e9, 2e9, 3e9):
        assert 900 < sum(clock == value for clock, _ in found) < 1100


def test_too_many_points_are_refused() -> None:
    many = Range(low=1e8, high=1e9, count=1000)
    axes = [Axis(field=field, range=many) for field in ("arch.clock_hz", "arch.dram.part.timing.tck")]
    with pytest.raises(ConfigError, match="axes: must span at most 100000 points, not 1000000"):
        points(spec(*axes))
    with pytest.raises(ConfigError, match="must span at most"):
        points(spec(Axis(field="arch.clock_hz", range=Range(low=0, high=1e12, step=1))))


def test_axes_reach_fields_of_machine_part_table_recipe_and_workload() -> None:
    found = job(
        Axis(field="arch.matrix.rows", values=[32], also={"arch.activation.width_bits": 8}),
        Axis(field="arch.dram.part", values=["HBM2_8Gb_x128"]),
        Axis(field="arch.dram.part.timing.cl", values=[20]),
        Axis(field="arch.decode", values=[None]),
        Axis(field="tech", values=["cacti-45nm"]),
        Axis(field="tech.node_nm", values=[40]),
        Axis(field="recipe.steps.0.weight_bits", values=[4]),
        Axis(field="workload", values=["fc-4096"]),
        Axis(field="workload.synthetic.batch", values=[7]),
        Axis(field="workload.layers.0.outputs", values=[128]),
        recipe="int8",
    )
    assert found.machine.matrix.rows == 32
    assert found.machine.activation.width_bits == 256
    assert found.machine.dram.part.timing.cl == 20
    hbm = load_part("HBM2_8Gb_x128")
    assert found.machine.dram.part == hbm.model_copy(update={"timing": hbm.timing.model_copy(update={"cl": 20})})
    assert found.machine.decode is None
    assert (found.technology.name, found.technology.node_nm) == ("cacti-45nm", 40)
    assert found.recipe.steps[0].weight_bits == 4
    assert found.workload.spec.layers[0].product(found.workload.spec.synthetic.batch) == (7, 4096, 128)


def test_all_points_have_the_fields_of_the_sweep() -> None:
    found = job(ROWS, fields={"arch.matrix.columns": 32, "arch.activation.banks": 8}, number=1)
    assert (found.machine.matrix.rows, found.machine.matrix.columns, found.machine.activation.banks) == (16, 32, 8)


def test_an_unchanged_point_is_what_the_loaders_give() -> None:
    found = job(Axis(field="arch.matrix.rows", values=[16]))
    assert found.machine == load_machine("edge-ws")
    assert found.recipe.name == "int8"
    assert found.technology.name == found.machine.tech
    assert found.workload.spec.name == "digits-mlp"


def test_a_key_is_that_of_all_inputs_and_of_nothing_else(tmp_path: Path) -> None:
    same = [
        job(ROWS, number=1),
        job(Axis(field="arch", values=["edge-ws"])),
        job(Axis(field="recipe", values=["int8"])),
        job(Axis(field="workload", values=["digits-mlp"]), constraints=[Constraint(of="area_mm2", at_most=2)]),
    ]
    assert len({found.key for found in same}) == 1
    other = [
        job(ROWS),
        job(Axis(field="arch", values=["edge-outer"])),
        job(Axis(field="recipe", values=["int8-compact"])),
        job(Axis(field="tech", values=["cacti-45nm"])),
        job(Axis(field="arch.matrix.rows", values=[16]), timing_only=True),
        job(Axis(field="arch.matrix.rows", values=[16]), engine="reference"),
        same[0],
    ]
    assert len({found.key for found in other}) == len(other)
    folder = tmp_path / "w"
    folder.mkdir()
    for file in shipped.path_of("workload", "digits-mlp").parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    path = str(folder / "workload.yaml")
    before = job(ROWS, workload=path)
    weights = folder / "pruned.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert job(ROWS, workload=path).key != before.key


def test_what_does_not_fit_is_told_of_the_point() -> None:
    assert refusal(Axis(field="arch.matrix.rows", values=[0])).startswith(
        "arch.matrix.rows: must be greater than or equal to 1, not 0"
    )
    assert refusal(Axis(field="arch.dram.part", values=["DDR9"])).startswith("arch.dram.part: must be a known dram")
    assert refusal(Axis(field="recipe.steps.0.weight_bits", values=["x"]), recipe="int8").startswith("recipe.steps.0")
    assert refusal(Axis(field="workload.layers.0.outputs", values=[63])).startswith("workload.layers.1")
    two = Axis(field="recipe", values=["int8"], also={"arch.matrix.rows": 2})
    assert refusal(two) == "recipe: must be a number, of which arch.matrix.rows is a multiple, not 'int8'"


def test_constraints_bound_quantities_and_relate_fields() -> None:
    def allowed(*constraints: Constraint, rows: int = 16) -> bool:
        axis = Axis(field="arch.matrix.rows", values=[rows])
        space = Space(spec(axis, constraints=list(constraints)))
        found = space.case(space.points[0])
        assert isinstance(found, Job)
        return not space.violation(found)

    assert allowed()
    for name, value in (("multipliers", 256), ("scratchpad_bytes", 2**18), ("arch.vector.lanes", 16)):
        assert allowed(Constraint(of=name, at_most=value, at_least=value, equals=value))
        assert not allowed(Constraint(of=name, at_most=value - 1))
        assert not allowed(Constraint(of=name, at_least=value + 1))
        assert not allowed(Constraint(of=name, equals=value + 1))
    assert allowed(Constraint(of="arch.matrix.rows", equals="arch.matrix.columns"))
    assert not allowed(Constraint(of="arch.matrix.rows", equals="arch.matrix.columns"), rows=32)
    assert allowed(Constraint(of="arch.matrix.rows", at_least="arch.matrix.columns"), rows=32)
    assert not allowed(Constraint(of="arch.matrix.rows", at_most="arch.matrix.columns"), rows=32)
    with pytest.raises(ConfigError, match=r"arch.tech: must be a number where it has a bound"):
        allowed(Constraint(of="arch.tech", at_most=3))
    with pytest.raises(ConfigError, match=r"arch.l2.ways: must be known where it has a bound"):
        allowed(Constraint(of="arch.l2.ways", at_most=3))


def test_area_is_that_of_synthesis_and_of_cacti() -> None:
    machine = load_machine("edge-ws")
    banks = 4 * 2 * 0.09486  # two macros of 64 bits a bank: 32 KiB each
    accumulator = 2 * 8 * 0.0135  # 32 KiB of 512 bits: eight macros of 4 KiB
    assert area_mm2(machine) == pytest.approx((256 * 935 + 16 * 5061) / 1e6 + banks + accumulator, rel=1e-9)
    for name, known in (("edge-outer", True), ("edge-tensorcore", True), ("edge-eie", False), ("edge-ws-fp16", False)):
        assert (area_mm2(load_machine(name)) is not None) == known


FILE = """kind: sweep
name: mine
description: d
arch: {arch}
axes:
  - field: {field}
    values: [8]
{more}
"""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            {"arch": "edge-wss"},
            "4:1: arch: must be a known arch or the path of a .yaml file, not 'edge-wss'; did you mean",
        ),
        (
            {"field": "arch.matrix.row"},
            "6:5: axes.0.field: must be a known field of arch.matrix, not 'row'; did you mean 'rows'?",
        ),
        (
            {"field": "arc.x"},
            "6:5: axes.0.field: must be a known first part of a field's path, not 'arc'; did you mean 'arch'?",
        ),
        ({"field": "arch.matrix.lanes"}, "6:5: axes.0.field: must be a known field of arch.matrix, not 'lanes'; "),
        (
            {"field": "arch.l2.ways"},
            "6:5: axes.0.field: must be a field of what the base has, but its arch.l2 is absent",
        ),
        (
            {"field": "recipe.steps.3.layers"},
            "6:5: axes.0.field: must be an item of recipe.steps, of which there are 1, not 3",
        ),
        (
            {"field": "arch.clock_hz.x"},
            "6:5: axes.0.field: must end at arch.clock_hz, which has no fields, but goes on to 'x'",
        ),
        (
            {"more": "constraints: [{of: area, at_most: 1}]"},
            "8:16: constraints.0.of: must be a known quantity, or the dotted path of a field, "
            "not 'area'; did you mean 'area_mm2'?",
        ),
        ({"more": "constraints: [{of: area_mm2}]"}, "8:15: constraints.0: at_least, at_most or equals must be given"),
        (
            {"more": "constraints: [{of: arch.matrix.rows, equals: arch.matrix.column}]"},
            "8:38: constraints.0.equals: must be a known field of arch.matrix, not 'column'; did you mean 'columns'?",
        ),
        (
            {"more": "objectives: [{figure: energy_pj.totl}]"},
            "8:15: objectives.0.figure: must be a known field of energy_pj, not 'totl'; did you mean 'total'?",
        ),
        (
            {"more": "objectives: [{figure: energy_pj}]"},
            "8:15: objectives.0.figure: must be a number, not energy_pj; give one of its fields",
        ),
        (
            {"more": "timing_only: true\nobjectives: [{figure: quality.sqnr_db}]"},
            "9:15: objectives.0.figure: must be a figure that timing alone has, not quality.sqnr_db",
        ),
        ({"more": "method: sobol"}, "count must be given where method is sobol"),
        ({"more": "count: 3"}, "count must be absent where method is grid"),
        ({"more": "wokload: x"}, "8:1: wokload: must be a known key, not 'wokload'; did you mean 'workload'?"),
        (
            {"more": "  - {field: arch.clock_hz, range: {low: 1e9, high: 2e9}}"},
            "8:28: axes.1.range: must give a count for a grid",
        ),
        (
            {"more": "  - {field: arch.clock_hz, range: {low: 3e9, high: 2e9, count: 2}}"},
            "axes.1.range: high must be at least low (3e+09), not 2e+09",
        ),
        (
            {"more": "  - {field: arch.tech, range: {low: 1, high: 2, count: 2}}"},
            "axes.1.range: must be values for arch.tech, which is no number",
        ),
        (
            {"more": "  - {field: arch.matrix.rows, values: [3]}"},
            "must be fields that are set once, but arch.matrix.rows is set twice",
        ),
        ({"more": "  - {field: recipe, values: [int9]}"}, "8:30: axes.1.values.0: must be a known recipe or the path"),
        (
            {"more": "fields: {arch.matrix.column: 3}"},
            "8:10: fields.arch.matrix.column: must be a known field of arch.matrix, not 'column'; did you mean",
        ),
        ({"more": "fields: {arch.l2.ways: 3}"}, "8:10: fields.arch.l2.ways: must be a field of what the base has, but"),
        (
            {"more": "  - {field: arch.clock_hz, values: [1e400]}"},
            "axes.1: values must be finite numbers, names, flags",
        ),
        ({"more": "  - {field: arch, values: [3]}"}, "8:28: axes.1.values.0: must be a shipped name or the path of"),
        ({"more": "objectives: []"}, "8:1: objectives: must have at least 1 items, not 0"),
        ({"more": "for_each: [arch]"}, "8:12: for_each.0: must be a known axis of this sweep, not 'arch'; known are"),
        ({"more": "  - {field: arch.clock_hz}"}, "axes.1: either values or range must be given"),
        (
            {"more": "  - {field: arch.clock_hz, values: [1e9], also: {arch.vector.lane: 2}}"},
            "axes.1.also.arch.vector.lane: must be a known field of arch.vector, not 'lane'; did you mean 'lanes'?",
        ),
    ],
)
def test_faults_of_a_file_have_a_place_and_the_nearest_name(change: dict[str, str], fault: str, tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(FILE.format(**{"arch": "edge-ws", "field": "arch.matrix.rows", "more": ""} | change))
    with pytest.raises(ConfigError) as error:
        Sweep(str(file))
    lines = str(error.value).splitlines()
    assert any(fault in line and line.startswith(str(file)) for line in lines), lines


def test_faults_of_a_model_have_no_file() -> None:
    with pytest.raises(
        ConfigError, match=r"^axes\.0\.field: must be a known field of arch\.matrix, not 'row'; did you"
    ):
        Sweep(spec(Axis(field="arch.matrix.row", values=[1])))


def test_paths_of_a_file_begin_at_its_folder(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(
        shipped.path_of("arch", "edge-ws").read_text().replace("name: edge-ws", "name: mine")
    )
    file = tmp_path / "s.yaml"
    file.write_text(FILE.format(arch="./m.yaml", field="arch.matrix.rows", more=""))
    space = Sweep(str(file)).space
    found = space.case(space.points[0])
    assert isinstance(found, Job)
    assert found.machine.name == "mine"


@pytest.mark.parametrize("name", shipped.names("sweep"))
def test_shipped_sweeps_are_valid_and_small(name: str) -> None:
    assert load_sweep(name).name == name
    spec = Sweep(name).spec
    if spec.searches:
        with pytest.raises(ConfigError, match="method: must be grid, random or sobol where all points are asked for"):
            points(spec)
        spec = spec.model_copy(update={"method": "random", "count": 100})
    space = Sweep(spec).space
    cases = [space.case(point) for point in space.points]
    jobs = [case for case in cases if isinstance(case, Job)]
    assert len(jobs) == len(cases)
    assert 10 < sum(not space.violation(job) for job in jobs) <= 200


def test_a_violation_is_what_a_point_exceeds_its_bounds_by() -> None:
    constraints = [
        Constraint(of="arch.matrix.rows", at_most=10),
        Constraint(of="arch.matrix.columns", at_least=64, equals=20),
        Constraint(of="arch.matrix.weight_load", equals="arch.name"),
    ]
    space = Space(spec(Axis(field="arch", values=["edge-ws"]), constraints=constraints))
    found = space.case(space.points[0])
    assert isinstance(found, Job)
    assert space.violation(found) == pytest.approx(6 / 10 + 48 / 64 + 4 / 20 + 1)
