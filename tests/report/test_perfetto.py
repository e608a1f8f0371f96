"""A trace says what the summary says, in the format that Perfetto reads."""

from __future__ import annotations

import gzip
import itertools
import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import inputs
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_networks import IntegerNetwork
from strategies import machines, networks

import accelsim
from accelsim.config.arch import BankedDram, Machine
from accelsim.config.load import load_machine, load_part
from accelsim.errors import AccelSimError
from accelsim.isa.opcodes import DMAS
from accelsim.isa.program import Program
from accelsim.report import perfetto
from accelsim.results import Execution, RunResult
from accelsim.sim import fast, spans

Event = dict[str, Any]
RUNS = {
    "edge-ws": ("edge-ws", None),
    "edge-outer": ("edge-outer", None),
    "edge-ws-mixed": ("edge-ws-mixed", "w4a4"),
    "tpu-v1": ("tpu-v1", None),
}
#: Keys of an event beside `ph`, and their types, by its phase.
KEYS = {
    "M": {"pid": int, "name": str, "args": dict},
    "X": {"pid": int, "tid": int, "cat": str, "name": str, "ts": Fraction, "dur": Fraction, "args": dict},
    "C": {"pid": int, "name": str, "ts": Fraction, "args": dict},
}


@dataclass
class Trace:
    """What stands in a file, and names of the tracks as they are shown; times are fractions of microseconds."""

    about: dict[str, Any]
    events: list[Event]
    tracks: dict[int, str]

    @classmethod
    def read(cls, file: Path) -> Trace:
        data = json.loads(gzip.decompress(file.read_bytes()), parse_float=Fraction)
        assert set(data) == {"displayTimeUnit", "otherData", "traceEvents"}
        assert data["displayTimeUnit"] == "ns"
        events = data["traceEvents"]
        named, place = (
            {e["tid"]: e["args"][key] for e in events if e["name"] == kind}
            for kind, key in (("thread_name", "name"), ("thread_sort_index", "sort_index"))
        )
        assert named.keys() == place.keys()
        assert len(set(named.values())) == len(named)
        return cls(data["otherData"], events, {tid: named[tid] for tid in sorted(named, key=place.__getitem__)})

    def us(self, cycle: int) -> Fraction:
        """When a cycle is drawn to begin, to the nanosecond, which a cycle takes at least."""
        period = max(self.about["clock_period_fs"], 10**6)
        return Fraction(math.floor(Fraction(cycle * period, 10**6) + Fraction(1, 2)), 1000)

    def by_track(self) -> dict[str, list[Event]]:
        """Events with a duration of each named track, as they stand in the file."""
        tracks: dict[str, list[Event]] = {name: [] for name in self.tracks.values()}
        for e in self.events:
            if e["ph"] == "X":
                tracks[self.tracks[e["tid"]]].append(e)
        return tracks

    def cycles(self, event: Event) -> tuple[int, int]:
        """Cycles from which and to which an event is drawn."""
        args = event["args"]
        start = args["free" if event["cat"] == "in flight" else "start"]
        return start, args["free" if event["cat"] == "instruction" else "end"]

    def length(self, event: Event) -> int:
        start, end = self.cycles(event)
        return end - start


def check_schema(trace: Trace) -> None:
    """Every event has its keys and no other ones, names come first, and no two events of a track overlap."""
    for e in trace.events:
        tid = {"tid": int} if e["name"].startswith("thread_") else {}
        expected = KEYS[e["ph"]] | (tid if e["ph"] == "M" else {})
        assert set(e) == {"ph", *expected}
        for key, kind in expected.items():
            assert isinstance(e[key], kind), (key, e)
    phases = [e["ph"] for e in trace.events]
    assert "M" not in phases[phases.count("M") :]
    metadata = {(e["pid"], e.get("tid"), e["name"]) for e in trace.events[: phases.count("M")]}
    assert len(metadata) == phases.count("M")
    for e in trace.events[phases.count("M") :]:
        assert (e["pid"], None, "process_name") in metadata
        assert e["ph"] == "C" or (e["pid"], e["tid"], "thread_name") in metadata
    for events in trace.by_track().values():
        assert all(trace.length(e) > 0 for e in events)
        for before, e in itertools.pairwise(events):
            assert before["ts"] + before["dur"] <= e["ts"]
        for e in events:
            start, end = trace.cycles(e)
            assert (e["ts"], e["ts"] + e["dur"]) == (trace.us(start), trace.us(end))
            assert e["dur"] > 0


