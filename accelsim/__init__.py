"""accelsim: a cycle-level, bit-exact simulator of neural-network accelerators.

`accelsim.run()` does what the command `accelsim run` does and returns a `RunResult`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.api import compile_workload, execute, run
    from accelsim.errors import AccelSimError
    from accelsim.results import RunResult

__all__ = ["AccelSimError", "RunResult", "compile_workload", "execute", "run"]

_HOMES = {"AccelSimError": "accelsim.errors", "RunResult": "accelsim.results"}


def __getattr__(name: str) -> Any:
    """Import on first use: numba and pydantic take a second that `accelsim --help` need not spend."""
    if name not in __all__:
        raise AttributeError(f"module 'accelsim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "accelsim.api")), name)
