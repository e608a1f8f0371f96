"""The fast engine: instructions are executed in program order, which tells what each takes; then time is computed.

`verify` has proven that the bytes do not depend on timing, so data and time can be taken apart. The rules of the timing
are those of `accelsim.sim.reference`; the loop over them is `accelsim.kernels.engine`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.config.arch import BankedDram, IdealDram, Machine, SimpleDram
from accelsim.errors import DeadlockError
from accelsim.isa.descriptors import Descriptor, requested, window
from accelsim.isa.opcodes import DMAS, GATHER, NONE, ORDERED, SCATTER, SEMAPHORES, UNIT_OF, UNITS, Unit
from accelsim.isa.program import Program
from accelsim.isa.verify import verify
from accelsim.kernels import classes, dma, engine
from accelsim.kernels import crossing as crossing_kernel
from accelsim.kernels import engine_records as record
from accelsim.memory.activity import Activity
from accelsim.memory.controllers import Controllers
from accelsim.memory.region import Runs
from accelsim.memory.requests import Channel
from accelsim.results import Execution
from accelsim.sim import states
from accelsim.sim.data import move_all
from accelsim.sim.machine import Core
from accelsim.sim.outcome import Found, outcome
from accelsim.sim.timings import Ports, Timings
from accelsim.units import NEVER, ceil_div

Int64 = NDArray[np.int64]
Int32 = NDArray[np.int32]
Progress = Callable[[int, int], None]

#: Instructions between two calls of the progress function.
STRIDE = 1 << 20
#: Whether a unit's instructions are transfers.
_TRANSFERS = np.isin(np.arange(UNITS), DMAS)


def execute(
    program: Program, machine: Machine, progress: Progress | None = None, file: str = "", *, timing_only: bool = False
) -> Execution:
    """Run a program.

    Parameters
    ----------
    progress
        Called now and then with the number of instructions that have ended, and of all.
    file
        Name of the program's file for the text of faults, if it has one.
    timing_only
        Whether no bytes are asked for; they are moved then only where what an instruction takes depends on them.

    Raises
    ------
    ProgramError
        If `verify` rejects the program, or an instruction reads encoded weights that no encoder writes.
    DeadlockError
        If the engine contradicts what `verify` has proven.
    """
    found = verify(program, machine, file)
    core = Core(program, machine, found)
    if timing_only and not core.needs_data(program):
        core.values = False
    timings = move_all(core, program, file)
    ports = Ports.of(core, found)
    loop = Loop(program, machine, Timings.of(core, program, found.kinds, ports, timings), ports)
    loop.run(progress)
    return outcome("fast", program, machine, core, loop.found())


class Loop:
    """The kernel's arrays, and what follows from them."""

    def __init__(self, program: Program, machine: Machine, timings: Timings, ports: Ports) -> None:
        layers = len(program.header.layers)
        self.machine = machine
        self.controllers = (
            Controllers(
                machine,
                machine.dram,
                len(DMAS) * machine.dma.outstanding_bursts,
                layers,
                ceil_div(program.header.dram_bytes, machine.dram.burst_bytes),
            )
            if isinstance(machine.dram, BankedDram)
            else None
        )
        self.requested = _requested(program, timings)
        nothing = np.zeros(0, np.int64)
        lists = _Lists.of(program, Channel.of(machine)) if self.controllers else None
        self.state = _State(program, machine, timings, ports, lists)
        self.grants = np.zeros(int(self.requested.sum()), np.int8)
        self.arrays = (
            self.state.words,
            _dma_state(machine, lists),
            self.controllers.dram if self.controllers else nothing,
            self.controllers.crossing if self.controllers else nothing,
            self.grants,
        )

    def run(self, progress: Progress | None) -> None:
        """Find the times of all instructions."""
        count = len(self.state.instructions)
        for until in range(STRIDE, count + STRIDE, STRIDE) if progress else (count,):
            if not engine.run(*self.arrays, min(until, count)):
                raise DeadlockError(int(self.state.words[record.CYCLE]), self.state.blocked())
            if progress:
                progress(min(until, count), count)

    def found(self) -> Found:
        """Serve what is still buffered, and sum up."""
        machine, state = self.machine, self.state
        issue, start, free, end = times = np.empty((4, len(state.instructions)), np.int64)
        engine.times(state.instructions, times)
        tail, total = state.layers[:, record.TAIL], int(end.max(initial=0))
        activity: Activity | None = None
        if self.controllers:
            total = int(crossing_kernel.flush(self.controllers.dram, self.controllers.crossing, total))
            activity = self.controllers.activity()
            assert machine.dram.bandwidth_bytes_per_s  # noqa: S101 - a part has one
            each = machine.dram.burst_bytes / machine.dram.bandwidth_bytes_per_s * machine.clock_hz
            tail = np.ceil(tail * each).astype(np.int64)
        return Found(
            opcode=state.opcode,
            layer=state.layer,
            issue=issue,
            start=start,
            free=free,
            end=end,
            waited=state.waited(),
            attribution=state.attribution(),
            grants=self.grants,
            requested=self.requested,
            tail=tail,
            total=total,
            activity=activity,
        )


