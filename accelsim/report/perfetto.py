"""A trace that Perfetto (ui.perfetto.dev) and Chrome's tracing page open: every unit's cycles, transfers and layers.

The file is JSON in the trace-event format, gzipped. Times are microseconds, rounded to the nanoseconds that Perfetto
counts in, starts and ends alike, as it drops an event that begins before the one before it has ended. Of a clock above
1 GHz a cycle is drawn as a nanosecond, and the groups' names say so. The arguments have the cycles. No two events of a
track overlap, and those of a track are in order.

- A unit's track has each instruction from start to free, and before it what the unit waited for; results that are not
  visible yet, from free to end, lie on tracks beside it.
- The host's track has what it issues in one go, and the full queues that hold it up.
- A counter of each DRAM channel has the bursts that unfinished transfers ask it for, of each transfer all of them from
  its start to its end. When a channel serves which burst is not kept.
"""

from __future__ import annotations

import gzip
import heapq
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accelsim import provenance
from accelsim.config.arch import BankedDram, Machine
from accelsim.files import write_all
from accelsim.isa.descriptors import moved_in_dram
from accelsim.isa.opcodes import DMAS, NONE, OPCODES, Memory, Opcode
from accelsim.isa.program import Program
from accelsim.memory.address_map import AddressMap
from accelsim.memory.region import lines, words
from accelsim.memory.requests import Channel
from accelsim.results import Execution, Spans
from accelsim.units import FEMTOSECONDS_PER_NANOSECOND, ceil_div

Int64 = NDArray[np.int64]
Progress = Callable[[int, int], None]

#: Groups of tracks, in the order in which they are shown.
LAYERS, UNITS, CHANNELS = 1, 2, 3
#: Events that are formatted and written at once.
TOGETHER = 1 << 13
#: Level of the compression.
COMPRESSION = 6
#: Operands that say how large the tile is that an instruction works on, as far as it has them.
SIDES = ("rows", "depth", "height", "width", "columns", "row_bytes")


def write(
    path: Path,
    program: Program,
    machine: Machine,
    execution: Execution,
    spans: Iterable[Spans],
    progress: Progress | None = None,
) -> None:
    """Write a trace; the file appears whole or not at all, and the same run gives the same bytes.

    Parameters
    ----------
    program
        What was executed, all of it.
    spans
        What each unit does, in the order of the execution's units.
    progress
        Called now and then with the number of instructions that are written, and of all.

    Raises
    ------
    AccelSimError
        If the file can't be written.
    """
    trace = _Trace(program, machine, execution)

    def write_to(partial: Path) -> None:
        # neither the file's name nor the time stands in the header
        with partial.open("wb") as raw, gzip.GzipFile("", "wb", COMPRESSION, raw, mtime=0) as file:
            before = json.dumps({"displayTimeUnit": "ns", "otherData": trace.about()})[:-1] + ',"traceEvents":[\n'
            events = trace.events(spans)
            while some := list(itertools.islice(events, TOGETHER)):
                file.write((before + ",\n".join(some)).encode())
                before = ",\n"
                if progress:
                    progress(trace.written, len(program.instructions))
            file.write(b"\n]}\n")

    write_all(path.parent, {path.name: write_to})


@dataclass(frozen=True, slots=True)
class _Format:
    """How the operands of an opcode are written.

    Parameters
    ----------
    mnemonic
        Name of the opcode.
    template
        Arguments of an event, to be filled with the operands.
    memories
        Which operands are numbers of memories.
    """

    mnemonic: str
    template: str
    memories: tuple[int, ...]

    @classmethod
    def of(cls, opcode: Opcode) -> _Format:
        """Format of an opcode."""
        names = [field.name for field in opcode.fields]
        sides = ["values"] if "values" in names else [side for side in SIDES if side in names]
        tile = " x ".join(f"{{{names.index(side)}}} {side}" for side in sides)
        operands = ",".join(f'"{name}":{{{place}}}' for place, name in enumerate(names))
        memories = tuple(
            place for place, name in enumerate(names) if name in {"memory", "other_memory", "result_memory"}
        )
        return cls(opcode.mnemonic, f'"tile":"{tile}","operands":{{{{{operands}}}}}', memories)

    def arguments(self, operands: list[int | str]) -> str:
        """Tile and operands of an instruction; the list is changed."""
        for place in self.memories:
            operands[place] = f'"{Memory(int(operands[place])).name.lower()}"'
        return self.template.format(*operands)


