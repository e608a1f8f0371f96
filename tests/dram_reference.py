"""A DRAM controller as DRAMsim3 is described, clock by clock over plain lists; nothing is skipped or remembered.

When a command may be issued it asks `dram_checker.Rules`. `stock_drain` gives DRAMsim3's deadlock back.
"""

from __future__ import annotations

from dataclasses import dataclass

from dram_checker import ACT, COLUMN_COMMANDS, PRE, RD, REF, TWO_BUSES, WR, Command, Rules

from accelsim.config.dram import Part
from accelsim.memory.address_map import AddressMap
from accelsim.memory.trace import Trace

#: Clocks without a request's move or command after which nothing will ever move.
STUCK = 5_000


class StuckError(Exception):
    """Requests wait, and nothing moves."""


@dataclass(frozen=True)
class Request:
    number: int
    line: int
    queue: int
    row: int
    column: int
    write: bool


class Channel:
    """A channel and its controller."""

    def __init__(self, part: Part, *, stock_drain: bool = False) -> None:
        self.part, self.rules, self.stock_drain = part, Rules(part), stock_drain
        self.room, self.depth = part.system.trans_queue_size, part.system.cmd_queue_size
        self.interval = part.timing.trefi // part.ranks
        self.two_buses = part.dram_structure.protocol in TWO_BUSES
        self.queues: list[list[Request]] = [[] for _ in range(part.ranks * part.banks)]
        self.accesses = [0] * len(self.queues)
        self.last_queue = 0
        self.reads: list[Request] = []
        self.writes: list[Request] = []
        self.pending_reads: dict[int, list[int]] = {}
        self.pending_writes: set[int] = set()
        self.due: list[int] = []
        self.next_rank = 0
        self.draining = 0
        self.flushing = False
        self.clock = 0
        self.moved_at = 0
        self.done: dict[int, int] = {}
        self.last_return = 0
        self.commands: list[tuple[int, ...]] = []

    @property
    def kept(self) -> int:
        return 0 if self.flushing else 8

    @property
    def settled(self) -> bool:
        return not self.reads and not any(self.queues) and len(self.writes) <= self.kept

    def accepts(self, write: bool) -> bool:
        return len(self.writes if write else self.reads) < self.room

    def add(self, request: Request) -> None:
        line = request.line
        if request.write:
            self.done[request.number] = self.clock + 1
            if line not in self.pending_writes:
                self.pending_writes.add(line)
                self.writes.append(request)
        elif line in self.pending_writes:
            self.done[request.number] = self.clock + 1
            self.last_return = max(self.last_return, self.clock + 1)
        elif line in self.pending_reads:
            self.pending_reads[line].append(request.number)
        else:
            self.pending_reads[line] = [request.number]
            self.reads.append(request)

    def tick(self) -> None:
        if self.clock > 0 and self.clock % self.interval == 0:
            self.due.append(self.next_rank)
            self.next_rank = (self.next_rank + 1) % self.part.ranks
        first = self._refresh()
        if first is None and (chosen := self._choose()) is not None:
            self._issue(*chosen)
            first = chosen[0].kind
        if self.two_buses and first is not None:
            chosen = self._choose()
            if chosen is not None and (chosen[0].kind in COLUMN_COMMANDS) != (first in COLUMN_COMMANDS):
                self._issue(*chosen)
        self._move()
        if any(self.queues) or self.reads or len(self.writes) > self.kept:
            if self.clock - self.moved_at > STUCK:
                raise StuckError
        else:
            self.moved_at = self.clock
        self.clock += 1

    def _command(self, kind: int, queue: int, row: int) -> Command:
        rank, place = divmod(queue, self.part.banks)
        group, bank = divmod(place, self.rules.group_banks)
        return Command(self.clock, kind, rank, group, bank, row)

    def _refresh(self) -> int | None:
        if not self.due:
            return None
        rank = self.due[0]
        queues = range(rank * self.part.banks, (rank + 1) * self.part.banks)
        for queue in queues:
            command = self._command(PRE, queue, -1)
            if self.rules.bank(command).row >= 0 and not self.rules.broken(command):
                self._record(command, -1)
                self.accesses[queue] = 0
                return PRE
        command = Command(self.clock, REF, rank, -1, -1, -1)
        if self.rules.broken(command):
            return None
        self._record(command, -1)
        self.due.pop(0)
        return REF

    def _choose(self) -> tuple[Command, int, int] | None:
        """Find the next queue in turn with a command that may be issued; also its queue, and its place there."""
        blocked = self.due[0] if self.due else -1
        count = len(self.queues)
        start = self.last_queue + 1
        for queue in ((start + k) % count for k in range(count)):
            if not self.queues[queue] or queue // self.part.banks == blocked:
                continue
            for place in range(len(self.queues[queue])):
                command = self._want(queue, place)
                if command is not None and not self.rules.broken(command):
                    self.last_queue = queue
                    return command, queue, place
        return None

    def _want(self, queue: int, place: int) -> Command | None:
        waiting = self.queues[queue]
        request = waiting[place]
        row = self.rules.bank(self._command(ACT, queue, 0)).row
        if row < 0:
            return self._command(ACT, queue, request.row) if place == 0 else None
        if request.row == row:
            older = waiting[:place]
            if request.write and any(not other.write and other.line == request.line for other in older):
                return None
            return self._command(WR if request.write else RD, queue, row)
        hits = any(other.row == row for other in waiting)
        if place == 0 and (not hits or self.accesses[queue] >= 4):
            return self._command(PRE, queue, request.row)
        return None

    def _issue(self, command: Command, queue: int, place: int) -> None:
        request = self.queues[queue][place]
        self._record(command, request.column)
        self.moved_at = self.clock
        if command.kind == PRE:
            self.accesses[queue] = 0
        if command.kind in COLUMN_COMMANDS:
            self.queues[queue].pop(place)
            self.accesses[queue] = 0 if self.rules.closes else self.accesses[queue] + 1
            if request.write:
                self.pending_writes.remove(request.line)
            else:
                data = self.clock + self.rules.latency[RD] + self.rules.burst
                self.done |= dict.fromkeys(self.pending_reads.pop(request.line), data)
                self.last_return = max(self.last_return, data)

    def _record(self, command: Command, column: int) -> None:
        self.rules.record(command)
        self.commands.append((*command, column))

    def _move(self) -> None:
        if self.draining == 0 and (
            len(self.writes) >= self.room or (len(self.writes) > self.kept and not any(self.queues))
        ):
            self.draining = len(self.writes)
        if self.draining:
            movable = next((w for w in self.writes if len(self.queues[w.queue]) < self.depth), None)
            if movable is None:
                return
            if movable.line not in self.pending_reads:
                self.draining -= 1
                self._take(self.writes, movable)
                return
            self.draining = 0
            if self.stock_drain:
                return
        readable = next((r for r in self.reads if len(self.queues[r.queue]) < self.depth), None)
        if readable is not None:
            self._take(self.reads, readable)

    def _take(self, source: list[Request], request: Request) -> None:
        source.remove(request)
        self.queues[request.queue].append(request)
        self.moved_at = self.clock


