"""accelsim disasm."""

from __future__ import annotations

from typing import Annotated

import typer

from accelsim.cli import options


def disasm(
    file: options.ProgramFile,
    image: Annotated[
        bool, typer.Option("--image", help="Print the DRAM image too, so that `asm` can read it.")
    ] = False,
) -> None:
    """Print a program as text, one instruction a line."""
    from accelsim.isa.assembly import print_program
    from accelsim.isa.program import Program
    from accelsim.isa.verify import well_formed

    program = Program.load(file)
    well_formed(program, str(file))
    typer.echo(print_program(program, image=image), nl=False)
