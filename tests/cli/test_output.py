"""Progress on stderr."""

from __future__ import annotations

import pytest

from accelsim.cli import output


def test_of_what_nobody_knows_the_amount_no_time_is_estimated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "PATIENCE_S", 0.0)
    monkeypatch.setattr(output, "LINE_S", 0.0)
    with output.ProgressBar() as progress:
        progress("compiling kernels, once", 0, 0)
        progress("compiling kernels, once", 0, 0)
        progress("comparing", 0, 4)
        progress("comparing", 2, 4)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["compiling kernels, once", "comparing: 0 %", "comparing: 50 %, about 0 s left"]
