"""On how many processes tests run: all of them on all cores, some of them in this process."""

from __future__ import annotations

import os

import pytest

#: Processes at most: each takes up to 0.8 GB.
MOST = 8


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process a core for all tests; some tests would end before the processes have begun."""
    some = config.args_source is not pytest.Config.ArgsSource.TESTPATHS or config.option.keyword or config.option.lf
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if some else min(MOST, cores)
