"""Kernels are compiled side by side before they are needed, and no process compiles what another one does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from accelsim import api
from accelsim.config.load import load_machine
from accelsim.kernels import ahead
from accelsim.kernels.cache import OneAtATime, claim

pytestmark = pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")

#: Compiles ahead if it is asked to, does something, and says where the cache is and how often numba compiled here.
SCRIPT = """
import sys
from numba.core import event
from accelsim import api
from accelsim.kernels import ahead
from accelsim.kernels.cache import CACHE_FOLDER

recorder = event.RecordingListener()
event.register("numba:compile", recorder)
{what}
print(CACHE_FOLDER, sum(found.is_start for _, found in recorder.buffer))
"""
COMPILE = """
needs = ahead.Needs(data=False)
ahead.compile_ahead(needs)
for form in ahead.forms(needs):
    form.kernel.compile(form.types)
"""


def compiled(cache: Path, what: str) -> tuple[Path, int]:
    """Kernels that a process of its own compiled, and where it looked for them."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(what=what)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ACCELSIM_CACHE_DIR": str(cache)},
    )
    folder, times = done.stdout.split()
    return Path(folder), int(times)


def test_what_is_compiled_side_by_side_no_process_compiles_again(tmp_path: Path) -> None:
    assert compiled(tmp_path, COMPILE)[1] == 0
    assert compiled(tmp_path, COMPILE)[1] == 0


def test_without_a_writable_cache_they_are_compiled_side_by_side_for_this_process(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    folder, times = compiled(blocked, COMPILE)
    assert times == 0
    assert not folder.parents[1].exists()


@pytest.mark.slow
def test_a_run_compiles_nothing_after_that(tmp_path: Path) -> None:
    assert compiled(tmp_path, "api.run()")[1] == 0


@pytest.mark.parametrize("arch", ["edge-ws", "edge-tensorcore", "tpu-v1"])
def test_what_is_listed_is_what_runs_call(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ahead.Needs] = []
    monkeypatch.setattr(ahead, "compile_ahead", lambda needs, _: asked.append(needs))
    api.run(arch=arch)
    (needs,) = asked
    for form in ahead.forms(needs):
        assert form.types in form.kernel.overloads, form.kernel


def test_runs_need_what_their_machines_have(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ahead.Needs] = []
    monkeypatch.setattr(ahead, "compile_ahead", lambda needs, _: asked.append(needs))
    machines = [load_machine(name) for name in ("edge-ws", "edge-tensorcore")]
    api.compile_kernels(machines)
    api.compile_kernels(machines[:1], timing_only=True)
    api.compile_kernels(machines, engine="reference")
    assert asked == [
        ahead.Needs(banked=True, second_level=True),
        ahead.Needs(banked=True, data=False),
        ahead.Needs(data=False),
    ]


def test_progress_is_told_without_an_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int, int]] = []
    monkeypatch.setattr(ahead, "compile_ahead", lambda _, tell: tell())
    api.compile_kernels([], progress=lambda *what: told.append(what))
    assert told == [("compiling kernels, once", 0, 0)]


def test_who_lacks_a_kernel_waits_for_the_process_that_compiles_it(tmp_path: Path) -> None:
    first, second = (OneAtATime(str(tmp_path), "kernel", "stamp") for _ in range(2))
    assert first.load("int64") is None
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(second.load("int64")))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    first.save("int64", "code")
    waiting.join()
    assert found == ["code"]
    assert second.load("float64") is None  # it holds nothing any more, and no one else does
    second.save("float64", "more code")


def test_without_room_for_a_kernel_the_process_goes_on_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    cache = OneAtATime(str(tmp_path), "kernel", "stamp")
    assert cache.load("int64") is None
    with monkeypatch.context() as patch:
        patch.setattr(OneAtATime, "_save_data", full)
        cache.save("int64", "code")
    other = OneAtATime(str(tmp_path), "kernel", "stamp")
    assert other.load("int64") is None
    other.save("int64", "code")
    assert cache.load("int64") == "code"


def test_a_kernel_is_claimed_once() -> None:
    mine = claim("test")
    assert mine
    assert claim("test") is None
    mine.close()
    again = claim("test")
    assert again
    again.close()
