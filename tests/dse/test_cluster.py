"""Sweeps on the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from dask import config
from distributed import LocalCluster, Nanny, Status
from fake_simulations import BAD_ROWS, deadly, quick, slow, wrong

from accelsim import provenance
from accelsim.dse import cluster
from accelsim.dse.cluster import ClusterPool
from accelsim.dse.runner import KILLS
from accelsim.dse.simulation import Job
from accelsim.dse.spec import Axis, SweepSpec
from accelsim.dse.store import Store
from accelsim.dse.sweep import Sweep
from accelsim.errors import AccelSimError

POINTS = 15 * 8


@pytest.fixture
def dask() -> Iterator[LocalCluster]:
    """Two workers of two threads each on this computer; one that dies is replaced, and its batch goes on once.

    A new cluster for each test: Dask gives a worker up that dies while it begins.
    """
    with (
        config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=":0", silence_logs=logging.CRITICAL) as made,
    ):
        made.wait_for_workers(2)
        yield made


@pytest.fixture
def pool(dask: LocalCluster) -> Iterator[ClusterPool]:
    made = ClusterPool(dask.scheduler_address)
    yield made
    made.close()


def many() -> Sweep:
    axes = [
        Axis(field="arch.matrix.rows", values=list(range(8, 68, 4))),
        Axis(field="arch.matrix.columns", values=list(range(8, 72, 8))),
    ]
    return Sweep(SweepSpec(kind="sweep", name="many", description="d", timing_only=True, axes=axes))


def without_threads(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns="threads")


def test_the_table_is_that_of_processes_here(dask: LocalCluster, tmp_path: Path) -> None:
    spec = SweepSpec(
        kind="sweep",
        name="real",
        description="d",
        axes=[Axis(field="arch", values=["edge-ws", "edge-outer"]), Axis(field="recipe", values=["int8", "pruned"])],
    )
    there = Sweep(spec).run(store=tmp_path / "s.sqlite", scheduler=dask.scheduler_address)
    pd.testing.assert_frame_equal(there, Sweep(spec).run(workers=1))
    assert there["bit_exact"].all()


def begun(nanny: Nanny) -> bool:
    """Whether a worker takes batches."""
    return bool(nanny.process and nanny.process.status == Status.running)


def test_a_killed_workers_points_run_again(dask: LocalCluster, pool: ClusterPool, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill(what: str, done: int, of: int) -> None:
        if what == "simulating" and done > 10 * (1 + len(killed)) and len(killed) < 3:
            alive = [
                pid for nanny in dask.workers.values() if begun(nanny) and (pid := nanny.pid) and pid not in killed
            ]
            if alive:
                os.kill(alive[0], signal.SIGKILL)
                killed.append(alive[0])

    store = tmp_path / "s.sqlite"
    frame = many().results(store=store, pool=pool, simulate=slow, progress=kill).frame
    assert len(killed) == 3
    pd.testing.assert_frame_equal(without_threads(frame), without_threads(many().results(2, simulate=quick).frame))
    with Store(store) as kept:
        assert len(kept) == POINTS


def test_a_point_that_kills_its_workers_fails_and_the_others_go_on(pool: ClusterPool) -> None:
    axes = [many().spec.axes[0], Axis(field="arch.matrix.columns", values=[8])]
    few = Sweep(many().spec.model_copy(update={"axes": axes}))
    frame = few.results(pool=pool, simulate=deadly).frame
    bad = frame["arch.matrix.rows"] == BAD_ROWS
    assert frame.loc[bad, "error"].tolist() == [KILLS]
    expected = few.results(2, simulate=quick).frame
    pd.testing.assert_series_equal(frame.loc[~bad, "cycles"], expected.loc[~bad, "cycles"], check_dtype=False)


def test_points_that_go_wrong_are_recorded(pool: ClusterPool) -> None:
    frame = many().results(pool=pool, simulate=wrong).frame
    bad = frame["arch.matrix.rows"] == BAD_ROWS
    assert Counter(frame.loc[bad, "error"]) == {"must fit": 2, "ZeroDivisionError: oh": 3, "MemoryError: ": 3}
    assert frame.loc[~bad, "error"].isna().all()


def test_a_lost_scheduler_ends_the_sweep_and_loses_nothing(tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    lost = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL)
    done: list[int] = []

    def close(what: str, recorded: int, of: int) -> None:
        if what == "simulating" and recorded > 20 and not done:
            done.append(recorded)
            lost.close()

    pool = ClusterPool(lost.scheduler_address)
    with pytest.raises(AccelSimError, match="workers must last until the sweep ends"):
        many().results(store=store, pool=pool, simulate=slow, progress=close)
    pool.close()
    with Store(store) as kept:
        assert done[0] <= len(kept) < POINTS
    pd.testing.assert_frame_equal(
        many().results(2, store, simulate=quick).frame, many().results(2, simulate=quick).frame
    )


def test_it_says_when_there_are_no_workers(
    dask: LocalCluster, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "WATCH_S", 0.05)

    def said() -> list[str]:
        return [record.message for record in caplog.records if record.name == cluster.__name__]

    with contextlib.closing(ClusterPool(dask.scheduler_address)) as pool:

        def leave(what: str, done: int, of: int) -> None:
            if what == "simulating" and done == 0:
                dask.scale(0)
                while not said():
                    time.sleep(0.05)
                dask.scale(1)

        found = many().results(pool=pool, simulate=quick, progress=leave).frame
    assert len(found) == POINTS
    assert said() == [f"{dask.scheduler_address} has no workers; waiting for some"]


def test_other_source_is_refused(pool: ClusterPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "source_sha256", lambda: "0" * 64)
    with pytest.raises(AccelSimError, match="workers must have the accelsim that asks them, of source 000000000000"):
        many().results(pool=pool, simulate=quick)


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = [Axis(field="recipe", values=["int8"])]
    sweep = Sweep(SweepSpec(kind="sweep", name="s", description="d", axes=axes))
    job = sweep.space.case(sweep.space.points[0])
    assert isinstance(job, Job)
    assert cluster._found(job, "digits-mlp") == job
    cluster._files_checked.clear()
    monkeypatch.setattr(cluster.shipped, "path_of", lambda *_: tmp_path / "workload.yaml")
    with pytest.raises(AccelSimError, match="workers must have the files of workload digits-mlp"):
        cluster._found(job, "digits-mlp")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense", "foo://bar"])
def test_an_address_without_a_scheduler_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 1)
    with pytest.raises(AccelSimError, match=f"^{address}: must be the address of a Dask scheduler: ") as raised:
        ClusterPool(address)
    assert "\n" not in str(raised.value)
