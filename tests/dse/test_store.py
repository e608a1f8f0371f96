"""The file that keeps what sweeps found out."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from accelsim.dse.store import _TABLES, APPLICATION, MAX_ERROR, MAX_FIGURES, VERSION, Outcome, Store
from accelsim.errors import AccelSimError

ONE, TWO = '{"x": 1}', '{"x": 2}'


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
        store.add([Outcome("a", ONE, None), Outcome.failed("b", "no")], {}, {})
        store.add([Outcome("a", TWO, None), Outcome("b", TWO, None)], {}, {})
        store.add([Outcome.failed("a", "no"), Outcome.failed("b", "no")], {}, {})
        assert store.known(["a", "b"]) == {"a": Outcome("a", ONE, None), "b": Outcome("b", TWO, None)}


def test_sizes_are_bounded() -> None:
    long = Outcome.failed("b", "x" * 10**6)
    assert long.error
    assert len(long.error) == MAX_ERROR
    with Store() as store:
        store.add(
            [
                Outcome("a", "x" * (MAX_FIGURES + 1), None),
                Outcome("c", json.dumps({"x": "x" * (MAX_FIGURES - 9)}), None),
            ],
            {},
            {},
        )
        found = store.known(["a", "c"])
    assert found["a"].error == f"figures must be at most {MAX_FIGURES} characters"
    assert found["c"].figures


def test_thousands_of_keys_can_be_asked_for_at_once() -> None:
    keys = [str(number) for number in range(2500)]
    with Store() as store:
        store.add([Outcome(key, ONE, None) for key in keys], {}, {})
        assert sorted(store.known(keys)) == sorted(keys)


def test_all_points_of_a_batch_are_kept_or_none() -> None:
    with Store() as store:
        with pytest.raises(AccelSimError, match="CHECK constraint"):
            store.add([Outcome("a", ONE, None), Outcome("b", None, None)], {}, {})
        assert len(store) == 0
        store.add([Outcome("a", ONE, None)], {}, {})
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
        one.add([Outcome("a", ONE, None)], {}, {})
        other.add([Outcome("a", TWO, None), Outcome("b", ONE, None)], {}, {})
        assert one.known(["a", "b"]) == other.known(["a", "b"])
        assert len(one) == 2


HOSTILE = {
    "a view in a table's place": (
        "CREATE VIEW points AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) "
        "SELECT x AS key, NULL AS figures, 'e' AS error, '{}' AS inputs FROM r; "
        "CREATE TABLE inputs (sha256 TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID"
    ),
    "other columns": "CREATE TABLE points (key); CREATE TABLE inputs (sha256)",
    "a trigger": "{store}; CREATE TRIGGER t AFTER INSERT ON points BEGIN DELETE FROM points; END",
    "a table more": "{store}; CREATE TABLE more (x)",
    "no tables": "SELECT 1",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_store_with_other_tables_is_refused_before_they_are_read(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    db = sqlite3.connect(file)
    db.executescript(HOSTILE[kind].replace("{store}", ";".join(_TABLES.values())))
    db.executescript(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}")
    db.close()
    with pytest.raises(AccelSimError) as error:
        Store(file)
    assert str(error.value) == f"{file}: must be a store of sweeps, with its own tables alone"


@pytest.mark.parametrize(
    "figures",
    ["no JSON", "[1]", "1", '{"x": NaN}', '{"x": [[]]}', "[" * 10_000, '{"x":' * 9 + "1" + "}" * 9, b"{}", 7, 1e400,
     '{"x": 9223372036854775808}'],
    ids=lambda figures: str(figures)[:12],
)  # fmt: skip
def test_figures_that_are_none_are_one_line(figures: object, tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    Store(file).close()
    db = sqlite3.connect(file)
    db.execute("INSERT INTO points VALUES ('key', ?, NULL, '{}')", (figures,))
    db.commit()
    db.close()
    with Store(file) as store, pytest.raises(AccelSimError) as error:
        store.known(["key"])
    expected = f"{file}: must have figures in JSON, or an error, of point key..., which it has not"
    assert str(error.value) == expected


def test_a_question_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with Store() as store:
        monkeypatch.setattr("accelsim.dse.store._LONGEST_S", -1e3)
        with pytest.raises(AccelSimError, match="must be a writable store of sweeps: interrupted"):
            store.add([Outcome(str(number), ONE, None) for number in range(20_000)], {}, {})
        assert len(store) == 0


def test_a_full_disk_is_said_and_leaves_no_empty_file(tmp_path: Path) -> None:
    """The limit of a file's size is that of the process."""
    script = (
        "import resource, signal, sys; from pathlib import Path; from accelsim.dse.store import Outcome, Store\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "new, old = map(Path, sys.argv[1:])\n"
        "kept = Store(old)\n"
        "def told(work):\n"
        "    try: work()\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
        "told(lambda: Store(new))\n"
        "told(lambda: kept.add([Outcome(str(i), '{}', None) for i in range(999)], {}, {}))\n"
    )
    new, old = tmp_path / "new.sqlite", tmp_path / "old.sqlite"
    with Store(old) as store:
        store.add([Outcome("a", ONE, None)], {}, {})
    done = subprocess.run([sys.executable, "-c", script, new, old], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith(f"AccelSimError {new}: must be a writable store of sweeps: ")
    assert second.startswith(f"AccelSimError {old}: must be a writable store of sweeps: ")
    assert "rollback" not in done.stdout
    assert not new.exists()
    with Store(old) as store:
        assert store.known(["a"]) == {"a": Outcome("a", ONE, None)}
