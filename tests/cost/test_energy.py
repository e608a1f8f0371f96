"""Joules: by the bank that is read, the part's currents and what leaks; and again from a result's JSON alone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from harness import IDEAL_DRAM, machine
from hypothesis import given
from hypothesis import strategies as st

from accelsim import api
from accelsim.config import shipped
from accelsim.config.arch import Machine, Sram
from accelsim.config.load import load_machine, load_part, load_technology
from accelsim.config.tech import Component, Event, Operation, Technology
from accelsim.cost import energy, static
from accelsim.errors import ConfigError

HAN, HOROWITZ, CACTI, DDR4, LPDDR4, HBM2 = (
    load_technology(f"{name}-45nm") for name in ("han2015", "horowitz2014", "cacti", "ddr4", "lpddr4", "hbm2")
)
EDGE = machine()
READ = Operation.SRAM_READ
COMMANDS = {
    "read": Event(Component.DRAM, Operation.DRAM_READ, 512),
    "write": Event(Component.DRAM, Operation.DRAM_WRITE, 512),
    "activate": Event(Component.DRAM, Operation.DRAM_ACTIVATE, 1),
    "refresh": Event(Component.DRAM, Operation.DRAM_REFRESH, 1),
    "active_clock": Event(Component.DRAM, Operation.DRAM_ACTIVE_CLOCK, 1),
    "precharged_clock": Event(Component.DRAM, Operation.DRAM_PRECHARGED_CLOCK, 1),
}


def banked(part: str, **changes: Any) -> Machine:
    """edge-ws with a DRAM part."""
    return machine(dram={"kind": "banked", "part": load_part(part)}, **changes)


def memory(component: Component, kib: int, banks: int, width_bits: int) -> Machine:
    """edge-ws with one memory of another size."""
    sram = Sram(capacity_bytes=1024 * kib, banks=banks, width_bits=width_bits, ports=1)
    return EDGE.model_copy(update={component: sram})


@pytest.mark.parametrize("component", [Component.ACTIVATION, Component.WEIGHT, Component.OUTPUT, Component.ACCUMULATOR])
def test_the_bank_of_the_memory_that_is_named_counts(component: Component) -> None:
    # EIE, Table I: 5 pJ for 32 bits of a 32 KB memory; the flat table knows no capacity
    assert energy.each_pj(Event(component, READ, 32), HAN, memory(component, 32, 1, 32)) == 5
    assert energy.each_pj(Event(component, READ, 32), HAN, memory(component, 1024, 1, 32)) == 5
    # Horowitz: 64 bits of 8 KB 10 pJ, 32 KB 20 pJ, 1 MB 100 pJ
    for kib, banks, expected in ((8, 1, 10), (32, 1, 20), (128, 4, 20), (128, 16, 10), (1024, 1, 100), (8192, 8, 100)):
        assert energy.each_pj(Event(component, READ, 64), HOROWITZ, memory(component, kib, banks, 64)) == expected
    # CACTI: 1.9430 x 16^0.5658 pJ for 64 bits of a bank of 16 KiB
    found = energy.each_pj(Event(component, READ, 64), CACTI, memory(component, 64, 4, 64))
    assert found == pytest.approx(1.9430 * 16**0.5658, rel=1e-12)


def test_an_access_that_is_narrower_than_the_port_reaches_its_share_of_the_bank() -> None:
    eie = load_machine("edge-eie")
    assert (eie.weight.bank_bytes, eie.weight.width_bits) == (16384, 4096)
    # two pointers, and a word of entries
    found = energy.each_pj(Event(Component.WEIGHT, READ, 32), CACTI, eie)
    assert found == pytest.approx(1.6366 * (16 * 32 / 4096) ** 0.5382, rel=1e-12)
    found = energy.each_pj(Event(Component.WEIGHT, READ, 64), CACTI, eie)
    assert found == pytest.approx(1.9430 * (16 * 64 / 4096) ** 0.5658, rel=1e-12)


@given(
    st.sampled_from([HAN, HOROWITZ, CACTI]),
    st.sampled_from([READ, Operation.SRAM_WRITE]),
    st.sampled_from([1, 2, 4, 8, 16]),
    st.sampled_from([8, 16, 32, 64, 128, 512]),
    st.sampled_from([16, 64, 1024]),
)
def test_more_banks_cost_no_more_and_wider_ports_no_less(
    technology: Technology, operation: Operation, banks: int, width: int, kib: int
) -> None:
    def each(banks: int, width: int) -> float:
        on = memory(Component.OUTPUT, kib, banks, width)
        return energy.each_pj(Event(Component.OUTPUT, operation, width), technology, on)

    assert each(2 * banks, width) <= each(banks, width) * (1 + 1e-12)
    assert each(banks, 2 * width) >= each(banks, width) * (1 - 1e-12)


@pytest.mark.parametrize(
    ("technology", "part", "expected"),
    [
        # energies of 1 rank of a 64-bit channel, computed apart: tests/data/dram/energy_per_32b.csv
        (DDR4, "DDR4_8Gb_x8_3200", {"activate": 4233.6, "read": 2806.3, "write": 2370.8, "refresh": 670602.2}),
        (LPDDR4, "LPDDR4_8Gb_x16_2400", {"activate": 6956.1, "read": 6246.9, "write": 5768.8, "refresh": 363882.6}),
        (HBM2, "HBM2_8Gb_x128", {"activate": 828.0, "read": 804.0, "write": 1068.0, "refresh": 60840.0}),
    ],
)
def test_by_currents_a_command_costs_what_the_part_says(
    technology: Technology, part: str, expected: dict[str, float]
) -> None:
    on = banked(part)
    for name, pj in expected.items():
        assert energy.each_pj(COMMANDS[name], technology, on) == pytest.approx(pj, abs=0.05)
    power = load_part(part).power
    assert power
    scale = power.vdd * load_part(part).timing.tck * load_part(part).devices
    assert energy.each_pj(COMMANDS["active_clock"], technology, on) == pytest.approx(scale * power.idd3n, rel=1e-12)
    assert energy.each_pj(COMMANDS["precharged_clock"], technology, on) == pytest.approx(scale * power.idd2n, rel=1e-12)
    # the flat tables charge bits and nothing else: 20 pJ a bit
    flat = {name: energy.each_pj(event, HAN, on) for name, event in COMMANDS.items()}
    assert flat == {
        "read": 10240,
        "write": 10240,
        "activate": 0,
        "refresh": 0,
        "active_clock": 0,
        "precharged_clock": 0,
    }


def test_a_table_for_another_dram_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        energy.check(LPDDR4, banked("DDR4_8Gb_x8_3200"))
    assert str(error.value) == (
        "technology lpddr4-45nm must price a machine with the DRAM part LPDDR4_8Gb_x16_2400, "
        "not edge-ws, which has DDR4_8Gb_x8_3200"
    )
    with pytest.raises(ConfigError, match=r"not edge-ws, which has simple DRAM$"):
        energy.check(HBM2, machine())
    text = shipped.path_of("tech", "ddr4-45nm").read_text()
    (tmp_path / "any.yaml").write_text(text.replace("dram_part: DDR4_8Gb_x8_3200", ""))
    any_part = load_technology(str(tmp_path / "any.yaml"))
    energy.check(any_part, banked("GDDR6_8Gb_x16"))
    refusal = "^technology ddr4-45nm must price a machine whose DRAM part has currents, not edge-ws, which has "
    with pytest.raises(ConfigError, match=refusal + "ideal DRAM$"):
        energy.check(any_part, machine(dram=IDEAL_DRAM))
    unknown = load_part("DDR4_8Gb_x8_3200").model_copy(update={"power": None})
    silent = machine(dram={"kind": "banked", "part": unknown.model_dump()})
    with pytest.raises(ConfigError, match=refusal + "DDR4_8Gb_x8_3200$"):
        energy.check(any_part, silent)
    with pytest.raises(ConfigError, match=refusal):
        energy.price({COMMANDS["read"]: 1}, energy.Prices(any_part, silent))
    for on in (silent, machine(), machine(dram=IDEAL_DRAM)):
        energy.check(HAN, on)
        energy.check(HOROWITZ, on)


def test_leakage_and_clock_follow_from_what_the_machine_has() -> None:
    on = banked("LPDDR4_8Gb_x16_2400", clock_hz=0.5e9)
    charged = static.with_static({COMMANDS["read"]: 3}, 1000, LPDDR4, on)
    assert charged.pop(COMMANDS["read"]) == 3
    assert set(charged.values()) == {1000}
    found = {(e.component, e.operation): energy.each_pj(e, LPDDR4, on) for e in charged}
    # by hand, for a cycle of 2 ns: 256 elements of int8 with int32 sums, 16 lanes of 32 bits and 3 stages
    expected = {
        ("mac", "leakage"): 2 * 256 * (0.0779 / 16 + 0.00225),
        ("register_file", "leakage"): 2 * 256 * 48 * 7.4e-5,
        ("register_file", "clock"): 256 * 48 * 0.00794,
        ("activation", "leakage"): 2 * 128 * 2.44e-5,
        ("weight", "leakage"): 2 * 64 * 2.44e-5,
        ("output", "leakage"): 2 * 64 * 2.44e-5,
        ("accumulator", "leakage"): 2 * 64 * 2.44e-5,
        ("vector", "leakage"): 2 * 16 * (0.0779 + 0.00225 + 3 * 32 * 7.4e-5),
        ("vector", "clock"): 16 * 3 * 32 * 0.00794,
    }
    assert found == pytest.approx(expected, rel=1e-12)
    parts = energy.breakdown(energy.price(charged, energy.Prices(LPDDR4, on)))
    assert parts.static == parts.total == pytest.approx(1000 * sum(expected.values()), rel=1e-12)


def test_what_has_no_figure_is_not_counted() -> None:
    counters = {COMMANDS["read"]: 3}
    for technology in (HAN, HOROWITZ, CACTI, DDR4, HBM2):
        assert static.with_static(counters, 1000, technology, machine()) == counters
    assert static.with_static(counters, 0, LPDDR4, machine()) == counters


CURRENTS = {
    "dram_activate": lambda p, t, _: (
        p["idd0"] * (t["tras"] + t["trp"]) - p["idd3n"] * t["tras"] - p["idd2n"] * t["trp"]
    ),
    "dram_read": lambda p, _, burst: (p["idd4r"] - p["idd3n"]) * burst,
    "dram_write": lambda p, _, burst: (p["idd4w"] - p["idd3n"]) * burst,
    "dram_refresh": lambda p, t, _: (p["idd5ab"] - p["idd3n"]) * t["trfc"],
    "dram_active_clock": lambda p, *_: p["idd3n"],
    "dram_precharged_clock": lambda p, *_: p["idd2n"],
}
WIDTHS = {"int8": (8, 32), "fp32": (32, 32)}


def recomputed(row: dict[str, Any], tech: dict[str, Any], on: dict[str, Any]) -> float:
    """Energy of a counter's event, from the tables in a result's JSON, in code of its own."""
    operation, bits, by = row["operation"], row["bits"], row["by"]
    if operation in {"leakage", "clock"}:
        width, sums = WIDTHS[on["matrix"]["operands"]]
        elements = on["matrix"]["rows"] * on["matrix"]["columns"]
        lanes, stages = on["vector"]["lanes"], on["vector"]["latency_cycles"]
        per = {r["of"]: r["power_mw" if operation == "leakage" else "energy_pj"] / r["bits"] for r in tech[operation]}
        per = {"sram": 0, "multiplier": 0, "adder": 0, "register": 0, **per}
        rate = {
            "mac": elements * (per["multiplier"] / 32 * width**2 + per["adder"] * sums),
            "register_file": elements * (2 * width + sums) * per["register"],
            "vector": lanes * sums * (per["multiplier"] + per["adder"] + stages * per["register"]),
        }.get(row["component"])
        if rate is None:
            rate = per["sram"] * 8 * on[row["component"]]["capacity_bytes"]
        return rate * (1e9 / on["clock_hz"] if operation == "leakage" else 1)
    if operation in CURRENTS and tech["dram_energy"] == "currents":
        part = on["dram"]["part"]
        power, timing, structure = part["power"], part["timing"], part["dram_structure"]
        devices = part["system"]["bus_width"] // structure["device_width"]
        assert bits in {1, part["system"]["bus_width"] * structure["bl"]}
        return power["vdd"] * timing["tck"] * devices * CURRENTS[operation](power, timing, structure["bl"] / 2)
    rows = [r for r in tech["entries"] if r["operation"] == operation and r["bound"] in {None, tech["dram_bound"]}]
    if rows[0]["capacity_kib"] is None:
        exact = [r for r in rows if r["bits"] == bits and by in {0, bits}]
        if exact:
            return exact[0]["energy_pj"]
        widest = max(rows, key=lambda r: r["bits"])
        ratio = bits / widest["bits"]
        return widest["energy_pj"] * (ratio * by / widest["bits"] if by else ratio)
    sram = on[row["component"]]
    kib = sram["capacity_bytes"] / sram["banks"] / 1024 * min(1, bits / sram["width_bits"])
    assert all(r["bits"] in {32, 64} for r in rows)
    assert bits <= 32 or bits >= 64
    macros = max(1, bits / 64)
    kib /= macros
    points = sorted(
        (r["capacity_kib"], r["energy_pj"])
        for r in rows
        if r["bits"] == (64 if bits >= 64 else min(r["bits"] for r in rows))
    )
    if len(points) == 1:
        (fit,) = (r for r in rows if (r["capacity_kib"], r["energy_pj"]) == points[0])
        return macros * fit["energy_pj"] * (kib / fit["capacity_kib"]) ** fit["exponent"]
    low = max([p for p in points[:-1] if p[0] <= kib] or points[:1])
    high = points[points.index(low) + 1]
    share = math.log(kib / low[0], high[0] / low[0])
    return macros * low[1] * (high[1] / low[1]) ** share


@pytest.mark.parametrize(
    ("arch", "technology", "part"),
    [
        ("edge-ws", "han2015-45nm", None),
        ("edge-ws", "horowitz2014-45nm", None),
        ("edge-ws", "ddr4-45nm", None),
        ("edge-ws", "lpddr4-45nm", "LPDDR4_8Gb_x16_2400"),
        ("edge-ws-fp32", "lpddr4-45nm", "LPDDR4_8Gb_x16_2400"),
        ("edge-ws", "hbm2-45nm", "HBM2_8Gb_x128"),
        ("edge-eie", "cacti-45nm", None),
        ("tpu-v1", "cacti-45nm", None),
    ],
)
def test_all_joules_can_be_recomputed_from_a_results_json(
    arch: str, technology: str, part: str | None, tmp_path: Path
) -> None:
    text = shipped.path_of("arch", arch).read_text()
    assert "tech: han2015-45nm" in text
    text = text.replace("tech: han2015-45nm", f"tech: {technology}")
    if part:
        assert "part: DDR4_8Gb_x8_3200" in text
        text = text.replace("part: DDR4_8Gb_x8_3200", f"part: {part}")
    (tmp_path / "m.yaml").write_text(text)
    result = json.loads(api.run("digits-mlp", str(tmp_path / "m.yaml")).to_json())
    tech, on = (result["provenance"]["configuration"][name] for name in ("technology", "machine"))
    assert (result["tech"], tech["name"]) == (technology, technology)
    category = dict.fromkeys(("activation", "weight", "output", "accumulator"), "sram")
    for figures in (result, *result["layers"]):
        sums = dict.fromkeys(figures["energy_pj"], 0.0)
        for row in figures["counters"]:
            assert row["each_pj"] == pytest.approx(recomputed(row, tech, on), rel=1e-9), row
            static_ = row["operation"] in {"leakage", "clock"}
            if static_:
                assert row["count"] == figures["cycles"]
            sums["static" if static_ else category.get(row["component"], row["component"])] += (
                row["count"] * row["each_pj"]
            )
        sums["total"] = sum(sums.values())
        assert figures["energy_pj"] == pytest.approx(sums, rel=1e-9)
    for name, pj in result["energy_pj"].items():
        assert pj == pytest.approx(sum(layer["energy_pj"][name] for layer in result["layers"]), rel=1e-9)
    assert (result["energy_pj"]["static"] > 0) == (technology == "lpddr4-45nm")
    # layers share no event, and none is lost: their counts sum to the run's
    total: dict[tuple[Any, ...], int] = {}
    for layer in result["layers"]:
        for row in layer["counters"]:
            key = (row["component"], row["operation"], row["bits"], row["by"])
            total[key] = total.get(key, 0) + row["count"]
    assert total == {(r["component"], r["operation"], r["bits"], r["by"]): r["count"] for r in result["counters"]}
