"""The file that keeps what sweeps found out."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from accelsim.dse.store import MAX_ERROR, MAX_FIGURES, Outcome, Store
from accelsim.errors import AccelSimError


def test_what_is_added_is_known_to_whoever_opens_the_file_next(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    outcomes = [Outcome("a", '{"x": 1}', None), Outcome.failed("b", "must fit")]
    with Store(file) as store:
        assert store.known(["a", "b", "c"]) == {}
        store.add(outcomes, {"a": '{"arch": "h"}'}, {"h": "{}"})
    with Store(file) as store:
        assert store.known(["a", "b", "c"]) == {"a": outcomes[0], "b": outcomes[1]}
        assert len(store) == 2
    db = sqlite3.connect(file)
    assert db.execute("SELECT * FROM inputs").fetchall() == [("h", "{}")]
    assert db.execute("SELECT inputs FROM points WHERE key = 'a'").fetchall() == [('{"arch": "h"}',)]
    db.close()


def test_figures_stay_and_errors_give_way_to_them() -> None:
    with Store() as store:
        store.add([Outcome("a", "1", None), Outcome.failed("b", "no")], {}, {})
        store.add([Outcome("a", "2", None), Outcome("b", "2", None)], {}, {})
        store.add([Outcome.failed("a", "no"), Outcome.failed("b", "no")], {}, {})
        assert store.known(["a", "b"]) == {"a": Outcome("a", "1", None), "b": Outcome("b", "2", None)}


def test_sizes_are_bounded() -> None:
    long = Outcome.failed("b", "x" * 10**6)
    assert long.error
    assert len(long.error) == MAX_ERROR
    with Store() as store:
        store.add([Outcome("a", "x" * (MAX_FIGURES + 1), None), Outcome("c", "x" * MAX_FIGURES, None)], {}, {})
        found = store.known(["a", "c"])
    assert found["a"].error == f"figures must be at most {MAX_FIGURES} characters"
    assert found["c"].figures


def test_thousands_of_keys_can_be_asked_for_at_once() -> None:
    keys = [str(number) for number in range(2500)]
    with Store() as store:
        store.add([Outcome(key, "1", None) for key in keys], {}, {})
        assert sorted(store.known(keys)) == sorted(keys)


def test_all_points_of_a_batch_are_kept_or_none() -> None:
    with Store() as store:
        with pytest.raises(AccelSimError, match="CHECK constraint"):
            store.add([Outcome("a", "1", None), Outcome("b", None, None)], {}, {})
        assert len(store) == 0
        store.add([Outcome("a", "1", None)], {}, {})
        assert len(store) == 1


@pytest.mark.parametrize("kind", ["text", "folder", "database", "later"])
def test_what_is_no_store_is_refused_and_left_alone(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    if kind == "text":
        file.write_text("hello " * 1000)
    elif kind == "folder":
        file.mkdir()
    elif kind == "database":
        db = sqlite3.connect(file)
        db.execute("CREATE TABLE points (x)")
        db.close()
    else:
        Store(file).close()
        db = sqlite3.connect(file)
        db.execute("PRAGMA user_version = 2")
        db.close()
    before = file.read_bytes() if file.is_file() else b""
    with pytest.raises(AccelSimError) as error:
        Store(file)
    (line,) = str(error.value).splitlines()
    assert line.startswith(f"{file}: must be a ")
    if kind == "text":
        assert file.read_bytes() == before


WRITER = """
import sys
from pathlib import Path
from accelsim.dse.store import Outcome, Store
store = Store(Path(sys.argv[1]))
number = len(store)
while True:
    store.add([Outcome(f"{number}.{i}", str(number), None) for i in range(3)], {}, {})
    number += 3
    print(number, flush=True)
"""


def test_what_was_acknowledged_outlives_a_killed_process(tmp_path: Path) -> None:
    file, done = tmp_path / "s.sqlite", 0
    for lines in (1, 40, 7, 150):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            for _ in range(lines):
                done = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split("\n")
        done = max([done, *(int(line) for line in rest[:-1])])
        with Store(file) as store:
            assert len(store) % 3 == 0
            assert len(store) >= done


def test_two_processes_may_write_one_file(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    with Store(file) as one, Store(file) as other:
        one.add([Outcome("a", "1", None)], {}, {})
        other.add([Outcome("a", "2", None), Outcome("b", "1", None)], {}, {})
        assert one.known(["a", "b"]) == other.known(["a", "b"])
        assert len(one) == 2
