"""accelsim schema."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from accelsim.errors import ConfigError, unknown_name


def schema(
    kind: Annotated[str, typer.Argument(help="arch, dram, tech, recipe, workload, sweep, result, plan or program.")],
) -> None:
    """Print the JSON Schema of a kind of file, for editors and other tools."""
    from typing import Any

    from pydantic import TypeAdapter

    from accelsim.compress.recipe import Recipe
    from accelsim.config.arch import Machine
    from accelsim.config.dram import Part
    from accelsim.config.tech import Technology
    from accelsim.dse.spec import SweepSpec
    from accelsim.isa.program import Header
    from accelsim.plan import Plan
    from accelsim.results import Summary
    from accelsim.workload.graph_file import GraphSpec
    from accelsim.workload.load import WorkloadSpec
    from accelsim.workload.model_file import ModelSpec

    models: dict[str, Any] = {
        "arch": Machine,
        "dram": Part,
        "tech": Technology,
        "recipe": Recipe,
        "workload": WorkloadSpec | GraphSpec | ModelSpec,
        "sweep": SweepSpec,
        "result": Summary,
        "plan": Plan,
        "program": Header,
    }
    if kind not in models:
        raise ConfigError(unknown_name("kind", kind, models))
    typer.echo(json.dumps(TypeAdapter(models[kind]).json_schema(), indent=2))
