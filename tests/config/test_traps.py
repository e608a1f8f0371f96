"""Traps: what check says of machines that hold up their own arrays, and that the array is held up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_line import accelsim

import accelsim as package
from accelsim.config import shipped
from accelsim.config.load import load_machine
from accelsim.config.traps import traps


def test_shipped_machines_have_none() -> None:
    assert {name: found for name in shipped.names("arch") if (found := traps(load_machine(name)))} == {}


def changed(arch: str, *edits: tuple[str, str]) -> str:
    """A shipped machine's description with some lines that begin otherwise; each edit is of the first such line."""
    text = shipped.path_of("arch", arch).read_text()
    for old, new in edits:
        assert re.search(old, text), old
        text = re.sub(old, new, text, count=1)
    return text


@pytest.mark.parametrize(
    ("arch", "edits", "warnings"),
    [
        (
            "edge-ws",
            [("rows: 16", "rows: 64"), ("columns: 16", "columns: 64")],
            [
                "activation.width_bits: warning: feeds 16 of the array's 64 rows a cycle; 512 would feed all",
                "activation.width_bits: warning: feeds 16 of the array's 64 columns a cycle; 512 would feed all",
                "accumulator.width_bits: warning: feeds 16 of the array's 64 columns a cycle; 2048 would feed all",
                "vector.lanes: warning: finish 16 results a cycle, and the array forms 64 sums: layers of few inputs "
                "wait for them",
            ],
        ),
        (
            "edge-ws",
            [("banks: 4", "banks: 1")],
            ["activation.banks: warning: is one with one port: nothing is loaded while the array reads"],
        ),
        (
            "edge-ws",
            [("capacity_bytes: 262144", "capacity_bytes: 448")],
            [
                "activation.capacity_bytes: warning: holds no two folds of the array, 256 bytes each: the next one is "
                "loaded only when one is read"
            ],
        ),
        (
            "edge-outer",
            [("width_bits: 128", "width_bits: 64")],
            [
                "activation.width_bits: warning: feeds 8 of the array's 16 rows a cycle; 128 would feed all",
                "activation.width_bits: warning: feeds 8 of the array's 16 columns a cycle; 128 would feed all",
            ],
        ),
    ],
)
def test_check_warns_and_accepts(arch: str, edits: list[tuple[str, str]], warnings: list[str], tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(changed(arch, *edits))
    done = accelsim("check", "m.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"m.yaml: ok, arch {arch}\n")
    lines = done.stderr.splitlines()
    assert [re.sub(r"^m\.yaml:\d+:\d+: ", "", line) for line in lines] == warnings
    text = (tmp_path / "m.yaml").read_text().splitlines()
    for line in lines:
        _, number, _, key, *_ = line.split(":")
        assert text[int(number) - 1].strip().startswith(key.split(".")[-1])


def test_a_map_that_keeps_a_stream_in_one_channel(tmp_path: Path) -> None:
    part = shipped.path_of("dram", "LPDDR4_8Gb_x16_2400").read_text().replace("channels: 1", "channels: 2")
    (tmp_path / "part.yaml").write_text(part)
    (tmp_path / "m.yaml").write_text(changed("edge-ws", ("part: DDR4_8Gb_x8_3200", "part: part.yaml")))
    done = accelsim("check", "m.yaml", cwd=tmp_path)
    assert done.returncode == 0
    # 8 KiB of a row over the bus, two groups of four banks, one or two ranks
    (line,) = done.stderr.splitlines()
    found = re.search(r"dram.part: warning: keeps (\d+) bytes in a row in one of 2 channels", line)
    assert found
    assert int(found[1]) in {8 * 8192, 16 * 8192}
    (tmp_path / "part.yaml").write_text(part.replace("rochrababgco", "rorababgcoch"))
    assert accelsim("check", "m.yaml", cwd=tmp_path).stderr == ""


def test_a_narrow_port_holds_up_its_array(tmp_path: Path) -> None:
    def cycles(*edits: tuple[str, str]) -> int:
        (tmp_path / "m.yaml").write_text(changed("edge-ws", *edits))
        return package.run("digits-mlp", str(tmp_path / "m.yaml"), timing_only=True).summary.cycles

    wide = [("width_bits: 128", "width_bits: 256"), ("width_bits: 512", "width_bits: 1024")]
    twice = cycles(("columns: 16", "columns: 32"))
    assert cycles(("columns: 16", "columns: 32"), *wide) < 0.7 * twice