def _requested(program: Program, timings: Timings) -> Int64:
    """Bursts that each layer's transfers read and write; shape (layers, 2)."""
    bursts = timings.takes[:, record.TAKES_BURSTS] * np.bincount(timings.kind, minlength=len(timings.takes))
    layer = np.zeros(len(timings.takes), np.int64)
    layer[timings.kind] = program.instructions["layer"]  # kinds are of one layer each
    requested = np.zeros((len(program.header.layers), 2), np.int64)
    np.add.at(requested, (layer, timings.takes[:, record.TAKES_WRITES]), bursts)
    return requested


@dataclass(frozen=True, slots=True)
class _Lists:
    """Runs that windows move in DRAM, from their instructions' addresses on; equal ones are listed once.

    Parameters
    ----------
    instruction
        Instructions that move windows, int64, shape (windows,).
    first, runs
        First word of each one's list within `words`, and how many runs it has; int64, shape (windows,).
    words
        Address and bytes of each run, int64.
    """

    instruction: Int64
    first: Int64
    runs: Int64
    words: Int64

    @classmethod
    def of(cls, program: Program, channel: Channel) -> _Lists:
        """Lists of a program's windows: what is stored, and the bursts that are requested of what is loaded."""
        code, table = program.instructions, [Descriptor.read(record) for record in program.descriptors]
        instruction = np.flatnonzero(np.isin(code["opcode"], (GATHER, SCATTER)))
        gathers = (code["opcode"][instruction] == GATHER).tolist()
        places: dict[int, int] = {}
        kept: list[Runs] = []  # so that no other takes the place of one in memory
        parts: list[Int64] = []
        first, runs, size = np.zeros_like(instruction), np.zeros_like(instruction), 0
        for i, operands in enumerate(code["operands"][instruction].tolist()):
            dram, number, _, _, row, column = operands[:6]
            if gathers[i]:
                moved = requested(table[number], row, column, dram, channel)
            else:
                moved = window(table[number], row, column).outside
            if id(moved) not in places:
                places[id(moved)] = size
                kept.append(moved)
                parts.append(np.stack((moved.address, moved.size), axis=1).reshape(-1))
                size += parts[-1].size
            first[i], runs[i] = places[id(moved)], len(moved.address)
        return cls(instruction, first, runs, np.concatenate(parts) if parts else np.zeros(0, np.int64))

    def put(self, moved: Int64, transfers: Int64, code: NDArray[np.void], place: int) -> None:
        """Name the lists, which stand from a place on, in the records of the transfers that move windows."""
        mine = np.searchsorted(transfers, self.instruction)
        moved[mine, record.ADDRESS], moved[mine, record.ROWS] = code["operands"][self.instruction, 0], self.runs
        moved[mine, record.STRIDE] = moved[mine, record.ROW_BYTES] = 0
        moved[mine, record.LIST] = place + self.first


