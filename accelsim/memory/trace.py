"""A DRAM by itself: the requests of a trace, the commands that serve them, and what they cost."""

from __future__ import annotations

import hashlib
import io
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accelsim.config.dram import Part
from accelsim.config.model import Frozen, quantity
from accelsim.errors import AccelSimError, Fault, nearest
from accelsim.files import opened
from accelsim.kernels import dram as kernel
from accelsim.kernels import dram_records as record
from accelsim.memory.activity import Activity
from accelsim.memory.address_map import AddressMap
from accelsim.memory.dram import Dram

Int64 = NDArray[np.int64]
Progress = Callable[[int, int], None]

MAX_REQUESTS = 10**8
MAX_CYCLE = 2**40
#: Refreshes that a trace waits for, which take up to a microsecond each to simulate.
MAX_REFRESHES = 10**7
#: Bytes of a trace's file, and commands that are kept: of each eight numbers, and as many bytes of text.
MAX_FILE_BYTES, MAX_COMMANDS = 2**33, 2**22
#: Characters of a line, so that no endless line is read into memory.
MAX_LINE = 256
HEXADECIMAL = re.compile(r"(0[xX])?[0-9a-fA-F]+")
#: Requests between two calls for progress, and commands that a channel logs before they are taken out.
CHUNK = 2**18
LOG_ROOM = 2**16

