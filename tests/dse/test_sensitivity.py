"""Layers compressed one at a time, against plain numpy and against whole runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from float_networks import linears
from networks import labels_of
from numpy.typing import NDArray

from accelsim import api
from accelsim.compress.recipe import load_recipe
from accelsim.dse.sensitivity import DIALS, Value, parse, scan
from accelsim.errors import AccelSimError, ConfigError, WorkloadError
from accelsim.sensitivity import Row, Sensitivity
from accelsim.workload.network import Network
from accelsim.workload.source import load_network

Float64 = NDArray[np.float64]


@pytest.fixture(scope="module")
def pruned() -> Sensitivity:
    return scan(values=(0.0, 0.3, 0.5, 0.7, 0.9), loss=0.01)


@pytest.fixture(scope="module")
def digits() -> Network:
    return load_network("digits-mlp")


def outputs(network: Network, weights: list[Float64]) -> Float64:
    x = network.inputs[0].astype(np.float64)
    for weight, layer in zip(weights, linears(network), strict=True):
        x = x @ weight + layer.bias
        x = np.maximum(x, 0) if layer.relu else x
    return x


def test_a_row_is_what_plain_numpy_finds_with_one_layer_pruned(pruned: Sensitivity, digits: Network) -> None:
    whole = [layer.weight.astype(np.float64) for layer in linears(digits)]
    exact = outputs(digits, whole)
    expected = [(layer.name, share) for layer in linears(digits) for share in (0.0, 0.3, 0.5, 0.7, 0.9)]
    assert [(row.layer, row.value) for row in pruned.rows] == expected
    for row in pruned.rows:
        if not row.value:
            continue
        number = [layer.name for layer in linears(digits)].index(row.layer)
        weight = whole[number].copy()
        smallest = np.argsort(np.abs(weight), axis=None)[: round(row.value * weight.size)]
        weight.ravel()[smallest] = 0
        found = outputs(digits, [weight if i == number else w for i, w in enumerate(whole)])
        noise_db = 10 * np.log10(np.square(exact).sum() / np.square(found - exact).sum())
        assert row.quality.sqnr_db == pytest.approx(noise_db, abs=1e-3)  # the scan's sums are float32
        assert row.quality.task
        assert row.quality.task.value == (found.argmax(axis=1) == labels_of(digits)).mean()
        assert row.removed == len(smallest)
        assert row.saved_bits == 32 * len(smallest)


@pytest.mark.parametrize("scheme", [name for name in DIALS if name.startswith("prune") and name != "prune_nm"])
def test_to_prune_nothing_loses_nothing(scheme: str) -> None:
    found = scan(scheme=scheme, values=(0.0,), loss=0.0)
    for row in found.rows:
        assert row.quality == found.baseline
        assert (row.removed, row.saved_bits, row.lost, row.within) == (0, 0, 0, True)
    assert found.budgets
    assert found.budgets.recipe.steps == load_recipe("fp32").steps
    assert found.budgets.quality == found.baseline


def test_as_many_bits_as_before_lose_nothing() -> None:
    found = scan(scheme="weight_bits", values=(8,))
    assert all(row.quality == found.baseline and row.saved_bits == 0 for row in found.rows)
    assert found.budgets is None
    assert all(row.within is None for row in found.rows)


def test_the_base_alone_is_what_a_run_of_it_finds() -> None:
    for recipe, arch in (("fp32", "edge-ws-fp32"), ("pruned", "edge-ws"), ("lsq4", "edge-ws-int4")):
        found = scan(recipe=recipe, values=(0.5,))
        assert found.baseline == api.run("digits-mlp", arch, recipe).summary.quality


@pytest.mark.parametrize(
    ("scheme", "value", "recipe", "arch"),
    [
        ("prune_magnitude", 0.8, "int8", "edge-ws"),
        ("prune_wanda", 0.6, "fp32", "edge-ws-fp32"),
        ("prune_columns", 0.3, "smoothquant", "edge-ws"),
        ("prune_nm", (2, 4), "int4", "edge-ws-int4"),
        ("prune_magnitude", 0.5, "svd", "edge-ws"),
        ("weight_bits", 3, "int8", "edge-ws"),
    ],
)
def test_a_row_is_what_a_run_of_the_base_with_its_step_finds(
    scheme: str, value: Value, recipe: str, arch: str, tmp_path: Path
) -> None:
    row = scan(scheme=scheme, values=(value,), recipe=recipe).rows[1]
    base = load_recipe(recipe)
    rewriting = [*base.rewrites, row.step] if scheme != "weight_bits" else base.rewrites
    others = [step for step in base.steps if step not in base.rewrites]
    steps = [*rewriting, *others, *([row.step] if scheme == "weight_bits" else [])]
    file = tmp_path / "one.yaml"
    file.write_text(base.model_copy(update={"steps": steps}).to_yaml())
    summary = api.run("digits-mlp", arch, str(file)).summary
    assert summary.bit_exact
    assert summary.quality == row.quality


def test_saved_bits_are_those_of_narrower_or_removed_weights(digits: Network) -> None:
    sizes = {layer.name: layer.weight.size for layer in linears(digits)}
    for row in scan(scheme="weight_bits", values=(6, 3)).rows:
        assert row.saved_bits == sizes[row.layer] * (8 - row.value)
        assert row.removed == 0
    for row in scan(scheme="prune_nm", values=((1, 4),), recipe="int8").rows:
        assert row.value == 0.75
        assert row.removed == 0.75 * sizes[row.layer]
        assert row.saved_bits == 8 * row.removed


def test_what_is_zero_already_is_not_removed_again() -> None:
    found = scan(recipe="pruned", values=(0.5,))  # more than half of every layer's weights are zero
    assert all(row.removed == 0 and row.quality == found.baseline for row in found.rows)


def test_budgets_are_the_rows_within_that_save_most(pruned: Sensitivity) -> None:
    assert pruned.budgets
    kept: dict[str, Row] = {}
    assert pruned.baseline.task
    for row in pruned.rows:
        assert row.quality.task
        assert row.lost == pruned.baseline.task.value - row.quality.task.value
        assert row.within == (row.lost <= 0.01)
        if row.within and row.value:
            kept[row.layer] = row  # values ascend
    assert kept
    assert pruned.budgets.recipe.steps == [*(row.step for row in kept.values()), *load_recipe("fp32").steps]
    assert pruned.budgets.removed == sum(row.removed for row in kept.values())
    assert pruned.budgets.saved_bits == sum(row.saved_bits for row in kept.values())


@pytest.mark.parametrize(("scheme", "arch"), [("prune_wanda", "edge-ws-fp32"), ("weight_bits", "edge-ws")])
def test_all_budgets_together_are_a_recipe_that_runs(scheme: str, arch: str, tmp_path: Path) -> None:
    budgets = scan(scheme=scheme, loss=0.01).budgets
    assert budgets
    file = tmp_path / "budgets.yaml"
    file.write_text(budgets.recipe.to_yaml())
    assert load_recipe(str(file)) == budgets.recipe
    summary = api.run("digits-mlp", arch, str(file)).summary
    assert summary.bit_exact
    assert summary.quality == budgets.quality


def test_what_layers_bear_alone_they_need_not_bear_together() -> None:
    """Which is why the result says both."""
    found = scan(scheme="prune_wanda", values=(0.7,), loss=0.01)
    assert all(row.within for row in found.rows)
    assert found.budgets
    assert found.budgets.lost is not None
    assert found.budgets.lost > 0.05


def test_a_floor_of_sqnr_holds_too(pruned: Sensitivity) -> None:
    found = scan(values=(0.3, 0.5, 0.7, 0.9), sqnr_db=12.0)
    for row in found.rows:
        assert row.quality.sqnr_db is not None
        assert row.within == (row.quality.sqnr_db >= 12)
    both = scan(values=(0.3, 0.5, 0.7, 0.9), loss=0.01, sqnr_db=12.0)
    loss = [row.within for row in pruned.rows if row.value]
    alone = [row.within for row in found.rows]
    assert [row.within for row in both.rows] == [a and b for a, b in zip(loss, alone, strict=True)]
    assert loss != alone


def test_the_object_is_read_back_and_the_frame_has_its_figures(pruned: Sensitivity, tmp_path: Path) -> None:
    assert Sensitivity.model_validate_json(pruned.to_json()) == pruned
    frame = pruned.frame
    assert list(frame["layer"]) == [row.layer for row in pruned.rows]
    assert list(frame["quality.sqnr_db"]) == [row.quality.sqnr_db for row in pruned.rows]
    assert list(frame["step.sparsity"]) == [row.value for row in pruned.rows]
    pruned.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sensitivity.json", "sensitivity.parquet"]
    assert json.loads((tmp_path / "sensitivity.json").read_text()) == json.loads(pruned.to_json())


def test_progress_is_told_to_the_end() -> None:
    told: list[tuple[str, int, int]] = []
    scan(values=(0.5,), progress=lambda *what: told.append(what))
    assert told == [("scanning", number, 3) for number in range(4)]


@pytest.mark.parametrize(
    ("arguments", "kind", "expected"),
    [
        ({"workload": "alexnet-layers"}, WorkloadError, "alexnet-layers: layers must form a chain"),
        ({"recipe": "binary"}, ConfigError, "layer fc1: prune_magnitude must be for weights that can be zero"),
        ({"scheme": "weight_bits", "recipe": "fp32"}, ConfigError, "weight_bits must be for integers, not fp32"),
        ({"scheme": "weight_bits", "recipe": "lsq4"}, ConfigError, "the recipe fixes the weights' steps"),
        ({"scheme": "weight_bits", "values": (9,)}, ConfigError, "values: weight_bits must be at most 8"),
        ({"values": (1.0,)}, ConfigError, "values: must be less than 1, not 1.0"),
        ({"scheme": "prune_nm", "values": ((5, 4),)}, ConfigError, "values: pattern must be N and M"),
        ({"loss": -0.1}, ConfigError, "loss: must be a fraction from 0 to 1, not -0.1"),
        ({"workload": "fc-4096", "loss": 0.1}, ConfigError, "loss: must be absent for fc-4096, which has no task"),
        ({"sqnr_db": float("nan")}, ConfigError, "sqnr: must be decibels, not nan"),
        ({"scheme": "prune"}, ConfigError, "must be a known scheme of a scan, not 'prune'; did you mean 'prune_"),
    ],
)
def test_what_cannot_be_scanned_is_refused(
    arguments: dict[str, object], kind: type[AccelSimError], expected: str
) -> None:
    with pytest.raises(kind) as caught:
        scan(**arguments)  # type: ignore[arg-type] # each as its parameter has it
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_are_read_as_the_scheme_has_them() -> None:
    assert parse("prune_nm", "2:4") == (2, 4)
    assert parse("prune_wanda", "0.25") == 0.25
    for scheme, text in (("prune_nm", "0.5"), ("prune_nm", "1:2:3"), ("weight_bits", "2:4")):
        with pytest.raises(ConfigError, match="values: must be"):
            parse(scheme, text)


def test_a_layer_is_scanned_under_any_name(tmp_path: Path) -> None:
    """A step's layers are a pattern, which a name may look like."""
    (tmp_path / "w.yaml").write_text(
        "kind: workload\nname: w\ndescription: d\nsource: s\nsynthetic: {seed: 1, batch: 5}\nlayers:\n"
        "  - {name: '[a]*', kind: linear, inputs: 6, outputs: 8}\n  - {name: a, kind: linear, inputs: 8, outputs: 3}\n"
    )
    found = scan(str(tmp_path / "w.yaml"), values=(0.5,), sqnr_db=0.0)
    assert [row.removed for row in found.rows] == [24, 12]
    assert all(row.lost is None and row.quality.task is None for row in found.rows)
    assert found.budgets
    (tmp_path / "r.yaml").write_text(found.budgets.recipe.to_yaml())
    assert load_recipe(str(tmp_path / "r.yaml")) == found.budgets.recipe
