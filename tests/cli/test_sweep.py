"""The command `sweep`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pandas as pd
import pytest
from command_line import accelsim, alone, refused

import accelsim as package
from accelsim import api
from accelsim.dse.store import Store
from accelsim.errors import AccelSimError

FILE = """kind: sweep
name: small
description: three shapes by two recipes
timing_only: {timing_only}
axes:
  - field: arch.matrix.rows
    values: [16, 32, 64]
    also: {{arch.activation.width_bits: 8}}
  - field: recipe
    values: [int8, int4]
constraints:
  - {{of: multipliers, at_most: 512}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(FILE.format(timing_only="true"))
    return path


def test_it_shows_the_best_points_and_keeps_all(file: Path, tmp_path: Path) -> None:
    folder, table = tmp_path / "out", tmp_path / "all.csv"
    done = alone("sweep", file, "-o", folder, "--export", table, "--workers", "1")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.stdout.splitlines()[0] == (
        "small: 2 points, 2 failed, 2 excluded by constraints; 1 that no other one beats in energy_pj.total, cycles"
    )
    assert lines[2] == ["arch.matrix.rows", "recipe", "energy_pj.total", "cycles", "multipliers"]
    assert [line[0] for line in lines[3:4]] == ["32"]  # twice the multipliers take less energy, too
    assert (
        "2 failed: layer fc1: operands must be int8, the type of edge-ws, but recipe int4 makes them int4"
        in done.stderr
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        "dashboard.html",
        "store.sqlite",
        "sweep.json",
        "sweep.parquet",
    ]
    frame = pd.read_parquet(folder / "sweep.parquet")
    assert list(frame["arch.matrix.rows"]) == [16, 16, 32, 32]
    assert list(frame["recipe"]) == ["int8", "int4"] * 2
    assert list(frame["pareto"]) == [False, False, True, False]
    runs = api.run("digits-mlp", "edge-ws", "int8", timing_only=True).summary
    assert frame["cycles"][0] == runs.cycles
    assert frame["energy_pj.total"][0] == runs.energy_pj.total
    pd.testing.assert_frame_equal(
        pd.read_csv(table)[["cycles", "energy_pj.total"]], frame[["cycles", "energy_pj.total"]]
    )
    kept = json.loads((folder / "sweep.json").read_text())
    assert kept["points"] == {"simulated": 2, "failed": 2, "excluded": 2, "pareto": 1}
    assert kept["sweep"]["name"] == "small"
    assert kept["provenance"]["versions"]["accelsim"]
    first = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "store.sqlite"}
    again = accelsim("sweep", file, "-o", folder)
    assert again.stdout == done.stdout
    assert {name: (folder / name).read_bytes() for name in first} == first


def test_json_holds_every_point(file: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    done = accelsim("sweep", file, "--store", store, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [row["point"]["arch.matrix.rows"] for row in found["rows"]] == [16, 16, 32, 32]
    assert [row["figures"] is None for row in found["rows"]] == [False, True, False, True]
    assert [row["error"] is None for row in found["rows"]] == [True, False, True, False]
    run = api.run("digits-mlp", "edge-ws", "int8", timing_only=True).summary
    assert found["rows"][0]["figures"] == run.model_dump(mode="json", exclude={"counters", "layers", "provenance"})
    assert found["rows"][0]["area_mm2"] > 0
    assert accelsim("sweep", file, "--store", store, "--json").stdout == done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.sqlite", "small.yaml"]


def test_python_gives_the_same(file: Path, tmp_path: Path) -> None:
    frame = package.Sweep(file).run(workers=1)
    accelsim("sweep", file, "--export", tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), frame)
    assert package.compare(recipes=["int8"]).frame["recipe"].tolist() == ["int8"]


def test_its_files_are_checked_listed_and_have_a_schema(file: Path) -> None:
    assert accelsim("check", file).stdout == f"{file}: ok, sweep small\n"
    assert "fc-dram-batch" in accelsim("list", "sweep").stdout
    schema = json.loads(accelsim("schema", "sweep").stdout)
    jsonschema.validate({"kind": "sweep", "name": "s", "description": "d", "axes": [{"field": "arch"}]}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"kind": "sweep", "name": "s", "description": "d", "axes": []}, schema)


