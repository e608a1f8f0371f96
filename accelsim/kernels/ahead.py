"""Kernels that every simulation needs, compiled side by side before the first one: numba compiles one at a time.

Each core gets a process that compiles some of them into the cache, from which this process loads them. What is not
listed here, or could not be kept, is compiled where it is called.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numba
import numpy as np
from numba.core.targetconfig import TargetConfig

from accelsim.computer import cores
from accelsim.kernels import (
    blocks,
    classes,
    clocks,
    engine,
    execute,
    handover,
    hazards,
    occupied,
    records,
    second_level,
    tilings,
)
from accelsim.kernels.cache import CACHE_FOLDER, Kernel, claim
from accelsim.kernels.products import held
from accelsim.kernels.requantize import room

#: Processes at most: more would wait for the longest chain of kernels that call each other.
MOST = 4
#: Seconds between two looks at them.
LOOK_S = 0.05


#: Fields of a program's records: name here, type, and dimensions with that of the instructions.
_FIELDS = (("u1", "u1", 1), ("i1", "i1", 2), ("i4", "i4", 2), ("i8", "i8", 2), ("layer", "i4", 1), ("key", "i8", 1))

_done: set[tuple[bool, ...]] = set()


class Needs(NamedTuple):
    """What simulations need kernels for.

    Parameters
    ----------
    simple, banked, second_level
        A DRAM of constant rate, one of banks, and one of banks behind a second level.
    data
        The bytes that instructions move.
    """

    simple: bool = False
    banked: bool = False
    second_level: bool = False
    data: bool = True


class Form(NamedTuple):
    """A kernel and the types that it is compiled for."""

    kernel: Any  # a Kernel
    types: tuple[Any, ...]

    @classmethod
    def of(cls, kernel: Any, *arguments: Any) -> Form:
        """The form for arguments like these."""
        return cls(kernel, tuple(map(numba.typeof, arguments)))


def compile_ahead(needs: Needs, tell: Callable[[], None] | None = None) -> None:
    """Have what simulations need in the cache, if it is not there.

    Parameters
    ----------
    tell
        Called now and then while kernels are being compiled.
    """
    if needs in _done:
        return
    _done.add(needs)
    lacking = sum(not form.kernel.is_kept(form.types) for form in forms(needs))
    if not lacking:
        return
    script = f"from accelsim.kernels import ahead; ahead.compile_some(ahead.Needs{tuple(needs)})"
    found = {"ACCELSIM_CACHE_DIR": str(CACHE_FOLDER.parents[1]), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    none = subprocess.DEVNULL
    command = [sys.executable, "-P", "-c", script]
    helpers: list[subprocess.Popen[bytes]] = []
    try:
        with contextlib.suppress(OSError):  # no room for processes: kernels are compiled as they are called
            for _ in range(min(MOST, cores(), lacking)):
                helper = subprocess.Popen(command, env=os.environ | found, stdin=none, stdout=none, stderr=none)  # noqa: S603 - ourselves
                helpers.append(helper)
        while any(helper.poll() is None for helper in helpers):
            if tell:
                tell()
            time.sleep(LOOK_S)
    finally:
        for helper in helpers:
            helper.kill()
            helper.wait()


def compile_some(needs: Needs) -> None:
    """Compile what no other process does; for a process of its own."""
    gc.disable()  # numba makes millions of objects, and few go
    TargetConfig.__eq__ = _equal  # type: ignore[method-assign] # it compares options thousands of times
    claims = []
    for number, form in enumerate(forms(needs)):
        if taken := claim(f"{''.join(str(int(need)) for need in needs)}-{number}"):
            claims.append(taken)
            form.kernel.compile(form.types)


def _equal(one: Any, other: object) -> bool:
    """Whether compilers' options are equal: at once where the same ones were set, as they nearly always are."""
    return isinstance(other, TargetConfig) and (one._values == other._values or one.values() == other.values())  # type: ignore[no-untyped-call] # numba has no types


