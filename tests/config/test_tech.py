"""Energy tables: listed widths win, rules fill the gaps, a table may extend another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.config import shipped
from accelsim.config.load import load_machine, load_part, load_technology
from accelsim.config.tech import Clock, Component, Event, Leakage, Operation
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


@pytest.mark.parametrize(
    ("operation", "bits", "by", "expected"),
    [
        # the lower end of 1300 to 2600 pJ for 64 bits, linear in bits
        (Operation.DRAM_READ, 64, 0, 1300.0),
        (Operation.DRAM_WRITE, 512, 0, 10400.0),
        (Operation.INT_ADD, 16, 0, 0.05),
        (Operation.INT_MULTIPLY, 8, 8, 0.2),
        (Operation.FLOAT_ADD, 16, 0, 0.4),
        (Operation.FLOAT_MULTIPLY, 16, 16, 1.1),
        # not in Horowitz's table: those of han2015-45nm
        (Operation.REGISTER_WRITE, 8, 0, 0.25),
        (Operation.INT_COMPARE, 32, 0, 0.02947),
    ],
)
def test_horowitz(operation: Operation, bits: int, by: int, expected: float) -> None:
    event = Event(Component.MAC, operation, bits, by)
    assert load_technology("horowitz2014-45nm").energy_pj(event) == pytest.approx(expected, rel=1e-12)


def table(folder: Path, text: str, name: str = "t") -> Path:
    """A table of its own name with some keys."""
    file = folder / f"{name}.yaml"
    file.write_text(f"kind: tech\nname: {name}\ndescription: ''\nnode_nm: 45\n{text}\n")
    return file


def refused(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_technology(str(file))
    return [line.removeprefix(f"{file.parent}/") for line in str(error.value).splitlines()]


def test_the_upper_end_of_a_range_is_charged_on_request(tmp_path: Path) -> None:
    text = shipped.path_of("tech", "horowitz2014-45nm").read_text()
    (tmp_path / "t.yaml").write_text(text.replace("dram_bound: lower", "dram_bound: upper"))
    upper = load_technology(str(tmp_path / "t.yaml"))
    assert upper.energy_pj(Event(Component.DRAM, Operation.DRAM_READ, 64)) == 2600
    (tmp_path / "t.yaml").write_text("\n".join(line for line in text.splitlines() if "bound: upper" not in line))
    (line,) = refused(tmp_path / "t.yaml")
    assert line.endswith("entries of dram_read must give both a lower and an upper bound, or none of them")


def test_a_table_replaces_the_operations_of_its_base_whole(tmp_path: Path) -> None:
    file = table(
        tmp_path,
        "base: han2015-45nm\nentries: [{operation: int_multiply, bits: 16, energy_pj: 8, source: own}]",
    )
    own = load_technology(str(file))
    assert own.energy_pj(Event(Component.MAC, Operation.INT_MULTIPLY, 16, 16)) == 8
    # the base's figure for 8 bits is gone: 8 pJ x 8 x 8 / 16^2
    assert own.energy_pj(Event(Component.MAC, Operation.INT_MULTIPLY, 8, 8)) == 2
    others = [entry for entry in HAN.entries if entry.operation != Operation.INT_MULTIPLY]
    assert own.entries[1:] == others
    again = table(tmp_path, "base: ./t.yaml", "again")
    assert load_technology(str(again)).entries == own.entries


def test_faults_of_a_table_with_a_base_stand_where_they_are(tmp_path: Path) -> None:
    row = "  - {operation: issue, bits: 32, energy_pj: -1, source: own}"
    file = table(tmp_path, f"base: han2015-45nm\nentries:\n{row}")
    assert refused(file) == ["t.yaml:7:34: entries.0.energy_pj: must be greater than or equal to 0, not -1"]
    child = table(tmp_path, "base: t.yaml", "child")
    assert refused(child) == ["t.yaml:7:34: entries.0.energy_pj: must be greater than or equal to 0, not -1"]
    assert refused(table(tmp_path, "base: han2016-45nm"))[0] == (
        "t.yaml:5:1: base: must be a known tech or the path of a .yaml file, not 'han2016-45nm'; "
        "did you mean 'han2015-45nm'?"
    )
    assert refused(table(tmp_path, "base: 3\nentries: 4")) == [
        "t.yaml:5:1: base: must be a valid string, not 3",
        "t.yaml:6:1: entries: must be a valid list, not 4",
    ]
    assert refused(table(tmp_path, "base: ./none.yaml")) == [
        "t.yaml:5:1: base: must be a table's file that exists, not './none.yaml'"
    ]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_tables_that_extend_each_other_are_refused(length: int, tmp_path: Path) -> None:
    for i in range(length):
        file = table(tmp_path, f"base: ./t{(i + 1) % length}.yaml", f"t{i}")
    (line,) = refused(file)
    last = (length - 2) % length
    assert line == (
        f"t{last}.yaml:5:1: base: must be a table that does not extend this one, not './t{length - 1}.yaml'"
    )


SIZED = "{operation: sram_read, bits: 64, capacity_kib: "


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([SIZED + "8, energy_pj: 10, source: x}", SIZED + "32, energy_pj: 9, source: x}"],
         "entries of sram_read with 64 bits must grow with capacity, at most in proportion to it, not from 10.0 pJ at "
         "8.0 KiB to 9.0 pJ at 32.0 KiB"),
        ([SIZED + "8, energy_pj: 10, source: x}", SIZED + "32, energy_pj: 41, source: x}"],
         "entries of sram_read with 64 bits must grow with capacity, at most in proportion to it, not from 10.0 pJ at "
         "8.0 KiB to 41.0 pJ at 32.0 KiB"),
        ([SIZED + "8, energy_pj: 10, source: x}"],
         "entries of sram_read with 64 bits must give either one capacity and an exponent, or several capacities"),
        ([SIZED + "8, energy_pj: 10, exponent: 0.5, source: x}", SIZED + "32, energy_pj: 20, source: x}"],
         "entries of sram_read with 64 bits must give either one capacity and an exponent, or several capacities"),
        ([SIZED + "8, exponent: 0.5, energy_pj: 1, source: x}",
          "{operation: sram_read, bits: 32, energy_pj: 5, source: x}"],
         "entries of sram_read must all have a capacity_kib, or none of them"),
        ([SIZED + "8, energy_pj: 10, source: x}", SIZED + "8, energy_pj: 11, source: x}"],
         "entries must name each operation, width, capacity and bound once, not sram_read twice"),
        ([SIZED + "8, energy_pj: 0, source: x}"],
         "capacity_kib must be of an sram_read or sram_write above 0 pJ, not of sram_read with 0.0 pJ"),
        (["{operation: issue, bits: 64, capacity_kib: 8, energy_pj: 1, source: x}"],
         "capacity_kib must be of an sram_read or sram_write above 0 pJ, not of issue with 1.0 pJ"),
        (["{operation: sram_read, bits: 64, exponent: 0.5, energy_pj: 1, source: x}"],
         "exponent must come with the capacity_kib that the figure holds for, not 0.5"),
        ([SIZED + "8, exponent: 1.5, energy_pj: 1, source: x}"],
         "entries.0.exponent: must be less than or equal to 1, not 1.5"),
        (["{operation: leakage, bits: 8, energy_pj: 1, source: x}"],
         "entries must leave leakage to leakage and clock"),
    ],
)  # fmt: skip
def test_entries_that_cannot_be_are_refused(rows: list[str], expected: str, tmp_path: Path) -> None:
    file = table(tmp_path, "base: han2015-45nm\nentries:\n" + "".join(f"  - {row}\n" for row in rows))
    (line,) = refused(file)
    assert line.endswith(expected)


def test_a_table_by_currents_has_no_figures_for_dram(tmp_path: Path) -> None:
    row = "{operation: dram_read, bits: 64, energy_pj: 1, source: x}"
    (line,) = refused(table(tmp_path, f"base: cacti-45nm\ndram_energy: currents\nentries: [{row}]"))
    assert line.endswith("entries must leave dram_read to the part's currents")
    (line,) = refused(table(tmp_path, "base: ddr4-45nm"))
    assert line.endswith(
        "entries must include every operation, but dram_read, dram_write, dram_activate, dram_refresh, "
        "dram_active_clock, dram_precharged_clock are missing"
    )


def test_a_leaking_structure_is_listed_once(tmp_path: Path) -> None:
    row = "{of: sram, bits: 1, power_mw: 1, source: x}"
    (line,) = refused(table(tmp_path, f"base: han2015-45nm\nleakage: [{row}, {row}]"))
    assert line.endswith("leakage must name each structure once, not sram twice")


def test_a_table_without_an_operation_or_with_a_row_twice_is_refused(tmp_path: Path) -> None:
    text = shipped.path_of("tech", "han2015-45nm").read_text()
    rows = text.splitlines(keepends=True)
    file = tmp_path / "t.yaml"
    file.write_text("".join(row for row in rows if "int_shift" not in row and "pe_gated" not in row))
    with pytest.raises(ConfigError, match="entries must include every operation, but int_shift, pe_gated are missing"):
        load_technology(str(file))
    file.write_text(text + rows[-1])
    with pytest.raises(
        ConfigError, match="entries must name each operation, width, capacity and bound once, not link twice"
    ):
        load_technology(str(file))


@pytest.mark.parametrize("name", shipped.names("tech"))
def test_every_entry_has_a_source(name: str) -> None:
    shown = load_technology(name)
    for row in (*shown.entries, *shown.leakage, *shown.clock):
        assert row.source
        assert row.source != "none" or row.assumption
        assert not isinstance(row, Leakage | Clock) or row.assumption


def test_one_shipped_table_has_leakage_and_clock_and_the_default_has_none() -> None:
    found = [load_technology(name) for name in shipped.names("tech")]
    assert [table.name for table in found if table.leakage or table.clock] == ["lpddr4-45nm"]
    # the scratchpads of the larger machines are priced by their capacity
    assert {load_machine(name).tech for name in shipped.names("arch")} == {"han2015-45nm", "cacti-45nm"}


def test_tables_by_currents_name_shipped_parts_that_have_them() -> None:
    found = [load_technology(name) for name in shipped.names("tech")]
    parts = {table.name: load_part(str(table.dram_part)) for table in found if table.dram_energy == "currents"}
    assert {name: part.name for name, part in parts.items()} == {
        "ddr4-45nm": "DDR4_8Gb_x8_3200",
        "hbm2-45nm": "HBM2_8Gb_x128",
        "lpddr4-45nm": "LPDDR4_8Gb_x16_2400",
    }
    assert all(part.energy for part in parts.values())


def test_what_a_flat_figure_for_dram_includes_is_free() -> None:
    for operation in ("activate", "refresh", "active_clock", "precharged_clock"):
        event = Event(Component.DRAM, Operation(f"dram_{operation}"), 1)
        for name in ("han2015-45nm", "horowitz2014-45nm", "cacti-45nm"):
            assert load_technology(name).energy_pj(event) == 0