COMMANDS = ("activate", "precharge", "read", "write", "refresh")


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests in the order in which they are made; arrays of shape (n,).

    Parameters
    ----------
    address
        int64, bytes.
    write
        bool.
    cycle
        int64, clock after which each request may be made; it waits for those before it.
    """

    address: Int64
    write: NDArray[np.bool_]
    cycle: Int64

    @property
    def sha256(self) -> str:
        """Hash of two little-endian uint64 a request: 2 x address + write, and the cycle."""
        words = np.stack((2 * self.address + self.write, self.cycle), axis=1).astype("<u8")
        return hashlib.sha256(words.tobytes()).hexdigest()


def read_trace(path: Path, part: Part) -> Trace:
    """Read a text trace: `0xADDRESS READ|WRITE CYCLE` a line, as DRAMsim3 reads it; empty lines are skipped.

    Raises
    ------
    AccelSimError
        With the first line that is not a request of the part.
    """
    address, write, cycle = array("q"), array("b"), array("q")
    with (
        opened(path, MAX_FILE_BYTES) as raw,
        io.TextIOWrapper(raw, encoding="ascii", errors="surrogateescape") as file,
    ):
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ""), 1):
            words = line.split()
            if fault := _no_text(line) or _no_request(line, words, part):
                raise AccelSimError(Fault(fault[1], str(path), number, fault[0]))
            if not words:
                continue
            if len(address) == MAX_REQUESTS:
                raise AccelSimError(Fault(f"must hold at most {MAX_REQUESTS} requests", str(path), number))
            address.append(int(words[0], 16))
            write.append(words[1] == "WRITE")
            cycle.append(int(words[2]))
    if not address:
        raise AccelSimError(Fault("must hold at least one request, but is empty", str(path)))
    return Trace(np.array(address, np.int64), np.array(write, np.bool_), np.array(cycle, np.int64))


def last_cycle(part: Part) -> int:
    """Last cycle of which requests may be: ranks are refreshed until then."""
    return min(MAX_CYCLE, MAX_REFRESHES * part.timing.trefi // (part.ranks * part.system.channels))


def _no_text(line: str) -> tuple[int, str] | None:
    """Say in which column a line is no text, and why."""
    if not line.isascii():
        return 1 + next(i for i, character in enumerate(line) if not character.isascii()), "must be ASCII text"
    if len(line) == MAX_LINE and line[-1] != "\n":
        return MAX_LINE, f"must be a line of less than {MAX_LINE} characters"
    return None


def _no_request(line: str, words: list[str], part: Part) -> tuple[int, str] | None:
    """Say in which column a line of text is no request, and why; an empty line is no fault."""
    if not words:
        return None
    wrong, message = 0, ""
    if len(words) != 3:
        message = f"must be an address, READ or WRITE, and a cycle, not {len(words)} words"
    elif not HEXADECIMAL.fullmatch(words[0]):
        message = f"address must be hexadecimal, not {words[0]!r}"
    elif int(words[0], 16) >= part.capacity_bytes:
        message = f"address must be below the capacity of {part.name}, {part.capacity_bytes:#x}, not {words[0]}"
    elif words[1] not in {"READ", "WRITE"}:
        near = nearest(words[1], ["READ", "WRITE"])
        wrong = 1
        message = f"must be READ or WRITE, not {words[1]!r}" + (f"; did you mean {near[0]}?" if near else "")
    elif not words[2].isdecimal() or int(words[2]) > last_cycle(part):
        wrong, message = 2, f"cycle must be an integer from 0 to {last_cycle(part)}, not {words[2]!r}"
    if not message:
        return None
    return 1 + [word.start() for word in re.finditer(r"\S+", line)][wrong], message


class TraceResult(Frozen):
    """What a DRAM did with a trace. Names are those of the columns of DRAMsim3's golden results."""

    config: str = quantity("name", "Part")
    case: str = quantity("name", "Trace")
    n: int = quantity("count", "Requests")
    req_bytes: int = quantity("bytes", "What a request moves: a burst")
    inj_per_clk: int = quantity("requests a clock", "Requests that were made in a clock at most")
    trace_sha256_16: str = quantity("hexadecimal", "First digits of the trace's hash")
    tCK_ns: float = quantity("nanoseconds", "Clock period")
    t_last_data: int = quantity("clock", "End of the last data beat")
    clk_end: int = quantity("clocks", "Clocks that were run: until reads have returned and queues are empty")
    last_accept_clk: int = quantity("clock", "Clock after which the last request was accepted")
    last_read_cb_clk: int = quantity("clock", "Return of the last read; 0 if there is none")
    reads: int = quantity("count", "Read requests")
    writes: int = quantity("count", "Write requests")
    writes_left_in_buffer: int = quantity("count", "Writes that wait for company: up to 8 a channel")
    merged_reads: int = quantity("count", "Reads that another read's command served")
    merged_writes: int = quantity("count", "Writes that another write's command served")
    forwarded_reads: int = quantity("count", "Reads that a waiting write answered")
    rd_cmds: int = quantity("count", "Read commands")
    wr_cmds: int = quantity("count", "Write commands")
    act_cmds: int = quantity("count", "Activates")
    pre_cmds: int = quantity("count", "Precharges")
    ondemand_pre: int = quantity(
        "count", "Precharges that requests asked for; on HBM those that had to wait a turn too"
    )
    ref_cmds: int = quantity("count", "Refreshes of a rank")
    dual_cmds: int = quantity("count", "Clocks with a row and a column command (HBM)")
    rd_row_hits: int = quantity("count", "Read commands to a row that was accessed since it was opened")
    wr_row_hits: int = quantity("count", "Write commands to a row that was accessed since it was opened")
    row_hit_rate: float | None = quantity("ratio", "Row hits over column commands; null without commands")
    avg_read_lat_clk: float | None = quantity("clocks", "Mean from acceptance to return; null without reads")
    p50_read_lat_clk: int | None = quantity("clocks", "Median, the lower one of two; null without reads")
    p99_read_lat_clk: int | None = quantity("clocks", "99th percentile, the lower one of two; null without reads")
    max_read_lat_clk: int | None = quantity("clocks", "Largest; null without reads")
    avg_write_lat_clk: float | None = quantity(
        "clocks", "Mean from acceptance to the last data of the write's command; null without write commands"
    )
    bw_GBps: float = quantity("10^9 bytes a second", "Bursts moved over the time to the last data")
    peak_GBps: float = quantity("10^9 bytes a second", "Data buses that never rest")
    E_act_pJ: float | None = quantity("picojoules", "Activates and their precharges; null without currents")
    E_rd_pJ: float | None = quantity("picojoules", "Read bursts")
    E_wr_pJ: float | None = quantity("picojoules", "Write bursts")
    E_ref_pJ: float | None = quantity("picojoules", "Refreshes")
    E_bg_pJ: float | None = quantity("picojoules", "Standby of all ranks until clk_end")
    E_tot_pJ: float | None = quantity("picojoules", "Sum")
    pJ_per_32b_total: float | None = quantity("picojoules", "Sum over the 32-bit words that moved")
    pJ_per_32b_dynamic: float | None = quantity(
        "picojoules", "Activates, reads and writes over the 32-bit words that moved"
    )
    active_cycles: int = quantity("clocks", "Clocks of ranks with an open bank")
    idle_cycles: int = quantity("clocks", "Clocks of ranks without an open bank")
    cmdtrace_sha256_16: str | None = quantity(
        "hexadecimal", "First digits of the hash of the commands' text, without a last line end; null if none was kept"
    )


