"""Several steps of a network with a state: what numpy computes, step by step."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from float_networks import recipe, typed
from recurrent import Elman

from accelsim.golden import exact, real, steps


@pytest.mark.parametrize("begun", [False, True])
def test_real_numbers_are_those_of_numpy(begun: bool) -> None:
    rng = np.random.default_rng(5)
    cell = Elman.drawn(rng, 6, 8, 3)
    graph = cell.network(rng, 4).graph
    xs = [rng.normal(size=(4, 6)) for _ in range(5)]
    h = rng.random((4, 8)) if begun else np.broadcast_to(cell.begun.astype(np.float64), (4, 8))
    given = ((x,) for x in xs)
    one = partial(real.evaluate, graph, wanted=None)
    found = list(steps.evaluate(graph, given, lambda x, held: one(x, states=held), [h] if begun else None))
    assert len(found) == 5
    for x, numbers in zip(xs, found, strict=True):
        h, y = cell.step(x, h)
        np.testing.assert_allclose(numbers["next.output"], h, rtol=1e-12)
        np.testing.assert_allclose(numbers["y.output"], y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("scheme", "near"), [("int8", 0.05), ("bf16", 0.02)])
def test_integers_and_floats_stay_near_them(scheme: str, near: float) -> None:
    rng = np.random.default_rng(6)
    cell = Elman.drawn(rng, 6, 8, 3)
    net = cell.network(rng, 4)
    graph, _ = typed(net, recipe({"scheme": scheme}))
    xs = [np.roll(net.calibration[0], step, axis=0)[:4] for step in range(5)]
    given = ((graph["x"].element.quantize(x),) for x in xs)
    found = steps.evaluate(graph, given, lambda x, held: exact.evaluate(graph, x, 4, held))
    h = np.broadcast_to(cell.begun.astype(np.float64), (4, 8))
    for x, numbers in zip(xs, found, strict=True):
        h, _ = cell.step(x, h)
        element = graph["next.output"].element
        assert numbers["next.output"].dtype == element.dtype
        assert np.abs(element.dequantize(numbers["next.output"]) - h).max() < near * np.abs(h).max()
