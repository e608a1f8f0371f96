"""Compression schemes side by side: what each costs on its machine, and what the network loses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from accelsim import api
from accelsim.comparison import Comparison, Refused
from accelsim.compress.recipe import load_recipe
from accelsim.config.load import load_machine
from accelsim.errors import AccelSimError, CompileError, ConfigError, WorkloadError
from accelsim.results import Summary
from accelsim.workload.source import Source

#: What is compared if nothing else is asked for: each recipe on the machine that it is meant for, the first one the
#: baseline.
DEFAULT_RECIPES = (
    "fp32",
    "fp16",
    "int8",
    "int4",
    "pruned",
    "pruned-skip",
    "columns",
    "columns-compact",
    "sparse24",
    "deep-compression",
    "lsq4",
    "lsq2",
    "pact4",
    "binary-trained",
)


class Scheme(NamedTuple):
    """A recipe, and the machine that it runs on: of a shipped name or a path each."""

    recipe: str
    arch: str

    @classmethod
    def parse(cls, text: str, arch: str | None = None) -> Scheme:
        """Read RECIPE or RECIPE@ARCH; without a machine there it is `arch`, or the one that the recipe names.

        Raises
        ------
        ConfigError
            If the recipe is not valid.
        """
        recipe, _, named = text.partition("@")
        return cls(recipe, named or arch or load_recipe(recipe).arch or api.DEFAULT_ARCH)


def compare(
    workload: str | Source = api.DEFAULT_WORKLOAD,
    recipes: Sequence[str] = DEFAULT_RECIPES,
    arch: str | None = None,
    *,
    engine: str = api.DEFAULT_ENGINE,
    residency: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> Comparison:
    """Run a network by many recipes.

    Parameters
    ----------
    recipes
        Shipped names or paths, each with `@` and a machine if it is not for `arch`; the first one is the baseline.
    arch
        Machine of all recipes that name none after `@`; if absent, that which each recipe is meant for.
    residency
        Whether values may stay on chip between layers; each row says so.
    progress
        Called with what is going on, how many recipes are done, and of how many.

    Raises
    ------
    AccelSimError
        If a recipe, a machine or the workload is not valid, or none can be executed. A recipe that is valid but can't
        be executed on its machine, or begins with a variant that the workload lacks, is listed as refused.
    """
    schemes = [Scheme.parse(recipe, arch) for recipe in recipes]
    machines = []
    for name in dict.fromkeys(scheme.arch for scheme in schemes):
        with contextlib.suppress(AccelSimError):  # each scheme says what is wrong with its machine
            machines.append(load_machine(name))
    api.compile_kernels(machines, engine=engine, progress=progress)
    found: list[Summary] = []
    refused: list[Refused] = []
    baseline: Summary | None = None
    for number, scheme in enumerate(schemes):
        if progress:
            progress("comparing", number, len(schemes))
        try:
            found.append(api.run(workload, scheme.arch, scheme.recipe, engine=engine, residency=residency).summary)
        except (CompileError, ConfigError, WorkloadError) as error:
            if not load_recipe(scheme.recipe).weights and isinstance(error, WorkloadError):
                raise
            able = api.machines_for(workload, scheme.recipe) if isinstance(error, CompileError) else []
            refused.append(Refused(recipe=scheme.recipe, arch=scheme.arch, reason=str(error), machines=able))
            continue
        if number == 0:
            baseline = found[0]
    if progress:
        progress("comparing", len(schemes), len(schemes))
    return Comparison.of(found, baseline, refused)
