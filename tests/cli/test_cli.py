"""The command line: data on stdout, faults one a line on stderr, exit code 2, and nothing half-written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from command_line import accelsim, alone, refused

from accelsim.config import shipped


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("program") / "digits.acs"
    done = alone("compile", "digits-mlp", "--arch", "edge-ws", "-o", file)
    assert done.returncode == 0, done.stderr
    return file


def test_run_prints_one_json_object_and_saves_all_files(tmp_path: Path) -> None:
    done = alone("run", "--json", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert data["bit_exact"] is True
    folder = tmp_path / "out"
    assert sorted(f.name for f in folder.iterdir()) == [
        "dashboard.html",
        "layers.parquet",
        "occupancy.parquet",
        "outputs.npz",
        "result.json",
        "timeline.parquet",
    ]
    assert json.loads((folder / "result.json").read_text()) == data
    assert len(pd.read_parquet(folder / "timeline.parquet")) == data["instructions"]
    assert pd.read_parquet(folder / "layers.parquet")["cycles"].sum() == data["cycles"]
    schema = json.loads(alone("schema", "result").stdout)
    jsonschema.validate(data, schema)


def test_run_prints_tables(tmp_path: Path) -> None:
    done = accelsim("run", cwd=tmp_path)
    assert done.returncode == 0
    assert "bit-exact; accuracy" in done.stdout
    assert all(word in done.stdout for word in ("fc1", "total", "register_file", "wait host"))
    assert list(tmp_path.iterdir()) == []


def test_exec_repeats_what_run_does(program: Path) -> None:
    ran = json.loads(accelsim("run", "--json").stdout)
    executed = json.loads(alone("exec", program, "--json").stdout)
    assert executed["cycles"] == ran["cycles"]
    assert executed["energy_pj"] == ran["energy_pj"]
    assert executed["bit_exact"] is None


def test_text_assembles_to_the_same_file(program: Path, tmp_path: Path) -> None:
    text = tmp_path / "p.asm"
    text.write_text(alone("disasm", program, "--image").stdout)
    assert alone("asm", text, "-o", tmp_path / "again.acs").returncode == 0
    assert (tmp_path / "again.acs").read_bytes() == program.read_bytes()
    listing = accelsim("disasm", program).stdout
    assert ".bytes" not in listing
    assert "matmul" in listing


def test_check_accepts_all_kinds(program: Path) -> None:
    files = [shipped.path_of(kind, name) for kind in shipped.KINDS for name in shipped.names(kind)]
    done = alone("check", *files, program)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(files) + 1


def test_check_draws_no_weights(tmp_path: Path) -> None:
    layer = "{name: a, kind: gemm, m: 2147483647, k: 1048576, n: 1048576}"  # no computer holds it
    (tmp_path / "w.yaml").write_text(
        "kind: workload\nname: w\ndescription: d\nsource: s\nindependent: true\n"
        f"synthetic: {{seed: 1, batch: 1}}\nlayers: [{layer}]\n"
    )
    assert accelsim("check", "w.yaml", cwd=tmp_path).stdout == "w.yaml: ok, workload w\n"
    (fault,) = refused("run", "w.yaml", cwd=tmp_path)
    assert re.fullmatch(r"tensors of w must fit this computer's memory of \d+ bytes, not 9011597297057792", fault)


@pytest.mark.parametrize("kind", ["arch", "dram", "tech", "recipe", "workload", "result", "program"])
def test_schema_is_a_schema_that_shipped_files_meet(kind: str) -> None:
    schema = json.loads(accelsim("schema", kind).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    if kind in shipped.KINDS:
        from accelsim.config.load import read_yaml

        for name in shipped.names(kind):
            jsonschema.validate(read_yaml(shipped.path_of(kind, name)).data, schema)


def test_list_names_what_is_shipped() -> None:
    listing = alone("list").stdout
    assert all(name in listing for kind in shipped.KINDS for name in shipped.names(kind))
    assert "matmul" in accelsim("list", "opcode").stdout
    assert refused("list", "archs") == [
        "must be a known kind, not 'archs'; did you mean 'arch'?",
    ]


def test_list_tech_shows_every_figure_of_every_table_with_its_source() -> None:
    from accelsim.config.load import load_technology

    lines = accelsim("list", "tech").stdout.splitlines()
    columns = {name: lines[0].index(name) for name in ("operation", "width", "value", "unit", "source", "assumption")}
    for name in shipped.names("tech"):
        table = load_technology(name)
        rows = [line for line in lines[1:] if line.split()[0] == name]
        commands = 6 if table.dram_energy == "currents" else 0
        assert len(rows) == len(table.entries) + len(table.leakage) + len(table.clock) + commands
        for row, entry in zip(rows, table.entries, strict=False):
            assert row[columns["operation"] :].startswith(entry.operation)
            assert row[columns["width"] :].startswith(f"{entry.bits} bit")
            assert entry.source in row[columns["source"] :]
            assert entry.assumption in row[columns["assumption"] :]
            assert f"{entry.energy_pj:g}" in row[: columns["unit"]].split()
        assert accelsim("list", "tech", name).stdout.count(name) >= len(rows)
    shown = "\n".join(" ".join(line.split()) for line in lines)
    for expected in (
        "horowitz2014-45nm sram_read 64 bits, 32 KiB 20 pJ Horowitz, ISSCC 2014, Fig. 1.1.9 the figure of a cache",
        "horowitz2014-45nm dram_read 64 bits, upper 2600 pJ Horowitz",
        "cacti-45nm sram_write 64 bits, 1 KiB 3.1542 KiB^0.4569 pJ CACTI 7",
        "lpddr4-45nm leakage of sram 8192 bits 2.44e-05 mW CACTI 7",
        "lpddr4-45nm clock of register 1 bit 0.00794 pJ a core cycle Aladdin",
        # by hand from the currents: 1.2 V x 0.83 ns x 4 devices x (243 - 47) mA x 8 clocks
        "lpddr4-45nm dram_read 1024 bits 6246.91 pJ currents of LPDDR4_8Gb_x16_2400",
        "hbm2-45nm dram_active_clock a rank 66 pJ a DRAM clock currents of HBM2_8Gb_x128",
        "ddr4-45nm dram_refresh a rank 670602 pJ currents of DDR4_8Gb_x8_3200",
    ):
        assert expected in shown, expected


def test_list_shows_one_by_its_name() -> None:
    (head, *rows) = accelsim("list", "opcode", "load").stdout.splitlines()
    assert head.split()[0] == "opcode"
    assert {row.split()[0] for row in rows} == {"load"}
    (_, row) = accelsim("list", "arch", "tpu-v1").stdout.splitlines()
    assert row.split()[:2] == ["arch", "tpu-v1"]
    assert refused("list", "tech", "han2015") == [
        "must be a known tech, not 'han2015'; did you mean 'han2015-45nm'?",
    ]


def test_help_and_version() -> None:
    done = alone("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("run", "compile", "disasm", "exec", "list", "check", "schema"))
    assert alone("--version").stdout.startswith("accelsim 0")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "digits-mpl"], "must be a known workload or the path of a .yaml file, not 'digits-mpl'; "
                                "did you mean 'digits-mlp'?"),
        (["run", "--arch", "tpuv1"], "must be a known arch or the path of a .yaml file, not 'tpuv1'; "
                                         "did you mean 'tpu-v1'?"),
        (["run", "--recipe", "int88"], "must be a known recipe or the path of a .yaml file, not 'int88'; "
                                      "did you mean 'int8'?"),
        (["run", "none.yaml"], "none.yaml: must be a readable file: No such file or directory"),
        (["exec", "none.acs"], "none.acs: must be a readable file: No such file or directory"),
        (["check", "none.yaml"], "none.yaml: must be a readable file: No such file or directory"),
        (["schema", "xyz"], "must be a known kind, not 'xyz'; known are arch, dram, plan, program, recipe, result, "
                            "sweep, tech, workload"),
    ],
)  # fmt: skip
def test_wrong_names_are_one_line(arguments: list[str], expected: str, tmp_path: Path) -> None:
    assert refused(*arguments, cwd=tmp_path) == [expected]
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_when_the_input_is_wrong(tmp_path: Path) -> None:
    refused("run", "--arch", "edge", "-o", "out", cwd=tmp_path)
    refused("compile", "digits", "-o", "p.acs", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (line,) = refused("run", "-o", "file", cwd=tmp_path)
    assert line.startswith("file: must be a folder, but ")
    for place in ("file/p.acs", "none/p.acs"):
        (line,) = refused("compile", "digits-mlp", "-o", place, cwd=tmp_path)
        assert line.startswith(f"{place}: must be in a folder that exists")
    (line,) = refused("compile", "digits-mlp", "-o", ".", cwd=tmp_path)
    assert line == ".: must be a file, but is a folder"
    (line,) = refused("run", "-o", "x" * 300, cwd=tmp_path)
    assert "must be a possible path: File name too long" in line
    assert (tmp_path / "file").read_text() == "kept"


def test_a_bad_machine_names_every_fault_with_its_place(tmp_path: Path) -> None:
    text = shipped.path_of("arch", "edge-ws").read_text()
    (tmp_path / "m.yaml").write_text(text.replace("rows: 16", "rows: 0").replace("lanes:", "lames:"))
    lines = refused("run", "--arch", "m.yaml", cwd=tmp_path)
    assert lines == [
        "m.yaml:25:3: matrix.rows: must be greater than or equal to 1, not 0",
        "m.yaml:29:1: vector.lanes: must be given, but is missing",
        "m.yaml:30:3: vector.lames: must be a known key, not 'lames'; did you mean 'lanes'?",
    ]
    assert refused("check", "m.yaml", cwd=tmp_path) == lines


def test_check_names_the_faults_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: aarch\n")
    (tmp_path / "b.yaml").write_text("kind: recipe\n")
    lines = refused("check", "a.yaml", "b.yaml", cwd=tmp_path)
    assert lines[0] == ("a.yaml:1:1: kind: must be a known kind of file, not 'aarch'; did you mean 'arch'?")
    assert len(lines) == 4


def test_a_scratchpad_too_small_is_refused(tmp_path: Path) -> None:
    text = shipped.path_of("arch", "edge-ws").read_text()
    small = text.replace("capacity_bytes: 262144", "capacity_bytes: 64")
    small = small.replace("width_bits: 128", "width_bits: 256").replace("banks: 4", "banks: 1")
    for name in ("weight", "output"):
        apart = f"{name}: {{capacity_bytes: 65536, banks: 1, width_bits: 256, ports: 1}} #"
        small = small.replace(f"{name}: activation", apart)
    (tmp_path / "m.yaml").write_text(small.replace("rows: 16", "rows: 128"))
    lines = refused("run", "--arch", "m.yaml", cwd=tmp_path)
    expected = "layer fc2: the activation memory of edge-ws must hold the smallest tile, 128 bytes, but has 64"
    assert lines == [f"m.yaml: {expected}"]


@pytest.mark.parametrize("where", [100, 5000, -10])
def test_a_tampered_program_is_refused(program: Path, tmp_path: Path, where: int) -> None:
    damaged = bytearray(program.read_bytes())
    damaged[where] ^= 0x10
    (tmp_path / "p.acs").write_bytes(bytes(damaged))
    for command in ("exec", "disasm", "check"):
        lines = refused(command, "p.acs", cwd=tmp_path)
        assert len(lines) == 1
        assert lines[0].startswith("p.acs: ")


def test_a_program_with_a_wait_removed_is_refused(program: Path, tmp_path: Path) -> None:
    text = accelsim("disasm", program, "--image").stdout
    line = next(x for x in text.splitlines() if x.startswith("matmul"))
    wait = next(word for word in line.split() if word.startswith("wait="))
    (tmp_path / "p.asm").write_text(text.replace(line, line.replace(wait + " ", "").replace(wait, ""), 1))
    assert accelsim("asm", "p.asm", "-o", "p.acs", cwd=tmp_path).returncode == 0
    (first,) = refused("exec", "p.acs", cwd=tmp_path)
    assert "(matmul of fc1)" in first
    assert "but nothing orders the two" in first


def test_an_output_file_is_overwritten(program: Path, tmp_path: Path) -> None:
    (tmp_path / "p.acs").write_text("old")
    assert accelsim("compile", "digits-mlp", "-o", "p.acs", cwd=tmp_path).returncode == 0
    assert (tmp_path / "p.acs").read_bytes() == program.read_bytes()


def test_a_folder_in_the_place_of_a_result_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "out" / "layers.parquet").mkdir(parents=True)
    assert refused("run", "-o", "out", cwd=tmp_path) == ["out/layers.parquet: must be a file, but is a folder"]
    assert [f.name for f in (tmp_path / "out").iterdir()] == ["layers.parquet"]


def test_a_full_standard_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "accelsim.cli.main", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["standard output must take what is printed: No space left on device"]


def test_a_program_for_another_machine_asks_for_it(tmp_path: Path) -> None:
    text = shipped.path_of("arch", "edge-ws").read_text()
    (tmp_path / "slow.yaml").write_text(text.replace("DDR4_8Gb_x8_3200 ", "DDR4_8Gb_x8_2400 "))
    assert accelsim("compile", "digits-mlp", "--arch", "slow.yaml", "-o", "p.acs", cwd=tmp_path).returncode == 0
    (line,) = refused("exec", "p.acs", cwd=tmp_path)
    assert line == "--arch must name the machine: no shipped one is the 'edge-ws' that the program is for"
    slow = json.loads(accelsim("exec", "p.acs", "--arch", "slow.yaml", "--json", cwd=tmp_path).stdout)
    assert slow["cycles"] == json.loads(accelsim("run", "--arch", "slow.yaml", "--json", cwd=tmp_path).stdout)["cycles"]


def test_layers_may_be_called_anything_printable(tmp_path: Path) -> None:
    shutil.copytree(shipped.path_of("workload", "digits-mlp").parent, tmp_path / "w")
    file = tmp_path / "w" / "workload.yaml"
    file.write_text(file.read_text().replace("name: fc2", "name: '[/red] é'"))
    done = accelsim("run", "w/workload.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[/red] é" in done.stdout
    file.write_text(file.read_text().replace("name: '[/red] é'", 'name: "a\\nb"'))
    (line,) = refused("run", "w/workload.yaml", cwd=tmp_path)
    assert line.endswith("layers.1.name: must be a name without control characters, not 'a\\nb'")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-v", "run"],
        ["run", "--arch", "edge", "-o", "out"],
        ["check", "a.yaml", "b.yaml"],
        ["run", "--engine", "quick"],
        ["list", "arch"],
    ],
    ids=" ".join,
)
def test_a_process_of_its_own_says_what_this_one_says(arguments: list[str], tmp_path: Path) -> None:
    here, there = accelsim(*arguments, cwd=tmp_path), alone(*arguments, cwd=tmp_path)
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)
    assert list(tmp_path.iterdir()) == []


def test_usage_errors_exit_2() -> None:
    for arguments in (["run", "--engine", "quick"], ["compile", "digits-mlp"], ["frobnicate"], ["check"]):
        assert len(refused(*arguments)) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_not_replaced_and_a_link_is_followed(program: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (line,) = refused("compile", "digits-mlp", "-o", "pipe", cwd=tmp_path)
    assert line == "pipe: must be a file, but is a device or pipe"
    (tmp_path / "link").symlink_to("target")
    assert accelsim("compile", "digits-mlp", "-o", "link", cwd=tmp_path).returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == program.read_bytes()
    (line,) = refused("run", "-o", "link", cwd=tmp_path)
    assert line.startswith("link: must be a folder, but ")


def test_a_closed_standard_output_is_no_traceback() -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m accelsim.cli.main list >&-"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def recipe_with(folder: Path, step: str) -> Path:
    """A recipe of int8 and one more step."""
    file = folder / "r.yaml"
    head = "kind: recipe\nname: r\ndescription: ''\nsteps:\n  - scheme: int8\n"
    file.write_text(f"{head}  - {step}\n")
    return file


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("{scheme: store, format: zip}",
         "r.yaml:6:21: steps.1.format: must be packed or relative or bitmask or codebook or huffman or "
         "relative_huffman or csr or csc, not 'zip'"),
        ("{scheme: store, format: codebook, bits: 9}",
         "r.yaml:6:39: steps.1.bits: must be less than or equal to 8, not 9"),
        ("{scheme: store, format: huffman, bits: 4}",
         "r.yaml:6:5: steps.1: bits must be absent for huffman, which has no width, not 4"),
        ("{scheme: store}", "r.yaml:6:5: steps.1.format: must be given, but is missing"),
        ("{scheme: store, format: packed}",
         "layer fc1: weights, as edge-ws packs them, must fit the format packed: "
         "values of int4 must be -8 to 7, not -?[0-9]+"),
        ("{scheme: store, format: codebook}",
         "layer fc1: weights, as edge-ws packs them, must fit the format codebook: "
         "the tensor must have at most 32 different values, not [0-9]+"),
    ],
)  # fmt: skip
def test_a_storage_format_that_cannot_be_is_one_line(step: str, expected: str, tmp_path: Path) -> None:
    line, *able = refused("run", "--recipe", recipe_with(tmp_path, step).name, "-o", "out", cwd=tmp_path)
    assert re.fullmatch(expected, line), line
    assert not able  # no machine holds such weights
    assert not (tmp_path / "out").exists()


def test_a_machine_without_a_decode_unit_refuses_encoded_weights() -> None:
    for command in (["run"], ["compile", "digits-mlp", "-o", "p.acs"]):
        assert refused(*command, "--arch", "tpu-v1", "--recipe", "int8-huffman") == [
            "layer fc1: weights stored as huffman must be expanded by a decode unit, which tpu-v1 lacks",
            "machines that can execute int8-huffman: edge-eie, edge-outer, edge-sparse24, edge-tensorcore, edge-ws, "
            "npu-128-int8, npu-256-hbm-int8",
        ]


def test_a_program_of_encoded_weights_is_listed_assembled_and_executed(tmp_path: Path) -> None:
    done = accelsim(
        "compile", "digits-mlp", "--arch", "edge-ws", "--recipe", "int8-relative", "-o", "p.acs", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (tmp_path / "p.asm").write_text(accelsim("disasm", "p.acs", "--image", cwd=tmp_path).stdout)
    assert " format=relative bits=4 " in (tmp_path / "p.asm").read_text()
    assert accelsim("asm", "p.asm", "-o", "again.acs", cwd=tmp_path).returncode == 0
    assert (tmp_path / "again.acs").read_bytes() == (tmp_path / "p.acs").read_bytes()
    executed = json.loads(accelsim("exec", "p.acs", "--json", cwd=tmp_path).stdout)
    assert executed["energy_pj"]["decode"] > 0
    assert executed["units"]["decode"]["busy"] > 0
    first, *_ = refused("exec", "p.acs", "--arch", "tpu-v1", cwd=tmp_path)
    assert first.startswith("p.acs: instruction ")
    assert first.endswith("(decode of fc1): must be an instruction of a decode unit, which tpu-v1 lacks")