@dataclass(frozen=True, slots=True)
class TraceRun:
    """What a trace's run gives.

    Parameters
    ----------
    commands
        Clock, command, channel, rank, bank group, bank, row and column of each command, in order; int64, shape (n, 8);
        -1 where a field does not apply. Empty if no commands were kept.
    read_latency
        Clocks from acceptance to return of each read, int64.
    """

    result: TraceResult
    commands: Int64
    read_latency: Int64


def run_trace(
    part: Part, trace: Trace, *, case: str = "", keep_commands: bool = False, progress: Progress | None = None
) -> TraceRun:
    """Run a trace until its reads have returned and the command queues are empty.

    Up to eight writes of each channel stay in its buffer, as they do in DRAMsim3.

    Parameters
    ----------
    progress
        Called now and then with the number of requests that were accepted, and of all.
    """
    places = AddressMap.of(part).places(trace.address)
    dram = Dram(part, trace.address.size, log=LOG_ROOM if keep_commands else 0)
    m, log = dram.memory, _Log(dram)
    channel, bank = dram.channel[places.channel], dram.bank[places.bank]
    cursor = np.zeros(3, np.int64)
    for stop in [*range(CHUNK, trace.address.size, CHUNK), trace.address.size]:
        while not kernel.inject(
            m,
            channel[:stop],
            places.line,
            bank,
            places.row,
            places.column,
            trace.write,
            trace.cycle,
            part.requests_per_clock,
            cursor,
        ):
            log.take()
        if progress:
            progress(stop, trace.address.size)
    end = int(cursor[1]) + 1
    for ch in dram.channel.tolist():
        while not kernel.settle(m, ch):
            log.take()
        end = max(end, int(m[ch + record.CLOCK]), int(m[ch + record.LAST_RETURN]) + 1)
    for ch in dram.channel.tolist():
        while not kernel.advance(m, ch, end, record.RUN):
            log.take()
    log.take()
    commands = log.commands()
    requests = dram.requests
    latency = (requests[:, record.DONE] - requests[:, record.ACCEPTED])[~trace.write]
    result = _result(part, trace, dram, end, latency, case, commands if keep_commands else None)
    return TraceRun(result, commands, latency)


class _Log:
    """Commands that were taken out of the channels' logs."""

    def __init__(self, dram: Dram) -> None:
        self._dram = dram
        self._taken: list[Int64] = []
        self._count = 0

    def take(self) -> None:
        """Empty the logs.

        Raises
        ------
        AccelSimError
            If there are more commands than memory is taken for.
        """
        new = [self._dram.take_log(number) for number in range(self._dram.channel.size)]
        self._taken += new
        self._count += sum(map(len, new))
        if self._count > MAX_COMMANDS:
            raise AccelSimError(f"a trace whose commands are kept must have at most {MAX_COMMANDS} of them")

    def commands(self) -> Int64:
        """All commands by clock and channel; see `TraceRun`."""
        taken = np.concatenate(self._taken)
        return taken[np.lexsort((taken[:, 2], taken[:, 0]))]


def command_lines(commands: Int64) -> Iterator[str]:
    """Commands as text: clock, name, channel, rank, bank group, bank, row and column."""
    for low in range(0, len(commands), LOG_ROOM):  # numbers of Python's take five times as many bytes
        for clock, command, *place in commands[low : low + LOG_ROOM].tolist():
            yield f"{clock} {COMMANDS[command]} {' '.join(map(str, place))}"


