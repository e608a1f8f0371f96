"""Recipes: which schemes are applied to which layers."""

from __future__ import annotations

from typing import Literal

from accelsim.compress.quantize.int8 import Int8
from accelsim.config import shipped
from accelsim.config.load import load_model
from accelsim.config.model import NAME, Frozen, quantity


class Recipe(Frozen):
    """A list of steps, read from a file."""

    kind: Literal["recipe"] = quantity("name", "Kind of this file")
    name: str = quantity("name", "Name of the recipe", pattern=NAME)
    description: str = quantity("text", "What the recipe does")
    steps: list[Int8] = quantity("steps", "Schemes, in the order in which they are applied", min_length=1)


def load_recipe(name_or_path: str, beside: str = "") -> Recipe:
    """Load a recipe by its shipped name or its path, which begins at the folder of the machine `beside`."""
    return load_model(shipped.path_of("recipe", name_or_path, beside), Recipe)
