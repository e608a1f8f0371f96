"""Recipes as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.compress.prune.magnitude import PruneMagnitude
from accelsim.compress.prune.nm import PruneGroups
from accelsim.compress.quantize.integers import Integers
from accelsim.compress.recipe import Recipe, load_recipe
from accelsim.config import shipped


@pytest.mark.parametrize("name", shipped.names("recipe"))
def test_a_written_recipe_is_the_one_that_was_read(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    (tmp_path / "r.yaml").write_text(recipe.to_yaml())
    assert load_recipe(str(tmp_path / "r.yaml")) == recipe


@pytest.mark.parametrize("layers", ["no", "1e3", "[*]1", "a: b # c", "'\"", "null", "-", "é", "fc-1", "a\\b"])
def test_names_of_any_kind_are_kept(layers: str, tmp_path: Path) -> None:
    steps = [
        PruneMagnitude(scheme="prune_magnitude", sparsity=1e-7, layers=layers, budget="global"),
        PruneGroups(scheme="prune_nm", pattern=(3, 4), permute=True),
        Integers(scheme="int8"),
    ]
    recipe = Recipe(kind="recipe", name=layers, description=f"{layers}: it", steps=steps)
    (tmp_path / "r.yaml").write_text(recipe.to_yaml())
    assert load_recipe(str(tmp_path / "r.yaml")) == recipe
