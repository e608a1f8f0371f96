"""Searches of a space by Optuna."""

from __future__ import annotations

import itertools
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from fake_simulations import BAD_ROWS, LAST, LOG, quick, wrong

from accelsim.dse.points import Side, points
from accelsim.dse.search import Generation, Search, Verdict
from accelsim.dse.spec import Axis, Constraint, Objective, Range, SweepSpec
from accelsim.dse.store import Store
from accelsim.dse.sweep import Sweep
from accelsim.dse.table import Results
from accelsim.errors import AccelSimError

ROWS = Axis(field="arch.matrix.rows", range=Range(low=8, high=64))
COLUMNS = Axis(field="arch.matrix.columns", values=list(range(64, 7, -8)))
CLOCK = Axis(field="arch.clock_hz", range=Range(low=1e8, high=1e9, scale="log"))
ARCH = Axis(field="arch", values=["edge-ws", "edge-outer"])
METHODS = ["nsga2", "tpe"]
#: What a killed process runs.
SCRIPT = """
import sys
import fake_simulations
from accelsim.dse.sweep import Sweep
found = Sweep(sys.argv[1]).results(2, sys.argv[2], simulate=getattr(fake_simulations, sys.argv[3]))
print(found.frame.to_csv())
"""


def searching(method: str, *axes: Axis, count: int = 96, **more: object) -> SweepSpec:
    fields = {"method": method, "count": count, "generation": 16, "timing_only": True, **more}
    return SweepSpec(kind="sweep", name="s", description="d", axes=list(axes or (ROWS, COLUMNS)), **fields)


def volume(costs: Sequence[tuple[float, ...]], reference: tuple[float, ...]) -> float:
    """Volume of the union of boxes from points to a reference, by inclusion and exclusion."""
    total = 0.0
    for size in range(1, len(costs) + 1):
        for some in itertools.combinations(costs, size):
            corner = [max(values) for values in zip(*some, strict=True)]
            total -= (-1) ** size * math.prod(max(0.0, r - c) for r, c in zip(reference, corner, strict=True))
    return total


def run(search: Search, of: Callable[..., Verdict]) -> list[Generation]:
    """All generations of a search of a function of the axes."""
    found = []
    while proposed := search.propose():
        found.append(search.tell([of(*point.values) for point in proposed]))
    return found


def trade(rows: float, columns: float) -> Verdict:
    """Two objectives that no point has the best of both of: a front along rows + columns = 72 at best."""
    far = (rows - 36) ** 2 / 800 + (columns - 36) ** 2 / 800
    return Verdict(0.0, (1.0 + rows / 8 + far, 9.0 - rows / 8 + far))


def test_the_hypervolume_is_that_of_the_union_of_boxes() -> None:
    objectives = [
        Objective(figure="cycles", reference=4.0),
        Objective(figure="energy_pj.total", goal="maximise", reference=2.0),
        Objective(figure="seconds", reference=0.0),
    ]
    search = Search(searching("nsga2", CLOCK, objectives=objectives, count=6))
    rng = random.Random(1)  # noqa: S311 - no secret
    values = [(rng.uniform(1, 4), rng.uniform(2, 5), rng.uniform(-1, 0)) for _ in search.propose()]
    told = search.tell([Verdict(0.0, value) for value in values])
    expected = volume([(c / 4, -e / 2, s) for c, e, s in values], (1, -1, 0))
    assert told.hypervolume == pytest.approx(expected, rel=1e-12)
    assert expected > 0.01


def test_the_reference_is_the_worst_of_the_first_ten_points_and_stays() -> None:
    search = Search(searching("nsga2", Axis(field="arch.clock_hz", range=Range(low=1, high=9)), count=64, generation=8))

    def of(clock: float) -> Verdict:
        return Verdict(0.0, (clock, 10 - clock))

    generations = run(search, of)
    assert generations[0].hypervolume is None
    assert [generation.proposals for generation in generations] == list(range(8, 65, 8))
    volumes = [generation.hypervolume for generation in generations[1:]]
    assert all(volumes[i] <= volumes[i + 1] for i in range(6))
    assert generations[-1].best == generations[-1].simulated == 64


@pytest.mark.parametrize("method", METHODS)
def test_a_search_finds_more_than_chance(method: str) -> None:
    objectives = [Objective(figure="cycles", reference=12.0), Objective(figure="energy_pj.total", reference=12.0)]
    wide = [
        Axis(field="arch.matrix.rows", range=Range(low=1, high=64)),
        Axis(field="arch.matrix.columns", range=Range(low=1, high=640)),
    ]
    gains = []
    for seed in range(5):
        spec = searching(method, *wide, objectives=objectives, seed=seed, count=160)
        found = run(Search(spec), trade)[-1].hypervolume
        chance = [trade(*point.values).values for point in points(spec.model_copy(update={"method": "random"}))]
        by_chance = Search(spec.model_copy(update={"generation": 160}))
        by_chance.propose()
        drawn = by_chance.tell([Verdict(0.0, value) for value in chance[:160]]).hypervolume
        assert found
        assert drawn
        gains.append(found / drawn)
    assert min(gains) > 1.02, gains


