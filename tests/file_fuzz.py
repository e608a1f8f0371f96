"""Mutated files of every kind: `python tests/file_fuzz.py FIRST COUNT FOLDER` gives as many to the commands that read
them, each made from its number alone.

The folder has what `seeds` has put there. A command does what it is asked, or refuses in lines that say why; whatever
else happens is a traceback behind the number of the file, which ends the process, as does a command that takes longer
than MAX_SECONDS. The last line is the most memory that the process had, in bytes. Models of ONNX, GGUF and Hugging Face
have mutations of their own, in `onnx_fuzz` and beside the importers' tests.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import faulthandler
import io
import json
import random
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from command_line import accelsim
from fake_simulations import quick
from ruamel.yaml import YAML

from accelsim.config import shipped
from accelsim.dse.sweep import Sweep
from accelsim.errors import AccelSimError
from accelsim.isa.opcodes import INSTRUCTION
from accelsim.isa.program import Program

#: Bytes of memory, seconds of a processor that a command takes, and characters of what it says.
MAX_BYTES, MAX_SECONDS, MAX_SAID = 2 * 2**30, 20, 2**17
#: How much longer it may wait for others that keep the computer busy.
PATIENCE = 6
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 16, 255, 2**16, 2**31, 2**40, 2**63, -(2**63), 10**40, 0.5, -0.0, 1e-300, 1e300, float("inf"),
    float("nan"),
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    *NUMBERS, None, True, False, "", "x", "int8", "a" * 5000, "\0", "\u2028", "../x", "/etc/passwd", "digits-mlp",
    "edge-ws", "<b>", "[/red]", [], {}, [[]], [1] * 300, {"kind": "x"}, "9" * 5000,
)  # fmt: skip
#: Texts that are put into YAML.
YAML_TEXTS = (
    "&a ", "*a", "<<: *a\n", "!!int ", "!!set ", "!x ", "- ", ": ", "? ", "|\n", ">\n", "{", "}", "[", "]", "#", "\t",
    "%YAML 1.1\n---\n", "...\n---\n", "'", '"', "0x" + "f" * 5000, "\x00", "\xff", "[" * 200, "~: 1\n",
)  # fmt: skip
SWEEP = """kind: sweep
name: small
description: few points
timing_only: true
axes:
  - field: arch.matrix.rows
    values: [16, 32, 64]
  - field: recipe
    values: [int8, int4]
"""
TRACE = "".join(f"0x{64 * (7 * i % 41):x} {('READ', 'WRITE')[i % 3 == 0]} {3 * i}\n" for i in range(40))
TOPOLOGY = """Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,
c1,12,12,3,3,4,8,1,
c2,10,10,1,1,8,16,2,
"""
GEMMS = "Layer,M,N,K,\na,4,5,6,\nb,7,8,9,\n"
CONFIGURATION = """[general]
run_name = r

[architecture_presets]
ArrayHeight: 8
ArrayWidth: 8
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: ws
Bandwidth: 10

