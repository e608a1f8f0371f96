"""Program files: what is saved is loaded, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from harness import inputs, machine, network
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.numpy import save_file

from accelsim.errors import AccelSimError, ProgramError
from accelsim.isa import descriptors, functions
from accelsim.isa.opcodes import INSTRUCTION
from accelsim.isa.program import Header, Program, RegionInfo


@pytest.fixture(scope="module")
def program() -> Program:
    rng = np.random.default_rng(0)
    net = network(rng, [20, 20])
    return net.compile(inputs(rng, net, 3), machine())


def test_save_and_load(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "p.acs"
    program.save(file)
    again = Program.load(file)
    assert again.header == program.header
    assert (again.instructions == program.instructions).all()
    assert (again.image == program.image).all()
    assert [path.name for path in tmp_path.iterdir()] == ["p.acs"]


def test_the_same_network_gives_the_same_file(program: Program, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    net = network(rng, [20, 20])
    again = net.compile(inputs(rng, net, 3), machine())
    assert again.digest == program.digest
    for file, which in (("a", program), ("b", again)):
        which.save(tmp_path / file)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_flipped_bit_is_noticed(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "p.acs"
    program.save(file)
    whole = file.read_bytes()
    rng = np.random.default_rng(1)
    for position in rng.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        file.write_bytes(bytes(damaged))
        with pytest.raises(ProgramError):
            Program.load(file)


@pytest.mark.parametrize("length", [0, 1, 8, 100, -1])
def test_a_truncated_file_is_refused(program: Program, tmp_path: Path, length: int) -> None:
    file = tmp_path / "p.acs"
    program.save(file)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(ProgramError, match=r"p\.acs: must be a whole safetensors file"):
        Program.load(file)


def test_changed_instructions_with_the_old_digest_are_refused(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "p.acs"
    program.save(file)
    with safe_open(file, framework="numpy") as opened:
        tensors = {name: opened.get_tensor(name).copy() for name in opened.keys()}  # noqa: SIM118 - no mapping
        metadata = opened.metadata()
    tensors["instructions"][0, 40] += 1
    save_file(tensors, file, metadata)
    with pytest.raises(ProgramError, match=r"sha256 must be .* the file is damaged or was changed"):
        Program.load(file)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("accelsim-program-3", "accelsim-program-9", r"format: must be accelsim-program-3, not 'accelsim-program-9'"),
        ('"workload":"random"', '"workload":7', r"header\.workload: must be a valid string, not 7"),
        ('"workload":"random",', "", r"header\.workload: must be given, but is missing"),
        ("{", "[", r"must be valid JSON: "),
    ],
)
def test_wrong_metadata_is_refused(program: Program, tmp_path: Path, old: str, new: str, message: str) -> None:
    file = tmp_path / "p.acs"
    program.save(file)
    with safe_open(file, framework="numpy") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
        text = opened.metadata()["accelsim"]
    assert old in text
    save_file(tensors, file, {"accelsim": text.replace(old, new, 1)})
    with pytest.raises(ProgramError, match=message):
        Program.load(file)


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F32"])
def test_tensors_of_other_types_are_refused(tmp_path: Path, dtype: str) -> None:
    size = {"BF16": 2, "F8_E4M3": 1, "F32": 4}[dtype]
    tensors = {name: {"dtype": dtype, "shape": [1], "data_offsets": [i * size, (i + 1) * size]}
               for i, name in enumerate(("instructions", "descriptors", "functions", "image"))}  # fmt: skip
    header = json.dumps({"__metadata__": {"accelsim": "{}"}, **tensors}).encode()
    file = tmp_path / "p.acs"
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4 * size))
    with pytest.raises(ProgramError, match=r"instructions, descriptors, functions, image must be bytes \(U8\)"):
        Program.load(file)


def test_two_layers_of_one_name_and_endless_sizes_are_refused(program: Program) -> None:
    fields = program.header.model_dump()
    for change in ({"layers": fields["layers"] * 2}, {"dram_bytes": 10**400}):
        with pytest.raises(ValidationError):
            Header.model_validate({**fields, **change})


def test_another_safetensors_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.acs"
    save_file({"a": np.zeros(1)}, file)
    with pytest.raises(ProgramError, match="must be a program file of format accelsim-program-3"):
        Program.load(file)


@pytest.mark.parametrize("name", ["instructions", "descriptors", "functions"])
def test_records_of_another_size_are_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "p.acs"
    sizes = {
        "instructions": INSTRUCTION.itemsize, "descriptors": 8 * descriptors.FIELDS, "functions": 8 * functions.FIELDS,
        name: 3,
    }  # fmt: skip
    tensors = {other: np.zeros((2, size), np.uint8) for other, size in sizes.items()}
    save_file({**tensors, "image": np.zeros(1, np.uint8)}, file, {"accelsim": "{}"})
    with pytest.raises(ProgramError, match=f"{name} must be records of"):
        Program.load(file)


def test_a_missing_file_and_an_unwritable_place_are_named(program: Program, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"none\.acs: must be a readable file"):
        Program.load(tmp_path / "none.acs")
    with pytest.raises(AccelSimError, match="must be in a folder that exists"):
        program.save(tmp_path / "no" / "p.acs")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([0, 1], "features must be 3 numbers, one a column, not 2"),
        ([0, 2, 2], "features must be numbers from 0 on, in ascending order"),
        ([-1, 0, 1], "features must be numbers from 0 on, in ascending order"),
    ],
)
def test_a_region_names_each_of_its_columns_once(program: Program, features: list[int], message: str) -> None:
    region = program.header.regions[0].model_copy(update={"columns": 3}).model_dump()
    assert RegionInfo.model_validate({**region, "features": [0, 2, 3]}).features == [0, 2, 3]
    with pytest.raises(ValidationError, match=message):
        RegionInfo.model_validate({**region, "features": features})
