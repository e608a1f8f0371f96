"""accelsim list."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli import output
from accelsim.errors import ConfigError, unknown_name


def list_(
    kind: Annotated[str | None, typer.Argument(help="arch, tech, recipe, workload or opcode.")] = None,
) -> None:
    """List what is shipped: machines, energy tables, recipes, workloads; and the opcodes."""
    from accelsim.config import shipped
    from accelsim.config.load import read_yaml
    from accelsim.isa.opcodes import OPCODES
    from accelsim.report.tables import Table

    kinds = [*shipped.KINDS, "opcode"]
    if kind and kind not in kinds:
        raise ConfigError(unknown_name("kind", kind, kinds))
    rows: list[tuple[str, ...]]
    columns: tuple[str, ...]
    if kind == "opcode":
        rows = [
            (
                opcode.mnemonic,
                opcode.unit.name.lower(),
                field.name,
                f"{field.low} to {field.high}",
                field.meaning,
            )
            for opcode in OPCODES
            for field in opcode.fields
        ]
        columns = ("opcode", "unit", "operand", "range", "meaning")
    else:
        rows = [
            (k, name, str(read_yaml(shipped.path_of(k, name)).data.get("description", "")))
            for k in shipped.KINDS
            if kind in {None, k}
            for name in shipped.names(k)
        ]
        columns = ("kind", "name", "description")
    output.show(Table("", columns, rows, frozenset(range(len(columns)))))