@dataclass(frozen=True)
class Outcome:
    """Commands as `TraceRun.commands` has them, clock of each request's acceptance and completion, clocks run."""

    commands: list[tuple[int, ...]]
    accepted: list[int]
    done: list[int]
    end: int
    left: int


def run(part: Part, trace: Trace, *, stock_drain: bool = False) -> Outcome:
    """Run a trace as `accelsim.memory.trace.run_trace` does.

    Raises
    ------
    StuckError
        If it never ends.
    """
    channels = [Channel(part, stock_drain=stock_drain) for _ in range(part.system.channels)]
    places = AddressMap.of(part).places(trace.address)
    in_channel = part.ranks * part.banks
    requests = [
        Request(number, *fields)
        for number, fields in enumerate(
            zip(
                places.line.tolist(),
                (places.bank % in_channel).tolist(),
                places.row.tolist(),
                places.column.tolist(),
                trace.write.tolist(),
                strict=True,
            )
        )
    ]
    accepted: list[int] = []
    clock = 0
    while len(accepted) < len(requests):
        for channel in channels:
            channel.tick()
        for _ in range(part.system.inj_per_clk or part.system.channels):
            if len(accepted) == len(requests):
                break
            request = requests[len(accepted)]
            channel = channels[places.channel[request.number]]
            if trace.cycle[request.number] > clock or not channel.accepts(request.write):
                break
            channel.add(request)
            accepted.append(channel.clock)
        clock += 1
    while any(not channel.settled or channel.clock <= channel.last_return for channel in channels):
        for channel in channels:
            channel.tick()
    done = {number: at for channel in channels for number, at in channel.done.items()}
    commands = [
        (clock, kind, number, *rest)
        for number, channel in enumerate(channels)
        for clock, kind, *rest in channel.commands
    ]
    commands.sort(key=lambda command: (command[0], command[2]))
    return Outcome(
        commands,
        accepted,
        [done[number] for number in range(len(requests))],
        channels[0].clock,
        sum(len(c.writes) for c in channels),
    )
