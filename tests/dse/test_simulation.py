"""What a worker keeps of earlier points changes no figure of later ones."""

from __future__ import annotations

import pytest

from accelsim.dse import simulation
from accelsim.dse.simulation import Job, simulate
from accelsim.dse.space import Space
from accelsim.dse.spec import Axis, SweepSpec


@pytest.fixture
def jobs() -> list[Job]:
    """Points of two recipes and two machines, one of which skips zeros: networks with values and without them."""
    space = Space(
        SweepSpec(
            kind="sweep",
            name="kept",
            description="networks that points share",
            timing_only=True,
            axes=[
                Axis(field="arch", values=["edge-ws", "edge-outer"]),
                Axis(field="recipe", values=["int8", "pruned"]),
                Axis(field="arch.clock_hz", values=[1e9, 7e8]),
            ],
        )
    )
    found = [space.case(point) for point in space.points]
    assert all(isinstance(job, Job) for job in found)
    return [job for job in found if isinstance(job, Job)]


def figures(jobs: list[Job]) -> dict[str, str]:
    """What a worker that has kept nothing yet makes of points, in their order."""
    simulation._networks.clear()
    return {job.key: simulate(job) for job in jobs}


def test_kept_networks_change_no_figure_whatever_the_order(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = figures(jobs)
    assert simulation._networks
    assert figures(jobs[::-1]) == kept
    monkeypatch.setattr(simulation, "KEPT_NETWORKS", 0)
    assert figures(jobs) == kept
    assert not simulation._networks


def test_no_more_networks_are_kept_than_may_be(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "KEPT_NETWORKS", 2)
    figures(jobs)
    assert len(simulation._networks) == 2