@pytest.mark.parametrize("method", METHODS)
def test_constraints_and_faults_are_learned(method: str) -> None:
    cube = [Axis(field=f"arch.{name}.banks", range=Range(low=1, high=100)) for name in ("weight", "output")]

    def of(x: float, y: float) -> Verdict:
        if x > 50:
            return Verdict(0.0, None)
        excess = max(0.0, (x + y) / 40 - 1)
        return Verdict(excess, None if excess else (x, y))

    search = Search(searching(method, *cube, count=320))
    allowed = []
    while proposed := search.propose():
        verdicts = [of(*point.values) for point in proposed]
        allowed.append(sum(verdict.values is not None for verdict in verdicts))
        search.tell(verdicts)
    assert sum(allowed[:2]) <= 8  # 8 % of the square keep to them
    assert sum(allowed[-4:]) >= 32


def test_axes_are_sides_of_what_is_searched() -> None:
    assert Side.of(COLUMNS).listed == list(range(8, 65, 8))
    assert Side.of(COLUMNS).ordered
    assert not Side.of(ARCH).ordered
    assert Side.of(ARCH).value(1) == "edge-outer"
    assert Side.of(ROWS).listed == list(range(8, 65))
    stepped = Axis(field="arch.clock_hz", range=Range(low=1e8, high=3e8, step=1e8, draw="random", count=7))
    assert Side.of(stepped).listed == [1e8, 2e8, 3e8]
    mixed = Axis(field="arch.decode", values=[None, 3, True])
    assert (Side.of(mixed).listed, Side.of(mixed).ordered) == ([None, 3, True], False)
    side = Side.of(CLOCK)
    assert side.listed == []
    assert side.value(0.0) == 1e8
    assert side.value(0.5) == pytest.approx(10**8.5)
    whole = Side.of(Axis(field="arch.matrix.rows", range=Range(low=8, high=64, scale="log")))
    assert {type(whole.value(u / 10)) for u in range(10)} == {int}


def results(spec: SweepSpec, workers: int = 2, store: Path | None = None) -> Results:
    return Sweep(spec).results(workers, store, simulate=quick)


@pytest.mark.parametrize("method", METHODS)
def test_the_table_does_not_depend_on_the_workers(method: str) -> None:
    spec = searching(method, constraints=[Constraint(of="multipliers", at_most=1024)])
    one, two = results(spec, 1), results(spec, 2)
    pd.testing.assert_frame_equal(one.frame, two.frame)
    assert one.generations == two.generations
    assert one.to_json() == two.to_json()
    assert one.excluded
    assert (one.frame["multipliers"] <= 1024).all()
    assert not one.frame.duplicated(["arch.matrix.rows", "arch.matrix.columns"]).any()
    last = one.generations[-1]
    assert (last.number, last.proposals, last.simulated) == (6, 96, len(one.frame))
    assert last.best == one.frame["pareto"].sum()
    other = results(spec.model_copy(update={"seed": 1}))
    assert list(other.frame["arch.matrix.rows"]) != list(one.frame["arch.matrix.rows"])


def test_points_that_fail_are_recorded_and_avoided(tmp_path: Path) -> None:
    store = tmp_path / "s.sqlite"
    sweep = Sweep(searching("nsga2", Axis(field="arch.matrix.rows", values=[16, BAD_ROWS]), COLUMNS, count=64))
    found = sweep.results(2, store, simulate=wrong)
    bad = found.frame["arch.matrix.rows"] == BAD_ROWS
    assert bad.any()
    assert found.frame.loc[bad, "error"].notna().all()
    assert found.frame.loc[~bad, "error"].isna().all()
    assert found.generations[-1].simulated == (~bad).sum()
    again = sweep.results(1, store, simulate=quick)
    pd.testing.assert_frame_equal(again.frame, found.frame)
    retried = sweep.results(1, store, simulate=quick, retry=True)
    assert retried.frame["error"].isna().all()


def test_nothing_may_be_left_by_the_constraints() -> None:
    found = results(searching("tpe", constraints=[Constraint(of="multipliers", at_most=1)]))
    assert len(found.frame) == 0
    assert found.excluded > 0
    assert found.generations[-1][2:] == (0, 0, None)


def start(file: Path, store: Path, simulate: str, log: Path, seed: str, last: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(file), str(store), simulate],
        env={**os.environ, LOG: str(log), LAST: str(last), "PYTHONHASHSEED": seed,
             "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_search_makes_the_same_proposals_and_simulates_none_twice(method: str, tmp_path: Path) -> None:
    file, store, log = tmp_path / "s.json.yaml", tmp_path / "s.sqlite", tmp_path / "log"
    spec = searching(method, CLOCK, COLUMNS)
    file.write_text(json.dumps(spec.model_dump(mode="json", exclude_none=True)))
    rng = random.Random(5)  # noqa: S311 - no secret
    for attempt in range(3):
        process = start(file, store, "slow", log, str(attempt), 60)
        before = len(log.read_text().splitlines()) if log.exists() else 0
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            if log.exists() and len(log.read_text().splitlines()) > min(before + rng.randrange(5, 25), 60):
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    with Store(store) as kept:
        done = len(kept)
    assert 0 < done < 90
    before = len(log.read_text().splitlines())
    last = start(file, store, "slow", log, "9", 1000)
    table, _ = last.communicate()
    assert last.returncode == 0
    undisturbed = results(spec)
    assert table == undisturbed.frame.to_csv() + "\n"
    assert len(log.read_text().splitlines()) - before == len(undisturbed.frame) - done


@pytest.mark.parametrize("module", ["optuna", "moocore"])
def test_a_search_needs_its_extra(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "accelsim.dse.search", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(AccelSimError, match=r"with its extra search \(pip install 'accelsim\[search\]'\)"):
        results(searching("tpe"))
