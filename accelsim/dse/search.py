"""Search of a sweep's space: Optuna proposes points, a generation at a time, and is told what became of them.

A search holds nothing that must be kept: its proposals follow from the sweep and from what became of the points, which
the store has. One that begins again makes the same proposals.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import NamedTuple

import moocore
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.study import StudyDirection

from accelsim.dse.points import Point, Side
from accelsim.dse.spec import Objective, SweepSpec

#: Violation of a point that can't be simulated: above that of any point that merely exceeds a bound.
FAILED = 1e9
#: Points that are known before the worst of them become the reference point.
REFERENCE_POINTS = 10
#: Optuna's words for what is better.
_DIRECTIONS = {"minimise": StudyDirection.MINIMIZE, "maximise": StudyDirection.MAXIMIZE}


class Verdict(NamedTuple):
    """What became of a proposal.

    Parameters
    ----------
    violation
        Sum of what it exceeds its constraints by, relative to each bound; 0 if it keeps to all.
    values
        Its objectives; None if it was not simulated, or failed.
    """

    violation: float
    values: tuple[float, ...] | None


class Generation(NamedTuple):
    """How far a search has come.

    Parameters
    ----------
    number
        Generations that are done.
    proposals
        Points that were proposed, repeated ones among them.
    simulated, best
        Different points whose objectives are known, and those that no other one beats.
    hypervolume
        Volume that these dominate up to the reference point, each objective relative to it; None as long as there is
        no reference point: until ten points are known, if the sweep does not give it. It never falls.
    """

    number: int
    proposals: int
    simulated: int
    best: int
    hypervolume: float | None


class Search:
    """Proposals of NSGA-II or a tree-structured Parzen estimator, as Optuna has them.

    Parameters
    ----------
    spec
        A sweep whose method searches.
    """

    def __init__(self, spec: SweepSpec) -> None:
        assert spec.count  # noqa: S101 - as the model's validator says
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._count, self._generation = spec.count, spec.generation
        self._sides = {axis.field: Side.of(axis) for axis in spec.axes}
        self._distributions = {field: _distribution(side) for field, side in self._sides.items()}
        directions = [_DIRECTIONS[objective.goal] for objective in spec.objectives]
        self._study = optuna.create_study(directions=directions, sampler=_sampler(spec))
        self._open: list[tuple[optuna.Trial, Point]] = []
        self._known: dict[str, tuple[float, ...]] = {}
        self._front = _Front(spec.objectives)
        self._number = self._proposals = 0

    def propose(self) -> list[Point]:
        """The next generation's points, which may repeat; none when all have been proposed."""
        size = min(self._generation, self._count - self._proposals)
        trials = [self._study.ask(self._distributions) for _ in range(size)]
        points = [
            Point(trial.number, tuple(side.value(trial.params[field]) for field, side in self._sides.items()))
            for trial in trials
        ]
        self._open = list(zip(trials, points, strict=True))
        return points

    def tell(self, verdicts: Sequence[Verdict]) -> Generation:
        """Take what became of the points that were proposed last, in their order."""
        for (trial, point), verdict in zip(self._open, verdicts, strict=True):
            known = verdict.values is not None
            trial.set_constraint("kept", verdict.violation if known or verdict.violation else FAILED)
            # values of points that keep to no constraint are not looked at, but must be there
            self._study.tell(trial, verdict.values or [0.0] * len(self._study.directions))
            if verdict.values and not verdict.violation:
                self._known[json.dumps(point.values)] = verdict.values
        self._number += 1
        self._proposals += len(verdicts)
        self._open = []
        best, volume = self._front.of(list(self._known.values()))
        return Generation(self._number, self._proposals, len(self._known), best, volume)


class _Front:
    """What no other points beat, and the volume that it dominates."""

    def __init__(self, objectives: Sequence[Objective]) -> None:
        self._signs = np.array([1.0 if objective.goal == "minimise" else -1.0 for objective in objectives])
        self._given = [objective.reference for objective in objectives]
        self._reference: NDArray[np.float64] | None = None

    def of(self, values: Sequence[tuple[float, ...]]) -> tuple[int, float | None]:
        """How many of all points so far no other one beats, and their hypervolume; see `Generation`.

        The measure is Zitzler and Thiele's, DOI 10.1109/4235.797969, as moocore has it.
        """
        if not values:
            return 0, None
        costs = np.array(values) * self._signs
        best = int(moocore.is_nondominated(costs, keep_weakly=True).sum())
        if self._reference is None and (len(values) >= REFERENCE_POINTS or None not in self._given):
            worst = (costs.max(axis=0) * self._signs).tolist()
            chosen = [one if given is None else given for one, given in zip(worst, self._given, strict=True)]
            self._reference = np.array(chosen) * self._signs
        if self._reference is None:
            return best, None
        scale = np.where(self._reference, np.abs(self._reference), 1.0)
        return best, float(moocore.hypervolume(costs / scale, ref=self._reference / scale))


def _sampler(spec: SweepSpec) -> BaseSampler:
    seed = spec.seed % 2**32  # as many as Optuna's generator takes
    if spec.method == "nsga2":
        return NSGAIISampler(population_size=spec.generation, seed=seed)
    return TPESampler(seed=seed)


def _distribution(side: Side) -> BaseDistribution:
    if not side.listed:
        return FloatDistribution(0.0, math.nextafter(1.0, 0.0))
    last = len(side.listed) - 1
    return IntDistribution(0, last) if side.ordered else CategoricalDistribution(range(last + 1))
