"""On how many processes tests run: all of them on all cores, some of them in this process."""

from __future__ import annotations

import pytest


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """None leaves it to xdist, which takes a process a core; some tests would end before these have begun."""
    some = config.args_source is not pytest.Config.ArgsSource.TESTPATHS or config.option.keyword or config.option.lf
    return 0 if some else None
