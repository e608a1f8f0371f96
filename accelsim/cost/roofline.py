"""Roofline and balance: which roof holds a layer, or what else does."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.config.arch import Machine
from accelsim.results import OPS_PER_MAC, Bytes, Macs, Roofline

#: Share of a roof's time in the whole from which the roof counts as reached.
REACHED = 0.8


def roofline(
    machine: Machine,
    macs: Macs,
    moved: Bytes,
    cycles: int,
    array_cycles: int,
    units: Mapping[str, Mapping[str, int]],
    pairs: float = 1.0,
    vector_work: int = 0,
    host_operations: int = 0,
) -> Roofline:
    """Place a layer, or a whole run, below the roofs of its machine.

    The compute roof is every multiplier in every cycle, the vector roof a number for every lane in every cycle, the
    memory roof the DRAM's bandwidth. What takes at least `REACHED` of the time at its roof is bound by the roof that it
    takes longer at; so is what keeps the vector unit busy for that share, whose passes may take a lane more than a
    cycle a number, or the host that computes, with what crosses to it and back. Otherwise the larger loss names the
    bound: fill and drain (the array is occupied but does not multiply at its peak: filling, draining, partly used),
    host (the array's units wait for the host), decode (they wait for weights to be expanded), memory (they wait for
    anything else while a DMA unit waits for the DRAM, which moves less than its roof because of rows, refreshes and
    turnarounds), or latency (they wait for anything else).

    Parameters
    ----------
    cycles
        Core cycles in which all of the work was done.
    array_cycles
        Those of them in which a preload or matmul was between start and end.
    units
        Cycles of each unit by state, as in the summary.
    pairs
        Pairs of operands that a multiplier takes at once, on average over its cycles.
    vector_work
        Numbers that the vector unit's lanes take in.
    host_operations
        Operations that the host computes.
    """
    seconds = cycles / machine.clock_hz
    peak_ops = OPS_PER_MAC * machine.matrix.multipliers * pairs * machine.clock_hz
    bandwidth = machine.dram.bandwidth_bytes_per_s
    work = OPS_PER_MAC * macs.executed
    traffic = moved.dram_read + moved.dram_write
    compute_s = work / peak_ops
    memory_s = traffic / bandwidth if bandwidth else 0.0
    peak_vector = machine.vector.lanes * machine.clock_hz
    vector_s = max(vector_work / peak_vector, units.get("vector", {}).get("busy", 0) / machine.clock_hz)
    roofs = {"compute": compute_s, "memory": memory_s, "vector": min(vector_s, seconds)}
    if host_operations:
        roofs["host"] = min(units["io"]["busy"] / machine.clock_hz, seconds)
    if seconds and max(roofs.values()) >= REACHED * seconds:
        bound = max(roofs, key=lambda name: roofs[name])
    else:
        array = [units[name] for name in ("matrix", "preload")]
        host = max(unit.get("wait_host", 0) for unit in array)
        # the decode unit may itself have waited, for bytes from DRAM
        expanding = units.get("decode", {}).get("busy", cycles)
        decode = min(expanding, max(unit.get("wait_decode", 0) for unit in array))
        rest = cycles - array_cycles - host - decode
        starved = max((unit.get("wait_memory", 0) for unit in units.values()), default=0)
        memory = max(0, min(rest, starved))
        losses = {
            "fill_drain": array_cycles - compute_s * machine.clock_hz,
            "host": host,
            "decode": decode,
            "memory": memory,
            "latency": rest - memory,
        }
        bound = max(losses, key=lambda name: losses[name])
    return Roofline(
        ops_per_byte=work / traffic if traffic else None,
        attained_ops_per_s=work / seconds if seconds else 0.0,
        dense_ops_per_s=OPS_PER_MAC * macs.dense / seconds if seconds else 0.0,
        peak_ops_per_s=peak_ops,
        peak_bytes_per_s=bandwidth,
        vector_ops_per_s=vector_work / seconds if seconds else 0.0,
        peak_vector_ops_per_s=peak_vector,
        bound=bound,
        balance=compute_s / memory_s if memory_s else None,
    )
