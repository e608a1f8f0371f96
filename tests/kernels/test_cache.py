"""The kernels' cache folder: named by their sources, never an obstacle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from accelsim import kernels

SCRIPT = """
import numpy as np
import accelsim.kernels as k
from accelsim.kernels import clocks
clock = np.zeros((5, 3), np.int32)
clocks.join(clock, np.ones((5, 3), np.int32))
print(k.CACHE_FOLDER, int(clock.sum()))
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
    assert total == "15"
    assert folder.parent == tmp_path / "accelsim"
    assert folder.name.startswith("kernels-")
    if not os.environ.get("NUMBA_DISABLE_JIT"):
        assert list(folder.rglob("*.nbc"))


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    folder, total = run(str(blocked))
    assert total == "15"
    assert not folder.exists()  # it lived as long as the process


def test_other_users_of_numba_keep_their_cache_folder() -> None:
    import numba

    import accelsim.kernels

    assert str(accelsim.kernels.CACHE_FOLDER) != numba.config.CACHE_DIR
