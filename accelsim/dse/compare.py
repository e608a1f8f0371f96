"""Compression schemes side by side: what each costs on its machine, and what the network loses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from accelsim import api
from accelsim.comparison import DEFAULT_OBJECTIVES, Comparison, Refused, require_objectives
from accelsim.compress.recipe import load_recipe
from accelsim.config.load import load_machine
from accelsim.errors import AccelSimError, CompileError, ConfigError, WorkloadError
from accelsim.fields import NOTHING
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

    def __str__(self) -> str:
        return f"{self.recipe} on {self.arch}"

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
    tech: str | None = None,
    fields: Mapping[str, Any] = NOTHING,
    objectives: Sequence[str] | None = None,
    engine: str = api.DEFAULT_ENGINE,
    timing_only: bool = False,
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
    tech
        Energy table of all rows; that of each machine if absent.
    fields
        What is other than the files say, in all rows, by the paths that sweeps use.
    objectives
        What the best rows are best in, of `comparison.OBJECTIVES`: energy, seconds and, if it is known, accuracy if
        absent.
    timing_only
        Whether cycles, traffic and energy are asked for, and no outputs.
    residency
        Whether values may stay on chip between layers; each row says so.
    progress
        Called with what is going on, how much is done, and of how much: of 0 if that is not known.

    Raises
    ------
    AccelSimError
        If a recipe, a machine or the workload is not valid, or none can be executed. A recipe that is valid but can't
        be executed on its machine, or begins with a variant that the workload lacks, is listed as refused.
    """
    if objectives is None:
        objectives = [name for name in DEFAULT_OBJECTIVES if name != "accuracy" or not timing_only]
    require_objectives(objectives, timing_only=timing_only)
    schemes = [Scheme.parse(recipe, arch) for recipe in recipes]
    machines = []
    for name in dict.fromkeys(scheme.arch for scheme in schemes):
        with contextlib.suppress(AccelSimError):  # each scheme says what is wrong with its machine
            machines.append(load_machine(name))
    api.compile_kernels(machines, engine=engine, timing_only=timing_only, progress=progress)
    found: list[Summary] = []
    refused: list[Refused] = []
    baseline: Summary | None = None
    for number, scheme in enumerate(schemes):
        told = partial(_tell, progress, f"{number + 1} of {len(schemes)}, {scheme}") if progress else None
        try:
            result = api.run(
                workload,
                scheme.arch,
                scheme.recipe,
                tech=tech,
                fields=fields,
                engine=engine,
                timing_only=timing_only,
                residency=residency,
                progress=told,
            )
            found.append(result.summary)
        except (CompileError, ConfigError, WorkloadError) as error:
            if not load_recipe(scheme.recipe).weights and isinstance(error, WorkloadError):
                raise
            able = api.machines_for(workload, scheme.recipe) if isinstance(error, CompileError) else []
            refused.append(Refused(recipe=scheme.recipe, arch=scheme.arch, reason=str(error), machines=able))
            continue
        if number == 0:
            baseline = found[0]
    if not found:
        raise CompileError(*(f"{one.recipe} on {one.arch}: {one.reason}" for one in refused))
    return Comparison.of(found, baseline, refused, objectives)


def _tell(progress: Callable[[str, int, int], None], which: str, what: str, done: int, of: int) -> None:
    """Progress of one run of many."""
    progress(f"{what} {which}", done, of)
