"""The command as a user meets it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def accelsim(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, from another folder."""
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
