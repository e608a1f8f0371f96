"""accelsim asm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from accelsim.cli import output
from accelsim.errors import Fault, ProgramError


def asm(
    source: Annotated[Path, typer.Argument(help="Text, as `accelsim disasm --image` prints it.")],
    file: Annotated[Path, typer.Option("-o", "--output", help="Program file to write.")],
) -> None:
    """Assemble a program from its text."""
    output.require_writable(file)
    from accelsim.isa.assembly import parse

    try:
        text = source.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ProgramError(Fault(f"must be a readable text file: {reason}", str(source))) from None
    parse(text, str(source)).save(file)
    typer.echo(f"wrote {file}", err=True)
