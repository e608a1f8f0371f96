"""The command as a user meets it."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO
from unittest import mock

from accelsim.cli import output
from accelsim.cli.main import main

Done = subprocess.CompletedProcess[str]

#: Seconds of a job before it says what it does: more than any takes here, so that a slow machine changes no output.
PATIENCE_S = 3600.0


def accelsim(*arguments: str | Path, cwd: Path | None = None) -> Done:
    """Run the command from another folder, in this process: a new one imports for longer than most commands take.

    What is no fault of the input is raised here, with its traceback, and so is any warning.
    """
    command = ["accelsim", *map(str, arguments)]
    with (
        _text() as out,
        _text() as err,
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.dict(os.environ, NO_COLOR="1"),
        mock.patch.multiple(sys, argv=command, stdout=out, stderr=err),
        mock.patch.object(output, "PATIENCE_S", PATIENCE_S),
        _logging_of_a_new_process(),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
        assert isinstance(code, int)
        return Done(command, code, _all_of(out), _all_of(err))


def alone(*arguments: str | Path, cwd: Path | None = None) -> Done:
    """Run the command as a user does: in a process of its own, which has imported nothing and has hashes of its own."""
    return subprocess.run(
        [sys.executable, "-m", "accelsim.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1"},
    )


def refused(*arguments: str | Path, cwd: Path | None = None) -> list[str]:
    """Lines on stderr of a command that must refuse its input."""
    done = accelsim(*arguments, cwd=cwd)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout
    return done.stderr.splitlines()


def _text() -> TextIO:
    """A file, as a redirected stream is one: it has a descriptor and is no terminal."""
    return tempfile.TemporaryFile("w+", encoding="utf-8")


def _all_of(stream: TextIO) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@contextlib.contextmanager
def _logging_of_a_new_process() -> Iterator[None]:
    """No handlers but those that the command adds, which go with it."""
    root, package = logging.getLogger(), logging.getLogger("accelsim")
    handlers, levels = root.handlers, (root.level, package.level)
    root.handlers = []
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(levels[0])
        package.setLevel(levels[1])
