"""accelsim list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from accelsim.cli import options, output
from accelsim.errors import ConfigError, unknown_name

if TYPE_CHECKING:
    from accelsim.report.tables import Table


def list_(
    kind: Annotated[str | None, typer.Argument(help="arch, dram, tech, recipe, sweep, workload or opcode.")] = None,
    name: Annotated[str | None, typer.Argument(help="The one of that kind to list; default is all.")] = None,
    wide: options.Wide = False,
) -> None:
    """List what is shipped: machines, DRAM parts, energy tables, recipes, sweeps, workloads; and the opcodes.

    Of energy tables, every figure is listed with its unit, source and assumption.
    """
    from accelsim.config import shipped

    kinds = [*shipped.KINDS, "opcode"]
    if kind and kind not in kinds:
        raise ConfigError(unknown_name("kind", kind, kinds))
    table = _opcodes() if kind == "opcode" else _technologies() if kind == "tech" else _files(kind)
    if name:
        column = 1 if "kind" in table.columns else 0
        rows = [row for row in table.rows if row[column] == name]
        if not rows:
            raise ConfigError(unknown_name(str(kind), name, {row[column] for row in table.rows}))
        table = table._replace(rows=rows)
    output.show(table, wide=wide)


def _files(kind: str | None) -> Table:
    """Names and descriptions of the shipped files of one kind, or of all."""
    from accelsim.config import shipped
    from accelsim.config.load import read_yaml
    from accelsim.report.tables import Table

    rows: list[tuple[str, ...]] = [
        (k, name, str(read_yaml(shipped.path_of(k, name)).data.get("description", "")))
        for k in shipped.KINDS
        if kind in {None, k}
        for name in shipped.names(k)
    ]
    if kind in {None, "workload"}:
        rows += _networks()
    return Table("", ("kind", "name", "description"), rows, frozenset({0, 1, 2}))


def _networks() -> list[tuple[str, ...]]:
    """Networks that `accelsim get` brings, and whether they are there."""
    from accelsim.workload import library

    return [
        ("workload", name, f"{known.description}; {'here' if library.found(name) else f'accelsim get {name}'}")
        for name, known in library.KNOWN.items()
    ]


def _technologies() -> Table:
    from accelsim.config import shipped
    from accelsim.config.load import load_part, load_technology
    from accelsim.report.tables import technologies

    found = [load_technology(name) for name in shipped.names("tech")]
    return technologies((table, load_part(table.dram_part) if table.dram_part else None) for table in found)


def _opcodes() -> Table:
    """Operands of each opcode."""
    from accelsim.isa.opcodes import OPCODES
    from accelsim.report.tables import Table

    columns = ("opcode", "unit", "operand", "range", "meaning")
    rows: list[tuple[str, ...]] = [
        (opcode.mnemonic, opcode.unit.name.lower(), field.name, f"{field.low} to {field.high}", field.meaning)
        for opcode in OPCODES
        for field in opcode.fields
    ]
    return Table("", columns, rows, frozenset(range(len(columns))))