class _Trace:
    """Events of a run, each as a JSON object.

    Attributes
    ----------
    written
        Instructions whose events are made.
    """

    def __init__(self, program: Program, machine: Machine, execution: Execution) -> None:
        self.program = program
        self.machine = machine
        self.execution = execution
        self.written = 0
        self._period_fs = max(machine.clock_period_fs, FEMTOSECONDS_PER_NANOSECOND)
        self._layers = [json.dumps(name)[1:-1] for name in execution.layer_names]
        self._times = execution.layer_times()
        self._layer_tracks = _tracks(self._times.first, self._times.last)
        self._in_flight = [_in_flight(execution, unit) for unit in range(len(execution.unit_names))]
        # tracks are numbered over all groups: of layers, then of each unit its own and those of what is in flight
        tracks = [int(self._layer_tracks.max(initial=0)) + 1, *(1 + number for _, number in self._in_flight)]
        self._first_track = list(itertools.accumulate(tracks, initial=1))
        self._transfers = np.flatnonzero(np.isin(execution.timeline.unit, DMAS))
        self._bursts = _bursts(program, self._transfers, machine)
        self._bursts_of: list[int] = self._bursts.sum(axis=1).tolist()

    def about(self) -> dict[str, str | int | float]:
        """What the trace is of."""
        return {
            "workload": self.program.header.workload,
            "recipe": self.program.header.recipe,
            "arch": self.machine.name,
            "engine": self.execution.engine,
            "cycles": self.execution.cycles,
            "clock_hz": self.machine.clock_hz,
            "clock_period_fs": self.machine.clock_period_fs,
            "version": provenance.versions()["accelsim"],
        }

    def events(self, spans: Iterable[Spans]) -> Iterator[str]:
        """All events: names first, then track after track."""
        yield from self._names()
        yield from self._of_layers()
        for unit, found in enumerate(spans):
            yield from self._of_unit(unit, found)
            yield from self._of_flights(unit)
        yield from self._of_channels()

    def _names(self) -> Iterator[str]:
        """Names of all groups and tracks, and their order."""
        header = self.program.header
        drawn = " (drawn with a cycle of 1 ns)" if self._period_fs > self.machine.clock_period_fs else ""
        yield from _group(LAYERS, f"layers of {header.workload} as {header.recipe}{drawn}")
        for i in range(int(self._layer_tracks.max(initial=0)) + 1):
            yield from _track(LAYERS, self._first_track[0] + i, f"layers{_counted(i)}")
        yield from _group(UNITS, f"units of {self.machine.name}{drawn}")
        for unit, name in enumerate(self.execution.unit_names):
            first = self._first_track[1 + unit]
            yield from _track(UNITS, first, name)
            for i in range(self._in_flight[unit][1]):
                yield from _track(UNITS, first + 1 + i, f"{name} in flight{_counted(i)}")
        place = "the second level" if self.machine.l2 else "DRAM"
        yield from _group(CHANNELS, f"bursts that unfinished transfers ask {place} for{drawn}")

    def _complete(self, group: int, track: int, category: str, name: str, start: int, end: int, arguments: str) -> str:
        """An event with a duration; its name and arguments are text for JSON."""
        begun = self._ns(start)
        return (
            f'{{"ph":"X","pid":{group},"tid":{track},"cat":"{category}","name":"{name}","ts":{_us(begun)},'
            f'"dur":{_us(self._ns(end) - begun)},"args":{{{arguments}}}}}'
        )

    def _ns(self, cycle: int) -> int:
        """When a cycle is drawn to begin, the nearest nanosecond."""
        return (cycle * self._period_fs + FEMTOSECONDS_PER_NANOSECOND // 2) // FEMTOSECONDS_PER_NANOSECOND

    def _of_layers(self) -> Iterator[str]:
        """From where to where each layer runs; layers that overlap lie on different tracks."""
        times = self._times
        count = np.bincount(self.execution.timeline.layer, minlength=len(self._layers))
        order = np.lexsort((times.first, self._layer_tracks))
        for i in order[(times.last > times.first)[order]].tolist():
            info, start, end = self.program.header.layers[i], int(times.first[i]), int(times.last[i])
            arguments = {
                "layer": info.name,
                "number": i,
                "m x k x n": f"{info.m} x {info.k} x {info.n}",
                "tile": f"{info.m_tile} x {info.k_tile} x {info.n_tile}",
                "loops": info.loops,
                "instructions": int(count[i]),
                "start": start,
                "end": end,
                "cycles": int(times.cycles[i]),
                "active_cycles": int(times.active[i]),
                "array_cycles": int(times.array[i]),
            }
            track = self._first_track[0] + int(self._layer_tracks[i])
            yield self._complete(LAYERS, track, "layer", self._layers[i], start, end, json.dumps(arguments)[1:-1])

    def _of_unit(self, unit: int, spans: Spans) -> Iterator[str]:
        """What a unit waits for and executes, in order."""
        track, states, layers = self._first_track[1 + unit], self.execution.states, self._layers
        queued, busy = unit < len(self.execution.unit_names) - 1, states.index("busy")
        waits: dict[str, int] = {}
        for low in range(0, len(spans.start), TOGETHER):
            some = Spans(*(column[low : low + TOGETHER] for column in spans))
            executed = Spans(*(column[some.state == busy] for column in some))
            details = self._instructions(executed) if queued else self._issues(executed)
            needed = self._needed(some).tolist()
            rows = zip(*(column.tolist() for column in some), needed, strict=True)
            for i, layer, number, semaphore, start, end, value in rows:
                state, name = states[number], layers[layer]
                place = f'"layer":"{name}","start":{start},'
                if number == busy:
                    title, detail = next(details)
                    waited = "".join(f',"{what}":{cycles}' for what, cycles in waits.items())
                    waits.clear()
                    category = "instruction" if queued else "issue"
                    yield self._complete(
                        UNITS, track, category, f"{title} {name}", start, end,
                        f'"instruction":{i},{place}{detail}{waited}',
                    )  # fmt: skip
                    self.written += queued
                    continue
                detail = f'"state":"{state}",{place}"end":{end}'
                if i == NONE:
                    yield self._complete(UNITS, track, state, state, start, end, detail)
                    continue
                waits[state] = waits.get(state, 0) + end - start
                signal = "" if semaphore == NONE else f',"semaphore":{semaphore},"value":{value}'
                title = f"wait for {state.removeprefix('wait_')}"
                yield self._complete(UNITS, track, "wait", title, start, end, f'"instruction":{i},{detail}{signal}')

    def _needed(self, spans: Spans) -> Int64:
        """Values that semaphores must have which are waited for, shape (spans,); of other spans anything."""
        code = self.program.instructions[spans.instruction]
        field = (code["wait"] == spans.semaphore[:, None]).argmax(axis=1)
        needed: Int64 = code["value"][np.arange(len(field)), field].astype(np.int64)
        return needed

    def _instructions(self, spans: Spans) -> Iterator[tuple[str, str]]:
        """Mnemonic of each span's instruction, and its arguments behind the start."""
        code, t = self.program.instructions[spans.instruction], self.execution.timeline
        transfers = np.searchsorted(self._transfers, spans.instruction).tolist()
        moments = (column[spans.instruction].tolist() for column in (t.issue, t.free, t.end, t.waited, t.unit))
        formats = [_FORMATS[opcode] for opcode in code["opcode"].tolist()]
        rows = zip(formats, code["operands"].tolist(), transfers, *moments, strict=True)
        for format_, operands, transfer, issue, free, end, waited, unit in rows:
            moved = f',"bursts":{self._bursts_of[transfer]},"wait_memory":{waited}' if unit in DMAS else ""
            arguments = f'"issue":{issue},"free":{free},"end":{end},{format_.arguments(operands)}{moved}'
            yield format_.mnemonic, arguments

    def _issues(self, spans: Spans) -> Iterator[tuple[str, str]]:
        """What the host does in each span, and its arguments behind the start."""
        interval = max(1, self.machine.host.issue_interval_cycles)
        for start, end in zip(spans.start.tolist(), spans.end.tolist(), strict=True):
            yield "issue", f'"end":{end},"instructions":{ceil_div(end - start, interval)}'

    def _of_flights(self, unit: int) -> Iterator[str]:
        """Results of a unit that are not visible yet, track after track."""
        found, tracks = self._in_flight[unit]
        t = self.execution.timeline
        for track in range(tracks):
            mine = found[track::tracks]
            columns = (column[mine].tolist() for column in (t.opcode, t.layer, t.free, t.end))
            for i, opcode, layer, start, end in zip(mine.tolist(), *columns, strict=True):
                name = self._layers[layer]
                yield self._complete(
                    UNITS, self._first_track[1 + unit] + 1 + track, "in flight", f"{OPCODES[opcode].mnemonic} {name}",
                    start, end, f'"instruction":{i},"layer":"{name}","free":{start},"end":{end}',
                )  # fmt: skip

    def _of_channels(self) -> Iterator[str]:
        """Bursts of each channel's unfinished transfers, wherever their number changes."""
        t = self.execution.timeline
        cycles = np.concatenate((t.start[self._transfers], t.end[self._transfers]))
        for channel, bursts in enumerate(self._bursts.T):
            changed, which = np.unique(cycles, return_inverse=True)
            step = np.zeros(len(changed), np.int64)
            np.add.at(step, which, np.concatenate((bursts, -bursts)))
            kept = step != 0
            for cycle, open_ in zip(changed[kept].tolist(), np.cumsum(step)[kept].tolist(), strict=True):
                yield (
                    f'{{"ph":"C","pid":{CHANNELS},"name":"channel {channel}","ts":{_us(self._ns(cycle))},'
                    f'"args":{{"bursts":{open_}}}}}'
                )


_FORMATS = [_Format.of(opcode) for opcode in OPCODES]


def _us(ns: int) -> str:
    """Nanoseconds as microseconds."""
    return f"{ns // 1000}.{ns % 1000:03d}"


def _group(group: int, name: str) -> Iterator[str]:
    """Name and place of a group of tracks."""
    for kind, value in (("process_name", {"name": name}), ("process_sort_index", {"sort_index": group})):
        yield json.dumps({"ph": "M", "pid": group, "name": kind, "args": value})


def _track(group: int, track: int, name: str) -> Iterator[str]:
    """Name and place of a track."""
    for kind, value in (("thread_name", {"name": name}), ("thread_sort_index", {"sort_index": track})):
        yield json.dumps({"ph": "M", "pid": group, "tid": track, "name": kind, "args": value})


def _counted(number: int) -> str:
    """Number of a track behind its name, for all but the first."""
    return f" {number + 1}" if number else ""


def _tracks(start: Int64, end: Int64) -> Int64:
    """Track of each span, the first that is free, so that no two overlap."""
    track = np.zeros(len(start), np.int64)
    free: list[int] = []
    busy: list[tuple[int, int]] = []
    for i in np.argsort(start, kind="stable").tolist():
        while busy and busy[0][0] <= start[i]:
            heapq.heappush(free, heapq.heappop(busy)[1])
        track[i] = heapq.heappop(free) if free else len(busy)
        heapq.heappush(busy, (int(end[i]), int(track[i])))
    return track


def _in_flight(execution: Execution, unit: int) -> tuple[Int64, int]:
    """Instructions of a unit that end after they are free, and how many tracks they need.

    They are free and end in order, so that taking the tracks in turn keeps them apart.
    """
    t = execution.timeline
    found = np.flatnonzero((t.unit == unit) & (t.end > t.free))
    ended = np.searchsorted(t.end[found], t.free[found], side="right")
    return found, int((np.arange(len(found)) - ended).max(initial=-1)) + 1


def _bursts(program: Program, transfers: Int64, machine: Machine) -> Int64:
    """Bursts of each transfer by channel, int64, shape (transfers, channels); all DRAM but banked ones have one."""
    regions = [
        moved_in_dram(int(record["opcode"]), record["operands"], program.descriptors, Channel.of(machine))
        for record in program.instructions[transfers]
    ]
    dram = machine.dram
    if not isinstance(dram, BankedDram) or dram.part.system.channels == 1:
        return np.array([words(region, dram.burst_bytes) for region in regions], np.int64).reshape(-1, 1)
    cut, channels = AddressMap.of(dram.part), dram.part.system.channels
    found = np.zeros((len(regions), channels), np.int64)
    for bursts, region in zip(found, regions, strict=True):
        places = cut.places(lines(region, dram.burst_bytes) << cut.burst_bits)
        bursts[:] = np.bincount(places.channel, minlength=channels)
    return found
