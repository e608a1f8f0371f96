"""Random machines, networks and recipes: `python tests/machine_fuzz.py FIRST COUNT` runs as many, each from its number.

Shipped machines whose sizes have been changed run shipped networks by shipped recipes. A run is bit for bit what the
golden model says, and some of them run again on the reference engine, which must give the same; or it is refused in
lines that say why. Whatever else happens ends the process behind the number of the case. The last line is the most
memory that the process had, in bytes.
"""

from __future__ import annotations

import faulthandler
import io
import json
import random
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from command_line import accelsim
from ruamel.yaml import YAML

from accelsim.config import shipped

#: Seconds of a case, of which some compile kernels that none did before.
MAX_SECONDS = 240
#: Networks that take less than a second, and a share of the cases that runs on both engines.
NETWORKS, BOTH = ("digits-mlp", "digits-cnn"), 0.1
#: What numbers of a machine are multiplied by.
FACTORS = (0.25, 0.5, 2, 4, 1 / 16, 1.5)


def machine(rng: random.Random) -> str:
    """Text of a shipped machine of which some whole numbers have become others."""
    name = rng.choice([name for name in shipped.names("arch") if not name.startswith(("scale-sim", "tpu"))])
    yaml = YAML(typ="safe", pure=True)
    data = yaml.load(shipped.path_of("arch", name))
    places = list(_numbers(data))
    for holder, key in rng.sample(places, min(len(places), rng.choice((0, 1, 1, 2, 3)))):
        value = int(holder[key] * rng.choice(FACTORS))
        holder[key] = rng.choice((value, value, value, 1, value - value % 64))
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def _numbers(data: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Where each whole number of a machine stands."""
    for key, value in data.items():
        if isinstance(value, dict):
            yield from _numbers(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            yield data, key


def try_one(number: int, folder: Path) -> str:
    """Run a case; what became of it."""
    rng = random.Random(number)  # noqa: S311 - nothing secret
    (folder / "m.yaml").write_text(machine(rng))
    case = ("run", rng.choice(NETWORKS), "--arch", "m.yaml", "--json")
    case += ("--recipe", rng.choice(shipped.names("recipe"))) if rng.random() < 0.7 else ()
    done = accelsim(*case, cwd=folder)
    assert done.returncode in {0, 2}, (case, done)
    if done.returncode:
        lines = done.stderr.splitlines()
        assert lines, case
        assert all(line.strip() for line in lines), (case, lines)
        return "refused"
    result = json.loads(done.stdout)
    assert result["bit_exact"] is True, case
    if rng.random() < BOTH:
        other = json.loads(accelsim(*case, "--engine", "reference", cwd=folder).stdout)
        for name in ("cycles", "bytes", "units", "macs"):
            assert other[name] == result[name], (case, name)
    return "run"


def main(first: int, count: int) -> None:
    """Run cases one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            sys.stdout.write(f"{number} ")
            sys.stdout.flush()
            faulthandler.dump_traceback_later(MAX_SECONDS, exit=True)
            sys.stdout.write(f"{try_one(number, Path(folder))}\n")
            faulthandler.cancel_dump_traceback_later()
    sys.stdout.write(f"{1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