def test_faults_are_one_line_each_and_leave_no_file(file: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(file.read_text().replace("matrix.rows", "matrix.row"))
    line = f"{bad}:6:5: axes.0.field: must be a known field of arch.matrix, not 'row'; did you mean 'rows'?"
    assert refused("sweep", bad, "-o", tmp_path / "out") == [line]
    assert refused("check", bad) == [line]
    assert refused("sweep", "fc-dram-batches") == [
        "must be a known sweep or the path of a .yaml file, not 'fc-dram-batches'; did you mean 'fc-dram-batch'?"
    ]
    assert refused("sweep", file, "--export", tmp_path / "t.txt") == [
        f"{tmp_path / 't.txt'}: must end in .csv, .parquet, .md or .tex, not '.txt'"
    ]
    assert refused("sweep", file, "--store", tmp_path / "no" / "s.sqlite")
    assert refused("sweep", file, "--store", file) == [
        f"{file}: must be a writable store of sweeps: file is not a database"
    ]
    assert refused("sweep", file, "--workers", "0")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.yaml", "small.yaml"]


@pytest.mark.slow
def test_a_killed_sweep_gives_the_table_of_an_undisturbed_one(tmp_path: Path) -> None:
    file, store, rng = tmp_path / "s.yaml", tmp_path / "s.sqlite", random.Random(3)  # noqa: S311 - no secret
    file.write_text(
        FILE.format(timing_only="true")
        .replace("values: [16, 32, 64]", "range: {low: 16, high: 64, step: 2}")
        .replace("at_most: 512", "at_most: 4096")
    )
    command = [sys.executable, "-m", "accelsim.cli.main", "sweep", str(file), "--store", str(store), "--workers", "2"]
    killed = 0
    while killed < 4:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end, before = time.monotonic() + 60, size(store)
        while process.poll() is None and size(store) == before and time.monotonic() < end:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.3)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
    assert killed
    done = alone(*command[3:], "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(accelsim("sweep", file, "--json").stdout)
    with Store(store) as kept:
        assert len(kept) == len(json.loads(done.stdout)["rows"]) == 50


def size(store: Path) -> int:
    """Bytes of a store and of what it has not yet taken in."""
    return sum(path.stat().st_size for path in (store, store.with_name(f"{store.name}-wal")) if os.path.exists(path))  # noqa: PTH110


def test_a_cluster_needs_its_extra_and_a_scheduler(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = "--workers and --scheduler must not be given together: a cluster has its own workers"
    assert refused("sweep", file, "--workers", "1", "--scheduler", "tcp://127.0.0.1:1") == [both]
    (line,) = refused("sweep", file, "--scheduler", "nowhere", "-o", file.parent / "out")
    assert list(file.parent.iterdir()) == [file]
    assert line == "nowhere: must be the address of a Dask scheduler: missing port number in address 'nowhere'"
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "accelsim.dse.cluster", raising=False)
    with pytest.raises(
        AccelSimError, match=r"its extra cluster \(pip install 'accelsim\[cluster\]'\), but there is no"
    ):
        package.Sweep(file).run(scheduler="tcp://127.0.0.1:1")


def test_a_dask_cluster_gives_the_same(file: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    # its workers go with this process, so that an interrupted test leaves none
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster:
        there = accelsim("sweep", file, "--store", tmp_path / "s.sqlite", "--scheduler", cluster.scheduler_address)
    assert there.returncode == 0, there.stderr
    assert there.stdout == accelsim("sweep", file).stdout


def test_a_search_tells_how_far_it_is(file: Path, tmp_path: Path) -> None:
    text = file.read_text().replace("constraints:", "method: nsga2\ncount: 12\ngeneration: 6\nconstraints:")
    file.write_text(text.replace("at_most: 512", "at_most: 512}\nobjectives:\n  - {figure: cycles, reference: 2e5"))
    done = accelsim("sweep", file, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("generation")]
    kept = json.loads((tmp_path / "out" / "sweep.json").read_text())["generations"]
    assert [generation["proposals"] for generation in kept] == [6, 12]
    cycles = pd.read_parquet(tmp_path / "out" / "sweep.parquet")["cycles"]
    assert kept[-1]["hypervolume"] == pytest.approx(1 - cycles.min() / 2e5)
    assert told[1] == (
        f"generation 2: 12 proposals, {kept[1]['simulated']} points, 1 that no other one beats, "
        f"hypervolume {kept[1]['hypervolume']:.4g}"
    )
    assert accelsim("sweep", file, "--store", tmp_path / "out" / "store.sqlite").stdout == done.stdout
