"""Programs of loads and stores that are small enough to time by hand."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import engines
from harness import assert_accounted

from accelsim.config.arch import Machine
from accelsim.isa.assembly import parse
from accelsim.isa.program import Header, LayerInfo, Program, RegionInfo
from accelsim.results import Execution


def header(dram_bytes: int, layers: Sequence[str] = ("a",), side: int = 2**10) -> Header:
    """Header of a program that no compiler made: layers of `side` samples, inputs and outputs that nobody counts."""
    infos = [
        LayerInfo(
            name=name,
            m=side,
            k=side,
            n=side,
            m_tile=1,
            k_tile=1,
            n_tile=1,
            loops="",
            slots={},
            weights=1,
            stored_bits=8,
            output="out",
        )
        for name in layers
    ]
    out = RegionInfo(name="out", role="output", address=0, rows=1, columns=1, signed=True, scale=1.0, zero_point=0)
    return Header(
        workload="hand",
        recipe="none",
        arch="edge-ws",
        arch_sha256="",
        dram_bytes=dram_bytes,
        layers=infos,
        regions=[out],
    )


def program(*lines: str, dram_bytes: int = 4096, image: int = 2048, byte: int = 0) -> Program:
    """A program over an image of that many bytes, all of them 0 or the one given."""
    data = base64.b64encode(bytes([byte] * image)).decode()
    return parse(
        "\n".join([f".header {header(dram_bytes).model_dump_json()}", f".image {image}", f".bytes {data}", *lines])
    )


def load(bursts: int, address: int, more: str = "", memory: str = "activation") -> str:
    size = 64 * bursts
    return (
        f"load layer=0 dram=0 dram_stride=0 rows=1 row_bytes={size} memory={memory} address={address} stride=0 {more}"
    )


def store(bursts: int, address: int, more: str = "") -> str:
    return load(bursts, address, more, memory="weight").replace("load", "store").replace("dram=0", "dram=2048")


def run(given: Program, where: Machine) -> Execution:
    result = engines.execute(given, where)
    assert_accounted(result)
    return result


def times(result: Execution) -> list[tuple[int, int, int, int]]:
    t = result.timeline
    return list(zip(t.issue.tolist(), t.start.tolist(), t.free.tolist(), t.end.tolist(), strict=True))


def spent(result: Execution, unit: str) -> dict[str, int]:
    row = result.attribution[:, result.unit_names.index(unit)].sum(axis=0)
    return {state: int(n) for state, n in zip(result.states, row, strict=True) if n}
