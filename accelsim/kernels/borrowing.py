"""The decorators of kernels that allocate nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def borrowing(function: F) -> F:
    """Compile a kernel that borrows its arrays.

    A kernel counts references to its arguments, atomically, wherever it calls another one. That took a third of the
    time of the crossing; without numba's runtime (`_nrt`, see `numba.extending.register_jitable`) none are counted.
    Nobody calls it from C, so no wrapper for that is compiled.
    """
    compiled: F = njit(cache=True, _nrt=False, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload] # not among numba's stubs
    return compiled


def inner(function: F) -> F:
    """Compile a kernel that borrows its arrays and that only kernels call: Python has no entrance, which took time."""
    compiled: F = njit(cache=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)  # type: ignore[call-overload] # as above
    return compiled
