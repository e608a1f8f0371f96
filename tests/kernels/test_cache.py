"""The kernels' cache folder: named by their sources, never an obstacle."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from numba.core import caching

from accelsim import kernels
from accelsim.kernels.cache import CACHE_FOLDER, OneAtATime

SCRIPT = """
import numpy as np
import accelsim.kernels.cache as k
from accelsim.kernels import clocks
first = np.zeros(3, np.int64)
clocks.signals(np.array([[0, 1, -1], [1, -1, 1]], np.int8), first)
print(k.CACHE_FOLDER, int(first.sum()))
"""


def run(cache: str, **environment: str) -> tuple[Path, str]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ACCELSIM_CACHE_DIR": cache, **environment},
    )
    folder, total = done.stdout.split()
    return Path(folder), total


def test_every_kernel_module_is_imported_with_the_package_while_its_folder_is_set() -> None:
    script = "import sys, accelsim.kernels; print(*(m for m in sys.modules if m.startswith('accelsim.kernels.')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    there = {path.stem for path in Path(kernels.__file__).parent.glob("*.py")} - {"__init__"}
    assert {module.rpartition(".")[2] for module in done.stdout.split()} == there


def test_kernels_are_cached_in_a_folder_named_by_their_sources(tmp_path: Path) -> None:
    folder, total = run(str(tmp_path))
    assert total == "5"
    assert folder.parent == tmp_path / "accelsim"
    assert folder.name.startswith("kernels-")
    if not os.environ.get("NUMBA_DISABLE_JIT"):
        assert list(folder.rglob("*.nbc"))


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    folder, total = run(str(blocked))
    assert total == "5"
    assert not folder.exists()  # it lived as long as the process


def test_other_users_of_numba_keep_their_cache_folder() -> None:
    import numba

    assert str(CACHE_FOLDER) != numba.config.CACHE_DIR


def test_types_that_are_saved_at_once_are_found_under_their_own_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_index = caching.IndexDataCacheFile._save_index

    def slowly(self: Any, overloads: dict[str, str]) -> None:
        time.sleep(0.1)
        save_index(self, overloads)

    monkeypatch.setattr(caching.IndexDataCacheFile, "_save_index", slowly)

    def save(name: str) -> None:
        OneAtATime(str(tmp_path), "kernel", "stamp").save(name, f"code of {name}")

    names = ["int8", "int16", "float32"]
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(save, names))
    found = OneAtATime(str(tmp_path), "kernel", "stamp")
    assert [found.load(name) for name in names] == [f"code of {name}" for name in names]


@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
def test_kernels_have_such_a_cache_and_others_keep_theirs() -> None:
    from accelsim.kernels import clocks

    assert isinstance(clocks.signals._cache._cache_file, OneAtATime)
    assert caching.IndexDataCacheFile is not OneAtATime
