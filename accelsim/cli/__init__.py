"""The command line: one file a command, no logic of its own."""

from __future__ import annotations

import signal


def command() -> None:
    """Run the command line; an interrupt while it is being imported ends it at once, as it ends any program."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from accelsim.cli.main import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    main()
