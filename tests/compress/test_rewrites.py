"""Schemes that rewrite a network leave its outputs where they were, where there is nothing that they lose."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, get_args

import float_networks
import numpy as np
import pytest
from float_networks import Linear, chain, recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.compress.apply import rewritten
from accelsim.compress.recipe import Rewriter
from accelsim.golden import real
from accelsim.graph.element import REAL
from accelsim.graph.layer import layers
from accelsim.workload.network import Network

#: Each scheme with what its weights must be, so that it loses nothing: any, few values, whole steps, or of a low rank.
SCHEMES: list[tuple[dict[str, Any], str]] = [
    ({"scheme": "smoothquant", "alpha": 0.4}, "any"),
    ({"scheme": "awq", "bits": 3}, "any"),
    ({"scheme": "outliers", "threshold": 1.5}, "any"),
    ({"scheme": "low_rank_branch", "rank": 2}, "any"),
    ({"scheme": "svd", "rank": 3}, "low rank"),
    ({"scheme": "kmeans", "bits": 4}, "few values"),
    ({"scheme": "gptq", "bits": 4}, "whole steps"),
    ({"scheme": "prune_magnitude", "sparsity": 0.0}, "any"),
    ({"scheme": "prune_wanda", "sparsity": 0.0}, "any"),
    ({"scheme": "prune_columns", "sparsity": 0.0}, "any"),
    ({"scheme": "prune_nm", "pattern": [4, 4], "permute": True}, "any"),
]
IDS = [step["scheme"] for step, _ in SCHEMES]


def network(rng: np.random.Generator, sizes: list[int], kind: str) -> Network:
    found = []
    for i, (k, n) in enumerate(pairwise(sizes)):
        match kind:
            case "low rank":
                weight = rng.normal(size=(k, 3)) @ rng.normal(size=(3, n))
            case "few values":
                weight = rng.integers(-7, 8, (k, n)) / 4
                weight[0], weight[-1] = -7 / 4, 7 / 4  # the centroids begin at all of them
            case "whole steps":
                weight = rng.integers(-7, 8, (k, n)) / 4
                weight[0] = 7 / 4
            case _:
                weight = rng.normal(size=(k, n))
        relu = i < len(sizes) - 2
        found.append(Linear(f"fc{i}", weight.astype(np.float32), rng.normal(size=n).astype(np.float32), relu))
    return chain(found, rng.normal(size=(20, sizes[0])) * np.exp(rng.normal(size=sizes[0])))


@pytest.mark.parametrize(("step", "kind"), SCHEMES, ids=IDS)
@given(sizes=st.lists(st.integers(5, 20), min_size=2, max_size=4), seed=st.integers(0, 2**32))
@settings(max_examples=15)
def test_outputs_stay_where_they_were(step: dict[str, Any], kind: str, sizes: list[int], seed: int) -> None:
    net = network(np.random.default_rng(seed), sizes, kind)
    wrote = rewritten(net, recipe(step, {"scheme": "int8"}))
    assert wrote.graph.outputs == net.graph.outputs
    before = float_networks.forward(net, net.inputs[0])[-1]
    (last,) = wrote.graph.outputs
    for graph_inputs, given_ in ((wrote.inputs, net.inputs), (wrote.calibration, net.calibration)):
        assert [x.shape for x in graph_inputs] == [x.shape for x in given_]
        after = real.evaluate(wrote.graph, graph_inputs)[last]
        assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize(
    ("schemes", "kind"),
    [
        (["smoothquant", "outliers"], "any"),
        (["smoothquant", "low_rank_branch"], "any"),
        (["awq", "prune_nm", "outliers"], "any"),
        (["prune_nm", "smoothquant", "low_rank_branch"], "any"),
        (["svd", "smoothquant", "prune_nm"], "low rank"),
    ],
)
def test_schemes_after_each_other_leave_the_outputs_too(schemes: list[str], kind: str) -> None:
    net = network(np.random.default_rng(len(schemes)), [12, 14, 9], kind)
    chosen = [next(step for step, _ in SCHEMES if step["scheme"] == scheme) for scheme in schemes]
    wrote = rewritten(net, recipe(*chosen, {"scheme": "int8"}))
    (last,) = wrote.graph.outputs
    before = float_networks.forward(net, net.inputs[0])[-1]
    after = real.evaluate(wrote.graph, wrote.inputs)[last]
    assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


def test_every_rewriting_scheme_is_here() -> None:
    names = [get_args(kind.model_fields["scheme"].annotation)[0] for kind in get_args(Rewriter)]
    assert sorted(names) == sorted(IDS)


def test_outliers_are_split_off_and_stay_floats() -> None:
    net = network(np.random.default_rng(1), [12, 9], "any")
    (whole,) = layers(net.graph)
    outlier = np.abs(net.calibration[0]).max(axis=0) >= 1.5
    assert 0 < outlier.sum() < 12
    wrote = rewritten(net, recipe({"scheme": "outliers", "threshold": 1.5}, {"scheme": "fp16"}))
    (layer,) = layers(wrote.graph)
    narrow, wide = (wrote.graph[node.inputs[1]] for node in layer.products)
    np.testing.assert_array_equal(narrow.numbers, whole.weight.numbers[~outlier])
    np.testing.assert_array_equal(wide.numbers, whole.weight.numbers[outlier])
    assert (narrow.element, wide.element.operand) == (REAL, "fp16")
    np.testing.assert_array_equal(wrote.inputs[0], np.hstack([net.inputs[0][:, ~outlier], net.inputs[0][:, outlier]]))
