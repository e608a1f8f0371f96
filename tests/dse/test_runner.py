"""Points on many workers, whatever becomes of these."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fake_simulations import BAD_ROWS, LAST, LOG, deadly, huge, quick, slow, wrong
from null_simulation import nothing

from accelsim import api
from accelsim.dse.runner import KILLS
from accelsim.dse.spec import Axis, Constraint, Objective, Range, SweepSpec
from accelsim.dse.store import Store
from accelsim.dse.sweep import Sweep
from accelsim.dse.table import pareto
from accelsim.dse.workers import LocalPool

FILE = """kind: sweep
name: many
description: many machines
timing_only: true
axes:
  - field: arch.matrix.rows
    range: {low: 8, high: 64, step: 4}
  - field: arch.matrix.columns
    range: {low: 8, high: 64, step: 8}
"""
POINTS = 15 * 8
#: Points after which a sweep that will be killed waits for it: on a busy computer it could be over before.
MOST = POINTS - 10
#: What a killed process runs.
SCRIPT = """
import sys
import fake_simulations
from accelsim.dse.sweep import Sweep
Sweep(sys.argv[1]).results(2, sys.argv[2], simulate=getattr(fake_simulations, sys.argv[3]))
"""


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    file = tmp_path / "many.yaml"
    file.write_text(FILE)
    return Sweep(file)


def ran(log: Path) -> list[str]:
    """Keys that workers have begun, in order."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.split()[1] for line in lines]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_the_table_does_not_depend_on_the_workers(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    one = sweep.results(1, simulate=quick).frame
    two = sweep.results(2, simulate=quick).frame
    pd.testing.assert_frame_equal(one, two)
    assert len(one) == POINTS
    assert list(one["arch.matrix.rows"]) == [8 + 4 * (i // 8) for i in range(POINTS)]
    assert list(one["arch.matrix.columns"]) == [8 + 8 * (i % 8) for i in range(POINTS)]
    assert list(one["cycles"]) == list(10_000 // one["arch.matrix.rows"] + one["arch.matrix.columns"])
    assert set(one["threads"]) == {"1"}
    assert os.environ["OPENBLAS_NUM_THREADS"] == "4"
    assert one["error"].isna().all()
    assert list(one["multipliers"]) == list(one["arch.matrix.rows"] * one["arch.matrix.columns"])


def test_a_point_of_the_table_is_a_run_of_its_own() -> None:
    spec = SweepSpec(
        kind="sweep",
        name="real",
        description="d",
        axes=[Axis(field="arch", values=["edge-ws", "edge-outer"]), Axis(field="recipe", values=["int8", "pruned"])],
    )
    frame = Sweep(spec).run(workers=2)
    for row in frame.to_dict("records"):
        summary = api.run("digits-mlp", row["arch"], row["recipe"]).summary
        assert (row["cycles"], row["energy_pj.total"]) == (summary.cycles, summary.energy_pj.total)
        assert summary.quality
        assert summary.quality.task
        assert row["quality.task.value"] == summary.quality.task.value
        assert row["bit_exact"] is True
        assert row["units.load.busy"] == summary.units["load"]["busy"]


def test_points_keep_the_roofs_of_their_machines() -> None:
    spec = SweepSpec(
        kind="sweep",
        name="s",
        description="d",
        axes=[
            Axis(field="arch.matrix.rows", values=[8, 16, 0]),
            Axis(field="arch.clock_hz", values=[5e8, 1e9]),
            Axis(field="arch.dram.part", values=["DDR4_8Gb_x8_3200", "HBM2_8Gb_x128"]),
        ],
    )
    bus = {"DDR4_8Gb_x8_3200": (64, 1, 0.63e-9), "HBM2_8Gb_x128": (128, 8, 1e-9)}  # bits, channels, seconds of a clock
    rows = Sweep(spec).results(1, simulate=quick).rows
    assert len(rows) == 12
    for row in rows:
        side, clock, part = row["point"].values()
        if not side:
            assert row["roofs"] is None
            continue
        bits, channels, period = bus[part]
        assert row["roofs"]["ops_per_s"] == {"int8": 2 * side * 16 * clock}
        assert row["roofs"]["bytes_per_s"]["dram"] == pytest.approx(2 * bits / 8 * channels / period)


def test_points_that_go_wrong_are_recorded_and_the_others_go_on(sweep: Sweep, tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    frame = sweep.results(2, store, simulate=wrong).frame
    bad = frame["arch.matrix.rows"] == BAD_ROWS
    assert Counter(frame.loc[bad, "error"]) == {"must fit": 2, "ZeroDivisionError: oh": 3, "MemoryError: ": 3}
    assert frame.loc[~bad, "error"].isna().all()
    assert not frame.loc[bad, "pareto"].any()
    again = sweep.results(2, store, simulate=quick).frame
    pd.testing.assert_frame_equal(again, frame)
    retried = sweep.results(2, store, simulate=quick, retry=True).frame
    pd.testing.assert_frame_equal(retried, sweep.results(2, simulate=quick).frame)


def test_points_that_fit_nothing_are_recorded_without_a_worker(tmp_path: Path) -> None:
    axes = [Axis(field="arch.activation.width_bits", values=[128, 12]), Axis(field="recipe", values=["int8"])]
    spec = SweepSpec(kind="sweep", name="s", description="d", axes=axes)
    store = tmp_path / "s.sqlite"
    frame = Sweep(spec).results(1, store, simulate=quick).frame
    assert frame["error"].isna().tolist() == [True, False]
    assert frame["error"][1] == "arch.activation.width_bits: must be a multiple of 8, not 12"
    with Store(store) as kept:
        assert len(kept) == 2
    assert pd.isna(frame["area_mm2"][1])


def test_constraints_leave_points_out(sweep: Sweep) -> None:
    constraints = [Constraint(of="multipliers", at_most=1024), Constraint(of="arch.matrix.rows", at_least=16)]
    bounded = Sweep(sweep.spec.model_copy(update={"constraints": constraints}))
    results = bounded.results(2, simulate=quick)
    frame = results.frame
    assert results.excluded == POINTS - len(frame)
    free = sweep.results(2, simulate=quick).frame
    kept = free[(free["multipliers"] <= 1024) & (free["arch.matrix.rows"] >= 16)]
    pd.testing.assert_series_equal(frame["cycles"], kept["cycles"].reset_index(drop=True))


def test_a_quantity_without_a_figure_fails_its_point_and_no_other() -> None:
    spec = SweepSpec(
        kind="sweep",
        name="s",
        description="d",
        axes=[Axis(field="arch", values=["edge-eie", "edge-ws"])],
        constraints=[Constraint(of="area_mm2", at_most=100)],
    )
    frame = Sweep(spec).results(1, simulate=quick).frame
    assert frame["error"].tolist()[0] == "area_mm2: must be known where it has a bound, but is not for edge-eie"
    assert frame["cycles"].notna().tolist() == [False, True]


def test_points_that_no_other_one_beats_are_marked() -> None:
    frame = pd.DataFrame(
        {
            "energy_pj.total": [1.0, 2.0, 2.0, 3.0, None, 1.0],
            "cycles": [5, 3, 3, 4, 1, 5],
            "area_mm2": [1.0, 1.0, 2.0, 0.5, 0.1, None],
        }
    )

    frame["recipe"] = ["a", "a", "b", "b", "b", None]

    def marked(*objectives: Objective, for_each: list[str] | None = None) -> list[int]:
        axis = Axis(field="recipe", values=[None])
        fields = {"objectives": list(objectives), "axes": [axis], "for_each": for_each or []}
        spec = SweepSpec(kind="sweep", name="s", description="d", **fields)
        return [i for i, best in enumerate(pareto(frame, spec)) if best]

    energy, cycles, area = (Objective(figure=name) for name in ("energy_pj.total", "cycles", "area_mm2"))
    assert marked(energy) == [0, 5]
    assert marked(energy, cycles) == [0, 1, 2, 5]
    assert marked(energy, cycles, area) == [0, 1, 3]
    assert marked(Objective(figure="cycles", goal="maximise")) == [0, 5]
    assert marked(energy, for_each=["recipe"]) == [0, 2, 5]
    assert marked(Objective(figure="quality.sqnr_db")) == []


def test_nested_and_mixed_values_are_text_in_the_table(tmp_path: Path) -> None:
    parts = [{"kind": "ideal", "capacity_bytes": 2**32, "burst_bytes": 64}, {"kind": "banked", "part": "HBM2_8Gb_x128"}]
    axes = [Axis(field="arch.dram", values=parts), Axis(field="arch.decode", values=[None])]
    results = Sweep(SweepSpec(kind="sweep", name="s", description="d", axes=axes)).results(1, simulate=quick)
    assert [json.loads(text) for text in results.frame["arch.dram"]] == parts
    assert results.frame["arch.decode"].isna().all()
    assert results.frame["error"].isna().all()
    results.export(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), results.frame)


def test_figures_too_long_to_keep_fail_their_points(sweep: Sweep) -> None:
    axes = [Axis(field="arch.matrix.rows", values=[8, 16])]
    frame = Sweep(sweep.spec.model_copy(update={"axes": axes})).results(1, simulate=huge).frame
    assert frame["error"].str.startswith("figures must be at most").all()


def test_a_point_that_kills_its_workers_fails_and_the_others_go_on(sweep: Sweep) -> None:
    axes = [sweep.spec.axes[0], Axis(field="arch.matrix.columns", values=[8])]
    few = Sweep(sweep.spec.model_copy(update={"axes": axes}))
    frame = few.results(2, simulate=deadly).frame
    bad = frame["arch.matrix.rows"] == BAD_ROWS
    assert frame.loc[bad, "error"].tolist() == [KILLS]
    expected = few.results(2, simulate=quick).frame
    pd.testing.assert_series_equal(frame.loc[~bad, "cycles"], expected.loc[~bad, "cycles"], check_dtype=False)


def test_a_killed_workers_points_run_again(sweep: Sweep, tmp_path: Path) -> None:
    store, killed = tmp_path / "s.sqlite", []

    def kill(what: str, done: int, of: int) -> None:
        if what == "simulating" and done > 10 * (1 + len(killed)) and len(killed) < 3:
            worker = random.Random(done).choice(multiprocessing.active_children())  # noqa: S311 - no secret
            assert worker.pid
            os.kill(worker.pid, signal.SIGKILL)
            killed.append(worker.pid)

    frame = sweep.results(2, store, simulate=slow, progress=kill).frame
    assert len(killed) == 3
    pd.testing.assert_frame_equal(frame, sweep.results(2, simulate=quick).frame)
    with Store(store) as kept:
        assert len(kept) == POINTS


def start(sweep: Path, store: Path, simulate: str, log: Path, last: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(sweep), str(store), simulate],
        env={**os.environ, LOG: str(log), LAST: str(last), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What is started can be interrupted, though jobs in a shell's background ignore it, and so all that they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.003)


def has_run(log: Path, points: int, process: subprocess.Popen[bytes]) -> bool:
    return len(ran(log)) >= points or process.poll() is not None


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_sweep_goes_on_where_it_ended(stop: signal.Signals, sweep: Sweep, tmp_path: Path) -> None:
    store, log, rng = tmp_path / "s.sqlite", tmp_path / "log", random.Random(int(stop))  # noqa: S311 - no secret
    for attempt in range(4):
        before = len(ran(log))
        known = {line.split()[1] for line in log.read_text().splitlines()} if log.exists() else set()
        acknowledged = set()
        if store.exists():
            with Store(store) as kept:
                acknowledged = set(kept.known(sorted(known)))
        process = start(tmp_path / "many.yaml", store, "slow", log, MOST)
        if attempt:
            wait_for(partial(has_run, log, min(before + rng.randrange(1, 30), MOST), process))
        time.sleep(rng.random() * 0.2)
        process.send_signal(stop)
        process.wait()
        workers = {int(line.split()[0]) for line in log.read_text().splitlines()} if log.exists() else set()
        wait_for(lambda workers=workers: not any(map(is_alive, workers)), 10)
        assert not acknowledged & set(ran(log)[before:])
    with Store(store) as kept:
        done = len(kept)
    assert 0 < done < POINTS
    before = len(ran(log))
    last = start(tmp_path / "many.yaml", store, "slow", log, 2 * POINTS)
    assert last.wait() == 0
    assert len(ran(log)) - before == POINTS - done
    with Store(store) as kept:
        assert len(kept) == POINTS
    frame = sweep.results(2, store, simulate=wrong).frame  # which would fail some, if it ran any
    pd.testing.assert_frame_equal(frame, sweep.results(1, simulate=quick).frame)


def test_a_script_needs_no_guard(sweep: Sweep, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import accelsim\nprint('begins')\n"
        f"spec = accelsim.Sweep({str(tmp_path / 'many.yaml')!r}).spec\n"
        "axes = [axis.model_copy(update={'range': None, 'values': [16]}) for axis in spec.axes]\n"
        "print(len(accelsim.Sweep(spec.model_copy(update={'axes': axes})).run(workers=2)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["begins", "1"]


class Threads:
    """A pool without processes, whose executor breaks now and then as one of a cluster may."""

    workers = 3
    killed: type[Exception] = BrokenExecutor
    tries = 3

    def __init__(self) -> None:
        self.made = 0

    def executor(self) -> Executor:
        self.made += 1
        return (Fragile if self.made < 5 else ThreadPoolExecutor)(self.workers)

    def renewed(self) -> Executor:
        return self.executor()

    def close(self) -> None:
        """There is nothing to end."""


class Fragile(ThreadPoolExecutor):
    """It breaks at its fifth batch, which it does not take; the fourth breaks at once, the third later."""

    taken = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.taken += 1
        if self.taken == 5:
            raise BrokenExecutor
        if self.taken in {3, 4}:
            broken: Future[Any] = Future()
            later = threading.Timer(0.3 * (4 - self.taken), broken.set_exception, [BrokenExecutor()])
            later.start()
            return broken
        return super().submit(fn, *args, **kwargs)


def test_another_pool_can_take_its_place(sweep: Sweep) -> None:
    pool = Threads()
    frame = sweep.results(pool=pool, simulate=quick).frame
    assert pool.made > 3
    local = LocalPool(1)
    try:
        again = sweep.results(pool=local, simulate=quick).frame
        once_more = sweep.results(pool=local, simulate=quick).frame
    finally:
        local.close()
    pd.testing.assert_frame_equal(frame.drop(columns="threads"), again.drop(columns="threads"))
    pd.testing.assert_frame_equal(again, once_more)


@pytest.mark.slow
def test_runner_and_store_cost_little(tmp_path: Path) -> None:
    axes = [
        Axis(field="arch.matrix.rows", range=Range(low=8, high=64)),
        Axis(field="arch.clock_hz", range=Range(low=1e8, high=1e9)),
    ]
    spec = SweepSpec(kind="sweep", name="s", description="d", axes=axes, method="random", count=2000)
    begun = time.process_time()
    frame = Sweep(spec).results(2, tmp_path / "s.sqlite", simulate=nothing).frame
    assert len(frame) == 2000
    assert (time.process_time() - begun) / 2000 < 2e-3
