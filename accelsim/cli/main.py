"""The `accelsim` command: faults of the input become one line each on stderr and exit code 2."""

from __future__ import annotations

import _thread
import errno
import logging
import os
import sys
import threading
from typing import Annotated

import typer

from accelsim.cli import (
    asm,
    check,
    compare,
    compile_,
    dashboard,
    disasm,
    dram,
    evaluate,
    exec_,
    explain,
    get,
    graph,
    import_,
    list_,
    run,
    schema,
    sensitivity,
    sweep,
)
from accelsim.errors import AccelSimError, Fault, StoppedError, reason

#: Exit code of what nobody reads any more, as shells have it.
UNREAD = 141
#: Seconds until an interrupt that Python had to ignore is given again.
AGAIN_S = 0.01
#: What the system says of a file that takes no more.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF, errno.EINVAL}

app = typer.Typer(
    name="accelsim",
    help="Simulate neural-network accelerators, bit for bit and cycle for cycle.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("run")(run.run)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("sensitivity")(sensitivity.sensitivity)
app.command("sweep")(sweep.sweep)
app.command("dashboard")(dashboard.dashboard)
app.command("explain")(explain.explain)
app.command("graph")(graph.graph)
app.command("compile")(compile_.compile_)
app.command("disasm")(disasm.disasm)
app.command("asm")(asm.asm)
app.command("exec")(exec_.exec_)
app.command("dram")(dram.dram)
app.add_typer(import_.app, name="import")
app.command("list")(list_.list_)
app.command("check")(check.check)
app.command("get")(get.get)
app.command("schema")(schema.schema)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"accelsim {version('accelsim')}")
        raise typer.Exit


@app.callback()
def options(
    verbose: Annotated[int, typer.Option("-v", count=True, help="Say what is going on; -vv says more.")] = 0,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Set up logging to stderr."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("accelsim").setLevel(level)


def main() -> None:
    """Run the command line."""
    if sys.stdout is None or sys.stderr is None:
        sys.exit(2)  # closed: there is nobody to tell
    sys.unraisablehook = _interrupt_again
    try:
        code = _run()
    except typer.BadParameter.__bases__ as error:  # type: ignore[misc] # UsageError, wherever this typer keeps it
        typer.echo(error.format_message(), err=True)
        sys.exit(2)
    except typer.Abort:
        code = StoppedError.exit_code
    except AccelSimError as error:
        typer.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except MemoryError as error:
        typer.echo(f"this computer's memory must hold what is asked for, but does not: {error}".rstrip(": "), err=True)
        sys.exit(2)
    except OSError as error:
        if error.filename is not None:
            typer.echo(str(Fault(f"must be a usable file: {reason(error)}", str(error.filename))), err=True)
            sys.exit(2)
        if error.errno not in _FULL:
            told = f"this computer must provide what a command needs, but does not: {reason(error)}"
            typer.echo(told, err=True)
            sys.exit(2)
        _silence()
        typer.echo(f"standard output must take what is printed: {reason(error)}", err=True)  # it is full
        sys.exit(2)
    if code == StoppedError.exit_code:  # typer's for an interrupt
        typer.echo("interrupted", err=True)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt_again(ignored: sys.UnraisableHookArgs) -> None:
    """Give an interrupt once more that came in a finalizer, from where Python raises nothing: it would be lost."""
    if not isinstance(ignored.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(ignored)
        return
    again = threading.Timer(AGAIN_S, _thread.interrupt_main)
    again.daemon = True
    again.start()


def _run() -> object:
    """Run the command, and print the last of what it says; a reader that has gone, as `head` does, ends it unsaid."""
    try:
        try:
            return app(standalone_mode=False)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        pass
    except SystemExit as end:  # by typer, for the same reason
        if not isinstance(end.__context__, BrokenPipeError):
            raise
    _silence()
    sys.exit(UNREAD)


def _silence() -> None:
    """Let nothing more be printed, so that Python's last flush does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
