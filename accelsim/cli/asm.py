"""accelsim asm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import output
from accelsim.errors import Fault, ProgramError, reason


def asm(
    source: Annotated[Path, typer.Argument(help="Text, as `accelsim disasm --image` prints it.")],
    file: Annotated[Path, typer.Option("-o", "--output", help="Program file to write.")],
) -> None:
    """Assemble a program from its text."""
    output.require_file(file)
    from accelsim.isa.assembly import parse
    from accelsim.isa.verify import well_formed

    try:
        text = source.read_text()
    except (OSError, ValueError) as error:
        raise ProgramError(Fault(f"must be a readable text file: {reason(error)}", str(source))) from None
    program = parse(text, str(source))
    well_formed(program, str(source))
    program.save(file)
    typer.echo(f"wrote {file}", err=True)
