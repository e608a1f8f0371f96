"""DRAM parts: what they derive, what they refuse, and that the shipped ones are what their sources say."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest
from dram_golden import DATA
from dram_strategies import NAMES, changed, parts, shipped_part
from dram_streams import address, field_bits
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from accelsim.memory.address_map import AddressMap
from accelsim.memory.trace import Trace, run_trace

DDR4 = shipped_part("DDR4_8Gb_x8_3200")
HBM2 = shipped_part("HBM2_8Gb_x128")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tccd_l": 3}, "tccd_l must be at least tccd_s (4), not 3"),
        ({"trrd_s": 9}, "trrd_l must be at least trrd_s (9), not 8"),
        ({"twtr_l": 3}, "twtr_l must be at least twtr_s (4), not 3"),
        ({"trcd": None}, "either trcd or both trcdrd and trcdwr must be given, not none"),
        ({"trcdrd": 22}, "either trcd or both trcdrd and trcdwr must be given, not trcd and trcdrd"),
        ({"al": 22}, "al must be below trcd, not 22"),
        ({"trefi": 700}, "trefi must be above 764, what refreshes of 2 ranks and an access can take, not 700"),
        ({"idd4r": 51.0}, "idd4r must be at least idd3n (52.0), not 51.0"),
        ({"idd5ab": 0.0}, "idd5ab must be at least idd3n (52.0), not 0.0"),
        ({"address_mapping": "rochrababgbg"},
         "address_mapping must name each of ch, ra, bg, ba, ro, co once, not 'rochrababgbg'"),
        ({"address_mapping": "rochra"}, "String should match pattern"),
        ({"rows": 65535}, "rows must be a power of two, as address fields are whole bits, not 65535"),
        ({"channels": 3}, "channels must be a power of two, as address fields are whole bits, not 3"),
        ({"bus_width": 96}, "bus_width must be a power of two, as address fields are whole bits, not 96"),
        ({"device_width": 64, "bus_width": 32}, "bus_width must be at least device_width (64), not 32"),
        ({"columns": 4}, "columns must hold a burst of 8 beats, not 4"),
        ({"protocol": "GDDR6"}, "bl must be whole clocks of 16 beats, not 8"),
        ({"channel_size": 24576},
         "channel_size must be a power of two of ranks (8192), at most 16, not 24576"),
        ({"channel_size": 2**18}, "channel_size must be a power of two of ranks (8192), at most 16, not 262144"),
        ({"trans_queue_size": 8}, "Input should be greater than or equal to 9"),
        ({"row_buf_policy": "OPEN"}, "Input should be 'OPEN_PAGE' or 'CLOSE_PAGE'"),
    ],
)  # fmt: skip
def test_a_part_that_cannot_work_is_refused_in_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    data = DDR4.model_dump()
    for key, value in changes.items():
        next(section for section in data.values() if isinstance(section, dict) and key in section)[key] = value
    with pytest.raises(ValidationError) as caught:
        type(DDR4).model_validate(data)
    (error,) = caught.value.errors()
    assert sentence in error["msg"]


def test_trefi_may_be_just_above_what_refreshes_take() -> None:
    assert changed(DDR4, trefi=765).timing.trefi == 765


@given(parts(), st.data())
def test_an_address_lies_where_its_fields_say(part: Any, data: st.DataObject) -> None:
    fields = {name: data.draw(st.integers(0, 2**bits - 1)) for name, bits in field_bits(part).items()}
    within = data.draw(st.integers(0, part.burst_bytes - 1))
    at = AddressMap.of(part).places(np.array([address(part, **fields) + within]))
    assert (int(at.channel[0]), int(at.row[0]), int(at.column[0])) == (fields["ch"], fields["ro"], fields["co"])
    bits = field_bits(part)
    bank = ((fields["ch"] << bits["ra"] | fields["ra"]) << bits["bg"] | fields["bg"]) << bits["ba"] | fields["ba"]
    assert int(at.bank[0]) == bank
    assert sum(bits.values()) + (part.burst_bytes - 1).bit_length() == (part.capacity_bytes - 1).bit_length()
    assert int(at.line[0]) == (address(part, **fields)) // part.burst_bytes


def table(name: str) -> dict[str, dict[str, str]]:
    """Columns of a table of parameters, by their heads."""
    with (DATA / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    heads = [head for head in rows[0] if head != "param"]
    return {head: {row["param"]: row[head] for row in rows if row[head]} for head in heads}


#: What DRAMsim3 takes where its files have no key that it reads.
DEFAULTS = {"al": 0, "t32aw": 0, "tppd": 0, "trtp": 5, "trtrs": 2, "trefi": 7800, "bankgroup_enable": True}


@pytest.mark.parametrize("name", table("params.csv"))
def test_parts_have_all_parameters_of_dramsim3s_files(name: str) -> None:
    given = table("params.csv")[name]
    part = shipped_part(name)
    compared = 0
    for section in ("dram_structure", "timing", "power", "system"):
        for key, value in getattr(part, section):
            text = given.get(f"{section}.{key}")
            if text is None:
                assert value is None or value == DEFAULTS[key] or key == "row_buf_policy", key
            elif isinstance(value, str):
                assert value == text, key
            else:
                compared += 1
                assert value == (text == "true" if isinstance(value, bool) else float(text)), key
    assert compared >= 33


RAMULATOR = {
    "bankgroups": "org.bankgroup",
    "banks_per_group": "org.bank",
    "rows": "org.row",
    "columns": "org.column",
    "device_width": "org.dq",
    "bus_width": "org.channel_width",
    "cl": "nCL",
    "cwl": "nCWL",
    "trcd": "nRCD",
    "trcdrd": "nRCDRD",
    "trcdwr": "nRCDWR",
    "trp": "nRP",
    "trfc": "nRFC",
    "trefi": "nREFI",
    "trrd_s": "nRRDS",
    "trrd_l": "nRRDL",
    "twtr_s": "nWTRS",
    "twtr_l": "nWTRL",
    "tfaw": "nFAW",
    "twr": "nWR",
    "trtp": "nRTP",
    "tccd_s": "nCCDS",
    "tccd_l": "nCCDL",
    "tppd": "nPPD",
}


@pytest.mark.parametrize(
    ("name", "peak_gbps"),
    [("DDR5_16Gb_x8_4800", 38.4), ("LPDDR5_8Gb_x16_6400", 51.2), ("HBM3_8Gb_x32_6400", 819.2)],
)
def test_newer_parts_have_ramulators_parameters_and_the_standards_bandwidth(name: str, peak_gbps: float) -> None:
    part = shipped_part(name)
    given = table("params_ramulator21.csv")[part.dram_structure.protocol]
    for section in (part.dram_structure, part.timing, part.system):
        for key, value in section:
            if key in RAMULATOR and value is not None:
                assert value == float(given[RAMULATOR[key]]), key
    t = part.timing
    assert t.tck * 1000 == float(given["tCK_ps"])
    assert t.tras + t.trp == float(given["nRC"])
    assert t.tras - float(given["nRAS"]) in (0, 1)
    assert part.burst_clocks == float(given.get("nBL") or given["nBL_min"])
    between_ranks = float(given["nCS"]) if "nCS" in given else float(given["nCCDR"]) - part.burst_clocks
    assert t.trtrs == between_ranks
    assert part.ranks == float(given.get("org.sid", "1"))
    assert part.energy is None
    assert part.bandwidth_bytes_per_s == pytest.approx(peak_gbps * 1e9, rel=2e-3)
    # a stream over all channels and bank groups comes near it; refreshes and turns to other rows cost the rest
    count = 20_000
    for write in (False, True):
        lines = np.arange(count) * part.burst_bytes
        result = run_trace(part, Trace(lines, np.full(count, write), np.zeros(count, np.int64))).result
        assert result.peak_GBps == pytest.approx(peak_gbps, rel=2e-3)
        assert 0.88 * result.peak_GBps < result.bw_GBps <= result.peak_GBps
        assert result.E_tot_pJ is None


def test_each_shipped_part_is_held_against_a_table() -> None:
    newer = {"DDR5_16Gb_x8_4800", "LPDDR5_8Gb_x16_6400", "HBM3_8Gb_x32_6400"}
    assert set(NAMES) == {*table("params.csv"), *newer}
