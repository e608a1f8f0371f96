"""Configuration files: every fault at once, with its place; nothing executed, nothing unbounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from accelsim.compress.recipe import Recipe, load_recipe
from accelsim.config import shipped
from accelsim.config.arch import Machine
from accelsim.config.load import load_machine, load_model, load_technology, read_yaml
from accelsim.config.tech import Technology
from accelsim.errors import ConfigError
from accelsim.isa.program import Header
from accelsim.results import Summary
from accelsim.workload.graph_file import GraphSpec
from accelsim.workload.load import WorkloadSpec

EDGE = shipped.path_of("arch", "edge-ws").read_text()


def faults(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "m.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_machine(str(file))
    return [line.removeprefix(f"{tmp_path}/") for line in str(error.value).splitlines()]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("rows: 16", "rows: -1", "25:3: matrix.rows: must be greater than or equal to 1, not -1"),
        ("rows: 16", "rows: many", "25:3: matrix.rows: must be a valid integer, not 'many'"),
        ("rows: 16", "rows: 1.5", "25:3: matrix.rows: must be a valid integer, not 1.5"),
        ("clock_hz: 1e9", "clock_hz: .nan", "m.yaml:8:1: clock_hz: must be a finite number, not nan"),
        ("clock_hz: 1e9", "clock_hz: '1e9'", "m.yaml:8:1: clock_hz: must be a valid number, not '1e9'"),
        ("lanes:", "lames:", "30:3: vector.lames: must be a known key, not 'lames'; did you mean 'lanes'?"),
        ("kind: banked", "kind: baked", "m.yaml:54:1: dram: kind must be banked or simple or ideal, not 'baked'; "
                                        "did you mean 'banked'?"),
        ("part:", "prat:", "m.yaml:56:3: dram.prat: must be a known key, not 'prat'; did you mean 'part'?"),
        ("part: DDR4", "part: DDR3", "m.yaml:56:3: dram.part: must be a known dram or the path of a .yaml file, not "
                                     "'DDR3_8Gb_x8_3200'; did you mean 'DDR4_8Gb_x8_3200'"),
        ("double_buffered_weights: true", "double_buffered_weights: yes",
         "27:3: matrix.double_buffered_weights: must be a valid boolean, not 'yes'"),
        ("kind: weight_stationary", "kind: weight_stationery",
         "23:1: matrix: kind must be weight_stationary or input_stationary or "),
        ("capacity_bytes: 262144", "capacity_bytes: 262145",
         "39:1: activation: capacity_bytes must be a multiple of one word of all banks (64 bytes), not 262145"),
        ("kind: arch", "kind: arch\nkind: arch", "m.yaml:6:1: must be valid YAML: found duplicate key \"kind\""),
        ("matrix:", "matrix: [", "must be valid YAML"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line_with_its_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in EDGE
    assert any(expected in line for line in faults(tmp_path, EDGE.replace(old, new, 1)))


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = EDGE.replace("rows: 16", "rows: 0").replace("lanes: 16", "lanes: 0").replace("ports: 1", "ports: none")
    assert len(faults(tmp_path, text)) == 4


def test_numbers_of_yaml_1_2_are_read_as_numbers(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(EDGE.replace("capacity_bytes: 262144", "capacity_bytes: 1e6").replace("banks: 4", "banks: 5", 1)
                    .replace("width_bits: 128", "width_bits: 400", 1))  # fmt: skip
    loaded = load_machine(str(file))
    assert loaded.activation.capacity_bytes == 1_000_000
    assert loaded.clock_hz == 1e9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "m.yaml:1:1: must hold keys and values, not an empty file"),
        ("- a\n- b\n", "m.yaml:1:1: must hold keys and values, not a list"),
        ("a: !!python/object/apply:os.system ['true']\n", "must be a known key, not 'a'"),
        ("a: &a [1, 2]\nb: *c\n", "m.yaml:2:4: must be valid YAML: found undefined alias"),
        ("x: !!bool foo\n", "m.yaml:1:4: x: must be valid YAML: 'foo' is no bool"),
        ("x: !!set foo\n", "m.yaml:1:4: x: must be valid YAML: a scalar can't be a set"),
        ("clock_hz: 0x" + "F" * 5000 + "\n", "clock_hz: must be"),
        ('"ho\\nst": 1\n', "ho\\nst: must be a known key"),
    ],
)
def test_strange_files_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in line for line in faults(tmp_path, text))


def test_a_bomb_of_aliases_is_refused_quickly(tmp_path: Path) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert "must hold at most 100000 values" in faults(tmp_path, "\n".join(levels))[0]


def test_binary_missing_and_huge_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "m.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="must be UTF-8 text, but byte 0 is not"):
        read_yaml(file)
    with pytest.raises(ConfigError, match=r"none\.yaml: must be a readable file: No such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="must be a readable file"):
        read_yaml(tmp_path)
    file.write_text(EDGE)
    monkeypatch.setattr("accelsim.config.load.MAX_FILE_BYTES", 10)
    with pytest.raises(ConfigError, match="must be at most 10 bytes, but is larger"):
        read_yaml(file)


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"must be a known arch .*, not 'tpu-1v'; did you mean 'tpu-v1'\?"):
        load_machine("tpu-1v")
    with pytest.raises(ConfigError, match=r"not 'qqqq'; known are cacti-45nm, ddr4-45nm, han2015-45nm"):
        load_technology("qqqq")


def test_a_path_of_a_technology_is_relative_to_the_machine(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(shipped.path_of("tech", "han2015-45nm").read_text())
    (tmp_path / "m.yaml").write_text(EDGE.replace("tech: han2015-45nm", "tech: ./my.yaml"))
    assert faults(tmp_path, EDGE.replace("tech: han2015-45nm", "tech: none.yaml")) == [
        "m.yaml:9:1: tech: must be a tech file that exists, not 'none.yaml'"
    ]
    (tmp_path / "m.yaml").write_text(EDGE.replace("tech: han2015-45nm", "tech: ./my.yaml"))
    machine = load_machine(str(tmp_path / "m.yaml"))
    assert machine.tech == "./my.yaml"
    assert load_technology(machine.tech, beside=str(tmp_path / "m.yaml")).name == "han2015-45nm"


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for inner in _inner(field.annotation):
            yield from models(inner)


def _inner(annotation: object) -> list[type[BaseModel]]:
    import typing

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for a in typing.get_args(annotation) for m in _inner(a)]


@pytest.mark.parametrize("root", [Machine, Technology, Recipe, WorkloadSpec, GraphSpec, Header, Summary])
def test_every_field_has_a_unit_and_a_description(root: type[BaseModel]) -> None:
    for model in models(root):
        assert model.__doc__
        for name, field in model.model_fields.items():
            if _inner(field.annotation) and not field.description:
                continue  # a section: its model says what it is
            assert isinstance(field.json_schema_extra, dict), (model, name)
            assert field.json_schema_extra["unit"], (model, name)
            assert field.description, (model, name)


def test_every_shipped_file_is_valid_and_called_as_its_name() -> None:
    for name in shipped.names("arch"):
        machine = load_machine(name)
        assert machine.name == name
        load_technology(machine.tech)
        load_recipe(machine.default_recipe)
    for name in shipped.names("tech"):
        assert load_technology(name).name == name
    for name in shipped.names("recipe"):
        assert load_model(shipped.path_of("recipe", name), Recipe).name == name


def test_names_that_a_machine_refers_to_are_checked_at_their_place(tmp_path: Path) -> None:
    text = EDGE.replace("tech: han2015-45nm", "tech: han2015").replace("default_recipe: int8", "default_recipe: int88")
    assert faults(tmp_path, text) == [
        "m.yaml:9:1: tech: must be a known tech or the path of a .yaml file, not 'han2015'; "
        "did you mean 'han2015-45nm'?",
        "m.yaml:10:1: default_recipe: must be a known recipe or the path of a .yaml file, not 'int88'; "
        "did you mean 'int8'?",
    ]
