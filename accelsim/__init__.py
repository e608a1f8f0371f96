"""accelsim: a cycle-level, bit-exact simulator of neural-network accelerators.

`accelsim.run()` does what the command `accelsim run` does and returns a `RunResult`; `accelsim.compare()` returns a
`Comparison`, whose `frame` is a DataFrame, and `accelsim.Sweep(FILE).run()` a DataFrame of all points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.api import compile_workload, execute, run
    from accelsim.dse.compare import compare
    from accelsim.dse.sweep import Sweep
    from accelsim.errors import AccelSimError
    from accelsim.results import RunResult

__all__ = ["AccelSimError", "RunResult", "Sweep", "compare", "compile_workload", "execute", "run"]

_HOMES = {
    "AccelSimError": "accelsim.errors",
    "RunResult": "accelsim.results",
    "Sweep": "accelsim.dse.sweep",
    "compare": "accelsim.dse.compare",
}


def __getattr__(name: str) -> Any:
    """Import on first use: numba and pydantic take a second that `accelsim --help` need not spend."""
    if name not in __all__:
        raise AttributeError(f"module 'accelsim' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES.get(name, "accelsim.api")), name)
