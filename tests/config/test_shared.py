"""Scratchpads that are one memory by several names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import SIMPLE_DRAM, machine

from accelsim.config.arch import Machine
from accelsim.config.load import load_machine
from accelsim.config.tech import Component
from accelsim.cost import area, static
from accelsim.dse.explain import changed, twice
from accelsim.errors import ConfigError
from accelsim.report import roofs


def sharing(*names: str, **changes: Any) -> Machine:
    return machine(**dict.fromkeys(names, "activation"), **changes)


@pytest.mark.parametrize("names", [(), ("output",), ("weight",), ("weight", "output")])
def test_a_machine_says_which_scratchpads_it_has(names: tuple[str, ...]) -> None:
    on = sharing(*names)
    assert on.shared == names
    assert [*on.scratchpads] == ["activation", *(name for name in ("weight", "output") if name not in names)]
    written = on.model_dump(mode="json")
    assert [name for name in ("weight", "output") if written[name] == "activation"] == [*names]
    again = Machine.model_validate(written)
    assert (again, again.shared) == (on, names)
    assert on.model_copy(update={"clock_hz": 2e9}).shared == names


def test_a_file_that_names_another_memory_is_refused(tmp_path: Path) -> None:
    fields = machine().model_dump(mode="json") | {"dram": SIMPLE_DRAM, "output": "accumulator"}
    path = tmp_path / "machine.yaml"
    path.write_text(yaml.safe_dump(fields))
    with pytest.raises(ConfigError, match=r"machine.yaml:\d+:\d+: .*output.* must be a memory or the name activation"):
        load_machine(str(path))
    path.write_text(yaml.safe_dump({**fields, "output": "activation"}))
    assert load_machine(str(path)).shared == ("output",)


def test_one_memory_is_counted_once() -> None:
    apart, one = machine(), sharing("weight", "output")
    assert set(static.srams(one)) == {Component.ACTIVATION, Component.ACCUMULATOR}
    assert area.QUANTITIES["scratchpad_bytes"](one) == one.activation.capacity_bytes
    assert area.QUANTITIES["scratchpad_bytes"](apart) == sum(
        sram.capacity_bytes for sram in (apart.activation, apart.weight, apart.output)
    )
    port = one.activation.banks * one.activation.ports * one.activation.width_bytes
    sums = one.accumulator.banks * one.accumulator.ports * one.accumulator.width_bytes
    assert roofs._moved(one, "sram") == (port + sums) * one.clock_hz


def test_what_is_made_twice_as_wide_stays_one_memory() -> None:
    one = sharing("weight", "output")
    (scratchpad,) = (trial for trial in twice(one) if trial.name == "scratchpad")
    wide = changed(one, scratchpad.changes)
    assert wide.shared == one.shared
    assert wide.output.width_bits == 2 * one.output.width_bits