def state_cycles(trace: Trace, event: Event) -> dict[str, int]:
    """Cycles by state that an event of a unit's track stands for."""
    waited = event["args"].get("wait_memory", 0)
    if event["cat"] in {"instruction", "issue"}:
        return {"busy": trace.length(event) - waited, "wait_memory": waited}
    assert event["name"] == event["args"]["state"].replace("wait_", "wait for ")
    return {event["args"]["state"]: trace.length(event)}


def check_units(trace: Trace, execution: Execution) -> None:
    """Each unit's track is filled from the first cycle to the last, and says what the attribution says."""
    tracks = trace.by_track()
    assert [name for name in tracks if "flight" not in name and "layers" not in name] == list(execution.unit_names)
    for unit, name in enumerate(execution.unit_names):
        sums = np.zeros((len(execution.layer_names), len(execution.states)), np.int64)
        for e in tracks[name]:
            for state, cycles in state_cycles(trace, e).items():
                sums[execution.layer_names.index(e["args"]["layer"]), execution.states.index(state)] += cycles
        np.testing.assert_array_equal(sums, execution.attribution[:, unit], name)
        at = 0
        for e in tracks[name]:
            assert trace.cycles(e)[0] == at
            at += trace.length(e)
        assert at == execution.cycles


def check_instructions(trace: Trace, program: Program, execution: Execution) -> None:
    """Every instruction is there once, with its times, its operands and what it waited for before."""
    t, tracks = execution.timeline, trace.by_track()
    seen: Counter[int] = Counter()
    for unit, name in enumerate(execution.unit_names[:-1]):
        waits: dict[str, int] = defaultdict(int)
        for e in tracks[name]:
            args = e["args"]
            if e["cat"] == "wait":
                waits[args["state"]] += trace.length(e)
            if "semaphore" in args:
                code = program.instructions[args["instruction"]]
                assert args["value"] == code["value"][code["wait"].tolist().index(args["semaphore"])]
            if e["cat"] != "instruction":
                continue
            i = args["instruction"]
            seen[i] += 1
            assert t.unit[i] == unit
            assert e["name"] == f"{execution.opcode_names[t.opcode[i]]} {execution.layer_names[t.layer[i]]}"
            assert [args[k] for k in ("issue", "start", "free", "end")] == [
                x[i] for x in (t.issue, t.start, t.free, t.end)
            ]
            given = [v for k, v in args["operands"].items() if "memory" not in k]
            own = program.instructions["operands"][i, : len(args["operands"])].tolist()
            assert given == [v for k, v in zip(args["operands"], own, strict=True) if "memory" not in k]
            sides = dict(reversed(side.split()) for side in args["tile"].split(" x "))
            assert sides
            assert all(args["operands"][side] == int(size) for side, size in sides.items())
            assert {k: v for k, v in args.items() if k.startswith("wait_") and k != "wait_memory"} == waits
            waits.clear()
    assert seen == Counter(range(len(t.unit)))
    flights = [e for name, events in tracks.items() if "flight" in name for e in events]
    assert Counter(e["args"]["instruction"] for e in flights) == Counter(np.flatnonzero(t.end > t.free).tolist())
    for unit, name in enumerate(execution.unit_names):
        mine = t.unit == unit
        most = max((((t.free[mine] <= at) & (t.end[mine] > at)).sum() for at in t.free[mine]), default=0)
        assert sum(track.startswith(f"{name} in flight") for track in tracks) == most
    issued = sum(e["args"]["instructions"] for e in tracks["host"] if e["cat"] == "issue")
    assert issued in {0, len(t.unit)}


def check_channels(trace: Trace, execution: Execution, channels: int) -> None:
    """Channels are asked for all bursts of a transfer from its start to its end, and for nothing in the end."""
    t, total = execution.timeline, Counter[Fraction]()
    transfers = {
        e["args"]["instruction"]: e["args"]["bursts"]
        for events in trace.by_track().values()
        for e in events
        if e["cat"] == "instruction" and "bursts" in e["args"]
    }
    assert sorted(transfers) == np.flatnonzero(np.isin(t.unit, DMAS)).tolist()
    assert sum(transfers.values()) == len(execution.grants)
    expected: Counter[Fraction] = Counter()
    for i, bursts in transfers.items():
        expected[trace.us(int(t.start[i]))] += bursts
        expected[trace.us(int(t.end[i]))] -= bursts
    named = sorted({e["name"] for e in trace.events if e["ph"] == "C"})
    assert set(named) <= {f"channel {i}" for i in range(channels)}
    for name in named:
        mine = [e for e in trace.events if e["ph"] == "C" and e["name"] == name]
        assert all(a["ts"] < b["ts"] for a, b in itertools.pairwise(mine))
        level = 0
        for e in mine:
            total[e["ts"]] += e["args"]["bursts"] - level
            level = e["args"]["bursts"]
            assert level >= 0
        assert level == 0
    assert {k: v for k, v in total.items() if v} == {k: v for k, v in expected.items() if v}


