"""Recipes: which schemes are applied to which layers."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from accelsim.compress.cluster.kmeans import Cluster
from accelsim.compress.factorize.low_rank import LowRank
from accelsim.compress.factorize.svd import Svd
from accelsim.compress.prune.columns import PruneColumns
from accelsim.compress.prune.magnitude import PruneMagnitude
from accelsim.compress.prune.nm import PruneGroups
from accelsim.compress.prune.wanda import PruneWanda
from accelsim.compress.quantize.binary import Signs
from accelsim.compress.quantize.dynamic import DynamicIntegers
from accelsim.compress.quantize.floats import Floats
from accelsim.compress.quantize.gptq import Gptq
from accelsim.compress.quantize.integers import Integers
from accelsim.compress.reparameterize.awq import Awq
from accelsim.compress.reparameterize.outliers import Outliers
from accelsim.compress.reparameterize.smoothquant import SmoothQuant
from accelsim.compress.rewrite import Rewrite
from accelsim.compress.store import Store
from accelsim.compress.stored import AsStored
from accelsim.config import shipped
from accelsim.config.load import load_model
from accelsim.config.model import NAME, Frozen, quantity

Quantizer = Integers | DynamicIntegers | Floats | Signs
Rewriter = (
    PruneMagnitude | PruneColumns | PruneGroups | PruneWanda | Svd | LowRank | Cluster | SmoothQuant | Awq | Gptq
    | Outliers
)  # fmt: skip
Step = Annotated[Rewriter | Quantizer | Store | AsStored, Field(discriminator="scheme")]

#: Shipped recipe of networks that are quantized already.
STORED = "stored"

#: Words that are no text in YAML 1.2 or 1.1.
_NO_NAMES = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


class Recipe(Frozen):
    """A list of steps, read from a file."""

    kind: Literal["recipe"] = quantity("name", "Kind of this file")
    name: str = quantity("name", "Name of the recipe", pattern=NAME)
    description: str = quantity("text", "What the recipe does")
    weights: str | None = quantity(
        "name", "Trained variant of the workload's weights that the recipe begins with", default=None, pattern=NAME
    )
    arch: str | None = quantity(
        "name", "Machine that the recipe is meant for, where no other one is asked for", default=None
    )
    steps: list[Step] = quantity("steps", "Schemes, in the order in which they are applied", min_length=1)
    compact: bool = quantity(
        "flag", "Whether inputs without weights, and the outputs that only they would read, are removed", default=False
    )

    @model_validator(mode="after")
    def _sums_keep_their_value(self) -> Recipe:
        floats = [step.scheme for step in self.steps if isinstance(step, Floats | DynamicIntegers)]
        if self.compact and floats:
            raise ValueError(f"compact must be false for {floats[0]}, whose sums depend on how inputs are folded")
        if self.compact and any(isinstance(step, Integers) and step.weight_scales for step in self.steps):
            raise ValueError("compact must be false for weight_scales, whose groups are of all inputs")
        return self

    @model_validator(mode="after")
    def _stored_alone(self) -> Recipe:
        if self.is_stored and (len(self.steps) > 1 or self.compact or self.weights):
            raise ValueError("scheme stored must stand alone: it leaves a network as its file has it")
        return self

    @property
    def is_stored(self) -> bool:
        """Whether a network's types are those of its file."""
        return any(isinstance(step, AsStored) for step in self.steps)

    @property
    def sets_types_alone(self) -> bool:
        """Whether no byte count depends on the weights' values: nothing is removed or stored encoded."""
        encoded = any(
            (isinstance(step, Integers) and step.weight_scales) or (isinstance(step, Floats) and step.weights)
            for step in self.steps
        )
        return not self.compact and not encoded and not any(isinstance(step, Store | Rewrite) for step in self.steps)

    @property
    def rewrites(self) -> list[Rewriter]:
        """Steps that change float weights, which come before all others do their part."""
        return [step for step in self.steps if isinstance(step, Rewrite)]

    def to_yaml(self) -> str:
        """The text of a file that holds this recipe."""
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude={"steps"})
        lines = [f"{key}: {_scalar(value)}" for key, value in {"kind": self.kind, **fields}.items()]
        lines.append("steps:")
        for step in self.steps:
            keys = {"scheme": None, **step.model_dump(mode="json", exclude_defaults=True)}  # the scheme comes first
            pairs = [f"{key}: {_scalar(value)}" for key, value in keys.items()]
            lines += [f"  - {pairs[0]}", *(f"    {pair}" for pair in pairs[1:])]
        return "\n".join(lines) + "\n"


def _scalar(value: object) -> str:
    """A value as YAML 1.2 has it, which reads JSON; names that no YAML takes for something else have no quotes."""
    if isinstance(value, str) and re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", value) and value.lower() not in _NO_NAMES:
        return value
    return json.dumps(value, ensure_ascii=False)


def load_recipe(name_or_path: str, beside: str = "") -> Recipe:
    """Load a recipe by its shipped name or its path, which begins at the folder of the machine `beside`."""
    return load_model(shipped.path_of("recipe", name_or_path, beside), Recipe)
