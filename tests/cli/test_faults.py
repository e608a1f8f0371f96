"""Inputs that once gave a traceback, a hang, or a line that blamed something else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command_line import accelsim, refused

from accelsim.cli import main as cli
from accelsim.config import shipped
from accelsim.errors import FAULTS

EDGE = shipped.path_of("arch", "edge-ws").read_text()
#: What the installed command does.
COMMAND = (sys.executable, "-c", "from accelsim.cli import command; command()")


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize(
    "arguments",
    [
        "check F", "check F.yaml", "asm F -o p", "disasm F", "exec F", "dashboard F -o d.html", "explain F",
        "graph F.onnx", "graph F.gguf", "graph F.pt", "run --data F --timing-only", "run --arch F.yaml",
        "run --recipe F.yaml", "run F.yaml", "sweep F.yaml", "dram --part F.yaml --trace F", "import scalesim F -o o",
        "dram --part DDR4_8Gb_x8_2400 --trace F",
    ],
)  # fmt: skip
def test_pipes_and_devices_are_refused_at_once(arguments: str, kind: str, tmp_path: Path) -> None:
    for name in {word for word in arguments.split() if word.startswith("F")}:
        if kind == "pipe":
            os.mkfifo(tmp_path / name)
        else:
            (tmp_path / name).symlink_to("/dev/zero")
    begun = time.monotonic()
    (line,) = refused(*arguments.split(), cwd=tmp_path)
    assert re.fullmatch(rf"F[.a-z]*: must be a regular file, but is a {kind}", line)
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: tech\nbase: han2015-45nm\nentries:\n- operation: [a]\n", "entries.0.energy_pj: must be given"),
        ('kind: tech\nbase: "a\\0/b.yaml"\n', r"2:1: base: must be a table's file that exists, not 'a\x00/b.yaml'"),
        (f"kind: tech\nbase: {'a' * 5000}.yaml\n", "base: must be a table's file that exists, not 'aaa"),
        (f"kind: arch\nmatrix:\n  kind: 0x{'f' * 5000}\n", "3:9: matrix.kind: must be a number of at most 64 char"),
        ("kind: arch\n? [a]\n: 1\n", "2:3: keys must be names, not lists or mappings"),
        ("kind: arch\n<<: 3\n", "2:5: must be valid YAML: a merge key must name mappings"),
        ("kind: arch\na: &a {b: *a}\n", "must hold at most 64 values inside each other"),
        (f"kind: arch\na: {'[' * 100}{']' * 100}\n", "2:67: must hold at most 64 values inside each other"),
        (f"kind: {'x' * 5000}\n", f"'{'x' * 70}"),
    ],
    ids=range(9),
)  # fmt: skip
def test_files_of_yaml_that_are_none(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(text)
    lines = refused("check", "f.yaml", cwd=tmp_path)
    assert any(expected in line for line in lines), lines
    assert all(line.startswith("f.yaml:") for line in lines)


def test_a_file_of_many_faults_tells_the_first_ones(tmp_path: Path) -> None:
    """100,000 unknown keys took minutes and were 4 MB of messages."""
    (tmp_path / "f.yaml").write_text(EDGE + "".join(f"key{i}: 1\n" for i in range(1000)))
    lines = refused("check", "f.yaml", cwd=tmp_path)
    assert len(lines) == FAULTS + 1
    assert lines[-1] == "f.yaml: and 980 more faults"


def test_more_values_than_a_file_may_have_are_refused_while_it_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accelsim.config.tree.MAX_NODES", 3000)
    (tmp_path / "keys.yaml").write_text("".join(f"key{i}: 1\n" for i in range(10**5)))
    base = f"a: &a {{{', '.join(f'k{i}: 1' for i in range(200))}}}\n"
    (tmp_path / "merge.yaml").write_text(base + "b:\n" + "  - {<<: *a}\n" * 200)
    begun = time.process_time()
    for name in ("keys.yaml", "merge.yaml"):
        assert refused("check", name, cwd=tmp_path) == [
            f"{name}: must hold at most 3000 values, aliases counted in full"
        ]
    assert time.process_time() - begun < 10


def test_layers_of_all_repeats_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(
        "kind: workload\nname: x\ndescription: d\nsource: s\nsynthetic: {seed: 1, batch: 1}\nindependent: true\n"
        "repeats: 10000\nlayers:\n- {name: a, kind: gemm, m: 4, k: 4, n: 4}\n"
    )
    (line,) = refused("check", "f.yaml", cwd=tmp_path)
    assert line.endswith("layers must be at most 8192 in all repeats, not 10000")


def test_an_unknown_technology_is_told_beside_other_faults(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(EDGE.replace("tech: han2015-45nm", "tech: han2016") + "more: 1\n")
    first, second = refused("check", "m.yaml", cwd=tmp_path)
    assert "tech: must be a known tech" in first
    assert "more: must be a known key" in second


@pytest.mark.parametrize(
    "option", [["run"], ["run", "--arch"], ["run", "--recipe"], ["sweep"], ["dram", "--trace", "t", "--part"]]
)
def test_a_name_that_no_file_can_have_is_unknown(option: list[str]) -> None:
    """It was standard output that could not take what was printed."""
    (line,) = refused(*option, "a" * 5000)
    assert re.match(r"must be a known \w+ or the path of a .yaml file, not 'a{60}", line), line
    assert len(line) < 1000


def test_files_of_other_tools_are_no_workload_files(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\xff")
    (tmp_path / "s.yaml").write_text(
        f"kind: sweep\nname: s\ndescription: d\nworkload: {tmp_path}/m.onnx\n"
        "axes: [{field: arch, values: [edge-ws]}]\n"
    )
    done = accelsim("sweep", "s.yaml", "--workers", "1", cwd=tmp_path)
    assert "m.onnx: must be a workload's .yaml file, as accelsim import writes one" in done.stderr


def test_a_trace_of_one_write_that_waits_for_company(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("0x0 WRITE 0\n")
    done = accelsim("dram", "--part", "LPDDR4_8Gb_x16_2400", "--trace", "t.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "energy" in done.stdout


def test_commands_of_a_trace_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accelsim.memory.trace.MAX_COMMANDS", 10)
    (tmp_path / "t.txt").write_text("0x0 READ 0\n0x0 READ 1000000\n")
    part = ("dram", "--part", "DDR4_8Gb_x8_2400", "--trace", "t.txt")
    assert accelsim(*part, cwd=tmp_path).returncode == 0
    assert refused(*part, "--commands", "c.txt", cwd=tmp_path) == [
        "a trace whose commands are kept must have at most 10 of them"
    ]
    assert not (tmp_path / "c.txt").exists()


def test_an_import_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("Layer,M,N,K,\na,4,5,6,\n")
    (tmp_path / "c.cfg").write_text(
        "[architecture_presets]\nArrayHeight: 8\nArrayWidth: 8\nIfmapSramSzkB: 64\nFilterSramSzkB: 64\n"
        "OfmapSramSzkB: 64\nDataflow: ws\nBandwidth: 10\n[run_presets]\nInterfaceBandwidth: USER\n"
    )
    (tmp_path / "o" / "arch.yaml").mkdir(parents=True)
    (line,) = refused("import", "scalesim", "t.csv", "--config", "c.cfg", "-o", "o", cwd=tmp_path)
    assert line == "o/arch.yaml: must be a file, but is a folder"
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["arch.yaml"]


@pytest.mark.parametrize(
    ("arch", "change", "recipe", "expected"),
    [
        ("edge-outer", ("mask_bits: 1024", "mask_bits: 32"), "qserve-w4a8",
         "layer fc1: a weight tile must have a multiple of 64 inputs, whole groups, but the matrix unit of edge-outer "
         "takes at most 32 at once"),
        ("edge-ws-mixed", (r"(accumulator:\n  capacity_bytes: )65536(.*)\n  banks: 4", r"\g<1>128\2\n  banks: 1"),
         "svdquant", "layer fc1: the accumulator memory of edge-ws-mixed must hold the smallest tile, 192 bytes, but "
         "has 128"),
    ],
)  # fmt: skip
def test_every_refusal_of_a_tiling_has_its_reason(
    arch: str, change: tuple[str, str], recipe: str, expected: str, tmp_path: Path
) -> None:
    text, times = re.subn(*change, shipped.path_of("arch", arch).read_text())
    assert times == 1
    (tmp_path / "m.yaml").write_text(text)
    lines = refused("explain", "digits-mlp", "--plan", "--arch", "m.yaml", "--recipe", recipe, cwd=tmp_path)
    assert lines[0] == f"m.yaml: {expected}"


def swept(**row: Any) -> dict[str, Any]:
    return {"sweep": {"name": "<b>s</b>"}, "rows": [{"point": {"x": 1}, "figures": None, "error": "<i>no", **row}]}


def test_a_page_of_a_sweep_without_a_point_that_could_be_simulated_says_so(tmp_path: Path) -> None:
    for text in (swept(), {**swept(), "rows": []}):
        (tmp_path / "s.json").write_text(json.dumps(text))
        done = accelsim("dashboard", "s.json", "-o", "d.html", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        page = (tmp_path / "d.html").read_text()
        assert "There is no point that could be simulated." in page
        assert "Points of &lt;b&gt;s&lt;/b&gt; that failed" in page
        assert ("&lt;i&gt;no" in page) == bool(text["rows"])
    (tmp_path / "s.yaml").write_text(
        "kind: sweep\nname: s\ndescription: d\nrecipe: int4\ntiming_only: true\n"
        "axes: [{field: arch, values: [edge-ws]}]\n"
    )
    assert accelsim("sweep", "s.yaml", "-o", "o", "--workers", "1", cwd=tmp_path).returncode == 0
    assert "There is no point that could be simulated." in (tmp_path / "o" / "dashboard.html").read_text()


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("result")
    done = accelsim("run", "-o", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_results_that_say_too_little_or_too_much(result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.loads((result / "result.json").read_text())
    unit = next(iter(found["units"]))
    without = {**found, "units": {**found["units"], unit: {"busy": 1}}}
    for text, expected in (
        (json.dumps(without), f"r.json: units.{unit}: must have total, but it is missing"),
        ("[" * 10**5, "r.json: must be JSON of fewer values inside each other"),
        ('{"layers": [' + "{}," * 10**5 + "{}]}", "r.json: layers.0: must be an object with all fields, but lacks "),
        ('{"rows": [NaN]}', "r.json: must be JSON: NaN is no number"),
        (b'{"rows": "\xff"}', "r.json: must be JSON in UTF-8"),
    ):
        (tmp_path / "r.json").write_bytes(text if isinstance(text, bytes) else text.encode())
        (line,) = refused("dashboard", "r.json", "-o", "d.html", cwd=tmp_path)
        assert line.startswith(expected)
    monkeypatch.setattr("accelsim.report.sources.MAX_VALUES", 100)
    (line,) = refused("dashboard", result, "-o", "d.html", cwd=tmp_path)
    assert line.endswith("result.json: must hold at most 100 values, which it does not")


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("timeline", {"start": "x"}, "must be a timeline, with whole numbers of issue, start, free, end"),
        ("timeline", {"unit": 3}, "must be a timeline, with names of layer, unit, opcode"),
        ("timeline", {"layer": None}, "must be a timeline, with names of layer, unit, opcode"),
        ("occupancy", {"cycle": 0.5}, "must be an occupancy, in whole numbers, of "),
        ("occupancy", {"memory": "x"}, "must be an occupancy, in whole numbers, of "),
    ],
)  # fmt: skip
def test_tables_of_other_types_are_refused(
    name: str, change: dict[str, Any], expected: str, result: Path, tmp_path: Path
) -> None:
    (tmp_path / "result.json").write_bytes((result / "result.json").read_bytes())
    pd.read_parquet(result / f"{name}.parquet").assign(**change).to_parquet(tmp_path / f"{name}.parquet")
    (line,) = refused("dashboard", ".", "-o", "d.html", cwd=tmp_path)
    assert line.startswith(f"{name}.parquet: {expected}")


def test_a_table_of_many_rows_in_few_bytes_is_not_read_whole(result: Path, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes((result / "result.json").read_bytes())
    for name in ("timeline", "occupancy"):
        first = pq.read_table(result / f"{name}.parquet").slice(0, 1).combine_chunks()
        many = pa.Table.from_arrays(
            [pa.repeat(column[0], 2 * 10**6) for column in first.columns], names=first.column_names
        )
        pq.write_table(many, tmp_path / f"{name}.parquet")
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 10**6
    before = pa.total_allocated_bytes()
    (line,) = refused("dashboard", ".", "-o", "d.html", cwd=tmp_path)
    assert line == "occupancy.parquet: must have at most 1000000 rows, not 2000000"
    assert pa.total_allocated_bytes() - before < 2**24
    (tmp_path / "occupancy.parquet").unlink()
    assert accelsim("dashboard", ".", "-o", "d.html", cwd=tmp_path).returncode == 0


def test_names_of_a_result_are_no_markup_on_charts(result: Path, tmp_path: Path) -> None:
    """Plotly takes links and bold letters in any text."""
    bad = "<a href='https://example.org'>x</a>"
    found = json.loads((result / "result.json").read_text())
    found |= {"recipe": bad, "arch": bad, "workload": bad, "units": {bad: next(iter(found["units"].values()))}}
    for layer in found["layers"]:
        layer["name"] = bad + layer["name"]
        layer["reads"] = []
    (tmp_path / "r.json").write_text(json.dumps(found))
    done = accelsim("dashboard", "r.json", "-o", "d.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "d.html").read_text()
    (specs,) = re.findall(r"^<script>const SPECS = (\[.*\]);$", page, re.MULTILINE)
    texts = json.dumps(json.loads(specs))
    assert "&lt;a href" in texts
    assert "<a" not in texts
    assert "showSendToCloud: false" in page


@pytest.mark.slow
def test_two_runs_into_one_folder_both_end_well(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / ".result.json.partial").symlink_to(tmp_path / "precious")
    command = [*COMMAND, "run", "-o", "o"]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_reader_that_goes_ends_a_command_unsaid() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        done = subprocess.run([*COMMAND, "list"], stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (cli.UNREAD, "")


def test_an_interrupt_is_told_of_or_ends_what_has_not_begun() -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"
    told = (
        "import sys; from accelsim.cli import main\ndef stop(): raise KeyboardInterrupt\n"
        "main.app.registered_commands[0].callback = stop; sys.argv = ['accelsim', 'run']; main.main()"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (130, "interrupted")
    lost = (
        f"import time\nclass Late:\n  def __del__(self):\n    {script}\n"
        "def stop():\n  Late()\n  time.sleep(20)\n  print('lost')\n"
    )
    told = told.replace("def stop(): raise KeyboardInterrupt\n", lost)
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "interrupted")
    early = (
        f"import accelsim.cli as c, sys, types\nclass M(types.ModuleType):\n  def __getattr__(s, n):\n    {script}\n"
    )
    early += "sys.modules['accelsim.cli.main'] = M('m'); c.command()"
    done = subprocess.run([sys.executable, "-c", early], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


@pytest.mark.slow
def test_a_sweep_that_is_terminated_ends_as_an_interrupted_one(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "kind: sweep\nname: s\ndescription: d\ntiming_only: true\n"
        "axes: [{field: arch.clock_hz, range: {low: 1e8, high: 1e9, count: 2000}}]\n"
    )
    command = [*COMMAND, "sweep", "s.yaml", "--store", "s.sqlite", "--workers", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    end = time.monotonic() + 120
    while not (tmp_path / "s.sqlite-wal").exists() and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    lines = [line for line in said.splitlines() if line.startswith(("interrupted", "/"))]
    assert lines == ["interrupted: s.sqlite keeps what is done, and the same command goes on"]
    assert "semaphore" not in said