def written(file: Path, program: Program, on: Machine, execution: Execution) -> Trace:
    perfetto.write(file, program, on, execution, spans.of_units(program, on, execution))
    return Trace.read(file)


@pytest.fixture(scope="module", params=RUNS)
def traced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trace, RunResult, Path]:
    arch, recipe = RUNS[request.param]
    file = tmp_path_factory.mktemp(arch) / "t.json.gz"
    result = accelsim.run("digits-mlp", arch, recipe, trace=file)
    return Trace.read(file), result, file


def test_the_file_has_the_format_and_no_track_overlaps(traced: tuple[Trace, RunResult, Path]) -> None:
    trace, result, _ = traced
    check_schema(trace)
    summary = result.summary
    assert [trace.about[k] for k in ("workload", "arch", "recipe", "engine", "cycles")] == [
        summary.workload,
        summary.arch,
        summary.recipe,
        summary.engine,
        summary.cycles,
    ]


def test_units_sum_to_the_summary(traced: tuple[Trace, RunResult, Path]) -> None:
    trace, result, _ = traced
    check_units(trace, result.execution)
    tracks = trace.by_track()
    for figures in (result.summary, *result.summary.layers):
        name = getattr(figures, "name", None)
        for unit, cycles in figures.units.items():
            found: Counter[str] = Counter()
            for e in tracks[unit]:
                if name in {None, e["args"]["layer"]}:
                    found.update(state_cycles(trace, e))
            assert {k: v for k, v in found.items() if v} == {k: v for k, v in cycles.items() if v and k != "total"}


def test_layers_span_what_the_summary_says(traced: tuple[Trace, RunResult, Path]) -> None:
    trace, result, _ = traced
    found = {e["args"]["layer"]: e for e in trace.events if e.get("cat") == "layer"}
    assert sorted(found) == sorted(layer.name for layer in result.summary.layers)
    for layer in result.summary.layers:
        args = found[layer.name]["args"]
        assert [args["start"], args["end"]] == layer.span
        assert trace.length(found[layer.name]) == layer.span[1] - layer.span[0]
        assert (args["cycles"], args["active_cycles"], args["array_cycles"]) == (
            layer.cycles,
            layer.active_cycles,
            layer.array_cycles,
        )
    assert sum(e["args"]["instructions"] for e in found.values()) == result.summary.instructions


def test_the_same_run_gives_the_same_bytes(traced: tuple[Trace, RunResult, Path], tmp_path: Path) -> None:
    _, result, file = traced
    arch, recipe = result.summary.arch, result.summary.recipe
    accelsim.run("digits-mlp", arch, recipe, trace=tmp_path / "other-name.gz")
    assert (tmp_path / "other-name.gz").read_bytes() == file.read_bytes()
    assert file.read_bytes()[3:8] == bytes(5)  # neither a name nor a time stands in the header


@given(net=networks(max_size=24), on=machines(min_side=2), batch=st.integers(1, 8), seed=st.integers(0, 2**32))
@settings(max_examples=25)
def test_any_program_on_any_machine(
    tmp_path_factory: pytest.TempPathFactory, net: IntegerNetwork, on: Machine, batch: int, seed: int
) -> None:
    program = net.compile(inputs(np.random.default_rng(seed), net, batch), on)
    execution = fast.execute(program, on)
    trace = written(tmp_path_factory.mktemp("any") / "t.gz", program, on, execution)
    check_schema(trace)
    check_units(trace, execution)
    check_instructions(trace, program, execution)
    check_channels(trace, execution, on.dram.part.system.channels if on.dram.kind == "banked" else 1)


@pytest.mark.parametrize("arch", ["edge-ws", "tpu-v1"])
def test_every_instruction_and_burst_of_a_run(arch: str, tmp_path: Path) -> None:
    program, on = accelsim.api.compile_workload("digits-mlp", arch), load_machine(arch)
    execution = fast.execute(program, on)
    trace = written(tmp_path / "t.gz", program, on, execution)
    check_instructions(trace, program, execution)
    check_channels(trace, execution, 1)


