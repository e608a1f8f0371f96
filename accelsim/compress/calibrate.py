"""Real numbers of a network for its calibration data, of several steps where it has states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from accelsim.golden import real, steps
from accelsim.workload.network import Network

Float64 = NDArray[np.float64]

#: Steps of a network with states, which begin with what they hold before the first one.
STEPS = 8


def calibrated(network: Network, wanted: Iterable[str] | None = None) -> Mapping[str, Float64]:
    """Real numbers of values, all if none are named; those of several steps one behind the other, samples first.

    Each step of a network with states reads the calibration data one sample later than the step before, so that all of
    them are of its inputs' distribution.
    """
    graph, given = network.graph, network.calibration
    if not graph.states:
        return real.evaluate(graph, given, wanted)
    later = ([np.roll(x, -step, axis=0) for x in given] for step in range(STEPS))
    found = list(steps.evaluate(graph, later, lambda inputs, states: real.evaluate(graph, inputs, states=states)))
    names = found[0] if wanted is None else wanted
    return {name: np.concatenate([numbers[name] for numbers in found]) for name in names}
