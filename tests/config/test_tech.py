"""The energy table: listed widths win, rules fill the gaps."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.config import shipped
from accelsim.config.load import load_technology
from accelsim.config.tech import Component, Event, Operation
from accelsim.errors import ConfigError

HAN = load_technology("han2015-45nm")


@pytest.mark.parametrize(
    ("operation", "bits", "by", "expected"),
    [
        # Han et al. 2015, Fig. 1: 32-bit operations
        (Operation.INT_ADD, 32, 0, 0.1),
        (Operation.FLOAT_ADD, 32, 0, 0.9),
        (Operation.REGISTER_READ, 32, 0, 1.0),
        (Operation.REGISTER_WRITE, 32, 0, 1.0),
        (Operation.INT_MULTIPLY, 32, 32, 3.1),
        (Operation.FLOAT_MULTIPLY, 32, 32, 3.7),
        (Operation.SRAM_READ, 32, 0, 5.0),
        (Operation.SRAM_WRITE, 32, 0, 5.0),
        (Operation.DRAM_READ, 32, 0, 640.0),
        (Operation.DRAM_WRITE, 32, 0, 640.0),
        # Horowitz 2014: listed widths
        (Operation.INT_ADD, 8, 0, 0.03),
        (Operation.INT_MULTIPLY, 8, 8, 0.2),
        (Operation.FLOAT_ADD, 16, 0, 0.4),
        (Operation.FLOAT_MULTIPLY, 16, 16, 1.1),
        # rules: add linear in bits, multiply b1 b2 / 32^2, memory linear in bits (20 pJ a bit of DRAM)
        (Operation.INT_ADD, 64, 0, 0.2),
        (Operation.INT_ADD, 4, 0, 0.0125),
        (Operation.INT_MULTIPLY, 16, 16, 3.1 / 4),
        (Operation.INT_MULTIPLY, 8, 4, 3.1 * 32 / 1024),
        (Operation.REGISTER_READ, 8, 0, 0.25),
        (Operation.SRAM_READ, 128, 0, 20.0),
        (Operation.DRAM_READ, 512, 0, 10240.0),
    ],
)
def test_energies(operation: Operation, bits: int, by: int, expected: float) -> None:
    assert HAN.energy_pj(Event(Component.MAC, operation, bits, by)) == pytest.approx(expected, rel=1e-12)


def test_a_table_without_an_operation_or_with_a_row_twice_is_refused(tmp_path: Path) -> None:
    text = shipped.path_of("tech", "han2015-45nm").read_text()
    rows = text.splitlines(keepends=True)
    file = tmp_path / "t.yaml"
    file.write_text("".join(row for row in rows if "int_shift" not in row and "pe_gated" not in row))
    with pytest.raises(ConfigError, match="entries must include every operation, but int_shift, pe_gated are missing"):
        load_technology(str(file))
    file.write_text(text + rows[-1])
    with pytest.raises(ConfigError, match="entries must name each operation and width once, not issue twice"):
        load_technology(str(file))


def test_every_entry_has_a_source() -> None:
    assert all(entry.source and (entry.source != "none" or entry.assumption) for entry in HAN.entries)