@pytest.mark.parametrize("clock_hz", [7e8, 999_999_999.0, 2.4e9])
def test_no_track_overlaps_in_whole_nanoseconds(clock_hz: float, tmp_path: Path) -> None:
    on = load_machine("edge-ws").model_copy(update={"clock_hz": clock_hz})
    program = accelsim.api.compile_workload("digits-mlp", "edge-ws")
    execution = fast.execute(program, on)
    trace = written(tmp_path / "t.gz", program, on, execution)
    check_schema(trace)
    check_units(trace, execution)
    groups = [e["args"]["name"] for e in trace.events if e["name"] == "process_name"]
    assert all(name.endswith(" (drawn with a cycle of 1 ns)") == (clock_hz > 1e9) for name in groups)
    assert all((1000 * e[key]).denominator == 1 for e in trace.events for key in ("ts", "dur") if key in e)


def test_channels_are_those_of_the_address_map(tmp_path: Path) -> None:
    part = load_part("HBM2_8Gb_x128")
    on = load_machine("edge-ws").model_copy(update={"dram": BankedDram(kind="banked", part=part)})
    program = accelsim.api.compile_workload("digits-mlp", "edge-ws")
    execution = fast.execute(program, on)
    trace = written(tmp_path / "t.gz", program, on, execution)
    channels = on.dram.part.system.channels
    assert channels > 1
    check_channels(trace, execution, channels)
    assert len({e["name"] for e in trace.events if e["ph"] == "C"}) == channels


def test_names_may_have_any_character(tmp_path: Path) -> None:
    program, on = accelsim.api.compile_workload("digits-mlp", "edge-ws"), load_machine("edge-ws")
    names = ['a"b', "back\\slash", "{0} \N{GREEK SMALL LETTER ALPHA} %d"]
    infos = [x.model_copy(update={"name": name}) for x, name in zip(program.header.layers, names, strict=True)]
    renamed = Program(program.header.model_copy(update={"layers": infos}), program.instructions, program.image)
    execution = fast.execute(renamed, on)
    trace = written(tmp_path / "t.gz", renamed, on, execution)
    check_schema(trace)
    check_units(trace, execution)
    check_instructions(trace, renamed, execution)


def test_a_program_of_nothing_has_a_trace(tmp_path: Path) -> None:
    program, on = accelsim.api.compile_workload("digits-mlp", "edge-ws", residency=False), load_machine("edge-ws")
    empty = Program(program.header, program.instructions[:0].copy(), program.image)
    execution = fast.execute(empty, on)
    trace = written(tmp_path / "t.gz", empty, on, execution)
    check_schema(trace)
    assert {e["ph"] for e in trace.events} == {"M"}


def test_progress_counts_the_instructions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perfetto, "TOGETHER", 500)
    program, on = accelsim.api.compile_workload("digits-mlp", "edge-ws"), load_machine("edge-ws")
    execution = fast.execute(program, on)
    calls: list[tuple[int, int]] = []
    found = spans.of_units(program, on, execution)
    perfetto.write(tmp_path / "t.gz", program, on, execution, found, lambda *call: calls.append(call))
    check_instructions(Trace.read(tmp_path / "t.gz"), program, execution)
    count = len(program.instructions)
    assert len(calls) > 5
    assert calls == sorted(calls)
    assert calls[-1] == (count, count)


def test_nothing_is_left_where_no_trace_can_be(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(AccelSimError, match="must be a file, but is a folder"):
        accelsim.run(trace=tmp_path / "folder")
    with pytest.raises(AccelSimError, match="a trace must go without reuse of blocks"):
        accelsim.run(timing_only=True, reuse_blocks=True, trace=tmp_path / "t.gz")
    assert [p.name for p in tmp_path.rglob("*")] == ["folder"]


def test_a_failure_halfway_leaves_nothing(tmp_path: Path) -> None:
    program, on = accelsim.api.compile_workload("digits-mlp", "edge-ws"), load_machine("edge-ws")
    execution = fast.execute(program, on)
    (tmp_path / "t.gz").write_text("kept")

    def broken(done: int, of: int) -> None:
        raise KeyboardInterrupt

    found = spans.of_units(program, on, execution)
    with pytest.raises(KeyboardInterrupt):
        perfetto.write(tmp_path / "t.gz", program, on, execution, found, broken)
    assert [p.name for p in tmp_path.iterdir()] == ["t.gz"]
    assert (tmp_path / "t.gz").read_text() == "kept"