class _State:
    """The loop's words at cycle 0.

    Attributes
    ----------
    words
        All of it, int64.
    opcode, layer
        Of each instruction, int64, shape (n,).
    instructions, layers, moved
        Records of the instructions, of the layers and of the transfers, shapes (n, INSTRUCTION_WORDS), (layers, words)
        and (transfers, MOVED_WORDS): views.
    """

    def __init__(
        self, program: Program, machine: Machine, timings: Timings, ports: Ports, lists: _Lists | None
    ) -> None:
        code = program.instructions
        form, first = _forms(code, timings, ports)
        self.opcode, self.layer = (code[name][first].astype(np.int64)[form] for name in ("opcode", "layer"))
        unit = UNIT_OF[self.opcode]
        self.transfers = np.flatnonzero(_TRANSFERS[unit])
        layer_words = record.ATTRIBUTION + (UNITS + 1) * len(states.STATES)
        sizes = (
            SEMAPHORES * record.SEMAPHORE_WORDS,
            len(ports.limit) * record.BANK_WORDS,
            len(first) * record.FORM_WORDS,
            sum(1 + len(banks) for banks in ports.sets),
            len(program.header.layers) * layer_words,
            len(self.transfers) * record.MOVED_WORDS,
            len(code) * record.INSTRUCTION_WORDS,
        )
        bounds = np.cumsum((record.RECORDS, *sizes)).tolist()
        self.words = e = np.empty(bounds[-1], np.int64)
        e[: bounds[-2]] = 0
        semaphores, banks, forms, sets, layers, moved, instructions = (
            e[low:high] for low, high in itertools.pairwise(bounds)
        )
        at = dict(zip(("semaphores", "banks", "forms", "sets", "layers", "moved", "code"), bounds[:-1], strict=True))

        banks.reshape(-1, record.BANK_WORDS)[:, record.LIMIT] = ports.limit
        held = [[len(held), *(at["banks"] + bank * record.BANK_WORDS for bank in held)] for held in ports.sets]
        sets[:] = [word for words in held for word in words]
        first_of_set = at["sets"] + np.cumsum([0, *map(len, held)])
        self.layers = layers.reshape(-1, layer_words)

        f = forms.reshape(-1, record.FORM_WORDS)
        f[:, : record.TAKES] = timings.takes[timings.kind[first]]
        f[:, record.UNIT], f[:, record.HELD] = unit[first], first_of_set[ports.held[first]]
        f[:, record.LAYER] = at["layers"] + layer_words * code["layer"][first].astype(np.int64)
        producer = semaphores.reshape(SEMAPHORES, -1)[:, record.PRODUCER]
        for signal in code["signal"][first].T:
            producer[signal[signal != NONE]] = unit[first][signal != NONE]
        for field, place in (("signal", record.SIGNAL), ("wait", record.WAIT)):
            number = code[field][first].astype(np.int64)
            words = np.where(number == NONE, -1, at["semaphores"] + record.SEMAPHORE_WORDS * number)
            f[:, place : place + number.shape[1]] = words

        self.moved = t = moved.reshape(-1, record.MOVED_WORDS)
        t[:, record.ADDRESS : record.ROW_BYTES + 1] = code["operands"][self.transfers, :4]
        t[:, record.TAG], t[:, record.COMPLETE] = code["layer"][self.transfers], NEVER
        if lists:
            lists.put(t, self.transfers, code, _dma_words(machine))
        self.instructions = instructions.reshape(-1, record.INSTRUCTION_WORDS)
        head = np.empty(UNITS, np.int64)
        engine.put(self.instructions, at["code"], unit, form, at["forms"], code["value"], _TRANSFERS, at["moved"], head)

        e[record.ISSUED], e[record.ISSUE_END] = bounds[-2:]
        e[record.HOST_AT] = 0 if len(code) else NEVER
        e[record.HOST_ON] = -1
        e[record.MEMORY_AT] = NEVER
        e[record.UNITS], e[record.STATES] = UNITS, len(states.STATES)
        e[record.MATRIX], e[record.PRELOAD] = Unit.MATRIX, Unit.PRELOAD
        e[record.INTERVAL] = machine.host.issue_interval_cycles
        e[record.DEPTH] = machine.host.queue_depth
        e[record.FREE_AT : record.HEAD] = NEVER
        e[record.HEAD : record.BLOCKED] = -1
        e[record.BLOCKED : record.BLOCKED + UNITS] = e[record.PORT : record.PORT + UNITS] = -1
        e[record.PORT + np.array(DMAS)] = np.arange(len(DMAS))
        used = np.flatnonzero(head >= 0)
        e[record.TRY_AT + used] = 0
        for queue in (record.HEAD, record.ENDING, record.TO_KNOW):
            e[queue + used] = head[used]

    def blocked(self) -> dict[str, str]:
        """What each unit that is blocked waits for."""
        state = self.words[record.BLOCKED : record.BLOCKED + UNITS].tolist()
        return {unit.name.lower(): states.awaited(state[unit]) for unit in Unit if state[unit] >= 0}

    def waited(self) -> Int64:
        """Cycles that each instruction waited for memory, shape (n,)."""
        waited = np.zeros(len(self.instructions), np.int64)
        waited[self.transfers] = self.moved[:, record.STALLED]
        return waited

    def attribution(self) -> Int64:
        """Cycles by layer, unit and state, shape (layers, units + 1, states)."""
        cycles = self.layers[:, record.ATTRIBUTION :]
        return cycles.reshape(len(cycles), UNITS + 1, len(states.STATES)).copy()


