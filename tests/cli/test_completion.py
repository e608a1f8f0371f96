"""Shells complete commands, options and shipped names."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "found"),
    [("accelsim comp", {"compare", "compile"}), ("accelsim run --timing", {"--timing-only"}),
     ("accelsim run --arch edge-ws-fp8", {"edge-ws-fp8-e4m3", "edge-ws-fp8-e5m2"}),
     ("accelsim compare digits-m", {"digits-mlp"})],
)  # fmt: skip
def test_a_shell_completes(words: str, found: set[str]) -> None:
    count = len(words.split()) - 1
    environment = {**os.environ, "_ACCELSIM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(count)}
    code = "import sys; sys.argv = ['accelsim']; from accelsim.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert set(done.stdout.split()) == found
