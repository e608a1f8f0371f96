"""Roofs, against what data sheets and sums by hand say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from accelsim.config.load import load_machine
from accelsim.report.roofs import Level, Roofs, Work


@pytest.mark.parametrize(
    ("arch", "work", "expected"),
    [
        ("edge-ws", "executed", {"int8": 2 * 16 * 16 * 1e9}),
        ("edge-ws", "dense", {"int8": 2 * 16 * 16 * 1e9}),
        ("edge-ws-mixed", "executed", {"fp16": 512e9, "int8": 2 * 512e9, "int4": 4 * 512e9}),
        ("edge-sparse24", "executed", {"int8": 512e9}),
        ("edge-sparse24", "dense", {"int8": 512e9, "int8, 2:4 as dense": 1024e9}),
        ("tpu-v1", "executed", {"int8": 2 * 256 * 256 * 700e6}),
    ],
)
def test_a_datatype_has_a_roof(arch: str, work: Work, expected: dict[str, float]) -> None:
    assert Roofs.of(load_machine(arch)).compute(work) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arch", "level", "expected"),
    [
        ("edge-ws", "dram", 64 / 8 * 2 / 0.63e-9),  # 64 bits, twice a clock
        ("edge-ws", "sram", (4 * 16 + 2 * 16 * 4) * 1e9),  # four banks of 16 bytes, two of 16 sums
        ("edge-ws", "l2", None),
    ],
)
def test_a_level_has_a_roof_if_there_is_one(arch: str, level: Level, expected: float | None) -> None:
    found = Roofs.of(load_machine(arch)).bytes_per_s.get(level)
    assert found == (None if expected is None else pytest.approx(expected))


def test_an_ideal_memory_has_none() -> None:
    text = load_machine("edge-ws").model_dump()
    text["dram"] = {"kind": "ideal", "capacity_bytes": 2**32, "burst_bytes": 64}
    assert Roofs.of(type(load_machine("edge-ws")).model_validate(text)).bytes_per_s.keys() == {"sram"}


@pytest.mark.parametrize(
    "change",
    [
        {"ops_per_s": {}},
        {"ops_per_s": {"int8": 0.0}},
        {"ops_per_s": {"int8": 1e300}},
        {"ops_per_s": {"int8": float("nan")}},
        {"ops_per_s": {"x" * 65: 1.0}},
        {"ops_per_s": {"int\n8": 1.0}},
        {"ops_per_s": {f"int{i}": 1.0 for i in range(9)}},
        {"bytes_per_s": {"l3": 1.0}},
        {"other": 1},
    ],
)
def test_roofs_that_no_machine_has_are_refused(change: dict[str, object]) -> None:
    kept = Roofs.of(load_machine("edge-ws")).model_dump()
    assert Roofs.model_validate(kept) == Roofs.of(load_machine("edge-ws"))
    with pytest.raises(ValidationError):
        Roofs.model_validate(kept | change)