def _forms(code: NDArray[np.void], timings: Timings, ports: Ports) -> tuple[Int32, Int64]:
    """Form of each instruction, int32, shape (n,), and the first instruction of each: see `kernels.engine_records`."""
    columns = np.empty((len(code), 3), np.int32)
    columns[:, 0], columns[:, 1:] = ports.held, code.view(ORDERED)["order"]
    form = np.empty(len(code), np.int32)
    return form, classes.of_rows(timings.kind, columns, form)


def _dma_words(machine: Machine) -> int:
    """Words of the DMA units' state before its lists of runs."""
    return dma.HEADER + len(DMAS) * (dma.PORT_WORDS + 1 + machine.dma.outstanding_bursts)


def _dma_state(machine: Machine, lists: _Lists | None) -> Int64:
    """State of the DMA units before their first transfers."""
    dram, outstanding = machine.dram, machine.dma.outstanding_bursts
    heaps = dma.HEADER + len(DMAS) * dma.PORT_WORDS
    d = np.zeros(_dma_words(machine) + (lists.words.size if lists else 0), np.int64)
    if lists:
        d[_dma_words(machine) :] = lists.words
    d[dma.PORTS] = len(DMAS)
    d[dma.OUTSTANDING] = outstanding
    d[dma.BURST_BYTES] = dram.burst_bytes
    d[dma.HEAPS] = heaps
    ports = d[dma.HEADER : heaps].reshape(len(DMAS), dma.PORT_WORDS)
    ports[:, dma.UNIT] = DMAS
    ports[:, dma.INSTRUCTION] = -1
    match dram:
        case IdealDram():
            d[dma.MODEL] = dma.IDEAL
        case BankedDram():
            d[dma.MODEL] = dma.BANKED
        case SimpleDram():
            d[dma.MODEL] = dma.SIMPLE
            d[dma.CHANNEL_PER] = machine.clock_period_fs
            d[dma.CHANNEL_COST], d[dma.CHANNEL_COST_REST] = divmod(dram.burst_period_fs, machine.clock_period_fs)
            d[dma.LATENCY] = machine.cycles(dram.latency_fs)
    return d
