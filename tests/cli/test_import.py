"""accelsim import: what it writes runs, and what it can't read is told in one line with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import accelsim, alone, refused

CONV = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
CFG = """[general]
run_name = small

[architecture_presets]
ArrayHeight:    4
ArrayWidth:     5
IfmapSramSzkB:   64
FilterSramSzkB:  64
OfmapSramSzkB:   64
IfmapOffset:    0
FilterOffset:   10000000
OfmapOffset:    20000000
Bandwidth : 10
Dataflow : os

[run_presets]
InterfaceBandwidth: CALC
"""


def write(folder: Path, topology: str | bytes, config: str = CFG) -> None:
    (folder / "t.csv").write_bytes(topology if isinstance(topology, bytes) else topology.encode())
    (folder / "c.cfg").write_text(config)


def test_an_imported_topology_is_checked_and_runs(tmp_path: Path) -> None:
    write(tmp_path, f"{CONV}first, 9,9,3,3,2,7,2,\nsecond,1,1,1,1,30,4,1,\n")
    done = alone("import", "scalesim", "t.csv", "--config", "c.cfg", "-o", "new/out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines() == ["wrote new/out/workload.yaml", "wrote new/out/arch.yaml"]
    out = tmp_path / "new" / "out"
    assert accelsim("check", out / "workload.yaml", out / "arch.yaml").returncode == 0
    run = ["run", out / "workload.yaml", "--arch", out / "arch.yaml", "--json"]
    timed = json.loads(accelsim(*run, "--timing-only").stdout)
    # by hand: 16 rows in 4 blocks of 4, 7 columns in 2 of 5, each 4 + 5 + 18 - 2 cycles; then 1 block of 30 inputs
    assert [layer["array_cycles"] for layer in timed["layers"]] == [4 * 2 * 25, 37]
    assert timed["timing_only"] is True
    assert timed["quality"] is timed["bit_exact"] is timed["macs"]["skippable"] is None
    executed = json.loads(accelsim(*run).stdout)
    assert executed["bit_exact"] is True
    assert executed["timing_only"] is False
    assert executed["cycles"] == timed["cycles"]


def test_importing_again_gives_the_same_files_and_overwrites(tmp_path: Path) -> None:
    write(tmp_path, "Layer,M,N,K,\na,1,2,3,\n")
    command = ["import", "scalesim", "t.csv", "--config", "c.cfg", "-o", "out"]
    assert alone(*command, cwd=tmp_path).returncode == 0
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert sorted(first) == ["arch.yaml", "workload.yaml"]
    (tmp_path / "out" / "arch.yaml").write_text("old")
    assert accelsim(*command, cwd=tmp_path).returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first


def test_without_a_configuration_only_the_workload_is_written(tmp_path: Path) -> None:
    write(tmp_path, "Layer,M,N,K,Note,\na,1,2,3,x,\n")
    done = accelsim("import", "scalesim", "t.csv", "-o", "out", cwd=tmp_path)
    assert done.stderr.splitlines() == [
        "wrote out/workload.yaml",
        "t.csv: columns that SCALE-Sim does not read are left out: Note",
    ]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["workload.yaml"]


HEADER = (
    "must be the header Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, "
    "Strides of convolutions or Layer, M, N, K of matrix products, not "
)
INTEGER = "must be an integer from 1 to 1048576, not "


@pytest.mark.parametrize(
    ("topology", "expected"),
    [
        (b"", ["t.csv: must hold a header and layers, not nothing"]),
        (b"\n,,,\n", ["t.csv: must hold a header and layers, not nothing"]),
        (b"Layer,M,N,K,\n", ["t.csv:1:1: must be followed by at least one layer"]),
        (b"Layer,M,K,N,\na,1,2,3,\n", [f"t.csv:1:1: {HEADER}'Layer, M, K, N, '"]),
        (b"Conv1,1,1,1,1,1,1,1,\n", [f"t.csv:1:1: {HEADER}'Conv1, 1, 1, 1, 1, 1, 1, 1, '"]),
        (b"Layer,M,N,K,\na,1,2,\n\nb, x ,0,99999999,\n", [
            f"t.csv:2:7: K: {INTEGER}''",
            f"t.csv:4:4: M: {INTEGER}'x'",
            f"t.csv:4:7: N: {INTEGER}'0'",
            f"t.csv:4:9: K: {INTEGER}'99999999'",
        ]),
        (b"Layer,M,N,K,\na,1,2\n", ["t.csv:2:1: must have 4 columns (Layer, M, N, K), not 3"]),
        (b"Layer,M,N,K,\na,-1,1.5,1e3,\n", [
            f"t.csv:2:3: M: {INTEGER}'-1'", f"t.csv:2:6: N: {INTEGER}'1.5'", f"t.csv:2:10: K: {INTEGER}'1e3'",
        ]),
        ("Layer,M,N,K,\na,\u0661,1,1,\n".encode(), [f"t.csv:2:3: M: {INTEGER}'\u0661'"]),
        (b"Layer,M,N,K,\na," + b"9" * 5000 + b",1,1,\n", [f"t.csv:2:3: M: {INTEGER}'{'9' * 56}..."]),
        (b"Layer,M,N,K,\n,1,1,1,\n", ["t.csv:2:1: Layer: must be a name without control characters, not ''"]),
        (b"Layer,M,N,K,\na\x1b[31m,1,1,1,\n", [
            "t.csv:2:1: Layer: must be a name without control characters, not 'a\\x1b[31m'"]),
        (b"Layer,M,N,K,\n\xff\xfe,1,1,1,\n", ["t.csv: must be UTF-8 text, but byte 13 is not"]),
        (b"Layer,M,N,K,\n" + b"a" * 200_000 + b",1,1,1,\n", [
            "t.csv:2:1: must be a line of values and commas: field larger than field limit (131072)"]),
        (b"Layer,M,N,K,\na,1,1,1,3:2,\n", ["t.csv:2:9: Sparsity: must be an integer from 1 to 2, not '3'"]),
        (b"Layer,M,N,K,\na,1,1,1,1:0,\n", ["t.csv:2:9: Sparsity: must be an integer from 1 to 1048576, not '0'"]),
        (b"Layer,M,N,K,\na,1,1,1,1:2:3,\n", ["t.csv:2:9: Sparsity: must be N:M, not '1:2:3'"]),
        (b"Layer,M,N,K,\na,1,1,1,7,\n", ["t.csv:2:9: must be empty, or N:M, not '7'"]),
        (f"{CONV}a,3,3,3,4,1,1,1,\n".encode(), [
            "t.csv:2:9: Filter Width: must be at most IFMAP Width (3), not 4"]),
        (f"{CONV}a,3,3,3,3,1,1,0,\n".encode(), [
            f"t.csv:2:15: Strides, down: {INTEGER}'0'", f"t.csv:2:15: Strides, across: {INTEGER}'0'"]),
        (f"{CONV}a,1,1,1,1\n".encode(), [
            "t.csv:2:1: must have 8 columns (Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, "
            "Channels, Num Filter, Strides), not 5"]),
        (f"{CONV}a,90000,90000,1,1,1,1,1,\n".encode(), [
            "t.csv:2:1: must be a product of at most 2147483647 rows (M), not 8100000000"]),
        (f"{CONV}a,900,900,900,900,99,1,1,\n".encode(), [
            "t.csv:2:1: must be a product of at most 1048576 inputs (K), not 80190000"]),
        (f"{CONV}DP,1,1,1,1,1000000,1,1,\n".encode(), [
            "t.csv:2:1: must be among at most 8192 layers, a channel each if depthwise"]),
        (f"{CONV}".encode() + b"x,1,1,1,1,1,1,y,\n" * 30, [
            *(f"t.csv:{2 + i // 2}:15: Strides, {('down', 'across')[i % 2]}: {INTEGER}'y'" for i in range(20)),
            "t.csv: and 40 more faults"]),
        (b"=" * (2**24 + 1), ["t.csv: must be at most 16777216 bytes, but is larger"]),
    ],
    ids=lambda value: None if isinstance(value, list) else repr(value[-40:]),
)  # fmt: skip
def test_a_topology_that_cannot_be_read(topology: bytes, expected: list[str], tmp_path: Path) -> None:
    write(tmp_path, topology)
    assert refused("import", "scalesim", "t.csv", "--config", "c.cfg", "-o", "out", cwd=tmp_path) == expected
    assert not (tmp_path / "out").exists()


SECTION = "architecture_presets"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("ArrayHeight:    4", "ArrayHeight:    0",
         f"c.cfg:5:17: {SECTION}.ArrayHeight: must be an integer from 1 to 4096, not '0'"),
        ("ArrayWidth:     5", "", f"c.cfg:1:1: {SECTION}.ArrayWidth: must be given, but is missing"),
        ("ArrayWidth:     5", "ArrayWidth: 5 ; wide",
         f"c.cfg:6:13: {SECTION}.ArrayWidth: must be an integer from 1 to 4096, not '5 ; wide'"),
        ("Dataflow : os", "Dataflow : rs", f"c.cfg:14:12: {SECTION}.Dataflow: must be ws or is or os, not 'rs'"),
        ("CALC", "BOTH", "c.cfg:17:21: run_presets.InterfaceBandwidth: must be CALC or USER, not 'BOTH'"),
        ("InterfaceBandwidth: CALC", "",
         "c.cfg:1:1: run_presets.InterfaceBandwidth: must be CALC or USER, but is missing"),
        ("[general]", "", "c.cfg:2:1: must begin with a [section]"),
        ("[run_presets]", "[general]", "c.cfg:16:1: must have each section once"),
        ("ArrayWidth:     5", "ArrayHeight: 4", "c.cfg:6:1: arrayheight: must be given once"),
        ("ArrayWidth:     5", "ArrayWidth 5", "c.cfg:6:1: must be a key, a colon and a value"),
        ("run_name = small", "run_name = a\x7fb",
         "c.cfg:2:12: general.run_name: must be a name without control characters, not 'a\\x7fb'"),
        ("CALC", "USER\n[sparsity]\nSparsitySupport: true\nOptimizedMapping: true",
         "c.cfg:20:19: sparsity.OptimizedMapping: must be false: patterns that SCALE-Sim draws row by row are no "
         "layers of fixed sizes"),
        ("Bandwidth : 10\nDataflow : os\n\n[run_presets]\nInterfaceBandwidth: CALC",
         "Bandwidth : 10,20\nDataflow : os\n\n[run_presets]\nInterfaceBandwidth: USER",
         f"c.cfg:13:13: {SECTION}.Bandwidth: must be one number, or equal ones, not 10, 20"),
        ("FilterSramSzkB:  64", "FilterSramSzkB:  9999999\n[run_presets]\nInterfaceBandwidth: USER\n[x]",
         f"c.cfg:8:18: {SECTION}.FilterSramSzkB: must be an integer from 1 to 4194304, not '9999999'"),
    ],
)  # fmt: skip
def test_a_configuration_that_cannot_be_read(old: str, new: str, expected: str, tmp_path: Path) -> None:
    assert old in CFG
    text = CFG.replace(old, new)
    write(tmp_path, "Layer,M,N,K,\na,1,2,3,\n", text.split("[x]")[0] if "[x]" in text else text)
    lines = refused("import", "scalesim", "t.csv", "--config", "c.cfg", "-o", "out", cwd=tmp_path)
    assert expected in lines
    assert not (tmp_path / "out").exists()


def test_files_that_are_none_and_folders_that_cannot_be(tmp_path: Path) -> None:
    write(tmp_path, "Layer,M,N,K,\na,1,2,3,\n")
    command = ["import", "scalesim", "t.csv", "--config", "c.cfg"]
    assert refused("import", "scalesim", "no.csv", "-o", "out", cwd=tmp_path) == [
        "no.csv: must be a readable file: No such file or directory"
    ]
    assert refused("import", "scalesim", ".", "-o", "out", cwd=tmp_path) == [
        ".: must be a readable file: Is a directory"
    ]
    (line,) = refused(*command, "-o", "t.csv", cwd=tmp_path)
    assert line.startswith("t.csv: must be a folder, but ")
    (tmp_path / "out" / "arch.yaml").mkdir(parents=True)
    assert refused(*command, "-o", "out", cwd=tmp_path) == ["out/arch.yaml: must be a file, but is a folder"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["arch.yaml"]
    for arguments in (["import"], ["import", "onyx"], ["import", "scalesim"], ["import", "scalesim", "t.csv"]):
        assert refused(*arguments, cwd=tmp_path)
