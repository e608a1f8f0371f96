"""Progress on stderr, and tables on terminals of any width."""

from __future__ import annotations

import time

import pytest

from accelsim.cli import output


def test_a_file_gets_one_line_a_phase_and_an_estimate_once_a_unit_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "PATIENCE_S", 0.0)
    with output.ProgressBar() as progress:
        progress("compiling kernels, once", 0, 0)
        progress("compiling kernels, once", 0, 0)
        progress("simulating", 0, 4)
        progress("simulating", 2, 4)
        monkeypatch.setattr(output, "LINE_S", 0.0)
        progress("simulating", 0, 4)
        progress("simulating", 2, 4)
        monkeypatch.setattr(output, "LINE_S", 60.0)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["compiling kernels, once", "simulating", "simulating: 2 of 4, about 0 s left"]


def test_a_phase_that_reports_nothing_is_told_of_and_a_quick_job_is_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output, "PATIENCE_S", 0.2)
    monkeypatch.setattr(output, "TICK_S", 0.01)
    with output.ProgressBar() as progress:
        progress("loading", 0, 0)
    assert not capsys.readouterr().err
    with output.ProgressBar() as progress:
        progress("loading", 0, 0)
        progress("searching an order of inputs", 0, 0)
        time.sleep(0.5)
    assert capsys.readouterr().err == "searching an order of inputs\n"
