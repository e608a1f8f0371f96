"""The files that come with accelsim, found by name from any directory."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from accelsim.errors import ConfigError, unknown_name
from accelsim.files import is_file

_PACKAGE = Path(__file__).resolve().parent.parent

#: Folder of each kind below the root, and the file that a name stands for.
_PLACES = {
    "arch": ("configs/arch", "{name}.yaml"),
    "dram": ("configs/dram", "{name}.yaml"),
    "tech": ("configs/tech", "{name}.yaml"),
    "recipe": ("configs/recipes", "{name}.yaml"),
    "sweep": ("configs/sweeps", "{name}.yaml"),
    "workload": ("workloads", "{name}/workload.yaml"),
}
KINDS = tuple(_PLACES)


@cache
def _root() -> Path:
    """Root of configs/ and workloads/: inside an installed package, beside it in a checkout."""
    installed = _PACKAGE / "shipped"
    return installed if installed.is_dir() else _PACKAGE.parent


def names(kind: str) -> list[str]:
    """Names of all shipped files of a kind, sorted."""
    folder, pattern = _PLACES[kind]
    found = (_root() / folder).glob(pattern.format(name="*"))
    return sorted(path.stem if pattern == "{name}.yaml" else path.parent.name for path in found)


def is_name(kind: str, name: str) -> bool:
    """Whether a shipped file has this name."""
    return not is_path(name) and is_file(_file(kind, name))


@cache
def name_of(kind: str, path: Path) -> str | None:
    """Name of a shipped file; None if it is another one."""
    return next((name for name in names(kind) if _file(kind, name) == path), None)


def _file(kind: str, name: str) -> Path:
    folder, pattern = _PLACES[kind]
    return _root() / folder / pattern.format(name=name)


def is_path(name_or_path: str) -> bool:
    """Whether this is the path of a file and not a shipped name."""
    return name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path or "\\" in name_or_path


def path_of(kind: str, name_or_path: str, beside: str = "") -> Path:
    """Path of a shipped name, or of a file: whatever ends in .yaml or .yml or holds a slash is a path.

    Parameters
    ----------
    beside
        Path of the file that names this one, whose folder a relative path begins at; not used if it is a name.

    Raises
    ------
    ConfigError
        If there is no such file or name; the nearest names are offered.
    """
    if is_path(name_or_path):
        return (Path(beside).parent if is_path(beside) else Path()) / name_or_path
    if not is_name(kind, name_or_path):
        raise ConfigError(unknown_name(f"{kind} or the path of a .yaml file", name_or_path, names(kind)))
    return _file(kind, name_or_path)
