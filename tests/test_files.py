"""Files of others, read only if they are regular and small enough; and files of ours, whole and in their place."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from accelsim import files
from accelsim.errors import FAULTS, AccelSimError, ConfigError, Fault


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "large", "none", "no name", "long name"])
def test_only_regular_files_of_bounded_size_are_read(kind: str, tmp_path: Path) -> None:
    file, told = tmp_path / "f", "must be a readable file: "
    if kind == "pipe":
        os.mkfifo(file)
        told = "must be a regular file, but is a pipe"
    elif kind == "device":
        file = Path("/dev/zero")
        told = "must be a regular file, but is a device"
    elif kind == "folder":
        file.mkdir()
        told += "Is a directory"
    elif kind == "large":
        with file.open("wb") as stream:
            stream.truncate(2**40)
        told = "must be at most 1000 bytes, but is larger"
    elif kind != "none":
        file = tmp_path / ("a\0b" if kind == "no name" else "a" * 1000)
    with pytest.raises(ConfigError) as error:
        files.read_bytes(file, 1000, ConfigError)
    assert error.value.faults[0].message.startswith(told)
    for read in (files.read_text, files.hash_of, files.require_regular):
        with pytest.raises(AccelSimError):
            read(file, 1000)
    assert not files.is_folder(file) or kind == "folder"
    assert files.is_file(file) == (kind in {"pipe", "device", "large"})


def test_a_link_in_the_place_of_an_unfinished_file_is_not_followed(tmp_path: Path) -> None:
    """As `.result.json.partial` once was."""
    target, folder = tmp_path / "precious", tmp_path / "o"
    target.write_text("kept")
    folder.mkdir()
    (folder / ".x.partial").symlink_to(target)
    (folder / "x").symlink_to(target)
    seen: list[str] = []

    def write(path: Path) -> None:
        seen.append(str(path.relative_to(folder)))
        assert not path.exists()
        assert path.parent.stat().st_mode & 0o777 == 0o700
        path.write_text("new")

    files.write_all(folder, {"x": write})
    files.write_all(folder, {"x": write})
    assert target.read_text() == "kept"
    assert (folder / "x").read_text() == "new"
    assert not (folder / "x").is_symlink()
    assert seen[0] != seen[1]
    assert sorted(path.name for path in folder.iterdir()) == [".x.partial", "x"]


def test_files_of_two_that_write_into_one_folder_are_not_mixed(tmp_path: Path) -> None:
    begun = threading.Barrier(2)

    def write(text: str) -> None:
        for _ in range(50):
            begun.wait()
            files.write_all(tmp_path, {name: lambda path: path.write_text(text) for name in "abcdefgh"})
            begun.wait()
            found = {path.read_text() for path in tmp_path.iterdir()}
            mixed.append(len(found) > 1)

    mixed: list[bool] = []
    threads = [threading.Thread(target=write, args=(text,)) for text in "12"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mixed) == 100
    assert not any(mixed)


def test_a_file_of_another_run_goes(tmp_path: Path) -> None:
    """Outputs of a run beside the result of one that was timed alone."""
    for name in "ab":
        (tmp_path / name).write_text("old")
    written = files.write_all(tmp_path, {"a": lambda path: path.write_text("new"), "b": None, "c": None})
    assert written == [tmp_path / "a"]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "new"}


def test_what_fails_leaves_nothing_and_an_error_of_the_system_is_one_line(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("part")
        raise OSError(28, "No space left on device")

    (tmp_path / "b").write_text("old")
    with pytest.raises(AccelSimError, match="must be a writable folder: No space left on device"):
        files.write_all(tmp_path, {"a": lambda path: path.write_text("new"), "b": fail})
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"b": "old"}
    with pytest.raises(AccelSimError, match="must be a writable folder: embedded null byte"):
        files.write_all(tmp_path / "a\0b", {})


def test_messages_are_bounded() -> None:
    """100,000 unknown keys were 4 MB of messages, and a value of a megabyte was one of them."""
    many = [Fault(f"must not be {number}", "a.yaml") for number in range(100_000)]
    lines = str(AccelSimError(*many, Fault("one", "b.yaml"))).splitlines()
    assert lines[FAULTS - 1 :] == ["a.yaml: must not be 19", "a.yaml: and 99980 more faults", "b.yaml: one"]
    for message in (f"must be x, not '{'y' * 10**6}'", f"must be x, not {'y' * 10**6}", " ".join(["'y'"] * 10**6)):
        assert len(str(Fault(message, key="k" * 10**6))) < 2200
    assert str(Fault(f"must be x, not '{'y' * 100}'; did you mean 'z'?")) == (
        f"must be x, not '{'y' * 75}...'; did you mean 'z'?"
    )
    assert str(Fault(f"it's {'y' * 100}, the machine's")) == f"it's {'y' * 100}, the machine's"
