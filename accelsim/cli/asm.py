"""accelsim asm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import output
from accelsim.errors import ProgramError


def asm(
    source: Annotated[Path, typer.Argument(help="Text, as `accelsim disasm --image` prints it.")],
    file: Annotated[Path, typer.Option("-o", "--output", help="Program file to write.")],
) -> None:
    """Assemble a program from its text."""
    output.require_file(file)
    from accelsim.files import read_text
    from accelsim.isa.assembly import MAX_TEXT_BYTES, parse
    from accelsim.isa.verify import well_formed

    program = parse(read_text(source, MAX_TEXT_BYTES, ProgramError), str(source))
    well_formed(program, str(source))
    program.save(file)
    typer.echo(f"wrote {file}", err=True)
