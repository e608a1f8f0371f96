"""accelsim check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol

import typer

from accelsim.errors import AccelSimError, Fault, unknown_name


class Named(Protocol):
    """What any loader returns."""

    @property
    def name(self) -> str:
        """Name that the file gives itself."""
        ...


def check(
    files: Annotated[list[Path], typer.Argument(help="YAML files of any kind, or program files.")],
    arch: Annotated[
        str | None,
        typer.Option("--arch", help="Machine to verify programs for; default is the one compiled for."),
    ] = None,
) -> None:
    """Check files without running anything; every fault of every file is printed.

    What of a machine is allowed but holds up its array is a warning on stderr, and no fault.
    """
    faults: list[Fault] = []
    for file in files:
        try:
            typer.echo(f"{file}: ok, {_check(file, arch)}")
        except AccelSimError as error:
            faults += error.faults
    if faults:
        raise AccelSimError(*faults)


def _check(file: Path, arch: str | None) -> str:
    """Kind and name of a file without faults."""
    if file.suffix not in {".yaml", ".yml"}:
        return _check_program(file, arch)
    from accelsim.api import load_prices
    from accelsim.compress.recipe import load_recipe
    from accelsim.config.load import load_machine, load_part, load_technology, read_yaml
    from accelsim.config.traps import traps
    from accelsim.dse.sweep import Sweep
    from accelsim.workload.source import load_network

    document = read_yaml(file)

    def load_priced(path: str) -> Named:
        machine = load_machine(path)
        load_prices(machine, path)
        for trap in traps(machine):
            typer.echo(document.fault(trap.key, f"warning: {trap.message}"), err=True)
        return machine

    kind = str(document.data.get("kind"))
    loaders: dict[str, Callable[[str], Named]] = {
        "arch": load_priced,
        "dram": load_part,
        "tech": load_technology,
        "recipe": load_recipe,
        "sweep": Sweep,
        "workload": lambda path: load_network(path, values=False),  # nothing to check in what would be drawn
    }
    if kind not in loaders:
        raise AccelSimError(document.fault(("kind",), unknown_name("kind of file", kind, loaders)))
    return f"{kind} {loaders[kind](str(file)).name}"


def _check_program(file: Path, arch: str | None) -> str:
    from accelsim.api import compiled_for
    from accelsim.config.load import load_machine
    from accelsim.isa.program import Program
    from accelsim.isa.verify import verify

    program = Program.load(file)
    machine = load_machine(arch) if arch else compiled_for(program)
    verify(program, machine, str(file))
    return f"program of {program.header.workload} for {machine.name}: {len(program.instructions)} instructions"