[run_presets]
InterfaceBandwidth: USER
"""


def seeds(folder: Path) -> None:
    """Make what is mutated, in an empty folder: results, a store, a program and its text."""
    commands: tuple[tuple[str, ...], ...] = (
        ("run", "-o", "run"),
        ("run", "digits-cnn", "--timing-only", "-o", "cnn"),
        ("compare", "--recipes", "int8,int8-huffman", "-o", "compare"),
        ("compile", "digits-mlp", "-o", "p.acs"),
        # kernels are compiled once, which takes longer than a command may
        ("exec", "p.acs"),
        ("explain", "run"),
        ("dram", "--part", "DDR4_8Gb_x8_2400", "--trace", "t.txt", "--commands", "c.txt"),
    )
    (folder / "small.yaml").write_text(SWEEP)
    (folder / "t.txt").write_text(TRACE)
    for arguments in commands:
        done = accelsim(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr
    sweep = Sweep(folder / "small.yaml")
    results = sweep.results(store=folder / "s.sqlite", pool=Threads())  # simulated, so that a page can be of them
    (folder / "sweep.json").write_text(results.to_json())
    (folder / "p.asm").write_text(accelsim("disasm", "--image", "p.acs", cwd=folder).stdout)


class Threads:
    """A pool without processes."""

    killed: type[Exception] = BrokenExecutor
    tries, workers = 1, 1

    def executor(self) -> Executor:
        return ThreadPoolExecutor(1)

    renewed = executor

    def close(self) -> None:
        """There is nothing to end."""


def mutated(rng: random.Random, data: Any) -> Any:
    """Nested values of which a few have become what they must not be."""
    data = copy.deepcopy(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        places = list(_places(data))
        if not places:
            return rng.choice(VALUES)
        holder, key = rng.choice(places)
        value, (other, at) = holder[key], rng.choice(places)
        match rng.randrange(9):
            case 0 | 1 | 2:
                holder[key] = rng.choice(NUMBERS if isinstance(value, int | float) else VALUES)
            case 3:
                del holder[key]
            case 4 if isinstance(holder, dict):
                holder[f"{key}x"] = holder.pop(key)
            case 4 | 5 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(value))
            case 6:
                holder[key] = copy.deepcopy(other[at])
            case 7:
                holder[key] = rng.choice(([value], {"x": value}, str(value)))
            case _:
                if isinstance(value, int | float) and not isinstance(value, bool):
                    holder[key] = value * rng.choice((-1, 0.5, 2, 3, 10, 1000))
    return data


def _places(data: Any, depth: int = 100) -> Iterator[tuple[Any, Any]]:
    """Where each value stands, but for those far inside what was put there to be deep."""
    for key in list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield data, key
        if depth:
            yield from _places(data[key], depth - 1)


def changed(rng: random.Random, content: bytes, texts: tuple[str, ...]) -> bytes:
    """Bytes changed, left out, put in twice, cut off, or a text put among them."""
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(content) + 1)
        size = rng.choice((1, 4, 16, 200))
        match rng.randrange(6):
            case 0:
                content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]
            case 1:
                content = content[:at] + content[at + size :]
            case 2:
                content = content[:at] + content[at : at + size] * rng.choice((2, 50)) + content[at + size :]
            case 3:
                content = content[:at]
            case _:
                content = content[:at] + rng.choice(texts).encode() + content[at:]
    return content


def words(rng: random.Random, text: str) -> str:
    """Words of a text changed: numbers to others, lines left out, put in twice, and exchanged."""
    lines = text.split("\n")
    for _ in range(rng.choice((1, 1, 2, 4))):
        at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        parts = lines[at].split(" ")
        word = rng.randrange(len(parts))
        name, sign, value = parts[word].partition("=")
        match rng.randrange(6):
            case 0 | 1 if sign:
                parts[word] = f"{name}={rng.choice((*NUMBERS, value + '0', 'x', ''))}"
            case 0 | 1:
                parts[word] = str(rng.choice(VALUES))
            case 2:
                del parts[word]
            case 3:
                lines.insert(at, lines[other])
            case 4:
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                parts.insert(word, rng.choice(lines[other].split(" ")))
        lines[at] = " ".join(parts)
    return "\n".join(lines)


class Files:
    """Makes a file from a number, and says which commands read it.

    Parameters
    ----------
    given
        Folder of `seeds`.
    work
        Folder that is emptied for each file.
    """

    def __init__(self, given: Path, work: Path) -> None:
        self.given, self.work = given, work
        self.configurations = {
            kind: [shipped.path_of(kind, name) for name in shipped.names(kind)] for kind in shipped.KINDS
        }
        results = ("run/result.json", "cnn/result.json", "compare/compare.json", "sweep.json")
        self.json = {name: json.loads((given / name).read_text()) for name in results}
        self.program = Program.load(given / "p.acs")
        self.asm = (given / "p.asm").read_text()

    def try_one(self, number: int) -> str:
        """Give the file of a number to its commands; the kind of the file, and whether it was taken."""
        rng = random.Random(number)  # noqa: S311 - nothing secret
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        kinds: tuple[Callable[[random.Random], Iterator[tuple[Any, ...]]], ...] = (
            self._configuration, self._configuration, self._configuration, self._trace, self._assembly, self._program,
            self._result, self._table, self._store, self._scalesim,
        )  # fmt: skip
        make = rng.choice(kinds)
        taken = False
        for arguments in make(rng):
            done = accelsim(*arguments, cwd=self.work)
            assert done.returncode in {0, 2}, done
            assert (done.returncode == 2) == bool(done.stderr) or done.returncode == 0, done
            assert "Traceback" not in done.stderr, done.stderr
            assert len(done.stderr) < MAX_SAID, len(done.stderr)
            taken |= done.returncode == 0
        return f"{make.__name__[1:]} {'taken' if taken else 'refused'}"

    def _configuration(self, rng: random.Random) -> Iterator[tuple[Any, ...]]:
        kind = rng.choice(shipped.KINDS)
        source = rng.choice(self.configurations[kind])
        file = self.work / "f.yaml"
        content = source.read_bytes()
        if rng.random() < 0.7:
            data = mutated(rng, YAML(typ="safe", pure=True).load(content))
            content = json.dumps(data).encode() if rng.random() < 0.5 else _yaml(data)
        if rng.random() < 0.4:
            content = changed(rng, content, YAML_TEXTS)
        file.write_bytes(content)
        yield "check", file
        if kind == "dram":
            (self.work / "t.txt").write_text(TRACE)
            yield "dram", "--part", file, "--trace", "t.txt"
        elif kind in {"arch", "recipe"}:
            option = {"arch": "--arch", "recipe": "--recipe"}[kind]
            yield "explain", "digits-mlp", "--plan", option, file
        elif kind == "workload" and source.parent.name.startswith("digits"):
            yield "graph", file

    def _trace(self, rng: random.Random) -> Iterator[tuple[Any, ...]]:
        text = words(rng, TRACE)
        texts = ("0x", "READ", "\x00", "9" * 300, "\xe9", "\r", "1099511627776")
        content = changed(rng, text.encode(), texts) if rng.random() < 0.5 else text.encode()
        (self.work / "t.txt").write_bytes(content)
        part = rng.choice(shipped.names("dram"))
        yield ("dram", "--part", part, "--trace", "t.txt", *rng.choice(((), ("--json",), ("--commands", "c.txt"))))

    def _assembly(self, rng: random.Random) -> Iterator[tuple[Any, ...]]:
        content = words(rng, self.asm).encode()
        if rng.random() < 0.3:
            content = changed(rng, content, ("=", ";", ".image ", ".bytes ", "9" * 5000, "\x00", "\xff", "s1>=", "-"))
        (self.work / "p.asm").write_bytes(content)
        yield "asm", "p.asm", "-o", "p.acs"
        if (self.work / "p.acs").exists():
            yield "check", "p.acs"
            yield "exec", "p.acs", "--json"

    def _program(self, rng: random.Random) -> Iterator[tuple[Any, ...]]:
        file = self.work / "p.acs"
        if rng.random() < 0.4:
            file.write_bytes(changed(rng, (self.given / "p.acs").read_bytes(), ("\x00", "U8", '"', "}", "9" * 99)))
        else:
            code = self.program.instructions.copy()
            for _ in range(rng.choice((1, 1, 3))):
                at = rng.randrange(len(code))
                name = rng.choice(INSTRUCTION.names or ())
                field = code[name][at].reshape(-1)
                limits = np.iinfo(field.dtype)
                value = rng.choice([int(n) for n in NUMBERS[:12]] + [limits.min, limits.max, int(field[0]) + 1])
                field[rng.randrange(len(field))] = min(max(value, limits.min), limits.max)
                code[name][at] = field.reshape(code[name][at].shape)
            header = self.program.header
            if rng.random() < 0.5:
                with contextlib.suppress(ValueError):
                    header = type(header).model_validate(mutated(rng, header.model_dump()))
            dataclasses.replace(self.program, instructions=code, header=header).save(file)
        yield "check", file
        yield "disasm", file
        yield "exec", file, "--json"

    def _result(self, rng: random.Random) -> Iterator[tuple[Any, ...]]:
        name = rng.choice([*self.json])
        text = json.dumps(mutated(rng, self.json[name])).encode()
        if rng.random() < 0.2:
            text = changed(rng, text, ("[" * 2000, "9" * 400, "NaN", "\x00", "\xff", '{"a":1,', "1e999"))
        (self.work / "result.json").write_bytes(text)
        yield "dashboard", ".", "-o", "d.html"
        if name == "run/result.json" and rng.random() < 0.3:  # others take longer than a command may, with reason
            yield "explain", "result.json", "--json"

    def _table(self, rng: random.Random) -> Iterator[tuple[Any, ...]]:
        name = rng.choice(("timeline", "occupancy"))
        shutil.copy(self.given / "run" / "result.json", self.work)
        source, file = self.given / "run" / f"{name}.parquet", self.work / f"{name}.parquet"
        if rng.random() < 0.5:
            file.write_bytes(changed(rng, source.read_bytes(), ("PAR1", "\x00" * 8, "\xff")))
        else:
            frame = pd.read_parquet(source)
            column = rng.choice([*frame])
            odd = (
                [rng.choice(VALUES[:30]) for _ in range(len(frame))] if rng.random() < 0.3 else rng.choice(VALUES[:30])
            )
            with contextlib.suppress(Exception):
                match rng.randrange(5):
                    case 0:
                        frame = frame.drop(columns=column)
                    case 1:
                        frame = frame.rename(columns={column: "x"})
                    case 2:
                        frame = frame[:0]
                    case 3:
                        frame[column] = frame[column].astype(rng.choice(("float64", "str", "uint64", "bool", "int8")))
                    case _:
                        frame[column] = odd
            try:
                frame.to_parquet(file, index=rng.random() < 0.5)
            except Exception:  # noqa: BLE001 - what can't be written is no file
                file.write_bytes(b"PAR1")
        yield "dashboard", "result.json", "-o", "d.html"

    def _store(self, rng: random.Random) -> Iterator[tuple[Any, ...]]:
        shutil.copy(self.given / "small.yaml", self.work)
        file = self.work / "s.sqlite"
        shutil.copy(self.given / "s.sqlite", file)
        if rng.random() < 0.4:
            file.write_bytes(changed(rng, file.read_bytes(), ("\x00" * 64, "CREATE VIEW", "\xff")))
        else:
            figures = [row[0] for row in sqlite3.connect(file).execute("SELECT figures FROM points") if row[0]]
            odd = rng.choice((json.dumps(mutated(rng, json.loads(figures[0]))), "x", b"\xff", 7, None, 1e300))
            statement = rng.choice((
                "UPDATE points SET figures = ?1", "UPDATE points SET error = ?1, figures = NULL",
                "UPDATE points SET figures = ?1, error = NULL", "UPDATE points SET inputs = ?1",
                "UPDATE points SET key = ?1", "DROP TABLE inputs", "CREATE TABLE more (x)", "PRAGMA user_version = 9",
                "CREATE TRIGGER t BEFORE INSERT ON points BEGIN SELECT RAISE(ABORT, 'no'); END", "DELETE FROM points",
                "ALTER TABLE points RENAME COLUMN figures TO f",
            ))  # fmt: skip
            with contextlib.suppress(sqlite3.Error), sqlite3.connect(file) as db:
                db.execute(statement, (odd,) if "?1" in statement else ())
        try:
            results = Sweep(self.work / "small.yaml").results(store=file, pool=Threads(), simulate=quick)
            results.save(self.work / "out")
            results.export(self.work / "t.csv")
        except AccelSimError as error:
            assert len(str(error)) < MAX_SAID
            yield "sweep", "small.yaml", "--store", file, "--workers", "1"
            return
        known = [outcome for outcome in results.outcomes if "threads" not in (outcome.figures or '"threads"')]
        if len(known) == 3:  # nothing is left to be simulated, which is for others
            yield "sweep", "small.yaml", "--store", file, "--workers", "1", "-o", "o"

    def _scalesim(self, rng: random.Random) -> Iterator[tuple[Any, ...]]:
        texts = (",", "\n", "\x00", "\xff", "9" * 30, "-", "x", "2:4", "%", "[x]\n", ":")
        topology, configuration = rng.choice((TOPOLOGY, GEMMS)).encode(), CONFIGURATION.encode()
        if rng.random() < 0.6:
            topology = changed(rng, words(rng, topology.decode()).encode(), texts)
        else:
            configuration = changed(rng, words(rng, configuration.decode()).encode(), texts)
        (self.work / "t.csv").write_bytes(topology)
        (self.work / "c.cfg").write_bytes(configuration)
        yield "import", "scalesim", "t.csv", "--config", "c.cfg", "-o", "out"


def _yaml(data: Any) -> bytes:
    """Values as YAML in blocks; as JSON if they are such that there is none."""
    stream = io.BytesIO()
    try:
        YAML(typ="safe", pure=True).dump(data, stream)
    except Exception:  # noqa: BLE001 - whatever a writer does not take
        return json.dumps(data).encode()
    return stream.getvalue()


def main(first: int, count: int, given: Path) -> None:
    """Try files one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        files = Files(given, Path(folder) / "w")
        for number in range(first, first + count):
            sys.stdout.write(f"{number} ")
            sys.stdout.flush()
            faulthandler.dump_traceback_later(PATIENCE * MAX_SECONDS, exit=True)
            begun = time.process_time()
            sys.stdout.write(f"{files.try_one(number)}\n")
            assert time.process_time() - begun < MAX_SECONDS
            faulthandler.cancel_dump_traceback_later()
    sys.stdout.write(f"{1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