def forms(needs: Needs) -> Collection[Form]:
    """What simulations need, what takes longest first."""
    words, few, table = (np.zeros(0, kind) for kind in (np.int64, np.int32, np.bool_))
    units, clock, rows = np.zeros(0, np.int8), np.zeros((0, 0), np.int32), np.zeros((0, 0), np.int64)
    lists = np.zeros((0, 0), np.bool_)
    ranges, grants = (words, words, words), np.zeros(0, np.int8)
    fixed = np.zeros(0, np.uint8)
    fixed.flags.writeable = False
    read, written = (
        {name: _field(np.zeros(0, kind), dimensions, writeable=writeable) for name, kind, dimensions in _FIELDS}
        for writeable in (False, True)
    )
    found = []
    if needs.banked:
        found.append(Form.of(engine.loop, words, words, None, words, words, None, grants, 0))
    if needs.second_level:
        found.append(Form.of(engine.loop, words, words, None, words, words, words, grants, 0))
    if needs.simple:
        found.append(Form.of(engine.loop, words, words, words, None, words, None, grants, 0))
    if needs.data:
        found.append(Form.of(execute.loop, 0, 0, *_program(), words, None))
    found += [
        Form.of(hazards.find, 0, 0, _touched(), _last(), clock),
        Form.of(tilings.estimate, *_tilings()),
        Form.of(tilings.write, tilings.Rows(0, 0, 0), np.zeros((0, 0, 0, 0, 0), np.int64), lists, words, rows, lists),
        Form.of(occupied.left_by, words, words, words),
        Form.of(occupied.legal, words, words, words, words, words),
        Form.of(occupied.overwritten, ranges, ranges),
        Form.of(clocks.signals, read["i1"], words),
        Form.of(clocks.givers, units, read["i1"], read["i1"], read["i4"], words, few, words),
        Form.of(
            clocks.check, 0, 0, units, read["i1"], read["i4"], words, few, words, 0, clock, clock, words
        ),
        Form.of(clocks.reduce, 0, 0, units, words, few, 0, clock, clock, words, few, units, few),
        Form.of(clocks.write, few, units, few, units, written["i1"], written["i1"], written["i4"]),
        Form.of(classes.of_rows, written["u1"], written["i8"], few),
        Form.of(classes.of_rows, written["key"], written["i8"], few),
        Form.of(classes.of_rows, read["u1"], read["i8"], few),
        Form.of(classes.of_rows, few, clock, few),
        Form.of(classes.of_rows, written["u1"], rows, few),
        Form.of(classes.in_order, units, words, few),
        Form.of(classes.rests, written["u1"], written["i8"], rows, written["i8"]),
        Form.of(blocks.put, fixed, 0, words, words, words, words, np.zeros(0, np.uint8), words),
        Form.of(
            records.put, written["u1"], written["layer"], written["i1"], written["i1"], written["i8"], words,
            np.zeros(0, np.uint8), 0, np.zeros((0, 0, 0), np.int64),
        ),
        Form.of(records.valid, read["u1"], read["layer"], read["i1"], read["i1"], read["i4"], 0, 0),
        Form.of(records.by_layer, few, read["layer"], rows, rows),
        Form.of(records.by_layer, few, written["layer"], rows, rows),
        Form.of(records.folds_fit, few, table, table, rows),
        Form.of(records.held, few, words, table, written["layer"]),
        Form.of(engine.times, rows, rows),
        Form.of(engine.put, rows, 0, units, few, 0, read["i4"], table, 0, words),
    ]  # fmt: skip
    if needs.banked:
        found.append(Form.of(handover.flush, words, words, 0))
    if needs.second_level:
        found.append(Form.of(second_level.flush, words, words, 0))
    return [form for form in found if isinstance(form.kernel, Kernel)]  # none if nothing is compiled


def _program() -> tuple[Any, ...]:
    """What a program's loop is called with, as `accelsim.sim.data` has it."""
    words, bytes_ = np.zeros(0, np.int64), np.zeros(0, np.uint8)
    fixed, sent = np.zeros((0, 0), np.int64), np.zeros(0, np.uint8)
    fixed.flags.writeable = sent.flags.writeable = False
    operands = _field(words, 2)
    halves, sums = np.zeros(0, np.uint16), np.zeros(0, np.int32)
    return (
        execute.Stream(bytes_, words, bytes_, np.zeros(0, np.int32), operands, fixed, fixed, words),
        execute.Memories(bytes_, bytes_, bytes_, bytes_, halves, bytes_, sums, sent, sent, 0),
        execute.Matrix(words, bytes_, bytes_),
        held(0, 0, 0, vnni=False),
        room(0),
    )


def _field(like: Any, dimensions: int, *, writeable: bool = False) -> Any:
    """A field of a program's records: it stands apart, and is not written unless said."""
    field = np.zeros((2,) * dimensions + (2,), like.dtype)[..., 0]
    field.flags.writeable = writeable
    return field


def _tilings() -> tuple[Any, ...]:
    """Tilings of a product, as `accelsim.compiler.tiling` has them."""
    words, rows, cycles, table = np.zeros(0, np.int64), np.zeros((0, 0), np.int64), np.zeros(0), np.zeros(0, np.bool_)
    return (
        tilings.Layer(0, 0, 0, 0, 0, 0, 0, 0, False, 0, 0, 0, 0.0, 0, False, False, False, 0.0),
        tilings.Rooms(words, words, words, words, words, words, rows, rows, words),
        tilings.Tilings(words, words, words, table, table, *[words] * 13),
        tilings.Moved(words, words, words, words, words, cycles, cycles),
        tilings.Counts(*[words] * 4),
        tilings.Estimates(cycles, *[words] * 3),
    )


def _touched() -> hazards.Touched:
    """What instructions touch, as `accelsim.isa.hazards` has it."""
    words, few, rows = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros((0, 0), np.int64)
    table, units = np.zeros(0, np.bool_), np.zeros(0, np.int8)
    return hazards.Touched(units, few, words, few, table, words, rows, rows, words, words, words, words, few, table)


def _last() -> hazards.Last:
    """Who touched what last, as `accelsim.isa.hazards` has it."""
    words, few, table = np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.bool_)
    return hazards.Last(words, words, words, np.zeros((0, 0), np.int32), table, table, few, few, few, few, words)