def _hash(commands: Int64) -> str:
    """Hash of the commands' text, without a last line end."""
    digest = hashlib.sha256()
    for number, line in enumerate(command_lines(commands)):
        digest.update(f"{chr(10) if number else ''}{line}".encode())
    return digest.hexdigest()


def _result(
    part: Part, trace: Trace, dram: Dram, end: int, latency: Int64, case: str, commands: Int64 | None
) -> TraceResult:
    done = dram.activity(end)
    m, requests, n = dram.memory, dram.requests, trace.address.size
    last_data = int(m[dram.channel + record.LAST_DATA].max())
    reads, writes = int(done.reads.sum()), int(done.writes.sum())
    hits = int(done.read_hits.sum()), int(done.write_hits.sum())
    tck, moved = part.timing.tck, (reads + writes) * part.burst_bytes
    ordered = np.sort(latency)

    def percentile(share: float) -> int | None:
        return int(ordered[int(share * (ordered.size - 1))]) if ordered.size else None

    return TraceResult(
        config=part.name,
        case=case,
        n=n,
        req_bytes=part.burst_bytes,
        inj_per_clk=part.requests_per_clock,
        trace_sha256_16=trace.sha256[:16],
        tCK_ns=tck,
        t_last_data=last_data,
        clk_end=end,
        last_accept_clk=int(requests[:, record.ACCEPTED].max()) - 1,
        last_read_cb_clk=int(m[dram.channel + record.LAST_RETURN].max()),
        reads=done.accepted_reads,
        writes=done.accepted_writes,
        writes_left_in_buffer=done.buffered,
        merged_reads=done.merged_reads,
        merged_writes=done.merged_writes,
        forwarded_reads=done.forwarded_reads,
        rd_cmds=reads,
        wr_cmds=writes,
        act_cmds=int(done.activates.sum()),
        pre_cmds=done.precharges,
        ondemand_pre=done.demanded_precharges,
        ref_cmds=done.refreshes,
        dual_cmds=done.dual_commands,
        rd_row_hits=hits[0],
        wr_row_hits=hits[1],
        row_hit_rate=sum(hits) / (reads + writes) if reads + writes else None,
        avg_read_lat_clk=float(latency.mean()) if latency.size else None,
        p50_read_lat_clk=percentile(0.5),
        p99_read_lat_clk=percentile(0.99),
        max_read_lat_clk=percentile(1),
        avg_write_lat_clk=done.write_latency / writes if writes else None,
        bw_GBps=moved / (last_data * tck) if last_data else 0.0,
        peak_GBps=part.burst_bytes * part.system.channels / (part.burst_clocks * tck),
        **_energies(part, done, moved),
        active_cycles=done.active_clocks,
        idle_cycles=done.precharged_clocks,
        cmdtrace_sha256_16=None if commands is None else _hash(commands)[:16],
    )


def _energies(part: Part, done: Activity, moved: int) -> dict[str, float | None]:
    """Energies of the commands, by the result's names; null without currents, and by word where no byte moved."""
    names = (
        "E_act_pJ", "E_rd_pJ", "E_wr_pJ", "E_ref_pJ", "E_bg_pJ", "E_tot_pJ", "pJ_per_32b_total", "pJ_per_32b_dynamic"
    )  # fmt: skip
    each = part.energy
    if each is None:
        return dict.fromkeys(names)
    act = int(done.activates.sum()) * each.activate
    rd, wr = int(done.reads.sum()) * each.read, int(done.writes.sum()) * each.write
    ref = done.refreshes * each.refresh
    standby = done.active_clocks * each.active_clock + done.precharged_clocks * each.precharged_clock
    total, words = act + rd + wr + ref + standby, moved / 4
    by_word = (total / words, (act + rd + wr) / words) if words else (None, None)
    return dict(zip(names, (act, rd, wr, ref, standby, total, *by_word), strict=True))
