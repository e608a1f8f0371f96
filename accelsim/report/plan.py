"""A plan as a table of text, one line a fusion."""

from __future__ import annotations

from accelsim.plan import FusionPlan, Plan, Use
from accelsim.report.tables import Table


def headline(plan: Plan) -> str:
    """What is planned, and the DRAM bytes of it, in a sentence."""
    moved, stays = plan.dram_read + plan.dram_write, _stays(plan)
    kept = f"{len(stays)} values stay on chip" if len(stays) != 1 else "1 value stays on chip"
    ratio = f", {plan.ratio:.2f} x the compulsory {plan.compulsory:,}" if plan.ratio is not None else ""
    told = kept if plan.residency else "nothing stays on chip, as asked"
    return f"{plan.workload} as {plan.recipe} on {plan.arch}: {told}; {moved:,} bytes over DRAM{ratio}"


def _stays(plan: Plan) -> list[Use]:
    """Values that stay on chip, where they are formed."""
    return [use for fusion in plan.fusions for use in fusion.values if use.does == "form" and use.room]


def fusions(plan: Plan) -> Table:
    """One line a fusion, and the total: what computes what, in which tiles, of what, into what, and DRAM bytes."""
    columns = ("fusion", "nodes", "on", "tile M x K x N", "loops", "reads", "forms", "DRAM read", "DRAM written")
    rows = [_row(fusion) for fusion in plan.fusions]
    rows.append(("total", *[""] * 6, f"{plan.dram_read:,}", f"{plan.dram_write:,}"))
    order = ("fusion", "DRAM read", "DRAM written", "tile M x K x N", "on", "loops", "forms", "reads", "nodes")
    return Table("Plan, DRAM bytes as whole bursts", columns, rows, frozenset(range(7)), order)


def _row(fusion: FusionPlan) -> tuple[str, ...]:
    tile = fusion.tile
    return (
        fusion.name,
        ", ".join(fusion.nodes),
        fusion.unit,
        f"{tile.m} x {tile.k} x {tile.n}" if tile else "-",
        tile.loops if tile else "-",
        "; ".join(_told(use) for use in fusion.values if use.does == "read"),
        "; ".join(_told(use) for use in fusion.values if use.does == "form"),
        f"{fusion.dram_read:,}",
        f"{fusion.dram_write:,}",
    )


def _told(use: Use) -> str:
    """Where a value is, and between which fusions it stays there."""
    if use.room is None:
        return f"{use.name}: DRAM"
    room = use.room
    ends = f"from {use.formed_by}" if use.does == "read" else f"until {use.last_read_by}"
    return f"{use.name}: {room.memory} {room.low}-{room.end - 1}, {ends}"
