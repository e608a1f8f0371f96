"""Tables on a terminal, as a user meets them."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios


def on_terminal(*arguments: str, columns: int) -> list[str]:
    """Lines that a command prints on a terminal of so many columns."""
    main, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    command = [sys.executable, "-m", "accelsim.cli.main", *arguments]
    with subprocess.Popen(
        command, stdout=other, stderr=subprocess.DEVNULL, env=environment, stdin=subprocess.DEVNULL
    ) as child:
        os.close(other)
        found = b""
        while part := _read(main):
            found += part
    os.close(main)
    assert child.returncode == 0, found
    return found.decode().replace("\r", "").splitlines()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # its other end is closed
        return b""


def test_a_terminal_shows_whole_numbers_and_names_as_far_as_there_is_room() -> None:
    lines = on_terminal("run", "--timing-only", columns=60)
    table = lines[lines.index("Layers") :]
    assert max(map(len, table)) <= 60
    assert table[1].split()[:2] == ["layer", "cycles"]
    assert table[2].startswith("fc1    29,0")
    assert not any("…" in line for line in lines)
    left = next(line for line in table if line.startswith("left out: "))
    assert "M x K x N" in left


def test_a_narrow_terminal_stacks_rows_unless_all_columns_are_asked_for() -> None:
    narrow, wide = (on_terminal("compare", "--recipes", "int8", "--timing-only", *more, columns=30)
                    for more in ((), ("--wide",)))  # fmt: skip
    begun = narrow.index("Schemes")
    assert narrow[begun + 1 : begun + 3] == ["int8", "  arch          edge-ws"]
    assert any(line.startswith("  energy   ") and line.endswith("J") for line in narrow)
    assert wide[wide.index("Schemes") + 1].split()[:3] == ["recipe", "arch", "tech"]
